//! Resolved settings of alerting: receivers and rules.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::target::Tls;
use crate::domain::alert::Rules;

/// The exporter's own alerts and their receivers.
#[derive(Debug, Clone, Default)]
pub struct Alerting {
    /// Each gets every alert; names are unique.
    pub receivers: Vec<Receiver>,
    /// The rules, tuned.
    pub rules: Rules,
    /// Interval between evaluations, if configured.
    pub evaluation_interval: Option<Duration>,
    /// Interval at which Alertmanagers get a firing alert again, if configured.
    pub resend_interval: Option<Duration>,
    /// Interval at which webhooks get a firing alert again, if configured.
    pub repeat_interval: Option<Duration>,
}

/// A receiver of alerts.
#[derive(Clone, PartialEq)]
pub struct Receiver {
    /// Name in logs and metrics, if its URL must not be shown.
    pub name: String,
    /// Its format.
    pub kind: ReceiverKind,
    /// Its address. An Alertmanager's is its base, and ends in `/`.
    pub url: Url,
    /// Credentials of the daemon.
    pub auth: Option<Auth>,
    /// Private certificate authorities and client certificate.
    pub tls: Tls,
}

/// Format of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Alertmanager's API, version 2.
    Alertmanager {
        /// True if the host's name stands for several, each of which gets every alert.
        dns: bool,
    },
    /// The format that Alertmanager itself sends to webhooks, version 4.
    Webhook {
        /// True if it gets resolved alerts, too.
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
