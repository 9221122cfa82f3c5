//! Records that Odoo hides from the polling account, and questions that see them all the same. Measured on live servers of 14 to 19.

use serde_json::{Value, json};

use super::*;

fn all() -> Value {
    json!({"active_test": false})
}

const VERSIONS: [u8; 7] = [14, 15, 16, 17, 18, 19, 20];

impl Stage {
    /// A call with one positional argument, by the version's own protocol.
    async fn on(&self, model: &str, method: &str, argument: Value) -> Result<Value, String> {
        self.with_context(model, method, argument, json!({}), all())
            .await
    }

    /// `read` of ids.
    async fn read(&self, model: &str, ids: Value, fields: Value) -> Result<Value, String> {
        self.with_context(model, "read", ids, json!({"fields": fields}), all())
            .await
    }

    async fn with_context(
        &self,
        model: &str,
        method: &str,
        argument: Value,
        mut kwargs: Value,
        context: Value,
    ) -> Result<Value, String> {
        kwargs["context"] = context;
        if self.server.version() >= 19 {
            let name = if matches!(method, "search" | "search_count") {
                "domain"
            } else {
                "ids"
            };
            kwargs[name] = argument;
            self.json2(&self.least, model, method, kwargs).await
        } else {
            self.rpc(&self.least, model, method, json!([argument]), kwargs)
                .await
        }
    }

    fn users_of_groups(&self) -> &'static str {
        if self.server.version() >= 19 {
            "user_ids"
        } else {
            "users"
        }
    }

    /// Questions that see this user: search, groups, contacts, `exists`, and reading of the id.
    async fn seen(&self, id: u32) -> [bool; 5] {
        let yes = |answer: Result<Value, String>| answer.expect("a count") != 0;
        let found = self
            .on("res.users", "search", json!([["id", "=", id]]))
            .await;
        let groups = json!([[self.users_of_groups(), "in", [id]]]);
        let exists = self.on("res.users", "exists", json!([id])).await;
        if self.server.version() >= 19 {
            assert_eq!(exists, Err("odoo.exceptions.AccessError".into()));
        }
        [
            found.expect("ids") != json!([]),
            yes(self.on("res.groups", "search_count", groups).await),
            yes(self
                .on(
                    "res.partner",
                    "search_count",
                    json!([["user_ids", "in", [id]]]),
                )
                .await),
            exists == Ok(json!([id])),
            self.read("res.users", json!([id]), json!(["id"]))
                .await
                .is_ok(),
        ]
    }
}

#[tokio::test]
async fn each_way_of_hiding_a_user_is_seen_by_the_questions_that_odoo_answers() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let exists = version <= 18;
        let hire = |how: Option<Hide>| {
            let mut world = stage.database.world_mut();
            let id = world.hire(Kind::Internal);
            how.into_iter()
                .for_each(|how| assert!(world.hide_user(id, how)));
            id
        };
        let cases = [
            (None, [true, true, true, exists, true]),
            (Some(Hide::UserRule), [false, true, true, exists, false]),
            (
                Some(Hide::UserGroupRule),
                [false, true, true, exists, false],
            ),
            // Up to 16 the id is read by the rules of `res.users` alone.
            (
                Some(Hide::ContactRule),
                [false, true, false, exists, version <= 16],
            ),
            (
                Some(Hide::ContactGroupRule),
                [false, true, false, exists, version <= 16],
            ),
            (
                Some(Hide::PrivateContact),
                [version >= 17, true, version >= 17, exists, true],
            ),
            (
                Some(Hide::SearchOverride),
                [false, true, true, exists, true],
            ),
        ];
        for (how, wanted) in cases {
            let id = hire(how);
            assert_eq!(stage.seen(id).await, wanted, "{version} {how:?}");
            let mut world = stage.database.world_mut();
            world.show_user(id);
        }
        // Without a group and with a hidden contact only `exists` and reading see the user.
        let id = hire(None);
        {
            let mut world = stage.database.world_mut();
            world.set_kind(id, Kind::None);
            world.hide_user(id, Hide::UserRule);
            world.hide_user(id, Hide::ContactRule);
        }
        assert_eq!(stage.seen(id).await, [false, false, false, exists, false]);
    }
}

