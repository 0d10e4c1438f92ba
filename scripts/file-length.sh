#!/bin/sh
# Fails when a handwritten Go file is longer than 400 lines: cut it where its subject ends.
set -eu
limit=400
long=$(find . -name '*.go' -not -path './.cache/*' -exec awk -v limit=$limit '
	FNR == 1 { generated = 0 }
	/^\/\/ Code generated .* DO NOT EDIT\.$/ { generated = 1 }
	FNR == limit + 1 && !generated { print FILENAME }' {} +)
[ -z "$long" ] && exit 0
for file in $long; do
	echo "$file: $(wc -l <"$file" | tr -d ' ') lines, limit $limit" >&2
done
exit 1
