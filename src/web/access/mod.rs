//! Authentication and roles.
//!
//! - With users in `--web.config.file`, a client must be one of them and send the password; health endpoints are exempt.
//! - A client certificate identifies a client if an authority verified it. If there are users, one that `web.roles` names requires
//!   no password, and others do not count.
//! - `web.roles` grants roles. Without it, every admitted client may scrape and read numbers, and none may read names.
//! - A client that is not signed in never reads names.
//!
//! Every request but those to health endpoints carries its [`Reader`]: handlers take `Extension<Reader>`.

mod basic;
mod bucket;
mod guard;
mod reread;
mod turns;
mod weaker;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::server::Connection;
use crate::config;
use crate::config::web_file::{CertificateNames, ServerTls, WebConfig};
use basic::{Credentials, Passwords};
use bucket::Bucket;
pub(super) use guard::{CHALLENGE, guard};
pub(super) use turns::network;
pub use weaker::NotTaken;

/// Permission of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read metrics.
    Scrape,
    /// Read numbers: pages and API.
    Read,
    /// Read names of users as well.
    ReadNames,
}

/// Sender of a request, and its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    user: Option<Arc<str>>,
    roles: u8,
}

impl Reader {
    /// A signed-in reader.
    pub fn signed_in(user: &str, roles: impl IntoIterator<Item = Role>) -> Self {
        Self {
            user: Some(user.into()),
            roles: bits(roles),
        }
    }

    /// Any client, without configured authentication: may scrape and read numbers, never names.
    pub fn anybody() -> Self {
        Self {
            user: None,
            roles: bits([Role::Scrape, Role::Read]),
        }
    }

    /// A client of which nothing is known yet.
    pub fn nobody() -> Self {
        Self {
            user: None,
            roles: 0,
        }
    }

    /// Name of the signed-in reader: the user of basic authentication, or the name in a client certificate.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns true if the reader has the role.
    pub fn may(&self, role: Role) -> bool {
        self.roles & bits([role]) != 0
    }
}

fn bits(roles: impl IntoIterator<Item = Role>) -> u8 {
    roles.into_iter().fold(0, |all, role| all | 1 << role as u8)
}

/// Decides who gets in. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: ArcSwap<Rules>,
    /// Held by the code that changes them.
    changing: Mutex<()>,
    passwords: Passwords,
}

/// The rules in force.
#[derive(Debug)]
struct Rules {
    web: WebConfig,
    roles: config::Web,
    bucket: Option<Bucket>,
}

/// `web.roles` grants roles, and no client can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`web.roles` is set, but no client can sign in: set --web.config.file to a file with `basic_auth_users`, or one that verifies \
     client certificates"
)]
pub struct NobodyCanSignIn;

/// Reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// They said no password, or a wrong one.
    Unauthorized,
    /// So many are signing in that no more can wait.
    Busy,
}

