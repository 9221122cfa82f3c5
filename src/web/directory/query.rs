//! Queries of the lists.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::parameters::{given, many};
use crate::domain::roster::{Filter, InRole, KeyState, State};
use crate::domain::snapshot::Identity;
use crate::domain::vocabulary::vocabulary;
use crate::domain::{ExemptReason, UserType, finding};
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
    /// Sort key of users.
    SortUsers {
        /// By target, then by id.
        Target = "target",
        /// By name.
        Name = "name",
        /// By login.
        Login = "login",
        /// By the newest login with a password; users without one first.
        LastLogin = "last_login",
        /// By when the account was created.
        Created = "created",
        /// By id; of several targets, by target first.
        Id = "id",
    }
}

vocabulary! {
    /// Sort key of API keys.
    SortKeys {
        /// By age.
        Age = "age",
        /// By the owner's name.
        Owner = "owner",
        /// By when they expire; those that never do last.
        Expiry = "expiry",
        /// By target.
        Target = "target",
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

/// A role by its name in the configuration; `any`: in at least one; `administrators`: in `settings` or `access_rights`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct RoleFilter(String);

impl RoleFilter {
    /// In at least one.
    pub const ANY: &'static str = "any";
    /// In a role that reaches every other right.
    pub const ADMINISTRATORS: &'static str = "administrators";

    /// As the roster asks for it.
    pub fn as_role(&self) -> InRole<'_> {
        match self.0.as_str() {
            Self::ANY => InRole::Any,
            Self::ADMINISTRATORS => InRole::Administrators,
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

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Label(#[schemars(regex(pattern = r"^[^=\s][^=]*=[\s\S]*$"))] String);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, _)) if !name.is_empty() => Ok(Self(text.to_owned())),
            _ => Err("expected `NAME=VALUE`"),
        }
    }
}

impl Label {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('=').unwrap_or_default()
    }

    /// Returns true if a target has these labels: of labels with the same name, one of them.
    pub fn all_match(labels: &[Self], target: &Identity) -> bool {
        labels.iter().all(|label| {
            let name = label.parts().0;
            let same = labels.iter().filter(|other| other.parts().0 == name);
            same.into_iter().any(|label| {
                let mut its = target.labels.iter();
                its.any(|(name, value)| (name.as_str(), value.as_str()) == label.parts())
            })
        })
    }
}

/// Selection of targets, common to all lists.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// These; none means all.
    pub targets: &'a [String],
    /// Those with these labels.
    pub labels: &'a [Label],
}

impl Which<'_> {
    /// Returns true if a target is selected.
    pub fn contains(&self, target: &Identity) -> bool {
        (self.targets.is_empty() || self.targets.contains(&target.name))
            && Label::all_match(self.labels, target)
    }
}

/// Users to list: those in any of the states, of any of the types, in any of the roles, of any of the targets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsersQuery {
    /// Only of these targets.
    #[serde(deserialize_with = "many")]
    pub target: Vec<String>,
    /// Only of targets with this label: `NAME=VALUE`. Several values of one label are alternatives.
    #[serde(deserialize_with = "many")]
    pub label: Vec<Label>,
    /// In these states; the unprotected if not given.
    #[serde(deserialize_with = "many")]
    pub state: Vec<State>,
    /// Only of these types.
    #[serde(deserialize_with = "many")]
    pub user_type: Vec<UserType>,
    /// Only in these roles; `any`: in at least one; `administrators`: in `settings` or `access_rights`.
    #[serde(deserialize_with = "many")]
    pub role: Vec<RoleFilter>,
    /// Only those exempt for this reason.
    #[serde(deserialize_with = "given")]
    pub reason: Option<ExemptReason>,
    /// Those that findings of this kind are about, regardless of `state`.
    #[serde(deserialize_with = "given")]
    pub finding: Option<finding::Kind>,
    /// Of these findings only those about this: a role, a type, an exemption.
    #[serde(deserialize_with = "given")]
    pub subject: Option<String>,
    /// Only those whose name or login holds this text.
    #[serde(deserialize_with = "given")]
    pub q: Option<String>,
    /// By name if one target is listed, otherwise by target. Sorting several targets by name, login, last login or creation requires fewer than 2,000 users.
    #[serde(deserialize_with = "given")]
    pub sort: Option<SortUsers>,
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

/// API keys to list: those in any of the states, with owners in any of the roles, of any of the targets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeysQuery {
    /// Only of these targets.
    #[serde(deserialize_with = "many")]
    pub target: Vec<String>,
    /// Only of targets with this label: `NAME=VALUE`. Several values of one label are alternatives.
    #[serde(deserialize_with = "many")]
    pub label: Vec<Label>,
    /// In these states; active keys if not given.
    #[serde(deserialize_with = "many")]
    pub state: Vec<KeyState>,
    /// Only of owners in these roles; `any`: in at least one; `administrators`: in `settings` or `access_rights`.
    #[serde(deserialize_with = "many")]
    pub role: Vec<RoleFilter>,
    /// Only those whose name, or whose owner's name or login, holds this text. Requires fewer than 2,000 keys.
    #[serde(deserialize_with = "given")]
    pub q: Option<String>,
    /// By age if not given. Sorting by owner requires fewer than 2,000 keys.
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

fn roles(filters: &[RoleFilter]) -> Vec<InRole<'_>> {
    filters.iter().map(RoleFilter::as_role).collect()
}

impl UsersQuery {
    /// Targets.
    pub fn which(&self) -> Which<'_> {
        Which {
            targets: &self.target,
            labels: &self.label,
        }
    }

    /// States; default: unprotected.
    pub fn states(&self) -> &[State] {
        match self.state.as_slice() {
            [] => &[State::Unprotected],
            states => states,
        }
    }

    /// Types of user.
    pub fn filter(&self) -> Filter<'_> {
        Filter {
            states: self.states(),
            types: &self.user_type,
            roles: roles(&self.role),
            reason: self.reason,
        }
    }

    /// By what, if the list is about so many targets.
    pub fn sort(&self, targets: usize) -> SortUsers {
        self.sort.unwrap_or(match targets {
            0 | 1 => SortUsers::Name,
            _ => SortUsers::Target,
        })
    }

    /// Direction of the sort.
    pub fn order(&self) -> Direction {
        self.order.unwrap_or(Direction::Asc)
    }

    /// Page of the list.
    pub fn slice(&self) -> Slice {
        Slice::new(self.page, self.per_page)
    }
}

impl KeysQuery {
    /// Targets.
    pub fn which(&self) -> Which<'_> {
        Which {
            targets: &self.target,
            labels: &self.label,
        }
    }

    /// States; default: active.
    pub fn states(&self) -> &[KeyState] {
        match self.state.as_slice() {
            [] => &[KeyState::Working],
            states => states,
        }
    }

    /// Owners in which roles.
    pub fn roles(&self) -> Vec<InRole<'_>> {
        roles(&self.role)
    }

    /// By what.
    pub fn sort(&self) -> SortKeys {
        self.sort.unwrap_or(SortKeys::Age)
    }

    /// Direction of the order: the oldest key is the most interesting one.
    pub fn order(&self) -> Direction {
        self.order.unwrap_or(match self.sort() {
            SortKeys::Age => Direction::Desc,
            SortKeys::Owner | SortKeys::Expiry | SortKeys::Target => Direction::Asc,
        })
    }

    /// Page of the list.
    pub fn slice(&self) -> Slice {
        Slice::new(self.page, self.per_page)
    }
}
