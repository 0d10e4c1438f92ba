#!/bin/sh
# usage: scripts/windows.sh [PROGRAM]: runs bin/rwkv-gpu.exe, or another one, under Wine on the CPU, and fails unless it
# writes the same greedy tokens as bin/rwkv-gpu, at each level of kernels that both have, stored and quantized.
set -eu
cd "$(dirname "$0")/.."

# Wine keeps its registry and drive in a folder of its own, and says nothing of what it lacks.
WINEPREFIX=$PWD/.cache/wine WINEDEBUG=-all
export WINEPREFIX WINEDEBUG
mkdir -p .cache

# Programs in Go take random numbers from a library that Wine has since version 9. Older ones get it here.
system=$WINEPREFIX/drive_c/windows/system32
[ -d "$system" ] || wine wineboot >/dev/null 2>&1
if [ ! -e "$system/bcryptprimitives.dll" ]; then
	cat >.cache/random.c <<-'C'
		#include <windows.h>
		#include <ntsecapi.h>
		__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T n) { return RtlGenRandom(bytes, (ULONG)n); }
	C
	x86_64-w64-mingw32-gcc -shared -O2 -o "$system/bcryptprimitives.dll" .cache/random.c -ladvapi32
fi

tokens() { # PROGRAM... writes the ids of a greedy text
	"$@" generate "Once upon a time" -n 100 --temperature 0 --device cpu --json --quiet |
		sed -n 's/.*"tokens":\(\[[0-9,]*\]\).*/\1/p'
}

bad=0 compared=0
for quant in none q4_k; do
	for level in generic avx2; do
		export RWKV_CPU=$level
		want=$(tokens bin/rwkv-gpu --quant $quant)
		[ -n "$want" ] || continue # a level that this processor does not have
		got=$(tokens wine "${1:-bin/rwkv-gpu.exe}" --quant $quant)
		compared=$((compared + 1))
		if [ "$want" = "$got" ]; then
			echo "windows: the same 100 tokens: --quant $quant, RWKV_CPU=$level"
		else
			echo "windows: --quant $quant, RWKV_CPU=$level: want $want, got $got" >&2
			bad=1
		fi
	done
done
[ $compared -gt 0 ] || { echo "windows: nothing was compared" >&2; exit 1; }
exit $bad
