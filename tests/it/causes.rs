//! Errors of a server that cannot be reached: the true cause, with host and port, and the next step.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::surface::check_all;
use odoo_mfa_exporter::odoo::{self, Clients, Error, Transport};
use odoo_mfa_exporter::poll;
use odoo_simulator::{AccountKind, Clock, Recipe, ServerOptions, SimServer, World};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::harness::eventually;
use crate::harness::pki::Identity;
use crate::harness::program::{Running, Stage, get};
use crate::harness::scripted::{Answer, Pace, Request, Scripted, odoo_19};
use crate::harness::target;
use crate::harness::tunnel::Tunnel;

/// Polls a URL once, and gives why that failed. `more`: settings of the target.
async fn failure(url: &str, more: &str) -> Error {
    odoo_mfa_exporter::runtime::install_crypto();
    let (target, roles) = target::from_yaml(&format!(
        "{{name: it, url: '{url}', database: prod, login: auditor, api_key: {}, api: json2, timeout: 20s{more}}}",
        target::CANARY
    ));
    let transport = Transport::new(&Clients::default(), Arc::clone(&target)).expect("a transport");
    let now = "2026-11-24T05:00:00Z".parse().expect("a time");
    let mut session = None;
    let once = poll::once(&transport, &mut session, &target, &roles, Parts::ALL, now);
    once.await.expect_err("no Odoo answers")
}

/// Asserts the reason, and that the message holds each of these texts.
fn says(error: &Error, reason: &str, texts: &[&str]) {
    assert_eq!(error.reason().as_str(), reason, "{error}");
    for text in texts {
        assert!(error.message.contains(text), "'{text}' in: {error}");
    }
    assert!(error.hint.is_some(), "no hint: {error}");
}

/// A certificate that signed itself, as `openssl req -x509` makes it.
fn signed_itself(names: &[&str], last_year: i32) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().expect("a key");
    Identity {
        certificate: params.self_signed(&key).expect("a certificate").pem(),
        key: key.serialize_pem(),
    }
}

/// `openssl s_server`, which answers any request with an empty page.
struct Openssl {
    port: u16,
    directory: tempfile::TempDir,
    _process: Child,
}

impl Openssl {
    async fn start(identity: &Identity, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("server.crt"), &identity.certificate).expect("a file");
        std::fs::write(path("server.key"), &identity.key).expect("a file");
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "0.0.0.0:0", "-cert"])
            .arg(path("server.crt"))
            .arg("-key")
            .arg(path("server.key"))
            .arg("-cert2")
            .arg(path("server.crt"))
            .arg("-key2")
            .arg(path("server.key"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("openssl");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("a pipe").expect("a port");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse().ok());
            }
        };
        let mut answers = process.stdin.take().expect("a pipe");
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("POST ") || line.starts_with("GET ") {
                    let page = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    answers.write_all(page).await.expect("a pipe");
                }
            }
        });
        Self {
            port: port.expect("a port"),
            directory,
            _process: process,
        }
    }

    async fn failure(&self, host: &str, more: &str) -> Error {
        let certificate = self.directory.path().join("server.crt");
        let more = more.replace("CERT", certificate.to_str().expect("UTF-8"));
        failure(&format!("https://{host}:{}", self.port), &more).await
    }
}

#[tokio::test]
async fn each_failure_of_tls_has_its_own_message() {
    let good = signed_itself(&["localhost", "127.0.0.1"], 2090);
    let server = Openssl::start(&good, &[]).await;
    let place = format!("localhost:{}", server.port);
    says(
        &server.failure("localhost", "").await,
        "tls",
        &["is not trusted", &place],
    );
    // Exactly this certificate is trusted: TLS succeeds, and something that is no Odoo answers.
    let trusted = server.failure("localhost", ", tls: {ca_file: CERT}").await;
    says(&trusted, "http_status", &["answers 200"]);
    let pinned = ", tls: {ca_file: CERT, system_roots: false}";
    says(
        &server.failure("localhost", pinned).await,
        "http_status",
        &[],
    );

    let expired = Openssl::start(&signed_itself(&["localhost"], 2021), &[]).await;
    let error = expired.failure("localhost", ", tls: {ca_file: CERT}").await;
    says(&error, "tls", &["expired on 2021-01-01"]);

    let old = Openssl::start(&good, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]).await;
    let error = old.failure("localhost", ", tls: {ca_file: CERT}").await;
    says(&error, "tls", &["no TLS version and cipher in common"]);

    let mutual = Openssl::start(&good, &["-Verify", "1", "-verify_return_error"]).await;
    let error = mutual.failure("localhost", ", tls: {ca_file: CERT}").await;
    says(&error, "tls", &["client certificate"]);

    let plain = Scripted::start(odoo_19).await;
    let url = plain.url().replace("http://", "https://");
    says(&failure(&url, "").await, "tls", &["does not use TLS"]);
    let url = format!("http://127.0.0.1:{}", server.port);
    let error = failure(&url, "").await;
    says(&error, "connect", &["closed the connection"]);
    assert!(error.hint.is_some_and(|hint| hint.contains("https://")));
}

