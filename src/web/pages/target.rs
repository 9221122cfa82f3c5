//! One target: what the last poll found, how it went over time, what cannot be seen and what to grant, and how polls go.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::alerts::AlertRow;
use super::asked::OfTarget;
use super::chart::{Frame, Series, Unit, chart};
use super::fleet::ratio;
use super::text::{href, percent, seconds, spaced};
use super::{Layout, html};
use crate::domain::TargetSnapshot;
use crate::domain::finding::{Kind, persons};
use crate::domain::health::Failure;
use crate::domain::roster::State as In;
use crate::domain::vocabulary::vocabulary;
use crate::scan::{Finding, Scan, Show, Terms, scan};
use crate::store::{HistoryRow, Range};
use crate::web::App;
use crate::web::access::Role;
use crate::web::directory::given;

/// Points of a chart, which is as wide as it has pixels for.
const POINTS: i32 = 240;

vocabulary! {
    /// How far back charts go.
    Back {
        /// A week.
        Week = "7d",
        /// A month.
        Month = "30d",
        /// A quarter.
        Quarter = "90d",
        /// A year.
        Year = "1y",
    }
}

impl Back {
    fn days(self) -> i64 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetQuery {
    #[serde(deserialize_with = "given")]
    range: Option<Back>,
}

#[derive(Template)]
#[template(path = "target.html")]
struct Page {
    layout: Layout,
    snapshot: Arc<TargetSnapshot>,
    scan: Option<Scan>,
    range: Back,
    history: History,
    /// Those that fire.
    alerts: Vec<AlertRow>,
    pending: usize,
}

/// How the numbers went.
enum History {
    /// Without a store, or while it fails: why.
    Unknown(&'static str),
    /// Nothing was recorded within the range.
    Empty,
    /// Charts and the numbers in them.
    Charts(Vec<Figure>, Vec<HistoryRow>),
}

/// A chart and its legend.
struct Figure {
    title: &'static str,
    svg: String,
    legend: Vec<(&'static str, &'static str)>,
}

pub async fn page(
    OfTarget {
        app,
        reader,
        uri,
        query,
        name,
        snapshot,
    }: OfTarget<TargetQuery>,
) -> Response {
    let found = snapshot.case().map(|case| {
        let reports = app.reports.current();
        let terms = Terms::new(&name, &reports.accept_findings);
        let mut scan = scan(&case, &BTreeMap::new(), &terms);
        // Who they are has a page of its own.
        if let Some(privileged) = &mut scan.privileged {
            privileged.who.clear();
        }
        if !reader.may(Role::ReadNames) {
            scan.remove_names();
        }
        scan
    });
    let range = query.range.unwrap_or(Back::Month);
    let (alerts, pending): (Vec<_>, Vec<_>) = AlertRow::all(&app)
        .into_iter()
        .filter(|alert| alert.target.as_deref() == Some(name.as_str()))
        .partition(|alert| alert.firing);
    let page = Page {
        layout: Layout::of(&app, &reader, &uri, &name, "Overview"),
        history: history(&app, &name, range).await,
        alerts,
        pending: pending.len(),
        scan: found,
        range,
        snapshot,
    };
    html(&page)
}

impl Page {
    fn name(&self) -> &str {
        &self.snapshot.identity.name
    }

    /// Why the last poll failed, where that is remembered.
    fn failure(&self) -> Option<&Failure> {
        self.snapshot.failing()?;
        self.snapshot.health.recent.front()?.failure.as_ref()
    }

    fn alerts_link(&self) -> String {
        href(&["alerts"], &[("q", self.name())])
    }

    fn is_pending(&self) -> bool {
        self.snapshot.up().is_none()
    }

    fn accepted(&self, capability: &crate::domain::Capability) -> bool {
        self.snapshot.identity.accept_missing.contains(capability)
    }

    fn ranges(&self) -> Vec<(&'static str, String, bool)> {
        let link = |back: &Back| {
            let href = href(&["targets", self.name()], &[("range", back.as_str())]);
            (back.as_str(), href, *back == self.range)
        };
        Back::ALL.iter().map(link).collect()
    }

