//! Active alerts of targets: the same as the Prometheus rules of the same names, with the same labels.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::alert::{
    Evaluation, ExporterView, FleetView, Rule, Rules, States, evaluate, step,
};
use odoo_mfa_exporter::domain::health::{Outcome, Past};
use odoo_mfa_exporter::domain::posture::{Enforcement, Enforcer, Posture};
use odoo_mfa_exporter::domain::surface::{Checked, Exposure, Seen};
use odoo_mfa_exporter::domain::transition::{Recent, RecentTransition};
use odoo_mfa_exporter::domain::{
    Capability, Endpoint, IdSet, PerType, Reason, TargetSnapshot, UserType,
};
use serde_json::Value;

use crate::harness::snapshots::{down, identity, partly_visible, pending, posture, up};

const NOW: &str = "2026-11-24T05:10:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a timestamp")
}

fn evaluated(targets: &[TargetSnapshot], now: Timestamp) -> Evaluation {
    let targets: Vec<_> = targets.iter().cloned().map(Arc::new).collect();
    let fleet = FleetView {
        targets: &targets,
        exporter: ExporterView::default(),
    };
    evaluate(&Rules::default(), &fleet, &States::new(), now)
}

/// Alerts by name, each with its own labels, in order.
fn alerts(evaluation: &Evaluation) -> BTreeMap<&str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for active in evaluation.active.values() {
        let common = ["alertname", "severity", "origin", "target", "team"];
        let own = active.labels.iter();
        let own = own.filter(|(name, _)| !common.contains(name));
        let own: Vec<_> = own.map(|(name, value)| format!("{name}={value}")).collect();
        all.entry(active.rule.as_str())
            .or_default()
            .push(own.join(" "));
    }
    all.values_mut().for_each(|labels| labels.sort());
    all
}

fn with(change: impl FnOnce(&mut Posture)) -> TargetSnapshot {
    let mut numbers = posture();
    change(&mut numbers);
    TargetSnapshot {
        posture: Some(Arc::new(numbers)),
        ..up("erp")
    }
}

#[test]
fn a_target_has_the_alerts_of_its_numbers() {
    let mut target = up("erp");
    let seen = |exposure| Seen {
        exposure,
        why: String::new(),
    };
    target.surface = Arc::new([Checked {
        vantage: "outside".into(),
        at: now(),
        endpoints: vec![
            (Endpoint::Xmlrpc, seen(Exposure::Exposed)),
            (Endpoint::Jsonrpc, seen(Exposure::Blocked)),
            (Endpoint::DatabaseList, seen(Exposure::Exposed)),
        ],
        expect_blocked: BTreeSet::from([Endpoint::Xmlrpc, Endpoint::Jsonrpc]),
    }]);
    let evaluation = evaluated(&[target], now());
    let expected = [
        ("OdooMfaAdminWithoutMfa", vec![""]),
        ("OdooMfaApiKeyExpiring", vec![""]),
        ("OdooMfaApiKeyOfArchivedUser", vec![""]),
        ("OdooMfaApiKeyOld", vec![""]),
        ("OdooMfaApiKeyWithoutExpiry", vec![""]),
        ("OdooMfaBypassPresent", vec!["mechanism=master_password"]),
        ("OdooMfaCoverageBelowTarget", vec!["user_type=internal"]),
        (
            "OdooMfaEndpointExposed",
            vec!["endpoint=xmlrpc vantage=outside"],
        ),
        (
            "OdooMfaExemptPrivileged",
            vec!["reason=kiosk", "reason=service"],
        ),
        (
            "OdooMfaExemptionStale",
            vec!["state=expired", "state=unmatched"],
        ),
        ("OdooMfaWatchdog", vec![""]),
    ];
    assert_eq!(
        format!("{:#?}", alerts(&evaluation)),
        format!("{:#?}", BTreeMap::from(expected))
    );
    let admin = evaluation
        .active
        .values()
        .find(|it| it.rule == Rule::AdminWithoutMfa);
    let labels = &admin.expect("it is there").labels;
    let expected = [
        ("alertname", "OdooMfaAdminWithoutMfa"),
        ("origin", "odoo-mfa-exporter"),
        ("severity", "critical"),
        ("target", "erp"),
        ("team", "finance"),
    ];
    let labels: Vec<_> = labels.iter().collect();
    assert_eq!(labels, expected);
}

