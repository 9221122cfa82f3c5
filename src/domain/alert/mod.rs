//! Alerts: a closed set of rules, what of them holds at a moment, and how an alert lives. Pure: time and everything else is handed in.
//!
//! [`evaluate()`] looks at the fleet and says which alerts are active and which are *held*, because what they judge is not known;
//! [`step`] turns that into pending, firing and resolved alerts. A target that goes dark holds its alerts: they neither fire, resolve
//! nor start anew, and only the alerts on its polls speak.

mod concern;
mod evaluate;
mod judge;
mod labels;
mod lifecycle;
mod memory;
mod ring;
mod rule;
mod template;
mod text;

use std::fmt;
use std::str::FromStr;

pub use concern::{Concern, concerned};
pub use evaluate::{
    Active, Evaluation, ExporterView, FleetView, Held, TargetView, evaluate, labels,
};
pub use labels::Labels;
pub use lifecycle::{Event, Phase, RESOLVED_FOR, State, States, step};
pub use memory::{Memory, Transition, Transitions};
pub use rule::{Matcher, Rule, Rules, Settings, Severity, Silence, Threshold};
pub use template::{InvalidTemplate, Template};
pub use text::{Detail, annotations, runbook, runbook_url};

/// The label that tells the daemon's alerts from those of Prometheus rules.
pub const ORIGIN: (&str, &str) = ("origin", "odoo-mfa-exporter");

/// Which alert: a hash of its labels, the same that Alertmanager computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// FNV-1a over names and values, each ended by a byte that no UTF-8 text has.
    pub fn of(labels: &Labels) -> Self {
        let bytes = labels.as_bytes().iter();
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests;
