//! What the comparison of two polls must still know: whether those who vanished from a set still exist and are active.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::users::{any, is_set, row, totp, unless_false};
use crate::domain::IdSet;
use crate::domain::transition::{Answers, Person, Questions};
use crate::odoo::call::Call;
use crate::odoo::date::Date;
use crate::odoo::error::Error;
use crate::odoo::session::Session;
use crate::odoo::text::Text;
use crate::odoo::transport::Transport;

#[derive(Deserialize)]
struct PersonRow {
    id: u32,
    active: bool,
    #[serde(deserialize_with = "unless_false")]
    create_date: Option<Date>,
    login: Option<Text>,
}
row!(PersonRow);

/// Answers the questions: none, one or two requests. Logins are asked for only if they may be kept.
///
/// # Errors
/// When the server fails.
pub async fn answers(
    transport: &Transport,
    session: &Session,
    to: Questions,
    logins: bool,
) -> Result<Answers, Error> {
    let people = if to.people.is_empty() {
        BTreeMap::new()
    } else {
        people(transport, session, &to.people, logins).await?
    };
    let archived_holders = if to.archived_holders {
        archived_holders(transport, session).await?
    } else {
        IdSet::new()
    };
    Ok(Answers {
        to,
        people,
        archived_holders,
    })
}

async fn people(
    transport: &Transport,
    session: &Session,
    people: &IdSet,
    logins: bool,
) -> Result<BTreeMap<u32, Person>, Error> {
    let ids: Vec<u32> = people.iter().collect();
    let mut fields = vec!["active", "create_date"];
    if logins {
        fields.push("login");
    }
    let call = Call::new("res.users", "search_read")
        .arg("domain", json!([["id", "in", ids]]))
        .named("fields", fields)
        .named("order", "id")
        .with_archived();
    let rows: Vec<PersonRow> = session.call(transport, call, "people who changed").await?;
    let person = |row: PersonRow| Person {
        active: row.active,
        created: row.create_date.map(Timestamp::from),
        login: row.login.map(Into::into),
    };
    Ok(rows.into_iter().map(|row| (row.id, person(row))).collect())
}

async fn archived_holders(transport: &Transport, session: &Session) -> Result<IdSet, Error> {
    let mut leaves = Vec::new();
    if session.can_search("totp_enabled") {
        leaves.push(totp());
    }
    if session.has("auth_passkey_key_ids") {
        leaves.push(is_set("auth_passkey_key_ids"));
    }
    if leaves.is_empty() {
        return Ok(IdSet::new());
    }
    let mut domain = vec![json!(["active", "=", false])];
    domain.push(json!(["id", "not in", session.pseudo]));
    domain.extend(any(leaves));
    let call = Call::new("res.users", "search")
        .arg("domain", domain)
        .named("order", "id")
        .with_archived();
    session.call(transport, call, "archived people").await
}
