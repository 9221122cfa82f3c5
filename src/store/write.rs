//! One poll's result, in one transaction.

use std::sync::Arc;

use rusqlite::TransactionBehavior;

use super::file::Open;
use super::history::{self, Headline};
use super::worker::Fault;
use super::{Limits, PollRecord, Recorded, baseline, changes, counters, last_poll};
use crate::domain::transition::{Baseline, Counters, Found, advance};

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
    history::add_roles(&transaction, id, step.baseline.at, &poll.posture)?;
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
            "changes since the last poll do not count: {found}"
        );
    }
    Ok(Recorded {
        changes,
        found_break,
        counters: now,
        recent: step.baseline.recent,
    })
}
