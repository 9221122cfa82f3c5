//! Authentication and roles.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use odoo_mfa_exporter::config::web_file::{WebConfig, WebFile};
use odoo_mfa_exporter::config::{ProcessEnv, Web};
use odoo_mfa_exporter::domain::Shard;
use odoo_mfa_exporter::exposition::ExporterState;
use odoo_mfa_exporter::store::{Limits as Kept, Location, Store};
use odoo_mfa_exporter::web::Limits;
use odoo_mfa_exporter::web::access::{Access, NobodyCanSignIn};
use reqwest::{StatusCode, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::harness::exporter::{Server, Shown, client};
use crate::harness::log::Log;
use crate::harness::pki::Pki;
use crate::harness::snapshots::up;
use crate::harness::{curl, eventually};

/// A path for every role. The last: paths without a route.
pub const ROUTES: &[(&str, Needs)] = &[
    ("/-/healthy", Needs::Nothing),
    ("/-/ready", Needs::Nothing),
    ("/metrics", Needs::Scrape),
    ("/probe?target=erp", Needs::Scrape),
    ("/sd", Needs::Scrape),
    ("/", Needs::Read),
    ("/sign-in", Needs::Read),
    ("/alerts", Needs::Read),
    ("/report", Needs::Read),
    ("/report.css", Needs::Read),
    ("/targets/erp", Needs::Read),
    ("/users", Needs::Read),
    ("/keys", Needs::Read),
    ("/changes", Needs::Read),
    ("/changes.csv", Needs::Read),
    ("/targets.csv", Needs::Read),
    ("/-/style.css", Needs::Read),
    ("/users.csv", Needs::Names),
    ("/keys.csv", Needs::Names),
    ("/api/v1/targets", Needs::Read),
    ("/api/v1/targets/erp", Needs::Read),
    ("/api/v1/changes?target=erp", Needs::Read),
    ("/api/v1/history?target=erp", Needs::Read),
    ("/api/v1/alerts", Needs::Read),
    ("/api/v1/openapi.json", Needs::Read),
    ("/api/v1/users?target=erp", Needs::Names),
    ("/api/v1/keys?target=erp", Needs::Names),
    ("/nothing/here", Needs::Read),
    ("/api/v1/nothing", Needs::Read),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Scrape,
    Read,
    Names,
}

/// A web configuration from its text, in a directory with certificates.
pub fn web(directory: &Path, text: &str) -> WebConfig {
    let path = directory.join("web.yml");
    std::fs::write(&path, text).expect("a file");
    let file = WebFile::load(&path, &ProcessEnv);
    let said = file.diagnostics;
    file.config.unwrap_or_else(|| panic!("{said:?}"))
}

/// Users whose passwords are their names, backwards.
pub fn users(names: &[&str]) -> String {
    let user = |name: &&str| {
        let hash = bcrypt::hash(password(name), 4).expect("a hash");
        format!("  {name}: {hash}\n")
    };
    let users: String = names.iter().map(user).collect();
    format!("basic_auth_users:\n{users}")
}

fn password(name: &str) -> String {
    name.chars().rev().collect()
}

pub fn list(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One of each role, and one of none.
fn roles() -> Web {
    Web {
        scrape: Some(list(&["scraper"])),
        read: Some(list(&["reader"])),
        read_names: list(&["officer"]),
        ..Web::default()
    }
}

pub fn basic(user: &str, password: &str) -> String {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {encoded}")
}

pub async fn start(access: Access) -> Server {
    let store = Store::open(Location::Memory, Kept::default()).expect("a store in memory");
    let routes = Shown::new([up("erp")])
        .routes_for(access.clone(), Some(store))
        .0;
    Server::start_behind(access, Limits::default(), routes).await
}

pub async fn ask(server: &Server, path: &str, authorization: Option<&str>) -> reqwest::Response {
    let request = client().get(server.url(path));
    let request = match authorization {
        Some(value) => request.header(header::AUTHORIZATION, value),
        None => request,
    };
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn each_role_may_do_what_it_may_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let everybody = ["scraper", "reader", "officer", "other"];
    let access = Access::new(&roles(), web(directory.path(), &users(&everybody)));
    let server = start(access.expect("people who can sign in")).await;
    for (path, needs) in ROUTES {
        for user in everybody {
            let allowed = match needs {
                Needs::Nothing => true,
                Needs::Scrape => user == "scraper",
                Needs::Read => user == "reader" || user == "officer",
                Needs::Names => user == "officer",
            };
            let response = ask(&server, path, Some(&basic(user, &password(user)))).await;
            let refused = response.status() == StatusCode::FORBIDDEN;
            assert_eq!(refused, !allowed, "{user} {path}: {}", response.status());
            assert_ne!(response.status(), StatusCode::UNAUTHORIZED, "{user} {path}");
            refusal_is_readable(path, response).await;
        }
        for wrong in [
            None,
            Some(("officer", "wrong")),
            Some(("stranger", "x")),
            Some(("", "")),
        ] {
            let credentials = wrong.map(|(user, password)| basic(user, password));
            let response = ask(&server, path, credentials.as_deref()).await;
            let refused = response.status() == StatusCode::UNAUTHORIZED;
            assert_eq!(refused, *needs != Needs::Nothing, "{wrong:?} {path}");
            let challenge = response.headers().get(header::WWW_AUTHENTICATE);
            assert_eq!(challenge.is_some(), refused, "{path}");
            refusal_is_readable(path, response).await;
        }
    }
    server.stop().await;
}

/// Programs are refused by problem details, users by text; every answer has the security headers, and none a cookie.
async fn refusal_is_readable(path: &str, response: reqwest::Response) {
    let headers = response.headers();
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    assert!(
        headers.contains_key(header::CONTENT_SECURITY_POLICY),
        "{path}"
    );
    assert!(!headers.contains_key(header::SET_COOKIE), "{path}");
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return;
    }
    let kind = headers[header::CONTENT_TYPE]
        .to_str()
        .expect("text")
        .to_owned();
    let text = response.text().await.expect("text");
    if path.starts_with("/api/") {
        assert_eq!(kind, "application/problem+json", "{path}");
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(problem["status"], status.as_u16(), "{path}");
        assert!(problem["detail"].is_string(), "{path}");
    } else {
        // A list that cannot be shown is a page.
        let page = kind == "text/html; charset=utf-8" && status.is_server_error();
        assert!(
            page || kind == "text/plain; charset=utf-8",
            "{path}: {kind}"
        );
    }
}

#[tokio::test]
async fn without_roles_users_scrape_and_read_numbers_but_no_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let access = Access::new(&Web::default(), web(directory.path(), &users(&["alice"])));
    let server = start(access.expect("no role is given")).await;
    for (path, needs) in ROUTES {
        let response = ask(&server, path, Some(&basic("alice", "ecila"))).await;
        let refused = response.status() == StatusCode::FORBIDDEN;
        assert_eq!(refused, *needs == Needs::Names, "{path}");
        let response = ask(&server, path, None).await;
        let refused = response.status() == StatusCode::UNAUTHORIZED;
        assert_eq!(refused, *needs != Needs::Nothing, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_users_all_clients_scrape_and_read_numbers_but_no_names() {
    let server = start(Access::open()).await;
    for (path, needs) in ROUTES {
        for credentials in [None, Some(basic("alice", "ecila"))] {
            let response = ask(&server, path, credentials.as_deref()).await;
            let refused = response.status() == StatusCode::FORBIDDEN;
            assert_eq!(refused, *needs == Needs::Names, "{path}");
            assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_star_admits_all_clients_and_browsers_sign_in_for_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let roles = Web {
        scrape: Some(list(&["*"])),
        read: Some(list(&["*"])),
        read_names: list(&["alice"]),
        ..Web::default()
    };
    let access = Access::new(&roles, web(directory.path(), &users(&["alice", "bob"])));
    let server = start(access.expect("people who can sign in")).await;
    for (path, needs) in ROUTES {
        let anybody = ask(&server, path, None).await.status() == StatusCode::UNAUTHORIZED;
        assert_eq!(
            anybody,
            *needs == Needs::Names || *path == "/sign-in",
            "{path}"
        );
        let bob = ask(&server, path, Some(&basic("bob", "bob")))
            .await
            .status();
        assert_eq!(
            bob == StatusCode::FORBIDDEN,
            *needs == Needs::Names,
            "{path}"
        );
        // A client that sends a password must send the correct one.
        let wrong = ask(&server, path, Some(&basic("bob", "alice")))
            .await
            .status();
        assert_eq!(
            wrong == StatusCode::UNAUTHORIZED,
            *needs != Needs::Nothing,
            "{path}"
        );
    }
    // Changes require a user all the same; here there is nothing to reload.
    for (authorization, expected) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(basic("bob", "bob")), StatusCode::NOT_FOUND),
    ] {
        let mut request = client().post(server.url("/-/reload"));
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let status = request.send().await.expect("an answer").status();
        assert_eq!(status, expected);
    }
    let signed_in = ask(&server, "/sign-in", Some(&basic("alice", "ecila"))).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers()[header::LOCATION], "./");
    server.stop().await;
}

#[test]
fn roles_that_no_client_can_have_are_refused() {
    let directory = Pki::new().written();
    let access = |web: WebConfig| Access::new(&roles(), web).map(|access| access.strangers());
    assert_eq!(access(WebConfig::default()), Err(NobodyCanSignIn));
    let unverified = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: RequireAnyClientCert}";
    assert_eq!(
        access(web(directory.path(), unverified)),
        Err(NobodyCanSignIn)
    );
    assert_eq!(
        access(web(directory.path(), &users(&["scraper", "alice"]))),
        Ok(vec!["reader".into(), "officer".into()])
    );
    let open = Web {
        scrape: Some(list(&["*"])),
        ..Web::default()
    };
    assert!(Access::new(&open, WebConfig::default()).is_ok());
}

/// Result of every client: a status, or nothing if TLS ends before that.
const REFUSED: Option<u16> = None;

#[tokio::test]
async fn client_certificates_of_every_type() {
    let pki = Pki::new();
    let directory = pki.written();
    let curl = |identity: Option<&str>| {
        let path = |name: String| directory.path().join(name).display().to_string();
        let mut arguments = vec!["--cacert".to_owned(), path("ca.crt".into())];
        if let Some(name) = identity {
            arguments.extend(["--cert".into(), path(format!("{name}.crt"))]);
            arguments.extend(["--key".into(), path(format!("{name}.key"))]);
        }
        arguments
    };
    let ca = "client_ca_file: ca.crt";
    // Without a certificate, with one of the authority, and with a self-signed one.
    for (kind, more, expected) in [
        ("NoClientCert", "", [Some(200), Some(200), Some(200)]),
        ("RequestClientCert", "", [Some(200), Some(200), Some(200)]),
        ("RequireAnyClientCert", "", [REFUSED, Some(200), Some(200)]),
        ("RequireClientCert", "", [REFUSED, Some(200), Some(200)]),
        (
            "VerifyClientCertIfGiven",
            ca,
            [Some(200), Some(200), REFUSED],
        ),
        (
            "RequireAndVerifyClientCert",
            ca,
            [REFUSED, Some(200), REFUSED],
        ),
        (
            "RequireAndVerifyClientCert",
            "client_ca_file: stranger.crt",
            [REFUSED, REFUSED, Some(200)],
        ),
        (
            "RequireAndVerifyClientCert",
            "client_ca_file: ca.crt, client_allowed_sans: [prometheus.example.com]",
            [REFUSED, Some(200), REFUSED],
        ),
        (
            "RequireAndVerifyClientCert",
            "client_ca_file: ca.crt, client_allowed_sans: ['spiffe://example.com/prometheus']",
            [REFUSED, Some(200), REFUSED],
        ),
        (
            "RequireAndVerifyClientCert",
            "client_ca_file: ca.crt, client_allowed_sans: [prometheus, '*.example.com']",
            [REFUSED, REFUSED, REFUSED],
        ),
    ] {
        let text = format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key, client_auth_type: {kind}, {more}}}"
        );
        let access = Access::new(&Web::default(), web(directory.path(), &text));
        let server = start(access.expect("no role is given")).await;
        let mut seen = Vec::new();
        for identity in [None, Some("client"), Some("stranger")] {
            for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
                let mut arguments = curl(identity);
                arguments.extend(version.iter().map(|it| (*it).to_owned()));
                seen.push(curl::status(&server.https("/metrics"), &arguments).await);
            }
        }
        let expected: Vec<_> = expected.iter().flat_map(|it| [*it, *it]).collect();
        assert_eq!(seen, expected, "{kind} {more}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_verified_certificate_has_the_roles_of_its_names() {
    let directory = Pki::new().written();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let identity = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
        [
            "--cacert",
            &path("ca.crt"),
            "--cert",
            &certificate,
            "--key",
            &key,
        ]
        .map(str::to_owned)
    };
    let tls = |kind: &str| {
        format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key, client_auth_type: {kind}, client_ca_file: ca.crt}}\n"
        )
    };
    let roles = |names: &str| Web {
        scrape: Some(list(&["certificate:spiffe://example.com/prometheus"])),
        read: None,
        read_names: list(&[names]),
        ..Web::default()
    };
    let paths = ["/metrics", "/", "/api/v1/users?target=erp"];
    let statuses = async |server: &Server, arguments: &[String]| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(
                curl::status(&server.https(path), arguments)
                    .await
                    .unwrap_or(0),
            );
        }
        // There may or may not be something at the last.
        statuses
            .iter()
            .map(|it| if *it == 404 || *it == 503 { 200 } else { *it })
            .collect::<Vec<_>>()
    };
    let cacert = ["--cacert".to_owned(), path("ca.crt")];

    let text = tls("VerifyClientCertIfGiven");
    let access = Access::new(&roles("certificate:alice"), web(directory.path(), &text));
    let server = start(access.expect("certificates are verified")).await;
    assert_eq!(
        statuses(&server, &identity("client")).await,
        [200, 200, 403]
    );
    assert_eq!(statuses(&server, &identity("alice")).await, [403, 200, 200]);
    assert_eq!(statuses(&server, &cacert).await, [403, 200, 403]);
    server.stop().await;

    // The user of that name is another one, and users make passwords necessary.
    let text = tls("VerifyClientCertIfGiven") + &users(&["alice", "bob"]);
    let access = Access::new(&roles("alice"), web(directory.path(), &text));
    let server = start(access.expect("people can sign in")).await;
    assert_eq!(
        statuses(&server, &identity("client")).await,
        [200, 200, 403]
    );
    assert_eq!(statuses(&server, &identity("alice")).await, [401, 401, 401]);
    assert_eq!(statuses(&server, &cacert).await, [401, 401, 401]);
    let alice = [&cacert[..], &["--user".into(), "alice:ecila".into()]].concat();
    assert_eq!(statuses(&server, &alice).await, [403, 200, 200]);
    let wrong = [
        &identity("client")[..],
        &["--user".into(), "bob:wrong".into()],
    ]
    .concat();
    assert_eq!(statuses(&server, &wrong).await, [401, 401, 401]);
    server.stop().await;

    // These are not verified: they identify no client.
    let text = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: RequireAnyClientCert}\n".to_owned()
        + &users(&["bob"]);
    let access = Access::new(
        &roles("certificate:prometheus"),
        web(directory.path(), &text),
    );
    let server = start(access.expect("people can sign in")).await;
    assert_eq!(
        statuses(&server, &identity("stranger")).await,
        [401, 401, 401]
    );
    server.stop().await;
}