#[tokio::test]
async fn hidden_users_are_in_no_count_and_no_list() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let before = stage.count(&stage.least, json!([])).await.expect("a count");
        let id = {
            let mut world = stage.database.world_mut();
            let id = world.hire(Kind::Internal);
            world.grant(id, "base.group_system");
            world.hide_user(id, Hide::UserRule);
            id
        };
        assert_eq!(stage.count(&stage.least, json!([])).await, Ok(before));
        // A global rule holds for administrators too.
        assert_eq!(stage.count(&stage.full, json!([])).await, Ok(before));
        let system = stage.database.world().group_id("base.group_system");
        let field = stage.users_of_groups();
        let rows = stage
            .read("res.groups", json!([system]), json!([field]))
            .await;
        let rows = rows.expect("a group");
        let members = rows[0][field].as_array().expect("ids");
        assert!(
            !members.is_empty() && !members.contains(&json!(id)),
            "{version}"
        );
        let contacts = stage
            .on(
                "res.partner",
                "search_count",
                json!([["user_ids", "!=", false]]),
            )
            .await;
        assert_eq!(contacts, Ok(json!(before + 1)), "{version}");
    }
}

#[tokio::test]
async fn a_module_that_filters_searches_does_not_filter_reading_of_hidden_contacts() {
    let stage = Stage::new(16).await;
    let id = {
        let mut world = stage.database.world_mut();
        let id = world.hire(Kind::Internal);
        world.hide_user(id, Hide::ContactRule);
        id
    };
    for (field, readable) in [
        ("groups_id", true),
        ("totp_enabled", true),
        ("login", false),
    ] {
        let read = stage.read("res.users", json!([id]), json!([field])).await;
        assert_eq!(read.is_ok(), readable, "{field}: {read:?}");
    }
}

#[tokio::test]
async fn ids_that_do_not_exist_are_read_as_ids_and_nothing_else() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let read = |fields: Value| stage.read("res.users", json!([99_999, 2]), fields);
        assert_eq!(
            read(json!(["id"])).await,
            Ok(json!([{"id": 99_999}, {"id": 2}])),
            "{version}"
        );
        let rows = read(json!(["login"])).await.expect("rows");
        assert_eq!(rows.as_array().expect("rows").len(), 1, "{version}");
        let totp = read(json!(["totp_enabled"])).await;
        assert_eq!(totp.is_err(), version >= 15, "{version}: {totp:?}");
        let metadata = stage
            .on("res.groups", "get_metadata", json!([1, 99_999]))
            .await
            .expect("metadata");
        assert_eq!(metadata.as_array().map(Vec::len), Some(1), "{version}");
    }
}

#[tokio::test]
async fn in_14_the_refusal_names_the_record() {
    let stage = Stage::new(14).await;
    let id = {
        let mut world = stage.database.world_mut();
        let id = world.hire(Kind::Internal);
        world.rename(id, "secret@company.example", "Secret Name");
        world.hide_user(id, Hide::UserRule);
        id
    };
    let answer = stage
        .service(
            "object",
            "execute_kw",
            json!([
                "prod",
                stage.least.uid,
                stage.least.api_key,
                "res.users",
                "read",
                [[id], ["id"]]
            ]),
        )
        .await;
    let message = answer["error"]["data"]["message"].as_str().expect("text");
    assert!(
        message.contains(&format!("Records: Secret Name (id={id})")),
        "{message}"
    );
}

