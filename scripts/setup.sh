#!/bin/sh
# usage: scripts/setup.sh [-n] build|run|check|test|swiftshader|browser|shells|clients|arm64|windows|release|view|display
#
# Installs what that make target needs and this machine lacks, with the system's package manager, one line for each
# thing. Where all is there it says nothing and touches no network. -n: only say what would be installed.
# PACKAGE_MANAGER=apt|dnf|pacman|brew overrides the choice. Exit status 3: the package manager does not offer
# SwiftShader, the browser, the shells, or what tests of windows need.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

# thing | what it is | apt | dnf | pacman | brew; "-": not offered there.
table='
certs      | CA certificates       | ca-certificates         | ca-certificates          | ca-certificates          | ca-certificates
go         | Go                    | -                       | golang                   | go                       | go
cc         | C compiler            | gcc libc6-dev           | gcc glibc-devel          | gcc                      | -
git        | git                   | git                     | git                      | git                      | git
loader     | Vulkan loader         | libvulkan1              | vulkan-loader            | vulkan-icd-loader        | vulkan-loader
driver     | Vulkan driver         | mesa-vulkan-drivers     | mesa-vulkan-drivers      | vulkan-swrast            | molten-vk
lavapipe   | Mesa lavapipe driver  | mesa-vulkan-drivers     | mesa-vulkan-drivers      | vulkan-swrast            | molten-vk
validation | validation layers     | vulkan-validationlayers | vulkan-validation-layers | vulkan-validation-layers | vulkan-validationlayers
glslc      | glslc                 | glslc                   | glslc                    | shaderc                  | shaderc
cmake      | cmake                 | cmake                   | cmake                    | cmake                    | cmake
spirv      | spirv-opt, spirv-val  | spirv-tools             | spirv-tools              | spirv-tools              | spirv-tools
second     | SwiftShader driver    | chromium-common         | chromium-common          | chromium                 | -
curl       | curl                  | curl                    | curl                     | curl                     | curl
browser    | Chromium              | chromium                | chromium                 | chromium                 | -
zsh        | zsh                   | zsh                     | zsh                      | zsh                      | zsh
fish       | fish                  | fish                    | fish                     | fish                     | fish
bashcompletion | completion of bash | bash-completion        | bash-completion          | bash-completion          | bash-completion@2
mandoc     | mandoc                | mandoc                  | -                        | mandoc                   | mandoc
python     | Python 3.11 with venv | python3 python3-venv    | python3 python3-pip      | python                   | python
node       | Node.js 18 with npm   | nodejs npm              | nodejs nodejs-npm        | nodejs npm               | node
arm        | C compiler for ARM    | gcc-aarch64-linux-gnu libc6-dev-arm64-cross | - | aarch64-linux-gnu-gcc   | -
x11        | X11 libraries         | libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev | libX11-devel libXcursor-devel libXrandr-devel libXinerama-devel libXi-devel libXxf86vm-devel | libx11 libxcursor libxrandr libxinerama libxi libxxf86vm | -
vulkandev  | Vulkan loader to link | libvulkan-dev           | vulkan-loader-devel      | vulkan-icd-loader        | -
xvfb       | Xvfb                  | xvfb                    | xorg-x11-server-Xvfb     | xorg-server-xvfb         | -
manager    | JWM, a window manager  | jwm                     | jwm                      | jwm                      | -
emulator   | QEMU for programs     | qemu-user-static        | qemu-user-static-aarch64 | qemu-user-static         | -
mingw      | Windows C compiler    | gcc-mingw-w64-x86-64    | mingw64-gcc              | mingw-w64-gcc            | mingw-w64
wine       | Wine                  | wine wine64             | wine                     | wine                     | -
'

