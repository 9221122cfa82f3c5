//! The values of fields, as one account may read them.

use serde_json::{Value, json};

use super::{
    access::View,
    clock,
    fields::Model,
    records::{Row, Val, all, contact_active, log_rows},
    world::{ACTIVE, GroupSet, Kind, OAUTH, Person, SAML, TOTP},
};

impl<'w> View<'w> {
    /// Does a record rule let this account see the row?
    pub(super) fn sees(&self, row: &Row<'w>) -> bool {
        match row {
            Row::User(person) => self.sees_user(person),
            Row::Partner(person) => self.sees_contact(person),
            Row::Group(group) => !self.world.hidden_groups.contains(&group.id),
            Row::Key(key) => key.owner == self.uid || self.sees_all(Model::Keys),
            Row::Passkey(key) => key.owner == self.uid || self.sees_all(Model::Passkeys),
            Row::Company(id, _) => self.companies & (1 << (id - 1)) != 0 || self.is_erp_manager(),
            _ => true,
        }
    }

    /// The value of a field that exists.
    #[expect(clippy::too_many_lines, reason = "one arm for each model and field")]
    pub(super) fn value(&self, row: &Row<'w>, field: &str) -> Val<'w> {
        if field == "id" {
            return Val::Int(row.id());
        }
        if field == "display_name" {
            return Val::Text(self.display(row).into());
        }
        let world = self.world;
        match row {
            Row::User(person) => self.user_value(person, field),
            Row::Group(group) => match field {
                "name" => Val::Text(group.label.rsplit(" / ").next().unwrap_or_default().into()),
                "full_name" => Val::Text((&*group.label).into()),
                "implied_ids" => Val::Many(self.shown_groups(group.implied.clone())),
                "all_implied_ids" => {
                    let mut groups = world.groups.clone();
                    let set = groups.intern(vec![group.id]);
                    Val::Many(self.shown_groups(groups.sets[usize::from(set)].all.clone()))
                }
                // As in Odoo, archived users are left out of these lists even when a search would find them.
                "user_ids" => Val::Many(self.members(|set| set.explicit.contains(&group.id))),
                _ => Val::Many(self.members(|set| set.all.contains(&group.id))),
            },
            Row::Key(key) | Row::Passkey(key) => match field {
                "user_id" | "create_uid" => Val::One(Model::Users, key.owner),
                "scope" => key
                    .scope
                    .text()
                    .map_or(Val::Null, |text| Val::Text(text.into())),
                "create_date" | "write_date" => Val::date(key.created),
                "expiration_date" => Val::date(key.expires),
                _ => Val::Text(format!("credential {}", key.id).into()),
            },
            Row::Module(module) => match field {
                "name" => Val::Text((&*module.name).into()),
                "state" => Val::Text(
                    if module.installed {
                        "installed"
                    } else {
                        "uninstalled"
                    }
                    .into(),
                ),
                "latest_version" if !module.installed => Val::Null,
                _ => Val::Text(format!("{}.0.1.0", world.version).into()),
            },
            Row::Parameter(key, parameter) => match field {
                "key" => Val::Text((*key).into()),
                _ => Val::Text((&*parameter.value).into()),
            },
            Row::Data(data) => match field {
                "module" => Val::Text(data.module.clone()),
                "name" => Val::Text(data.name.clone()),
                "model" => Val::Text(data.model.into()),
                _ => Val::Int(data.res),
            },
            Row::Company(id, company) => match field {
                "active" => Val::Bool(company.active),
                "user_ids" => {
                    let bit = 1 << (id - 1);
                    let people = world.people.iter();
                    let there = people.filter(|it| {
                        it.companies & bit != 0 && it.has(ACTIVE) && self.sees_user(it)
                    });
                    Val::Many(there.map(|it| it.id).collect())
                }
                _ => Val::Text((&*company.name).into()),
            },
            Row::Partner(person) => match field {
                "active" => Val::Bool(contact_active(person)),
                "user_ids" => Val::Many(if person.has(ACTIVE) && self.sees_user(person) {
                    vec![person.id]
                } else {
                    Vec::new()
                }),
                _ => Val::Text(world.name(person).into()),
            },
            Row::Provider(_, provider) => match field {
                "enabled" => Val::Bool(provider.enabled),
                _ => Val::Text((&*provider.name).into()),
            },
            Row::Website(_, website) => match field {
                "name" => Val::Text((&*website.name).into()),
                "company_id" => Val::One(Model::Companies, 1),
                _ => Val::One(Model::Users, website.user),
            },
            Row::Network(_, network) => match field {
                "cidr" => Val::Text((&*network.cidr).into()),
                _ => Val::Many(network.users.clone()),
            },
            Row::ClearTextKey(id, owner) => match field {
                "name" => Val::Text(format!("integration {id}").into()),
                _ => Val::One(Model::Users, *owner),
            },
            Row::Log { user, date, .. } => match field {
                "create_uid" => Val::One(Model::Users, *user),
                _ => Val::date(*date),
            },
        }
    }

    fn user_value(&self, person: &'w Person, field: &str) -> Val<'w> {
        let world = self.world;
        match field {
            "login" | "email" => Val::Text(world.login(person).into()),
            "name" => Val::Text(world.name(person).into()),
            "active" => Val::Bool(person.has(ACTIVE)),
            "share" => Val::Bool(world.set(person).kind != Kind::Internal),
            "create_date" | "write_date" | "password_write_date" => Val::date(person.created),
            "login_date" => Val::date(person.last_row),
            "log_ids" => Val::Many(log_rows(person).map(|row| row.id()).collect()),
            "company_id" => Val::One(Model::Companies, person.company.into()),
            "company_ids" => {
                let mut shown = world.active_companies();
                if self.is_erp_manager() {
                    if !self.active_test {
                        shown = u8::MAX;
                    }
                } else if person.id != self.uid {
                    shown &= self.companies;
                }
                let ids = 1..=8;
                Val::Many(
                    ids.filter(|id| person.companies & shown & (1 << (id - 1)) != 0)
                        .collect(),
                )
            }
            // Counted without the rules, but with what the context says of archived companies.
            "companies_count" => Val::Int(if self.active_test {
                world.active_companies().count_ones()
            } else {
                u32::try_from(world.companies.len()).unwrap_or(0)
            }),
            "groups_id" | "all_group_ids" => {
                Val::Many(self.shown_groups(world.set(person).all.clone()))
            }
            "group_ids" => Val::Many(self.shown_groups(world.set(person).explicit.clone())),
            "oauth_provider_id" => Val::One(Model::Providers, world.provider_of(person)),
            "totp_enabled" => Val::Bool(person.has(TOTP) && self.sees_totp(person.id)),
            "oauth_uid" if person.has(OAUTH) => Val::Text(format!("oauth-{}", person.id).into()),
            "saml_ids" => Val::Many(if person.has(SAML) {
                vec![person.id]
            } else {
                Vec::new()
            }),
            "api_key_ids" => Val::Many(self.own(all(world, Model::Keys), person.id)),
            "totp_trusted_device_ids" => {
                Val::Many(self.own(Box::new(world.devices().map(Row::Key)), person.id))
            }
            "auth_passkey_key_ids" => Val::Many(self.own(all(world, Model::Passkeys), person.id)),
            _ => Val::Null,
        }
    }

    /// Returns true if `totp_enabled` is correct for this user.
    pub(super) fn sees_totp(&self, id: u32) -> bool {
        !self.world.quirks.totp_hidden || id == self.uid || self.is_erp_manager()
    }

    /// Groups without those that a record rule hides.
    fn shown_groups(&self, mut groups: Vec<u32>) -> Vec<u32> {
        let hidden = &self.world.hidden_groups;
        groups.retain(|id| !hidden.contains(id));
        groups
    }

    /// Ids of a user's credentials, as far as the rules show them.
    fn own(&self, rows: Box<dyn Iterator<Item = Row<'w>> + 'w>, owner: u32) -> Vec<u32> {
        rows.filter(|row| {
            matches!(row, Row::Key(key) | Row::Passkey(key) if key.owner == owner) && self.sees(row)
        })
        .map(|row| row.id())
        .collect()
    }

    fn members(&self, is_in: impl Fn(&GroupSet) -> bool) -> Vec<u32> {
        let sets: Vec<bool> = self.world.groups.sets.iter().map(is_in).collect();
        let there = self.world.people.iter().filter(|person| {
            person.has(ACTIVE) && sets[usize::from(person.set)] && self.sees_user(person)
        });
        there.map(|person| person.id).collect()
    }

    pub(super) fn display(&self, row: &Row<'w>) -> String {
        let world = self.world;
        match row {
            Row::User(person) | Row::Partner(person) => world.name(person),
            Row::Group(group) => group.label.clone(),
            Row::Key(key) | Row::Passkey(key) => format!("credential {}", key.id),
            Row::Module(module) => module.name.clone(),
            Row::Parameter(key, _) => (*key).into(),
            Row::Data(data) => format!("{}.{}", data.module, data.name),
            Row::Company(_, company) => company.name.clone(),
            Row::Provider(_, provider) => provider.name.clone(),
            Row::Website(_, website) => website.name.clone(),
            Row::Network(_, network) => network.cidr.clone(),
            Row::ClearTextKey(id, _) => format!("integration {id}"),
            Row::Log { id, .. } => format!("res.users.log,{id}"),
        }
    }

    /// The row behind a many2one or an id.
    pub(super) fn row(&self, model: Model, id: u32) -> Option<Row<'w>> {
        match model {
            Model::Users => self.world.person(id).map(Row::User),
            _ => all(self.world, model).find(|row| row.id() == id),
        }
    }

    /// A value as JSON; `names`: a many2one as `[id, name]`.
    pub(super) fn json(&self, value: Val<'w>, names: bool) -> Value {
        match value {
            Val::Null | Val::One(_, 0) => json!(false),
            Val::Bool(it) => json!(it),
            Val::Int(it) => json!(it),
            Val::Text(it) => json!(it),
            Val::Date(it) => json!(clock::format(it)),
            Val::One(_, id) if !names => json!(id),
            Val::One(model, id) => match self.row(model, id) {
                Some(row) => json!([id, self.display(&row)]),
                None => json!(false),
            },
            Val::Many(ids) => json!(ids),
        }
    }
}