#[tokio::test]
async fn a_hidden_group_is_in_no_list_but_its_users_are_found() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let (id, user, count) = {
            let mut world = stage.database.world_mut();
            let id = world.add_group("group_secret");
            let user = world.hire(Kind::Internal);
            assert!(world.grant(user, "__export__.group_secret"));
            assert!(world.hide_group("__export__.group_secret"));
            (id, user, world.groups.list.len())
        };
        let counted = stage.on("res.groups", "search_count", json!([])).await;
        assert_eq!(counted, Ok(json!(count - 1)), "{version}");
        for method in ["read", "get_metadata"] {
            let answer = if method == "read" {
                stage.read("res.groups", json!([id]), json!(["id"])).await
            } else {
                stage.on("res.groups", method, json!([id])).await
            };
            assert_eq!(
                answer,
                Err("odoo.exceptions.AccessError".into()),
                "{version}"
            );
        }
        let external = stage.on("res.groups", "get_external_id", json!([id])).await;
        let external = external.expect("an XML id");
        assert_eq!(external[id.to_string()], "__export__.group_secret");
        let reference = json!({"module": "__export__", "xml_id": "group_secret"});
        let reference = stage
            .call(
                &stage.least,
                "ir.model.data",
                "check_object_reference",
                reference,
            )
            .await;
        assert_eq!(reference, Ok(json!(["res.groups", false])), "{version}");
        let field = if version >= 19 {
            "group_ids"
        } else {
            "groups_id"
        };
        let found = stage
            .on("res.users", "search", json!([[field, "in", [id]]]))
            .await;
        assert_eq!(found, Ok(json!([user])), "{version}");
        if version >= 19 {
            // The field of all groups is searched through the groups, by their rules.
            let domain = json!([["all_group_ids", "in", [id]]]);
            assert_eq!(stage.on("res.users", "search", domain).await, Ok(json!([])));
            let domain = json!([["all_group_ids", "not in", [id]], ["id", "=", user]]);
            assert_eq!(
                stage.on("res.users", "search", domain).await,
                Ok(json!([user]))
            );
        }
        let row = stage.read("res.users", json!([user]), json!([field])).await;
        let row = row.expect("a row");
        assert!(!row[0][field].as_array().expect("ids").contains(&json!(id)));
        stage
            .database
            .world_mut()
            .show_group("__export__.group_secret");
        let counted = stage.on("res.groups", "search_count", json!([])).await;
        assert_eq!(counted, Ok(json!(count)), "{version}");
    }
}

#[tokio::test]
async fn a_group_has_as_many_xml_ids_as_were_given_to_it() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let id = {
            let mut world = stage.database.world_mut();
            assert!(world.alias_group("base.group_system", "custom.administrators"));
            world.group_id("base.group_system").expect("the group")
        };
        let rows = stage.on("res.groups", "get_metadata", json!([id])).await;
        let row = rows.expect("metadata")[0].clone();
        assert_eq!(row["xmlid"], "base.group_system", "{version}");
        let list = json!([
            {"xmlid": "base.group_system", "noupdate": false},
            {"xmlid": "custom.administrators", "noupdate": false},
        ]);
        assert_eq!(row.get("xmlids"), Some(&list).filter(|_| version >= 16));
        let one = stage.on("res.groups", "get_external_id", json!([id])).await;
        assert_eq!(one.expect("an XML id")[id.to_string()], "base.group_system");
        let reference = json!({"module": "custom", "xml_id": "administrators"});
        let reference = stage
            .call(
                &stage.least,
                "ir.model.data",
                "check_object_reference",
                reference,
            )
            .await;
        assert_eq!(reference, Ok(json!(["res.groups", id])), "{version}");
        assert!(
            stage
                .database
                .world()
                .user(2)
                .is_some_and(|it| it.in_group("custom.administrators"))
        );
        let rows = stage
            .on(
                "ir.model.data",
                "search_count",
                json!([["module", "=", "custom"]]),
            )
            .await;
        // Only 14 lets an internal user search there.
        assert_eq!(
            rows.ok(),
            Some(json!(1)).filter(|_| version == 14),
            "{version}"
        );
    }
}

