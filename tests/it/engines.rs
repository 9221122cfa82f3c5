//! Both engines on the same story: the daemon's rules on snapshots, the Prometheus rules on what is exported of them, minute by minute.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use odoo_mfa_exporter::domain::alert::{
    ExporterView, FleetView, Phase, Rules, States, evaluate, step,
};
use odoo_mfa_exporter::domain::health::{Outcome, Past};
use odoo_mfa_exporter::domain::transition::{Counters, Recent, RecentTransition};
use odoo_mfa_exporter::domain::{PerType, Reason, TargetSnapshot, UserType};
use odoo_mfa_exporter::exposition::Format;

use crate::harness::exporter::Shown;
use crate::harness::snapshots::{posture, up};
use crate::harness::text::Text;

/// The story's minutes; the promtool clock begins at 0.
const MINUTES: i64 = 180;

/// Times of the comparison: some minutes after each turn of the story, so that values which Prometheus keeps for five minutes are gone. No
/// `for` ends during an outage: Prometheus fires then, the daemon with the first poll after it.
const COMPARED: [i64; 15] = [
    14, 16, 29, 34, 40, 49, 51, 62, 71, 105, 117, 120, 139, 150, 175,
];

/// Labels by which alerts are told apart.
const LABELS: [&str; 6] = [
    "alertname",
    "severity",
    "role",
    "user_type",
    "reason",
    "state",
];

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

/// An outage, losses that the first poll after it finds, their end, and an outage that does not end.
struct Story {
    snapshot: TargetSnapshot,
}

impl Story {
    fn new() -> Self {
        let mut snapshot = up("erp");
        snapshot.health.past.clear();
        snapshot.counters = Some(Arc::new(Counters {
            mfa: PerType([Some([0, 0]), Some([0, 0]), None, None]),
            privileged_mfa: Some([0, 0]),
            privilege: Some([0, 0]),
            ..Counters::default()
        }));
        Self { snapshot }
    }

    /// A poll, at each fifth minute.
    fn poll(&mut self, minute: i64) {
        let down = (35..55).contains(&minute) || minute >= 140;
        let failure = down.then_some(Reason::Connect);
        let snapshot = &mut self.snapshot;
        snapshot.health.last = Some(failure.map_or(Outcome::Success, Outcome::Failure));
        snapshot.health.last_attempt = Some(at(minute));
        snapshot.health.note(Past {
            at: at(minute),
            failure,
            missing: 0,
        });
        if down {
            snapshot.posture = None;
            snapshot.recently_unprotected = None;
            return;
        }
        snapshot.health.last_success = Some(at(minute));
        let mut numbers = posture();
        numbers.break_glass_login = None;
        let mut recent = Recent::default();
        let mut lost = 0;
        if (55..110).contains(&minute) {
            lost = 5;
            let found = at(55);
            let mut happened = |kind, users: &[u32]| {
                let users = users.iter().copied().collect();
                recent.transitions.insert((found, kind), users);
            };
            happened(RecentTransition::Disabled, &[1, 2, 3, 4, 5]);
            happened(RecentTransition::PrivilegedDisabled, &[1]);
            happened(RecentTransition::PrivilegeGranted, &[9]);
            recent.enforcement[UserType::Portal].weakened = Some(found);
        }
        if minute >= 110 {
            for role in &mut numbers.privileged.as_mut().expect("known").roles {
                role.unprotected_past_grace = Some(0);
            }
        }
        snapshot.posture = Some(Arc::new(numbers));
        snapshot.recent = Some(Arc::new(recent));
        snapshot.recently_unprotected = Some(PerType([lost, 0, 0, 0]));
    }
}

type Alerts = BTreeSet<BTreeMap<&'static str, String>>;

/// Firing alerts of the daemon.
fn firing(states: &States) -> Alerts {
    let firing = states.values().filter(|it| it.phase() == Phase::Firing);
    firing
        .map(|state| {
            let labels = LABELS.iter();
            let labels =
                labels.filter_map(|name| Some((*name, state.labels.get(name)?.to_owned())));
            labels.collect()
        })
        .collect()
}

