//! The commands as a user runs them: what they print, and with which code they leave.

use std::path::{Path, PathBuf};
use std::process::Output;

use odoo_simulator::{AccountKind, SimServer};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::odoo::Odoo;

/// A configuration and a key file in a directory of their own, and the server that they lead to.
struct Stage {
    server: SimServer,
    directory: tempfile::TempDir,
    key: String,
}

impl Stage {
    async fn new(kind: AccountKind) -> Self {
        let Odoo {
            server, account, ..
        } = Odoo::start(kind).await;
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("erp.key");
        std::fs::write(&key, format!("{}\n", account.api_key)).expect("a file");
        let stage = Self {
            server,
            directory,
            key: account.api_key,
        };
        let url = stage.server.url();
        let target = json!({"name": "erp", "url": url, "database": "prod", "login": "auditor", "api_key_file": "erp.key"});
        stage.configure(&json!({"targets": [target]}).to_string());
        stage
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.path("config.yml"), text).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"))
            .arg("--config.file")
            .arg(self.path("config.yml"))
            .args(arguments)
            .output()
            .await
            .expect("the program starts");
        for stream in [&output.stdout, &output.stderr] {
            assert!(
                !text(stream).contains(&self.key),
                "the key shows in {}",
                text(stream)
            );
        }
        output
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn check_says_what_the_account_may_see_and_what_to_grant() {
    let stage = Stage::new(AccountKind::Full).await;
    let output = stage.run(&["check", "--connect"]).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(printed.contains("erp     ok     19.0  json2"), "{printed}");
    assert!(
        printed.contains("exemptions: [{login: \"auditor\", reason: service}]"),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "no colors in a pipe");
    stage.server.databases()[0]
        .world_mut()
        .install("mfa_auditor_use");
    let output = stage.run(&["check", "--connect"]).await;
    let printed = text(&output.stdout);
    let answers = "erp: the Odoo module mfa_auditor_use answers each poll in one request";
    assert!(printed.contains(answers), "{printed}");

    let stage = Stage::new(AccountKind::Plain).await;
    let output = stage.run(&["check", "--connect"]).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("erp: no api_keys"), "{printed}");
    assert!(
        printed.contains("next: grant a group with read access"),
        "{printed}"
    );

    let would = "erp: the optional Odoo modules (docs/odoo-addons.md) would add: ";
    assert!(printed.contains(would), "{printed}");
    let adds = printed.split(would).nth(1).and_then(|it| it.lines().next());
    assert_eq!(
        adds,
        Some(
            "api_keys, trusted_devices, the last use of API keys and of password-only logins over RPC, polls in one request"
        )
    );
    stage.server.databases()[0]
        .world_mut()
        .install("mfa_auditor");
    let output = stage.run(&["check", "--connect"]).await;
    let printed = text(&output.stdout);
    let would =
        "erp: adding the account to the group 'MFA auditor' (module mfa_auditor_use) would add: ";
    assert!(printed.contains(would), "{printed}");

    let stage = Stage::new(AccountKind::OneCompany).await;
    let output = stage.run(&["check", "--connect"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stdout).contains("add all companies"),
        "{}",
        text(&output.stdout)
    );
}

