//! A malicious server: any answer costs one poll of one target, and little of that.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Error, Transport};
use odoo_mfa_exporter::poll;
use serde_json::json;
use tokio::process::Command;

use crate::harness::program::{Running, get};
use crate::harness::scripted::{Answer, DATABASE, Pace, Request, Scripted, odoo_19};
use crate::harness::target;

/// Additional memory that the process may use for one hostile target.
const MEMORY: u64 = 64 << 20;

/// CPU time of one poll; ten times as much in a build without optimization. `make prove` measures one with it.
const CORE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

/// Polls a server once.
async fn polled(server: &Scripted) -> Error {
    odoo_mfa_exporter::runtime::install_crypto();
    let (target, roles) = target::from_yaml(&format!(
        "{{name: it, url: '{}', database: {DATABASE}, login: auditor, api_key: {}, timeout: 20s, api: json2}}",
        server.url(),
        target::CANARY
    ));
    // Reading the system's certificates takes a while.
    static CLIENTS: LazyLock<Clients> = LazyLock::new(Clients::default);
    let transport = Transport::new(&CLIENTS, Arc::clone(&target)).expect("a transport");
    let now = "2026-11-24T05:00:00Z".parse().expect("a time");
    let mut session = None;
    let once = poll::once(&transport, &mut session, &target, &roles, Parts::ALL, now);
    once.await.expect_err("a hostile server's numbers")
}

/// A small Odoo that answers one path in its own way.
async fn answering(
    path: &'static str,
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |request| {
        if request.is_for(path) {
            answer(request)
        } else {
            odoo_19(request)
        }
    })
    .await
}

#[tokio::test]
async fn each_kind_of_reply_has_a_limit() {
    let large = |item: &str, size: usize| format!("[{}0]", item.repeat(size / item.len()));
    for (path, body) in [
        (
            "/json/2/res.users/context_get",
            format!("{{\"uid\": 5, \"x\": {}}}", large("{\"a\":0},", 100_000)),
        ),
        (
            "/web/webclient/version_info",
            format!(
                "{{\"jsonrpc\": \"2.0\", \"result\": {{\"server_version\": \"{}\"}}}}",
                "9".repeat(100_000)
            ),
        ),
        ("/json/2/res.groups/search_read", large("{},", 5 << 20)),
        ("/json/2/res.users/search", large("1,", 17 << 20)),
    ] {
        let server = answering(path, move |_| Answer::json(body.clone())).await;
        let error = polled(&server).await;
        assert_eq!(error.reason().as_str(), "too_large", "{path}: {error}");
    }
}

#[tokio::test]
async fn pages_that_do_not_rise_end_the_poll() {
    let page: Vec<u32> = (1..=500_000).collect();
    let page = json!(page).to_string();
    let server = answering("/json/2/res.users/search", move |_| {
        Answer::json(page.clone())
    })
    .await;
    let error = polled(&server).await;
    assert_eq!(error.reason().as_str(), "protocol", "{error}");
    assert!(server.requests() < 12, "{} requests", server.requests());
    // The same page of rows, again and again.
    let rows: Vec<_> = (1..=5_000)
        .map(|id| json!({"id": id, "all_group_ids": []}))
        .collect();
    let rows = json!(rows).to_string();
    let server = answering("/json/2/res.users/search_read", move |request| {
        let is_page = String::from_utf8_lossy(&request.body).contains("\"limit\"");
        if is_page {
            Answer::json(rows.clone())
        } else {
            odoo_19(request)
        }
    })
    .await;
    let error = polled(&server).await;
    assert_eq!(error.reason().as_str(), "protocol", "{error}");
    assert!(server.requests() < 24, "{} requests", server.requests());
}

