//! The optional Odoo modules: one call says what many say, and where it does not answer the many are asked.

use std::sync::Arc;

use odoo_mfa_exporter::domain::facts::{Companion, Facts};
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Kind as ErrorKind};
use odoo_mfa_exporter::poll::Polled;
use odoo_simulator::{AccountKind, Database, Kind, Scope, SimServer};

use crate::oracle::{Client, DAY, NOW, stage};

const EXEMPTIONS: &str = ", exemptions: [{login: auditor, reason: service}, {login_glob: '*@mail.example', reason: other}, \
                          {group: base.group_system, reason: kiosk}, {group: no.such_group, reason: other}]";

fn install(database: &Database) {
    let mut world = database.world_mut();
    world.install("mfa_auditor");
    world.install("mfa_auditor_use");
}

/// The facts, without the differences between the two ways.
fn common(polled: Polled) -> Facts {
    Facts {
        companion: Companion::Absent,
        uses: None,
        clock_ahead: jiff::SignedDuration::ZERO,
        ..polled.facts
    }
}

/// A lived-in database and a client with exemptions.
async fn scene(version: u8, seed: u64, kind: AccountKind) -> (SimServer, Arc<Database>, Client) {
    let (server, database) = stage(version, seed, kind).await;
    let client = Client::new(&Clients::default(), &server, &database, EXEMPTIONS);
    (server, database, client)
}

#[tokio::test]
async fn one_call_says_what_many_say() {
    const SOME: Parts = Parts {
        keys: false,
        logins: false,
        roles: false,
        ..Parts::ALL
    };
    for version in 15..=19 {
        for seed in 1..=4 {
            for parts in [Parts::ALL, SOME] {
                let tag = format!("Odoo {version}, seed {seed}, {parts:?}");
                let (_server, database, mut client) = scene(version, seed, AccountKind::Full).await;
                {
                    let mut world = database.world_mut();
                    world.install("auth_totp_ip_check");
                    world.install("auth_api_key");
                    world.trust_network("10.0.0.0/8", &[]);
                    world.trust_network("10.1.0.0/16", &[3, 4]);
                    world.keep_clear_text_key(3);
                }
                let many = client.poll(parts).await.expect("polls one by one");
                assert_eq!(many.facts.companion, Companion::Absent, "{tag}");
                install(&database);
                let learning = client.poll(parts).await.expect("finds the module");
                assert_eq!(learning.facts.companion, Companion::Answered, "{tag}");
                database.log().clear();
                let one = client.poll(parts).await.expect("polls at once");
                assert_eq!(database.log().total(), 1, "{tag}");
                assert_eq!(database.log().count("mfa.auditor", "read_facts"), 1);
                assert_eq!(database.log().secrets(), 0);
                let numbers = (one.posture.clone(), many.posture.clone());
                let many = common(many);
                assert_eq!(common(learning), many, "{tag}");
                assert_eq!(common(one), many, "{tag}");
                let (mut one, many) = (Arc::unwrap_or_clone(numbers.0), numbers.1);
                one.password_rpc_used = None;
                if let Some(keys) = &mut one.keys {
                    keys.unused = [None; 2];
                }
                assert_eq!(one, *many, "{tag}");
            }
        }
    }
}

#[tokio::test]
async fn the_group_sees_all_there_is() {
    for version in 15..=19 {
        let (_server, database, mut client) = scene(version, 1, AccountKind::Plain).await;
        let before = client.poll(Parts::ALL).await.expect("polls");
        assert!(before.facts.keys.complete().is_none());
        database.world_mut().install("mfa_auditor");
        let without = client.poll(Parts::ALL).await.expect("polls");
        assert_eq!(without.facts.companion, Companion::Auditor);
        assert!(
            without.facts.keys.complete().is_none(),
            "not in the group yet"
        );
        {
            let mut world = database.world_mut();
            let account = world.people().find(|it| it.login() == "auditor");
            let account = account.expect("the account").id();
            assert!(world.grant(account, "mfa_auditor.group_mfa_auditor"));
        }
        let auditor = client.poll(Parts::ALL).await.expect("polls");
        assert!(auditor.facts.keys.complete().is_some());
        assert!(auditor.facts.devices.complete().is_some());
        database.world_mut().install("mfa_auditor_use");
        let complete = client.poll(Parts::ALL).await.expect("polls");
        assert_eq!(complete.facts.companion, Companion::Answered);
        assert_eq!(complete.facts.gaps().count(), 0, "Odoo {version}");
    }
}

