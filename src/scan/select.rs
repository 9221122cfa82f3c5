//! What of a report is shown: the severe findings, one framework's, some targets.

use serde::{Deserialize, Serialize};

use super::Report;
use crate::domain::finding::controls::Framework;
use crate::domain::finding::{Kind, Severity};

/// What a report is limited to. It limits what is shown: grades and exit codes are of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Targets that were named.
    pub targets: Vec<String>,
    /// Labels that the targets have.
    pub target_labels: Vec<(String, String)>,
    /// Findings of this severity, and of higher ones.
    pub severity: Option<Severity>,
    /// Findings that concern a control of this framework.
    pub framework: Option<Framework>,
}

impl Selection {
    /// Whether it shows some findings of a target and leaves out others.
    pub fn hides_findings(&self) -> bool {
        self.severity.is_some() || self.framework.is_some()
    }

    /// Whether a target with these labels is shown.
    pub fn has_target(&self, name: &str, labels: &[(String, String)]) -> bool {
        let named = self.targets.is_empty() || self.targets.iter().any(|it| it == name);
        named && self.target_labels.iter().all(|it| labels.contains(it))
    }

    /// Whether findings of a kind are shown.
    pub(super) fn has_kind(&self, kind: &str) -> bool {
        let Some(framework) = self.framework else {
            return true;
        };
        kind.parse::<Kind>()
            .is_ok_and(|kind| concerns(framework, kind))
    }

    fn has(&self, kind: &str, severity: Severity) -> bool {
        self.severity.is_none_or(|least| severity <= least) && self.has_kind(kind)
    }
}

/// Whether a kind concerns a control of a framework.
fn concerns(framework: Framework, kind: Kind) -> bool {
    crate::domain::finding::controls::controls(kind).any(|it| it.framework == framework)
}

impl Report {
    /// Leaves in the report what is selected, and notes the selection.
    pub fn select(&mut self, selection: Selection) {
        let keep = |it: &super::Finding| selection.has(it.kind.as_str(), it.severity);
        self.findings.retain(keep);
        for scan in self.targets.iter_mut().filter_map(|it| it.scan.as_mut()) {
            scan.findings.retain(keep);
            scan.not_evaluated
                .retain(|kind| selection.has_kind(kind.as_str()));
        }
        let findings = self.targets.iter_mut().filter_map(|it| it.scan.as_mut());
        let findings = findings.flat_map(|scan| &mut scan.findings);
        if let Some(framework) = selection.framework {
            for finding in findings.chain(&mut self.findings) {
                finding.controls.retain(|it| it.framework == framework);
            }
        }
        if let Some(baseline) = &mut self.baseline {
            let keep = |it: &super::Gone| selection.has(&it.kind, it.severity);
            baseline.fixed.retain(keep);
            baseline.unknown.retain(keep);
        }
        if selection.hides_findings() {
            self.count_changes();
        }
        self.selection = selection;
    }
}
