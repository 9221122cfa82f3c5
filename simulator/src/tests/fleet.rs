//! Big databases, life, and ready-made fleets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// Id, login, active, TOTP, passkeys, last login.
type Row = (u32, String, bool, bool, usize, Option<Time>);

fn snapshot(world: &World) -> Vec<Row> {
    world
        .people()
        .map(|it| {
            (
                it.id(),
                it.login(),
                it.active(),
                it.totp(),
                it.passkeys(),
                it.last_login(),
            )
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_world_and_the_same_life() {
    let build = |seed| {
        let mut world = World::build(&Recipe::new(19, seed), Clock::fixed(NOW));
        let account = world.add_account(AccountKind::Full, "auditor");
        let born = snapshot(&world);
        Life::skip(&mut world, 400);
        (born, snapshot(&world), account.api_key)
    };
    assert_eq!(build(5), build(5));
    let (born, lived, _) = build(5);
    assert_ne!(born, build(6).0);
    let enrolled = |people: &[Row]| {
        people
            .iter()
            .filter(|it| it.3)
            .map(|it| it.0)
            .collect::<Vec<_>>()
    };
    assert_ne!(enrolled(&born), enrolled(&lived));
    assert!(lived.len() > born.len(), "people joined");
    assert!(
        lived.iter().any(|it| it.1 == "auditor" && it.2),
        "the account that polls stays"
    );
}

#[tokio::test]
async fn a_hundred_thousand_portal_people_are_searched_quickly() {
    let recipe = Recipe {
        internal: 5_000,
        portal: 100_000,
        ..Recipe::new(19, 2)
    };
    let stage = Stage::with(&recipe).await;
    let truth = stage
        .database
        .world()
        .users()
        .filter(|it| it.totp())
        .count();
    let before = Instant::now();
    assert_eq!(
        stage
            .count(&stage.least, json!([["totp_enabled", "=", true]]))
            .await,
        Ok(truth)
    );
    let body = json!({"domain": [["totp_enabled", "=", true], ["share", "=", false]], "order": "id", "context": {"active_test": false}});
    let ids = stage
        .json2(&stage.least, "res.users", "search", body)
        .await
        .expect("ids");
    assert!(ids.as_array().expect("ids").len() > 2_000);
    let groups = json!({"domain": [], "groupby": ["share", "active"], "aggregates": ["__count"], "context": {"active_test": false}});
    assert_eq!(
        stage
            .json2(&stage.least, "res.users", "formatted_read_group", groups)
            .await
            .expect("groups")
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    let took = before.elapsed();
    // Some ten milliseconds each in a release build.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn the_demo_has_servers_that_answer_their_accounts_after_their_past() {
    let mut demo = start_demo(1, 7, 400).await.expect("free ports");
    for _ in 0..40 {
        demo.pass(10);
    }
    let names: Vec<_> = demo
        .targets
        .iter()
        .map(|target| (&*target.name, target.version))
        .collect();
    assert_eq!(
        names,
        [
            ("healthy19", 19),
            ("healthy20", 20),
            ("healthy17", 17),
            ("blind18", 18),
            ("flaky15", 15),
            ("sim-00000", 19),
            ("sim-00001", 19)
        ]
    );
    for (target, server) in demo.targets.iter().zip(&demo.servers).take(CAST) {
        let args = json!([target.database, target.login, target.api_key, {}]);
        let body = json!({"jsonrpc": "2.0", "params": {"service": "common", "method": "authenticate", "args": args}});
        let answer = ask(
            server.address(),
            "POST",
            "/jsonrpc",
            &[("Content-Type", "application/json")],
            &body.to_string(),
        )
        .await
        .expect("an answer");
        assert!(
            answer.json()["result"].is_number(),
            "{target:?}: {}",
            answer.body
        );
        assert!(!format!("{target:?}").contains(&target.api_key));
    }
}

#[tokio::test]
async fn a_fleet_writes_the_configuration_that_polls_it() {
    let options = SimulateOptions {
        targets: 30,
        per_server: 7,
        latency: (Duration::ZERO, Duration::ZERO),
        share_down: 0.3,
        ..SimulateOptions::default()
    };
    let fleet = Fleet::start(&options).await.expect("free ports");
    assert_eq!(fleet.servers.len(), 5);
    let text = fleet.configuration(&options);
    assert_eq!(text.matches("\n- name: sim-").count(), 30);
    assert!(!text.contains(&fleet.targets[0].api_key));
    let mut up = 0;
    for target in &fleet.targets {
        let server = fleet
            .servers
            .iter()
            .find(|it| it.url() == target.url)
            .expect("its server");
        let args = json!([target.database, target.login, target.api_key, {}]);
        let body = json!({"jsonrpc": "2.0", "params": {"service": "common", "method": "authenticate", "args": args}});
        let headers = [
            ("Content-Type", "application/json"),
            ("Connection", "close"),
        ];
        if let Some(answer) = ask(
            server.address(),
            "POST",
            "/jsonrpc",
            &headers,
            &body.to_string(),
        )
        .await
        {
            assert!(
                answer.json()["result"].is_number(),
                "{target:?}: {}",
                answer.body
            );
            up += 1;
        }
    }
    assert!((10..30).contains(&up), "{up} of 30 are up");
}

#[tokio::test]
async fn a_dropped_server_does_not_answer() {
    let stage = Stage::new(18).await;
    let address = stage.server.address();
    drop(stage);
    let refused = || std::net::TcpStream::connect(address).is_err();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !refused() {
        assert!(Instant::now() < deadline, "the port is closed soon");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_ledger_has_each_change_and_no_user_twice() {
    let options = SimulateOptions {
        targets: 3,
        internal: (5, 30),
        ..SimulateOptions::default()
    };
    let fleet = Fleet::start(&options).await.expect("free ports");
    let databases = fleet.databases();
    let holders = || -> BTreeSet<(String, u32)> {
        let of = |database: &Arc<Database>| {
            let world = database.world();
            let held = world.users().filter(|it| it.totp());
            held.map(|it| (database.name.clone(), it.id()))
                .collect::<Vec<_>>()
        };
        databases.iter().flat_map(of).collect()
    };
    let before = holders();
    let ledger = Ledger::new(databases.clone(), 1);
    let mut printed = Vec::new();
    crate::simulate::keep(ledger, "2\n9999\n1\n".as_bytes(), &mut printed).expect("written");
    let printed = String::from_utf8(printed).expect("text");
    let blocks: Vec<_> = printed.split("\n\n").collect();
    assert_eq!(blocks[0].lines().count(), 2, "{printed}");
    assert!(blocks[1].lines().count() > 10, "{printed}");
    assert_eq!(blocks[2].trim(), "", "no user is left");
    let now = holders();
    let expected = |(held, word): (&BTreeSet<(String, u32)>, &str)| -> Vec<String> {
        let line = |(name, id): &(String, u32)| format!("{name} {id} {word}");
        held.iter().map(line).collect()
    };
    let joined = now.difference(&before).cloned().collect();
    let left = before.difference(&now).cloned().collect();
    let mut changes = expected((&joined, "enrolled"));
    changes.extend(expected((&left, "disabled")));
    changes.sort();
    let mut lines: Vec<_> = printed.lines().filter(|line| !line.is_empty()).collect();
    lines.sort();
    assert_eq!(lines, changes, "each user once, and as the databases say");
}
