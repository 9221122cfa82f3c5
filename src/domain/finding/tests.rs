use super::fixture::{Fixture, NOW, day, device, exempt, ids, key, missing};
use super::*;
use crate::domain::facts::{Gap, Known, Scope, TrustedNetworks};
use crate::domain::role::XmlId;
use crate::domain::surface::{Exposure, Seen};
use crate::domain::{Endpoint, ExemptReason, Factor, Module, PolicyScope, UserType};

/// Kind, subject, severity and users of everything that is found.
pub(crate) type Found = (Kind, Option<String>, Severity, Vec<u32>);

/// Spoils a healthy target.
pub(crate) type Spoil = fn(&mut Fixture);

fn found(spoil: impl FnOnce(&mut Fixture)) -> Vec<Found> {
    let mut fixture = Fixture::healthy();
    spoil(&mut fixture);
    fixture.with(|case| {
        findings(case)
            .into_iter()
            .map(|it| (it.kind, it.subject, it.severity, it.people.iter().collect()))
            .collect()
    })
}

/// The findings of one changed fact, alone.
fn only(kind: Kind, subject: Option<&str>, severity: Severity, people: &[u32]) -> Vec<Found> {
    vec![(kind, subject.map(str::to_owned), severity, people.to_vec())]
}

#[test]
fn a_healthy_target_has_no_findings() {
    assert_eq!(found(|_| ()), []);
}

#[test]
fn each_situation_is_found() {
    for (number, (spoil, wanted)) in situations().into_iter().enumerate() {
        assert_eq!(found(spoil), wanted, "case {number}, at {NOW}");
    }
}

