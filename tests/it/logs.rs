//! The log: one line per event, and nothing twice.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::eventually;
use crate::harness::fault_proxy::{Fault, FaultProxy};
use crate::harness::program::{Running, Stage, get, post};
use crate::harness::text::Text;

/// Reads a line of logfmt.
fn read(line: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').expect(line);
        assert!(
            key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{line}"
        );
        let value = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = values.next().expect(line).expect("quoted as JSON quotes");
            rest = &after[values.byte_offset()..];
            value
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            rest = &after[end..];
            after[..end].to_owned()
        };
        assert_eq!(
            fields.insert(key.to_owned(), value),
            None,
            "{key} twice in {line}"
        );
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_logged_when_it_begins_changes_and_ends() {
    let stage = Stage::new(&["erp"]).await;
    let proxy = FaultProxy::start(stage.server.address()).await;
    let mut target = stage.target("erp");
    target["url"] = json!(proxy.url());
    let defaults = json!({"interval": "2s", "timeout": "1900ms"});
    stage.configure(&json!({"defaults": defaults, "targets": [target]}));
    proxy.set(Fault::Reset);
    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let fails = async |reason: &str, times: f64| {
        eventually(&format!("{reason}, {times} times"), async || {
            let text = Text::read(&get(address, "/metrics").await.ok()?);
            let mut failures = text.of("odoo_poll_failures_total");
            let of_reason = failures.find(|sample| sample.labels["reason"] == reason)?;
            (of_reason.value >= times).then_some(())
        })
        .await;
    };
    fails("connect", 2.0).await;
    proxy.set(Fault::Answer(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
    ));
    fails("maintenance", 2.0).await;
    proxy.set(Fault::None);
    daemon.logs("polls succeed again").await;

    let log = daemon.log();
    let events: Vec<_> = log.lines().map(read).collect();
    let failed = events.iter().filter(|it| it["msg"] == "poll failed");
    let mut reasons: Vec<_> = failed.clone().map(|it| it["reason"].as_str()).collect();
    // On a busy machine a poll may take too long.
    reasons.retain(|reason| *reason != "timeout");
    reasons.dedup();
    assert_eq!(reasons, ["connect", "maintenance"], "{log}");
    for failure in failed {
        assert_eq!(
            (failure["target"].as_str(), failure["level"].as_str()),
            ("erp", "warn")
        );
        assert!(
            !failure["hint"].is_empty() && !failure["error"].is_empty(),
            "{failure:?}"
        );
    }
    let ended = events.iter().find(|it| it["msg"] == "polls succeed again");
    let after = &ended.expect("it was logged")["after"];
    let seconds: u64 = after.trim_end_matches('s').parse().expect("seconds");
    assert!((1..60).contains(&seconds), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_changes_while_it_runs() {
    let stage = Stage::new(&["erp"]).await;
    let defaults = json!({"interval": "2s", "timeout": "1900ms"});
    stage.configure(&json!({"defaults": defaults, "targets": [stage.target("erp")]}));
    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    assert_eq!(
        get(address, "/-/log-level").await.expect("an answer"),
        "info\n"
    );
    let (status, text) = post(address, "/-/log-level?level=debug").await;
    assert_eq!((status, text.as_str()), (200, "debug\n"));
    daemon
        .logs("level=debug msg=\"poll succeeded\" target=erp")
        .await;
    // Messages of libraries may contain secrets.
    for level in ["loud", "hyper=trace", "trace,reqwest=trace"] {
        let (status, text) = post(address, &format!("/-/log-level?level={level}")).await;
        assert_eq!(status, 400);
        assert!(text.contains("error, warn, info, debug or trace"), "{text}");
    }
    assert_eq!(
        get(address, "/-/log-level").await.expect("an answer"),
        "debug\n"
    );
    post(address, "/-/log-level?level=warn").await;
    let polled = async || {
        let text = Text::read(&get(address, "/metrics").await.ok()?);
        let mut polls = text.of("odoo_polls_total");
        Some(polls.find(|it| it.labels["result"] == "success")?.value)
    };
    let quiet = daemon.log().lines().count();
    let polls = polled().await.expect("a scrape");
    eventually("it polls twice more", async || {
        (polled().await? >= polls + 2.0).then_some(())
    })
    .await;
    // A poll that was under way may have logged its line at the old level.
    assert!(
        daemon.log().lines().count() <= quiet + 1,
        "{}",
        daemon.log()
    );
}

#[tokio::test]
async fn lines_suit_their_reader() {
    let stage = Stage::new(&["erp"]).await;
    stage.configure(&json!({"targets": [stage.target("erp")]}));
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(stage.path("log"));
    let file = file.expect("a file");
    let metadata = file.metadata().expect("metadata");
    let journal = format!("{}:{}", metadata.dev(), metadata.ino());
    let log = async |stream: &str, format: &str| {
        std::fs::write(stage.path("log"), "").expect("a file");
        let stderr = file.try_clone().expect("a file descriptor");
        let mut daemon = stage
            .daemon()
            .env("JOURNAL_STREAM", stream)
            .arg(format!("--log.format={format}"))
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let log = eventually("it listens", async || {
            let log = std::fs::read_to_string(stage.path("log")).ok()?;
            log.lines()
                .find(|line| line.contains("listening"))
                .map(str::to_owned)
        })
        .await;
        daemon.kill().await.expect("it runs");
        log
    };
    let line = log(&journal, "logfmt").await;
    assert!(line.starts_with("<6>ts="), "{line}");
    let line = log(&journal, "json").await;
    let event: Value = serde_json::from_str(line.strip_prefix("<6>").expect(&line)).expect("JSON");
    assert_eq!(
        (&event["level"], &event["message"], &event["targets"]),
        (&json!("INFO"), &json!("listening"), &json!(1))
    );
    let line = log("8:1234", "logfmt").await;
    assert_eq!(read(&line)["msg"], "listening");

    // A terminal: colors, unless they are disabled.
    let config = stage.path("config.yml").display().to_string();
    let terminal = async |no_color: &str| {
        let mut command = Command::new("script");
        let program = env!("CARGO_BIN_EXE_odoo-mfa-exporter");
        // An address that this host does not have.
        let inner =
            format!("{program} --web.listen-address=192.0.2.1:1 --config.file={config}; true");
        command
            .args(["-qec", &inner, "/dev/null"])
            .env("NO_COLOR", no_color);
        let output = command.stdin(Stdio::null()).output().await;
        let output = output.expect("script; install it: apt-get install bsdutils");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(
        terminal("")
            .await
            .contains("\u{1b}[31mERROR\u{1b}[0m cannot listen on 192.0.2.1:1")
    );
    assert!(
        terminal("1")
            .await
            .contains("ERROR cannot listen on 192.0.2.1:1")
    );
}
