//! Situations of real databases in which a client goes wrong quietly: users, groups and companies that Odoo hides from the account that
//! polls, secrets that are no factor, well-known accounts that are users, groups with several XML ids.

use super::{
    super::clock::Time,
    person::{EMPTY_SECRET, NO_SECRET},
    *,
};

/// A situation that hides a user from every account. Record rules do not hide from the superuser, so not from the companion module. Several may hide
/// the same user.
///
/// A question sees a hidden user where Odoo asks without the rules: `exists`, domains on the users of a group, and (unless the contact is
/// hidden) domains on `user_ids` of `res.partner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Hide {
    /// A global record rule on `res.users`.
    UserRule = 1,
    /// A record rule on `res.users` of the group `base.group_user`.
    UserGroupRule = 2,
    /// A global record rule on `res.partner`. Up to 16 `read` by id asks only the rules of `res.users`.
    ContactRule = 4,
    /// A record rule on `res.partner` of the group `base.group_user`.
    ContactGroupRule = 8,
    /// The contact is of the type Private, which `base.group_private_addresses` alone sees. Up to 16; later it hides nothing.
    PrivateContact = 16,
    /// A module overrides `_search` of `res.users`: `read` by id still answers, and the superuser finds the user no more than others.
    SearchOverride = 32,
}

/// A company.
#[derive(Debug, Clone)]
pub(crate) struct Company {
    pub(crate) name: String,
    pub(crate) active: bool,
}

/// An OAuth provider of `auth_oauth`.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) enabled: bool,
}

impl World {
    /// Hides a user.
    pub fn hide_user(&mut self, id: u32, how: Hide) -> bool {
        let there = self.person(id).is_some();
        if there {
            *self.hidden.entry(id).or_default() |= how as u8;
        }
        there
    }

    /// Removes everything that [`World::hide_user`] did to a user.
    pub fn show_user(&mut self, id: u32) -> bool {
        self.hidden.remove(&id).is_some()
    }

    /// Hides a group by a record rule on `res.groups`; its users stay visible.
    pub fn hide_group(&mut self, xml_id: &str) -> bool {
        let group = self.groups.id(xml_id);
        group.is_some_and(|id| self.hidden_groups.insert(id))
    }

    /// Shows a hidden group again.
    pub fn show_group(&mut self, xml_id: &str) -> bool {
        let group = self.groups.id(xml_id);
        group.is_some_and(|id| self.hidden_groups.remove(&id))
    }

    /// Gives a group one more XML id, behind those that it has.
    pub fn alias_group(&mut self, xml_id: &str, alias: &str) -> bool {
        let (Some(id), Some((module, name))) = (self.groups.id(xml_id), alias.split_once('.'))
        else {
            return false;
        };
        self.groups.aliases.push((module.into(), name.into(), id));
        true
    }

    /// Adds a group without XML id of a module: `__export__.NAME`, as an administrator creates it. Gives its id.
    pub fn add_group(&mut self, name: &str) -> u32 {
        self.groups.add(self.version, name)
    }

    /// Archives a company (number from 1) or activates it again. Up to 15 companies cannot be archived and nothing changes.
    pub fn set_company_active(&mut self, number: u8, active: bool) -> bool {
        let able = self.version >= 16;
        let company = self.companies.get_mut(usize::from(number).wrapping_sub(1));
        company
            .filter(|_| able)
            .map(|company| company.active = active)
            .is_some()
    }

    /// Removes the rows of a user in the table of companies, as imports and SQL do: a portal user without one is hidden from every account.
    pub fn remove_company_rows(&mut self, id: u32) -> bool {
        self.change(id, |person| person.companies = 0)
    }

    /// On 14 and 15: remembers the record rules of an account as they are now. Companies that it gets or loses later count only in calls
    /// with `allowed_company_ids` in their context. Later versions remember nothing.
    pub fn cache_rules(&mut self, account: u32) -> bool {
        let companies = self.person(account).map(|person| person.companies);
        if let Some(companies) = companies.filter(|_| self.version <= 15) {
            self.cached_rules.insert(account, companies);
        }
        companies.is_some()
    }

    /// Forgets the remembered rules, as a restart of Odoo does.
    pub fn clear_rule_cache(&mut self) {
        self.cached_rules.clear();
    }

    /// Writes an empty `totp_secret`, as migrations do: `totp_enabled = True` finds it from 15 on, and reading says false.
    pub fn empty_totp_secret(&mut self, id: u32) -> bool {
        self.change(id, |person| {
            person.set_flag(TOTP, false);
            person.set_flag(EMPTY_SECRET, true);
        })
    }

    /// Enrolls in the TOTP of an add-on that keeps its own secrets: reading `totp_enabled` says true, and no search finds it.
    pub fn enroll_elsewhere(&mut self, id: u32) -> bool {
        self.change(id, |person| {
            person.set_flag(TOTP, true);
            person.set_flag(NO_SECRET, true);
        })
    }

    /// The user behind an XML id such as `base.public_user`.
    pub fn user_id(&self, xml_id: &str) -> Option<u32> {
        let (module, name) = xml_id.split_once('.')?;
        self.reference(module, name)
            .filter(|(model, _)| *model == "res.users")
            .map(|(_, id)| id)
    }

