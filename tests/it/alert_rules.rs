//! Which alerts a fleet has: the same as the Prometheus rules of the same names, with the same labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::alert::{
    Evaluation, ExporterView, FleetView, Memory, Rule, Rules, States, TargetView, Transition,
    Transitions, evaluate, step,
};
use odoo_mfa_exporter::domain::posture::{Enforcement, Enforcer, Posture};
use odoo_mfa_exporter::domain::surface::{Checked, Exposure, Seen};
use odoo_mfa_exporter::domain::{Endpoint, IdSet, PerType, TargetSnapshot};
use serde_json::Value;

use crate::harness::snapshots::{down, partly_blind, pending, posture, up};

const NOW: &str = "2026-11-24T05:10:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a timestamp")
}

fn evaluated(targets: &[TargetSnapshot], memory: &Memory, now: Timestamp) -> Evaluation {
    let view = |snapshot| TargetView { snapshot, memory };
    let targets: Vec<TargetView> = targets.iter().map(view).collect();
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
    let evaluation = evaluated(&[target], &Memory::default(), now());
    let expected = [
        ("OdooMfaAdminWithoutMfa", vec![""]),
        ("OdooMfaApiKeyOfArchivedUser", vec![""]),
        ("OdooMfaApiKeyOld", vec![""]),
        ("OdooMfaApiKeyWithoutExpiry", vec![""]),
        ("OdooMfaBypassPresent", vec!["mechanism=master_password"]),
        ("OdooMfaCoverageBelowTarget", vec!["user_type=internal"]),
        (
            "OdooMfaEndpointExposed",
            vec!["endpoint=xmlrpc vantage=outside"],
        ),
        ("OdooMfaExemptPrivileged", vec!["role=settings"]),
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
    let dark = evaluated(&[down("erp")], &Memory::default(), now());
    assert!(held(&dark, Rule::AdminWithoutMfa));
    assert!(held(&dark, Rule::ApiKeyOld));
    assert!(!held(&dark, Rule::TargetDown));
    assert!(alerts(&dark).contains_key("OdooMfaTargetDown"));
    assert!(!alerts(&dark).contains_key("OdooMfaAdminWithoutMfa"));

    let restarted = evaluated(&[pending("erp")], &Memory::default(), now());
    assert!(held(&restarted, Rule::TargetDown));
    assert!(held(&restarted, Rule::TargetStale));
    assert!(held(&restarted, Rule::AdminWithoutMfa));
    assert!(!held(&restarted, Rule::Watchdog));

    // It sees no groups, keys and policy any more, and nobody accepts that.
    let blind = evaluated(&[partly_blind("erp")], &Memory::default(), now());
    assert!(held(&blind, Rule::AdminWithoutMfa));
    assert!(held(&blind, Rule::ApiKeyOld));
    assert!(!held(&blind, Rule::CoverageBelowTarget));
    assert!(alerts(&blind)["OdooMfaCapabilityMissing"].contains(&"capability=groups".to_owned()));
    assert!(
        !alerts(&blind)["OdooMfaCapabilityMissing"].contains(&"capability=modules".to_owned()),
        "its absence is accepted"
    );
}

#[test]
fn an_alert_outlives_the_darkness_of_its_target() {
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
        let evaluation = evaluated(&[snapshot], &Memory::default(), at);
        step(&mut states, evaluation, &rules, at);
        firing(&states)
    };
    assert!(!look(up("erp"), 0));
    assert!(!look(down("erp"), 60), "nothing fires in the dark");
    assert!(look(up("erp"), 1), "and yet the time ran on");
    assert!(look(down("erp"), 600), "nothing resolves in the dark");
    assert!(!look(with(no_exposed_admins), 1));
}

fn no_exposed_admins(posture: &mut Posture) {
    for role in &mut posture.privileged.as_mut().expect("known").roles {
        role.unprotected_past_grace = Some(0);
    }
}

/// Two days of polls, and then one look.
struct Course {
    memory: Memory,
    at: Timestamp,
}

impl Course {
    fn new() -> Self {
        Self {
            memory: Memory::default(),
            at: now() - SignedDuration::from_hours(24 * 30),
        }
    }

    fn polls(&mut self, hours: i64, posture: &Posture) {
        for _ in 0..hours * 12 {
            self.at += SignedDuration::from_mins(5);
            self.memory.note(posture, self.at);
        }
    }

    fn has(&mut self, rule: Rule, posture: &Posture) -> bool {
        self.polls(0, posture);
        self.at += SignedDuration::from_mins(5);
        self.memory.note(posture, self.at);
        let snapshot = TargetSnapshot {
            posture: Some(Arc::new(posture.clone())),
            ..up("erp")
        };
        let evaluation = evaluated(&[snapshot], &self.memory, self.at);
        alerts(&evaluation).contains_key(rule.as_str())
    }
}

fn people(eligible: u64, protected: u64) -> Posture {
    let mut numbers = posture();
    numbers.eligible = PerType([eligible, 0, 0, 0]);
    numbers.protected = Some(PerType([protected, 0, 0, 0]));
    numbers
}