#[test]
fn what_is_not_known_is_held_and_what_is_known_is_not() {
    let labels = |rule| {
        odoo_mfa_exporter::domain::alert::labels(
            &Rules::default(),
            rule,
            None,
            Some(&up("erp").identity),
            &[],
        )
    };
    let held = |evaluation: &Evaluation, rule| {
        let labels = labels(rule);
        let fingerprint = odoo_mfa_exporter::domain::alert::Fingerprint::of(&labels);
        evaluation.held.holds(fingerprint, &labels)
    };
    let dark = evaluated(&[down("erp")], now());
    assert!(held(&dark, Rule::AdminWithoutMfa));
    assert!(held(&dark, Rule::ApiKeyOld));
    assert!(!held(&dark, Rule::TargetDown));
    assert!(alerts(&dark).contains_key("OdooMfaTargetDown"));
    assert!(!alerts(&dark).contains_key("OdooMfaAdminWithoutMfa"));

    let restarted = evaluated(&[pending("erp")], now());
    assert!(held(&restarted, Rule::TargetDown));
    assert!(held(&restarted, Rule::TargetStale));
    assert!(held(&restarted, Rule::AdminWithoutMfa));
    assert!(!held(&restarted, Rule::Watchdog));

    // It can no longer see groups, keys and policy, and the configuration does not accept that.
    let limited = evaluated(&[partly_visible("erp")], now());
    assert!(held(&limited, Rule::AdminWithoutMfa));
    assert!(held(&limited, Rule::ApiKeyOld));
    assert!(!held(&limited, Rule::CoverageBelowTarget));
    assert!(alerts(&limited)["OdooMfaCapabilityMissing"].contains(&"capability=groups".to_owned()));
    assert!(
        !alerts(&limited)["OdooMfaCapabilityMissing"].contains(&"capability=modules".to_owned()),
        "its absence is accepted"
    );
}

#[test]
fn an_alert_outlives_an_outage_of_its_target() {
    let mut states = States::new();
    let mut rules = Rules::default();
    rules.get_mut(Rule::AdminWithoutMfa).hold = std::time::Duration::from_secs(900);
    let firing = |states: &States| {
        let mut all = states.values();
        all.any(|it| {
            it.rule() == Some(Rule::AdminWithoutMfa)
                && it.fired_at.is_some()
                && it.resolved_at.is_none()
        })
    };
    let mut at = now();
    let mut look = |snapshot: TargetSnapshot, minutes| {
        at += SignedDuration::from_mins(minutes);
        let evaluation = evaluated(&[snapshot], at);
        step(&mut states, evaluation, &rules, at);
        firing(&states)
    };
    assert!(!look(up("erp"), 0));
    assert!(
        !look(down("erp"), 60),
        "no alert fires while the target is down"
    );
    assert!(look(up("erp"), 1), "and yet the time ran on");
    assert!(
        look(down("erp"), 600),
        "no alert resolves while the target is down"
    );
    assert!(!look(with(no_exposed_admins), 1));
}

fn no_exposed_admins(posture: &mut Posture) {
    for role in &mut posture.privileged.as_mut().expect("known").roles {
        role.unprotected_past_grace = Some(0);
    }
}

