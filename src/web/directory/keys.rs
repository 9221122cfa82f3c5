//! Lists of API keys. The key itself is never read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::csv::{Row, yes_or_no};
use super::scope::Scope;
use super::{
    Asked, Counted, Direction, Directory, KeysQuery, Refused, Silent, SortKeys, WHOLE, of_ids,
};
use crate::domain::facts::ApiKey;
use crate::odoo::directory::{KeyName, Person, ROWS};
use crate::web::paging::Slice;

/// A part of a list of API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeysPage {
    /// Start of the poll that found the keys; of several targets, the oldest of their polls. `null` if no target is listed.
    pub as_of: Option<Timestamp>,
    /// Number of targets of the list, including the missing ones.
    pub targets: u64,
    /// The targets that are missing in this part, and why.
    pub silent: Vec<Silent>,
    /// Number of API keys that the polls counted, before a search: the number that the list explains. Keys of targets without a count are missing in it.
    pub counted: u64,
    /// Number of API keys in the list.
    pub total: u64,
    /// Number of this page.
    #[serde(flatten)]
    pub slice: Slice,
    /// This part of it.
    pub keys: Vec<ListedKey>,
}

/// An API key, as of the poll. `null` values are unknown, or no longer exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedKey {
    /// The target.
    pub target: String,
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
    /// Since when the Odoo module `mfa_auditor_use` notes uses; `null`: it does not.
    pub uses_noted_since: Option<Timestamp>,
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

/// A key of one of the parts.
type Place = (usize, ApiKey);

/// A list, and its keys in order.
struct List {
    scope: Scope<Vec<ApiKey>>,
    keys: Vec<Place>,
    counted: u64,
}

impl Directory {
    /// A page of a list of API keys: two requests to each target that has one on the page. A list that is sorted or searched by name is read as a
    /// whole.
    ///
    /// # Errors
    /// If the list would not be complete, if none of its targets answers, or if it is too long to sort or search it.
    pub async fn keys(&self, query: &KeysQuery) -> Result<KeysPage, Refused> {
        let mut list = self.keys_in_order(query).await?;
        let slice = query.slice();
        let keys = list.read(slice.of(&list.keys).to_vec()).await?;
        Ok(KeysPage {
            as_of: list.scope.as_of(),
            targets: list.scope.targets as u64,
            counted: list.counted,
            total: list.keys.len() as u64,
            slice,
            keys,
            silent: list.scope.silent,
        })
    }

