# All tasks of this project. `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help test tools lint rules e2e unit prove release release-check bench bench-fleet bench-rules bench-footprint bench-poll bench-scrape docs dashboards stack packages image addons

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

test: tools lint rules e2e unit ## Install the tools of the tests, and run all tests

tools: ## Install missing tools of the tests (Debian packages, Python and npm modules)
	@scripts/test-tools

PYTHON_ENV = $${XDG_CACHE_HOME:-$$HOME/.cache}/odoo-mfa-exporter/test-env/bin

lint: ## Check formatting, lints, vocabulary, links and documentation, with warnings denied; check the Odoo modules
	cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	cd e2e && cargo fmt --check
	$(PYTHON_ENV)/ruff check --no-cache --config odoo-addons/ruff.toml contrib odoo-addons scripts/addon-zips scripts/lint-addons scripts/lint-links scripts/lint-style scripts/tests
	$(PYTHON_ENV)/ruff format --no-cache --config odoo-addons/ruff.toml --check contrib odoo-addons scripts/addon-zips scripts/lint-addons scripts/lint-links scripts/lint-style scripts/tests
	scripts/lint-addons
	python3 scripts/tests/lint_style.py
	python3 contrib/invite/test_invite.py
	scripts/lint-style
	scripts/lint-links
	$(PYTHON_ENV)/python scripts/lint-forge
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --locked --no-deps --document-private-items

e2e: ## Test the pages in Chromium: content, sign-in, keyboard, accessibility; screenshots in target/e2e
	scripts/e2e

unit: ## Run unit and integration tests
	scripts/cargo-test

# Requires promtool, amtool, alertmanager, mtail, and the Python modules of scripts/test-tools.
rules: ## Test rules, Alertmanager's configuration, dashboards, mixin, Kubernetes manifests, Helm chart, Compose stack, mtail program
	promtool check config alerts/prometheus.yml
	promtool test rules alerts/tests/*.test.yml
	amtool check-config alerts/alertmanager.yml
	python3 alerts/tests/inhibitions.py
	python3 alerts/tests/lint.py
	python3 dashboards/generate.py --check
	$(PYTHON_ENV)/python packaging/kubernetes/check.py
	$(PYTHON_ENV)/python packaging/helm/check.py
	$(PYTHON_ENV)/python packaging/compose/check.py
	$(PYTHON_ENV)/python packaging/mixin/check.py
	promtool test rules contrib/mtail/tests/odoo-mfa-log.test.yml
	python3 contrib/mtail/tests/check.py

packages: ## Build the .deb and the .rpm into target/packages
	@scripts/packages

image: ## Build the contents of the container image in target/image
	@scripts/image

addons: ## Build the Odoo modules that can be imported as zips into target/addons, reproducibly
	@scripts/addon-zips

dashboards: ## Regenerate the dashboards' JSON
	python3 dashboards/generate.py

stack: ## Run the demo with Prometheus and Alertmanager on loopback, until Ctrl-C
	@scripts/stack

docs: ## Regenerate the generated pages in docs/
	UPDATE_DOCS=1 cargo test --locked

# Names, disk, web, soak, packages and image need root; disk needs loop devices.
prove: ## Run the slow tests: killed stores, an Alertmanager outage, a hostile server, DNS that does not answer, a disk that is frozen or full, clients that attack, an hour of 1,000 targets with kills, Prometheus 3, the README on a clean Debian, packages on a booted Debian, the image, a release
	@scripts/test-tools prove
	STORE_KILLS=200 cargo test --locked --lib store
	cargo test --locked --test it -- --ignored for_five_minutes
	python3 alerts/tests/watchdog.py
	cargo test --release --locked --test it hostile::
	scripts/prove-names
	scripts/prove-disk
	scripts/prove-web
	scripts/prove-soak
	scripts/prove-newer
	scripts/prove-readme
	scripts/prove-packages
	scripts/prove-image
	scripts/prove-release

release: ## Build a release in target/release-artifacts; MINISIGN_SECRET_KEY=FILE signs it
	scripts/release

release-check: ## Check a release: licenses, sources, versions, the crate, the oldest compiler
	scripts/release-check

bench: ## Run all benchmarks; prints ratios
	cargo bench --locked

bench-fleet: ## Measure CPU and memory of 100, 1,000 and 10,000 targets (FLEET_BENCH=100,1000 sets other numbers)
	cargo bench --locked --bench fleet

bench-rules: ## Measure the Prometheus rules with 2,000 simulated databases and a real Prometheus (RULES_BENCH="2000 4000" sets other numbers)
	cargo build --locked
	scripts/bench-rules $(RULES_BENCH)

bench-footprint: ## Compare binary, start, memory and wake-ups with node_exporter and blackbox_exporter
	cargo bench --locked --bench footprint

bench-scrape: ## Compare scrapes with a static server that serves the same body
	cargo bench --locked --bench scrape

# make bench-poll https://odoo.example.com, with ODOO_DATABASE, ODOO_LOGIN and ODOO_API_KEY in the environment.
bench-poll: ## Compare a poll with reading all users: simulated, or on the URLs that follow
	cargo bench --locked --bench poll -- $(filter-out $@,$(MAKECMDGOALS))

http\://% https\://%:
	@:
