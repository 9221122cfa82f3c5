//! The baseline that a poll leaves for the comparison with the next one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Answers, Protection, Recent};
use crate::domain::facts::Facts;
use crate::domain::role::Roles;
use crate::domain::standing::{Standing, Terms};
use crate::domain::vocabulary::UserType;
use crate::domain::{IdSet, PerType, Posture};

/// The baseline that a poll leaves for the comparison with the next one. Each part is the last one that was complete, so that a part which was
/// missing for a while is compared over the gap.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Time at which the poll started.
    pub at: Timestamp,
    /// Address of the target.
    pub origin: Origin,
    /// Odoo's release.
    pub release: (u32, u32),
    /// The polling account's id.
    pub poller: u32,
    /// Types of which there are users, active or archived.
    pub types: PerType<bool>,
    /// Active internal users.
    pub internal: IdSet,
    /// Active users of type public.
    pub public: IdSet,
    /// Active users of no type.
    pub none: IdSet,
    /// Users with TOTP and passkeys.
    pub factors: Option<Part<Factors>>,
    /// Users by role.
    pub roles: Option<Part<RoleMembers>>,
    /// API keys by id.
    pub keys: Option<Part<BTreeMap<u32, Key>>>,
    /// Protected users.
    pub protection: Option<Part<Protection>>,
    /// Active users who are exempt.
    pub exempt: IdSet,
    /// For which types of user a second factor is enforced. Only in what a poll says: [`Recent`] keeps it.
    pub enforced: Option<PerType<bool>>,
    /// The last login of the break-glass accounts. Only in what a poll says: [`Recent`] keeps it.
    pub break_glass: Option<Timestamp>,
    /// Events for alerts.
    pub recent: Recent,
    /// A few users by id, with the time of their creation: the polling account, the oldest and the newest. If one of them was created
    /// at another time, it is another database.
    pub witnesses: BTreeMap<u32, Timestamp>,
}

/// Address of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Without credentials.
    pub url: String,
    /// The database's name.
    pub database: String,
}

/// Something that was complete at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub value: T,
}

/// Users by their own second factor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Factors {
    /// Active users with TOTP.
    pub totp: IdSet,
    /// Active users with a passkey.
    pub passkey: IdSet,
    /// Archived users with either: those who come back with it did not enroll.
    pub archived_holders: IdSet,
}

impl Factors {
    /// Active users with either.
    pub fn holders(&self) -> IdSet {
        &self.totp | &self.passkey
    }
}

/// Users by role.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleMembers {
    /// Hash of the roles in the configuration: if it differs, there is nothing to compare.
    pub definition: u64,
    /// Active users by role, exempt or not. Empty roles are not kept.
    pub members: BTreeMap<String, IdSet>,
}

impl RoleMembers {
    /// Users in at least one role.
    pub fn everybody(&self) -> IdSet {
        self.members
            .values()
            .fold(IdSet::new(), |all, people| all | people)
    }

    /// Returns true if a user is in a role.
    pub fn contains(&self, person: u32) -> bool {
        self.members.values().any(|people| people.contains(person))
    }

    /// The names of a user's roles.
    pub fn of(&self, person: u32) -> String {
        let names: Vec<&str> = self
            .members
            .iter()
            .filter(|(_, people)| people.contains(person))
            .map(|(name, _)| name.as_str())
            .collect();
        names.join(", ")
    }
}

/// An API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The owner.
    pub owner: u32,
    /// Creation time, if Odoo returns it.
    pub created: Option<Timestamp>,
    /// Its date, if it has one.
    pub expires: Option<Timestamp>,
}

