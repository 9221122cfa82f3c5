//! Presentation of one target on pages. The tables beside the charts have the same numbers as text.

use super::text::{grade_text, percent, shown};
use super::{Coverage, Finding, Person, Role, Scan};
use crate::domain::finding::grouped;

/// Maximum number of users named in a finding.
const NAMES: usize = 25;

/// Adapter of the template `scan_body.html` for the report of one target.
pub trait Show {
    /// A time, to the minute.
    fn when(&self, at: &jiff::Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// A number, or a dash if it is unknown.
    fn number(&self, number: &Option<u64>) -> String {
        number.map_or("–".to_owned(), grouped)
    }

    /// A number.
    fn count_of(&self, number: &u64) -> String {
        grouped(*number)
    }

    /// A share, or a dash if it is unknown.
    fn percent(&self, ratio: &Option<f64>) -> String {
        ratio.map_or("–".to_owned(), percent)
    }

    /// The types that are worth a row.
    fn coverage<'s>(&self, scan: &'s Scan) -> Vec<&'s Coverage> {
        shown(&scan.coverage).collect()
    }

    /// The letter.
    fn grade(&self, scan: &Scan) -> String {
        grade_text(scan)
    }

    /// A user.
    fn who(&self, person: &Person) -> String {
        match (&person.name, &person.login) {
            (Some(name), Some(login)) => format!("{name} <{login}>"),
            _ => format!("res.users {}", person.id),
        }
    }

    /// Affected users of a finding.
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

    /// True if the grade and the findings are part of it.
    fn is_whole(&self) -> bool {
        true
    }

    /// A number of users, as a link to their list where there is one: in a state, of a type or in a role.
    fn linked(&self, number: &Option<u64>, _state: &str, _by: &str, _word: &str) -> String {
        self.number(number)
    }

    /// The same for a number that is always known.
    fn linked_of(&self, number: &u64, state: &str, by: &str, word: &str) -> String {
        self.linked(&Some(*number), state, by, word)
    }

    /// Address of the details, for authorized readers.
    fn link(&self, _finding: &Finding) -> Option<String> {
        None
    }

    /// A share as a bar of HTML, with a mark at the wanted one.
    fn chart(&self, ratio: &Option<f64>, wanted: &Option<f64>, class: &str) -> String {
        let length = |ratio: f64| format!("{:.1}", ratio.clamp(0.0, 1.0) * 100.0);
        let mark = wanted.map_or_else(String::new, |wanted| {
            format!(
                r#"<rect class="wanted" x="{}" width="0.8" height="10"/>"#,
                length(wanted)
            )
        });
        format!(
            r#"<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}"><rect class="track" width="100" height="10"/><rect class="{class}" width="{}" height="10"/>{mark}</svg>"#,
            self.percent(ratio),
            length(ratio.unwrap_or(0.0)),
        )
    }

    /// Protected users of a role.
    fn protected_of_role(&self, role: &Role) -> Option<f64> {
        let unprotected = role.unprotected.filter(|_| role.people > 0)?;
        Some((role.people - unprotected) as f64 / role.people as f64)
    }

    /// The same as a bar.
    fn chart_of_role(&self, role: &Role) -> String {
        let class = match (role.unprotected, role.unprotected_past_grace) {
            (_, Some(1..)) => "low",
            (Some(0), _) => "full",
            _ => "some",
        };
        self.chart(&self.protected_of_role(role), &None, class)
    }

    /// Color of a bar: by the coverage target, if there is one.
    fn class_of(&self, row: &Coverage) -> &'static str {
        class_of(row.ratio, row.target)
    }
}

/// Color of the bar of a share, by the coverage target.
pub fn class_of(is: Option<f64>, wanted: Option<f64>) -> &'static str {
    match (is, wanted) {
        (Some(is), Some(wanted)) if is < wanted => "low",
        (Some(_), Some(_)) => "full",
        _ => "some",
    }
}