#[test]
fn losses_are_what_leavers_and_single_spikes_do_not_explain() {
    use Rule::{CoverageEroding, ProtectedDropped};
    let mut course = Course::new();
    course.polls(48, &people(100, 90));
    assert!(!course.has(ProtectedDropped, &people(100, 90)));
    assert!(
        !course.has(ProtectedDropped, &people(100, 88)),
        "two are few"
    );
    assert!(!course.has(ProtectedDropped, &people(90, 80)), "ten left");
    assert!(course.has(ProtectedDropped, &people(100, 80)));
    assert!(
        course.has(ProtectedDropped, &people(97, 80)),
        "three left, ten lost"
    );
    assert!(
        !course.has(ProtectedDropped, &people(1000, 80)),
        "two in a hundred are twenty"
    );

    // A wrong number for one poll is what nobody lost.
    let mut spiked = Course::new();
    spiked.polls(24, &people(100, 90));
    spiked.polls(1, &people(100, 100));
    spiked.polls(1, &people(100, 90));
    assert!(!spiked.has(ProtectedDropped, &people(100, 90)));

    // A young target is compared with what there is.
    let mut young = Course::new();
    young.polls(2, &people(100, 90));
    assert!(young.has(ProtectedDropped, &people(100, 80)));

    // One a day is no sudden loss, but an erosion.
    let mut slow = Course::new();
    slow.polls(24 * 7, &people(100, 90));
    for protected in (84..90).rev() {
        slow.polls(24, &people(100, protected));
        assert!(
            !slow.has(ProtectedDropped, &people(100, protected)),
            "{protected}"
        );
    }
    assert!(slow.has(CoverageEroding, &people(100, 84)));

    // A sudden loss is not reported again for a week.
    let mut sudden = Course::new();
    sudden.polls(24 * 7, &people(100, 90));
    sudden.polls(24 * 3, &people(100, 80));
    assert!(!sudden.has(CoverageEroding, &people(100, 80)));
}

#[test]
fn what_is_remembered_survives_in_few_bytes() {
    let mut course = Course::new();
    course.polls(24 * 21, &people(1_000_000, 900_000));
    let bytes = serde_json::to_vec(&course.memory).expect("JSON");
    assert!(bytes.len() < 16_000, "{}", bytes.len());
    let again: Memory = serde_json::from_slice(&bytes).expect("its own JSON");
    assert_eq!(again, course.memory);
}

#[test]
fn a_policy_that_covered_more_a_day_ago_is_weakened() {
    let enforced = |internal| {
        let mut numbers = posture();
        numbers.enforcement = Some(Enforcement {
            by: Enforcer::Module,
            covers: PerType([internal, false, false, false]),
        });
        numbers
    };
    let mut course = Course::new();
    course.polls(48, &enforced(true));
    assert!(!course.has(Rule::EnforcementWeakened, &enforced(true)));
    assert!(course.has(Rule::EnforcementWeakened, &enforced(false)));
    course.polls(26, &enforced(false));
    assert!(
        !course.has(Rule::EnforcementWeakened, &enforced(false)),
        "for a day"
    );

    let mut trial = Course::new();
    trial.polls(24, &enforced(false));
    trial.polls(1, &enforced(true));
    assert!(
        !trial.has(Rule::EnforcementWeakened, &enforced(false)),
        "it was a trial"
    );
}

#[test]
fn transitions_are_alerts_for_an_hour() {
    let mut memory = Memory::default();
    let mut happen = |kind, people: &[u32]| {
        memory.happened(&Transitions {
            target: "erp".into(),
            kind,
            count: people.len() as u64,
            people: people.iter().copied().collect(),
            at: now(),
        });
    };
    happen(Transition::Disabled, &[7, 8]);
    happen(Transition::PrivilegedDisabled, &[7]);
    let at = |memory: &Memory, minutes| {
        let evaluation = evaluated(
            &[up("erp")],
            memory,
            now() + SignedDuration::from_mins(minutes),
        );
        let mut names: Vec<_> = evaluation
            .active
            .values()
            .map(|it| (it.rule, it.people.clone()))
            .collect();
        names.retain(|(rule, _)| matches!(rule, Rule::Disabled | Rule::PrivilegedDisabled));
        names
    };
    let people = |ids: &[u32]| Some(ids.iter().copied().collect::<IdSet>());
    assert_eq!(at(&memory, 1), [(Rule::PrivilegedDisabled, people(&[7]))]);
    memory.happened(&Transitions {
        target: "erp".into(),
        kind: Transition::Disabled,
        count: 1,
        people: [9].into_iter().collect(),
        at: now() + SignedDuration::from_mins(30),
    });
    let mut both = at(&memory, 40);
    both.sort_by_key(|(rule, _)| *rule);
    assert_eq!(
        both,
        [
            (Rule::PrivilegedDisabled, people(&[7])),
            (Rule::Disabled, people(&[7, 8, 9]))
        ]
    );
    assert_eq!(at(&memory, 60), []);
}

#[test]
fn a_fleet_is_blind_when_most_of_at_least_four_are_down() {
    let fleet = |downs: usize, all: usize| {
        let targets: Vec<_> = (0..all)
            .map(|index| match index < downs {
                true => down(&index.to_string()),
                false => up(&index.to_string()),
            })
            .collect();
        let evaluation = evaluated(&targets, &Memory::default(), now());
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

/// `UPDATE_DOCS=1` writes it anew.
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
