//! Findings about entries of the configuration that hold no longer, or that match nothing on any target.

use jiff::civil::Date;

use super::{Finding, Kind, Severity};
use crate::domain::acceptance::Acceptance;

/// An exemption of the defaults that matches users of no target.
pub fn unmatched_exemption(whom: &str, expired: Option<Date>) -> Finding {
    let (kind, title) = match expired {
        Some(last) => (
            Kind::ExemptionExpired,
            format!("The exemption of {whom} in the defaults expired on {last}"),
        ),
        None => (
            Kind::ExemptionUnmatched,
            format!("The exemption of {whom} in the defaults matches users of no target"),
        ),
    };
    Finding::new(kind, Severity::Warning, title)
        .about(whom)
        .detail("The next user with that login on any target would be exempt without a decision.")
        .what_to_do("Correct the entry in the exemptions of the defaults, or remove it. Logins are case-sensitive.")
}

/// An accepted finding that counts again, on these targets; `known`: each of its targets was read and evaluated.
pub fn expired_acceptance(entry: &Acceptance, last: Date, again: &[&str], known: bool) -> Finding {
    let what = entry.what();
    let detail = match again {
        [] if known => "The finding is not there any more.".to_owned(),
        [] => "No target of this report has the finding.".to_owned(),
        targets => format!("The finding counts again on {}.", targets.join(", ")),
    };
    Finding::new(
        Kind::AcceptanceExpired,
        Severity::Warning,
        format!("The acceptance of {what} expired on {last}"),
    )
    .about(subject(entry))
    .detail(format!("{detail} Its reason was: {}.", entry.reason.trim_end_matches('.')))
    .what_to_do(
        "Fix the finding and remove the entry from accept_findings, or review it and set a later date.",
    )
}

/// An accepted finding that no target has.
pub fn unmatched_acceptance(entry: &Acceptance) -> Finding {
    Finding::new(
        Kind::AcceptanceUnmatched,
        Severity::Warning,
        format!("The acceptance of {} matches no finding", entry.what()),
    )
    .about(subject(entry))
    .detail("All its targets were read, and none has the finding. If it comes back, the entry accepts it again without a decision.")
    .what_to_do("Remove the entry from accept_findings, or correct its subject and its targets.")
}

/// Distinguishes one entry from another.
fn subject(entry: &Acceptance) -> String {
    let targets: Vec<&str> = entry.targets.iter().map(|it| it.as_str()).collect();
    match targets.as_slice() {
        [] => entry.what(),
        targets => format!("{} on {}", entry.what(), targets.join(", ")),
    }
}

/// One of each kind, for the snapshot of texts.
#[cfg(test)]
pub(crate) fn of_entries() -> Vec<Finding> {
    let entry = Acceptance {
        finding: Kind::TrustedDevices,
        subject: None,
        targets: Vec::new(),
        reason: "browsers of the office".to_owned(),
        approved_by: None,
        ticket: None,
        expires: None,
    };
    let last = jiff::civil::date(2026, 11, 23);
    vec![
        unmatched_exemption("login kiosk", None),
        unmatched_exemption("login kiosk", Some(last)),
        expired_acceptance(&entry, last, &["erp", "shop"], true),
        expired_acceptance(&entry, last, &[], true),
        expired_acceptance(&entry, last, &[], false),
        unmatched_acceptance(&entry),
    ]
}
