//! Nothing that Odoo hides from the polling account is missing from a number: the poll fails, or the number is absent.

use std::sync::Arc;

use odoo_mfa_exporter::domain::facts::Known;
use odoo_mfa_exporter::domain::{Reason, UserType};
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Error};
use odoo_simulator::{
    AccountKind, Clock, Database, Fault, Hide, Kind, PersonView, Recipe, ServerOptions, SimServer,
    World,
};

use crate::harness::eventually;
use crate::oracle::{Client, DAY, NOW, stage};

const HIDES: [Hide; 6] = [
    Hide::UserRule,
    Hide::UserGroupRule,
    Hide::ContactRule,
    Hide::ContactGroupRule,
    Hide::PrivateContact,
    Hide::SearchOverride,
];

/// A user of the world whose absence from a sum would go unnoticed.
fn one(database: &Database, is: impl Fn(&PersonView<'_>) -> bool) -> u32 {
    let world = database.world();
    let found = world
        .people()
        .find(|person| is(person) && person.login() != "auditor");
    found.expect("there is one").id()
}

/// A server with one database, which bears the name of the key of an account that sees everything.
async fn served(recipe: &Recipe) -> (SimServer, Arc<Database>) {
    let mut world = World::build(recipe, Clock::fixed(NOW));
    let account = world.add_account(AccountKind::Full, "auditor");
    let server = SimServer::start(ServerOptions::new(recipe.version)).await;
    let server = server.expect("a free port");
    let database = server.add_database(&account.api_key, world);
    (server, database)
}

fn newest(database: &Database) -> u32 {
    let mut world = database.world_mut();
    world.hire(Kind::Portal)
}

fn assert_hidden(error: &Error, ids: &[u32], version: u8, tag: &str) {
    assert_eq!(error.reason(), Reason::Access, "{tag}: {error}");
    let message = error.to_string();
    assert!(message.contains("Odoo hides"), "{tag}: {message}");
    // From 19 on their ids are unknown.
    if version < 19 {
        for id in ids {
            assert!(message.contains(&id.to_string()), "{tag}: {message}");
        }
    }
    assert!(error.hint.is_some(), "{tag}");
}

#[tokio::test]
async fn any_hidden_user_fails_the_poll() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Least).await;
        let users = [
            one(&database, |it| {
                it.active() && it.in_group("base.group_system")
            }),
            one(&database, |it| it.active() && it.kind() == Kind::Portal),
            one(&database, |it| !it.active()),
            one(&database, |it| it.kind() == Kind::None),
            newest(&database),
        ];
        for how in HIDES {
            for user in users {
                let tag = format!("Odoo {version}, {how:?}, user {user}");
                let mut client = Client::new(&clients, &server, &database, "");
                client
                    .poll(Parts::ALL)
                    .await
                    .expect("everything is visible");
                if !database.world_mut().hide_user(user, how) {
                    continue;
                }
                // A private contact hides no user from 17 on.
                if how == Hide::PrivateContact && version >= 17 {
                    database.world_mut().show_user(user);
                    continue;
                }
                let error = client.poll(Parts::ALL).await.expect_err(&tag);
                assert_hidden(&error, &[user], version, &tag);
                let error = client.poll(Parts::ALL).await.expect_err(&tag);
                assert_hidden(&error, &[user], version, &tag);
                database.world_mut().show_user(user);
                client.poll(Parts::ALL).await.expect("visible again");
            }
        }
    }
}

/// A seed decides which users are hidden, and how.
#[tokio::test]
async fn a_user_hidden_in_any_way_fails_the_poll() {
    let clients = Clients::default();
    let mut dice = 1_u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(dice >> 33).expect("31 bits") % sides
    };
    for version in 14..=20 {
        for seed in 1..=3 {
            let (server, database) = stage(version, seed, AccountKind::Least).await;
            for _ in 0..4 {
                let all: Vec<u32> = {
                    let world = database.world();
                    let others = world.people().filter(|it| it.login() != "auditor");
                    others.map(|it| it.id()).collect()
                };
                let hidden: Vec<u32> = (0..=roll(5)).map(|_| all[roll(all.len())]).collect();
                let mut any = false;
                for user in &hidden {
                    let how = HIDES[roll(HIDES.len())];
                    let hides = how != Hide::PrivateContact || version < 17;
                    any |= database.world_mut().hide_user(*user, how) && hides;
                }
                let tag = format!("Odoo {version}, seed {seed}, {hidden:?}");
                let polled = Client::new(&clients, &server, &database, "")
                    .poll(Parts::ALL)
                    .await;
                match polled {
                    Ok(_) => assert!(!any, "{tag}"),
                    Err(error) => assert_hidden(&error, &[], version, &tag),
                }
                for user in hidden {
                    database.world_mut().show_user(user);
                }
            }
        }
    }
}