    /// A whole list of API keys as CSV; see [`Directory::users_csv`].
    ///
    /// # Errors
    /// See [`keys`](Self::keys).
    pub async fn keys_csv(
        &self,
        query: &KeysQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, Refused>> + use<>, Refused> {
        let mut list = self.keys_in_order(query).await?;
        let keys = std::mem::take(&mut list.keys);
        let head = ListedKey::head(&list.scope.silent);
        let chunks: Vec<Vec<Place>> = keys.chunks(ROWS).map(<[Place]>::to_vec).collect();
        let before = list.scope.silent.len();
        let rows = stream::unfold(
            (list, chunks.into_iter()),
            move |(mut list, mut chunks)| async move {
                let keys = chunks.next()?;
                let lines = list.read(keys).await.map(|keys| {
                    let missing = list.scope.silent.drain(before..);
                    let missing =
                        missing.map(|it| ListedKey::missing(&it.target, None, &it.reason));
                    Bytes::from(ListedKey::lines(keys.iter()) + &missing.collect::<String>())
                });
                Some((lines, (list, chunks)))
            },
        );
        Ok(stream::iter([Ok(head)]).chain(rows))
    }

    /// Number of API keys of a list by target, in the order of their names. No request is sent to Odoo.
    pub fn count_keys(&self, query: &KeysQuery) -> Vec<Counted> {
        self.counts(query.which(), |asked| {
            let keys = asked.roster.keys_among(query.states(), &query.roles())?;
            Ok(keys.len() as u64)
        })
    }

    async fn keys_in_order(&self, query: &KeysQuery) -> Result<List, Refused> {
        let scope = self.scope(query.which(), |asked| {
            let keys = asked.roster.keys_among(query.states(), &query.roles())?;
            Ok(keys.into_iter().copied().collect::<Vec<ApiKey>>())
        })?;
        let parts = scope.parts.iter().enumerate();
        let keys: Vec<Place> = parts
            .flat_map(|(at, part)| part.what.iter().map(move |key| (at, *key)))
            .collect();
        let mut list = List {
            counted: keys.len() as u64,
            scope,
            keys,
        };
        if query.q.is_some() || query.sort() == SortKeys::Owner {
            if list.counted > WHOLE {
                return Err(Refused::TooMany(list.counted));
            }
            list.by_name(query).await?;
        }
        let keys = &mut list.keys;
        match query.sort() {
            // A key that is older was created earlier. One without a date counts as the oldest.
            SortKeys::Age => keys.sort_by_key(|(at, key)| (Reverse(key.created), *at, key.id)),
            SortKeys::Expiry => {
                keys.sort_by_key(|(at, key)| (key.expires.is_none(), key.expires, *at, key.id));
            }
            SortKeys::Target => keys.sort_by_key(|(at, key)| (*at, key.id)),
            SortKeys::Owner => {}
        }
        if query.order() == Direction::Desc {
            keys.reverse();
        }
        Ok(list)
    }
}

impl List {
    /// Keeps the keys that the search finds, in the order of their owners' names.
    async fn by_name(&mut self, query: &KeysQuery) -> Result<(), Refused> {
        let text = query.q.as_ref().map(|text| text.to_lowercase());
        let holds = |it: &Option<String>, text: &String| {
            it.as_ref()
                .is_some_and(|it| it.to_lowercase().contains(text))
        };
        let keys = self.keys.clone();
        let mut named = self.read(keys).await?;
        named.retain(|key| {
            text.as_ref().is_none_or(|text| {
                [&key.name, &key.owner_name, &key.owner_login]
                    .into_iter()
                    .any(|it| holds(it, text))
            })
        });
        named.sort_by_cached_key(|key| {
            let name = key.owner_name.as_ref().map(|name| name.to_lowercase());
            (name.is_none(), name, key.target.clone(), key.owner, key.id)
        });
        let known: HashMap<(&str, u32), Place> = self
            .keys
            .iter()
            .map(|(at, key)| ((self.scope.parts[*at].asked.name(), key.id), (*at, *key)))
            .collect();
        let found = named
            .iter()
            .filter_map(|key| known.get(&(key.target.as_str(), key.id)).copied());
        self.keys = found.collect();
        Ok(())
    }

    /// Details of some keys, in their order. A target that does not answer is missing.
    async fn read(&mut self, keys: Vec<Place>) -> Result<Vec<ListedKey>, Refused> {
        let mut of: BTreeMap<usize, Vec<ApiKey>> = BTreeMap::new();
        for (part, key) in &keys {
            of.entry(*part).or_default().push(*key);
        }
        let reads = of.into_iter().map(|(part, keys)| {
            let asked = self.scope.parts[part].asked.clone();
            (part, async move { asked.listed_keys(&keys).await })
        });
        let reads: Vec<_> = reads.collect();
        let answers = self.scope.answers(reads).await?;
        let mut found: HashMap<(usize, u32), ListedKey> = answers
            .into_iter()
            .flat_map(|(part, keys)| keys.into_iter().map(move |key| ((part, key.id), key)))
            .collect();
        let listed = keys
            .iter()
            .filter_map(|(part, key)| found.remove(&(*part, key.id)));
        Ok(listed.collect())
    }
}

impl Asked {
    async fn listed_keys(&self, keys: &[ApiKey]) -> Result<Vec<ListedKey>, Refused> {
        let owners = keys.iter().map(|key| key.owner).collect();
        let owners = self.users(&of_ids(owners)).await?;
        let names = self
            .key_names(keys.iter().map(|key| key.id).collect())
            .await?;
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
            target: self.name().to_owned(),
            id: key.id,
            name: name.map(|it| it.name.clone()),
            scope: name.and_then(|it| it.scope.clone()),
            created: key.created,
            expires: key.expires,
            last_use: uses.and_then(|uses| uses.keys.get(&key.id).copied()),
            uses_noted_since: uses.map(|uses| uses.since),
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

impl Row<17> for ListedKey {
    const HEADER: [&'static str; 17] = [
        "target",
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
        "error",
    ];

    fn cells(&self) -> [String; 17] {
        [
            self.target.clone(),
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
            String::new(),
        ]
    }
}
