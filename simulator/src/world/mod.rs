//! State of one simulated database, and the calls that change it.
//!
//! Users are 24 bytes each: names and logins are derived from the id unless a test set them, groups are interned sets.

mod account;
mod build;
mod changes;
mod credentials;
mod group_table;
mod groups;
mod modules;
mod person;
mod quirks;
mod situations;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use account::{Account, AccountKind};
pub use build::Recipe;
pub(super) use group_table::AUDITOR;
pub(super) use groups::{Group, GroupSet, Groups};
pub(super) use modules::Module;
use person::CUSTOMER;
pub use person::PersonView;
pub(super) use person::{
    ACTIVE, EMPTY_SECRET, NO_SECRET, OAUTH, Person, ROOT, SAML, TOTP, WELL_KNOWN,
};
pub use quirks::Quirks;
pub use situations::Hide;
pub(super) use situations::{Company, Provider};

use super::{
    clock::{Clock, Time},
    rng::{Rng, mix},
};

/// Type of a user, by group membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// In `base.group_user`.
    Internal,
    /// In `base.group_portal`.
    Portal,
    /// In `base.group_public`.
    Public,
    /// In none of the three.
    None,
}

/// A key's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `false`: opens everything, from late 19 on nothing. What the user interface makes up to 19.
    Unrestricted,
    /// `rpc`.
    Rpc,
    /// Another one, which does not open RPC.
    Other(&'static str),
}

impl Scope {
    /// The scope of a key that the user interface of a version makes.
    pub(super) fn usual(version: u8) -> Self {
        if version >= 20 {
            Self::Rpc
        } else {
            Self::Unrestricted
        }
    }

    pub(super) fn text(self) -> Option<&'static str> {
        match self {
            Self::Unrestricted => None,
            Self::Rpc => Some("rpc"),
            Self::Other(name) => Some(name),
        }
    }
}

/// An API key, a trusted device or a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// Its database id.
    pub id: u32,
    /// The owner.
    pub owner: u32,
    /// Creation time.
    pub created: Time,
    /// Expiry time; 0: never.
    pub expires: Time,
    /// Of a key; `Other("browser")` or `Other("2fa_trusted_device")` of a device.
    pub scope: Scope,
}

impl Credential {
    /// Its date has passed.
    pub fn expired(&self, now: Time) -> bool {
        self.expires != 0 && self.expires <= now
    }
}

/// One database.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) version: u8,
    /// Of the server: the minor number of a release of Odoo Online.
    pub(super) saas: Option<u8>,
    pub(super) clock: Clock,
    /// Quirks of this build or database.
    pub quirks: Quirks,
    seed: u64,
    host: String,
    pub(super) people: Vec<Person>,
    logins: HashMap<u32, String>,
    names: HashMap<u32, String>,
    next_user: u32,
    pub(super) groups: Groups,
    pub(super) keys: Vec<Credential>,
    pub(super) devices: Vec<Credential>,
    pub(super) passkeys: Vec<Credential>,
    next_key: u32,
    next_device: u32,
    next_passkey: u32,
    secrets: HashMap<String, u32>,
    passwords: HashMap<u32, String>,
    pub(super) modules: Vec<Module>,
    pub(super) parameters: BTreeMap<String, Parameter>,
    pub(super) companies: Vec<Company>,
    /// Bits of [`Hide`] by user.
    hidden: HashMap<u32, u8>,
    pub(super) hidden_groups: BTreeSet<u32>,
    /// The companies that the cached record rules of an account know, as bits.
    pub(super) cached_rules: HashMap<u32, u8>,
    pub(super) providers: Vec<Provider>,
    /// The OAuth provider by user, where it is not the first.
    links: HashMap<u32, u32>,
    pub(super) websites: Vec<Website>,
    pub(super) networks: Vec<Network>,
    /// Owners of the keys that auth_api_key keeps.
    pub(super) clear_text_keys: Vec<u32>,
    /// The records of the module `mfa_auditor_use`; used while it is installed.
    pub uses: Uses,
    pub(super) references: Vec<Reference>,
    rng: Rng,
}