    fn share(&self, part: &Option<u64>, whole: &Option<u64>) -> String {
        ratio(*part, *whole).map_or("–".to_owned(), percent)
    }
}

impl Show for Page {
    fn people(&self, finding: &Finding) -> String {
        if list_of(finding.kind).is_some() {
            return "Who they are".to_owned();
        }
        let concerned = finding.people.len() as u64 + finding.more_people;
        format!("{} concerned", persons(concerned))
    }

    fn link(&self, finding: &Finding) -> Option<String> {
        let subject = finding.subject.as_deref().unwrap_or_default();
        let query = match list_of(finding.kind) {
            Some(state) => vec![("state", state.as_str())],
            None => vec![("finding", finding.kind.as_str()), ("subject", subject)],
        };
        let path = ["targets", self.name(), "people"];
        self.layout.names.then(|| href(&path, &query))
    }
}

/// The list of whom a finding concerns, where portal people, whose ids it does not know, are among them.
fn list_of(kind: Kind) -> Option<In> {
    match kind {
        Kind::PasswordRpcOpen => Some(In::PasswordRpc),
        Kind::DormantUnprotected => Some(In::Dormant),
        _ => None,
    }
}

async fn history(app: &App, target: &str, range: Back) -> History {
    let Some(store) = &app.store else {
        return History::Unknown("there is no store");
    };
    let to = Timestamp::now();
    let span = SignedDuration::from_hours(24 * range.days());
    let from = to - span;
    let within = Range {
        from: Some(from),
        to: None,
    };
    let step = (span / POINTS).unsigned_abs();
    let sampled = store.sampled(vec![target.to_owned()], within, step).await;
    let Ok(mut sampled) = sampled else {
        return History::Unknown("the store cannot be read at present; the log says why");
    };
    let rows = sampled.remove(target).unwrap_or_default();
    // Older rows are kept by the day.
    let gap = SignedDuration::from_hours(36).max(span * 3 / POINTS);
    let frame = |unit| Frame {
        from,
        to,
        gap,
        unit,
    };
    let figures = figures(&rows, frame);
    if figures.is_empty() {
        return History::Empty;
    }
    History::Charts(figures, thinned(rows))
}

/// The charts of a history; those that have nothing to show are left out.
fn figures(rows: &[HistoryRow], frame: impl Fn(Unit) -> Frame) -> Vec<Figure> {
    let line = |label, class, value: &dyn Fn(&HistoryRow) -> Option<f64>| Series {
        label,
        class,
        points: rows.iter().map(|row| (row.at, value(row))).collect(),
    };
    let count = |number: Option<u64>| number.map(|number| number as f64);
    let coverage = [
        line("Internal people", "a", &|row| {
            ratio(
                row.numbers.internal_protected,
                row.numbers.internal_eligible,
            )
        }),
        line("Portal people", "b", &|row| {
            ratio(row.numbers.portal_protected, row.numbers.portal_eligible)
        }),
    ];
    let privileged = [line(
        "Privileged people without a second factor",
        "c",
        &|row| count(row.numbers.privileged_without_mfa),
    )];
    let keys = [line("Working API keys", "b", &|row| {
        count(row.numbers.api_keys)
    })];
    let figure = |title, unit, series: &[Series]| {
        Some(Figure {
            title,
            svg: chart(title, frame(unit), series)?,
            legend: series.iter().map(|line| (line.label, line.class)).collect(),
        })
    };
    [
        figure("People protected, in percent", Unit::Share, &coverage),
        figure(
            "Privileged people without a second factor, in people",
            Unit::Count,
            &privileged,
        ),
        figure("Working API keys, in keys", Unit::Count, &keys),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Few enough rows to read: the last one of each part of the range.
fn thinned(rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
    const READABLE: usize = 30;
    let every = rows.len().div_ceil(READABLE).max(1);
    let mut rows: Vec<HistoryRow> = rows.into_iter().rev().step_by(every).collect();
    rows.truncate(READABLE);
    rows
}
