//! Who is exempt from a second factor, by configuration.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::vocabulary::ExemptReason;

/// One entry of the configured exemptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Whom it matches.
    pub matcher: ExemptionMatcher,
    /// Why.
    pub reason: ExemptReason,
    /// The first day, in UTC, on which it no longer holds.
    pub expires: Option<Date>,
}

/// Whom an exemption matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExemptionMatcher {
    /// The one account with this login.
    Login(String),
    /// Accounts whose login matches this pattern: `*` is any run of characters, `?` any one.
    Glob(String),
    /// Members of the group with this XML id.
    Group(String),
}

impl Exemption {
    /// Whether its day has come.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires
            .is_some_and(|day| now.to_zoned(TimeZone::UTC).date() >= day)
    }
}