/// Last uses of API keys and of passwords alone.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// Since when that is noted.
    pub since: Time,
    /// By the id of a key.
    pub keys: BTreeMap<u32, Time>,
    /// By the id of a user.
    pub passwords: BTreeMap<u32, Time>,
}

/// A row of `ir.config_parameter`; its key is the map's.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) id: u32,
    pub(super) value: String,
}

/// A website and its public user.
#[derive(Debug, Clone)]
pub(super) struct Website {
    pub(super) name: String,
    pub(super) user: u32,
}

/// A trusted network of auth_totp_ip_check.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) cidr: String,
    /// Empty: for all users.
    pub(super) users: Vec<u32>,
}

/// An XML id of something that is not a group.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) name: &'static str,
    pub(super) model: &'static str,
    pub(super) id: u32,
}

impl World {
    /// The Odoo version, 14 to 20.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The time in this database.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// All users, accounts that stand for no user included, by id.
    pub fn users(&self) -> impl Iterator<Item = PersonView<'_>> {
        self.people
            .iter()
            .map(|person| PersonView::new(self, *person))
    }

    /// All users except accounts that stand for no user, by id.
    pub fn people(&self) -> impl Iterator<Item = PersonView<'_>> {
        self.users().filter(|person| !person.pseudo())
    }

    /// One user.
    pub fn user(&self, id: u32) -> Option<PersonView<'_>> {
        self.person(id).map(|person| PersonView::new(self, *person))
    }

    /// All API keys, expired ones too; trusted devices are never among them.
    pub fn keys(&self) -> impl Iterator<Item = &Credential> {
        self.keys.iter()
    }

    /// All trusted devices, expired ones too; none where TOTP is not installed.
    pub fn devices(&self) -> impl Iterator<Item = &Credential> {
        self.devices.iter().filter(|_| self.installed("auth_totp"))
    }

    /// All passkeys; none where they are not installed.
    pub fn passkeys(&self) -> impl Iterator<Item = &Credential> {
        self.passkeys
            .iter()
            .filter(|_| self.installed("auth_passkey"))
    }

    /// Returns true if a module is installed.
    pub fn installed(&self, module: &str) -> bool {
        self.modules
            .iter()
            .any(|it| it.installed && it.name == module)
    }

    /// A system parameter.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.parameters
            .get(key)
            .map(|parameter| parameter.value.as_str())
    }

    /// The e-mail code policy in force: the parameter, where the module that obeys it is installed.
    pub fn policy_in_force(&self) -> Option<&str> {
        self.param("auth_totp.policy")
            .filter(|_| self.installed(self.policy_module()))
    }

    /// The module that obeys the e-mail code policy.
    pub(super) fn policy_module(&self) -> &'static str {
        if self.quirks.policy_in_mail {
            "auth_totp_mail"
        } else {
            "auth_totp_mail_enforce"
        }
    }

    pub(super) fn person(&self, id: u32) -> Option<&Person> {
        self.people
            .binary_search_by_key(&id, |person| person.id)
            .ok()
            .map(|index| &self.people[index])
    }

    fn person_mut(&mut self, id: u32) -> Option<&mut Person> {
        self.people
            .binary_search_by_key(&id, |person| person.id)
            .ok()
            .map(|index| &mut self.people[index])
    }

    pub(super) fn set(&self, person: &Person) -> &GroupSet {
        &self.groups.sets[usize::from(person.set)]
    }

    pub(super) fn login(&self, person: &Person) -> String {
        if let Some(login) = self.logins.get(&person.id) {
            return login.clone();
        }
        let (first, last) = self.derived_name(person.id);
        let (first, last) = (first.to_lowercase(), last.to_lowercase());
        let host = if person.has(CUSTOMER) {
            "mail.example"
        } else {
            &self.host
        };
        format!("{first}.{last}{}@{host}", person.id)
    }

    pub(super) fn name(&self, person: &Person) -> String {
        match self.names.get(&person.id) {
            Some(name) => name.clone(),
            None => {
                let (first, last) = self.derived_name(person.id);
                format!("{first} {last}")
            }
        }
    }

    /// The user with this login. Derived logins end in their id, so nothing is searched.
    pub(super) fn by_login(&self, login: &str) -> Option<&Person> {
        if let Some((id, _)) = self.logins.iter().find(|(_, it)| *it == login) {
            return self.person(*id);
        }
        let (local, _) = login.split_once('@')?;
        let digits = local.len() - local.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let person = self.person(local[local.len() - digits..].parse().ok()?)?;
        (self.login(person) == login).then_some(person)
    }

    /// The active API key that opens RPC with this secret.
    pub(super) fn key_of(&self, secret: &str) -> Option<&Credential> {
        let id = self.secrets.get(secret)?;
        let key = self.keys.iter().find(|key| key.id == *id)?;
        let opens = match key.scope {
            Scope::Unrestricted => !self.quirks.null_scope_refused,
            Scope::Rpc => true,
            Scope::Other(_) => false,
        } && !key.expired(self.now());
        let owner = self.person(key.owner)?;
        (opens && owner.has(ACTIVE)).then_some(key)
    }

    /// A password alone opens RPC only for a user without TOTP and, from 19 on, not covered by the policy.
    pub(super) fn password_opens(&self, id: u32, password: &str) -> bool {
        let Some(person) = self.person(id) else {
            return false;
        };
        let covered = self.version >= 19
            && match self.policy_in_force() {
                Some("all_required") => true,
                Some("employee_required") => self.set(person).kind == Kind::Internal,
                _ => false,
            };
        let second = self.installed("auth_totp") && person.has(TOTP);
        person.has(ACTIVE)
            && !second
            && !covered
            && self.passwords.get(&id).is_some_and(|it| it == password)
    }

    /// The group of an XML id.
    pub fn group_id(&self, xml_id: &str) -> Option<u32> {
        self.groups.id(xml_id)
    }

    /// Model and id of an XML id.
    pub(super) fn reference(&self, module: &str, name: &str) -> Option<(&'static str, u32)> {
        if let Some(id) = self.groups.id(&format!("{module}.{name}")) {
            return Some(("res.groups", id));
        }
        let found = self
            .references
            .iter()
            .find(|it| module == "base" && it.name == name)?;
        Some((found.model, found.id))
    }

    fn derived_name(&self, id: u32) -> (&'static str, &'static str) {
        let hash = mix(self.seed ^ u64::from(id).wrapping_mul(0x2545_F491_4F6C_DD1D));
        let pick = |list: &[&'static str], bits: u64| {
            list[usize::try_from(bits % list.len() as u64).expect("a short list")]
        };
        (pick(FIRST, hash), pick(LAST, hash >> 32))
    }
}