/// A change, and the findings that it causes.
pub(crate) fn situations() -> Vec<(Spoil, Vec<Found>)> {
    use Severity::{Critical, Info, Warning};
    vec![
        (
            |it| it.unenroll([12]),
            only(Kind::AdminWithoutMfa, None, Critical, &[12]),
        ),
        (
            |it| it.unenroll([13]),
            only(Kind::PrivilegedWithoutMfa, Some("hr"), Warning, &[13]),
        ),
        (
            // An administrator counts once, and in no other role.
            |it| it.unenroll([10]),
            only(Kind::AdminWithoutMfa, None, Critical, &[10]),
        ),
        (
            |it| {
                it.unenroll([13]);
                it.facts.recent = ids([13]);
            },
            only(Kind::PrivilegedInGrace, None, Info, &[13]),
        ),
        (
            |it| {
                let Known::Complete(roles) = &mut it.facts.roles else {
                    unreachable!("complete")
                };
                roles.insert("settings".to_owned(), ids([11]));
            },
            only(Kind::AdminLockoutRisk, None, Warning, &[11]),
        ),
        (
            |it| {
                let Known::Complete(passkey) = &mut it.facts.passkey else {
                    unreachable!("complete")
                };
                passkey.remove(20);
            },
            only(Kind::SingleFactor, None, Info, &[20]),
        ),
        (
            |it| {
                it.exemptions.push(exempt("hr-lead", ExemptReason::Other));
                it.facts.exemptions.push(ids([14]));
            },
            only(Kind::ExemptPrivileged, None, Warning, &[14]),
        ),
        (
            |it| {
                let mut entry = exempt("old", ExemptReason::Other);
                entry.expires = Some(jiff::civil::date(2026, 11, 23));
                it.exemptions.push(entry);
                it.facts.exemptions.push(ids([20]));
            },
            only(Kind::ExemptionExpired, Some("login old"), Warning, &[20]),
        ),
        (
            |it| {
                let group: XmlId = "auth_totp_enforce.group_mfa_exempt".parse().expect("an id");
                let mut entry = exempt("", ExemptReason::Other);
                entry.matcher = crate::domain::exemption::Matcher::Group(group);
                it.exemptions.push(entry);
                it.facts.exemptions.push(IdSet::new());
            },
            only(
                Kind::ExemptionUnmatched,
                Some("group auth_totp_enforce.group_mfa_exempt"),
                Warning,
                &[],
            ),
        ),
        (
            |it| {
                it.exemptions.push(exempt("fire", ExemptReason::BreakGlass));
                it.facts.exemptions.push(ids([14]));
                it.facts.awake = Known::Missing(Gap {
                    seen: "logins are refused".into(),
                    grant: "grant it",
                });
                it.accept_missing.insert(Capability::Logins);
            },
            [
                only(Kind::BreakGlassUnseen, None, Warning, &[14]),
                only(Kind::CapabilityMissing, Some("logins"), Info, &[]),
            ]
            .concat(),
        ),
        (
            |it| {
                let Known::Complete(passkey) = &mut it.facts.passkey else {
                    unreachable!("complete")
                };
                passkey.remove(12);
            },
            [
                only(Kind::AdminsWithoutPasskey, None, Info, &[12]),
                only(Kind::SingleFactor, None, Info, &[12]),
            ]
            .concat(),
        ),
        (
            |it| {
                let mut row = key(14);
                row.scope = Scope::Unrestricted;
                it.key(row);
            },
            only(Kind::PrivilegedUnrestrictedKeys, None, Info, &[14]),
        ),
        (
            |it| it.key(key(100)),
            only(Kind::KeysOfPortal, None, Info, &[100]),
        ),
        (
            |it| {
                let mut row = key(20);
                row.expires = Some(day(6));
                it.key(row);
            },
            only(Kind::KeysExpiring, None, Info, &[20]),
        ),
        (
            |it| (0..5).for_each(|_| it.key(key(20))),
            only(Kind::ManyKeys, None, Info, &[20]),
        ),
        (
            |it| {
                it.exemptions.push(exempt("kiosk", ExemptReason::Kiosk));
                it.facts.exemptions.push(ids([20]));
                it.key(key(20));
            },
            only(Kind::KioskHoldsApiKey, None, Warning, &[20]),
        ),
        (
            |it| it.unenroll([20, 21]),
            only(
                Kind::CoverageBelowTarget,
                Some("internal"),
                Warning,
                &[20, 21],
            ),
        ),
        (
            |it| {
                it.unenroll([20]);
                it.facts.awake = Known::Complete(ids((10..20).chain(100..105)));
            },
            only(Kind::DormantUnprotected, None, Warning, &[20]),
        ),
        (
            |it| {
                it.unenroll([104]);
                it.facts.awake = Known::Complete(ids((10..30).chain(100..104)));
            },
            only(Kind::DormantUnprotected, None, Info, &[]),
        ),
        (
            |it| {
                it.facts.oauth = Known::Complete(ids([20]));
                it.facts.saml = Known::Complete(ids([21]));
            },
            only(Kind::SsoUnseen, None, Info, &[20, 21]),
        ),
        (
            |it| {
                let Known::Complete(modules) = &mut it.facts.modules else {
                    unreachable!("complete")
                };
                modules.remove(&Module::AuthTotp);
            },
            only(Kind::TotpNotInstalled, Some("auth_totp"), Critical, &[]),
        ),
        (
            // The parameter may still be there: without its module the facts have no policy.
            |it| it.facts.policy = Known::Complete(None),
            only(Kind::EnforcementNone, None, Warning, &[]),
        ),
        (
            |it| {
                it.facts.policy = Known::Complete(None);
                it.install(Module::AuthTotpEnforce);
            },
            vec![],
        ),
        (
            |it| it.install(Module::AuthAdminPasskey),
            only(
                Kind::MasterPassword,
                Some("auth_admin_passkey"),
                Critical,
                &[],
            ),
        ),
        (
            |it| {
                it.install(Module::AuthAdminPasskey);
                it.accept_bypasses.insert(Bypass::MasterPassword);
            },
            only(Kind::MasterPassword, Some("auth_admin_passkey"), Info, &[]),
        ),
        (
            |it| it.install(Module::ImpersonateLogin),
            only(Kind::Impersonation, Some("impersonate_login"), Warning, &[]),
        ),
        (
            |it| it.install(Module::AuthApiKey),
            only(Kind::ClearTextApiKeys, Some("auth_api_key"), Warning, &[]),
        ),
        (
            |it| {
                it.install(Module::AuthApiKey);
                it.facts.clear_text_keys = Some(vec![13, 13]);
            },
            only(Kind::ClearTextApiKeys, Some("auth_api_key"), Warning, &[13]),
        ),
        (
            |it| {
                it.facts.trusted_networks = Some(TrustedNetworks::Rows {
                    personal: 2,
                    everybody: 1,
                });
            },
            only(
                Kind::TrustedNetwork,
                Some("auth_totp_ip_check"),
                Critical,
                &[],
            ),
        ),
        (
            |it| {
                it.facts.trusted_networks = Some(TrustedNetworks::Rows {
                    personal: 2,
                    everybody: 0,
                });
            },
            only(
                Kind::TrustedNetwork,
                Some("auth_totp_ip_check"),
                Warning,
                &[],
            ),
        ),
        (
            |it| it.facts.trusted_networks = Some(TrustedNetworks::Unreadable),
            only(
                Kind::TrustedNetwork,
                Some("auth_totp_ip_check"),
                Warning,
                &[],
            ),
        ),
        (
            |it| {
                it.facts.trusted_networks = Some(TrustedNetworks::Rows {
                    personal: 0,
                    everybody: 0,
                });
            },
            vec![],
        ),
        (
            |it| {
                it.facts.legacy_rpc = Some(true);
                it.facts.people.none = ids([40]);
                if let Known::Complete(awake) = &mut it.facts.awake {
                    awake.insert(40);
                }
            },
            only(Kind::PasswordRpcOpen, None, Warning, &[40]),
        ),
        (
            |it| {
                it.key(crate::domain::facts::ApiKey {
                    owner: 50,
                    owner_active: false,
                    ..key(50)
                });
            },
            only(Kind::KeysOfArchived, None, Warning, &[50]),
        ),
        (
            |it| {
                it.key(crate::domain::facts::ApiKey {
                    expires: None,
                    ..key(13)
                });
            },
            [
                only(Kind::PrivilegedUnrestrictedKeys, None, Info, &[13]),
                only(Kind::PrivilegedKeysWithoutExpiry, None, Info, &[13]),
            ]
            .concat(),
        ),
        (
            |it| {
                it.key(crate::domain::facts::ApiKey {
                    created: Some(day(-365)),
                    ..key(20)
                });
            },
            only(Kind::KeysOld, None, Info, &[20]),
        ),
        (
            |it| it.key(key(29)),
            only(Kind::KeysOfUnprotected, None, Info, &[29]),
        ),
        (
            |it| it.facts.devices = Known::Complete(vec![device(20), device(20)]),
            only(Kind::TrustedDevices, None, Info, &[20]),
        ),
        (
            |it| it.facts.poller_key_expiry = Some(day(14)),
            only(Kind::PollerKeyExpiring, None, Warning, &[29]),
        ),
        (
            |it| it.facts.poller_key_expiry = Some(day(2)),
            only(Kind::PollerKeyExpiring, None, Critical, &[29]),
        ),
        (|it| it.facts.poller_key_expiry = Some(day(15)), vec![]),
        (
            |it| it.facts.poller = 20,
            only(Kind::PollerNotExempt, None, Info, &[20]),
        ),
        (
            |it| {
                let Known::Complete(roles) = &mut it.facts.roles else {
                    unreachable!("complete")
                };
                roles.insert("hr".to_owned(), ids([10, 13, 14, 29]));
            },
            vec![
                (Kind::ExemptPrivileged, None, Warning, vec![29]),
                (Kind::PollerPrivileged, None, Warning, vec![29]),
            ],
        ),
        (
            |it| it.facts.well_known_active = ids([20]),
            only(Kind::WellKnownAccountActive, None, Warning, &[20]),
        ),
        (
            |it| {
                it.facts.well_known_active = ids([10]);
                it.facts.well_known_privileged = Some(ids([10]));
            },
            only(Kind::WellKnownAccountActive, None, Critical, &[10]),
        ),
        (
            |it| it.facts.missing_groups = vec!["hr.group_hr_chief".to_owned()],
            only(
                Kind::ConfiguredGroupMissing,
                Some("hr.group_hr_chief"),
                Warning,
                &[],
            ),
        ),
        (
            |it| it.facts.clock_ahead = jiff::SignedDuration::from_mins(-12),
            only(Kind::ClocksDiffer, None, Warning, &[]),
        ),
        (
            |it| it.facts.keys = missing(),
            only(Kind::CapabilityMissing, Some("api_keys"), Warning, &[]),
        ),
        (
            |it| {
                it.facts.keys = missing();
                it.accept_missing.insert(Capability::ApiKeys);
            },
            only(Kind::CapabilityMissing, Some("api_keys"), Info, &[]),
        ),
        (
            vantages,
            vec![
                (
                    Kind::EndpointExposed,
                    Some("outside/xmlrpc".to_owned()),
                    Critical,
                    vec![],
                ),
                // No `expect_blocked`, but no one needs it outside either; an exposed API alone is no finding.
                (
                    Kind::EndpointExposed,
                    Some("outside/database_manager".to_owned()),
                    Info,
                    vec![],
                ),
                (
                    Kind::SurfaceUnknown,
                    Some("outside/json2".to_owned()),
                    Info,
                    vec![],
                ),
            ],
        ),
    ]
}