#[tokio::test]
async fn numbers_that_cannot_be_are_refused() {
    for (path, body) in [
        ("/json/2/res.users/search_count", "4294967338"),
        ("/json/2/res.users/search_count", "-1"),
        ("/json/2/res.users/search", "[5, 5]"),
        ("/json/2/res.users/search", "[6, 5]"),
        (
            "/json/2/res.groups/search_read",
            "[{\"id\": 1}, {\"id\": 1}]",
        ),
    ] {
        let server = answering(path, move |_| Answer::json(body)).await;
        let error = polled(&server).await;
        assert_eq!(
            error.reason().as_str(),
            "protocol",
            "{path} {body}: {error}"
        );
    }
}

#[tokio::test]
async fn a_message_is_short_printable_and_holds_neither_key_nor_values() {
    let key = target::CANARY;
    let long = format!("\\u001b]0;owned\\u0007 {} {key}", "x".repeat(10_000));
    let answers = [
        Answer::new(
            401,
            "content-type: application/json\r\n",
            format!("{{\"name\": \"{long}\", \"message\": \"{key} {long}\"}}"),
        ),
        Answer::new(
            500,
            "content-type: application/json\r\n",
            format!("{{\"name\": \"{key}\", \"message\": \"Bearer {key} {long}\"}}"),
        ),
        Answer::new(
            302,
            &format!(
                "location: https://sso.example.com/?key={key}&{}\r\n",
                "y".repeat(5000)
            ),
            "",
        ),
        Answer::json(format!("{{\"uid\": \"{key} {long}\"}}")),
        Answer::json(format!("{{\"{key}{long}\": 1, \"uid\": [\"{key}\"]}}")),
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let server = answering("/json/2/res.users/context_get", move |_| answer.clone()).await;
        harmless(&polled(&server).await, &shown[..100]);
    }
}

/// Any JSON in any place is an error of the poll: never a panic, and never a text that a terminal obeys or that repeats the key.
#[tokio::test]
async fn no_reply_of_a_wrong_shape_is_more_than_an_error() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let key = target::CANARY;
    let bodies = [
        "null".to_owned(),
        "true".to_owned(),
        "-1".to_owned(),
        "1e999".to_owned(),
        format!("1{}", "0".repeat(400)),
        format!("\"\\u0000\\u001b[2J\\u009b {key}\""),
        "[]".to_owned(),
        "{}".to_owned(),
        "[null]".to_owned(),
        "[[]]".to_owned(),
        "[{}]".to_owned(),
        "[4294967295]".to_owned(),
        format!("[{{\"id\": 5, \"id\": 5, \"name\": \"{key}\"}}]"),
        "{\"uid\": 5, \"uid\": 6}".to_owned(),
        "{\"5\": \"\\u001b[31m\"}".to_owned(),
        format!("{{\"uid\": 5, \"x\": {deep}}}"),
        deep,
        "[5".to_owned(),
        String::new(),
        "\u{0}".to_owned(),
    ];
    for path in [
        "/web/webclient/version_info",
        "/json/2/res.users/context_get",
        "/json/2/res.users/exists",
        "/json/2/res.users/get_external_id",
        "/json/2/res.users/fields_get",
        "/json/2/res.groups/search_read",
        "/json/2/res.groups/get_metadata",
        "/json/2/res.users/search_read",
        "/json/2/res.users/search",
        "/json/2/res.users/search_count",
        "/json/2/res.users/read",
        "/json/2/res.partner/search_count",
    ] {
        for body in &bodies {
            let shown: String = body.chars().take(40).collect();
            let body = body.clone();
            let server = answering(path, move |_| Answer::json(body.clone())).await;
            let error = polled(&server).await;
            assert_ne!(
                error.reason().as_str(),
                "internal",
                "{path} {shown}: {error}"
            );
            harmless(&error, &shown);
        }
    }
}

