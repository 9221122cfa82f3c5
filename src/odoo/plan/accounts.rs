//! The polling account itself, and the accounts that stand for no user.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::users::{Many2one, Users, row};
use crate::domain::IdSet;
use crate::domain::facts::Gap;
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::Groups;
use crate::odoo::session::{PUBLIC_USER, Session};
use crate::odoo::transport::Transport;

/// The groups of which one makes a user internal, portal or public.
pub(super) const INTERNAL: &str = "base.group_user";
pub(super) const PORTAL: &str = "base.group_portal";
pub(super) const PUBLIC: &str = "base.group_public";

/// The accounts that a poll reads before it asks about users.
pub(super) struct Accounts {
    /// The polling account.
    pub(super) own: Own,
    /// Accounts that stand for no user: they are archived, and those that anonymous visitors act as are in no group of internal or portal users.
    pub(super) nobody: IdSet,
    /// Accounts that stand for no user and can act as one: users like any other.
    pub(super) well_known_active: IdSet,
    /// All groups of those.
    groups_of_well_known: Vec<(u32, Vec<u32>)>,
}

/// The polling account.
pub(super) struct Own {
    /// All its groups, implied ones included.
    pub(super) groups: Vec<u32>,
    /// The companies that it is allowed in.
    pub(super) companies: Vec<u32>,
    /// Number of companies.
    pub(super) companies_count: usize,
}

#[derive(Deserialize)]
struct AccountRow {
    id: u32,
    active: bool,
    #[serde(alias = "all_group_ids", alias = "groups_id")]
    groups: Vec<u32>,
    company_ids: Vec<u32>,
    companies_count: usize,
}

#[derive(Deserialize)]
struct CompaniesRow {
    id: u32,
    company_ids: Vec<u32>,
    companies_count: usize,
}

/// A website, and whom its anonymous visitors act as.
#[derive(Deserialize)]
pub(super) struct WebsiteRow {
    id: u32,
    #[serde(deserialize_with = "or_false")]
    user_id: Option<Many2one>,
}
row!(AccountRow, CompaniesRow, WebsiteRow);

/// A many2one, or `false` where what it led to was deleted.
fn or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Many2one>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum IdOrFalse {
        Id(Many2one),
        Unset(bool),
    }
    match IdOrFalse::deserialize(deserializer)? {
        IdOrFalse::Id(id) => Ok(Some(id)),
        IdOrFalse::Unset(false) => Ok(None),
        IdOrFalse::Unset(true) => Err(serde::de::Error::custom("expected an id or `false`")),
    }
}

/// The websites; none where that module is not installed.
pub(super) async fn websites(
    transport: &Transport,
    session: &Session,
) -> Result<Vec<WebsiteRow>, Error> {
    if !session.has("website_id") {
        return Ok(Vec::new());
    }
    let call = Call::new("website", "search_read")
        .arg("domain", json!([]))
        .named("fields", vec!["user_id"])
        .named("order", "id")
        .with_archived();
    session.call(transport, call, "websites").await
}

