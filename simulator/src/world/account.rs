//! The accounts that poll, from those that see everything to those that see themselves.

use super::{super::clock::DAY, AUDITOR, Kind, Scope, World};

/// Permissions of a polling account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// `base.group_system`: everything.
    Full,
    /// Internal, in all companies, in a group with read access to all keys, devices and passkeys: all but the parameters.
    Least,
    /// A plain internal user in all companies: only its own keys, devices, passkeys.
    Plain,
    /// `base.group_erp_manager`: all passkeys, but only its own keys and devices.
    ErpManager,
    /// A portal user: sees itself.
    Portal,
    /// As [`AccountKind::Least`], but only in the first company: misses the share users of the others.
    OneCompany,
}

/// An account and what opens RPC for it.
#[derive(Debug, Clone)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Login.
    pub login: String,
    /// The secret of a key that opens RPC, unrestricted up to 19, without a date up to 18, with a year or ninety days left later.
    pub api_key: String,
    /// Its password.
    pub password: String,
}
impl World {
    /// Adds an account that polls.
    pub fn add_account(&mut self, kind: AccountKind, login: &str) -> Account {
        let now = self.now();
        let portal = kind == AccountKind::Portal;
        let uid = self.hire_at(
            if portal { Kind::Portal } else { Kind::Internal },
            now.saturating_sub(30 * DAY),
        );
        self.rename(uid, login, "MFA auditor");
        if !portal && kind != AccountKind::OneCompany {
            let all: Vec<u8> =
                (1..=u8::try_from(self.companies.len()).expect("few companies")).collect();
            self.set_companies(uid, 1, &all);
        }
        match kind {
            AccountKind::Full => drop(self.grant(uid, "base.group_system")),
            AccountKind::Least | AccountKind::OneCompany => drop(self.grant(uid, AUDITOR)),
            AccountKind::ErpManager => drop(self.grant(uid, "base.group_erp_manager")),
            AccountKind::Plain | AccountKind::Portal => {}
        }
        let days = if kind == AccountKind::Full { 365 } else { 90 };
        let expires = Some(now + days * DAY).filter(|_| self.version >= 18);
        let api_key = self.add_secret_key(uid, Scope::usual(self.version), now, expires);
        let password = format!("pw-{uid}-{login}");
        self.set_password(uid, &password);
        Account {
            uid,
            login: login.into(),
            api_key,
            password,
        }
    }
}
