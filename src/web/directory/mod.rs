//! Names behind the numbers: users and API keys of a target, read from Odoo when a reader asks for them, and not kept.
//!
//! The sets of the last poll decide which records a list has, so that it is as long as the number that it explains; see
//! [`crate::domain::roster`]. Callers must have made sure that the reader may read names: see [`super::access`].

mod csv;
mod keys;
mod people;
mod query;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub use keys::{KeysPage, ListedKey};
pub use people::{Listed, PeoplePage};
pub(super) use query::given;
pub use query::{Direction, KeysQuery, PeopleQuery, RoleFilter, SortKeys};

use crate::config::Target;
use crate::domain::roster::Unlisted;
use crate::domain::{IdSet, Reason, Roster, TargetSnapshot};
use crate::exposition::Board;
use crate::odoo::directory::{self, Person};
use crate::odoo::{self, Clients, Transport};

/// Reads that one target is asked for at the same time: a page must not load a server more than a poll does.
const AT_ONCE: usize = 2;

/// Returns names of users.
#[derive(Debug)]
pub struct Directory {
    board: Arc<Board>,
    clients: Arc<Clients>,
    targets: ArcSwap<HashMap<String, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    target: Arc<Target>,
    places: Arc<Semaphore>,
    last: Arc<Mutex<Option<LastList>>>,
}

/// The ids of the list of users that was asked for last, so that its other pages cost Odoo no sorting.
#[derive(Debug)]
struct LastList {
    /// Key of a list, for all its pages.
    query: PeopleQuery,
    /// The poll that it is of.
    as_of: Timestamp,
    /// Time at which Odoo sorted it.
    at: Instant,
    ids: Arc<[u32]>,
}

/// Time for which an order is kept: a renamed or archived user stays in place for that long.
const LISTED_FOR: Duration = Duration::from_secs(60);

