//! Lists of users.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::csv::{self, Row, yes_or_no};
use super::scope::Scope;
use super::{
    Asked, Counted, Direction, Directory, LISTED_FOR, LastList, Refused, Silent, SortUsers,
    UsersQuery, WHOLE, of_ids,
};
use crate::domain::finding::{Finding, findings};
use crate::domain::roster::{KeyState, Selection};
use crate::domain::{ExemptReason, IdSet, UserType};
use crate::odoo::directory::{Ordered, Person, ROWS, ordered};
use crate::web::paging::Slice;

/// A part of a list of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsersPage {
    /// Start of the poll that decided the states; of several targets, the oldest of their polls. `null` if no target is listed.
    pub as_of: Option<Timestamp>,
    /// Number of targets of the list, including the missing ones.
    pub targets: u64,
    /// The targets that are missing in this part, and why.
    pub silent: Vec<Silent>,
    /// Number of users that the polls counted, before a search: the number that the list explains. Users of targets without a count are missing in it.
    pub counted: u64,
    /// Number of users in the list.
    pub total: u64,
    /// Number of this page.
    #[serde(flatten)]
    pub slice: Slice,
    /// Number of users that were read from Odoo.
    pub asked: u64,
    /// Number of those that Odoo does not show: users who were deleted, or hidden from the polling account, since the poll. `null` after a search
    /// in Odoo.
    pub not_visible: Option<u64>,
    /// This part of it.
    pub users: Vec<Listed>,
}

/// A user. What is `null` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// The target.
    pub target: String,
    /// `res.users` id.
    pub id: u32,
    /// The user's name.
    pub name: String,
    /// The user's login.
    pub login: String,
    /// The user's form in Odoo.
    pub url: String,
    /// True if the account is active now; all other fields are as of the poll.
    pub active: bool,
    /// The type; `null` for most archived users.
    pub user_type: Option<UserType>,
    /// True if the user has an accepted factor; `null` also if the type is.
    pub protected: Option<bool>,
    /// Why the user is exempt, if so.
    pub exempt: Option<ExemptReason>,
    /// True if the user has TOTP.
    pub totp: Option<bool>,
    /// True if the user has a passkey.
    pub passkey: Option<bool>,
    /// True if the user is linked to an OAuth or SAML provider.
    pub sso: Option<bool>,
    /// True if the account is younger than the grace period.
    pub in_grace: bool,
    /// True if there was no login for the dormancy period.
    pub dormant: Option<bool>,
    /// The roles.
    pub roles: Vec<String>,
    /// Number of active API keys that the user owns.
    pub api_keys: Option<u64>,
    /// Creation of the account.
    pub created: Option<Timestamp>,
    /// The newest login with a password.
    pub last_login: Option<Timestamp>,
}

/// Rows of a list of one target.
struct Chosen {
    selection: Selection,
    counted: u64,
}

/// A list, and how its rows are found.
struct List {
    scope: Scope<Chosen>,
    sort: SortUsers,
    query: UsersQuery,
}

impl Directory {
    /// A page of a list of users. A list that is sorted or searched by name is read as a whole, with one request to each target; a longer one of
    /// one target is sorted by Odoo. Of other lists only the users on the page are read.
    ///
    /// # Errors
    /// If the list would not be complete, if none of its targets answers, or if it is too long to sort or search it.
    pub async fn users(&self, query: &UsersQuery) -> Result<UsersPage, Refused> {
        let list = self.list(query)?;
        if list.is_read_whole()? {
            list.whole_page().await
        } else {
            list.page().await
        }
    }

