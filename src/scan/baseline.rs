//! What changed since a previous report, which is the JSON of one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::select::Selection;
use super::{Baseline, Change, FORMAT, Finding, Gone, Numbers, Report, Scan, TargetReport, id};
use crate::domain::UserType;
use crate::domain::finding::{Kind, Severity};
use crate::domain::grade::Letter;

/// What is read of a previous report.
#[derive(Debug, Clone, Deserialize)]
pub struct Previous {
    format: u32,
    exporter_version: String,
    /// When it was made.
    pub generated_at: Timestamp,
    #[serde(default)]
    selection: Selection,
    #[serde(default)]
    findings: Vec<PreviousFinding>,
    targets: Vec<PreviousTarget>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousTarget {
    target: String,
    scan: Option<PreviousScan>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousScan {
    grade: PreviousGrade,
    coverage: Vec<PreviousCoverage>,
    privileged: Option<PreviousPrivileged>,
    findings: Vec<PreviousFinding>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousGrade {
    letter: Letter,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousCoverage {
    user_type: UserType,
    ratio: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousPrivileged {
    unprotected: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousFinding {
    kind: String,
    subject: Option<String>,
    severity: Severity,
    title: String,
    #[serde(default)]
    acceptance: Option<PreviousAcceptance>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousAcceptance {
    expired: bool,
}

/// Why a file cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is something else.
    #[error("is not a JSON report: {0}")]
    NoReport(#[from] serde_json::Error),
    /// Its fields may mean something else.
    #[error(
        "has the format {0}, and this version reads format {FORMAT}: write the baseline with this version"
    )]
    Format(u32),
    /// What it leaves out would all be new.
    #[error(
        "leaves findings out (--severity or --framework): write the baseline without these options"
    )]
    Selected,
}

impl Previous {
    /// Reads a report that `--format json` wrote.
    ///
    /// # Errors
    /// When it is something else, of another format, or a part of a report.
    pub fn read(text: &str) -> Result<Self, Unusable> {
        let previous: Self = serde_json::from_str(text)?;
        if previous.format != FORMAT {
            return Err(Unusable::Format(previous.format));
        }
        if previous.selection.hides_findings() {
            return Err(Unusable::Selected);
        }
        Ok(previous)
    }

    /// Each finding by its id.
    fn findings(&self) -> BTreeMap<String, (Option<&str>, &PreviousFinding)> {
        let of_targets = self.targets.iter().flat_map(|target| {
            let findings = target.scan.iter().flat_map(|scan| &scan.findings);
            findings.map(move |it| (Some(target.target.as_str()), it))
        });
        let of_all = self.findings.iter().map(|it| (None, it));
        let named = |(target, it): (Option<_>, &PreviousFinding)| {
            id(target, &it.kind, it.subject.as_deref())
        };
        of_all.chain(of_targets).map(|it| (named(it), it)).collect()
    }
}

impl PreviousFinding {
    /// Whether it counted, and was as urgent as it is now.
    fn covers(&self, now: &Finding) -> bool {
        let accepted = self.acceptance.as_ref().is_some_and(|it| !it.expired);
        self.severity <= now.severity && (!accepted || now.is_accepted())
    }
}

impl PreviousScan {
    fn numbers(&self, at: Timestamp) -> Numbers {
        let internal = |row: &&PreviousCoverage| row.user_type == UserType::Internal;
        Numbers {
            at,
            grade: Some(self.grade.letter),
            internal_ratio: self.coverage.iter().find(internal).and_then(|it| it.ratio),
            privileged_unprotected: self.privileged.as_ref().and_then(|it| it.unprotected),
        }
    }
}

/// Compares a report, of which nothing is left out yet, with a previous one. `configured` are the names of all targets.
///
/// A finding that is gone is fixed only if this report could have found it: otherwise it is unknown whether it is.
pub fn compare(report: &mut Report, previous: &Previous, configured: &[String]) {
    let old = previous.findings();
    let scans = report.targets.iter_mut().filter_map(|it| it.scan.as_mut());
    let findings = scans.flat_map(|scan| &mut scan.findings);
    for finding in findings.chain(&mut report.findings) {
        let known = old
            .get(&finding.id)
            .is_some_and(|(_, it)| it.covers(finding));
        finding.change = Some(if known {
            Change::Unchanged
        } else {
            Change::New
        });
    }
    for target in &mut report.targets {
        let mut targets = previous.targets.iter();
        let same = targets.find(|it| it.target == target.target);
        target.previous =
            same.and_then(|it| Some(it.scan.as_ref()?.numbers(previous.generated_at)));
    }
    let mut baseline = Baseline {
        generated_at: previous.generated_at,
        exporter_version: previous.exporter_version.clone(),
        new: 0,
        unchanged: 0,
        fixed: Vec::new(),
        unknown: Vec::new(),
        removed_targets: names(previous)
            .filter(|name| !configured.contains(name))
            .cloned()
            .collect(),
        added_targets: report
            .targets
            .iter()
            .map(|it| &it.target)
            .filter(|name| !names(previous).any(|it| it == *name))
            .cloned()
            .collect(),
    };
    for (id, (target, finding)) in old {
        match fate(report, &id, target, finding) {
            Fate::There | Fate::NotAsked => {}
            Fate::Fixed => baseline.fixed.push(gone(id, target, finding)),
            Fate::Unknown => baseline.unknown.push(gone(id, target, finding)),
        }
    }
    for list in [&mut baseline.fixed, &mut baseline.unknown] {
        list.sort_by(|a, b| (a.severity, &a.id).cmp(&(b.severity, &b.id)));
    }
    report.baseline = Some(baseline);
    report.count_changes();
}

fn names(previous: &Previous) -> impl Iterator<Item = &String> {
    previous.targets.iter().map(|it| &it.target)
}

fn gone(id: String, target: Option<&str>, finding: &PreviousFinding) -> Gone {
    Gone {
        id,
        target: target.map(str::to_owned),
        kind: finding.kind.clone(),
        subject: finding.subject.clone(),
        severity: finding.severity,
        title: super::build::clean(&finding.title),
    }
}

/// What became of a finding.
enum Fate {
    There,
    Fixed,
    Unknown,
    /// Of a target that this report is not about.
    NotAsked,
}

fn fate(report: &Report, id: &str, target: Option<&str>, finding: &PreviousFinding) -> Fate {
    let there = |findings: &[Finding]| findings.iter().any(|it| it.id == id);
    let Some(target) = target else {
        let all = report.targets.iter().all(|it| it.scan.is_some())
            && report.targets.len() as u64 == report.configured_targets;
        return match (there(&report.findings), all) {
            (true, _) => Fate::There,
            (false, true) => Fate::Fixed,
            (false, false) => Fate::Unknown,
        };
    };
    let Some(now) = report.targets.iter().find(|it| it.target == target) else {
        return Fate::NotAsked;
    };
    match &now.scan {
        Some(scan) if there(&scan.findings) => Fate::There,
        Some(scan) if evaluated(scan, finding) => Fate::Fixed,
        _ => Fate::Unknown,
    }
}

/// Whether the absence of a finding means that it is fixed: what it needs is known, and what it is about is still asked for.
fn evaluated(scan: &Scan, finding: &PreviousFinding) -> bool {
    let Ok(kind) = finding.kind.parse::<Kind>() else {
        return false;
    };
    let subject = finding.subject.as_deref().unwrap_or_default();
    let asked = match kind {
        Kind::EndpointExposed | Kind::SurfaceUnknown => {
            let vantage = subject
                .rsplit_once('/')
                .map_or(subject, |(vantage, _)| vantage);
            scan.surface.iter().any(|it| it.vantage == vantage)
        }
        Kind::PrivilegedWithoutMfa => {
            let roles = scan.privileged.iter().flat_map(|it| &it.roles);
            roles.into_iter().any(|it| it.role == subject)
        }
        Kind::CoverageBelowTarget => {
            let mut rows = scan.coverage.iter();
            rows.any(|it| it.user_type.as_str() == subject && it.target.is_some())
        }
        _ => true,
    };
    asked && !scan.not_evaluated.contains(&kind)
}

impl Report {
    /// Counts what the report shows.
    pub(super) fn count_changes(&mut self) {
        let count = |change| {
            let changes = self.counting().filter(|(_, it)| it.change == Some(change));
            changes.count() as u64
        };
        let (new, unchanged) = (count(Change::New), count(Change::Unchanged));
        if let Some(baseline) = &mut self.baseline {
            (baseline.new, baseline.unchanged) = (new, unchanged);
        }
    }
}

impl TargetReport {
    /// How the grade compares with the previous report: `was D`. Empty without one, or where it is the same.
    pub fn grade_before(&self) -> Option<Letter> {
        let before = self.previous.as_ref()?.grade?;
        let now = self.scan.as_ref()?.grade.letter;
        (before != now).then_some(before)
    }
}