#[tokio::test]
async fn users_of_archived_companies_and_of_none_fail_the_poll() {
    let clients = Clients::default();
    for version in 14..=20 {
        // Three companies.
        let (server, database) = stage(version, 2, AccountKind::Least).await;
        let tag = format!("Odoo {version}");
        let poll = async || {
            Client::new(&clients, &server, &database, "")
                .poll(Parts::ALL)
                .await
        };
        poll().await.expect("everything is visible");
        if database.world_mut().set_company_active(3, false) {
            let error = poll().await.expect_err(&tag);
            assert_hidden(&error, &[], version, &tag);
            database.world_mut().set_company_active(3, true);
        }
        let portal = one(&database, |it| it.kind() == Kind::Portal);
        assert!(database.world_mut().remove_company_rows(portal));
        let error = poll().await.expect_err(&tag);
        assert_hidden(&error, &[portal], version, &tag);
    }
}

#[tokio::test]
async fn a_company_that_is_lost_while_a_poll_reads_fails_it() {
    let clients = Clients::default();
    for version in 14..=20 {
        for question in ["ir.module.module", "res.users.apikeys"] {
            let (server, database) = stage(version, 2, AccountKind::Full).await;
            let tag = format!("Odoo {version}, before {question}");
            let auditor = database
                .world()
                .people()
                .find(|it| it.login() == "auditor")
                .map(|it| it.id())
                .expect("the account");
            let mut client = Client::new(&clients, &server, &database, "");
            client
                .poll(Parts::ALL)
                .await
                .expect("everything is visible");
            database.before_call(Some(question), None, 1, move |world| {
                world.set_companies(auditor, 1, &[]);
            });
            let error = client.poll(Parts::ALL).await.expect_err(&tag);
            assert_eq!(database.waiting_changes(), 0, "{tag}");
            assert_eq!(error.reason(), Reason::Access, "{tag}: {error}");
        }
    }
}

#[tokio::test]
async fn users_who_sign_up_while_a_poll_reads_neither_fail_nor_repeat_it() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let tag = format!("Odoo {version}");
        let mut client = Client::new(&clients, &server, &database, "");
        let before = client.poll(Parts::ALL).await.expect("a poll").posture;
        client.requests();
        client.poll(Parts::ALL).await.expect("a poll");
        let ordinary = client.requests();
        database.before_call(Some("res.users.apikeys"), None, 1, |world| {
            let signed_up = world.hire(Kind::Portal);
            world.enroll(signed_up);
        });
        let during = client.poll(Parts::ALL).await.expect(&tag).posture;
        assert_eq!(client.requests(), ordinary, "{tag}");
        assert_eq!(during.active, before.active, "{tag}");
        assert_eq!(during.totp, before.totp, "{tag}");
        // The next poll counts the new user, and proves nothing but what is new.
        let after = client.poll(Parts::ALL).await.expect(&tag).posture;
        assert!(client.requests() <= ordinary + 1, "{tag}");
        let portal =
            |posture: &odoo_mfa_exporter::domain::Posture| posture.active[UserType::Portal];
        assert_eq!(portal(&after), portal(&before) + 1, "{tag}");
    }
}

/// A user who is deleted while a poll reads, or hidden, makes it be read once more.
#[tokio::test]
async fn a_poll_in_which_the_number_of_users_changes_is_read_once_more() {
    let clients = Clients::default();
    for version in [14, 18, 19] {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let mut client = Client::new(&clients, &server, &database, "");
        let before = client.poll(Parts::ALL).await.expect("a poll").posture;
        let portal = one(&database, |it| it.active() && it.kind() == Kind::Portal);
        database.before_call(Some("res.users.apikeys"), None, 1, move |world| {
            world.delete(portal);
        });
        let after = client.poll(Parts::ALL).await.expect("a poll").posture;
        let [before, after] = [before, after].map(|it| it.active[UserType::Portal]);
        assert_eq!(after, before - 1, "Odoo {version}");
    }
}

