#!/bin/sh
# usage: scripts/windows.sh [PROGRAM]: runs bin/rwkv-gpu.exe, or another one, under Wine on the CPU, and fails unless it
# writes the same greedy tokens as bin/rwkv-gpu, at each level of kernels that both have, stored and quantized, and ends
# by Ctrl-C as it does.
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

# Ctrl-C needs a console, which a program of its own makes and shares with the one that it starts.
cat >.cache/interrupt.c <<-'C'
	// usage: interrupt OUTPUT PROGRAM ARGUMENTS...: sends Ctrl-C once OUTPUT has 20 bytes, and exits with the program's status.
	#include <windows.h>
	#include <string.h>
	static BOOL WINAPI ignore(DWORD what) { return TRUE; }
	int main(int n, char **words) {
		char line[4096] = "";
		for (int i = 2; i < n; i++) strcat(strcat(strcat(line, " \""), words[i]), "\"");
		FreeConsole();
		if (!AllocConsole()) return 251;
		SECURITY_ATTRIBUTES inherit = { sizeof inherit, NULL, TRUE };
		HANDLE out = CreateFileA(words[1], GENERIC_WRITE, FILE_SHARE_READ, &inherit, CREATE_ALWAYS, 0, NULL);
		STARTUPINFOA start = { .cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = out, .hStdError = NULL };
		PROCESS_INFORMATION p;
		if (!CreateProcessA(NULL, line + 1, NULL, NULL, TRUE, 0, NULL, NULL, &start, &p)) return 252;
		SetConsoleCtrlHandler(ignore, TRUE);
		while (GetFileSize(out, NULL) < 20 && WaitForSingleObject(p.hProcess, 10) == WAIT_TIMEOUT);
		if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) return 253;
		DWORD status = 254;
		if (WaitForSingleObject(p.hProcess, 60000) == WAIT_OBJECT_0) GetExitCodeProcess(p.hProcess, &status);
		else TerminateProcess(p.hProcess, 1);
		return status;
	}
C
x86_64-w64-mingw32-gcc -O1 -o .cache/interrupt.exe .cache/interrupt.c
status=0
wine .cache/interrupt.exe .cache/interrupted.txt "${1:-bin/rwkv-gpu.exe}" generate "Once upon a time" -n 1000000 --device cpu || status=$?
if [ $status = 130 ] && [ "$(wc -c <.cache/interrupted.txt)" -ge 20 ]; then
	echo "windows: Ctrl-C: status 130, and the text so far"
else
	echo "windows: Ctrl-C: want status 130 and the text so far, got status $status and '$(cat .cache/interrupted.txt)'" >&2
	bad=1
fi
exit $bad
