//! The figures of the fleet, each with its change since last week and the list that it counts.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::fleet::ratio;
use super::text::{UNKNOWN, grouped, href, percent};
use crate::domain::alert::{Phase, Severity};
use crate::store::{Headline, Range};
use crate::web::App;
use crate::web::directory::Label;

/// One figure.
pub struct Figure {
    /// Value.
    pub label: &'static str,
    /// The number.
    pub value: String,
    /// Class in the style sheet.
    pub class: &'static str,
    /// Change over time, or another note.
    pub notes: Vec<String>,
    /// The list.
    pub href: String,
}

/// A number of a target: now, and a week ago.
type Pair = (Headline, Option<Headline>);

/// The figures of the targets with these labels.
pub async fn figures(app: &App, labels: &[Label]) -> Vec<Figure> {
    let snapshots = app.board.snapshots();
    let chosen: Vec<_> = snapshots
        .iter()
        .filter(|it| Label::all_match(labels, &it.identity))
        .collect();
    let names: Vec<String> = chosen.iter().map(|it| it.identity.name.clone()).collect();
    let mut before = week_ago(app, names).await;
    let pairs: Vec<Pair> = chosen
        .iter()
        .map(|it| {
            let now = it.posture.as_deref().map(Headline::of).unwrap_or_default();
            (now, before.remove(&it.identity.name))
        })
        .collect();
    let link = |path: &[&str], filter: &[(&str, &str)]| {
        let labels = labels.iter().map(|label| ("label", label.as_str()));
        href(
            path,
            &filter.iter().copied().chain(labels).collect::<Vec<_>>(),
        )
    };
    let share = |label, href, part: Number, whole: Number| share(label, href, &pairs, part, whole);
    let count = |label, href, number: Number| count(label, href, &pairs, number);
    let unprotected = |user_type| {
        link(
            &["users"],
            &[("state", "unprotected"), ("user_type", user_type)],
        )
    };
    let mut all = states(&chosen, &pairs, &link);
    all.extend([
        share(
            "Internal users protected",
            unprotected("internal"),
            |it| it.internal_protected,
            |it| it.internal_eligible,
        ),
        share(
            "Portal users protected",
            unprotected("portal"),
            |it| it.portal_protected,
            |it| it.portal_eligible,
        ),
        count(
            "Administrators without MFA",
            link(
                &["users"],
                &[("state", "unprotected"), ("role", "administrators")],
            ),
            |it| it.administrators_without_mfa,
        ),
        count(
            "Active API keys of privileged users",
            link(&["keys"], &[("state", "of_privileged")]),
            |it| it.keys_of_privileged,
        ),
        count(
            "API keys of archived users",
            link(&["keys"], &[("state", "of_archived")]),
            |it| it.keys_of_archived,
        ),
    ]);
    // Alerts are not filtered by label.
    if labels.is_empty() {
        all.push(critical(app));
    }
    all
}

type Number = fn(&Headline) -> Option<u64>;

/// The last numbers of the day that ended a week ago.
async fn week_ago(app: &App, targets: Vec<String>) -> HashMap<String, Headline> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let Some(store) = &app.store else {
        return HashMap::new();
    };
    let to = Timestamp::now() - SignedDuration::from_hours(7 * 24);
    let range = Range {
        from: Some(to - SignedDuration::from_hours(24)),
        to: Some(to),
    };
    let rows = store.sampled(targets, range, DAY).await.unwrap_or_default();
    rows.into_iter()
        .filter_map(|(name, rows)| Some((name, rows.last()?.numbers)))
        .collect()
}

fn states(
    chosen: &[&std::sync::Arc<crate::domain::TargetSnapshot>],
    pairs: &[Pair],
    link: &impl Fn(&[&str], &[(&str, &str)]) -> String,
) -> Vec<Figure> {
    let up = chosen.iter().filter(|it| it.up() == Some(true)).count();
    let down = chosen.iter().filter(|it| it.up() == Some(false)).count();
    let pending = chosen.len() - up - down;
    let incomplete = chosen
        .iter()
        .filter(|it| super::fleet::is_incomplete(it))
        .count();
    let then = pairs.iter().filter(|(_, then)| then.is_some()).count();
    let figure = |label, number: usize, class, state| Figure {
        label,
        value: grouped(number as u64),
        class: if number == 0 { "" } else { class },
        notes: Vec::new(),
        href: link(&[], &[("state", state)]),
    };
    let mut all = vec![
        figure("Targets up", up, "", "up"),
        figure("Targets down", down, "bad", "down"),
        figure("Targets incomplete", incomplete, "warn", "incomplete"),
    ];
    if then > 0 {
        all[0]
            .notes
            .push(format!("{} were read a week ago", grouped(then as u64)));
    }
    if pending > 0 {
        all[0]
            .notes
            .push(format!("{} pending", grouped(pending as u64)));
    }
    all
}

