//! One target: a summary, what was found and what to do, the history, what cannot be seen and what to grant, and how polls go.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::alerts::AlertRow;
use super::asked::OfTarget;
use super::chart::{Frame, Series, Unit, chart, sparkline};
use super::figures::Figure;
use super::fleet::ratio;
use super::text::{UNKNOWN, href, percent, seconds, spaced};
use super::{Layout, html};
use crate::domain::finding::{Case, Kind, Severity, findings};
use crate::domain::health::Failure;
use crate::domain::roster::{Filter, State as In};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{IdSet, TargetSnapshot, UserType};
use crate::scan::{Finding, Scan, Show, Terms, class_of, scan};
use crate::store::{Headline, HistoryRow, Range, RoleNumbers};
use crate::web::App;
use crate::web::access::Role;
use crate::web::directory::given;

/// Points of a chart, which is as wide as it has pixels for.
const POINTS: i32 = 240;

vocabulary! {
    /// Ranges of the charts.
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

/// Query of the page.
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
    /// One for each kind.
    findings: Vec<Group>,
    roles: Vec<RoleTrend>,
}

/// All findings of a kind.
struct Group {
    severity: Severity,
    title: String,
    /// The list of the affected users, with their number.
    users: Option<(u64, Option<String>)>,
    findings: Vec<Finding>,
    what_to_do: Vec<String>,
}

/// Number of unprotected users of a role: now, and before.
struct RoleTrend {
    role: String,
    now: Option<u64>,
    month_ago: Option<u64>,
    quarter_ago: Option<u64>,
    line: Option<String>,
}

/// History of the numbers.
enum History {
    /// Without a store, or while it fails: why.
    Unknown(&'static str),
    /// Nothing was recorded within the range.
    Empty,
    /// Charts and the numbers in them.
    Charts(Vec<Chart>, Vec<HistoryRow>),
}

/// A chart and its legend.
struct Chart {
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
    let names = reader.may(Role::ReadNames);
    let mut groups = Vec::new();
    let found = snapshot.case().map(|case| {
        let reports = app.reports.current();
        let terms = Terms::new(&name, &reports.accept_findings);
        let mut scan = scan(&case, &BTreeMap::new(), &terms);
        // The lists of users have a page of their own.
        if let Some(privileged) = &mut scan.privileged {
            privileged.who.clear();
        }
        if !names {
            scan.remove_names();
        }
        let found = std::mem::take(&mut scan.findings);
        groups = grouped_findings(&snapshot, &case, found, names);
        scan
    });
    let range = query.range.unwrap_or(Back::Month);
    let (alerts, pending): (Vec<_>, Vec<_>) = AlertRow::all(&app)
        .into_iter()
        .filter(|alert| alert.target.as_deref() == Some(name.as_str()))
        .partition(|alert| alert.firing);
    let page = Page {
        layout: Layout::of(&app, &reader, &uri, &name, "Summary"),
        history: history(&app, &name, range).await,
        roles: role_trends(&app, &name).await,
        findings: groups,
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
    fn is_whole(&self) -> bool {
        false
    }

    fn linked(&self, number: &Option<u64>, state: &str, by: &str, word: &str) -> String {
        let text = self.number(number);
        if number.is_none() {
            return text;
        }
        let query = [("state", state), (by, word), ("target", self.name())];
        let href = href(&["users"], &query).replace('&', "&amp;");
        format!("<a href=\"{href}\">{text}</a>")
    }
}

impl Page {
    /// Protected users of a type.
    fn share_of(
        &self,
        scan: &Scan,
        label: &'static str,
        user_type: UserType,
        href: String,
    ) -> Option<Figure> {
        let mut rows = scan.coverage.iter();
        let row = rows.find(|row| row.user_type == user_type)?;
        let (protected, eligible) = (self.number(&row.protected), self.count_of(&row.eligible));
        let of = format!("{protected} of {eligible}");
        let target = row.target.map(percent);
        let target = target.map(|target| format!("{target} is the coverage target"));
        Some(Figure {
            label,
            value: row.ratio.map_or(UNKNOWN.to_owned(), percent),
            class: match class_of(row.ratio, row.target) {
                "low" => "bad",
                "full" => "good",
                _ => "",
            },
            notes: std::iter::once(of).chain(target).collect(),
            href,
        })
    }

