//! The calls that change a world while it runs. An id that does not exist changes nothing and gives `false`.

use super::{
    super::{clock::Time, rng::Rng},
    *,
};

impl World {
    /// A new active user; gives the id.
    pub fn hire(&mut self, kind: Kind) -> u32 {
        let now = self.now();
        self.hire_at(kind, now)
    }

    /// A new active user whose account was made at `created`; gives the id.
    pub fn hire_at(&mut self, kind: Kind, created: Time) -> u32 {
        let explicit = self.default_groups(kind);
        let set = self.groups.intern(explicit);
        let id = self.next_user;
        self.next_user += 1;
        let customer = if kind == Kind::Internal { 0 } else { CUSTOMER };
        self.people.push(Person {
            id,
            created,
            last_row: 0,
            other_row: 0,
            set,
            company: 1,
            companies: 1,
            flags: ACTIVE | customer,
        });
        id
    }

    /// Gives a user a login and a name of their own.
    pub fn rename(&mut self, id: u32, login: &str, name: &str) -> bool {
        if self.person(id).is_none() {
            return false;
        }
        self.logins.insert(id, login.into());
        self.names.insert(id, name.into());
        true
    }

    /// Archives or unarchives.
    pub fn set_active(&mut self, id: u32, active: bool) -> bool {
        self.change(id, |person| person.set_flag(ACTIVE, active))
    }

    /// Deletes a user and all that is theirs.
    pub fn delete(&mut self, id: u32) -> bool {
        let before = self.people.len();
        self.people.retain(|person| person.id != id);
        self.logins.remove(&id);
        self.references
            .retain(|it| (it.model, it.id) != ("res.users", id));
        for list in [&mut self.keys, &mut self.devices, &mut self.passkeys] {
            list.retain(|it| it.owner != id);
        }
        self.people.len() != before
    }

    /// Enrolls in TOTP.
    pub fn enroll(&mut self, id: u32) -> bool {
        self.change(id, |person| {
            person.set_flag(TOTP, true);
            person.set_flag(EMPTY_SECRET, false);
            person.set_flag(NO_SECRET, false);
        })
    }

    /// Switches TOTP off, which revokes the trusted devices as well.
    pub fn disable_totp(&mut self, id: u32) -> bool {
        self.devices.retain(|device| device.owner != id);
        self.change(id, |person| {
            person.set_flag(TOTP, false);
            person.set_flag(EMPTY_SECRET, false);
            person.set_flag(NO_SECRET, false);
        })
    }

    /// Links to an OAuth provider, or no more.
    pub fn link_oauth(&mut self, id: u32, linked: bool) -> bool {
        self.change(id, |person| person.set_flag(OAUTH, linked))
    }

    /// Links to a SAML provider, or no more.
    pub fn link_saml(&mut self, id: u32, linked: bool) -> bool {
        self.change(id, |person| person.set_flag(SAML, linked))
    }

    /// Adds a row to the login log.
    pub fn log_in(&mut self, id: u32, at: Time) -> bool {
        self.change(id, |person| {
            person.other_row = person.last_row;
            person.last_row = at;
        })
    }

    /// Forgets all logins.
    pub fn forget_logins(&mut self, id: u32) -> bool {
        self.change(id, |person| {
            person.other_row = 0;
            person.last_row = 0;
        })
    }

    /// Sets the date at which the account was made.
    pub fn set_created(&mut self, id: u32, at: Time) -> bool {
        self.change(id, |person| person.created = at)
    }

    /// Changes the type of a user, keeping the groups that are no type groups.
    pub fn set_kind(&mut self, id: u32, kind: Kind) -> bool {
        let types: Vec<_> = ["base.group_user", "base.group_portal", "base.group_public"]
            .iter()
            .filter_map(|name| self.groups.id(name))
            .collect();
        let more = self.default_groups(kind);
        self.regroup(id, |groups| {
            groups.retain(|group| !types.contains(group));
            groups.extend(more);
        })
    }

    /// Puts a user into a group; `false` as well where the group does not exist.
    pub fn grant(&mut self, id: u32, xml_id: &str) -> bool {
        let Some(group) = self.groups.id(xml_id) else {
            return false;
        };
        self.regroup(id, |groups| groups.push(group))
    }

    /// Takes a user out of a group.
    pub fn revoke(&mut self, id: u32, xml_id: &str) -> bool {
        let Some(group) = self.groups.id(xml_id) else {
            return false;
        };
        self.regroup(id, |groups| groups.retain(|it| *it != group))
    }

    /// Sets the main company (from 1), which becomes the only one, and more companies that the user may work in.
    pub fn set_companies(&mut self, id: u32, main: u8, more: &[u8]) -> bool {
        let bits = more
            .iter()
            .chain([&main])
            .fold(0, |bits, company| bits | 1 << (company - 1));
        self.change(id, |person| {
            person.company = main;
            person.companies = bits;
        })
    }

