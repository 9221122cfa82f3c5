//! Polls and the store: changes since the previous poll, also over restarts, and restored figures.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::Polled;
use crate::config::Target;
use crate::domain::role::Roles;
use crate::domain::standing::Terms;
use crate::domain::transition::{Answers, Baseline, Origin, mentioned, questions};
use crate::odoo::{self, Session, Transport};
use crate::store::{self, LastPoll, PollRecord, Recorded, Resumed, Store};

/// One target's place in the store.
#[derive(Debug)]
pub(super) struct Remembered(Store);

/// Input of a comparison: the questions of the last baseline are answered.
#[derive(Debug)]
pub(super) struct Comparable {
    baseline: Baseline,
    answers: Answers,
}

impl Comparable {
    /// All that is written down of a poll.
    pub(super) fn record(self, target: &Target, polled: &Polled, ended: Timestamp) -> PollRecord {
        PollRecord {
            target: target.name.clone(),
            fingerprint: target.fingerprint,
            ended,
            baseline: self.baseline,
            answers: self.answers,
            posture: Arc::clone(&polled.posture),
            server: polled.facts.server.clone(),
            capabilities: polled.facts.capabilities().into(),
        }
    }
}

impl Remembered {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Asks Odoo what the comparison with the last baseline must know. `None` while the store cannot be used. `logins`: whether the
    /// change log may hold them. `patience`: how long to wait for the store at most.
    ///
    /// # Errors
    /// If the server fails.
    pub(super) async fn compare(
        &self,
        transport: &Transport,
        session: &Session,
        roles: &Roles,
        polled: &Polled,
        logins: bool,
        patience: Duration,
    ) -> Result<Option<Comparable>, odoo::Error> {
        let target = transport.target();
        let terms = Terms {
            accepted: &target.accepted_factors,
            exemptions: &target.exemptions,
        };
        let Polled {
            facts,
            standing,
            posture,
        } = polled;
        let baseline = Baseline::of(facts, &terms, roles, standing, posture, origin(target));
        let Ok(previous) = self.0.baseline(&target.name, patience).await else {
            return Ok(None);
        };
        let mut questions = questions(previous.as_deref(), &baseline);
        if logins && !questions.is_empty() {
            questions |= mentioned(previous.as_deref(), &baseline);
        }
        let answers = odoo::plan::answers(transport, session, questions, logins).await?;
        Ok(Some(Comparable { baseline, answers }))
    }

    /// Stores a successful poll. `None` while the store fails, which it has logged itself: the daemon continues without it.
    pub(super) async fn record(&self, record: PollRecord) -> Option<Recorded> {
        let target = record.target.clone();
        match self.0.record(record).await {
            Ok(recorded) => {
                if let Some(found) = &recorded.found_break {
                    warn!(
                        target,
                        reason = found.as_str(),
                        "cannot compare with the previous poll, starting a new baseline: {found}"
                    );
                }
                for change in &recorded.changes {
                    info!(target, kind = %change.kind, "change");
                }
                Some(recorded)
            }
            Err(error) => {
                // All others are the store's failures.
                if matches!(error, store::Error::Unasked(_) | store::Error::Closed) {
                    warn!(target, %error, "cannot store the poll");
                }
                None
            }
        }
    }

    /// Writes down that a poll failed.
    pub(super) async fn record_failure(&self, target: &Target) {
        // While the store cannot be used there is nothing to invalidate.
        let _ = self.0.record_failure(&target.name).await;
    }

    /// The stored state right after a start. `None` if the store fails.
    pub(super) async fn resume(&self, target: &Target) -> Option<Resumed> {
        let now = Timestamp::now();
        self.0
            .resume(&target.name, target.fingerprint, target.interval, now)
            .await
            .ok()
    }

    /// Operations that failed.
    pub(super) fn errors(&self) -> u64 {
        self.0.errors()
    }
}

fn origin(target: &Target) -> Origin {
    Origin {
        url: target.url.as_str().trim_end_matches('/').to_owned(),
        database: target.database.clone(),
    }
}

/// The part of a snapshot that the last poll before the start restores.
pub(super) fn show(last_poll: LastPoll, snapshot: &mut crate::domain::TargetSnapshot) {
    snapshot.health.last_success = Some(last_poll.at);
    snapshot.server = Some(last_poll.server);
    snapshot.capabilities = last_poll.capabilities.into();
    snapshot.poller_key_expiry = last_poll.posture.poller_key_expiry;
    let recent = snapshot.recent.as_ref().map(|recent| recent.unprotected());
    snapshot.recently_unprotected = recent.filter(|_| last_poll.posture.protected.is_some());
    snapshot.posture = Some(Arc::new(last_poll.posture));
}
