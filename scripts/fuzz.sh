#!/bin/sh
# usage: scripts/fuzz.sh TIME: runs every fuzz target of the module for TIME (90s, 2m), one after the other.
set -eu
found=$(grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*_test\.go:[0-9]*:func | |' | sort)
if [ -z "$found" ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "$found" | while read -r package target; do
	echo "fuzz: $package $target for $1"
	# Minimising a find can eat the whole time of a target that runs slowly: a few tries are enough.
	scripts/with-go.sh go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 20x "$package"
done
