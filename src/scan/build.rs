//! From a poll to a report.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Acceptance, ApiKeys, Clause, Coverage, EndpointSeen, Enforcement, Exempted, Failure, Finding,
    Grade, KeyAge, Limit, Missing, Person, Privileged, PrivilegedPerson, Role, Scan, Seen,
    TargetReport, TrustedDevices, Vantage, id,
};
use crate::config::Target;
use crate::domain::acceptance::{self, Accepted};
use crate::domain::exemption::Exemption;
use crate::domain::finding::controls::controls;
use crate::domain::finding::{self, Case, Kind, OF_ALL_TARGETS, findings};
use crate::domain::posture::{self, Enforcer, Keys};
use crate::domain::standing;
use crate::domain::surface::Checked;
use crate::domain::{Factor, IdSet, PerType, PolicyScope, UserType, grade};
use crate::odoo;
use crate::poll::Polled;

/// How many users are listed in one place unless more are asked for: names cost requests.
pub const LISTED: usize = 50;

/// How a scan is read.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The name of the target.
    pub target: &'a str,
    /// Findings that the configuration accepts.
    pub accept_findings: &'a [acceptance::Acceptance],
    /// How many users are listed in one place.
    pub listed: usize,
}

impl<'a> Terms<'a> {
    /// With the usual length of lists.
    pub fn new(target: &'a str, accept_findings: &'a [acceptance::Acceptance]) -> Self {
        Self {
            target,
            accept_findings,
            listed: LISTED,
        }
    }

    fn accepted(&self, case: &Case) -> Accepted<'a> {
        Accepted::of(
            self.accept_findings,
            self.target,
            standing::today(case.facts),
        )
    }
}

/// A target that could not be read.
pub fn failed(target: &Target, error: &odoo::Error) -> TargetReport {
    TargetReport {
        error: Some(Failure {
            reason: error.reason(),
            message: clean(&error.message),
            hint: error.hint,
        }),
        ..identity(target)
    }
}

/// A target that was read. `people` are the names that were looked up: see [`people_to_name`].
pub fn target(
    target: &Target,
    polled: &Polled,
    surface: &[Checked],
    people: &BTreeMap<u32, odoo::Person>,
    terms: &Terms<'_>,
) -> TargetReport {
    TargetReport {
        scan: Some(scan(&case(target, polled, surface), people, terms)),
        ..identity(target)
    }
}

/// Whom a report of this poll lists, and whose names are therefore worth a request.
pub fn people_to_name(
    target: &Target,
    polled: &Polled,
    surface: &[Checked],
    listed: usize,
) -> IdSet {
    people_of(&case(target, polled, surface), listed)
}

/// Whom a report of a case lists.
pub fn people_of(case: &Case, listed: usize) -> IdSet {
    let mut people: IdSet = privileged_unprotected(case).iter().take(listed).collect();
    for finding in findings(case) {
        people.extend(finding.people.iter().take(listed));
    }
    people
}

/// Text from a server, without what could steer a terminal or reverse the direction of a line.
pub(super) fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// A target of which nothing is known yet.
pub fn identity(target: &Target) -> TargetReport {
    TargetReport {
        target: target.name.clone(),
        url: target.url.to_string(),
        database: target.database.clone(),
        grace_seconds: target.grace.as_secs(),
        dormant_seconds: target.dormant.as_secs(),
        previous: None,
        error: None,
        scan: None,
    }
}

fn case<'a>(target: &'a Target, polled: &'a Polled, surface: &'a [Checked]) -> Case<'a> {
    Case {
        facts: &polled.facts,
        standing: &polled.standing,
        posture: &polled.posture,
        terms: standing::Terms {
            accepted: &target.accepted_factors,
            exemptions: &target.exemptions,
        },
        coverage_target: PerType::from_fn(|user_type| {
            target.coverage_target.get(&user_type).copied()
        }),
        accept_missing: &target.accept_missing,
        accept_bypasses: &target.accept_bypasses,
        surface,
    }
}

