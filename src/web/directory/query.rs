//! Query parameters of a list. An empty one, as forms send it, counts as missing; an unknown one is refused, because a misspelled
//! filter must not return all users.

use std::fmt::Display;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::domain::roster::{Filter, InRole, KeyState, State};
use crate::domain::vocabulary::vocabulary;
use crate::domain::{ExemptReason, UserType, finding};
use crate::odoo::directory::SortPeople;
use crate::web::paging::{PageNumber, PageRows, Slice};

vocabulary! {
    /// Direction of the order.
    Direction {
        /// The least first.
        Asc = "asc",
        /// The greatest first.
        Desc = "desc",
    }
}

vocabulary! {
    /// Sort key of API keys.
    SortKeys {
        /// By age.
        Age = "age",
        /// By the owner's name.
        Owner = "owner",
        /// By when they end; those that never do last.
        Expiry = "expiry",
    }
}

impl Direction {
    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }
}

/// A role by its name in the configuration; `any`: in at least one.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct RoleFilter(String);

impl RoleFilter {
    const ANY: &'static str = "any";

    /// As the roster asks for it.
    pub fn as_role(&self) -> InRole<'_> {
        match self.0.as_str() {
            Self::ANY => InRole::Any,
            name => InRole::Named(name),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleFilter {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Users to list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeopleQuery {
    /// State; default: unprotected users.
    #[serde(deserialize_with = "given")]
    pub state: Option<State>,
    /// Only of this type.
    #[serde(deserialize_with = "given")]
    pub user_type: Option<UserType>,
    /// Only of this role.
    #[serde(deserialize_with = "given")]
    pub role: Option<RoleFilter>,
    /// Only those exempt for this reason.
    #[serde(deserialize_with = "given")]
    pub reason: Option<ExemptReason>,
    /// Users whom findings of this kind are about, regardless of `state`.
    #[serde(deserialize_with = "given")]
    pub finding: Option<finding::Kind>,
    /// Of these findings only those about this: a role, a type, an exemption.
    #[serde(deserialize_with = "given")]
    pub subject: Option<String>,
    /// Only those whose name or login holds this text.
    #[serde(deserialize_with = "given")]
    pub q: Option<String>,
    /// By name if not given.
    #[serde(deserialize_with = "given")]
    pub sort: Option<SortPeople>,
    /// Ascending if not given.
    #[serde(deserialize_with = "given")]
    pub order: Option<Direction>,
    /// From 1.
    #[serde(deserialize_with = "given")]
    pub page: Option<PageNumber>,
    /// Rows of a page: 50 if not given.
    #[serde(deserialize_with = "given")]
    pub per_page: Option<PageRows>,
}

/// API keys to list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeysQuery {
    /// State; default: active keys (`working`).
    #[serde(deserialize_with = "given")]
    pub state: Option<KeyState>,
    /// Only those whose name, or whose owner's name or login, holds this text.
    #[serde(deserialize_with = "given")]
    pub q: Option<String>,
    /// By age if not given.
    #[serde(deserialize_with = "given")]
    pub sort: Option<SortKeys>,
    /// Ascending if not given; for the age, the oldest first.
    #[serde(deserialize_with = "given")]
    pub order: Option<Direction>,
    /// From 1.
    #[serde(deserialize_with = "given")]
    pub page: Option<PageNumber>,
    /// Rows of a page: 50 if not given.
    #[serde(deserialize_with = "given")]
    pub per_page: Option<PageRows>,
}

impl PeopleQuery {
    /// Filter of users.
    pub fn filter(&self) -> Filter<'_> {
        Filter {
            state: self.state.unwrap_or(State::Unprotected),
            user_type: self.user_type,
            role: self.role.as_ref().map(RoleFilter::as_role),
            reason: self.reason,
        }
    }

    /// Page of the list.
    pub fn slice(&self) -> Slice {
        Slice::new(self.page, self.per_page)
    }
}

impl KeysQuery {
    /// Filter of API keys.
    pub fn state(&self) -> KeyState {
        self.state.unwrap_or(KeyState::Working)
    }

    /// By what.
    pub fn sort(&self) -> SortKeys {
        self.sort.unwrap_or(SortKeys::Age)
    }

    /// Direction of the order: the oldest key is the most interesting one.
    pub fn order(&self) -> Direction {
        self.order.unwrap_or(match self.sort() {
            SortKeys::Age => Direction::Desc,
            SortKeys::Owner | SortKeys::Expiry => Direction::Asc,
        })
    }

    /// Page of the list.
    pub fn slice(&self) -> Slice {
        Slice::new(self.page, self.per_page)
    }
}

/// Value of a parameter; `None` if it is empty.
pub(in crate::web) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
