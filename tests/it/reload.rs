//! Another configuration while the daemon runs: what changes, what does not, and what a wrong one does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use odoo_mfa_exporter::config::{Config, ProcessEnv};
use odoo_mfa_exporter::runtime::{Daemon, Origin, Reloader, Settings};
use odoo_mfa_exporter::store::{Limits, Location, Store};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::program::{Notified, Running, Stage, get, post};
use crate::harness::text::Text;
use crate::harness::{eventually, settings};

/// The value of the one sample of a name whose `target` is this; of the exporter's own with none.
async fn value(address: SocketAddr, name: &str, target: Option<&str>) -> Option<f64> {
    let text = Text::read(&get(address, "/metrics").await.ok()?);
    let of_target = |labels: &BTreeMap<String, String>| {
        target.is_none_or(|target| labels.get("target").is_some_and(|it| it == target))
    };
    let mut samples = text.of(name).filter(|sample| of_target(&sample.labels));
    samples.next().map(|sample| sample.value)
}

async fn up(address: SocketAddr, target: &str) {
    eventually(&format!("{target} is up"), async || {
        (value(address, "odoo_up", Some(target)).await? == 1.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hangups_and_posts_reload_and_a_wrong_configuration_changes_nothing() {
    let stage = Stage::new(&["a", "b", "c"]).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| stage.target(name));
    stage.configure(&json!({"targets": [&a, &b]}));
    let notified = Notified::at(&stage);
    let mut daemon = Running::start(stage.daemon().env("NOTIFY_SOCKET", stage.path("notify")));
    let address = daemon.address().await;
    up(address, "a").await;
    up(address, "b").await;

    stage.configure(&json!({"targets": [&b, &c]}));
    daemon.signal("HUP").await;
    up(address, "c").await;
    assert_eq!(
        value(address, "odoo_up", Some("a")).await,
        None,
        "a is gone"
    );
    assert_eq!(
        value(address, "odoo_polls_total", Some("b")).await,
        Some(1.0),
        "b noticed nothing"
    );
    notified.next("RELOADING=1\nMONOTONIC_USEC=").await;
    notified.next("READY=1").await;

    let hash = value(address, "odoo_mfa_exporter_config_hash", None).await;
    let loaded = "odoo_mfa_exporter_config_last_reload_success_timestamp_seconds";
    let before = value(address, loaded, None).await;
    stage.configure(&json!({"targets": [&c, {"name": "d", "grace": "soon"}]}));
    let (status, text) = post(address, "/-/reload").await;
    assert_eq!(status, 500, "{text}");
    for part in [
        "config.yml:1:",
        "`grace` is not a duration",
        "hint:",
        "`url` is missing",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    daemon.logs("`grace` is not a duration").await;
    let successful = "odoo_mfa_exporter_config_last_reload_successful";
    assert_eq!(value(address, successful, None).await, Some(0.0));
    assert_eq!(
        value(address, "odoo_mfa_exporter_config_hash", None).await,
        hash
    );
    assert_eq!(value(address, loaded, None).await, before);
    up(address, "b").await;

    stage.configure(&json!({"targets": [&b, &c]}));
    let (status, text) = post(address, "/-/reload").await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        text,
        "reloaded: targets: 0 added, 0 removed, 0 changed, 2 kept\n"
    );
    assert_eq!(value(address, successful, None).await, Some(1.0));
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success(), "{}", daemon.log());
}

/// As Kubernetes mounts a ConfigMap or a Secret: a link to a directory is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_reload_by_themselves() {
    let stage = Stage::new(&["a", "b"]).await;
    let [a, mut b] = ["a", "b"].map(|name| stage.target(name));
    b["api_key_file"] = json!("mounted/b.key");
    let mount = |version: &str, targets: Value, key: &str| {
        std::fs::create_dir(stage.path(version)).expect("a directory");
        let config = json!({"targets": targets}).to_string();
        stage.write(&format!("{version}/config.yml"), &config);
        stage.write(&format!("{version}/b.key"), key);
        std::os::unix::fs::symlink(version, stage.path("link")).expect("a link");
        std::fs::rename(stage.path("link"), stage.path("mounted")).expect("a link");
    };
    mount("one", json!([&a, &b]), "refused");
    let link = std::os::unix::fs::symlink("mounted/config.yml", stage.path("config.yml"));
    link.expect("a link");
    let daemon = Running::start(stage.daemon().arg("--config.auto-reload=100ms"));
    let address = daemon.address().await;
    up(address, "a").await;
    eventually("the key is refused", async || {
        (value(address, "odoo_up", Some("b")).await? == 0.0).then_some(())
    })
    .await;

    let key = std::fs::read_to_string(stage.path("b.key")).expect("a key");
    mount("two", json!([&a, &b]), &key);
    // Refused keys are left alone for a quarter of an hour, but this is another one.
    up(address, "b").await;
    assert_eq!(
        value(address, "odoo_polls_total", Some("a")).await,
        Some(1.0)
    );
    mount("three", json!("nothing"), &key);
    let successful = "odoo_mfa_exporter_config_last_reload_successful";
    eventually("it is refused", async || {
        (value(address, successful, None).await? == 0.0).then_some(())
    })
    .await;
    mount("four", json!([&b]), &key);
    eventually("a is gone", async || {
        let gone = value(address, "odoo_up", Some("a")).await.is_none();
        gone.then_some(())
    })
    .await;
    up(address, "b").await;
    daemon.logs("configuration refused").await;
    let log = daemon.log();
    assert_eq!(log.matches("configuration refused").count(), 1, "{log}");
}

/// A daemon in this process, whose configuration can be loaded again.
struct Reloading {
    address: SocketAddr,
    reloader: Reloader,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Reloading {
    async fn start(stage: &Stage) -> Self {
        let path = stage.path("config.yml");
        let (loaded, files) = Config::load_noting_files(&path, &ProcessEnv);
        let (config, _) = loaded.expect("a good configuration");
        let store = Store::open(Location::Memory, Limits::default()).expect("a store");
        let settings = Settings {
            origin: Some(Origin { path, files }),
            ..settings(Some(store))
        };
        let daemon = Daemon::prepare(&config, settings).await.expect("a daemon");
        let stop = CancellationToken::new();
        Self {
            address: daemon.address().expect("an address"),
            reloader: daemon.reloader().expect("there is a file"),
            task: tokio::spawn(daemon.run(stop.clone())),
            stop,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }

    /// Output that only depends on the configuration and on the servers, once every target is up and has a baseline.
    async fn truth(&self, targets: usize) -> Vec<String> {
        let text = eventually("every target is up", async || {
            let text = Text::read(&get(self.address, "/metrics").await.ok()?);
            let up = text.of("odoo_up").filter(|sample| sample.value == 1.0);
            let baselines = text.of("odoo_baseline_breaks_total").count();
            (up.count() == targets && baselines == targets).then_some(text)
        })
        .await;
        let history = [
            "odoo_poll",
            "odoo_mfa_exporter_",
            "process_",
            "odoo_surface_last",
            "odoo_baseline_breaks",
        ];
        let samples = text.samples.iter().filter(|sample| {
            let is_history = history.iter().any(|part| sample.name.starts_with(part));
            !is_history || sample.name == "odoo_poll_interval_seconds"
        });
        let mut lines: Vec<String> = samples.map(|it| format!("{it:?}")).collect();
        lines.sort();
        lines
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).expect("small")]
    }
}

const DATABASES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A configuration, and how many targets it has.
fn thrown(stage: &Stage, dice: &mut Dice) -> (Value, usize) {
    let mut targets = Vec::new();
    for database in DATABASES {
        if dice.roll(4) == 0 && (database != "a" || !targets.is_empty()) {
            continue;
        }
        let mut target = stage.target(database);
        target["labels"] = json!({"team": dice.one(&["finance", "sales", "it"])});
        target["accepted_factors"] = json!([dice.one(&["totp", "passkey"])]);
        if dice.roll(2) == 0 {
            target["exemptions"] =
                json!([{"login": "auditor", "reason": dice.one(&["service", "other"])}]);
        }
        if dice.roll(3) == 0 {
            // Another database under the same name.
            target["database"] = json!(dice.one(&DATABASES));
            target["api_key_file"] = json!(format!(
                "{}.key",
                target["database"].as_str().expect("text")
            ));
        }
        targets.push(target);
    }
    if targets.is_empty() {
        targets.push(stage.target("a"));
    }
    let count = targets.len();
    let mut config =
        json!({"defaults": {"interval": "2s", "timeout": "1900ms"}, "targets": targets});
    match dice.roll(4) {
        0 => config["metrics"] = json!({"disable": ["odoo_api_key*", "odoo_poller_key*"]}),
        1 => {
            config["privileged_roles"] =
                json!({"website": [], "export": ["base.group_allow_export"]})
        }
        2 => config["privacy"] = json!({"names_in_alerts": true, "store_logins": true}),
        _ => {}
    }
    (config, count)
}

/// After any history, and at any moment of a poll: the output is that of a daemon that knows nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn after_any_number_of_reloads_it_shows_what_a_fresh_daemon_shows() {
    for seed in 1..=2 {
        let stage = Stage::new(&DATABASES).await;
        let mut dice = Dice(seed);
        stage.configure(&thrown(&stage, &mut dice).0);
        let old = Reloading::start(&stage).await;
        for _ in 0..12 {
            let (config, targets) = thrown(&stage, &mut dice);
            stage.configure(&config);
            old.reloader
                .reload("a test")
                .await
                .expect("a good configuration");
            match dice.roll(3) {
                0 => drop(old.truth(targets).await),
                1 => {
                    eventually("a poll runs", async || {
                        let in_flight = "odoo_mfa_exporter_polls_in_flight";
                        (value(old.address, in_flight, None).await? > 0.0).then_some(())
                    })
                    .await;
                }
                _ => {
                    stage.write("config.yml", "targets: [{name: x}]");
                    old.reloader
                        .reload("a test")
                        .await
                        .expect_err("a wrong configuration");
                }
            }
        }
        let (config, targets) = thrown(&stage, &mut dice);
        stage.configure(&config);
        old.reloader
            .reload("a test")
            .await
            .expect("a good configuration");
        let fresh = Reloading::start(&stage).await;
        let differing = |one: &[String], other: &[String]| {
            let lines = one.iter().filter(|line| !other.contains(line));
            lines.cloned().collect::<Vec<_>>().join("\n")
        };
        let mut difference = String::new();
        // Families that are switched on again need a poll, and what the store counts comes after the figures.
        for _ in 0..100 {
            let expected = fresh.truth(targets).await;
            let shown = old.truth(targets).await;
            let (more, less) = (differing(&shown, &expected), differing(&expected, &shown));
            difference = format!("only reloaded:\n{more}\nonly fresh:\n{less}");
            if shown == expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(
            difference == "only reloaded:\n\nonly fresh:\n",
            "seed {seed}: {config}\n{difference}"
        );
        old.stop().await;
        fresh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_touches_what_it_changes_and_withdraws_what_is_not_true_any_more() {
    let stage = Stage::new(&["a", "b", "c"]).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| stage.target(name));
    stage.configure(&json!({"defaults": {"interval": "1h"}, "targets": [&a, &b, &c]}));
    let daemon = Reloading::start(&stage).await;
    let before = daemon.truth(3).await;
    let polls = async |target| value(daemon.address, "odoo_polls_total", Some(target)).await;

    // The result of a poll is unknown before it has ended, and an Odoo that does not answer keeps it from ending.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let mut moved = b.clone();
    moved["url"] = json!(format!(
        "http://{}",
        silent.local_addr().expect("an address")
    ));
    stage.configure(&json!({"defaults": {"interval": "1h"}, "targets": [&a, &moved, &c]}));
    let done = daemon.reloader.reload("a test").await.expect("good");
    assert_eq!(
        done,
        "reloaded: targets: 0 added, 0 removed, 1 changed, 2 kept"
    );
    let text = get(daemon.address, "/metrics").await.expect("a scrape");
    for family in [
        "odoo_up",
        "odoo_users",
        "odoo_capability",
        "odoo_target_info",
    ] {
        let of_b = format!("{family}{{target=\"b\"");
        assert!(!text.contains(&of_b), "{of_b} is still shown");
    }
    assert!(
        text.contains("odoo_mfa_transitions_total{target=\"b\""),
        "counters stay"
    );
    assert_eq!(polls("b").await, Some(1.0), "also of polls");
    drop(silent);

    stage.configure(&json!({"defaults": {"interval": "1h"}, "targets": [&a, &b, &c]}));
    daemon.reloader.reload("a test").await.expect("good");
    assert_eq!(daemon.truth(3).await, before);
    assert_eq!((polls("a").await, polls("c").await), (Some(1.0), Some(1.0)));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_under_load_disturb_no_scrape() {
    let stage = Stage::new(&["a", "b"]).await;
    let good = json!({"targets": [stage.target("a"), stage.target("b")]});
    stage.configure(&good);
    let daemon = Reloading::start(&stage).await;
    let before = daemon.truth(2).await;
    stage.write(
        "config.yml",
        "targets: [{name: a, url: 'https://a', database: a}]\n",
    );
    let address = daemon.address;
    let reloads = (0..4).map(|_| {
        tokio::spawn(async move {
            for _ in 0..25 {
                let (status, text) = post(address, "/-/reload").await;
                assert_eq!(status, 500, "{text}");
                assert!(text.contains("the API key is missing"), "{text}");
            }
        })
    });
    let reloads: Vec<_> = reloads.collect();
    let mut scrapes = 0;
    while reloads.iter().any(|it| !it.is_finished()) {
        assert_eq!(daemon.truth(2).await, before);
        scrapes += 1;
    }
    for reload in reloads {
        reload.await.expect("each is refused");
    }
    assert!(scrapes > 1, "{scrapes} scrapes only");
    stage.configure(&good);
    daemon.reloader.reload("a test").await.expect("good");
    assert_eq!(daemon.truth(2).await, before);
    daemon.stop().await;
}

/// Two processes with the same configuration poll each target once, and a third one, for which there is no target, is ready all the same.
#[tokio::test(flavor = "multi_thread")]
async fn shards_share_the_targets() {
    let stage = Stage::new(&["a", "b"]).await;
    let target = |number: u32| {
        let mut target = stage.target("a");
        target["name"] = json!(format!("customer-{number}"));
        target
    };
    let targets: Vec<Value> = (0..12).map(target).collect();
    stage.configure(&json!({"targets": targets}));
    let mut held = Vec::new();
    for shard in 0..2 {
        let storage = stage.path(&format!("store-{shard}.db"));
        let daemon = Running::start(
            stage
                .daemon()
                .env("ODOO_MFA_EXPORTER_SHARD", shard.to_string())
                .env("ODOO_MFA_EXPORTER_TOTAL_SHARDS", "2")
                .arg("--storage.path")
                .arg(storage),
        );
        let address = daemon.address().await;
        let text = Text::read(&get(address, "/metrics").await.expect("a scrape"));
        let own = text.of("odoo_mfa_exporter_shard").next().expect("a sample");
        let own = ["shard", "total_shards"].map(|label| own.labels[label].clone());
        assert_eq!(own, [shard.to_string(), "2".to_owned()]);
        let intervals = text.of("odoo_poll_interval_seconds");
        held.extend(intervals.map(|sample| sample.labels["target"].clone()));
    }
    held.sort();
    let mut all: Vec<String> = (0..12).map(|number| format!("customer-{number}")).collect();
    all.sort();
    assert_eq!(held, all);

    stage.configure(&json!({"targets": [target(0)]}));
    let empty = 1 - odoo_mfa_exporter::domain::Shard::index_of("customer-0", 2);
    let shard = format!("--shard={empty}");
    let daemon = Running::start(stage.daemon().args([&shard, "--total-shards=2"]));
    let address = daemon.address().await;
    assert_eq!(
        get(address, "/-/ready").await.expect("an answer"),
        "ready\n"
    );

    let mut wrong = Running::start(stage.daemon().args(["--shard=2", "--total-shards=2"]));
    assert_eq!(wrong.ended().await.code(), Some(2));
    assert!(
        wrong.log().contains("--shard counts from 0"),
        "{}",
        wrong.log()
    );
}
