//! The fleet: every target in a row, worst first.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::asked::{Asked, to_save};
use super::chart::{Frame, Series, Unit, sparkline};
use super::figures::{Figure, figures};
use super::list::{self, Filters, ListQuery, PagedQuery, Part, repeated};
use super::parts::{Column, Pager};
use super::text::{UNKNOWN, count, grouped, href, number, percent, target_page};
use super::{Layout, file, html};
use crate::domain::grade::{Grade, Letter};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{TargetSnapshot, UserType};
use crate::scan::class_of;
use crate::store::render::csv_line;
use crate::store::{Headline, HistoryRow, Range};
use crate::web::App;
use crate::web::directory::{Direction, Label, Which, given, many};
use crate::web::paging::{PageNumber, PageRows, Slice};
use crate::web::reports::ReportSettings;

/// Range of the small lines, and distance of their points.
const DAYS: i64 = 30;
const STEP: Duration = Duration::from_secs(6 * 3600);

vocabulary! {
    /// Sort key of targets.
    Sort {
        /// The worst first.
        Worst = "worst",
        /// By name.
        Name = "name",
        /// By the coverage of internal users.
        Internal = "internal",
        /// By the coverage of portal users.
        Portal = "portal",
        /// By privileged users without a second factor.
        Privileged = "privileged",
        /// By active API keys.
        Keys = "keys",
    }
}

vocabulary! {
    /// Targets in which state.
    InState {
        /// The last poll succeeded.
        Up = "up",
        /// The last poll failed.
        Down = "down",
        /// No poll has ended yet.
        Pending = "pending",
        /// Up, and something cannot be seen completely that should be.
        Incomplete = "incomplete",
    }
}

/// Query of the page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetQuery {
    #[serde(deserialize_with = "given")]
    q: Option<String>,
    #[serde(deserialize_with = "many")]
    state: Vec<InState>,
    #[serde(deserialize_with = "many")]
    grade: Vec<Letter>,
    #[serde(deserialize_with = "many")]
    version: Vec<String>,
    #[serde(deserialize_with = "many")]
    label: Vec<Label>,
    #[serde(deserialize_with = "given")]
    sort: Option<Sort>,
    #[serde(deserialize_with = "given")]
    order: Option<Direction>,
    #[serde(deserialize_with = "given")]
    page: Option<PageNumber>,
    #[serde(deserialize_with = "given")]
    per_page: Option<PageRows>,
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct Page {
    layout: Layout,
    query: FleetQuery,
    filters: Filters,
    figures: Vec<Figure>,
    /// Number of matching targets by grade, and the list of them.
    grades: Vec<(String, u64, String)>,
    matching: usize,
    pager: Pager,
    rows: Vec<Row>,
    columns: Vec<Column>,
}

struct Row {
    name: String,
    labels: String,
    state: String,
    class: &'static str,
    version: String,
    grade: String,
    internal: Share,
    portal: Share,
    privileged: Option<u64>,
    keys: Option<u64>,
    alerts: usize,
    line: Option<String>,
}

impl Row {
    fn href(&self) -> String {
        target_page(&self.name)
    }

    fn users(&self, by: &str, word: &str) -> String {
        let query = [("state", "unprotected"), (by, word), ("target", &self.name)];
        href(&["users"], &query)
    }

    fn keys_link(&self) -> String {
        href(&["keys"], &[("target", &self.name)])
    }

    fn alerts_link(&self) -> String {
        href(&["alerts"], &[("q", &self.name)])
    }

    /// The class of its badge.
    fn grade_class(&self) -> String {
        let letter = self.grade.chars().next().filter(char::is_ascii_alphabetic);
        letter.map_or("none".into(), |letter| letter.to_lowercase().to_string())
    }
}

/// Protected users of a type.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    eligible: Option<u64>,
    protected: Option<u64>,
    wanted: Option<f64>,
}