    /// A password for RPC.
    pub fn set_password(&mut self, id: u32, password: &str) {
        self.passwords.insert(id, password.into());
    }

    /// Installs a module, known or not, with its groups.
    pub fn install(&mut self, module: &str) {
        if module == "mfa_auditor_use" && !self.installed(module) {
            self.uses = Uses {
                since: self.now(),
                ..Uses::default()
            };
        }
        match self.modules.iter_mut().find(|it| it.name == module) {
            Some(found) => found.installed = true,
            None => {
                let id = u32::try_from(self.modules.len()).expect("few modules") + 1;
                self.modules.push(Module {
                    id,
                    name: module.into(),
                    installed: true,
                });
            }
        }
        let names: Vec<String> = self
            .modules
            .iter()
            .filter(|it| it.installed)
            .map(|it| it.name.clone())
            .collect();
        let fresh = Groups::of(self.version, |name| names.iter().any(|it| it == name));
        let mut next = self
            .groups
            .list
            .iter()
            .map(|group| group.id)
            .max()
            .unwrap_or(0);
        let ids: Vec<(String, Vec<String>)> = fresh
            .list
            .iter()
            .map(|group| {
                (
                    group.xml_id(),
                    group
                        .implied
                        .iter()
                        .filter_map(|id| fresh.list.iter().find(|it| it.id == *id))
                        .map(groups::Group::xml_id)
                        .collect(),
                )
            })
            .collect();
        for (mut group, (xml_id, implied)) in fresh.list.into_iter().zip(ids) {
            if self.groups.id(&xml_id).is_none() {
                next += 1;
                group.id = next;
                group.implied = implied
                    .iter()
                    .filter_map(|name| self.groups.id(name))
                    .collect();
                self.groups.list.push(group);
            }
        }
    }

    /// Uninstalls a module: its models, fields and groups are gone, its parameters stay.
    pub fn uninstall(&mut self, module: &str) {
        if let Some(found) = self.modules.iter_mut().find(|it| it.name == module) {
            found.installed = false;
            self.groups.drop_module(module);
        }
    }

    /// Sets or deletes a system parameter.
    pub fn set_param(&mut self, key: &str, value: Option<&str>) {
        let id = u32::try_from(self.parameters.len()).expect("few parameters") + 1;
        match value {
            None => drop(self.parameters.remove(key)),
            Some(value) => {
                self.parameters
                    .entry(key.into())
                    .or_insert(Parameter {
                        id,
                        value: String::new(),
                    })
                    .value = value.into()
            }
        }
    }

    /// Adds a company (eight at most); gives its number.
    pub fn add_company(&mut self, name: &str) -> u8 {
        self.companies.push(Company {
            name: name.into(),
            active: true,
        });
        u8::try_from(self.companies.len()).expect("few companies")
    }

    /// Adds a website with a public user of its own; gives that user's id. Needs the module `website`.
    pub fn add_website(&mut self, name: &str) -> u32 {
        let now = self.now();
        let user = self.hire_at(Kind::Public, now);
        self.rename(
            user,
            &format!("public-{}", self.websites.len() + 1),
            &format!("Public user for {name}"),
        );
        self.set_active(user, false);
        self.websites.push(Website {
            name: name.into(),
            user,
        });
        user
    }

    /// Trusts a network, for all users if `users` is empty. Needs the module `auth_totp_ip_check`.
    pub fn trust_network(&mut self, cidr: &str, users: &[u32]) {
        self.networks.push(Network {
            cidr: cidr.into(),
            users: users.into(),
        });
    }

    /// Trusts no network any more.
    pub fn trust_no_network(&mut self) {
        self.networks.clear();
    }

    /// Lets `auth_api_key` keep a key for a user. Needs that module.
    pub fn keep_clear_text_key(&mut self, owner: u32) {
        self.clear_text_keys.push(owner);
    }

    /// A generator for seeded choices about this world.
    pub(crate) fn rng(&mut self) -> Rng {
        Rng::new(self.rng.next())
    }

    pub(super) fn change(&mut self, id: u32, change: impl FnOnce(&mut Person)) -> bool {
        self.person_mut(id).map(change).is_some()
    }

    fn regroup(&mut self, id: u32, change: impl FnOnce(&mut Vec<u32>)) -> bool {
        let Some(person) = self.person(id) else {
            return false;
        };
        let mut explicit = self.set(person).explicit.clone();
        change(&mut explicit);
        let set = self.groups.intern(explicit);
        self.change(id, |person| person.set = set)
    }

    fn default_groups(&self, kind: Kind) -> Vec<u32> {
        let name = match kind {
            Kind::Internal => "base.group_user",
            Kind::Portal => "base.group_portal",
            Kind::Public => "base.group_public",
            Kind::None => return Vec::new(),
        };
        self.groups.id(name).into_iter().collect()
    }
}
