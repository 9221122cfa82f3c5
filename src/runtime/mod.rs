//! The daemon and what it needs at run time: logging, signals, reload, systemd.

mod control;
mod daemon;
mod listen;
mod logging;
mod names;
mod reload;
mod signals;
mod systemd;
mod vitals;

pub use daemon::{Daemon, Settings};
pub use listen::{Listen, UnusableAddress, inherited_socket};
pub use logging::{LogFormat, Logging, wants_color};
pub use reload::{Origin, Reloader};
pub use signals::stop_on_signals;
pub use vitals::{Patience, Stuck, Vitals};

/// Makes ring the process's cryptography. Must be called once, before the first TLS client is built.
pub fn install_crypto() {
    // It fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
