//! Wrong clocks, by the real libfaketime: of this host, all the time or for a while.

use std::path::PathBuf;
use std::process::Command as Plain;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::alertmanager::{Alertmanager, Sink};
use crate::harness::eventually;
use crate::harness::program::{Running, Stage, get};

const ADMIN: &str = "OdooMfaAdminWithoutMfa";

/// The library that `faketime` of Debian loads.
fn libfaketime() -> PathBuf {
    let listed = Plain::new("dpkg").args(["-L", "libfaketime"]).output();
    let listed = listed.expect("dpkg").stdout;
    let found = String::from_utf8_lossy(&listed);
    let library = found.lines().find(|it| it.ends_with("libfaketimeMT.so.1"));
    library
        .expect("libfaketime is needed: apt-get install faketime")
        .into()
}

/// The wall clock of a program, which a file moves while it runs. Its monotonic clock is the real one.
struct WrongClock(PathBuf);

impl WrongClock {
    fn of(command: &mut Command, stage: &Stage) -> Self {
        let file = stage.path("clock");
        command
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", &file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let clock = Self(file);
        clock.set("+0");
        clock
    }

    fn set(&self, offset: &str) {
        // At once: half a file would be another time.
        let next = self.0.with_extension("next");
        std::fs::write(&next, offset).expect("a file");
        std::fs::rename(next, &self.0).expect("renamed");
    }
}

/// The figures of a target that follow from what Odoo said.
async fn figures(running: &Running) -> Vec<String> {
    let address = running.address().await;
    let text = eventually("figures of a poll", async || {
        let text = get(address, "/metrics").await.ok()?;
        let counted = text.contains("\nodoo_baseline_breaks_total{");
        (counted && text.contains("\nodoo_users{")).then_some(text)
    })
    .await;
    let of_polls = ["poll", "odoo_mfa_exporter", "odoo_up", "requests"];
    let lines = text.lines().filter(|line| line.starts_with("odoo_"));
    lines
        .filter(|line| !of_polls.iter().any(|part| line.contains(part)))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_of_this_host_changes_no_figure_and_is_reported() {
    let stage = Stage::new(&["erp"]).await;
    stage.configure(&json!({
        "defaults": {"grace": "30d"},
        "targets": [stage.target("erp")],
    }));
    let right = Running::start(&mut stage.daemon());
    let expected = figures(&right).await;
    for name in [
        "odoo_api_keys_by_age{",
        "odoo_mfa_grace_users{",
        "odoo_mfa_dormant",
    ] {
        assert!(expected.iter().any(|line| line.starts_with(name)), "{name}");
    }
    for (offset, days) in [("+1000d", "behind"), ("-1000d", "ahead of")] {
        let mut command = stage.daemon();
        command.env("ODOO_MFA_EXPORTER_STORAGE_PATH", ":memory:");
        WrongClock::of(&mut command, &stage).set(offset);
        let wrong = Running::start(&mut command);
        assert_eq!(figures(&wrong).await, expected, "{offset}");
        wrong
            .logs(&format!("Odoo's clock is 1000 days {days} the exporter's"))
            .await;
        let findings = get(wrong.address().await, "/targets/erp").await;
        let findings = findings.expect("an answer");
        assert!(findings.contains("clock is 1000 days"), "{findings}");
    }
}

/// Ahead by 1,000 days for a while: pending alerts continue to wait, nothing starts in the future, and what is resolved after the correction is resolved
/// in Alertmanager.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_keep_their_ages_while_the_clock_is_set() {
    let (sink, server) = Sink::start().await;
    let am = Alertmanager::start(&server.url("/")).await;
    let stage = Stage::new(&["erp"]).await;
    let database = &stage.server.databases()[0];
    stage.configure(&json!({
        "defaults": {"interval": "1s", "timeout": "900ms"},
        "targets": [stage.target("erp")],
        "alerting": {
            "alertmanagers": [{"url": am.url("")}],
            "evaluation_interval": "200ms", "resend_interval": "1s",
            "rules": {
                ADMIN: {"for": "0s"},
                "OdooMfaPrivilegedWithoutMfa": {"for": "1h"},
                "OdooMfaTargetStale": {"for": "0s"},
            },
        },
    }));
    let mut command = stage.daemon();
    let clock = WrongClock::of(&mut command, &stage);
    let daemon = Running::start(&mut command);
    let address = daemon.address().await;
    let alerts = async |name: &str| {
        let answer = get(address, "/api/v1/alerts").await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        let all = answer["data"]["alerts"].as_array()?.clone();
        all.into_iter().find(|it| it["labels"]["alertname"] == name)
    };
    let before = sink.first(ADMIN, "firing").await;
    let waits = eventually("an alert waits", || alerts("OdooMfaPrivilegedWithoutMfa")).await;
    assert_eq!(waits["state"], "pending");

    clock.set("+1000d");
    daemon.logs("the clock was set").await;
    let ahead = eventually("times move with the clock", async || {
        let alert = alerts("OdooMfaPrivilegedWithoutMfa").await?;
        (alert["activeAt"] != waits["activeAt"]).then_some(alert)
    })
    .await;
    assert_eq!(ahead["state"], "pending", "{ahead}");
    // A poll that ends in that moment may be dated by the clock before; the next one is not.
    let not_stale = async || alerts("OdooMfaTargetStale").await.is_none().then_some(());
    eventually("no target is stale", not_stale).await;
    let time = |alert: &Value| -> Timestamp {
        alert["activeAt"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time")
    };
    let moved = time(&ahead).duration_since(time(&waits));
    let off = moved - SignedDuration::from_hours(1000 * 24);
    assert!(off.abs() < SignedDuration::from_secs(5), "{off:?}");
    // Alertmanager hears of it by the wrong clock.
    eventually("Alertmanager is sent it again", async || {
        let all = am.get("api/v2/alerts").await?;
        let ends = all
            .as_array()?
            .iter()
            .any(|it| it["endsAt"].as_str() > Some("2028"));
        ends.then_some(())
    })
    .await;

    clock.set("+0");
    eventually("the clock is set back", async || {
        let alert = alerts("OdooMfaPrivilegedWithoutMfa").await?;
        let off = time(&alert).duration_since(time(&waits));
        (alert["state"] == "pending" && off.abs() < SignedDuration::from_secs(5)).then_some(())
    })
    .await;
    eventually("no target is stale", not_stale).await;
    {
        let mut world = database.world_mut();
        let everybody: Vec<u32> = world.users().map(|user| user.id()).collect();
        for id in everybody {
            world.enroll(id);
        }
    }
    let after = sink.first(ADMIN, "resolved").await;
    let began = |it: &Value| -> Timestamp {
        it["alerts"][0]["startsAt"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time")
    };
    assert!(began(&after) <= Timestamp::now(), "{after}");
    assert_eq!(after["alerts"][0]["labels"], before["alerts"][0]["labels"]);
    eventually("Alertmanager has it no more", async || {
        let all = am.get("api/v2/alerts").await?;
        let gone = all
            .as_array()?
            .iter()
            .all(|it| it["labels"]["alertname"] != ADMIN);
        gone.then_some(())
    })
    .await;
    server.stop().await;
}
