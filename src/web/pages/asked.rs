//! Query of a page, and its reader.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::refused;
use crate::domain::TargetSnapshot;
use crate::web::App;
use crate::web::access::{Reader, Role};
use crate::web::directory::{Refused, read, values};

/// A reader's query. One that is not understood is answered with a page that says so.
pub struct Asked<Q> {
    pub app: Arc<App>,
    pub reader: Reader,
    pub uri: Uri,
    pub query: Q,
}

/// A query about a target that there is.
pub struct OfTarget<Q> {
    pub app: Arc<App>,
    pub reader: Reader,
    pub uri: Uri,
    pub query: Q,
    pub name: String,
    pub snapshot: Arc<TargetSnapshot>,
}

/// A part of a list of names, or why there is none.
pub enum List<T> {
    /// The reader may not read names.
    Forbidden,
    /// Odoo does not answer, or not completely.
    Refused(Refused),
    /// It can be shown.
    Page(T),
}

impl<Q: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Asked<Q> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Extension(reader) = Extension::<Reader>::from_request_parts(parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        match values(&parts.uri).and_then(read) {
            Ok(query) => Ok(Self {
                app: Arc::clone(app),
                reader,
                uri: parts.uri.clone(),
                query,
            }),
            Err(message) => Err(refused::parameters(app, &reader, &parts.uri, &message)),
        }
    }
}

impl<Q: DeserializeOwned + Send> FromRequestParts<Arc<App>> for OfTarget<Q> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Asked {
            app,
            reader,
            uri,
            query,
        } = Asked::from_request_parts(parts, app).await?;
        let Path(name) = Path::<String>::from_request_parts(parts, &app)
            .await
            .map_err(IntoResponse::into_response)?;
        match app.directory.snapshot(&name) {
            Ok(snapshot) => Ok(Self {
                app,
                reader,
                uri,
                query,
                name,
                snapshot,
            }),
            Err(refused) => Err(refused::page(&app, &reader, &uri, &refused)),
        }
    }
}

/// The query of a file to save, or what is wrong with it.
#[expect(
    clippy::result_large_err,
    reason = "the error is the response that is sent"
)]
pub fn to_save<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Response> {
    let query = values(uri).and_then(read);
    query.map_err(|message| (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response())
}

impl<T> List<T> {
    /// Reads it, if the reader may.
    pub async fn read(reader: &Reader, list: impl Future<Output = Result<T, Refused>>) -> Self {
        if !reader.may(Role::ReadNames) {
            return Self::Forbidden;
        }
        match list.await {
            Ok(page) => Self::Page(page),
            Err(refused) => Self::Refused(refused),
        }
    }

    /// The status of the page that shows it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refused) => refused.status(),
            Self::Forbidden | Self::Page(_) => StatusCode::OK,
        }
    }
}
