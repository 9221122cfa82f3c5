//! The protocols of systemd: notifications, and the socket that it passes.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use odoo_mfa_exporter::domain::Shard;
use odoo_mfa_exporter::exposition::ExporterState;
use odoo_mfa_exporter::poll::Pulse;
use odoo_mfa_exporter::runtime::{Patience, Stuck, Vitals};
use serde_json::json;
use tokio::process::Command;

use crate::harness::eventually;
use crate::harness::program::{Notified, Running, Stage, get};

#[tokio::test(flavor = "multi_thread")]
async fn systemd_gets_readiness_status_and_watchdog_notifications() {
    let stage = Stage::new(&["erp"]).await;
    let mut target = stage.target("erp");
    target
        .as_object_mut()
        .expect("a mapping")
        .remove("api_key_file");
    target["api_key_credential"] = json!("erp.key");
    stage.configure(&json!({"targets": [target]}));
    let notified = Notified::at(&stage);
    let mut daemon = Running::start(
        stage
            .daemon()
            .env("NOTIFY_SOCKET", stage.path("notify"))
            .env("WATCHDOG_USEC", "4000000")
            .env("CREDENTIALS_DIRECTORY", stage.directory.path()),
    );
    let ready = notified.next("READY=1").await;
    assert!(
        ready.contains("STATUS=targets: 0 up, 0 down, 1 not polled yet"),
        "{ready}"
    );
    let metrics = get(daemon.address().await, "/metrics").await;
    assert!(
        metrics
            .expect("a scrape")
            .contains("odoo_mfa_exporter_targets")
    );
    let status = notified
        .next("STATUS=targets: 1 up, 0 down; next poll 2")
        .await;
    assert!(status.contains("; configuration of 2"), "{status}");
    for _ in 0..3 {
        notified.next("WATCHDOG=1").await;
    }
    daemon.signal("TERM").await;
    notified.next("STOPPING=1").await;
    assert!(daemon.ended().await.success(), "{}", daemon.log());
}

#[tokio::test]
async fn whatever_does_not_go_on_stops_the_watchdog() {
    let exporter = ExporterState::new(Shard::WHOLE);
    let pulse = Arc::new(Pulse::default());
    let vitals = |address, patience| {
        Vitals::new(Arc::clone(&pulse), Arc::clone(&exporter), address, patience)
    };
    let impatient = Patience {
        http: Duration::from_millis(200),
        ..Patience::default()
    };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("an address");
    let mut watching = vitals(address, impatient);
    assert_eq!(
        watching.check().await,
        Err(Stuck::Http),
        "no server accepts"
    );
    drop(silent);
    assert_eq!(
        watching.check().await,
        Err(Stuck::Http),
        "the port is closed"
    );
    let mut fresh = vitals(address, impatient);
    assert_eq!(
        fresh.check().await,
        Ok(()),
        "it was never open: a filter, perhaps"
    );

    let closing = tokio::net::TcpListener::bind("127.0.0.1:0");
    let closing = closing.await.expect("a free port");
    let address = closing.local_addr().expect("an address");
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let mut patient = vitals(address, Patience::default());
    assert_eq!(patient.check().await, Ok(()), "closing is a reaction");

    let no_time = Patience {
        poll: Duration::ZERO,
        ..Patience::default()
    };
    let poll = exporter.poll_started(Duration::ZERO, Duration::from_secs(600));
    assert_eq!(
        vitals(address, no_time).check().await,
        Ok(()),
        "it has time"
    );
    drop(poll);
    let poll = exporter.poll_started(Duration::ZERO, Duration::ZERO);
    assert_eq!(patient.check().await, Ok(()), "it is just over its time");
    let stuck = vitals(address, no_time).check().await;
    assert!(matches!(stuck, Err(Stuck::Poll(_))), "{stuck:?}");
    drop(poll);
    assert_eq!(vitals(address, no_time).check().await, Ok(()));

    // A poll is due, and does not start.
    pulse.set(Some(tokio::time::Instant::now()));
    assert_eq!(patient.check().await, Ok(()), "it is just due");
    let no_time = Patience {
        scheduler: Duration::ZERO,
        ..Patience::default()
    };
    let stuck = vitals(address, no_time).check().await;
    assert!(matches!(stuck, Err(Stuck::Scheduler(_))), "{stuck:?}");
}

/// A passed socket stays open in the caller, so connections wait while the daemon is not running.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_scrape_where_the_socket_is_passed() {
    let stage = Stage::new(&["erp"]).await;
    stage.configure(&json!({"targets": [stage.target("erp")]}));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("an address");
    let mut daemon = Running::start(&mut stage.activated(&socket));
    assert_eq!(daemon.address().await, address);
    let scraping = tokio::spawn(async move {
        let started = Instant::now();
        let mut scrapes = 0;
        while started.elapsed() < Duration::from_secs(6) {
            let text = get(address, "/metrics").await.expect("no scrape is lost");
            assert!(text.contains("odoo_mfa_exporter_build_info"), "{text}");
            scrapes += 1;
        }
        scrapes
    });
    while !scraping.is_finished() {
        daemon.signal("TERM").await;
        assert!(daemon.ended().await.success(), "{}", daemon.log());
        daemon = Running::start(&mut stage.activated(&socket));
        daemon.address().await;
    }
    let scrapes = scraping.await.expect("no scrape is lost");
    assert!(scrapes > 10, "{scrapes} scrapes only");
}

#[tokio::test]
async fn sockets_are_taken_from_systemd_itself_and_others_are_refused() {
    let stage = Stage::new(&["erp"]).await;
    stage.configure(&json!({"targets": [stage.target("erp")]}));
    let activate = |listen: &str| {
        let mut command = Command::new("systemd-socket-activate");
        command.arg(format!("--listen={listen}"));
        command.arg(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
        stage.options(&mut command);
        command.stdout(Stdio::null());
        Running::start(&mut command)
    };
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let daemon = activate(&address.to_string());
    let text = eventually("the first connection starts it", async || {
        get(address, "/metrics").await.ok()
    })
    .await;
    assert!(text.contains("odoo_mfa_exporter_build_info"), "{text}");
    assert_eq!(daemon.address().await, address, "and not at :9893");

    let path = stage.path("socket").display().to_string();
    let mut daemon = activate(&path);
    eventually("something connects", async || {
        tokio::net::UnixStream::connect(&path).await.ok()
    })
    .await;
    assert_eq!(daemon.ended().await.code(), Some(1));
    assert!(
        daemon.log().contains("ListenStream=9893"),
        "{}",
        daemon.log()
    );
}