/// Sort value of a row.
struct Ranked {
    snapshot: Arc<TargetSnapshot>,
    grade: Option<Grade>,
    internal: Share,
    portal: Share,
    privileged: Option<u64>,
    keys: Option<u64>,
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<FleetQuery>,
) -> Response {
    let ranked = query.ranked(&app);
    let slice = Slice::new(query.page, query.per_page);
    let shown = slice.of(&ranked).iter();
    let names = shown.clone().map(|it| it.snapshot.identity.name.clone());
    let lines = lines(&app, names).await;
    let alerts = firing(&app);
    let page = Page {
        layout: Layout::new(&app, &reader, &uri, "MFA overview", "Overview"),
        figures: figures(&app, &query.label).await,
        filters: query.form(&app),
        grades: query.grades(&ranked),
        matching: ranked.len(),
        pager: query.pager(&slice, &(ranked.len() as u64)),
        rows: shown.map(|target| row(target, &lines, &alerts)).collect(),
        columns: query.columns(),
        query,
    };
    html(&page)
}

/// The same list as a file.
pub async fn csv(State(app): State<Arc<App>>, uri: Uri) -> Response {
    const HEADER: [&str; 20] = [
        "target",
        "labels",
        "url",
        "database",
        "state",
        "reason",
        "last_success",
        "version",
        "grade",
        "internal_eligible",
        "internal_protected",
        "portal_eligible",
        "portal_protected",
        "privileged",
        "privileged_without_mfa",
        "administrators_without_mfa",
        "api_keys",
        "keys_of_privileged",
        "keys_of_archived",
        "firing_alerts",
    ];
    let query = match to_save::<FleetQuery>(&uri) {
        Ok(query) => query,
        Err(response) => return response,
    };
    let alerts = firing(&app);
    let text = |it: Option<u64>| it.map(|it| it.to_string()).unwrap_or_default();
    let line = |ranked: &Ranked| {
        let snapshot = &ranked.snapshot;
        let row = row(ranked, &HashMap::new(), &alerts);
        let numbers = ranked.numbers();
        csv_line([
            row.name.clone(),
            row.labels,
            snapshot.identity.url.clone(),
            snapshot.identity.database.clone(),
            row.state,
            snapshot
                .failing()
                .map(|it| it.to_string())
                .unwrap_or_default(),
            snapshot
                .health
                .last_success
                .map(|at| at.to_string())
                .unwrap_or_default(),
            row.version,
            ranked.grade.as_ref().map(|_| row.grade).unwrap_or_default(),
            text(numbers.internal_eligible),
            text(numbers.internal_protected),
            text(numbers.portal_eligible),
            text(numbers.portal_protected),
            text(numbers.privileged),
            text(numbers.privileged_without_mfa),
            text(numbers.administrators_without_mfa),
            text(numbers.api_keys),
            text(numbers.keys_of_privileged),
            text(numbers.keys_of_archived),
            row.alerts.to_string(),
        ])
    };
    let rows: String = query.ranked(&app).iter().map(line).collect();
    let rows = csv_line(HEADER) + &rows;
    file(&query.file_name(), stream::iter([Ok(rows.into())]))
}

impl ListQuery for FleetQuery {
    const PATH: &'static str = "";
    const FILE: &'static str = "targets";
    const LABEL: &'static str = "Targets";

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = repeated("state", &self.state, InState::as_str);
        all.extend(repeated("grade", &self.grade, Letter::as_str));
        all.extend(self.version.iter().map(|it| ("version", it.clone())));
        let labels = self.label.iter().map(Label::as_str);
        all.extend(labels.map(|it| ("label", it.to_owned())));
        all.extend([
            ("q", list::given(self.q.as_ref())),
            ("sort", list::given(self.sort.map(Sort::as_str))),
            ("order", list::given(self.order.map(Direction::as_str))),
            ("page", list::given(self.page)),
            ("per_page", list::given(self.per_page)),
        ]);
        all
    }

    fn which(&self) -> Which<'_> {
        Which {
            targets: &[],
            labels: &self.label,
        }
    }
}

