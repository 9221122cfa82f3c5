//! The store on real files: what survives, what is bounded, and what faults do.

mod faults;
mod keeping;
mod kill;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::facts::{ApiKey, Facts, Gap, Known, People, Scope, Server};
use crate::domain::role::Roles;
use crate::domain::standing::{Standing, Terms};
use crate::domain::transition::{Answers, Origin, Person, RecentTransition, questions};
use crate::domain::{Api, Capability, Factor, IdSet, Posture};

const INTERVAL: Duration = Duration::from_mins(5);
const FINGERPRINT: u64 = 0xFEED_FACE_CAFE_BEEF;

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("a time")
}

/// A database in which all users are active, and the record of a poll of it.
#[derive(Debug, Clone)]
struct World {
    now: Timestamp,
    internal: IdSet,
    totp: IdSet,
    admins: IdSet,
    /// Name of the administrators' role.
    role: &'static str,
    keys: BTreeMap<u32, u32>,
    created: Timestamp,
}

impl World {
    fn new() -> Self {
        Self {
            now: start(),
            internal: (6..=60).collect(),
            totp: (6..=30).collect(),
            admins: [7, 50].into_iter().collect(),
            role: "settings",
            keys: BTreeMap::from([(1, 6), (2, 7)]),
            created: start() - SignedDuration::from_hours(1000),
        }
    }

    fn later(&mut self) -> &mut Self {
        self.now += SignedDuration::from_mins(5);
        self
    }

    fn facts(&self) -> Facts {
        let keys = self.keys.iter().map(|(id, owner)| ApiKey {
            id: *id,
            owner: *owner,
            owner_active: true,
            scope: Scope::Rpc,
            // One has no date.
            created: Some(self.created).filter(|_| *id != 2),
            expires: None,
        });
        let server = Server {
            version: "18.0".into(),
            release: (18, 0),
            api: Api::Jsonrpc,
        };
        let people = People {
            internal: self.internal.clone(),
            portal: 1000,
            ..People::default()
        };
        Facts {
            well_known_privileged: Some(IdSet::new()),
            totp: Known::Complete(self.totp.clone()),
            passkey: Known::Complete(IdSet::new()),
            roles: Known::Complete(BTreeMap::from([(
                self.role.to_owned(),
                self.admins.clone(),
            )])),
            keys: Known::Complete(keys.collect()),
            devices: Known::Missing(Gap {
                seen: "sees auth_totp.device of 1 of 3 people who own one".into(),
                grant: "a record rule",
            }),
            ..Facts::of_people(self.now, server, 6, people)
        }
    }

    fn baseline(&self) -> Baseline {
        let origin = Origin {
            url: "https://erp.example.com/".into(),
            database: "prod".into(),
        };
        let (facts, posture) = (self.facts(), self.posture());
        let accepted = BTreeSet::from([Factor::Totp]);
        let terms = Terms {
            accepted: &accepted,
            exemptions: &[],
        };
        let standing = Standing::of(&facts, &terms);
        Baseline::of(
            &facts,
            &terms,
            &Roles::default(),
            &standing,
            &posture,
            origin,
        )
    }

    fn answer(&self, to: IdSet) -> Answers {
        let person = |id: u32| Person {
            active: self.internal.contains(id),
            created: Some(self.created),
            login: None,
        };
        Answers {
            people: to.iter().map(|id| (id, person(id))).collect(),
            to,
        }
    }

    fn posture(&self) -> Posture {
        let facts = self.facts();
        let terms = Terms {
            accepted: &BTreeSet::from([Factor::Totp]),
            exemptions: &[],
        };
        Posture::of(&facts, &terms, &Standing::of(&facts, &terms)).expect("numbers that fit")
    }

    fn record(&self, target: &str, previous: Option<&Baseline>) -> PollRecord {
        let facts = self.facts();
        let baseline = self.baseline();
        PollRecord {
            target: target.to_owned(),
            fingerprint: FINGERPRINT,
            ended: self.now + SignedDuration::from_secs(1),
            answers: self.answer(questions(previous, &baseline)),
            baseline,
            posture: Arc::new(self.posture()),
            server: facts.server.clone(),
            capabilities: facts.capabilities().into(),
        }
    }

    /// A poll as the daemon makes it.
    async fn poll(&self, store: &Store, target: &str) -> Result<Recorded, Error> {
        let previous = store.baseline(target, Duration::MAX).await?;
        store.record(self.record(target, previous.as_deref())).await
    }
}

fn open(path: &Path) -> Store {
    Store::open(Location::Path(path.to_owned()), Limits::default()).expect("a file that is ours")
}

fn memory() -> Store {
    Store::open(Location::Memory, Limits::default()).expect("memory")
}

/// All transitions that were counted.
fn total(counters: &Counters) -> u64 {
    let mfa: u64 = counters.mfa.0.iter().flatten().flatten().sum();
    let privilege: u64 = counters.privilege.iter().flatten().sum();
    mfa + privilege + counters.api_keys.iter().flatten().sum::<u64>()
}

async fn counters(store: &Store, target: &str) -> Option<Counters> {
    let resumed = store.resume(target, FINGERPRINT, INTERVAL, start()).await;
    resumed.expect("a store that works").counters
}
