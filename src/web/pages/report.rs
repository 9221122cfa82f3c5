//! The report of `scan` about what the last polls found: to read, to print and to file. Names only for readers who may read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::POLICY;
use super::asked::Asked;
use super::parts::Select;
use crate::domain::TargetSnapshot;
use crate::domain::finding::Severity;
use crate::domain::finding::controls::Framework;
use crate::odoo::directory::Person;
use crate::scan::{self, Configured, Failure, Frame, Numbers, Report, Selection, TargetReport};
use crate::store::{HistoryRow, Range};
use crate::web::App;
use crate::web::access::{Reader, Role};
use crate::web::directory::given;
use crate::web::reports::ReportSettings;

/// How far back the numbers of before are.
const DAYS: i64 = 30;

/// Targets that are asked for names at the same time.
const AT_ONCE: usize = 8;

/// Above so many targets only the summary is shown: the rest would be a page that no browser prints.
const IN_FULL: usize = 100;

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportQuery {
    #[serde(deserialize_with = "given")]
    target: Option<String>,
    /// As `--target-label`.
    #[serde(deserialize_with = "given")]
    label: Option<String>,
    #[serde(deserialize_with = "given")]
    severity: Option<Severity>,
    #[serde(deserialize_with = "given")]
    framework: Option<Framework>,
    #[serde(deserialize_with = "given")]
    parts: Option<Parts>,
}

crate::domain::vocabulary::vocabulary! {
    /// How much is shown.
    Parts {
        /// Everything.
        All = "all",
        /// Without the numbers of each target.
        Summary = "summary",
    }
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<ReportQuery>,
) -> Response {
    let settings = app.reports.current();
    let selection = query.selection();
    let snapshots: Vec<Arc<TargetSnapshot>> = app
        .board
        .snapshots()
        .iter()
        .filter(|it| selection.has_target(&it.identity.name, &it.identity.labels))
        .cloned()
        .collect();
    let summary = snapshots.len() > IN_FULL || query.parts == Some(Parts::Summary);
    let names = reader.may(Role::ReadNames);
    let mut report = read(&app, &settings, &snapshots, names).await;
    remember(&app, &mut report).await;
    report.run_by = Some(run_by(&reader));
    report.select(selection);
    let root = format!(
        "./{}",
        "../".repeat(uri.path().matches('/').count().saturating_sub(1))
    );
    let frame = Frame {
        root,
        form: query.form(&app),
        names,
    };
    let page = scan::render_within(&report, summary, frame);
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
}

/// What the page loads: the style, with the organization at the foot of printed pages.
pub async fn style(State(app): State<Arc<App>>) -> Response {
    let settings = app.reports.current();
    let report = empty(&settings, Timestamp::now());
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, scan::report_style(&report)).into_response()
}

fn run_by(reader: &Reader) -> String {
    reader
        .user()
        .unwrap_or("a reader who is not signed in")
        .to_owned()
}

fn empty(settings: &ReportSettings, at: Timestamp) -> Report {
    report(settings, at, Vec::new())
}

fn report(settings: &ReportSettings, at: Timestamp, targets: Vec<TargetReport>) -> Report {
    let names: Vec<String> = settings.targets.iter().map(|it| it.name.clone()).collect();
    let configured = Configured {
        organization: settings.organization.as_deref(),
        accept_findings: &settings.accept_findings,
        targets: &names,
        exemptions: &settings.exemptions,
    };
    Report::new(at, &configured, targets)
}

/// Notes what the store remembers of the beginning of the period. Without a store, or where it fails, the report says nothing of before.
async fn remember(app: &App, report: &mut Report) {
    let Some(store) = &app.store else { return };
    let from = report.generated_at - SignedDuration::from_hours(24 * DAYS);
    let range = Range {
        from: Some(from),
        to: None,
    };
    let names = report.targets.iter().map(|it| it.target.clone()).collect();
    let day = Duration::from_secs(86_400);
    let Ok(rows) = store.sampled(names, range, day).await else {
        return;
    };
    for target in &mut report.targets {
        let rows = rows.get(&target.target).into_iter().flatten();
        let oldest = rows.min_by_key(|row| row.at);
        let old = |row: &&HistoryRow| report.generated_at.duration_since(row.at).as_hours() >= 24;
        target.previous = oldest.filter(old).map(numbers);
    }
}

