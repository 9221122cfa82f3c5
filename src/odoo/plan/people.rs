//! Users, their factors and their types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Question;
use super::accounts::{INTERNAL, PORTAL, PUBLIC, all_groups_field};
use super::settings::Modules;
use super::users::{Users, any, is_set, row, unless_false, unless_forbidden};
use crate::domain::exemption::{Exemption, Matcher};
use crate::domain::facts::{Gap, Known, People, PortalGroups};
use crate::domain::standing::Standing;
use crate::domain::{ExemptReason, Facts, IdSet, Module, PerType};
use crate::odoo::call::Call;
use crate::odoo::date::Date;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::in_groups;
use crate::odoo::session::Session;
use crate::odoo::text::Text;
use crate::odoo::transport::Transport;

const OAUTH_PROVIDERS: &str = "read access to auth.oauth.provider, or the module mfa_auditor_use: links to disabled providers do not count";

const LOGINS: &str =
    "read access to res.users.log, which Odoo 17 requires to search by the date of a login";

/// From this release on Odoo writes `EXISTS` for fields with rows of other models, and PostgreSQL takes three times as long for an OR of two as for one after
/// the other. Before it takes two thirds.
const WITH_EXISTS: (u32, u32) = (19, 0);

impl Users<'_> {
    /// Reads the users. Internal users, and the few who are neither internal nor portal users, are sets; portal users, who are many, are the others of all whom the proof counts. (`not in`
    /// is correct on the field of a user's explicit groups, and wrong on 19's `all_group_ids`.)
    pub(super) async fn people(&self) -> Result<People, Error> {
        let mut internal = self.ids(vec![self.in_any([INTERNAL])]).await?;
        let rest = vec![self.not_in_any([INTERNAL, PORTAL])];
        // From 19 on a hidden group may make them internal or portal users: all groups of a user can be read, but not searched.
        let field = all_groups_field(self.session);
        let rest: Vec<GroupsRow> = self.people_rows(rest, &[field]).await?;
        let [is_internal, is_portal, is_public] =
            [INTERNAL, PORTAL, PUBLIC].map(|xml_id| self.groups.id(xml_id));
        let has = |row: &GroupsRow, group: Option<u32>| {
            group.is_some_and(|group| row.groups.contains(&group))
        };
        let (mut public, mut none) = (IdSet::new(), IdSet::new());
        for row in &rest {
            // A user whose type changed in the meantime is internal, and nothing else.
            if has(row, is_internal) || internal.contains(row.id) {
                internal.insert(row.id);
            } else if has(row, is_public) && !has(row, is_portal) {
                public.insert(row.id);
            } else if !has(row, is_portal) {
                none.insert(row.id);
            }
        }
        let archived = &self.archived;
        let of_type = [&internal, &public, &none].map(|people| archived.intersection_len(people));
        let [internal_archived, public_archived, none_archived] = of_type;
        let known = [&internal, &public, &none]
            .map(|people| people.len() - archived.intersection_len(people));
        let active = self.users() - archived.len();
        Ok(People {
            portal: active - known.iter().sum::<u64>(),
            archived: PerType([
                internal_archived,
                archived.len() - of_type.iter().sum::<u64>(),
                public_archived,
                none_archived,
            ]),
            internal: internal - archived,
            public: public - archived,
            none: none - archived,
        })
    }

    /// The groups by which portal users are found.
    pub(super) fn portal_groups(&self) -> PortalGroups {
        PortalGroups {
            field: self.group_field,
            portal: self.groups.members_of_any([PORTAL]),
            internal: self.groups.members_of_any([INTERNAL]),
            nobody: self.accounts.nobody.iter().collect(),
        }
    }

    /// Users with a passkey, active and archived.
    pub(super) async fn passkey(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        self.holders("auth_passkey_key_ids", modules, &[Module::AuthPasskey])
            .await
    }

    /// Active users linked to an OAuth provider.
    pub(super) async fn oauth(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.sso {
            return Ok(Known::NotAsked);
        }
        let linked = self
            .holders("oauth_uid", modules, &[Module::AuthOauth, Module::AuthOidc])
            .await?;
        match linked.map(|linked| linked - &self.archived) {
            Known::Complete(linked) if !linked.is_empty() => {
                self.of_enabled_providers(linked).await
            }
            linked => Ok(linked),
        }
    }

    /// Of users who are linked to an OAuth provider, those whose provider is enabled: a disabled one lets no user sign in.
    async fn of_enabled_providers(&self, linked: IdSet) -> Result<Known<IdSet>, Error> {
        if !self.has("oauth_provider_id") {
            return Ok(Known::Complete(linked));
        }
        let enabled = vec![
            is_set("oauth_uid"),
            json!(["oauth_provider_id.enabled", "=", true]),
        ];
        let enabled = self.active(enabled).await;
        unless_forbidden(enabled, "auth.oauth.provider", OAUTH_PROVIDERS)
    }

    /// Active users linked to a SAML provider.
    pub(super) async fn saml(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.sso {
            return Ok(Known::NotAsked);
        }
        let linked = self.holders("saml_ids", modules, &[Module::AuthSaml]);
        Ok(linked.await?.map(|linked| linked - &self.archived))
    }

    /// Active users whose account is younger than the grace period.
    pub(super) async fn recent(&self) -> Result<IdSet, Error> {
        self.active(vec![json!([
            "create_date",
            ">",
            self.question.ago(self.question.target.grace)
        ])])
        .await
    }

    /// Active users who are not dormant: a login within the period, or none at all yet and an account that is younger than it. `login_date`
    /// compares with every login, so `>` finds those whose newest one is newer.
    pub(super) async fn awake(&self) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.logins {
            return Ok(Known::NotAsked);
        }
        let since = self.question.ago(self.question.target.dormant);
        let lately = vec![json!(["login_date", ">", since])];
        let new = vec![
            json!(["create_date", ">", since]),
            json!(["log_ids", "=", false]),
        ];
        let awake = async {
            if self.session.server.release >= WITH_EXISTS {
                // In this order: a user who logs in for the first time in between is in both.
                return Ok(self.active(new).await? | self.active(lately).await?);
            }
            let either = [vec![json!("|")], lately, vec![json!("&")], new].concat();
            self.active(either).await
        };
        unless_forbidden(awake.await, "res.users.log", LOGINS)
    }

    /// Active users by role.
    pub(super) async fn roles(&self) -> Result<Known<BTreeMap<String, IdSet>>, Error> {
        if !self.question.parts.roles {
            return Ok(Known::NotAsked);
        }
        if let Some(gap) = &self.groups_gap {
            return Ok(Known::Missing(gap.clone()));
        }
        let mut roles: BTreeMap<&str, IdSet> = BTreeMap::new();
        let mut roles_of: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for (role, xml_ids) in self.question.roles.iter() {
            roles.insert(role, IdSet::new());
            let xml_ids = xml_ids.iter().map(|xml_id| xml_id.as_str());
            for group in self.groups.members_of_any(xml_ids) {
                roles_of.entry(group).or_default().push(role);
            }
        }
        if !roles_of.is_empty() {
            let domain = vec![in_groups(self.group_field, roles_of.keys())];
            let rows: Vec<GroupsRow> = self.people_rows(domain, &[self.group_field]).await?;
            let active = |row: &GroupsRow| !self.archived.contains(row.id);
            for person in rows.into_iter().filter(active) {
                let groups = person.groups.iter();
                for role in groups.filter_map(|group| roles_of.get(group)).flatten() {
                    roles.entry(role).or_default().insert(person.id);
                }
            }
        }
        let owned = |(role, people): (&str, IdSet)| (role.to_owned(), people);
        Ok(Known::Complete(roles.into_iter().map(owned).collect()))
    }

    /// Accounts that stand for no user, can act as one and are in a role.
    pub(super) fn well_known_privileged(&self) -> Option<IdSet> {
        if !self.question.parts.roles || self.groups_gap.is_some() {
            return None;
        }
        let xml_ids = self.question.roles.iter().flat_map(|(_, xml_ids)| xml_ids);
        let groups = self
            .groups
            .members_of_any(xml_ids.map(|xml_id| xml_id.as_str()));
        Some(self.accounts.well_known_in(&groups))
    }

    /// Users that each configured exemption matches: all in one request.
    pub(super) async fn exemptions(&self) -> Result<Vec<IdSet>, Error> {
        let entries = &self.question.target.exemptions;
        self.knows_groups_of(entries)?;
        let leaves: Vec<Value> = entries
            .iter()
            .map(|entry| match &entry.matcher {
                Matcher::Login(login) => json!(["login", "=", login]),
                Matcher::Glob(glob) => json!(["login", "=like", glob.like()]),
                Matcher::Group(xml_id) => self.in_any([xml_id.as_str()]),
            })
            .collect();
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        let fields = ["login", self.group_field];
        let mut people: Vec<LoginRow> = self.people_rows(any(leaves), &fields).await?;
        people.retain(|person| !self.archived.contains(person.id));
        Ok(entries
            .iter()
            .map(|entry| {
                let group = match &entry.matcher {
                    Matcher::Group(xml_id) => self.groups.members_of(xml_id.as_str()),
                    _ => &[],
                };
                people
                    .iter()
                    .filter(|person| match &entry.matcher {
                        Matcher::Login(login) => *person.login == **login,
                        Matcher::Glob(glob) => glob.matches(&person.login),
                        Matcher::Group(_) => person.groups.iter().any(|id| group.contains(id)),
                    })
                    .map(|person| person.id)
                    .collect()
            })
            .collect())
    }

    /// Fails where a hidden group may exempt users.
    fn knows_groups_of(&self, entries: &[Exemption]) -> Result<(), Error> {
        let Some(gap) = &self.groups_gap else {
            return Ok(());
        };
        let is_unknown = |entry: &Exemption| match &entry.matcher {
            Matcher::Group(xml_id) => {
                self.groups_imply || self.groups.id(xml_id.as_str()).is_none()
            }
            Matcher::Login(_) | Matcher::Glob(_) => false,
        };
        if entries.iter().any(is_unknown) {
            return Err(Error::new(
                Kind::Incomplete,
                format!("{}, so the users of exemptions by group are unknown", gap.seen),
            )
            .hint("remove the record rule on Access Groups (res.groups) that hides them, or exempt users by login"));
        }
        Ok(())
    }

    /// Users, active and archived, for whom a field of some module is set; none if the module is not installed.
    async fn holders(
        &self,
        field: &'static str,
        modules: &Modules,
        owners: &[Module],
    ) -> Result<Known<IdSet>, Error> {
        if self.has(field) {
            return Ok(Known::Complete(self.ids(vec![is_set(field)]).await?));
        }
        let installed = modules
            .known
            .complete()
            .is_some_and(|installed| owners.iter().any(|owner| installed.contains(owner)));
        if installed {
            return Ok(Known::Missing(Gap {
                seen: format!("the account does not see the field {field} of res.users"),
                grant: "the group that the field asks for",
            }));
        }
        Ok(Known::Complete(IdSet::new()))
    }
}