#[tokio::test]
async fn a_poll_costs_so_many_requests() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let exempt = ", exemptions: [{login: auditor, reason: service}]";
        let mut client = Client::new(&clients, &server, &database, exempt);
        client.poll_at(NOW, Parts::ALL).await.expect("a poll");
        client.requests();
        client.poll_at(NOW + 300, Parts::ALL).await.expect("a poll");
        let ordinary = client.requests();
        client
            .poll_at(NOW + 4_000, Parts::ALL)
            .await
            .expect("a poll");
        let with_proof = client.requests();
        assert!(ordinary <= 28, "Odoo {version}: {ordinary} requests");
        assert!(with_proof <= 32, "Odoo {version}: {with_proof} requests");
        let log = database.log();
        assert_eq!((log.writes(), log.secrets()), (0, 0), "Odoo {version}");
    }
}

/// One without an answer does not delay the other, and is the one that the error names.
#[tokio::test]
async fn of_many_users_two_questions_are_asked_at_a_time_where_their_host_has_room() {
    let mut postures = Vec::new();
    for (portal, busy, at_once) in [(20_000, 0, true), (20_000, 4, false), (1_000, 0, false)] {
        let recipe = Recipe {
            portal,
            ..Recipe::new(19, 1)
        };
        let (server, database) = served(&recipe).await;
        let clients = Clients::default();
        let host = clients.host(&server.url().parse().expect("a URL"));
        let _busy = host.acquire_many(busy).await.expect("places");
        let mut client = Client::new(&clients, &server, &database, "");
        let factors_were_asked = || {
            let asked = database.log().entries();
            asked
                .iter()
                .any(|it| it.arguments.contains("[\"totp_enabled\"]"))
        };
        if at_once {
            database.fail_when(Some("res.users.apikeys"), None, None, Fault::Forever);
            let asked = eventually("TOTP is read", async || factors_were_asked().then_some(()));
            tokio::select! {
                polled = client.poll(Parts::ALL) => panic!("it has an answer: {:?}", polled.err()),
                () = asked => {}
            }
            let error = client.timed_out().to_string();
            assert!(
                error.ends_with("did not answer /json/2/res.users.apikeys/search_read"),
                "{error}"
            );
        } else {
            let refused = Fault::Raise("ValueError", "broken".to_owned());
            database.fail_when(Some("res.users.apikeys"), None, None, refused);
            client.poll(Parts::ALL).await.expect_err("a failure");
            assert!(!factors_were_asked(), "{portal} {busy}");
        }
        database.heal();
        postures.push(client.poll(Parts::ALL).await.expect("a poll").posture);
    }
    assert_eq!(postures[0], postures[1]);
}

#[tokio::test]
async fn hidden_groups_leave_users_known_and_roles_missing() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let mut client = Client::new(&clients, &server, &database, "");
        let before = client.poll(Parts::ALL).await.expect("a poll").posture;
        for group in ["sales_team.group_sale_manager", "base.group_erp_manager"] {
            let tag = format!("Odoo {version}, {group}");
            assert!(database.world_mut().hide_group(group), "{tag}");
            let polled = client.poll(Parts::ALL).await.expect(&tag);
            assert!(matches!(polled.facts.roles, Known::Missing(_)), "{tag}");
            assert_eq!(polled.posture.active, before.active, "{tag}");
            assert_eq!(polled.posture.privileged, None, "{tag}");
            assert_eq!(polled.posture.well_known_privileged, None, "{tag}");
            database.world_mut().show_group(group);
        }
        // The group that makes users internal cannot be left out.
        database.world_mut().hide_group("base.group_user");
        let error = client.poll(Parts::ALL).await.expect_err("hidden");
        assert_eq!(error.reason(), Reason::Access, "Odoo {version}: {error}");
    }
}

