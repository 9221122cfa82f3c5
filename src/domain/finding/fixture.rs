//! A target for tests: a healthy one, to be spoilt.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Case;
use crate::domain::exemption::{Exemption, Matcher, Note};
use crate::domain::facts::{ApiKey, Device, Facts, Gap, Known, People, Scope, Server};
use crate::domain::posture::Posture;
use crate::domain::standing::{Standing, Terms};
use crate::domain::surface::Checked;
use crate::domain::vocabulary::Bypass;
use crate::domain::{Api, Capability, ExemptReason, Factor, IdSet, Module, PerType, PolicyScope};

/// Everything that a [`Case`] borrows.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) facts: Facts,
    pub(crate) accepted: BTreeSet<Factor>,
    pub(crate) exemptions: Vec<Exemption>,
    pub(crate) coverage_target: PerType<Option<f64>>,
    pub(crate) accept_missing: BTreeSet<Capability>,
    pub(crate) accept_bypasses: BTreeSet<Bypass>,
    pub(crate) surface: Vec<Checked>,
}

pub(crate) const NOW: &str = "2026-11-24T12:00:00Z";

/// Days from the fixture's now; negative ones are past.
pub(crate) fn day(days: i64) -> Timestamp {
    let now: Timestamp = NOW.parse().expect("a time");
    now + SignedDuration::from_hours(24 * days)
}

pub(crate) fn ids(ids: impl IntoIterator<Item = u32>) -> IdSet {
    ids.into_iter().collect()
}

pub(crate) fn missing<T>() -> Known<T> {
    Known::Missing(Gap {
        seen: "AccessError".to_owned(),
        grant: "the right to it",
    })
}

/// A working key without an end, made a week ago.
pub(crate) fn key(owner: u32) -> ApiKey {
    ApiKey {
        id: owner,
        owner,
        owner_active: true,
        scope: Scope::Unrestricted,
        created: Some(day(-7)),
        expires: Some(day(60)),
    }
}

pub(crate) fn device(owner: u32) -> Device {
    Device {
        owner,
        owner_active: true,
        expires: Some(day(60)),
    }
}

pub(crate) fn exempt(login: &str, reason: ExemptReason) -> Exemption {
    Exemption {
        user_type: None,
        matcher: Matcher::Login(login.to_owned()),
        reason,
        expires: None,
        shared: false,
        note: Note::default(),
    }
}

impl Fixture {
    /// Odoo 19 with twenty internal people (10 to 29, two of them administrators), five portal people (100 to 104) who hold TOTP, a
    /// poller (29) that is exempt, and nothing to complain about.
    pub(crate) fn healthy() -> Self {
        let people = ids(10..30);
        let enrolled = ids((10..29).chain(100..105));
        let server = Server {
            version: "19.0".to_owned(),
            release: (19, 0),
            api: Api::Json2,
        };
        let everybody = People {
            internal: people.clone(),
            portal: 5,
            ..People::default()
        };
        Self {
            facts: Facts {
                well_known_privileged: Some(IdSet::new()),
                totp: Known::Complete(enrolled.clone()),
                passkey: Known::Complete(enrolled),
                oauth: Known::Complete(IdSet::new()),
                saml: Known::Complete(IdSet::new()),
                awake: Known::Complete(&people | &ids(100..105)),
                roles: Known::Complete(BTreeMap::from([
                    ("settings".to_owned(), ids([10, 11])),
                    ("access_rights".to_owned(), ids([10, 11, 12])),
                    ("hr".to_owned(), ids([10, 13, 14])),
                ])),
                exemptions: vec![ids([29])],
                keys: Known::Complete(Vec::new()),
                devices: Known::Complete(Vec::new()),
                poller_key_expiry: Some(day(60)),
                modules: Known::Complete(BTreeSet::from([Module::AuthTotp, Module::AuthTotpMail])),
                legacy_rpc: Some(false),
                policy: Known::Complete(Some(PolicyScope::EmployeeRequired)),
                ..Facts::of_people(day(0), server, 29, everybody)
            },
            accepted: BTreeSet::from([Factor::Totp]),
            exemptions: vec![exempt("mfa-exporter", ExemptReason::Service)],
            coverage_target: PerType([Some(0.9), None, None, None]),
            accept_missing: BTreeSet::new(),
            accept_bypasses: BTreeSet::new(),
            surface: Vec::new(),
        }
    }

    /// Takes TOTP and passkeys away.
    pub(crate) fn unenrol(&mut self, people: impl IntoIterator<Item = u32>) {
        let people = ids(people);
        for set in [&mut self.facts.totp, &mut self.facts.passkey] {
            if let Known::Complete(set) = set {
                *set -= &people;
            }
        }
    }

    pub(crate) fn install(&mut self, module: Module) {
        if let Known::Complete(modules) = &mut self.facts.modules {
            modules.insert(module);
        }
    }

    pub(crate) fn key(&mut self, key: ApiKey) {
        if let Known::Complete(keys) = &mut self.facts.keys {
            keys.push(key);
        }
    }

    /// Looks at the case that this makes.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Case) -> T) -> T {
        let terms = Terms {
            accepted: &self.accepted,
            exemptions: &self.exemptions,
        };
        let standing = Standing::of(&self.facts, &terms);
        let posture = Posture::of(&self.facts, &terms, &standing).expect("consistent facts");
        look(&Case {
            facts: &self.facts,
            standing: &standing,
            posture: &posture,
            terms,
            coverage_target: self.coverage_target,
            accept_missing: &self.accept_missing,
            accept_bypasses: &self.accept_bypasses,
            surface: &self.surface,
        })
    }
}
