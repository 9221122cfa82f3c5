//! The API for programs.

use std::path::PathBuf;
use std::process::Command;

use odoo_mfa_exporter::config::Web;
use odoo_mfa_exporter::config::web_file::{WebConfig, WebFile};
use odoo_mfa_exporter::exposition::Format;
use odoo_mfa_exporter::web::access::Access;
use odoo_mfa_exporter::web::api;
use odoo_simulator::{AccountKind, Recipe};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::exporter::{Server, Shown, client};
use crate::harness::process::Program;
use crate::harness::snapshots::{down, pending, up};
use crate::harness::staged::{Staged, lived_in};

/// `UPDATE_DOCS=1` rewrites it.
#[test]
fn the_document_in_the_documentation_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let mut wanted = serde_json::to_string_pretty(&api::document()).expect("JSON");
    wanted.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).expect("the page is writable");
    }
    let current = std::fs::read_to_string(path).expect("the page");
    assert!(
        current == wanted,
        "docs/openapi.json is not what src/web/api declares: UPDATE_DOCS=1 cargo test --locked"
    );
}

async fn get(server: &Server, path: &str) -> (StatusCode, Value) {
    let request = client()
        .get(server.url(path))
        .basic_auth("officer", Some("x"));
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.expect("JSON"))
}

