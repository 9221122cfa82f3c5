# Everything that is done to this project. `make` lists it.
.DEFAULT_GOAL := help
.PHONY: help test tools lint rules unit prove bench docs dashboards stack

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

test: tools lint rules unit ## Install what the tests need, and run all of them

tools: ## Install what the tests need and is missing (Debian packages and Python modules)
	@scripts/test-tools

lint: ## Formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --no-deps --document-private-items

unit: ## Unit and integration tests
	scripts/cargo-test

# Rules, Alertmanager's configuration, runbooks and dashboards: promtool, amtool, alertmanager, and Python with PyYAML.
rules: ## Test the Prometheus rules, the Alertmanager configuration and the dashboards
	promtool check config alerts/prometheus.yml
	promtool test rules alerts/tests/*.test.yml
	amtool check-config alerts/alertmanager.yml
	python3 alerts/tests/inhibitions.py
	python3 alerts/tests/lint.py
	python3 dashboards/generate.py --check

dashboards: ## Write the dashboards' JSON anew
	python3 dashboards/generate.py

stack: ## Run the demo with Prometheus and Alertmanager on loopback, until Ctrl-C
	@scripts/stack

docs: ## Write the generated pages in docs/ anew
	UPDATE_DOCS=1 cargo test --locked

prove: ## What takes long: kills the store 200 times, an Alertmanager that is away for five minutes
	STORE_KILLS=200 cargo test --locked --lib store
	cargo test --locked --test it -- --ignored for_five_minutes

bench: ## Measure; prints ratios, asserts nothing
	cargo bench --locked
