//! What a poll costs, beside the naive way of reading all users page by page with `totp_enabled`.
//!
//! Runs on a simulated Odoo 19 with 5,000 internal and 100,000 portal people; on the targets of a configuration if `POLL_BENCH_CONFIG`
//! names one. Prints, asserts nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use odoo_mfa_exporter::config::{ApiChoice, Config, Env, FileContent, ProcessEnv, Target};
use odoo_mfa_exporter::demo::{AccountKind, Clock, Recipe, ServerOptions, SimServer, World};
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Transport};
use odoo_mfa_exporter::poll;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const POLLS: usize = 5;
const PAGE: usize = 1000;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(path) = std::env::var_os("POLL_BENCH_CONFIG") {
        return bench(&load(Path::new(&path), &ProcessEnv)).await;
    }
    let server = SimServer::start(ServerOptions::new(19))
        .await
        .expect("a free port");
    let recipe = Recipe {
        internal: 5_000,
        portal: 100_000,
        ..Recipe::new(19, 1)
    };
    let mut world = World::build(&recipe, Clock::system());
    let account = world.add_account(AccountKind::Full, "auditor");
    server.add_database("prod", world);
    let target = json!({"name": "simulated 19", "url": server.url(), "database": "prod", "login": account.login, "api_key": account.api_key});
    bench(&load(
        Path::new("bench.yml"),
        &Text(json!({"targets": [target]}).to_string()),
    ))
    .await;
}

struct Text(String);

impl Env for Text {
    fn file(&self, _: &Path) -> std::io::Result<FileContent> {
        Ok(FileContent {
            bytes: self.0.clone().into_bytes(),
            mode: 0o600,
        })
    }

    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fn load(path: &Path, env: &dyn Env) -> Config {
    Config::load(path, env).expect("a good configuration").0
}

async fn bench(config: &Config) {
    println!(
        "{:<16} {:>10} {:>9} {:>10} {:>9} {:>7}",
        "target", "poll", "requests", "naive", "requests", "ratio"
    );
    for target in &config.targets {
        let transport =
            Transport::new(&Clients::default(), Arc::clone(target)).expect("a transport");
        let mut session = None;
        let (mut walls, mut requests) = (Vec::new(), 0);
        // The first poll of a session asks a few questions more.
        for _ in 0..=POLLS {
            let started = Instant::now();
            let now = jiff::Timestamp::now();
            let polled = poll::once(
                &transport,
                &mut session,
                target,
                &config.roles,
                Parts::ALL,
                now,
            )
            .await;
            polled.expect("a poll that succeeds");
            walls.push(started.elapsed());
            requests = transport.take_counts().0;
        }
        walls.remove(0);
        walls.sort_unstable();
        let poll = walls[walls.len() / 2];
        let (naive, pages) = naive(target).await;
        let ratio = naive.as_secs_f64() / poll.as_secs_f64();
        println!(
            "{:<16} {poll:>10.3?} {requests:>9} {naive:>10.3?} {pages:>9} {ratio:>6.1}x",
            target.name
        );
    }
}

/// Reads all users, page by page.
async fn naive(target: &Target) -> (Duration, usize) {
    let client = reqwest::Client::new();
    let legacy = target.api == ApiChoice::JsonRpc
        || target.login.is_some() && !has_json2(&client, target).await;
    let group_field = if legacy { "groups_id" } else { "all_group_ids" };
    let fields = json!([
        "login",
        "active",
        "share",
        group_field,
        "login_date",
        "totp_enabled"
    ]);
    let uid = if legacy {
        authenticate(&client, target).await
    } else {
        Value::Null
    };
    let started = Instant::now();
    let (mut last, mut pages) = (0, 0);
    loop {
        let domain = json!([["id", ">", last]]);
        let named = json!({"fields": fields, "order": "id", "limit": PAGE, "context": {"active_test": false}});
        let rows = if legacy {
            let key = target.api_key.expose_secret();
            rpc(
                &client,
                target,
                "object",
                "execute_kw",
                json!([
                    target.database,
                    uid,
                    key,
                    "res.users",
                    "search_read",
                    [domain],
                    named
                ]),
            )
            .await
        } else {
            let mut body = named;
            body["domain"] = domain;
            let request = client
                .post(format!("{}json/2/res.users/search_read", target.url))
                .json(&body);
            let request = request
                .bearer_auth(target.api_key.expose_secret())
                .header("X-Odoo-Database", &target.database);
            request
                .send()
                .await
                .expect("an answer")
                .json()
                .await
                .expect("rows")
        };
        let rows = rows.as_array().expect("rows");
        pages += 1;
        match rows.last() {
            Some(row) if rows.len() == PAGE => last = row["id"].as_u64().expect("an id"),
            _ => return (started.elapsed(), pages),
        }
    }
}

async fn has_json2(client: &reqwest::Client, target: &Target) -> bool {
    let answer = client
        .get(format!("{}web/version", target.url))
        .send()
        .await
        .expect("an answer");
    answer.status().is_success()
}

async fn authenticate(client: &reqwest::Client, target: &Target) -> Value {
    let key = target.api_key.expose_secret();
    rpc(
        client,
        target,
        "common",
        "authenticate",
        json!([target.database, target.login, key, {}]),
    )
    .await
}

async fn rpc(
    client: &reqwest::Client,
    target: &Target,
    service: &str,
    method: &str,
    args: Value,
) -> Value {
    let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": service, "method": method, "args": args}});
    let request = client.post(format!("{}jsonrpc", target.url)).json(&body);
    let mut answer: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    answer["result"].take()
}
