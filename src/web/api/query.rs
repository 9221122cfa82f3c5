//! Query parameters. An unknown, empty or repeated one is refused.

use std::collections::BTreeMap;

use crate::web::Problem;
pub(super) use crate::web::directory::given;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};

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
        read(pairs(parts)?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for OfTarget<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = pairs(parts)?;
        match pairs.remove("target") {
            Some(target) => Ok(Self {
                target,
                query: read(pairs)?,
            }),
            None => Err(bad("`target` is missing: use a name from /api/v1/targets")),
        }
    }
}

fn pairs(parts: &Parts) -> Result<BTreeMap<String, String>, Problem> {
    let Query(listed) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| bad(error.body_text()))?;
    let count = listed.len();
    let pairs: BTreeMap<_, _> = listed.into_iter().collect();
    if pairs.len() < count {
        return Err(bad("a parameter is set twice"));
    }
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.trim().is_empty()) {
        return Err(bad(format!("`{name}` is empty: leave it out")));
    }
    Ok(pairs)
}

fn read<T: DeserializeOwned>(pairs: BTreeMap<String, String>) -> Result<T, Problem> {
    let pairs = MapDeserializer::<_, Error>::new(pairs.into_iter());
    serde_path_to_error::deserialize(pairs).map_err(|error| bad(error.to_string()))
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
