# What people and CI call. `make` alone lists it.

# The Rust toolchain is found even where no login shell has put it on the PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin

ADDRESS ?= 127.0.0.1:6001
FUZZ_SECONDS ?= 60
CHAOS_SECONDS ?= 600
SIMULATE_SECONDS ?= 60
LOSSES_PAGES ?= 1000
LOSSES_PLAIN ?= 100
LOSSES_SECONDS ?= 600
# The test programs of protocol-tests, but for those that need `make setup`.
PROTOCOL_TESTS := $(filter-out real_clients laravel_redis cluster chaos apps monitoring doctor,$(notdir $(wildcard protocol-tests/tests/*)))

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what the tests need (Debian packages, Node.js and client libraries in the project)
	@scripts/setup

.PHONY: build
build: ## build the release binary, target/release/fanfare
	cargo build --release

.PHONY: run
run: ## build and start a relay for development (ADDRESS=127.0.0.1:6001)
	cargo run --release -- serve --listen $(ADDRESS)

.PHONY: demo
demo: ## relay, conversation backend and inbox, with demonstration data (RELAY_PORT=6001 API_PORT=8000)
	@scripts/demo

.PHONY: inbox
inbox: ## build the inbox, conversation-api/web/dist
	@scripts/setup inbox

.PHONY: test
test: setup lint ## everything that must pass before a change is accepted (installs Debian packages: see README)
	scripts/check-workflows
	cargo build --workspace --all-targets
	scripts/check-docker
# One more than there are cores: most tests wait more than they work.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) + 1))} cargo test --workspace --no-fail-fast

.PHONY: test-unit
test-unit: ## the tests inside the relay's crate
	cargo test --package fanfare

.PHONY: test-protocol
test-protocol: ## the protocol, over the wire (PROTOCOL_TESTS_URL tests another server)
	cargo build
	cargo test --package protocol-tests --lib $(addprefix --test ,$(PROTOCOL_TESTS))

.PHONY: test-clients
test-clients: setup ## real client and server libraries, under Node, in Chromium, in Python, PHP and Rust
	cargo build
	cargo test --package protocol-tests --test real_clients --test laravel_redis

.PHONY: test-cluster
test-cluster: setup ## several nodes on a Redis, a Redis Cluster and Sentinels, and what goes wrong there
	cargo build
	cargo test --package protocol-tests --test cluster --test chaos

.PHONY: chaos
chaos: ## random faults in a cluster, held against a model (CHAOS_SECONDS=600, PROTOCOL_TESTS_SEED repeats a run)
	cargo build --package fanfare
	PROTOCOL_TESTS_CHAOS_SECONDS=$(CHAOS_SECONDS) cargo test --package protocol-tests --test chaos -- --nocapture

.PHONY: simulate
simulate: ## other random plans for the simulated cluster, each kind for SIMULATE_SECONDS (60), or FANFARE_SIMULATIONS plans of each
	FANFARE_SIMULATION_SECONDS=$(SIMULATE_SECONDS) cargo test --package fanfare --lib simulation:: -- --nocapture --skip found:: --skip doubted:: --skip seeded::

.PHONY: mutants
mutants: ## whether the simulation finds the mistakes of tests/mutants, each a patch of the cluster
	scripts/mutants

.PHONY: losses
losses: ## what pages lose that are cut off at random, LOSSES_PAGES=1000 with a token and LOSSES_PLAIN=100 without (LOSSES_SECONDS=600)
	cargo build --release
	PROTOCOL_TESTS_LOSSES_PAGES=$(LOSSES_PAGES) PROTOCOL_TESTS_LOSSES_PLAIN=$(LOSSES_PLAIN) PROTOCOL_TESTS_LOSSES_SECONDS=$(LOSSES_SECONDS) cargo test --release --package protocol-tests --test resume losses -- --nocapture --test-threads 1

.PHONY: test-inbox
test-inbox: setup ## the inbox in Chromium, with a relay and the API behind it
	cargo build --package fanfare
	cargo test --package conversation-api --test inbox

.PHONY: screenshots
screenshots: setup ## pictures of the inbox and of the console at work, docs/inbox-*.png and docs/console-*.png
	cargo build --package fanfare --package conversation-api
	@scripts/screenshots

.PHONY: lint
lint: ## formatting, lints and the links of the code's documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --package publisher --no-default-features -- --deny warnings
	@$(MAKE) --no-print-directory doc

.PHONY: check
check: lint ## formatting, lints, unit tests and the order of the modules: what needs nothing but the toolchain
	cargo test --workspace --exclude protocol-tests --lib
	cargo test --package fanfare --test architecture

.PHONY: doc
doc: ## the documentation of the code, with what is private, without broken links
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private-intra-doc-links' cargo doc --workspace --no-deps --document-private-items

.PHONY: docker-check
docker-check: ## Dockerfile, compose file and what they mount, with what will read them
	@scripts/setup docker
	cargo build --package fanfare
	scripts/check-docker

.PHONY: workflows
workflows: setup ## what .github/workflows ask for, with actionlint
	scripts/check-workflows

.PHONY: deny
deny: .tools/bin/cargo-deny ## bans, licences and sources of the dependencies (installs cargo-deny in the project)
	.tools/bin/cargo-deny --workspace check bans licenses sources

.PHONY: advisories
advisories: .tools/bin/cargo-deny ## vulnerabilities of the dependencies that are known by now (fetches RustSec's database)
	.tools/bin/cargo-deny --workspace check advisories

.tools/bin/cargo-deny:
	cargo install --locked --root .tools --quiet cargo-deny

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZ_SECONDS (60) each
	scripts/fuzz $(FUZZ_SECONDS)

.PHONY: bench
bench: ## measure the release binary and the floor server side by side
	cargo build --release
	cargo run --release --package relay-bench -- compare --json target/benchmark.json
	cargo run --release --package relay-bench -- chart --json target/benchmark.json --peers bench/peers.json --svg target/benchmark.svg

.PHONY: bench-cluster
bench-cluster: ## measure three nodes on one Redis beside a node alone (takes a redis-server)
	cargo build --release
	cargo run --release --package relay-bench -- compare --only cluster --json target/benchmark-cluster.json

.PHONY: bench-hostile
bench-hostile: ## measure what healthy subscribers notice of attacks by strangers
	cargo build --release
	cargo run --release --package relay-bench -- hostile --json target/benchmark-hostile.json

.PHONY: bench-conversations
bench-conversations: ## measure sending messages through conversation-api, events included; fails where it is too slow
	cargo build --release --package fanfare --package conversation-api
	cargo run --release --package conversation-api --example load -- --connections 16 --at-least 1800 --p99-ms 25
	cargo run --release --package conversation-api --example load -- --connections 32 --at-least 1800 --p99-ms 50

.PHONY: clean
clean: ## remove everything that was built or installed in the project
	cargo clean
	rm -rf .tools protocol-tests/clients/node_modules conversation-api/web/node_modules conversation-api/web/dist
