//! Worlds of users who change at random, and what a comparison of two looks at them must say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::domain::PerType;

/// A database that knows everything, archived users too.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) people: BTreeMap<u32, TestUser>,
    keys: BTreeMap<u32, Key>,
    next_person: u32,
    next_key: u32,
    /// Current permissions of the polling account.
    pub(super) sees_factors: bool,
    sees_keys: bool,
    release: (u32, u32),
    /// The accepted factors.
    pub(super) accepted: BTreeSet<Factor>,
    /// For which types the e-mail code policy is in force.
    pub(super) policy: PerType<bool>,
    /// The last login of the break-glass accounts.
    pub(super) break_glass: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct TestUser {
    pub(super) user_type: UserType,
    pub(super) active: bool,
    pub(super) totp: bool,
    pub(super) passkey: bool,
    pub(super) privileged: bool,
    pub(super) sso: bool,
    pub(super) exempt: bool,
    created: Timestamp,
}

impl TestUser {
    fn has_factor(&self) -> bool {
        self.totp || self.passkey
    }
}

const POLLER: u32 = 6;

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("a time")
}

impl World {
    /// Thirty internal and thirty portal users, some with factors, some privileged.
    pub(super) fn new() -> Self {
        let mut world = Self {
            now: start(),
            people: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_person: POLLER,
            next_key: 1,
            sees_factors: true,
            sees_keys: true,
            release: (18, 0),
            accepted: BTreeSet::from([Factor::Totp]),
            policy: PerType::default(),
            break_glass: None,
        };
        for index in 0..60 {
            let portal = index % 2 == 1;
            let person = world.join(if portal {
                UserType::Portal
            } else {
                UserType::Internal
            });
            let user = world.user(person);
            user.totp = index % 3 == 0;
            user.passkey = index % 7 == 0;
            user.privileged = index % 8 == 0;
        }
        world
    }

    pub(super) fn user(&mut self, id: u32) -> &mut TestUser {
        self.people.get_mut(&id).expect("a user with that id")
    }

    pub(super) fn delete(&mut self, id: u32) {
        self.people.remove(&id);
    }

    pub(super) fn join(&mut self, user_type: UserType) -> u32 {
        let id = self.next_person;
        self.next_person += 1;
        let created = self.now - SignedDuration::from_hours(24 * 400 - i64::from(id));
        let user = TestUser {
            user_type,
            active: true,
            totp: false,
            passkey: false,
            privileged: false,
            sso: false,
            exempt: false,
            created,
        };
        self.people.insert(id, user);
        id
    }

    fn key(&mut self, owner: u32, expires: Option<Timestamp>) -> u32 {
        let id = self.next_key;
        self.next_key += 1;
        let created = self.now;
        self.keys.insert(
            id,
            Key {
                owner,
                created: Some(created),
                expires,
            },
        );
        id
    }

