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
        grace_seconds: 14 * 86_400,
        dormant_seconds: 90 * 86_400,
        previous: None,
        error: scan.is_none().then(|| Failure {
            reason: Reason::Auth,
            message: "Odoo refuses the API key".to_owned(),
            hint: Some("make a new API key for the account"),
        }),
        scan,
    }
}

fn report(targets: Vec<TargetReport>) -> Report {
    accepting(targets, &[])
}

fn accepting(targets: Vec<TargetReport>, accept_findings: &[acceptance::Acceptance]) -> Report {
    let names: Vec<String> = targets.iter().map(|it| it.target.clone()).collect();
    let configured = Configured {
        organization: Some("Example & Sons"),
        accept_findings,
        targets: &names,
        exemptions: &[],
    };
    Report {
        exporter_version: "0.0.0",
        run_by: Some("ada@mon1.example.com".to_owned()),
        ..Report::new(day(0), &configured, targets)
    }
}

fn scan(fixture: &Fixture) -> Scan {
    scan_of("erp", fixture, &[])
}

fn scan_of(target: &str, fixture: &Fixture, accept: &[acceptance::Acceptance]) -> Scan {
    fixture.with(|case| build::scan(case, &people(), &Terms::new(target, accept)))
}

fn accept(finding: Kind, expires: Option<Date>) -> acceptance::Acceptance {
    acceptance::Acceptance {
        finding,
        subject: None,
        targets: Vec::new(),
        reason: "the office is locked".to_owned(),
        approved_by: Some("Jane Doe".to_owned()),
        ticket: Some("SEC-12".to_owned()),
        expires,
    }
}

/// A target with much to say.
fn spoilt() -> Fixture {
    let mut it = Fixture::healthy();
    it.unenrol([12, 13, 14, 20, 21, 100]);
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
    text_in(report, width, Detail::Full)
}

fn text_in(report: &Report, width: usize, detail: Detail) -> String {
    let style = Style {
        colour: false,
        width,
        detail,
    };
    render_text(report, style)
}

#[test]
fn the_text_reads_like_this() {
    insta::assert_snapshot!("text", text(&both(), 100));
}

#[test]
fn the_screens_read_like_this() {
    insta::assert_snapshot!("screens", text_in(&both(), 80, Detail::Screen));
}

