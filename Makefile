# Thin lines: each target names the script or the command that does the work.
CARGO_TARGET_DIR ?= target

.PHONY: run run-cql test test-faults test-servers-down bench bench-load bench-cql fmt clean

run: ## build all and start a pinning service that really pins
	examples/quickstart/run

run-cql: ## the same on a private Cassandra node
	examples/quickstart/run cql

test: ## set up what the tests need and run them all
	.ci/test

test-faults: ## hurt a real cluster in every way and read everything back; the report is docs/faults.md
	.ci/test faults

test-servers-down: ## end the Cassandra node that tests leave running for the next ones
	.ci/test servers-down

bench: ## criterion benches of store, policy and plugin calls
	cargo bench --workspace

bench-load: ## the speed table as ratios in one run; JSON=1 prints it as JSON
	@plugins/build >/dev/null && cargo build --release --quiet --package holdfast --package holdfast-benches
	@.ci/tools/install cassandra >/dev/null && cargo build --release --quiet --package holdfast-load-cql
	@$(CARGO_TARGET_DIR)/release/holdfast-load $(if $(JSON),--json)

bench-cql: ## the CQL store beside the bare driver on a Cassandra node; ROWS="cql_get ..."
	@.ci/tools/install cassandra >/dev/null && cargo build --release --quiet --package holdfast-load-cql
	@$(CARGO_TARGET_DIR)/release/holdfast-load-cql $(if $(JSON),--json) $(ROWS)

fmt: ## format every workspace
	cargo fmt --all
	cargo fmt --all --manifest-path plugins/Cargo.toml
	cargo fmt --all --manifest-path host/model/fuzz/Cargo.toml

clean: ## forget what was built and what `make run` kept
	.ci/test servers-down
	.ci/tools/cassandra down --dir .run/cassandra
	cargo clean
	rm -rf plugins/target plugins/dist host/model/fuzz/target .run
