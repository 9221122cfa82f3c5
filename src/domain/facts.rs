//! The result of one poll: sets of users, rows of API keys and devices, settings, and missing permissions.
//!
//! Pseudo users (`__system__`, the templates, each website's public user) are in none of it. A set without 'archived' in its name
//! holds active users only.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use super::vocabulary::{Api, Capability, Module, PolicyScope, UserType};
use super::{IdSet, PerType};

/// A fact that is complete, or missing for a reason that can be fixed: a partial answer is a missing one.
#[derive(Debug, Clone, PartialEq)]
pub enum Known<T> {
    /// Everything there is.
    Complete(T),
    /// Odoo has it, but not for this account, or not in this version.
    Missing(Gap),
    /// Nothing that the configuration exports needs it.
    NotAsked,
}

impl<T> Known<T> {
    /// The same, with what is there turned into something else.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Complete(fact) => Known::Complete(turn(fact)),
            Self::Missing(gap) => Known::Missing(gap),
            Self::NotAsked => Known::NotAsked,
        }
    }

    /// The fact, if it is complete.
    pub fn complete(&self) -> Option<&T> {
        match self {
            Self::Complete(fact) => Some(fact),
            Self::Missing(_) | Self::NotAsked => None,
        }
    }

    /// Why it is missing, if it is.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Complete(_) | Self::NotAsked => None,
            Self::Missing(gap) => Some(gap),
        }
    }
}

/// Why a fact is missing, and what to do about it. Both are sentences for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The observation, for example 'reads 1 of 24 owners of API keys'.
    pub seen: String,
    /// The right to grant, or why none helps.
    #[serde(deserialize_with = "constant")]
    pub grant: Constant,
}

/// Text of this program. By this name, since serde would borrow a `&str` from what is read.
pub type Constant = &'static str;

/// Text that was a constant of this program before it was written down. There are few of them, so each is kept for good, once.
fn constant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Constant, D::Error> {
    static KEPT: Mutex<BTreeSet<Constant>> = Mutex::new(BTreeSet::new());
    let text = String::deserialize(deserializer)?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(text.as_str()) {
        return Ok(known);
    }
    let text: Constant = text.leak();
    kept.insert(text);
    Ok(text)
}

