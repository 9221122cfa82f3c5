//! Users who are not what a domain says: empty secrets, well-known accounts, providers; and what differs by build and server.

use serde_json::{Value, json};

use super::*;

fn all() -> Value {
    json!({"active_test": false})
}

#[tokio::test]
async fn an_empty_secret_is_found_and_is_no_factor() {
    for version in [14, 15, 18, 19, 20] {
        let stage = Stage::new(version).await;
        let id = {
            let mut world = stage.database.world_mut();
            let id = world.hire(Kind::Internal);
            world.set_password(id, "password");
            world.empty_totp_secret(id);
            assert!(world.password_opens(id, "password") || world.version() >= 19);
            id
        };
        // Without hiding, as on a database of 20 asked by an administrator.
        let finds = |truth: bool| {
            stage.count(
                &stage.full,
                json!([["totp_enabled", "=", truth], ["id", "=", id]]),
            )
        };
        assert_eq!(finds(true).await, Ok(1), "{version}");
        assert_eq!(
            finds(false).await,
            Ok(usize::from(matches!(version, 14 | 19)))
        );
        let rows = stage
            .call(
                &stage.full,
                "res.users",
                "search_read",
                json!({"domain": [["id", "=", id]], "fields": ["totp_enabled"], "context": all()}),
            )
            .await
            .expect("a row");
        assert_eq!(rows[0]["totp_enabled"], false, "{version}");
        assert!(!stage.database.world().user(id).is_some_and(|it| it.totp()));
    }
}

#[tokio::test]
async fn early_builds_of_15_and_16_ignore_a_domain_on_totp() {
    for version in [15, 16] {
        let stage = Stage::new(version).await;
        stage.database.world_mut().quirks.totp_unsearchable = true;
        let everybody = stage.count(&stage.least, json!([])).await;
        let with = stage
            .count(&stage.least, json!([["totp_enabled", "=", true]]))
            .await;
        assert_eq!(with, everybody);
        let field = stage
            .call(
                &stage.least,
                "res.users",
                "fields_get",
                json!({"allfields": ["totp_enabled"], "attributes": ["searchable"]}),
            )
            .await;
        assert_eq!(field, Ok(json!({"totp_enabled": {"searchable": false}})));
    }
}

#[tokio::test]
async fn well_known_accounts_are_pseudo_only_while_archived() {
    for version in [15, 18, 19] {
        let stage = Stage::new(version).await;
        let reference = |name: &'static str| {
            stage.call(
                &stage.least,
                "ir.model.data",
                "check_object_reference",
                json!({"module": "base", "xml_id": name, "context": all()}),
            )
        };
        {
            let mut world = stage.database.world_mut();
            assert!(world.well_known_active().is_empty());
            let template = world
                .user_id("base.template_portal_user_id")
                .expect("an account");
            let public = world.user_id("base.public_user").expect("an account");
            world.set_active(template, true);
            assert!(world.renumber(public, 400) && !world.renumber(template, 400));
            assert_eq!(world.well_known_active(), [template]);
            assert!(world.user(400).is_some_and(|it| it.pseudo()));
            // A website's user: an administrator; then a portal user, archived, who was granted access again.
            world.set_website_user(2, 2);
            assert_eq!(world.well_known_active(), [2, template]);
            let portal = world.hire(Kind::Portal);
            world.set_active(portal, false);
            world.set_website_user(2, portal);
            assert_eq!(world.well_known_active(), [template, portal]);
            world.set_kind(portal, Kind::Public);
            assert!(world.user(portal).is_some_and(|it| it.pseudo()));
        }
        assert_eq!(
            reference("public_user").await,
            Ok(json!(["res.users", 400]))
        );
        stage.database.world_mut().delete(400);
        assert_eq!(
            reference("public_user").await,
            Err("builtins.ValueError".into())
        );
        // An archived record is not found without `active_test` false.
        let root = json!({"module": "base", "xml_id": "user_root"});
        let root = stage
            .call(
                &stage.least,
                "ir.model.data",
                "check_object_reference",
                root,
            )
            .await;
        assert_eq!(root, Ok(json!(["res.users", false])));
    }
}