    fn active(&self, holds: impl Fn(&TestUser) -> bool) -> IdSet {
        let people = self.people.iter();
        people
            .filter(|(_, user)| user.active && holds(user))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Result of a poll.
    fn poll(&self) -> Baseline {
        let of_type = |user_type| self.active(|it| it.user_type == user_type);
        let at = self.now;
        Baseline {
            at,
            origin: Origin {
                url: "https://erp.example.com/".into(),
                database: "prod".into(),
            },
            release: self.release,
            poller: POLLER,
            types: PerType::from_fn(|user_type| {
                self.people.values().any(|user| user.user_type == user_type)
            }),
            internal: of_type(UserType::Internal),
            public: of_type(UserType::Public),
            none: of_type(UserType::None),
            factors: self.sees_factors.then(|| Part {
                at,
                value: Factors {
                    totp: self.active(|it| it.totp),
                    passkey: self.active(|it| it.passkey),
                    archived_holders: self.archived_holders(),
                },
            }),
            roles: Some(Part {
                at,
                value: RoleMembers {
                    definition: 1,
                    members: BTreeMap::from([(
                        "settings".to_owned(),
                        self.active(|it| it.privileged),
                    )]),
                },
            }),
            keys: self.sees_keys.then(|| Part {
                at,
                value: self.keys.clone(),
            }),
            protection: self.protection().map(|value| Part { at, value }),
            exempt: self.active(|it| it.exempt),
            enforced: Some(self.policy),
            break_glass: self.break_glass,
            recent: Recent::default(),
            witnesses: BTreeMap::new(),
        }
    }

    fn protection(&self) -> Option<Protection> {
        let accepts = |factor| self.accepted.contains(&factor);
        if !self.sees_factors {
            return None;
        }
        let covered = PerType::from_fn(|it| self.policy[it] && accepts(Factor::EmailPolicy));
        let holds = |it: &TestUser| {
            it.totp && accepts(Factor::Totp)
                || it.passkey && accepts(Factor::Passkey)
                || it.sso && accepts(Factor::Sso)
        };
        let protected = |it: &TestUser| !it.exempt && (holds(it) || covered[it.user_type]);
        let count = |of: &dyn Fn(&TestUser) -> bool| {
            PerType::from_fn(|user_type| {
                self.active(|it| it.user_type == user_type && of(it)).len()
            })
        };
        let portal = |it: &TestUser| it.user_type == UserType::Portal;
        Some(Protection {
            accepted: self.accepted.clone(),
            users: self.active(|it| protected(it) && (holds(it) || !portal(it))),
            covered,
            eligible: count(&|it| !it.exempt),
            protected: count(&protected),
            bare_portal: self
                .active(|it| portal(it) && !it.exempt && !holds(it))
                .len(),
        })
    }

    /// Eligible users without an accepted factor, by type.
    pub(super) fn unprotected(&self) -> PerType<u64> {
        let known = self.protection().expect("factors are seen");
        PerType::from_fn(|user_type| known.eligible[user_type] - known.protected[user_type])
    }

    fn archived_holders(&self) -> IdSet {
        let away = self.people.iter();
        let away = away.filter(|(_, it)| it.has_factor() && !it.active);
        away.map(|(id, _)| *id).collect()
    }

    fn answer(&self, to: IdSet) -> Answers {
        Answers {
            people: to
                .iter()
                .filter_map(|id| {
                    let user = self.people.get(&id)?;
                    let person = Person {
                        active: user.active,
                        created: Some(user.created),
                        login: None,
                    };
                    Some((id, person))
                })
                .collect(),
            to,
        }
    }

    pub(super) fn step(&self, previous: Option<&Baseline>) -> Step {
        let current = self.poll();
        let answers = self.answer(questions(previous, &current));
        advance(previous, current, &answers).expect("everything was asked")
    }

    pub(super) fn later(&mut self) {
        self.now += SignedDuration::from_mins(5);
    }

    /// Events between two polls, seen user by user by an observer who knows everything.
    fn truth(&self, later: &Self) -> Counters {
        let mut counters = Counters::default();
        counters.begin(&self.poll());
        counters.begin(&later.poll());
        for (id, now) in &later.people {
            let before = self.people.get(id);
            let had = before.is_some_and(TestUser::has_factor);
            let both = now.active && before.is_some_and(|it| it.active);
            let transition = match (had, now.has_factor()) {
                (false, true) if now.active => Some(MfaTransition::Enrolled),
                (true, false) if both => Some(MfaTransition::Disabled),
                _ => None,
            };
            if let Some(transition) = transition {
                counters.mfa[now.user_type].get_or_insert_default()[transition as usize] += 1;
                if now.privileged {
                    counters.privileged_mfa.get_or_insert_default()[transition as usize] += 1;
                }
            }
            let was = before.is_some_and(|it| it.active && it.privileged);
            let privilege = match (was, now.active && now.privileged) {
                (false, true) => Some(PrivilegeTransition::Granted),
                (true, false) if now.active => Some(PrivilegeTransition::Revoked),
                _ => None,
            };
            if let Some(transition) = privilege {
                counters.privilege.get_or_insert_default()[transition as usize] += 1;
            }
        }
        let before: BTreeSet<_> = self.keys.keys().collect();
        let now: BTreeSet<_> = later.keys.keys().collect();
        let keys = counters.api_keys.get_or_insert_default();
        keys[KeyTransition::Created as usize] += (&now - &before).len() as u64;
        for id in &before - &now {
            let transition = if self.keys[id].expires.is_some_and(|end| end <= later.now) {
                KeyTransition::Expired
            } else {
                KeyTransition::Revoked
            };
            keys[transition as usize] += 1;
        }
        counters
    }
}

fn changes(step: &Step) -> &[Change] {
    match &step.found {
        Found::Changes(changes) => changes,
        other => panic!("not compared: {other:?}"),
    }
}

fn counted(step: &Step) -> Counters {
    let mut counters = Counters::default();
    counters.begin(&step.baseline);
    counters.add(changes(step));
    counters
}

fn kinds(step: &Step) -> Vec<(&'static str, u32)> {
    let changes = changes(step).iter();
    changes
        .map(|change| (change.kind.as_str(), change.person))
        .collect()
}

/// The n-th internal user; odd numbers are portal users.
const fn person(index: u32) -> u32 {
    POLLER + index
}

/// Lets something happen and says what the comparison makes of it.
fn after(happens: impl FnOnce(&mut World)) -> Vec<(&'static str, u32)> {
    let mut world = World::new();
    let first = world.step(None);
    assert_eq!(first.found, Found::First);
    world.later();
    happens(&mut world);
    kinds(&world.step(Some(&first.baseline)))
}

#[test]
fn only_who_is_active_in_both_polls_can_disable() {
    let holder = person(6); // internal, TOTP
    let portal = person(3); // portal, TOTP
    assert_eq!(
        after(|world| world.user(holder).totp = false),
        [("mfa_disabled", holder)]
    );
    assert_eq!(
        after(|world| world.user(portal).totp = false),
        [("mfa_disabled", portal)]
    );
    assert_eq!(after(|world| world.user(portal).active = false), []);
    assert_eq!(after(|world| world.delete(portal)), []);
    assert_eq!(
        after(|world| world.user(holder).active = false),
        [("archived", holder)]
    );
    assert_eq!(after(|world| world.delete(holder)), [("left", holder)]);
    // From one method to the other is neither.
    assert_eq!(
        after(|world| {
            world.user(holder).totp = false;
            world.user(holder).passkey = true;
        }),
        []
    );
    // A change of type alone is no transition; with the loss of the factor it is one.
    assert_eq!(
        after(|world| world.user(holder).user_type = UserType::Portal),
        [("left", holder)]
    );
    assert_eq!(
        after(|world| {
            world.user(holder).user_type = UserType::Portal;
            world.user(holder).totp = false;
        }),
        [("mfa_disabled", holder), ("left", holder)]
    );
}

#[test]
fn a_user_who_is_unarchived_did_not_enroll() {
    for holder in [person(6), person(3)] {
        let mut world = World::new();
        let first = world.step(None);
        world.user(holder).active = false;
        world.later();
        let second = world.step(Some(&first.baseline));
        world.user(holder).active = true;
        world.later();
        let third = world.step(Some(&second.baseline));
        assert!(
            changes(&third)
                .iter()
                .all(|it| it.kind == ChangeKind::Joined),
            "{third:?}"
        );
    }
    // A user who was archived before the first poll is known from the question that the first poll asks.
    let mut world = World::new();
    world.user(person(3)).active = false;
    let first = world.step(None);
    world.user(person(3)).active = true;
    assert_eq!(kinds(&world.step(Some(&first.baseline))), []);
}

/// State of a user for a poll: existing or not, archived or active, without a factor or with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    Archived { holds: bool },
    Active { holds: bool },
}

