//! What the tests in the browser share: the exporter as a program, and Chromium behind chromedriver.

mod browser;
mod program;

pub use browser::{Browser, Scheme, Violation};
pub use program::{Exporter, OFFICER, Password, READER};

use std::time::{Duration, Instant};

/// Waits until a condition gives something, for a minute at most.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
