//! The targets: how they are, and what their numbers say.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{Parameters, given, many};
use super::view::{TargetDetail, TargetState, TargetSummary};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{TargetSnapshot, UserType};
use crate::web::directory::Label;
use crate::web::paging::{PageNumber, PageRows, Slice};
use crate::web::{App, Problem};

vocabulary! {
    /// Sort key of targets.
    SortTargets {
        /// In the order of the configuration.
        Configured = "configured",
        /// By name.
        Name = "name",
        /// By the coverage of internal users, lowest first, after targets whose coverage is unknown.
        Coverage = "coverage",
    }
}

/// Filter of targets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TargetsQuery {
    /// Only these.
    #[serde(deserialize_with = "given")]
    state: Option<TargetState>,
    /// Only those whose name holds this text.
    #[serde(deserialize_with = "given")]
    q: Option<String>,
    /// Only those with this label: `NAME=VALUE`. Several values of one label are alternatives.
    #[serde(deserialize_with = "many")]
    label: Vec<Label>,
    /// In the order of the configuration if not given.
    #[serde(deserialize_with = "given")]
    sort: Option<SortTargets>,
    /// From 1.
    #[serde(deserialize_with = "given")]
    page: Option<PageNumber>,
    /// Rows of a page: 50 if not given.
    #[serde(deserialize_with = "given")]
    per_page: Option<PageRows>,
}

/// A part of the list of targets.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TargetsPage {
    /// Number of targets.
    total: u64,
    /// Number of this page.
    #[serde(flatten)]
    slice: Slice,
    /// The targets.
    targets: Vec<TargetSummary>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<TargetsQuery>,
) -> Json<TargetsPage> {
    let wanted = |target: &&Arc<TargetSnapshot>| {
        let holds = |text: &String| target.identity.name.contains(text);
        query.state.is_none_or(|it| it == TargetState::of(target))
            && query.q.as_ref().is_none_or(holds)
            && Label::all_match(&query.label, &target.identity)
    };
    let snapshots = app.board.snapshots();
    let mut targets: Vec<_> = snapshots.iter().filter(wanted).collect();
    match query.sort.unwrap_or(SortTargets::Configured) {
        SortTargets::Configured => {}
        SortTargets::Name => targets.sort_by(|a, b| a.identity.name.cmp(&b.identity.name)),
        SortTargets::Coverage => targets.sort_by(|a, b| {
            let (a, b) = (coverage(a), coverage(b));
            a.partial_cmp(&b).unwrap_or(Ordering::Equal)
        }),
    }
    let slice = Slice::new(query.page, query.per_page);
    Json(TargetsPage {
        total: targets.len() as u64,
        slice,
        targets: slice
            .of(&targets)
            .iter()
            .map(|target| TargetSummary::of(target))
            .collect(),
    })
}

/// A type without users counts as covered.
fn coverage(target: &TargetSnapshot) -> Option<f64> {
    let posture = target.posture.as_ref()?;
    let protected = posture.protected?[UserType::Internal];
    let eligible = posture.eligible[UserType::Internal];
    Some(if eligible == 0 {
        1.0
    } else {
        protected as f64 / eligible as f64
    })
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Parameters(_): Parameters<Nothing>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<TargetDetail>, Problem> {
    let Path(name) = name.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let snapshot = app.snapshot(&name)?;
    Ok(Json(TargetDetail::of(&snapshot)))
}

/// No parameters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
