//! `--web.config.file`, in the format that exporters share (exporter-toolkit): TLS, client certificates, users, headers.
//!
//! Differences of this program are errors or warnings when the file is read: see docs/web.md.

mod certificate;
mod fields;
mod read;
mod tls;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;

pub use certificate::CertificateNames;

use super::diagnostic::{Diagnostic, Level, Sink};
use super::env::{Env, FileContent};
use super::{read_text, yaml};
use crate::domain::fnv1a;

/// The fields as Markdown tables, for docs/web.md.
pub fn reference() -> String {
    super::schema::tables(&fields::ROOT)
}

/// Settings of the HTTP server and its access.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// HTTPS; `None`: HTTP.
    pub tls: Option<ServerTls>,
    /// Headers of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The users' bcrypt hashes. If there are any, other clients are refused.
    pub users: BTreeMap<String, PasswordHash>,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
}

/// A certificate, and what is spoken with it.
#[derive(Clone)]
pub struct ServerTls {
    /// All of it.
    pub config: Arc<rustls::ServerConfig>,
    /// True if a client must present a certificate.
    pub requires_clients: bool,
    /// True if the exporter verifies the certificate that a client presents, which then identifies the client.
    pub verifies_clients: bool,
    /// The alternative names of which a client's certificate must have one; `None`: any certificate will do.
    pub allowed_names: Option<Vec<String>>,
}

/// The bcrypt hash of a password. Not shown.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time in which one request is allowed.
    pub interval: Duration,
    /// Requests that may arrive at once after a pause.
    pub burst: u32,
}

/// The contents of the file, and of the files that it names, when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, Option<u64>>);

/// A file as read.
#[derive(Debug, Default)]
pub struct WebFile {
    /// The configuration, or `None` if something is wrong with it.
    pub config: Option<WebConfig>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The source files.
    pub sources: Sources,
}

impl WebFile {
    /// Reads the file and those that it names.
    pub fn load(path: &Path, env: &dyn Env) -> Self {
        let recorder = Recorder {
            env,
            read: RefCell::default(),
        };
        let sink = Sink::new(path);
        let config = read_text(path, &recorder, &sink)
            .and_then(|text| yaml::parse(&text, &sink))
            .map(|root| read::read(&root, path, &recorder, &sink));
        let diagnostics = sink.into_found();
        let good = diagnostics.iter().all(|it| it.level == Level::Warning);
        Self {
            config: config.filter(|_| good),
            diagnostics,
            sources: Sources(recorder.read.into_inner()),
        }
    }
}

impl Sources {
    /// Returns true if nothing has changed.
    pub fn are_current(&self, env: &dyn Env) -> bool {
        self.0
            .iter()
            .all(|(path, then)| hash(env.file(path).as_ref()) == *then)
    }
}

impl PasswordHash {
    /// The hash: only to compare with it.
    pub fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("requires_clients", &self.requires_clients)
            .field("verifies_clients", &self.verifies_clients)
            .field("allowed_names", &self.allowed_names)
            .finish_non_exhaustive()
    }
}

/// Remembers what was read.
struct Recorder<'a> {
    env: &'a dyn Env,
    read: RefCell<BTreeMap<PathBuf, Option<u64>>>,
}

impl Env for Recorder<'_> {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        let file = self.env.file(path);
        self.read
            .borrow_mut()
            .insert(path.to_owned(), hash(file.as_ref()));
        file
    }

    fn var(&self, name: &str) -> Option<String> {
        self.env.var(name)
    }
}

fn hash(file: Result<&FileContent, &io::Error>) -> Option<u64> {
    file.ok().map(|file| fnv1a(&file.bytes))
}
