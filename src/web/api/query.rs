//! Query parameters. An unknown or empty one is refused, and so is one given twice that takes one value.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::web::Problem;
use crate::web::directory::{Values, read, values};
pub(super) use crate::web::directory::{given, many};

/// The parameters of a request.
pub(super) struct Parameters<T>(pub(super) T);

/// The same, with the target that they are about.
pub(super) struct OfTarget<T> {
    pub(super) target: String,
    pub(super) query: T,
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(nonempty(parts)?).map(Self).map_err(bad)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for OfTarget<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = nonempty(parts)?;
        match values.remove("target").as_deref() {
            Some([target]) => Ok(Self {
                target: target.clone(),
                query: read(values).map_err(bad)?,
            }),
            Some(_) => Err(bad("`target` is given twice, but takes one value")),
            None => Err(bad("`target` is missing: use a name from /api/v1/targets")),
        }
    }
}

fn nonempty(parts: &Parts) -> Result<Values, Problem> {
    let values = values(&parts.uri).map_err(bad)?;
    let empty =
        |(_, values): &(&String, &Vec<String>)| values.iter().any(|it| it.trim().is_empty());
    if let Some((name, _)) = values.iter().find(empty) {
        return Err(bad(format!("`{name}` is empty: leave it out")));
    }
    Ok(values)
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
