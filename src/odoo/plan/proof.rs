//! The proof that Odoo hides no user, group, API key, trusted device or website from the polling account.
//!
//! Odoo leaves out rows without an error: record rules of any module, companies, contacts of type Private, a module that filters searches. So
//! the ids that a search leaves out between 1 and beyond the highest one (the *gaps*) are proven not to exist:
//!
//! - Up to 18 `exists` ignores record rules and answers every account: it must answer no id.
//! - From 19 on `exists` is private. `read(['id'])` answers missing ids and refuses existing ones that a rule hides; and for users, whom a module may hide
//!   from searching alone, no contact and no group may have a user among the gaps.
//! - A key or a device has an owner: no user may own one among the gaps. A domain over a one2many is not filtered by the rules of its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::users::{Domain, Row, Users, row};
use crate::domain::IdSet;
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};

/// A proof of all ids holds this long. In between, only what changed is proven.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// How far beyond the highest visible id gaps reach.
const REACH: u32 = 1_000;

/// How many gaps a session's first proof of users asks about at least: the newest users may all be hidden.
const FIRST: u32 = 50_000;

/// More ids that are not visible are not proven.
const MOST: u64 = 5_000_000;

/// How many ids one request asks about.
const CHUNK: usize = 50_000;

/// How many ids one request reads: each comes back as a row.
const ROWS: usize = 10_000;

/// How many ids of hidden users a message names.
const NAMED: usize = 10;

/// What every poll learns for the next ones of its session.
#[derive(Debug, Clone, Default)]
pub(in crate::odoo) struct Learned(Arc<Mutex<Inner>>);

/// See [`Learned`].
#[derive(Debug, Default)]
pub(super) struct Inner {
    /// The proof of users.
    users: Option<Visible>,
    /// The proofs of other models.
    rows: BTreeMap<&'static str, (Timestamp, IdSet)>,
    /// What reading `totp_enabled` has answered.
    pub(super) totp: Verified,
    /// Whether the settings have the e-mail code policy, with these modules.
    pub(super) policy: Option<(BTreeSet<String>, bool)>,
    /// XML ids that `check_object_reference` did not find, and when. Each question writes a traceback into Odoo's log.
    pub(super) unknown_xml_ids: BTreeMap<String, Timestamp>,
}

/// Users as the last proof saw them.
#[derive(Debug, Clone, Copy)]
struct Visible {
    /// When all gaps were last proven.
    at: Timestamp,
    /// How many users are visible, accounts that are nobody included.
    count: u64,
    /// The highest visible id.
    highest: u32,
}

/// Whether users who are found by `totp_enabled = True` hold a secret.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// Read as True.
    pub(super) on: IdSet,
    /// Read as False: the stored secret is empty.
    pub(super) off: IdSet,
    /// The last id of the slice that was read again.
    pub(super) cursor: u32,
}

impl Learned {
    /// What was learned.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that was learned then is still good now.
pub(super) fn is_fresh(then: Timestamp, now: Timestamp) -> bool {
    then <= now && now.duration_since(then) < FRESH
}

#[derive(Deserialize)]
struct IdRow {
    id: u32,
}
row!(IdRow);

/// Records that exist and are hidden.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Hidden {
    /// At least so many.
    pub(super) count: u64,
    /// Their ids, where the proof tells them.
    pub(super) ids: IdSet,
}

