//! Logs: one line per event, on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people: coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `level` is a level (`info`) or directives (`info,odoo_mfa_exporter::poll=debug`).
///
/// # Errors
/// When the level cannot be read.
pub fn start_logging(level: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter: Targets = match level.contains(['=', ',']) {
        true => level.parse()?,
        // Libraries speak only when something is wrong: their debug output may hold what ours must not.
        false => format!("warn,odoo_mfa_exporter={level}").parse()?,
    };
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    let log = registry().with(filter);
    let started = match format {
        LogFormat::Text => log
            .with(lines.with_ansi(stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
    // It fails only if logging runs already, in tests.
    drop(started);
    Ok(())
}
