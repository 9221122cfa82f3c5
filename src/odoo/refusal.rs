//! What an answer that is not a result means: an exception of Odoo's, or something that another program said in its place.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use serde::{Deserialize, Deserializer};

use super::date::retry_after;
use super::error::{Error, Kind};
use super::text::{Text, printable};

/// An exception as Odoo serialises it. Its `debug`, a traceback, is not even read.
#[derive(Debug, Deserialize)]
pub(super) struct OdooError {
    pub(super) name: Text,
    #[serde(default, deserialize_with = "first_line")]
    pub(super) message: String,
}

/// How PostgreSQL says that a database does not exist, in the languages that it speaks: the word for a database, and what is said of it.
/// Letters beyond ASCII may be lost on the way.
const NO_DATABASE: &[(&str, &str)] = &[
    ("database \"", "does not exist"),
    ("Datenbank", "existiert nicht"),
    ("base de donn", "existe pas"),
    ("base de datos", "no existe"),
    ("il database", "non esiste"),
    ("banco de dados", "o existe"),
    ("baza danych", "nie istnieje"),
    ("databáze", "neexistuje"),
    ("databasen", "inte"),
    ("veritaban", "mevcut de"),
    ("база данных", "не существует"),
    ("база даних", "не існує"),
    ("データベース", "存在しません"),
    ("데이터베이스", "없음"),
    ("数据库", "不存在"),
    ("資料庫", "不存在"),
];

impl OdooError {
    /// What the exception means.
    pub(super) fn classify(&self) -> Error {
        let (name, message) = (&*self.name, self.message.as_str());
        match name {
            "odoo.exceptions.AccessDenied" => {
                Error::new(Kind::Unauthorized, "Odoo refuses the login or the API key")
            }
            "odoo.exceptions.AccessError" => Error::new(Kind::Forbidden, message),
            "psycopg2.OperationalError" if is_no_database(message) => {
                Error::new(Kind::NoDatabase, message)
            }
            name if name.starts_with("psycopg2.") => Error::new(Kind::Maintenance, message),
            // A database that exists and holds no tables yet, or whose models are being loaded.
            "builtins.KeyError" if is_core_model(message) => Error::new(
                Kind::Maintenance,
                "the database is not initialised, is being restored, or Odoo is loading it",
            ),
            "builtins.MemoryError" => Error::new(
                Kind::Maintenance,
                "Odoo ran out of memory (limit_memory_hard)",
            ),
            _ if message.contains("CPU time limit exceeded") => Error::new(
                Kind::Maintenance,
                "the question took Odoo longer than its CPU limit (limit_time_cpu)",
            ),
            "odoo.exceptions.UserError"
            | "builtins.AttributeError"
            | "builtins.ValueError"
            | "builtins.KeyError" => Error::new(Kind::NoSuchName, format!("{name}: {message}")),
            _ => Error::new(Kind::Unexpected, format!("{name}: {message}")),
        }
    }

    /// What it means with the status of JSON-2.
    pub(super) fn with_status(&self, status: StatusCode) -> Error {
        match status {
            StatusCode::UNAUTHORIZED if self.message.contains("not authenticated") => Error::new(
                Kind::Unauthorized,
                "Odoo did not receive the API key: a proxy in front of it removes the header Authorization",
            )
            .hint("let the proxy forward the header Authorization to Odoo"),
            StatusCode::UNAUTHORIZED => Error::new(Kind::Unauthorized, "Odoo refuses the API key"),
            StatusCode::NOT_FOUND => Error::new(Kind::NoSuchName, self.message.clone()),
            _ => self.classify(),
        }
    }
}

fn is_no_database(message: &str) -> bool {
    NO_DATABASE
        .iter()
        .any(|(database, missing)| message.contains(database) && message.contains(missing))
}

/// Whether it names a model that every database has: Python puts it in quotes.
fn is_core_model(message: &str) -> bool {
    let model = message.trim_matches('\'');
    model.starts_with("res.") || model.starts_with("ir.")
}

/// The first line of a message: some of Odoo's run over pages.
fn first_line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(printable(text.lines().next().unwrap_or_default(), 300))
}

/// An answer of something that is not Odoo, or of Odoo's before it has a database.
#[derive(Debug)]
pub(super) struct Stranger<'a> {
    pub(super) path: &'a str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) text: &'a str,
}