#[tokio::test]
async fn auth_oauth_closes_the_settings_and_keeps_its_providers_to_itself() {
    for version in [17, 18, 19] {
        let stage = Stage::new(version).await;
        {
            let mut world = stage.database.world_mut();
            world.install("auth_oauth");
            let module = world.policy_module();
            world.install(module);
            let id = world.hire(Kind::Internal);
            let other = world.add_oauth_provider("Old SSO", false);
            world.link_oauth(id, true);
            assert!(world.user(id).is_some_and(|it| it.oauth()));
            world.set_oauth_provider(id, other);
            assert!(!world.user(id).is_some_and(|it| it.oauth()));
        }
        let settings = |who: Account| {
            let stage = &stage;
            async move {
                let fields = json!({"fields": ["auth_totp_policy"]});
                stage
                    .call(&who, "res.config.settings", "default_get", fields)
                    .await
            }
        };
        let refused = Err("odoo.exceptions.AccessError".into());
        assert_eq!(settings(stage.least.clone()).await, refused, "{version}");
        assert!(settings(stage.full.clone()).await.is_ok(), "{version}");
        let linked = json!([
            ["oauth_provider_id.enabled", "=", false],
            ["oauth_uid", "!=", false]
        ]);
        assert_eq!(
            stage.count(&stage.full, linked.clone()).await,
            Ok(1),
            "{version}"
        );
        assert_eq!(
            stage.count(&stage.least, linked).await.map(drop),
            refused.map(|_: Value| ())
        );
    }
}

#[tokio::test]
async fn a_release_of_odoo_online_names_itself_and_keeps_the_policy_where_it_is() {
    let server = SimServer::start(ServerOptions {
        saas: Some(2),
        ..ServerOptions::new(18)
    })
    .await
    .expect("a free port");
    let mut world = World::build(&Recipe::new(18, 1), Clock::fixed(NOW));
    world.set_param("auth_totp.policy", Some("all_required"));
    assert_eq!(world.policy_in_force(), None);
    world.quirks.policy_in_mail = true;
    assert_eq!(world.policy_in_force(), Some("all_required"));
    server.add_database("prod", world);
    let body = json!({"params": {"service": "common", "method": "version", "args": []}});
    let headers = [("Content-Type", "application/json")];
    let answer = ask(
        server.address(),
        "POST",
        "/jsonrpc",
        &headers,
        &body.to_string(),
    )
    .await;
    let result = answer.expect("an answer").json()["result"].clone();
    assert_eq!(result["server_version"], "saas~18.2");
    assert_eq!(
        result["server_version_info"],
        json!(["saas~18", 2, 0, "final", 0, ""])
    );
}

#[tokio::test]
async fn an_empty_scope_opens_nothing_and_a_null_scope_nothing_on_20() {
    for version in [14, 19, 20] {
        let stage = Stage::new(version).await;
        let (null, empty) = {
            let mut world = stage.database.world_mut();
            let null = world.add_secret_key(stage.plain.uid, Scope::Unrestricted, NOW, None);
            let empty = world.add_secret_key(stage.plain.uid, Scope::Other(""), NOW, None);
            (null, empty)
        };
        for (key, opens) in [(null, version <= 19), (empty, false)] {
            let who = Account {
                api_key: key,
                ..stage.plain.clone()
            };
            assert_eq!(
                stage.count(&who, json!([])).await.is_ok(),
                opens,
                "{version}"
            );
        }
    }
}

#[tokio::test]
async fn odoo_20_answers_the_settings_to_administrators_only() {
    let stage = Stage::new(20).await;
    let fields = json!({"fields": ["auth_totp_policy"]});
    for (who, answered) in [
        (&stage.full, true),
        (&stage.manager, false),
        (&stage.least, false),
    ] {
        let answer = stage
            .call(who, "res.config.settings", "default_get", fields.clone())
            .await;
        assert_eq!(answer.is_ok(), answered, "{answer:?}");
    }
    let world = stage.database.world();
    assert_eq!(world.user_id("base.default_user"), None);
    let least = world.user(stage.least.uid).expect("the account");
    assert!(least.in_group("base.group_user_regular"));
}

