//! Basic authentication (RFC 7617) against bcrypt hashes.
//!
//! bcrypt is slow on purpose. It runs beside the async code, one at a time and in turns, and what was right once is recognized by a keyed hash.
//! Only that is kept, one for each user, so that attempts of other clients cannot crowd it out. An unknown name is compared with the hash
//! of some user, which takes as long.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};

use super::Refusal;
use super::turns::{Origin, Turns};
use crate::config::web_file::PasswordHash;

/// Name and password of a client.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) user: String,
    password: SecretString,
}

impl Credentials {
    /// Parses the header; `None` if there is none, or it is malformed.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let text = SecretString::from(String::from_utf8(decoded).ok()?);
        let (user, password) = text.expose_secret().split_once(':')?;
        Some(Self {
            user: user.to_owned(),
            password: SecretString::from(password),
        })
    }
}

/// Compares passwords.
pub(super) struct Passwords {
    key: hmac::Key,
    /// Of each user, the password that was right last, hashed with the key.
    right: Arc<Mutex<HashMap<String, hmac::Tag>>>,
    turns: Turns,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system gives random bytes");
        Self {
            key,
            right: Arc::default(),
            turns: Turns::default(),
        }
    }

    /// Returns true if it is the password of a user.
    ///
    /// # Errors
    /// If too many wait for an answer.
    pub(super) async fn verify(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        credentials: &Credentials,
        network: Option<IpAddr>,
    ) -> Result<bool, Refusal> {
        let Credentials { user, password } = credentials;
        let known = users.get(user);
        let Some(hash) = known.or_else(|| self.stand_in(users, user)) else {
            return Ok(false);
        };
        let tag = self.tag(hash, password);
        if known.is_some() && self.was_right(user, &tag) {
            return Ok(true);
        }
        let origin = Origin {
            network,
            user: self.number(user),
        };
        let turn = self.turns.next(origin).await.ok_or(Refusal::Busy)?;
        // An earlier request may have had the same password.
        if known.is_some() && self.was_right(user, &tag) {
            return Ok(true);
        }
        let (hash, password) = (hash.clone(), password.clone());
        let right = tokio::task::spawn_blocking(move || {
            // Held until bcrypt ends, even if the client has gone.
            let _turn = turn;
            bcrypt::verify(password.expose_secret(), hash.expose()).unwrap_or(false)
        })
        .await
        .unwrap_or(false);
        let right = right && known.is_some();
        if right {
            self.right().insert(user.clone(), tag);
        }
        Ok(right)
    }

    /// The hash that a name which is no user's is compared with: always the same one, whichever it is.
    fn stand_in<'a>(
        &self,
        users: &'a BTreeMap<String, PasswordHash>,
        user: &str,
    ) -> Option<&'a PasswordHash> {
        let number = self.number(user) % users.len().max(1) as u64;
        users.values().nth(usize::try_from(number).unwrap_or(0))
    }

    /// A number for a name. Only this process can compute it.
    fn number(&self, user: &str) -> u64 {
        let tag = hmac::sign(&self.key, user.as_bytes());
        let bytes = tag.as_ref().first_chunk().copied();
        u64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn tag(&self, hash: &PasswordHash, password: &SecretString) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        // All hashes are equally long.
        context.update(hash.expose().as_bytes());
        context.update(password.expose_secret().as_bytes());
        context.sign()
    }

    fn was_right(&self, user: &str, tag: &hmac::Tag) -> bool {
        // Tags of a secret key: the time of the comparison reveals nothing.
        let right = self.right();
        right
            .get(user)
            .is_some_and(|right| right.as_ref() == tag.as_ref())
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashMap<String, hmac::Tag>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}
