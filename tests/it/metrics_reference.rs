//! The reference of all metrics, `docs/metrics.md`, is generated from the catalogue.

use std::collections::BTreeSet;
use std::fmt::Write;

use odoo_mfa_exporter::config::contract;
use odoo_mfa_exporter::exposition::catalogue::{
    CATALOGUE, Family, Label, Section, USER_TYPE, families,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
/// What stands above it is written by hand.
const GENERATED: &str = "<!-- Generated from here on: UPDATE_DOCS=1 cargo test docs_metrics -->\n";

#[test]
fn docs_metrics_is_current() {
    let committed = std::fs::read_to_string(PATH).expect("docs/metrics.md");
    let (prose, tables) = committed
        .split_once(GENERATED)
        .expect("the line that says how to generate it");
    let current: String = CATALOGUE.iter().map(section).collect();
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

/// The configuration lies below the catalogue, and so names the families once more.
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

fn section(section: &Section) -> String {
    let mut text = format!("\n## {}\n", section.title);
    if !section.intro.is_empty() {
        writeln!(text, "{}\n", section.intro).expect("a string takes everything");
    }
    text += "| family | type | labels | meaning |\n|---|---|---|---|\n";
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
            "| `{name}` | {kind} | {} | {} |",
            labels.join(", "),
            meaning.trim_end()
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
