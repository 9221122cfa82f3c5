//! What a receiver is told of one alert.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::alert::{Fingerprint, Labels};

/// What a receiver is told of one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Which alert.
    pub fingerprint: Fingerprint,
    /// Who it is.
    pub labels: Labels,
    /// What it says; the one place where people may be named.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it ended, or until when it shall be believed that it fires.
    pub ends_at: Timestamp,
    /// Whether it ended.
    pub resolved: bool,
    /// Where the exporter shows what it is about; empty where its own address is unknown.
    pub generator_url: String,
    /// Telling it later than this is of no use: there will have been a newer one.
    pub of_use_until: Timestamp,
}