#[tokio::test]
async fn versions_suites_and_http2_are_as_configured() {
    let directory = Pki::new().written();
    let cacert = directory.path().join("ca.crt").display().to_string();
    for (tls, http, arguments, expected) in [
        ("", "", &["--http2"][..], Some("2 200")),
        ("", "", &["--http2", "--head"], Some("2 200")),
        (
            "",
            "http_server_config: {http2: false}",
            &["--http2"],
            Some("1.1 200"),
        ),
        ("", "", &["--http1.1"], Some("1.1 200")),
        ("min_version: TLS13", "", &["--tls-max", "1.2"], None),
        ("max_version: TLS12", "", &["--tlsv1.3"], None),
        ("max_version: TLS12", "", &["--tlsv1.2"], Some("2 200")),
        (
            "max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
            "",
            &["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            None,
        ),
        (
            "max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
            "",
            &["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            Some("2 200"),
        ),
        (
            "curve_preferences: [CurveP384]",
            "",
            &["--curves", "X25519"],
            None,
        ),
        (
            "curve_preferences: [CurveP384]",
            "",
            &["--curves", "P-384"],
            Some("2 200"),
        ),
    ] {
        let text = format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key, {tls}}}\n{http}\n"
        );
        let access = Access::new(&Web::default(), web(directory.path(), &text));
        let server = start(access.expect("no role is given")).await;
        let mut all = vec!["--cacert".to_owned(), cacert.clone()];
        all.extend(arguments.iter().map(|it| (*it).to_owned()));
        let format = "%{http_version} %{http_code}";
        let seen = curl::written(format, &server.https("/metrics"), &all).await;
        assert_eq!(seen.as_deref(), expected, "{tls} {http} {arguments:?}");
        // Not over HTTP, either way around.
        let plain = server.url("/metrics");
        assert_eq!(curl::status(&plain, &[]).await, None, "plain HTTP");
        server.stop().await;
    }
    let server = start(Access::open()).await;
    let prior = ["--http2-prior-knowledge".to_owned()];
    assert_eq!(
        curl::status(&server.url("/metrics"), &prior).await,
        Some(505)
    );
    server.stop().await;
}