/// A series of promtool: what it is, and its values by minute.
type Series = BTreeMap<String, BTreeMap<i64, f64>>;

fn scrape(series: &mut Series, minute: i64, text: &str) {
    for sample in Text::read(text).samples {
        let mut name = format!("{}{{job=\"odoo-mfa-exporter\", instance=\"a\"", sample.name);
        for (label, value) in &sample.labels {
            write!(name, ", {label}=\"{value}\"").expect("a string");
        }
        name.push('}');
        series.entry(name).or_default().insert(minute, sample.value);
    }
}

/// The values as promtool reads them; one that ends is stale at once, as after a scrape.
fn values(values: &BTreeMap<i64, f64>) -> String {
    let mut text = String::new();
    let mut there = false;
    for minute in 0..=MINUTES {
        match values.get(&minute) {
            Some(value) => write!(text, "{value} ").expect("a string"),
            None if there => text += "stale ",
            None => text += "_ ",
        }
        there = values.contains_key(&minute);
    }
    text
}

#[tokio::test]
async fn both_engines_say_the_same_of_the_same_story() {
    let rules = Rules::default();
    let (mut states, mut story) = (States::new(), Story::new());
    let mut series = Series::new();
    let mut expected = String::new();
    for minute in 0..=MINUTES {
        if minute % 5 == 0 {
            story.poll(minute);
        }
        let targets = [Arc::new(story.snapshot.clone())];
        let view = FleetView {
            targets: &targets,
            exporter: ExporterView::default(),
        };
        let evaluation = evaluate(&rules, &view, &states, at(minute));
        step(&mut states, evaluation, &rules, at(minute));
        let shown = Shown::new([story.snapshot.clone()]);
        let text = shown.text(Format::Classic).await;
        let of_targets = text.lines().filter(|line| {
            line.starts_with('#') || line.starts_with("odoo_") && line.contains("target=")
        });
        let of_targets: Vec<&str> = of_targets.collect();
        scrape(&mut series, minute, &(of_targets.join("\n") + "\n"));
        if COMPARED.contains(&minute) {
            expect(&mut expected, minute, &firing(&states));
        }
    }
    let up = "up{job=\"odoo-mfa-exporter\", instance=\"a\"}".to_owned();
    series.insert(up, (0..=MINUTES).map(|minute| (minute, 1.0)).collect());
    let mut test = format!(
        "rule_files: ['{}/alerts/odoo-mfa.rules.yml']\nevaluation_interval: 1m\ngroup_eval_order: [odoo-mfa-recording]\n\
         tests:\n- interval: 1m\n  input_series:\n",
        env!("CARGO_MANIFEST_DIR")
    );
    for (name, minutes) in &series {
        writeln!(
            test,
            "  - {{series: '{name}', values: '{}'}}",
            values(minutes)
        )
        .expect("a string");
    }
    test += "  promql_expr_test:\n";
    test += &expected;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("story.test.yml");
    std::fs::write(&path, test).expect("written");
    let promtool = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output()
        .expect("promtool is needed: apt-get install prometheus");
    let said =
        String::from_utf8_lossy(&promtool.stdout) + String::from_utf8_lossy(&promtool.stderr);
    assert!(promtool.status.success(), "{said}");
}

/// Alerts that must fire in Prometheus at a minute.
fn expect(test: &mut String, minute: i64, alerts: &Alerts) {
    let by = LABELS.join(", ");
    writeln!(
        test,
        "  - expr: 'count by ({by}) (ALERTS{{alertstate=\"firing\"}})'\n    eval_time: {minute}m\n    exp_samples:"
    )
    .expect("a string");
    for alert in alerts {
        let labels: Vec<_> = alert
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        writeln!(
            test,
            "    - {{labels: '{{{}}}', value: 1}}",
            labels.join(", ")
        )
        .expect("a string");
    }
}