/// The names of the targets that are listed.
async fn names(server: &Server, query: &str) -> Vec<String> {
    let (status, page) = get(server, &format!("/api/v1/targets{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let targets = page["targets"].as_array().expect("a list").iter();
    targets
        .map(|it| it["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn targets_are_listed_filtered_sorted_and_paged() {
    let shown = Shown::new([up("crm"), pending("new"), down("erp"), up("a&b=c")]);
    let server = Server::start(shown.routes().0).await;
    for (query, expected) in [
        ("", &["crm", "new", "erp", "a&b=c"][..]),
        ("?state=up", &["crm", "a&b=c"]),
        ("?state=down", &["erp"]),
        ("?state=pending", &["new"]),
        ("?q=r", &["crm", "erp"]),
        ("?q=%26b%3D", &["a&b=c"]),
        ("?label=team%3Dfinance&state=up", &["crm", "a&b=c"]),
        ("?label=team%3Dsales", &[]),
        ("?sort=name", &["a&b=c", "crm", "erp", "new"]),
        // Unknown values come first.
        ("?sort=coverage", &["new", "erp", "crm", "a&b=c"]),
        ("?per_page=3", &["crm", "new", "erp"]),
        ("?per_page=3&page=2", &["a&b=c"]),
        ("?per_page=3&page=4294967295", &[]),
    ] {
        assert_eq!(names(&server, query).await, expected, "{query}");
    }
    let (_, page) = get(&server, "/api/v1/targets?per_page=1&page=2").await;
    assert_eq!(
        (&page["total"], &page["page"], &page["per_page"]),
        (&json!(4), &json!(2), &json!(1))
    );

    let (_, target) = get(&server, "/api/v1/targets/a%26b%3Dc").await;
    let posture = up("x").posture.expect("numbers");
    assert_eq!(target["name"], "a&b=c");
    assert_eq!(target["labels"], json!({"team": "finance"}));
    assert_eq!(target["state"], "up");
    assert_eq!(target["posture"]["active"]["internal"], posture.active.0[0]);
    assert_eq!(target["posture"]["active"]["none"], posture.active.0[3]);
    let (_, target) = get(&server, "/api/v1/targets/erp").await;
    assert_eq!(
        (&target["state"], &target["reason"]),
        (&json!("down"), &json!("auth"))
    );
    assert_eq!(
        (&target["posture"], &target["coverage"]),
        (&Value::Null, &Value::Null)
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_says_why() {
    let server = Server::start(Shown::new([up("erp")]).routes().0).await;
    for (path, status, detail) in [
        ("targets?stat=up", 400, "unknown field `stat`"),
        ("targets?state=gone", 400, "not one of up, down, pending"),
        ("targets?state=up&state=down", 400, "given twice"),
        ("targets?page=0", 400, "a number from 1 to"),
        ("targets?page=-1", 400, "a number from 1 to"),
        ("targets?per_page=1001", 400, "a number from 1 to 1000"),
        ("targets?label=team", 400, "expected `NAME=VALUE`"),
        ("targets/erp?x=1", 400, "unknown field `x`"),
        ("targets/crm", 404, "unknown target 'crm'"),
        ("targets/%ff", 400, "Invalid UTF-8"),
        ("history", 400, "`target` is missing"),
        ("history?target=erp&target=crm", 400, "given twice"),
        ("changes?target=", 400, "`target` is empty: leave it out"),
        ("changes?target=crm", 404, "unknown target 'crm'"),
        (
            "changes?target=erp&kind=gone",
            400,
            "not one of mfa_enrolled",
        ),
        ("changes?target=erp&from=yesterday", 400, "from: "),
        ("changes?target=erp", 503, "without a store"),
        (
            "history?target=erp&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            503,
            "without a store",
        ),
        ("alerts?severity=page&x=1", 400, "unknown field `x`"),
        ("nothing", 404, "not found"),
    ] {
        let (seen, problem) = get(&server, &format!("/api/v1/{path}")).await;
        assert_eq!(seen, status, "{path}: {problem}");
        assert_eq!(problem["status"], status);
        let said = problem["detail"].as_str().expect("text");
        assert!(said.contains(detail), "{path}: {said}");
    }
    let response = client()
        .delete(server.url("/api/v1/targets"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    server.stop().await;
}

/// Lets in an officer, who may read names, with the password `x`.
fn officer() -> Access {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("web.yml");
    let hash = bcrypt::hash("x", 4).expect("a hash");
    std::fs::write(&path, format!("basic_auth_users: {{officer: {hash}}}")).expect("a file");
    let web: WebConfig = WebFile::load(&path, &odoo_mfa_exporter::config::ProcessEnv)
        .config
        .expect("it is right");
    let roles = Web {
        read_names: ["officer".to_owned()].into(),
        ..Web::default()
    };
    Access::new(&roles, web).expect("people who can sign in")
}

#[tokio::test]
async fn people_and_keys_are_those_whom_the_numbers_count() {
    let staged = Staged::new(lived_in(&Recipe::new(19, 5)), AccountKind::Full, "").await;
    let shown = Shown::with(staged.board.clone(), staged.directory.clone());
    let server = Server::start(shown.routes_for(officer(), None).0).await;
    let (status, people) = get(
        &server,
        "/api/v1/users?target=erp&state=unprotected&user_type=internal&per_page=3",
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{people}");
    let posture = &staged.posture;
    let unprotected = posture.eligible.0[0] - posture.protected.expect("known").0[0];
    assert_eq!(people["counted"], unprotected);
    assert_eq!(people["users"].as_array().expect("a list").len(), 3);
    assert!(people["users"][0]["login"].is_string());
    let (status, keys) = get(&server, "/api/v1/keys?target=erp&per_page=500").await;
    assert_eq!(status, StatusCode::OK, "{keys}");
    let counted = posture.keys.as_ref().expect("known");
    assert_eq!(
        keys["counted"],
        counted.unrestricted + counted.rpc + counted.other
    );
    for (path, status) in [
        ("users?target=crm", 404),
        ("users?target=erp&role=none", 404),
        ("users?target=erp&stat=active", 400),
        ("users?state=active&state=nonsense", 400),
        ("users?q=a&q=b", 400),
        ("keys?target=erp&sort=name", 400),
    ] {
        let (seen, problem) = get(&server, &format!("/api/v1/{path}")).await;
        assert_eq!(seen, status, "{path}: {problem}");
    }
    server.stop().await;
    drop(staged.server);
}

#[tokio::test]
async fn a_probe_has_one_targets_metrics_and_nothing_else() {
    let shown = Shown::new([up("erp"), down("crm"), up("a&b")]);
    let server = Server::start(shown.routes().0).await;
    let probe = async |query: &str| {
        let response = client().get(server.url(&format!("/probe{query}"))).send();
        let response = response.await.expect("an answer");
        (
            response.status().as_u16(),
            response.text().await.expect("text"),
        )
    };
    let whole = shown.text(Format::Classic).await;
    for (query, name) in [
        ("?target=erp", "erp"),
        ("?target=crm", "crm"),
        ("?target=a%26b", "a&b"),
    ] {
        let of_target = |line: &&str| line.contains(&format!("target=\"{name}\""));
        let expected: Vec<_> = whole.lines().filter(of_target).collect();
        let (status, text) = probe(query).await;
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!((status, samples), (200, expected), "{query}");
    }
    assert_eq!(
        crate::harness::prometheus::check_metrics(&probe("?target=erp").await.1),
        ""
    );
    assert_eq!(
        probe("").await,
        (400, "`target` is missing: /probe?target=NAME\n".into())
    );
    assert_eq!(
        probe("?target=x").await,
        (404, "unknown target 'x': /sd lists all targets\n".into())
    );
    server.stop().await;
}

/// A real schemathesis sends what the document allows and what it does not, to the demo.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_keeps_what_its_document_promises() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::start(directory.path(), &["demo"]).await;
    let password = program.log();
    let (_, password) = password.split_once("password ").expect("a sign-in");
    let password = password.split_whitespace().next().expect("a password");
    crate::harness::eventually("the demo is ready", async || {
        let ready = client()
            .get(format!("http://{}/-/ready", program.address))
            .send();
        ready.await.ok()?.status().is_success().then_some(())
    })
    .await;
    // A schema cannot express that `to` must be later than `from`.
    const RANGES: &str = "[[operations]]\ninclude-operation-id = [\"listChanges\", \"listHistory\"]\nchecks.positive_data_acceptance.enabled = false\n";
    // Any names, most of them unknown; then one that exists.
    for (name, parameters) in [
        ("any", ""),
        (
            "one",
            "[parameters]\ntarget = \"healthy19\"\nname = \"healthy19\"\n",
        ),
    ] {
        let config = directory.path().join(format!("{name}.toml"));
        std::fs::write(&config, format!("{parameters}{RANGES}")).expect("a file");
        let output = Command::new(schemathesis())
            .arg("--config-file")
            .arg(&config)
            .arg("run")
            .arg(format!("http://{}/api/v1/openapi.json", program.address))
            .args(["--auth", &format!("reader:{password}")])
            .args([
                "--seed",
                "1",
                "--max-examples",
                "20",
                "--phases",
                "coverage,fuzzing",
            ])
            .args(["--continue-on-failure", "--warnings", "off"])
            .env("NO_PROXY", "*")
            .current_dir(directory.path())
            .output()
            .expect("scripts/test-tools installs schemathesis");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
        assert!(said.contains("Tested: 7"), "{name}: {said}");
    }
}

fn schemathesis() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let environment = cache
        .unwrap_or_else(home)
        .join("odoo-mfa-exporter/test-env");
    environment.join("bin/schemathesis")
}
