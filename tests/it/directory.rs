//! Names behind the numbers, against the truth of the simulated database.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use odoo_mfa_exporter::domain::roster::{KeyState, State, Unlisted};
use odoo_mfa_exporter::domain::{PerType, UserType, finding};
use odoo_mfa_exporter::web::directory::{
    Direction, Directory, KeysQuery, Listed, ListedKey, Refused, SortKeys, SortUsers, UsersQuery,
};
use odoo_mfa_exporter::web::paging::Within;
use odoo_simulator::{AccountKind, Fault, Kind, PersonView, Recipe, Scope, World};

use crate::harness::snapshots::{down, pending};
use crate::harness::staged::{DAY, NOW, Staged, StagedFleet, lived_in};

/// All rows of a list, page by page.
async fn everybody(directory: &Directory, query: &UsersQuery) -> Vec<Listed> {
    let mut all = Vec::new();
    loop {
        let page = directory
            .users(&UsersQuery {
                page: Some(Within(u32::try_from(all.len()).expect("few") / 7 + 1)),
                per_page: Some(Within(7)),
                ..query.clone()
            })
            .await
            .expect("a page");
        if query.q.is_none() {
            assert_eq!(page.total, page.counted, "{query:?}");
        }
        let more = page.users.len() == 7;
        all.extend(page.users);
        if !more {
            assert_eq!(all.len() as u64, page.total, "{query:?}");
            return all;
        }
    }
}

async fn every_key(directory: &Directory, query: &KeysQuery) -> Vec<ListedKey> {
    let query = KeysQuery {
        per_page: Some(Within(500)),
        ..query.clone()
    };
    directory.keys(&query).await.expect("a page").keys
}

fn ids(people: &[Listed]) -> BTreeSet<u32> {
    let ids: BTreeSet<u32> = people.iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), people.len(), "no user twice");
    ids
}

