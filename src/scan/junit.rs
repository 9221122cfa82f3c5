//! The report as JUnit XML, for CI: a suite for each target, and in it a case for each finding and for each kind that was looked for in vain.
//!
//! There is no official schema. What is written here is valid by the two that are in use (tests/fixtures/junit).

use std::collections::BTreeSet;

use askama::Template;
use jiff::Timestamp;

use super::text::grade_text;
use super::{Change, Finding, Report, Scan, TargetReport};
use crate::domain::finding::{Kind, OF_ALL_TARGETS, Severity};

/// Writes the report. Findings fail if they are at least as urgent as `fail_on`; with `only_new`, if the previous report did not have them as well.
pub fn render(report: &Report, fail_on: Severity, only_new: bool) -> String {
    let terms = Terms {
        report,
        fail_on,
        only_new,
    };
    let mut suites: Vec<Suite> = report.targets.iter().map(|it| terms.target(it)).collect();
    if !report.findings.is_empty() {
        suites.push(terms.configuration());
    }
    let run_by = report.run_by.as_deref().unwrap_or_default();
    let host = run_by
        .rsplit_once('@')
        .map_or("localhost", |(_, host)| host);
    let page = Page {
        host: printable(host),
        suites,
    };
    page.render()
        .expect("the template only writes into a string")
}

#[derive(Template)]
#[template(path = "junit.xml", escape = "html")]
struct Page {
    host: String,
    suites: Vec<Suite>,
}

struct Suite {
    name: String,
    /// A dot would begin a package.
    class: String,
    at: String,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
    output: String,
}

struct Case {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    /// Why.
    Skipped(String),
    /// Type, message and text.
    Failed(&'static str, String, String),
    /// The same.
    Error(&'static str, String, String),
}

impl Suite {
    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.cases.iter().filter(|it| is(&it.outcome)).count()
    }

    fn failures(&self) -> usize {
        self.count(|it| matches!(it, Outcome::Failed(..)))
    }

    fn errors(&self) -> usize {
        self.count(|it| matches!(it, Outcome::Error(..)))
    }

    fn skipped(&self) -> usize {
        self.count(|it| matches!(it, Outcome::Skipped(_)))
    }
}

struct Terms<'a> {
    report: &'a Report,
    fail_on: Severity,
    only_new: bool,
}

impl Terms<'_> {
    fn target(&self, target: &TargetReport) -> Suite {
        let (at, properties, cases) = match &target.scan {
            Some(scan) => (scan.polled_at, properties(scan), self.cases(scan)),
            None => (
                self.report.generated_at,
                Vec::new(),
                vec![unreachable(target)],
            ),
        };
        let output = target.scan.as_ref().map(|scan| self.output(scan));
        self.suite(&target.target, at, properties, cases, output)
    }

    fn configuration(&self) -> Suite {
        let cases = self.report.findings.iter().map(|it| self.case(it));
        let at = self.report.generated_at;
        self.suite("configuration", at, Vec::new(), cases.collect(), None)
    }

    fn suite(
        &self,
        name: &str,
        at: Timestamp,
        mut properties: Vec<(&'static str, String)>,
        cases: Vec<Case>,
        output: Option<String>,
    ) -> Suite {
        properties.push(("version", self.report.exporter_version.to_owned()));
        Suite {
            name: printable(name),
            class: format!("odoo-mfa-exporter.{}", printable(name).replace('.', "_")),
            at: at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            properties,
            cases,
            output: output.unwrap_or_default(),
        }
    }

    /// Findings first, then the kinds that were not found. A kind that could not be looked for is skipped.
    fn cases(&self, scan: &Scan) -> Vec<Case> {
        let found: BTreeSet<Kind> = scan.findings.iter().map(|it| it.kind).collect();
        let absent = Kind::ALL.iter().filter(|kind| {
            !found.contains(kind)
                && !OF_ALL_TARGETS.contains(kind)
                && self.report.selection.has_kind(kind.as_str())
        });
        let absent = absent.map(|kind| Case {
            name: kind.to_string(),
            outcome: if scan.not_evaluated.contains(kind) {
                Outcome::Skipped(not_evaluated(*kind))
            } else {
                Outcome::Passed
            },
        });
        let findings = scan.findings.iter().map(|it| self.case(it));
        findings.chain(absent).collect()
    }

    fn case(&self, finding: &Finding) -> Case {
        let known = self.only_new && finding.change == Some(Change::Unchanged);
        let title = printable(&finding.title);
        let outcome = if let Some(reason) = accepted(finding) {
            Outcome::Skipped(reason)
        } else if finding.severity > self.fail_on {
            Outcome::Passed
        } else if finding.kind == Kind::CapabilityMissing {
            Outcome::Error("incomplete", title, text(finding))
        } else if known {
            Outcome::Skipped(format!("The previous report has it: {title}"))
        } else {
            Outcome::Failed(finding.severity.as_str(), title, text(finding))
        };
        let name = match &finding.subject {
            Some(subject) => format!("{}/{subject}", finding.kind),
            None => finding.kind.to_string(),
        };
        Case {
            name: printable(&name),
            outcome,
        }
    }

    /// How complete it is, and the findings that fail nothing.
    fn output(&self, scan: &Scan) -> String {
        let mut lines = vec![scan.completeness()];
        let quiet = scan.counting().filter(|it| it.severity > self.fail_on);
        lines.extend(quiet.map(|it| format!("{}: {}", it.severity, it.title)));
        printable(&lines.join("\n"))
    }
}

fn properties(scan: &Scan) -> Vec<(&'static str, String)> {
    vec![
        ("grade", grade_text(scan)),
        ("odoo", printable(&scan.server_version)),
    ]
}

fn unreachable(target: &TargetReport) -> Case {
    let error = target.error.as_ref();
    let message = error.map_or("not read", |it| it.message.as_str());
    let hint = error.and_then(|it| it.hint).unwrap_or_default();
    Case {
        name: "reachable".to_owned(),
        outcome: Outcome::Error(
            "unreachable",
            printable(message),
            printable(format!("{message}\n{hint}").trim_end()),
        ),
    }
}

fn not_evaluated(kind: Kind) -> String {
    match kind {
        Kind::EndpointExposed | Kind::SurfaceUnknown => {
            "Not evaluated: no vantage point knows which endpoints are reachable".to_owned()
        }
        _ => "Not evaluated: the polling account does not see what it needs".to_owned(),
    }
}

fn accepted(finding: &Finding) -> Option<String> {
    let acceptance = finding.acceptance.as_ref().filter(|it| !it.expired)?;
    Some(printable(&format!("Accepted: {}", acceptance.in_words())))
}

fn text(finding: &Finding) -> String {
    let mut lines = vec![
        finding.title.clone(),
        finding.detail.clone(),
        format!("What to do: {}", finding.what_to_do),
    ];
    if finding.concerned() > 0 {
        lines.push(format!("Affected users: {}", finding.concerned()));
    }
    let controls = finding.controls_in_words();
    if !controls.is_empty() {
        lines.push(format!("Controls: {controls}"));
    }
    printable(&lines.join("\n"))
}

/// Without the characters that XML 1.0 cannot hold, escaped or not.
fn printable(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() || *c == '\n';
    let allowed = |c: &char| allowed(c) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|c| if allowed(&c) { c } else { '\u{fffd}' })
        .collect()
}