    /// A whole list of users as CSV; an error within it means that it is not whole. A row without an id names a target that is missing, and why.
    ///
    /// # Errors
    /// See [`users`](Self::users).
    pub async fn users_csv(
        &self,
        query: &UsersQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, Refused>> + use<>, Refused> {
        let mut list = self.list(query)?;
        let (rows, chunks) = if list.is_read_whole()? {
            (list.whole().await?.0, Vec::new())
        } else {
            (Vec::new(), list.chunks().await?)
        };
        let head = [
            Listed::head(&list.scope.silent),
            Bytes::from(Listed::lines(rows.iter())),
        ];
        let chunks = stream::iter(chunks).then(async |(asked, ids): (Asked, Vec<u32>)| {
            let users = asked.users(&of_ids(ids.iter().copied().collect())).await?;
            let shown = asked.listed(ids.iter().filter_map(|id| users.get(id)));
            let gone = ids.iter().filter(|id| !users.contains_key(id));
            let gone = gone.map(|id| Listed::missing(asked.name(), Some(*id), csv::NOT_VISIBLE));
            Ok(Bytes::from(
                Listed::lines(shown.iter()) + &gone.collect::<String>(),
            ))
        });
        Ok(stream::iter(head.map(Ok)).chain(chunks))
    }

    /// Number of users of a list by target, in the order of their names. No request is sent to Odoo.
    pub fn count_users(&self, query: &UsersQuery) -> Vec<Counted> {
        self.counts(query.which(), |asked| {
            Ok(asked.roster.count(&asked.selection(query)?))
        })
    }

    fn list(&self, query: &UsersQuery) -> Result<List, Refused> {
        let scope = self.scope(query.which(), |asked| {
            let selection = asked.selection(query)?;
            Ok(Chosen {
                counted: asked.roster.count(&selection),
                selection,
            })
        })?;
        Ok(List {
            sort: query.sort(scope.targets),
            query: query.clone(),
            scope,
        })
    }
}

impl List {
    fn counted(&self) -> u64 {
        self.scope.parts.iter().map(|part| part.what.counted).sum()
    }

    fn is_by_target(&self) -> bool {
        matches!(self.sort, SortUsers::Target | SortUsers::Id) && self.query.q.is_none()
    }

    fn is_read_whole(&self) -> Result<bool, Refused> {
        let counted = self.counted();
        if self.is_by_target() {
            Ok(false)
        } else if counted <= WHOLE {
            Ok(true)
        } else if self.scope.targets == 1 && self.sort.field().is_some() {
            Ok(false)
        } else {
            Err(Refused::TooMany(counted))
        }
    }

    /// All users, sorted and searched; how many were asked for, and how many of those Odoo does not show.
    async fn whole(&mut self) -> Result<(Vec<Listed>, u64, u64), Refused> {
        let reads = self.scope.parts.iter().enumerate().map(|(at, part)| {
            let (asked, selection) = (part.asked.clone(), part.what.selection.clone());
            (at, async move { asked.users(&selection).await })
        });
        let reads = reads.filter(|(at, _)| self.scope.parts[*at].what.counted > 0);
        let reads: Vec<_> = reads.collect();
        let answers = self.scope.answers(reads).await?;
        let (mut all, mut counted, mut gone) = (Vec::new(), 0, 0);
        for (part, users) in &answers {
            let part = &self.scope.parts[*part];
            let selection = &part.what.selection;
            let roster = &part.asked.roster;
            let users = users
                .values()
                .filter(|user| roster.contains(selection, user.id));
            let users: Vec<&Person> = users.collect();
            let shown: IdSet = users.iter().map(|user| user.id).collect();
            let portal = part.what.counted - selection.ids.len();
            let others = (&shown - &selection.ids).len();
            counted += part.what.counted;
            gone += (&selection.ids - &shown).len() + portal.saturating_sub(others);
            let found = users
                .into_iter()
                .filter(|user| self.query.q.as_ref().is_none_or(|text| user.holds(text)));
            all.extend(part.asked.listed(found));
        }
        self.sort(&mut all);
        Ok((all, counted, gone))
    }

    fn sort(&self, users: &mut [Listed]) {
        let place = |user: &Listed| (user.target.clone(), user.id);
        match self.sort {
            SortUsers::Target => users.sort_by_cached_key(place),
            SortUsers::Id => users.sort_by_key(|user| user.id),
            SortUsers::Name => users.sort_by_cached_key(|user| {
                (user.name.to_lowercase(), user.name.clone(), place(user))
            }),
            SortUsers::Login => {
                users.sort_by_cached_key(|user| (user.login.clone(), place(user)));
            }
            SortUsers::LastLogin => {
                users.sort_by_cached_key(|user| (user.last_login, place(user)));
            }
            SortUsers::Created => users.sort_by_cached_key(|user| (user.created, place(user))),
        }
        if self.query.order() == Direction::Desc {
            users.reverse();
        }
    }

    async fn whole_page(mut self) -> Result<UsersPage, Refused> {
        let (users, asked, gone) = self.whole().await?;
        let mut page = self.empty_page();
        page.users = page.slice.of(&users).to_vec();
        page.total = users.len() as u64;
        (page.asked, page.not_visible) = (asked, Some(gone));
        Ok(page)
    }

    fn empty_page(self) -> UsersPage {
        UsersPage {
            as_of: self.scope.as_of(),
            targets: self.scope.targets as u64,
            counted: self.counted(),
            total: 0,
            slice: self.query.slice(),
            asked: 0,
            not_visible: None,
            users: Vec::new(),
            silent: self.scope.silent,
        }
    }

