//! The ways in which Odoo is quietly wrong, each of which must stay in the simulator: clients are tested against them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn all() -> Value {
    json!({"active_test": false})
}

fn count_users(stage: &Stage, keep: impl Fn(&PersonView<'_>) -> bool) -> usize {
    stage.database.world().users().filter(keep).count()
}

/// Asserts how many users each domain finds.
async fn finds<const N: usize>(stage: &Stage, who: &Account, cases: [(Value, usize); N]) {
    for (domain, users) in cases {
        let found = stage.count(who, domain.clone()).await;
        assert_eq!(found, Ok(users), "{}: {domain}", stage.server.version());
    }
}

#[tokio::test]
async fn in_19_0_a_domain_for_people_without_totp_finds_those_with_it() {
    let stage = Stage::new(19).await;
    let with = count_users(&stage, |it| it.totp());
    let without = count_users(&stage, |it| !it.totp());
    assert_ne!(with, without);
    let is_true = json!([["totp_enabled", "=", true]]);
    let is_false = json!([["totp_enabled", "=", false]]);
    let is_not_true = json!([["totp_enabled", "!=", true]]);
    let not_in = json!([["totp_enabled", "not in", [true]]]);
    let negation = json!(["!", ["totp_enabled", "=", true]]);
    let broken = [&is_true, &is_false, &is_not_true, &not_in, &negation];
    finds(&stage, &stage.least, broken.map(|it| (it.clone(), with))).await;
    stage.database.world_mut().quirks.totp_domain_broken = false;
    finds(
        &stage,
        &stage.least,
        [(is_false, without), (negation, without)],
    )
    .await;
}

#[tokio::test]
async fn in_14_a_domain_on_totp_is_ignored_and_trusted_browsers_are_keys() {
    let stage = Stage::new(14).await;
    let everybody = count_users(&stage, |_| true);
    let totp = |truth: bool| json!([["totp_enabled", "=", truth]]);
    let ignored = [(totp(true), everybody), (totp(false), everybody)];
    finds(&stage, &stage.least, ignored).await;

    let (keys, devices): (Vec<u32>, Vec<u32>) = {
        let world = stage.database.world();
        let keys = world.keys().map(|it| it.owner).collect();
        (keys, world.devices().map(|it| it.owner).collect())
    };
    assert!(!devices.is_empty());
    for (domain, rows) in [
        (json!([]), keys.len() + devices.len()),
        (json!([["scope", "!=", "2fa_trusted_device"]]), keys.len()),
        (json!([["scope", "=", "2fa_trusted_device"]]), devices.len()),
    ] {
        let (model, args) = ("res.users.apikeys", json!([domain]));
        let count = stage.rpc(&stage.least, model, "search_count", args, json!({}));
        assert_eq!(count.await, Ok(json!(rows)), "{domain}");
    }
    let distinct = |owners: &[u32]| BTreeSet::from_iter(owners).len();
    let all = distinct(&[keys, devices.clone()].concat());
    let owners =
        ["api_key_ids", "totp_trusted_device_ids"].map(|it| (json!([[it, "!=", false]]), all));
    finds(&stage, &stage.plain, owners).await;
    let scoped = json!([["api_key_ids.scope", "=", "2fa_trusted_device"]]);
    finds(&stage, &stage.least, [(scoped.clone(), distinct(&devices))]).await;
    finds(&stage, &stage.plain, [(scoped, 0)]).await;
}

#[tokio::test]
async fn record_rules_drop_rows_without_an_error() {
    for version in [14, 15, 16, 17, 18, 19, 20] {
        let stage = Stage::new(version).await;
        let models: &[&str] = match version {
            ..=14 => &["res.users.apikeys"],
            15..=17 => &["res.users.apikeys", "auth_totp.device"],
            _ => &["res.users.apikeys", "auth_totp.device", "auth.passkey.key"],
        };
        for model in models {
            let mut seen = Vec::new();
            for who in [&stage.full, &stage.least, &stage.plain, &stage.manager] {
                let args = if version <= 16 { "args" } else { "domain" };
                seen.push(
                    stage
                        .call(who, model, "search_count", json!({args: []}))
                        .await
                        .expect("a count")
                        .as_u64()
                        .expect("a number"),
                );
            }
            assert_eq!(seen[0], seen[1], "{version} {model}");
            assert!(seen[0] > seen[2] + 1, "{version} {model}: {seen:?}");
            let manager_sees_all = *model == "auth.passkey.key";
            assert_eq!(
                seen[3] == seen[0],
                manager_sees_all,
                "{version} {model}: {seen:?}"
            );
        }
        // Every user can read how many users have any.
        let truth = {
            let world = stage.database.world();
            let mut owners: Vec<u32> = world
                .keys()
                .chain(world.devices().filter(|_| version == 14))
                .map(|key| key.owner)
                .collect();
            owners.sort_unstable();
            owners.dedup();
            owners.len()
        };
        assert_eq!(
            stage
                .count(&stage.plain, json!([["api_key_ids", "!=", false]]))
                .await,
            Ok(truth),
            "{version}"
        );
    }
}

#[tokio::test]
async fn an_account_of_one_company_misses_share_users_of_the_others() {
    for version in [15, 18, 19] {
        let stage = Stage::new(version).await;
        let everybody = count_users(&stage, |_| true);
        assert_eq!(stage.count(&stage.least, json!([])).await, Ok(everybody));
        let hidden = count_users(&stage, |it| {
            it.kind() != Kind::Internal && it.company() != 1
        });
        assert!(hidden > 0);
        assert_eq!(
            stage.count(&stage.narrow, json!([])).await,
            Ok(everybody - hidden)
        );
        assert_eq!(stage.count(&stage.portal, json!([])).await, Ok(1));
        let ids = if version >= 19 {
            json!({"ids": [stage.narrow.uid], "fields": ["companies_count", "company_ids"]})
        } else {
            json!({})
        };
        let own = if version >= 19 {
            stage.call(&stage.narrow, "res.users", "read", ids).await
        } else {
            stage
                .rpc(
                    &stage.narrow,
                    "res.users",
                    "read",
                    json!([[stage.narrow.uid], ["companies_count", "company_ids"]]),
                    json!({}),
                )
                .await
        };
        let own = own.expect("the own row")[0].clone();
        assert_eq!(
            (own["companies_count"].clone(), own["company_ids"].clone()),
            (json!(2), json!([1]))
        );
    }
}

#[tokio::test]
async fn archived_people_are_hidden_unless_asked_for() {
    let stage = Stage::new(18).await;
    for (domain, users) in [
        (json!([]), count_users(&stage, |it| it.active())),
        (
            json!([["active", "=", false]]),
            count_users(&stage, |it| !it.active()),
        ),
    ] {
        let args = json!([domain]);
        let count = stage
            .rpc(&stage.least, "res.users", "search_count", args, json!({}))
            .await;
        assert_eq!(count, Ok(json!(users)), "{domain}");
    }
    let (args, fields) = (
        json!([[["id", "=", 1]]]),
        json!({"fields": ["users"], "context": all()}),
    );
    let groups = stage
        .rpc(&stage.least, "res.groups", "search_read", args, fields)
        .await;
    let users = groups.expect("a group")[0]["users"].clone();
    assert_eq!(
        users.as_array().expect("ids").len(),
        count_users(&stage, |it| it.active() && it.kind() == Kind::Internal)
    );
}

#[tokio::test]
async fn a_login_date_is_any_row_of_the_log() {
    for version in [14, 15, 17, 18, 19] {
        let stage = Stage::new(version).await;
        let person = {
            let mut world = stage.database.world_mut();
            let id = world.hire(Kind::Internal);
            world.log_in(id, NOW - 300 * 86_400);
            world.log_in(id, NOW - 86_400);
            id
        };
        let never = count_users(&stage, |it| it.last_login().is_none());
        assert!(never > 0);
        let of_person = |term: Value| json!(["&", ["id", "=", person], term]);
        let since = json!(["login_date", ">=", "2026-06-01 00:00:00"]);
        let cases = [
            // Stale by an old row.
            (
                of_person(json!(["login_date", "<", "2026-06-01 00:00:00"])),
                1,
            ),
            (of_person(since.clone()), 1),
            (json!([["login_date", "=", false]]), 0),
            (json!([["log_ids", "=", false]]), never),
        ];
        finds(&stage, &stage.least, cases).await;
        // In 17 the term needs rights on the log.
        let plain = stage.count(&stage.plain, json!([since])).await;
        assert_eq!(plain.is_err(), version == 17, "{version}: {plain:?}");
    }
}

#[tokio::test]
async fn groups_are_explicit_or_implied() {
    let manager = |stage: &Stage| stage.database.world().group_id("base.group_erp_manager");
    let stage = Stage::new(19).await;
    let group = manager(&stage).expect("the group");
    let count = |field: &str| stage.count(&stage.least, json!([[field, "in", [group]]]));
    let explicit = count("group_ids").await.expect("a count");
    assert!(explicit < count("all_group_ids").await.expect("a count"));
    assert_eq!(count("groups_id").await, Err("builtins.ValueError".into()));
    let stage = Stage::new(18).await;
    let group = manager(&stage).expect("the group");
    let all = count_users(&stage, |it| it.in_group("base.group_erp_manager"));
    finds(
        &stage,
        &stage.least,
        [(json!([["groups_id", "in", [group]]]), all)],
    )
    .await;
}

#[tokio::test]
async fn a_login_moves_the_login_date_and_a_call_does_not() {
    let stage = Stage::new(18).await;
    let last = || {
        let world = stage.database.world();
        world.user(stage.least.uid).and_then(|it| it.last_login())
    };
    stage.count(&stage.least, json!([])).await.expect("a count");
    assert_eq!(last(), None);
    let args = json!(["prod", "svc-least", stage.least.api_key, {}]);
    stage.service("common", "authenticate", args).await;
    assert_eq!(last(), Some(NOW));
}

#[tokio::test]
async fn parameters_and_modules_need_rights() {
    let stage = Stage::new(19).await;
    let parameter = |who| {
        let policy = json!({"key": "auth_totp.policy"});
        stage.call(who, "ir.config_parameter", "get_param", policy)
    };
    let settings = || {
        let fields = json!({"fields": ["auth_totp_policy"]});
        stage.call(&stage.plain, "res.config.settings", "default_get", fields)
    };
    let modules = || {
        let all = json!({"domain": []});
        stage.call(&stage.plain, "ir.module.module", "search_count", all)
    };
    let denied = "odoo.exceptions.AccessError".to_owned();
    let required = json!("employee_required");
    assert_eq!(parameter(&stage.full).await, Ok(required.clone()));
    assert_eq!(parameter(&stage.least).await, Err(denied));
    let shown = settings().await.expect("settings");
    assert_eq!(shown["auth_totp_policy"], required);
    assert!(modules().await.is_ok());
    stage.database.world_mut().quirks.modules_open = false;
    assert!(modules().await.is_err());
    // The parameter outlives its module; the settings do not know it any more.
    stage.database.world_mut().uninstall("auth_totp_mail");
    assert_eq!(settings().await, Err("builtins.KeyError".into()));
    assert_eq!(parameter(&stage.full).await, Ok(required));
    assert_eq!(stage.database.world().policy_in_force(), None);
}

#[tokio::test]
async fn without_its_module_a_field_and_a_model_are_gone() {
    let stage = Stage::new(18).await;
    for module in ["auth_totp", "hr"] {
        stage.database.world_mut().uninstall(module);
    }
    let domain = json!([["totp_enabled", "=", true]]);
    let found = stage.count(&stage.least, domain).await;
    assert_eq!(found, Err("builtins.ValueError".into()));
    for (model, method, args, kwargs, answer) in [
        (
            "auth_totp.device",
            "search_count",
            json!([[]]),
            json!({}),
            Err("odoo.exceptions.UserError"),
        ),
        (
            "res.users",
            "fields_get",
            json!([["login", "totp_enabled"]]),
            json!({"attributes": ["type"]}),
            Ok(json!({"login": {"type": "char"}})),
        ),
        (
            "ir.model.data",
            "check_object_reference",
            json!(["hr", "group_hr_manager"]),
            json!({}),
            Err("builtins.ValueError"),
        ),
    ] {
        let got = stage.rpc(&stage.least, model, method, args, kwargs).await;
        assert_eq!(got, answer.map_err(str::to_owned), "{model}");
    }
    let world = stage.database.world();
    assert_eq!(world.people().filter(|it| it.totp()).count(), 0);
}

#[tokio::test]
async fn writing_and_secrets_are_refused_and_counted() {
    let denied = Err("odoo.exceptions.AccessError".to_owned());
    for version in [14, 17, 19] {
        let stage = Stage::new(version).await;
        for method in [
            "write",
            "create",
            "unlink",
            "action_archive",
            "totp_disable",
            "set_param",
        ] {
            let refused = if version >= 19 {
                let body = json!({"ids": [2], "vals": {}});
                stage.json2(&stage.full, "res.users", method, body).await
            } else {
                let args = json!([[2], {}]);
                stage
                    .rpc(&stage.full, "res.users", method, args, json!({}))
                    .await
            };
            assert_eq!(refused, denied, "{version} {method}");
        }
        assert_eq!(stage.database.log().writes(), 6);
        assert_eq!(stage.database.log().secrets(), 0);
        let secret = json!({"domain": [], "fields": ["totp_secret"]});
        let read = stage
            .call(&stage.full, "res.users", "search_read", secret)
            .await;
        assert_eq!(read, denied);
        // Also where Odoo answers it.
        let domain = json!([["totp_secret", "!=", false]]);
        let _ = stage.count(&stage.full, domain).await;
        assert_eq!(stage.database.log().secrets(), 2);
    }
}

#[tokio::test]
async fn parameters_have_the_names_of_their_version() {
    for version in [14, 16, 17, 18] {
        let stage = Stage::new(version).await;
        for (name, right) in [("args", version <= 16), ("domain", version >= 17)] {
            let all = json!({name: []});
            let count = stage
                .rpc(&stage.least, "res.users", "search_count", json!([]), all)
                .await;
            assert_eq!(count.is_ok(), right, "{version} {name}");
        }
    }
}

#[tokio::test]
async fn keyset_pages_and_offsets_cover_a_search_exactly() {
    for version in [15, 19] {
        let stage = Stage::new(version).await;
        let argument = if version <= 16 { "args" } else { "domain" };
        let whole = stage
            .call(
                &stage.least,
                "res.users",
                "search",
                json!({argument: [["share", "=", true]], "order": "id", "context": all()}),
            )
            .await
            .expect("ids");
        for page in [1, 7, 50, 1000] {
            let (mut last, mut keyset, mut offsets) = (0, Vec::new(), Vec::new());
            loop {
                let body = json!({"domain": [["share", "=", true], ["id", ">", last]], "fields": ["login"], "order": "id", "limit": page, "context": all()});
                let rows = stage
                    .call(&stage.least, "res.users", "search_read", body)
                    .await
                    .expect("rows");
                let Some(row) = rows.as_array().and_then(|rows| rows.last()) else {
                    break;
                };
                last = row["id"].as_u64().expect("an id");
                keyset.extend(
                    rows.as_array()
                        .expect("rows")
                        .iter()
                        .map(|row| row["id"].clone()),
                );
            }
            loop {
                let body = json!({argument: [["share", "=", true]], "order": "id desc", "limit": page, "offset": offsets.len(), "context": all()});
                let ids = stage
                    .call(&stage.least, "res.users", "search", body)
                    .await
                    .expect("ids");
                if ids == json!([]) {
                    break;
                }
                offsets.extend(ids.as_array().expect("ids").clone());
            }
            offsets.reverse();
            assert_eq!(Value::Array(keyset), whole, "{version} by {page}");
            assert_eq!(Value::Array(offsets), whole, "{version} by {page}");
        }
    }
}

#[tokio::test]
async fn hidden_totp_reads_false_of_others() {
    let stage = Stage::with(&Recipe::new(20, 3)).await;
    let read = |who: Account| {
        let stage = &stage;
        async move {
            let rows = stage
                .json2(
                    &who,
                    "res.users",
                    "search_read",
                    json!({"domain": [], "fields": ["totp_enabled"], "context": all()}),
                )
                .await
                .expect("rows");
            rows.as_array()
                .expect("rows")
                .iter()
                .filter(|row| row["totp_enabled"] == true)
                .count()
        }
    };
    assert_eq!(read(stage.least.clone()).await, 0);
    assert!(read(stage.manager.clone()).await > 0);
    // 20 has no `db` service.
    assert_eq!(
        stage.service("db", "list", json!([])).await["error"]["data"]["name"],
        "builtins.ValueError"
    );
    // A search hides them as well: the user finds at most itself.
    let with = json!([["totp_enabled", "=", true]]);
    assert_eq!(stage.count(&stage.least, with.clone()).await, Ok(0));
    assert!(
        stage
            .count(&stage.manager, with)
            .await
            .is_ok_and(|it| it > 0)
    );
    let everybody = count_users(&stage, |_| true);
    let without = json!([["totp_enabled", "=", false]]);
    assert_eq!(stage.count(&stage.least, without).await, Ok(everybody));
}

#[tokio::test]
async fn ten_bad_logins_shut_out_the_next_good_one() {
    for (version, shut_out) in [(15, true), (18, false)] {
        let stage = Stage::new(version).await;
        let login = |key: String| {
            let stage = &stage;
            async move {
                let args = json!(["prod", "svc-least", key, {}]);
                stage.service("common", "authenticate", args).await["result"].clone()
            }
        };
        let count = |who: Account| {
            let stage = &stage;
            async move { stage.count(&who, json!([])).await }
        };
        assert!(count(stage.plain.clone()).await.is_ok());
        for _ in 0..10 {
            assert_eq!(login("wrong".into()).await, false);
        }
        // A key that was checked before stays active, another does not.
        assert!(count(stage.plain.clone()).await.is_ok(), "{version}");
        let denied = count(stage.full.clone()).await.is_err();
        assert_eq!(denied, shut_out, "{version}");
        let uid = login(stage.least.api_key.clone()).await;
        assert_eq!(uid == false, shut_out, "{version}");
    }
}
