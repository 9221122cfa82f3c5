//! The reference of all metrics, `docs/metrics.md`, is generated from the catalog.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use odoo_mfa_exporter::config::contract;
use odoo_mfa_exporter::domain::posture::Role;
use odoo_mfa_exporter::domain::role::Roles;
use odoo_mfa_exporter::domain::snapshot::Identity;
use odoo_mfa_exporter::domain::transition::Counters;
use odoo_mfa_exporter::domain::{PerType, TargetSnapshot, UserType};
use odoo_mfa_exporter::exposition::catalog::{
    CATALOG, Family, Label, Samples, Section, Source, USER_TYPE, families,
};

use crate::harness::snapshots::{down, identity, up};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
/// The part above it is written by hand.
const GENERATED: &str = "<!-- Generated from here on: UPDATE_DOCS=1 cargo test docs_metrics -->\n";

#[test]
fn docs_metrics_is_current() {
    let committed = std::fs::read_to_string(PATH).expect("docs/metrics.md");
    let (prose, tables) = committed
        .split_once(GENERATED)
        .expect("the line that says how to generate it");
    let typical = typical();
    let sections = CATALOG.iter().map(|it| section(it, &typical));
    let current: String = std::iter::once(costs(&typical)).chain(sections).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, format!("{prose}{GENERATED}{current}"))
            .expect("docs/metrics.md is writable");
    } else {
        assert!(
            tables == current,
            "docs/metrics.md is not current: UPDATE_DOCS=1 cargo test docs_metrics"
        );
    }
}

/// The configuration lies below the catalog, and so names the families once more.
#[test]
fn the_configuration_knows_the_families_of_targets() {
    let known: BTreeSet<_> = contract::FAMILIES.iter().copied().collect();
    let declared: BTreeSet<_> = families()
        .filter(|it| it.is_of_targets())
        .map(|it| it.name)
        .collect();
    assert_eq!(known, declared);
    let labels: BTreeSet<_> = families()
        .flat_map(|it| it.labels)
        .map(|it| it.name)
        .collect();
    let free: Vec<_> = labels
        .iter()
        .filter(|it| !contract::RESERVED_LABELS.contains(it))
        .collect();
    assert!(
        free.is_empty(),
        "a target's own labels could shadow {free:?}"
    );
}

/// A target with internal and portal users that is up and sees everything, configured with no more than it must be.
fn typical() -> TargetSnapshot {
    let mut target = up("erp");
    target.identity = Arc::new(Identity {
        labels: Vec::new(),
        coverage_target: PerType([Some(0.9), None, None, None]),
        accept_missing: BTreeSet::new(),
        accept_bypasses: BTreeSet::new(),
        ..Identity::clone(&identity("erp"))
    });
    let pair = Some([0; 2]);
    target.counters = Some(Arc::new(Counters {
        mfa: PerType([pair, pair, None, None]),
        privileged_mfa: pair,
        privilege: pair,
        api_keys: Some([0; 3]),
        breaks: 0,
    }));
    let posture = target
        .posture
        .as_mut()
        .map(Arc::make_mut)
        .expect("it is up");
    posture.active[UserType::None] = 0;
    let privileged = posture.privileged.as_mut().expect("it sees everything");
    let role = privileged.roles[0].clone();
    let named = |(name, _): (&str, _)| Role {
        name: name.to_owned(),
        ..role.clone()
    };
    privileged.roles = Roles::default().iter().map(named).collect();
    target
}

/// Cost of targets.
fn costs(typical: &TargetSnapshot) -> String {
    let all = |target: &TargetSnapshot| -> usize {
        families().filter_map(|family| series(family, target)).sum()
    };
    let per_role = families()
        .filter(|family| family.labels.iter().any(|label| label.name == "role"))
        .count();
    let dark = TargetSnapshot {
        posture: None,
        health: down("erp").health,
        ..typical.clone()
    };
    format!(
        "\n## What a target costs\nA target with internal and portal users that is up and sees everything, with the {} default roles, two of the modules and \
         no vantage points, has **{} series**; while it is down, {}. The column *series* has the number of each family. An additional role costs {per_role}. \
         [docs/performance.md](performance.md) says what a series costs.\n",
        Roles::default().iter().count(),
        all(typical),
        all(&dark),
    )
}

/// Number of series of a family for a target; `None` for families that are not of targets.
fn series(family: &Family, target: &TargetSnapshot) -> Option<usize> {
    let mut count = 0;
    let mut take = |_: &[&str], _: odoo_mfa_exporter::exposition::catalog::Value| count += 1;
    let samples = &mut Samples::new(&mut take);
    match family.source {
        Source::Target(of) => of(target, samples),
        Source::Posture(of) => {
            if let Some(posture) = &target.posture {
                of(posture, samples);
            }
        }
        Source::Counters(of) => {
            if let Some(counters) = &target.counters {
                of(counters, samples);
            }
        }
        Source::Exporter(_) => return None,
    }
    Some(count)
}

fn section(section: &Section, typical: &TargetSnapshot) -> String {
    let mut text = format!("\n## {}\n", section.title);
    if !section.intro.is_empty() {
        writeln!(text, "{}\n", section.intro).expect("a string takes everything");
    }
    let of_targets = section.families.iter().any(Family::is_of_targets);
    text += if of_targets {
        "| family | type | labels | meaning | series |\n|---|---|---|---|---|\n"
    } else {
        "| family | type | labels | meaning |\n|---|---|---|---|\n"
    };
    for family in section.families {
        let Family {
            name, help, notes, ..
        } = family;
        let kind = family.kind.as_str();
        let target = family.is_of_targets().then(|| "target".to_owned());
        let labels: Vec<String> = target
            .into_iter()
            .chain(family.labels.iter().map(label))
            .collect();
        let meaning = format!("{help} {notes}");
        writeln!(
            text,
            "| `{name}` | {kind} | {} | {} |{}",
            labels.join(", "),
            meaning.trim_end(),
            series(family, typical).map_or(String::new(), |series| format!(" {series} |")),
        )
        .expect("a string takes everything");
    }
    text
}

fn label(label: &Label) -> String {
    if label.values.is_empty() || *label == USER_TYPE {
        return label.name.into();
    }
    let values: Vec<String> = label
        .values
        .iter()
        .map(|value| format!("`{value}`"))
        .collect();
    format!("{} = {}", label.name, values.join(" "))
}
