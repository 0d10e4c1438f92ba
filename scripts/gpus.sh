#!/bin/sh
# usage: scripts/gpus.sh [-validate] [GPU...]: has the compilers of GPUs that are not there make every kernel that the
# engine could choose on them, and prints what they say of each: registers, spills, shared memory, occupancy, code.
#
# GPU: vega10 (gfx900), vega20 (gfx906), navi10 (gfx1010), navi21 (gfx1030), gfx1100, as Debian 12's mesa-vulkan-drivers
# has them; without names all of these. With RWKV_GPUS_ROOT=DIR, the root of a system with Debian's mesa-vulkan-drivers
# and mesa-drm-shim (CONTRIBUTING.md tells how to make one), also amd:NAME, nvk:CHIPSET, adreno:ID, apple and, where
# Intel's shim is there, intel:NAME, and without names some of those too.
#
# -validate runs the host side on those of the root instead, under core and synchronization validation: executors and
# bench of every version, whose submissions do nothing. The root has Debian's vulkan-validationlayers for that. Any
# message fails.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

root=${RWKV_GPUS_ROOT:-}
radv=$(driver radv)
validate=''
if [ "${1:-}" = -validate ]; then
	shift
	validate=1 radv=''
	if [ ! -e "$root/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json" ]; then
		echo "gpus: -validate: RWKV_GPUS_ROOT=$root has no vulkan-validationlayers" >&2
		exit 1
	fi
fi
if [ $# = 0 ]; then
	[ -z "$radv" ] || set -- vega10 vega20 navi10 navi21 gfx1100
	[ -z "$root" ] || set -- "$@" amd:navi31 nvk:172 adreno:740 apple
	[ ! -e "$root/usr/lib/x86_64-linux-gnu/libintel_noop_drm_shim.so" ] || set -- "$@" intel:dg2 intel:bmg
fi
if [ $# = 0 ]; then
	echo "gpus: no driver here compiles for GPUs that are not there: Debian 12's mesa-vulkan-drivers does, or RWKV_GPUS_ROOT" >&2
	exit 1
fi

# family GPU prints the name by which the driver knows the GPU. It ends the process that gives it a name that it does not know.
family() {
	case $1 in
	gfx900) echo vega10 ;;
	gfx906) echo vega20 ;;
	gfx1010) echo navi10 ;;
	gfx1030) echo navi21 ;;
	vega10 | vega20 | navi10 | navi21 | gfx1100) echo "$1" ;;
	*)
		echo "gpus: want vega10, vega20, navi10, navi21 or gfx1100, by this name or as gfx900 to gfx1100, or a GPU of RWKV_GPUS_ROOT such as amd:navi31, got $1" >&2
		return 2
		;;
	esac
}

for gpu in "$@"; do
	case $gpu in
	*:* | apple) ;;
	*) family "$gpu" >/dev/null ;;
	esac
done

test=$(mktemp "$root/tmp/gpus.XXXXXX")
trap 'rm -f "$test" "$test.command"' EXIT
package=./engine/vulkan/kernel
[ -z "$validate" ] || package=./engine/vulkan
scripts/with-go.sh go test -c -o "$test" "$package"
[ -z "$validate" ] || scripts/with-go.sh go test -c -o "$test.command" ./cmd/rwkv-gpu

# in_root MANIFEST VARIABLE... runs the test in the root with a shim that stands in for the kernel's driver.
in_root() {
	manifest=/usr/share/vulkan/icd.d/$1
	shift
	if [ -z "$root" ]; then
		echo "gpus: $gpu: RWKV_GPUS_ROOT is not set" >&2
		return 2
	fi
	set -- VK_DRIVER_FILES="$manifest" VK_ICD_FILENAMES="$manifest" "$@"
	if [ -z "$validate" ]; then
		chroot "$root" env RWKV_GPUS=table "$@" "${test#"$root"}" -test.run '^TestGPUs$'
		return
	fi
	echo "gpus: $gpu: the host side under validation"
	# The layer's newer names alone: those that gputest sets beside them for older layers come first where there are any.
	set -- VK_LAYER_ENABLES= VK_LAYER_SYNCVAL_SUBMIT_TIME_VALIDATION= VK_LAYER_SYNCVAL_FULL_VALIDATION=1 VK_LAYER_VALIDATE_SYNC=1 \
		VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1 RWKV_GPUS=validated RWKV_REQUIRE_GPU=1 RWKV_REQUIRE_VALIDATION=1 "$@"
	chroot "$root" env "$@" "${test#"$root"}" -test.run '^(TestEveryBarrier|TestHostSide)$'
	chroot "$root" env "$@" "${test#"$root"}.command" -test.run '^TestBenchValidated$'
}

export MESA_SHADER_CACHE_DISABLE=true # so that the time is that of compiling
lib=/usr/lib/x86_64-linux-gnu
for gpu in "$@"; do
	id=${gpu#*:}
	case $gpu in
	amd:*) in_root radeon_icd.json LD_PRELOAD=$lib/libamdgpu_noop_drm_shim.so AMDGPU_GPU_ID="$id" ;;
	nvk:*) in_root nouveau_icd.json LD_PRELOAD=$lib/libnouveau_noop_drm_shim.so NOUVEAU_CHIPSET="$id" NVK_I_WANT_A_BROKEN_VULKAN_DRIVER=1 ;;
	adreno:*) in_root freedreno_icd.json LD_PRELOAD=$lib/libfreedreno_noop_drm_shim.so FD_GPU_ID="$id" TU_IGNORE_CONFORMANCE_WARNING=1 ;;
	apple) in_root asahi_icd.json LD_PRELOAD=$lib/libasahi_noop_drm_shim.so ;;
	intel:*) in_root intel_icd.json LD_PRELOAD=$lib/libintel_noop_drm_shim.so INTEL_STUB_GPU_PLATFORM="$id" ;;
	*:*)
		echo "gpus: no such GPU: $gpu" >&2
		exit 2
		;;
	*)
		if [ -n "$validate" ]; then
			echo "gpus: -validate: want a GPU of the root, such as amd:navi31, got $gpu" >&2
			exit 2
		fi
		family=$(family "$gpu")
		(cd engine/vulkan/kernel && VK_DRIVER_FILES=$radv VK_ICD_FILENAMES=$radv RADV_FORCE_FAMILY=$family RWKV_REQUIRE_RADV=1 RWKV_GPUS=table \
			"$test" -test.run '^TestGPUs$')
		;;
	esac
done