#[test]
fn a_target_fits_on_one_screen() {
    for width in [80, 100, 160] {
        let one = report(vec![target("erp", Some(scan(&spoilt())))]);
        let text = text_in(&one, width, Detail::Screen);
        let (screen, _) = text.split_once('═').expect("a summary");
        assert!(screen.lines().count() <= 24, "{screen}");
        assert!(screen.contains("--verbose"), "{screen}");
    }
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
fn no_line_is_wider_than_the_terminal_and_colours_change_nothing_else() {
    use unicode_width::UnicodeWidthStr;
    for width in [40, 60, 80, 120, 200] {
        for detail in [Detail::Summary, Detail::Screen, Detail::Full] {
            for line in text_in(&both(), width, detail).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }
    let coloured = render_text(
        &both(),
        Style {
            colour: true,
            width: 100,
            detail: Detail::Full,
        },
    );
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = escape.split_once('m').expect("a colour").1;
    }
    plain += rest;
    assert_ne!(plain, coloured);
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
    assert!(!healthy.has_at_least(Severity::Info) && !healthy.is_incomplete());
    let spoilt = only(Some(scan(&spoilt())));
    assert!(spoilt.has_at_least(Severity::Critical) && spoilt.is_incomplete());
    assert!(only(None).is_incomplete());

    let mut exempt = Fixture::healthy();
    exempt.facts.poller = 20;
    let info = only(Some(scan(&exempt)));
    assert!(info.has_at_least(Severity::Info) && !info.has_at_least(Severity::Warning));
}

#[test]
fn text_from_a_server_steers_nothing() {
    let report = both();
    for output in [
        text(&report, 100),
        json(&report),
        render_html(&report, false),
    ] {
        assert!(output.contains("alert("), "the name is shown");
        assert!(
            !output.contains('\u{1b}') && !output.contains('\u{202e}'),
            "{output}"
        );
    }
    let html = render_html(&report, false);
    assert!(!html.contains("<script"));
    assert!(!html.contains("alert('x')"));
}

/// Tags that have no end.
const VOID: [&str; 5] = ["meta", "rect", "br", "li", "!doctype"];

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let html = render_html(&both(), false);
    let mut open: Vec<&str> = Vec::new();
    let mut ids = Vec::new();
    for (index, _) in html.match_indices('<') {
        let tag = html[index + 1..].split_once('>').expect("a tag ends").0;
        let name = tag.split([' ', '\n']).next().expect("a name");
        if let Some(name) = name.strip_prefix('/') {
            if VOID.contains(&name) {
                continue;
            }
            assert_eq!(open.pop(), Some(name), "{}", &html[..index]);
        } else if !tag.ends_with('/') && !VOID.contains(&name) && !name.starts_with('!') {
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
            chart.contains("role=\"img\" aria-label=\"") || chart.contains("aria-hidden"),
            "a chart has a text"
        );
    }
    assert!(html.contains("<html lang=\"en\">"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
}

#[test]
fn an_accepted_finding_counts_in_no_grade_and_fails_nothing_until_it_expires() {
    let mut fixture = Fixture::healthy();
    fixture.unenrol([12]);
    let kind = Kind::AdminWithoutMfa;
    let of = |entries: &[acceptance::Acceptance]| {
        accepting(
            vec![target("erp", Some(scan_of("erp", &fixture, entries)))],
            entries,
        )
    };
    let plain = of(&[]);
    let scan = |report: &Report| report.targets[0].scan.clone().expect("a scan");
    assert_eq!(scan(&plain).grade.letter, Letter::D);
    assert!(plain.has_at_least(Severity::Critical));

    let last_day = jiff::civil::date(2026, 11, 24);
    let accepted = of(&[accept(kind, Some(last_day))]);
    let grade = scan(&accepted).grade;
    assert_eq!(
        (grade.letter, grade.without_acceptance),
        (Letter::B, Letter::D)
    );
    assert!(!accepted.has_at_least(Severity::Info), "nothing counts");
    assert_eq!(accepted.accepted().len(), 1);
    for output in [
        text(&accepted, 100),
        json(&accepted),
        render_html(&accepted, false),
    ] {
        assert!(output.contains("the office is locked"), "{output}");
    }

    let expired = of(&[accept(kind, Some(jiff::civil::date(2026, 11, 23)))]);
    assert_eq!(scan(&expired).grade.letter, Letter::D);
    assert!(expired.has_at_least(Severity::Critical));
    let of_all: Vec<_> = expired.findings.iter().map(|it| it.kind).collect();
    assert_eq!(of_all, [Kind::AcceptanceExpired]);
    assert!(expired.findings[0].detail.contains("counts again on erp"));
    assert!(text(&expired, 100).contains("Was accepted: the office is locked"));
}

#[test]
fn an_acceptance_is_unmatched_only_if_all_its_targets_were_read_and_evaluated() {
    let entries = [accept(Kind::MasterPassword, None)];
    let kinds = |targets: Vec<TargetReport>| {
        let report = accepting(targets, &entries);
        report
            .findings
            .into_iter()
            .map(|it| it.kind)
            .collect::<Vec<_>>()
    };
    let healthy = || target("hq", Some(scan_of("hq", &Fixture::healthy(), &entries)));
    assert_eq!(kinds(vec![healthy()]), [Kind::AcceptanceUnmatched]);
    assert_eq!(kinds(vec![healthy(), target("shop", None)]), []);
    let mut partial = Fixture::healthy();
    partial.facts.modules = missing();
    let partial = target("shop", Some(scan_of("shop", &partial, &entries)));
    assert_eq!(kinds(vec![healthy(), partial]), []);
    let mut matching = Fixture::healthy();
    matching.install(Module::AuthAdminPasskey);
    let matching = target("erp", Some(scan_of("erp", &matching, &entries)));
    assert_eq!(kinds(vec![healthy(), matching]), []);
}

#[test]
fn an_exemption_of_the_defaults_is_unmatched_only_if_no_target_matches_it() {
    let shared = |matches: bool| {
        let mut fixture = Fixture::healthy();
        fixture.exemptions.push(Exemption {
            shared: true,
            ..exempt("kiosk", ExemptReason::Kiosk)
        });
        let users = if matches { ids([20]) } else { ids([]) };
        fixture.facts.exemptions.push(users);
        fixture
    };
    let entry = shared(true).exemptions[1].clone();
    let found = |fixtures: &[Fixture]| {
        let targets: Vec<TargetReport> = fixtures
            .iter()
            .enumerate()
            .map(|(number, it)| target(&format!("t{number}"), Some(scan(it))))
            .collect();
        assert!(
            targets
                .iter()
                .all(|it| it.scan.as_ref().is_some_and(|it| it.findings.is_empty()))
        );
        let names: Vec<String> = targets.iter().map(|it| it.target.clone()).collect();
        let configured = Configured {
            organization: None,
            accept_findings: &[],
            targets: &names,
            exemptions: std::slice::from_ref(&entry),
        };
        let report = Report::new(day(0), &configured, targets);
        report
            .findings
            .into_iter()
            .map(|it| (it.kind, it.subject))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&[shared(false), shared(true)]), []);
    assert_eq!(
        found(&[shared(false), shared(false)]),
        [(Kind::ExemptionUnmatched, Some("login kiosk".to_owned()))]
    );
}

/// What a later report says of an earlier one.
fn compared(before: &Report, after: Report) -> Report {
    let previous = Previous::read(&json(before)).expect("a report");
    let names: Vec<String> = after.targets.iter().map(|it| it.target.clone()).collect();
    let mut after = after;
    compare(&mut after, &previous, &names);
    after
}

#[test]
fn a_baseline_tells_new_from_fixed_from_unchanged() {
    let with = |spoil: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        report(vec![target("erp", Some(scan(&fixture)))])
    };
    let before = with(&|it| {
        it.unenrol([12]);
        it.install(Module::ImpersonateLogin);
    });
    let after = compared(
        &before,
        with(&|it| {
            it.install(Module::ImpersonateLogin);
            it.install(Module::AuthAdminPasskey);
        }),
    );
    let changes: Vec<_> = after
        .all()
        .iter()
        .map(|(_, it)| (it.kind, it.change))
        .collect();
    assert_eq!(
        changes,
        [
            (Kind::MasterPassword, Some(Change::New)),
            (Kind::Impersonation, Some(Change::Unchanged)),
        ]
    );
    let baseline = after.baseline.as_ref().expect("a comparison");
    assert_eq!((baseline.new, baseline.unchanged), (1, 1));
    let fixed: Vec<_> = baseline.fixed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(fixed, ["erp/admin_without_mfa"]);
    assert!(baseline.unknown.is_empty());
    assert!(after.has_new_at_least(Severity::Critical));
    assert_eq!(
        after.targets[0].previous.as_ref().and_then(|it| it.grade),
        Some(Letter::D)
    );

    let same = compared(&before, before.clone());
    assert!(!same.has_new_at_least(Severity::Info) && same.has_at_least(Severity::Critical));
    assert!(text(&after, 100).contains("1 new, 1 fixed, 1 unchanged"));
}

