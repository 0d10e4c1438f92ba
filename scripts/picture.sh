#!/bin/sh
# Draws what a terminal shows of some commands as SVG on standard output: scripts/picture.sh > docs/terminal.svg
# Each argument is a command line of rwkv-gpu; without any, those of the README.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- \
    'generate "Once upon a time" -n 90 --seed 3' \
    'compare'
for line in "$@"; do
    printf '$ rwkv-gpu %s\n' "$line"
    # On a terminal of its own, less escape sequences and what a progress bar overwrote.
    script -qec "bin/rwkv-gpu $line" /dev/null | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\r*$//; s/.*\r//' | head -n 9
done | fold -s -w 96 | awk '
    { gsub(/&/, "\\&amp;"); gsub(/</, "\\&lt;"); gsub(/>/, "\\&gt;"); text[++n] = $0 }
    END {
        w = 860; row = 19; top = 52; h = top + n * row + 14
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"monospace\" font-size=\"14\">\n", w, h
        printf "<rect width=\"%d\" height=\"%d\" rx=\"9\" fill=\"#14161b\"/>\n", w, h
        split("#ff5f57 #febc2e #28c840", colour, " ")
        for (i = 1; i <= 3; i++) printf "<circle cx=\"%d\" cy=\"20\" r=\"6\" fill=\"%s\"/>\n", 2 + 20 * i, colour[i]
        for (i = 1; i <= n; i++)
            printf "<text x=\"20\" y=\"%d\" fill=\"%s\" xml:space=\"preserve\">%s</text>\n", top + i * row - 12,
                text[i] ~ /^\$/ ? "#7ee787" : "#d6dae2", text[i]
        print "</svg>"
    }'
