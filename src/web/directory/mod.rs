//! Users and API keys by name, of one target or of many, read from Odoo when a reader opens a list, and kept for a minute.
//!
//! The rows of a list are decided from the sets of the last polls, so that it is as long as the numbers that it explains; see
//! [`crate::domain::roster`]. Odoo is asked for names only, and only for what a page shows, where a list is not sorted or searched by them. A
//! target that gives no answer is named in the list. Callers must have made sure that the reader may read names: see [`super::access`].

mod csv;
mod kept;
mod keys;
mod parameters;
mod query;
mod scope;
mod users;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub use keys::{KeysPage, ListedKey};
pub use query::{Direction, KeysQuery, Label, RoleFilter, SortKeys, SortUsers, UsersQuery, Which};
pub use scope::{Counted, Silent};
pub use users::{Listed, UsersPage};

pub(super) use parameters::{Values, given, many, read, values};

use crate::config::Target;
use crate::domain::roster::{Selection, Unlisted};
use crate::domain::{IdSet, Reason, Roster, TargetSnapshot};
use crate::exposition::Board;
use crate::odoo::directory::{self, KeyName, Person};
use crate::odoo::{self, Clients, Transport};
use kept::Kept;

/// Reads that one target is asked for at the same time: a page must not load a server more than a poll does.
const AT_ONCE: usize = 2;

/// Targets that one page asks at the same time. Each also takes one of the places of its host.
const TARGETS_AT_ONCE: usize = 64;

/// Longest time that a page about several targets waits for one of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Users or API keys that are read as a whole to sort or search them by name.
pub const WHOLE: u64 = directory::ROWS as u64;

/// Reads names of users and keys from Odoo.
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
    host: Arc<Semaphore>,
    last: Arc<Mutex<Option<LastList>>>,
    users: Kept<Person>,
    keys: Kept<KeyName>,
}

/// The ids of the list of users that was asked for last, so that its other pages cost Odoo no sorting.
#[derive(Debug)]
struct LastList {
    /// Number of the page.
    query: UsersQuery,
    /// The poll that it is of.
    as_of: Timestamp,
    /// Time at which Odoo sorted it.
    at: Instant,
    ids: Arc<[u32]>,
}

/// Time for which an order and names are used again. After a user is renamed or archived, the list is wrong about it for that time.
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
    /// None of the targets gives the list.
    #[error("none of {targets} targets gives this list: {first}")]
    Nowhere {
        /// Number of rows.
        targets: usize,
        /// Why one of them does not.
        first: Box<Self>,
    },
    /// Too many to read their names at once.
    #[error("{0} are too many to sort or search them by name")]
    TooMany(u64),
    /// Polls and other readers take all places of the target or its host.
    #[error("this target, or its host, answers too many requests at present")]
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
            Self::TooMany(_) => StatusCode::BAD_REQUEST,
            Self::Nowhere { first, .. } => first.status(),
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
            Self::TooMany(_) => {
                "choose targets, a label, a state, a type or a role until fewer than 2,000 are left, or sort by target without a search"
            }
            Self::Nowhere { first, .. } => first.hint(),
            Self::Odoo(error) => error.hint.unwrap_or("check Odoo's log"),
        }
    }
}

/// One target that can be asked.
#[derive(Clone)]
struct Asked {
    snapshot: Arc<TargetSnapshot>,
    roster: Arc<Roster>,
    clients: Arc<Clients>,
    entry: Entry,
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

