//! odoo-mfa-exporter: whether the people who log in to Odoo servers hold a second factor, as Prometheus metrics.
//!
//! Modules depend on each other in one direction only (a test holds it):
//! `domain` ← `config` ← {`odoo`, `store`, `exposition`} ← {`poll`, `alerting`} ← `web` ← {`runtime`, `scan`} ← `cli`. The simulated
//! Odoo is a crate of its own, `odoo_simulator`.

#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a table of cases, and a test that tells a story, read better whole"
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
