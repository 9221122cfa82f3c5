//! API keys of all targets: numbers for every reader, names for readers who may read them; the keys themselves for no one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, List, to_save};
use super::list::{
    COUNTED, Filters, ListQuery, Numbers, PagedQuery, PerTarget, Row, role_options, roles,
};
use super::parts::Column;
use super::refused::HOW_TO_GET_NAMES;
use super::text::{count, day, target_page, when};
use super::{Layout, file, html, refused};
use crate::domain::roster::KeyState;
use crate::web::App;
use crate::web::directory::{KeysPage, KeysQuery, ListedKey, SortKeys};

/// Rows of the numbers, and how they are called.
const STATES: [(KeyState, &str); 14] = [
    (KeyState::Working, "Active"),
    (KeyState::Unrestricted, "Active, without a scope"),
    (KeyState::OfPrivileged, "Active, of privileged users"),
    (
        KeyState::OfUnprotected,
        "Active, of users without an accepted factor",
    ),
    (KeyState::WithoutExpiry, "Active, never expires"),
    (KeyState::Expiring, "Active, expires within 30 days"),
    (KeyState::Unused30To90d, "Active, unused for 30 to 90 days"),
    (
        KeyState::UnusedGe90d,
        "Active, unused for 90 days or longer",
    ),
    (KeyState::Lt30d, "Active, younger than 30 days"),
    (KeyState::From30To90d, "Active, 30 to 90 days old"),
    (KeyState::From90To365d, "Active, 90 to 365 days old"),
    (KeyState::Ge365d, "Active, 365 days old or older"),
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
    query: KeysQuery,
    filters: Filters,
    numbers: Numbers,
    per_target: PerTarget,
    list: List<KeysPage>,
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<KeysQuery>,
) -> Response {
    let list = List::read(&reader, app.directory.keys(&query)).await;
    let link = |target: &str| {
        KeysQuery {
            target: vec![target.to_owned()],
            page: None,
            ..query.clone()
        }
        .href()
    };
    let per_target = PerTarget::new(app.directory.count_keys(&query), link);
    let page = Page {
        layout: Layout::listing(&app, &reader, &uri, "API keys", query.which()),
        numbers: numbers(&app, &query, per_target.targets),
        filters: filters(&app, &query),
        per_target,
        query,
        list,
    };
    (page.list.status(), html(&page)).into_response()
}

/// Only for those who may read names: see [`crate::web::access`].
pub async fn csv(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match to_save::<KeysQuery>(&uri) {
        Ok(query) => query,
        Err(response) => return response,
    };
    match app.directory.keys_csv(&query).await {
        Ok(rows) => file(&query.file_name(), rows),
        Err(refused) => refused::text(&refused),
    }
}

fn filters(app: &App, query: &KeysQuery) -> Filters {
    let states = STATES.map(|(state, label)| {
        let chosen = query.states().contains(&state);
        (state.to_string(), label.to_owned(), chosen)
    });
    let roles = roles(app, query.which());
    Filters::of(app, query)
        .search("Key's or owner's name, or login", query.q.as_ref())
        .group("state", "State", states.into_iter())
        .group("role", "Owner's role", role_options(&roles, &query.role))
        .sorts(SortKeys::ALL, query.sort(), query.order)
}

/// The numbers by state, of the targets that the list is about.
fn numbers(app: &App, query: &KeysQuery, targets: usize) -> Numbers {
    if targets == 0 || targets > COUNTED {
        return Numbers::default();
    }
    let row = |(state, label)| {
        let list = KeysQuery {
            target: query.target.clone(),
            label: query.label.clone(),
            state: vec![state],
            ..KeysQuery::default()
        };
        Row::new(label, vec![(app.directory.count_keys(&list), list.href())])
    };
    Numbers {
        what: "API keys",
        columns: vec!["keys".into()],
        rows: STATES.map(row).into(),
    }
}

impl Page {
    fn columns(&self, page: &KeysPage) -> Vec<Column> {
        let sorts = |title, class, by| self.query.column(0, title, class, by);
        let mut columns = vec![
            Column::plain("Key", ""),
            sorts("Owner", "", SortKeys::Owner),
            sorts("Target", "", SortKeys::Target),
            Column::plain("Owner's factor", ""),
            Column::plain("Roles", ""),
            Column::plain("Opens", ""),
            Column::plain("Created", ""),
            sorts("Age, days", "n", SortKeys::Age),
            Column::plain("Last use", ""),
            sorts("Expires", "", SortKeys::Expiry),
        ];
        if page.targets == 1 {
            columns.remove(2);
        }
        columns
    }

    fn is_of_one(&self, page: &KeysPage) -> bool {
        page.targets == 1
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
