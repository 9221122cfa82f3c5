//! Shared parts of the tests in the browser: the exporter as a program, and Chromium behind chromedriver.

mod browser;
#[path = "../../tests/it/harness/eventually.rs"]
mod eventually;
mod program;

pub use browser::{Browser, Scheme, Violation};
pub use eventually::eventually;
pub use program::{Exporter, OFFICER, Password, READER};
