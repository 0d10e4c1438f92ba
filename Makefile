# make run and make test set themselves up (scripts/setup.sh) and need nothing prepared but make and git.

FUZZTIME ?= 2m
BENCH    ?= .
LOAD     ?= --duration 20s
STAGES   ?=
GPUS     ?=
CLIENTS  ?=
TARGETS  ?=
CHECK    ?=
PACKAGES ?=

# The commit is noted in the program where Git tells it.
VCS  = $(shell git status >/dev/null 2>&1 && echo auto || echo false)
GO   = scripts/with-go.sh go
TOOL = $(GO) tool -modfile=tools/go.mod

.PHONY: help run build view test race clients gpus arm64 windows release check shaders mutants fuzz bench load setup clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## build, and write a story with the embedded demo model (ARGS=... for any other command)
	@scripts/setup.sh run
	@$(MAKE) -s build
ifdef ARGS
	@bin/rwkv-gpu $(ARGS)
else
	@if bin/rwkv-gpu devices >/dev/null 2>&1; then device=gpu; else device=cpu; fi; \
	echo "rwkv-gpu generate \"Once upon a time\" -n 200 --device $$device    (--device cpu: the processor; auto: the faster one)"; \
	bin/rwkv-gpu generate "Once upon a time" -n 200 --device $$device
endif

build: ## bin/rwkv-gpu
	@scripts/setup.sh build
	@[ -e bin/rwkv-gpu ] || echo 'build: compiling, which takes one to four minutes the first time' >&2
	@$(GO) build -buildvcs=$(VCS) -o bin/ ./cmd/rwkv-gpu

view: ## build with the window, which needs the window system's libraries, and open it (ARGS=... for another text, or flags)
	@scripts/setup.sh view
	@echo 'view: compiling, which takes one to four minutes the first time' >&2
	@$(GO) build -buildvcs=$(VCS) -tags view,vulkan -o bin/ ./cmd/rwkv-gpu
	@bin/rwkv-gpu view $(if $(ARGS),$(ARGS),"Once upon a time")

test: ## the whole suite: stages on several drivers, as on GPUs, and the race detector (STAGES="gpu race" for some)
	@scripts/setup.sh test
	@scripts/test.sh $(STAGES)

race: ## what is concurrent under the race detector, without long cases and comparisons of numbers
	@scripts/setup.sh test
	@scripts/test.sh race

clients: ## programs that others wrote for OpenAI's and Anthropic's protocols, against the server (CLIENTS="llm litellm" for some)
	@scripts/setup.sh clients
	@scripts/clients.sh $(CLIENTS)

gpus: ## what the compilers of GPUs that are not there make of the kernels (GPUS="navi21 gfx1100" for some)
	@scripts/setup.sh test
	@scripts/gpus.sh $(GPUS)

arm64: ## every package for 64-bit ARM, and the tests of those that need no device, in an emulator (PACKAGES=... for some)
	@scripts/setup.sh arm64
	@scripts/arm64.sh $(PACKAGES)

windows: ## bin/rwkv-gpu.exe for 64-bit Windows on x86, and whether it writes under Wine what this system's binary writes
	@scripts/setup.sh windows
	@$(MAKE) -s build
	@GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=x86_64-w64-mingw32-gcc $(GO) build -buildvcs=$(VCS) -o bin/ ./cmd/rwkv-gpu
	@scripts/windows.sh

release: ## archives of the last commit for Linux and Windows, with licences and manual pages, in dist/ (CHECK=1: twice, compared)
	@scripts/setup.sh $(if $(filter Darwin,$(shell uname)),build,release)
	@CHECK=$(CHECK) scripts/release.sh $(TARGETS)

check: ## formatting, vet, linters, file lengths, and that generated files are current
	@scripts/setup.sh check
	@echo "check: gofmt"; files=$$($$($(GO) env GOROOT)/bin/gofmt -l .); [ -z "$$files" ] || { echo "gofmt -w wanted: $$files"; exit 1; }
	@echo "check: file lengths"; scripts/file-length.sh
	@echo "check: go vet"; $(GO) vet ./...
	@echo "check: go.mod"; $(GO) mod tidy -diff >/dev/null || { echo "go mod tidy wanted"; exit 1; }
	@echo "check: golangci-lint (staticcheck among others)"; $(TOOL) golangci-lint run
	@echo "check: generated files"; cmake -DCHECK=1 -P CMakeLists-shaders.txt
	@$(GO) run ./shaders/internal/gen -check
	@echo "check: mutants fit the shaders"; $(GO) run ./shaders/internal/mutants -check

shaders: ## compile shaders/*.comp to SPIR-V and write their Go bindings
	@scripts/setup.sh check
	@cmake -P CMakeLists-shaders.txt
	@$(GO) run ./shaders/internal/gen

mutants: ## one mistake at a time in the shaders: which tests and whether compare see it, to shaders/MUTANTS.md (hours)
	@scripts/setup.sh test
	@scripts/setup.sh check
	@scripts/setup.sh swiftshader
	@$(GO) run ./shaders/internal/mutants -compare -o shaders/MUTANTS.md

fuzz: ## every fuzz target for FUZZTIME (2m)
	@scripts/setup.sh build
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## Go benchmarks on the default device (BENCH=regexp)
	@scripts/setup.sh run
	@$(GO) test -run '^$$' -bench '$(BENCH)' ./...

load: ## 32 clients of a server at once, then more than it takes (LOAD="--duration 10m --json F" for other flags)
	@scripts/setup.sh run
	@$(MAKE) -s build
	@$(GO) run ./bench/load --clients 32 --overload 160 $(LOAD) -- \
		bin/rwkv-gpu serve --json --quiet --listen 127.0.0.1:0 --queue 64 --cache-ram 64M

setup: ## install what the targets above need, but for clients, which installs Python and Node.js itself
	@scripts/setup.sh test
	@scripts/setup.sh swiftshader || [ $$? = 3 ]
	@scripts/setup.sh browser || [ $$? = 3 ]
	@scripts/axe.sh >/dev/null || [ $$? = 3 ]

clean: ## remove what was built
	@rm -rf bin dist