fn truth(world: &World, is: impl Fn(&PersonView<'_>) -> bool) -> BTreeSet<u32> {
    let people = world.people().filter(|it| it.active() && is(it));
    people.map(|it| it.id()).collect()
}

#[tokio::test]
async fn a_list_has_exactly_the_users_that_the_number_counts() {
    for version in 14..=20 {
        let recipe = Recipe {
            policy: Some("employee_required").filter(|_| version >= 17),
            oauth: 0.2,
            ..Recipe::new(version, version.into())
        };
        let mut world = lived_in(&recipe);
        for kind in [Kind::None, Kind::Public] {
            world.hire(kind);
        }
        let staged = Staged::new(
            world,
            AccountKind::Full,
            ", exemptions: [{login_glob: 'a*', reason: kiosk}]",
        )
        .await;
        let directory = &staged.directory;
        let posture = &staged.posture;
        let list = async |state, user_type: Option<UserType>| {
            everybody(
                directory,
                &UsersQuery {
                    state: vec![state],
                    user_type: user_type.into_iter().collect(),
                    ..UsersQuery::default()
                },
            )
            .await
        };
        let exempt =
            |it: &PersonView<'_>| it.kind() == Kind::Internal && it.login().starts_with('a');
        let bare = |it: &PersonView<'_>| !exempt(it) && !it.totp();
        let young = |it: &PersonView<'_>| NOW - it.created() < 14 * DAY;
        let asleep =
            |it: &PersonView<'_>| NOW - it.last_login().unwrap_or(it.created()) >= 90 * DAY;
        type Is<'a> = &'a dyn Fn(&PersonView<'_>) -> bool;
        let states: [(State, Is<'_>); 10] = [
            (State::Active, &|_| true),
            (State::Eligible, &|it| !exempt(it)),
            (State::Protected, &|it| !exempt(it) && it.totp()),
            (State::Unprotected, &bare),
            (State::Grace, &|it| bare(it) && young(it)),
            (State::PastGrace, &|it| bare(it) && !young(it)),
            (State::Dormant, &|it| bare(it) && asleep(it)),
            (State::Exempt, &exempt),
            (State::Totp, &|it| it.totp()),
            (State::Passkey, &|it| it.passkeys() > 0),
        ];
        for (state, is) in states {
            let wanted = truth(&staged.database.world(), is);
            assert_eq!(
                ids(&list(state, None).await),
                wanted,
                "Odoo {version}, {state}"
            );
            for (user_type, kind) in [
                (UserType::Internal, Kind::Internal),
                (UserType::Portal, Kind::Portal),
                (UserType::None, Kind::None),
            ] {
                let listed = list(state, Some(user_type)).await;
                assert!(listed.iter().all(|it| it.user_type == Some(user_type)));
                let wanted = truth(&staged.database.world(), |it| it.kind() == kind && is(it));
                assert_eq!(ids(&listed), wanted, "Odoo {version}, {state}, {user_type}");
            }
        }
        let sum = |numbers: Option<PerType<u64>>| numbers.expect("known").0.iter().sum::<u64>();
        assert_eq!(
            list(State::Oauth, None).await.len() as u64,
            sum(posture.oauth)
        );
        assert_eq!(
            list(State::SingleFactor, None).await.len() as u64,
            sum(posture.single_factor)
        );
        assert_eq!(
            list(State::PasswordRpc, None).await.len() as u64,
            sum(posture.password_rpc)
        );
        let privileged = posture.privileged.as_ref().expect("known");
        for role in &privileged.roles {
            let query = UsersQuery {
                role: vec![role.name.parse().expect("a role")],
                ..UsersQuery::default()
            };
            let people = everybody(directory, &query).await;
            assert_eq!(Some(people.len() as u64), role.unprotected, "{}", role.name);
            assert!(
                people
                    .iter()
                    .all(|it| it.roles.contains(&role.name) && it.protected == Some(false))
            );
        }
        let log = staged.database.log();
        assert_eq!((log.writes(), log.secrets()), (0, 0));
        assert_eq!(
            log.count("common", "authenticate"),
            u64::from(version < 19),
            "no login but the poll's"
        );
    }
}

#[tokio::test]
async fn lists_are_sorted_searched_and_read_once_a_minute() {
    for version in [15, 18, 19] {
        let mut world = lived_in(&Recipe::new(version, 7));
        let person = world.hire(Kind::Portal);
        world.rename(
            person,
            "50%_off@mail.example",
            r"A\B <script>alert(1)</script>",
        );
        let staged = Staged::new(world, AccountKind::Least, "").await;
        let directory = &staged.directory;
        let all = UsersQuery {
            state: vec![State::Active],
            ..UsersQuery::default()
        };
        let by_name = everybody(directory, &all).await;
        let names: Vec<&str> = by_name.iter().map(|it| it.name.as_str()).collect();
        assert!(
            names.is_sorted_by_key(|name| name.to_lowercase()),
            "{names:?}"
        );
        let by = async |sort, order| {
            everybody(
                directory,
                &UsersQuery {
                    sort: Some(sort),
                    order: Some(order),
                    ..all.clone()
                },
            )
            .await
        };
        let logins = by(SortUsers::Login, Direction::Desc).await;
        assert!(logins.is_sorted_by(|a, b| a.login >= b.login));
        let created = by(SortUsers::Created, Direction::Asc).await;
        assert!(created.is_sorted_by_key(|it| it.created));
        // Wildcards of Odoo are plain text.
        for (text, found) in [
            ("50%_", 1),
            ("5%_off", 0),
            (r"a\b", 1),
            ("50%_OFF@", 1),
            ("%", 1),
            ("no such name", 0),
        ] {
            let people = everybody(
                directory,
                &UsersQuery {
                    q: Some(text.into()),
                    ..all.clone()
                },
            )
            .await;
            assert_eq!(people.len(), found, "{text}");
        }
        let before = staged.database.log().total();
        let page = directory
            .users(&UsersQuery {
                q: Some("a".into()),
                page: Some(Within(2)),
                ..all.clone()
            })
            .await
            .expect("a page");
        assert!(page.total > 50 && page.users.len() as u64 == (page.total - 50).min(50));
        assert_eq!(
            staged.database.log().total(),
            before,
            "names of a moment ago are used again"
        );
        let far = directory
            .users(&UsersQuery {
                page: Some(Within(u32::MAX)),
                ..all.clone()
            })
            .await
            .expect("a page");
        assert_eq!((far.users.len(), far.total), (0, by_name.len() as u64));
    }
}

#[tokio::test]
async fn who_is_gone_since_the_poll_is_not_shown_as_there() {
    let mut world = lived_in(&Recipe::new(19, 3));
    let (archived, deleted, portal) = (
        world.hire(Kind::Internal),
        world.hire(Kind::Internal),
        world.hire(Kind::Portal),
    );
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let (before, staff) = {
        let mut world = staged.database.world_mut();
        world.set_active(archived, false);
        world.delete(deleted);
        world.set_active(portal, false);
        // Neither was counted: one is no portal user, the other came later.
        let staff = world.hire(Kind::Internal);
        let late = world.hire(Kind::Portal);
        world.enroll(late);
        (staged.posture.active.0.iter().sum::<u64>(), staff)
    };
    let query = UsersQuery {
        state: vec![State::Active],
        per_page: Some(Within(500)),
        ..UsersQuery::default()
    };
    let page = staged.directory.users(&query).await.expect("a page");
    assert_eq!(
        (page.counted, page.total),
        (before, before - 1),
        "less one deleted and one archived, and one more"
    );
    let listed = |id| page.users.iter().find(|it| it.id == id);
    assert_eq!(listed(archived).map(|it| it.active), Some(false));
    for id in [deleted, portal, staff] {
        assert_eq!(listed(id), None);
    }
}

#[tokio::test]
async fn the_affected_users_of_a_finding_are_a_list_and_archived_people_have_no_type_that_is_guessed()
 {
    let mut world = lived_in(&Recipe::new(18, 3));
    let leaver = world.hire(Kind::Internal);
    world.add_key(leaver, Scope::Rpc, NOW - DAY, None);
    world.set_active(leaver, false);
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let query = UsersQuery {
        finding: Some(finding::Kind::KeysOfArchived),
        ..UsersQuery::default()
    };
    let people = everybody(&staged.directory, &query).await;
    let found = people.iter().find(|it| it.id == leaver).expect("concerned");
    assert_eq!(
        (found.active, found.user_type, found.protected),
        (false, None, None)
    );
    assert!(people.iter().all(|it| !it.active), "{people:#?}");
}

#[tokio::test]
async fn ids_are_never_looked_up_in_another_database() {
    let staged = Staged::new(lived_in(&Recipe::new(19, 2)), AccountKind::Full, "").await;
    let elsewhere = crate::harness::target::config(&format!(
        "targets: [{{name: erp, url: '{}', database: other, api_key: x}}]",
        staged.server.url()
    ));
    staged.directory.configure(&elsewhere.targets);
    let asked = staged.directory.users(&UsersQuery::default()).await;
    assert_eq!(asked, Err(Refused::NotPolled));
}

#[tokio::test]
async fn keys_are_listed_with_owners_and_never_the_key() {
    for version in [14, 15, 18, 19] {
        let mut world = lived_in(&Recipe {
            keys_per_hundred: 40,
            ..Recipe::new(version, 5)
        });
        let owner = world.hire(Kind::Internal);
        world.rename(owner, "zz@company.example", "=cmd|' /C calc'!A0");
        world.add_key(owner, Scope::Rpc, NOW - 500 * DAY, Some(NOW + DAY));
        let staged = Staged::new(world, AccountKind::Least, "").await;
        let keys = staged.posture.keys.as_ref().expect("known");
        let list = async |query: KeysQuery| every_key(&staged.directory, &query).await;
        let working = list(KeysQuery::default()).await;
        assert_eq!(
            working.len() as u64,
            keys.unrestricted + keys.rpc + keys.other
        );
        assert!(
            working.is_sorted_by(|a, b| a.created <= b.created),
            "the oldest first"
        );
        assert_eq!(
            working[0].age_days,
            working.iter().map(|it| it.age_days).max().expect("some")
        );
        for (state, number) in [
            (KeyState::Ge365d, keys.by_age[3]),
            (KeyState::WithoutExpiry, keys.without_expiry),
            (KeyState::OfArchived, keys.of_archived),
            (KeyState::Expired, keys.expired),
            (KeyState::OfUnprotected, keys.of_unprotected.expect("known")),
            (KeyState::OfPrivileged, keys.of_privileged.expect("known")),
            (KeyState::Expiring, keys.expiring.iter().sum()),
        ] {
            assert_eq!(
                list(KeysQuery {
                    state: vec![state],
                    ..KeysQuery::default()
                })
                .await
                .len() as u64,
                number,
                "{state}"
            );
        }
        let by_owner = list(KeysQuery {
            sort: Some(SortKeys::Owner),
            ..KeysQuery::default()
        })
        .await;
        assert!(
            by_owner
                .is_sorted_by_key(|key| key.owner_name.as_ref().map(|name| name.to_lowercase())),
            "{by_owner:#?}"
        );
        let by_expiry = list(KeysQuery {
            sort: Some(SortKeys::Expiry),
            ..KeysQuery::default()
        })
        .await;
        assert!(by_expiry.is_sorted_by_key(|it| (it.expires.is_none(), it.expires)));
        let found = list(KeysQuery {
            q: Some("CALC".into()),
            ..KeysQuery::default()
        })
        .await;
        assert_eq!(found.iter().map(|it| it.owner).collect::<Vec<_>>(), [owner]);
        assert_eq!(
            found[0].name.as_deref(),
            Some(format!("credential {}", found[0].id).as_str())
        );
        let named = list(KeysQuery {
            q: Some(format!("Credential {}", found[0].id)),
            ..KeysQuery::default()
        })
        .await;
        assert!(named.iter().any(|it| it.id == found[0].id));
        let csv = staged
            .directory
            .keys_csv(&KeysQuery::default())
            .await
            .expect("a stream");
        let csv: Vec<_> = csv.try_collect().await.expect("all of it");
        let csv = String::from_utf8(csv.concat()).expect("text");
        assert!(csv.contains(",'=cmd|' /C calc'!A0,"), "{csv}");
        assert_eq!(csv.lines().count(), working.len() + 1);
        let log = staged.database.log();
        assert_eq!((log.writes(), log.secrets()), (0, 0));
    }
}

#[tokio::test]
async fn keys_show_their_last_use_where_it_is_noted() {
    let unused = KeysQuery {
        state: vec![KeyState::UnusedGe90d],
        ..KeysQuery::default()
    };
    let mut world = lived_in(&Recipe::new(19, 3));
    world.install("mfa_auditor");
    world.install("mfa_auditor_use");
    world.uses.since = NOW - 200 * DAY;
    let keys: Vec<u32> = world.keys().map(|key| key.id).collect();
    world.uses.keys = keys.iter().map(|key| (*key, NOW - 91 * DAY)).collect();
    world.uses.keys.insert(keys[0], NOW - DAY);
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let page = staged.directory.keys(&unused).await.expect("a list");
    let counted = staged.posture.keys.as_ref().expect("known").unused[1];
    assert_eq!(Some(page.total), counted);
    assert!(page.total > 0 && page.keys[0].uses_noted_since.is_some());
    assert!(
        page.keys
            .iter()
            .all(|key| key.id != keys[0] && key.last_use.is_some())
    );

    let staged = Staged::new(lived_in(&Recipe::new(19, 3)), AccountKind::Full, "").await;
    let refused = staged.directory.keys(&unused).await;
    assert_eq!(refused, Err(Refused::Unlisted(Unlisted::UseNotNoted)));
    let page = staged.directory.keys(&KeysQuery::default()).await;
    assert_eq!(page.expect("a list").keys[0].uses_noted_since, None);
}

#[tokio::test]
async fn what_is_not_known_completely_is_refused_with_what_to_grant() {
    let mut world = lived_in(&Recipe::new(18, 2));
    let person = world.hire(Kind::Internal);
    world.add_key(person, Scope::Rpc, NOW - DAY, None);
    let staged = Staged::new(world, AccountKind::Plain, ", accepted_factors: [totp]").await;
    let refused = staged
        .directory
        .keys(&KeysQuery::default())
        .await
        .expect_err("a refusal");
    assert!(
        matches!(refused, Refused::Unlisted(Unlisted::Missing { .. })),
        "{refused:?}"
    );
    assert!(
        refused.hint().contains("[(1, '=', 1)]"),
        "{}",
        refused.hint()
    );
    let role = UsersQuery {
        role: vec!["janitors".parse().expect("a role")],
        ..UsersQuery::default()
    };
    let refused = staged.directory.users(&role).await.expect_err("a refusal");
    assert_eq!(
        refused,
        Refused::Unlisted(Unlisted::NoSuchRole("janitors".into()))
    );
    let refused = staged
        .directory
        .users(&UsersQuery {
            target: vec!["crm".into()],
            ..UsersQuery::default()
        })
        .await
        .expect_err("a refusal");
    assert_eq!(refused, Refused::NoSuchTarget("crm".into()));
}

#[tokio::test]
async fn an_odoo_that_does_not_answer_is_an_error_and_not_an_empty_list() {
    let staged = Staged::new(lived_in(&Recipe::new(19, 2)), AccountKind::Full, "").await;
    let ask = async || staged.directory.users(&UsersQuery::default()).await;
    staged.database.fail(Fault::Down);
    let Err(Refused::Odoo(error)) = ask().await else {
        panic!("not an error of Odoo's")
    };
    assert!(error.hint.is_some(), "{error:?}");
    staged.database.heal();
    assert!(ask().await.is_ok());
    // A file that was cut short must not look whole.
    staged
        .database
        .fail_when(Some("res.users"), Some("search_read"), None, Fault::Down);
    let all = UsersQuery {
        state: vec![State::Active],
        sort: Some(SortUsers::Id),
        ..UsersQuery::default()
    };
    let csv = staged
        .directory
        .users_csv(&all)
        .await
        .expect("the ids were read");
    let rows: Result<Vec<_>, Refused> = csv.try_collect().await;
    assert!(matches!(rows, Err(Refused::Odoo(_))), "{rows:?}");
}

/// Two targets that answer, one that is down, one that was not polled, and a fifth whose polling account sees no API keys.
async fn fleet() -> StagedFleet {
    let world = |seed| lived_in(&Recipe::new(18, seed));
    let worlds = vec![
        ("crm", world(3), AccountKind::Full),
        ("erp", world(4), AccountKind::Full),
        ("shop", world(5), AccountKind::Plain),
    ];
    StagedFleet::new(worlds, "", vec![down("lost"), pending("new")]).await
}

#[tokio::test]
async fn a_list_over_targets_is_as_long_as_their_numbers_and_names_those_that_are_missing() {
    let fleet = fleet().await;
    let directory = &fleet.directory;
    let active = UsersQuery {
        state: vec![State::Active],
        user_type: vec![UserType::Internal],
        ..UsersQuery::default()
    };
    let counted: u64 = fleet
        .postures
        .iter()
        .map(|it| it.active[UserType::Internal])
        .sum();
    let mut seen = Vec::new();
    for page in 1.. {
        let query = UsersQuery {
            page: Some(Within(page)),
            per_page: Some(Within(7)),
            ..active.clone()
        };
        let page = directory.users(&query).await.expect("a page");
        assert_eq!(
            (page.counted, page.total, page.targets),
            (counted, counted, 5)
        );
        assert_eq!(page.not_visible, Some(0));
        let silent: Vec<(&str, &str)> = page
            .silent
            .iter()
            .map(|it| (it.target.as_str(), it.reason.as_str()))
            .collect();
        assert_eq!(
            silent,
            [
                ("lost", "the last poll failed: auth"),
                ("new", "the target has not been polled yet")
            ]
        );
        if page.users.is_empty() {
            break;
        }
        seen.extend(page.users);
    }
    assert_eq!(seen.len() as u64, counted);
    assert!(seen.is_sorted_by_key(|it| (it.target.clone(), it.id)));
    // One read for each target, however the list is sorted in the next minute.
    let before: u64 = fleet.databases.iter().map(|it| it.log().total()).sum();
    let mut sorted = Vec::new();
    for (sort, order) in [
        (SortUsers::Name, Direction::Asc),
        (SortUsers::LastLogin, Direction::Desc),
    ] {
        let query = UsersQuery {
            sort: Some(sort),
            order: Some(order),
            per_page: Some(Within(1000)),
            ..active.clone()
        };
        let page = directory.users(&query).await.expect("a page");
        assert_eq!(page.users.len() as u64, counted);
        sorted.push(page.users);
    }
    assert!(sorted[0].is_sorted_by_key(|it| it.name.to_lowercase()));
    assert!(sorted[1].is_sorted_by(|a, b| a.last_login >= b.last_login));
    let after: u64 = fleet.databases.iter().map(|it| it.log().total()).sum();
    assert_eq!(after - before, 3);
}

#[tokio::test]
async fn filters_of_one_kind_are_alternatives_and_targets_are_counted_without_asking_odoo() {
    let fleet = fleet().await;
    let directory = &fleet.directory;
    let all = |query: UsersQuery| UsersQuery {
        per_page: Some(Within(1000)),
        ..query
    };
    let list = async |query: UsersQuery| {
        let page = directory.users(&all(query.clone())).await.expect("a page");
        let counts = directory.count_users(&query);
        let known: u64 = counts.iter().filter_map(|it| it.count.as_ref().ok()).sum();
        assert_eq!(known, page.total, "{query:?}");
        let ids: BTreeSet<(String, u32)> = page
            .users
            .into_iter()
            .map(|it| (it.target, it.id))
            .collect();
        ids
    };
    let of = |state: &[State], types: &[UserType], roles: &[&str]| UsersQuery {
        state: state.to_vec(),
        user_type: types.to_vec(),
        role: roles.iter().map(|it| it.parse().expect("a role")).collect(),
        ..UsersQuery::default()
    };
    let both = list(of(&[State::Unprotected, State::Totp], &[], &[])).await;
    let one = list(of(&[State::Unprotected], &[], &[])).await;
    let other = list(of(&[State::Totp], &[], &[])).await;
    assert_eq!(both, &one | &other);
    let internal = list(of(&[State::Active], &[UserType::Internal], &[])).await;
    let portal = list(of(&[State::Active], &[UserType::Portal], &[])).await;
    let types = [UserType::Internal, UserType::Portal];
    assert_eq!(
        list(of(&[State::Active], &types, &[])).await,
        &internal | &portal
    );
    let settings = list(of(&[State::Active], &[], &["settings"])).await;
    let rights = list(of(&[State::Active], &[], &["access_rights"])).await;
    let admins = &settings | &rights;
    assert!(!admins.is_empty());
    assert_eq!(
        list(of(&[State::Active], &[], &["settings", "access_rights"])).await,
        admins
    );
    assert_eq!(
        list(of(&[State::Active], &[], &["administrators"])).await,
        admins
    );
    let crm = UsersQuery {
        target: vec!["crm".into()],
        ..of(&[State::Unprotected], &[], &[])
    };
    let of_crm: BTreeSet<_> = one.iter().filter(|it| it.0 == "crm").cloned().collect();
    assert_eq!(list(crm).await, of_crm);
    let before: u64 = fleet.databases.iter().map(|it| it.log().total()).sum();
    assert_eq!(directory.count_keys(&KeysQuery::default()).len(), 5);
    let after: u64 = fleet.databases.iter().map(|it| it.log().total()).sum();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_target_that_stops_answering_is_named_and_users_who_are_hidden_are_counted() {
    let fleet = fleet().await;
    let directory = &fleet.directory;
    let query = UsersQuery {
        state: vec![State::Active],
        user_type: vec![UserType::Internal],
        sort: Some(SortUsers::Name),
        per_page: Some(Within(1000)),
        ..UsersQuery::default()
    };
    let numbers: Vec<u64> = fleet
        .postures
        .iter()
        .map(|it| it.active[UserType::Internal])
        .collect();
    fleet.databases[1].fail(Fault::Down);
    let gone = {
        let mut world = fleet.databases[0].world_mut();
        let gone = world
            .people()
            .find(|it| {
                it.active()
                    && it.kind() == Kind::Internal
                    && it.login() != "auditor"
                    && it.id() > 10
            })
            .map(|it| it.id())
            .expect("a user");
        world.delete(gone);
        gone
    };
    let page = directory.users(&query).await.expect("a page");
    assert_eq!(page.counted, numbers.iter().sum::<u64>());
    assert_eq!(page.total, numbers[0] + numbers[2] - 1);
    assert_eq!(
        (page.asked, page.not_visible),
        (numbers[0] + numbers[2], Some(1))
    );
    assert!(
        page.users
            .iter()
            .all(|it| it.target != "erp" && (it.target != "crm" || it.id != gone))
    );
    let silent: Vec<&str> = page.silent.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(silent, ["lost", "new", "erp"]);

    let csv = directory.users_csv(&query).await.expect("a stream");
    let csv: Vec<_> = csv.try_collect().await.expect("all of it");
    let csv = String::from_utf8(csv.concat()).expect("text");
    for target in ["lost", "new", "erp"] {
        assert!(csv.contains(&format!("\r\n{target},,")), "{csv}");
    }
    let by_target = UsersQuery {
        sort: None,
        ..query.clone()
    };
    let csv = directory.users_csv(&by_target).await.expect("a stream");
    let mut csv = Box::pin(csv);
    let mut text = String::new();
    while let Some(Ok(part)) = futures::StreamExt::next(&mut csv).await {
        text += std::str::from_utf8(&part).expect("text");
    }
    assert!(
        text.contains(&format!("crm,{gone},,")) && text.contains("not visible now"),
        "{text}"
    );

    // Without an answer of any target there is no list, and never an empty one.
    for database in &fleet.databases {
        database.fail(Fault::Down);
    }
    let keys = directory.keys(&KeysQuery::default()).await.expect("a page");
    assert!(keys.total > 0 && keys.keys.is_empty(), "{keys:?}");
    assert_eq!(keys.silent.len(), 5);
    let lost = UsersQuery {
        target: vec!["lost".into(), "new".into()],
        ..query
    };
    let refused = directory.users(&lost).await.expect_err("a refusal");
    assert!(
        matches!(refused, Refused::Nowhere { targets: 2, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_list_over_targets_of_more_than_2000_users_has_pages_and_is_not_sorted_by_name() {
    let large = |seed| {
        let recipe = Recipe {
            internal: 20,
            portal: 1_500,
            ..Recipe::new(18, seed)
        };
        World::build(&recipe, odoo_simulator::Clock::fixed(NOW))
    };
    let worlds = vec![
        ("a", large(1), AccountKind::Full),
        ("b", large(2), AccountKind::Full),
    ];
    let fleet = StagedFleet::new(worlds, "", Vec::new()).await;
    let all = UsersQuery {
        state: vec![State::Active],
        ..UsersQuery::default()
    };
    let counted: u64 = fleet
        .postures
        .iter()
        .map(|it| it.active.0.iter().sum::<u64>())
        .sum();
    let mut seen = BTreeSet::new();
    for page in 1..=counted.div_ceil(1000) {
        let query = UsersQuery {
            page: Some(Within(u32::try_from(page).expect("few"))),
            per_page: Some(Within(1000)),
            ..all.clone()
        };
        let page = fleet.directory.users(&query).await.expect("a page");
        assert_eq!((page.total, page.not_visible), (counted, Some(0)));
        seen.extend(page.users.into_iter().map(|it| (it.target, it.id)));
    }
    assert_eq!(seen.len() as u64, counted);
    for query in [
        UsersQuery {
            sort: Some(SortUsers::Name),
            ..all.clone()
        },
        UsersQuery {
            q: Some("a".into()),
            ..all.clone()
        },
    ] {
        let refused = fleet.directory.users(&query).await.expect_err("a refusal");
        assert_eq!(refused, Refused::TooMany(counted));
    }
    let one = UsersQuery {
        target: vec!["a".into()],
        q: Some("a".into()),
        ..all
    };
    assert!(fleet.directory.users(&one).await.expect("a page").total > 0);
}
