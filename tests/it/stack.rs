//! Every expression of the rules and dashboards, asked of a real Prometheus that scrapes the exporter in front of the demo's servers.
//!
//! No expression may fail, and each must have an answer at some time in the demo's situations: healthy, missing permissions, and down. Of
//! expressions in [`QUIET`] each selector must have one. The only exceptions read a family whose code does not exist yet.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use odoo_mfa_exporter::config::Config;
use odoo_mfa_exporter::exposition::catalog::{Family, family};
use odoo_mfa_exporter::runtime::Daemon;
use odoo_mfa_exporter::store::{Limits, Location, Store};
use odoo_simulator::{
    AccountKind, CAST, Clock, Demo, DemoTarget, Fault, Kind, PersonView, Recipe, ServerOptions,
    SimServer, World, start_demo,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::alertmanager::{Alertmanager, Sink};
use crate::harness::prometheus::Prometheus;
use crate::harness::staged::DAY;
use crate::harness::{eventually, settings, target};

const DEADLINE: Duration = Duration::from_secs(45);

/// Expressions that may have no answer in the demo, because their events are rare: rules by name, panels and annotations by dashboard
/// and title.
const QUIET: &[&str] = &[
    // Half the fleet is never down, no target leaves it, and the one that goes down does not come back.
    "OdooMfaFleetBlind",
    "OdooMfaTargetVanished",
    "instance_target:odoo_up:unreachable",
    "target:odoo_up:removed",
    "target:odoo_up:recovered",
    // A minute's losses are too small, and no policy is weakened.
    "OdooMfaProtectedDropped",
    "OdooMfaEnforcementWeakened",
    // By chance.
    "OdooMfaAdminLockoutRisk",
    "OdooMfaApiKeyWithoutExpiry",
    "target:odoo_api_keys_of_privileged_users_without_expiry:present",
    "OdooMfaDisabled",
    "OdooMfaPrivilegedDisabled",
    "OdooMfaNewPrivilegedPerson",
    "odoo-mfa-target: Users disabled their factor",
    "odoo-mfa-target: A user became privileged",
    // The demo is younger than a week, and has no account for emergencies.
    "odoo-mfa-fleet: Coverage against last week",
    "odoo-mfa-target: Break-glass login",
    // The simulated servers have no bypass and no account that stands for no user and can act, and the poller's key lasts a year.
    "OdooMfaBypassPresent",
    "OdooMfaWellKnownAccountActive",
    "OdooMfaBreakGlassUsed",
    "OdooMfaWebConfigRejected",
    "OdooMfaApiKeyExpiring",
    "OdooMfaTargetUnstable",
    "OdooMfaProtectedDropped",
    "OdooMfaPollerKeyExpiring",
    // The exporter is well, and has not been restarted.
    "OdooMfaConfigReloadFailed",
    "OdooMfaNotificationsFailing",
    "OdooMfaShardMismatch",
    "OdooMfaStoreFailing",
    "odoo-mfa-exporter: Exporter started",
];

/// Parts of expressions that may have no answer here, and are tested in alerts/tests: there is no web configuration and no second
/// instance, and whether a policy is weakened or a break-glass account logs in is chance.
const ELSEWHERE: &[&str] = &[
    "odoo_mfa_enforcement_weakened_timestamp_seconds",
    "odoo_mfa_break_glass_last_login_timestamp_seconds",
    "odoo_mfa_well_known_accounts_privileged",
    "odoo_mfa_exporter_web_config_last_reload_successful",
    "and on (job, instance, cluster, datacenter, env, environment, region, stage, tenant, zone) instance:odoo_mfa_exporter_shard:redundant",
];

/// Families that Prometheus itself makes.
const BUILT_IN: &[&str] = &[
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "ALERTS",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_expression_of_rules_and_dashboards_has_an_answer() {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut demo = start_demo(1, CAST, 0).await.expect("free ports");
    demo.go_live();
    let store = Store::open(Location::Memory, Limits::default()).expect("a store in memory");
    let daemon = Daemon::prepare(&configuration(&demo), settings(Some(store)))
        .await
        .expect("a free port");
    let address = daemon.address().expect("an address").to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let prometheus = Prometheus::start_with(&files(&address, "127.0.0.1:1")).await;

    let rules = eventually("Prometheus has evaluated the rules", async || {
        let rules = rules(&prometheus).await;
        let evaluated = |rule: &Value| rule["health"] != "unknown";
        (!rules.is_empty() && rules.iter().all(evaluated)).then_some(rules)
    })
    .await;
    let mut expressions: Vec<_> = rules.iter().map(Expression::of_rule).collect();
    expressions.extend(of_dashboards(&demo));
    assert!(expressions.len() > 140, "{} only", expressions.len());
    let places: BTreeSet<_> = expressions.iter().map(|it| it.place.as_str()).collect();
    let unknown: Vec<_> = QUIET.iter().filter(|it| !places.contains(*it)).collect();
    assert!(unknown.is_empty(), "nothing is called {unknown:?}");
    let mut unanswered: Vec<_> = expressions
        .into_iter()
        .flat_map(Expression::wanted)
        .collect();

    let started = Instant::now();
    let mut is_down = false;
    while !unanswered.is_empty() && started.elapsed() < DEADLINE {
        let mut left = Vec::new();
        for expression in unanswered {
            if !expression.has_answer(&prometheus).await {
                left.push(expression);
            }
        }
        unanswered = left;
        if !is_down && has_answer(&prometheus, "odoo_up{target='flaky15'} == 1").await {
            demo.servers[4].fail(Fault::Down);
            is_down = true;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let unanswered: Vec<_> = unanswered.iter().map(ToString::to_string).collect();
    assert!(
        unanswered.is_empty(),
        "no answer to\n{}",
        unanswered.join("\n")
    );

    for rule in self::rules(&prometheus).await {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        let annotations: Vec<_> = (rule["alerts"].as_array().into_iter().flatten())
            .map(|alert| alert["annotations"].to_string())
            .collect();
        for fault in ["error expanding template", "<no value>"] {
            assert!(!annotations.concat().contains(fault), "{annotations:#?}");
        }
    }
    drop(prometheus);
    stop.cancel();
    running.await.expect("no panic").expect("a clean end");
}

/// Users lose their factor while no poll succeeds. The first poll after it finds them, and both engines report them to one Alertmanager, once
/// each; then both resolve.
#[tokio::test(flavor = "multi_thread")]
async fn factors_lost_during_an_outage_are_reported_by_both_engines() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = SimServer::start(ServerOptions::new(18)).await;
    let server = server.expect("a free port");
    let clock = Clock::system();
    let a_season_ago = clock.now() - 90 * DAY;
    let mut world = World::build(&Recipe::new(18, 7), clock);
    let account = world.add_account(AccountKind::Least, "auditor");
    let is_internal = |user: &PersonView<'_>| user.active() && user.kind() == Kind::Internal;
    let users: Vec<u32> = (world.people().filter(is_internal).map(|it| it.id()))
        .take(40)
        .collect();
    for user in &users {
        world.set_created(*user, a_season_ago);
        world.enroll(*user);
    }
    let database = server.add_database("prod", world);
    let (_sink, receiver) = Sink::start().await;
    let alertmanager = Alertmanager::start(&receiver.url("/")).await;
    let configuration = json!({
        "defaults": {"interval": "2s", "timeout": "1s"},
        "targets": [{
            "name": "erp", "url": server.url(), "database": "prod", "login": "auditor", "api_key": account.api_key,
            "exemptions": [{"login": "auditor", "reason": "service"}],
        }],
        "alerting": {
            "alertmanagers": [{"url": alertmanager.url("")}], "evaluation_interval": "1s",
            "rules": {"OdooMfaProtectedDropped": {"for": "0s"}},
        },
    });
    let store = Store::open(Location::Memory, Limits::default()).expect("a store in memory");
    let configuration = target::config(&configuration.to_string());
    let daemon = Daemon::prepare(&configuration, settings(Some(store))).await;
    let daemon = daemon.expect("a free port");
    let address = daemon.address().expect("an address").to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let files = files(&address, &alertmanager.address.to_string());
    let prometheus = Prometheus::start_with(&files).await;
    let up = async |value: u8| {
        let expression = format!("odoo_up{{target=\"erp\"}} == {value}");
        has_answer(&prometheus, &expression).await.then_some(())
    };
    // The alerts of the name, by the engine that sent them.
    let reported = async |name: &str| {
        let alerts = alertmanager.get("api/v2/alerts").await?;
        let of_target =
            |it: &&Value| it["labels"]["alertname"] == name && it["labels"]["target"] == "erp";
        let mut engines: Vec<_> = (list(&alerts).filter(of_target))
            .map(|it| {
                it["labels"]["origin"]
                    .as_str()
                    .unwrap_or("prometheus")
                    .to_owned()
            })
            .collect();
        engines.sort();
        Some(engines)
    };
    let both = ["odoo-mfa-exporter", "prometheus"];

    eventually("Prometheus sees the target up", async || up(1).await).await;
    database.fail(Fault::Down);
    eventually("and down", async || up(0).await).await;
    for user in &users[..6] {
        assert!(database.world_mut().disable_totp(*user));
    }
    eventually("the rules hold what they knew", async || {
        let held = "target:odoo_up:held_since{target=\"erp\"}";
        has_answer(&prometheus, held).await.then_some(())
    })
    .await;
    for name in ["OdooMfaDisabled", "OdooMfaProtectedDropped"] {
        assert_eq!(reported(name).await, Some(vec![]), "{name} is unknown yet");
    }
    database.heal();
    for name in ["OdooMfaDisabled", "OdooMfaProtectedDropped"] {
        eventually(&format!("both engines report {name}"), async || {
            (reported(name).await? == both).then_some(())
        })
        .await;
    }
    let lost = "odoo_mfa_recently_unprotected_users{target=\"erp\", user_type=\"internal\"} == 6";
    assert!(has_answer(&prometheus, lost).await);
    for user in &users[..6] {
        assert!(database.world_mut().enroll(*user));
    }
    eventually("both engines resolve what is fixed", async || {
        (reported("OdooMfaProtectedDropped").await?.is_empty()).then_some(())
    })
    .await;
    drop((prometheus, alertmanager));
    stop.cancel();
    running.await.expect("no panic").expect("a clean end");
    receiver.stop().await;
}

/// An expression and where it stands.
struct Expression {
    place: String,
    /// With all values of its variables; one answer among them is enough.
    variants: Vec<String>,
}

impl Expression {
    fn of_rule(rule: &Value) -> Self {
        Self {
            place: text(&rule["name"]).into(),
            variants: vec![text(&rule["query"]).into()],
        }
    }

    /// Expressions that must have an answer: itself, or each selector of a quiet one.
    fn wanted(self) -> Vec<Self> {
        if ELSEWHERE.iter().any(|part| self.variants[0].contains(part)) {
            return Vec::new();
        }
        // A record that holds what it found may be empty. Alerts that fire here show that it can be full.
        let holds = self.variants[0].contains(&self.place);
        if !holds && !QUIET.contains(&self.place.as_str()) {
            return vec![self];
        }
        let each = |index: usize| Self {
            place: self.place.clone(),
            variants: (self.variants.iter())
                .map(|variant| selectors(variant)[index].into())
                .collect(),
        };
        // Records have an expression of their own.
        let of_families = |index: &usize| !selectors(&self.variants[0])[*index].contains(':');
        let all = 0..selectors(&self.variants[0]).len();
        all.filter(of_families).map(each).collect()
    }

    async fn has_answer(&self, prometheus: &Prometheus) -> bool {
        for variant in &self.variants {
            if has_answer(prometheus, variant).await {
                return true;
            }
        }
        false
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.variants[0])
    }
}

/// Returns true if there is an answer with a number in it. Panics on an error.
async fn has_answer(prometheus: &Prometheus, expression: &str) -> bool {
    let answer = prometheus.query(expression).await;
    answer.iter().any(|series| series["value"][1] != "NaN")
}

/// The rules as Prometheus has read them.
async fn rules(prometheus: &Prometheus) -> Vec<Value> {
    let groups = prometheus.get("/api/v1/rules", &[]).await;
    let groups = groups.map(|mut rules| rules["groups"].take());
    (groups
        .iter()
        .flat_map(|groups| groups.as_array().into_iter().flatten()))
    .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
    .collect()
}

/// The expressions of all panels, annotations and variables.
fn of_dashboards(demo: &Demo) -> Vec<Expression> {
    let mut found = Vec::new();
    for name in ["fleet", "target", "exporter"] {
        let dashboard: Value =
            serde_json::from_str(&committed(&format!("dashboards/odoo-mfa-{name}.json")))
                .expect("JSON");
        let variables = list(&dashboard["templating"]["list"])
            .filter(|variable| variable["type"] == "query")
            .map(|variable| (text(&variable["name"]), values(variable, demo)))
            .collect::<Vec<_>>();
        let panels = list(&dashboard["panels"]).flat_map(|panel| {
            list(&panel["targets"])
                .map(move |target| (text(&panel["title"]), text(&target["expr"])))
        });
        let annotations = list(&dashboard["annotations"]["list"])
            .map(|annotation| (text(&annotation["name"]), text(&annotation["expr"])));
        let queries = list(&dashboard["templating"]["list"])
            .filter_map(|variable| Some((variable, variable["query"]["query"].as_str()?)))
            .map(|(variable, query)| (text(&variable["name"]), labelled(query)));
        for (title, expression) in panels.chain(annotations).chain(queries) {
            found.push(Expression {
                place: format!("odoo-mfa-{name}: {title}"),
                variants: with_variables(expression, &variables),
            });
        }
    }
    found
}

/// The values of a variable among which an answer must be: the default, all, or each target.
fn values(variable: &Value, demo: &Demo) -> Vec<String> {
    match variable["current"]["value"].as_str() {
        _ if variable["multi"] == true => vec![".*".into()],
        Some(default) => vec![default.into()],
        None => demo.targets.iter().map(|it| it.name.clone()).collect(),
    }
}

fn with_variables(expression: &str, variables: &[(&str, Vec<String>)]) -> Vec<String> {
    let expression = expression.replace("$__rate_interval", "10s");
    let mut variants = vec![expression.replace("$__range", "1m")];
    for (name, values) in variables {
        let name = format!("${name}");
        if expression.contains(&name) {
            variants = (values.iter())
                .flat_map(|value| variants.iter().map(|it| it.replace(&name, value)))
                .collect();
        }
    }
    assert!(!variants[0].contains('$'), "a variable in {}", variants[0]);
    variants
}

/// The selector in `label_values(SELECTOR, LABEL)`.
fn labelled(query: &str) -> &str {
    let inner = query
        .strip_prefix("label_values(")
        .and_then(|it| it.rsplit_once(','));
    inner.expect("label_values(SELECTOR, LABEL)").0
}

/// The selectors of an expression, without ranges. Reads words, not grammar: a name of a family cannot be a function or a label.
fn selectors(expression: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c| is_word(c) || c == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').expect("an end of the string").1;
            continue;
        }
        let mut end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        let is_recorded = name.contains(':') && name.starts_with(char::is_alphabetic);
        if is_recorded || BUILT_IN.contains(&name) || family_of(name).is_some() {
            if rest[end..].starts_with('{') {
                end = rest.find('}').expect("an end of the matchers") + 1;
            }
            found.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    found
}

/// The family of a sample's name.
fn family_of(name: &str) -> Option<&'static Family> {
    family(name).or_else(|| {
        let (base, suffix) = name.rsplit_once('_')?;
        ["bucket", "sum", "count"]
            .contains(&suffix)
            .then(|| family(base))?
    })
}

/// Prometheus' configuration and rules as committed, but hasty: alerts do not wait. One of two
/// instances of the exporter is down.
fn files(address: &str, alertmanager: &str) -> [(&'static str, String); 2] {
    let configuration = changed(
        &committed("alerts/prometheus.yml"),
        &[
            ("interval: 30s", "interval: 1s"),
            ("127.0.0.1:9893", &format!("{address}, 127.0.0.1:1")),
            ("127.0.0.1:9093", alertmanager),
        ],
    );
    let rules = changed(
        &committed("alerts/odoo-mfa.rules.yml"),
        &[
            ("  interval: 1m", "  interval: 1s"),
            ("  interval: 2m", "  interval: 1s"),
            (":down_since >= 900", ":down_since >= 1"),
            ("    for: ", "    # for: "),
        ],
    );
    [
        ("prometheus.yml", configuration),
        ("odoo-mfa.rules.yml", rules),
    ]
}

fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes
        .iter()
        .fold(text.into(), |text: String, (old, new)| {
            assert!(text.contains(old), "no {old:?}");
            text.replace(old, new)
        })
}

fn committed(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).expect("a file of this project")
}

fn list(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// The demo's targets, polled often, with something to complain about and something that is accepted.
fn configuration(demo: &Demo) -> Config {
    let target = |it: &DemoTarget| {
        let vantage = json!({"name": "outside", "url": it.url, "expect_blocked": ["xmlrpc", "database_manager"]});
        json!({
            "surface": {"interval": "1m", "vantages": [vantage]},
            "name": it.name, "url": it.url, "database": it.database, "login": it.login, "api_key": it.api_key,
            "exemptions": [{"login": it.login, "reason": "service"}, {"login": "unknown", "reason": "other"}],
            "accept_missing": ["trusted_devices"], "accept_bypasses": ["impersonation"],
        })
    };
    let configuration = json!({
        "defaults": {"interval": "4s", "timeout": "3s"},
        "targets": demo.targets.iter().map(target).collect::<Vec<_>>(),
        // No server listens there.
        "alerting": {"alertmanagers": [{"url": "http://127.0.0.1:9"}], "evaluation_interval": "1s"},
    });
    target::config(&configuration.to_string())
}
