//! Targets in various states, with numbers that no two fields share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::facts::{Gap, Server};
use odoo_mfa_exporter::domain::health::{Outcome, Past, PollHealth};
use odoo_mfa_exporter::domain::posture::{
    Bypasses, Devices, Enforcement, Enforcer, Exemptions, Keys, Privileged, Role,
};
use odoo_mfa_exporter::domain::snapshot::Identity;
use odoo_mfa_exporter::domain::{
    Api, Bypass, Capability, Factor, Module, PerType, PolicyScope, Posture, Reason, TargetSnapshot,
};

/// A target of this name, as configured.
pub fn identity(name: &str) -> Arc<Identity> {
    Arc::new(Identity {
        name: name.into(),
        labels: vec![("team".into(), "finance".into())],
        url: "https://erp.example.com".into(),
        database: "prod".into(),
        interval: 300.0,
        accepted: vec![Factor::Totp],
        coverage_target: PerType([Some(0.9), None, None, Some(0.5)]),
        accept_missing: BTreeSet::from([Capability::Modules]),
        accept_bypasses: BTreeSet::from([Bypass::Impersonation]),
        expect_blocked: Vec::new(),
    })
}

/// Before its first poll.
pub fn pending(name: &str) -> TargetSnapshot {
    TargetSnapshot::pending(identity(name))
}

/// After two good polls and a bad one that saw everything.
pub fn up(name: &str) -> TargetSnapshot {
    let mut failures = [0; Reason::ALL.len()];
    failures[Reason::Timeout as usize] = 1;
    TargetSnapshot {
        health: PollHealth {
            last: Some(Outcome::Success),
            last_success: Some("2026-11-24T05:00:01.25Z".parse().expect("a timestamp")),
            last_attempt: Some("2026-11-24T05:00:00Z".parse().expect("a timestamp")),
            last_duration: Some(Duration::from_millis(1250)),
            successes: 2,
            failures,
            skipped: 4,
            requests_ok: 30,
            requests_error: 5,
            past: past(None, 0),
            ..PollHealth::default()
        },
        server: Some(Server {
            version: "19.0".into(),
            release: (19, 0),
            api: Api::Json2,
        }),
        capabilities: Capability::ALL
            .iter()
            .map(|capability| (*capability, None))
            .collect(),
        poller_key_expiry: posture().poller_key_expiry,
        posture: Some(Arc::new(posture())),
        ..pending(name)
    }
}

/// Two hours of polls that ended alike.
fn past(failure: Option<Reason>, missing: u16) -> VecDeque<Past> {
    let last: Timestamp = "2026-11-24T05:00:01.25Z".parse().expect("a timestamp");
    let poll = |ago: i64| Past {
        at: last - SignedDuration::from_mins(5 * ago),
        failure,
        missing,
    };
    (0..24).rev().map(poll).collect()
}

/// As [`up`], but then polls failed.
pub fn down(name: &str) -> TargetSnapshot {
    let mut target = up(name);
    target.health.past = past(Some(Reason::Auth), 0);
    target.health.last = Some(Outcome::Failure(Reason::Auth));
    target.health.failures[Reason::Auth as usize] = 1;
    target.posture = None;
    target
}

/// As [`up`], but the account sees no passkeys, keys, devices, modules, policy, groups and logins.
pub fn partly_visible(name: &str) -> TargetSnapshot {
    let missing = [
        Capability::Passkeys,
        Capability::ApiKeys,
        Capability::TrustedDevices,
        Capability::Policy,
        Capability::Modules,
        Capability::Groups,
        Capability::Logins,
    ];
    let state = |capability: &Capability| {
        let gap = missing.contains(capability).then(|| Gap {
            seen: "reads some".into(),
            grant: "grant it",
        });
        (*capability, gap)
    };
    let bits = missing.iter().fold(0, |bits, it| bits | 1 << *it as u16);
    let mut target = up(name);
    target.health.past = past(None, bits);
    TargetSnapshot {
        capabilities: Capability::ALL.iter().map(state).collect(),
        posture: Some(Arc::new(Posture {
            passkey: None,
            break_glass_login: None,
            single_factor: None,
            dormant_unprotected: None,
            devices: None,
            privileged: None,
            keys: None,
            enforcement: None,
            modules: None,
            bypasses: None,
            password_rpc: None,
            password_rpc_used: None,
            ..posture()
        })),
        ..target
    }
}

/// Everything known; users of type `none`, and none of type `public`.
#[expect(clippy::too_many_lines, reason = "one value for each field")]
pub fn posture() -> Posture {
    let per_type = |internal, portal, none| PerType([internal, portal, 0, none]);
    let known = |internal, portal, none| Some(per_type(internal, portal, none));
    Posture {
        active: per_type(101, 201, 3),
        archived: per_type(11, 21, 0),
        exempt: PerType([[1, 2, 0, 3], [0, 0, 0, 4], [0; 4], [0; 4]]),
        exemptions: Exemptions {
            valid: 5,
            expired: 6,
            unmatched: 7,
        },
        eligible: per_type(95, 197, 3),
        protected: known(76, 50, 0),
        well_known_active: 0,
        well_known_privileged: Some(0),
        totp: known(77, 51, 0),
        passkey: known(12, 13, 0),
        single_factor: known(70, 48, 0),
        grace: known(8, 9, 1),
        dormant_unprotected: known(10, 14, 2),
        oauth: known(15, 16, 0),
        saml: known(17, 18, 0),
        devices: Some(Devices {
            devices: 19,
            owners: 20,
        }),
        privileged: Some(Privileged {
            people: 22,
            unprotected: Some(23),
            roles: vec![
                Role {
                    name: "settings".into(),
                    people: 24,
                    unprotected: Some(25),
                    unprotected_past_grace: Some(26),
                    exempt: 27,
                    with_passkey: Some(54),
                },
                Role {
                    name: "hr".into(),
                    people: 0,
                    unprotected: Some(0),
                    unprotected_past_grace: Some(0),
                    exempt: 0,
                    with_passkey: Some(0),
                },
            ],
            protected_admins: Some(28),
            unprotected_admins: Some(55),
            exempt: [51, 52, 53, 0],
        }),
        break_glass_login: Some("2026-11-20T00:00:00Z".parse().expect("a timestamp")),
        keys: Some(Keys {
            unrestricted: 29,
            rpc: 30,
            other: 31,
            by_age: [32, 33, 34, 35],
            without_expiry: 36,
            expiring: [37, 38],
            expired: 39,
            owners: per_type(40, 41, 0),
            of_privileged: Some(42),
            of_privileged_without_expiry: Some(24),
            of_archived: 43,
            of_unprotected: Some(44),
            oldest: Some("2024-01-02T03:04:05Z".parse().expect("a timestamp")),
            next_expiry: Some("2026-12-01T00:00:00Z".parse().expect("a timestamp")),
            unused: [Some(49), Some(50)],
        }),
        poller_key_expiry: Some("2027-01-01T00:00:00Z".parse().expect("a timestamp")),
        enforcement: Some(Enforcement {
            by: Enforcer::Policy(PolicyScope::EmployeeRequired),
            covers: PerType([true, false, false, false]),
        }),
        modules: Some(BTreeSet::from([Module::AuthTotp, Module::AuthAdminPasskey])),
        bypasses: Some(Bypasses {
            trusted_network: false,
            master_password: true,
            impersonation: false,
        }),
        password_rpc: known(45, 46, 3),
        password_rpc_used: known(47, 48, 0),
    }
}