const STATES: [State; 5] = [
    State::Absent,
    State::Archived { holds: false },
    State::Archived { holds: true },
    State::Active { holds: false },
    State::Active { holds: true },
];

/// Changes that a poll finds of a user, by the state before (rows) and after (columns), both in the order of [`STATES`].
const TRANSITIONS: [[Option<MfaTransition>; 5]; 5] = {
    const NONE: Option<MfaTransition> = None;
    const ENROLLED: Option<MfaTransition> = Some(MfaTransition::Enrolled);
    const DISABLED: Option<MfaTransition> = Some(MfaTransition::Disabled);
    [
        [NONE, NONE, NONE, NONE, ENROLLED],
        [NONE, NONE, NONE, NONE, ENROLLED],
        [NONE, NONE, NONE, NONE, NONE],
        [NONE, NONE, NONE, NONE, ENROLLED],
        [NONE, NONE, NONE, DISABLED, NONE],
    ]
};

/// Each way through three polls, of each type at each of them: what the second and the third find is what the table says, and where the
/// second does not know who has a factor, the third finds what is between it and the first.
#[test]
fn each_pair_of_states_is_the_transition_of_the_table() {
    let id = person(31);
    let enter = |world: &mut World, state: State, user_type: UserType| {
        world.later();
        let (active, totp) = match state {
            State::Absent => return world.delete(id),
            State::Archived { holds } => (false, holds),
            State::Active { holds } => (true, holds),
        };
        let user = TestUser {
            user_type,
            active,
            totp,
            passkey: false,
            privileged: false,
            created: start(),
            sso: false,
            exempt: false,
        };
        world.people.insert(id, user);
    };
    let found = |step: &Step| -> Vec<(MfaTransition, Option<UserType>)> {
        let mfa = |change: &Change| match change.kind {
            ChangeKind::MfaEnrolled => Some((MfaTransition::Enrolled, change.user_type)),
            ChangeKind::MfaDisabled => Some((MfaTransition::Disabled, change.user_type)),
            _ => None,
        };
        changes(step).iter().filter_map(mfa).collect()
    };
    let indexes = || 0..STATES.len();
    let ways =
        indexes().flat_map(|a| indexes().flat_map(move |b| indexes().map(move |c| [a, b, c])));
    for way in ways {
        // An id is given once.
        if way.windows(2).any(|pair| pair[0] > 0 && pair[1] == 0) && way[2] > 0 {
            continue;
        }
        for types in 0..8_usize {
            let type_at = |poll: usize| match (types >> poll) & 1 {
                0 => UserType::Portal,
                _ => UserType::Internal,
            };
            let expected = |from: usize, to: usize| -> Vec<_> {
                let transition = TRANSITIONS[way[from]][way[to]];
                let user_type = type_at(to);
                transition
                    .map(|it| (it, Some(user_type)))
                    .into_iter()
                    .collect()
            };
            let at = format!("{:?}, types {types:03b}", way.map(|state| STATES[state]));

            let mut world = World::new();
            enter(&mut world, STATES[way[0]], type_at(0));
            let first = world.step(None);
            enter(&mut world, STATES[way[1]], type_at(1));
            let second = world.step(Some(&first.baseline));
            assert_eq!(found(&second), expected(0, 1), "second of {at}");
            let mut limited = world.clone();
            enter(&mut world, STATES[way[2]], type_at(2));
            let third = world.step(Some(&second.baseline));
            assert_eq!(found(&third), expected(1, 2), "third of {at}");

            limited.sees_factors = false;
            let second = limited.step(Some(&first.baseline));
            assert_eq!(found(&second), [], "facts missing in the middle of {at}");
            limited.sees_factors = true;
            enter(&mut limited, STATES[way[2]], type_at(2));
            let third = limited.step(Some(&second.baseline));
            assert_eq!(
                found(&third),
                expected(0, 2),
                "third after one with missing facts of {at}"
            );
        }
    }
}

