//! Who there is, what they hold, and what they are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::settings::Modules;
use super::users::{ROWS_PAGE, Users, any, is_set, row, totp, unless_forbidden};
use crate::domain::exemption::Matcher;
use crate::domain::facts::{Gap, Known, People, PortalGroups};
use crate::domain::{IdSet, Module, PerType};
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::in_groups;
use crate::odoo::text::Text;

const INTERNAL: &str = "base.group_user";
const PORTAL: &str = "base.group_portal";
const PUBLIC: &str = "base.group_public";

const LOGINS: &str = "read access to res.users.log, which Odoo 17 asks for before it searches by the date of a login";

impl Users<'_> {
    /// Who there is. Internal people, and the few who are neither internal nor portal people, are sets; portal people, who are many, are
    /// counted. (`not in` is right on the field with the groups that somebody was put into, and wrong on 19's `all_group_ids`.)
    pub(super) async fn people(&self) -> Result<People, Error> {
        let internal = self.ids(vec![self.in_any([INTERNAL])]).await?;
        let portal = vec![
            json!(["active", "=", true]),
            self.in_any([PORTAL]),
            self.not_in_any([INTERNAL]),
        ];
        let portal = self.count(portal).await?;
        let rest = vec![self.not_in_any([INTERNAL, PORTAL])];
        let rest: Vec<GroupsRow> = self.people_rows(rest, &[self.group_field]).await?;
        let public = self.groups.members_of(PUBLIC);
        let is_public = |row: &&GroupsRow| row.groups.iter().any(|group| public.contains(group));
        let (public, none): (Vec<_>, Vec<_>) = rest.iter().partition(is_public);
        let ids = |rows: Vec<&GroupsRow>| rows.iter().map(|row| row.id).collect::<IdSet>();
        // Whose type changed in the meantime is internal, and nothing else.
        let (public, none) = (ids(public) - &internal, ids(none) - &internal);
        let archived = &self.archived;
        let of_type = [&internal, &public, &none].map(|people| archived.intersection_len(people));
        let [internal_archived, public_archived, none_archived] = of_type;
        Ok(People {
            portal,
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

    /// How to find portal people.
    pub(super) fn portal_groups(&self) -> PortalGroups {
        PortalGroups {
            field: self.group_field,
            portal: self.groups.members_of_any([PORTAL]),
            internal: self.groups.members_of_any([INTERNAL]),
            nobody: self.pseudo.iter().copied().collect(),
        }
    }

    /// Active people with TOTP.
    pub(super) async fn totp(&self, people: &People) -> Result<Known<IdSet>, Error> {
        if !self.has("totp_enabled") {
            return Ok(Known::Complete(IdSet::new()));
        }
        if self.can_search("totp_enabled") {
            return Ok(Known::Complete(self.active(vec![totp()]).await?));
        }
        // Odoo 14 ignores a domain with it, so it is read for everybody.
        let mut everybody = &people.internal | &people.public | &people.none;
        everybody |= self.active(vec![self.in_any([PORTAL])]).await?;
        let everybody: Vec<u32> = everybody.iter().collect();
        let mut enrolled = IdSet::new();
        for ids in everybody.chunks(ROWS_PAGE) {
            let read = Call::new("res.users", "read")
                .arg("ids", ids)
                .arg("fields", vec!["totp_enabled"])
                .named("load", "");
            let rows: Vec<TotpRow> = self.call(read, "totp_enabled").await?;
            if rows.len() != ids.len() {
                return Err(Error::new(
                    Kind::Unexpected,
                    "people vanished while they were read",
                ));
            }
            enrolled.extend(rows.iter().filter(|row| row.totp_enabled).map(|row| row.id));
        }
        Ok(Known::Complete(enrolled))
    }

    /// Active people with a passkey.
    pub(super) async fn passkey(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        self.holders("auth_passkey_key_ids", modules, &[Module::AuthPasskey])
            .await
    }

    /// Active people linked to an OAuth provider.
    pub(super) async fn oauth(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.sso {
            return Ok(Known::NotAsked);
        }
        self.holders("oauth_uid", modules, &[Module::AuthOauth, Module::AuthOidc])
            .await
    }

    /// Active people linked to a SAML provider.
    pub(super) async fn saml(&self, modules: &Modules) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.sso {
            return Ok(Known::NotAsked);
        }
        self.holders("saml_ids", modules, &[Module::AuthSaml]).await
    }

    /// Active people whose account is younger than the grace period.
    pub(super) async fn recent(&self) -> Result<IdSet, Error> {
        self.active(vec![json!([
            "create_date",
            ">",
            self.question.ago(self.question.target.grace)
        ])])
        .await
    }

    /// Active people who are not dormant: a login within the period, or none at all yet and an account that is younger than it. Two
    /// questions, since PostgreSQL takes ten times as long for one with an OR. `login_date` compares with every login, so `>` finds
    /// those whose newest one is newer.
    pub(super) async fn awake(&self) -> Result<Known<IdSet>, Error> {
        if !self.question.parts.logins {
            return Ok(Known::NotAsked);
        }
        let since = self.question.ago(self.question.target.dormant);
        let lately = self.active(vec![json!(["login_date", ">", since])]).await;
        match unless_forbidden(lately, LOGINS)? {
            Known::Complete(lately) => {
                let never = vec![
                    json!(["create_date", ">", since]),
                    json!(["log_ids", "=", false]),
                ];
                Ok(Known::Complete(lately | self.active(never).await?))
            }
            refused => Ok(refused),
        }
    }

    /// Active people by role.
    pub(super) async fn roles(&self) -> Result<Known<BTreeMap<String, IdSet>>, Error> {
        if !self.question.parts.roles {
            return Ok(Known::NotAsked);
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

    /// Whom each configured exemption matches: all of them in one question.
    pub(super) async fn exemptions(&self) -> Result<Vec<IdSet>, Error> {
        let entries = &self.question.target.exemptions;
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

    /// Active people for whom a field of some module is set; nobody where the module is not installed.
    async fn holders(
        &self,
        field: &'static str,
        modules: &Modules,
        owners: &[Module],
    ) -> Result<Known<IdSet>, Error> {
        if self.has(field) {
            return Ok(Known::Complete(self.active(vec![is_set(field)]).await?));
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

#[derive(Deserialize)]
struct TotpRow {
    id: u32,
    totp_enabled: bool,
}

#[derive(Deserialize)]
struct GroupsRow {
    id: u32,
    #[serde(alias = "group_ids", alias = "groups_id")]
    groups: Vec<u32>,
}

#[derive(Deserialize)]
struct LoginRow {
    id: u32,
    login: Text,
    #[serde(alias = "group_ids", alias = "groups_id")]
    groups: Vec<u32>,
}

row!(GroupsRow, LoginRow, TotpRow);
