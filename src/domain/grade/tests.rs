use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::facts::Known;
use crate::domain::finding::fixture::{Fixture, exempt, ids, missing};
use crate::domain::{ExemptReason, Factor, PerType, PolicyScope};

fn grade(fixture: &Fixture) -> Grade {
    fixture.with(Grade::of)
}

fn letter(spoil: impl FnOnce(&mut Fixture)) -> (Letter, Letter) {
    let mut fixture = Fixture::healthy();
    spoil(&mut fixture);
    let grade = grade(&fixture);
    assert_eq!(
        grade.is_incomplete(),
        grade.limits.iter().any(|it| it.unknown)
    );
    (grade.letter, grade.at_best)
}

#[test]
fn each_criterion_limits_the_letter() {
    use Letter::{A, B, C, D, E, F};
    assert_eq!(letter(|_| ()), (A, A));
    assert_eq!(letter(|it| it.unenrol([20])), (B, B), "18 of 19");
    assert_eq!(letter(|it| it.unenrol(20..24)), (C, C), "15 of 19");
    assert_eq!(letter(|it| it.unenrol(15..24)), (D, D), "10 of 19");
    assert_eq!(letter(|it| it.unenrol(15..29)), (E, E), "5 of 19");
    assert_eq!(letter(|it| it.unenrol(10..29)), (F, F), "none");
    assert_eq!(letter(|it| it.unenrol([13])), (C, C), "somebody in hr");
    assert_eq!(letter(|it| it.unenrol([12])), (D, D), "an administrator");
    assert_eq!(
        letter(|it| {
            it.unenrol([12]);
            it.facts.recent = ids([12]);
        }),
        (B, B),
        "an administrator in grace counts in the coverage alone"
    );
    assert_eq!(letter(|it| it.facts.policy = Known::Complete(None)), (B, B));
    assert_eq!(letter(|it| it.install(Module::AuthAdminPasskey)), (D, D));
    assert_eq!(letter(|it| it.install(Module::ImpersonateLogin)), (B, B));
    assert_eq!(
        letter(
            |it| it.facts.trusted_networks = Some(TrustedNetworks::Rows {
                personal: 0,
                everybody: 1
            })
        ),
        (D, D)
    );
    assert_eq!(
        letter(|it| {
            it.unenrol([14]);
            it.exemptions.push(exempt("hr-lead", ExemptReason::Other));
            it.facts.exemptions.push(ids([14]));
        }),
        (B, B),
        "an exempt head of hr"
    );
}

#[test]
fn what_is_not_known_counts_at_its_worst_and_says_so() {
    use Letter::{A, B, D, F};
    assert_eq!(letter(|it| it.facts.totp = missing()), (F, A));
    assert_eq!(letter(|it| it.facts.roles = missing()), (D, A));
    assert_eq!(
        letter(|it| it.facts.modules = missing()),
        (D, A),
        "the policy is known to be in force"
    );
    assert_eq!(letter(|it| it.facts.policy = missing()), (B, A));
    assert_eq!(
        letter(|it| it.facts.trusted_networks = Some(TrustedNetworks::Unreadable)),
        (D, A)
    );
    // What the letter does not need changes nothing.
    assert_eq!(letter(|it| it.facts.keys = missing()), (A, A));
}

/// A target in any state that the grade looks at.
fn any_fixture() -> impl Strategy<Value = Fixture> {
    let people = || proptest::collection::btree_set(10_u32..30, 0..20);
    let policy = prop_oneof![
        Just(None),
        Just(Some(PolicyScope::EmployeeRequired)),
        Just(Some(PolicyScope::AllRequired)),
    ];
    let modules = proptest::collection::btree_set(
        prop_oneof![
            Just(Module::AuthTotpEnforce),
            Just(Module::AuthAdminPasskey),
            Just(Module::ImpersonateLogin),
        ],
        0..3,
    );
    let networks = prop_oneof![
        Just(None),
        Just(Some(TrustedNetworks::Unreadable)),
        (0..3_u64, 0..3_u64).prop_map(|(personal, everybody)| Some(TrustedNetworks::Rows {
            personal,
            everybody
        })),
    ];
    let accepted = proptest::collection::btree_set(
        prop_oneof![
            Just(Factor::Totp),
            Just(Factor::Passkey),
            Just(Factor::EmailPolicy)
        ],
        1..3,
    );
    (
        (people(), people(), people(), people()),
        policy,
        modules,
        networks,
        accepted,
    )
        .prop_map(
            |((totp, passkey, recent, exempted), policy, modules, networks, accepted)| {
                let mut fixture = Fixture::healthy();
                fixture.facts.totp = Known::Complete(ids(totp));
                fixture.facts.passkey = Known::Complete(ids(passkey));
                fixture.facts.recent = ids(recent);
                fixture.exemptions.push(exempt("some", ExemptReason::Other));
                fixture.facts.exemptions.push(ids(exempted));
                fixture.facts.policy = Known::Complete(policy);
                fixture.facts.modules = Known::Complete(modules);
                fixture.facts.trusted_networks = networks;
                fixture.accepted = accepted;
                fixture.facts.awake = Known::NotAsked;
                fixture
            },
        )
}