/// What was found in a case.
pub fn scan(case: &Case, people: &BTreeMap<u32, odoo::Person>, terms: &Terms<'_>) -> Scan {
    let posture = case.posture;
    let accepted = terms.accepted(case);
    Scan {
        polled_at: case.facts.now,
        server_version: clean(&case.facts.server.version),
        api: case.facts.server.api,
        accepted_factors: case.terms.accepted.iter().copied().collect::<Vec<Factor>>(),
        seen: seen(case),
        grade: grade(case, &accepted),
        coverage: UserType::ALL
            .iter()
            .map(|user_type| coverage(case, *user_type))
            .collect(),
        privileged: privileged(case, people, terms.listed),
        api_keys: posture.keys.as_ref().map(api_keys),
        poller_key_expiry: posture.poller_key_expiry,
        trusted_devices: posture.devices.map(|devices| TrustedDevices {
            devices: devices.devices,
            owners: devices.owners,
        }),
        enforcement: posture.enforcement.map(|it| enforcement(&it)),
        modules: posture
            .modules
            .as_ref()
            .map(|modules| modules.iter().copied().collect()),
        surface: case.surface.iter().map(vantage).collect(),
        missing: case
            .facts
            .gaps()
            .map(|(capability, gap)| Missing {
                capability,
                seen: clean(&gap.seen),
                grant: gap.grant,
                accepted: case.accept_missing.contains(&capability),
            })
            .collect(),
        not_evaluated: Kind::ALL
            .iter()
            .copied()
            .filter(|kind| !OF_ALL_TARGETS.contains(kind) && !case.evaluates(*kind))
            .collect(),
        exemptions: exemptions(case),
        findings: findings(case)
            .iter()
            .map(|finding| shown(finding, people, terms, &accepted))
            .collect(),
    }
}

fn shown(
    finding: &finding::Finding,
    people: &BTreeMap<u32, odoo::Person>,
    terms: &Terms<'_>,
    accepted: &Accepted<'_>,
) -> Finding {
    let subject = finding.subject.as_deref();
    Finding {
        people: named(&finding.people, people, terms.listed),
        more_people: finding.people.len().saturating_sub(terms.listed as u64),
        acceptance: accepted
            .entry(finding.kind, subject)
            .map(|entry| Acceptance {
                reason: clean(&entry.reason),
                approved_by: entry.approved_by.as_deref().map(clean),
                ticket: entry.ticket.as_deref().map(clean),
                expires: entry.expires,
                expired: !accepted.accepts(finding.kind, subject),
            }),
        ..finding_of(Some(terms.target), finding)
    }
}

/// A finding that concerns no user.
pub(super) fn finding_of(target: Option<&str>, finding: &finding::Finding) -> Finding {
    let subject = finding.subject.as_deref().map(clean);
    Finding {
        id: id(target, finding.kind.as_str(), subject.as_deref()),
        kind: finding.kind,
        subject,
        severity: finding.severity,
        title: clean(&finding.title),
        detail: clean(&finding.detail),
        what_to_do: clean(&finding.what_to_do),
        controls: controls(finding.kind)
            .map(|control| Clause {
                framework: control.framework,
                clause: control.clause,
                title: control.title,
            })
            .collect(),
        acceptance: None,
        change: None,
        people: Vec::new(),
        more_people: 0,
    }
}

fn seen(case: &Case) -> Seen {
    let facts = case.facts;
    let active = facts.people.active();
    Seen {
        users: active.0.iter().chain(&facts.people.archived.0).sum(),
        api_keys: facts.keys.complete().map(|rows| rows.len() as u64),
        trusted_devices: facts.devices.complete().map(|rows| rows.len() as u64),
    }
}

fn exemptions(case: &Case) -> Vec<Exempted> {
    let today = standing::today(case.facts);
    let entries = case.terms.exemptions.iter().zip(&case.facts.exemptions);
    entries
        .filter(|(entry, users)| entry.concerns(users))
        .map(|(entry, users)| exempted(entry, users, today))
        .collect()
}

fn exempted(entry: &Exemption, users: &IdSet, today: jiff::civil::Date) -> Exempted {
    let text = |text: &Option<String>| text.as_deref().map(clean);
    Exempted {
        whom: clean(&entry.whom()),
        reason: entry.reason,
        approved_by: text(&entry.note.approved_by),
        ticket: text(&entry.note.ticket),
        comment: text(&entry.note.comment),
        expires: entry.expires,
        state: match (entry.expired_on(today), users.is_empty()) {
            (true, _) => "expired",
            (false, true) => "unmatched",
            (false, false) => "valid",
        },
        users: users.len(),
        shared: entry.shared,
    }
}

fn enforcement(enforcement: &posture::Enforcement) -> Enforcement {
    Enforcement {
        policy: match enforcement.by {
            Enforcer::None => "none",
            Enforcer::Policy(PolicyScope::EmployeeRequired) => "employee_required",
            Enforcer::Policy(PolicyScope::AllRequired) => "all_required",
            Enforcer::Module => "module",
        },
        covers: enforcement
            .covers
            .iter()
            .filter(|(_, covered)| **covered)
            .map(|(user_type, _)| user_type)
            .collect(),
    }
}