impl Key {
    /// Returns true if it has expired.
    pub fn expired_at(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Number of newest users who are witnesses.
const NEWEST: usize = 3;

impl Baseline {
    /// Builds the baseline of a poll.
    pub fn of(
        facts: &Facts,
        terms: &Terms,
        roles: &Roles,
        standing: &Standing,
        posture: &Posture,
        origin: Origin,
    ) -> Self {
        let at = facts.now;
        let protection = Protection::of(facts, terms, standing, posture);
        let (active, archived) = (facts.people.active(), facts.people.archived);
        Self {
            at,
            origin,
            release: facts.server.release,
            poller: facts.poller,
            types: PerType::from_fn(|user_type| active[user_type] + archived[user_type] > 0),
            internal: facts.people.internal.clone(),
            public: facts.people.public.clone(),
            none: facts.people.none.clone(),
            factors: match (facts.totp.complete(), facts.passkey.complete()) {
                (Some(totp), Some(passkey)) => Some(Part {
                    at,
                    value: Factors {
                        totp: totp.clone(),
                        passkey: passkey.clone(),
                        archived_holders: facts.archived_holders.clone(),
                    },
                }),
                _ => None,
            },
            roles: facts.roles.complete().map(|members| Part {
                at,
                value: RoleMembers {
                    definition: roles.fingerprint(),
                    members: members
                        .iter()
                        .filter(|(_, people)| !people.is_empty())
                        .map(|(role, people)| (role.clone(), people.clone()))
                        .collect(),
                },
            }),
            keys: facts.keys.complete().map(|rows| Part {
                at,
                value: rows
                    .iter()
                    .map(|row| {
                        let key = Key {
                            owner: row.owner,
                            created: row.created,
                            expires: row.expires,
                        };
                        (row.id, key)
                    })
                    .collect(),
            }),
            protection: protection.map(|value| Part { at, value }),
            exempt: standing.exempt.clone(),
            enforced: posture.enforcement.map(|all| all.covers),
            break_glass: posture.break_glass_login,
            recent: Recent::default(),
            witnesses: BTreeMap::new(),
        }
    }

    /// Active users of a type, except portal users, who are only counted.
    pub(super) fn named(&self, user_type: UserType) -> Option<&IdSet> {
        match user_type {
            UserType::Internal => Some(&self.internal),
            UserType::Public => Some(&self.public),
            UserType::None => Some(&self.none),
            UserType::Portal => None,
        }
    }

    /// The type of an active user who is not a portal user.
    pub(super) fn named_type(&self, person: u32) -> Option<UserType> {
        UserType::ALL.iter().copied().find(|user_type| {
            self.named(*user_type)
                .is_some_and(|people| people.contains(person))
        })
    }

    /// All users whom the poll saw as active. Portal users show only by their factors and roles.
    pub(super) fn seen_active(&self) -> IdSet {
        &self.public | &self.none | self.concerned(true, true, true)
    }

    /// All users here whose absence from a later poll may be a change.
    pub(super) fn comparable_with(&self, later: &Self) -> IdSet {
        let definition = |baseline: &Self| {
            let roles = baseline.roles.as_ref();
            roles.map(|roles| roles.value.definition)
        };
        self.concerned(
            later.factors.is_some(),
            definition(self) == definition(later),
            later.protection.is_some(),
        )
    }

    /// Internal users, and those who have a factor, a role or protection.
    fn concerned(&self, factors: bool, roles: bool, protection: bool) -> IdSet {
        let mut people = self.internal.clone();
        if let Some(known) = self.factors.as_ref().filter(|_| factors) {
            people |= known.value.holders();
        }
        if let Some(known) = self.roles.as_ref().filter(|_| roles) {
            people |= known.value.everybody();
        }
        if let Some(known) = self.protection.as_ref().filter(|_| protection) {
            people |= &known.value.users;
        }
        people
    }

    /// Chooses the witnesses: users whose disappearance is checked, so that a deleted one is replaced.
    pub(super) fn witness_candidates(&self) -> IdSet {
        let people = self.concerned(true, true, true);
        let mut candidates: IdSet = people.iter().rev().take(NEWEST).collect();
        candidates.extend(people.min());
        candidates.insert(self.poller);
        candidates
    }

    /// As the first of a series.
    pub(super) fn begin(mut self, recent: Recent, answers: &Answers) -> Self {
        self.recent = recent;
        self.witnesses = self.answered_witnesses(answers);
        self
    }

    /// As the next one of a series.
    pub(super) fn succeed(mut self, previous: &Self, recent: Recent, answers: &Answers) -> Self {
        self.recent = recent;
        self.witnesses = if answers.to.is_empty() {
            previous.witnesses.clone()
        } else {
            self.answered_witnesses(answers)
        };
        self.factors = self.factors.or_else(|| previous.factors.clone());
        self.roles = self.roles.or_else(|| previous.roles.clone());
        self.keys = self.keys.or_else(|| previous.keys.clone());
        self.protection = self.protection.or_else(|| previous.protection.clone());
        self
    }

    fn answered_witnesses(&self, answers: &Answers) -> BTreeMap<u32, Timestamp> {
        self.witness_candidates()
            .iter()
            .filter_map(|id| Some((id, answers.people.get(&id)?.created?)))
            .collect()
    }
}