    /// The parts in the order of the list.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scope.parts.len()).collect();
        if self.query.order() == Direction::Desc {
            order.reverse();
        }
        order
    }

    /// The ids of the whole list, in pieces that one request reads. A target that does not say is missing.
    async fn chunks(&mut self) -> Result<Vec<(Asked, Vec<u32>)>, Refused> {
        let mut reads = Vec::new();
        for part in self.in_order() {
            let (query, sort) = (self.query.clone(), self.sort);
            let asked = self.scope.parts[part].asked.clone();
            let selection = self.scope.parts[part].what.selection.clone();
            reads.push((part, async move {
                asked.in_order(&selection, &query, sort).await
            }));
        }
        let answers = self.scope.answers(reads).await?;
        let pieces = answers.into_iter().flat_map(|(part, ids)| {
            let asked = self.scope.parts[part].asked.clone();
            let chunks: Vec<Vec<u32>> = ids.chunks(ROWS).map(<[u32]>::to_vec).collect();
            chunks.into_iter().map(move |ids| (asked.clone(), ids))
        });
        Ok(pieces.collect())
    }

    /// A page of which only the users on it are read.
    async fn page(mut self) -> Result<UsersPage, Refused> {
        let slice = self.query.slice();
        // A list of one target is as long as what Odoo finds, one of several as what the polls counted.
        let order = self.in_order();
        let mut lengths: Vec<u64> = order
            .iter()
            .map(|part| self.scope.parts[*part].what.counted)
            .collect();
        let mut gone = 0;
        if let ([length], [part]) = (lengths.as_mut_slice(), self.scope.parts.as_slice()) {
            let selection = &part.what.selection;
            let ids = part.asked.in_order(selection, &self.query, self.sort);
            let found = ids.await?.len() as u64;
            gone = length.saturating_sub(found);
            *length = found;
        }
        let mut reads = Vec::new();
        for (part, range) in windows(&lengths, slice) {
            let part = order[part];
            let (query, sort) = (self.query.clone(), self.sort);
            let asked = self.scope.parts[part].asked.clone();
            let selection = self.scope.parts[part].what.selection.clone();
            reads.push((part, async move {
                let ids = asked.in_order(&selection, &query, sort).await?;
                let shown_ids = &ids[range.start.min(ids.len())..range.end.min(ids.len())];
                let users = asked
                    .users(&of_ids(shown_ids.iter().copied().collect()))
                    .await?;
                let shown = asked.listed(shown_ids.iter().filter_map(|id| users.get(id)));
                Ok((range.len() as u64, shown))
            }));
        }
        let answers = self.scope.answers(reads).await?;
        let searched = self.query.q.is_some();
        let mut page = self.empty_page();
        page.total = lengths.iter().sum();
        page.asked = gone;
        for (_, (asked, users)) in answers {
            page.asked += asked;
            page.users.extend(users);
        }
        let shown = page.users.len() as u64;
        page.not_visible = (!searched).then(|| page.asked.saturating_sub(shown));
        Ok(page)
    }
}

/// Rows of each part on a page, of parts of these lengths.
fn windows(lengths: &[u64], slice: Slice) -> Vec<(usize, Range<usize>)> {
    let rows = u64::from(slice.per_page);
    let first = rows.saturating_mul(u64::from(slice.page - 1));
    let mut before = 0_u64;
    let mut found = Vec::new();
    for (part, length) in lengths.iter().enumerate() {
        let from = first.saturating_sub(before).min(*length);
        let to = (first.saturating_add(rows))
            .saturating_sub(before)
            .min(*length);
        if from < to {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            found.push((part, place(from)..place(to)));
        }
        before += length;
    }
    found
}

impl Person {
    /// Returns true if name or login contains a text, in upper or lower case.
    fn holds(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.name, &self.login]
            .into_iter()
            .any(|it| it.to_lowercase().contains(&text))
    }
}

impl SortUsers {
    /// The stored field by which Odoo sorts.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::Target | Self::Id => Some("id"),
            Self::Name => Some("name"),
            Self::Login => Some("login"),
            Self::Created => Some("create_date"),
            Self::LastLogin => None,
        }
    }
}

impl Asked {
    fn selection(&self, query: &UsersQuery) -> Result<Selection, Refused> {
        let (filter, roster) = (query.filter(), &self.roster);
        let Some(kind) = query.finding else {
            return Ok(roster.people(&filter)?);
        };
        let findings = self.snapshot.case().map(|case| findings(&case));
        let about = |it: &&Finding| {
            let subject = query.subject.is_none() || it.subject == query.subject;
            it.kind == kind && subject
        };
        let ids = findings
            .iter()
            .flatten()
            .filter(about)
            .fold(IdSet::new(), |all, it| all | &it.people);
        Ok(roster.narrow(of_ids(ids), &filter)?)
    }

