//! The page of the exporter's own alerts, without names of users.

use askama::Template;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;

use super::asked::Asked;
use super::parts::{Pager, Select};
use super::text::{href, when};
use super::{Layout, html};
use crate::domain::alert::{Phase, Severity};
use crate::web::App;
use crate::web::api::AlertState;
use crate::web::directory::given;
use crate::web::paging::{PageNumber, Slice};

/// Query of the page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsQuery {
    #[serde(deserialize_with = "given")]
    q: Option<String>,
    #[serde(deserialize_with = "given")]
    severity: Option<Severity>,
    #[serde(deserialize_with = "given")]
    state: Option<AlertState>,
    #[serde(deserialize_with = "given")]
    page: Option<PageNumber>,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    layout: Layout,
    query: AlertsQuery,
    rows: Vec<AlertRow>,
    /// Name, number of alerts and link of each alert, the most urgent first.
    names: Vec<(String, usize, String)>,
    matching: usize,
    pager: Pager,
}

/// One alert.
#[derive(Clone)]
pub struct AlertRow {
    /// Its name.
    pub name: String,
    /// Its severity.
    pub severity: String,
    /// Firing, or not yet.
    pub firing: bool,
    /// The target, where it is about one.
    pub target: Option<String>,
    /// The target's page.
    pub href: Option<String>,
    /// Since when its condition holds.
    pub since: Timestamp,
    /// One line.
    pub summary: String,
    /// Summary.
    pub description: String,
    /// Link to the runbook.
    pub runbook: String,
    order: Option<Severity>,
}

impl AlertRow {
    /// All of them: those that fire first, the most severe first, then the newest.
    pub fn all(app: &App) -> Vec<Self> {
        let mut rows: Vec<Self> = app.alerts.all().iter().map(Self::of).collect();
        rows.sort_by(|a, b| (b.firing, a.order, b.since).cmp(&(a.firing, b.order, a.since)));
        rows
    }

    fn of(alert: &crate::alerting::AlertView) -> Self {
        let label = |name: &str| alert.labels.get(name).map(str::to_owned);
        let mut annotations = alert.annotations();
        let mut says = |name: &str| annotations.remove(name).unwrap_or_default();
        let severity = label("severity").unwrap_or_default();
        Self {
            name: label("alertname").unwrap_or_default(),
            order: severity.parse().ok(),
            severity,
            firing: alert.phase == Phase::Firing,
            href: label("target").map(|target| href(&["targets", &target], &[])),
            target: label("target"),
            since: alert.active_at,
            summary: says("summary"),
            description: says("description"),
            runbook: says("runbook_url"),
        }
    }
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<AlertsQuery>,
) -> Response {
    let rows: Vec<AlertRow> = AlertRow::all(&app)
        .into_iter()
        .filter(|row| query.matches(row))
        .collect();
    let slice = Slice::new(query.page, None);
    let page = Page {
        layout: Layout::new(&app, &reader, &uri, "Alerts", "Alerts"),
        names: query.names(&rows),
        matching: rows.len(),
        pager: Pager::new("alerts", slice, rows.len() as u64, |page| {
            query.link(query.q.as_deref(), &page.to_string())
        }),
        rows: slice.of(&rows).to_vec(),
        query,
    };
    html(&page)
}

impl AlertsQuery {
    /// The list with another text, or another page of it.
    fn link(&self, text: Option<&str>, page: &str) -> String {
        let query = [
            ("q", text.unwrap_or_default()),
            ("severity", self.severity.map_or("", Severity::as_str)),
            ("state", self.state.map_or("", AlertState::as_str)),
            ("page", page),
        ];
        href(&["alerts"], &query)
    }

    fn names(&self, rows: &[AlertRow]) -> Vec<(String, usize, String)> {
        let mut names: Vec<(String, usize, String)> = Vec::new();
        for row in rows {
            if let Some((_, count, _)) = names.iter_mut().find(|(name, ..)| *name == row.name) {
                *count += 1;
            } else {
                names.push((row.name.clone(), 1, self.link(Some(&row.name), "")));
            }
        }
        names
    }

    fn matches(&self, row: &AlertRow) -> bool {
        let severity = self.severity.is_none_or(|it| it.as_str() == row.severity);
        let text = self.q.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            let target = row.target.as_deref().unwrap_or_default();
            [row.name.as_str(), target, &row.summary]
                .iter()
                .any(|it| it.to_lowercase().contains(&text))
        });
        let state = self
            .state
            .is_none_or(|it| (it == AlertState::Firing) == row.firing);
        severity && state && text
    }
}

impl Page {
    fn severities(&self) -> Select {
        Select::new("severity", "Severity")
            .option("", "any", self.query.severity.is_none())
            .words(Severity::ALL, self.query.severity)
    }

    fn states(&self) -> Select {
        Select::new("state", "State")
            .option("", "any", self.query.state.is_none())
            .words(AlertState::ALL, self.query.state)
    }
}
