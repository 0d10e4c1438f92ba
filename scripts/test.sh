#!/bin/sh
# usage: scripts/test.sh [STAGE...]: the stages of the tests, all of them or those named. Each says what it is and runs
# whole, or the run fails: before it begins where something is missing. What a system does not offer is no stage there,
# which it says.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

# stage | what runs
table='
lavapipe    | every package on lavapipe
swiftshader | device packages on SwiftShader, long cases left out
gpu         | device packages on lavapipe as on a discrete GPU, subgroups of 8
gpu4        | most of them with subgroups of 4, few to a workgroup, and poison behind every buffer
cpu4        | what lavapipe runs on processors of narrow vectors, such as most of ARM: subgroups of 4, not as a GPU
view        | the window and its command on lavapipe, in a display without a screen
compilers   | kernels for five AMD GPUs that are not there, by the compiler of Mesa: none spills registers
race        | what is concurrent under the race detector, long cases and comparisons of numbers left out
'
# These run two at a time, the longest first: most of the time in each is that of one package, whose kernels are compiled
# on one core.
pairs=' swiftshader gpu gpu4 cpu4 view compilers '
# Where nothing is concurrent, the race detector finds nothing.
sequential='/(constrain/(expr|gbnf|jsonschema|regex)|doctor|engine/(compare|conform|sample|statecache/radix|text)'
sequential="$sequential|engine/vulkan/(form|kernel|kernel/emulated|profile)|internal/(golden|spirv|words)"
sequential="$sequential|model/(convert|demo|lora|op|state|state/picture|tensor)|prompt|scripts|server/(sse|web|wire)|shaders|shaders/internal/.*"
sequential="$sequential|view/(colors|font|paint|scene))\$"

# A process under the race detector sleeps when it ends, a second if nothing else is said, so that reports of other
# threads get out. Tests start many processes. A tenth of a second is enough for a report.
end='atexit_sleep_ms=100'

stages() { echo "$table" | awk -F'|' 'NF { gsub(/ /, "", $1); print $1 }'; }
what() { echo "$table" | awk -F' *[|] *' -v stage="$1" '$1 == stage { print $2 }'; }
say() { echo "test: $*"; }

# Tests fail rather than skip: no device, a silent validation layer or missing reference data is an error here.
RWKV_REQUIRE_GPU=1 RWKV_REQUIRE_VALIDATION=1 RWKV_REQUIRE_CURL=1 RWKV_REQUIRE_SHARED=0
[ ! -d ../shared ] || RWKV_REQUIRE_SHARED=1
export RWKV_REQUIRE_GPU RWKV_REQUIRE_VALIDATION RWKV_REQUIRE_CURL RWKV_REQUIRE_SHARED

# A stage that runs alone has three packages at work for every two cores. Packages wait a part of their time: for programs
# that they start, for the disk, or until a time has passed.
cores=$(getconf _NPROCESSORS_ONLN)
half=$(((cores + 1) / 2))

# on DRIVER ARGUMENTS... runs go test on one driver; on a Mac there is no lavapipe, and the default one is taken.
# -vet=off: make check vets all, and with more checks.
# -timeout: under the race detector, on a busy machine, a package may take more than the ten minutes that Go allows.
# -count=1: the driver is chosen by the Vulkan loader, so Go's cache of test results cannot tell one from the other.
on() {
	manifest=$(driver "$1")
	shift
	# The loader's newer versions read the first variable, its older ones the second.
	env ${manifest:+VK_DRIVER_FILES="$manifest" VK_ICD_FILENAMES="$manifest"} scripts/with-go.sh go test -vet=off -count=1 -timeout=30m -p="${RWKV_TEST_PACKAGES:-$((cores + half))}" "$@"
}

# Tests that run on the CPU and on a device do so in the first stage and in the last; the others leave the CPU's side out.
cpu='/^cpu$|//^cpu$'
# Every op meets the oracle in every type on every driver, and whole models meet what the original implementation computed
# (TestGolden). Models that others quantized meet what those computed in the stage lavapipe. Go takes the first that fits,
# so whole tests come before those of the CPU.
others='RWKVCpp|LlamaCpp'
gpu="-short -skip ^Test($others)\$|$cpu"
# What becomes of a lost device, and of files that change, is the same for every driver and width of subgroups: the stages
# lavapipe and gpu have it. So is that a recording is always the same.
swift="-short -skip ^Test($others|Lost.*|Reopen.*|ChangedFiles|RecordingsPure)\$|$cpu"
# With other subgroups single ops meet the oracle, and exact kernels meet themselves (TestExact of engine/vulkan). What
# stands above them does not see how wide subgroups are.
device4="-short -skip ^Test(Golden|$others|ExactInCompany|Lost.*|Reopen.*|ChangedFiles|RecordingsPure)\$|$cpu"
vulkan='./engine/vulkan ./engine/vulkan/kernel ./engine/vulkan/layout ./engine/vulkan/state ./engine/vulkan/trial' # on devices

# narrow COMMAND... runs it with subgroups of 4. Mesa does not tell what it has compiled for one width of vectors from what it
# has for another, so this one has a folder of its own.
narrow() (
	export LP_NATIVE_VECTOR_WIDTH=128 MESA_SHADER_CACHE_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/rwkv-gpu/narrow"
	mkdir -p "$MESA_SHADER_CACHE_DIR"
	"$@"
)