#[tokio::test]
async fn what_does_not_answer_is_not_needed() {
    let (_server, database, mut client) = scene(18, 1, AccountKind::Full).await;
    install(&database);
    let one = common(client.poll(Parts::ALL).await.expect("polls at once"));
    database.world_mut().uninstall("mfa_auditor_use");
    let gone = client.poll(Parts::ALL).await.expect("polls one by one");
    assert!(matches!(gone.facts.companion, Companion::Failing(_)));
    assert_eq!(common(gone), one);
    let later = client.poll(Parts::ALL).await.expect("has forgotten it");
    assert_eq!(later.facts.companion, Companion::Auditor);
    assert_eq!(later.facts.uses, None);
    install(&database);
    let back = client.poll(Parts::ALL).await.expect("polls at once");
    assert_eq!(back.facts.companion, Companion::Answered);
}

#[tokio::test]
async fn an_account_outside_some_company_is_refused_as_ever() {
    let (_server, database, mut client) = scene(19, 2, AccountKind::OneCompany).await;
    let many = client.poll(Parts::ALL).await.expect_err("companies hidden");
    assert_eq!(many.kind, ErrorKind::Incomplete);
    install(&database);
    {
        let mut world = database.world_mut();
        let account = world.people().find(|it| it.login() == "auditor");
        let account = account.expect("the account").id();
        assert!(world.grant(account, "mfa_auditor.group_mfa_auditor"));
    }
    let one = client.poll(Parts::ALL).await.expect_err("companies hidden");
    assert_eq!(one, many);
    assert_eq!(database.log().count("mfa.auditor", "read_facts"), 1);
}

#[tokio::test]
async fn use_is_counted_once_it_is_known() {
    let (_server, database, mut client) = scene(17, 1, AccountKind::Full).await;
    install(&database);
    let long_unused = {
        let mut world = database.world_mut();
        let keys: Vec<u32> = world.keys().map(|key| key.id).collect();
        world.uses.keys = keys.into_iter().map(|key| (key, NOW)).collect();
        let owner = world.hire_at(Kind::Internal, NOW - 400 * DAY);
        let mut key = |age: u32| world.add_key(owner, Scope::Rpc, NOW - age * DAY, None);
        let (lately, long_ago, _new, never) = (key(300), key(300), key(10), key(300));
        world.uses.keys.insert(lately, NOW - 30 * DAY);
        world.uses.keys.insert(long_ago, NOW - 90 * DAY);
        let portal = world.hire_at(Kind::Portal, NOW - 400 * DAY);
        let archived = world.hire_at(Kind::Portal, NOW - 400 * DAY);
        world.set_active(archived, false);
        let dates = [(owner, 31), (portal, 29), (archived, 1), (1, 1)];
        world.uses.passwords = dates.map(|(user, days)| (user, NOW - days * DAY)).into();
        never
    };
    let mut poll_noted_for = async |days: u32| {
        database.world_mut().uses.since = NOW - days * DAY;
        let polled = client.poll(Parts::ALL).await.expect("polls");
        let used = polled.posture.password_rpc_used.map(|people| people.0);
        (polled.posture.keys.as_ref().expect("keys").unused, used)
    };
    let used = Some([0, 1, 0, 0]);
    assert_eq!(poll_noted_for(200).await, ([Some(1), Some(2)], used));
    // A key without a use, from before uses were noted, may have been used then.
    assert_eq!(poll_noted_for(89).await, ([None, None], used));
    assert_eq!(poll_noted_for(90).await, ([Some(1), Some(2)], used));
    assert_eq!(poll_noted_for(29).await, ([None, None], None));
    database.world_mut().revoke_key(long_unused);
    assert_eq!(poll_noted_for(29).await, ([Some(1), Some(1)], None));
    database.world_mut().uninstall("mfa_auditor_use");
    assert_eq!(poll_noted_for(200).await, ([None, None], None));
}
