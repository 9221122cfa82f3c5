//! Who is behind the numbers: people and API keys, asked of Odoo at each request, and kept nowhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::query::OfTarget;
use crate::domain::roster::Unlisted;
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
        let status = match &refused {
            Refused::NoSuchTarget(_) | Refused::Unlisted(Unlisted::NoSuchRole(_)) => {
                StatusCode::NOT_FOUND
            }
            Refused::Odoo(_) => StatusCode::BAD_GATEWAY,
            Refused::NotPolled | Refused::Down(_) | Refused::Unlisted(_) | Refused::Busy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, format!("{refused}: {}", refused.hint()))
    }
}
