//! What scrapes say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use insta::assert_snapshot;
use odoo_mfa_exporter::domain::posture::Posture;
use odoo_mfa_exporter::domain::snapshot::Identity;
use odoo_mfa_exporter::domain::{PerType, TargetSnapshot, UserType};
use odoo_mfa_exporter::exposition::catalogue::{self, Kind};
use odoo_mfa_exporter::exposition::{Body, Coding, Format};
use proptest::prelude::*;

use crate::harness::exporter::Shown;
use crate::harness::prometheus::check_metrics;
use crate::harness::snapshots::{down, identity, partly_blind, pending, posture, up};
use crate::harness::text::{Sample, Text};

/// The part of a text that is about targets.
fn of_targets(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.contains("odoo_mfa_exporter_"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The same, without headers.
fn samples_of_targets(text: &str) -> String {
    let text = of_targets(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn a_target_that_is_up_in_openmetrics() {
    let shown = Shown::new([up("erp")]);
    assert_snapshot!(of_targets(&shown.text(Format::OpenMetrics).await), @"");
}

#[tokio::test]
async fn pending_and_down_targets_in_the_classic_format() {
    let shown = Shown::new([pending("new"), down("erp")]);
    assert_snapshot!(of_targets(&shown.text(Format::Classic).await), @"");
}

#[tokio::test]
async fn what_is_not_completely_known_is_absent_and_says_so() {
    let text = Shown::new([partly_blind("erp")])
        .text(Format::OpenMetrics)
        .await;
    assert_snapshot!(samples_of_targets(&text), @"");
}

#[tokio::test]
async fn the_exporter_itself() {
    let shown = Shown::new([pending("new"), up("erp"), down("crm"), up("shop")]);
    shown.state.config_loaded(
        "2026-11-24T05:00:00Z".parse().expect("a timestamp"),
        u64::MAX,
    );
    shown.state.config_rejected();
    let _poll = shown
        .state
        .poll_started(std::time::Duration::from_millis(30));
    drop(shown.state.poll_started(std::time::Duration::from_secs(90)));
    let text = shown.text(Format::OpenMetrics).await;
    let own = text
        .lines()
        .filter(|line| line.contains("odoo_mfa_exporter_"));
    let own = own.map(|line| format!("{line}\n")).collect::<String>();
    let own = own.replace(env!("CARGO_PKG_RUST_VERSION"), "RUSTC");
    assert_snapshot!(own, @"");

    let process: BTreeMap<String, f64> = Text::read(&text)
        .samples
        .into_iter()
        .filter(|sample| sample.name.starts_with("process_"))
        .map(|sample| (sample.name, sample.value))
        .collect();
    assert!(process["process_start_time_seconds"] > 1.7e9);
    assert!(process["process_resident_memory_bytes"] > 1e6);
    assert!(process["process_open_fds"] < process["process_max_fds"]);
    assert!(process.contains_key("process_cpu_seconds_total"));
}

#[tokio::test]
async fn a_restored_target_is_up_before_its_first_poll() {
    let restored = TargetSnapshot {
        posture: Some(Arc::new(posture())),
        ..pending("erp")
    };
    let text = Text::read(&Shown::new([restored]).text(Format::Classic).await);
    assert_eq!(
        text.of("odoo_up").next().map(|sample| sample.value),
        Some(1.0)
    );
}

#[tokio::test]
async fn public_people_are_exported_only_where_there_are_some() {
    let with_public = |active, archived| {
        let mut posture = posture();
        posture.active[UserType::Public] = active;
        posture.archived[UserType::Public] = archived;
        let posture = Some(Arc::new(posture));
        TargetSnapshot {
            posture,
            ..up("erp")
        }
    };
    for (target, expected) in [
        (up("erp"), false),
        (with_public(1, 0), true),
        (with_public(0, 1), true),
    ] {
        let text = Text::read(&Shown::new([target]).text(Format::Classic).await);
        let families: BTreeSet<&str> = text
            .samples
            .iter()
            .filter(|sample| {
                sample
                    .labels
                    .get("user_type")
                    .is_some_and(|t| t == "public")
            })
            .map(|sample| sample.name.as_str())
            .collect();
        assert_eq!(families.contains("odoo_users"), expected);
        assert_eq!(families.contains("odoo_mfa_enforced"), expected);
        assert!(
            !families.contains("odoo_mfa_coverage_ratio"),
            "nobody is eligible"
        );
    }
}

#[tokio::test]
async fn families_stay_together_when_there_are_several_targets() {
    let text = Shown::new([up("erp"), up("crm")])
        .text(Format::OpenMetrics)
        .await;
    let samples = Text::read(&text).samples;
    let mut names: Vec<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    names.dedup();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len(), "{names:?}");
}

#[tokio::test]
async fn promtool_has_nothing_to_complain_about() {
    let shown = Shown::new([up("erp"), down("crm"), pending("new"), partly_blind("shop")]);
    assert_eq!(check_metrics(&shown.text(Format::Classic).await), "");
}

#[test]
fn help_needs_no_escapes_and_names_are_distinct() {
    let mut names = BTreeSet::new();
    for family in catalogue::families() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert!(!family.help.contains(['"', '\\', '\n']), "{}", family.help);
        assert!(
            family.help.ends_with('.') && !family.help.starts_with(' '),
            "{}",
            family.name
        );
        assert_eq!(
            family.kind == Kind::Counter,
            family.name.ends_with("_total"),
            "{}",
            family.name
        );
    }
}

#[tokio::test]
async fn a_scrape_encodes_only_what_changed() {
    let shown = Arc::new(Shown::new([up("erp"), up("crm")]));
    let scrapes = (0..50).map(|_| {
        let shown = Arc::clone(&shown);
        tokio::spawn(async move { shown.text(Format::OpenMetrics).await })
    });
    let bodies = futures::future::join_all(scrapes).await;
    assert_eq!(shown.exposition.times_encoded(), 1);
    let before = of_targets(&bodies[0].as_ref().expect("no panic").clone());

    shown.board.slots()[0].publish(down("erp"));
    let after = of_targets(&shown.text(Format::OpenMetrics).await);
    assert_eq!(shown.exposition.times_encoded(), 2);
    assert_ne!(before, after);

    for format in [Format::OpenMetrics, Format::Classic] {
        for coding in [Coding::Identity, Coding::Gzip] {
            shown.bytes(format, coding).await;
            shown.bytes(format, coding).await;
        }
    }
    assert_eq!(
        shown.exposition.times_encoded(),
        5,
        "once for each format and coding"
    );

    // What the exporter says of itself is never older than the call, and costs no encoding of targets.
    shown
        .state
        .config_loaded("2026-11-24T05:00:00Z".parse().expect("a timestamp"), 42);
    let text = Text::read(&shown.text(Format::Classic).await);
    assert_eq!(
        text.of("odoo_mfa_exporter_config_hash")
            .next()
            .map(|sample| sample.value),
        Some(42.0)
    );
    assert_eq!(shown.exposition.times_encoded(), 5);

    shown.board.show(shown.board.slots()[1..].to_vec());
    let text = Text::read(&shown.text(Format::Classic).await);
    assert!(
        text.samples
            .iter()
            .all(|sample| sample.labels.get("target").is_none_or(|name| name == "crm"))
    );
    let targets: f64 = text
        .of("odoo_mfa_exporter_targets")
        .map(|sample| sample.value)
        .sum();
    assert_eq!(targets, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_exposition_is_streamed_and_whole() {
    let shown = Shown::new((0..700).map(|number| up(&format!("erp-{number}"))));
    let body = shown
        .exposition
        .body(Format::OpenMetrics, Coding::Identity)
        .await;
    assert_eq!(
        body.expect("an encoder that lives").length(),
        None,
        "it is kept"
    );
    let text = shown.text(Format::OpenMetrics).await;
    let read = Text::read(&text);
    assert!(read.ended && text.len() > 5_000_000);
    assert_eq!(read.of("odoo_password_rpc_users").count(), 3 * 700);

    let zipped = shown.bytes(Format::OpenMetrics, Coding::Gzip).await;
    let unzipped = std::io::read_to_string(flate2::read::GzDecoder::new(zipped.as_slice()));
    assert_eq!(of_targets(&unzipped.expect("gzip")), of_targets(&text));
}

#[tokio::test]
async fn half_an_exposition_does_not_pass_for_a_whole_one() {
    let (sender, rest) = tokio::sync::mpsc::channel(1);
    drop(sender);
    let body = Body::Stream {
        first: "odoo_up 1\n".into(),
        rest,
    };
    let body = axum::body::Body::from_stream(body.into_stream());
    assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
}

fn any_posture() -> impl Strategy<Value = Posture> {
    let counts = || prop::array::uniform4(0..1000u64).prop_map(PerType);
    let maybe = || prop::option::of(counts());
    let parts = (counts(), maybe(), maybe(), maybe(), any::<[bool; 6]>());
    parts.prop_map(|(archived, protected, passkey, saml, missing)| {
        let mut posture = Posture {
            archived,
            protected,
            passkey,
            saml,
            ..posture()
        };
        if missing[0] {
            posture.keys = None;
        }
        if missing[1] {
            posture.privileged = None;
        }
        if missing[2] {
            posture.modules = None;
        }
        if missing[3] {
            posture.enforcement = None;
        }
        if missing[4] {
            posture.devices = None;
        }
        if missing[5] {
            posture.poller_key_expiry = None;
        }
        posture
    })
}

fn any_target() -> impl Strategy<Value = TargetSnapshot> {
    let text = || "(?s)[\"\\\\\n\r{},=# a-zé🔑]{1,12}";
    (text(), text(), text(), prop::option::of(any_posture())).prop_map(
        |(name, label, database, posture)| TargetSnapshot {
            identity: Arc::new(Identity {
                labels: vec![("site".into(), label)],
                database,
                ..(*identity(&name)).clone()
            }),
            posture: posture.map(Arc::new),
            ..up(&name)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_formats_say_the_same_and_only_what_the_catalogue_declares(targets in prop::collection::vec(any_target(), 0..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let shown = Shown::new(targets.clone());
        let (openmetrics, classic) = runtime.block_on(async {
            (shown.text(Format::OpenMetrics).await, shown.text(Format::Classic).await)
        });
        let (openmetrics, classic) = (Text::read(&openmetrics), Text::read(&classic));
        let comparable = |text: &Text| -> Vec<Sample> {
            // These move between two scrapes.
            text.samples.iter().filter(|sample| !sample.name.starts_with("process_")).cloned().collect()
        };
        prop_assert_eq!(comparable(&openmetrics), comparable(&classic));
        prop_assert!(openmetrics.ended && !classic.ended);

        for family in catalogue::families() {
            let (om, text) = (openmetrics.families.get(family.metric_name()), classic.families.get(family.name));
            prop_assert_eq!(om.map(|f| (&f.kind, &f.help)), text.map(|f| (&f.kind, &f.help)));
            if let Some(om) = om {
                prop_assert_eq!((om.kind.as_str(), om.help.as_str(), om.unit.as_deref()), (family.kind.as_str(), family.help, family.unit()));
                prop_assert_eq!(text.and_then(|f| f.unit.as_deref()), None);
            }
        }
        for sample in &classic.samples {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
            let family = catalogue::family(&sample.name).or_else(|| catalogue::family(stem?)).expect(&sample.name);
            let mut labels = sample.labels.clone();
            if family.is_of_targets() {
                let target = (labels.remove("target"), labels.remove("site"));
                let known = |t: &TargetSnapshot| (Some(t.identity.name.clone()), Some(t.identity.labels[0].1.clone())) == target;
                prop_assert!(targets.iter().any(known), "{:?}", target);
            }
            if family.kind == Kind::Histogram {
                labels.remove("le");
            }
            let names: BTreeSet<&str> = family.labels.iter().map(|label| label.name).collect();
            prop_assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
            for label in family.labels {
                prop_assert!(label.values.is_empty() || label.values.contains(&labels[label.name].as_str()), "{:?}", sample);
            }
            prop_assert!(sample.value.is_finite());
        }
    }
}
