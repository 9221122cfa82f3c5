//! What is asked for: query parameters. One that is unknown, empty, or there twice is refused.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::web::Problem;
pub(super) use crate::web::directory::given;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::{Error, MapDeserializer};

/// Rows of a page, unless something else is asked for.
pub(super) const ROWS: u32 = 100;

/// Rows of a page at most.
const MOST_ROWS: u32 = 1000;

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
            None => Err(bad("`target` is missing: name one of /api/v1/targets")),
        }
    }
}

fn pairs(parts: &Parts) -> Result<BTreeMap<String, String>, Problem> {
    let Query(listed) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| bad(error.body_text()))?;
    let count = listed.len();
    let pairs: BTreeMap<_, _> = listed.into_iter().collect();
    if pairs.len() < count {
        return Err(bad("a parameter is there twice"));
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

/// A number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Within<const LEAST: u32, const MOST: u32>(pub(super) u32);

impl<const LEAST: u32, const MOST: u32> FromStr for Within<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if number && (LEAST..=MOST).contains(&value) => Ok(Self(value)),
            _ => Err(format!("a number from {LEAST} to {MOST} is wanted")),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> schemars::JsonSchema for Within<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Within{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}

/// A number of a page, from 1.
pub(super) type PageNumber = Within<1, { u32::MAX }>;

/// Rows of a page.
pub(super) type PageRows = Within<1, MOST_ROWS>;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) page: u32,
    pub(super) per_page: u32,
}

impl Slice {
    pub(super) fn new(page: Option<PageNumber>, per_page: Option<PageRows>) -> Self {
        Self {
            page: page.map_or(1, |it| it.0),
            per_page: per_page.map_or(ROWS, |it| it.0),
        }
    }

    /// This part of a list.
    pub(super) fn of<T>(self, list: &[T]) -> &[T] {
        let rows = self.per_page as usize;
        let from = rows.saturating_mul(self.page as usize - 1).min(list.len());
        &list[from..list.len().min(from.saturating_add(rows))]
    }
}
