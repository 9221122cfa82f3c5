//! The happy path of a poll.

use serde_json::json;

use super::*;

#[tokio::test]
async fn json2_gives_the_numbers_that_the_world_holds() {
    let stage = Stage::new(19).await;
    let all = json!({"active_test": false});
    let groups = stage
        .json2(&stage.least, "res.users", "formatted_read_group", json!({"domain": [], "groupby": ["share", "active"], "aggregates": ["__count"], "context": all}))
        .await
        .expect("groups");
    let count = |share: bool, active: bool| {
        groups
            .as_array()
            .expect("a list")
            .iter()
            .find(|it| it["share"] == share && it["active"] == active)
            .map_or(0, |it| it["__count"].as_u64().expect("a number") as usize)
    };
    {
        let world = stage.database.world();
        for (share, active) in [(false, true), (false, false), (true, true), (true, false)] {
            let truth = world
                .users()
                .filter(|it| (it.kind() != Kind::Internal) == share && it.active() == active)
                .count();
            assert_eq!(
                count(share, active),
                truth,
                "share {share}, active {active}"
            );
            assert!(truth > 0);
        }
    }
    let body = json!({"domain": [["totp_enabled", "=", true], ["share", "=", false]], "order": "id", "context": all});
    let ids = stage
        .json2(&stage.least, "res.users", "search", body)
        .await
        .expect("ids");
    let truth: Vec<u32> = stage
        .database
        .world()
        .users()
        .filter(|it| it.totp() && it.kind() == Kind::Internal)
        .map(|it| it.id())
        .collect();
    assert_eq!(ids, json!(truth));
    let system = stage
        .json2(
            &stage.least,
            "ir.model.data",
            "check_object_reference",
            json!({"module": "base", "xml_id": "group_system"}),
        )
        .await;
    assert_eq!(system, Ok(json!(["res.groups", 4])));
    let admins = stage
        .count(&stage.least, json!([["all_group_ids", "in", [4]]]))
        .await
        .expect("a count");
    assert_eq!(
        admins,
        stage
            .database
            .world()
            .users()
            .filter(|it| it.in_group("base.group_system"))
            .count()
    );
    let keys = stage.json2(&stage.least, "res.users.apikeys", "search_read", json!({"domain": [], "fields": ["user_id", "scope", "create_date", "expiration_date"], "order": "id", "load": null})).await.expect("keys");
    assert_eq!(
        keys.as_array().expect("rows").len(),
        stage.database.world().keys().count()
    );
    assert!(keys[0]["user_id"].is_number());
    assert_eq!(
        stage.database.log().writes() + stage.database.log().secrets(),
        0
    );
}

#[tokio::test]
async fn json_rpc_gives_the_numbers_that_the_world_holds() {
    let stage = Stage::new(17).await;
    let version = stage.service("common", "version", json!([])).await;
    assert_eq!(version["result"]["server_version_info"][0], 17);
    let uid = stage
        .service(
            "common",
            "authenticate",
            json!(["prod", "svc-least", stage.least.api_key, {}]),
        )
        .await;
    assert_eq!(uid["result"], stage.least.uid);
    let groups = stage
        .rpc(
            &stage.least,
            "res.users",
            "read_group",
            json!([[["totp_enabled", "=", true]], ["id"], ["share", "active"]]),
            json!({"lazy": false, "context": {"active_test": false}}),
        )
        .await
        .expect("groups");
    let sum: u64 = groups
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["__count"].as_u64().expect("a number"))
        .sum();
    assert_eq!(
        sum as usize,
        stage
            .database
            .world()
            .users()
            .filter(|it| it.totp())
            .count()
    );
    let devices = stage
        .rpc(
            &stage.full,
            "auth_totp.device",
            "search_count",
            json!([[]]),
            json!({}),
        )
        .await;
    assert_eq!(devices, Ok(json!(stage.database.world().devices().count())));
}
