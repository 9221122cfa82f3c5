//! Names of the users and API keys behind numbers: read only when a reader asks for them, and not kept.
//!
//! A list of any length costs one request for the ids in order, and one for the rows that are shown. The poll's sets decide which
//! records a list has; Odoo only sorts, searches and names.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::{self, Call};
use super::date::Date;
use super::error::{Error, Kind};
use super::plan::{any, unless_false};
use super::reply::{self, Reply, Row, row};
use super::session::Session;
use super::text::Text;
use super::transport::Transport;
use crate::domain::facts::Facts;
use crate::domain::roster::{Roster, Selection};
use crate::domain::{Api, IdSet};

/// As whom to ask: nothing has to be negotiated, and Odoo counts no login.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    api: Api,
    uid: u32,
}

impl From<&Facts> for Account {
    fn from(facts: &Facts) -> Self {
        Self {
            api: facts.server.api,
            uid: facts.poller,
        }
    }
}

impl From<&Session> for Account {
    fn from(session: &Session) -> Self {
        Self {
            api: session.server().api,
            uid: session.uid,
        }
    }
}

/// Order and selection.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'a> {
    /// By this field, a stored one of `res.users`.
    pub by: &'static str,
    /// The greatest first.
    pub descending: bool,
    /// Only those whose name or login holds this text, upper or lower case.
    pub search: Option<&'a str>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `res.users` id.
    pub id: u32,
    /// The name of the user.
    pub name: String,
    /// The login of the user.
    pub login: String,
    /// True if the account is active now.
    pub active: bool,
    /// Creation time of the account.
    pub created: Option<Timestamp>,
    /// The newest login with a password.
    pub last_login: Option<Timestamp>,
}

/// The name of an API key. The key itself is never read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// `res.users.apikeys` id.
    pub id: u32,
    /// The description that its owner chose.
    pub name: String,
    /// The scope; `None`: unrestricted.
    pub scope: Option<String>,
}

/// Fields read of a user.
const PERSON: [&str; 5] = ["name", "login", "active", "create_date", "login_date"];

/// Rows per request.
pub const ROWS: usize = 2_000;

/// The ids of a selection, in order: one request.
///
/// # Errors
/// If the server fails.
pub async fn ordered(
    transport: &Transport,
    roster: &Roster,
    people: &Selection,
    order: &Ordered<'_>,
) -> Result<Vec<u32>, Error> {
    if people.portal_except.is_none() && people.ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut domain = domain_of(&roster.facts, people);
    if let Some(text) = order.search {
        let text = escaped(text);
        let leaf = |field: &str| json!([field, "ilike", text]);
        domain.extend(any(vec![leaf("name"), leaf("login")]));
    }
    let field = order.by;
    let direction = if order.descending { "desc" } else { "asc" };
    let call = Call::new("res.users", "search")
        .arg("domain", domain)
        .named("order", format!("{field} {direction}, id {direction}"))
        .with_archived();
    let account = Account::from(&roster.facts);
    let reply::Ordered(mut ids) = asked(transport, account, call, "ids of users").await?;
    ids.retain(|id| roster.contains(people, *id));
    Ok(ids)
}

/// The names of these users, in the order of their ids, including archived ones. Deleted users are left out.
///
/// # Errors
/// If the server fails.
pub async fn people(
    transport: &Transport,
    account: impl Into<Account>,
    ids: &IdSet,
) -> Result<Vec<Person>, Error> {
    let rows: Vec<PersonRow> = rows(transport, account.into(), "res.users", ids, &PERSON).await?;
    Ok(rows.into_iter().map(Person::from).collect())
}

/// The users of a selection whom Odoo shows now, archived ones too: one request, so only for a selection of at most [`ROWS`].
///
/// # Errors
/// If the server fails.
pub async fn users(
    transport: &Transport,
    roster: &Roster,
    users: &Selection,
) -> Result<Vec<Person>, Error> {
    if users.portal_except.is_none() && users.ids.is_empty() {
        return Ok(Vec::new());
    }
    let domain = domain_of(&roster.facts, users);
    let account = Account::from(&roster.facts);
    let mut rows: Vec<PersonRow> = page(transport, account, "res.users", domain, &PERSON).await?;
    rows.retain(|row| roster.contains(users, row.id));
    Ok(rows.into_iter().map(Person::from).collect())
}