#[test]
fn an_upgrade_to_a_release_that_hides_who_has_totp_is_no_transition() {
    let mut world = World::new();
    let mut step = world.step(None);
    world.release = (20, 0);
    for (sees, archived) in [(false, Some(person(3))), (false, None), (true, None)] {
        world.later();
        world.sees_factors = sees;
        if let Some(holder) = archived {
            world.user(holder).active = false;
        }
        step = world.step(Some(&step.baseline));
        assert_eq!(kinds(&step), [], "factors known: {sees}");
    }
    // Changes since then count, over the gap: users who were unarchived did not enroll.
    world.later();
    world.user(person(3)).active = true;
    world.user(person(6)).totp = false;
    assert_eq!(
        kinds(&world.step(Some(&step.baseline))),
        [("mfa_disabled", person(6))]
    );
}

#[test]
fn coming_back_while_a_poll_reads_is_no_transition() {
    let mut world = World::new();
    let holder = person(3);
    world.user(holder).active = false;
    let first = world.step(None);
    world.later();
    let read = world.poll();
    world.user(holder).active = true;
    let answers = world.answer(questions(Some(&first.baseline), &read));
    let second = advance(Some(&first.baseline), read, &answers).expect("asked");
    assert_eq!(kinds(&second), []);
    world.later();
    assert_eq!(kinds(&world.step(Some(&second.baseline))), []);
}

