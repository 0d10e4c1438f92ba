# Where this machine keeps Go, Vulkan drivers and layers. Sourced by the other scripts, from the top of the checkout.

# The toolchain that a Go older than go.mod's asks the module proxy for; new enough for tools/go.mod as well.
fetched_toolchain=go1.26.9

# number 1.24.3 prints 12403, so that versions compare as numbers; rc and distribution suffixes do not count.
number() {
	echo "$1" | sed 's/^[^0-9]*//; s/[^0-9.].*$//' | awk -F. '{ print $1 * 10000 + $2 * 100 + $3 }'
}

wanted_go() {
	awk '$1 == "go" { print $2; exit }' go.mod
}

# find_go sets go_dir to the folder of a Go that can build this module, and go_toolchain to what GOTOOLCHAIN must be for
# that (empty: as it is). Fails where there is none; then go_found says what there is instead.
find_go() {
	go_dir='' go_toolchain='' go_found='no Go'
	want=$(number "$(wanted_go)") best=0
	for go in "$(command -v go || true)" /usr/local/go/bin/go /opt/homebrew/bin/go /usr/lib/go-*/bin/go /usr/lib/golang/bin/go; do
		[ -x "$go" ] || continue
		version=$(cd / && GOTOOLCHAIN=local "$go" version | awk '{ print $3 }') || continue
		have=$(number "$version")
		[ "$have" -gt "$best" ] || continue
		best=$have go_dir=$(dirname "$go") go_found="Go ${version#go}"
		[ "$have" -lt "$want" ] || return 0
	done
	[ "$best" -ge 12100 ] || return 1 # older ones cannot fetch a newer one
	if [ "${GOTOOLCHAIN:-}" = local ]; then
		go_found="$go_found, and GOTOOLCHAIN=local forbids fetching a newer one"
		return 1
	fi
	go_toolchain=$fetched_toolchain+auto
}

# manifests KIND prints the files in the loader's search path for icd.d or explicit_layer.d, one a line.
manifests() {
	for dir in "${XDG_CONFIG_HOME:-$HOME/.config}" /etc/xdg /usr/local/etc /opt/homebrew/etc /etc \
		"${XDG_DATA_HOME:-$HOME/.local/share}" /usr/local/share /opt/homebrew/share /usr/share; do
		ls "$dir/vulkan/$1"/*.json 2>/dev/null || true
	done
}

# driver lavapipe|swiftshader|radv prints the path of that driver's manifest, or nothing.
driver() {
	case $1 in
	lavapipe)
		manifests icd.d | grep "/lvp_icd\.$(uname -m)\.json$" || manifests icd.d | grep '/lvp_icd[^/]*\.json$' || true
		;;
	swiftshader)
		ls /usr/lib/chromium/vk_swiftshader_icd.json /usr/lib64/chromium-browser/vk_swiftshader_icd.json \
			/usr/lib/chromium-browser/vk_swiftshader_icd.json /usr/lib64/chromium/vk_swiftshader_icd.json 2>/dev/null || true
		manifests icd.d | grep swiftshader || true
		;;
	radv) # of a version that compiles for GPUs that are not there
		for file in $(manifests icd.d | grep "/radeon_icd[^/]*\.json$"); do
			library=$(sed -n 's/.*"library_path": *"\(\/[^"]*\)".*/\1/p' "$file")
			! grep -qs RADV_FORCE_FAMILY "$library" || echo "$file"
		done
		;;
	esac | head -n 1
}