fn grade(case: &Case, accepted: &Accepted<'_>) -> Grade {
    let grade = grade::Grade::accepting(case, accepted);
    Grade {
        without_acceptance: grade::Grade::of(case).letter,
        letter: grade.letter,
        at_best: grade.at_best,
        incomplete: grade.is_incomplete(),
        limits: grade
            .limits
            .into_iter()
            .map(|limit| Limit {
                at_most: limit.at_most,
                because: limit.because,
                unknown: limit.unknown,
            })
            .collect(),
    }
}

fn coverage(case: &Case, user_type: UserType) -> Coverage {
    let posture = case.posture;
    let of = |numbers: Option<PerType<u64>>| numbers.map(|numbers| numbers[user_type]);
    let eligible = posture.eligible[user_type];
    let protected = of(posture.protected);
    Coverage {
        user_type,
        active: posture.active[user_type],
        archived: posture.archived[user_type],
        exempt: posture.exempt[user_type].iter().sum(),
        eligible,
        protected,
        ratio: protected
            .filter(|_| eligible > 0)
            .map(|protected| protected as f64 / eligible as f64),
        target: case.coverage_target[user_type],
        totp: of(posture.totp),
        passkey: of(posture.passkey),
        grace: of(posture.grace),
        single_factor: of(posture.single_factor),
        dormant_unprotected: of(posture.dormant_unprotected),
        password_rpc: of(posture.password_rpc),
    }
}

fn privileged_unprotected(case: &Case) -> IdSet {
    case.standing
        .privileged
        .as_ref()
        .and_then(|people| case.standing.unprotected_of(case.facts, people))
        .unwrap_or_default()
}

fn privileged(
    case: &Case,
    people: &BTreeMap<u32, odoo::Person>,
    listed: usize,
) -> Option<Privileged> {
    let privileged = case.posture.privileged.as_ref()?;
    let roles = case.facts.roles.complete()?;
    let who = named(&privileged_unprotected(case), people, listed);
    Some(Privileged {
        people: privileged.people,
        unprotected: privileged.unprotected,
        who: who
            .into_iter()
            .map(|person| PrivilegedPerson {
                roles: roles
                    .iter()
                    .filter(|(_, members)| members.contains(person.id))
                    .map(|(role, _)| role.clone())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                in_grace: case.facts.recent.contains(person.id),
                person,
            })
            .collect(),
        roles: privileged
            .roles
            .iter()
            .map(|role| Role {
                role: role.name.clone(),
                people: role.people,
                unprotected: role.unprotected,
                unprotected_past_grace: role.unprotected_past_grace,
                exempt: role.exempt,
            })
            .collect(),
    })
}

fn api_keys(keys: &Keys) -> ApiKeys {
    ApiKeys {
        working: keys.unrestricted + keys.rpc + keys.other,
        unrestricted: keys.unrestricted,
        rpc: keys.rpc,
        other: keys.other,
        owners: keys.owners.0.iter().sum(),
        by_age: [
            ("lt_30d", "under 30 days"),
            ("30d_90d", "30 to 90 days"),
            ("90d_365d", "90 to 365 days"),
            ("ge_365d", "a year and older"),
        ]
        .into_iter()
        .zip(keys.by_age)
        .map(|((age, words), keys)| KeyAge { age, words, keys })
        .collect(),
        without_expiry: keys.without_expiry,
        expiring_30d: keys.expiring.iter().sum(),
        expired: keys.expired,
        of_privileged: keys.of_privileged,
        of_unprotected: keys.of_unprotected,
        of_archived: keys.of_archived,
    }
}

fn vantage(checked: &Checked) -> Vantage {
    Vantage {
        vantage: checked.vantage.clone(),
        checked_at: checked.at,
        endpoints: checked
            .endpoints
            .iter()
            .map(|(endpoint, seen)| EndpointSeen {
                endpoint: *endpoint,
                exposed: seen.exposure.is_exposed(),
                why: clean(&seen.why),
                expected_blocked: checked.expect_blocked.contains(endpoint),
            })
            .collect(),
    }
}

fn named(ids: &IdSet, people: &BTreeMap<u32, odoo::Person>, listed: usize) -> Vec<Person> {
    ids.iter()
        .take(listed)
        .map(|id| {
            let person = people.get(&id);
            Person {
                id,
                name: person.map(|person| clean(&person.name)),
                login: person.map(|person| clean(&person.login)),
            }
        })
        .collect()
}
