//! The configuration file: YAML in, a configuration that cannot be invalid out, or all errors at once.
//!
//! [`Config::load`] parses the file into a tree with positions (`yaml`), reads the tree by the declared fields
//! (`schema`, `reader`), and resolves it (`resolve`): defaults filled in, keys and certificates read.

mod alerting;
pub mod contract;
mod diagnostic;
mod env;
mod http_client;
mod reader;
mod resolve;
mod schema;
mod secret;
mod target;
pub mod web_file;
mod yaml;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

pub use alerting::{Alerting, Auth, Receiver, ReceiverKind};
pub use diagnostic::{Diagnostic, Level, Position};
pub use env::{Env, FileContent, Files, ProcessEnv};
pub use http_client::HttpClient;
pub use reader::duration_text;
pub use schema::{json_schema, reference, starting_configuration};
pub use secret::{ApiKey, Key, KeyError, KeySource, ProxyUrl};
pub use target::{ApiChoice, ClientCertificate, PemFile, Surface, Target, Tls, Vantage};

use crate::domain::acceptance::Acceptance;
use crate::domain::exemption::Exemption;
use crate::domain::fnv1a;
use crate::domain::role::Roles;

/// A whole configuration, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// In the file's order; never empty, names unique.
    pub targets: Vec<Arc<Target>>,
    /// The default roles with the configured ones.
    pub roles: Roles,
    /// Findings that the organization lives with.
    pub accept_findings: Vec<Acceptance>,
    /// Organization of the report.
    pub organization: Option<String>,
    /// Places where names of users may appear.
    pub privacy: Privacy,
    /// The exporter's own alerts and their receivers.
    pub alerting: Alerting,
    /// Access over HTTP.
    pub web: Web,
    /// Selection of the exported metrics.
    pub metrics: Metrics,
    /// Of everything above, without secrets. Fits into 48 bits, so that a metric shows it exactly.
    pub hash: u64,
}

/// Places where names of users may appear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Into the annotations of alerts.
    pub names_in_alerts: bool,
    /// Into the change log.
    pub store_logins: bool,
}

/// Access over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// Address for clients through a reverse proxy; the path ends in a slash.
    pub external_url: Option<reqwest::Url>,
    /// Readers of metrics; `None`: every user.
    pub scrape: Option<BTreeSet<String>>,
    /// Readers of pages and API; `None`: every user.
    pub read: Option<BTreeSet<String>>,
    /// Readers of names of users.
    pub read_names: BTreeSet<String>,
}

/// Selection of the exported metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Families that are switched off.
    pub disabled: BTreeSet<&'static str>,
}

impl Config {
    /// The exemptions of the defaults.
    pub fn shared_exemptions(&self) -> impl Iterator<Item = &Exemption> {
        let targets = self.targets.first().into_iter();
        targets.flat_map(|it| &it.exemptions).filter(|it| it.shared)
    }
}

impl Metrics {
    /// Returns true if a family is exported.
    pub fn is_enabled(&self, family: &str) -> bool {
        !self.disabled.contains(family)
    }
}

/// A configuration with its warnings, or everything that is wrong, warnings included; in the order of the file.
pub type Loaded = Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>>;

impl Config {
    /// As [`load`](Self::load), and says which files it read, whether all is well or not.
    pub fn load_noting_files(path: &Path, env: &dyn Env) -> (Loaded, Files) {
        let noting = env::Noting::new(env);
        let loaded = Self::load(path, &noting);
        (loaded, noting.into_files())
    }

    /// Reads and resolves the file. Gives the configuration with its warnings, or everything that is wrong, warnings
    /// included, in the order of the file.
    pub fn load(path: &Path, env: &dyn Env) -> Loaded {
        let sink = diagnostic::Sink::new(path);
        let config = read_text(path, env, &sink)
            .and_then(|text| yaml::parse(&text, &sink))
            .and_then(|root| resolve::resolve(&root, path, env, &sink));
        let found = sink.into_found();
        match config {
            Some(config) if found.iter().all(|it| it.level == Level::Warning) => {
                Ok((config, found))
            }
            _ => Err(found),
        }
    }
}

fn read_text(path: &Path, env: &dyn Env, sink: &diagnostic::Sink) -> Option<String> {
    match env.file(path) {
        Ok(file) => match String::from_utf8(file.bytes) {
            Ok(text) => Some(text),
            Err(_) => {
                sink.error(None, "the configuration is not UTF-8", "save it as UTF-8");
                None
            }
        },
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::NotFound => "create one with `odoo-mfa-exporter config init > config.yml` and set `--config.file config.yml`; \
                     `odoo-mfa-exporter demo` needs none"
                    .to_owned(),
                ErrorKind::PermissionDenied => env::readable(env, &path.display().to_string()),
                _ => "set `--config.file` to another file".to_owned(),
            };
            let message = format!("the configuration cannot be read: {error}");
            sink.error(None, message, hint);
            None
        }
    }
}

#[cfg(test)]
mod tests;
