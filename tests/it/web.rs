//! Responses of the exporter, and refusals.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use odoo_mfa_exporter::web::Limits;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::exporter::{Server, Shown, client};
use crate::harness::snapshots::{down, pending, up};

#[tokio::test]
async fn a_client_gets_the_format_and_coding_that_it_prefers() {
    let server = Server::start(Shown::new([up("erp")]).routes().0).await;
    let get = |accept: &str| {
        client()
            .get(server.url("/metrics"))
            .header("accept", accept)
    };

    let response = get("application/openmetrics-text; version=1.0.0")
        .send()
        .await
        .expect("an answer");
    let headers = response.headers().clone();
    let openmetrics = response.text().await.expect("text");
    assert_eq!(
        headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(headers["content-length"], openmetrics.len().to_string());
    assert_eq!(headers["vary"], "accept, accept-encoding");
    assert!(openmetrics.ends_with("# EOF\n"));

    let response = get("*/*")
        .header("accept-encoding", "gzip")
        .send()
        .await
        .expect("an answer");
    let headers = response.headers().clone();
    let zipped = response.bytes().await.expect("bytes");
    assert_eq!(
        headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-length"], zipped.len().to_string());
    let mut classic = String::new();
    flate2::read::GzDecoder::new(&zipped[..])
        .read_to_string(&mut classic)
        .expect("gzip");
    assert!(
        classic.contains("# TYPE odoo_polls_total counter\n"),
        "{classic}"
    );
    assert!(!classic.contains("# EOF"));
    server.stop().await;
}

#[tokio::test]
async fn only_get_and_head_of_what_there_is() {
    let server = Server::start(Shown::new([up("erp")]).routes().0).await;
    for path in ["/", "/metrics", "/-/healthy", "/-/ready"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = client()
                .request(method, server.url(path))
                .send()
                .await
                .expect("an answer");
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()["allow"], "GET,HEAD");
        }
        let got = client()
            .get(server.url(path))
            .send()
            .await
            .expect("an answer");
        let head = client()
            .head(server.url(path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        for header in ["content-type", "content-length"] {
            assert!(head.headers().contains_key(header), "{path} {header}");
        }
        assert_eq!(
            head.headers()["content-type"],
            got.headers()["content-type"]
        );
        assert_eq!(head.text().await.expect("text"), "");
    }
    let response = client()
        .get(server.url("/metrics/x"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    server.stop().await;
}

#[tokio::test]
async fn ready_once_every_first_poll_has_ended_and_then_for_good() {
    let shown = Shown::new([up("erp"), pending("crm")]);
    let (routes, latch) = shown.routes();
    let server = Server::start(routes).await;
    let ready = async || {
        let response = client()
            .get(server.url("/-/ready"))
            .send()
            .await
            .expect("an answer");
        (response.status(), response.text().await.expect("text"))
    };
    assert_eq!(
        ready().await,
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "waiting for the first poll of 1 of 2 targets\n".into()
        )
    );
    shown.board.slots()[1].publish(down("crm"));
    assert_eq!(ready().await, (StatusCode::OK, "ready\n".into()));
    shown.board.slots()[1].publish(pending("crm"));
    assert_eq!(ready().await.0, StatusCode::OK);
    drop(latch);
    server.stop().await;
}

#[tokio::test]
async fn ready_once_the_latch_is_dropped() {
    let (routes, latch) = Shown::new([pending("erp")]).routes();
    let server = Server::start(routes).await;
    let ready = async || {
        client()
            .get(server.url("/-/ready"))
            .send()
            .await
            .expect("an answer")
            .status()
    };
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    drop(latch);
    assert_eq!(ready().await, StatusCode::OK);
    server.stop().await;
}

/// Sends what is given and returns what comes back until the server closes the connection.
async fn raw(server: &Server, request: &str) -> String {
    let mut connection = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    connection
        .write_all(request.as_bytes())
        .await
        .expect("sent");
    let mut answer = String::new();
    // A reset is an end, too.
    let _ = connection.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_head_that_is_too_long_or_too_slow_is_not_waited_for() {
    let limits = Limits {
        first_request: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::start_within(limits, Shown::new([up("erp")]).routes().0).await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "x".repeat(limits.head)
    );
    assert!(raw(&server, &long).await.starts_with("HTTP/1.1 431 "));
    assert_eq!(raw(&server, "GET / HTTP/1.1\r\nhost:").await, "");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_gives_way_and_a_busy_one_does_not() {
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let release = Arc::new(tokio::sync::Notify::new());
    let slow = {
        let release = Arc::clone(&release);
        async move || release.notified().await
    };
    let routes = Shown::new([up("erp")]).routes().0;
    let routes = routes.route("/slow", axum::routing::get(slow));
    let server = Server::start_within(limits, routes).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let open = async |path: &str| {
        let mut connection = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        connection
            .write_all(get(path).as_bytes())
            .await
            .expect("sent");
        connection
    };
    let idle = async || {
        let mut connection = open("/-/healthy").await;
        connection.read_u8().await.expect("an answer");
        connection
    };
    let closing = "GET /-/healthy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // All places are taken by idle ones: the longest idle one gives way, and a scrape is answered.
    let mut kept = vec![idle().await, idle().await, idle().await];
    assert!(raw(&server, closing).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    let mut first = kept.remove(0);
    let first = first.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), first)
        .await
        .expect("it is closed")
        .expect("in good order");
    drop(kept);
    // All of one client are busy: one more of the same client is closed.
    let busy = [
        open("/slow").await,
        open("/slow").await,
        open("/slow").await,
    ];
    crate::harness::eventually("one too many is closed", async || {
        let answer = raw(&server, closing).await;
        answer.is_empty().then_some(())
    })
    .await;
    release.notify_waiters();
    drop(busy);
    crate::harness::eventually("a place is free again", async || {
        let answer = raw(&server, closing).await;
        answer.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    server.stop().await;
}

/// Malicious requests, and their answers: each is refused, and never twice.
#[tokio::test]
async fn requests_that_are_no_requests_are_refused() {
    let server = Server::start(Shown::new([up("erp")]).routes().0).await;
    let cookie = format!("cookie: a={}\r\n", "x".repeat(20_000));
    for (what, request, expected) in [
        ("two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_owned(), "400"),
        ("a length and chunks", "GET /-/healthy HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n".to_owned(), "400"),
        ("a folded header", "GET / HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n".to_owned(), "400"),
        ("a bare line feed in a header", "GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".to_owned(), "400"),
        ("a huge cookie", format!("GET / HTTP/1.1\r\nhost: x\r\n{cookie}\r\n"), "431"),
        ("a word that is no version", "GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(), "400"),
        ("chunks that are too many", format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(40)), "405"),
        ("an encoded slash", "GET /%2e%2e/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "404"),
        ("another server's URL", "GET http://other.example/-/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "404"),
        ("a tunnel", "CONNECT other.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "40"),
        ("HTTP/1.0", "GET /-/healthy HTTP/1.0\r\n\r\n".to_owned(), "200"),
        ("names of headers in any case", "GET /-/healthy HTTP/1.1\r\nHOST: x\r\nCONNECTION: CLOSE\r\n\r\n".to_owned(), "200"),
    ] {
        let answer = raw(&server, &request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with(expected), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{what}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn shutdown_lets_a_request_end_but_does_not_wait_for_ever() {
    let limits = Limits {
        drain: Duration::from_millis(200),
        ..Limits::default()
    };
    let (entered, release) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let slow = {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        async move || {
            entered.notify_one();
            release.notified().await;
            "done"
        }
    };
    let routes = || axum::Router::new().route("/slow", axum::routing::get(slow.clone()));

    let server = Server::start(routes()).await;
    let request = tokio::spawn(client().get(server.url("/slow")).send());
    entered.notified().await;
    let stopped = tokio::spawn(server.stop());
    release.notify_one();
    let answer = request.await.expect("no panic").expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "done");
    stopped.await.expect("it stopped");

    let server = Server::start_within(limits, routes()).await;
    let request = tokio::spawn(client().get(server.url("/slow")).send());
    entered.notified().await;
    server.stop().await;
    assert!(request.await.expect("no panic").is_err());
}
