//! SIGTERM and SIGINT end the process in good order; a second one at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Cancels the token at the first signal, and leaves the process at the second.
///
/// # Errors
/// If signals cannot be handled.
pub fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                std::process::exit(1);
            }
            info!("stopping; send the signal again to stop at once");
            stop.cancel();
        }
    });
    Ok(())
}