#[tokio::test]
async fn a_wrong_configuration_says_everything_at_once_and_leaves_with_2() {
    let stage = Stage::new(AccountKind::Full).await;
    stage.configure("targets:\n- {name: a, url: 'http://odoo.example.com', databse: x, api_key_file: none.key}\n- {name: a, url: ftp://x}\n");
    let output = stage.run(&["check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for part in [
        "config.yml:2:",
        "config.yml:3:",
        "databse",
        "`api_key_file` cannot be read",
        "hint:",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(said.matches("error:").count() >= 5, "{said}");
}

#[tokio::test]
async fn scan_reports_as_text_json_and_a_page() {
    let stage = Stage::new(AccountKind::Full).await;
    let output = stage.run(&["scan", "--verbose"]).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for part in [
        "Coverage",
        "Privileged and unprotected",
        "Summary",
        "Most urgent",
    ] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
    assert!(!printed.contains('\u{1b}'), "no colors in a pipe");

    let output = stage
        .run(&["scan", "--format", "json", "--fail-on", "warning"])
        .await;
    assert_eq!(output.status.code(), Some(1), "there are warnings");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["targets"][0]["target"], "erp");

    let output = stage.run(&["scan", "unknown"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unknown target 'unknown'; configured targets: erp"));

    let page = stage.path("report.html");
    let output = stage
        .run(&[
            "scan",
            "--format",
            "html",
            "--output",
            page.to_str().expect("UTF-8"),
        ])
        .await;
    assert_eq!(output.status.code(), Some(0));
    let shown = open(&page, stage.directory.path()).await;
    for part in ["<svg", "erp", "Coverage"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains("<script"), "it needs no script");
}

/// Every command that prints, and one that says what is wrong.
const PRINTING: [&[&str]; 11] = [
    &["rules"],
    &["config", "init"],
    &["schema"],
    &["completions", "bash"],
    &["alerts", "rules"],
    &["check"],
    &["check", "--connect"],
    &["scan"],
    &["scan", "--format", "json"],
    &["--help"],
    &["--version"],
];

#[tokio::test]
async fn a_full_disk_fails_with_a_message_and_a_closed_pipe_quietly() {
    let stage = Stage::new(AccountKind::Full).await;
    let shell = async |script: &str, arguments: &[&str]| {
        let output = Command::new("bash")
            .args([
                "-c",
                script,
                "bash",
                env!("CARGO_BIN_EXE_odoo-mfa-exporter"),
                "--config.file",
            ])
            .arg(stage.path("config.yml"))
            .args(arguments)
            .output()
            .await;
        output.expect("a shell")
    };
    for arguments in PRINTING {
        let output = shell("exec \"$@\" > /dev/full", arguments).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("error: cannot write to standard output: No space left on device"),
            "{arguments:?}: {said}"
        );
        // The reader has gone before anything is written.
        let output = shell("\"$@\" | true; exit ${PIPESTATUS[0]}", arguments).await;
        let said = text(&output.stderr);
        let code = output.status.code();
        assert!(
            !said.contains("error") && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
        assert!(
            code == Some(141) || code == Some(0),
            "{arguments:?}: {code:?}"
        );
        let output = shell("exec \"$@\" >&-", arguments).await;
        assert!(!text(&output.stderr).contains("panicked"), "{arguments:?}");
    }
    for arguments in [
        &["scan", "missing"][..],
        &["history", "missing"],
        &["--nothing"],
    ] {
        for standard_error in ["2> /dev/full", "2>&-"] {
            let output = shell(&format!("exec \"$@\" {standard_error}"), arguments).await;
            let code = output.status.code();
            assert!(
                code == Some(1) || code == Some(2),
                "{arguments:?}: {code:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_empty_variable_is_none_and_a_wrong_one_is_named() {
    let stage = Stage::new(AccountKind::Full).await;
    let run = async |variable: &str, value: &str, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"))
            .arg("--config.file")
            .arg(stage.path("config.yml"))
            .args(arguments)
            .env(variable, value)
            .output()
            .await
            .expect("the program starts");
        (output.status.code(), text(&output.stderr).to_owned())
    };
    for (variable, wrong) in [
        ("ODOO_MFA_EXPORTER_LOG_LEVEL", "loud"),
        ("ODOO_MFA_EXPORTER_LOG_FORMAT", "xml"),
        ("ODOO_MFA_EXPORTER_SHARD", "first"),
        ("ODOO_MFA_EXPORTER_TOTAL_SHARDS", "0"),
        ("ODOO_MFA_EXPORTER_WEB_LISTEN_ADDRESS", "here"),
        ("ODOO_MFA_EXPORTER_WEB_TELEMETRY_PATH", "metrics"),
        ("ODOO_MFA_EXPORTER_CONFIG_AUTO_RELOAD", "often"),
    ] {
        let (code, said) = run(variable, "", &["check"]).await;
        assert_eq!(code, Some(0), "{variable}: {said}");
        let (code, said) = run(variable, wrong, &["check"]).await;
        assert_eq!(code, Some(2), "{variable}: {said}");
        assert!(said.contains(variable), "{said}");
    }
    let (code, said) = run("ODOO_MFA_EXPORTER_SHARD", "0", &["--shard", "x", "check"]).await;
    assert_eq!(code, Some(2));
    assert!(!said.contains("environment variable"), "{said}");
}

#[tokio::test]
async fn a_report_is_its_owners_and_one_that_is_there_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new(AccountKind::Full).await;
    let path = stage.path("report.html");
    let arguments = [
        "scan",
        "--format",
        "html",
        "-o",
        path.to_str().expect("UTF-8"),
    ];
    let mode = || path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(stage.run(&arguments).await.status.code(), Some(0));
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640))
        .expect("a file of ours");
    std::fs::write(&path, "an older one").expect("a file");
    assert_eq!(stage.run(&arguments).await.status.code(), Some(0));
    assert_eq!(mode(), 0o640);
    assert!(
        std::fs::read_to_string(&path)
            .expect("a file")
            .contains("<svg")
    );
    let left: Vec<_> = std::fs::read_dir(stage.directory.path())
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let output = stage.run(&["scan", "-o", "/dev/full"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write /dev/full"));
}

/// Opens a page in Chromium and gives what it made of it.
async fn open(page: &Path, profile: &Path) -> String {
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!(
            "--user-data-dir={}",
            profile.join("chromium").display()
        ))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .await
        .unwrap_or_else(|error| panic!("chromium: {error}; install it: apt-get install chromium"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(!said.contains("CONSOLE"), "the page complains: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
