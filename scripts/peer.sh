#!/bin/sh
# usage: scripts/peer.sh LLAMA_BENCH VOCABULARY [FLAG...]: the tables of bench/README.md beside llama.cpp, on this
# machine. LLAMA_BENCH is a llama-bench program with llama-batched-bench in the same folder, VOCABULARY the file
# rwkv_vocab_v20230424.txt. Flags, such as --repeat 9 or --json, go to each bench.
#
# The model is the 0.1B size with made-up weights, as f16, q8_0 and q4_k. On the CPU both programs take turns. Then the
# Vulkan device runs it by itself: beside its limits, and with q4_k beside f16. Nothing else should run meanwhile; bench
# warns if something does.
set -eu
if [ $# -lt 2 ]; then
	sed -n '2,4s/^# //p' "$0" >&2
	exit 2
fi
peer=$(realpath "$1") vocabulary=$(realpath "$2")
shift 2
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
scripts/with-go.sh go build -o "$dir/rwkv-gpu" ./cmd/rwkv-gpu
rwkv() { "$dir/rwkv-gpu" "$@"; }

rwkv convert "$dir/f16.gguf" --model synthetic:0.1b --vocab "$vocabulary" --quiet >&2
for type in q8_0 q4_k; do
	rwkv quantize "$dir/$type.gguf" --type $type --model "$dir/f16.gguf" --quiet >&2
done

rwkv bench --device cpu --peer "$peer" --model "$dir/f16.gguf" --pp 64,512 --tg 64 --batch 1,8 "$@"
for type in q8_0 q4_k; do
	rwkv bench --device cpu --peer "$peer" --model "$dir/$type.gguf" --pp 0 --tg 64 "$@"
done
rwkv bench --device cpu --model "$dir/f16.gguf" --pp 64,512 --tg 64 --batch 1,8 --first 100 "$@"
rwkv bench --device gpu --model "$dir/f16.gguf" --pp 64,512 --tg 64 --batch 1,8 --first 100 "$@"
rwkv bench --device gpu --model "$dir/q4_k.gguf" --pp 0 --tg 64 --first 100 "$@"