/// The last login of the accounts that are exempt as `break_glass`, as Odoo shows it: the date of the newest row of the log.
///
/// # Errors
/// If the server fails.
pub(super) async fn last_login(
    transport: &Transport,
    session: &Session,
    question: &Question<'_>,
    facts: &Facts,
) -> Result<Option<Timestamp>, Error> {
    let standing = Standing::of(facts, &question.terms());
    let accounts = &standing.exempt_by_reason[ExemptReason::BreakGlass as usize];
    if accounts.is_empty() || facts.awake.complete().is_none() {
        return Ok(None);
    }
    let call = Call::new("res.users", "search_read")
        .arg(
            "domain",
            json!([["id", "in", accounts.iter().collect::<Vec<u32>>()]]),
        )
        .named("fields", ["login_date"]);
    let what = "logins of break-glass accounts";
    let rows: Vec<LastLoginRow> = session.call(transport, call, what).await?;
    let dates = rows.into_iter().filter_map(|row| row.login_date);
    Ok(dates.map(Timestamp::from).max())
}

#[derive(Deserialize)]
struct LastLoginRow {
    id: u32,
    #[serde(deserialize_with = "unless_false")]
    login_date: Option<Date>,
}

#[derive(Deserialize)]
struct GroupsRow {
    id: u32,
    #[serde(alias = "group_ids", alias = "groups_id", alias = "all_group_ids")]
    groups: Vec<u32>,
}

#[derive(Deserialize)]
struct LoginRow {
    id: u32,
    login: Text,
    #[serde(alias = "group_ids", alias = "groups_id")]
    groups: Vec<u32>,
}

row!(GroupsRow, LoginRow, LastLoginRow);
