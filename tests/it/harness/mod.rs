//! Shared parts of the tests.

pub mod alertmanager;
pub mod curl;
mod eventually;
pub mod exporter;
pub mod fault_proxy;
pub mod log;
pub mod nginx;
pub mod odoo;
pub mod pki;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod scripted;
pub mod snapshots;
pub mod staged;
pub mod target;
pub mod text;
pub mod tunnel;

use std::net::TcpListener;

pub use eventually::eventually;
use odoo_mfa_exporter::domain::Shard;
use odoo_mfa_exporter::runtime::Settings;
use odoo_mfa_exporter::store::Store;
use odoo_mfa_exporter::web::MetricsPath;
use odoo_mfa_exporter::web::access::Access;

/// For a daemon at a free port.
pub fn settings(store: Option<Store>) -> Settings {
    Settings {
        listener: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        metrics_path: MetricsPath::default(),
        access: Access::open(),
        store,
        shard: Shard::WHOLE,
        origin: None,
        logging: None,
    }
}