fn numbers(row: &HistoryRow) -> Numbers {
    let numbers = &row.numbers;
    let eligible = numbers.internal_eligible.filter(|eligible| *eligible > 0);
    let ratio = |protected, eligible| protected as f64 / eligible as f64;
    Numbers {
        at: row.at,
        grade: None,
        internal_ratio: numbers
            .internal_protected
            .zip(eligible)
            .map(|(protected, eligible)| ratio(protected, eligible)),
        privileged_unprotected: numbers.privileged_without_mfa,
    }
}

async fn read(
    app: &App,
    settings: &ReportSettings,
    snapshots: &[Arc<TargetSnapshot>],
    names: bool,
) -> Report {
    let reading: Vec<_> = snapshots
        .iter()
        .map(|snapshot| async move {
            let people = if names {
                people(app, snapshot).await
            } else {
                BTreeMap::new()
            };
            target(settings, snapshot, &people)
        })
        .collect();
    let targets = futures::stream::iter(reading)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut report = report(settings, Timestamp::now(), targets);
    if !names {
        report.remove_names();
    }
    report
}

/// Who the listed users are. Where Odoo does not answer, the report has their ids.
async fn people(app: &App, snapshot: &TargetSnapshot) -> BTreeMap<u32, Person> {
    let Some(ids) = snapshot
        .case()
        .map(|case| scan::people_of(&case, scan::LISTED))
    else {
        return BTreeMap::new();
    };
    let named = app.directory.names(&snapshot.identity.name, &ids).await;
    named.unwrap_or_default().into_iter().collect()
}

fn target(
    settings: &ReportSettings,
    snapshot: &TargetSnapshot,
    people: &BTreeMap<u32, Person>,
) -> TargetReport {
    let identity = &snapshot.identity;
    let name = identity.name.as_str();
    let configured = settings.target(name).map(|it| scan::identity(it));
    let known = configured.unwrap_or_else(|| TargetReport::unknown(name, &identity.url));
    TargetReport {
        scan: snapshot.case().map(|mut case| {
            case.terms.exemptions = settings.noted(name, case.terms.exemptions);
            let terms = scan::Terms::new(name, &settings.accept_findings);
            scan::scan(&case, people, &terms)
        }),
        error: failure(snapshot),
        url: identity.url.clone(),
        database: identity.database.clone(),
        ..known
    }
}

/// Why the last poll failed.
fn failure(snapshot: &TargetSnapshot) -> Option<Failure> {
    let reason = snapshot.failing()?;
    let last = snapshot.health.recent.front();
    let failure = last.and_then(|poll| poll.failure.as_ref());
    Some(Failure {
        reason,
        message: failure.map_or_else(
            || "the last poll failed".to_owned(),
            |it| it.message.clone(),
        ),
        hint: failure.and_then(|it| it.hint),
    })
}

impl ReportQuery {
    fn selection(&self) -> Selection {
        // What is no label and value is no target's label.
        let label = self.label.as_deref();
        let label = label.map(|it| it.split_once('=').unwrap_or((it, "")));
        Selection {
            targets: self.target.iter().cloned().collect(),
            target_labels: label
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            severity: self.severity,
            framework: self.framework,
        }
    }

    /// The form that selects. Its values are escaped here.
    fn form(&self, app: &App) -> String {
        let snapshots = app.board.snapshots();
        let all = |select: Select, chosen: bool| select.option("", "all", chosen);
        let targets = snapshots.iter().fold(
            all(Select::new("target", "Target"), self.target.is_none()),
            |select, it| {
                let name = it.identity.name.as_str();
                select.option(name, name, self.target.as_deref() == Some(name))
            },
        );
        let labels: BTreeSet<String> = snapshots
            .iter()
            .flat_map(|it| it.identity.labels.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let labels = labels.iter().fold(
            all(Select::new("label", "Label"), self.label.is_none()),
            |select, it| select.option(it, it, self.label.as_ref() == Some(it)),
        );
        let severity = all(Select::new("severity", "Severity"), self.severity.is_none())
            .words(Severity::ALL, self.severity);
        let frameworks = Framework::ALL.iter().fold(
            all(
                Select::new("framework", "Framework"),
                self.framework.is_none(),
            ),
            |select, it| select.option(it, it.name(), self.framework == Some(*it)),
        );
        let parts = Select::new("parts", "Parts").words(Parts::ALL, self.parts);
        Form {
            selects: vec![targets, labels, severity, frameworks, parts],
        }
        .to_html()
    }
}

#[derive(askama::Template)]
#[template(path = "report_form.html")]
struct Form {
    selects: Vec<Select>,
}

impl Form {
    fn to_html(&self) -> String {
        askama::Template::render(self).expect("the template only writes into a string")
    }
}
