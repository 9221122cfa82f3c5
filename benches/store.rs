//! Size of the store and time to write a poll's result: `cargo bench --bench store`. Fails above the limits of docs/storage.md.

#![allow(
    clippy::too_many_lines,
    reason = "a measurement reads from top to bottom"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::facts::{ApiKey, Facts, Known, People, Scope, Server};
use odoo_mfa_exporter::domain::role::Roles;
use odoo_mfa_exporter::domain::standing::{Standing, Terms};
use odoo_mfa_exporter::domain::transition::{Answers, Baseline, Origin, Person, questions};
use odoo_mfa_exporter::domain::{Api, Factor, IdSet, Posture};
use odoo_mfa_exporter::store::{Limits, Location, PollRecord, Recorded, Store};

struct World {
    facts: Facts,
    random: u64,
}

impl World {
    /// Users with gaps between their ids; six in ten with TOTP, some with a passkey, one in a hundred in a role, one in twenty with an
    /// API key.
    fn new(people: u32) -> Self {
        let mut world = Self {
            facts: empty(),
            random: 42,
        };
        let mut id = 6;
        let (mut internal, mut totp, mut passkey) = (IdSet::new(), IdSet::new(), IdSet::new());
        let mut roles: BTreeMap<String, IdSet> = BTreeMap::new();
        let mut keys = Vec::new();
        for _ in 0..people {
            id += 1 + world.below(3);
            internal.insert(id);
            if world.below(10) < 6 {
                totp.insert(id);
            }
            if world.below(20) == 0 {
                passkey.insert(id);
            }
            if world.below(100) == 0 {
                let role = ["settings", "accounting", "hr", "sales"][world.below(4) as usize];
                roles.entry(role.to_owned()).or_default().insert(id);
            }
            if world.below(20) == 0 {
                let created =
                    world.facts.now - SignedDuration::from_secs(i64::from(world.below(10_000_000)));
                keys.push(ApiKey {
                    id: u32::try_from(keys.len()).unwrap_or(0) + 1,
                    owner: id,
                    owner_active: true,
                    scope: Scope::Rpc,
                    created: Some(created),
                    expires: Some(created + SignedDuration::from_hours(24 * 90)),
                });
            }
        }
        world.facts.people.internal = internal;
        world.facts.totp = Known::Complete(totp);
        world.facts.passkey = Known::Complete(passkey);
        world.facts.roles = Known::Complete(roles);
        world.facts.keys = Known::Complete(keys);
        world
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((self.random >> 33) % u64::from(limit)).unwrap_or(0)
    }

    /// So many users gain or lose TOTP.
    fn change(&mut self, people: u32) {
        self.facts.now += SignedDuration::from_mins(5);
        let everybody = u32::try_from(self.facts.people.internal.len()).unwrap_or(u32::MAX);
        for _ in 0..people {
            let rank = self.below(everybody);
            let id = self.facts.people.internal.select(rank).unwrap_or(7);
            if let Known::Complete(totp) = &mut self.facts.totp
                && !totp.remove(id)
            {
                totp.insert(id);
            }
        }
    }

    fn record(&self, target: &str, previous: Option<&Baseline>) -> PollRecord {
        let terms = Terms {
            accepted: &BTreeSet::from([Factor::Totp]),
            exemptions: &[],
        };
        let standing = Standing::of(&self.facts, &terms);
        let posture = Posture::of(&self.facts, &terms, &standing).expect("numbers that fit");
        let origin = Origin {
            url: format!("https://{target}.example.com/"),
            database: target.to_owned(),
        };
        let roles = Roles::default();
        let baseline = Baseline::of(&self.facts, &terms, &roles, &standing, &posture, origin);
        let to = questions(previous, &baseline);
        let person = |id| {
            let created = self.facts.now - SignedDuration::from_hours(10_000);
            let known = previous.and_then(|it| it.witnesses.get(&id).copied());
            let person = Person {
                active: true,
                created: known.or(Some(created)),
                login: None,
            };
            (id, person)
        };
        PollRecord {
            target: target.to_owned(),
            fingerprint: 1,
            ended: self.facts.now,
            baseline,
            answers: Answers {
                people: to.iter().map(person).collect(),
                to,
            },
            posture: Arc::new(posture),
            server: self.facts.server.clone(),
            capabilities: Arc::new([]),
        }
    }

