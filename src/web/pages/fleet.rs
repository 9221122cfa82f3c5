//! The fleet: every target in a row, worst first.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::asked::Asked;
use super::chart::{Frame, Series, Unit, sparkline};
use super::parts::{Column, Pager, Select};
use super::text::{UNKNOWN, count, grouped, href, number, percent};
use super::{Layout, html};
use crate::domain::grade::Grade;
use crate::domain::vocabulary::vocabulary;
use crate::domain::{TargetSnapshot, UserType};
use crate::exposition::catalogue::TargetStates;
use crate::scan::class_of;
use crate::store::{HistoryRow, Range};
use crate::web::App;
use crate::web::directory::{Direction, given};
use crate::web::paging::{PageNumber, Slice};
use crate::web::reports::ReportSettings;

/// How far back the small lines go, and how far apart their points are.
const DAYS: i64 = 30;
const STEP: Duration = Duration::from_secs(6 * 3600);

vocabulary! {
    /// What targets are sorted by.
    Sort {
        /// The worst first.
        Worst = "worst",
        /// By name.
        Name = "name",
        /// By the coverage of internal people.
        Internal = "internal",
        /// By the coverage of portal people.
        Portal = "portal",
        /// By privileged people without a second factor.
        Privileged = "privileged",
        /// By working API keys.
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

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetQuery {
    #[serde(deserialize_with = "given")]
    q: Option<String>,
    #[serde(deserialize_with = "given")]
    state: Option<InState>,
    #[serde(deserialize_with = "given")]
    sort: Option<Sort>,
    #[serde(deserialize_with = "given")]
    order: Option<Direction>,
    #[serde(deserialize_with = "given")]
    page: Option<PageNumber>,
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct Page {
    layout: Layout,
    query: FleetQuery,
    states: TargetStates,
    matching: usize,
    pager: Pager,
    /// People counted and protected on how many targets.
    totals: Totals,
    rows: Vec<Row>,
    columns: Vec<Column>,
}

#[derive(Default)]
struct Totals {
    targets: u64,
    eligible: u64,
    protected: u64,
}

struct Row {
    name: String,
    href: String,
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

/// How many of a type are protected.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    eligible: Option<u64>,
    protected: Option<u64>,
    wanted: Option<f64>,
}

/// What a row is sorted by.
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
    let reports = app.reports.current();
    let mut ranked: Vec<Ranked> = app
        .board
        .snapshots()
        .iter()
        .filter(|snapshot| query.matches(snapshot))
        .map(|snapshot| Ranked::of(snapshot, &reports))
        .collect();
    let mut totals = Totals::default();
    for target in &ranked {
        for share in [target.internal, target.portal] {
            if let (Some(eligible), Some(protected)) = (share.eligible, share.protected) {
                totals.eligible += eligible;
                totals.protected += protected;
            }
        }
        totals.targets += u64::from(target.internal.protected.is_some());
    }
    query.sort(&mut ranked);
    let slice = Slice::new(query.page, None);
    let shown = slice.of(&ranked).iter();
    let names = shown.clone().map(|it| it.snapshot.identity.name.clone());
    let lines = lines(&app, names).await;
    let alerts = firing(&app);
    let page = Page {
        layout: Layout::new(&app, &reader, &uri, "Fleet", "Fleet"),
        states: app.board.states(),
        matching: ranked.len(),
        pager: Pager::new("targets", slice, ranked.len() as u64, |page| {
            query.with("page", &page.to_string())
        }),
        totals,
        rows: shown.map(|target| row(target, &lines, &alerts)).collect(),
        columns: query.columns(),
        query,
    };
    html(&page)
}

impl FleetQuery {
    fn matches(&self, target: &TargetSnapshot) -> bool {
        let text = self.q.as_ref().map(|text| text.to_lowercase());
        let holds = |text: &str| {
            let identity = &target.identity;
            let labels = identity.labels.iter().map(|(_, value)| value);
            let mut texts = labels.chain([&identity.name, &identity.database, &identity.url]);
            texts.any(|it| it.to_lowercase().contains(text))
        };
        let state = || match self.state {
            None => true,
            Some(InState::Up) => target.up() == Some(true),
            Some(InState::Down) => target.up() == Some(false),
            Some(InState::Pending) => target.up().is_none(),
            Some(InState::Incomplete) => {
                target.up() == Some(true) && target.missing_capabilities().next().is_some()
            }
        };
        text.is_none_or(|text| holds(&text)) && state()
    }

    fn by(&self) -> Sort {
        self.sort.unwrap_or(Sort::Worst)
    }

    fn direction(&self) -> Direction {
        self.order.unwrap_or(first_direction(self.by()))
    }

    /// What is not known comes last, in either direction.
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

    /// The same list, but for one parameter.
    fn with(&self, parameter: &str, value: &str) -> String {
        let page = self.page.map(|page| page.to_string()).unwrap_or_default();
        let mut query = vec![
            ("q", self.q.as_deref().unwrap_or_default()),
            ("state", self.state.map_or("", InState::as_str)),
            ("sort", self.sort.map_or("", Sort::as_str)),
            ("order", self.order.map_or("", Direction::as_str)),
            ("page", page.as_str()),
        ];
        for (name, old) in &mut query {
            if *name == parameter {
                *old = value;
            } else if *name == "page" || (parameter == "sort" && *name == "order") {
                *old = "";
            }
        }
        href(&[], &query)
    }

    fn columns(&self) -> Vec<Column> {
        let sorts = |title, class, by: Sort| {
            let now = (self.by() == by).then(|| self.direction());
            let turned = match now {
                Some(Direction::Asc) => "&order=desc",
                Some(Direction::Desc) => "&order=asc",
                None => "",
            };
            let href = self.with("sort", by.as_str()) + turned;
            Column::sorts(title, class, now, href)
        };
        vec![
            sorts("Target", "", Sort::Name),
            Column::plain("State", ""),
            sorts("Grade", "", Sort::Worst),
            sorts("Internal people protected", "", Sort::Internal),
            Column::plain("Last 30 days, 0 to 100%", ""),
            sorts("Portal people protected", "", Sort::Portal),
            sorts("Privileged without", "n", Sort::Privileged),
            sorts("API keys", "n", Sort::Keys),
            Column::plain("Alerts", "n"),
        ]
    }
}

impl Page {
    fn states(&self) -> Select {
        Select::new("state", "State")
            .option("", "any", self.query.state.is_none())
            .words(InState::ALL, self.query.state)
    }

    fn sorts(&self) -> Select {
        Select::new("sort", "Sort by").words(Sort::ALL, Some(self.query.by()))
    }
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

    /// How bad it is: what is blind is worst, then the grade, then privileged people without a second factor, then coverage.
    fn badness(&self) -> Badness {
        let blind = self.snapshot.up() != Some(true);
        let grade = self.grade.as_ref().map_or(0, |grade| grade.letter as u8);
        let privileged = self.privileged.unwrap_or(0);
        Badness(
            blind,
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
            (Some(0), ..) => "nobody".to_owned(),
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
        href: href(&["targets", &identity.name], &[]),
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

/// How internal coverage went; nothing where the store cannot say.
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
            label: "Internal people protected",
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
