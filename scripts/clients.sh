#!/bin/sh
# usage: scripts/clients.sh [CLIENT...]: tests clients that other people wrote, all of them or those named, and prints a
# table of them.
#
# Each folder of clients/ is a client at the versions that its lock names: requirements.txt, package-lock.json or go.mod.
# They are installed once, in .cache/clients, and two servers are started. Tests find in their environment
#
#   RWKV_DEMO    the address of rwkv-gpu serve with the demo model, on the device that there is
#   RWKV_DOUBLE  the address of a scripted model (server/scripted/double), which says what it is told to
#   RWKV_KEY     the key that the scripted model's server wants
#   RWKV_PAGES   the folder of the documents, whose programs run too
#   RWKV_BINARY  the path of rwkv-gpu
#
# The run fails if a test fails, if a client sends fewer requests than the table below says, if a server answers that it
# failed (status 500), or if a server does not end well.
set -eu
cd "$(dirname "$0")/.."

# client | least requests that its tests send | packages whose versions are shown
table='
openai-go        | 70 | github.com/openai/openai-go/v3
openai-python    | 120 | openai
openai-node      | 42 | openai
anthropic-python | 50 | anthropic
anthropic-node   | 30 | @anthropic-ai/sdk
litellm          | 40 | litellm
langchain        | 170 | langchain-openai langchain-tests
llm              | 38 | llm
ai-sdk           | 55 | ai @ai-sdk/openai @ai-sdk/openai-compatible
schemathesis     | 10000 | schemathesis
lm-eval          | 200 | lm_eval
'

say() { echo "clients: $*"; }
names() { echo "$table" | awk -F'|' 'NF { gsub(/ /, "", $1); print $1 }'; }
column() { echo "$table" | awk -F' *[|] *' -v name="$1" -v column="$2" '$1 == name { print $column }'; }

cache=$PWD/.cache/clients
logs=$cache/logs
pids=''

# lock NAME sets lock to the file that names the client's versions.
lock() {
	for lock in requirements.txt package-lock.json go.mod; do
		[ ! -f "clients/$1/$lock" ] || return 0
	done
	say "clients/$1 has none of requirements.txt, package-lock.json and go.mod" >&2
	exit 1
}

# install NAME sets folder to where the client is installed.
install() {
	lock "$1"
	folder=$cache/$1/$(cksum <"clients/$1/$lock" | awk '{ print $1 }')
	[ ! -f "$folder/installed" ] || return 0
	rm -rf "${cache:?}/$1"
	say "installing $1"
	mkdir -p "$folder"
	case $lock in
	requirements.txt)
		python3 -m venv "$folder"
		"$folder/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "clients/$1/requirements.txt"
		"$folder/bin/python" -m pip check -q --disable-pip-version-check
		;;
	package-lock.json)
		cp "clients/$1/package.json" "clients/$1/package-lock.json" "$folder"
		npm ci --loglevel=error --ignore-scripts --no-audit --no-fund --prefix "$folder"
		;;
	go.mod) scripts/with-go.sh go -C "clients/$1" list -test -deps ./... >/dev/null ;;
	esac
	touch "$folder/installed"
}

