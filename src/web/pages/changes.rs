//! The change log of a target.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use serde::Deserialize;

use super::asked::OfTarget;
use super::refused::HOW_TO_GET_NAMES;
use super::text::{href, spaced, when};
use super::{Layout, html};
use crate::domain::IdSet;
use crate::odoo::directory::Person;
use crate::store::{self, ChangeRow, Range};
use crate::web::App;
use crate::web::access::Role;
use crate::web::directory::{Refused, given};

/// Changes of a page.
const ROWS: u32 = 50;

/// Query of the page.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesQuery {
    /// Only changes with a lower number.
    #[serde(deserialize_with = "given")]
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "changes.html")]
struct Page {
    layout: Layout,
    name: String,
    rows: Result<Vec<ChangeRow>, &'static str>,
    names: Result<HashMap<u32, Person>, Refused>,
    older: Option<String>,
    newest: Option<String>,
    app: Arc<App>,
}

pub async fn page(
    OfTarget {
        app,
        reader,
        uri,
        query,
        name,
        ..
    }: OfTarget<ChangesQuery>,
) -> Response {
    let mut rows = changes(&app, &name, query.before).await;
    let mut older = None;
    if let Ok(rows) = &mut rows
        && rows.len() > ROWS as usize
    {
        rows.truncate(ROWS as usize);
        older = rows.last().map(|row| row.seq.to_string());
    }
    let concerned: IdSet = rows.iter().flatten().filter_map(|row| row.person).collect();
    let names = if reader.may(Role::ReadNames) && !concerned.is_empty() {
        app.directory.names(&name, &concerned).await
    } else {
        Ok(HashMap::new())
    };
    let path = ["targets", name.as_str(), "changes"];
    let page = Page {
        layout: Layout::of(&app, &reader, &uri, &name, "Changes"),
        older: older.map(|seq| href(&path, &[("before", &seq)])),
        newest: query.before.map(|_| href(&path, &[])),
        name,
        rows,
        names,
        app,
    };
    html(&page)
}

/// One more than a page shows, so that it is known whether there are more.
async fn changes(
    app: &App,
    target: &str,
    before_seq: Option<u64>,
) -> Result<Vec<ChangeRow>, &'static str> {
    let store = app
        .store
        .as_ref()
        .ok_or("the exporter runs without a store")?;
    let page = store::Page {
        before_seq,
        limit: ROWS + 1,
        ..store::Page::default()
    };
    let rows = store.changes(target, Range::default(), page).await;
    rows.map_err(|_| "the store is temporarily unavailable; see the log")
}

impl Page {
    /// The user, and the form in Odoo.
    fn who(&self, row: &ChangeRow) -> Option<(String, String)> {
        let id = row.person?;
        let form = self.app.directory.form(&self.name, id)?;
        let name = match self.names.as_ref().ok().and_then(|names| names.get(&id)) {
            Some(person) => format!("{} ({})", person.name, person.login),
            None => match &row.login {
                Some(login) => login.clone(),
                None => format!("res.users {id}"),
            },
        };
        Some((name, form))
    }
}