impl PagedQuery for FleetQuery {
    type Sort = Sort;

    fn part(&mut self) -> Part<'_, Sort> {
        Part {
            sort: &mut self.sort,
            order: &mut self.order,
            page: &mut self.page,
            per_page: &mut self.per_page,
        }
    }

    fn sorted(&self, _: usize) -> (Sort, Direction) {
        (self.by(), self.direction())
    }
}

impl FleetQuery {
    /// The matching targets in their order.
    fn ranked(&self, app: &App) -> Vec<Ranked> {
        let reports = app.reports.current();
        let snapshots = app.board.snapshots();
        let matching = snapshots.iter().filter(|it| self.matches(it));
        let mut ranked: Vec<Ranked> = matching.map(|it| Ranked::of(it, &reports)).collect();
        if !self.grade.is_empty() {
            ranked.retain(|it| {
                let letter = it.grade.as_ref().map(|grade| grade.letter);
                letter.is_some_and(|letter| self.grade.contains(&letter))
            });
        }
        self.sort(&mut ranked);
        ranked
    }

    fn matches(&self, target: &TargetSnapshot) -> bool {
        let text = self.q.as_ref().map(|text| text.to_lowercase());
        let holds = |text: &str| {
            let identity = &target.identity;
            let labels = identity.labels.iter().map(|(_, value)| value);
            let mut texts = labels.chain([&identity.name, &identity.database, &identity.url]);
            texts.any(|it| it.to_lowercase().contains(text))
        };
        let state = |state: &InState| match state {
            InState::Up => target.up() == Some(true),
            InState::Down => target.up() == Some(false),
            InState::Pending => target.up().is_none(),
            InState::Incomplete => is_incomplete(target),
        };
        let version = |version: &String| version_of(target) == Some(version.as_str());
        text.is_none_or(|text| holds(&text))
            && (self.state.is_empty() || self.state.iter().any(state))
            && (self.version.is_empty() || self.version.iter().any(version))
            && Label::all_match(&self.label, &target.identity)
    }

    fn form(&self, app: &App) -> Filters {
        let snapshots = app.board.snapshots();
        let versions: BTreeSet<&str> = snapshots.iter().filter_map(|it| version_of(it)).collect();
        let versions = versions.into_iter().map(|it| {
            let chosen = self.version.iter().any(|version| version == it);
            (it.to_owned(), format!("Odoo {it}"), chosen)
        });
        let states = list::words(InState::ALL, &self.state);
        let grades = list::words(Letter::ALL, &self.grade);
        let mut filters = Filters::of(app, self)
            .search("Name, label, database or address", self.q.as_ref())
            .group("state", "State", states)
            .group("grade", "Grade", grades)
            .group("version", "Version", versions)
            .sorts(Sort::ALL, self.by(), self.order);
        filters.groups.retain(|group| group.name != "target");
        filters.target_field = false;
        filters
    }

    /// Number of targets by grade.
    fn grades(&self, ranked: &[Ranked]) -> Vec<(String, u64, String)> {
        let count = |letter: Option<Letter>| {
            let of = |it: &&Ranked| it.grade.as_ref().map(|grade| grade.letter) == letter;
            ranked.iter().filter(of).count() as u64
        };
        let mut grades: Vec<_> = Letter::ALL
            .iter()
            .map(|letter| {
                let list = Self {
                    grade: vec![*letter],
                    page: None,
                    ..self.clone()
                };
                (letter.to_string(), count(Some(*letter)), list.href())
            })
            .collect();
        let unknown = count(None);
        if unknown > 0 {
            grades.push(("unknown".to_owned(), unknown, String::new()));
        }
        grades
    }

    fn by(&self) -> Sort {
        self.sort.unwrap_or(Sort::Worst)
    }

    fn direction(&self) -> Direction {
        self.order.unwrap_or(first_direction(self.by()))
    }