const FIRST: &[&str] = &[
    "Ada", "Amir", "Anna", "Aya", "Ben", "Bianca", "Bruno", "Carla", "Chen", "Clara", "Dario",
    "Diana", "Elif", "Emil", "Emma", "Eva", "Farid", "Felix", "Greta", "Hana", "Hugo", "Ida",
    "Ines", "Ivan", "Jana", "Jonas", "Karim", "Kira", "Lea", "Leon", "Lina", "Luca", "Maja",
    "Marc", "Mei", "Mila", "Nadia", "Nico", "Nina", "Noah", "Olga", "Omar", "Paul", "Petra",
    "Rosa", "Samir", "Sara", "Sven", "Tara", "Theo", "Tina", "Uma", "Vera", "Viktor", "Wanda",
    "Yara", "Yusuf", "Zoe",
];

const LAST: &[&str] = &[
    "Adler", "Bauer", "Becker", "Bianchi", "Blanc", "Brandt", "Castro", "Costa", "Demir", "Dubois",
    "Evans", "Farkas", "Fischer", "Garcia", "Haas", "Hansen", "Ivanov", "Jansen", "Kaya", "Keller",
    "Klein", "Kowalski", "Lang", "Lopez", "Maier", "Martin", "Meyer", "Moreau", "Nagy", "Novak",
    "Olsen", "Park", "Peeters", "Petrov", "Ricci", "Rossi", "Sato", "Schmidt", "Silva", "Smith",
    "Sousa", "Tanaka", "Vogel", "Wagner", "Weber", "Winter", "Wolf", "Zhang",
];
