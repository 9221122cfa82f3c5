//! The targets that a list is about, and those of them that are missing in it.

use futures::{StreamExt, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::roster::Unlisted;

use super::{Asked, Directory, PATIENCE, Refused, TARGETS_AT_ONCE, Which};

/// A target that is missing in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Silent {
    /// Its name.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Remedy.
    pub hint: String,
}

impl Silent {
    pub(super) fn new(target: &str, refused: &Refused) -> Self {
        Self {
            target: target.to_owned(),
            reason: refused.to_string(),
            hint: refused.hint().to_owned(),
        }
    }
}

/// Number of rows of a target in a list, by its last poll; or the reason why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its name.
    pub target: String,
    /// Number of rows.
    pub count: Result<u64, Refused>,
}

/// One target's part of a list.
pub(super) struct Part<T> {
    pub(super) asked: Asked,
    pub(super) what: T,
}

/// The targets of a list.
pub(super) struct Scope<T> {
    /// Those whose part is known, in the order of their names.
    pub(super) parts: Vec<Part<T>>,
    /// Those that are missing.
    pub(super) silent: Vec<Silent>,
    /// Number of targets.
    pub(super) targets: usize,
}

impl Directory {
    /// The targets that are meant, with what a poll found about each. A list about one target is refused with what that target says.
    pub(super) fn scope<T>(
        &self,
        which: Which<'_>,
        select: impl Fn(&Asked) -> Result<T, Refused>,
    ) -> Result<Scope<T>, Refused> {
        let known = |name: &&String| self.board.find(name).is_none();
        if let Some(unknown) = which.targets.iter().find(known) {
            return Err(Refused::NoSuchTarget(unknown.clone()));
        }
        let all = self.board.snapshots();
        let mut chosen: Vec<_> = all
            .iter()
            .filter(|snapshot| which.contains(&snapshot.identity))
            .collect();
        chosen.sort_by(|a, b| a.identity.name.cmp(&b.identity.name));
        let targets = chosen.len();
        let (mut parts, mut silent) = (Vec::new(), Vec::new());
        let mut first = None;
        for snapshot in chosen {
            let asked = self.ask(snapshot);
            match asked.and_then(|asked| Ok((select(&asked)?, asked))) {
                Ok((what, mut asked)) => {
                    if targets > 1 {
                        asked.deadline = asked.deadline.min(PATIENCE);
                    }
                    parts.push(Part { asked, what });
                }
                Err(refused) => {
                    silent.push(Silent::new(&snapshot.identity.name, &refused));
                    // A role that no target has is misspelled: that is what to say first.
                    if first.is_none()
                        || matches!(refused, Refused::Unlisted(Unlisted::NoSuchRole(_)))
                    {
                        first = Some(refused);
                    }
                }
            }
        }
        match first {
            Some(refused) if targets == 1 => Err(refused),
            Some(refused) if parts.is_empty() => Err(Refused::Nowhere {
                targets,
                first: Box::new(refused),
            }),
            _ => Ok(Scope {
                parts,
                silent,
                targets,
            }),
        }
    }

    /// Number of rows by target.
    pub(super) fn counts(
        &self,
        which: Which<'_>,
        count: impl Fn(&Asked) -> Result<u64, Refused>,
    ) -> Vec<Counted> {
        let chosen = self.board.snapshots();
        let mut counts: Vec<Counted> = chosen
            .iter()
            .filter(|snapshot| which.contains(&snapshot.identity))
            .map(|snapshot| Counted {
                target: snapshot.identity.name.clone(),
                count: self.ask(snapshot).and_then(|asked| count(&asked)),
            })
            .collect();
        counts.sort_by(|a, b| a.target.cmp(&b.target));
        counts
    }
}

impl<T> Scope<T> {
    /// The oldest of the polls.
    pub(super) fn as_of(&self) -> Option<Timestamp> {
        let polls = self.parts.iter().map(|part| part.asked.roster.facts.now);
        polls.min()
    }

    /// Takes the answers of the parts. A target that gives none is missing from now on; if it is the only one, so is the list.
    pub(super) async fn answers<R>(
        &mut self,
        reads: Vec<(usize, impl Future<Output = Result<R, Refused>> + Send)>,
    ) -> Result<Vec<(usize, R)>, Refused> {
        let reads = reads
            .into_iter()
            .map(|(part, read)| async move { (part, read.await) });
        let answers: Vec<_> = stream::iter(reads)
            .buffered(TARGETS_AT_ONCE)
            .collect()
            .await;
        let mut found = Vec::new();
        for (part, answer) in answers {
            match answer {
                Ok(answer) => found.push((part, answer)),
                Err(refused) if self.targets == 1 => return Err(refused),
                Err(refused) => {
                    let target = self.parts[part].asked.name();
                    if !self.silent.iter().any(|silent| silent.target == target) {
                        self.silent.push(Silent::new(target, &refused));
                    }
                }
            }
        }
        Ok(found)
    }
}