/// The name is of the certificate's chain: an authority signed it.
#[tokio::test]
async fn a_certificate_of_another_name_says_both() {
    let pki = crate::harness::pki::Pki::new();
    let options = ["-servername", "localhost", "-servername_fatal"];
    let server = Openssl::start(&pki.server, &options).await;
    std::fs::write(server.directory.path().join("ca.crt"), &pki.authority).expect("a file");
    let ca = server.directory.path().join("ca.crt");
    let tls = |more: &str| format!(", tls: {{ca_file: {}{more}}}", ca.display());
    let error = server.failure("127.0.0.2", &tls("")).await;
    says(&error, "tls", &["is for localhost", "not 127.0.0.2"]);
    // The server knows it by its SNI.
    let named = tls(", server_name: localhost");
    says(
        &server.failure("127.0.0.2", &named).await,
        "http_status",
        &["answers 200"],
    );
}

/// The server refuses a handshake that asks for another name.
#[tokio::test]
async fn a_check_from_outside_asks_for_the_same_name() {
    odoo_mfa_exporter::runtime::install_crypto();
    let pki = crate::harness::pki::Pki::new();
    let name = "prometheus.example.com";
    let server = Openssl::start(&pki.client, &["-servername", name, "-servername_fatal"]).await;
    let (target, _) = target::from_yaml(&format!(
        "{{name: erp, url: 'https://localhost:{}', database: prod, login: poller, api_key: secret, timeout: 2s, tls: {{ca_file: {}, server_name: {name}}}, surface: {{vantages: [{{name: outside, expect_blocked: []}}]}}}}",
        server.port,
        server.directory.path().join("server.crt").display(),
    ));
    let checked = check_all(&Clients::default(), &target, Timestamp::UNIX_EPOCH).await;
    // s_server answers one connection at a time.
    let why = &checked[0].endpoints[0].1.why;
    assert!(why.contains("answers 200"), "{why}");
}

/// The same for a receiver of alerts.
#[tokio::test]
async fn a_receiver_is_asked_for_the_name_that_is_set() {
    let pki = crate::harness::pki::Pki::new();
    let name = "prometheus.example.com";
    let server = Openssl::start(&pki.client, &["-servername", name, "-servername_fatal"]).await;
    let ca = server.directory.path().join("server.crt");
    let url = format!("https://localhost:{}/hook", server.port);
    let hook = json!({"name": "desk", "url": url, "tls": {"ca_file": ca, "server_name": name}});
    let target = json!({"name": "it", "url": "https://erp.example.com", "database": "prod", "login": "auditor", "api_key": target::CANARY});
    let config = server.directory.path().join("config.yml");
    let settings = json!({"targets": [target], "alerting": {"webhooks": [hook]}});
    std::fs::write(&config, settings.to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    let test = command
        .arg("--config.file")
        .arg(config)
        .args(["alerts", "test"])
        .output();
    let output = test.await.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("taken"), "{output:?}");
}