#[tokio::test]
async fn a_group_is_found_by_each_of_its_xml_ids_and_a_wrong_one_is_reported() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let tag = format!("Odoo {version}");
        database
            .world_mut()
            .alias_group("base.group_system", "custom.administrators");
        let exempt = ", exemptions: [{group: custom.administrators, reason: other}, {group: base.group_sistem, reason: other}]";
        let polled = Client::new(&clients, &server, &database, exempt)
            .poll(Parts::ALL)
            .await
            .expect(&tag);
        let exempted: Vec<u32> = polled.facts.exemptions[0].iter().collect();
        let world = database.world();
        let wanted = world
            .people()
            .filter(|it| it.active() && it.in_group("base.group_system"));
        assert_eq!(
            exempted,
            wanted.map(|it| it.id()).collect::<Vec<_>>(),
            "{tag}"
        );
        assert_eq!(polled.facts.missing_groups, ["base.group_sistem"], "{tag}");
    }
}

#[tokio::test]
async fn an_empty_secret_is_no_second_factor() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let tag = format!("Odoo {version}");
        let mut client = Client::new(&clients, &server, &database, "");
        let before = client.poll(Parts::ALL).await.expect("a poll").facts;
        let migrated = one(&database, |it| {
            it.active() && it.kind() == Kind::Internal && !it.totp()
        });
        assert!(database.world_mut().empty_totp_secret(migrated), "{tag}");
        let after = client.poll(Parts::ALL).await.expect("a poll").facts;
        assert_eq!(after.totp, before.totp, "{tag}");
    }
}

/// Of thousands of users with TOTP, those in a role are read at each poll, the others in turns.
#[tokio::test]
async fn a_search_that_finds_other_users_than_have_totp_is_noticed() {
    let recipe = Recipe {
        internal: 40,
        portal: 3_600,
        totp_internal: 0.5,
        totp_portal: 1.0,
        ..Recipe::new(18, 1)
    };
    let (server, database) = served(&recipe).await;
    let mut client = Client::new(&Clients::default(), &server, &database, "");
    let mut poll = async || client.poll(Parts::ALL).await.expect("a poll").facts.totp;
    let is_in_role = |it: &PersonView<'_>| it.active() && it.in_group("base.group_system");
    let [with, without] =
        [true, false].map(|has| one(&database, |it| is_in_role(it) && it.totp() == has));
    let customer = one(&database, |it| {
        it.active() && it.kind() == Kind::Portal && it.totp()
    });
    let all = poll().await.complete().expect("it is known").clone();
    assert!(all.len() > 3_000 && all.contains(with) && all.contains(customer));

    for emptied in [with, customer] {
        assert!(database.world_mut().empty_totp_secret(emptied));
    }
    let mut polls = 0;
    loop {
        let totp = poll().await;
        let totp = totp.complete().expect("it is known");
        assert!(!totp.contains(with));
        polls += 1;
        if !totp.contains(customer) {
            break;
        }
        assert!(polls < 20, "all were read");
    }

    assert!(database.world_mut().enroll_elsewhere(without));
    for _ in 0..3 {
        assert!(poll().await.complete().is_none());
    }
}

#[tokio::test]
async fn an_account_that_stands_for_no_user_is_one_when_it_can_act() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let tag = format!("Odoo {version}");
        let mut client = Client::new(&clients, &server, &database, "");
        let before = client.poll(Parts::ALL).await.expect("a poll");
        assert!(before.facts.well_known_active.is_empty(), "{tag}");
        let template = database
            .world()
            .user_id("base.template_portal_user_id")
            .expect("it exists");
        database.world_mut().set_active(template, true);
        let polled = client.poll(Parts::ALL).await.expect(&tag);
        let known: Vec<u32> = polled.facts.well_known_active.iter().collect();
        assert_eq!(known, [template], "{tag}");
        assert_eq!(polled.posture.well_known_active, 1, "{tag}");
        assert_eq!(polled.posture.well_known_privileged, Some(0), "{tag}");
        let portal =
            |posture: &odoo_mfa_exporter::domain::Posture| posture.active[UserType::Portal];
        assert_eq!(
            portal(&polled.posture),
            portal(&before.posture) + 1,
            "{tag}"
        );
    }
}

