//! Questions about `res.users`: the vocabulary of domains, and the sets, counts and rows that answer them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::MutexGuard;

use serde::de::{self, DeserializeOwned, IgnoredAny, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::accounts::{Accounts, Own, websites};
use super::{Question, companion, groups, proof};
use crate::domain::IdSet;
use crate::domain::facts::{Gap, Known};
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::{Groups, in_groups};
use crate::odoo::reply::Reply;
pub(super) use crate::odoo::reply::{Row, row};
use crate::odoo::session::Session;
use crate::odoo::transport::Transport;

/// Number of ids in one request: 3.5 MB.
const IDS_PAGE: usize = 500_000;

/// Number of rows in one request: with 100 groups each, half of the limit of a reply.
pub(super) const ROWS_PAGE: usize = 5_000;

/// The most pages of one question: of five million rows.
const PAGES: usize = 1_000;

/// Of more users than this, a poll sends two requests at a time.
const MANY: u64 = 20_000;

/// Fields of `res.users` that some version or module lacks. `fields_get` leaves out what it does not know; asking for an unknown field
/// otherwise writes a traceback into Odoo's log.
pub(super) const FIELDS: &[&str] = &[
    companion::MARKER,
    "all_group_ids",
    "api_key_ids",
    "auth_passkey_key_ids",
    "group_ids",
    "groups_id",
    "log_ids",
    "login_date",
    "oauth_provider_id",
    "oauth_uid",
    "saml_ids",
    "totp_enabled",
    "totp_trusted_device_ids",
    "website_id",
];

/// The field with the explicit groups of a user, and whether these imply others. Up to 18 implied groups are stored as
/// members; from 19 on only explicit ones are, and groups know their implications.
pub(super) fn group_field(session: &Session) -> (&'static str, bool) {
    let implied = session.has("all_group_ids");
    (if implied { "group_ids" } else { "groups_id" }, implied)
}

/// Before this release Odoo caches which companies' records an account may see, and keeps the cache when a company is added to the account or
/// removed from it. A call that names the companies does not use the cache.
const COMPANIES_OF_RULES: (u32, u32) = (16, 0);

/// A domain: a list of leaves that must all hold.
pub(in crate::odoo) type Domain = Vec<Value>;

/// `res.users` as one poll sees it.
pub(super) struct Users<'a> {
    pub(super) transport: &'a Transport,
    pub(super) session: &'a Session,
    pub(super) question: &'a Question<'a>,
    pub(super) groups: Groups,
    /// Why groups are not completely known, if they are not.
    pub(super) groups_gap: Option<Gap>,
    /// The field with the explicit groups of a user.
    pub(super) group_field: &'static str,
    /// True if groups imply others that are not stored as members: from 19 on.
    pub(super) groups_imply: bool,
    /// The account, and the accounts that stand for no user.
    pub(super) accounts: Accounts,
    /// Number of users up to the highest id, accounts that stand for no user included.
    count: u64,
    /// The highest id of this poll: users who are created while it reads are in no part of it.
    pub(super) highest: u32,
    /// Archived users: read once, so that no user is active in one part of a poll and archived in another.
    pub(super) archived: IdSet,
}

impl<'a> Users<'a> {
    /// Finds out what to request, and proves that the account sees all users.
    pub(super) async fn open(
        transport: &'a Transport,
        session: &'a mut Session,
        question: &'a Question<'a>,
    ) -> Result<Self, Error> {
        session.companies = None;
        let (group_field, groups_imply) = group_field(session);
        let groups = groups::read(transport, session, question, groups_imply)
            .await
            .map_err(access)?;
        let websites = websites(transport, session).await.map_err(access)?;
        let accounts = Accounts::read(transport, session, &groups, &websites)
            .await
            .map_err(access)?;
        in_all_companies(accounts.own.companies.len(), accounts.own.companies_count)?;
        session.pseudo = accounts.nobody.iter().collect();
        if session.server.release < COMPANIES_OF_RULES {
            session.companies = Some(accounts.own.companies.clone());
        }
        let mut users = Self {
            transport,
            session,
            question,
            groups,
            groups_gap: None,
            group_field,
            groups_imply,
            accounts,
            count: 0,
            highest: 0,
            archived: IdSet::new(),
        };
        (users.count, users.highest) = users.prove_users().await?;
        users.prove_websites(&websites).await?;
        users.groups_gap = users.prove_groups().await?;
        users.archived = users.ids(vec![json!(["active", "=", false])]).await?;
        Ok(users)
    }

    /// Returns true if the account still sees the same users, and is allowed in the same companies, as when the poll started.
    pub(super) async fn still_see_everybody(&self) -> Result<bool, Error> {
        let count = self
            .visible_count(vec![json!(["id", "<=", self.highest])])
            .await?;
        let companies = Own::companies(self.transport, self.session)
            .await
            .map_err(access)?;
        let same = count == self.count && companies == self.accounts.own.companies_now();
        if !same {
            self.forget_proof_of_users();
        }
        Ok(same)
    }

