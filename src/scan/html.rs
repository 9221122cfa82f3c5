//! The report as one page that can be filed, printed and mailed: no script, nothing loaded from elsewhere, charts as SVG.
//!
//! What charts show is in the tables beside them as text. Everything from a server is escaped by the template.

use askama::Template;

use super::text::{grade_text, percent, shown};
use super::{Coverage, Finding, Person, Report, Role, Scan, TargetReport};
use crate::domain::UserType;
use crate::domain::finding::{Severity, grouped};

/// How many people one finding names.
const NAMES: usize = 25;

/// How many things a target's summary, and that of all of them, calls the most urgent.
const URGENT: usize = 5;

/// Writes the report.
pub fn render(report: &Report) -> String {
    Page { report }
        .render()
        .expect("the template only writes into a string")
}

#[derive(Template)]
#[template(path = "scan.html")]
struct Page<'a> {
    report: &'a Report,
}

impl Page<'_> {
    fn when(&self, at: &jiff::Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    fn urgent(&self) -> Vec<(&TargetReport, &Finding)> {
        self.report.findings().take(URGENT).collect()
    }

    fn count(&self, scan: &Scan, severity: Severity) -> usize {
        scan.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    fn internal<'s>(&self, scan: &'s Scan) -> Option<&'s Coverage> {
        scan.coverage
            .iter()
            .find(|row| row.user_type == UserType::Internal)
    }

    fn number(&self, number: &Option<u64>) -> String {
        number.map_or("–".to_owned(), grouped)
    }

    fn count_of(&self, number: &u64) -> String {
        grouped(*number)
    }

    fn percent(&self, ratio: &Option<f64>) -> String {
        ratio.map_or("–".to_owned(), percent)
    }

    fn coverage<'s>(&self, scan: &'s Scan) -> Vec<&'s Coverage> {
        shown(&scan.coverage).collect()
    }

    fn grade(&self, scan: &Scan) -> String {
        grade_text(scan)
    }

    fn who(&self, person: &Person) -> String {
        match (&person.name, &person.login) {
            (Some(name), Some(login)) => format!("{name} <{login}>"),
            _ => format!("res.users {}", person.id),
        }
    }

    fn people(&self, finding: &Finding) -> String {
        let names: Vec<String> = finding
            .people
            .iter()
            .take(NAMES)
            .map(|person| self.who(person))
            .collect();
        let more = finding.people.len().saturating_sub(NAMES) as u64 + finding.more_people;
        match more {
            0 => names.join(", "),
            more => format!("{} and {} more", names.join(", "), grouped(more)),
        }
    }

    /// The length of a bar of 100, in units of the drawing.
    fn bar(&self, ratio: &Option<f64>) -> String {
        format!("{:.1}", ratio.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0)
    }

    fn protected_of_role(&self, role: &Role) -> Option<f64> {
        let unprotected = role.unprotected.filter(|_| role.people > 0)?;
        Some((role.people - unprotected) as f64 / role.people as f64)
    }

    /// How a bar is coloured: by what is wanted, where something is.
    fn class_of(&self, row: &Coverage) -> &'static str {
        match (row.ratio, row.target) {
            (Some(is), Some(wanted)) if is < wanted => "low",
            (Some(_), Some(_)) => "full",
            _ => "some",
        }
    }

    fn class_of_role(&self, role: &Role) -> &'static str {
        match (role.unprotected, role.unprotected_past_grace) {
            (_, Some(1..)) => "low",
            (Some(0), _) => "full",
            _ => "some",
        }
    }
}
