//! Lists of users.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use futures::Stream;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::csv::{self, Row, yes_or_no};
use super::query::{Direction, PeopleQuery};
use super::{Asked, Directory, LISTED_FOR, LastList, Refused};
use crate::domain::finding::{Finding, findings};
use crate::domain::roster::{KeyState, Selection};
use crate::domain::{ExemptReason, IdSet, UserType};
use crate::odoo::directory::{Ordered, Person, SortPeople, ordered};
use crate::web::paging::Slice;

/// A part of a list of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PeoplePage {
    /// Time at which the poll started that decides the states.
    pub as_of: Timestamp,
    /// Number of users in that poll, independent of the search: the number that the list explains.
    pub counted: u64,
    /// Number of users that Odoo finds now, with the search. Without one it differs from `counted` only if accounts were created or deleted since the poll.
    pub total: u64,
    /// Number of this page.
    #[serde(flatten)]
    pub slice: Slice,
    /// This part of it.
    pub people: Vec<Listed>,
}

/// A user. `null` values are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// `res.users` id.
    pub id: u32,
    /// Name of the user.
    pub name: String,
    /// Login of the user.
    pub login: String,
    /// The user's form in Odoo.
    pub url: String,
    /// True if the account is active now; other values are as of the poll.
    pub active: bool,
    /// The type; `null` for most users whose account is archived.
    pub user_type: Option<UserType>,
    /// True if the user has an accepted factor; `null` if the type is `null`, too.
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
    /// Number of active API keys of the user.
    pub api_keys: Option<u64>,
    /// Creation time of the account.
    pub created: Option<Timestamp>,
    /// The newest login with a password.
    pub last_login: Option<Timestamp>,
}

impl Directory {
    /// A page of a list of users: two requests to Odoo, however long the list, and one for its other pages in the next minute.
    ///
    /// # Errors
    /// If the list would be incomplete, or Odoo does not answer.
    pub async fn people(&self, target: &str, query: &PeopleQuery) -> Result<PeoplePage, Refused> {
        let asked = self.ask(target)?;
        let selection = asked.selection(query)?;
        let ids = asked.in_order(&selection, query).await?;
        let slice = query.slice();
        let shown = slice.of(&ids);
        Ok(PeoplePage {
            as_of: asked.roster.facts.now,
            counted: asked.roster.count(&selection),
            total: ids.len() as u64,
            slice,
            people: asked.listed(shown).await?,
        })
    }

    /// A whole list of users as CSV; an error within it means that it is not whole.
    ///
    /// # Errors
    /// If the list would be incomplete, or Odoo does not answer.
    pub async fn people_csv(
        &self,
        target: &str,
        query: &PeopleQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, Refused>> + use<>, Refused> {
        let asked = self.ask(target)?;
        let ids = asked.in_order(&asked.selection(query)?, query).await?;
        Ok(csv::file::<Listed, _>(asked, &ids))
    }
}

impl Asked {
    fn selection(&self, query: &PeopleQuery) -> Result<Selection, Refused> {
        let (wanted, roster) = (query.filter(), &self.roster);
        let Some(kind) = query.finding else {
            return Ok(roster.people(&wanted)?);
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
        let concerned = Selection {
            ids,
            portal_except: None,
        };
        Ok(roster.narrow(concerned, &wanted)?)
    }

    /// The ids of a list: those that were sorted a moment ago, if it was the same one.
    async fn in_order(
        &self,
        selection: &Selection,
        query: &PeopleQuery,
    ) -> Result<Arc<[u32]>, Refused> {
        let query = PeopleQuery {
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
            by: query.sort.unwrap_or(SortPeople::Name),
            descending: query.order == Some(Direction::Desc),
            search: query.q.as_deref(),
        };
        let ids = ordered(&self.transport, &self.roster, selection, &order);
        let ids: Arc<[u32]> = self.within(ids).await?.into();
        *self.last() = Some(LastList {
            ids: Arc::clone(&ids),
            query,
            as_of,
            at: Instant::now(),
        });
        Ok(ids)
    }

    /// Rows of these users, in their order; users who were just deleted are left out.
    async fn listed(&self, ids: &[u32]) -> Result<Vec<Listed>, Refused> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.names(&ids.iter().copied().collect()).await?;
        let keys = self.roster.keys(KeyState::Working).ok().map(|keys| {
            let mut owned: HashMap<u32, u64> = HashMap::new();
            for key in keys {
                *owned.entry(key.owner).or_default() += 1;
            }
            owned
        });
        let people = ids.iter().filter_map(|id| rows.remove(id));
        Ok(people
            .map(|person| self.describe(person, keys.as_ref()))
            .collect())
    }

    fn describe(&self, person: Person, keys: Option<&HashMap<u32, u64>>) -> Listed {
        let (roster, facts, id) = (&self.roster, &self.roster.facts, person.id);
        let among = |people: Option<&IdSet>| people.map(|people| people.contains(id));
        let either = |a: Option<bool>, b: Option<bool>| Some(a? || b?);
        let user_type = roster.type_of(id, person.active);
        Listed {
            id,
            url: self.form(id),
            name: person.name,
            login: person.login,
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

impl Row<17> for Listed {
    type Of = u32;

    const HEADER: [&'static str; 17] = [
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
    ];

    fn cells(&self) -> [String; 17] {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        [
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
        ]
    }

    async fn read(asked: &Asked, some: &[u32]) -> Result<Vec<Self>, Refused> {
        asked.listed(some).await
    }
}