    /// Moves a user to another, free id: well-known accounts of migrated databases have ids above 32. `false` where the id is taken.
    pub fn renumber(&mut self, id: u32, new: u32) -> bool {
        if self.person(id).is_none() || self.person(new).is_some() {
            return false;
        }
        let there = |own: &mut u32| {
            if *own == id {
                *own = new;
            }
        };
        self.people.iter_mut().for_each(|it| there(&mut it.id));
        self.people.sort_by_key(|it| it.id);
        for list in [&mut self.keys, &mut self.devices, &mut self.passkeys] {
            list.iter_mut().for_each(|it| there(&mut it.owner));
        }
        let users = |it: &&mut Reference| it.model == "res.users";
        let references = self.references.iter_mut().filter(users);
        references.for_each(|it| there(&mut it.id));
        self.websites.iter_mut().for_each(|it| there(&mut it.user));
        self.clear_text_keys.iter_mut().for_each(there);
        let networks = self.networks.iter_mut();
        networks.for_each(|it| it.users.iter_mut().for_each(there));
        for texts in [&mut self.logins, &mut self.names, &mut self.passwords] {
            if let Some(text) = texts.remove(&id) {
                texts.insert(new, text);
            }
        }
        self.next_user = self.next_user.max(new + 1);
        true
    }

    /// Makes a user the public user of a website (number from 1). The one before stays what they are.
    pub fn set_website_user(&mut self, number: usize, user: u32) -> bool {
        if self.person(user).is_none() {
            return false;
        }
        let website = self.websites.get_mut(number.wrapping_sub(1));
        website.map(|website| website.user = user).is_some()
    }

    /// Adds an OAuth provider; gives its number, from 1. Needs the module `auth_oauth`, which brings one, enabled.
    pub fn add_oauth_provider(&mut self, name: &str, enabled: bool) -> u32 {
        self.providers.push(Provider {
            name: name.into(),
            enabled,
        });
        u32::try_from(self.providers.len()).expect("few providers")
    }

    /// Enables or disables an OAuth provider.
    pub fn enable_oauth_provider(&mut self, number: u32, enabled: bool) -> bool {
        let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        let provider = self.providers.get_mut(at);
        provider.map(|it| it.enabled = enabled).is_some()
    }

    /// Links a user to this OAuth provider; [`World::link_oauth`] links to the first.
    pub fn set_oauth_provider(&mut self, id: u32, provider: u32) -> bool {
        self.links.insert(id, provider);
        self.link_oauth(id, true)
    }

    /// Adds an API key whose scope is the empty text: it opens nothing. Gives its id.
    pub fn add_key_with_empty_scope(&mut self, owner: u32, created: Time) -> u32 {
        self.add_key(owner, Scope::Other(""), created, None)
    }

    /// The provider that a user is linked to; 0: none.
    pub(crate) fn provider_of(&self, person: &Person) -> u32 {
        if person.has(OAUTH) {
            self.links.get(&person.id).copied().unwrap_or(1)
        } else {
            0
        }
    }

    /// Linked to a provider that is enabled.
    pub(crate) fn logs_in_by_oauth(&self, person: &Person) -> bool {
        let number = usize::try_from(self.provider_of(person)).unwrap_or(0);
        let provider = self.providers.get(number.wrapping_sub(1));
        provider.is_some_and(|provider| provider.enabled)
    }

    /// Does one of these hide the user?
    pub(crate) fn hidden_by(&self, id: u32, ways: u8) -> bool {
        // Nothing is hidden in nearly every world, and this is asked of every row.
        !self.hidden.is_empty() && self.hidden.get(&id).is_some_and(|bits| bits & ways != 0)
    }

    /// The companies that are not archived, as bits.
    pub(crate) fn active_companies(&self) -> u8 {
        let numbered = self.companies.iter().enumerate();
        numbered
            .filter(|(_, company)| company.active)
            .fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// Is this user the public user of a website?
    pub(crate) fn serves_website(&self, id: u32) -> bool {
        let serves = self.websites.iter().any(|website| website.user == id);
        (self.installed("website") && serves) || self.user_id("base.public_user") == Some(id)
    }

    /// Only while they are archived: `__system__`, the well-known accounts, and, if visitors act as it, an account that is neither internal
    /// nor a portal user.
    pub(crate) fn is_pseudo(&self, person: &Person) -> bool {
        if person.has(ACTIVE) {
            return false;
        }
        if self.serves_website(person.id) {
            return !matches!(self.set(person).kind, Kind::Internal | Kind::Portal);
        }
        person.has(ROOT) || person.has(WELL_KNOWN)
    }

    /// Ids of the well-known accounts and websites' public users that are users.
    pub fn well_known_active(&self) -> Vec<u32> {
        let known = self.people.iter().filter(|person| {
            let is_known = person.has(ROOT) || person.has(WELL_KNOWN);
            (is_known || self.serves_website(person.id)) && !self.is_pseudo(person)
        });
        known.map(|person| person.id).collect()
    }
}