/// A note on targets where a number is unknown.
fn partly(pairs: &[Pair], known: usize) -> Option<String> {
    (known < pairs.len()).then(|| {
        let (known, all) = (grouped(known as u64), grouped(pairs.len() as u64));
        format!("known on {known} of {all} targets")
    })
}

fn count(label: &'static str, href: String, pairs: &[Pair], number: Number) -> Figure {
    let known: Vec<u64> = pairs.iter().filter_map(|(now, _)| number(now)).collect();
    let sum: u64 = known.iter().sum();
    let both = |(now, then): &Pair| Some((number(now)?, number(then.as_ref()?)?));
    let both: Vec<(u64, u64)> = pairs.iter().filter_map(both).collect();
    let (now, then) = both.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let change = (!both.is_empty()).then(|| {
        let change = match now.cmp(&then) {
            std::cmp::Ordering::Less => format!("{} fewer than a week ago", grouped(then - now)),
            std::cmp::Ordering::Equal => "as many as a week ago".to_owned(),
            std::cmp::Ordering::Greater => format!("{} more than a week ago", grouped(now - then)),
        };
        on(change, both.len(), known.len())
    });
    Figure {
        label,
        value: if known.is_empty() {
            UNKNOWN.to_owned()
        } else {
            grouped(sum)
        },
        class: match sum {
            0 if known.len() == pairs.len() && !known.is_empty() => "good",
            0 => "",
            _ => "bad",
        },
        notes: change
            .into_iter()
            .chain(partly(pairs, known.len()))
            .collect(),
        href,
    }
}

fn share(label: &'static str, href: String, pairs: &[Pair], part: Number, whole: Number) -> Figure {
    let of = |it: &Headline| Some((part(it)?, whole(it)?));
    let sum = |all: &[(u64, u64)]| all.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let known: Vec<(u64, u64)> = pairs.iter().filter_map(|(now, _)| of(now)).collect();
    let (protected, eligible) = sum(&known);
    let both = |(now, then): &Pair| Some((of(now)?, of(then.as_ref()?)?));
    let (now, then): (Vec<_>, Vec<_>) = pairs.iter().filter_map(both).unzip();
    let points = |all: &[(u64, u64)]| {
        let (part, whole) = sum(all);
        ratio(Some(part), Some(whole)).map(|ratio| 100.0 * ratio)
    };
    let change = points(&now).zip(points(&then)).map(|(a, b)| {
        let change = match a - b {
            change if change.abs() < 0.05 => "as a week ago".to_owned(),
            change => format!("{change:+.1} points in a week").replace('-', "\u{2212}"),
        };
        on(change, now.len(), known.len())
    });
    let value = ratio(Some(protected), Some(eligible)).map_or(UNKNOWN.to_owned(), percent);
    let total = (eligible > 0).then(|| format!("{} of {}", grouped(protected), grouped(eligible)));
    Figure {
        label,
        value,
        class: "",
        notes: total
            .into_iter()
            .chain(change)
            .chain(partly(pairs, known.len()))
            .collect(),
        href,
    }
}

/// A change that is known on fewer targets than the number says on how many.
fn on(change: String, both: usize, known: usize) -> String {
    if both == known {
        change
    } else {
        format!("{change} on {} targets", grouped(both as u64))
    }
}

fn critical(app: &App) -> Figure {
    let week = Timestamp::now() - SignedDuration::from_hours(7 * 24);
    let alerts = app.alerts.all();
    let critical = alerts.iter().filter(|alert| {
        alert.phase == Phase::Firing
            && alert.labels.get("severity") == Some(Severity::Critical.as_str())
    });
    let (number, new) = critical.fold((0, 0), |(all, new), alert| {
        (all + 1, new + u64::from(alert.active_at > week))
    });
    Figure {
        label: "Critical alerts",
        value: grouped(number),
        class: if number == 0 { "good" } else { "bad" },
        notes: (number > 0)
            .then(|| format!("{} began within a week", grouped(new)))
            .into_iter()
            .collect(),
        href: href(
            &["alerts"],
            &[("severity", "critical"), ("state", "firing")],
        ),
    }
}
