//! Alerts on their whole way: from the board, or from a simulated Odoo, through a real Alertmanager to a receiver.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures::future::BoxFuture;
use jiff::Timestamp;
use odoo_mfa_exporter::alerting::{
    AlertView, Alerts, Engine, EngineConfig, InMemory, Inputs, Names, NamesUnavailable, Options,
    PEOPLE, Someone,
};
use odoo_mfa_exporter::config::{Alerting, Auth, Config, ProcessEnv};
use odoo_mfa_exporter::domain::alert::{Concern, Phase};
use odoo_mfa_exporter::domain::{IdSet, TargetSnapshot};
use odoo_simulator::{AccountKind, Clock, Kind, Recipe, ServerOptions, SimServer, World};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::users;
use crate::harness::alertmanager::{Alertmanager, Sink, free};
use crate::harness::exporter::{Server, Shown, client};
use crate::harness::log::Log;
use crate::harness::nginx::Nginx;
use crate::harness::pki::Pki;
use crate::harness::snapshots::{down, posture, up};
use crate::harness::{eventually, target};

const ADMIN: &str = "OdooMfaAdminWithoutMfa";

/// Quick, so that tests are.
fn options() -> Options {
    Options {
        evaluate_every: Duration::from_millis(100),
        resend_every: Duration::from_secs(1),
        request_timeout: Duration::from_secs(2),
        retry: (Duration::from_millis(50), Duration::from_millis(200)),
        drain: Duration::from_secs(2),
        ..Options::default()
    }
}

/// An engine that runs, on a board of its own.
struct Running {
    shown: Shown,
    alerts: Alerts,
    reconfigure: tokio::sync::mpsc::Sender<EngineConfig>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(receivers: &str, targets: Vec<TargetSnapshot>) -> Self {
        Self::start_with(configured(receivers), targets, None, options())
    }

    fn start_with(
        alerting: Alerting,
        targets: Vec<TargetSnapshot>,
        names: Option<Arc<dyn Names>>,
        options: Options,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shown = Shown::new(targets);
        let (reconfigure, reconfigured) = tokio::sync::mpsc::channel(1);
        let inputs = Inputs {
            board: Arc::clone(&shown.board),
            exporter: Arc::clone(&shown.state),
            clients: Arc::default(),
            states: Arc::new(InMemory::default()),
            reconfigured,
        };
        let config = EngineConfig {
            alerting,
            names,
            external_url: None,
        };
        let engine = Engine::new(config, inputs, options);
        let alerts = engine.alerts();
        let stop = CancellationToken::new();
        let task = tokio::spawn(engine.run(stop.clone()));
        Self {
            shown,
            alerts,
            reconfigure,
            stop,
            task,
        }
    }

    fn publish(&self, snapshot: TargetSnapshot) {
        self.shown.board.slots()[0].publish(snapshot);
    }

    async fn reconfigure(&self, alerting: &Alerting) {
        let config = EngineConfig {
            alerting: alerting.clone(),
            names: None,
            external_url: Some("https://mfa.example.com/x/".parse().expect("a URL")),
        };
        let sent = self.reconfigure.send(config).await;
        sent.expect("the engine runs");
    }

    /// Number of alerts of a rule in a phase.
    fn count(&self, rule: &str, phase: Phase) -> usize {
        let all = self.alerts.all();
        let of_rule = |it: &&AlertView| it.labels.get("alertname") == Some(rule);
        all.iter()
            .filter(of_rule)
            .filter(|it| it.phase == phase)
            .count()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic");
    }

