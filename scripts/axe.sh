#!/bin/sh
# usage: scripts/axe.sh: prints where axe-core is, a program that looks for what keeps people out of a web page. npm gets it
# once. Whatever npm gets counts only with the checksum below. Exit status 3: there is no npm, or npm cannot get it.
set -eu
version=4.14.1
checksum=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c # of axe.min.js
file=${XDG_CACHE_HOME:-$HOME/.cache}/rwkv-gpu/axe-core-$version.min.js

sum() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -c 1-64; }

if [ ! -e "$file" ] || [ "$(sum "$file")" != $checksum ]; then
	command -v npm >/dev/null || exit 3
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	(cd "$folder" && npm pack --silent --fetch-retries=1 --fetch-timeout=30000 axe-core@$version) </dev/null >/dev/null || exit 3
	tar -xzf "$folder/axe-core-$version.tgz" -C "$folder" package/axe.min.js
	got=$(sum "$folder/package/axe.min.js")
	if [ "$got" != $checksum ]; then
		echo "axe.sh: axe-core $version: want the checksum $checksum, got $got" >&2
		exit 1
	fi
	mkdir -p "$(dirname "$file")"
	mv "$folder/package/axe.min.js" "$file.$$" # whole, or not there
	mv "$file.$$" "$file"
fi
echo "$file"
