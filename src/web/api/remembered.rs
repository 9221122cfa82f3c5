//! Data of the store: the change log and the history of the headline numbers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{OfTarget, given};
use crate::store::{self, ChangeRow, HistoryRow, LoggedKind, Page, Range, Store};
use crate::web::access::{Reader, Role};
use crate::web::paging::{PageNumber, PageRows, ROWS, Slice};
use crate::web::{App, Problem};

/// Filter of changes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChangesQuery {
    /// Those that were noticed from then on.
    #[serde(deserialize_with = "given")]
    from: Option<Timestamp>,
    /// Those that were noticed before then.
    #[serde(deserialize_with = "given")]
    to: Option<Timestamp>,
    /// Only of this kind.
    #[serde(deserialize_with = "given")]
    kind: Option<LoggedKind>,
    /// Only changes with a lower number: `next` of the previous page.
    #[serde(deserialize_with = "given")]
    before: Option<Seq>,
    /// Maximum number of changes; default: 50.
    #[serde(deserialize_with = "given")]
    limit: Option<PageRows>,
}

/// The number of a change.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
struct Seq(#[schemars(range(min = 0, max = 9_223_372_036_854_775_807_u64))] u64);

impl std::str::FromStr for Seq {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(seq) if i64::try_from(seq).is_ok() => Ok(Self(seq)),
            _ => Err("expected the number of a change"),
        }
    }
}

/// A part of a target's change log, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChangesPage {
    /// The changes. `login` is `null` unless it was kept and the reader may read names.
    changes: Vec<ChangeRow>,
    /// Value of `before` for the next page; `null` at the end.
    next: Option<u64>,
}

pub(super) async fn changes(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    OfTarget { target, query }: OfTarget<ChangesQuery>,
) -> Result<Json<ChangesPage>, Problem> {
    let store = store_of(&app, &target)?;
    let limit = query.limit.map_or(ROWS, |it| it.0);
    let page = Page {
        before_seq: query.before.map(|it| it.0),
        kind: query.kind,
        // One more shows whether this is the end.
        limit: limit + 1,
    };
    let range = range(query.from, query.to)?;
    let mut changes = store
        .changes(&target, range, page)
        .await
        .map_err(unavailable)?;
    let more = changes.len() > limit as usize;
    changes.truncate(limit as usize);
    if !reader.may(Role::ReadNames) {
        for change in &mut changes {
            change.login = None;
        }
    }
    let next = changes.last().filter(|_| more).map(|last| last.seq);
    Ok(Json(ChangesPage { changes, next }))
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
    let range = range(query.from, query.to)?;
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

fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Range, Problem> {
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`to` must be later than `from`",
        ));
    }
    Ok(Range { from, to })
}

#[expect(clippy::needless_pass_by_value, reason = "map_err expects a function")]
fn unavailable(error: store::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