/// Everything that one poll learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Time at which the poll started, by the server's clock: ages and periods count back from here.
    pub now: Timestamp,
    /// Lead of the server's clock over this host's; to a second. Zero if the server does not send its time.
    pub clock_ahead: SignedDuration,
    /// The server that answered.
    pub server: Server,
    /// The polling account's own id.
    pub poller: u32,
    /// The users.
    pub people: People,
    /// Accounts that Odoo or a website uses for no user (public, portal template, default, websites' users) and that can act as one: they are not
    /// archived, or anonymous visitors act as them with the rights of internal or portal users. They are users like any other.
    pub well_known_active: IdSet,
    /// Of those, the ones with a role's groups, archived ones too. `None` where roles are unknown.
    pub well_known_privileged: Option<IdSet>,
    /// Active users with TOTP (`totp_enabled`).
    pub totp: Known<IdSet>,
    /// Active users with a passkey (`auth_passkey_key_ids`).
    pub passkey: Known<IdSet>,
    /// Archived users with TOTP or a passkey; complete if both facts are.
    pub archived_holders: IdSet,
    /// Active users linked to an OAuth or OpenID Connect provider (`oauth_uid`).
    pub oauth: Known<IdSet>,
    /// Active users linked to a SAML provider (`saml_ids`).
    pub saml: Known<IdSet>,
    /// Active users whose account is younger than the grace period (`create_date`).
    pub recent: IdSet,
    /// Active users who are not dormant: a login within the period (`login_date`), or none yet and an account younger than it.
    pub awake: Known<IdSet>,
    /// Active users by configured role; a role whose groups do not exist is empty.
    pub roles: Known<BTreeMap<String, IdSet>>,
    /// XML ids of groups that the configuration names and that do not exist, although their module is installed.
    pub missing_groups: Vec<String>,
    /// Active users whom each entry of the configured exemptions exempts, in its order, whether it has expired or not.
    pub exemptions: Vec<IdSet>,
    /// The last login of the accounts exempted as `break_glass`; `None` without any, or where logins are unknown.
    pub break_glass_login: Option<Timestamp>,
    /// All rows of `res.users.apikeys`.
    pub keys: Known<Vec<ApiKey>>,
    /// All rows of `auth_totp.device` (Odoo 14: keys with the scope `2fa_trusted_device`).
    pub devices: Known<Vec<Device>>,
    /// The polling account's own active API keys that open RPC, which every account sees. `None`: none of them has an expiry.
    pub poller_key_expiry: Option<Timestamp>,
    /// The installed ones of the modules that matter.
    pub modules: Known<BTreeSet<Module>>,
    /// True if 19 and later answer XML-RPC and JSON-RPC: the module `rpc` is installed, or server-wide. `None`: unknown.
    pub legacy_rpc: Option<bool>,
    /// The e-mail code policy in force: the parameter `auth_totp.policy`, and its module installed.
    pub policy: Known<Option<PolicyScope>>,
    /// Networks that skip the second factor (`auth_totp.cidr`), where that module is installed.
    pub trusted_networks: Option<TrustedNetworks>,
    /// Owners of the rows of `auth.api.key` (`user_id`), where that module is installed and the account may read them. The key itself is
    /// never read. Of use for a finding only: nothing proves that these are all rows.
    pub clear_text_keys: Option<Vec<u32>>,
    /// True if `impersonate_login` excludes administrators (`restrict_impersonate_admin_settings`), if it is installed and has that setting.
    pub administrators_spared: Option<bool>,
    /// The groups by which a reader's request finds portal users, who are only counted.
    pub portal: PortalGroups,
    /// State of the optional Odoo modules.
    pub companion: Companion,
    /// Last uses of API keys and passwords, if the module that records them answered.
    pub uses: Option<Uses>,
}

/// Groups of portal users, as ids of one database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortalGroups {
    /// The field of `res.users` with the explicit groups of a user.
    pub field: Constant,
    /// Groups of which one makes a user a portal user.
    pub portal: BTreeSet<u32>,
    /// Unless the user is in one of these, which make internal users.
    pub internal: BTreeSet<u32>,
    /// Accounts that stand for no user.
    pub nobody: BTreeSet<u32>,
}

/// The optional Odoo modules of docs/odoo-addons.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Companion {
    /// None of them.
    Absent,
    /// `mfa_auditor`: the group for the polling account.
    Auditor,
    /// `mfa_auditor_use`, which did not answer: why.
    Failing(String),
    /// `mfa_auditor_use`, and it answered the poll.
    Answered,
}

/// The records of the module `mfa_auditor_use`, accurate to the hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// Nothing is known of the time before.
    pub since: Timestamp,
    /// The last use of API keys, by the key's id. The other keys were not used.
    pub keys: BTreeMap<u32, Timestamp>,
    /// The last use of passwords alone over XML-RPC or JSON-RPC, by the id of an active user.
    pub passwords: BTreeMap<u32, Timestamp>,
}

impl ApiKey {
    /// Its age at a moment, if Odoo says when it was created.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.created.map(|created| now.duration_since(created))
    }
}

impl Uses {
    /// For so many days, at a moment, a key had not been used. `None`: unknown, since it may be older than the notes, and may have been used
    /// before them.
    pub fn unused_for(&self, key: &ApiKey, now: Timestamp, days: &Range<i64>) -> Option<bool> {
        let (least, most) = match self.keys.get(&key.id) {
            Some(used) => (*used, *used),
            None => {
                let created = key.created.unwrap_or(Timestamp::UNIX_EPOCH);
                (created.max(self.since), created)
            }
        };
        let idle = |since: Timestamp| now.duration_since(since).as_hours() / 24;
        let (least, most) = (idle(least), idle(most));
        let outside = most < days.start || least >= days.end;
        let inside = least >= days.start && most < days.end;
        (inside || outside).then_some(inside)
    }
}

