//! What every long-running command shares: logging, signals, and the daemon itself.

mod daemon;
mod logging;
mod names;
mod signals;

pub use daemon::{Daemon, Listen};
pub use logging::{LogFormat, start_logging};
pub use signals::stop_on_signals;

/// Makes ring the process's cryptography. Must be called once, before the first TLS client is built.
pub fn install_crypto() {
    // It fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
