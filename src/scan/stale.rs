//! Findings about the configuration that only a report of all targets can have: entries that hold no longer, or that match nothing.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::build::finding_of;
use super::{Configured, Finding, Scan, TargetReport};
use crate::domain::acceptance::Acceptance;
use crate::domain::exemption::Exemption;
use crate::domain::finding;

/// What is found, in the order of the kinds.
pub(super) fn findings(
    at: Timestamp,
    configured: &Configured<'_>,
    targets: &[TargetReport],
) -> Vec<Finding> {
    let today = at.to_zoned(TimeZone::UTC).date();
    let exemptions = configured.exemptions.iter();
    let exemptions = exemptions.filter_map(|it| exemption(it, today, configured, targets));
    let acceptances = configured.accept_findings.iter();
    let acceptances = acceptances.filter_map(|it| acceptance(it, today, configured, targets));
    let mut found: Vec<Finding> = exemptions
        .chain(acceptances)
        .map(|it| finding_of(None, &it))
        .collect();
    found.sort_by(|a, b| (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject)));
    found.dedup_by(|a, b| a.id == b.id);
    found
}

/// The scans of these targets, if each was read.
fn scans<'a>(
    names: impl Iterator<Item = &'a String>,
    targets: &'a [TargetReport],
) -> Option<Vec<&'a Scan>> {
    names
        .map(|name| {
            let target = targets.iter().find(|it| it.target == *name);
            target?.scan.as_ref()
        })
        .collect()
}

/// An exemption of the defaults that matches users of no target.
fn exemption(
    entry: &Exemption,
    today: Date,
    configured: &Configured<'_>,
    targets: &[TargetReport],
) -> Option<finding::Finding> {
    let whom = entry.whom();
    let shown = super::build::clean(&whom);
    let is_it = |it: &super::Exempted| it.shared && it.whom == shown;
    let mut scans = scans(configured.targets.iter(), targets)?.into_iter();
    let matches = scans.any(|scan| scan.exemptions.iter().any(is_it));
    if matches {
        return None;
    }
    let expired = entry.expires.filter(|_| entry.expired_on(today));
    Some(finding::unmatched_exemption(&whom, expired))
}

fn acceptance(
    entry: &Acceptance,
    today: Date,
    configured: &Configured<'_>,
    targets: &[TargetReport],
) -> Option<finding::Finding> {
    let is_about = |it: &Finding| entry.is_about(it.kind, it.subject.as_deref());
    let has = |scan: &&Scan| scan.findings.iter().any(is_about);
    let concerned = configured.targets.iter().filter(|it| entry.concerns(it));
    let scans = scans(concerned, targets);
    let unknown = |scan: &&Scan| scan.not_evaluated.contains(&entry.finding);
    let known = scans
        .as_ref()
        .is_some_and(|scans| !scans.iter().any(unknown));
    if let Some(last) = entry.expires.filter(|_| entry.expired_on(today)) {
        let again: Vec<&str> = targets
            .iter()
            .filter(|it| entry.concerns(&it.target) && it.scan.as_ref().is_some_and(|it| has(&it)))
            .map(|it| it.target.as_str())
            .collect();
        return Some(finding::expired_acceptance(entry, last, &again, known));
    }
    (known && !scans.iter().flatten().any(has)).then(|| finding::unmatched_acceptance(entry))
}