/// For how many days keys are unused that are counted as such.
pub const UNUSED_DAYS: [Range<i64>; 2] = [30..90, 90..i64::MAX];

/// The contents of `auth_totp.cidr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedNetworks {
    /// Rows with users, and rows without, which are a bypass for all users.
    Rows {
        /// Rows that name the users whom they let through.
        personal: u64,
        /// Rows without users.
        everybody: u64,
    },
    /// The module is there and its rows cannot be read.
    Unreadable,
}

/// The server that answered, and the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Odoo's version string, for example `18.0` or `saas~18.2+e`.
    pub version: String,
    /// The first two parts of its `server_version_info`.
    pub release: (u32, u32),
    /// The API that was spoken.
    pub api: Api,
}

/// The users. Portal users, who are many, are only counted: an active user who is in none of the sets is one of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct People {
    /// Active users in `base.group_user`.
    pub internal: IdSet,
    /// Active users in `base.group_public` who are no pseudo users.
    pub public: IdSet,
    /// Active users in no type group.
    pub none: IdSet,
    /// Number of active users who are in `base.group_portal` and not internal.
    pub portal: u64,
    /// Number of archived users.
    pub archived: PerType<u64>,
}

impl People {
    /// The type of an active user.
    pub fn type_of(&self, active_person: u32) -> UserType {
        if self.internal.contains(active_person) {
            UserType::Internal
        } else if self.public.contains(active_person) {
            UserType::Public
        } else if self.none.contains(active_person) {
            UserType::None
        } else {
            UserType::Portal
        }
    }

    /// Of a set of active users, those of a type.
    pub fn of_type(&self, user_type: UserType, active_people: &IdSet) -> IdSet {
        match user_type {
            UserType::Internal => active_people & &self.internal,
            UserType::Public => active_people & &self.public,
            UserType::None => active_people & &self.none,
            UserType::Portal => active_people - &self.internal - &self.public - &self.none,
        }
    }

    /// Number of active users of each type.
    pub fn active(&self) -> PerType<u64> {
        PerType([
            self.internal.len(),
            self.portal,
            self.public.len(),
            self.none.len(),
        ])
    }

    /// Number of users of each type in a set of active users.
    pub fn count(&self, active_people: &IdSet) -> PerType<u64> {
        let internal = self.internal.intersection_len(active_people);
        let public = self.public.intersection_len(active_people);
        let none = self.none.intersection_len(active_people);
        let portal = active_people.len() - internal - public - none;
        PerType([internal, portal, public, none])
    }
}

/// A row of `res.users.apikeys` that is an API key. Its name and the key itself are never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which the table never reuses.
    pub id: u32,
    /// The owner.
    pub owner: u32,
    /// True if the owner is active.
    pub owner_active: bool,
    /// The scope.
    pub scope: Scope,
    /// `create_date`, in whole seconds as Odoo returns it; a row that was written into the table by hand may have none.
    pub created: Option<Timestamp>,
    /// `expiration_date`, from Odoo 18 on, in whole seconds.
    pub expires: Option<Timestamp>,
}

/// A row of `auth_totp.device`: a browser that skips the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The owner.
    pub owner: u32,
    /// True if the owner is active.
    pub owner_active: bool,
    /// `expiration_date`, from Odoo 18 on, in whole seconds.
    pub expires: Option<Timestamp>,
}

/// The scope of an API key (`scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// No scope: everything, RPC included.
    Unrestricted,
    /// `rpc`.
    Rpc,
    /// Anything else, such as the mail plug-ins'.
    Other,
}

