//! Lists of API keys. The key itself is never read.

use std::cmp::Reverse;
use std::collections::HashMap;

use axum::body::Bytes;
use futures::Stream;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::csv::{self, Row, yes_or_no};
use super::query::{Direction, KeysQuery, SortKeys};
use super::{Asked, Directory, Refused};
use crate::domain::IdSet;
use crate::domain::facts::ApiKey;
use crate::domain::roster::Selection;
use crate::odoo::directory::{
    KeyName, Ordered, Person, SortPeople, key_names, keys_called, ordered,
};
use crate::web::paging::Slice;

/// A part of a list of API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeysPage {
    /// Time at which the poll started that saw them.
    pub as_of: Timestamp,
    /// Number of keys in that poll, independent of the search: the number that the list explains.
    pub counted: u64,
    /// Number of keys that match the search.
    pub total: u64,
    /// Number of this page.
    #[serde(flatten)]
    pub slice: Slice,
    /// Since when the Odoo module `mfa_auditor_use` notes uses; `null`: it does not.
    pub uses_noted_since: Option<Timestamp>,
    /// This part of it.
    pub keys: Vec<ListedKey>,
}

/// An API key, as of the poll. `null` values are unknown, or no longer exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedKey {
    /// `res.users.apikeys` id.
    pub id: u32,
    /// Description that its owner chose; `null`: it was revoked since the poll.
    pub name: Option<String>,
    /// Scope; `null`: unrestricted, RPC included.
    pub scope: Option<String>,
    /// Creation time; `null`: Odoo has none.
    pub created: Option<Timestamp>,
    /// Its date, if it has one.
    pub expires: Option<Timestamp>,
    /// Last use, accurate to the hour; `null`: not used since uses are recorded.
    pub last_use: Option<Timestamp>,
    /// Its age in days, at the poll; `null`: Odoo does not know.
    pub age_days: Option<i64>,
    /// True if it was expired at the time of the poll.
    pub expired: bool,
    /// The owner's id in `res.users`.
    pub owner: u32,
    /// Name of the owner.
    pub owner_name: Option<String>,
    /// Login of the owner.
    pub owner_login: Option<String>,
    /// True if the owner was active at the time of the poll.
    pub owner_active: bool,
    /// True if the owner has an accepted factor.
    pub owner_protected: Option<bool>,
    /// The owner's roles.
    pub owner_roles: Vec<String>,
    /// The owner's form in Odoo.
    pub owner_url: String,
}

impl Directory {
    /// A page of a list of API keys: two requests to Odoo, one more if sorted by owner, two more with a search.
    ///
    /// # Errors
    /// If the list would be incomplete, or Odoo does not answer.
    pub async fn keys(&self, target: &str, query: &KeysQuery) -> Result<KeysPage, Refused> {
        let asked = self.ask(target)?;
        let counted = asked.roster.keys(query.state())?.len() as u64;
        let keys = asked.keys_in_order(query).await?;
        let slice = query.slice();
        Ok(KeysPage {
            as_of: asked.roster.facts.now,
            counted,
            total: keys.len() as u64,
            slice,
            uses_noted_since: asked.roster.facts.uses.as_ref().map(|uses| uses.since),
            keys: asked.listed_keys(slice.of(&keys)).await?,
        })
    }

    /// A whole list of API keys as CSV; see [`Directory::people_csv`].
    ///
    /// # Errors
    /// If the list would be incomplete, or Odoo does not answer.
    pub async fn keys_csv(
        &self,
        target: &str,
        query: &KeysQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, Refused>> + use<>, Refused> {
        let asked = self.ask(target)?;
        let keys = asked.keys_in_order(query).await?;
        Ok(csv::file::<ListedKey, _>(asked, &keys))
    }
}

impl Asked {
    async fn keys_in_order(&self, query: &KeysQuery) -> Result<Vec<ApiKey>, Refused> {
        let mut keys: Vec<ApiKey> = self
            .roster
            .keys(query.state())?
            .into_iter()
            .copied()
            .collect();
        let by_owner = query.sort() == SortKeys::Owner;
        if let Some(text) = &query.q {
            let called: IdSet = keys.iter().map(|key| key.id).collect();
            let facts = &self.roster.facts;
            let called = keys_called(&self.transport, facts, &called, text);
            let called = self.within(called).await?;
            let owners: IdSet = self.owners(&keys, Some(text)).await?.into_iter().collect();
            keys.retain(|key| called.contains(key.id) || owners.contains(key.owner));
        }
        let descending = query.order() == Direction::Desc;
        match query.sort() {
            // A key that is older was made earlier. One without a date counts as the oldest.
            SortKeys::Age => keys.sort_by_key(|key| (Reverse(key.created), key.id)),
            SortKeys::Expiry => {
                keys.sort_by_key(|key| (key.expires.is_none(), key.expires, key.id))
            }
            SortKeys::Owner => {}
        }
        if by_owner && !keys.is_empty() {
            let owners = self.owners(&keys, None).await?;
            let places: HashMap<u32, usize> = owners.into_iter().zip(0..).collect();
            let place = |key: &ApiKey| places.get(&key.owner).copied().unwrap_or(usize::MAX);
            keys.sort_by_key(|key| (place(key), key.id));
        }
        if descending {
            keys.reverse();
        }
        Ok(keys)
    }