/// A text with the key and control characters in each place of a reply from which a text is kept or said.
#[tokio::test]
async fn a_key_that_is_sent_back_is_found_in_every_place() {
    let key = target::CANARY;
    let text = format!("\\u0000\\u001b]0;owned\\u0007 Bearer {key}");
    let version = |version: &str, info: &str| {
        Answer::json(format!(
            "{{\"jsonrpc\": \"2.0\", \"result\": {{\"server_version\": \"{version}\", \"server_version_info\": {info}}}}}"
        ))
    };
    let no_database = Answer::new(
        404,
        "content-type: text/html\r\n",
        "No database is selected",
    );
    let json = "content-type: application/json\r\n";
    for (path, answer) in [
        ("/web/webclient/version_info", version(&text, "[13, 0]")),
        (
            "/web/webclient/version_info",
            version(&text, &format!("[\"{text}\", 0]")),
        ),
        (
            "/web/webclient/version_info",
            version(&text, &format!("\"{text}\"")),
        ),
        (
            "/web/webclient/version_info",
            Answer::new(200, &format!("content-type: text/{key}\r\n"), key),
        ),
        (
            "/web/webclient/version_info",
            Answer::new(418, "", format!("Bearer {key}")),
        ),
        (
            "/json/2/res.users/context_get",
            Answer::new(429, &format!("retry-after: {key}\r\n"), key),
        ),
        (
            "/json/2/res.users/context_get",
            Answer::new(
                403,
                json,
                format!("{{\"name\": \"odoo.exceptions.AccessError\", \"message\": \"{text}\"}}"),
            ),
        ),
        (
            "/json/2/res.users/fields_get",
            Answer::new(
                422,
                json,
                format!("{{\"name\": \"builtins.ValueError\", \"message\": \"{text}\"}}"),
            ),
        ),
        (
            "/json/2/res.users/fields_get",
            Answer::json(format!("{{\"{text}\": {{\"searchable\": \"{text}\"}}}}")),
        ),
        ("/json/2/res.users/fields_get", no_database),
        (
            "/json/2/res.groups/get_metadata",
            Answer::json(format!("[{{\"id\": 1, \"xmlid\": [\"{text}\"]}}]")),
        ),
    ] {
        let shown = format!("{path} {}", answer.status);
        let server = answering(path, move |_| answer.clone()).await;
        harmless(&polled(&server).await, &shown);
    }
}

/// Asserts that an error is short and printable, and does not hold the key.
fn harmless(error: &Error, shown: &str) {
    let said = error.to_string();
    assert!(
        !said.contains(&target::CANARY[..12]),
        "{shown}: the key shows in: {said}"
    );
    assert!(!said.contains(char::is_control), "{shown}: {said:?}");
    assert!(said.chars().count() <= 501, "{shown}: {said}");
}

