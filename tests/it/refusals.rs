//! Every refusal that real servers were recorded to give maps to one reason, whenever in a poll it comes.

use std::net::SocketAddr;
use std::sync::Arc;

use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Transport};
use odoo_mfa_exporter::poll;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::target;

/// A recorded answer, and the reason that it stands for. Without a status the connection was closed without a byte.
#[derive(Debug, Clone, Deserialize)]
struct Refusal {
    version: u32,
    name: String,
    reason: String,
    status: Option<u16>,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    body: String,
}

#[tokio::test]
async fn each_recorded_refusal_has_its_reason() {
    let recorded = include_str!("../fixtures/refusals.jsonl");
    let mut wrong = Vec::new();
    for line in recorded.lines() {
        let refusal: Refusal = serde_json::from_str(line).expect("a recorded refusal");
        let reason = reason_of(&refusal).await;
        if reason != refusal.reason {
            wrong.push(format!(
                "{} {}: {reason}, not {}",
                refusal.version, refusal.name, refusal.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(recorded.lines().count() > 80);
}

async fn reason_of(refusal: &Refusal) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(serve(listener, refusal.clone()));
    let polled = poll_once(address, refusal).await;
    server.abort();
    polled
}

async fn poll_once(address: SocketAddr, refusal: &Refusal) -> String {
    let api = if refusal.name.starts_with("json2") {
        "json2"
    } else {
        "jsonrpc"
    };
    let (target, roles) = target::from_yaml(&format!(
        "{{name: it, url: 'http://{address}', database: prod, login: auditor, api_key: {}, api: {api}, timeout: 5s}}",
        target::CANARY
    ));
    let transport = Transport::new(&Clients::default(), Arc::clone(&target)).expect("a transport");
    let now = "2026-11-24T05:00:00Z".parse().expect("a time");
    match poll::once(&transport, &mut None, &target, &roles, Parts::ALL, now).await {
        Ok(_) => "success".into(),
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(!said.contains(target::CANARY), "the key shows in: {said}");
            assert!(
                !said.contains("<traceback>"),
                "a traceback shows in: {said}"
            );
            error.reason().to_string()
        }
    }
}

/// A server that returns its version and the account, and refuses everything else as recorded.
async fn serve(listener: TcpListener, refusal: Refusal) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(stream, refusal.clone()));
    }
}

async fn answer(mut stream: TcpStream, refusal: Refusal) {
    let request = read_request(&mut stream).await;
    let version = format!("[{}, 0, 0, \"final\", 0, \"\"]", refusal.version);
    let json = "application/json";
    let postgres_is_down = refusal.reason == "maintenance";
    let (status, content_type, body) = if request.starts_with("GET /web/version ") {
        (
            200,
            json,
            format!(
                "{{\"version\": \"{}.0\", \"version_info\": {version}}}",
                refusal.version
            ),
        )
    } else if request.starts_with("POST /web/webclient/version_info ") {
        let result = format!(
            "{{\"server_version\": \"{}.0\", \"server_version_info\": {version}}}",
            refusal.version
        );
        (
            200,
            json,
            format!("{{\"jsonrpc\": \"2.0\", \"id\": null, \"result\": {result}}}"),
        )
    } else if request.starts_with("GET /web/health?db_server_status=1 ") {
        (if postgres_is_down { 500 } else { 200 }, json, "{}".into())
    } else if request.contains("\"authenticate\"") && !refusal.name.contains("authenticate") {
        (
            200,
            json,
            "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": 5}".into(),
        )
    } else {
        match refusal.status {
            None => return,
            Some(status) => (status, refusal.content_type.as_str(), refusal.body.clone()),
        }
    };
    let head = format!(
        "HTTP/1.0 {status} Recorded\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap_or(0);
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            return text.into_owned();
        }
    }
}
