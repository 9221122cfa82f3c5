//! Changes that a running daemon refuses, because they would let in clients that it keeps out now.
//!
//! A configuration that is read while it is written is cut off somewhere, and a part of it is often a valid file that protects less. So
//! only a restart takes protection away.

use std::collections::BTreeSet;

use super::{NobodyCanSignIn, Rules};
use crate::config;
use crate::config::web_file::{ServerTls, WebConfig};

/// Why a change does not apply while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// HTTPS is switched on or off.
    #[error("TLS would be enabled or disabled: restart the exporter to apply that")]
    Tls,
    /// Clients need no certificate any more, or it is not verified any more.
    #[error(
        "`client_auth_type` would admit clients that are refused now: restart the exporter to apply that"
    )]
    ClientCertificates,
    /// More certificates would do, or a name ends in the middle of one of before.
    #[error(
        "`client_allowed_sans` would be removed or truncated: restart the exporter to apply that"
    )]
    AllowedNames,
    /// There are no users any more.
    #[error("the last user would be removed: restart the exporter to apply that")]
    Users,
    /// A role is given to clients who do not have it now by a list that is removed, cut off, or has `*` in it.
    #[error(
        "`web.roles.{0}` would be removed, truncated or widened to `*`: restart the exporter to apply that"
    )]
    Role(&'static str),
    /// There are roles, and no client can sign in.
    #[error(transparent)]
    NoClient(#[from] NobodyCanSignIn),
}

impl Rules {
    /// Checks that these rules let in no client that an earlier web configuration keeps out.
    pub(super) fn keep_web(&self, before: &WebConfig) -> Result<(), NotTaken> {
        match (&before.tls, &self.web.tls) {
            (None, None) => {}
            (Some(before), Some(now)) => keep_clients(before, now)?,
            _ => return Err(NotTaken::Tls),
        }
        if self.web.users.is_empty() && !before.users.is_empty() {
            return Err(NotTaken::Users);
        }
        Ok(self.verify()?)
    }

    /// Checks that these rules give no role to more clients than earlier ones.
    pub(super) fn keep_roles(&self, before: &config::Web) -> Result<(), NotTaken> {
        let config::Web {
            scrape,
            read,
            read_names,
            ..
        } = &self.roles;
        let with_users = !self.web.users.is_empty();
        for (role, was, is) in [
            ("scrape", &before.scrape, scrape),
            ("read", &before.read, read),
        ] {
            let cut = matches!((was, is), (Some(was), Some(is)) if cut_off(was, is));
            if cut || Reach::of(is.as_ref(), with_users) > Reach::of(was.as_ref(), with_users) {
                return Err(NotTaken::Role(role));
            }
        }
        if cut_off(&before.read_names, read_names) {
            return Err(NotTaken::Role("read_names"));
        }
        Ok(self.verify()?)
    }
}

fn keep_clients(before: &ServerTls, now: &ServerTls) -> Result<(), NotTaken> {
    let weaker = before.requires_clients && !now.requires_clients
        || before.verifies_clients && !now.verifies_clients;
    if weaker {
        return Err(NotTaken::ClientCertificates);
    }
    match (&before.allowed_names, &now.allowed_names) {
        (Some(_), None) => Err(NotTaken::AllowedNames),
        (Some(was), Some(is)) if cut_off(was, is) => Err(NotTaken::AllowedNames),
        _ => Ok(()),
    }
}

/// Reach of a role, from the fewest clients to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Listed,
    SignedIn,
    Everybody,
}

impl Reach {
    fn of(list: Option<&BTreeSet<String>>, with_users: bool) -> Self {
        match list {
            Some(list) if !list.contains("*") => Self::Listed,
            None if with_users => Self::SignedIn,
            _ => Self::Everybody,
        }
    }
}

/// Returns true if a list ends in the middle of a name: it has the beginning of a name instead of that name.
fn cut_off<'a>(
    was: impl IntoIterator<Item = &'a String> + Clone,
    is: impl IntoIterator<Item = &'a String> + Clone,
) -> bool {
    let was: BTreeSet<&String> = was.into_iter().collect();
    let is: BTreeSet<&String> = is.into_iter().collect();
    let gone: Vec<_> = was.difference(&is).collect();
    is.difference(&was)
        .any(|new| gone.iter().any(|gone| gone.starts_with(new.as_str())))
}