    /// The owners of keys, in the order of their names; only those who are called so.
    async fn owners(&self, keys: &[ApiKey], search: Option<&str>) -> Result<Vec<u32>, Refused> {
        let owners = Selection {
            ids: keys.iter().map(|key| key.owner).collect(),
            portal_except: None,
        };
        let order = Ordered {
            by: SortPeople::Name,
            descending: false,
            search,
        };
        self.within(ordered(&self.transport, &self.roster, &owners, &order))
            .await
    }

    async fn listed_keys(&self, keys: &[ApiKey]) -> Result<Vec<ListedKey>, Refused> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let owners = self
            .names(&keys.iter().map(|key| key.owner).collect())
            .await?;
        let ids: IdSet = keys.iter().map(|key| key.id).collect();
        let names = key_names(&self.transport, &self.roster.facts, &ids);
        let names: HashMap<u32, KeyName> = self
            .within(names)
            .await?
            .into_iter()
            .map(|name| (name.id, name))
            .collect();
        let describe =
            |key: &ApiKey| self.describe_key(key, names.get(&key.id), owners.get(&key.owner));
        Ok(keys.iter().map(describe).collect())
    }

    fn describe_key(
        &self,
        key: &ApiKey,
        name: Option<&KeyName>,
        owner: Option<&Person>,
    ) -> ListedKey {
        let (roster, now) = (&self.roster, self.roster.facts.now);
        let uses = roster.facts.uses.as_ref();
        ListedKey {
            id: key.id,
            name: name.map(|it| it.name.clone()),
            scope: name.and_then(|it| it.scope.clone()),
            created: key.created,
            expires: key.expires,
            last_use: uses.and_then(|uses| uses.keys.get(&key.id).copied()),
            age_days: key.age(now).map(|age| age.as_hours() / 24),
            expired: key.expires.is_some_and(|end| end <= now),
            owner: key.owner,
            owner_name: owner.map(|it| it.name.clone()),
            owner_login: owner.map(|it| it.login.clone()),
            owner_active: key.owner_active,
            owner_protected: roster.is_covered(key.owner).filter(|_| key.owner_active),
            owner_roles: roster
                .roles_of(key.owner)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            owner_url: self.form(key.owner),
        }
    }
}

impl Row<15> for ListedKey {
    type Of = ApiKey;

    const HEADER: [&'static str; 15] = [
        "id",
        "name",
        "scope",
        "created",
        "expires",
        "last_use",
        "age_days",
        "expired",
        "owner",
        "owner_name",
        "owner_login",
        "owner_active",
        "owner_protected",
        "owner_roles",
        "owner_url",
    ];

    fn cells(&self) -> [String; 15] {
        [
            self.id.to_string(),
            self.name.clone().unwrap_or_default(),
            self.scope.clone().unwrap_or_default(),
            self.created.map(|at| at.to_string()).unwrap_or_default(),
            self.expires.map(|at| at.to_string()).unwrap_or_default(),
            self.last_use.map(|at| at.to_string()).unwrap_or_default(),
            self.age_days
                .map(|days| days.to_string())
                .unwrap_or_default(),
            yes_or_no(Some(self.expired)),
            self.owner.to_string(),
            self.owner_name.clone().unwrap_or_default(),
            self.owner_login.clone().unwrap_or_default(),
            yes_or_no(Some(self.owner_active)),
            yes_or_no(self.owner_protected),
            self.owner_roles.join(" "),
            self.owner_url.clone(),
        ]
    }

    async fn read(asked: &Asked, some: &[ApiKey]) -> Result<Vec<Self>, Refused> {
        asked.listed_keys(some).await
    }
}