#[tokio::test]
async fn the_file_is_read_again_and_protection_never_vanishes() {
    let (log, _logging) = Log::start();
    let directory = Pki::new().written();
    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
    let first = format!("{tls}{}", users(&["alice"]));
    let web = web(directory.path(), &first);
    let path = directory.path().join("web.yml");
    let sources = WebFile::load(&path, &ProcessEnv).sources;
    let access = Access::new(&Web::default(), web).expect("no role is given");
    let stop = CancellationToken::new();
    let often = Duration::from_millis(100);
    let exporter = ExporterState::new(Shard::WHOLE);
    let reading = access.clone().reread(
        path.clone(),
        sources,
        often,
        Arc::clone(&exporter),
        stop.clone(),
    );
    let reading = tokio::spawn(reading);
    let successful = || exporter.config().web_last_successful;
    let server = start(access).await;
    let status = async |user: &str, arguments: &[&str]| {
        let mut all = vec![
            "--cacert".to_owned(),
            directory.path().join("ca.crt").display().to_string(),
        ];
        all.extend(["--user".to_owned(), format!("{user}:{}", password(user))]);
        all.extend(arguments.iter().map(|it| (*it).to_owned()));
        curl::status(&server.https("/metrics"), &all).await
    };
    assert_eq!(status("alice", &[]).await, Some(200));
    assert_eq!(status("bob", &[]).await, Some(401));

    // Another user, and a header.
    let header = "http_server_config: {headers: {Strict-Transport-Security: max-age=9}}\n";
    std::fs::write(&path, format!("{tls}{header}{}", users(&["bob"]))).expect("a file");
    eventually("bob gets in", async || {
        (status("bob", &[]).await? == 200).then_some(())
    })
    .await;
    assert_eq!(status("alice", &[]).await, Some(401));
    let https = server.https("/metrics");
    let cacert = ["-k".to_owned()];
    let seen = curl::written("%header{strict-transport-security}", &https, &cacert).await;
    assert_eq!(seen.as_deref(), Some("max-age=9"));

    // An invalid or truncated file, and one that admits more clients, is refused.
    for (text, why) in [
        ("tls_server_config: {", "it has errors"),
        (&first.replace("server.key", "client.key"), "it has errors"),
        ("", "TLS would be enabled or disabled"),
        (tls, "the last user would be removed"),
        (&users(&["mallory"]), "TLS would be enabled or disabled"),
    ] {
        log.clear();
        std::fs::write(&path, text).expect("a file");
        eventually(why, async || log.text().contains(why).then_some(())).await;
        assert_eq!(status("mallory", &[]).await, Some(401), "{text}");
        assert_eq!(status("bob", &[]).await, Some(200), "{text}");
        assert_eq!(successful(), Some(false), "{text}");
    }
    std::fs::write(&path, format!("{tls}{}", users(&["gustav"]))).expect("a file");
    eventually("gustav gets in", async || {
        (status("gustav", &[]).await? == 200).then_some(())
    })
    .await;
    assert_eq!(successful(), Some(true));
    assert!(!log.text().contains("yrollam"), "a password is in the log");

    // A certificate that is renewed under the same name.
    let renewed = Pki::new();
    for (name, text) in [
        ("server.crt", &renewed.server.certificate),
        ("server.key", &renewed.server.key),
        ("ca.crt", &renewed.authority),
    ] {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    eventually("the new certificate", async || {
        (status("gustav", &[]).await? == 200).then_some(())
    })
    .await;
    stop.cancel();
    reading.await.expect("no panic");
    server.stop().await;
}
