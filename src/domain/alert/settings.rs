//! Changes of the configuration to the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Rule, Severity, Template, runbook_url};
use crate::domain::exemption::Glob;
use crate::domain::snapshot::Identity;

/// Settings of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// True if it is evaluated.
    pub enabled: bool,
    /// The label `severity`, where the configuration sets one.
    pub severity: Option<Severity>,
    /// Time for which its condition must hold before it fires (`for`).
    pub hold: Duration,
    /// Time for which it keeps firing after its condition ceased to hold (`keep_firing_for`).
    pub keep_firing: Duration,
    /// The number it compares with; not used by rules without a [`threshold`](Rule::threshold).
    pub threshold: f64,
    /// Labels added to its alerts.
    pub labels: BTreeMap<String, String>,
    /// Added to its alerts; one of the same name replaces the rule's own.
    pub annotations: Vec<(String, Template)>,
}

/// Targets that some rules, or all, are not evaluated for.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// All of these must match the target's labels, including `target`.
    pub matchers: Vec<(String, Matcher)>,
    /// The rules; none means all.
    pub rules: BTreeSet<Rule>,
}

/// Matches the value of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// Equal.
    Text(String),
    /// Matches a pattern.
    Glob(Glob),
}

/// All rules with their settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    settings: Vec<Settings>,
    /// Targets and rules that are not evaluated.
    pub silences: Vec<Silence>,
    /// Address under which the exporter serves its runbooks, with a slash at the end; those of the repository if not given.
    pub runbooks: Option<String>,
}

impl Settings {
    fn standard(rule: Rule) -> Self {
        Self {
            enabled: true,
            severity: None,
            hold: Duration::from_secs(rule.standard().1),
            keep_firing: Duration::ZERO,
            threshold: rule.threshold().map_or(0.0, |threshold| threshold.default),
            labels: BTreeMap::new(),
            annotations: Vec::new(),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            settings: Rule::ALL.iter().copied().map(Settings::standard).collect(),
            silences: Vec::new(),
            runbooks: None,
        }
    }
}

impl Rules {
    /// Settings of a rule.
    pub fn get(&self, rule: Rule) -> &Settings {
        &self.settings[rule as usize]
    }

    /// Settings of a rule, to change them.
    pub fn get_mut(&mut self, rule: Rule) -> &mut Settings {
        &mut self.settings[rule as usize]
    }

    /// Address of a rule's runbook.
    pub fn runbook_url(&self, rule: Rule) -> String {
        match &self.runbooks {
            Some(base) => format!("{base}{rule}"),
            None => runbook_url(rule),
        }
    }

    /// Returns true if a rule is evaluated for a target.
    pub(super) fn applies(&self, rule: Rule, target: &Identity) -> bool {
        self.get(rule).enabled
            && !self
                .silences
                .iter()
                .any(|silence| silence.silences(rule, target))
    }
}

impl Silence {
    fn silences(&self, rule: Rule, target: &Identity) -> bool {
        (self.rules.is_empty() || self.rules.contains(&rule))
            && self.matchers.iter().all(|(name, matcher)| {
                let value = if name == "target" {
                    &target.name
                } else {
                    let label = target.labels.iter().find(|(label, _)| label == name);
                    label.map_or("", |(_, value)| value)
                };
                matcher.matches(value)
            })
    }
}

impl Matcher {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text == value,
            Self::Glob(glob) => glob.matches(value),
        }
    }
}
