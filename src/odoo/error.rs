//! What can go wrong with an Odoo server, named for what to do about it.

use std::time::Duration;

use super::text::{printable, redacted};
use crate::domain::Reason;

/// The most characters of a message.
const LONGEST: usize = 500;

/// A request, or a poll, that failed. Message and hint are for people; neither holds a secret, a traceback or a control character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure.
    pub kind: Kind,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// How long the server asks not to be asked again.
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
            Kind::Unreachable => Some("check that Odoo is running and that this host may reach it"),
            Kind::Tls => Some("check the target's `tls` settings"),
            Kind::TimedOut => Some("set a larger `timeout` if the server is only slow"),
            Kind::NotOdoo | Kind::NoSuchPath => {
                Some("something in front of Odoo answered: let this host through, or correct `url`")
            }
            Kind::RateLimited => Some("allow this host more requests, or set a larger `interval`"),
            Kind::Unauthorized => Some(
                "make a new API key for the account (scope 'rpc' or none), check login and database, and that the account is active",
            ),
            Kind::Forbidden | Kind::Incomplete => None,
            Kind::NoDatabase => {
                Some("correct the target's database; the name must also pass the server's dbfilter")
            }
            Kind::Maintenance => Some("look at Odoo's and PostgreSQL's logs; it is retried"),
            Kind::NoSuchName | Kind::Unexpected => {
                Some("this may be an Odoo version that is not known yet: please report it")
            }
            Kind::TooLarge => Some("check that Odoo itself answers at `url`"),
            Kind::Defect => Some("please report it, with the log"),
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
