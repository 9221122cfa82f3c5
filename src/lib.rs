//! odoo-mfa-exporter: second-factor coverage of Odoo servers as Prometheus metrics.
//!
//! This page is a tour of the code. `docs/architecture.md` has the reasons, `docs/errors.md` the errors, `CONTRIBUTING.md` the setup.
//!
//! # The path of one poll
//! 1. [`runtime`] starts the daemon: it loads [`config::Config`], opens the [`store`], and hands each target to [`poll::Fleet`].
//! 2. [`poll::Scheduler`] starts the target's poller at its offset within the interval. The poller takes a place of its host, then one of
//!    all polls, and calls [`poll::once()`].
//! 3. [`odoo::plan`] knows what to ask, [`odoo::Session`] how this server calls it, and [`odoo::Transport`] sends it as JSON-2 or JSON-RPC.
//!    [`odoo::surface`] asks the server from outside, without credentials, at an interval of its own.
//! 4. The answers become [`domain::Facts`]: sets of ids and rows. Each is [complete, missing with a reason, or not
//!    asked](domain::facts::Known). From here on nothing knows Odoo.
//! 5. [`domain::standing`] derives who is exempt, protected and privileged; [`domain::posture`] counts them and fails if two numbers
//!    contradict each other.
//! 6. [`domain::transition`] compares with the baseline of the poll before; [`store`] writes counters, change log and history in one
//!    transaction.
//! 7. The poller publishes a [`domain::TargetSnapshot`], which never changes, on its slot of the [`exposition::Board`].
//! 8. [`exposition::Exposition`] encodes the families of the [`exposition::catalog`] from the board. A scrape of `/metrics` reads that and
//!    touches nothing else.
//!
//! # The path of one alert
//! 1. [`domain::transition`] keeps with the baseline what alerts must remember: [`domain::transition::Recent`].
//! 2. [`alerting::Engine`] takes the board's snapshots at each evaluation interval.
//! 3. [`domain::alert::evaluate()`] judges every rule on every target: alerts are active, inactive, or *held* because their facts are unknown.
//! 4. [`domain::alert::step`] turns that into pending, firing and resolved alerts.
//! 5. [`alerting::AlertStates`] saves what changed before a receiver gets it, so that a killed process sends it again and loses nothing.
//! 6. [`alerting::Names`] adds names of users where the configuration allows it; they go to receivers only and are never stored.
//! 7. [`alerting::Hub`] queues a [`alerting::Notification`] for each receiver, and the receiver's own task sends it through an
//!    [`alerting::Endpoint`].
//!
//! # The path of one request
//! 1. [`web::serve`] accepts the connection within [`web::Limits`]: TLS, timeouts, sizes.
//! 2. [`web::access`] stands before every route: it finds the role that the route needs, authenticates, and adds a
//!    [`web::access::Reader`] to the request.
//! 3. [`web::router`] selects the handler: `metrics`, `probe`, [`web::api`], `pages`, or `control`.
//! 4. Handlers read the board, the [`store`] and [`alerting::Alerts`]. Only [`web::directory`] asks Odoo, for names, and only for readers
//!    who may read them.
//! 5. An error becomes a [`web::Problem`] (API), a page, or a line of text, each with what to do next.
//!
//! # Where to add something
//! `CONTRIBUTING.md` lists the tests that belong to each.
//!
//! | what | where |
//! |---|---|
//! | a metric | a [`exposition::Family`] in a section of the [`exposition::catalog`], from a number of [`domain::posture`]; then `make docs` |
//! | a finding | a [`domain::finding::Kind`], its judgement and texts in a file of [`domain::finding`], its weight in [`domain::grade`] |
//! | an alert | a [`domain::alert::Rule`], its judgement in `domain::alert::judge`, its texts in `domain::alert::text`, a Prometheus rule and a runbook |
//! | an Odoo version | what differs in [`odoo::plan`] and [`odoo::Session`], the simulated server ([`odoo_simulator`]), `docs/compatibility.md` |
//! | a setting | `config::schema` declares it once for the parser, the JSON schema and the documentation |
//!
//! # Layers
//! Modules depend on each other in one direction; a test checks it:
//! [`domain`] ← [`config`] ← {[`odoo`], [`store`], [`exposition`]} ← {[`poll`], [`alerting`]} ← [`scan`] ← [`web`] ← [`runtime`] ←
//! [`cli`].

#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a table of cases, and a test with many steps, read better as a whole"
    )
)]

pub mod alerting;
pub mod cli;
pub mod config;
pub mod domain;
pub mod exposition;
pub mod odoo;
pub mod poll;
pub mod runtime;
pub mod scan;
pub mod store;
#[cfg(test)]
mod texts;
pub mod web;