/// Polls that end so long after each other, in minutes, and why they fail; the last one has just ended.
fn past(polls: &[(i64, Option<Reason>)], missing: u16) -> VecDeque<Past> {
    let mut at = now();
    let mut past = VecDeque::new();
    for (minutes, failure) in polls.iter().rev() {
        past.push_front(Past {
            at,
            failure: *failure,
            missing,
        });
        at -= SignedDuration::from_mins(*minutes);
    }
    past
}

fn with_past(mut target: TargetSnapshot, past: VecDeque<Past>) -> TargetSnapshot {
    target.health.past = past;
    target
}

fn has(target: TargetSnapshot, rule: Rule, minutes: i64) -> bool {
    let evaluation = evaluated(&[target], now() + SignedDuration::from_mins(minutes));
    alerts(&evaluation).contains_key(rule.as_str())
}

#[test]
fn one_failed_poll_is_no_ticket_and_two_are() {
    const FAILED: Option<Reason> = Some(Reason::Connect);
    let failing = |polls: &[(i64, Option<Reason>)], reason| {
        let mut target = with_past(down("erp"), past(polls, 0));
        target.health.last = Some(Outcome::Failure(reason));
        move |minutes| has(target.clone(), Rule::TargetDown, minutes)
    };
    let once = failing(&[(60, None), (60, FAILED)], Reason::Connect);
    assert!(!once(16) && !once(59), "at any interval");
    let twice = failing(&[(5, None), (5, FAILED), (5, FAILED)], Reason::Connect);
    assert!(!twice(9));
    assert!(twice(10), "a quarter of an hour after the first");
    let slowly = failing(&[(60, None), (60, FAILED), (60, FAILED)], Reason::Connect);
    assert!(slowly(0));
    let refused = failing(&[(5, None), (5, Some(Reason::Auth))], Reason::Auth);
    assert!(!refused(14));
    assert!(refused(15), "a refused key is tried rarely");
    assert!(!has(up("erp"), Rule::TargetDown, 60));
}

#[test]
fn polls_by_turns_are_unstable_and_an_outage_is_not() {
    const FAILED: Option<Reason> = Some(Reason::Timeout);
    let unstable = |polls: &[Option<Reason>]| {
        let polls: Vec<_> = polls.iter().map(|failure| (5, *failure)).collect();
        has(
            with_past(up("erp"), past(&polls, 0)),
            Rule::TargetUnstable,
            0,
        )
    };
    let turns = [None, FAILED, FAILED];
    assert!(unstable(&turns.repeat(3)));
    assert!(!unstable(&[None, FAILED, FAILED, FAILED, FAILED, None]));
    assert!(!unstable(
        &[[None; 6].as_slice(), &[FAILED], &[None; 6], &[FAILED]].concat()
    ));
    assert!(!unstable(&[None; 20]));
}

#[test]
fn a_capability_that_comes_and_goes_is_missing() {
    let logins = 1_u16 << Capability::Logins as u16;
    let missing = |polls: &[bool], minutes| {
        let polls_at: Vec<_> = polls.iter().map(|_| (5, None)).collect();
        let mut past = past(&polls_at, 0);
        for (poll, there) in past.iter_mut().zip(polls) {
            poll.missing = if *there { 0 } else { logins };
        }
        has(with_past(up("erp"), past), Rule::CapabilityMissing, minutes)
    };
    assert!(missing(&[true, false].repeat(6), 0));
    assert!(missing(&[true, false].repeat(6), 29));
    assert!(!missing(
        &[[true; 10].as_slice(), &[false], &[true]].concat(),
        0
    ));
    let long = [[false; 20].as_slice(), &[true]].concat();
    assert!(
        missing(&long, 29) && !missing(&long, 30),
        "until it was there for half an hour"
    );
}

fn people(eligible: u64, protected: u64) -> Posture {
    let mut numbers = posture();
    numbers.eligible = PerType([eligible, 0, 0, 0]);
    numbers.protected = Some(PerType([protected, 0, 0, 0]));
    numbers.grace = Some(PerType::default());
    numbers
}

