//! Data of the store: the change log and the history of the headline numbers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{OfTarget, Parameters, given};
use crate::store::{self, HistoryRow, Store};
use crate::web::access::Reader;
use crate::web::changes::{self, ChangesPage, ChangesQuery};
use crate::web::paging::{PageNumber, PageRows, Slice};
use crate::web::{App, Problem};

pub(super) async fn changes(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Parameters(query): Parameters<ChangesQuery>,
) -> Result<Json<ChangesPage>, Problem> {
    Ok(Json(changes::read(&app, &reader, &query).await?))
}

/// Range of the history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HistoryQuery {
    /// From then on.
    #[serde(deserialize_with = "given")]
    from: Option<Timestamp>,
    /// Before then.
    #[serde(deserialize_with = "given")]
    to: Option<Timestamp>,
    /// From 1.
    #[serde(deserialize_with = "given")]
    page: Option<PageNumber>,
    /// Rows of a page: 50 if not given.
    #[serde(deserialize_with = "given")]
    per_page: Option<PageRows>,
}

/// A part of the history of a target's headline numbers, the oldest first. Of the last week each poll, then each hour, then each day.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HistoryPage {
    /// Number of rows.
    total: u64,
    /// Number of this page.
    #[serde(flatten)]
    slice: Slice,
    /// The numbers. Values that are unknown in a poll are `null`.
    history: Vec<HistoryRow>,
}

pub(super) async fn history(
    State(app): State<Arc<App>>,
    OfTarget { target, query }: OfTarget<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    let store = store_of(&app, &target)?;
    let range = changes::range(query.from, query.to)?;
    let rows = store.history(&target, range).await.map_err(unavailable)?;
    let slice = Slice::new(query.page, query.per_page);
    Ok(Json(HistoryPage {
        total: rows.len() as u64,
        slice,
        history: slice.of(&rows).to_vec(),
    }))
}

fn store_of<'a>(app: &'a App, target: &str) -> Result<&'a Store, Problem> {
    app.snapshot(target)?;
    app.store.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this exporter runs without a store",
        )
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err takes a function of the value"
)]
fn unavailable(error: store::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
