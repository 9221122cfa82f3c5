//! The page of a target's API keys: numbers for all readers, names for readers with `read_names`; never the keys themselves.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::asked::{List, OfTarget};
use super::list::{ListQuery, Numbers, Row};
use super::parts::{Column, Select};
use super::refused::HOW_TO_GET_NAMES;
use super::text::{count, day, when};
use super::{Layout, file, html, refused};
use crate::domain::Roster;
use crate::domain::roster::KeyState;
use crate::web::App;
use crate::web::access::Role;
use crate::web::directory::{KeysPage, KeysQuery, ListedKey, SortKeys};

/// Rows of the numbers, and how they are called.
const STATES: [(KeyState, &str); 14] = [
    (KeyState::Working, "Working"),
    (KeyState::Unrestricted, "Active, without a scope"),
    (KeyState::OfPrivileged, "Active, of privileged users"),
    (
        KeyState::OfUnprotected,
        "Active, of users without an accepted factor",
    ),
    (KeyState::WithoutExpiry, "Active, without expiry"),
    (KeyState::Expiring, "Active, expiring within 30 days"),
    (KeyState::Unused30To90d, "Active, unused for 30 to 90 days"),
    (
        KeyState::UnusedGe90d,
        "Active, unused for 90 days and longer",
    ),
    (KeyState::Lt30d, "Active, younger than 30 days"),
    (KeyState::From30To90d, "Active, 30 to 90 days old"),
    (KeyState::From90To365d, "Active, 90 to 365 days old"),
    (KeyState::Ge365d, "Active, 365 days old and older"),
    (
        KeyState::OfArchived,
        "Of archived users: active again when the owner is unarchived",
    ),
    (KeyState::Expired, "Expired"),
];

#[derive(Template)]
#[template(path = "keys.html")]
struct Page {
    layout: Layout,
    name: String,
    query: KeysQuery,
    numbers: Numbers,
    as_of: Option<Timestamp>,
    list: List<KeysPage>,
}

pub async fn page(
    OfTarget {
        app,
        reader,
        uri,
        query,
        name,
        snapshot,
    }: OfTarget<KeysQuery>,
) -> Response {
    let list = List::read(&reader, app.directory.keys(&name, &query)).await;
    let roster = snapshot.roster.as_deref();
    let page = Page {
        layout: Layout::of(&app, &reader, &uri, &name, "API keys"),
        numbers: numbers(roster, |query| {
            reader.may(Role::ReadNames).then(|| query.href(&name))
        }),
        as_of: roster.map(|roster| roster.facts.now),
        name,
        query,
        list,
    };
    (page.list.status(), html(&page)).into_response()
}

/// Only for those who may read names: see [`crate::web::access`].
pub async fn csv(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<KeysQuery>,
) -> Response {
    match app.directory.keys_csv(&name, &query).await {
        Ok(rows) => file(&format!("{name}-keys"), rows),
        Err(refused) => refused::text(&refused),
    }
}

fn numbers(roster: Option<&Roster>, link: impl Fn(&KeysQuery) -> Option<String>) -> Numbers {
    let row = |roster: &Roster, (state, label): (KeyState, _)| {
        let query = KeysQuery {
            state: Some(state),
            ..KeysQuery::default()
        };
        let keys = roster.keys(state);
        let cells = keys.map(|keys| vec![(keys.len() as u64, link(&query))]);
        Row { label, cells }
    };
    let rows = roster.map(|roster| STATES.map(|state| row(roster, state)).into());
    Numbers {
        what: "Which",
        columns: vec!["Keys".into()],
        rows: rows.unwrap_or_default(),
    }
}

impl Page {
    fn columns(&self) -> Vec<Column> {
        let sorts = |title, class, by| self.query.column(&self.name, title, class, by);
        vec![
            Column::plain("Key", ""),
            sorts("Owner", "", SortKeys::Owner),
            Column::plain("Owner's factor", ""),
            Column::plain("Roles", ""),
            Column::plain("Opens", ""),
            Column::plain("Created", ""),
            sorts("Age, days", "n", SortKeys::Age),
            Column::plain("Last use", ""),
            sorts("Ends", "", SortKeys::Expiry),
        ]
    }

    fn selects(&self) -> [Select; 1] {
        let state = self.query.state();
        let which = Select::new("state", "Which");
        [STATES.iter().fold(which, |select, (it, label)| {
            select.option(it, label, *it == state)
        })]
    }

    fn scope(&self, key: &ListedKey) -> String {
        match (&key.name, &key.scope) {
            (None, _) => "–".to_owned(),
            (Some(_), None) => "everything".to_owned(),
            (Some(_), Some(scope)) => scope.clone(),
        }
    }

    fn owner_factor(&self, key: &ListedKey) -> &'static str {
        match (key.owner_active, key.owner_protected) {
            (false, _) => "archived",
            (true, Some(true)) => "protected",
            (true, Some(false)) => "unprotected",
            (true, None) => "unknown",
        }
    }
}
