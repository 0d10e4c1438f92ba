#!/bin/sh
# usage: scripts/arm64.sh [PACKAGE...]: builds every package for 64-bit ARM, and runs the tests of those that need no
# device, or of the packages named, in an emulator. The emulator takes twenty times as long, so long cases are left out.
set -eu
cd "$(dirname "$0")/.."

GOOS=linux GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc RWKV_EMULATOR='qemu-aarch64-static -L /usr/aarch64-linux-gnu'
export GOOS GOARCH CGO_ENABLED CC RWKV_EMULATOR

# without_device lists the packages whose tests link nothing of Vulkan. Those of scripts and of shaders/internal are left
# out: they test tools of the system that builds.
without_device() {
	scripts/with-go.sh go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... | awk -v module="$(scripts/with-go.sh go list -m)" '
		$1 ~ /\.test$/ && index($0 " ", " " module "/gpu ") == 0 {
			sub(/\.test$/, "", $1)
			if (index($1, module "/scripts") != 1 && index($1, module "/shaders/internal") != 1) print $1
		}'
}

scripts/with-go.sh go build ./...
[ $# -gt 0 ] || set -- $(without_device)
scripts/with-go.sh go test -short -count=1 -timeout=60m -exec "$RWKV_EMULATOR" "$@"