    /// The figures at the top, each with its list.
    fn summary(&self, scan: &Scan) -> Vec<Figure> {
        let link = |filter: &[(&str, &str)]| {
            let target = [("target", self.name())];
            href(&["users"], &[filter, &target].concat())
        };
        let numbers = self
            .snapshot
            .posture
            .as_deref()
            .map(Headline::of)
            .unwrap_or_default();
        let number = |label, value: Option<u64>, href| Figure {
            label,
            value: self.number(&value),
            class: match value {
                Some(0) => "good",
                Some(_) => "bad",
                None => "",
            },
            notes: Vec::new(),
            href,
        };
        let admins = [("state", "unprotected"), ("role", "administrators")];
        let missing = scan.missing.iter().filter(|it| !it.accepted).count() as u64;
        let shares = [
            ("Internal users protected", UserType::Internal),
            ("Portal users protected", UserType::Portal),
        ];
        let share = |(label, user_type): (&'static str, UserType)| {
            let unprotected = [("state", "unprotected"), ("user_type", user_type.as_str())];
            self.share_of(scan, label, user_type, link(&unprotected))
        };
        let mut figures: Vec<Figure> = shares.into_iter().filter_map(share).collect();
        figures.push(number(
            "Administrators without MFA",
            numbers.administrators_without_mfa,
            link(&admins),
        ));
        figures.push(number(
            "Privileged users without MFA",
            numbers.privileged_without_mfa,
            link(&[("state", "unprotected"), ("role", "any")]),
        ));
        figures.push(number(
            "Not visible to the polling account",
            Some(missing),
            format!("{}#seen", self.layout.own),
        ));
        figures
    }
}

/// The findings of a target, one group for each kind, with the affected users.
fn grouped_findings(
    snapshot: &TargetSnapshot,
    case: &Case,
    found: Vec<Finding>,
    names: bool,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last = None;
    let all = findings(case);
    for finding in found {
        let key = (finding.severity, finding.kind);
        if last == Some(key)
            && let Some(group) = groups.last_mut()
        {
            if !group.what_to_do.contains(&finding.what_to_do) {
                group.what_to_do.push(finding.what_to_do.clone());
            }
            group.findings.push(finding);
            continue;
        }
        last = Some(key);
        // The number is as long as the list that it leads to.
        let (users, query) = match list_of(finding.kind) {
            Some(state) => (counted(snapshot, state), ("state", state.as_str())),
            None => {
                let of_kind = all.iter().filter(|it| it.kind == finding.kind);
                let users = of_kind.fold(IdSet::new(), |users, it| users | &it.people);
                (users.len(), ("finding", finding.kind.as_str()))
            }
        };
        let query = [query, ("target", snapshot.identity.name.as_str())];
        groups.push(Group {
            severity: finding.severity,
            title: finding.title.clone(),
            users: (users > 0).then(|| (users, names.then(|| href(&["users"], &query)))),
            what_to_do: vec![finding.what_to_do.clone()],
            findings: vec![finding],
        });
    }
    for group in &mut groups {
        if let [first, _, ..] = group.findings.as_slice() {
            group.title = format!(
                "{} ({})",
                sentence(first.kind.as_str()),
                group.findings.len()
            );
        }
    }
    groups
}

/// Number of users in a state.
fn counted(snapshot: &TargetSnapshot, state: In) -> u64 {
    let filter = Filter {
        states: &[state],
        types: &[],
        roles: Vec::new(),
        reason: None,
    };
    let roster = snapshot.roster.as_ref();
    let count = roster.and_then(|roster| Some(roster.count(&roster.people(&filter).ok()?)));
    count.unwrap_or_default()
}

/// A word of a closed set as a heading.
fn sentence(word: &str) -> String {
    let words = word.split('_').map(|word| match word {
        "mfa" | "rpc" | "totp" | "sso" | "api" => word.to_uppercase(),
        word => word.to_owned(),
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// History of roles over 90 days; empty if the store does not answer.
async fn role_trends(app: &App, target: &str) -> Vec<RoleTrend> {
    let Some(store) = &app.store else {
        return Vec::new();
    };
    let to = Timestamp::now();
    let ago = |days: i64| to - SignedDuration::from_hours(24 * days);
    let range = Range {
        from: Some(ago(90)),
        to: None,
    };
    let days = store.roles(target, range).await.unwrap_or_default();
    let Some((_, latest)) = days.last() else {
        return Vec::new();
    };
    let frame = Frame {
        from: ago(90),
        to,
        gap: SignedDuration::from_hours(48),
        unit: Unit::Count,
    };
    let trend = |now: &RoleNumbers| {
        let of = |roles: &[RoleNumbers]| {
            let role = roles.iter().find(|role| role.role == now.role)?;
            role.unprotected
        };
        let points: Vec<_> = days.iter().map(|(at, roles)| (*at, of(roles))).collect();
        let on = |day: Timestamp| {
            let near = |at: Timestamp| {
                at <= day && day.duration_since(at) < SignedDuration::from_hours(48)
            };
            points.iter().rev().find(|(at, _)| near(*at))?.1
        };
        let line = Series {
            label: "Unprotected users",
            class: "c",
            points: points
                .iter()
                .map(|(at, it)| (*at, it.map(|it| it as f64)))
                .collect(),
        };
        RoleTrend {
            role: now.role.clone(),
            now: now.unprotected,
            month_ago: on(ago(30)),
            quarter_ago: on(ago(89)),
            line: sparkline(frame, &line),
        }
    };
    latest.iter().map(trend).collect()
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
        return History::Unknown("the exporter runs without a store");
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
        return History::Unknown("the store is temporarily unavailable; see the log");
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
fn figures(rows: &[HistoryRow], frame: impl Fn(Unit) -> Frame) -> Vec<Chart> {
    let line = |label, class, value: &dyn Fn(&HistoryRow) -> Option<f64>| Series {
        label,
        class,
        points: rows.iter().map(|row| (row.at, value(row))).collect(),
    };
    let count = |number: Option<u64>| number.map(|number| number as f64);
    let coverage = [
        line("Internal users", "a", &|row| {
            ratio(
                row.numbers.internal_protected,
                row.numbers.internal_eligible,
            )
        }),
        line("Portal users", "b", &|row| {
            ratio(row.numbers.portal_protected, row.numbers.portal_eligible)
        }),
    ];
    let privileged = [
        line("In any role", "c", &|row| {
            count(row.numbers.privileged_without_mfa)
        }),
        line("Administrators", "a", &|row| {
            count(row.numbers.administrators_without_mfa)
        }),
    ];
    let keys = [line("Active API keys", "b", &|row| {
        count(row.numbers.api_keys)
    })];
    let figure = |title, unit, series: &[Series]| {
        Some(Chart {
            title,
            svg: chart(title, frame(unit), series)?,
            legend: series.iter().map(|line| (line.label, line.class)).collect(),
        })
    };
    [
        figure("Users protected, in percent", Unit::Share, &coverage),
        figure(
            "Privileged users without a second factor",
            Unit::Count,
            &privileged,
        ),
        figure("Active API keys", Unit::Count, &keys),
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
