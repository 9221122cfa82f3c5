//! Domains in prefix notation.

use serde_json::{Value, json};

use super::{
    super::{access::View, domain, fail::Fail, fields::Model, records::Row},
    *,
};

fn found(world: &World, domain: Value) -> Result<Vec<u32>, Fail> {
    let admin = world.by_login("admin").expect("the administrator");
    let view = View::new(
        world,
        admin,
        &serde_json::from_value(json!({"active_test": false})).expect("a context"),
    )?;
    let rows = view.find(Model::Users, &domain)?;
    Ok(rows.map(|row| Row::id(&row)).collect())
}

#[test]
fn operators_are_prefixes_and_terms_are_anded() {
    let mut world = World::build(
        &Recipe {
            internal: 3,
            portal: 2,
            companies: 1,
            websites: 0,
            ..Recipe::new(18, 1)
        },
        Clock::fixed(NOW),
    );
    let ids: Vec<u32> = world.users().map(|it| it.id()).collect();
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    world.rename(6, "ann_a", "Ann");
    world.rename(7, "Bob%", "Bob");
    for (domain, wanted) in [
        (json!([]), ids.clone()),
        (json!([["id", ">", 5], ["id", "<=", 7]]), vec![6, 7]),
        (json!(["&", ["id", ">", 5], ["id", "<=", 7]]), vec![6, 7]),
        (
            json!(["|", ["id", "=", 1], "&", ["id", ">", 5], ["id", "<", 7]]),
            vec![1, 6],
        ),
        (
            json!([
                "|",
                "|",
                ["id", "=", 1],
                ["id", "=", 2],
                ["id", "=", 3],
                ["id", "!=", 2]
            ]),
            vec![1, 3],
        ),
        (json!(["!", ["id", ">", 2]]), vec![1, 2]),
        (json!(["!", "|", ["id", ">", 2], ["id", "=", 1]]), vec![2]),
        (
            json!(["!", "&", ["id", ">", 2], ["id", "<", 9]]),
            vec![1, 2, 9],
        ),
        (json!([["id", "in", [3, 99]]]), vec![3]),
        (json!([["id", "in", []]]), vec![]),
        (
            json!([["id", "not in", [1, 2, 3, 4, 5]], ["id", "<", 8]]),
            vec![6, 7],
        ),
        (json!([["login", "=", "ann_a"]]), vec![6]),
        (json!([["login", "like", "nn"], ["id", ">", 5]]), vec![6]),
        (json!([["login", "=like", "b%"]]), vec![]),
        (json!([["login", "=ilike", "bob_"]]), vec![7]),
        (json!([["login", "ilike", "BOB"]]), vec![7]),
        (
            json!([["login", "not ilike", "o"], ["id", "in", [6, 7]]]),
            vec![6],
        ),
        (json!([[1, "=", 1], ["id", "=", 4]]), vec![4]),
        (json!([[0, "=", 1]]), vec![]),
        (
            json!([["create_date", "<", "2026-11-24 00:00:00"], ["id", "<", 3]]),
            vec![1, 2],
        ),
        (json!([["create_date", ">=", "2026-11-24"]]), vec![]),
        (json!([["company_id", "=", 1], ["id", "=", 6]]), vec![6]),
        (
            json!([["company_id.name", "=", "My Company"], ["id", "=", 6]]),
            vec![6],
        ),
        (json!([["company_id", "=", false]]), vec![]),
    ] {
        assert_eq!(found(&world, domain.clone()), Ok(wanted), "{domain}");
    }
}

#[test]
fn what_odoo_refuses_is_refused() {
    let world = World::build(&Recipe::new(18, 1), Clock::fixed(NOW));
    for domain in [
        json!("nonsense"),
        json!(["&", ["id", "=", 1]]),
        json!([["id", "~", 1]]),
        json!([["nope", "=", 1]]),
        json!([["id"]]),
        json!([["login.x", "=", 1]]),
        json!(["x"]),
    ] {
        assert!(found(&world, domain.clone()).is_err(), "{domain}");
    }
}

#[test]
fn a_negation_is_moved_to_the_terms() {
    let node =
        domain::parse(&json!(["!", ["id", ">=", 3], ["active", "=", true]]), 18).expect("a domain");
    assert!(node.names("active") && !node.names("share"));
}
