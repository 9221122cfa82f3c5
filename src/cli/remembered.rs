//! `history` and `changes`: what the store remembers, also while the daemon runs.

use std::process::ExitCode;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::output::{complain, printed};
use super::{FAILED, Options};
use crate::store::render::{Format, render};
use crate::store::{Error, Location, Page, Range, Reader};

/// Options of `history` and `changes`.
#[derive(Debug, clap::Args)]
pub(super) struct Remembered {
    /// Name of the target.
    #[arg(value_name = "TARGET")]
    target: String,
    /// Start: a date or time in UTC (2026-11-24, 2026-11-24T05:00:00Z), or a duration before now (7d, 12h).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// End, in the same format.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
    /// Output format: table, json or csv.
    #[arg(long, default_value = "table")]
    format: Format,
    /// Maximum number of changes, newest first.
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

pub(super) fn history(options: &Options, what: &Remembered) -> ExitCode {
    print(options, what, |reader, range| {
        Ok(render(&reader.history(&what.target, range)?, what.format))
    })
}

pub(super) fn changes(options: &Options, what: &Remembered) -> ExitCode {
    print(options, what, |reader, range| {
        let page = Page {
            limit: what.limit,
            ..Page::default()
        };
        Ok(render(
            &reader.changes(&what.target, range, page)?,
            what.format,
        ))
    })
}

fn print(
    options: &Options,
    what: &Remembered,
    text: impl FnOnce(&Reader, Range) -> Result<String, Error>,
) -> ExitCode {
    let result = || {
        let Location::Path(path) = options.storage() else {
            return Err(
                "an in-memory store keeps nothing: set --storage.path to the daemon's store"
                    .to_owned(),
            );
        };
        let reader = Reader::open(&path)
            .map_err(|error| format!("{error}; set --storage.path to the daemon's store"))?;
        let known = reader.targets().map_err(|error| error.to_string())?;
        if !known.contains(&what.target) {
            let known = if known.is_empty() {
                "none yet".to_owned()
            } else {
                known.join(", ")
            };
            return Err(format!(
                "the store has no data of '{}'; known targets: {known}",
                what.target
            ));
        }
        text(
            &reader,
            Range {
                from: what.from,
                to: what.to,
            },
        )
        .map_err(|error| error.to_string())
    };
    match result() {
        Ok(text) => printed(text, ExitCode::SUCCESS),
        Err(message) => {
            complain(format_args!("error: {message}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Reads a time, a date, or a duration before now.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<Date>() {
        let midnight = date
            .to_zoned(TimeZone::UTC)
            .map_err(|error| error.to_string())?;
        return Ok(midnight.timestamp());
    }
    let ago = text.parse::<Span>().ok().and_then(|span| {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        Some(now.checked_sub(span).ok()?.timestamp())
    });
    ago.ok_or_else(|| {
        "expected a date (2026-11-24), a time (2026-11-24T05:00:00Z) or a duration (7d)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_dates_or_durations() {
        let time = |text: &str| moment(text).expect(text).to_string();
        assert_eq!(time("2026-11-24T05:00:00Z"), "2026-11-24T05:00:00Z");
        assert_eq!(time("2026-11-24"), "2026-11-24T00:00:00Z");
        assert!(moment("7d").expect("a duration") < Timestamp::now());
        assert!(moment("yesterday").is_err());
    }
}
