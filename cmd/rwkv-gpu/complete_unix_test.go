//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shellTest is a shell with the program's script.
type shellTest struct {
	program string
	needs   []string // files, of which one has to be there
	script  string   // writes for each line of $TYPED what may stand for its last word, and then a line of ---
}

// bashComplete does what bash does when somebody presses Tab: it divides the line at the characters that divide words.
const bashComplete = `. /usr/share/bash-completion/bash_completion 2>/dev/null || . /usr/local/share/bash-completion/bash_completion
. "$SCRIPT"
compopt() { :; }
while read -r COMP_LINE; do
	COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9 COMP_WORDS=() COMPREPLY=()
	for word in $COMP_LINE; do
		while [[ $word =~ ^([^:=]*)([:=]+)(.*)$ ]]; do
			[ -z "${BASH_REMATCH[1]}" ] || COMP_WORDS+=("${BASH_REMATCH[1]}")
			COMP_WORDS+=("${BASH_REMATCH[2]}")
			word=${BASH_REMATCH[3]}
		done
		[ -z "$word" ] || COMP_WORDS+=("$word")
	done
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	__start_rwkv-gpu rwkv-gpu "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
	printf '%s\n' "${COMPREPLY[@]}" | sed 's/  *(.*//; s/ *$//; s/\\,/,/g'
	echo ---
done <<<"$TYPED"
`

// zshComplete has another zsh on a terminal of its own complete lines that somebody types, and write the whole of each.
const zshComplete = `zmodload zsh/zpty
zpty shell 'PS1= zsh -f -i'
zpty -w shell "PS1=; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; . $SCRIPT; bindkey '^X' beginning-of-line; print READ''Y"
zpty -r -m shell text '*READY*'
for line in ${(f)TYPED}; do
	zpty -n -w shell "$line"$'\t\x18print -r -- "LINE(" \n'
	zpty -r -m shell text '*LINE\( rwkv-gpu*'$'\n'
	text=${${text##*LINE\( }##* }
	print -r -- ${text%%$'\r'*}
	print -r -- ---
done
`

const fishComplete = `source $SCRIPT
for line in (string split \n $TYPED)
	complete -C $line | string split -f 1 \t
	echo ---
end
`

var shellTests = map[string]shellTest{
	"bash": {"bash", []string{"/usr/share/bash-completion/bash_completion", "/usr/local/share/bash-completion/bash_completion"}, bashComplete},
	"zsh":  {"zsh", nil, zshComplete},
	"fish": {"fish", nil, fishComplete},
}

// Shells complete with the scripts, each by its own rules.
func TestShells(t *testing.T) {
	atHub(t, newHub(t))
	if r := cli("pull", "g1:0.4b"); r.status != statusDone {
		t.Fatal(r)
	}
	wants := [][2]string{
		{"rwkv-gpu quanti", "quantize"},
		{"rwkv-gpu generate --tun", "--tuning"},
		{"rwkv-gpu generate --device c", "cpu"},
		{"rwkv-gpu quantize x --type iq", "iq4_nl"},
		{"rwkv-gpu eval - --quants q8_0,q3", "q8_0,q3_k"},
		{"rwkv-gpu generate --model g1", pullName},
		{"rwkv-gpu models rm g1:0.4b@", pullName},
		{"rwkv-gpu completion power", "powershell"},
		{"rwkv-gpu prompt --template g1-mark", "g1-markdown"},
	}
	for name, shell := range shellTests {
		t.Run(name, func(t *testing.T) {
			if !shell.here() {
				if os.Getenv("RWKV_REQUIRE_SHELLS") == "1" {
					t.Fatalf("no %s with completion here", name)
				}
				t.Skipf("no %s with completion here", name)
			}
			var lines []string
			for _, w := range wants {
				lines = append(lines, w[0])
			}
			got := shell.complete(t, cli("completion", name).stdout, lines)
			if len(got) != len(wants) {
				t.Fatalf("%d answers: %q", len(got), got)
			}
			for i, w := range wants {
				if name == "bash" && strings.HasSuffix(w[0], "g1:0.4b@") { // whose last word begins behind the colon
					w[1] = strings.TrimPrefix(w[1], "g1:")
				}
				// Where no space is to follow, fish is offered a second word that ends in a dot.
				if answer := strings.TrimSpace(got[i]); answer != w[1] && (name != "fish" || answer != w[1]+"\n"+w[1]+".") {
					t.Errorf("%s: want %q, got %q", w[0], w[1], got[i])
				}
			}
		})
	}
}

// here reports whether the system has the shell with what it needs.
func (s *shellTest) here() bool {
	_, err := exec.LookPath(s.program)
	return err == nil && (s.needs == nil || slices.ContainsFunc(s.needs, exists))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// complete returns what the shell offers for the last word of each line.
func (s *shellTest) complete(t *testing.T, script string, lines []string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"script": script,
		"rwkv-gpu": fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", childEnv, os.Args[0])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, s.program, "-c", s.script)
	if s.program == "zsh" {
		c.Args = []string{"zsh", "-f", "-c", s.script}
	}
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SCRIPT="+filepath.Join(dir, "script"), "TYPED="+strings.Join(lines, "\n"),
		"HOME="+c.Dir, "XDG_CONFIG_HOME="+c.Dir, "ZDOTDIR="+c.Dir, "TERM=dumb")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, &errs)
	}
	return strings.Split(strings.TrimSuffix(string(out), "---\n"), "---\n")
}
