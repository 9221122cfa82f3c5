//! `--http.config.file`: how a command proves to a daemon who asks, and whom it trusts. The format is that of promtool's option.

use std::path::Path;

use super::diagnostic::{Diagnostic, Level, Sink};
use super::env::Env;
use super::reader::Item;
use super::resolve::{Context, alerting};
use super::schema::{AUTHORIZATION_FIELD, BASIC_AUTH_FIELD, Kind, Section, TLS, field};
use super::target::Tls;
use super::{Auth, read_text, yaml};

static HTTP_CLIENT: Section = Section {
    path: "",
    fields: &[
        BASIC_AUTH_FIELD,
        AUTHORIZATION_FIELD,
        field(
            "tls_config",
            Kind::Section(&TLS),
            "",
            "Private certificate authorities and client certificates.",
        ),
    ],
};

/// Settings of requests to a daemon.
#[derive(Debug, Clone, Default)]
pub struct HttpClient {
    /// Credentials.
    pub auth: Option<Auth>,
    /// Trusted authorities.
    pub tls: Tls,
}

impl HttpClient {
    /// Reads the file. Gives what is in it with its warnings, or everything that is wrong.
    ///
    /// # Errors
    /// The errors, warnings included, in the order of the file.
    pub fn load(path: &Path, env: &dyn Env) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let sink = Sink::new(path);
        let client = read_text(path, env, &sink)
            .and_then(|text| yaml::parse(&text, &sink))
            .and_then(|root| {
                let fields = Item::root(&root, &sink).fields(&HTTP_CLIENT)?;
                let context = Context::new(env, path, &sink);
                let (auth, tls) = alerting::credentials(&fields, "tls_config", &context);
                Some(Self { auth, tls })
            });
        let found = sink.into_found();
        match client {
            Some(client) if found.iter().all(|it| it.level == Level::Warning) => {
                Ok((client, found))
            }
            _ => Err(found),
        }
    }
}