/// Why there is no answer. None of these may be shown as an empty list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No target of that name.
    #[error("unknown target '{0}'")]
    NoSuchTarget(String),
    /// No poll since the start, or since the target became another one, has ended.
    #[error("the target has not been polled yet")]
    NotPolled,
    /// The last poll failed.
    #[error("the last poll failed: {0}")]
    Down(Reason),
    /// The list would not be known to be complete.
    #[error(transparent)]
    Unlisted(#[from] Unlisted),
    /// Others are asking the same target.
    #[error("too many readers are reading names of this target")]
    Busy,
    /// Odoo did not answer, or refused.
    #[error("Odoo: {0}")]
    Odoo(#[from] odoo::Error),
}

impl Refused {
    /// The message for HTTP clients.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchTarget(_)
            | Self::Unlisted(Unlisted::NoSuchRole(_) | Unlisted::UseNotNoted) => {
                StatusCode::NOT_FOUND
            }
            Self::Odoo(_) => StatusCode::BAD_GATEWAY,
            Self::NotPolled | Self::Down(_) | Self::Unlisted(_) | Self::Busy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The next step.
    pub fn hint(&self) -> &str {
        match self {
            Self::NoSuchTarget(_) => "see the list of targets",
            Self::NotPolled => "try again in a moment",
            Self::Down(_) => "see the page of the target; names are available once a poll succeeds",
            Self::Unlisted(Unlisted::Missing { gap, .. }) => gap.grant,
            Self::Unlisted(Unlisted::NotAsked(_)) => "remove one of these families from it",
            Self::Unlisted(Unlisted::UseNotNoted) => {
                "install the Odoo module mfa_auditor_use, which records it (docs/odoo-addons.md)"
            }
            Self::Unlisted(Unlisted::NoSuchRole(_)) => "see the roles on the page of the target",
            Self::Busy => "try again in a moment",
            Self::Odoo(error) => error.hint.unwrap_or("check Odoo's log"),
        }
    }
}

/// One target that can be asked.
struct Asked {
    snapshot: Arc<TargetSnapshot>,
    roster: Arc<Roster>,
    transport: Transport,
    places: Arc<Semaphore>,
    last: Arc<Mutex<Option<LastList>>>,
    deadline: Duration,
}

impl Directory {
    /// Answers for these targets, which a board shows.
    pub fn new(targets: &[Arc<Target>], board: &Arc<Board>, clients: &Arc<Clients>) -> Arc<Self> {
        let directory = Self {
            board: Arc::clone(board),
            clients: Arc::clone(clients),
            targets: ArcSwap::default(),
        };
        directory.configure(targets);
        Arc::new(directory)
    }

    /// Answers for these targets from now on: to be called when the configuration has changed.
    pub fn configure(&self, targets: &[Arc<Target>]) {
        let entry = |target: &Arc<Target>| Entry {
            target: Arc::clone(target),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            last: Arc::default(),
        };
        let named = |target: &Arc<Target>| (target.name.clone(), entry(target));
        let targets = targets.iter().map(named).collect();
        self.targets.store(Arc::new(targets));
    }

    /// The newest snapshot of a target.
    ///
    /// # Errors
    /// If there is no such target.
    pub fn snapshot(&self, target: &str) -> Result<Arc<TargetSnapshot>, Refused> {
        self.board
            .find(target)
            .ok_or_else(|| Refused::NoSuchTarget(target.to_owned()))
    }

    /// Names of these users of a target, by id; deleted users are left out.
    ///
    /// # Errors
    /// If the target's last poll failed, or Odoo does not answer now.
    pub async fn names(
        &self,
        target: &str,
        people: &IdSet,
    ) -> Result<HashMap<u32, Person>, Refused> {
        let asked = self.ask(target)?;
        if people.is_empty() {
            return Ok(HashMap::new());
        }
        asked.names(people).await
    }

    /// Address of a user's form in Odoo's web client; `None` before the first poll.
    pub fn form(&self, target: &str, person: u32) -> Option<String> {
        let snapshot = self.board.find(target)?;
        Some(form(&snapshot, person))
    }

    /// Prepares to ask a target, if its numbers are true at present.
    fn ask(&self, target: &str) -> Result<Asked, Refused> {
        let snapshot = self.snapshot(target)?;
        let Some(roster) = snapshot.roster.clone() else {
            return Err(match snapshot.failing() {
                Some(reason) => Refused::Down(reason),
                None => Refused::NotPolled,
            });
        };
        let targets = self.targets.load();
        let entry = targets
            .get(target)
            .ok_or_else(|| Refused::NoSuchTarget(target.to_owned()))?;
        // After a reload the name may belong to another database, in which the same ids are other users.
        let url = entry.target.url.as_str().trim_end_matches('/');
        let identity = &snapshot.identity;
        if identity.url != url || identity.database != entry.target.database {
            return Err(Refused::NotPolled);
        }
        Ok(Asked {
            roster,
            snapshot: Arc::clone(&snapshot),
            transport: Transport::new(&self.clients, Arc::clone(&entry.target))?,
            places: Arc::clone(&entry.places),
            last: Arc::clone(&entry.last),
            deadline: entry.target.timeout,
        })
    }
}

impl Asked {
    /// Does something within the target's deadline, when it is its turn.
    async fn within<T>(
        &self,
        what: impl Future<Output = Result<T, odoo::Error>>,
    ) -> Result<T, Refused> {
        let waited = timeout(self.deadline, Arc::clone(&self.places).acquire_owned()).await;
        let _place: OwnedSemaphorePermit = match waited {
            Ok(Ok(place)) => place,
            // Never closed.
            Ok(Err(_)) | Err(_) => return Err(Refused::Busy),
        };
        match timeout(self.deadline, what).await {
            Ok(done) => Ok(done?),
            Err(_elapsed) => Err(Refused::Odoo(odoo::Error::new(
                odoo::Kind::TimedOut,
                format!("no answer within {:?}", self.deadline),
            ))),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<LastList>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn names(&self, people: &IdSet) -> Result<HashMap<u32, Person>, Refused> {
        let asked = directory::people(&self.transport, &self.roster.facts, people);
        let rows = self.within(asked).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Address of a user's form in Odoo's web client.
    fn form(&self, person: u32) -> String {
        let modern = self.roster.facts.is_at_least((18, 0));
        form_at(self.transport.target().url.as_str(), modern, person)
    }
}

/// Address of a user's form in Odoo's web client.
pub(super) fn form(snapshot: &TargetSnapshot, person: u32) -> String {
    let server = snapshot.server.as_ref();
    let modern = server.is_none_or(|server| server.release >= (18, 0));
    form_at(&snapshot.identity.url, modern, person)
}

fn form_at(url: &str, modern: bool, person: u32) -> String {
    let base = url.trim_end_matches('/');
    if modern {
        format!("{base}/odoo/users/{person}")
    } else {
        format!("{base}/web#id={person}&model=res.users&view_type=form")
    }
}