/// The same through each kind of proxy, one of them over TLS itself. The server refuses a handshake that asks for another name.
#[tokio::test]
async fn a_proxied_server_is_asked_for_the_name_that_is_set() {
    odoo_mfa_exporter::runtime::install_crypto();
    let pki = crate::harness::pki::Pki::new();
    let name = "prometheus.example.com";
    let server = Openssl::start(&pki.client, &["-servername", name, "-servername_fatal"]).await;
    let trusted = server.directory.path().join("trusted.crt");
    let both = format!("{}{}", pki.authority, pki.client.certificate);
    std::fs::write(&trusted, both).expect("a file");
    let to = format!("localhost:{}", server.port);
    let basic = "Basic dXNlcjpwQHNz";
    for (scheme, identity, asked) in [
        ("http", None, format!("CONNECT {basic} {to}")),
        ("https", Some(&pki.server), format!("CONNECT {basic} {to}")),
        (
            "socks5",
            None,
            format!("SOCKS5 user:p@ss 127.0.0.1:{}", server.port),
        ),
        ("socks5h", None, format!("SOCKS5 user:p@ss {to}")),
    ] {
        let proxy = Tunnel::start(identity).await;
        let settings = |more: &str| {
            let (ca, port) = (trusted.display(), proxy.address.port());
            format!(
                ", tls: {{ca_file: {ca}{more}}}, proxy: '{scheme}://user:p%40ss@localhost:{port}'"
            )
        };
        let named = settings(&format!(", server_name: {name}"));
        let error = server.failure("localhost", &named).await;
        says(&error, "http_status", &["answers 200"]);
        assert!(
            proxy.asked().contains(&asked),
            "{scheme}: {:?}",
            proxy.asked()
        );
        // Without the name, it is asked for the host in `url`.
        let error = server.failure("localhost", &settings("")).await;
        assert_ne!(error.reason().as_str(), "http_status", "{scheme}: {error}");
    }
}

/// A plain server's requests go to the proxy itself.
#[tokio::test]
async fn a_proxy_forwards_requests_to_plain_servers() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let proxy = Scripted::start(move |request| {
        seen.lock().expect("no panic").push(request.head.clone());
        Answer::new(502, "", "")
    })
    .await;
    let more = format!(", proxy: 'http://user:p%40ss@{}'", proxy.address);
    let error = failure("http://127.0.0.2:81", &more).await;
    says(&error, "maintenance", &["502"]);
    let head = heads.lock().expect("no panic")[0].to_ascii_lowercase();
    for text in [
        "post http://127.0.0.2:81/web/webclient/version_info http/1.1",
        "host: 127.0.0.2:81",
        "proxy-authorization: basic dxnlcjpwqhnz",
    ] {
        assert!(
            head.lines().any(|line| line == text),
            "{text} is not in {head}"
        );
    }
}

