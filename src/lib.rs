//! odoo-mfa-exporter: whether the people who log in to Odoo servers hold a second factor, as Prometheus metrics.
//!
//! Modules depend on each other in one direction only (a test holds it):
//! `domain` ← `config` ← {`odoo`, `store`, `exposition`} ← {`poll`, `web`} ← `runtime` ← `cli`. `demo` depends on none of them.

pub mod config;
pub mod domain;
pub mod odoo;
pub mod poll;
pub mod store;