/// A vantage point that reaches an endpoint that must be blocked.
fn vantages(it: &mut Fixture) {
    let seen = |exposure| Seen {
        exposure,
        why: "answers".to_owned(),
    };
    it.surface.push(Checked {
        vantage: "outside".to_owned(),
        at: day(0),
        endpoints: vec![
            (Endpoint::Xmlrpc, seen(Exposure::Exposed)),
            (Endpoint::Jsonrpc, seen(Exposure::Exposed)),
            (Endpoint::Json2, seen(Exposure::Unknown)),
            (Endpoint::DatabaseManager, seen(Exposure::Exposed)),
            (Endpoint::DatabaseList, seen(Exposure::Blocked)),
        ],
        expect_blocked: [Endpoint::Xmlrpc, Endpoint::Json2, Endpoint::DatabaseList].into(),
    });
}

/// A user holds nothing but a passkey, and nothing makes a second factor mandatory.
pub(crate) fn passkey_only(it: &mut Fixture) {
    it.accepted.insert(Factor::Passkey);
    it.facts.policy = Known::Complete(None);
    let Known::Complete(totp) = &mut it.facts.totp else {
        unreachable!("complete")
    };
    totp.remove(20);
}

#[test]
fn a_passkey_alone_leaves_the_password() {
    let is_found = |policy| {
        found(|it| {
            passkey_only(it);
            it.facts.policy = Known::Complete(policy);
        })
        .into_iter()
        .any(|(kind, ..)| kind == Kind::PasskeyOnly)
    };
    assert!(is_found(None));
    assert!(!is_found(Some(PolicyScope::EmployeeRequired)));
}

