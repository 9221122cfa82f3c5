//! Formatting of numbers, times and links.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

pub use crate::domain::finding::grouped;
pub use crate::scan::percent;

/// Placeholder for unknown values.
pub const UNKNOWN: &str = "–";

/// A number, or a dash.
pub fn number(number: &Option<u64>) -> String {
    number.map_or(UNKNOWN.to_owned(), grouped)
}

/// A number.
pub fn count(number: &u64) -> String {
    grouped(*number)
}

/// A time in UTC, to the minute.
pub fn when(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A day, or nothing.
pub fn day(at: &Option<Timestamp>) -> String {
    at.map(|at| at.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

/// A duration, to the millisecond.
pub fn seconds(duration: &Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// A word of a closed set, for users.
pub fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

/// The page of a target.
pub fn target_page(name: &str) -> String {
    href(&["targets", name], &[])
}

/// A path below the exporter's root, with a query, relative to that root: a reverse proxy may serve it below another path. Any
/// text in a part stays in that part.
pub fn href(path: &[&str], query: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x/").expect("a URL");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(path);
    }
    let query: Vec<_> = query
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if !query.is_empty() {
        url.query_pairs_mut()
            .extend_pairs(query.iter().map(|(name, value)| (name, value)));
    }
    match url.query() {
        Some(query) => format!(".{}?{query}", url.path()),
        None => format!(".{}", url.path()),
    }
}
