//! Polling: one poll, and when to poll.

mod backoff;
mod fleet;
mod memory;
mod past;
mod poller;
mod pulse;
mod scheduler;
mod settings;

pub use fleet::{Changes, Fleet};
pub use past::Past;
pub use pulse::Pulse;
pub use scheduler::Scheduler;

use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Target;
use crate::domain::role::Roles;
use crate::domain::standing::Standing;
use crate::domain::{Facts, Posture};
use crate::odoo::plan::{self, Parts, Question};
use crate::odoo::{Error, Kind, Session, Transport};

/// What a successful poll found.
#[derive(Debug)]
pub struct Polled {
    /// What Odoo said.
    pub facts: Facts,
    /// Who is what.
    pub standing: Standing,
    /// The numbers.
    pub posture: Arc<Posture>,
}

/// Polls a target once.
///
/// # Errors
/// When the server fails, when the account cannot see everybody, or when the numbers contradict each other twice.
pub async fn once(
    transport: &Transport,
    session: &mut Option<Session>,
    target: &Target,
    roles: &Roles,
    parts: Parts,
    now: Timestamp,
) -> Result<Polled, Error> {
    let question = Question {
        target,
        roles,
        now,
        parts,
    };
    let mut again = true;
    loop {
        let facts = plan::read(transport, session, &question).await?;
        let standing = Standing::of(&facts, &question.terms());
        match Posture::of(&facts, &question.terms(), &standing) {
            Ok(posture) => {
                return Ok(Polled {
                    facts,
                    standing,
                    posture: Arc::new(posture),
                });
            }
            // People come and go while a poll reads: what does not fit is read once more.
            Err(_) if std::mem::take(&mut again) => {}
            Err(inconsistent) => {
                return Err(Error::new(Kind::Unexpected, inconsistent.to_string()));
            }
        }
    }
}
