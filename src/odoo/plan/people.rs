//! Who there is, what they hold, and what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::settings::Modules;
use super::users::{Domain, ROWS_PAGE, Users, any, row, unless_forbidden};
use crate::domain::exemption::Matcher;
use crate::domain::facts::{Awake, Gap, Known, People};
use crate::domain::posture::Standing;
use crate::domain::{Factor, Facts, IdSet, Module, PerType, UserType};
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::in_groups;
use crate::odoo::session::decode;

const INTERNAL: &str = "base.group_user";
const PORTAL: &str = "base.group_portal";
const PUBLIC: &str = "base.group_public";

const LOGINS: &str = "read access to res.users.log, which Odoo 17 asks for before it searches by the date of a login";

impl Users<'_> {
    /// Who there is. Portal people are only counted: they are many.
    ///
    /// Types are told apart by the groups that people were put into, with domains that complete each other, so that everybody is
    /// of exactly one type. (`not in` is right on that field, and wrong on 19's `all_group_ids`.)
    pub(super) async fn people(&self) -> Result<People, Error> {
        let internal = self.active(vec![self.in_any([INTERNAL])]).await?;
        let portal = self.count(true, self.portal()).await?;
        let rest = self.active(self.neither_internal_nor_portal()).await?;
        let public = if rest.is_empty() {
            IdSet::new()
        } else {
            self.active(self.public()).await?
        };
        let rest_archived = self
            .count(false, self.neither_internal_nor_portal())
            .await?;
        let public_archived = if rest_archived == 0 {
            0
        } else {
            self.count(false, self.public()).await?
        };
        Ok(People {
            internal,
            portal,
            none: rest - &public,
            public,
            archived: PerType([
                self.count(false, vec![self.in_any([INTERNAL])]).await?,
                self.count(false, self.portal()).await?,
                public_archived,
                rest_archived.saturating_sub(public_archived),
            ]),
        })
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
        everybody |= self.active(self.portal()).await?;
        let everybody: Vec<u32> = everybody.iter().collect();
        let mut enrolled = IdSet::new();
        for ids in everybody.chunks(ROWS_PAGE) {
            let read = Call::new("res.users", "read")
                .arg("ids", ids)
                .arg("fields", vec!["totp_enabled"])
                .named("load", "");
            let rows: Vec<TotpRow> = decode(
                self.session.call(self.transport, read).await?,
                "totp_enabled",
            )?;
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
            self.ago(self.question.target.grace)
        ])])
        .await
    }

    /// Active people who are not dormant. Sets for everybody but portal people, of whom only those count who are unprotected.
    pub(super) async fn awake(&self, facts: &Facts) -> Result<Known<Awake>, Error> {
        if !self.question.parts.logins {
            return Ok(Known::NotAsked);
        }
        let others: Vec<u32> = (&facts.people.public | &facts.people.none).iter().collect();
        let mut domain = self.awake_domain();
        domain.extend(any(vec![
            self.in_any([INTERNAL]),
            json!(["id", "in", others]),
        ]));
        let named = match unless_forbidden(self.active(domain).await, LOGINS)? {
            Known::Complete(named) => named,
            Known::Missing(gap) => return Ok(Known::Missing(gap)),
            Known::NotAsked => return Ok(Known::NotAsked),
        };
        let portal_unprotected = self.awake_unprotected_portal(facts).await?;
        Ok(Known::Complete(Awake {
            named,
            portal_unprotected,
        }))
    }

    async fn awake_unprotected_portal(&self, facts: &Facts) -> Result<u64, Error> {
        let standing = Standing::of(facts, &self.question.terms());
        let Some(covered) = standing
            .covered
            .filter(|covered| !covered.types[UserType::Portal])
        else {
            return Ok(0);
        };
        let exempt: Vec<u32> = standing.exempt.iter().collect();
        let mut domain = self.portal();
        domain.extend(self.awake_domain());
        domain.push(json!(["id", "not in", exempt]));
        let Some(leaves) = self.holder_leaves() else {
            return Ok((self.active(domain).await? - covered.holders).len());
        };
        let all = self.count(true, domain.clone()).await?;
        if all == 0 || leaves.is_empty() {
            return Ok(all);
        }
        domain.extend(any(leaves));
        let protected = self.count(true, domain).await?;
        all.checked_sub(protected)
            .ok_or_else(|| Error::new(Kind::Unexpected, "people changed while they were counted"))
    }

    /// The leaves that hold for people with an accepted factor of their own; `None` where one of them cannot be searched.
    fn holder_leaves(&self) -> Option<Vec<Value>> {
        let mut leaves = Vec::new();
        for factor in &self.question.target.accepted_factors {
            match factor {
                Factor::Totp if !self.has("totp_enabled") => {}
                Factor::Totp if self.can_search("totp_enabled") => leaves.push(totp()),
                Factor::Totp => return None,
                Factor::Passkey => leaves.extend(
                    self.has("auth_passkey_key_ids")
                        .then(|| is_set("auth_passkey_key_ids")),
                ),
                Factor::Sso => leaves.extend(
                    ["oauth_uid", "saml_ids"]
                        .into_iter()
                        .filter(|field| self.has(field))
                        .map(is_set),
                ),
                Factor::EmailPolicy => {}
            }
        }
        Some(leaves)
    }

    /// Active people by role.
    pub(super) async fn roles(&self) -> Result<Known<BTreeMap<String, IdSet>>, Error> {
        if !self.question.parts.roles {
            return Ok(Known::NotAsked);
        }
        let groups: BTreeMap<&str, BTreeSet<u32>> = self
            .question
            .roles
            .iter()
            .map(|(role, xml_ids)| {
                (
                    role,
                    self.groups
                        .members_of_any(xml_ids.iter().map(|xml_id| xml_id.as_str())),
                )
            })
            .collect();
        let mut roles: BTreeMap<String, IdSet> = groups
            .keys()
            .map(|role| ((*role).to_owned(), IdSet::new()))
            .collect();
        let everything: BTreeSet<u32> = groups.values().flatten().copied().collect();
        if everything.is_empty() {
            return Ok(Known::Complete(roles));
        }
        let mut domain = self.people_domain(Some(true));
        domain.push(in_groups(self.group_field, &everything));
        for person in self
            .rows::<GroupsRow>("res.users", domain, &[self.group_field])
            .await?
        {
            for (role, members) in &mut roles {
                if person
                    .groups
                    .iter()
                    .any(|group| groups[role.as_str()].contains(group))
                {
                    members.insert(person.id);
                }
            }
        }
        Ok(Known::Complete(roles))
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
        let mut domain = self.people_domain(Some(true));
        domain.extend(any(leaves));
        let people = self
            .rows::<LoginRow>("res.users", domain, &["login", self.group_field])
            .await?;
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
                        Matcher::Login(login) => person.login == *login,
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

    fn portal(&self) -> Domain {
        vec![self.in_any([PORTAL]), self.not_in_any([INTERNAL])]
    }

    fn public(&self) -> Domain {
        vec![self.in_any([PUBLIC]), self.not_in_any([INTERNAL, PORTAL])]
    }

    fn neither_internal_nor_portal(&self) -> Domain {
        vec![self.not_in_any([INTERNAL, PORTAL])]
    }

    /// A login within the dormancy period; or none at all yet, and an account younger than it. `login_date` compares with every login,
    /// so `>` finds those whose newest one is newer.
    fn awake_domain(&self) -> Domain {
        let since = self.ago(self.question.target.dormant);
        let never = json!(["log_ids", "=", false]);
        vec![
            json!("|"),
            json!(["login_date", ">", since]),
            json!("&"),
            never,
            json!(["create_date", ">", since]),
        ]
    }

    /// A time that long ago, as Odoo writes it: in UTC, without a zone.
    fn ago(&self, period: Duration) -> String {
        let period = jiff::SignedDuration::try_from(period).unwrap_or(jiff::SignedDuration::MAX);
        let then = self
            .question
            .now
            .checked_sub(period)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        then.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

fn totp() -> Value {
    json!(["totp_enabled", "=", true])
}

fn is_set(field: &str) -> Value {
    json!([field, "!=", false])
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
    login: String,
    #[serde(alias = "group_ids", alias = "groups_id")]
    groups: Vec<u32>,
}

row!(GroupsRow, LoginRow);
