use std::collections::BTreeMap;

use super::*;
use crate::domain::UserType;
use crate::domain::exemption::{Exemption, Matcher};
use crate::domain::facts::{Known, TrustedNetworks};
use crate::domain::finding::fixture::{Fixture, day, device, exempt, ids, key, missing};
use crate::domain::surface::{Checked, Exposure, Seen};
use crate::domain::{ExemptReason, Module};
use crate::odoo;

/// Steers a terminal, closes a tag, reverses the line, and is wider than it looks.
const HOSTILE: &str = "\u{1b}[31m<script>alert('x')</script> \"&\u{202e}管理者";

fn person(id: u32, name: &str, login: &str) -> (u32, odoo::Person) {
    let person = odoo::Person {
        id,
        name: name.to_owned(),
        login: login.to_owned(),
        active: true,
        created: None,
        last_login: None,
    };
    (id, person)
}

fn people() -> BTreeMap<u32, odoo::Person> {
    BTreeMap::from([
        person(10, "Ada Admin", "ada"),
        person(12, HOSTILE, "mallory"),
        person(13, "Hanna from HR", "hanna@example.com"),
        person(14, "Newcomer", "new@example.com"),
        person(29, "MFA exporter", "mfa-exporter"),
    ])
}

fn target(name: &str, scan: Option<Scan>) -> TargetReport {
    TargetReport {
        target: name.to_owned(),
        url: format!("https://{name}.example.com/"),
        database: "prod".to_owned(),
        error: scan.is_none().then(|| Failure {
            reason: Reason::Auth,
            message: "Odoo refuses the API key".to_owned(),
            hint: Some("create a new API key for the account"),
        }),
        scan,
    }
}

fn report(targets: Vec<TargetReport>) -> Report {
    Report {
        exporter_version: "0.0.0",
        ..Report::new(day(0), targets)
    }
}

fn scan(fixture: &Fixture) -> Scan {
    fixture.with(|case| build::scan(case, &people()))
}

/// A target with much to say.
fn spoilt() -> Fixture {
    let mut it = Fixture::healthy();
    it.unenroll([12, 13, 14, 20, 21, 100]);
    it.facts.recent = ids([14]);
    it.facts.oauth = missing();
    it.facts.trusted_networks = Some(TrustedNetworks::Rows {
        personal: 0,
        everybody: 1,
    });
    it.install(Module::AuthTotpIpCheck);
    it.facts.awake = missing();
    it.facts.devices = Known::Complete(vec![device(10)]);
    it.facts.poller_key_expiry = Some(day(9));
    it.key(key(29));
    it.key(crate::domain::facts::ApiKey {
        expires: None,
        created: Some(day(-400)),
        ..key(10)
    });
    it.exemptions.push(Exemption {
        expires: Some(jiff::civil::date(2026, 1, 31)),
        matcher: Matcher::Glob("svc-*".parse().expect("a pattern")),
        ..exempt("", ExemptReason::Service)
    });
    it.facts.exemptions.push(ids([20]));
    it.coverage_target[UserType::Portal] = Some(0.5);
    let seen = |exposure, why: &str| Seen {
        exposure,
        why: why.to_owned(),
    };
    it.surface.push(Checked {
        vantage: "outside".to_owned(),
        at: day(0),
        endpoints: vec![
            (
                Endpoint::Xmlrpc,
                seen(Exposure::Exposed, "answers an XML-RPC call"),
            ),
            (
                Endpoint::Jsonrpc,
                seen(Exposure::Blocked, "answers 403, and not as Odoo does"),
            ),
            (
                Endpoint::Json2,
                seen(Exposure::Unknown, "no answer in time"),
            ),
        ],
        expect_blocked: [Endpoint::Xmlrpc].into(),
    });
    it
}

fn both() -> Report {
    report(vec![
        target("erp", Some(scan(&spoilt()))),
        target("shop", None),
        target("hq", Some(scan(&Fixture::healthy()))),
    ])
}

fn text(report: &Report, width: usize) -> String {
    let style = Style {
        color: false,
        width,
    };
    render_text(report, style)
}

#[test]
fn the_text_reads_like_this() {
    insta::assert_snapshot!("text", text(&both(), 100));
}

#[test]
fn the_summary_fits_on_one_screen() {
    let many = (0..40)
        .map(|number| target(&format!("t{number}"), Some(scan(&spoilt()))))
        .collect();
    let text = text(&report(many), 80);
    let (_, summary) = text.split_once('═').expect("a summary");
    assert!(summary.lines().count() <= 24, "{summary}");
    assert!(summary.contains("and 30 more targets"));
}

#[test]
fn no_line_is_wider_than_the_terminal_and_colors_change_nothing_else() {
    use unicode_width::UnicodeWidthStr;
    for width in [60, 80, 120] {
        for line in text(&both(), width).lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
    let colored = render_text(
        &both(),
        Style {
            color: true,
            width: 100,
        },
    );
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = escape.split_once('m').expect("a color").1;
    }
    plain += rest;
    assert_ne!(plain, colored);
    assert_eq!(plain, text(&both(), 100));
}

#[test]
fn the_json_has_this_shape() {
    let json: serde_json::Value = serde_json::from_str(&json(&both())).expect("JSON");
    insta::assert_json_snapshot!("json", json);
}

#[test]
fn what_is_worst_decides_the_exit_code() {
    let only = |scan: Option<Scan>| report(vec![target("erp", scan)]);
    let healthy = only(Some(scan(&Fixture::healthy())));
    assert_eq!(healthy.worst(), None);
    assert!(!healthy.has_at_least(Severity::Info) && !healthy.is_incomplete());
    let spoilt = only(Some(scan(&spoilt())));
    assert_eq!(spoilt.worst(), Some(Severity::Critical));
    assert!(spoilt.has_at_least(Severity::Warning) && spoilt.is_incomplete());
    assert!(only(None).is_incomplete());

    let mut exempt = Fixture::healthy();
    exempt.facts.poller = 20;
    let info = only(Some(scan(&exempt)));
    assert!(info.has_at_least(Severity::Info) && !info.has_at_least(Severity::Warning));
}

#[test]
fn text_from_a_server_steers_nothing() {
    let report = both();
    for output in [text(&report, 100), json(&report), render_html(&report)] {
        assert!(output.contains("alert("), "the name is shown");
        assert!(
            !output.contains('\u{1b}') && !output.contains('\u{202e}'),
            "{output}"
        );
    }
    let html = render_html(&report);
    assert!(!html.contains("<script"));
    assert!(!html.contains("alert('x')"));
}

/// Tags that have no end.
const VOID: [&str; 3] = ["meta", "rect", "!doctype"];

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let html = render_html(&both());
    let mut open: Vec<&str> = Vec::new();
    let mut ids = Vec::new();
    for (index, _) in html.match_indices('<') {
        let tag = html[index + 1..].split_once('>').expect("a tag ends").0;
        let name = tag.split([' ', '\n']).next().expect("a name");
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{}", &html[..index]);
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        let id = tag
            .split_once(" id=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        ids.extend(id.map(|(id, _)| id));
    }
    assert_eq!(open, Vec::<&str>::new());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are unique");
    for outside in [
        "src=",
        "url(",
        "@import",
        "<link",
        "<script",
        "onload",
        "javascript:",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    for chart in html.split("<svg ").skip(1) {
        assert!(
            chart.contains("role=\"img\" aria-label=\""),
            "a chart has a text"
        );
    }
    assert!(html.contains("<html lang=\"en\">"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
}
