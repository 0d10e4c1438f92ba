#!/bin/sh
# usage: scripts/with-go.sh COMMAND...: runs it with a Go on PATH that can build this module, fetching one if need be.
set -eu
. scripts/lib.sh
if ! find_go; then
	echo "with-go: Go $(wanted_go) or newer is needed, found $go_found; 'make setup' installs it where it can" >&2
	exit 1
fi
PATH=$go_dir:$PATH
if [ -n "$go_toolchain" ]; then
	GOTOOLCHAIN=$go_toolchain
	export GOTOOLCHAIN
fi
exec "$@"
