//! Users and API keys by name, read from Odoo on request.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::query::Parameters;
use crate::web::directory::{KeysPage, KeysQuery, Refused, UsersPage, UsersQuery};
use crate::web::{App, Problem};

pub(super) async fn users(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<UsersQuery>,
) -> Result<Json<UsersPage>, Problem> {
    Ok(Json(app.directory.users(&query).await?))
}

pub(super) async fn keys(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<KeysQuery>,
) -> Result<Json<KeysPage>, Problem> {
    Ok(Json(app.directory.keys(&query).await?))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.status(), format!("{refused}: {}", refused.hint()))
    }
}