/// The descriptions of these API keys, in the order of their ids. Deleted keys are left out.
///
/// # Errors
/// If the server fails.
pub async fn key_names(
    transport: &Transport,
    account: impl Into<Account>,
    ids: &IdSet,
) -> Result<Vec<KeyName>, Error> {
    let fields = ["name", "scope"];
    let account = account.into();
    let rows: Vec<KeyRow> = rows(transport, account, "res.users.apikeys", ids, &fields).await?;
    Ok(rows.into_iter().map(KeyName::from).collect())
}

async fn rows<T: Row + DeserializeOwned + Send + 'static>(
    transport: &Transport,
    account: Account,
    model: &'static str,
    ids: &IdSet,
    fields: &[&str],
) -> Result<Vec<T>, Error> {
    let ids: Vec<u32> = ids.iter().collect();
    let mut rows = Vec::with_capacity(ids.len());
    for ids in ids.chunks(ROWS) {
        let domain = vec![json!(["id", "in", ids])];
        rows.append(&mut page(transport, account, model, domain, fields).await?);
    }
    Ok(rows)
}

async fn page<T: Row + DeserializeOwned + Send + 'static>(
    transport: &Transport,
    account: Account,
    model: &'static str,
    domain: Vec<Value>,
    fields: &[&str],
) -> Result<Vec<T>, Error> {
    let call = Call::new(model, "search_read")
        .arg("domain", domain)
        .named("fields", fields)
        .named("order", "id")
        .with_archived();
    asked(transport, account, call, model).await
}

async fn asked<T: Reply>(
    transport: &Transport,
    account: Account,
    call: Call,
    what: &str,
) -> Result<T, Error> {
    transport.renew();
    let Account { api, uid } = account;
    match call::call(transport, api, uid, &call, what).await {
        Err(error) if error.kind == Kind::Unauthorized && transport.reread_key().await => {
            call::call(transport, api, uid, &call, what).await
        }
        reply => reply,
    }
}

/// Users who are known by id may have been archived since. Portal users are found as the poll counted them.
fn domain_of(facts: &Facts, people: &Selection) -> Vec<Value> {
    let ids: Vec<u32> = people.ids.iter().collect();
    let known = json!(["id", "in", ids]);
    if people.portal_except.is_none() {
        return vec![known];
    }
    let groups = &facts.portal;
    let portal = [
        json!("&"),
        json!("&"),
        json!("&"),
        json!(["active", "=", true]),
        json!(["id", "not in", groups.nobody]),
        json!([groups.field, "in", groups.portal]),
        json!([groups.field, "not in", groups.internal]),
    ];
    let mut domain = Vec::new();
    if !ids.is_empty() {
        domain.extend([json!("|"), known]);
    }
    domain.extend(portal);
    domain
}

/// Odoo takes `%` and `_` for any text and any character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[derive(Deserialize)]
struct PersonRow {
    id: u32,
    #[serde(deserialize_with = "unless_false")]
    name: Option<Text>,
    #[serde(deserialize_with = "unless_false")]
    login: Option<Text>,
    active: bool,
    #[serde(deserialize_with = "unless_false")]
    create_date: Option<Date>,
    #[serde(deserialize_with = "unless_false")]
    login_date: Option<Date>,
}

row!(PersonRow, KeyRow);

impl From<PersonRow> for Person {
    fn from(row: PersonRow) -> Self {
        Self {
            id: row.id,
            name: row.name.unwrap_or_default().into(),
            login: row.login.unwrap_or_default().into(),
            active: row.active,
            created: row.create_date.map(Timestamp::from),
            last_login: row.login_date.map(Timestamp::from),
        }
    }
}

#[derive(Deserialize)]
struct KeyRow {
    id: u32,
    #[serde(deserialize_with = "unless_false")]
    name: Option<Text>,
    #[serde(deserialize_with = "unless_false")]
    scope: Option<Text>,
}

impl From<KeyRow> for KeyName {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name.unwrap_or_default().into(),
            scope: row.scope.filter(|scope| !scope.is_empty()).map(Into::into),
        }
    }
}
