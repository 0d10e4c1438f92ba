#!/bin/sh
# usage: scripts/axe.sh: looks for what keeps people out of the web page, with axe-core, which npm gets
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$folder" axe-core@4.14.1
RWKV_REQUIRE_CHROMIUM=1 RWKV_AXE=$folder/node_modules/axe-core/axe.min.js scripts/with-go.sh go test ./server/web -run '^TestAxe$' -count=1 "$@"
