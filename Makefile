# The commands of this repository. Each does all the set-up it needs; a second run is quick.
.DEFAULT_GOAL := help
.PHONY: help demo test test-peers test-debug bench-generate bench-train-step bench-score build setup format check-format tidy clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: ## see it work: train a small model to see, on pictures made here, and ask it
	@scripts/demo.sh

test: ## build everything, run every C++ test and the parity tests
	@scripts/test.sh release

test-peers: ## compare with transformers, tokenizers, Pillow, ... in their own Python environment
	@scripts/test-peers.sh

test-debug: ## the tests of `make test` under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/test.sh debug

bench-generate: ## prefill and decoding against transformers and the machine's own rates (ARGS="--json ...")
	@scripts/bench-generate.sh $(ARGS)

bench-train-step: ## training steps against transformers + PEFT and the floor (ARGS="--json ...")
	@scripts/bench-train-step.sh $(ARGS)

bench-score: ## scoring layers against the plain forward pass, and its memory (ARGS="--json ...")
	@scripts/bench-score.sh $(ARGS)

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

clean: ## remove what was built (not .deps)
	rm -rf build