say() { echo "setup: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# exist succeeds when any of the files is there.
exist() {
	for file in "$@"; do
		[ ! -e "$file" ] || return 0
	done
	return 1
}

have_library() {
	for dir in $(echo "${LD_LIBRARY_PATH:-}" | tr : ' ') /usr/local/lib /usr/lib /usr/lib/"$(uname -m)"-linux-gnu* /usr/lib64 /lib \
		/lib64 /opt/homebrew/lib; do
		[ ! -e "$dir/$1" ] || return 0
	done
	PATH=$PATH:/sbin:/usr/sbin
	ldconfig -p 2>/dev/null | grep -q "[[:space:]]$1 "
}

# A driver counts when the user named it, when it is a software one, or when the machine shows a GPU for it.
have_driver() {
	[ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
	! manifests icd.d | grep -qi -e '/lvp_icd' -e moltenvk || return 0
	[ -n "$(manifests icd.d)" ] && exist /dev/dri/renderD* /dev/nvidiactl /dev/dxg
}

have() {
	case $1 in
	certs) [ -n "${SSL_CERT_FILE:-}" ] || [ "$(uname)" = Darwin ] || exist /etc/ssl/certs/*.crt /etc/ssl/certs/*.pem \
		/etc/ssl/cert.pem /etc/pki/tls/certs/*.crt /etc/pki/ca-trust/extracted/pem/*.pem ;;
	go) find_go ;;
	cc) echo '#include <stdlib.h>' | "${CC:-cc}" -E - >/dev/null 2>&1 ;;
	git | glslc | cmake | curl | zsh | fish | mandoc) has "$1" ;;
	loader) have_library libvulkan.so.1 || have_library libvulkan.1.dylib ;;
	driver) have_driver ;;
	lavapipe) [ -n "$(driver lavapipe)" ] || { [ "$(uname)" = Darwin ] && have_driver; } ;;
	arm) has aarch64-linux-gnu-gcc && echo '#include <stdlib.h>' | aarch64-linux-gnu-gcc -E - >/dev/null 2>&1 ;;
	emulator) has qemu-aarch64-static ;;
	mingw) has x86_64-w64-mingw32-gcc ;;
	wine) has wine ;;
	x11) [ "$(uname)" = Darwin ] || printf '#include <X11/%s.h>\n' Xlib Xcursor/Xcursor extensions/Xrandr extensions/Xinerama \
		extensions/XInput2 extensions/xf86vmode | "${CC:-cc}" -E - >/dev/null 2>&1 ;;
	vulkandev) [ "$(uname)" = Darwin ] || have_library libvulkan.so ;;
	xvfb) has Xvfb ;;
	manager) has jwm ;;
	validation) manifests explicit_layer.d | grep -qi khronos_validation ;;
	spirv) has spirv-opt && has spirv-val ;;
	second) [ -n "$(driver swiftshader)" ] ;;
	browser) has chromium || has chromium-browser || has google-chrome ;;
	bashcompletion) exist /usr/share/bash-completion/bash_completion /usr/local/share/bash-completion/bash_completion ;;
	python) python3 -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ;;
	node) has npm && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null ;;
	esac
}

column() { # THING COLUMN
	echo "$table" | awk -F'|' -v thing="$1" -v column="$2" '
		{ key = $1; gsub(/ /, "", key) }
		key == thing { gsub(/^ +| +$/, "", $column); print $column }'
}

choose_manager() {
	manager=${PACKAGE_MANAGER:-}
	if [ -z "$manager" ]; then
		for pair in apt-get:apt dnf:dnf pacman:pacman brew:brew; do
			if has "${pair%:*}"; then
				manager=${pair#*:}
				break
			fi
		done
	fi
	case $manager in
	apt) manager_column=3 install='apt-get install -y -q --no-install-recommends' refresh='apt-get update -q' ;;
	dnf) manager_column=4 install='dnf install -y -q' refresh='' ;;
	pacman) manager_column=5 install='pacman -S --noconfirm --needed' refresh='pacman -Sy' ;;
	brew) manager_column=6 install='brew install -q' refresh='' ;;
	*) manager='' manager_column=3 install='apt-get install' refresh='' ;;
	esac
	sudo=''
	if [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
		sudo=sudo
		[ -t 0 ] || sudo='sudo -n'
	fi
}

# quietly runs a command as root and shows the end of what it said only where it fails.
quietly() {
	log=$(mktemp)
	status=0
	$sudo env DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1 || status=$?
	[ "$status" = 0 ] || tail -n 4 "$log" >&2
	rm -f "$log"
	return "$status"
}

refresh_once() {
	[ -n "$refresh" ] || return 0
	say "refreshing the package lists ($refresh)"
	quietly $refresh || return 1
	refresh=''
}

# newest_apt_go prints the newest package golang-1.N-go on offer if its Go can fetch newer ones (1.21 on), else nothing.
newest_apt_go() {
	apt-cache search --names-only '^golang-1\.[0-9]+-go$' | awk -F'[.-]' '
		$3 > newest { newest = $3 } END { if (newest >= 21) print "golang-1." newest "-go" }'
}

# add_backports adds Debian's backports suite from the mirror that this machine uses for its own suite.
add_backports() {
	. /etc/os-release
	[ "${ID:-}" = debian ] && [ -n "${VERSION_CODENAME:-}" ] || return 1
	keys=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
	[ ! -f $keys ] || signed="[signed-by=$keys] "
	source=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
		awk -v suite="$VERSION_CODENAME" -v signed="$signed" '
			$1 == suite { print "deb " signed $2 " " suite "-backports main"; exit }')
	[ -n "$source" ] || return 1
	list=/etc/apt/sources.list.d/$VERSION_CODENAME-backports.list
	[ ! -e "$list" ] || return 1
	say "Go: this suite's is too old; adding $VERSION_CODENAME-backports from the same mirror ($list)"
	echo "$source" | $sudo tee "$list" >/dev/null && quietly apt-get update -q
	[ -n "$(newest_apt_go)" ] || $sudo rm -f "$list"
}

apt_go() {
	[ -n "$(newest_apt_go)" ] || add_backports || true
	go_package=$(newest_apt_go)
}

# stop says what is missing and how to get it.
stop() {
	say "$1" >&2
	say "missing: $words" >&2
	[ -z "$packages" ] || say "to install by hand, type: ${sudo:+sudo }$install$packages" >&2
	case " $missing " in
	*' go '*) say "Go $(wanted_go) or newer: found $go_found; the Go project's download page has one for every system" >&2 ;;
	esac
	case " $missing " in
	*' cc '*) [ "$manager" != brew ] || say "the C compiler comes with: xcode-select --install" >&2 ;;
	esac
	exit 1
}

# look sets missing to the things among its arguments that are not there, and words to what they are called.
look() {
	missing='' words=''
	for thing in "$@"; do
		have "$thing" && continue
		missing="$missing $thing" words="$words${words:+, }$(column "$thing" 2)"
	done
	missing=${missing# }
}

# name_packages sets packages to what provides the missing things here.
name_packages() {
	packages=''
	for thing in $missing; do
		package=$(column "$thing" "$manager_column")
		if [ "$thing-$manager" = go-apt ]; then
			package=${go_package:-}
		fi
		[ -n "$package" ] && [ "$package" != - ] || continue
		case "$packages " in
		*" $package "*) ;;
		*) packages="$packages $package" ;;
		esac
	done
}

install_missing() {
	[ -n "$manager" ] || stop "found none of apt, dnf, pacman and brew here"
	if [ -n "$sudo" ] && { ! has sudo || ! { [ -t 0 ] || $sudo true 2>/dev/null; }; }; then
		name_packages
		stop "installing needs root, and sudo is not permitted here"
	fi
	refresh_once || { name_packages; stop "the package lists could not be refreshed"; }
	case " $missing $manager" in
	*' go '*apt) apt_go ;;
	esac
	name_packages
	[ -n "$packages" ] || stop "$manager does not offer what is missing"
	say "$words: installing$packages with $manager, which takes up to some minutes"
	quietly $install $packages || stop "$manager could not install them"
	look "$@"
	if [ -n "$missing" ]; then
		name_packages
		stop "installed, but not everything is there"
	fi
}

# offers THING succeeds where the package manager has it, by the package lists at hand.
offers() {
	package=$(column "$1" "$manager_column")
	[ -n "$manager" ] && [ -n "$package" ] && [ "$package" != - ] || return 1
	[ "$manager" != apt ] || apt-cache policy $package 2>/dev/null | grep -q 'Candidate: [0-9]'
}

# offered THING tells whether it is there or to be got: not every system has a second driver or Chromium. Lists of apt
# that know nothing are refreshed first.
offered() {
	have "$1" || offers "$1" && return 0
	[ -z "$dry" ] && [ "$manager" = apt ] && ! offers lavapipe && { [ -z "$sudo" ] || $sudo true 2>/dev/null; } &&
		refresh_once && offers "$1"
}

dry=''
if [ "${1:-}" = -n ]; then
	dry=yes
	shift
fi
case ${1:-} in
build) things='certs go cc' ;;
run) things='certs go cc loader driver' ;;
check) things='certs go cc git glslc cmake spirv' ;;
test) things='certs go cc git glslc cmake spirv loader lavapipe validation curl' ;;
swiftshader) things='second' ;;
browser) things='browser' ;;
shells) things='zsh fish bashcompletion mandoc' ;;
clients) things='certs go cc loader driver python node' ;;
arm64) things='certs go cc arm emulator' ;;
windows) things='certs go cc mingw wine' ;;
release) things='certs go cc git arm mingw' ;;
view) things='certs go cc loader driver x11 vulkandev' ;;
display) things='x11 vulkandev xvfb manager' ;;
*)
	echo 'usage: scripts/setup.sh [-n] build|run|check|test|swiftshader|browser|shells|clients|arm64|windows|release|view|display' >&2
	exit 2
	;;
esac

packages='' go_package=''
choose_manager
case $1 in
swiftshader | browser | shells | display)
	for thing in $things; do
		offered "$thing" || exit 3
	done
	;;
esac
look $things
if [ -n "$dry" ]; then
	go_package='golang-1.N-go (the newest)'
	name_packages
	say "missing: ${words:-nothing}${packages:+; would type: ${sudo:+sudo }$install$packages}"
	exit 0
fi
[ -z "$missing" ] || install_missing $things
case $1 in
swiftshader | browser | shells | display) exit 0 ;;
esac
if ! scripts/with-go.sh go version >/dev/null; then
	look go
	stop "a newer Go could not be fetched through the module proxy"
fi