    async fn poll(&self, store: &Store, target: &str) -> (Recorded, Duration) {
        let previous = store.baseline(target, Duration::MAX).await.expect("read");
        let record = self.record(target, previous.as_deref());
        let begun = Instant::now();
        let recorded = store.record(record).await.expect("recorded");
        (recorded, begun.elapsed())
    }
}

fn empty() -> Facts {
    let now = "2026-03-01T00:00:00Z".parse::<Timestamp>().expect("a time");
    let server = Server {
        version: "18.0".into(),
        release: (18, 0),
        api: Api::Jsonrpc,
    };
    let people = People {
        portal: 1_000_000,
        ..People::default()
    };
    Facts {
        well_known_privileged: Some(IdSet::new()),
        devices: Known::Complete(Vec::new()),
        modules: Known::Complete(BTreeSet::new()),
        legacy_rpc: Some(false),
        policy: Known::Complete(None),
        ..Facts::of_people(now, server, 6, people)
    }
}

fn open(path: &Path) -> Store {
    Store::open(Location::Path(path.to_owned()), Limits::default()).expect("a new file")
}

fn size(path: &Path) -> f64 {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn check(what: &str, value: f64, limit: f64, unit: &str) {
    println!("{what:<60} {value:>10.2} {unit}  (at most {limit})");
    assert!(
        value <= limit,
        "{what}: {value:.2} {unit} is more than {limit}"
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name);

    let path = file("empty.db");
    open(&path).close().await;
    let nothing = size(&path);

    let people = 1_000_000;
    let path = file("people.db");
    let store = open(&path);
    let mut world = World::new(people);
    let (_, first) = world.poll(&store, "erp").await;
    store.close().await;
    check(
        "a person, of 1,000,000 with 50,000 API keys",
        (size(&path) - nothing) / f64::from(people),
        24.0,
        "bytes",
    );
    println!(
        "{:<60} {:>10.2} ms",
        "the first poll of 1,000,000 people",
        first.as_secs_f64() * 1e3
    );
    let store = open(&path);
    world.change(10);
    let (_, next) = world.poll(&store, "erp").await;
    println!(
        "{:<60} {:>10.2} ms",
        "10 changes among 1,000,000 people",
        next.as_secs_f64() * 1e3
    );

    let targets = 1000;
    let path = file("targets.db");
    let store = open(&path);
    let world = World::new(100);
    for target in 0..targets {
        world.poll(&store, &format!("target-{target}")).await;
    }
    store.close().await;
    check(
        "a target with 100 people",
        (size(&path) - nothing) / f64::from(targets),
        4096.0,
        "bytes",
    );

    let path = file("changes.db");
    let store = open(&path);
    let mut world = World::new(100_000);
    world.poll(&store, "erp").await;
    store.close().await;
    let store = open(&path);
    let mut times = Vec::new();
    let polls = 50;
    for _ in 0..polls {
        world.change(10);
        let (recorded, time) = world.poll(&store, "erp").await;
        assert!(recorded.changes.len() >= 8, "{:?}", recorded.changes);
        times.push(time);
    }
    times.sort();
    let written = size(&file("changes.db-wal")) / f64::from(polls);
    check(
        "10 changes among 100,000 people, median",
        times[25].as_secs_f64() * 1e3,
        50.0,
        "ms",
    );
    check(
        "10 changes among 100,000 people, slowest of 50",
        times[49].as_secs_f64() * 1e3,
        250.0,
        "ms",
    );
    println!(
        "{:<60} {:>10.2} kB a poll (until the log is folded)",
        "written",
        written / 1e3
    );
    let mut quiet = Vec::new();
    for _ in 0..polls {
        world.change(0);
        quiet.push(world.poll(&store, "erp").await.1);
    }
    quiet.sort();
    println!(
        "{:<60} {:>10.2} ms",
        "no change among 100,000 people, median",
        quiet[25].as_secs_f64() * 1e3
    );

    let path = file("history.db");
    let store = open(&path);
    let mut world = World::new(1000);
    world.poll(&store, "erp").await;
    let rows = 2016;
    for _ in 1..rows {
        world.change(0);
        world.poll(&store, "erp").await;
    }
    store.close().await;
    let row = (size(&path) - nothing) / f64::from(rows);
    check("a row of history", row, 64.0, "bytes");
    let kept = 2016.0 + 83.0 * 24.0 + 641.0;
    println!(
        "{:<60} {:>10.2} kB",
        "history of a target polled every 5 minutes",
        row * kept / 1e3
    );
}
