//! Reports as an auditor and a CI job get them: compared with the last one, accepted, validated, archived.

use std::path::{Path, PathBuf};
use std::process::Output;

use odoo_simulator::World;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::program::Stage;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/junit");

async fn scan(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    stage.options(&mut command);
    let command = command.arg("scan").args(arguments);
    command.output().await.expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The report as JSON, written into a file.
async fn report(stage: &Stage, name: &str, arguments: &[&str]) -> (PathBuf, Value) {
    let path = stage.path(name);
    let path_text = path.to_str().expect("UTF-8");
    let options = ["--format", "json", "--output", path_text];
    let output = scan(stage, &[&options[..], arguments].concat()).await;
    assert!(output.stdout.is_empty(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    (path, serde_json::from_str(&written).expect("JSON"))
}

fn configure(stage: &Stage, databases: &[&str], more: Value) {
    let targets: Vec<Value> = databases.iter().map(|it| stage.target(it)).collect();
    let mut config = json!({
        "targets": targets,
        "defaults": {"exemptions": [{"login": "auditor", "reason": "service", "approved_by": "Jane Doe", "ticket": "SEC-7"}]},
        "report": {"organization": "Example & Sons"},
    });
    for (name, value) in more.as_object().expect("a mapping") {
        config[name] = value.clone();
    }
    stage.configure(&config);
}

fn change(stage: &Stage, database: &str, change: impl FnOnce(&mut World)) {
    let databases = stage.server.databases();
    let mut found = databases.iter().filter(|it| it.name == database);
    change(&mut found.next().expect("the database").world_mut());
}

/// The ids of findings, by how they compare.
fn ids(report: &Value, change: &str) -> Vec<String> {
    let targets = report["targets"].as_array().expect("a list").iter();
    targets
        .filter_map(|it| it["scan"]["findings"].as_array())
        .flatten()
        .chain(report["findings"].as_array().expect("a list"))
        .filter(|it| it["change"] == change && it["acceptance"]["expired"] != false)
        .map(|it| it["id"].as_str().expect("an id").to_owned())
        .collect()
}

fn gone(report: &Value, list: &str) -> Vec<String> {
    let list = report["baseline"][list].as_array().expect("a list").iter();
    list.map(|it| it["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn findings_appear_vanish_and_are_accepted_between_two_runs() {
    let stage = Stage::new(&["erp", "shop"]).await;
    configure(&stage, &["erp", "shop"], json!({}));
    change(&stage, "erp", |world| world.install("impersonate_login"));
    let (before, first) = report(&stage, "before.json", &[]).await;
    assert_eq!(first["format"], 1);
    assert!(first["baseline"].is_null());
    assert_eq!(first["organization"], "Example & Sons");

    change(&stage, "erp", |world| world.uninstall("impersonate_login"));
    change(&stage, "shop", |world| world.install("auth_admin_passkey"));
    let baseline = ["--baseline", before.to_str().expect("UTF-8")];
    let (_, second) = report(&stage, "after.json", &baseline).await;
    assert_eq!(
        ids(&second, "new"),
        ["shop/master_password/auth_admin_passkey"]
    );
    assert_eq!(
        gone(&second, "fixed"),
        ["erp/impersonation/impersonate_login"]
    );
    assert_eq!(gone(&second, "unknown"), Vec::<String>::new());
    assert!(!ids(&second, "unchanged").is_empty());

    let on_new = ["--fail-on", "new:critical"];
    let failing = scan(&stage, &[&baseline[..], &on_new].concat()).await;
    assert_eq!(failing.status.code(), Some(1), "{}", text(&failing.stderr));
    assert!(
        text(&failing.stdout).contains("NEW One password"),
        "{}",
        text(&failing.stdout)
    );

    let entry = json!({
        "finding": "master_password", "targets": ["sh*"], "reason": "until the migration", "approved_by": "Jane Doe",
        "ticket": "SEC-12", "expires": "2199-12-31",
    });
    configure(
        &stage,
        &["erp", "shop"],
        json!({"accept_findings": [entry]}),
    );
    let (_, third) = report(&stage, "accepted.json", &baseline).await;
    assert_eq!(ids(&third, "new"), Vec::<String>::new());
    let mut findings = third["targets"][1]["scan"]["findings"]
        .as_array()
        .expect("a list")
        .iter();
    let accepted = findings
        .find(|it| it["kind"] == "master_password")
        .expect("it is there");
    assert_eq!(accepted["acceptance"]["ticket"], "SEC-12");
    let passing = scan(&stage, &[&baseline[..], &on_new].concat()).await;
    assert_eq!(passing.status.code(), Some(0), "{}", text(&passing.stdout));

    change(&stage, "shop", |world| {
        world.uninstall("auth_admin_passkey")
    });
    let (_, stale) = report(&stage, "stale.json", &[]).await;
    assert_eq!(stale["findings"][0]["kind"], "acceptance_unmatched");
    let (_, part) = report(&stage, "part.json", &["erp"]).await;
    assert_eq!(part["findings"], json!([]), "another target may have it");

    let expired =
        json!({"finding": "enforcement_none", "reason": "for now", "expires": "2020-01-01"});
    configure(
        &stage,
        &["erp", "shop"],
        json!({"accept_findings": [expired]}),
    );
    let (_, expired) = report(&stage, "expired.json", &[]).await;
    assert_eq!(expired["findings"][0]["kind"], "acceptance_expired");
}

#[tokio::test]
async fn a_target_that_is_down_is_neither_fixed_nor_new() {
    let stage = Stage::new(&["erp", "shop"]).await;
    configure(&stage, &["erp", "shop"], json!({}));
    let (before, _) = report(&stage, "before.json", &[]).await;
    stage.server.drop_database("shop");
    let baseline = ["--baseline", before.to_str().expect("UTF-8")];
    let (_, after) = report(&stage, "after.json", &baseline).await;
    assert_eq!(gone(&after, "fixed"), Vec::<String>::new());
    let unknown = gone(&after, "unknown");
    assert!(
        !unknown.is_empty() && unknown.iter().all(|id| id.starts_with("shop/")),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let stage = Stage::new(&["erp"]).await;
    configure(&stage, &["erp"], json!({}));
    let (part, _) = report(&stage, "part.json", &["--severity", "critical"]).await;
    let part = part.to_str().expect("UTF-8");
    stage.write("else.json", "{}");
    let other = stage.path("else.json");
    for (arguments, said) in [
        (["--baseline", part].as_slice(), "leaves findings out"),
        (
            &["--baseline", other.to_str().expect("UTF-8")],
            "is not a JSON report",
        ),
        (&["--baseline", "/nowhere.json"], "cannot read the baseline"),
        (&["--fail-on", "new:warning"], "add --baseline"),
        (&["--fail-on", "loud"], "write info, warning or critical"),
        (
            &["--format", "junit", "--severity", "warning"],
            "use --fail-on",
        ),
        (&["--target-label", "team"], "such as team=finance"),
        (
            &["--target-label", "team=nobody"],
            "no target has these labels",
        ),
        (&["--archive", "x", "--output", "y"], "cannot be used with"),
    ] {
        let output = scan(&stage, arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(said),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
}

/// Errors that xmllint finds in a document.
async fn invalid(path: &Path, schema: &str) -> Option<String> {
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(Path::new(FIXTURES).join(schema))
        .arg(path)
        .output()
        .await
        .expect("xmllint; install it: apt-get install libxml2-utils");
    let said = text(&output.stderr).to_owned();
    (!output.status.success()).then_some(said)
}

#[tokio::test]
async fn junit_is_valid_by_both_schemas() {
    let stage = Stage::new(&["erp", "shop"]).await;
    let accepted = json!([{"finding": "trusted_devices", "reason": "<the> \"office\" & more"}]);
    configure(
        &stage,
        &["erp", "shop"],
        json!({"accept_findings": accepted}),
    );
    change(&stage, "erp", |world| {
        let id = world.people().next().map(|it| it.id()).expect("a user");
        world.rename(
            id,
            "a\u{1}\u{fffe}]]><x&\"'",
            "\u{1b}[31m\u{ffff}</failure>",
        );
        world.install("impersonate_login");
    });
    let mut dark = stage.target("erp");
    dark["name"] = json!("far.away \u{202e}<&");
    dark["url"] = json!("http://127.0.0.1:9");
    let mut targets: Vec<Value> = vec![dark];
    targets.extend(["erp", "shop"].map(|it| stage.target(it)));
    let path = stage.path("report.xml");
    let output = [
        "--format",
        "junit",
        "--output",
        path.to_str().expect("UTF-8"),
    ];
    configure(
        &stage,
        &[],
        json!({"targets": targets, "accept_findings": accepted}),
    );
    for more in [
        &[] as &[&str],
        &["--fail-on", "info"],
        &["--framework", "pci_dss"],
    ] {
        let ran = scan(&stage, &[&output[..], more].concat()).await;
        assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
        for schema in ["windyroad-JUnit.xsd", "junit-10.xsd"] {
            assert_eq!(invalid(&path, schema).await, None, "{schema} {more:?}");
        }
    }
    let xml = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, xml.replace("classname", "clazz")).expect("a file");
    assert!(
        invalid(&path, "windyroad-JUnit.xsd").await.is_some(),
        "the schema says no"
    );
}

#[tokio::test]
async fn an_archive_compares_each_report_with_the_last() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new(&["erp"]).await;
    configure(&stage, &["erp"], json!({}));
    let archive = stage.path("reports");
    let arguments = ["--archive", archive.to_str().expect("UTF-8"), "--summary"];
    let first = scan(&stage, &arguments).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let page = PathBuf::from(text(&first.stdout).trim());
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&archive), mode(&page)), (0o700, 0o600));
    let read = |name: &str| std::fs::read_to_string(archive.join(name)).expect("a file");
    assert!(read("latest.html").contains("Example &#38; Sons"));
    let today = page
        .file_stem()
        .expect("a name")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let whole: Value = serde_json::from_str(&read("latest.json")).expect("JSON");
    assert!(
        whole["baseline"].is_null(),
        "there is no report of another day"
    );

    // As if that had been written on an earlier day.
    let earlier = archive.join("odoo-mfa-2020-01-01.json");
    std::fs::rename(archive.join(format!("{today}.json")), &earlier).expect("a file");
    change(&stage, "erp", |world| world.install("auth_admin_passkey"));
    let second = scan(&stage, &arguments).await;
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    let whole: Value = serde_json::from_str(&read("latest.json")).expect("JSON");
    assert_eq!(
        ids(&whole, "new"),
        ["erp/master_password/auth_admin_passkey"]
    );
    assert!(read("latest.html").contains("Change since the previous report"));

    std::fs::write(&earlier, "{").expect("a file");
    let third = scan(&stage, &arguments).await;
    assert_eq!(third.status.code(), Some(0));
    assert!(text(&third.stderr).contains("the report says nothing about changes"));
}
