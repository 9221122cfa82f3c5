//! What people read of findings, alerts and failures, in one snapshot, so that it can be proofread in one place.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::domain::alert::{Detail, Rule, Rules, annotations, labels};
use crate::domain::finding::fixture::Fixture;
use crate::domain::finding::tests::{passkey_only, situations};
use crate::domain::finding::{self, findings};
use crate::domain::roster::Unlisted;
use crate::domain::{Reason, facts::Gap};
use crate::odoo;
use crate::web::directory::Refused;

#[test]
fn every_finding_alert_and_failure() {
    let texts = [
        ("Findings", of_findings()),
        ("Alerts", of_alerts()),
        ("Failures of requests to Odoo", of_failures()),
        ("Lists that are refused", of_refusals()),
    ];
    let mut all = String::new();
    for (title, texts) in texts {
        writeln!(all, "# {title}\n\n{}", texts.join("\n")).expect("a string takes everything");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/texts.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &all).expect("the file is writable");
    }
    let current = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        current == all,
        "tests/texts.md is not current: UPDATE_DOCS=1 cargo test --lib texts"
    );
}

fn of_findings() -> Vec<String> {
    let spoilt = situations().into_iter().map(|(spoil, _)| spoil);
    let mut texts = BTreeSet::new();
    for spoil in spoilt.chain([passkey_only as fn(&mut Fixture)]) {
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        for it in fixture.with(findings) {
            let text = format!(
                "{} ({})\n  {}\n  {}\n  → {}\n",
                it.kind, it.severity, it.title, it.detail, it.what_to_do
            );
            texts.insert((it.kind, it.severity, text));
        }
    }
    let shown: BTreeSet<_> = texts.iter().map(|(kind, ..)| *kind).collect();
    let every = finding::Kind::ALL.iter().copied().collect();
    assert_eq!(shown, every, "a kind of finding needs a situation");
    texts.into_iter().map(|(.., text)| text).collect()
}

fn of_alerts() -> Vec<String> {
    let own = [
        ("target", "erp"),
        ("role", "hr"),
        ("user_type", "internal"),
        ("state", "expired"),
        ("mechanism", "trusted_network"),
        ("endpoint", "xmlrpc"),
        ("vantage", "outside"),
        ("capability", "api_keys"),
        ("alertmanager", "http://alertmanager:9093"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let rules = Rules::default();
    let detail = Detail {
        failing: Some(Reason::Connect),
        before_after: None,
    };
    let mut texts = Vec::new();
    for rule in Rule::ALL.iter().copied() {
        let value = match rule {
            Rule::CoverageBelowTarget | Rule::FleetBlind => 0.4,
            Rule::PollerKeyExpiring | Rule::TargetStale => f64::from(2 * 86_400 + 3600),
            _ => 3.0,
        };
        let labels = labels(&rules, rule, None, None, &own);
        let says = annotations(&rules, &labels, value, &detail);
        let severity = labels.get("severity").unwrap_or_default();
        let (summary, description) = (&says["summary"], &says["description"]);
        texts.push(format!(
            "{rule} ({severity})\n  {summary}\n  {description}\n"
        ));
    }
    texts
}

fn of_failures() -> Vec<String> {
    use odoo::Kind;
    let kinds = [
        Kind::Unreachable,
        Kind::Tls,
        Kind::TimedOut,
        Kind::NotOdoo,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Incomplete,
        Kind::NoDatabase,
        Kind::Maintenance,
        Kind::NoSuchPath,
        Kind::NoSuchName,
        Kind::Unexpected,
        Kind::TooLarge,
        Kind::Defect,
    ];
    let shown = kinds.map(|kind| {
        let error = odoo::Error::new(kind, "");
        let hint = error.hint.unwrap_or("(says what was asked)");
        format!("{kind:?} ({})\n  → {hint}\n", error.reason())
    });
    shown.into()
}

fn of_refusals() -> Vec<String> {
    let gap = Gap {
        seen: "AccessError".to_owned(),
        grant: "(what to grant)",
    };
    let refused = [
        Refused::NoSuchTarget("erp".to_owned()),
        Refused::NotPolled,
        Refused::Down(Reason::Connect),
        Refused::Unlisted(Unlisted::Missing {
            what: "API keys",
            gap,
        }),
        Refused::Unlisted(Unlisted::NotAsked("API keys")),
        Refused::Unlisted(Unlisted::UseNotNoted),
        Refused::Unlisted(Unlisted::NoSuchRole("hr".to_owned())),
        Refused::Busy,
    ];
    let shown = refused.map(|it| format!("{it} ({})\n  → {}\n", it.status(), it.hint()));
    shown.into()
}