#[test]
fn privilege_is_granted_to_new_people_too_and_leaving_revokes_nothing() {
    let admin = person(8);
    assert_eq!(
        after(|world| world.user(admin).privileged = false),
        [("privilege_revoked", admin)]
    );
    assert_eq!(
        after(|world| world.user(admin).active = false),
        [("archived", admin)]
    );
    let plain = person(2);
    assert_eq!(
        after(|world| world.user(plain).privileged = true),
        [("privilege_granted", plain)]
    );
    let newcomer = person(60);
    assert_eq!(
        after(|world| {
            let id = world.join(UserType::Internal);
            world.user(id).privileged = true;
        }),
        [("privilege_granted", newcomer), ("joined", newcomer)]
    );
}

#[test]
fn another_definition_of_the_roles_is_no_transition() {
    let mut world = World::new();
    let first = world.step(None);
    for user in world.people.values_mut() {
        user.privileged = !user.privileged;
    }
    let mut current = world.poll();
    if let Some(roles) = &mut current.roles {
        roles.value.definition = 2;
    }
    let answers = world.answer(questions(Some(&first.baseline), &current));
    let step = advance(Some(&first.baseline), current, &answers).expect("asked");
    assert_eq!(kinds(&step), []);
}

#[test]
fn a_key_that_vanishes_after_its_date_has_expired() {
    let mut world = World::new();
    let owner = person(0);
    let soon = world.now + SignedDuration::from_mins(3);
    let dated = world.key(owner, Some(soon));
    let undated = world.key(owner, None);
    let first = world.step(None);
    world.later();
    world.keys.remove(&dated);
    world.keys.remove(&undated);
    let made = world.key(owner, None);
    let step = world.step(Some(&first.baseline));
    let found: Vec<_> = changes(&step)
        .iter()
        .map(|it| (it.kind.as_str(), it.key))
        .collect();
    assert_eq!(
        found,
        [
            ("key_created", Some(made)),
            ("key_revoked", Some(undated)),
            ("key_expired", Some(dated))
        ]
    );
}

#[test]
fn what_happens_while_a_capability_is_missing_is_counted_when_it_is_back() {
    let mut world = World::new();
    let first = world.step(None);
    world.sees_factors = false;
    world.sees_keys = false;
    world.later();
    world.user(person(6)).totp = false;
    let key = world.key(person(0), None);
    let limited = world.step(Some(&first.baseline));
    assert_eq!(kinds(&limited), []);
    // Portal users with a factor do not show in such a poll, and are not searched.
    let asked = questions(Some(&first.baseline), &world.poll());
    assert!(asked.is_empty());
    world.sees_factors = true;
    world.sees_keys = true;
    world.later();
    let back = world.step(Some(&limited.baseline));
    assert_eq!(
        kinds(&back),
        [("mfa_disabled", person(6)), ("key_created", person(0))]
    );
    assert_eq!(changes(&back)[0].after, start());
    assert_eq!(changes(&back)[1].key, Some(key));
}

#[test]
fn nothing_is_asked_when_nothing_changed_and_little_when_something_did() {
    let mut world = World::new();
    let first = world.step(None);
    world.later();
    let asked = questions(Some(&first.baseline), &world.poll());
    assert!(asked.is_empty());
    world.user(person(3)).totp = false;
    let asked = questions(Some(&first.baseline), &world.poll());
    assert!(asked.contains(person(3)) && asked.len() <= 7);
    assert_eq!(
        advance(Some(&first.baseline), world.poll(), &Answers::default()),
        Err(Unasked)
    );
}

#[test]
fn a_target_that_points_elsewhere_is_a_break() {
    let world = World::new();
    let first = world.step(None);
    let mut other = World::new();
    for user in other.people.values_mut() {
        user.totp = !user.totp;
    }
    let mut current = other.poll();
    current.origin.database = "staging".into();
    let answers = other.answer(questions(Some(&first.baseline), &current));
    let step = advance(Some(&first.baseline), current, &answers).expect("asked");
    assert!(
        matches!(step.found, Found::Break(Break::Moved(_))),
        "{:?}",
        step.found
    );
    // The next poll is compared with the new baseline.
    let next = other.poll();
    assert_eq!(step.baseline.factors, next.factors);
    assert!(!step.baseline.witnesses.is_empty());
}

