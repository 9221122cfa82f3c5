//! Options of a simulated server, and endpoints that a proxy can block.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::clock::Clock;

/// An endpoint, which can be blocked as a reverse proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/xmlrpc/...`
    Xmlrpc,
    /// `/jsonrpc`
    Jsonrpc,
    /// `/json/2/...`
    Json2,
    /// `/web/database/manager`
    DatabaseManager,
    /// `/web/database/list`
    DatabaseList,
    /// `/web/health`
    Health,
    /// `/web/version`, `/json/version`, `/web/webclient/version_info`
    Version,
}

/// Options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// 14 to 20.
    pub version: u8,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Odoo closes each connection; a reverse proxy in front keeps them.
    pub keep_alive: bool,
    /// Minimum and maximum response time.
    pub latency: Option<(Duration, Duration)>,
    /// Odoo's `list_db`: databases may be listed and managed.
    pub list_databases: bool,
    /// Number of requests that the logs keep completely, for each database; counts are always kept.
    pub keep_requests: usize,
    /// Source of the header `Date`; `None`: the only database's clock, or the machine's.
    pub clock: Option<Clock>,
    /// Seeds the latencies.
    pub seed: u64,
    /// The minor number of a release of Odoo Online: with version 18 and `Some(2)`, the server says `saas~18.2`.
    pub saas: Option<u8>,
    /// A proxy drops `X-Odoo-Database`: JSON-2 answers from [`ServerOptions::default_database`], or from the only database.
    pub drops_database_header: bool,
    /// The database of a request that names none, as `dbfilter` leaves it; `None`: the only one.
    pub default_database: Option<String>,
    /// From 19 on: `rpc` is among the server-wide modules, so `/json/2`, `/jsonrpc` and `/xmlrpc` answer for a database without that module.
    pub server_wide_rpc: bool,
}

impl ServerOptions {
    /// A quick server of a version on a free port of 127.0.0.1.
    pub fn new(version: u8) -> Self {
        Self {
            version,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            keep_alive: false,
            clock: None,
            latency: None,
            list_databases: true,
            keep_requests: 1_000,
            seed: 0,
            saas: None,
            drops_database_header: false,
            default_database: None,
            server_wide_rpc: true,
        }
    }
}