#[test]
fn what_cannot_be_seen_any_more_is_not_fixed() {
    let before = both();
    let mut blind = Fixture::healthy();
    blind.facts.modules = missing();
    blind.facts.keys = missing();
    let after = report(vec![
        target("erp", Some(scan_of("erp", &blind, &[]))),
        target("hq", None),
    ]);
    let after = compared(&before, after);
    let baseline = after.baseline.expect("a comparison");
    let has = |list: &[Gone], kind: Kind| list.iter().any(|it| it.kind == kind.as_str());
    assert!(has(&baseline.fixed, Kind::AdminWithoutMfa));
    for kind in [Kind::TrustedNetwork, Kind::KeysOld, Kind::EndpointExposed] {
        assert!(
            has(&baseline.unknown, kind) && !has(&baseline.fixed, kind),
            "{kind}"
        );
    }
}

#[test]
fn a_finding_that_was_accepted_or_less_urgent_is_new() {
    let fixture = |everybody: u64| {
        let mut fixture = Fixture::healthy();
        fixture.install(Module::AuthTotpIpCheck);
        fixture.facts.trusted_networks = Some(TrustedNetworks::Rows {
            personal: 1,
            everybody,
        });
        fixture
    };
    let of = |fixture: &Fixture, entries: &[acceptance::Acceptance]| {
        accepting(
            vec![target("erp", Some(scan_of("erp", fixture, entries)))],
            entries,
        )
    };
    let entries = [accept(Kind::TrustedNetwork, None)];
    let (personal, everybody) = (fixture(0), fixture(1));
    let change = |before: &Report, after: Report| compared(before, after).all()[0].1.change;
    let (plain, accepted) = (of(&personal, &[]), of(&personal, &entries));
    assert_eq!(change(&plain, plain.clone()), Some(Change::Unchanged));
    assert_eq!(
        change(&plain, of(&everybody, &[])),
        Some(Change::New),
        "more urgent"
    );
    assert_eq!(
        change(&accepted, plain.clone()),
        Some(Change::New),
        "it counts again"
    );
    assert_eq!(change(&accepted, accepted.clone()), Some(Change::Unchanged));
    let after = compared(&plain, accepted);
    let baseline = after.baseline.expect("a comparison");
    assert!(baseline.fixed.is_empty(), "accepted is not fixed");
}

