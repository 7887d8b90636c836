# The commands of this repository. Each does all the set-up it needs; a second run is quick.
.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-package test-peers test-debug test-sanitized fuzz gate clang package \
	bench-generate bench-train-step bench-score bench-eval build setup format check-format tidy tidy-changed clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: ## see it work: train a small model to see, on pictures made here, and ask it
	@scripts/demo.sh

test: ## build everything, run every C++ test and the parity tests
	@scripts/test.sh release

test-quick: ## the tests that take a minute together, after building them
	@scripts/test.sh release -L quick

test-package: ## install, and build and run the examples outside the tree
	@scripts/test-package.sh

test-peers: ## compare with transformers, tokenizers, Pillow, ... in their own Python environment
	@scripts/test-peers.sh

test-debug: ## the tests of `make test` under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/test.sh debug

test-sanitized: ## the same for the rooms that need no LibTorch, in minutes
	@scripts/test-sanitized.sh

fuzz: ## feed every parser damaged files (SECONDS=60 for each, HARNESSES="gguf pictures")
	@STRIATE_FUZZ_SECONDS=$(or $(SECONDS),60) scripts/fuzz.sh $(HARNESSES)

gate: ## what .ci/run leaves out: all tests under sanitizers, a Clang build, clang-tidy, the archive
	@scripts/gate.sh

clang: ## compile everything with clang and run the quick tests
	@scripts/build-clang.sh

package: ## an archive that runs beside pip install torch, wherever it is unpacked
	@scripts/package.sh

bench-generate: ## prefill and decoding against transformers and the machine's own rates (ARGS="--json ...")
	@scripts/bench-generate.sh $(ARGS)

bench-train-step: ## training steps against transformers + PEFT and the floor (ARGS="--json ...")
	@scripts/bench-train-step.sh $(ARGS)

bench-score: ## scoring layers against the plain forward pass, and its memory (ARGS="--json ...")
	@scripts/bench-score.sh $(ARGS)

bench-eval: ## questions per second against transformers and lm-evaluation-harness, and memory (ARGS="--json ...")
	@scripts/bench-eval.sh $(ARGS)

build: ## build everything (preset release)
	@scripts/build.sh release

setup: ## only the Debian packages and LibTorch
	@scripts/setup.sh

format: ## rewrite the sources with clang-format
	@scripts/format.sh

check-format: ## say which sources clang-format would change
	@scripts/format.sh --check

tidy: ## clang-tidy over the library and the program
	@scripts/tidy.sh

tidy-changed: ## clang-tidy over what differs from the main branch, or the last commit there
	@scripts/tidy.sh --changed

clean: ## remove what was built (not .deps)
	rm -rf build
