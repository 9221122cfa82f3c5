//! Notification of a receiver about one alert.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::alert::{Fingerprint, Labels};

/// Notification of a receiver about one alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations; the only place with names of users.
    pub annotations: BTreeMap<String, String>,
    /// Time at which it started to fire.
    pub starts_at: Timestamp,
    /// Time at which it was resolved, or until which it counts as firing.
    pub ends_at: Timestamp,
    /// True if it is resolved.
    pub resolved: bool,
    /// Page of the exporter about it; empty if its own address is unknown.
    pub generator_url: String,
    /// Telling it later than this is of no use: there will have been a newer one.
    pub of_use_until: Timestamp,
}
