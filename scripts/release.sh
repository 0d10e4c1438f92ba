#!/bin/sh
# usage: scripts/release.sh [OS/ARCH...]
#
# Builds the archives of the last commit in dist/, from a checkout of its own: what is not committed is not in them.
# CHECK=1 builds everything a second time, in another folder, with an empty build cache, another home and another time
# zone, and fails unless it gets the same bytes.
set -eu
cd "$(dirname "$0")/.."
top=$PWD

# build FOLDER TARGET... makes archives below FOLDER from a new clone there.
build() {
	folder=$1
	shift
	rm -rf "$folder"
	mkdir -p "$folder"
	git clone --quiet --shared --no-checkout "$top" "$folder/source"
	git -C "$folder/source" checkout --quiet --detach "$(git rev-parse HEAD)"
	(cd "$folder/source" && "$top/scripts/with-go.sh" go run ./internal/release -out "$folder/dist" "$@")
}

[ -z "$(git status --porcelain)" ] || echo 'release: what is not committed is not in the archives'
build "$top/.cache/release" "$@"
rm -rf dist
mv .cache/release/dist dist
if [ "${CHECK:-}" = 1 ]; then
	again=$(mktemp -d)
	trap 'chmod -R u+w "$again"; rm -rf "$again"' EXIT
	modules=$(scripts/with-go.sh go env GOMODCACHE)
	(
		export GOMODCACHE="$modules" GOCACHE="$again/cache" HOME="$again" TZ=Pacific/Kiritimati LC_ALL=C
		umask 077
		build "$again/a folder" "$@"
	)
	diff -r dist "$again/a folder/dist" || { echo 'release: a second build is not the same' >&2; exit 1; }
	echo 'release: a second build gives the same bytes'
fi