/// `check` with these TLS settings, with files of these names in the directory: its exit code and what it prints.
async fn checked(tls: serde_json::Value, files: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let target = json!({"name": "it", "url": "https://erp.example.com", "database": "prod", "login": "auditor", "api_key": target::CANARY, "tls": tls});
    let config = directory.path().join("config.yml");
    std::fs::write(&config, json!({"targets": [target]}).to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    let output = command
        .arg("--config.file")
        .arg(config)
        .arg("check")
        .output();
    let output = output.await.expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn certificates_that_cannot_work_are_refused_by_check() {
    let (one, other) = (
        signed_itself(&["a.test"], 2090),
        signed_itself(&["b.test"], 2090),
    );
    let pair = json!({"cert_file": "one.crt", "key_file": "it.key"});
    let files = |key| [("one.crt", one.certificate.as_str()), ("it.key", key)];
    let (code, said) = checked(pair.clone(), &files(&one.key)).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = checked(pair, &files(&other.key)).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not match `cert_file`"), "{said}");

    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = format!("{}{broken}", one.certificate);
    let (code, said) = checked(json!({"ca_file": "ca.crt"}), &[("ca.crt", &bundle)]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("number 2 of") && said.contains("ca.crt"),
        "{said}"
    );
}

/// No certification authority on this system: what needs none works.
#[tokio::test]
async fn without_any_authority_plain_http_works() {
    let stage = Stage::new(&["prod"]).await;
    stage.configure(&json!({"targets": [stage.target("prod")]}));
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    stage.options(&mut command);
    command.args(["check", "--connect"]);
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent");
    let output = command.output().await.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.lines()
            .any(|line| line.split_whitespace().take(2).eq(["prod", "ok"])),
        "{said}"
    );
}

#[tokio::test]
async fn a_host_that_is_not_reached_says_at_which_step() {
    says(
        &failure("https://nothing.invalid", "").await,
        "connect",
        &["cannot look up nothing.invalid"],
    );
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = free.local_addr().expect("an address").to_string();
    drop(free);
    says(
        &failure(&format!("http://{place}"), "").await,
        "connect",
        &["cannot connect to", &place, "connection refused"],
    );
    for (status, text) in [
        (403, "refuses to connect to erp.internal:443"),
        (407, "requires credentials"),
    ] {
        let proxy = Scripted::start(move |_| Answer::new(status, "", "")).await;
        let more = format!(", proxy: '{}'", proxy.url());
        let error = failure("https://erp.internal", &more).await;
        says(&error, "connect", &[text, &proxy.address.to_string()]);
    }
}

/// Interim responses without an end: the server is not believed to have an answer.
#[tokio::test]
async fn a_server_that_never_comes_to_its_answer_says_so() {
    let interim = Pace::Endless("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    let server = Scripted::start(move |_| Answer::json("").paced(interim)).await;
    let error = failure(&server.url(), "").await;
    let place = server.address.to_string();
    says(
        &error,
        "too_large",
        &[&place, "too many interim responses (1xx)"],
    );
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let html = "content-type: text/html\r\n";
    for (status, headers, body, reason, texts) in [
        (
            504,
            html,
            "",
            "maintenance",
            vec!["/web/webclient/version_info", "504"],
        ),
        (520, html, "", "maintenance", vec!["520"]),
        (524, html, "", "maintenance", vec!["524"]),
        (
            302,
            "location: https://sso.example.com/login\r\n",
            "",
            "http_status",
            vec!["https://sso.example.com/login"],
        ),
        (
            400,
            html,
            "The plain HTTP request was sent to HTTPS port",
            "tls",
            vec!["uses TLS"],
        ),
        (
            400,
            html,
            "No required SSL certificate was sent",
            "tls",
            vec!["client certificate"],
        ),
        (
            401,
            "content-type: application/json\r\n",
            r#"{"name": "werkzeug.exceptions.Unauthorized", "message": "User not authenticated, use an API Key with a Bearer Authorization header."}"#,
            "auth",
            vec!["removes the header Authorization"],
        ),
    ] {
        let server = Scripted::start(move |_| Answer::new(status, headers, body)).await;
        says(&failure(&server.url(), "").await, reason, &texts);
    }
    let limited = Scripted::start(|_| Answer::new(429, "retry-after: 1200\r\n", "")).await;
    let error = failure(&limited.url(), "").await;
    says(&error, "http_status", &["rate limited"]);
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(1200));
}

#[tokio::test]
async fn a_database_that_no_header_names_is_not_a_missing_one() {
    let page = "No database is selected and the requested URL was not found";
    let server = |databases: &'static str| {
        Scripted::start(move |request: &Request| {
            if request.is_for("/web/webclient/version_info") || request.is_for("/web/health") {
                odoo_19(request)
            } else if request.is_for("/web/database/list") {
                Answer::json(format!("{{\"jsonrpc\": \"2.0\", \"result\": {databases}}}"))
            } else {
                Answer::new(404, "content-type: text/html\r\n", page)
            }
        })
    };
    let stripped = server("[\"prod\", \"test\"]").await;
    says(
        &failure(&stripped.url(), "").await,
        "database",
        &["removes the header X-Odoo-Database"],
    );
    let missing = failure(&server("[\"test\"]").await.url(), "").await;
    says(&missing, "database", &["Odoo has no database 'prod'"]);
    assert!(!missing.message.contains("header"), "{missing}");
}

/// Servers close connections that they kept, also while the next request is on its way.
#[tokio::test]
async fn a_kept_connection_that_the_server_closes_is_no_failure() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Scripted::start(move |request| {
        let answer = odoo_19(request);
        // The second request closes its connection; its repetition is answered.
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            answer.paced(Pace::Closed)
        } else {
            answer
        }
    })
    .await;
    let error = failure(&server.url(), "").await;
    assert!(server.requests() > 4, "{error}");
    assert_ne!(error.reason().as_str(), "connect", "{error}");
}

/// The key is rotated while the daemon runs: the file has a new one, and the old one is refused.
#[tokio::test]
async fn a_rotated_key_file_needs_no_reload() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("it.key");
    std::fs::write(&key, "the-old-key-0123456789").expect("a file");
    let rotated = key.clone();
    let server = Scripted::start(move |request| {
        if request.head.contains("the-old-key-0123456789") {
            std::fs::write(&rotated, "the-new-key-0123456789").expect("a file");
            let refused =
                r#"{"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}"#;
            return Answer::new(401, "content-type: application/json\r\n", refused);
        }
        odoo_19(request)
    })
    .await;
    let config = directory.path().join("config.yml");
    let target = json!({"name": "it", "url": server.url(), "database": "prod", "login": "auditor", "api_key_file": key, "interval": "1h", "timeout": "20s"});
    std::fs::write(&config, json!({"targets": [target]}).to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    command.arg("--config.file").arg(config);
    command.args([
        "--storage.path=:memory:",
        "--web.listen-address=127.0.0.1:0",
    ]);
    let daemon = Running::start(&mut command);
    eventually("the new key is used", async || {
        (server.requests() > 5).then_some(())
    })
    .await;
    assert!(!daemon.log().contains("reason=auth"), "{}", daemon.log());
}

