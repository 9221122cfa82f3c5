//! Names behind the numbers: users and API keys, read from Odoo at each request, and not kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::query::OfTarget;
use crate::web::directory::{KeysPage, KeysQuery, PeoplePage, PeopleQuery, Refused};
use crate::web::{App, Problem};

pub(super) async fn people(
    State(app): State<Arc<App>>,
    OfTarget { target, query }: OfTarget<PeopleQuery>,
) -> Result<Json<PeoplePage>, Problem> {
    Ok(Json(app.directory.people(&target, &query).await?))
}

pub(super) async fn keys(
    State(app): State<Arc<App>>,
    OfTarget { target, query }: OfTarget<KeysQuery>,
) -> Result<Json<KeysPage>, Problem> {
    Ok(Json(app.directory.keys(&target, &query).await?))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.status(), format!("{refused}: {}", refused.hint()))
    }
}