#[test]
fn a_restored_backup_is_a_break_whether_or_not_it_was_used_since() {
    let mut world = World::new();
    let backup = world.clone();
    world.later();
    for index in 0..5 {
        let id = world.join(UserType::Internal);
        world.user(id).totp = true;
        world.user(person(2 + 4 * index)).totp = true;
    }
    world.key(person(61), None);
    let latest = world.step(None);
    for used_since in [false, true] {
        let mut restored = backup.clone();
        restored.now = world.now + SignedDuration::from_hours(3);
        if used_since {
            for _ in 0..5 {
                restored.join(UserType::Internal);
            }
        }
        let step = restored.step(Some(&latest.baseline));
        let expected = if used_since {
            "ids_reused"
        } else {
            "went_back"
        };
        assert!(
            matches!(&step.found, Found::Break(it) if it.as_str() == expected),
            "{:?}",
            step.found
        );
    }
    // So is an older release, and a key that is another one.
    let mut older = world.poll();
    older.release = (17, 0);
    assert!(matches!(
        evident_break(&latest.baseline, &older),
        Some(Break::WentBack(_))
    ));
    let mut other = world.poll();
    for key in other
        .keys
        .iter_mut()
        .flat_map(|keys| keys.value.values_mut())
    {
        key.created = key.created.map(|at| at + SignedDuration::from_hours(1));
    }
    assert!(matches!(
        evident_break(&latest.baseline, &other),
        Some(Break::Reused(Subject::Key(_)))
    ));
}

#[test]
fn the_newest_account_may_be_deleted() {
    let last_internal = person(58);
    assert_eq!(
        after(|world| world.delete(last_internal)),
        [("left", last_internal)]
    );
}

#[test]
fn another_database_with_the_same_ids_is_a_break() {
    // Even where each account was made at the same second.
    let first = World::new().step(None);
    let mut other = World::new();
    for (index, user) in other.people.values_mut().enumerate() {
        user.totp = index % 3 == 1;
        user.passkey = false;
    }
    let step = other.step(Some(&first.baseline));
    assert!(
        matches!(step.found, Found::Break(Break::Implausible { .. })),
        "{:?}",
        step.found
    );
    // And where they were not, few changes are enough to see it.
    let mut other = World::new();
    for user in other.people.values_mut() {
        user.created += SignedDuration::from_secs(1);
    }
    other.user(person(6)).totp = false;
    let step = other.step(Some(&first.baseline));
    assert!(
        matches!(step.found, Found::Break(Break::Reused(_))),
        "{:?}",
        step.found
    );
}

#[test]
fn a_module_that_is_uninstalled_takes_the_factor_of_all_users_and_that_is_counted() {
    let mut world = World::new();
    let first = world.step(None);
    let holders = world.active(TestUser::has_factor).len();
    for user in world.people.values_mut() {
        (user.totp, user.passkey) = (false, false);
    }
    let step = world.step(Some(&first.baseline));
    assert_eq!(changes(&step).len() as u64, holders);
}

#[test]
fn a_clock_that_was_set_back_does_not_turn_a_window_around() {
    let mut world = World::new();
    let first = world.step(None);
    world.now -= SignedDuration::from_hours(2);
    world.user(person(6)).totp = false;
    let step = world.step(Some(&first.baseline));
    assert_eq!(kinds(&step), [("mfa_disabled", person(6))]);
    assert!(changes(&step)[0].after <= changes(&step)[0].before);
}

/// One thing that happens to one user.
#[derive(Debug, Clone, Copy)]
enum Event {
    Totp(u32),
    Passkey(u32),
    Privilege(u32),
    Activity(u32),
    Delete(u32),
    Type(u32),
    Join(bool, bool),
    MakeKey(u32, bool),
    RevokeKey(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let who = 1..70u32;
    prop_oneof![
        4 => who.clone().prop_map(Event::Totp),
        2 => who.clone().prop_map(Event::Passkey),
        2 => who.clone().prop_map(Event::Privilege),
        3 => who.clone().prop_map(Event::Activity),
        1 => who.clone().prop_map(Event::Delete),
        1 => who.clone().prop_map(Event::Type),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(portal, totp)| Event::Join(portal, totp)),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, dated)| Event::MakeKey(who, dated)),
        2 => (0..8u32).prop_map(Event::RevokeKey),
    ]
}

