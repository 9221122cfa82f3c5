//! The daemon against a server that fails: it says why, withdraws the numbers at once, and comes back.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use odoo_mfa_exporter::runtime::Daemon;
use odoo_mfa_exporter::store::{Limits, Location, Store};
use odoo_simulator::{AccountKind, Kind};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::fault_proxy::{Fault, FaultProxy};
use crate::harness::odoo::Odoo;
use crate::harness::program::{Running, Stage, get};
use crate::harness::{eventually, settings, target};

/// Each fault, and the reason it stands for.
const FAULTS: &[(&str, Fault, &str)] = &[
    ("reset", Fault::Reset, "connect"),
    ("cut", Fault::Cut, "connect"),
    ("silence", Fault::Silence, "timeout"),
    (
        "garbage",
        Fault::Answer("\x16\x03\x01 this is no HTTP\r\n\r\n"),
        "http_status",
    ),
    (
        "not-json",
        Fault::Answer(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":",
        ),
        "protocol",
    ),
    ("endless", Fault::Endless, "too_large"),
    (
        "redirect",
        Fault::Answer(
            "HTTP/1.1 302 Found\r\nLocation: https://sso.example.com/\r\nContent-Length: 0\r\n\r\n",
        ),
        "http_status",
    ),
    (
        "forbidden",
        Fault::Answer(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        ),
        "http_status",
    ),
    (
        "unavailable",
        Fault::Answer(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        ),
        "maintenance",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_says_why_shows_no_number_and_comes_back() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Odoo {
        server,
        database,
        account,
    } = Odoo::start(AccountKind::Full).await;
    let address = server
        .url()
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let mut proxies = BTreeMap::new();
    for (name, ..) in FAULTS {
        proxies.insert(*name, FaultProxy::start(address).await);
    }
    let targets: Vec<_> = proxies
        .iter()
        .map(|(name, proxy)| {
            serde_json::json!({
                "name": name, "url": proxy.url(), "database": "prod", "api_key": account.api_key,
            })
        })
        .collect();
    let config = target::config(&serde_json::json!({"defaults": {"interval": "2s", "timeout": "1900ms"}, "targets": targets}).to_string());
    let store = Store::open(Location::Memory, Limits::default()).expect("a store in memory");
    let daemon = Daemon::prepare(&config, settings(Some(store)))
        .await
        .expect("a free port");
    let metrics = format!("http://{}/metrics", daemon.address().expect("an address"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let scrape = async || reqwest::get(&metrics).await.ok()?.text().await.ok();
    let all_up = async || {
        let text = scrape().await?;
        let up = |name: &str| text.contains(&format!("odoo_up{{target=\"{name}\"}} 1"));
        FAULTS.iter().all(|(name, ..)| up(name)).then_some(text)
    };

    let text = eventually("all targets are up", all_up).await;
    assert!(text.contains("odoo_users{target=\"cut\""), "{text}");

    for (name, fault, _) in FAULTS {
        proxies[name].set(*fault);
    }
    for (name, _, reason) in FAULTS {
        let failing = format!("odoo_poll_failing{{target=\"{name}\",reason=\"{reason}\"}} 1");
        let text = eventually(&failing, async || {
            scrape().await.filter(|text| text.contains(&failing))
        })
        .await;
        for family in [
            "odoo_users",
            "odoo_mfa_coverage_ratio",
            "odoo_api_keys",
            "odoo_mfa_policy",
        ] {
            assert!(
                !text.contains(&format!("{family}{{target=\"{name}\"")),
                "{family} of {name} is still shown"
            );
        }
        for family in [
            "odoo_capability",
            "odoo_mfa_transitions_total",
            "odoo_target_info",
            "odoo_polls_total",
        ] {
            assert!(
                text.contains(&format!("{family}{{target=\"{name}\"")),
                "{family} of {name} is gone"
            );
        }
    }

    for (name, ..) in FAULTS {
        proxies[name].set(Fault::None);
    }
    eventually("all targets are up again", all_up).await;
    let log = database.log();
    assert_eq!(log.writes(), 0, "nothing was written");
    assert_eq!(log.secrets(), 0, "no secret was asked for");
    let page = scrape().await.expect("a scrape");
    assert!(
        !page.contains(&account.api_key),
        "the key shows in the metrics"
    );
    stop.cancel();
    running.await.expect("no panic").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn families_that_are_switched_off_cost_no_request() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Odoo {
        server,
        database,
        account,
    } = Odoo::start(AccountKind::Full).await;
    let config = target::config(
        &serde_json::json!({
            "metrics": {"disable": ["odoo_api_key*", "odoo_poller_key*", "odoo_mfa_trusted_device*"]},
            "targets": [{"name": "erp", "url": server.url(), "database": "prod", "api_key": account.api_key}],
        })
        .to_string(),
    );
    let daemon = Daemon::prepare(&config, settings(None))
        .await
        .expect("a free port");
    let metrics = format!("http://{}/metrics", daemon.address().expect("an address"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let text = eventually("the target is up", async || {
        let text = reqwest::get(&metrics).await.ok()?.text().await.ok()?;
        text.contains("odoo_up{target=\"erp\"} 1").then_some(text)
    })
    .await;
    for model in ["res.users.apikeys", "auth_totp.device"] {
        assert_eq!(
            database.log().count(model, "search_read"),
            0,
            "{model} is read"
        );
    }
    assert!(!text.contains("odoo_api_key"), "{text}");
    assert!(
        !text.contains("capability=\"api_keys\""),
        "what is not asked is neither there nor missing"
    );
    assert!(text.contains("odoo_role_users{target=\"erp\""), "{text}");
    stop.cancel();
    running.await.expect("no panic").expect("a clean end");
}

/// A disk that does not take what a poll found delays no figure, and what needs the store is absent. `BEGIN IMMEDIATE` locks the store as
/// an operator's `sqlite3` does.
#[tokio::test]
async fn a_locked_store_delays_no_figure() {
    let stage = Stage::new(&["prod"]).await;
    stage.configure(&json!({
        "defaults": {"interval": "2s", "timeout": "1900ms"},
        "targets": [stage.target("prod")],
    }));
    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let scrape = async || get(address, "/metrics").await.ok();
    let active = |text: &str| {
        let name = "odoo_users{target=\"prod\",user_type=\"internal\",state=\"active\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.parse::<u64>().ok()
    };
    let losses = |text: &str| text.contains("odoo_mfa_recently_unprotected_users{");
    let before = eventually("a poll is compared", async || {
        let text = scrape().await?;
        losses(&text).then(|| active(&text))?
    })
    .await;

    let operator = rusqlite::Connection::open(stage.path("store.db")).expect("the store");
    operator.execute_batch("BEGIN IMMEDIATE").expect("locked");
    stage.server.databases()[0].world_mut().hire(Kind::Internal);
    let shown = eventually("the new user is shown", async || {
        scrape()
            .await
            .filter(|text| active(text) == Some(before + 1))
    })
    .await;
    assert!(
        shown.contains("odoo_mfa_exporter_store_errors_total 0"),
        "the figures waited for the store: {shown}"
    );
    // The store gives a write 10 s. The next polls do not wait for it.
    stage.server.databases()[0].world_mut().hire(Kind::Internal);
    let next = eventually("the next user is shown", async || {
        scrape()
            .await
            .filter(|text| active(text) == Some(before + 2))
    });
    let next = tokio::time::timeout(Duration::from_secs(8), next).await;
    next.expect("figures are not frozen while the store hangs");
    let failed = eventually("the store fails", async || {
        scrape()
            .await
            .filter(|text| !text.contains("odoo_mfa_exporter_store_errors_total 0"))
    })
    .await;
    assert!(failed.contains("odoo_up{target=\"prod\"} 1"), "{failed}");
    eventually("what needs the store is absent", async || {
        scrape().await.filter(|text| !losses(text))
    })
    .await;

    operator.execute_batch("ROLLBACK").expect("unlocked");
    eventually("the poll after it is compared", async || {
        scrape().await.filter(|text| losses(text))
    })
    .await;
}

/// A disk that does not even let the store be read costs a poll none of its time. Another process holds the locks of all readers.
#[tokio::test]
async fn a_store_that_hangs_fails_no_poll() {
    const LOCKS: &str = "import fcntl, sys
store = open(sys.argv[1], 'r+b')
fcntl.lockf(store, fcntl.LOCK_EX, 8, 120)
print('locked', flush=True)
sys.stdin.read()";
    let stage = Stage::new(&["prod"]).await;
    stage.configure(&json!({
        "defaults": {"interval": "3s", "timeout": "2900ms"},
        "targets": [stage.target("prod")],
    }));
    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let scrape = async || get(address, "/metrics").await.ok();
    let compared = |text: &str| text.contains("odoo_mfa_recently_unprotected_users{");
    eventually("a poll is compared", async || {
        scrape().await.filter(|text| compared(text))
    })
    .await;
    let mut holder = Command::new("python3")
        .args(["-c", LOCKS])
        .arg(stage.path("store.db-shm"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut said = [0; 6];
    let stdout = holder.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut said).expect("the locks");
    let failed = eventually("the store fails", async || {
        scrape().await.filter(|text| {
            !text.contains("odoo_mfa_exporter_store_errors_total 0") && !compared(text)
        })
    })
    .await;
    assert!(failed.contains("odoo_up{target=\"prod\"} 1"), "{failed}");
    drop(holder.stdin.take());
    holder.wait().expect("an end");
    let after = eventually("a poll after it is compared", async || {
        scrape().await.filter(|text| compared(text))
    })
    .await;
    assert!(
        after.contains("odoo_poll_failures_total{target=\"prod\",reason=\"timeout\"} 0"),
        "{after}"
    );
}

/// Killed after the figures are published and before the store has taken them: the change counts, and counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_figures_and_commit_counts_a_change_once() {
    let stage = Stage::new(&["prod"]).await;
    stage.configure(&json!({
        "defaults": {"interval": "1s", "timeout": "900ms"},
        "targets": [stage.target("prod")],
    }));
    let number = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let enrolled = |text: &str| {
        number(
            text,
            "odoo_mfa_enrolled_users{target=\"prod\",user_type=\"internal\",method=\"totp\"} ",
        )
    };
    let counted = |text: &str| {
        number(
            text,
            "odoo_mfa_transitions_total{target=\"prod\",user_type=\"internal\",transition=\"enrolled\"} ",
        )
    };
    let mut daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let (before, changes) = eventually("a poll is counted", async || {
        let text = get(address, "/metrics").await.ok()?;
        Some((enrolled(&text)?, counted(&text)?))
    })
    .await;

    let operator = rusqlite::Connection::open(stage.path("store.db")).expect("the store");
    operator.execute_batch("BEGIN IMMEDIATE").expect("locked");
    {
        let database = &stage.server.databases()[0];
        let mut world = database.world_mut();
        let known = world
            .users()
            .find(|user| user.kind() == Kind::Internal && user.active() && !user.totp());
        let known = known.expect("a user without a factor").id();
        world.enroll(known);
    }
    let shown = eventually("the figures are published", async || {
        let text = get(address, "/metrics").await.ok()?;
        (enrolled(&text)? == before + 1).then_some(text)
    })
    .await;
    assert_eq!(counted(&shown), Some(changes), "{shown}");
    daemon.signal("KILL").await;
    daemon.ended().await;
    operator.execute_batch("ROLLBACK").expect("unlocked");

    let daemon = Running::start(&mut stage.daemon());
    let address = daemon.address().await;
    let polls = "odoo_polls_total{target=\"prod\",result=\"success\"} ";
    let after = eventually("three polls after it", async || {
        let text = get(address, "/metrics").await.ok()?;
        (number(&text, polls)? >= 3).then_some(text)
    })
    .await;
    assert_eq!(counted(&after), Some(changes + 1), "{after}");
}
