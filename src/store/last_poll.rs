//! The result of each target's last poll, so that a restart leaves no gap.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::record::{PollRecord, bits, stored};
use super::worker::Fault;
use crate::domain::facts::{Gap, Server};
use crate::domain::{Capability, Posture};

/// The result of a poll of before the start.
#[derive(Debug, Clone, PartialEq)]
pub struct LastPoll {
    /// Time at which it ended.
    pub at: Timestamp,
    /// The numbers.
    pub posture: Posture,
    /// The server that answered.
    pub server: Server,
    /// The capabilities that were asked for, and why one was missing.
    pub capabilities: Vec<(Capability, Option<Gap>)>,
}

/// As written down.
#[derive(Serialize)]
struct Written<'a> {
    posture: &'a Posture,
    server: &'a Server,
    capabilities: &'a [(Capability, Option<Gap>)],
}

/// As read.
#[derive(Deserialize)]
struct Found {
    posture: Posture,
    server: Server,
    capabilities: Vec<(Capability, Option<Gap>)>,
}

pub(super) fn save(
    transaction: &Transaction<'_>,
    target: i64,
    poll: &PollRecord,
) -> Result<(), Fault> {
    let written = Written {
        posture: &poll.posture,
        server: &poll.server,
        capabilities: &poll.capabilities,
    };
    // Not compressed: that takes as long as all the rest of the transaction.
    let result = serde_json::to_vec(&written)
        .map_err(|error| Fault::Corrupt(format!("cannot encode the result of a poll: {error}")))?;
    transaction
        .prepare_cached(
            "INSERT INTO last_poll (target, at, success, fingerprint, result) VALUES (?1, ?2, 1, ?3, ?4)
             ON CONFLICT DO UPDATE SET at = excluded.at, success = 1, fingerprint = excluded.fingerprint, result = excluded.result",
        )?
        .execute(params![target, poll.ended.as_second(), bits(poll.fingerprint), result])?;
    Ok(())
}

pub(super) fn failed(connection: &Connection, target: &str) -> Result<(), Fault> {
    // Nothing is written where nothing changes: a target that is down for days costs one write.
    connection
        .prepare_cached(
            "UPDATE last_poll SET success = 0, result = x'' WHERE success = 1 AND target = (SELECT id FROM target WHERE name = ?1)",
        )?
        .execute([target])?;
    Ok(())
}

pub(super) fn load(
    connection: &Connection,
    target: &str,
    fingerprint: u64,
    interval: Duration,
    now: Timestamp,
) -> Result<Option<LastPoll>, Fault> {
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT at, result FROM last_poll WHERE success = 1 AND fingerprint = ?2 AND target = (SELECT id FROM target WHERE name = ?1)",
        )?
        .query_row(params![target, bits(fingerprint)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((at, result)) = row else {
        return Ok(None);
    };
    let at = stored(at)?;
    let age = now.duration_since(at);
    if age.is_negative() || age.unsigned_abs() >= 2 * interval {
        return Ok(None);
    }
    let read = serde_json::from_slice::<Found>(&result);
    // Another version of the program may have written it with other fields: then there is a gap of one poll.
    Ok(read.ok().map(|read| LastPoll {
        at,
        posture: read.posture,
        server: read.server,
        capabilities: read.capabilities,
    }))
}