    /// Results of earlier polls.
    pub(super) fn learned(&self) -> MutexGuard<'_, proof::Inner> {
        self.session.learned.lock()
    }

    /// Returns true if `res.users` has a field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.session.has(field)
    }

    /// Returns true if Odoo obeys a domain with the field. Odoo 14 ignores one with `totp_enabled`, without an error.
    pub(super) fn can_search(&self, field: &str) -> bool {
        self.session.can_search(field)
    }

    /// Calls a method as the polling account. `what` is the name of the reply in an error.
    pub(super) async fn call<T: Reply>(&self, method: Call, what: &str) -> Result<T, Error> {
        self.session.call(self.transport, method, what).await
    }

    /// Users in one of these groups, or in one that implies one of them.
    pub(super) fn in_any<'x>(&self, xml_ids: impl IntoIterator<Item = &'x str>) -> Value {
        in_groups(self.group_field, &self.groups.members_of_any(xml_ids))
    }

    /// Users in none of these groups, nor in one that implies one of them.
    pub(super) fn not_in_any<'x>(&self, xml_ids: impl IntoIterator<Item = &'x str>) -> Value {
        json!([
            self.group_field,
            "not in",
            self.groups.members_of_any(xml_ids)
        ])
    }

    /// Ids of active users for whom the domain holds.
    pub(super) async fn active(&self, domain: Domain) -> Result<IdSet, Error> {
        Ok(self.ids(domain).await? - &self.archived)
    }

    /// Ids of users, active and archived, for whom the domain holds.
    pub(super) async fn ids(&self, domain: Domain) -> Result<IdSet, Error> {
        let mut all = self.is_person();
        all.extend(domain);
        self.visible_ids("res.users", all).await
    }

    /// Ids of all visible records of a model for which the domain holds.
    pub(super) async fn visible_ids(
        &self,
        model: &'static str,
        domain: Domain,
    ) -> Result<IdSet, Error> {
        let mut all = IdSet::new();
        for _ in 0..PAGES {
            let mut page = domain.clone();
            if let Some(last) = all.max() {
                page.push(json!(["id", ">", last]));
            }
            let call = Call::new(model, "search")
                .arg("domain", page)
                .named("order", "id")
                .named("limit", IDS_PAGE)
                .with_archived();
            let ids: IdSet = self.call(call, "ids").await?;
            rises(all.max(), ids.min(), model)?;
            let full = ids.len() >= IDS_PAGE as u64;
            all |= ids;
            if !full {
                return Ok(all);
            }
        }
        Err(too_many(model))
    }

    /// Number of users, active and archived, for whom the domain holds.
    pub(super) async fn count(&self, domain: Domain) -> Result<u64, Error> {
        let mut all = self.is_person();
        all.extend(domain);
        let call = Call::new("res.users", "search_count")
            .arg("domain", all)
            .with_archived();
        let count: u32 = self.call(call, "a count of users").await?;
        Ok(count.into())
    }

    /// A domain that holds for all users of this poll, active and archived.
    fn is_person(&self) -> Domain {
        vec![
            json!(["id", "not in", self.session.pseudo]),
            json!(["id", "<=", self.highest]),
        ]
    }

    /// Number of users of this poll, active and archived.
    pub(super) fn users(&self) -> u64 {
        self.count - self.accounts.nobody.len()
    }

    /// Returns true if questions about all users are worth a second connection.
    pub(super) fn are_many(&self) -> bool {
        self.count > MANY
    }

    /// Returns true if an id is a user of this poll.
    pub(super) fn is_user(&self, id: u32) -> bool {
        id <= self.highest && !self.accounts.nobody.contains(id)
    }

    /// Rows of users, active and archived, for whom the domain holds.
    pub(super) async fn people_rows<T: Row + DeserializeOwned + Send + 'static>(
        &self,
        domain: Domain,
        fields: &[&str],
    ) -> Result<Vec<T>, Error> {
        let mut all = self.is_person();
        all.extend(domain);
        self.rows("res.users", all, fields).await
    }

    /// Rows of any model, all of them, in the order of their ids.
    pub(super) async fn rows<T: Row + DeserializeOwned + Send + 'static>(
        &self,
        model: &'static str,
        domain: Domain,
        fields: &[&str],
    ) -> Result<Vec<T>, Error> {
        self.pages(model, domain, fields, ROWS_PAGE).await
    }

    /// The same, `limit` of them in one request.
    pub(super) async fn pages<T: Row + DeserializeOwned + Send + 'static>(
        &self,
        model: &'static str,
        domain: Domain,
        fields: &[&str],
        limit: usize,
    ) -> Result<Vec<T>, Error> {
        let mut rows: Vec<T> = Vec::new();
        for _ in 0..PAGES {
            let mut page = domain.clone();
            if let Some(last) = rows.last() {
                page.push(json!(["id", ">", last.id()]));
            }
            let mut call = Call::new(model, "search_read")
                .arg("domain", page)
                .named("fields", fields)
                .named("order", "id")
                .named("limit", limit)
                .with_archived();
            // Spares Odoo the names of related records; 14 does not know the argument.
            if self.session.server.release >= (15, 0) {
                call = call.named("load", Value::Null);
            }
            let mut got: Vec<T> = self.call(call, model).await?;
            rises(rows.last().map(T::id), got.first().map(T::id), model)?;
            let full = got.len() >= limit;
            rows.append(&mut got);
            if !full {
                return Ok(rows);
            }
        }
        Err(too_many(model))
    }
}

