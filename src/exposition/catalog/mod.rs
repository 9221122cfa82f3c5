//! The one declaration of every metric family: name, type, unit, help, labels, and where its samples come from.
//!
//! The encoders, the reference in `docs/metrics.md` and the checks of rules and dashboards all read it.

mod enforcement;
mod exporter;
mod keys;
mod people;
mod polls;
mod privileged;
mod samples;

pub use exporter::{ExporterReading, TargetStates};
pub use samples::{Samples, Value};

use crate::domain::transition::Counters;
use crate::domain::{Posture, TargetSnapshot, UserType};

/// All families, in the order in which they are exported and documented.
pub static CATALOG: &[Section] = &[
    polls::SECTION,
    people::SECTION,
    privileged::SECTION,
    keys::SECTION,
    enforcement::SECTION,
    exporter::SECTION,
    exporter::PROCESS,
];

/// Families that belong together.
#[derive(Debug)]
pub struct Section {
    /// The heading in the reference.
    pub title: &'static str,
    /// Remarks that apply to all of them.
    pub intro: &'static str,
    /// The families.
    pub families: &'static [Family],
}

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// The full name, as it stands before the labels of a sample; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// One sentence, exported as HELP. No quotes and backslashes: the formats escape them differently.
    pub help: &'static str,
    /// Additional remarks of the reference.
    pub notes: &'static str,
    /// Its own labels. Families of targets also have `target` and the labels that the configuration gives the target.
    pub labels: &'static [Label],
    /// Source of its samples.
    pub source: Source,
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, except by a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A label of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Every value that it can have; empty where the configuration or Odoo's version decides.
    pub values: &'static [&'static str],
}

/// Source of samples.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A target, whether its numbers are known or not.
    Target(fn(&TargetSnapshot, &mut Samples)),
    /// The numbers of a target: absent while they are not proven true.
    Posture(fn(&Posture, &mut Samples)),
    /// The counters of a target: they stay while polls fail.
    Counters(fn(&Counters, &mut Samples)),
    /// The exporter.
    Exporter(fn(&ExporterReading, &mut Samples)),
}

/// Every family.
pub fn families() -> impl Iterator<Item = &'static Family> {
    CATALOG.iter().flat_map(|section| section.families)
}

/// The family of this name.
pub fn family(name: &str) -> Option<&'static Family> {
    families().find(|family| family.name == name)
}

impl Family {
    /// The unit that the name ends with, before `_total`.
    pub fn unit(&self) -> Option<&'static str> {
        let (_, last) = self.metric_name().rsplit_once('_')?;
        ["seconds", "bytes", "ratio"]
            .into_iter()
            .find(|unit| *unit == last)
    }

    /// The name of the metric, which in OpenMetrics is not that of its samples: without a counter's `_total`.
    pub fn metric_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// Returns true if its samples carry the labels of a target.
    pub fn is_of_targets(&self) -> bool {
        match self.source {
            Source::Target(_) | Source::Posture(_) | Source::Counters(_) => true,
            Source::Exporter(_) => false,
        }
    }

    const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind,
            help,
            notes: "",
            labels: &[],
            source: Source::Target(|_, _| {}),
        }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Histogram, name, help)
    }

    const fn notes(mut self, notes: &'static str) -> Self {
        self.notes = notes;
        self
    }

    const fn labels(mut self, labels: &'static [Label]) -> Self {
        self.labels = labels;
        self
    }

    const fn target(mut self, read: fn(&TargetSnapshot, &mut Samples)) -> Self {
        self.source = Source::Target(read);
        self
    }

    const fn posture(mut self, read: fn(&Posture, &mut Samples)) -> Self {
        self.source = Source::Posture(read);
        self
    }

    const fn counters(mut self, read: fn(&Counters, &mut Samples)) -> Self {
        self.source = Source::Counters(read);
        self
    }

    const fn exporter(mut self, read: fn(&ExporterReading, &mut Samples)) -> Self {
        self.source = Source::Exporter(read);
        self
    }
}

impl Kind {
    /// The word of both text formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Label {
    /// A label with a closed set of values.
    const fn closed(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, values }
    }

    /// A label whose values the configuration or Odoo's version decides.
    const fn open(name: &'static str) -> Self {
        Self { name, values: &[] }
    }
}

/// The label of most families about users.
pub const USER_TYPE: Label = Label::closed("user_type", UserType::WORDS);