    /// Unknown values come last, in either direction.
    fn sort(&self, targets: &mut [Ranked]) {
        let descending = self.direction() == Direction::Desc;
        let ordered = |order: Ordering| if descending { order.reverse() } else { order };
        let known_first = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => ordered(a.total_cmp(&b)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        let count = |number: Option<u64>| number.map(|number| number as f64);
        targets.sort_by(|a, b| {
            let by_name = || a.snapshot.identity.name.cmp(&b.snapshot.identity.name);
            match self.by() {
                Sort::Worst => ordered(a.badness().total_cmp_with(&b.badness())),
                Sort::Name => ordered(by_name()),
                Sort::Internal => known_first(a.internal.ratio(), b.internal.ratio()),
                Sort::Portal => known_first(a.portal.ratio(), b.portal.ratio()),
                Sort::Privileged => known_first(count(a.privileged), count(b.privileged)),
                Sort::Keys => known_first(count(a.keys), count(b.keys)),
            }
            .then_with(by_name)
        });
    }

    fn columns(&self) -> Vec<Column> {
        let sorts = |title, class, by: Sort| self.column(0, title, class, by);
        vec![
            sorts("Target", "", Sort::Name),
            Column::plain("State", ""),
            sorts("Grade", "", Sort::Worst),
            sorts("Internal users protected", "", Sort::Internal),
            Column::plain("Last 30 days, 0 to 100%", ""),
            sorts("Portal users protected", "", Sort::Portal),
            sorts("Privileged without MFA", "n", Sort::Privileged),
            sorts("API keys", "n", Sort::Keys),
            Column::plain("Alerts", "n"),
        ]
    }
}

pub(super) fn is_incomplete(target: &TargetSnapshot) -> bool {
    target.up() == Some(true) && target.missing_capabilities().next().is_some()
}

fn version_of(target: &TargetSnapshot) -> Option<&str> {
    target.server.as_ref().map(|server| server.version.as_str())
}

/// The direction that is looked at first.
fn first_direction(by: Sort) -> Direction {
    match by {
        Sort::Name | Sort::Internal | Sort::Portal => Direction::Asc,
        Sort::Worst | Sort::Privileged | Sort::Keys => Direction::Desc,
    }
}

impl Ranked {
    fn of(snapshot: &Arc<TargetSnapshot>, reports: &ReportSettings) -> Self {
        let posture = snapshot.posture.as_ref();
        let share = |user_type| Share {
            eligible: posture.map(|it| it.eligible[user_type]),
            protected: posture.and_then(|it| it.protected).map(|it| it[user_type]),
            wanted: snapshot.identity.coverage_target[user_type],
        };
        let privileged = posture.and_then(|it| it.privileged.as_ref()?.unprotected);
        let keys = posture.and_then(|it| it.keys.as_ref());
        Self {
            grade: snapshot
                .case()
                .map(|case| reports.grade(&snapshot.identity.name, &case)),
            internal: share(UserType::Internal),
            portal: share(UserType::Portal),
            privileged,
            keys: keys.map(|keys| keys.unrestricted + keys.rpc + keys.other),
            snapshot: Arc::clone(snapshot),
        }
    }

    /// The numbers that history keeps; all unknown while the target is not up.
    fn numbers(&self) -> Headline {
        let posture = self.snapshot.posture.as_deref();
        posture.map(Headline::of).unwrap_or_default()
    }

    /// Rank of a target: unknown figures are worst, then the grade, then privileged users without a second factor, then coverage.
    fn badness(&self) -> Badness {
        let is_unknown = self.snapshot.up() != Some(true);
        let grade = self.grade.as_ref().map_or(0, |grade| grade.letter as u8);
        let privileged = self.privileged.unwrap_or(0);
        Badness(
            is_unknown,
            grade,
            privileged,
            1.0 - self.internal.ratio().unwrap_or(1.0),
        )
    }
}

struct Badness(bool, u8, u64, f64);

impl Badness {
    fn total_cmp_with(&self, other: &Self) -> Ordering {
        (self.0, self.1, self.2)
            .cmp(&(other.0, other.1, other.2))
            .then(self.3.total_cmp(&other.3))
    }
}

impl Share {
    fn ratio(&self) -> Option<f64> {
        let eligible = self.eligible.filter(|eligible| *eligible > 0)?;
        Some(self.protected? as f64 / eligible as f64)
    }

