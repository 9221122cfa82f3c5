//! Properties of the arithmetic, for any facts: counts partition, parts fit into wholes, and order does not matter.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::domain::exemption::{Exemption, Matcher, Note};
use crate::domain::facts::{People, Server, Uses};
use crate::domain::roster::{Filter, InRole, KeyState, Roster, State};
use crate::domain::vocabulary::{Api, Factor};

/// One active user as generated.
#[derive(Debug, Clone)]
struct TestUser {
    kind: UserType,
    totp: bool,
    passkey: bool,
    recent: bool,
    awake: bool,
    roles: [bool; 2],
    exempt: bool,
    /// Age in days and days until it expires, of a key.
    key: Option<(i64, Option<i64>)>,
}

fn test_user() -> impl Strategy<Value = TestUser> {
    let kind = prop::sample::select(UserType::ALL);
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<[bool; 2]>(),
    );
    let key = prop::option::of((0i64..500, prop::option::of(-40i64..400)));
    (kind, flags, prop::bool::weighted(0.2), key).prop_map(
        |(kind, (totp, passkey, recent, awake, roles), exempt, key)| TestUser {
            kind,
            totp,
            passkey,
            recent,
            awake,
            roles,
            exempt,
            key,
        },
    )
}

fn accepted() -> impl Strategy<Value = BTreeSet<Factor>> {
    prop::collection::btree_set(
        prop::sample::select(vec![Factor::Totp, Factor::Passkey, Factor::EmailPolicy]),
        1..4,
    )
}

fn policy() -> impl Strategy<Value = Option<PolicyScope>> {
    prop::option::of(prop::sample::select(PolicyScope::ALL))
}

const EXEMPT: &str = "exempt";

fn exemption() -> Vec<Exemption> {
    vec![Exemption {
        user_type: None,
        matcher: Matcher::Login(EXEMPT.into()),
        reason: ExemptReason::Service,
        expires: None,
        shared: false,
        note: Note::default(),
    }]
}

fn now() -> Timestamp {
    "2026-11-24T05:00:00Z".parse().expect("a time")
}

fn facts(people: &[(u32, TestUser)], policy: Option<PolicyScope>) -> Facts {
    let ids = |filter: &dyn Fn(&TestUser) -> bool| -> IdSet {
        people
            .iter()
            .filter(|(_, it)| filter(it))
            .map(|(id, _)| *id)
            .collect()
    };
    let of = |kind: UserType| ids(&|it| it.kind == kind);
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let keys = people.iter().filter_map(|(id, it)| {
        let (age, left) = it.key?;
        Some(ApiKey {
            id: *id,
            owner: *id,
            owner_active: true,
            scope: [Scope::Unrestricted, Scope::Rpc, Scope::Other][*id as usize % 3],
            created: Some(now() - days(age)),
            expires: left.map(|left| now() + days(left)),
        })
    });
    let server = Server {
        version: "19.0".into(),
        release: (19, 0),
        api: Api::Json2,
    };
    let everybody = People {
        internal: of(UserType::Internal),
        public: of(UserType::Public),
        none: of(UserType::None),
        portal: of(UserType::Portal).len(),
        archived: PerType::default(),
    };
    Facts {
        well_known_privileged: Some(IdSet::new()),
        totp: Known::Complete(ids(&|it| it.totp)),
        passkey: Known::Complete(ids(&|it| it.passkey)),
        oauth: Known::Complete(IdSet::new()),
        saml: Known::Complete(IdSet::new()),
        recent: ids(&|it| it.recent),
        awake: Known::Complete(ids(&|it| it.awake)),
        roles: Known::Complete(BTreeMap::from([
            (SETTINGS.to_owned(), ids(&|it| it.roles[0])),
            ("sales".to_owned(), ids(&|it| it.roles[1])),
        ])),
        exemptions: vec![ids(&|it| it.exempt)],
        keys: Known::Complete(keys.collect()),
        devices: Known::Complete(Vec::new()),
        modules: Known::Complete(BTreeSet::new()),
        legacy_rpc: Some(true),
        policy: Known::Complete(policy),
        ..Facts::of_people(now(), server, 1, everybody)
    }
}

fn posture(
    people: &[(u32, TestUser)],
    accepted: &BTreeSet<Factor>,
    policy: Option<PolicyScope>,
) -> Posture {
    let facts = facts(people, policy);
    let exemptions = exemption();
    let terms = Terms {
        accepted,
        exemptions: &exemptions,
    };
    let standing = Standing::of(&facts, &terms);
    Posture::of(&facts, &terms, &standing).expect("facts of one moment fit together")
}

/// Returns true if a user has an accepted factor, decided user by user.
fn is_covered(it: &TestUser, accepted: &BTreeSet<Factor>, policy: Option<PolicyScope>) -> bool {
    accepted.iter().any(|factor| match factor {
        Factor::Totp => it.totp,
        Factor::Passkey => it.passkey,
        Factor::EmailPolicy => match policy {
            None => false,
            Some(PolicyScope::EmployeeRequired) => it.kind == UserType::Internal,
            Some(PolicyScope::AllRequired) => true,
        },
        Factor::Sso => false,
    })
}

