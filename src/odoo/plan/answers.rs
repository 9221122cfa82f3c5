//! Questions of the comparison of two polls: do users who disappeared from a set still exist, and are they active?

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::users::{ROWS_PAGE, row, unless_false};
use crate::domain::IdSet;
use crate::domain::transition::{Answers, Person};
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

/// Answers about these users, in one request; none where nothing is asked. Logins are asked for only if they may be kept.
///
/// # Errors
/// If the server fails.
pub async fn answers(
    transport: &Transport,
    session: &Session,
    to: IdSet,
    logins: bool,
) -> Result<Answers, Error> {
    let ids: Vec<u32> = to.iter().collect();
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
    Ok(Answers { to, people })
}
