//! Logs: one line per event, on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

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
pub fn start_logging(
    level: &str,
    format: LogFormat,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    // Libraries speak only when something is wrong: their debug output may hold what ours must not.
    let filter = EnvFilter::builder().parse(format!("warn,odoo_mfa_exporter={level}"))?;
    let filter = match level.contains(['=', ',']) {
        true => EnvFilter::builder().parse(level)?,
        false => filter,
    };
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_target(false);
    let started = match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // It fails only if logging runs already, in tests.
    drop(started);
    Ok(())
}
