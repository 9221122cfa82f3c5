//! Failures on demand.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

async fn count(stage: &Stage) -> Option<Answer> {
    let headers = [
        ("Authorization", &*format!("bearer {}", stage.least.api_key)),
        ("X-Odoo-Database", "prod"),
        ("Content-Type", "application/json"),
    ];
    ask(
        stage.server.address(),
        "POST",
        "/json/2/res.users/search_count",
        &headers,
        "{\"domain\": []}",
    )
    .await
}

#[tokio::test]
async fn a_server_that_is_down_closes_without_a_byte() {
    let stage = Stage::new(19).await;
    stage.server.fail(Fault::Down);
    assert!(count(&stage).await.is_none());
    stage.server.heal();
    assert_eq!(count(&stage).await.map(|it| it.status), Some(200));
}

#[tokio::test]
async fn without_postgresql_json2_says_the_same_as_for_a_wrong_database() {
    let stage = Stage::new(19).await;
    let health = |path: &'static str| ask(stage.server.address(), "GET", path, &[], "");
    stage.server.fail(Fault::PostgresDown);
    let down = count(&stage).await.expect("an answer");
    assert_eq!(down.status, 404);
    assert_eq!(
        health("/web/health?db_server_status=1")
            .await
            .expect("an answer")
            .status,
        500
    );
    assert_eq!(health("/web/health").await.expect("an answer").status, 200);
    let error = stage
        .rpc(
            &stage.least,
            "res.users",
            "search_count",
            json!([[]]),
            json!({}),
        )
        .await;
    assert_eq!(error, Err("psycopg2.OperationalError".into()));
    stage.server.heal();
    stage.server.drop_database("prod");
    let wrong = count(&stage).await.expect("an answer");
    assert_eq!((wrong.status, wrong.body), (404, down.body));
    assert_eq!(
        health("/web/health?db_server_status=1")
            .await
            .expect("an answer")
            .status,
        200
    );

    let stage = Stage::new(14).await;
    stage.server.fail(Fault::PostgresDown);
    let page = ask(
        stage.server.address(),
        "POST",
        "/web/webclient/version_info",
        &[("Content-Type", "application/json")],
        "{}",
    )
    .await
    .expect("an answer");
    assert_eq!(
        (page.status, page.header("content-type")),
        (500, Some("text/html; charset=utf-8"))
    );
}

#[tokio::test]
async fn a_fault_can_strike_one_call_a_few_times() {
    let stage = Stage::new(19).await;
    stage.database.fail_when(
        Some("res.users"),
        Some("search_count"),
        Some(1),
        Fault::Raise(
            "psycopg2.errors.QueryCanceled",
            "canceling statement".into(),
        ),
    );
    stage.database.fail_when(
        Some("res.users.apikeys"),
        None,
        None,
        Fault::Http(502, "<html>bad gateway</html>".into()),
    );
    assert_eq!(count(&stage).await.map(|it| it.status), Some(500));
    assert_eq!(count(&stage).await.map(|it| it.status), Some(200));
    for _ in 0..2 {
        assert!(
            stage
                .json2(
                    &stage.least,
                    "res.users.apikeys",
                    "search_count",
                    json!({"domain": []})
                )
                .await
                .is_err()
        );
    }
    stage.database.fail(Fault::AccessDenied);
    assert_eq!(count(&stage).await.map(|it| it.status), Some(401));
    stage.database.fail(Fault::Slow(Duration::from_millis(60)));
    let before = Instant::now();
    assert_eq!(count(&stage).await.map(|it| it.status), Some(200));
    assert!(before.elapsed() >= Duration::from_millis(60));
    stage.database.fail(Fault::Forever);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), count(&stage))
            .await
            .is_err()
    );
    stage.database.heal();
}

#[tokio::test]
async fn a_proxy_blocks_the_configured_endpoints() {
    let stage = Stage::new(19).await;
    stage.server.block(Endpoint::Json2);
    stage.server.block(Endpoint::DatabaseManager);
    let blocked = count(&stage).await.expect("an answer");
    assert_eq!(
        (blocked.status, blocked.header("content-type")),
        (403, Some("text/html; charset=utf-8"))
    );
    let health = ask(stage.server.address(), "GET", "/web/health", &[], "")
        .await
        .expect("an answer");
    assert_eq!(health.json(), json!({"status": "pass"}));
    stage.server.unblock(Endpoint::Json2);
    assert_eq!(count(&stage).await.map(|it| it.status), Some(200));
}
