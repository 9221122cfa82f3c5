//! Limits of clients: requests, bytes, time of connections, and the exporter's time for their passwords.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use odoo_mfa_exporter::config::Web;
use odoo_mfa_exporter::web::Limits;
use odoo_mfa_exporter::web::access::Access;
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::access::{ask, basic, start, users, web};
use crate::harness::eventually;
use crate::harness::exporter::{Server, Shown, client};
use crate::harness::pki::Pki;
use crate::harness::snapshots::up;

#[tokio::test]
async fn requests_are_limited() {
    let directory = tempfile::tempdir().expect("a directory");
    let limited = web(directory.path(), "rate_limit: {interval: 1h, burst: 2}");
    let server = start(Access::new(&Web::default(), limited).expect("no role is given")).await;
    let mut statuses = Vec::new();
    for path in ["/metrics", "/", "/metrics", "/api/v1/targets", "/-/healthy"] {
        statuses.push(ask(&server, path, None).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429, 200]);
    server.stop().await;

    let server = start(Access::open()).await;
    let long = format!("/?{}", "x".repeat(9000));
    assert_eq!(
        ask(&server, &long, None).await.status(),
        StatusCode::URI_TOO_LONG
    );
    let large = client().post(server.url("/")).body(vec![b'x'; 100_000]);
    let status = large.send().await.expect("an answer").status();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let post = async |headers: &[(&'static str, &'static str)]| {
        let mut request = client().request(Method::POST, server.url("/"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer").status()
    };
    // Nothing takes a POST there; what comes from another site does not even get that far.
    assert_eq!(post(&[]).await, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        post(&[("sec-fetch-site", "same-origin")]).await,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        post(&[("sec-fetch-site", "cross-site")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(&[("origin", "https://evil.example.com")]).await,
        StatusCode::FORBIDDEN
    );
    server.stop().await;
}

#[tokio::test]
async fn many_sign_in_at_once_and_a_wrong_password_is_never_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let access = Access::new(
        &Web::default(),
        web(directory.path(), &users(&["alice", "bob"])),
    );
    let server = Arc::new(start(access.expect("no role is given")).await);
    let asked = (0..40).map(|number| {
        let server = Arc::clone(&server);
        async move {
            // An unknown user has no password.
            let (user, said) = [
                ("alice", "ecila"),
                ("bob", "bob"),
                ("bob", "ecila"),
                ("carol", "ecila"),
                ("carol", "bob"),
            ][number % 5];
            let status = ask(&server, "/metrics", Some(&basic(user, said)))
                .await
                .status();
            (number % 5 < 2, status)
        }
    });
    for (right, status) in futures::future::join_all(asked).await {
        let expected = if right {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        assert_eq!(status, expected);
    }
    Arc::into_inner(server)
        .expect("no other reference")
        .stop()
        .await;
}

/// The cost of a refusal must not reveal whether a user exists: both wait in the same line, and the line has an end.
#[tokio::test]
async fn a_name_that_is_no_users_waits_like_a_wrong_password() {
    let directory = tempfile::tempdir().expect("a directory");
    // So slow that the line is full before the first one is through.
    let hash = bcrypt::hash("ecila", 8).expect("a hash");
    let alice = web(
        directory.path(),
        &format!("basic_auth_users: {{alice: {hash}}}"),
    );
    let access = Access::new(&Web::default(), alice);
    let server = start(access.expect("no role is given")).await;
    for user in ["alice", "unknown"] {
        let authorization = basic(user, "wrong");
        let asked = (0..200).map(|_| ask(&server, "/metrics", Some(&authorization)));
        let answers = futures::future::join_all(asked).await;
        let statuses: BTreeSet<u16> = answers.iter().map(|it| it.status().as_u16()).collect();
        assert_eq!(statuses, [401, 429].into(), "{user}");
    }
    server.stop().await;
}

/// Also where all come from one address, as behind a reverse proxy.
#[tokio::test]
async fn many_wrong_passwords_do_not_keep_another_user_from_signing_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let hash = |password: &str| bcrypt::hash(password, 8).expect("a hash");
    let text = format!(
        "basic_auth_users: {{alice: {}, scraper: {}}}",
        hash("ecila"),
        hash("reparcs")
    );
    let access = Access::new(&Web::default(), web(directory.path(), &text));
    let server = start(access.expect("no role is given")).await;
    let wrong = basic("alice", "wrong");
    let guesses = (0..200).map(|_| ask(&server, "/metrics", Some(&wrong)));
    let guesses = futures::future::join_all(guesses);
    let scrape = async {
        // If the line is long.
        tokio::time::sleep(Duration::from_millis(500)).await;
        ask(&server, "/metrics", Some(&basic("scraper", "reparcs"))).await
    };
    let (guessed, scraped) = tokio::join!(guesses, scrape);
    assert_eq!(scraped.status(), StatusCode::OK);
    assert!(guessed.iter().all(|it| it.status() != StatusCode::OK));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_slow_to_agree_on_tls_is_not_waited_for() {
    let directory = Pki::new().written();
    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
    let access =
        Access::new(&Web::default(), web(directory.path(), tls)).expect("no role is given");
    let limits = Limits {
        first_request: Duration::from_millis(100),
        ..Limits::default()
    };
    let routes = Shown::new([up("erp")]).routes_for(access.clone(), None).0;
    let server = Server::start_behind(access, limits, routes).await;
    let mut silent = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let mut nothing = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut nothing));
    assert!(
        ended
            .await
            .expect("it is closed")
            .is_ok_and(|read| read == 0)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_connection_ends_some_time_after_its_last_request() {
    let limits = Limits {
        request: Duration::from_millis(200),
        ..Limits::default()
    };
    // An answer that the client does not read, larger than the system's buffers.
    let body = async || vec![b'x'; 64 << 20];
    let routes = axum::Router::new().route("/", axum::routing::get(body));
    let server = Server::start_within(limits, routes).await;
    let mut lazy = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    lazy.write_all(request).await.expect("sent");
    lazy.readable().await.expect("an answer");
    eventually("the server has given it up", async || {
        let refused = lazy.write_all(request).await.is_err();
        refused.then_some(())
    })
    .await;
    let mut rest = Vec::new();
    let _ = lazy.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20, "all of it came");
    server.stop().await;
}

/// Over HTTP/2 a client can be slow without the reader's buffers telling: it opens no window, or no stream.
#[tokio::test]
async fn a_slow_connection_over_http2_ends() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // HEADERS of stream 1, whole: GET https://x/ in HPACK's static table.
    const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01x";
    let pki = Pki::new();
    let directory = pki.written();
    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";
    let access =
        Access::new(&Web::default(), web(directory.path(), tls)).expect("no role is given");
    let limits = Limits {
        first_request: Duration::from_millis(200),
        next_request: Duration::from_millis(200),
        request: Duration::from_millis(200),
        ..Limits::default()
    };
    let body = async || vec![b'x'; 64 << 20];
    let routes = axum::Router::new().route("/", axum::routing::get(body));
    let server = Server::start_behind(access, limits, routes).await;
    for (what, sent) in [
        ("says nothing", [b"".as_slice(), b""]),
        ("asks for nothing", [PREFACE, b""]),
        ("asks for half", [PREFACE, &GET[..10]]),
        ("reads no more than its window", [PREFACE, GET]),
    ] {
        let mut client = http2(&server, &pki).await;
        client.write_all(&sent.concat()).await.expect("sent");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut answer));
        // However it ends: what was sent last may be cut off.
        let _ = ended
            .await
            .unwrap_or_else(|_| panic!("one that {what} is kept"));
        assert!(answer.len() < 1 << 20, "one that {what} got all");
    }
    server.stop().await;
}

async fn http2(server: &Server, pki: &Pki) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(pki.authority.as_bytes()).expect("PEM");
    roots.add(authority).expect("an authority");
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(server.address).await.expect("connected");
    let name = ServerName::from(server.address.ip());
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.expect("TLS")
}