impl Accounts {
    /// Reads them. The field with all groups of a user shows hidden groups too.
    #[expect(
        clippy::too_many_lines,
        reason = "one request, and one check of its rows after the other"
    )]
    pub(super) async fn read(
        transport: &Transport,
        session: &Session,
        groups: &Groups,
        websites: &[WebsiteRow],
    ) -> Result<Self, Error> {
        let of_websites: IdSet = websites
            .iter()
            .filter_map(|row| Some(row.user_id?.id()))
            .collect();
        let used_for_nobody: IdSet =
            session.well_known.keys().copied().collect::<IdSet>() | &of_websites;
        let mut wanted: Vec<u32> = used_for_nobody.iter().collect();
        wanted.push(session.uid);
        let field = all_groups_field(session);
        // Not with `active_test: false`, by which `companies_count` would count archived companies too.
        let call = Call::new("res.users", "search_read")
            .arg(
                "domain",
                json!([["id", "in", wanted], ["active", "in", [true, false]]]),
            )
            .named(
                "fields",
                vec!["active", field, "company_ids", "companies_count"],
            )
            .named("order", "id");
        let rows: Vec<AccountRow> = session
            .call(
                transport,
                call,
                "the polling account and well-known accounts",
            )
            .await?;
        let (Some(internal), Some(portal)) = (groups.id(INTERNAL), groups.id(PORTAL)) else {
            return Err(Error::new(
                Kind::Incomplete,
                "Odoo hides the groups of internal and portal users from the polling account",
            )
            .hint("remove the record rule on Access Groups (res.groups) that hides them"));
        };
        let has_rights =
            |row: &AccountRow| row.groups.contains(&internal) || row.groups.contains(&portal);
        let is_visitor = |row: &AccountRow| {
            of_websites.contains(row.id) || session.well_known.get(&row.id) == Some(&PUBLIC_USER)
        };
        let (well_known_active, nobody) = rows
            .iter()
            .filter(|row| used_for_nobody.contains(row.id))
            .partition::<Vec<_>, _>(|row| row.active || (is_visitor(row) && has_rights(row)));
        let groups_of_well_known: Vec<(u32, Vec<u32>)> = well_known_active
            .iter()
            .map(|row| (row.id, row.groups.clone()))
            .collect();
        let nobody = nobody.iter().map(|row| row.id).collect();
        let own = rows.into_iter().find(|row| row.id == session.uid);
        let Some(own) = own else {
            return Err(Error::new(
                Kind::Unexpected,
                "Odoo does not show the polling account to itself",
            ));
        };
        if !own.groups.contains(&internal) {
            return Err(Error::new(
                Kind::Incomplete,
                "the polling account is not an internal user, so it cannot see all users",
            )
            .hint("make the account an internal user (base.group_user)"));
        }
        Ok(Self {
            own: Own {
                groups: own.groups,
                companies: own.company_ids,
                companies_count: own.companies_count,
            },
            nobody,
            well_known_active: groups_of_well_known.iter().map(|(id, _)| *id).collect(),
            groups_of_well_known,
        })
    }
}

impl Accounts {
    /// Of the accounts that can act as a user, those in one of these groups.
    pub(super) fn well_known_in(&self, groups: &BTreeSet<u32>) -> IdSet {
        let is_in = |of: &[u32]| of.iter().any(|group| groups.contains(group));
        let accounts = self.groups_of_well_known.iter();
        accounts
            .filter(|(_, of)| is_in(of))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// The field of `res.users` with all groups of a user, implied ones included.
pub(super) fn all_groups_field(session: &Session) -> &'static str {
    if session.has("all_group_ids") {
        "all_group_ids"
    } else {
        "groups_id"
    }
}

impl Own {
    /// The companies that it is allowed in now, in order, and how many there are.
    pub(super) async fn companies(
        transport: &Transport,
        session: &Session,
    ) -> Result<(Vec<u32>, usize), Error> {
        let call = Call::new("res.users", "read")
            .arg("ids", vec![session.uid])
            .arg("fields", vec!["company_ids", "companies_count"]);
        // Not within the companies of the beginning: Odoo would refuse one that was removed since.
        let rows: Vec<CompaniesRow> = session
            .call_anywhere(transport, call, "the polling account's companies")
            .await?;
        match rows.into_iter().next() {
            Some(row) => Ok((sorted(row.company_ids), row.companies_count)),
            None => Err(Error::new(
                Kind::Unexpected,
                "Odoo does not show the polling account to itself",
            )),
        }
    }

    /// The same as the poll began with.
    pub(super) fn companies_now(&self) -> (Vec<u32>, usize) {
        (sorted(self.companies.clone()), self.companies_count)
    }
}

fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids
}

impl Users<'_> {
    /// Proves that no website is hidden: its account would count as a user.
    pub(super) async fn prove_websites(&self, websites: &[WebsiteRow]) -> Result<(), Error> {
        if websites.is_empty() {
            return Ok(());
        }
        let visible: IdSet = websites.iter().map(|row| row.id).collect();
        match self.prove_rows("website", &visible).await? {
            None => Ok(()),
            Some(hidden) => Err(Error::new(
                Kind::Incomplete,
                format!(
                    "{} that Odoo hides from the polling account",
                    match hidden.count {
                        1 => "1 website exists".to_owned(),
                        count => format!("{count} websites exist"),
                    }
                ),
            )
            .hint("remove the record rule on Websites (website) that hides them")),
        }
    }

    /// Proves that no group is hidden.
    pub(super) async fn prove_groups(&self) -> Result<Option<Gap>, Error> {
        let visible = self.groups.ids();
        let hidden = self.prove_rows("res.groups", &visible).await?;
        Ok(hidden.map(|hidden| Gap {
            seen: format!(
                "Odoo hides {} from the account",
                hidden.counted("group", "groups")
            ),
            grant: "nothing: remove the record rule on Access Groups (res.groups) that hides them, or install the module mfa_auditor_use",
        }))
    }
}