impl Hidden {
    /// `3 users`, for a message.
    pub(super) fn counted(&self, one: &str, several: &str) -> String {
        let least = if self.ids.is_empty() { "at least " } else { "" };
        match self.count {
            1 => format!("{least}1 {one}"),
            count => format!("{least}{count} {several}"),
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.ids |= other.ids;
    }
}

/// The ids of a range that are not visible.
///
/// # Errors
/// [`Kind::Incomplete`] if there are more than [`MOST`]: one far id would cost memory and requests without end.
fn gaps(range: RangeInclusive<u32>, visible: &IdSet) -> Result<IdSet, Error> {
    let length = u64::from(*range.end()).saturating_sub(u64::from(*range.start()));
    if length > MOST + visible.range_cardinality(range.clone()) {
        return Err(Error::new(
            Kind::Incomplete,
            format!(
                "more than {MOST} ids are not visible: too many to prove that no record is hidden"
            ),
        )
        .hint(
            "install the module mfa_auditor_use (docs/odoo-addons.md), which needs no such proof",
        ));
    }
    let mut gaps = IdSet::new();
    gaps.insert_range(range);
    Ok(gaps - visible)
}

/// The ids, as many at a time as one request asks about.
fn chunks(ids: &IdSet) -> impl Iterator<Item = Vec<u32>> {
    let mut ids = ids.iter();
    std::iter::from_fn(move || {
        let chunk: Vec<u32> = ids.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

impl Users<'_> {
    /// Proves that no user is hidden, and answers how many there are and the highest id: what this poll reads are users up to that one.
    ///
    /// # Errors
    /// [`Kind::Incomplete`] if a user is hidden, or if this Odoo gives no proof.
    pub(super) async fn prove_users(&self) -> Result<(u64, u32), Error> {
        let now = self.question.now;
        let before = self.learned().users.take();
        let seen = match before.filter(|before| is_fresh(before.at, now)) {
            Some(before) => self.prove_new_users(before).await?,
            None => None,
        };
        let seen = match seen {
            Some(seen) => seen,
            None => {
                let least = if before.is_some() { 0 } else { FIRST };
                self.prove_all_users(least).await?
            }
        };
        self.learned().users = Some(seen);
        Ok((seen.count, seen.highest))
    }

    /// Proves all gaps again in the next poll.
    pub(super) fn forget_proof_of_users(&self) {
        if let Some(seen) = &mut self.learned().users {
            seen.at = Timestamp::MIN;
        }
    }

    /// The proof between two full ones: no user of the last one has vanished, and no user beyond the highest id is hidden. `None` if one has vanished.
    async fn prove_new_users(&self, before: Visible) -> Result<Option<Visible>, Error> {
        let count = self.visible_count(Vec::new()).await?;
        let Some(grown) = count.checked_sub(before.count) else {
            return Ok(None);
        };
        let new = if grown > 0 {
            let beyond = vec![json!(["id", ">", before.highest])];
            self.visible_ids("res.users", beyond).await?
        } else {
            IdSet::new()
        };
        if new.len() != grown {
            return Ok(None);
        }
        let highest = new.max().unwrap_or(before.highest);
        let beyond = before.highest.saturating_add(1)..=highest.saturating_add(REACH);
        self.none_hidden(gaps(beyond, &new)?, false).await?;
        Ok(Some(Visible {
            at: before.at,
            count,
            highest,
        }))
    }

    async fn prove_all_users(&self, least: u32) -> Result<Visible, Error> {
        let visible = self.visible_ids("res.users", Vec::new()).await?;
        let highest = visible.max().unwrap_or_default();
        let reached = highest.saturating_add(REACH);
        let mut gaps = gaps(1..=reached, &visible)?;
        let spare = u64::from(least).saturating_sub(gaps.len());
        let spare = u32::try_from(spare).unwrap_or_default();
        gaps.insert_range(reached.saturating_add(1)..=reached.saturating_add(spare));
        self.none_hidden(gaps, true).await?;
        Ok(Visible {
            at: self.question.now,
            count: visible.len(),
            highest,
        })
    }

    async fn none_hidden(&self, gaps: IdSet, thoroughly: bool) -> Result<(), Error> {
        match self.hidden("res.users", gaps, thoroughly).await? {
            None => Ok(()),
            Some(hidden) => Err(hidden_users(&hidden)),
        }
    }

    /// Proves that no row of a model is hidden, of which these are visible.
    ///
    /// # Errors
    /// When the server fails, or if this Odoo gives no proof.
    pub(super) async fn prove_rows(
        &self,
        model: &'static str,
        visible: &IdSet,
    ) -> Result<Option<Hidden>, Error> {
        let gaps = self.unproven(model, visible, 0)?;
        let hidden = match gaps {
            gaps if gaps.is_empty() => None,
            gaps => self.hidden(model, gaps, false).await?,
        };
        if hidden.is_none() {
            self.proven(model, visible);
        }
        Ok(hidden)
    }

    /// How many users own rows that are hidden: `field` of `res.users` has a user's rows, of which these are visible.
    ///
    /// # Errors
    /// When the server fails.
    pub(super) async fn owners_of_hidden(
        &self,
        field: &'static str,
        visible: &IdSet,
    ) -> Result<u64, Error> {
        let mut owners = 0;
        for gaps in chunks(&self.unproven(field, visible, REACH)?) {
            owners += self.count(vec![json!([field, "in", gaps])]).await?;
        }
        if owners == 0 {
            self.proven(field, visible);
        }
        Ok(owners)
    }

    /// The gaps that no proof of the last hour covers, reaching so far beyond the highest id.
    fn unproven(&self, what: &'static str, visible: &IdSet, reach: u32) -> Result<IdSet, Error> {
        let highest = visible.max().unwrap_or_default();
        let learned = self.learned();
        match learned.rows.get(what) {
            Some((at, seen)) if is_fresh(*at, self.question.now) => {
                let before = seen.max().unwrap_or_default();
                let beyond = before.min(highest).saturating_add(1)..=highest.saturating_add(reach);
                Ok(gaps(beyond, visible)? | (seen - visible))
            }
            _ => gaps(1..=highest.saturating_add(REACH), visible),
        }
    }

    fn proven(&self, what: &'static str, visible: &IdSet) {
        let now = self.question.now;
        let mut learned = self.learned();
        let (at, seen) = learned.rows.entry(what).or_default();
        if !is_fresh(*at, now) {
            *at = now;
        }
        seen.clone_from(visible);
    }

    /// Which of the gaps exist. What was created since the search that left the gaps is visible by now, and is none.
    async fn hidden(
        &self,
        model: &'static str,
        gaps: IdSet,
        thoroughly: bool,
    ) -> Result<Option<Hidden>, Error> {
        let mut all = Hidden::default();
        for chunk in chunks(&gaps) {
            if self.existing(model, &chunk, thoroughly).await?.is_none() {
                continue;
            }
            let seen = self
                .visible_ids(model, vec![json!(["id", "in", chunk])])
                .await?;
            let rest: Vec<u32> = chunk
                .iter()
                .copied()
                .filter(|id| !seen.contains(*id))
                .collect();
            if let Some(hidden) = self.existing(model, &rest, thoroughly).await? {
                all.add(hidden);
            }
        }
        Ok((all.count > 0).then_some(all))
    }

    /// Returns which of these ids exist, visible to the account or not.
    async fn existing(
        &self,
        model: &'static str,
        ids: &[u32],
        thoroughly: bool,
    ) -> Result<Option<Hidden>, Error> {
        if ids.is_empty() {
            return Ok(None);
        }
        if self.session.exists_is_public {
            let call = Call::new(model, "exists").arg("ids", ids);
            let found: IdSet = self.call(call, "ids that exist").await?;
            return Ok((!found.is_empty()).then(|| Hidden {
                count: found.len(),
                ids: found,
            }));
        }
        let mut refused = false;
        for ids in ids.chunks(ROWS) {
            refused |= self.refused(model, ids).await?;
        }
        let linked = if model == "res.users" && (thoroughly || refused) {
            let contacts = self.with_users("res.partner", "user_ids", ids).await?;
            let groups = self
                .with_users("res.groups", self.members_field(), ids)
                .await?;
            contacts.max(u64::from(groups > 0))
        } else {
            0
        };
        let count = linked.max(u64::from(refused));
        Ok((count > 0).then(|| Hidden {
            count,
            ids: IdSet::new(),
        }))
    }

    /// Returns whether reading these ids is refused: one of them exists.
    async fn refused(&self, model: &'static str, ids: &[u32]) -> Result<bool, Error> {
        let call = Call::new(model, "read")
            .arg("ids", ids)
            .arg("fields", vec!["id"]);
        match self.call::<Vec<IdRow>>(call, "ids").await {
            Ok(rows) if rows.iter().map(Row::id).eq(ids.iter().copied()) => Ok(false),
            Err(error) if error.kind == Kind::Forbidden => Ok(true),
            Ok(_) => Err(no_proof()),
            Err(error) if matches!(error.kind, Kind::NoSuchName | Kind::Unexpected) => {
                Err(no_proof())
            }
            Err(error) => Err(error),
        }
    }

    /// How many records of a model have one of these users.
    async fn with_users(
        &self,
        model: &'static str,
        field: &'static str,
        users: &[u32],
    ) -> Result<u64, Error> {
        let call = Call::new(model, "search_count")
            .arg("domain", [(field, "in", users)])
            .with_archived();
        let count: u32 = self.call(call, "a count of records with users").await?;
        Ok(count.into())
    }

    /// The field of `res.groups` with the users who were put into them.
    fn members_field(&self) -> &'static str {
        if self.groups_imply {
            "user_ids"
        } else {
            "users"
        }
    }

    /// How many users are visible for whom the domain holds, accounts that are nobody included.
    pub(super) async fn visible_count(&self, domain: Domain) -> Result<u64, Error> {
        let call = Call::new("res.users", "search_count")
            .arg("domain", Value::Array(domain))
            .with_archived();
        let count: u32 = self.call(call, "a count of users").await?;
        Ok(count.into())
    }
}

const HIDDEN_USERS: &str = "a record rule on Users or Contacts, a contact of type Private (Odoo 14 to 16), a portal user of an archived company or of no company, or a module \
that filters users. Open Settings > Technical > Record Rules, filter for the models res.users and res.partner, and see docs/odoo-account.md, 'Hidden users'. \
A group with a rule (1, '=', 1) does not override a global rule; the module mfa_auditor_use does";

fn hidden_users(hidden: &Hidden) -> Error {
    let verb = if hidden.count == 1 { "exists" } else { "exist" };
    let ids = match hidden.ids.len() {
        0 => String::new(),
        count => {
            let named: Vec<String> = hidden
                .ids
                .iter()
                .take(NAMED)
                .map(|id| id.to_string())
                .collect();
            let more = if count as usize > NAMED { ", ..." } else { "" };
            format!(" (ids {}{more})", named.join(", "))
        }
    };
    Error::new(
        Kind::Incomplete,
        format!(
            "{} {verb} that Odoo hides from the polling account{ids}",
            hidden.counted("user", "users"),
        ),
    )
    .hint(HIDDEN_USERS)
}

fn no_proof() -> Error {
    Error::new(
        Kind::Incomplete,
        "this Odoo version answers in a way that does not prove that the account sees all users",
    )
    .hint("install the module mfa_auditor_use (docs/odoo-addons.md), which needs no such proof; and report this version")
}