#[tokio::test]
async fn companies_can_be_archived_from_16_on_and_hide_their_portal_users() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let (portal, internal) = {
            let mut world = stage.database.world_mut();
            let company = world.add_company("Closed");
            assert_eq!(company, 3);
            let (portal, internal) = (world.hire(Kind::Portal), world.hire(Kind::Internal));
            world.set_companies(portal, 3, &[]);
            world.set_companies(internal, 3, &[]);
            let uid = stage.least.uid;
            world.set_companies(uid, 1, &[2, 3]);
            assert_eq!(world.set_company_active(3, false), version >= 16);
            (portal, internal)
        };
        let old = version <= 15;
        let own = |context: Value| {
            let fields = json!({"fields": ["company_ids", "companies_count"]});
            stage.with_context(
                "res.users",
                "read",
                json!([stage.least.uid]),
                fields,
                context,
            )
        };
        let own_companies = if old { json!([1, 2, 3]) } else { json!([1, 2]) };
        // With `active_test` false the count names the archived company, and no account can be in it.
        let row = own(all()).await.expect("the own row")[0].clone();
        assert_eq!(
            (&row["company_ids"], &row["companies_count"]),
            (&own_companies, &json!(3))
        );
        let row = own(json!({})).await.expect("the own row")[0].clone();
        let count = if old { 3 } else { 2 };
        assert_eq!(
            (&row["company_ids"], &row["companies_count"]),
            (&own_companies, &json!(count))
        );
        let seen = stage.seen(portal).await;
        assert_eq!(seen, [old, true, true, version <= 18, old], "{version}");
        assert!(stage.seen(internal).await[0], "{version}");
        let context = json!({"active_test": false, "allowed_company_ids": [1, 2, 3]});
        let call = stage.with_context("res.users", "search_count", json!([]), json!({}), context);
        assert_eq!(call.await.is_ok(), old, "{version}");
    }
}

#[tokio::test]
async fn a_portal_user_without_company_rows_is_hidden() {
    for version in VERSIONS {
        let stage = Stage::new(version).await;
        let id = {
            let mut world = stage.database.world_mut();
            let id = world.hire(Kind::Portal);
            world.remove_company_rows(id);
            id
        };
        let exists = version <= 18;
        assert_eq!(
            stage.seen(id).await,
            [false, true, true, exists, false],
            "{version}"
        );
    }
}

#[tokio::test]
async fn in_14_and_15_cached_rules_keep_the_old_companies() {
    for version in [14, 15, 16, 18] {
        let stage = Stage::new(version).await;
        let id = {
            let mut world = stage.database.world_mut();
            world.cache_rules(stage.least.uid);
            world.add_company("New");
            let id = world.hire(Kind::Portal);
            world.set_companies(id, 3, &[]);
            let uid = stage.least.uid;
            world.set_companies(uid, 1, &[2, 3]);
            id
        };
        let found = |context: Value| {
            let domain = json!([["id", "=", id]]);
            stage.with_context("res.users", "search", domain, json!({}), context)
        };
        let stale = version <= 15;
        assert_eq!(
            found(all()).await,
            Ok(if stale { json!([]) } else { json!([id]) })
        );
        let own = json!({"active_test": false, "allowed_company_ids": [1, 2, 3]});
        assert_eq!(found(own).await, Ok(json!([id])), "{version}");
        let fields = json!(["company_ids", "companies_count"]);
        let row = stage
            .read("res.users", json!([stage.least.uid]), fields)
            .await;
        let row = row.expect("the own row")[0].clone();
        assert_eq!(
            (&row["company_ids"], &row["companies_count"]),
            (&json!([1, 2, 3]), &json!(3))
        );
        stage.database.world_mut().clear_rule_cache();
        assert_eq!(found(all()).await, Ok(json!([id])), "{version}");
    }
}

#[tokio::test]
async fn the_world_changes_in_the_middle_of_a_poll() {
    let stage = Stage::new(18).await;
    let count = || async { stage.count(&stage.least, json!([])).await.expect("a count") };
    let before = count().await;
    let uid = stage.least.uid;
    stage
        .database
        .before(2, move |world| assert!(world.set_companies(uid, 1, &[])));
    stage
        .database
        .before_call(Some("res.groups"), Some("search_count"), 1, |world| {
            world.hire(Kind::Internal);
        });
    assert_eq!(stage.database.waiting_changes(), 2);
    assert_eq!(count().await, before);
    let less = count().await;
    assert!(less < before);
    assert_eq!(stage.database.waiting_changes(), 1);
    let groups = stage.on("res.groups", "search_count", json!([])).await;
    assert!(groups.is_ok());
    assert_eq!(count().await, less + 1);
    assert_eq!(stage.database.waiting_changes(), 0);
}