    /// Answers for these targets from now on: to be called when the configuration has changed. Forgets names: a target may be another
    /// database now.
    pub fn configure(&self, targets: &[Arc<Target>]) {
        let entry = |target: &Arc<Target>| Entry {
            target: Arc::clone(target),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            host: self.clients.host(&target.url),
            last: Arc::default(),
            users: Kept::default(),
            keys: Kept::default(),
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

    /// These users of a target by id; users who no longer exist are left out.
    ///
    /// # Errors
    /// If the target's last poll failed, or Odoo does not answer now.
    pub async fn names(
        &self,
        target: &str,
        people: &IdSet,
    ) -> Result<HashMap<u32, Person>, Refused> {
        let asked = self.ask(&self.snapshot(target)?)?;
        let users = asked.users(&of_ids(people.clone())).await?;
        let named = |id| Some((id, users.get(&id)?.clone()));
        Ok(people.iter().filter_map(named).collect())
    }

    /// The same for several targets at once, each with its own answer.
    pub async fn names_of(&self, people: BTreeMap<String, IdSet>) -> BTreeMap<String, Names> {
        let read = async |(target, ids): (String, IdSet)| {
            let names = match timeout(PATIENCE, self.names(&target, &ids)).await {
                Ok(names) => names,
                Err(_elapsed) => Err(late(PATIENCE)),
            };
            (target, names)
        };
        let reads: Vec<_> = people.into_iter().map(read).collect();
        stream::iter(reads)
            .buffered(TARGETS_AT_ONCE)
            .collect()
            .await
    }

    /// Address of a user's form in Odoo's web client; `None` before the first poll.
    pub fn form(&self, target: &str, person: u32) -> Option<String> {
        let snapshot = self.board.find(target)?;
        Some(form(&snapshot, person))
    }

    /// Prepares to ask a target, if its numbers are true at present.
    fn ask(&self, snapshot: &Arc<TargetSnapshot>) -> Result<Asked, Refused> {
        let Some(roster) = snapshot.roster.clone() else {
            return Err(match snapshot.failing() {
                Some(reason) => Refused::Down(reason),
                None => Refused::NotPolled,
            });
        };
        let identity = &snapshot.identity;
        let targets = self.targets.load();
        let entry = targets
            .get(&identity.name)
            .ok_or_else(|| Refused::NoSuchTarget(identity.name.clone()))?;
        // After a reload the name may belong to another database, in which the same ids are other people.
        let url = entry.target.url.as_str().trim_end_matches('/');
        if identity.url != url || identity.database != entry.target.database {
            return Err(Refused::NotPolled);
        }
        Ok(Asked {
            roster,
            snapshot: Arc::clone(snapshot),
            clients: Arc::clone(&self.clients),
            deadline: entry.target.timeout,
            entry: entry.clone(),
        })
    }
}

/// Users by id, or why Odoo does not say.
pub type Names = Result<HashMap<u32, Person>, Refused>;

fn of_ids(ids: IdSet) -> Selection {
    Selection {
        ids,
        portal_except: None,
    }
}

fn late(after: Duration) -> Refused {
    let message = format!("no answer within {after:?}");
    Refused::Odoo(odoo::Error::new(odoo::Kind::TimedOut, message))
}

impl Asked {
    /// Does something within the deadline, when it is the turn of this read at the target and at its host.
    async fn within<T>(
        &self,
        what: impl Future<Output = Result<T, odoo::Error>>,
    ) -> Result<T, Refused> {
        let places = async {
            let own = Arc::clone(&self.entry.places).acquire_owned().await.ok()?;
            let host = Arc::clone(&self.entry.host).acquire_owned().await.ok()?;
            Some((own, host))
        };
        let waited = timeout(self.deadline, places).await;
        let _places: (OwnedSemaphorePermit, OwnedSemaphorePermit) = match waited {
            Ok(Some(places)) => places,
            // Never closed.
            Ok(None) | Err(_) => return Err(Refused::Busy),
        };
        match timeout(self.deadline, what).await {
            Ok(done) => Ok(done?),
            Err(_elapsed) => Err(late(self.deadline)),
        }
    }

    fn name(&self) -> &str {
        &self.snapshot.identity.name
    }

    fn transport(&self) -> Result<Transport, Refused> {
        Ok(Transport::new(
            &self.clients,
            Arc::clone(&self.entry.target),
        )?)
    }

    fn last(&self) -> MutexGuard<'_, Option<LastList>> {
        self.entry
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The users of a selection whom Odoo shows, by id: of a moment ago, or one request.
    async fn users(&self, users: &Selection) -> Result<Arc<HashMap<u32, Person>>, Refused> {
        if let Some(rows) = self.entry.users.find(users) {
            return Ok(rows);
        }
        let transport = self.transport()?;
        let read = directory::users(&transport, &self.roster, users);
        let rows = self.within(read).await?;
        let rows = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(self.entry.users.keep(users.clone(), rows))
    }

    /// Names of API keys by id: of the last minute, or one request for 2,000.
    async fn key_names(&self, ids: IdSet) -> Result<Arc<HashMap<u32, KeyName>>, Refused> {
        let keys = of_ids(ids);
        if let Some(rows) = self.entry.keys.find(&keys) {
            return Ok(rows);
        }
        let transport = self.transport()?;
        let read = directory::key_names(&transport, &self.roster.facts, &keys.ids);
        let rows = self.within(read).await?;
        let rows = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(self.entry.keys.keep(keys, rows))
    }

    /// Address of a user's form in Odoo's web client.
    fn form(&self, person: u32) -> String {
        let modern = self.roster.facts.is_at_least((18, 0));
        form_at(self.entry.target.url.as_str(), modern, person)
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