#[tokio::test]
async fn a_proxy_that_drops_the_header_answers_from_another_database() {
    let start = |default: Option<&str>| {
        SimServer::start(ServerOptions {
            drops_database_header: true,
            default_database: default.map(Into::into),
            ..ServerOptions::new(19)
        })
    };
    for (default, two, status) in [
        (None, false, 200),
        (None, true, 404),
        (Some("other"), true, 200),
        (Some("gone"), false, 404),
    ] {
        let server = start(default).await.expect("a free port");
        let mut world = World::build(&Recipe::new(19, 1), Clock::fixed(NOW));
        let account = world.add_account(AccountKind::Least, "svc");
        server.add_database("other", world);
        if two {
            server.add_database(
                "third",
                World::build(&Recipe::new(19, 2), Clock::fixed(NOW)),
            );
        }
        let headers = [
            ("Authorization", &*format!("bearer {}", account.api_key)),
            ("X-Odoo-Database", "no-such-database"),
            ("Content-Type", "application/json"),
        ];
        let path = "/json/2/res.users/search_count";
        let answer = ask(server.address(), "POST", path, &headers, "{\"domain\": []}").await;
        assert_eq!(
            answer.map(|it| it.status),
            Some(status),
            "{default:?} {two}"
        );
    }
}

#[tokio::test]
async fn without_the_module_rpc_a_server_wide_module_keeps_its_routes() {
    for (server_wide, installed, open) in [
        (true, false, true),
        (false, true, true),
        (false, false, false),
    ] {
        let server = SimServer::start(ServerOptions {
            server_wide_rpc: server_wide,
            ..ServerOptions::new(19)
        })
        .await
        .expect("a free port");
        let mut world = World::build(&Recipe::new(19, 1), Clock::fixed(NOW));
        if !installed {
            world.uninstall("rpc");
        }
        server.add_database("prod", world);
        for path in ["/jsonrpc", "/xmlrpc/2/common", "/json/2/res.users/search"] {
            let headers = [("Content-Type", "application/json")];
            let answer = ask(server.address(), "POST", path, &headers, "{}").await;
            let status = answer.map(|it| it.status);
            assert_eq!(status != Some(404), open, "{path}: {status:?}");
        }
    }
}

#[tokio::test]
async fn the_companion_answers_format_2() {
    let stage = Stage::new(18).await;
    let ids = {
        let mut world = stage.database.world_mut();
        world.install("mfa_auditor");
        world.install("mfa_auditor_use");
        world.grant(stage.least.uid, "mfa_auditor.group_mfa_auditor");
        let company = world.add_company("Closed");
        world.set_company_active(company, false);
        let [empty, archived, hidden] = [(); 3].map(|()| world.hire(Kind::Internal));
        world.empty_totp_secret(empty);
        world.enroll(archived);
        world.set_active(archived, false);
        world.enroll(hidden);
        world.hide_user(hidden, Hide::UserRule);
        world.set_website_user(2, 2);
        [empty, archived, hidden]
    };
    let ask = |format: u8| {
        let question = json!({
            "format": format,
            "roles": {"admin": ["base.group_system", "base.group_gone", "absent_module.group"]},
            "exemptions": [{"group": "hr.group_gone"}, {"login": "admin"}],
            "recent_since": "2026-11-01 00:00:00",
            "awake_since": "2026-11-01 00:00:00",
            "modules": [],
            "parts": ["keys", "devices", "roles", "logins", "sso"],
        });
        let question = json!({"question": question});
        stage.call(&stage.least, "mfa.auditor", "read_facts", question)
    };
    assert_eq!(ask(1).await, Err("odoo.exceptions.UserError".into()));
    let facts = ask(2).await.expect("facts");
    let [empty, archived, hidden] = ids.map(|id| json!(id));
    let has = |key: &str, id: &Value| facts[key].as_array().expect("ids").contains(id);
    assert_eq!(facts["companies"], json!([2, 2]));
    assert!(has("totp", &hidden) && !has("totp", &empty) && !has("totp", &archived));
    assert!(has("archived_holders", &archived) && !has("archived_holders", &empty));
    assert_eq!(facts["well_known_active"], json!([2]));
    assert_eq!(
        facts["missing_groups"],
        json!(["base.group_gone", "hr.group_gone"])
    );
    assert!(
        facts["people"]["internal"]
            .as_array()
            .expect("ids")
            .contains(&hidden)
    );
    assert!(
        facts["people"]["internal"]
            .as_array()
            .expect("ids")
            .contains(&json!(2))
    );
    {
        let mut world = stage.database.world_mut();
        world.hide_user(2, Hide::SearchOverride);
    }
    assert_eq!(ask(2).await, Err("odoo.exceptions.AccessError".into()));
}
