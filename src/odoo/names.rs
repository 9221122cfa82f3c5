//! Names of people: asked for only when somebody wants to see them.

use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::error::Error;
use super::session::{Session, decode};
use super::transport::Transport;
use crate::domain::IdSet;

/// Somebody's name and login.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Person {
    /// `res.users` id.
    pub id: u32,
    /// What the person is called.
    pub name: String,
    /// What the person logs in with.
    pub login: String,
}

/// Asks who these people are, in the order of their ids, at most `limit` of them.
///
/// # Errors
/// When the server fails.
pub async fn names(
    transport: &Transport,
    session: &Session,
    people: &IdSet,
    limit: usize,
) -> Result<Vec<Person>, Error> {
    let ids: Vec<u32> = people.iter().take(limit).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let call = Call::new("res.users", "search_read")
        .arg("domain", json!([["id", "in", ids]]))
        .named("fields", vec!["name", "login"])
        .named("order", "id")
        .with_archived();
    decode(session.call(transport, call).await?, "names")
}
