//! The change log of all targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::asked::{Asked, to_save};
use super::list::{Filters, ListQuery, words};
use super::refused::HOW_TO_GET_NAMES;
use super::text::{spaced, target_page};
use super::{Layout, file, html};
use crate::domain::{IdSet, UserType};
use crate::store::render::{Format, render};
use crate::store::{ChangeRow, LoggedKind};
use crate::web::App;
use crate::web::access::{Reader, Role};
use crate::web::changes::{self, ChangesPage, ChangesQuery};
use crate::web::directory::Names;
use crate::web::paging::PageRows;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "changes.html")]
struct Page {
    layout: Layout,
    query: ChangesQuery,
    filters: Filters,
    log: Result<ChangesPage, Problem>,
    names: BTreeMap<String, Names>,
    app: Arc<App>,
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<ChangesQuery>,
) -> Response {
    let log = changes::read(&app, &reader, &query).await;
    let mut people: BTreeMap<String, IdSet> = BTreeMap::new();
    if reader.may(Role::ReadNames) {
        for row in log.iter().flat_map(|log| &log.changes) {
            if let Some(person) = row.person {
                people.entry(row.target.clone()).or_default().insert(person);
            }
        }
    }
    let page = Page {
        layout: Layout::listing(&app, &reader, &uri, "Changes", query.which()),
        names: app.directory.names_of(people).await,
        filters: filters(&app, &query),
        query,
        log,
        app,
    };
    let status = page
        .log
        .as_ref()
        .err()
        .map_or(axum::http::StatusCode::OK, Problem::status);
    (status, html(&page)).into_response()
}

/// The newest changes as a file, without names: as many as one answer holds. Logins are in it where they were kept and the reader may read names.
pub async fn csv(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    uri: Uri,
) -> Response {
    let query = match to_save::<ChangesQuery>(&uri) {
        Ok(query) => query,
        Err(response) => return response,
    };
    let query = ChangesQuery {
        limit: Some(PageRows::MOST),
        ..query
    };
    match changes::read(&app, &reader, &query).await {
        Ok(log) => {
            let text = render(&log.changes, Format::Csv);
            file(&query.file_name(), stream::iter([Ok(text.into())]))
        }
        Err(problem) => (problem.status(), format!("{}\n", problem.detail())).into_response(),
    }
}

fn filters(app: &App, query: &ChangesQuery) -> Filters {
    let kinds = LoggedKind::all().map(|kind| {
        let chosen = query.kind.contains(&kind);
        (kind.to_string(), spaced(&kind.to_string()), chosen)
    });
    let text =
        |moment: Option<&changes::Moment>| moment.map(ToString::to_string).unwrap_or_default();
    Filters::of(app, query)
        .day("from", "From, UTC", text(query.from.as_ref()))
        .day("to", "Before, UTC", text(query.to.as_ref()))
        .group("kind", "Kind", kinds)
        .group("user_type", "Type", words(UserType::ALL, &query.user_type))
}

impl Page {
    fn is_of_one(&self) -> bool {
        self.layout.target.is_some()
    }

    /// The time of the later poll, with its day where that is another one.
    fn until(&self, row: &ChangeRow) -> String {
        let same_day =
            row.after.strftime("%F").to_string() == row.before.strftime("%F").to_string();
        let format = if same_day { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        row.before.strftime(format).to_string()
    }

    /// Name, and the form in Odoo.
    fn who(&self, row: &ChangeRow) -> Option<(String, String)> {
        let id = row.person?;
        let form = self.app.directory.form(&row.target, id)?;
        let names = self
            .names
            .get(&row.target)
            .and_then(|names| names.as_ref().ok());
        let name = match names.and_then(|names| names.get(&id)) {
            Some(person) => format!("{} ({})", person.name, person.login),
            None => match &row.login {
                Some(login) => login.clone(),
                None => format!("res.users {id}"),
            },
        };
        Some((name, form))
    }

    /// The targets that do not say who it is, and why.
    fn silent(&self) -> Vec<(&String, String)> {
        self.names
            .iter()
            .filter_map(|(target, names)| Some((target, names.as_ref().err()?.to_string())))
            .collect()
    }

    fn older(&self, log: &ChangesPage) -> Option<String> {
        let query = ChangesQuery {
            after: Some(log.next?),
            ..self.query.clone()
        };
        Some(query.href())
    }

    fn newest(&self) -> Option<String> {
        self.query.after?;
        let query = ChangesQuery {
            after: None,
            ..self.query.clone()
        };
        Some(query.href())
    }
}