#[test]
fn keys_without_a_date_say_nothing_before_18() {
    let spoil = |release| {
        move |it: &mut Fixture| {
            it.facts.server.release = release;
            it.facts.legacy_rpc = Some(true);
            it.key(crate::domain::facts::ApiKey {
                expires: None,
                ..key(13)
            });
        }
    };
    let is_found = |release| {
        found(spoil(release))
            .iter()
            .any(|(kind, ..)| *kind == Kind::PrivilegedKeysWithoutExpiry)
    };
    assert!(!is_found((17, 0)));
    assert!(is_found((18, 0)));
}

#[test]
fn findings_are_ranked_and_each_is_complete() {
    let mut fixture = Fixture::healthy();
    fixture.unenroll(10..29);
    fixture.facts.policy = Known::Complete(None);
    fixture.facts.poller_key_expiry = Some(day(1));
    fixture.coverage_target[UserType::Portal] = Some(1.0);
    fixture.unenroll([100]);
    fixture.facts.devices = missing();
    fixture.facts.awake = missing();
    fixture.install(Module::AuthAdminPasskey);
    fixture.with(|case| {
        let all = findings(case);
        assert!(all.len() >= 8, "{all:?}");
        assert!(all.is_sorted_by_key(|it| (it.severity, it.kind, it.subject.clone())));
        assert_eq!(all[0].kind, Kind::AdminWithoutMfa);
        let mut keys: Vec<_> = all.iter().map(|it| (it.kind, &it.subject)).collect();
        keys.dedup();
        assert_eq!(keys.len(), all.len(), "kind and subject name a finding");
        for finding in &all {
            assert!(
                !finding.title.is_empty() && !finding.title.ends_with('.'),
                "{finding:?}"
            );
            assert!(finding.detail.ends_with('.'), "{finding:?}");
            assert!(finding.what_to_do.ends_with('.'), "{finding:?}");
        }
    });
}