run() {
	case $1 in
	lavapipe) on lavapipe ./... ;;
	gpu) (export RWKV_DEVICE_TYPE=discrete && on lavapipe $gpu ./engine ./engine/device ./engine/generate ./engine/compare $vulkan) ;;
	gpu4) (export RWKV_DEVICE_TYPE=discrete RWKV_POISON=1 && narrow on lavapipe $device4 ./engine ./engine/generate $vulkan) ;;
	cpu4) narrow on lavapipe -short ./engine/vulkan -run 'TestOps/.*/auto|TestCandidatesAlike|TestTuner' ;;
	swiftshader) on swiftshader $swift ./gpu/... ./shaders ./engine ./engine/device ./engine/generate ./engine/compare $vulkan ;;
	view) on_display window ;;
	compilers) RWKV_RADV=$(driver radv) RWKV_REQUIRE_RADV=1 scripts/with-go.sh go test -vet=off -count=1 ./engine/vulkan/kernel -run '^TestGPUs$' ;;
	race) (export GORACE="$end ${GORACE:-}" && on lavapipe -race -short $(scripts/with-go.sh go list ./... | grep -vE "$sequential")) ;;
	esac
}

# window tests the window, and the command that opens it.
window() {
	failed=0
	on lavapipe -tags view,vulkan ./view || failed=1
	on lavapipe -tags view,vulkan ./cmd/rwkv-gpu -run '^TestView' || failed=1
	return $failed
}

# on_display COMMAND... runs it with a display that Xvfb has in memory, at the first free number.
on_display() (
	numbers=$(mktemp)
	Xvfb -displayfd 3 -screen 0 1920x1200x24 -nolisten tcp 3>"$numbers" >/dev/null 2>&1 &
	server=$!
	manager=''
	trap 'kill $manager $server 2>/dev/null; rm -f "$numbers"' EXIT
	for wait in $(seq 100); do
		[ ! -s "$numbers" ] || break
		kill -0 $server 2>/dev/null || break
		sleep 0.1
	done
	[ -s "$numbers" ] || { say 'Xvfb does not start' >&2; exit 1; }
	DISPLAY=:$(cat "$numbers")
	export DISPLAY RWKV_REQUIRE_DISPLAY=1
	jwm >/dev/null 2>&1 & # which makes icons of windows
	manager=$!
	"$@"
)

alone() {
	say "$1: $(what "$1")"
	run "$1"
}

# told STAGE is alone, but is silent until the stage is done.
told() {
	status=0
	text=$(run "$1" 2>&1) || status=$?
	say "$1: $(what "$1")
$text"
	return $status
}

# two STAGE... runs stages, two at a time with half of the cores' packages each.
two() {
	case $# in
	0) ;;
	1) alone "$1" ;;
	*)
		say "two at a time:" "$@"
		say "each tells what it says when it is done, after minutes"
		echo "$@" | RWKV_TEST_PACKAGES=$half xargs -n 1 -P 2 scripts/test.sh -told
		;;
	esac
}

# accessible gets what looks for what keeps people out of the web page. Without npm or the network the tests do without.
accessible() {
	got=0
	RWKV_AXE=$(scripts/axe.sh) || got=$?
	case $got in
	0) export RWKV_AXE ;;
	3) say 'axe-core cannot be had here, for want of npm or of the network: the test of the web page with it is left out' ;;
	*) return 1 ;;
	esac
}

# prepare STAGE gets what the stage needs beyond scripts/setup.sh test. It fails with 3 where the system does not offer
# that.
prepare() {
	case $1 in
	swiftshader) scripts/setup.sh swiftshader || return ;;
	lavapipe)
		got=0
		scripts/setup.sh browser || got=$?
		case $got in
		0)
			export RWKV_REQUIRE_CHROMIUM=1
			accessible || return
			;;
		3) say 'no Chromium is offered on this system: the tests of the web page are left out' ;;
		*) return 1 ;;
		esac
		got=0
		scripts/setup.sh shells || got=$?
		case $got in
		0) export RWKV_REQUIRE_SHELLS=1 ;;
		3) say 'zsh, fish, bash-completion or mandoc is not offered on this system: tests with what is not here are left out' ;;
		*) return 1 ;;
		esac
		;;
	view)
		[ "$(uname)" != Darwin ] || return 3 # whose windows need no X server
		scripts/setup.sh display || return
		;;
	compilers) [ -n "$(driver radv)" ] || return 3 ;; # newer Mesa cannot
	gpu | gpu4 | cpu4) [ "$(uname)" != Darwin ] || return 3 ;; # which has no lavapipe, but a GPU
	esac
	case $1 in
	swiftshader) [ -n "$(driver swiftshader)" ] ;;
	*) [ -n "$(driver lavapipe)" ] || [ "$(uname)" = Darwin ] ;;
	esac
}

if [ "${1:-}" = -told ]; then
	told "$2"
	exit
fi
[ $# -gt 0 ] || set -- $(stages)
list=''
for stage in "$@"; do
	if [ -z "$(what "$stage")" ]; then
		say "no stage $stage: there are" $(stages) >&2
		exit 2
	fi
	status=0
	prepare "$stage" || status=$?
	case $status in
	0) list="$list $stage" ;;
	3) say "stage $stage is not offered on this system: $(what "$stage")" ;;
	*)
		say "stage $stage cannot run, what it needs is not here (make setup): $(what "$stage")" >&2
		exit 1
		;;
	esac
done
say "stages:$list"
say "the first lines come when packages are compiled: after some minutes the first time"
beside=''
for stage in $list; do
	case $pairs in
	*" $stage "*) beside="$beside $stage" ;;
	*)
		two $beside
		beside=''
		alone "$stage"
		;;
	esac
done
two $beside