proptest! {
    #[test]
    fn numbers_are_those_that_counting_person_by_person_gives(
        people in prop::collection::vec(test_user(), 0..60),
        accepted in accepted(),
        policy in policy(),
    ) {
        let people: Vec<(u32, TestUser)> = (100..).zip(people).collect();
        let posture = posture(&people, &accepted, policy);
        let covered = |it: &TestUser| is_covered(it, &accepted, policy);
        let count = |kind: UserType, filter: &dyn Fn(&TestUser) -> bool| {
            people.iter().filter(|(_, it)| it.kind == kind && filter(it)).count() as u64
        };
        for kind in UserType::ALL.iter().copied() {
            let eligible = |it: &TestUser| !it.exempt;
            let bare = |it: &TestUser| eligible(it) && !covered(it);
            prop_assert_eq!(posture.active[kind], count(kind, &|_| true));
            prop_assert_eq!(posture.eligible[kind], count(kind, &eligible));
            prop_assert_eq!(posture.exempt[kind].iter().sum::<u64>() + posture.eligible[kind], posture.active[kind]);
            prop_assert_eq!(posture.protected.expect("known")[kind], count(kind, &|it| eligible(it) && covered(it)));
            prop_assert_eq!(posture.grace.expect("known")[kind], count(kind, &|it| bare(it) && it.recent));
            prop_assert_eq!(posture.dormant_unprotected.expect("known")[kind], count(kind, &|it| bare(it) && !it.awake));
            prop_assert_eq!(posture.single_factor.expect("known")[kind], count(kind, &|it| eligible(it) && it.totp != it.passkey));
        }
        let privileged = posture.privileged.as_ref().expect("known");
        let all = |filter: &dyn Fn(&TestUser) -> bool| people.iter().filter(|(_, it)| filter(it)).count() as u64;
        prop_assert_eq!(privileged.people, all(&|it| !it.exempt && it.roles != [false; 2]));
        prop_assert_eq!(privileged.unprotected, Some(all(&|it| !it.exempt && !covered(it) && it.roles != [false; 2])));
        prop_assert_eq!(privileged.protected_admins, Some(all(&|it| !it.exempt && covered(it) && it.roles[0])));
        let keys = posture.keys.as_ref().expect("known");
        let working = |it: &TestUser| it.key.is_some_and(|(_, left)| left.is_none_or(|left| left > 0));
        prop_assert_eq!(keys.unrestricted + keys.rpc + keys.other, all(&working));
        prop_assert_eq!(keys.by_age.iter().sum::<u64>(), all(&working));
        prop_assert_eq!(keys.of_unprotected, Some(all(&|it| working(it) && !covered(it))));
        prop_assert_eq!(keys.of_privileged, Some(all(&|it| working(it) && it.roles != [false; 2])));
    }

    #[test]
    fn lists_are_as_long_as_the_numbers_say(
        people in prop::collection::vec(test_user(), 0..60),
        accepted in accepted(),
        policy in policy(),
        noted in prop::option::of((0i64..300, prop::collection::btree_map(100u32..160, 0i64..300, 0..60))),
    ) {
        let people: Vec<(u32, TestUser)> = (100..).zip(people).collect();
        let exemptions = exemption();
        let terms = Terms { accepted: &accepted, exemptions: &exemptions };
        let before = |days: i64| now() - SignedDuration::from_hours(24 * days);
        let uses = noted.map(|(since, used)| Uses {
            since: before(since),
            keys: used.into_iter().map(|(key, days)| (key, before(days.min(since)))).collect(),
            passwords: BTreeMap::new(),
        });
        let facts = Facts { uses, ..facts(&people, policy) };
        let standing = Standing::of(&facts, &terms);
        let posture = Posture::of(&facts, &terms, &standing).expect("facts of one moment fit together");
        let roster = Roster::new(facts, standing, &terms);
        let everybody = Filter { states: &[State::Active], types: &[], roles: Vec::new(), reason: None };
        let listed = |filter: &Filter| {
            let selection = roster.people(filter).expect("known");
            // All other users are found by a search for portal users, so exactly these must be taken for members.
            let members = people.iter().filter(|(id, _)| roster.contains(&selection, *id)).count() as u64;
            assert_eq!(members, roster.count(&selection), "{filter:?}");
            members
        };
        let unprotected = posture.protected.map(|protected| minus(posture.eligible, protected));
        let numbers: Vec<(State, PerType<u64>)> = vec![
            (State::Active, posture.active),
            (State::Eligible, posture.eligible),
            (State::Protected, posture.protected.expect("known")),
            (State::Unprotected, unprotected.expect("known")),
            (State::Grace, posture.grace.expect("known")),
            (State::PastGrace, minus(unprotected.expect("known"), posture.grace.expect("known"))),
            (State::Dormant, posture.dormant_unprotected.expect("known")),
            (State::Exempt, PerType::from_fn(|kind| posture.exempt[kind].iter().sum())),
            (State::Totp, posture.totp.expect("known")),
            (State::Passkey, posture.passkey.expect("known")),
            (State::Oauth, posture.oauth.expect("known")),
            (State::Saml, posture.saml.expect("known")),
            (State::SingleFactor, posture.single_factor.expect("known")),
            (State::PasswordRpc, posture.password_rpc.expect("known")),
        ];
        prop_assert_eq!(numbers.len(), State::ALL.len());
        for (state, number) in numbers {
            prop_assert_eq!(listed(&Filter { states: &[state], ..everybody.clone() }), number.0.iter().sum::<u64>());
            for user_type in UserType::ALL.iter().copied() {
                prop_assert_eq!(listed(&Filter { states: &[state], types: &[user_type], ..everybody.clone() }), number[user_type]);
            }
        }
        let members = |states: &[State]| -> BTreeSet<u32> {
            let selection = roster.people(&Filter { states, ..everybody.clone() }).expect("known");
            people.iter().map(|(id, _)| *id).filter(|id| roster.contains(&selection, *id)).collect()
        };
        for one in State::ALL {
            for other in State::ALL {
                let both: BTreeSet<u32> = &members(&[*one]) | &members(&[*other]);
                prop_assert_eq!(&members(&[*one, *other]), &both, "{} or {}", one, other);
                prop_assert_eq!(listed(&Filter { states: &[*one, *other], ..everybody.clone() }), both.len() as u64);
            }
        }
        let privileged = posture.privileged.as_ref().expect("known");
        let in_role = |state, role| listed(&Filter { states: &[state], roles: vec![role], ..everybody.clone() });
        prop_assert_eq!(in_role(State::Eligible, InRole::Any), privileged.people);
        prop_assert_eq!(Some(in_role(State::Unprotected, InRole::Any)), privileged.unprotected);
        prop_assert_eq!(Some(in_role(State::Unprotected, InRole::Administrators)), privileged.unprotected_admins);
        for role in &privileged.roles {
            let name = InRole::Named(&role.name);
            prop_assert_eq!(in_role(State::Eligible, name), role.people);
            prop_assert_eq!(Some(in_role(State::Unprotected, name)), role.unprotected);
            prop_assert_eq!(Some(in_role(State::PastGrace, name)), role.unprotected_past_grace);
            prop_assert_eq!(in_role(State::Exempt, name), role.exempt);
        }
        let keys = posture.keys.as_ref().expect("known");
        let listed = |state| Some(roster.keys(state).ok()?.len() as u64);
        let working = keys.unrestricted + keys.rpc + keys.other;
        let numbers = [
            Some(working), Some(keys.unrestricted), Some(keys.by_age[0]), Some(keys.by_age[1]), Some(keys.by_age[2]), Some(keys.by_age[3]),
            Some(keys.without_expiry), keys.unused[0], keys.unused[1], Some(keys.expiring[0] + keys.expiring[1]), keys.of_privileged,
            keys.of_unprotected, Some(keys.of_archived), Some(keys.expired),
        ];
        if roster.facts.uses.is_none() {
            prop_assert_eq!(keys.unused, [None; 2]);
        }
        prop_assert_eq!(KeyState::ALL.iter().map(|state| listed(*state)).collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn the_order_of_rows_does_not_matter(people in prop::collection::vec(test_user(), 0..40), accepted in accepted()) {
        let mut people: Vec<(u32, TestUser)> = (100..).zip(people).collect();
        let forward = posture(&people, &accepted, None);
        people.reverse();
        prop_assert_eq!(forward, posture(&people, &accepted, None));
    }
}

#[test]
fn what_does_not_fit_together_is_refused_and_not_shown() {
    let accepted = BTreeSet::from([Factor::Totp]);
    let terms = Terms {
        accepted: &accepted,
        exemptions: &[],
    };
    let mut facts = facts(&[], None);
    // A user with TOTP came after portal users were counted.
    facts.totp = Known::Complete(IdSet::from([7]));
    let standing = Standing::of(&facts, &terms);
    assert!(Posture::of(&facts, &terms, &standing).is_err());
}

#[test]
fn what_needs_a_missing_fact_is_missing() {
    let accepted = BTreeSet::from([Factor::Totp]);
    let terms = Terms {
        accepted: &accepted,
        exemptions: &[],
    };
    let mut facts = facts(&[], None);
    facts.totp = Known::NotAsked;
    let standing = Standing::of(&facts, &terms);
    let posture = Posture::of(&facts, &terms, &standing).expect("nothing contradicts");
    let known = (
        posture.protected,
        posture.totp,
        posture.grace,
        posture.single_factor,
        posture.password_rpc,
    );
    assert_eq!(known, (None, None, None, None, None));
    assert_eq!(posture.keys.expect("keys are known").of_unprotected, None);
}
