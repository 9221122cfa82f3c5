//! Dates as Odoo writes them: in UTC, without a zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A date in a reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(Timestamp);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date = DateTime::strptime(FORMAT, &text).map_err(serde::de::Error::custom)?;
        let zoned = date
            .to_zoned(TimeZone::UTC)
            .map_err(serde::de::Error::custom)?;
        Ok(Self(zoned.timestamp()))
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