#[test]
fn a_loss_is_three_users_and_two_in_a_hundred() {
    let dropped = |eligible, lost: Option<u64>| {
        let target = TargetSnapshot {
            posture: Some(Arc::new(people(eligible, 50))),
            recently_unprotected: lost.map(|lost| PerType([lost, 0, 0, 0])),
            ..up("erp")
        };
        has(target, Rule::ProtectedDropped, 0)
    };
    assert!(dropped(100, Some(3)) && !dropped(100, Some(2)));
    assert!(dropped(3, Some(3)) && !dropped(3, Some(2)));
    assert!(dropped(1000, Some(20)) && !dropped(1000, Some(19)));
    assert!(!dropped(100, None), "it is unknown");
}

#[test]
fn users_in_their_grace_period_do_not_count_for_coverage() {
    let below = |grace, protected| {
        let mut numbers = people(130, protected);
        numbers.grace = Some(PerType([grace, 0, 0, 0]));
        has(with(|it| *it = numbers), Rule::CoverageBelowTarget, 0)
    };
    assert!(below(0, 95));
    assert!(!below(30, 95), "95 of 100");
    assert!(below(30, 89));
    assert!(!below(111, 0), "19 are few");
}

#[test]
fn what_was_weakened_within_a_day_and_is_not_enforced_pages() {
    let pages = |hours: Option<i64>, enforced| {
        let mut recent = Recent::default();
        let at = hours.map(|hours| now() - SignedDuration::from_hours(hours));
        recent.enforcement[UserType::Internal].weakened = at;
        let target = TargetSnapshot {
            recent: Some(Arc::new(recent)),
            ..with(|numbers| {
                numbers.enforcement = Some(Enforcement {
                    by: Enforcer::Module,
                    covers: PerType([enforced, false, false, false]),
                });
            })
        };
        has(target, Rule::EnforcementWeakened, 0)
    };
    assert!(pages(Some(0), false) && pages(Some(23), false));
    assert!(!pages(Some(24), false), "for a day");
    assert!(!pages(Some(1), true), "it is enforced again");
    assert!(!pages(None, false));
}

#[test]
fn recent_transitions_are_alerts_and_name_their_users() {
    let target = |enrolled: u64, disabled: &[u32]| {
        let mut recent = Recent::default();
        let mut happened = |minutes, kind, users: &[u32]| {
            let at = now() - SignedDuration::from_mins(minutes);
            let users = users.iter().copied().collect();
            recent.transitions.insert((at, kind), users);
        };
        happened(40, RecentTransition::PrivilegedDisabled, &[7]);
        happened(40, RecentTransition::Disabled, &[7, 8]);
        happened(10, RecentTransition::Disabled, disabled);
        TargetSnapshot {
            recent: Some(Arc::new(recent)),
            ..with(|numbers| {
                numbers.totp = Some(PerType([enrolled, 0, 0, 0]));
                numbers.passkey = None;
            })
        }
    };
    let found = |target| {
        let evaluation = evaluated(&[target], now());
        let mut found: Vec<_> = evaluation
            .active
            .values()
            .filter(|it| matches!(it.rule, Rule::Disabled | Rule::PrivilegedDisabled))
            .map(|it| (it.rule, it.people.clone()))
            .collect();
        found.sort_by_key(|(rule, _)| *rule);
        found
    };
    let people = |ids: &[u32]| Some(ids.iter().copied().collect::<IdSet>());
    let privileged = (Rule::PrivilegedDisabled, people(&[7]));
    assert_eq!(
        found(target(100, &[8])),
        std::slice::from_ref(&privileged),
        "two are few"
    );
    let several = (Rule::Disabled, people(&[7, 8, 9]));
    assert_eq!(found(target(100, &[9])), [privileged.clone(), several]);
    assert_eq!(
        found(target(4000, &[9])),
        [privileged],
        "one in a thousand has a new phone"
    );
}

