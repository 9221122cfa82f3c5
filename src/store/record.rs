//! One poll's result, in one transaction.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::TransactionBehavior;

use super::file::Open;
use super::history::{self, Headline};
use super::worker::Fault;
use super::{Limits, baseline, changes, counters, last_poll};
use crate::domain::facts::{Gap, Server};
use crate::domain::transition::{
    Answers, Baseline, Break, Change, Counters, Found, Recent, advance,
};
use crate::domain::{Capability, Posture};

/// What a successful poll found.
#[derive(Debug, Clone)]
pub struct PollRecord {
    /// The target's name.
    pub target: String,
    /// Its configuration's.
    pub fingerprint: u64,
    /// When the poll ended.
    pub ended: Timestamp,
    /// What the next poll is compared with.
    pub baseline: Baseline,
    /// What Odoo answered to [`crate::domain::transition::questions`] about the store's baseline and this one.
    pub answers: Answers,
    /// The numbers.
    pub posture: Arc<Posture>,
    /// Which server answered.
    pub server: Server,
    /// The capabilities that were asked for, and why one is missing.
    pub capabilities: Arc<[(Capability, Option<Gap>)]>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What changed since the poll before; nothing at the first poll and after a break.
    pub changes: Vec<Change>,
    /// Why the two could not be compared, if so.
    pub found_break: Option<Break>,
    /// The counters with these changes in them.
    pub counters: Counters,
    /// What alerts must remember.
    pub recent: Recent,
}

/// The last baseline, which is kept until the poll that asks for it is written down.
pub(super) fn ask(open: &mut Open, target: String) -> Result<Option<Arc<Baseline>>, Fault> {
    // Of a poll that was given up.
    open.asked.remove(&target);
    let Some((id, baseline)) = baseline::load(open, &target)? else {
        return Ok(None);
    };
    let baseline = Arc::new(baseline);
    open.asked.insert(target, (id, Arc::clone(&baseline)));
    Ok(Some(baseline))
}

pub(super) fn record(
    open: &mut Open,
    poll: &PollRecord,
    limits: &Limits,
) -> Result<Recorded, Fault> {
    let asked = open.asked.remove(&poll.target);
    let transaction = open.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = match asked {
        Some(known) => Some(known),
        None => baseline::load(&transaction, &poll.target)?
            .map(|(id, baseline)| (id, Arc::new(baseline))),
    };
    let previous = known.as_ref().map(|(_, baseline)| &**baseline);
    let before = match &known {
        Some((id, _)) => counters::load(&transaction, *id)?,
        None => Counters::default(),
    };
    let step = advance(previous, poll.baseline.clone(), &poll.answers)?;
    let mut now = before.clone();
    now.begin(&step.baseline);
    let (changes, found_break) = match step.found {
        Found::First => (Vec::new(), None),
        Found::Changes(changes) => (changes, None),
        Found::Break(found) => (Vec::new(), Some(found)),
    };
    now.add(&changes);
    now.breaks += u64::from(found_break.is_some());

    let id = baseline::save(&transaction, &poll.target, previous, &step.baseline)?;
    counters::save(&transaction, id, &before, &now)?;
    changes::add(&transaction, id, &changes, &poll.answers.people, limits)?;
    if let (Some(found), Some(previous)) = (&found_break, previous) {
        changes::add_break(
            &transaction,
            id,
            found,
            (previous.at, step.baseline.at),
            limits,
        )?;
    }
    history::add(
        &transaction,
        id,
        step.baseline.at,
        &Headline::of(&poll.posture),
        limits,
    )?;
    last_poll::save(&transaction, id, poll)?;
    transaction.commit()?;
    if let Some(found) = &found_break {
        tracing::warn!(
            target = poll.target,
            kind = found.as_str(),
            "changes since the last poll are not counted: {found}"
        );
    }
    Ok(Recorded {
        changes,
        found_break,
        counters: now,
        recent: step.baseline.recent,
    })
}

/// A time that was written as seconds.
pub(super) fn stored(seconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_second(seconds).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// A number that was written by [`signed`].
pub(super) fn count(value: i64) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::Corrupt(format!("{value} is no count")))
}

/// A count as SQLite keeps it.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A hash as SQLite keeps it: the same bits.
pub(super) fn bits(hash: u64) -> i64 {
    hash.cast_signed()
}