    fn text(&self) -> String {
        match (self.eligible, self.protected, self.ratio()) {
            (Some(0), ..) => "no users".to_owned(),
            (Some(eligible), Some(protected), Some(ratio)) => format!(
                "{} ({} of {})",
                percent(ratio),
                grouped(protected),
                grouped(eligible)
            ),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn class(&self) -> &'static str {
        class_of(self.ratio(), self.wanted)
    }

    fn bar(&self) -> Option<String> {
        let length = self.ratio()? * 100.0;
        let class = self.class();
        Some(format!(
            r#"<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="{class}" width="{length:.1}" height="10"/></svg>"#
        ))
    }
}

fn row(target: &Ranked, lines: &HashMap<String, String>, alerts: &HashMap<String, usize>) -> Row {
    let snapshot = &target.snapshot;
    let identity = &snapshot.identity;
    let label = |(name, value): &(String, String)| format!("{name}: {value}");
    let labels: Vec<String> = identity.labels.iter().map(label).collect();
    let incomplete = snapshot.missing_capabilities().next().is_some();
    let (state, class) = match (snapshot.up(), snapshot.failing()) {
        (Some(true), _) if incomplete => ("up, incomplete".to_owned(), "warn"),
        (Some(true), _) => ("up".to_owned(), "ok"),
        (_, Some(reason)) => (format!("down: {reason}"), "bad"),
        _ => ("pending".to_owned(), "dim"),
    };
    Row {
        labels: labels.join(", "),
        state,
        class,
        version: snapshot
            .server
            .as_ref()
            .map(|server| server.version.clone())
            .unwrap_or_default(),
        grade: match &target.grade {
            Some(grade) if grade.is_incomplete() => format!("{}?", grade.letter),
            Some(grade) => grade.letter.to_string(),
            None => UNKNOWN.to_owned(),
        },
        internal: target.internal,
        portal: target.portal,
        privileged: target.privileged,
        keys: target.keys,
        alerts: alerts.get(&identity.name).copied().unwrap_or(0),
        line: lines.get(&identity.name).cloned(),
        name: identity.name.clone(),
    }
}

/// History of internal coverage; empty if the store does not answer.
async fn lines(app: &App, targets: impl Iterator<Item = String>) -> HashMap<String, String> {
    let Some(store) = &app.store else {
        return HashMap::new();
    };
    let to = Timestamp::now();
    let frame = Frame {
        from: to - SignedDuration::from_hours(24 * DAYS),
        to,
        // A day's last row is all that is left where the store keeps less.
        gap: SignedDuration::from_hours(36),
        unit: Unit::Share,
    };
    let range = Range {
        from: Some(frame.from),
        to: None,
    };
    let Ok(rows) = store.sampled(targets.collect(), range, STEP).await else {
        return HashMap::new();
    };
    let line = |(name, rows): (String, Vec<HistoryRow>)| {
        let line = Series {
            label: "Internal users protected",
            class: "a",
            points: rows
                .iter()
                .map(|row| {
                    (
                        row.at,
                        ratio(
                            row.numbers.internal_protected,
                            row.numbers.internal_eligible,
                        ),
                    )
                })
                .collect(),
        };
        Some((name, sparkline(frame, &line)?))
    };
    rows.into_iter().filter_map(line).collect()
}

/// A share of one number in another.
pub(super) fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0)?;
    Some(part? as f64 / whole as f64)
}

/// Alerts that fire, by target.
fn firing(app: &App) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for alert in app.alerts.all().iter() {
        if alert.phase == crate::domain::alert::Phase::Firing
            && let Some(target) = alert.labels.get("target")
        {
            *counts.entry(target.to_owned()).or_default() += 1;
        }
    }
    counts
}
