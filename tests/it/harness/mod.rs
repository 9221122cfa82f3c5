//! What the tests share.

pub mod alertmanager;
pub mod curl;
pub mod exporter;
pub mod fault_proxy;
pub mod log;
pub mod pki;
pub mod program;
pub mod prometheus;
pub mod snapshots;
pub mod staged;
pub mod target;
pub mod text;

use std::time::{Duration, Instant};

/// Waits until a condition gives something, for half a minute at most.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "not within half a minute: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
