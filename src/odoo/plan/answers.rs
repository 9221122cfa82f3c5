//! Questions of the comparison of two polls: do users who disappeared from a set still exist, and are they active?

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::totp;
use super::users::{ROWS_PAGE, any, is_set, row, totp as has_totp, unless_false};
use crate::domain::facts::Companion;
use crate::domain::transition::{Answers, Person, Questions};
use crate::domain::{Facts, IdSet};
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

/// Answers the questions about a poll with these facts: one request, or two where something changed; more where archived users with a
/// factor are new, or Odoo cannot search them. Logins are asked for only if they may be kept.
///
/// # Errors
/// If the server fails.
pub async fn answers(
    transport: &Transport,
    session: &Session,
    facts: &Facts,
    to: Questions,
    logins: bool,
) -> Result<Answers, Error> {
    let people = if to.people.is_empty() {
        BTreeMap::new()
    } else {
        people(transport, session, &to.people, logins).await?
    };
    let archived_holders = match &to.archived_holders {
        Some(known) if sees_holders(session, facts) => {
            Some(archived_holders(transport, session, known).await?)
        }
        _ => None,
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
    let person = |row: PersonRow| Person {
        active: row.active,
        created: row.create_date.map(Timestamp::from),
        login: row.login.map(Into::into),
    };
    let mut people = BTreeMap::new();
    for ids in ids.chunks(ROWS_PAGE) {
        let call = Call::new("res.users", "search_read")
            .arg("domain", [("id", "in", ids)])
            .named("fields", fields.clone())
            .named("order", "id")
            .with_archived();
        let rows: Vec<PersonRow> = session.call(transport, call, "users who changed").await?;
        people.extend(rows.into_iter().map(|row| (row.id, person(row))));
    }
    Ok(people)
}

/// Returns true if Odoo shows TOTP of other users to the account: if it does not, the facts have it from the module, which is not asked this.
fn sees_holders(session: &Session, facts: &Facts) -> bool {
    session.server.release < totp::HIDDEN_SINCE || facts.companion != Companion::Answered
}

/// Users with TOTP or a passkey who are archived, or are `known`.
async fn archived_holders(
    transport: &Transport,
    session: &Session,
    known: &IdSet,
) -> Result<IdSet, Error> {
    let away = any(vec![
        json!(["active", "=", false]),
        json!(["id", "in", known.iter().collect::<Vec<u32>>()]),
    ]);
    let has_passkey = session
        .has("auth_passkey_key_ids")
        .then(|| is_set("auth_passkey_key_ids"));
    let knows_totp = session.has("totp_enabled");
    if knows_totp && !session.can_search("totp_enabled") {
        // Odoo 14, and early builds of 15 and 16, which have no passkeys, ignore a domain with it.
        let everybody = search(transport, session, away).await?;
        return totp::read_totp(transport, session, &everybody).await;
    }
    let leaves: Vec<Value> = knows_totp
        .then(has_totp)
        .into_iter()
        .chain(has_passkey.clone())
        .collect();
    if leaves.is_empty() {
        return Ok(IdSet::new());
    }
    let mut domain = away;
    domain.extend(any(leaves));
    let mut found = search(transport, session, domain).await?;
    // A search finds an empty secret, too, which is no factor.
    let doubtful = &found - known;
    if knows_totp && !doubtful.is_empty() {
        let mut without = &doubtful - totp::read_totp(transport, session, &doubtful).await?;
        if let Some(has_passkey) = has_passkey.filter(|_| !without.is_empty()) {
            let among = json!(["id", "in", without.iter().collect::<Vec<u32>>()]);
            without -= search(transport, session, vec![among, has_passkey]).await?;
        }
        found -= without;
    }
    Ok(found)
}

async fn search(
    transport: &Transport,
    session: &Session,
    mut domain: Vec<Value>,
) -> Result<IdSet, Error> {
    domain.push(json!(["id", "not in", session.pseudo]));
    let call = Call::new("res.users", "search")
        .arg("domain", domain)
        .named("order", "id")
        .with_archived();
    session.call(transport, call, "archived users").await
}