# run NAME runs the client's tests. Modules of Node look for others beside their own files, so these are copied there.
run() {
	case $lock in
	requirements.txt)
		PYTHONPATH=clients PYTHONDONTWRITEBYTECODE=1 "$folder/bin/python" -m pytest -q -p no:cacheprovider "clients/$1"
		;;
	package-lock.json)
		cp clients/served.mjs "$cache/$1"
		rm -f "$folder"/*.mjs
		cp "clients/$1"/*.mjs "$folder"
		(cd "$folder" && node --test --test-reporter=spec ./*.mjs)
		;;
	go.mod) scripts/with-go.sh go -C "clients/$1" test -count=1 -timeout=20m ./... ;;
	esac
}

# versions NAME prints the versions of the packages that the table names.
versions() {
	for package in $(column "$1" 3); do
		case $lock in
		requirements.txt) version=$("$folder/bin/python" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$package") ;;
		package-lock.json) version=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).version' "$folder/node_modules/$package/package.json") ;;
		go.mod) version=$(scripts/with-go.sh go -C "clients/$1" list -m -f '{{.Version}}' "$package") ;;
		esac
		printf '%s %s ' "${package#github.com/}" "${version#v}"
	done
}

# start VARIABLE NAME COMMAND... starts a server, and sets the variable to its address when it is ready.
start() {
	variable=$1 name=$2
	shift 2
	: >"$logs/$name.json"
	"$@" >"$logs/$name.json" 2>"$logs/$name.log" &
	pid=$!
	pids="$pids $pid"
	until grep -q listening "$logs/$name.json"; do
		if ! kill -0 $pid 2>/dev/null; then
			say "the server $name ended before it was ready:" >&2
			tail -n 20 "$logs/$name.log" >&2
			exit 1
		fi
		sleep 0.2
	done
	export "$variable=$(sed -n 's/.*"listening":"\([^"]*\)".*/\1/p' "$logs/$name.json")"
}

# stop ends the servers, and fails if one of them fails.
stop() {
	left=$pids pids='' stopped=0
	for pid in $left; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" || stopped=$?
	done
	return $stopped
}

# requests prints how many requests the servers have answered, and how many of them with status 500.
requests() {
	python3 clients/served.py || {
		say "a server does not answer:" >&2
		tail -n 5 "$logs/demo.log" "$logs/double.log" >&2
		exit 1
	}
}

for name in "$@"; do
	if [ -z "$(column "$name" 1)" ]; then
		say "no client $name: there are" $(names) >&2
		exit 2
	fi
done
[ $# -gt 0 ] || set -- $(names)
mkdir -p "$logs" "$cache/bin"
for name in "$@"; do
	install "$name"
done
scripts/with-go.sh go build -buildvcs=false -o "$cache/bin/" ./cmd/rwkv-gpu ./server/scripted/double

trap 'stop || true' EXIT
trap 'exit 130' INT TERM
RWKV_KEY=key-of-tests RWKV_PAGES=$PWD/docs RWKV_BINARY=$cache/bin/rwkv-gpu
export RWKV_KEY RWKV_PAGES RWKV_BINARY
unset RWKV_API_KEY
NO_PROXY=${NO_PROXY:-${no_proxy:-}} # no proxy for the servers here
NO_PROXY=${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost
no_proxy=$NO_PROXY
export NO_PROXY no_proxy
rm -rf "$cache/files"
start RWKV_DEMO demo "$cache/bin/rwkv-gpu" serve --json --listen 127.0.0.1:0 --model-name demo --files "$cache/files"
start RWKV_DOUBLE double "$cache/bin/double" -key "$RWKV_KEY"

bad=0 rows='client|versions|requests|seconds|result
'
for name in "$@"; do
	install "$name"
	say "$name"
	result=ok began=$(date +%s)
	before=$(requests)
	run "$name" >"$logs/$name.log" 2>&1 || result=failed
	after=$(requests)
	count=$((${after% *} - ${before% *})) failures=$((${after#* } - ${before#* })) least=$(column "$name" 2)
	if [ "$result" = failed ]; then
		cat "$logs/$name.log"
	elif [ "$count" -lt "$least" ]; then
		result="failed: want $least requests"
	fi
	[ "$failures" = 0 ] || result="failed: $failures times status 500"
	[ "$result" = ok ] || bad=1
	say "$name: $result"
	rows="$rows$name|$(versions "$name")|$count|$(($(date +%s) - began))|$result
"
done
trap - EXIT
if ! stop; then
	say "a server did not end well:" >&2
	tail -n 5 "$logs/demo.log" "$logs/double.log" >&2
	bad=1
fi
echo "$rows" | awk -F'|' '
	NF { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } rows = NR }
	END { for (r = 1; r <= rows; r++) { for (i = 1; i < 5; i++) printf "%-" width[i] + 2 "s", cell[r, i]; print cell[r, 5] } }'
exit $bad
