//! Accepted findings: which findings the organization lives with, why, who approved it, and until when.
//!
//! They change reports and grades. Alerts and metrics do not know them.

use jiff::civil::Date;

use super::exemption::Glob;
use super::finding::Kind;

/// One entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Which kind of finding.
    pub finding: Kind,
    /// Only the finding about this; `None`: all of the kind.
    pub subject: Option<String>,
    /// Targets by name or pattern; empty: every target.
    pub targets: Vec<Glob>,
    /// Why.
    pub reason: String,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Where it was decided.
    pub ticket: Option<String>,
    /// The last day on which it holds, in UTC; `None`: for ever.
    pub expires: Option<Date>,
}

impl Acceptance {
    /// Whether it concerns a target.
    pub fn concerns(&self, target: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|glob| glob.matches(target))
    }

    /// Whether it is about a finding, in force or not.
    pub fn is_about(&self, kind: Kind, subject: Option<&str>) -> bool {
        self.finding == kind && (self.subject.is_none() || self.subject.as_deref() == subject)
    }

    /// Whether it has ceased to hold on that day.
    pub fn expired_on(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| last < today)
    }

    /// What it accepts, in words: the kind, and the subject where it names one.
    pub fn what(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{} of {subject}", self.finding),
            None => self.finding.to_string(),
        }
    }
}

/// The entries that concern one target, on one day.
#[derive(Debug, Clone, Default)]
pub struct Accepted<'a> {
    entries: Vec<&'a Acceptance>,
    today: Date,
}

impl<'a> Accepted<'a> {
    /// Those of these that concern a target.
    pub fn of(entries: &'a [Acceptance], target: &str, today: Date) -> Self {
        Self {
            entries: entries.iter().filter(|it| it.concerns(target)).collect(),
            today,
        }
    }

    /// Whether an entry in force accepts a finding.
    pub fn accepts(&self, kind: Kind, subject: Option<&str>) -> bool {
        self.entry(kind, subject)
            .is_some_and(|entry| !entry.expired_on(self.today))
    }

    /// The entry about a finding: one that is in force, or else one that has expired.
    pub fn entry(&self, kind: Kind, subject: Option<&str>) -> Option<&'a Acceptance> {
        let about = self.entries.iter().filter(|it| it.is_about(kind, subject));
        about.copied().min_by_key(|it| it.expired_on(self.today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptance(subject: Option<&str>, targets: &[&str], expires: Option<Date>) -> Acceptance {
        let targets = targets.iter().map(|it| it.parse().expect("a pattern"));
        Acceptance {
            finding: Kind::PrivilegedWithoutMfa,
            subject: subject.map(str::to_owned),
            targets: targets.collect(),
            reason: "a reason".to_owned(),
            approved_by: None,
            ticket: None,
            expires,
        }
    }

    #[test]
    fn an_entry_holds_for_its_targets_its_subject_and_until_its_last_day() {
        let (last, after) = (jiff::civil::date(2027, 1, 1), jiff::civil::date(2027, 1, 2));
        let entries = [
            acceptance(Some("hr"), &["erp", "test-*"], Some(last)),
            acceptance(Some("sales"), &[], None),
        ];
        let accepts = |target: &str, today, kind, subject| {
            Accepted::of(&entries, target, today).accepts(kind, subject)
        };
        let kind = Kind::PrivilegedWithoutMfa;
        assert!(accepts("erp", last, kind, Some("hr")));
        assert!(accepts("test-1", last, kind, Some("hr")));
        assert!(!accepts("erp2", last, kind, Some("hr")));
        assert!(!accepts("erp", after, kind, Some("hr")));
        assert!(!accepts("erp", last, Kind::AdminWithoutMfa, Some("hr")));
        assert!(accepts("shop", after, kind, Some("sales")));
        assert!(!accepts("shop", after, kind, None));
        let expired = Accepted::of(&entries, "erp", after);
        assert!(
            expired.entry(kind, Some("hr")).is_some(),
            "it is still known"
        );
    }

    #[test]
    fn an_entry_in_force_wins_over_an_expired_one() {
        let entries = [
            acceptance(None, &[], Some(jiff::civil::date(2026, 1, 1))),
            acceptance(None, &[], None),
        ];
        let accepted = Accepted::of(&entries, "erp", jiff::civil::date(2027, 1, 1));
        assert!(accepted.accepts(Kind::PrivilegedWithoutMfa, Some("hr")));
    }
}
