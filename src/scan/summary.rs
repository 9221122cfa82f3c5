//! What a manager wants to know of all targets: the grades, the worst targets, the most urgent kinds of findings.

use std::cmp::Reverse;

use super::{Finding, Report, TargetReport};
use crate::domain::finding::{Kind, Severity};
use crate::domain::grade::Letter;

/// Findings of one kind, on all targets.
#[derive(Debug)]
pub struct Group<'a> {
    /// The kind.
    pub kind: Kind,
    /// The most urgent of them.
    pub severity: Severity,
    /// The finding itself where there is one, or the kind.
    pub title: &'a str,
    /// The targets, each once, in their order; empty: the configuration.
    pub targets: Vec<&'a str>,
    /// How many users they concern together, as far as ids are known. A user of two targets counts twice.
    pub users: u64,
    /// How many of them the previous report did not have.
    pub new: u64,
}

impl Report {
    /// The kinds of findings that count, the most urgent first; within one severity, the kind's order, as in a target.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (target, finding) in self.counting() {
            match groups.iter_mut().find(|it| it.kind == finding.kind) {
                Some(group) => group.add(target, finding),
                None => groups.push(Group::of(target, finding)),
            }
        }
        groups
    }

    /// The targets, the worst first: those that could not be read, then by grade, then by findings.
    pub fn worst_first(&self) -> Vec<&TargetReport> {
        let mut targets: Vec<&TargetReport> = self.targets.iter().collect();
        targets.sort_by_key(|target| {
            let scan = target.scan.as_ref();
            let count = |severity| scan.map_or(0, |scan| scan.count(severity));
            (
                scan.is_some(),
                Reverse(scan.map_or(Letter::F, |scan| scan.grade.letter)),
                Reverse(count(Severity::Critical)),
                Reverse(count(Severity::Warning)),
            )
        });
        targets
    }

    /// How many targets have each letter, the best first.
    pub fn grades(&self) -> Vec<(Letter, u64)> {
        let scans = || self.targets.iter().filter_map(|it| it.scan.as_ref());
        let count = |letter: Letter| scans().filter(|it| it.grade.letter == letter).count();
        let letters = Letter::ALL.iter().copied();
        letters.map(|it| (it, count(it) as u64)).collect()
    }

    /// How many targets could be read.
    pub fn read(&self) -> u64 {
        self.targets.iter().filter(|it| it.scan.is_some()).count() as u64
    }

    /// How many findings of a severity count.
    pub fn count(&self, severity: Severity) -> u64 {
        self.counting()
            .filter(|(_, it)| it.severity == severity)
            .count() as u64
    }

    /// The accepted findings with their targets.
    pub fn accepted(&self) -> Vec<(Option<&TargetReport>, &Finding)> {
        let all = self.all().into_iter();
        all.filter(|(_, it)| it.is_accepted()).collect()
    }
}

impl<'a> Group<'a> {
    fn of(target: Option<&'a TargetReport>, finding: &'a Finding) -> Self {
        let mut group = Self {
            kind: finding.kind,
            severity: finding.severity,
            title: &finding.title,
            targets: Vec::new(),
            users: 0,
            new: 0,
        };
        group.note(target, finding);
        group
    }

    fn add(&mut self, target: Option<&'a TargetReport>, finding: &Finding) {
        self.title = self.kind.title();
        self.severity = self.severity.min(finding.severity);
        self.note(target, finding);
    }

    fn note(&mut self, target: Option<&'a TargetReport>, finding: &Finding) {
        let name = target.map(|it| it.target.as_str());
        if self.targets.last().copied() != name {
            self.targets.extend(name);
        }
        self.users += finding.concerned();
        self.new += u64::from(finding.change == Some(super::Change::New));
    }
}
