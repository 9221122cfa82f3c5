//! Adds and removes API keys, trusted devices and passkeys.

use super::{
    super::{clock::Time, rng::hex},
    Credential, Scope, World,
};

impl World {
    /// Adds an API key; up to 17 keys have no date and `expires` is dropped. Gives its id.
    pub fn add_key(
        &mut self,
        owner: u32,
        scope: Scope,
        created: Time,
        expires: Option<Time>,
    ) -> u32 {
        let id = self.next_key;
        self.next_key += 1;
        let expires = expires.filter(|_| self.version >= 18).unwrap_or(0);
        self.keys.push(Credential {
            id,
            owner,
            created,
            expires,
            scope,
        });
        id
    }

    /// Adds an API key and gives the secret that opens RPC with it.
    pub fn add_secret_key(
        &mut self,
        owner: u32,
        scope: Scope,
        created: Time,
        expires: Option<Time>,
    ) -> String {
        let id = self.add_key(owner, scope, created, expires);
        let secret = hex(&mut self.rng, 40);
        self.secrets.insert(secret.clone(), id);
        secret
    }

    /// Lets a second secret open what the newest key of `owner` opens.
    pub fn also_opens(&mut self, secret: &str, owner: u32) {
        if let Some(key) = self.keys.iter().rev().find(|key| key.owner == owner) {
            self.secrets.insert(secret.into(), key.id);
        }
    }

    /// Is this an account that polls?
    pub(crate) fn is_account(&self, id: u32) -> bool {
        self.passwords.contains_key(&id)
    }

    /// Revokes an API key.
    pub fn revoke_key(&mut self, id: u32) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.id != id);
        self.keys.len() != before
    }

    /// Moves the end of an API key; `None`: it never ends.
    pub fn set_key_expiry(&mut self, id: u32, expires: Option<Time>) -> bool {
        self.keys
            .iter_mut()
            .find(|key| key.id == id)
            .map(|key| key.expires = expires.unwrap_or(0))
            .is_some()
    }

    /// What Odoo does daily from 18 on: deletes expired keys and devices.
    pub fn purge_expired(&mut self) {
        let now = self.now();
        self.keys.retain(|key| !key.expired(now));
        self.devices.retain(|device| !device.expired(now));
    }

    /// Adds a trusted device. Up to 17 it has no date; up to 14 it is a row of `res.users.apikeys`.
    pub fn add_device(&mut self, owner: u32, created: Time, expires: Option<Time>) -> u32 {
        let old = self.version <= 14;
        let sequence = if old {
            &mut self.next_key
        } else {
            &mut self.next_device
        };
        let id = *sequence;
        *sequence += 1;
        let scope = Scope::Other(if old { "2fa_trusted_device" } else { "browser" });
        let expires = expires.filter(|_| self.version >= 18).unwrap_or(0);
        self.devices.push(Credential {
            id,
            owner,
            created,
            expires,
            scope,
        });
        id
    }

    /// Forgets all trusted devices of a person.
    pub fn revoke_devices(&mut self, owner: u32) {
        self.devices.retain(|device| device.owner != owner);
    }

    /// Adds a passkey.
    pub fn add_passkey(&mut self, owner: u32, created: Time) -> u32 {
        let id = self.next_passkey;
        self.next_passkey += 1;
        self.passkeys.push(Credential {
            id,
            owner,
            created,
            expires: 0,
            scope: Scope::Unrestricted,
        });
        id
    }

    /// Removes all passkeys of a person.
    pub fn remove_passkeys(&mut self, owner: u32) {
        self.passkeys.retain(|key| key.owner != owner);
    }
}