#[tokio::test]
async fn a_website_whose_visitors_are_administrators_is_a_finding() {
    let clients = Clients::default();
    for version in 14..=19 {
        let recipe = Recipe {
            websites: 2,
            ..Recipe::new(version, 1)
        };
        let mut world = World::build(&recipe, Clock::fixed(NOW));
        let administrator = world
            .people()
            .find(|it| it.active() && it.in_group("base.group_system"))
            .map(|it| it.id())
            .expect("there is one");
        world.set_website_user(2, administrator);
        let account = world.add_account(AccountKind::Full, "auditor");
        let server = SimServer::start(ServerOptions::new(version))
            .await
            .expect("a free port");
        let database: Arc<Database> = server.add_database(&account.api_key, world);
        let polled = Client::new(&clients, &server, &database, "")
            .poll(Parts::ALL)
            .await
            .expect("a poll");
        let tag = format!("Odoo {version}");
        assert!(
            polled.facts.well_known_active.contains(administrator),
            "{tag}"
        );
        assert!(
            polled.facts.people.internal.contains(administrator),
            "{tag}"
        );
        assert_eq!(polled.posture.well_known_privileged, Some(1), "{tag}");
    }
}

#[tokio::test]
async fn well_known_accounts_are_found_whatever_their_ids() {
    let clients = Clients::default();
    for version in 14..=20 {
        let (server, database) = stage(version, 1, AccountKind::Least).await;
        let tag = format!("Odoo {version}");
        let before = Client::new(&clients, &server, &database, "")
            .poll(Parts::ALL)
            .await
            .expect("a poll");
        let public = database
            .world()
            .user_id("base.public_user")
            .expect("it exists");
        assert!(database.world_mut().renumber(public, 4_000), "{tag}");
        let mut client = Client::new(&clients, &server, &database, "");
        let after = client.poll(Parts::ALL).await.expect(&tag);
        assert_eq!(after.posture.archived, before.posture.archived, "{tag}");
        database.world_mut().delete(4_000);
        let mut client = Client::new(&clients, &server, &database, "");
        let deleted = client.poll(Parts::ALL).await.expect(&tag);
        assert_eq!(deleted.posture.archived, before.posture.archived, "{tag}");
    }
}

#[tokio::test]
async fn an_exemption_by_login_is_for_internal_users_unless_it_says_otherwise() {
    let clients = Clients::default();
    let (server, database) = stage(18, 1, AccountKind::Full).await;
    let portal = one(&database, |it| it.active() && it.kind() == Kind::Portal);
    let login = {
        let world = database.world();
        let found = world.people().find(|it| it.id() == portal);
        found.expect("the user").login().to_string()
    };
    for (user_type, exempted) in [("", false), (", user_type: portal", true)] {
        let exempt = format!(", exemptions: [{{login: '{login}', reason: service{user_type}}}]");
        let polled = Client::new(&clients, &server, &database, &exempt)
            .poll(Parts::ALL)
            .await
            .expect("a poll");
        assert_eq!(polled.facts.exemptions[0].contains(portal), exempted);
    }
}

#[tokio::test]
async fn a_proxy_that_drops_the_databases_name_is_noticed() {
    let clients = Clients::default();
    let mut world = World::build(&Recipe::new(19, 1), Clock::fixed(NOW + DAY));
    let account = world.add_account(AccountKind::Full, "auditor");
    let server = SimServer::start(ServerOptions {
        drops_database_header: true,
        ..ServerOptions::new(19)
    })
    .await
    .expect("a free port");
    let database = server.add_database(&account.api_key, world);
    let error = Client::new(&clients, &server, &database, "")
        .poll(Parts::ALL)
        .await
        .expect_err("any name is answered");
    assert!(error.to_string().contains("X-Odoo-Database"), "{error}");
}

/// A server that shows a far id must not make a poll ask about all ids before it.
#[tokio::test]
async fn an_id_far_away_fails_the_poll_at_once() {
    let clients = Clients::default();
    let (server, database) = stage(18, 1, AccountKind::Full).await;
    let portal = newest(&database);
    assert!(database.world_mut().renumber(portal, 4_000_000_000));
    let mut client = Client::new(&clients, &server, &database, "");
    let error = client.poll(Parts::ALL).await.expect_err("too far");
    assert_eq!(error.reason(), Reason::Access, "{error}");
    assert!(client.requests() < 20);
}