/// Fails where a page begins with what the page before had: it would never end.
fn rises(last: Option<u32>, first: Option<u32>, model: &str) -> Result<(), Error> {
    match (last, first) {
        (Some(last), Some(first)) if first <= last => Err(Error::new(
            Kind::Unexpected,
            format!("Odoo returns ids of the previous page of {model}"),
        )),
        _ => Ok(()),
    }
}

fn too_many(model: &str) -> Error {
    Error::new(
        Kind::TooLarge,
        format!("there are more than {PAGES} pages of {model}"),
    )
}

/// Fails where Odoo hides the users of some companies.
pub(super) fn in_all_companies(allowed: usize, all: usize) -> Result<(), Error> {
    if allowed < all {
        return Err(Error::new(
            Kind::Incomplete,
            format!(
                "the polling account is allowed in {allowed} of {all} companies, so users of the others are hidden"
            ),
        )
        .hint("add all companies to the account's allowed companies, and each new one"));
    }
    Ok(())
}

/// A many2one: an id, or a pair of an id and a name where names were not declined.
#[derive(Clone, Copy)]
pub(super) struct Many2one(u32);

impl Many2one {
    /// The id.
    pub(super) fn id(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Many2one {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdOrPair;

        impl<'de> Visitor<'de> for IdOrPair {
            type Value = Many2one;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id, or a pair of an id and a name")
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Many2one, E> {
                u32::deserialize(id.into_deserializer()).map(Many2one)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, pair: A) -> Result<Many2one, A::Error> {
                let pair = de::value::SeqAccessDeserializer::new(pair);
                let (id, IgnoredAny) = Deserialize::deserialize(pair)?;
                Ok(Many2one(id))
            }
        }

        deserializer.deserialize_any(IdOrPair)
    }
}

/// Text, or a value that is stored as text; Odoo returns `false` for an empty field of any type.
pub(in crate::odoo) fn unless_false<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct TextOrFalse<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrFalse<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or `false`")
        }

        fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
            if value {
                return Err(E::invalid_type(Unexpected::Bool(value), &self));
            }
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            T::deserialize(text.into_deserializer()).map(Some)
        }
    }

    deserializer.deserialize_any(TextOrFalse(PhantomData))
}

/// A leaf that holds for users with TOTP. The only one there may be: 19.0 answers `= False` with the same users.
pub(super) fn totp() -> Value {
    json!(["totp_enabled", "=", true])
}

/// A leaf that holds where a field is set. On a one2many it is not filtered by record rules.
pub(super) fn is_set(field: &str) -> Value {
    json!([field, "!=", false])
}

/// A domain that holds where one of several leaves does.
pub(in crate::odoo) fn any(leaves: Vec<Value>) -> Domain {
    let mut domain: Domain = vec![json!("|"); leaves.len().saturating_sub(1)];
    domain.extend(leaves);
    domain
}

/// Turns a refusal of what every poll needs into one that says what to grant. Odoo's own text, which may hold names, is not passed on.
fn access(error: Error) -> Error {
    match error.kind {
        Kind::Forbidden => Error::new(
            Kind::Incomplete,
            "Odoo refuses to let the polling account read users, groups or websites",
        )
        .hint("the polling account must be an internal user (base.group_user) in all companies"),
        _ => error,
    }
}

/// A fact whose question was refused is missing; any other failure fails the poll. Odoo's own text, which may hold names, is not passed on.
pub(super) fn unless_forbidden<T>(
    result: Result<T, Error>,
    what: &str,
    grant: &'static str,
) -> Result<Known<T>, Error> {
    match result {
        Ok(fact) => Ok(Known::Complete(fact)),
        Err(error) if error.kind == Kind::Forbidden => Ok(Known::Missing(Gap {
            seen: format!("Odoo refuses to let the account read {what}"),
            grant,
        })),
        Err(error) => Err(error),
    }
}
