//! Lists have pages: which part of a list a page is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// Rows of a page, unless something else is asked for.
pub const ROWS: u32 = 50;

/// Rows of a page at most.
const MOST_ROWS: u32 = 1000;

/// A number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within<const LEAST: u32, const MOST: u32>(pub u32);

impl<const LEAST: u32, const MOST: u32> FromStr for Within<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if number && (LEAST..=MOST).contains(&value) => Ok(Self(value)),
            _ => Err(format!("expected a number from {LEAST} to {MOST}")),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> fmt::Display for Within<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Within<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Within{LEAST}To{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}

/// A number of a page, from 1.
pub type PageNumber = Within<1, { u32::MAX }>;

/// Rows of a page.
pub type PageRows = Within<1, MOST_ROWS>;

impl PageRows {
    /// The most.
    pub const MOST: Self = Within(MOST_ROWS);
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Slice {
    /// From 1.
    pub page: u32,
    /// Number of rows of a page.
    pub per_page: u32,
}

impl Slice {
    /// As it is asked for.
    pub fn new(page: Option<PageNumber>, per_page: Option<PageRows>) -> Self {
        Self {
            page: page.map_or(1, |it| it.0),
            per_page: per_page.map_or(ROWS, |it| it.0),
        }
    }

    /// This part of a list; nothing beyond its end.
    pub fn of<T>(self, list: &[T]) -> &[T] {
        let rows = self.per_page as usize;
        let from = rows.saturating_mul(self.page as usize - 1).min(list.len());
        &list[from..list.len().min(from.saturating_add(rows))]
    }

    /// Number of pages of a list of that length; one if it is empty.
    pub fn pages(self, total: u64) -> u32 {
        let pages = total.div_ceil(u64::from(self.per_page)).max(1);
        u32::try_from(pages).unwrap_or(u32::MAX)
    }
}
