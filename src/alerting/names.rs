//! Names of the affected users of an alert: the only annotation that contains names.

use futures::future::BoxFuture;

use crate::domain::IdSet;

/// The annotation's name. It goes to receivers, and nowhere else.
pub const PEOPLE: &str = "people";

/// At most so many are named.
pub(super) const NAMED: usize = 20;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Someone {
    /// The name of the user.
    pub name: String,
    /// The login of the user.
    pub login: String,
    /// The user's form in Odoo.
    pub url: String,
}

/// Odoo could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names are unavailable")]
pub struct NamesUnavailable;

/// Asks Odoo for names.
pub trait Names: Send + Sync + std::fmt::Debug {
    /// Returns the names of these users of a target, at most `limit` of them, in the order of their ids.
    fn names(
        &self,
        target: String,
        people: IdSet,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Someone>, NamesUnavailable>>;
}

/// The annotation's text: one line for each user.
pub(super) fn text(people: &IdSet, named: Result<Vec<Someone>, NamesUnavailable>) -> String {
    let Ok(named) = named else {
        return NamesUnavailable.to_string();
    };
    let mut lines: Vec<String> = named
        .iter()
        .map(|it| format!("{} ({}) {}", it.name, it.login, it.url))
        .collect();
    let rest = people.len().saturating_sub(named.len() as u64);
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    }
    lines.join("\n")
}