/// The account is deleted and created again with the same login and key, so that its id is another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_created_anew_needs_no_restart() {
    let stage = Stage::new(&["prod"]).await;
    let server = SimServer::start(ServerOptions::new(18))
        .await
        .expect("a free port");
    let mut world = World::build(&Recipe::new(18, 1), Clock::system());
    let before = world.add_account(AccountKind::Full, "auditor");
    let database = server.add_database("prod", world);
    stage.write("prod.key", &before.api_key);
    stage.configure(&json!({
        "defaults": {"interval": "4s", "timeout": "3s"},
        "targets": [{"name": "prod", "url": server.url(), "database": "prod", "login": "auditor", "api_key_file": "prod.key"}],
    }));
    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let polls = async || {
        let text = get(address, "/metrics").await.ok()?;
        let name = "odoo_polls_total{target=\"prod\",result=\"success\"} ";
        text.lines()
            .find_map(|line| line.strip_prefix(name))?
            .parse::<u64>()
            .ok()
    };
    // Right after a poll, so that none is under way.
    let before_it = eventually("a poll succeeds", polls).await;
    let at = eventually("the next poll succeeds", async || {
        polls().await.filter(|polls| *polls > before_it)
    })
    .await;
    {
        let mut world = database.world_mut();
        world.delete(before.uid);
        let again = world.add_account(AccountKind::Full, "auditor");
        assert_ne!(again.uid, before.uid);
        world.also_opens(&before.api_key, again.uid);
    }
    eventually("polls succeed with the new account", async || {
        polls().await.filter(|polls| *polls > at + 1)
    })
    .await;
    assert!(!daemon.log().contains("poll failed"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_limits_the_rate_is_left_alone_as_long_as_it_says() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let server = Scripted::start(move |request| {
        let mut seen = seen.lock().expect("no panic");
        seen.push(Instant::now());
        if seen.len() == 1 {
            return Answer::new(429, "retry-after: 4\r\n", "");
        }
        odoo_19(request)
    })
    .await;
    let stage = Stage::new(&["prod"]).await;
    stage.configure(&json!({
        "defaults": {"interval": "1s", "timeout": "900ms"},
        "targets": [{"name": "it", "url": server.url(), "database": "prod", "login": "auditor", "api_key_file": "prod.key"}],
    }));
    let daemon = Running::start(&mut stage.daemon());
    daemon.logs("rate limited").await;
    eventually("it is asked again", async || {
        (server.requests() > 1).then_some(())
    })
    .await;
    let asked = asked.lock().expect("no panic");
    let waited = asked[1].duration_since(asked[0]);
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
}

/// While one answer is read, other requests take a connection of their own; later ones use both.
#[tokio::test]
async fn a_request_does_not_wait_for_the_answer_to_another_one() {
    odoo_mfa_exporter::runtime::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (release, connections) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (released, accepted) = (Arc::clone(&release), Arc::clone(&connections));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            accepted.fetch_add(1, Ordering::SeqCst);
            let released = Arc::clone(&released);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
                    stream.write_all(head).await.expect("the head");
                    if request.starts_with(b"GET /slow") {
                        released.notified().await;
                    }
                    stream.write_all(b"body").await.expect("the body");
                }
            });
        }
    });
    let (target, _) = target::from_yaml(&format!(
        "{{name: it, url: '{url}', database: prod, login: auditor, api_key: {}}}",
        target::CANARY
    ));
    let client = Clients::default().to(&target.tls, None, None);
    let client = client.expect("a client");
    let send = async |path: &str| {
        let url = format!("{url}{path}").parse().expect("a URL");
        client.send(odoo::Request::get(&url)).await.expect("a head")
    };
    let slow = send("/slow").await;
    for _ in 0..3 {
        let fast = timeout(Duration::from_secs(30), send("/fast")).await;
        let fast = fast.expect("it does not wait for the slow one");
        assert_eq!(odoo::beginning(fast, 10).await.expect("a body"), b"body");
    }
    release.notify_one();
    assert_eq!(odoo::beginning(slow, 10).await.expect("a body"), b"body");
    let both = tokio::join!(send("/fast"), send("/fast"));
    drop(both);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