/// Lets things happen, also to archived users, and several to one user.
fn happen(world: &mut World, events: &[Event]) {
    let newest = world.next_person;
    for event in events {
        match *event {
            Event::Join(portal, totp) => {
                let id = world.join(if portal {
                    UserType::Portal
                } else {
                    UserType::Internal
                });
                world.user(id).totp = totp;
            }
            Event::MakeKey(who, dated) => {
                let end = world.now + SignedDuration::from_mins(7);
                if world.people.contains_key(&person(who)) {
                    world.key(person(who), dated.then_some(end));
                }
            }
            Event::RevokeKey(index) => {
                let id = world.keys.keys().nth(index as usize).copied();
                id.and_then(|id| world.keys.remove(&id));
            }
            Event::Totp(who)
            | Event::Passkey(who)
            | Event::Privilege(who)
            | Event::Activity(who)
            | Event::Delete(who)
            | Event::Type(who) => {
                let id = person(who);
                // The newest are left alone: their going is what a restored backup looks like.
                if id + 6 >= newest {
                    continue;
                }
                let Some(user) = world.people.get_mut(&id) else {
                    continue;
                };
                match event {
                    Event::Activity(_) => user.active = !user.active,
                    Event::Delete(_) => {
                        world.people.remove(&id);
                        world.keys.retain(|_, key| key.owner != id);
                    }
                    Event::Totp(_) => user.totp = !user.totp,
                    Event::Passkey(_) => user.passkey = !user.passkey,
                    Event::Privilege(_) => user.privileged = !user.privileged,
                    _ => {
                        user.user_type = match user.user_type {
                            UserType::Internal => UserType::Portal,
                            _ => UserType::Internal,
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// For any lives, the counters are those of an observer who knows everything, gap by gap.
    #[test]
    fn counters_are_the_true_net_changes(lives in prop::collection::vec(prop::collection::vec(event(), 0..12), 1..12)) {
        let mut world = World::new();
        let mut step = world.step(None);
        for events in lives {
            let before = world.clone();
            happen(&mut world, &events);
            world.later();
            step = world.step(Some(&step.baseline));
            prop_assert_eq!(counted(&step), before.truth(&world));
        }
    }

    /// Polls that do not know who has a factor neither lose nor invent a transition: the next one that knows finds what happened since
    /// the last one that did.
    #[test]
    fn what_happens_out_of_sight_is_counted_once(
        lives in prop::collection::vec((prop::collection::vec(event(), 0..8), any::<bool>()), 1..10)
    ) {
        let mfa = |counters: &Counters| UserType::ALL.iter().map(|it| counters.mfa[*it].unwrap_or_default()).collect::<Vec<_>>();
        let mut world = World::new();
        let mut step = world.step(None);
        let mut seen = world.clone();
        for (events, sees) in lives {
            happen(&mut world, &events);
            world.later();
            world.sees_factors = sees;
            step = world.step(Some(&step.baseline));
            let expected = if sees { seen.truth(&world) } else { Counters::default() };
            prop_assert_eq!(mfa(&counted(&step)), mfa(&expected));
            if sees {
                seen = world.clone();
            }
        }
    }

    /// The users who had a factor and those who have one differ by what was counted and by who came and went.
    #[test]
    fn a_gap_is_compared_as_a_whole(lives in prop::collection::vec(prop::collection::vec(event(), 0..6), 1..4)) {
        let world = World::new();
        let first = world.step(None);
        let mut later = world.clone();
        let everything: Vec<Event> = lives.into_iter().flatten().collect();
        happen(&mut later, &everything);
        later.now += SignedDuration::from_hours(24 * 3);
        // Polls that failed in between leave no trace: the same two looks, the same changes.
        let step = later.step(Some(&first.baseline));
        prop_assert_eq!(counted(&step), world.truth(&later));
        prop_assert_eq!(&later.step(Some(&first.baseline)), &step);
        // And looking again finds nothing.
        let again = later.step(Some(&step.baseline));
        prop_assert_eq!(changes(&again), &[]);
    }

    /// A break counts nothing, regardless of other differences.
    #[test]
    fn a_break_is_no_storm(events in prop::collection::vec(event(), 0..30)) {
        let first = World::new().step(None);
        let mut other = World::new();
        for user in other.people.values_mut() {
            user.created -= SignedDuration::from_hours(1);
        }
        happen(&mut other, &events);
        other.later();
        let step = other.step(Some(&first.baseline));
        let quiet = match &step.found {
            Found::Break(_) => true,
            // Nothing was asked, since nothing that counts is different.
            Found::Changes(changes) => changes.is_empty(),
            Found::First => false,
        };
        prop_assert!(quiet, "{:?}", step.found);
    }
}
