//! Failures of an Odoo server, named by what to do about them.

use std::time::Duration;

use super::text::{printable, redacted};
use crate::domain::Reason;

/// The most characters of a message.
const LONGEST: usize = 500;

/// A request, or a poll, that failed. Message and hint are for users; neither holds a secret, a traceback or a control character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Kind of the failure.
    pub kind: Kind,
    /// The message.
    pub message: String,
    /// The next step.
    pub hint: Option<&'static str>,
    /// Time for which the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refused, reset, closed without an answer, or no such host.
    Unreachable,
    /// The certificate or the handshake.
    Tls,
    /// Not within the time that was given.
    TimedOut,
    /// An answer that is not Odoo's.
    NotOdoo,
    /// The key is not accepted.
    Unauthorized,
    /// The account lacks the right to what was asked (`AccessError`).
    Forbidden,
    /// The account cannot see all users.
    Incomplete,
    /// No such database.
    NoDatabase,
    /// Odoo or PostgreSQL is starting, stopping, overloaded or being upgraded.
    Maintenance,
    /// The server, or a proxy in front of it, asks for fewer requests.
    RateLimited,
    /// No such path: the server is older, or something in front of it hides the path.
    NoSuchPath,
    /// Odoo does not have the model, the method or the field.
    NoSuchName,
    /// An answer that does not mean what it should.
    Unexpected,
    /// An answer larger than any that is expected.
    TooLarge,
    /// A defect of this program.
    Defect,
}

impl Error {
    /// A failure without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let hint = match kind {
            Kind::Unreachable => Some("check that Odoo is running and that this host can reach it"),
            Kind::Tls => Some("check the target's `tls` settings"),
            Kind::TimedOut => Some("if the server is only slow, raise `timeout`"),
            Kind::NotOdoo | Kind::NoSuchPath => {
                Some("a proxy in front of Odoo answered: allow this host there, or correct `url`")
            }
            Kind::RateLimited => Some("allow this host more requests, or raise `interval`"),
            Kind::Unauthorized => Some(
                "create a new API key for the account (scope 'rpc' or none); check `login`, `database`, and that the account is active",
            ),
            Kind::Forbidden | Kind::Incomplete => None,
            Kind::NoDatabase => {
                Some("correct `database`; the name must also match Odoo's dbfilter")
            }
            Kind::Maintenance => {
                Some("check the logs of Odoo and PostgreSQL; the exporter retries")
            }
            Kind::NoSuchName | Kind::Unexpected => {
                Some("this may be an unknown Odoo version: report it")
            }
            Kind::TooLarge => Some("check that Odoo itself answers at `url`"),
            Kind::Defect => Some("report it, with the log"),
        };
        Self {
            kind,
            message: printable(&message.into(), LONGEST),
            hint,
            retry_after: None,
        }
    }

    /// Gives another hint.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Redacts a secret that the server may have repeated.
    pub(super) fn without(mut self, secret: &str) -> Self {
        self.message = redacted(&self.message, secret);
        self
    }

    /// The value of the label `reason`.
    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::Unreachable => Reason::Connect,
            Kind::Tls => Reason::Tls,
            Kind::TimedOut => Reason::Timeout,
            Kind::NotOdoo | Kind::NoSuchPath | Kind::RateLimited => Reason::HttpStatus,
            Kind::Unauthorized => Reason::Auth,
            Kind::Forbidden | Kind::Incomplete => Reason::Access,
            Kind::NoDatabase => Reason::Database,
            Kind::Maintenance => Reason::Maintenance,
            Kind::NoSuchName | Kind::Unexpected => Reason::Protocol,
            Kind::TooLarge => Reason::TooLarge,
            Kind::Defect => Reason::Internal,
        }
    }
}
