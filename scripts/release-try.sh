#!/bin/sh
# usage: scripts/release-try.sh ARCHIVE...: tries archives as somebody does who has nothing but them.
#
# The archive for Linux is unpacked in a bare Debian (SUITE, bookworm), which debootstrap makes anew; that takes root. It
# has no Vulkan at first, and Mesa's software driver later. The archive for Windows runs under Wine.
set -eu
cd "$(dirname "$0")/.."

say() { echo "try: $*"; }
fail() {
	say "$*" >&2
	exit 1
}

# wants TEXT COMMAND... fails unless the command succeeds and what it writes has the text.
wants() {
	want=$1
	shift
	got=$("$@" 2>&1) || fail "$*: status $?: $got"
	case $got in
	*"$want"*) say "$* says: $want" ;;
	*) fail "$*: want '$want' in: $got" ;;
	esac
}

# run COMMAND... runs it in the root.
run() { chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# linux ARCHIVE VERSION
linux() {
	root=$(mktemp -d)
	trap 'umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
	debootstrap --variant=minbase --include=curl,ca-certificates "${SUITE:-bookworm}" "$root" "$mirror" >"$root.log" 2>&1 ||
		fail "debootstrap: $(tail -n 3 "$root.log")"
	rm -f "$root.log"
	mount -t proc proc "$root/proc"
	cp -L /etc/resolv.conf "$root/etc/" 2>/dev/null || true
	# What apt trusts and asks here, so that packages come from the same place.
	cp -a /etc/apt/sources.list* /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d "$root/etc/apt/" 2>/dev/null || true
	tar -xf "$1" -C "$root/opt"
	for folder in "$root"/opt/*; do program=/opt/$(basename "$folder")/rwkv-gpu; done
	wants "$2" run "$program" version
	wants 'running on CPU' run "$program" generate 'Once upon a time' -n 20
	served "$program"
	wants 'there is no Vulkan loader on this machine' run "$program" doctor
	run apt-get update -q >/dev/null 2>&1 || true
	run env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends libvulkan1 mesa-vulkan-drivers >/dev/null 2>&1 ||
		fail 'apt-get cannot install mesa-vulkan-drivers'
	wants llvmpipe run "$program" devices
	wants llvmpipe run "$program" generate 'Once upon a time' -n 20 --device gpu --json --tuning off
}

# served PROGRAM starts the server in the root, asks it, and ends it in order.
served() {
	(exec chroot "$root" env -i HOME=/root "$1" serve --listen 127.0.0.1:18080 --device cpu >/dev/null 2>&1) &
	server=$!
	body='{"prompt":"Once","max_tokens":5}'
	if got=$(run curl -s --fail --retry 60 --retry-delay 1 --retry-connrefused --noproxy '*' -d "$body" \
		http://127.0.0.1:18080/v1/completions); then
		say "serve answers: $(echo "$got" | cut -c 1-60)"
	else
		kill $server
		fail "serve: $got"
	fi
	kill $server
	wait $server || fail "serve ends with status $?"
}

windows() {
	dir=.cache/release-try
	rm -rf $dir
	mkdir -p $dir
	python3 -m zipfile -e "$1" $dir
	scripts/windows.sh "$(echo $dir/*/rwkv-gpu.exe)"
	WINEPREFIX=$PWD/.cache/wine WINEDEBUG=-all wants "$2" wine $dir/*/rwkv-gpu.exe version
}

[ $# -gt 0 ] || { echo 'usage: scripts/release-try.sh ARCHIVE...' >&2; exit 2; }
for archive in "$@"; do
	name=$(basename "$archive")
	version=${name#rwkv-gpu-}
	case $name in
	*-linux-amd64.tar.gz) (linux "$archive" "${version%-linux-amd64.tar.gz}") ;;
	*-windows-amd64.zip) (windows "$archive" "${version%-windows-amd64.zip}") ;;
	*) fail "$name: want one for linux-amd64 or windows-amd64" ;;
	esac
done