    fn counted(&self, receiver: &str) -> (u64, u64, u64) {
        let stats = self.shown.state.alerting().receiver(receiver);
        (stats.all_sent(), stats.all_failed(), stats.all_dropped())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_keeps_the_alerts_and_notifies_its_receivers() {
    let (old, old_server) = Sink::start().await;
    let (new, new_server) = Sink::start().await;
    let running = Running::start(&webhook("old", &old_server), vec![up("erp")]);
    let fired = old.first(ADMIN, "firing").await;

    let mut alerting = configured(&webhook("new", &new_server));
    alerting.evaluation_interval = Some(Duration::from_millis(100));
    running.reconfigure(&alerting).await;
    let told = new.first(ADMIN, "firing").await;
    let begun = |message: &Value| message["alerts"][0]["startsAt"].clone();
    let link = |name: &str| told["alerts"][0][name].clone();
    assert_eq!(
        link("generatorURL"),
        "https://mfa.example.com/x/users?target=erp&finding=admin_without_mfa"
    );
    let runbook = &told["alerts"][0]["annotations"]["runbook_url"];
    assert_eq!(
        *runbook,
        json!("https://mfa.example.com/x/runbooks/OdooMfaAdminWithoutMfa")
    );
    assert_eq!(begun(&told), begun(&fired), "it is the same alert");
    let receivers = running.shown.state.alerting().receivers();
    let names: Vec<_> = receivers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["new"]);

    let rules = "targets: [{name: erp, url: https://erp, database: d, login: l, api_key: k}]\n\
                 alerting: {rules: {OdooMfaAdminWithoutMfa: {enabled: false}}}";
    alerting.rules = target::config(rules).alerting.rules;
    running.reconfigure(&alerting).await;
    let resolved = new.first(ADMIN, "resolved").await;
    assert_eq!(begun(&resolved), begun(&fired));
    assert_eq!(new.on(ADMIN, "firing").len(), 1, "it is sent once");
    assert_eq!(old.on(ADMIN, "resolved").len(), 0, "it is removed");
    running.stop().await;
    old_server.stop().await;
    new_server.stop().await;
}

/// Waits until each daemon has sent to this Alertmanager ten times more.
async fn sent_again(daemons: &[Running], of: &Alertmanager) {
    let receiver = of.url("");
    let sent = |daemon: &Running| daemon.counted(receiver.trim_end_matches('/')).0;
    let before: Vec<u64> = daemons.iter().map(sent).collect();
    eventually("it gets ten more", async || {
        let mut pairs = daemons.iter().zip(&before);
        pairs
            .all(|(daemon, before)| sent(daemon) >= before + 10)
            .then_some(())
    })
    .await;
}

/// With these receivers, and rules that need not hold for long.
fn configured(receivers: &str) -> Alerting {
    target::config(&yaml(receivers)).alerting
}

fn yaml(receivers: &str) -> String {
    format!(
        "targets: [{{name: erp, url: https://erp, database: d, login: l, api_key: k}}]\n\
         alerting: {{{receivers}, rules: {{{ADMIN}: {{for: 0s}}, OdooMfaTargetDown: {{for: 0s}}}}}}"
    )
}

/// As [`up`], without unprotected administrators.
fn fixed(name: &str) -> TargetSnapshot {
    let mut numbers = posture();
    for role in &mut numbers.privileged.as_mut().expect("known").roles {
        role.unprotected_past_grace = Some(0);
    }
    TargetSnapshot {
        posture: Some(Arc::new(numbers)),
        ..up(name)
    }
}

fn alertmanagers(urls: &[String]) -> String {
    let urls: Vec<_> = urls.iter().map(|url| format!("{{url: '{url}'}}")).collect();
    format!("alertmanagers: [{}]", urls.join(", "))
}

fn webhook(name: &str, server: &Server) -> String {
    format!("webhooks: [{{name: {name}, url: '{}'}}]", server.url("/"))
}

/// A port that takes connections and never answers.
async fn silent() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (url, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_is_held_while_its_target_is_down_and_resolves() {
    let (sink, server) = Sink::start().await;
    let am = Alertmanager::start(&server.url("/")).await;
    let running = Running::start(&alertmanagers(&[am.url("")]), vec![up("erp")]);

    let fired = sink.first(ADMIN, "firing").await;
    let alert = &fired["alerts"][0];
    assert_eq!(
        alert["labels"],
        json!({"alertname": ADMIN, "origin": "odoo-mfa-exporter", "severity": "critical", "target": "erp", "team": "finance"})
    );
    assert_eq!(
        alert["annotations"]["summary"],
        "erp: an administrator has no second factor"
    );
    assert!(
        alert["annotations"]["runbook_url"]
            .as_str()
            .expect("text")
            .ends_with("/docs/runbooks/OdooMfaAdminWithoutMfa.md")
    );
    assert!(alert["annotations"].get("since").is_some());
    assert!(
        alert["annotations"].get(PEOPLE).is_none(),
        "no names unless that is allowed"
    );

    // While the target is down it is still sent, past its lease; the outage is an alert of its own.
    running.publish(down("erp"));
    sink.first("OdooMfaTargetDown", "firing").await;
    let dark = Timestamp::now();
    eventually("it is still sent, two leases later", async || {
        let alert = am.alert(ADMIN).await?;
        let told: Timestamp = alert["updatedAt"].as_str()?.parse().ok()?;
        (told > dark + 2 * options().lease()).then_some(())
    })
    .await;
    assert_eq!(sink.on(ADMIN, "resolved").len(), 0);

    running.publish(fixed("erp"));
    let resolved = sink.first(ADMIN, "resolved").await;
    assert_eq!(resolved["alerts"][0]["startsAt"], alert["startsAt"]);
    sink.first("OdooMfaTargetDown", "resolved").await;
    assert_eq!(sink.on(ADMIN, "firing").len(), 1, "it was sent once");
    assert_eq!(running.count(ADMIN, Phase::Firing), 0);
    assert_eq!(running.count("OdooMfaWatchdog", Phase::Firing), 1);
    let (sent, failed, dropped) = running.counted(am.url("").trim_end_matches('/'));
    assert!(
        sent > 10 && failed == 0 && dropped == 0,
        "{sent} {failed} {dropped}"
    );
    running.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_a_member_and_a_silent_one_delays_no_other() {
    let (sink, server) = Sink::start().await;
    let [mut one, other] = Alertmanager::start_two(&server.url("/")).await;
    let (silent, holding) = silent().await;
    let urls = [silent.clone(), one.url(""), other.url("")];
    let began = Instant::now();
    // Two daemons with the same configuration, and one notification.
    let daemons = [(); 2].map(|()| Running::start(&alertmanagers(&urls), vec![up("erp")]));

    sink.first(ADMIN, "firing").await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // Sent several times more by both, with both members and with one: a second notification would have arrived by now.
    sent_again(&daemons, &other).await;
    one.kill();
    sent_again(&daemons, &other).await;
    assert_eq!(sink.on(ADMIN, "firing").len(), 1);

    for daemon in &daemons {
        daemon.publish(fixed("erp"));
    }
    sink.first(ADMIN, "resolved").await;
    let silent_one = daemons[0].counted(&silent);
    assert!(silent_one.0 == 0 && silent_one.1 > 0, "{silent_one:?}");
    let dead = daemons[0].counted(one.url("").trim_end_matches('/'));
    assert!(dead.0 > 0 && dead.1 > 0, "{dead:?}");
    eventually("the daemon says that they take nothing", async || {
        let rule = "OdooMfaNotificationsFailing";
        let listed = [Phase::Pending, Phase::Firing].map(|it| daemons[0].count(rule, it));
        (listed.iter().sum::<usize>() == 2).then_some(())
    })
    .await;
    let stopping = Instant::now();
    for daemon in daemons {
        daemon.stop().await;
    }
    assert!(
        stopping.elapsed() < Duration::from_secs(6),
        "{:?}",
        stopping.elapsed()
    );
    holding.abort();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_an_alertmanager_is_away() {
    outage(Duration::from_secs(6), options()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes more than five minutes: make prove"]
async fn nothing_is_lost_while_an_alertmanager_is_away_for_five_minutes() {
    let options = Options {
        evaluate_every: Duration::from_secs(1),
        ..Options::default()
    };
    outage(Duration::from_secs(300), options).await;
}

/// One alert begins during the outage, and another ends.
async fn outage(lasts: Duration, options: Options) {
    let (sink, server) = Sink::start().await;
    let mut am = Alertmanager::start(&server.url("/")).await;
    let alerting = configured(&alertmanagers(&[am.url("")]));
    let targets = vec![up("erp"), fixed("other")];
    let running = Running::start_with(alerting, targets, None, options);
    sink.first(ADMIN, "firing").await;
    // A graceful stop: a killed one forgets its notification log.
    am.stop();
    running.publish(fixed("erp"));
    running.shown.board.slots()[1].publish(up("other"));
    tokio::time::sleep(lasts).await;
    am.restart().await;
    let on = |target: &'static str, status| {
        let sink = sink.clone();
        async move {
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(90) {
                let all = sink.on(ADMIN, status);
                if all.iter().any(|it| it["groupLabels"]["target"] == target) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("no notification that {target} is {status}");
        }
    };
    on("other", "firing").await;
    on("erp", "resolved").await;
    running.stop().await;
    server.stop().await;
}

/// Answers with names, and counts how often it was asked.
#[derive(Debug, Default)]
struct Directory {
    asked: std::sync::atomic::AtomicU64,
}

impl Names for Directory {
    fn names(
        &self,
        target: String,
        people: IdSet,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Someone>, NamesUnavailable>> {
        self.asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let someone = |id| Someone {
            name: format!("Person {id}"),
            login: format!("p{id}"),
            url: format!("https://{target}/odoo/users/{id}"),
        };
        let named = people.iter().take(limit).map(someone).collect();
        Box::pin(std::future::ready(Ok(named)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_the_message_of_alertmanager_with_names() {
    let (sink, server) = Sink::start().await;
    let concerning = |people: std::ops::Range<u32>| {
        let mut target = up("erp");
        let people: IdSet = people.collect();
        target.concerned = Arc::new([(Concern::Admins, people)].into());
        target
    };
    let directory = Arc::new(Directory::default());
    let alerting = configured(&webhook("desk", &server));
    let names = Some(Arc::clone(&directory) as Arc<dyn Names>);
    // It fails at first: nothing is lost by that.
    sink.answer(StatusCode::SERVICE_UNAVAILABLE);
    let running = Running::start_with(alerting, vec![concerning(7..32)], names, options());
    sink.first(ADMIN, "firing").await;
    sink.answer(StatusCode::OK);
    let attempts = eventually("it took them", async || {
        let (sent, failed, _) = running.counted("desk");
        (sent > 0 && failed > 0).then_some(sink.on(ADMIN, "firing"))
    })
    .await;
    let message = &attempts[0];
    assert_eq!(message["version"], "4");
    assert_eq!(message["receiver"], "desk");
    assert_eq!(
        message["groupLabels"],
        json!({"alertname": ADMIN, "target": "erp"})
    );
    assert_eq!(message["commonLabels"]["severity"], "critical");
    assert_eq!(message["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(
        message["alerts"][0]["fingerprint"]
            .as_str()
            .expect("text")
            .len(),
        16
    );
    let people = message["alerts"][0]["annotations"][PEOPLE]
        .as_str()
        .expect("names");
    assert!(
        people.starts_with("Person 7 (p7) https://erp/odoo/users/7\nPerson 8 "),
        "{people}"
    );
    assert!(people.ends_with("\nand 5 more"), "{people}");
    assert_eq!(people.lines().count(), 21);
    let asked = directory.asked.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(asked, 1, "Odoo is asked once");

    let listed = format!("{:?}", running.alerts.all());
    assert!(
        !listed.contains("Person"),
        "names go to receivers alone: {listed}"
    );
    running.publish(fixed("erp"));
    let resolved = sink.first(ADMIN, "resolved").await;
    assert_ne!(resolved["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert!(resolved["alerts"][0]["annotations"].get(PEOPLE).is_none());
    running.stop().await;
    server.stop().await;
}

/// A webhook gets an alert once: what it refuses waits for `resend_interval`, and nothing else waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_notification_is_sent_to_a_webhook_again() {
    let (sink, server) = Sink::start().await;
    sink.answer(StatusCode::BAD_REQUEST);
    let slow = Options {
        resend_every: Duration::from_secs(2),
        ..options()
    };
    let alerting = configured(&webhook("desk", &server));
    let running = Running::start_with(alerting, vec![up("erp")], None, slow);
    eventually("it refuses them", async || {
        let (sent, failed, dropped) = running.counted("desk");
        (sent == 0 && failed >= 1 && dropped == 0).then_some(())
    })
    .await;
    let refused = sink.on(ADMIN, "firing").len();
    sink.answer(StatusCode::OK);
    running.publish(down("erp"));
    sink.first("OdooMfaTargetDown", "firing").await;
    assert_eq!(
        sink.on(ADMIN, "firing").len(),
        refused,
        "it is not time yet"
    );
    eventually("it is sent again", async || {
        (sink.on(ADMIN, "firing").len() > refused).then_some(())
    })
    .await;
    running.stop().await;
    server.stop().await;
}

/// A real nginx that takes small bodies, in front of a real Alertmanager.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_sent_in_parts() {
    const TARGETS: usize = 60;
    let (sink, server) = Sink::start().await;
    let am = Alertmanager::start(&server.url("/")).await;
    let nginx = Nginx::start(am.address, "client_max_body_size 8k;").await;
    let url = nginx.url();
    let targets = (0..TARGETS)
        .map(|number| up(&format!("erp-{number}")))
        .collect();
    let running = Running::start(&alertmanagers(std::slice::from_ref(&url)), targets);
    eventually("Alertmanager has all of them", async || {
        let all: Value = client()
            .get(am.url("api/v2/alerts"))
            .send()
            .await
            .ok()?
            .json()
            .await
            .ok()?;
        let of_rule = |it: &&Value| it["labels"]["alertname"] == ADMIN;
        (all.as_array()?.iter().filter(of_rule).count() == TARGETS).then_some(())
    })
    .await;
    let (sent, failed, dropped) = running.counted(&url);
    assert!(sent >= TARGETS as u64 && failed > 0, "{sent} {failed}");
    assert_eq!(dropped, 0);
    running.stop().await;
    drop(sink);
    server.stop().await;
}

/// One alert that is too large can never be sent. The log says why.
#[tokio::test]
async fn an_alert_that_is_too_large_is_dropped_with_the_reason() {
    let (log, _logging) = Log::start();
    let (sink, server) = Sink::start().await;
    sink.answer(StatusCode::PAYLOAD_TOO_LARGE);
    let running = Running::start(&webhook("desk", &server), vec![up("erp")]);
    eventually("they are dropped", async || {
        let (sent, failed, dropped) = running.counted("desk");
        (sent == 0 && dropped >= 1 && failed >= dropped).then_some(())
    })
    .await;
    let text = log.text();
    assert!(
        text.contains("answers 413 Payload Too Large; 1 alerts dropped"),
        "{text}"
    );
    running.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_to_be_left_alone_is() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let routes = {
        let asked = Arc::clone(&asked);
        axum::Router::new().fallback(axum::routing::post(async move || {
            let mut asked = asked.lock().expect("no panic");
            asked.push(Instant::now());
            let busy = (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "2")]);
            if asked.len() == 1 { Err(busy) } else { Ok(()) }
        }))
    };
    let server = Server::start(routes).await;
    let running = Running::start(&alertmanagers(&[server.url("")]), vec![up("erp")]);
    let asked = eventually("it is asked again", async || {
        let asked = asked.lock().expect("no panic").clone();
        (asked.len() >= 2).then_some(asked)
    })
    .await;
    let waited = asked[1].duration_since(asked[0]);
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    running.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_a_name_gets_alerts_with_the_credentials() {
    // The name `localhost` has 127.0.0.1, and on most machines ::1, where no server listens.
    let (seen, mut authorizations) = tokio::sync::mpsc::unbounded_channel();
    let routes = axum::Router::new().fallback(axum::routing::post(
        async move |headers: axum::http::HeaderMap| {
            let header = headers.get("authorization").cloned();
            let _ = seen.send(header);
            StatusCode::OK
        },
    ));
    let server = Server::start(routes).await;
    let mut config = configured(&format!(
        "alertmanagers: [{{url: 'http://localhost:{}', dns: true}}]",
        server.address.port()
    ));
    config.receivers[0].auth = Some(Auth::Basic {
        username: "me".into(),
        password: "s3cret".into(),
    });
    let running = Running::start_with(config, vec![up("erp")], None, options());
    let header = authorizations
        .recv()
        .await
        .expect("a request")
        .expect("a header");
    assert_eq!(header, "Basic bWU6czNjcmV0");
    let address = format!("http://{}", server.address);
    eventually("it is counted under its address", async || {
        (running.counted(&address).0 > 0).then_some(())
    })
    .await;
    let receivers = running.shown.state.alerting().receivers();
    assert!(
        receivers
            .iter()
            .all(|(name, _)| !name.contains("localhost")),
        "{receivers:?}"
    );
    running.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_requires_a_certificate_and_a_password_gets_alerts() {
    let directory = Pki::new().written();
    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, \
               client_auth_type: RequireAndVerifyClientCert}";
    let web = directory.path().join("web.yml");
    std::fs::write(&web, format!("{tls}\n{}", users(&["exporter"]))).expect("a file");
    let (sink, server) = Sink::start().await;
    let alertmanager = Alertmanager::start_behind(&server.url("/"), &web).await;
    std::fs::write(directory.path().join("password"), "retropxe").expect("a file");
    let path = directory.path().join("config.yml");
    let url = format!("https://{}", alertmanager.address);
    let start = |certificate: &str| {
        let basic_auth = "basic_auth: {username: exporter, password_file: password}";
        let receiver =
            format!("{{url: '{url}', {basic_auth}, tls: {{ca_file: ca.crt{certificate}}}}}");
        let config = yaml(&format!("alertmanagers: [{receiver}]"));
        std::fs::write(&path, config).expect("a file");
        let (config, _) = Config::load(&path, &ProcessEnv).expect("it is right");
        Running::start_with(config.alerting, vec![up("erp")], None, options())
    };
    let running = start("");
    eventually("without a certificate it does not get in", async || {
        (running.counted(&url).1 > 0).then_some(())
    })
    .await;
    running.stop().await;

    let running = start(", cert_file: client.crt, key_file: client.key");
    sink.first(ADMIN, "firing").await;
    running.stop().await;
    server.stop().await;
}

/// The daemon as a process, in front of a simulated Odoo.
struct Daemon {
    process: Child,
    url: String,
}

impl Daemon {
    fn start(directory: &Path) -> Self {
        let address = free();
        let process = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"))
            .arg("--config.file")
            .arg(directory.join("config.yml"))
            .arg("--storage.path")
            .arg(directory.join("store.db"))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        Self {
            process,
            url: format!("http://{address}"),
        }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The alert on administrators, once it is in this state.
    async fn admin(&self, state: &str) -> Value {
        eventually(&format!("the alert is {state}"), async || {
            let url = format!("{}/api/v1/alerts", self.url);
            let answer: Value = client().get(url).send().await.ok()?.json().await.ok()?;
            assert_eq!(answer["status"], "success");
            let all = answer["data"]["alerts"].as_array()?.clone();
            all.into_iter()
                .find(|it| it["labels"]["alertname"] == ADMIN && it["state"] == state)
        })
        .await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_an_alert_is_pending_or_fires_loses_and_repeats_nothing() {
    let (sink, server) = Sink::start().await;
    let am = Alertmanager::start(&server.url("/")).await;
    let odoo = SimServer::start(ServerOptions::new(19))
        .await
        .expect("a free port");
    let mut world = World::build(&Recipe::new(19, 1), Clock::system());
    let account = world.add_account(AccountKind::Full, "auditor");
    let admin = world.hire_at(Kind::Internal, 1_700_000_000);
    world.grant(admin, "base.group_system");
    let database = odoo.add_database("prod", world);
    let directory = tempfile::tempdir().expect("a directory");
    let config = json!({
        "defaults": {"interval": "1s", "timeout": "900ms"},
        "targets": [{"name": "erp", "url": odoo.url(), "database": "prod", "api_key": account.api_key}],
        "privacy": {"names_in_alerts": true},
        "alerting": {
            "alertmanagers": [{"url": am.url("")}],
            "evaluation_interval": "200ms", "resend_interval": "3s",
            "rules": {ADMIN: {"for": "4s"}},
        },
    });
    std::fs::write(directory.path().join("config.yml"), config.to_string()).expect("a file");

    let mut daemon = Daemon::start(directory.path());
    let pending = daemon.admin("pending").await;
    daemon.kill();
    let mut daemon = Daemon::start(directory.path());
    let restarted = Instant::now();
    let firing = daemon.admin("firing").await;
    assert_eq!(firing["activeAt"], pending["activeAt"], "its time ran on");
    assert!(
        restarted.elapsed() < Duration::from_secs(6),
        "{:?}",
        restarted.elapsed()
    );
    let told = sink.first(ADMIN, "firing").await;
    let person = format!("{}/odoo/users/{admin}", odoo.url());
    let people = told["alerts"][0]["annotations"][PEOPLE]
        .as_str()
        .expect("names");
    assert!(people.contains(&person), "{people}");

    daemon.kill();
    {
        let mut world = database.world_mut();
        let everybody: Vec<u32> = world.users().map(|user| user.id()).collect();
        for id in everybody {
            world.enroll(id);
        }
    }
    let daemon = Daemon::start(directory.path());
    let resolved = sink.first(ADMIN, "resolved").await;
    let (before, after) = (&told["alerts"][0], &resolved["alerts"][0]);
    assert_eq!(after["labels"], before["labels"]);
    assert_eq!(after["startsAt"], before["startsAt"]);
    assert_eq!(sink.on(ADMIN, "firing").len(), 1);
    assert_eq!(sink.on(ADMIN, "resolved").len(), 1);
    drop(daemon);

    // `alerts test` takes the same way.
    let output = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"))
        .arg("--config.file")
        .arg(directory.path().join("config.yml"))
        .args(["alerts", "test", "--rule", "OdooMfaTargetDown"])
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("accepted; routed to: sink"), "{text}");
    let test = sink.first("OdooMfaTargetDown", "firing").await;
    assert_eq!(test["alerts"][0]["labels"]["test"], "true");
    server.stop().await;
}
