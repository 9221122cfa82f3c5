//! A target as resolved: complete, valid, defaults filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::env::Env;
use super::secret::{ApiKey, KeySource, ProxyUrl};
use crate::domain::exemption::Exemption;
use crate::domain::vocabulary::{Bypass, Capability, Endpoint, Factor, UserType, vocabulary};

vocabulary! {
    /// Protocol of Odoo.
    ApiChoice {
        /// Ask the server.
        Auto = "auto",
        /// JSON-2, from Odoo 19 on.
        Json2 = "json2",
        /// JSON-RPC.
        JsonRpc = "jsonrpc",
    }
}

/// One Odoo database to poll.
#[derive(Debug, Clone)]
pub struct Target {
    /// The label `target`; unique.
    pub name: String,
    /// Address of Odoo, without credentials, query and fragment. Its path ends in `/`, so that it can be joined.
    pub url: Url,
    /// The database's name.
    pub database: String,
    /// The polling account's login; always there if `api` is `JsonRpc`.
    pub login: Option<String>,
    /// The polling account's API key.
    pub api_key: ApiKey,
    /// Source of the key.
    pub key_source: KeySource,
    /// Protocol of Odoo.
    pub api: ApiChoice,
    /// From the start of one poll to the start of the next; longer than `timeout`.
    pub interval: Duration,
    /// One poll's deadline.
    pub timeout: Duration,
    /// Accepted factors; never empty.
    pub accepted_factors: BTreeSet<Factor>,
    /// Grace period of a new account.
    pub grace: Duration,
    /// Time after the last login after which an account is dormant.
    pub dormant: Duration,
    /// Coverage target, 0 to 1, of the types that have one.
    pub coverage_target: BTreeMap<UserType, f64>,
    /// Labels for each series, by name, in order; none of them is the contract's.
    pub labels: Vec<(String, String)>,
    /// Private certificate authorities and client certificate.
    pub tls: Tls,
    /// The proxy on the way to Odoo.
    pub proxy: Option<ProxyUrl>,
    /// Capabilities that are meant to be missing.
    pub accept_missing: BTreeSet<Capability>,
    /// Ways around the second factor whose presence is no alert.
    pub accept_bypasses: BTreeSet<Bypass>,
    /// Exemptions, in the configuration's order.
    pub exemptions: Vec<Exemption>,
    /// Endpoints to check without credentials.
    pub surface: Option<Surface>,
    /// Changes when anything above or the roles change, except the key itself: a rotated key asks the same questions.
    pub fingerprint: u64,
}

impl Target {
    /// Reads the API key again from where it came, as after a rotation. Gives whether it is another one now. One that cannot be read
    /// changes nothing.
    pub fn reread_key(&self, env: &dyn Env) -> bool {
        let read = self.key_source.read(env);
        read.is_ok_and(|key| self.api_key.replace(key.secret))
    }
}

/// TLS beyond the public certification authorities. Files are read and checked when the configuration is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tls {
    /// Trusted in addition to the system's authorities.
    pub ca: Option<PemFile>,
    /// True if only `ca` is trusted.
    pub only_ca: bool,
    /// Client certificate.
    pub client: Option<ClientCertificate>,
    /// The name that the server's certificate must be for, instead of the URL's host.
    pub server_name: Option<String>,
}

/// A file of PEM certificates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PemFile {
    /// Its file.
    pub path: PathBuf,
    /// Its content: at least one certificate.
    pub pem: Vec<u8>,
}

impl std::fmt::Debug for PemFile {
    /// The content as a hash, so that a change shows without pages of numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PemFile({:?}, {:016x})",
            self.path,
            super::fnv1a(&self.pem)
        )
    }
}

/// A client certificate with its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientCertificate {
    /// The chain, leaf first.
    pub certificate: PemFile,
    /// File of the private key.
    pub key_path: PathBuf,
    key_pem: PrivatePem,
}

impl ClientCertificate {
    pub(super) fn new(certificate: PemFile, key_path: PathBuf, key_pem: Vec<u8>) -> Self {
        Self {
            certificate,
            key_path,
            key_pem: PrivatePem(key_pem),
        }
    }

    /// The private key in PEM, for the HTTP client alone.
    pub fn expose_key_pem(&self) -> &[u8] {
        &self.key_pem.0
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("certificate", &self.certificate)
            .field("key_path", &self.key_path)
            .finish_non_exhaustive()
    }
}

/// Comparable, unlike `SecretString`, since clients are shared by what they are made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PrivatePem(Vec<u8>);

/// Checks without credentials, and their interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// From one check to the next.
    pub interval: Duration,
    /// From where; never empty.
    pub vantages: Vec<Vantage>,
}

/// A place from which Odoo is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    /// The label `vantage`; unique in its target.
    pub name: String,
    /// Address of Odoo as seen from there.
    pub url: Url,
    /// The proxy that stands there.
    pub proxy: Option<ProxyUrl>,
    /// Endpoints that must be blocked there.
    pub expect_blocked: BTreeSet<Endpoint>,
}
