# make run and make test set themselves up (scripts/setup.sh) and need nothing prepared but make and git.

ARGS     ?= generate "Once upon a time" -n 200
FUZZTIME ?= 2m
BENCH    ?= .

GO   = scripts/with-go.sh go
TOOL = $(GO) tool -modfile=tools/go.mod

# Tests fail rather than skip: no device, a silent validation layer or missing reference data is an error here. The layer
# also watches for missing barriers, which software drivers forgive.
STRICT = VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT RWKV_REQUIRE_GPU=1 RWKV_REQUIRE_VALIDATION=1 RWKV_REQUIRE_SHARED=$(if $(wildcard ../shared),1,0)
# -count=1: the driver is chosen by the Vulkan loader, so Go's cache of test results cannot tell one from the other.
TEST   = $(STRICT) $(GO) test -count=1
DEVICE_PACKAGES = ./gpu/... ./shaders ./engine ./engine/vulkan

# Where nothing is concurrent, the race detector finds nothing.
RACE_PACKAGES = $$($(GO) list ./... | grep -vE '/(engine/sample|model/op|model/tensor|shaders|shaders/internal/.*)$$')

LAVAPIPE    = $(shell scripts/driver.sh lavapipe)
SWIFTSHADER = $(shell scripts/driver.sh swiftshader)
# The loader's newer versions read the first variable, its older ones the second.
ON = $(if $(1),VK_DRIVER_FILES=$(1) VK_ICD_FILENAMES=$(1))

.PHONY: help run build test race check shaders fuzz bench setup clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## build, and write a story with the embedded demo model (ARGS=... for any other command)
	@scripts/setup.sh run
	@$(MAKE) -s build
	@bin/rwkv-gpu $(ARGS)

build: ## bin/rwkv-gpu
	@scripts/setup.sh build
	@$(GO) build -buildvcs=false -o bin/ ./cmd/rwkv-gpu

test: ## the whole suite on lavapipe, the device packages again on SwiftShader (long cases left out), and the race detector
	@scripts/setup.sh test
	@echo "test: everything on lavapipe"
	@$(call ON,$(LAVAPIPE)) $(TEST) ./...
	@$(if $(SWIFTSHADER),echo "test: device packages on SwiftShader")
	@$(if $(SWIFTSHADER),$(call ON,$(SWIFTSHADER)) $(TEST) -short $(DEVICE_PACKAGES))
	@$(MAKE) -s race

race: ## what is concurrent under the race detector, without long cases and comparisons of numbers
	@scripts/setup.sh test
	@echo "test: race detector"
	@$(call ON,$(LAVAPIPE)) $(TEST) -race -short $(RACE_PACKAGES)

check: ## formatting, vet, linters, file lengths, and that generated files are current
	@scripts/setup.sh check
	@echo "check: gofmt"; files=$$($$($(GO) env GOROOT)/bin/gofmt -l .); [ -z "$$files" ] || { echo "gofmt -w wanted: $$files"; exit 1; }
	@echo "check: file lengths"; scripts/file-length.sh
	@echo "check: go vet"; $(GO) vet ./...
	@echo "check: go.mod"; $(GO) mod tidy -diff >/dev/null || { echo "go mod tidy wanted"; exit 1; }
	@echo "check: golangci-lint (staticcheck among others)"; $(TOOL) golangci-lint run
	@echo "check: generated files"; cmake -DCHECK=1 -P CMakeLists-shaders.txt
	@$(GO) run ./shaders/internal/gen -check

shaders: ## compile shaders/*.comp to SPIR-V and write their Go bindings
	@scripts/setup.sh check
	@cmake -P CMakeLists-shaders.txt
	@$(GO) run ./shaders/internal/gen

fuzz: ## every fuzz target for FUZZTIME (2m)
	@scripts/setup.sh build
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## Go benchmarks on the default device (BENCH=regexp)
	@scripts/setup.sh run
	@$(GO) test -run '^$$' -bench '$(BENCH)' ./...

setup: ## install what the targets above need
	@scripts/setup.sh test

clean: ## remove what was built
	@rm -rf bin