#[test]
fn a_part_of_a_report_is_no_baseline_and_neither_is_another_format() {
    let mut part = both();
    part.select(Selection {
        severity: Some(Severity::Critical),
        ..Selection::default()
    });
    assert!(matches!(
        Previous::read(&json(&part)),
        Err(Unusable::Selected)
    ));
    let other = json(&both()).replace("\"format\": 1", "\"format\": 2");
    assert!(matches!(Previous::read(&other), Err(Unusable::Format(2))));
    assert!(matches!(Previous::read("{}"), Err(Unusable::NoReport(_))));
}

#[test]
fn a_selection_limits_findings_and_neither_grades_nor_exit_codes() {
    let mut part = both();
    let grade = |report: &Report| report.targets[0].scan.as_ref().map(|it| it.grade.letter);
    let whole = grade(&part);
    part.select(Selection {
        severity: Some(Severity::Warning),
        framework: Some(Framework::PciDss),
        ..Selection::default()
    });
    let all = part.all();
    assert!(!all.is_empty());
    for (_, finding) in all {
        assert!(finding.severity <= Severity::Warning, "{}", finding.id);
        assert!(!finding.controls.is_empty(), "{}", finding.id);
        assert!(
            finding
                .controls
                .iter()
                .all(|it| it.framework == Framework::PciDss)
        );
    }
    assert_eq!(grade(&part), whole);
    assert!(render_html(&part, false).contains("Controls: PCI DSS 4.0.1"));
}

#[test]
fn ids_are_unique_and_their_target_can_be_told() {
    let report = both();
    let mut ids: Vec<_> = report.all().iter().map(|(_, it)| it.id.clone()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert_eq!(id(Some("a/b"), "many_keys", None), "a%2Fb/many_keys");
    assert_eq!(
        id(None, "acceptance_expired", Some("x/y")),
        "/acceptance_expired/x/y"
    );
}

#[test]
fn without_names_a_report_has_none() {
    let mut report = both();
    report.remove_names();
    for output in [json(&report), render_html(&report, false)] {
        for name in ["Ada", "hanna", "alert(", "svc-*", "mfa-exporter\""] {
            assert!(!output.contains(name), "{name}: {output}");
        }
    }
}

#[test]
fn junit_skips_what_was_not_evaluated_and_passes_what_was_not_found() {
    let xml = render_junit(&both(), Severity::Warning, false);
    let case = |name: &str| {
        let from = xml
            .find(&format!("\"odoo-mfa-exporter.erp\" name=\"{name}\""))
            .expect(name);
        xml[from..].lines().next().expect("a line").to_owned()
    };
    assert!(case("admin_without_mfa").contains("<failure type=\"critical\""));
    assert!(case("trusted_devices").ends_with("/>"), "info passes");
    assert!(
        case("master_password").ends_with("/>"),
        "looked for in vain"
    );
    assert!(
        case("dormant_unprotected").contains("<skipped"),
        "not evaluated"
    );
    assert!(case("capability_missing/logins").contains("<error type=\"incomplete\""));
    assert!(xml.contains("<error type=\"unreachable\""));
    let strict = render_junit(&both(), Severity::Info, false);
    assert!(strict.contains("<failure type=\"info\""));
}