    /// The ids of a list: known ones by id, others as Odoo sorted them, a moment ago if it was the same list.
    async fn in_order(
        &self,
        selection: &Selection,
        query: &UsersQuery,
        sort: SortUsers,
    ) -> Result<Arc<[u32]>, Refused> {
        let descending = query.order() == Direction::Desc;
        let by_id = sort.field() == Some("id") && query.q.is_none();
        if by_id && selection.portal_except.is_none() {
            let mut ids: Vec<u32> = selection.ids.iter().collect();
            if descending {
                ids.reverse();
            }
            return Ok(ids.into());
        }
        let query = UsersQuery {
            page: None,
            per_page: None,
            ..query.clone()
        };
        let as_of = self.roster.facts.now;
        let again = |list: &&LastList| {
            list.query == query && list.as_of == as_of && list.at.elapsed() < LISTED_FOR
        };
        if let Some(list) = self.last().as_ref().filter(again) {
            return Ok(Arc::clone(&list.ids));
        }
        let order = Ordered {
            by: sort.field().unwrap_or("id"),
            descending,
            search: query.q.as_deref(),
        };
        let transport = self.transport()?;
        let ids = ordered(&transport, &self.roster, selection, &order);
        let ids: Arc<[u32]> = self.within(ids).await?.into();
        *self.last() = Some(LastList {
            ids: Arc::clone(&ids),
            query,
            as_of,
            at: Instant::now(),
        });
        Ok(ids)
    }

    /// Details of these users, in their order.
    fn listed<'a>(&self, users: impl Iterator<Item = &'a Person>) -> Vec<Listed> {
        let keys = self.roster.keys(KeyState::Working).ok().map(|keys| {
            let mut owned: HashMap<u32, u64> = HashMap::new();
            for key in keys {
                *owned.entry(key.owner).or_default() += 1;
            }
            owned
        });
        users
            .map(|user| self.describe(user, keys.as_ref()))
            .collect()
    }

    fn describe(&self, person: &Person, keys: Option<&HashMap<u32, u64>>) -> Listed {
        let (roster, facts, id) = (&self.roster, &self.roster.facts, person.id);
        let among = |people: Option<&IdSet>| people.map(|people| people.contains(id));
        let either = |a: Option<bool>, b: Option<bool>| Some(a? || b?);
        let user_type = roster.type_of(id, person.active);
        Listed {
            target: self.name().to_owned(),
            id,
            url: self.form(id),
            name: person.name.clone(),
            login: person.login.clone(),
            active: person.active,
            user_type,
            protected: user_type.and_then(|_| roster.is_covered(id)),
            exempt: roster.exempt_reason(id),
            totp: among(facts.totp.complete()),
            passkey: among(facts.passkey.complete()),
            sso: either(among(facts.oauth.complete()), among(facts.saml.complete())),
            in_grace: facts.recent.contains(id),
            dormant: user_type.and_then(|_| Some(!among(facts.awake.complete())?)),
            roles: roster.roles_of(id).into_iter().map(str::to_owned).collect(),
            api_keys: keys.map(|keys| keys.get(&id).copied().unwrap_or(0)),
            created: person.created,
            last_login: person.last_login,
        }
    }
}

impl Row<19> for Listed {
    const HEADER: [&'static str; 19] = [
        "target",
        "id",
        "name",
        "login",
        "user_type",
        "active",
        "protected",
        "exempt",
        "totp",
        "passkey",
        "sso",
        "in_grace",
        "dormant",
        "roles",
        "api_keys",
        "created",
        "last_login",
        "url",
        "error",
    ];

    fn cells(&self) -> [String; 19] {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        [
            self.target.clone(),
            self.id.to_string(),
            self.name.clone(),
            self.login.clone(),
            self.user_type.map(|it| it.to_string()).unwrap_or_default(),
            yes_or_no(Some(self.active)),
            yes_or_no(self.protected),
            self.exempt.map(|it| it.to_string()).unwrap_or_default(),
            yes_or_no(self.totp),
            yes_or_no(self.passkey),
            yes_or_no(self.sso),
            yes_or_no(Some(self.in_grace)),
            yes_or_no(self.dormant),
            self.roles.join(" "),
            self.api_keys.map(|it| it.to_string()).unwrap_or_default(),
            time(self.created),
            time(self.last_login),
            self.url.clone(),
            String::new(),
        ]
    }
}