/// The last line: a process under a limit. Each of these answers took gigabytes, or until the deadline, or a core for all that time.
#[tokio::test]
async fn one_hostile_target_costs_little_memory_and_time() {
    let quiet = cost(None).await;
    let zeros = {
        let mut zip = GzEncoder::new(Vec::new(), Compression::best());
        zip.write_all(&vec![b' '; 400 << 20]).expect("memory");
        zip.finish().expect("memory")
    };
    let nothing = {
        let zip = GzEncoder::new(Vec::new(), Compression::best());
        let member = zip.finish().expect("memory");
        member.repeat((64 << 20) / member.len())
    };
    let next = AtomicU32::new(1);
    let rising = move |_: &Request| {
        let first = next.fetch_add(6_500_000, Ordering::Relaxed);
        let ids: Vec<u32> = (0..500_000).map(|at| first + 13 * at).collect();
        Answer::json(json!(ids).to_string())
    };
    let groups = {
        let ids = "1000,".repeat(400);
        let row = |id: u32| format!("{{\"id\":{id},\"all_implied_ids\":[{}1]}}", &ids[..]);
        let rows: Vec<String> = (1..2_000).map(row).collect();
        format!("[{}]", rows.join(","))
    };
    let context = format!("{{\"uid\":5,\"x\":[{}0]}}", "{\"a\":0},".repeat(3_900_000));
    type Answers = Box<dyn Fn(&Request) -> Answer + Send + Sync>;
    let hostile: Vec<(&str, &'static str, Answers)> = vec![
        (
            "31 MB of objects",
            "/json/2/res.users/context_get",
            Box::new(move |_| Answer::json(context.clone())),
        ),
        (
            "objects inside the limit",
            "/json/2/res.users/context_get",
            Box::new(|_| Answer::json(format!("{{\"uid\":5,\"x\":[{}0]}}", "[],".repeat(20_000)))),
        ),
        (
            "a compressed flood",
            "/json/2/res.users/search",
            Box::new(move |_| {
                Answer::new(
                    200,
                    "content-type: application/json\r\ncontent-encoding: gzip\r\n",
                    zeros.clone(),
                )
            }),
        ),
        (
            "ids without an end",
            "/json/2/res.users/search",
            Box::new(rising),
        ),
        (
            "an id far away",
            "/json/2/res.users/search",
            Box::new(|_| Answer::json("[5, 4294967290]")),
        ),
        (
            "crumbs",
            "/json/2/res.users/search",
            Box::new(|_| Answer::json(vec![b' '; 10 << 20]).paced(Pace::Chunks(1))),
        ),
        (
            "groups of groups",
            "/json/2/res.groups/search_read",
            Box::new(move |_| Answer::json(groups.clone())),
        ),
        (
            "headers without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless("HTTP/1.1 200 OK\r\n", "a: b\r\n")),
        ),
        (
            "a header without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless("HTTP/1.1 200 OK\r\na: ", "a")),
        ),
        (
            "interim answers without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless("", "HTTP/1.1 103 Early Hints\r\n\r\n")),
        ),
        (
            "chunks without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless(CHUNKED, "1\r\n \r\n")),
        ),
        (
            "compressed nothing without an end",
            "/json/2/res.users/search",
            Box::new(move |_| {
                let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
                Answer::new(200, headers, nothing.clone())
            }),
        ),
        (
            "an extension of a chunk without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless(CHUNKED, "1;a")),
        ),
        (
            "trailers without an end",
            "/json/2/res.users/search",
            Box::new(|_| endless(TRAILERS, "a: b\r\n")),
        ),
        (
            "headers byte by byte",
            "/json/2/res.users/search",
            Box::new(|_| {
                let head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "a".repeat(200_000));
                Answer::new(200, "", head).paced(Pace::Bytes)
            }),
        ),
    ];
    for (what, path, answer) in hostile {
        let server = answering(path, answer).await;
        let (memory, time) = cost(Some(&server)).await;
        let memory = memory.saturating_sub(quiet.0);
        println!("{what}: {} MB, {time:?}", memory >> 20);
        assert!(memory < MEMORY, "{what}: {} MB", memory >> 20);
        assert!(time < CORE, "{what}: {time:?} of a core");
    }
}

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
const TRAILERS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";

fn endless(start: &'static str, again: &'static str) -> Answer {
    Answer::json("").paced(Pace::Endless(start, again))
}

/// The largest memory and the time of a daemon that polls a target once, without a result.
async fn cost(server: Option<&Scripted>) -> (u64, Duration) {
    odoo_mfa_exporter::runtime::install_crypto();
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config.yml");
    let url = server.map_or_else(|| "http://127.0.0.1:1".to_owned(), Scripted::url);
    let target = json!({
        "name": "hostile", "url": url, "database": DATABASE, "login": "auditor", "api_key": target::CANARY, "interval": "1h", "timeout": "30s",
    });
    std::fs::write(&config, json!({"targets": [target]}).to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    command.arg("--config.file").arg(config);
    command.args([
        "--storage.path=:memory:",
        "--web.listen-address=127.0.0.1:0",
    ]);
    let daemon = Running::start(&mut command);
    let address = daemon.address().await;
    let polled = async {
        while !daemon.log().contains("poll failed") {
            get(address, "/-/healthy").await.expect("healthy");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(240), polled).await;
    within.unwrap_or_else(|_| panic!("the poll does not end: {}", daemon.log()));
    let id = daemon.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a line");
    let peak: u64 = peak
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = [11, 12]
        .map(|at: usize| fields[at].parse::<u64>().expect("a number"))
        .iter()
        .sum();
    (peak << 10, Duration::from_millis(ticks * 10))
}
