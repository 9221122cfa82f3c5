//! Dates as Odoo writes them: in UTC, without a zone. Dates in HTTP headers.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The bytes of a date in this format.
const LENGTH: usize = 19;

/// A date in a reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(Timestamp);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date such as 2026-11-24 05:00:00")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                // Ten times as fast as with a format, but takes dates without a time, and fractions of a second.
                let date: Option<DateTime> = text.parse().ok().filter(|_| text.len() == LENGTH);
                let date = date.and_then(|date| Offset::UTC.to_timestamp(date).ok());
                date.map(Date)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl From<Date> for Timestamp {
    fn from(date: Date) -> Self {
        date.0
    }
}

/// A date for a domain.
pub(super) fn write(date: Timestamp) -> String {
    date.strftime(FORMAT).to_string()
}

/// A date in an HTTP header (RFC 9110, 5.6.7).
pub(crate) fn of_header(value: &HeaderValue) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(value.to_str().ok()?.trim());
    Some(date.ok()?.timestamp())
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which may have passed.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    if let Ok(seconds) = value.to_str().ok()?.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = of_header(value)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_seconds_of_a_day_that_exists_are_a_date() {
        let read = |text: &str| serde_json::from_value::<Date>(text.into()).ok();
        let date = read("2024-02-29 23:59:58").map(Timestamp::from);
        assert_eq!(date, "2024-02-29T23:59:58Z".parse().ok());
        for wrong in [
            "2024-02-29",
            "2023-02-29 00:00:00",
            "2024-02-29 10:00:00.5",
            "2024-02-29 10:00Z",
            "yesterday, at ten!!",
            "",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-11-24T05:00:00Z".parse().expect("a time");
        let seconds = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            retry_after(&headers, now).map(|it| it.as_secs())
        };
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Tue, 24 Nov 2026 05:02:00 GMT"), Some(120));
        assert_eq!(seconds("Tue, 24 Nov 2026 04:00:00 GMT"), Some(0));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("soon"), None);
    }
}