#[test]
fn a_key_without_a_creation_date_counts_in_no_age() {
    let keys = |it: &Fixture| it.with(|case| case.posture.keys.clone().expect("known"));
    let mut it = Fixture::healthy();
    it.key(key(20));
    let before = keys(&it);
    it.key(crate::domain::facts::ApiKey {
        created: None,
        id: 99,
        ..key(20)
    });
    let after = keys(&it);
    assert_eq!(after.unrestricted, before.unrestricted + 1);
    assert_eq!((after.by_age, after.oldest), (before.by_age, before.oldest));
}

#[test]
fn a_kind_whose_facts_are_missing_is_not_evaluated() {
    let evaluated = |spoil: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        fixture.with(|case| {
            let kinds = Kind::ALL.iter().copied();
            kinds.filter(|it| case.evaluates(*it)).collect::<Vec<_>>()
        })
    };
    let all = evaluated(&|_| ());
    let never = [Kind::EndpointExposed, Kind::SurfaceUnknown];
    for kind in Kind::ALL.iter().filter(|it| !OF_ALL_TARGETS.contains(it)) {
        assert_eq!(all.contains(kind), !never.contains(kind), "{kind}");
    }
    let lost = |spoil: &dyn Fn(&mut Fixture)| {
        let left = evaluated(spoil);
        all.iter()
            .copied()
            .filter(|it| !left.contains(it))
            .collect::<Vec<_>>()
    };
    assert!(lost(&|it| it.facts.modules = missing()).contains(&Kind::MasterPassword));
    assert!(lost(&|it| it.facts.roles = missing()).contains(&Kind::AdminWithoutMfa));
    assert!(lost(&|it| it.facts.totp = missing()).contains(&Kind::AdminWithoutMfa));
    assert!(lost(&|it| it.facts.keys = missing()).contains(&Kind::KeysOfArchived));
    assert!(lost(&|it| it.facts.devices = missing()).contains(&Kind::TrustedDevices));
    assert!(lost(&|it| it.facts.awake = missing()).contains(&Kind::DormantUnprotected));
    assert!(lost(&|it| it.facts.oauth = missing()).contains(&Kind::SsoUnseen));
}

/// A finding that is found was evaluated; one open endpoint is found while another is unknown.
#[test]
fn what_is_found_was_evaluated() {
    for (spoil, _) in situations() {
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        fixture.with(|case| {
            let found = findings(case).into_iter();
            for finding in found.filter(|it| it.kind != Kind::EndpointExposed) {
                assert!(case.evaluates(finding.kind), "{}", finding.kind);
            }
        });
    }
}