/// Identity of a client.
enum Principal<'a> {
    User(&'a str),
    Certificate(&'a CertificateNames),
    Nobody,
}

/// Prefix of a certificate's name in `web.roles`. Names of users cannot contain a colon.
const CERTIFICATE: &str = "certificate:";

impl Access {
    /// Lets in whom the configuration says.
    ///
    /// # Errors
    /// If roles are granted, and no client can sign in.
    pub fn new(roles: &config::Web, web: WebConfig) -> Result<Self, NobodyCanSignIn> {
        let rules = Rules::new(roles.clone(), web);
        rules.verify()?;
        Ok(Self(Arc::new(Shared {
            rules: ArcSwap::from_pointee(rules),
            changing: Mutex::default(),
            passwords: Passwords::new(),
        })))
    }

    /// Without authentication: every client may scrape and read numbers, none may read names.
    pub fn open() -> Self {
        Self::new(&config::Web::default(), WebConfig::default())
            .expect("no role is granted to a client")
    }

    /// Takes other roles from now on.
    ///
    /// # Errors
    /// If they would grant a role to more clients, or if no client can sign in. Then the old ones stay.
    pub fn set_roles(&self, roles: &config::Web) -> Result<(), NotTaken> {
        self.change(|before| {
            let rules = Rules::new(roles.clone(), before.web.clone());
            rules.keep_roles(&before.roles).map(|()| rules)
        })
    }

    /// Those to whom `web.roles` gives something and who cannot sign in.
    pub fn strangers(&self) -> Vec<String> {
        self.rules().strangers().map(str::to_owned).collect()
    }

    /// TLS settings of a new connection; `None`: plain HTTP.
    pub(super) fn tls(&self) -> Option<ServerTls> {
        self.rules().web.tls.clone()
    }

    /// Returns true if there are users, so that the exporter asks for a password.
    pub(super) fn asks_for_passwords(&self) -> bool {
        !self.rules().web.users.is_empty()
    }

    /// Address for clients through a reverse proxy, if configured.
    pub(super) fn external_url(&self) -> Option<reqwest::Url> {
        self.rules().roles.external_url.clone()
    }

    /// Returns true if client certificates identify clients.
    pub(super) fn verifies_clients(&self) -> bool {
        self.rules().verifies_clients()
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    fn change<E>(&self, change: impl FnOnce(&Rules) -> Result<Rules, E>) -> Result<(), E> {
        let changing = &self.0.changing;
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.rules.store(Arc::new(change(&self.rules())?));
        Ok(())
    }

    /// Identifies a client by its password.
    async fn reader(
        &self,
        rules: &Rules,
        credentials: &Credentials,
        network: Option<IpAddr>,
    ) -> Result<Reader, Refusal> {
        let passwords = &self.0.passwords;
        let users = &rules.web.users;
        if passwords.verify(users, credentials, network).await? {
            Ok(rules.reader(&Principal::User(&credentials.user)))
        } else {
            Err(Refusal::Unauthorized)
        }
    }
}

impl Rules {
    fn new(roles: config::Web, web: WebConfig) -> Self {
        Self {
            bucket: web.rate_limit.map(Bucket::new),
            roles,
            web,
        }
    }

    fn verifies_clients(&self) -> bool {
        self.web.tls.as_ref().is_some_and(|it| it.verifies_clients)
    }

    fn verify(&self) -> Result<(), NobodyCanSignIn> {
        if self.web.users.is_empty()
            && !self.verifies_clients()
            && self.listed().any(|entry| entry != "*")
        {
            return Err(NobodyCanSignIn);
        }
        Ok(())
    }

    /// Every entry of every role.
    fn listed(&self) -> impl Iterator<Item = &str> {
        let config::Web {
            scrape,
            read,
            read_names,
            ..
        } = &self.roles;
        let lists = scrape.iter().chain(read).chain([read_names]);
        lists.flatten().map(String::as_str)
    }

    fn strangers(&self) -> impl Iterator<Item = &str> {
        let verified = self.verifies_clients();
        self.listed()
            .filter(move |entry| match entry.strip_prefix(CERTIFICATE) {
                Some(_) => !verified,
                None => *entry != "*" && !self.web.users.contains_key(*entry),
            })
    }

    /// Returns true if a role is granted to a certificate by name.
    fn names(&self, names: &CertificateNames) -> bool {
        let given = |entry: &str| {
            entry
                .strip_prefix(CERTIFICATE)
                .is_some_and(|entry| names.all().any(|name| name == entry))
        };
        self.listed().any(given)
    }

    /// Identifies a client without a password by its connection.
    fn without_password(&self, connection: Option<&Connection>) -> Reader {
        self.reader(&match connection.and_then(|it| it.certificate.as_deref()) {
            Some(names) if self.web.users.is_empty() || self.names(names) => {
                Principal::Certificate(names)
            }
            _ => Principal::Nobody,
        })
    }

    fn reader(&self, principal: &Principal<'_>) -> Reader {
        let is = |entry: &String| match principal {
            Principal::User(user) => entry == user,
            Principal::Certificate(names) => entry
                .strip_prefix(CERTIFICATE)
                .is_some_and(|entry| names.all().any(|name| name == entry)),
            Principal::Nobody => false,
        };
        let everybody = match principal {
            Principal::Nobody => self.web.users.is_empty(),
            _ => true,
        };
        let may = |list: &Option<BTreeSet<String>>| match list {
            None => everybody,
            Some(list) => list.contains("*") || list.iter().any(is),
        };
        let names = self.roles.read_names.iter().any(is);
        let roles = [
            (Role::Scrape, may(&self.roles.scrape)),
            (Role::Read, names || may(&self.roles.read)),
            (Role::ReadNames, names),
        ];
        Reader {
            user: match principal {
                Principal::User(user) => Some((*user).into()),
                Principal::Certificate(names) => names.all().next().map(Into::into),
                Principal::Nobody => None,
            },
            roles: bits(
                roles
                    .into_iter()
                    .filter(|(_, may)| *may)
                    .map(|(role, _)| role),
            ),
        }
    }
}