impl Scope {
    /// Returns true if Odoo's RPC accepts such a key.
    pub fn opens_rpc(self) -> bool {
        matches!(self, Self::Unrestricted | Self::Rpc)
    }
}

/// Clocks that differ by more than this are reported.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Returns true if clocks that differ by this time are worth a warning.
pub fn clocks_differ(by: SignedDuration) -> bool {
    by.abs() > SKEW
}

impl Facts {
    /// By how much this host's clock and the server's differ, if that is worth a word: `Odoo's clock is 12 minutes ahead of the exporter's`.
    pub fn clock_skew(&self) -> Option<String> {
        if !clocks_differ(self.clock_ahead) {
            return None;
        }
        let seconds = self.clock_ahead.abs().as_secs();
        let rounded = |unit: i64| (seconds + unit / 2) / unit;
        let by = match seconds {
            0..7_200 => format!("{} minutes", rounded(60)),
            7_200..172_800 => format!("{} hours", rounded(3_600)),
            _ => format!("{} days", rounded(86_400)),
        };
        let side = if self.clock_ahead.is_positive() {
            "ahead of"
        } else {
            "behind"
        };
        Some(format!("Odoo's clock is {by} {side} the exporter's"))
    }

    /// Facts of a poll that asked who there is, and nothing else.
    pub fn of_people(now: Timestamp, server: Server, poller: u32, people: People) -> Self {
        Self {
            now,
            clock_ahead: SignedDuration::ZERO,
            server,
            poller,
            people,
            well_known_active: IdSet::new(),
            well_known_privileged: None,
            totp: Known::NotAsked,
            passkey: Known::NotAsked,
            archived_holders: IdSet::new(),
            oauth: Known::NotAsked,
            saml: Known::NotAsked,
            recent: IdSet::new(),
            awake: Known::NotAsked,
            roles: Known::NotAsked,
            missing_groups: Vec::new(),
            exemptions: Vec::new(),
            break_glass_login: None,
            keys: Known::NotAsked,
            devices: Known::NotAsked,
            poller_key_expiry: None,
            modules: Known::NotAsked,
            legacy_rpc: None,
            policy: Known::NotAsked,
            trusted_networks: None,
            clear_text_keys: None,
            administrators_spared: None,
            portal: PortalGroups::default(),
            companion: Companion::Absent,
            uses: None,
        }
    }

    /// The capabilities that were asked for, and why one is missing. That there are facts at all means that all users are seen.
    pub fn capabilities(&self) -> Vec<(Capability, Option<Gap>)> {
        fn state<T>(fact: &Known<T>) -> Option<Option<Gap>> {
            match fact {
                Known::Complete(_) => Some(None),
                Known::Missing(gap) => Some(Some(gap.clone())),
                Known::NotAsked => None,
            }
        }
        [
            (Capability::Users, Some(None)),
            (Capability::Totp, state(&self.totp)),
            (Capability::Passkeys, state(&self.passkey)),
            (Capability::ApiKeys, state(&self.keys)),
            (Capability::TrustedDevices, state(&self.devices)),
            (Capability::Policy, state(&self.policy)),
            (Capability::Modules, state(&self.modules)),
            (Capability::Groups, state(&self.roles)),
            (Capability::Logins, state(&self.awake)),
        ]
        .into_iter()
        .filter_map(|(capability, state)| Some((capability, state?)))
        .collect()
    }

    /// Why each capability that is missing is missing.
    pub fn gaps(&self) -> impl Iterator<Item = (Capability, Gap)> {
        self.capabilities()
            .into_iter()
            .filter_map(|(capability, gap)| Some((capability, gap?)))
    }

    /// Returns true if Odoo is of this release or later: `(19, 0)` for 19.0.
    pub fn is_at_least(&self, release: (u32, u32)) -> bool {
        self.server.release >= release
    }
}
