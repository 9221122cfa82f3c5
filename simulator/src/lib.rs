//! A simulated Odoo: stateful, several versions, several databases, with the behavior and the errors that were recorded on real servers.
//!
//! It speaks JSON-2 (19 and later) and JSON-RPC (14 and later) over real sockets, keeps users, groups, API keys and trusted devices that
//! can be changed while it runs, obeys access rights and record rules (hiding rows without an error, as Odoo does), and fails on demand.
//! It serves the exporter's `demo` command, load tests (`simulate`) and, as the fake Odoo, the integration tests. It depends on nothing
//! of the exporter.
//!
//! * [`World`]: what one database holds, and the calls that change it.
//! * [`SimServer`]: one Odoo version on one address, with any number of databases, [`Fault`]s and a [`RequestLog`].
//! * [`Life`]: people come, go, enrol and switch off, seeded and at a chosen pace.
//! * [`start_demo`] and [`simulate()`]: ready-made fleets.
//!
//! It never writes on behalf of a caller: each write method is refused and counted, so that a test can prove that a client only reads.

#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a table of cases, and a test that tells a story, read better whole"
    )
)]

mod access;
mod clock;
mod companion;
mod conn;
mod database;
mod domain;
mod fail;
mod fault;
mod fields;
mod http;
mod json2;
mod jsonrpc;
mod life;
mod metadata;
mod methods;
mod options;
mod pages;
mod query;
mod read_group;
mod records;
mod rng;
pub mod scenarios;
mod server;
mod signature;
mod simulate;
mod term;
mod values;
mod wanted;
mod world;

pub use clock::{Clock, Time};
pub use database::Database;
pub use fault::{Fault, LogEntry, RequestLog};
pub use life::{Life, Pace};
pub use options::{Endpoint, ServerOptions};
pub use scenarios::{CAST, Demo, DemoTarget, start_demo};
pub use server::SimServer;
pub use simulate::{Fleet, SimulateOptions, simulate};
pub use world::{
    Account, AccountKind, Credential, Hide, Kind, PersonView, Quirks, Recipe, Scope, Uses, World,
};

#[cfg(test)]
mod tests;
