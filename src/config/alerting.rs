//! Alerting as resolved: who is told of alerts, and by which rules.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::target::Tls;
use crate::domain::alert::Rules;

/// What the daemon alerts on, and whom it tells.
#[derive(Debug, Clone, Default)]
pub struct Alerting {
    /// Each gets every alert; names are unique.
    pub receivers: Vec<Receiver>,
    /// The rules, tuned.
    pub rules: Rules,
    /// From one look at the targets to the next, where it is configured.
    pub evaluation_interval: Option<Duration>,
    /// How often Alertmanagers are told, where it is configured.
    pub resend_interval: Option<Duration>,
    /// How often webhooks are told again, where it is configured.
    pub repeat_interval: Option<Duration>,
}

/// Somebody who is told of alerts.
#[derive(Clone, PartialEq)]
pub struct Receiver {
    /// What it is called in logs and metrics, where its URL may not be shown.
    pub name: String,
    /// What it understands.
    pub kind: ReceiverKind,
    /// Where it is. An Alertmanager's is its base, and ends in `/`.
    pub url: Url,
    /// How the daemon proves who it is.
    pub auth: Option<Auth>,
    /// Private certification authorities and client certificate.
    pub tls: Tls,
}

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Alertmanager's API, version 2.
    Alertmanager {
        /// Whether the host's name stands for several, each of which gets every alert.
        dns: bool,
    },
    /// What Alertmanager itself sends to webhooks, version 4.
    Webhook {
        /// Whether it is told of ends too.
        send_resolved: bool,
    },
}

/// A header `Authorization`.
#[derive(Debug, Clone)]
pub enum Auth {
    /// User name and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
}

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        let parts = |auth: &Self| match auth {
            Self::Basic { username, password } => {
                (Some(username.clone()), password.expose_secret().to_owned())
            }
            Self::Bearer(token) => (None, token.expose_secret().to_owned()),
        };
        parts(self) == parts(other)
    }
}

impl fmt::Debug for Receiver {
    /// Without the URL, which may hold a webhook's secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