impl Stranger<'_> {
    /// Whether the status is one of a proxy's, whatever comes with it.
    pub(super) fn is_of_a_proxy(status: StatusCode) -> bool {
        matches!(status.as_u16(), 300..=399 | 407 | 429 | 502..=504 | 520..=524)
    }

    /// Whether Odoo says that it has no such database, or cannot reach it.
    pub(super) fn has_no_database(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.text.contains("No database is selected")
    }

    /// What it means.
    pub(super) fn meaning(&self) -> Error {
        let (path, status) = (self.path, self.status);
        let says = |text: &str| self.text.contains(text);
        match status.as_u16() {
            // What is between Odoo and this program: nginx, HAProxy, Cloudflare.
            502..=504 | 520..=524 => Error::new(
                Kind::Maintenance,
                format!("{path} answers {status}: the proxy in front of Odoo does not reach it"),
            ),
            429 => {
                let error = Error::new(Kind::RateLimited, format!("rate limited: {path} answers {status}"));
                Error {
                    retry_after: retry_after(self.headers, Timestamp::now())
                        .map(|wait| wait.min(LONGEST_WAIT)),
                    ..error
                }
            }
            300..=399 => {
                let location = self.headers.get(LOCATION);
                let location = location.map(|it| String::from_utf8_lossy(it.as_bytes()));
                let location = printable(&location.unwrap_or_default(), 200);
                Error::new(
                    Kind::NotOdoo,
                    format!("{path} answers {status}, a redirect to '{location}'"),
                )
                .hint("set `url` to where Odoo itself answers; if that is a sign-in page, let this host through without it")
            }
            400 if says("plain HTTP request was sent to HTTPS port") => {
                Error::new(Kind::Tls, format!("{path} answers {status}: the port speaks TLS"))
                    .hint("begin `url` with https://")
            }
            400 if says("No required SSL certificate") || says("SSL certificate error") => {
                Error::new(
                    Kind::Tls,
                    format!("{path} answers {status}: the server does not accept the client certificate, or got none"),
                )
                .hint("set `tls.cert_file` and `tls.key_file` to a certificate that the server accepts")
            }
            407 => Error::new(
                Kind::Unreachable,
                format!("{path} answers {status}: the proxy asks for credentials"),
            )
            .hint("put user and password into `proxy`"),
            // werkzeug's own page, which Odoo sends when it fails before it can serve a database.
            500 if says("<h1>Internal Server Error</h1>") && says("server is overloaded") => {
                Error::new(
                    Kind::Maintenance,
                    "Odoo answers 500 before it serves the database: PostgreSQL is down, or the database is being restored",
                )
            }
            400 | 415 | 422 => Error::new(
                Kind::Unexpected,
                format!("{path} does not understand the request: {status}"),
            ),
            404 => Error::new(
                Kind::NoSuchPath,
                format!("{path} does not exist (404, and not Odoo's own)"),
            ),
            200..=299 => Error::new(
                Kind::NotOdoo,
                format!("{path} answers {status} with something that is not Odoo's JSON"),
            ),
            _ => Error::new(
                Kind::NotOdoo,
                format!("{path} answers {status}, and not as Odoo does"),
            ),
        }
    }
}

/// The longest time that a server may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_database_is_one_in_every_language() {
        let kind = |message: &str| {
            let json = serde_json::json!({"name": "psycopg2.OperationalError", "message": message});
            let error: OdooError = serde_json::from_value(json).expect("an error");
            error.classify().kind
        };
        for message in [
            "connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  database \"x\" does not exist\n",
            "connection to server at \"db\", port 5432 failed: FATAL:  la base de données « x » n'existe pas\n",
            "FATAL:  la base de donn\u{fffd}es \u{fffd} x \u{fffd} n'existe pas",
            "FATAL:  Datenbank »x« existiert nicht",
            "FATAL:  no existe la base de datos «x»",
            "FATAL:  banco de dados \"x\" não existe",
        ] {
            assert_eq!(kind(message), Kind::NoDatabase, "{message}");
        }
        for message in [
            "FATAL:  role \"odoo\" does not exist",
            "FATAL:  Rolle »odoo« existiert nicht",
            "FATAL:  le rôle « odoo » n'existe pas",
            "FATAL:  die Datenbank ist gerade dabei zu starten",
        ] {
            assert_eq!(kind(message), Kind::Maintenance, "{message}");
        }
    }

    #[test]
    fn a_server_that_cannot_answer_now_is_no_unknown_version() {
        let kind = |name: &str, message: &str| {
            let json = serde_json::json!({"name": name, "message": message});
            let error: OdooError = serde_json::from_value(json).expect("an error");
            error.classify().kind
        };
        assert_eq!(
            kind("builtins.Exception", "CPU time limit exceeded."),
            Kind::Maintenance
        );
        assert_eq!(kind("builtins.MemoryError", ""), Kind::Maintenance);
        assert_eq!(kind("builtins.KeyError", "'res.groups'"), Kind::Maintenance);
        assert_eq!(
            kind("builtins.KeyError", "ir.module.module"),
            Kind::Maintenance
        );
        assert_eq!(
            kind("builtins.KeyError", "auth_totp_policy"),
            Kind::NoSuchName
        );
    }
}
