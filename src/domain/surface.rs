//! What a server answers to somebody without credentials, as seen from one place.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::vocabulary::Endpoint;

/// What one check from one vantage found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The vantage's name in the configuration.
    pub vantage: String,
    /// When the check ended.
    pub at: Timestamp,
    /// Each endpoint, in the order of [`Endpoint::ALL`].
    pub endpoints: Vec<(Endpoint, Seen)>,
    /// What the configuration says this vantage must not reach.
    pub expect_blocked: BTreeSet<Endpoint>,
}

/// What was seen of one endpoint, and why it counts as that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How it counts.
    pub exposure: Exposure,
    /// A sentence's end for people, such as 'a proxy answers 403'.
    pub why: String,
}

/// Whether Odoo answers at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Odoo itself answers.
    Exposed,
    /// Something in front of Odoo, or Odoo's own configuration, keeps it from answering.
    Blocked,
    /// Refused, timed out, failed in TLS, or nothing there is known to be Odoo: no number is exported.
    Unknown,
}

impl Exposure {
    /// The value of `odoo_endpoint_exposed`, where there is one.
    pub fn is_exposed(self) -> Option<bool> {
        match self {
            Self::Exposed => Some(true),
            Self::Blocked => Some(false),
            Self::Unknown => None,
        }
    }
}