#[test]
fn an_exempt_user_is_one_alert_for_each_reason_whatever_the_roles() {
    let mut target = up("erp");
    target.identity = identity("erp");
    let evaluation = evaluated(&[target], now());
    let found = &alerts(&evaluation)["OdooMfaExemptPrivileged"];
    assert_eq!(
        *found,
        ["reason=kiosk", "reason=service"],
        "break-glass accounts have an alert of their own"
    );
}

#[test]
fn most_targets_are_down_when_most_of_at_least_four_are_down() {
    let fleet = |downs: usize, all: usize| {
        let targets: Vec<_> = (0..all)
            .map(|index| match index < downs {
                true => down(&index.to_string()),
                false => up(&index.to_string()),
            })
            .collect();
        let evaluation = evaluated(&targets, now());
        alerts(&evaluation).contains_key("OdooMfaFleetBlind")
    };
    assert!(fleet(3, 4));
    assert!(!fleet(2, 4));
    assert!(!fleet(3, 3));
}

#[test]
fn names_severities_and_times_are_those_of_the_prometheus_rules() {
    /// Only Prometheus can know.
    const PROMETHEUS_ONLY: &[&str] = &[
        "OdooMfaTargetVanished",
        "OdooMfaExporterDown",
        "OdooMfaShardMismatch",
    ];
    let file = include_str!("../../alerts/odoo-mfa.rules.yml");
    let file: Value = serde_saphyr::from_str(file).expect("YAML");
    let groups = file["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    let mut theirs = BTreeMap::new();
    for rule in rules.filter(|rule| rule["alert"].is_string()) {
        let name = rule["alert"].as_str().expect("a name");
        let hold = rule["for"].as_str().unwrap_or("0s").to_owned();
        let severity = rule["labels"]["severity"]
            .as_str()
            .expect("a severity")
            .to_owned();
        // The first one of two of a name is the rule's own.
        theirs.entry(name).or_insert((hold, severity));
    }
    theirs.retain(|name, _| !PROMETHEUS_ONLY.contains(name));
    let rules = Rules::default();
    let ours: BTreeMap<_, _> = Rule::ALL
        .iter()
        .map(|rule| {
            let seconds = rules.get(*rule).hold.as_secs();
            let hold = match seconds {
                0 => "0s".to_owned(),
                it if it % 86_400 == 0 => format!("{}d", it / 86_400),
                it if it % 3600 == 0 => format!("{}h", it / 3600),
                it => format!("{}m", it / 60),
            };
            (rule.as_str(), (hold, rule.severity().to_string()))
        })
        .collect();
    assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
    for rule in Rule::ALL {
        let page = odoo_mfa_exporter::domain::alert::runbook(*rule);
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        assert!(page.exists(), "{}", page.display());
    }
}

/// `UPDATE_DOCS=1` rewrites it.
#[test]
fn the_table_of_rules_in_the_documentation_is_this_one() {
    let rules = Rules::default();
    let mut rows = String::from("| alert | severity | for | `threshold` |\n|---|---|---|---|\n");
    for rule in Rule::ALL {
        let threshold = rule
            .threshold()
            .map(|it| format!("{}: {}", it.default, it.meaning));
        let hold = jiff::SignedDuration::try_from(rules.get(*rule).hold).expect("short");
        rows += &format!(
            "| [`{rule}`](runbooks/{rule}.md) | {} | {hold:#} | {} |\n",
            rule.severity(),
            threshold.unwrap_or_default()
        );
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerting.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let (head, rest) = page
        .split_once("<!-- rules: generated -->\n")
        .expect("its beginning");
    let (_, tail) = rest.split_once("<!-- /rules -->").expect("its end");
    let wanted = format!("{head}<!-- rules: generated -->\n{rows}<!-- /rules -->{tail}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).expect("the page is writable");
    }
    assert!(
        page == wanted || std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/alerting.md is not what src/domain/alert/rule.rs declares"
    );
}