/// More protection of one kind.
fn protect(fixture: &mut Fixture, how: usize, person: u32) {
    match how {
        0 => {
            if let Known::Complete(totp) = &mut fixture.facts.totp {
                totp.insert(person);
            }
        }
        1 => {
            if let Known::Complete(passkey) = &mut fixture.facts.passkey {
                passkey.insert(person);
            }
        }
        2 => fixture.facts.policy = Known::Complete(Some(PolicyScope::AllRequired)),
        3 => fixture.install(Module::AuthTotpEnforce),
        4 => {
            if let Known::Complete(modules) = &mut fixture.facts.modules {
                *modules = modules
                    .iter()
                    .copied()
                    .filter(|it| *it == Module::AuthTotpEnforce)
                    .collect::<BTreeSet<_>>();
            }
        }
        _ => fixture.facts.trusted_networks = None,
    }
}

/// One fact less.
fn forget(fixture: &mut Fixture, what: usize) {
    match what {
        0 => fixture.facts.totp = missing(),
        1 => fixture.facts.passkey = missing(),
        2 => fixture.facts.roles = missing(),
        3 => fixture.facts.modules = missing(),
        4 => fixture.facts.policy = missing(),
        _ => {
            if fixture.facts.trusted_networks.is_some() {
                fixture.facts.trusted_networks = Some(TrustedNetworks::Unreadable);
            }
        }
    }
}

proptest! {
    #[test]
    fn more_protection_never_lowers_the_letter(fixture in any_fixture(), how in 0..6_usize, person in 10..30_u32) {
        let before = grade(&fixture);
        let mut better = fixture.clone();
        protect(&mut better, how, person);
        let after = grade(&better);
        prop_assert!(after.letter <= before.letter, "{before:?} became {after:?}");
    }

    #[test]
    fn what_is_not_known_never_raises_the_letter(fixture in any_fixture(), what in 0..6_usize) {
        let before = grade(&fixture);
        let mut vaguer = fixture.clone();
        forget(&mut vaguer, what);
        let after = grade(&vaguer);
        prop_assert!(after.letter >= before.letter, "{before:?} became {after:?}");
        prop_assert!(after.at_best <= after.letter);
        // The range holds the true letter.
        prop_assert!(after.at_best <= before.letter, "{before:?} became {after:?}");
    }
}

#[test]
fn what_accepted_findings_are_about_limits_no_letter() {
    use crate::domain::acceptance::{Acceptance, Accepted};
    use Letter::{A, B, C, D};
    let accepted = |kind, subject: Option<&str>, spoil: &dyn Fn(&mut Fixture)| {
        let entry = [Acceptance {
            finding: kind,
            subject: subject.map(str::to_owned),
            targets: Vec::new(),
            reason: "a reason".to_owned(),
            approved_by: None,
            ticket: None,
            expires: None,
        }];
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        let accepted = Accepted::of(&entry, "erp", jiff::civil::Date::default());
        fixture
            .with(|case| Grade::accepting(case, &accepted))
            .letter
    };
    let hr = |it: &mut Fixture| {
        it.unenrol([13]);
        it.coverage_target = PerType::default();
    };
    assert_eq!(
        accepted(Kind::PrivilegedWithoutMfa, Some("hr"), &hr),
        B,
        "coverage"
    );
    assert_eq!(accepted(Kind::PrivilegedWithoutMfa, Some("sales"), &hr), C);
    let admin = |it: &mut Fixture| it.unenrol([12]);
    assert_eq!(accepted(Kind::AdminWithoutMfa, None, &admin), B, "coverage");
    let both = |it: &mut Fixture| it.unenrol([12, 13]);
    assert_eq!(
        accepted(Kind::AdminWithoutMfa, None, &both),
        C,
        "hr remains"
    );
    assert_eq!(accepted(Kind::PrivilegedWithoutMfa, None, &both), D);
    let low = |it: &mut Fixture| it.unenrol(20..29);
    assert_eq!(
        accepted(Kind::CoverageBelowTarget, Some("internal"), &low),
        A
    );
    let bypass = |it: &mut Fixture| it.install(Module::AuthAdminPasskey);
    assert_eq!(accepted(Kind::MasterPassword, None, &bypass), A);
    let policy = |it: &mut Fixture| it.facts.policy = Known::Complete(None);
    assert_eq!(accepted(Kind::EnforcementNone, None, &policy), A);
    let unknown = |it: &mut Fixture| it.facts.modules = missing();
    assert_eq!(
        accepted(Kind::MasterPassword, None, &unknown),
        D,
        "unknown stays unknown"
    );
}
