//! The daemon as it is run where it matters: with TLS, users, roles and secrets.

use odoo_simulator::{AccountKind, Kind, SimServer};
use serde_json::{Value, json};

use crate::access::ROUTES;
use crate::harness::eventually;
use crate::harness::odoo::Odoo;
use crate::harness::pki::Pki;
use crate::harness::process::{Program, run};
use crate::harness::prometheus::Prometheus;

/// Passwords that must show nowhere.
const OFFICER: &str = "c4na7y-pa55word";
const SCRAPER: &str = "5craper-pa55word";
const PROXY: &str = "pr0xy-pa55word";

/// A daemon with TLS and users, and a client that trusts it.
struct Stage {
    program: Program,
    directory: tempfile::TempDir,
    client: reqwest::Client,
    secrets: Vec<String>,
    server: SimServer,
}

impl Stage {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Odoo {
            server, account, ..
        } = Odoo::start(AccountKind::Full).await;
        let pki = Pki::new();
        let directory = pki.written();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("a file");
        };
        write("erp.key", &account.api_key);
        let wrong = "0123456789abcdef0123456789abcdef01234567";
        write("wrong.key", wrong);
        let target = |name: &str, key: &str, more: Value| {
            let mut target = json!({"name": name, "url": server.url(), "database": "prod", "login": "auditor", "api_key_file": key});
            target
                .as_object_mut()
                .expect("a mapping")
                .extend(more.as_object().expect("a mapping").clone());
            target
        };
        let config = json!({
            "defaults": {"interval": "1s", "timeout": "900ms"},
            "privacy": {"store_logins": true},
            "targets": [
                target("erp", "erp.key", json!({"labels": {"team": "finance"}})),
                target("refused", "wrong.key", json!({})),
                target("unreachable", "erp.key", json!({"proxy": format!("http://user:{PROXY}@127.0.0.1:1")})),
            ],
            "web": {"roles": {"scrape": ["scraper"], "read": ["officer", "scraper"], "read_names": ["officer"]}},
        });
        write("config.yml", &config.to_string());
        let hashes = [OFFICER, SCRAPER].map(|password| bcrypt::hash(password, 4).expect("a hash"));
        let [officer, scraper] = &hashes;
        let web = format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{officer: {officer}, scraper: {scraper}}}\n"
        );
        write("web.yml", &web);
        write("scraper.password", SCRAPER);
        write(
            "http.yml",
            "basic_auth: {username: scraper, password_file: scraper.password}\ntls_config: {ca_file: ca.crt}\n",
        );
        let program = Program::start(
            directory.path(),
            &[
                "--config.file",
                "config.yml",
                "--web.config.file",
                "web.yml",
            ],
        )
        .await;
        let ca = reqwest::Certificate::from_pem(pki.authority.as_bytes()).expect("a certificate");
        let key_line = pki.server.key.lines().nth(1).expect("a key").to_owned();
        Self {
            program,
            client: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([ca])
                .build()
                .expect("a client"),
            secrets: [
                vec![
                    account.api_key,
                    wrong.into(),
                    OFFICER.into(),
                    SCRAPER.into(),
                    PROXY.into(),
                    key_line,
                ],
                hashes.to_vec(),
            ]
            .concat(),
            directory,
            server,
        }
    }

    async fn get(&self, path: &str, user: &str, password: &str) -> reqwest::Response {
        let url = format!("https://{}{path}", self.program.address);
        let request = self.client.get(url).basic_auth(user, Some(password));
        request.send().await.expect("an answer")
    }

    async fn json(&self, path: &str, user: &str, password: &str) -> Value {
        self.get(path, user, password)
            .await
            .json()
            .await
            .expect("JSON")
    }

    fn assert_hidden(&self, text: &str, place: &str) {
        for secret in &self.secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{secret} shows in {place}: {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_history_are_shown_and_logins_only_with_read_names() {
    let stage = Stage::new().await;
    eventually("the first poll is in the history", async || {
        let page = stage
            .json("/api/v1/history?target=erp", "officer", OFFICER)
            .await;
        (page["total"].as_u64()? > 0).then_some(())
    })
    .await;
    {
        let database = stage.server.databases()[0].clone();
        let mut world = database.world_mut();
        let somebody = world.hire(Kind::Internal);
        world.rename(somebody, "new-login", "New Name");
    }
    let change = eventually("a user joined", async || {
        let page = stage
            .json("/api/v1/changes?target=erp&kind=joined", "officer", OFFICER)
            .await;
        page["changes"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&change["login"], &change["kind"]),
        (&json!("new-login"), &json!("joined"))
    );
    let page = stage
        .json("/api/v1/changes?target=erp", "scraper", SCRAPER)
        .await;
    assert_eq!(page["changes"][0]["person"], change["person"]);
    assert_eq!(page["changes"][0]["login"], Value::Null);
    let none = stage
        .json("/api/v1/changes?target=erp&kind=left", "officer", OFFICER)
        .await;
    assert_eq!(none, json!({"changes": [], "next": null}));

    // Any user that a change is about, not only the newest ones.
    let oldest = {
        let database = stage.server.databases()[0].clone();
        let mut world = database.world_mut();
        let without = world
            .people()
            .filter(|it| it.active() && !it.totp() && it.passkeys() == 0);
        let without: Vec<u32> = without.map(|it| it.id()).take(2).collect();
        world.enroll(without[0]);
        world.grant(without[1], "base.group_system");
        without[0]
    };
    let logged = eventually("they enrolled", async || {
        let page = stage
            .json("/api/v1/changes?target=erp", "officer", OFFICER)
            .await;
        let all = page["changes"].as_array()?.clone();
        let enrolled = |it: &Value| it["kind"] == "mfa_enrolled" && it["person"] == oldest;
        all.iter().any(enrolled).then_some(all)
    })
    .await;
    for change in &logged {
        assert!(
            change["login"].is_string() || change["kind"] == "break",
            "{change}"
        );
    }

    // A user leaves and comes back: several changes, one at a time.
    let person = u32::try_from(change["person"].as_u64().expect("an id")).expect("an id");
    for (active, kind) in [(false, "archived"), (true, "joined")] {
        stage.server.databases()[0]
            .world_mut()
            .set_active(person, active);
        eventually(kind, async || {
            let page = stage
                .json("/api/v1/changes?target=erp", "officer", OFFICER)
                .await;
            (page["changes"][0]["kind"] == kind).then_some(())
        })
        .await;
    }
    let whole = stage
        .json("/api/v1/changes?target=erp", "officer", OFFICER)
        .await;
    let mut paged = Vec::new();
    let mut before = String::new();
    loop {
        let page = stage
            .json(
                &format!("/api/v1/changes?target=erp&limit=1{before}"),
                "officer",
                OFFICER,
            )
            .await;
        paged.extend(page["changes"].as_array().expect("a list").clone());
        match page["next"].as_str() {
            Some(next) => before = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(Value::from(paged), whole["changes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_in_a_page_a_reply_a_log_a_metric_or_an_error() {
    let stage = Stage::new().await;
    eventually("all have been polled", async || {
        let ready = stage.get("/-/ready", "", "").await;
        ready.status().is_success().then_some(())
    })
    .await;
    let broken = [
        "/metrics/",
        "/api/v1/targets?page=x",
        "/api/v1/targets/refused",
        "/probe?target=unreachable",
    ];
    let paths = ROUTES.iter().map(|(path, _)| *path).chain(broken);
    for path in paths {
        for (user, password) in [
            ("officer", OFFICER),
            ("scraper", SCRAPER),
            ("officer", SCRAPER),
            (OFFICER, OFFICER),
        ] {
            let response = stage.get(path, user, password).await;
            let said = format!("{:?}", response.headers());
            stage.assert_hidden(&said, path);
            stage.assert_hidden(&response.text().await.expect("text"), path);
        }
    }
    // On a busy machine a poll may take too long, and its names are gone until the next one.
    eventually("names are shown", async || {
        let path = "/api/v1/users?target=erp&state=active";
        let names = stage.get(path, "officer", OFFICER).await;
        (names.status() == 200).then_some(())
    })
    .await;
    let refused = stage
        .get("/metrics", "scraper", SCRAPER)
        .await
        .text()
        .await
        .expect("text");
    for (target, reason) in [("refused", "auth"), ("unreachable", "connect")] {
        let failing = format!("odoo_poll_failing{{target=\"{target}\",reason=\"{reason}\"}} 1");
        assert!(refused.contains(&failing), "{refused}");
    }
    let all = [
        "--config.file",
        "config.yml",
        "--web.config.file",
        "web.yml",
    ];
    let address = format!("https://{}", stage.program.address);
    let commands: [&[&str]; 4] = [
        &["check"],
        &["check", "--connect"],
        &["scan"],
        &[
            "alerts",
            "--url",
            &address,
            "--http.config.file",
            "http.yml",
        ],
    ];
    for command in commands {
        let output = run(stage.directory.path(), &[&all, command].concat());
        let said = [output.stdout, output.stderr].concat();
        stage.assert_hidden(&String::from_utf8_lossy(&said), &format!("{command:?}"));
    }
    // An error in the file is reported without it.
    let broken = format!(
        "basic_auth_users: {{officer: {OFFICER}}}\ntls_server_config: {{key: {OFFICER}, cert_file: {OFFICER}}}\n"
    );
    std::fs::write(stage.directory.path().join("web.yml"), broken).expect("a file");
    eventually("the change is refused", async || {
        stage
            .program
            .log()
            .contains("web configuration refused")
            .then_some(())
    })
    .await;
    let output = run(stage.directory.path(), &[&all[..], &["check"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let said = [output.stdout, output.stderr].concat();
    stage.assert_hidden(&String::from_utf8_lossy(&said), "check");
    stage.assert_hidden(&stage.program.log(), "the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_alerts_is_asked_for_with_a_password() {
    let stage = Stage::new().await;
    let url = format!("https://{}", stage.program.address);
    let list = |more: &[&str]| {
        let output = run(
            stage.directory.path(),
            &[&["alerts", "--url", &url], more].concat(),
        );
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    eventually("the watchdog fires", async || {
        let (code, said) = list(&["--http.config.file", "http.yml"]);
        assert_eq!(code, Some(0), "{said}");
        said.contains("OdooMfaWatchdog").then_some(())
    })
    .await;
    let (code, said) = list(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("set the trusted authority"), "{said}");
    std::fs::write(
        stage.directory.path().join("ca.yml"),
        "tls_config: {ca_file: ca.crt}",
    )
    .expect("a file");
    let (code, said) = list(&["--http.config.file", "ca.yml"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("pass credentials with --http.config.file"),
        "{said}"
    );
    let (code, said) = list(&["--http.config.file", "missing.yml"]);
    assert_eq!(code, Some(2), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_signs_in_and_finds_the_targets() {
    let stage = Stage::new().await;
    let path = |name: &str| stage.directory.path().join(name).display().to_string();
    let address = &stage.program.address;
    let credentials = format!(
        "basic_auth: {{username: scraper, password_file: {}}}, tls_config: {{ca_file: {}}}",
        path("scraper.password"),
        path("ca.crt")
    );
    let config = format!(
        "global: {{scrape_interval: 4s, scrape_timeout: 4s}}\nscrape_configs:\n\
         - {{job_name: whole, scheme: https, honor_labels: true, {credentials}, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: each, {credentials}, http_sd_configs: [{{url: 'https://{address}/sd', refresh_interval: 1s, {credentials}}}],\n\
            relabel_configs: [{{source_labels: [__meta_odoo_mfa_exporter_label_team], target_label: owner}}]}}\n"
    );
    let prometheus = Prometheus::start_with(&[("prometheus.yml", config)]).await;
    let series = async |query: &str| {
        let found = prometheus.query(query).await;
        let text = |it: &Value, label: &str| it["metric"][label].as_str().unwrap_or("").to_owned();
        let one = |it: &Value| {
            (
                text(it, "instance"),
                text(it, "target"),
                text(it, "owner"),
                it["value"][1].as_str().expect("a number").to_owned(),
            )
        };
        let mut all: Vec<_> = found.iter().map(one).collect();
        all.sort();
        all
    };
    let row = |instance: &str, target: &str, owner: &str, value: &str| {
        (
            instance.to_owned(),
            target.to_owned(),
            owner.to_owned(),
            value.to_owned(),
        )
    };
    eventually("each target is scraped by itself", async || {
        (series("odoo_up{job='each'}").await.len() == 3).then_some(())
    })
    .await;
    assert_eq!(
        series("up{job='each'}").await,
        [
            row("erp", "", "finance", "1"),
            row("refused", "", "", "1"),
            row("unreachable", "", "", "1")
        ]
    );
    assert_eq!(
        series("odoo_up{job='each'}").await,
        [
            row("erp", "erp", "finance", "1"),
            row("refused", "refused", "", "0"),
            row("unreachable", "unreachable", "", "0")
        ]
    );
    eventually("all are scraped at once", async || {
        (series("up{job='whole'}").await == [row(address, "", "", "1")]).then_some(())
    })
    .await;
    assert_eq!(
        series("odoo_up{job='whole'} == 1").await,
        [row(address, "erp", "", "1")]
    );
}
