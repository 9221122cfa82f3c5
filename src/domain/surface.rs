//! Endpoints that a server exposes without credentials, as seen from one vantage point.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::vocabulary::Endpoint;

/// Result of one check from one vantage point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Name of the vantage point in the configuration.
    pub vantage: String,
    /// Time at which the check ended.
    pub at: Timestamp,
    /// Each endpoint, in the order of [`Endpoint::ALL`].
    pub endpoints: Vec<(Endpoint, Seen)>,
    /// The endpoints that the configuration says must be blocked from this vantage point.
    pub expect_blocked: BTreeSet<Endpoint>,
}

/// Observation of one endpoint, and the reason of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its state.
    pub exposure: Exposure,
    /// A sentence's end for users, such as 'a proxy answers 403'.
    pub why: String,
}

/// State of an endpoint.
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
