//! The ways in which Odoo is quietly wrong, each of which must stay in the simulator: clients are tested against them.

use serde_json::{Value, json};

use super::*;

fn all() -> Value {
    json!({"active_test": false})
}

fn count_users(stage: &Stage, keep: impl Fn(&PersonView<'_>) -> bool) -> usize {
    stage.database.world().users().filter(keep).count()
}

#[tokio::test]
async fn in_19_0_a_domain_for_people_without_totp_finds_those_with_it() {
    let stage = Stage::new(19).await;
    let with = count_users(&stage, |it| it.totp());
    for domain in [
        json!([["totp_enabled", "=", true]]),
        json!([["totp_enabled", "=", false]]),
        json!([["totp_enabled", "!=", true]]),
        json!([["totp_enabled", "not in", [true]]]),
        json!(["!", ["totp_enabled", "=", true]]),
    ] {
        assert_eq!(
            stage.count(&stage.least, domain.clone()).await,
            Ok(with),
            "{domain}"
        );
    }
    stage.database.world_mut().quirks.totp_domain_broken = false;
    let without = count_users(&stage, |it| !it.totp());
    assert_ne!(with, without);
    assert_eq!(
        stage
            .count(&stage.least, json!([["totp_enabled", "=", false]]))
            .await,
        Ok(without)
    );
    assert_eq!(
        stage
            .count(&stage.least, json!(["!", ["totp_enabled", "=", true]]))
            .await,
        Ok(without)
    );
}

#[tokio::test]
async fn in_14_a_domain_on_totp_is_ignored_and_trusted_browsers_are_keys() {
    let stage = Stage::new(14).await;
    let everybody = count_users(&stage, |_| true);
    for truth in [true, false] {
        assert_eq!(
            stage
                .count(&stage.least, json!([["totp_enabled", "=", truth]]))
                .await,
            Ok(everybody)
        );
    }
    let (keys, devices) = {
        let world = stage.database.world();
        (world.keys().count(), world.devices().count())
    };
    assert!(devices > 0);
    let count = |domain: Value| {
        let stage = &stage;
        async move {
            stage
                .rpc(
                    &stage.least,
                    "res.users.apikeys",
                    "search_count",
                    json!([domain]),
                    json!({}),
                )
                .await
        }
    };
    assert_eq!(count(json!([])).await, Ok(json!(keys + devices)));
    assert_eq!(
        count(json!([["scope", "!=", "2fa_trusted_device"]])).await,
        Ok(json!(keys))
    );
    assert_eq!(
        count(json!([["scope", "=", "2fa_trusted_device"]])).await,
        Ok(json!(devices))
    );
    let owners = |with_keys: bool, with_devices: bool| {
        let world = stage.database.world();
        let keys = world.keys().filter(|_| with_keys).map(|key| key.owner);
        let owners: std::collections::BTreeSet<u32> = keys
            .chain(world.devices().filter(|_| with_devices).map(|it| it.owner))
            .collect();
        owners.len()
    };
    for field in ["api_key_ids", "totp_trusted_device_ids"] {
        assert_eq!(
            stage
                .count(&stage.plain, json!([[field, "!=", false]]))
                .await,
            Ok(owners(true, true)),
            "{field}"
        );
    }
    assert_eq!(
        stage
            .count(
                &stage.least,
                json!([["api_key_ids.scope", "=", "2fa_trusted_device"]])
            )
            .await,
        Ok(owners(false, true))
    );
    assert_eq!(
        stage
            .count(
                &stage.plain,
                json!([["api_key_ids.scope", "=", "2fa_trusted_device"]])
            )
            .await,
        Ok(0)
    );
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
        // How many people have any is told to everybody.
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
    let active = count_users(&stage, |it| it.active());
    let count = stage
        .rpc(
            &stage.least,
            "res.users",
            "search_count",
            json!([[]]),
            json!({}),
        )
        .await;
    assert_eq!(count, Ok(json!(active)));
    let archived = stage
        .rpc(
            &stage.least,
            "res.users",
            "search_count",
            json!([[["active", "=", false]]]),
            json!({}),
        )
        .await;
    assert_eq!(archived, Ok(json!(count_users(&stage, |it| !it.active()))));
    let groups = stage
        .rpc(
            &stage.least,
            "res.groups",
            "search_read",
            json!([[["id", "=", 1]]]),
            json!({"fields": ["users"], "context": all()}),
        )
        .await
        .expect("a group");
    assert_eq!(
        groups[0]["users"].as_array().expect("ids").len(),
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
        let finds = |domain: Value| {
            let stage = &stage;
            async move {
                stage
                    .count(&stage.least, json!(["&", ["id", "=", person], domain]))
                    .await
                    .expect("a count")
            }
        };
        assert_eq!(
            finds(json!(["login_date", "<", "2026-06-01 00:00:00"])).await,
            1,
            "{version}: stale by an old row"
        );
        assert_eq!(
            finds(json!(["login_date", ">=", "2026-06-01 00:00:00"])).await,
            1,
            "{version}"
        );
        assert_eq!(
            stage
                .count(&stage.least, json!([["login_date", "=", false]]))
                .await,
            Ok(0),
            "{version}"
        );
        let never = count_users(&stage, |it| it.last_login().is_none());
        assert!(never > 0);
        assert_eq!(
            stage
                .count(&stage.least, json!([["log_ids", "=", false]]))
                .await,
            Ok(never),
            "{version}"
        );
        // In 17 the term needs rights on the log.
        let plain = stage
            .count(
                &stage.plain,
                json!([["login_date", ">=", "2026-06-01 00:00:00"]]),
            )
            .await;
        assert_eq!(plain.is_err(), version == 17, "{version}: {plain:?}");
    }
}

#[tokio::test]
async fn groups_are_explicit_or_implied() {
    let stage = Stage::new(19).await;
    let manager = stage
        .database
        .world()
        .group_id("base.group_erp_manager")
        .expect("the group");
    let explicit = stage
        .count(&stage.least, json!([["group_ids", "in", [manager]]]))
        .await
        .expect("a count");
    let implied = stage
        .count(&stage.least, json!([["all_group_ids", "in", [manager]]]))
        .await
        .expect("a count");
    assert!(explicit < implied);
    assert_eq!(
        stage
            .count(&stage.least, json!([["groups_id", "in", [manager]]]))
            .await,
        Err("builtins.ValueError".into())
    );
    let stage = Stage::new(18).await;
    let manager = stage
        .database
        .world()
        .group_id("base.group_erp_manager")
        .expect("the group");
    let all = count_users(&stage, |it| it.in_group("base.group_erp_manager"));
    assert_eq!(
        stage
            .count(&stage.least, json!([["groups_id", "in", [manager]]]))
            .await,
        Ok(all)
    );
}

#[tokio::test]
async fn a_login_moves_the_login_date_and_a_call_does_not() {
    let stage = Stage::new(18).await;
    let last = |stage: &Stage| {
        stage
            .database
            .world()
            .user(stage.least.uid)
            .and_then(|it| it.last_login())
    };
    assert_eq!(
        stage
            .count(&stage.least, json!([]))
            .await
            .map(|_| last(&stage)),
        Ok(None)
    );
    stage
        .service(
            "common",
            "authenticate",
            json!(["prod", "svc-least", stage.least.api_key, {}]),
        )
        .await;
    assert_eq!(last(&stage), Some(NOW));
}

#[tokio::test]
async fn parameters_and_modules_need_rights() {
    let stage = Stage::new(19).await;
    let policy = json!({"key": "auth_totp.policy"});
    assert_eq!(
        stage
            .call(
                &stage.full,
                "ir.config_parameter",
                "get_param",
                policy.clone()
            )
            .await,
        Ok(json!("employee_required"))
    );
    assert_eq!(
        stage
            .call(
                &stage.least,
                "ir.config_parameter",
                "get_param",
                policy.clone()
            )
            .await,
        Err("odoo.exceptions.AccessError".into())
    );
    let settings = json!({"fields": ["auth_totp_policy"]});
    assert_eq!(
        stage
            .call(
                &stage.plain,
                "res.config.settings",
                "default_get",
                settings.clone()
            )
            .await
            .expect("settings")["auth_totp_policy"],
        "employee_required"
    );
    assert!(
        stage
            .call(
                &stage.plain,
                "ir.module.module",
                "search_count",
                json!({"domain": []})
            )
            .await
            .is_ok()
    );
    stage.database.world_mut().quirks.modules_open = false;
    assert!(
        stage
            .call(
                &stage.plain,
                "ir.module.module",
                "search_count",
                json!({"domain": []})
            )
            .await
            .is_err()
    );
    // The parameter outlives its module; the settings do not know it any more.
    stage.database.world_mut().uninstall("auth_totp_mail");
    assert_eq!(
        stage
            .call(&stage.plain, "res.config.settings", "default_get", settings)
            .await,
        Err("builtins.KeyError".into())
    );
    assert_eq!(
        stage
            .call(&stage.full, "ir.config_parameter", "get_param", policy)
            .await,
        Ok(json!("employee_required"))
    );
    assert_eq!(stage.database.world().policy_in_force(), None);
}

#[tokio::test]
async fn without_its_module_a_field_and_a_model_are_gone() {
    let stage = Stage::new(18).await;
    stage.database.world_mut().uninstall("auth_totp");
    stage.database.world_mut().uninstall("hr");
    assert_eq!(
        stage
            .count(&stage.least, json!([["totp_enabled", "=", true]]))
            .await,
        Err("builtins.ValueError".into())
    );
    assert_eq!(
        stage
            .rpc(
                &stage.least,
                "auth_totp.device",
                "search_count",
                json!([[]]),
                json!({})
            )
            .await,
        Err("odoo.exceptions.UserError".into())
    );
    let fields = stage
        .rpc(
            &stage.least,
            "res.users",
            "fields_get",
            json!([["login", "totp_enabled"]]),
            json!({"attributes": ["type"]}),
        )
        .await;
    assert_eq!(fields, Ok(json!({"login": {"type": "char"}})));
    let group = stage
        .rpc(
            &stage.least,
            "ir.model.data",
            "check_object_reference",
            json!(["hr", "group_hr_manager"]),
            json!({}),
        )
        .await;
    assert_eq!(group, Err("builtins.ValueError".into()));
    assert_eq!(
        stage
            .database
            .world()
            .people()
            .filter(|it| it.totp())
            .count(),
        0
    );
}

#[tokio::test]
async fn writing_and_secrets_are_refused_and_counted() {
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
                stage
                    .json2(
                        &stage.full,
                        "res.users",
                        method,
                        json!({"ids": [2], "vals": {}}),
                    )
                    .await
            } else {
                stage
                    .rpc(
                        &stage.full,
                        "res.users",
                        method,
                        json!([[2], {}]),
                        json!({}),
                    )
                    .await
            };
            assert_eq!(
                refused,
                Err("odoo.exceptions.AccessError".into()),
                "{version} {method}"
            );
        }
        assert_eq!(stage.database.log().writes(), 6);
        assert_eq!(stage.database.log().secrets(), 0);
        let read = stage
            .call(
                &stage.full,
                "res.users",
                "search_read",
                json!({"domain": [], "fields": ["totp_secret"]}),
            )
            .await;
        assert_eq!(read, Err("odoo.exceptions.AccessError".into()));
        // Also where Odoo answers it.
        let _ = stage
            .count(&stage.full, json!([["totp_secret", "!=", false]]))
            .await;
        assert_eq!(stage.database.log().secrets(), 2);
    }
}

#[tokio::test]
async fn parameters_have_the_names_of_their_version() {
    for version in [14, 16, 17, 18] {
        let stage = Stage::new(version).await;
        for (name, right) in [("args", version <= 16), ("domain", version >= 17)] {
            let count = stage
                .rpc(
                    &stage.least,
                    "res.users",
                    "search_count",
                    json!([]),
                    json!({name: []}),
                )
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
    // A search hides them as well: oneself, or nobody.
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
        // A key that was checked before goes on, another does not.
        assert!(count(stage.plain.clone()).await.is_ok(), "{version}");
        let denied = count(stage.full.clone()).await.is_err();
        assert_eq!(denied, shut_out, "{version}");
        let uid = login(stage.least.api_key.clone()).await;
        assert_eq!(uid == false, shut_out, "{version}");
    }
}
