//! The change log over all targets, for the pages and for the API.

use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::{Reader, Role};
use super::directory::{Label, Which, given, many};
use super::paging::{PageRows, ROWS};
use super::{App, Problem};
use crate::domain::UserType;
use crate::store::{ChangeRow, Cursor, LoggedKind, Page, Range};

/// Changes to list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangesQuery {
    /// Only of these targets.
    #[serde(deserialize_with = "many")]
    pub target: Vec<String>,
    /// Only of targets with this label: `NAME=VALUE`. Several values of one label are alternatives.
    #[serde(deserialize_with = "many")]
    pub label: Vec<Label>,
    /// Only of these kinds.
    #[serde(deserialize_with = "many")]
    pub kind: Vec<LoggedKind>,
    /// Only about users of these types, as they were then.
    #[serde(deserialize_with = "many")]
    pub user_type: Vec<UserType>,
    /// Those that were noticed from then on: a time, or the beginning of a day in UTC.
    #[serde(deserialize_with = "given")]
    pub from: Option<Moment>,
    /// Those that were noticed before then: a time, or the beginning of a day in UTC.
    #[serde(deserialize_with = "given")]
    pub to: Option<Moment>,
    /// `next` of the page before.
    #[serde(deserialize_with = "given")]
    pub after: Option<Cursor>,
    /// Maximum number of changes; default 50.
    #[serde(deserialize_with = "given")]
    pub limit: Option<PageRows>,
}

/// A time, or a day in UTC, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Moment {
    #[schemars(skip)]
    at: Timestamp,
    text: String,
}

impl std::str::FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
        let at = text.parse().ok().or_else(|| Some(day()?.timestamp()));
        at.map(|at| Self {
            at,
            text: text.to_owned(),
        })
        .ok_or("must be a date (2026-11-24) or a time (2026-11-24T05:00:00Z)")
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A part of the change log, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangesPage {
    /// The changes. `login` is `null` unless it was kept and the reader may read names.
    pub changes: Vec<ChangeRow>,
    /// Value of `after` for the next page; `null` at the end.
    pub next: Option<Cursor>,
}

impl ChangesQuery {
    /// Targets.
    pub fn which(&self) -> Which<'_> {
        Which {
            targets: &self.target,
            labels: &self.label,
        }
    }
}

/// Reads a part of the log.
///
/// # Errors
/// Without such a target, without a store, and while it fails.
pub async fn read(
    app: &App,
    reader: &Reader,
    query: &ChangesQuery,
) -> Result<ChangesPage, Problem> {
    for target in &query.target {
        app.snapshot(target)?;
    }
    let unavailable = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    let store = app
        .store
        .as_ref()
        .ok_or_else(|| unavailable("this exporter runs without a store".to_owned()))?;
    let range = range(
        query.from.as_ref().map(|it| it.at),
        query.to.as_ref().map(|it| it.at),
    )?;
    let limit = query.limit.map_or(ROWS, |it| it.0);
    let page = Page {
        after: query.after,
        kinds: query.kind.clone(),
        types: query.user_type.clone(),
        // One more shows whether this is the end.
        limit: limit + 1,
    };
    let snapshots = app.board.snapshots();
    let targets = snapshots
        .iter()
        .filter(|snapshot| query.which().contains(&snapshot.identity))
        .map(|snapshot| snapshot.identity.name.clone());
    let changes = store.changes(targets.collect(), range, page).await;
    let mut changes = changes.map_err(|error| unavailable(error.to_string()))?;
    let more = changes.len() > limit as usize;
    changes.truncate(limit as usize);
    if !reader.may(Role::ReadNames) {
        for change in &mut changes {
            change.login = None;
        }
    }
    Ok(ChangesPage {
        next: changes.last().filter(|_| more).map(|last| last.at),
        changes,
    })
}

/// A span of time.
///
/// # Errors
/// If the range ends before it begins.
pub fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Range, Problem> {
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`to` must be later than `from`",
        ));
    }
    Ok(Range { from, to })
}
