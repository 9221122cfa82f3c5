//! One call of a model's method, in the words of either API.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use reqwest::header::HeaderName;
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::client::Request;
use super::error::{Error, Kind};
use super::refusal::OdooError;
use super::reply::{IdOrFalse, Reply, SCALAR, not_json, reply};
use super::transport::Transport;
use crate::domain::Api;

/// The header that names the database.
pub(super) const DATABASE: HeaderName = HeaderName::from_static("x-odoo-database");

/// A call of a model's method.
///
/// The first arguments are positional over JSON-RPC, because their names changed between versions (`args` became `domain` in 17), and
/// named over JSON-2.
#[derive(Debug)]
pub(super) struct Call {
    model: &'static str,
    method: &'static str,
    positional: Vec<(&'static str, Box<RawValue>)>,
    named: BTreeMap<&'static str, Box<RawValue>>,
    context: Map<String, Value>,
}

impl Call {
    /// A call without arguments.
    pub(super) fn new(model: &'static str, method: &'static str) -> Self {
        Self {
            model,
            method,
            positional: Vec::new(),
            named: BTreeMap::new(),
            context: Map::new(),
        }
    }

    /// Adds a positional argument, with its name in JSON-2.
    pub(super) fn arg(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.positional.push((name, json_of(&value)));
        self
    }

    /// Adds a named argument.
    pub(super) fn named(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.named.insert(name, json_of(&value));
        self
    }

    /// Sees archived records too: otherwise Odoo leaves them out.
    pub(super) fn with_archived(self) -> Self {
        self.context("active_test", false)
    }

    /// Names the companies whose records the caller asks for.
    pub(super) fn within(self, companies: &[u32]) -> Self {
        self.context("allowed_company_ids", companies)
    }

    fn context(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.context.insert(name.to_owned(), value.into());
        let context = json_of(&self.context);
        self.named.insert("context", context);
        self
    }
}

/// An argument, written at once: a tree of values for a list of ids would take ten times its bytes.
fn json_of(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("ids, names and domains can be written as JSON")
}

/// Calls a method as an account: the uid is asked once and kept. `what` is the name of the reply in an error.
///
/// # Errors
/// If the server fails or the account lacks a right; also if the reply is of another type.
pub(super) async fn call<T: Reply>(
    transport: &Transport,
    api: Api,
    uid: u32,
    call: &Call,
    what: &str,
) -> Result<T, Error> {
    match api {
        Api::Json2 => json2(transport, call, what).await,
        Api::Jsonrpc => {
            let target = transport.target();
            let positional: Vec<_> = call.positional.iter().map(|(_, value)| value).collect();
            let key = target.api_key.current();
            let args = (
                &target.database,
                uid,
                key.expose_secret(),
                call.model,
                call.method,
                positional,
                &call.named,
            );
            jsonrpc(transport, "object", "execute_kw", args, what).await
        }
    }
}

/// Asks whom the target's key belongs to. Over JSON-RPC this is `authenticate`, which counts as a login: once per session, never per
/// poll.
///
/// # Errors
/// [`Kind::Unauthorized`] if the key opens nothing.
pub(super) async fn whoami(transport: &Transport, api: Api) -> Result<u32, Error> {
    let what = "the polling account";
    let IdOrFalse(uid) = match api {
        Api::Json2 => {
            let context = Call::new("res.users", "context_get");
            json2::<Context>(transport, &context, what).await?.uid
        }
        Api::Jsonrpc => {
            let target = transport.target();
            let Some(login) = &target.login else {
                return Err(
                    Error::new(Kind::Unauthorized, "JSON-RPC needs the account's login")
                        .hint("set `login` to the login of the account that owns the API key"),
                );
            };
            let key = target.api_key.current();
            let args = (&target.database, login, key.expose_secret(), Map::new());
            jsonrpc(transport, "common", "authenticate", args, what).await?
        }
    };
    uid.ok_or_else(|| Error::new(Kind::Unauthorized, "Odoo refuses the login or the API key"))
}

/// The context of an account, of which its id is read.
#[derive(Deserialize)]
struct Context {
    uid: IdOrFalse,
}

reply!(SCALAR => Context);

async fn json2<T: Reply>(transport: &Transport, call: &Call, what: &str) -> Result<T, Error> {
    let request = json2_request(transport, call, &transport.target().database);
    transport.reply(request, T::read, what).await
}

/// Proves, once for a session, that the name of the database arrives: another name must be refused. Without the header, which a proxy may drop, a server
/// with one database answers for that one under any name.
///
/// # Errors
/// [`Kind::NotOdoo`] if another name is not refused.
pub(super) async fn database_is_named(transport: &Transport) -> Result<(), Error> {
    let context = Call::new("res.users", "context_get");
    let request = json2_request(transport, &context, "no-such-database-odoo-mfa-exporter");
    match transport.status(request).await? {
        StatusCode::NOT_FOUND => Ok(()),
        status if status.is_success() => Err(Error::new(
            Kind::NotOdoo,
            "Odoo answers for any database name: the header X-Odoo-Database does not reach it",
        )
        .hint("forward the header X-Odoo-Database in the reverse proxy, or set `api: jsonrpc`")),
        status => Err(Error::new(
            Kind::NotOdoo,
            format!("answers {status} for a database that does not exist, instead of Odoo's 404"),
        )),
    }
}

fn json2_request(transport: &Transport, call: &Call, database: &str) -> Request {
    let positional = call.positional.iter().map(|(name, value)| (*name, value));
    let named = call.named.iter().map(|(name, value)| (*name, value));
    let body: BTreeMap<&str, &Box<RawValue>> = positional.chain(named).collect();
    transport
        .post(&format!("/json/2/{}/{}", call.model, call.method))
        .bearer(transport.target().api_key.current().expose_secret())
        .header(DATABASE, database)
        .json(&body)
}

/// One call of JSON-RPC's `/jsonrpc`, which answers errors with the status 200.
pub(super) async fn jsonrpc<T: Reply>(
    transport: &Transport,
    service: &str,
    method: &str,
    args: impl Serialize,
    what: &str,
) -> Result<T, Error> {
    #[derive(Serialize)]
    struct Question<'a, A> {
        jsonrpc: &'a str,
        method: &'a str,
        id: u32,
        params: Params<'a, A>,
    }
    #[derive(Serialize)]
    struct Params<'a, A> {
        service: &'a str,
        method: &'a str,
        args: A,
    }
    let request = transport.post("/jsonrpc").json(&Question {
        jsonrpc: "2.0",
        method: "call",
        id: 1,
        params: Params {
            service,
            method,
            args,
        },
    });
    transport.reply(request, result_of, what).await
}

/// The envelope of a JSON-RPC result or error.
#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<IgnoredAny>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// An error in the envelope, which says more than its own fields do.
#[derive(Deserialize)]
struct Failure {
    data: OdooError,
}

/// The result of a JSON-RPC envelope. Neither result nor error means that the method returned nothing.
pub(super) fn result_of<T: Reply>(json: &[u8], what: &str) -> Result<T, Error> {
    let envelope = match serde_json::from_slice::<Envelope>(json) {
        Ok(envelope) if envelope.jsonrpc.is_some() => envelope,
        Err(error) if !error.is_data() => return Err(not_json(&error)),
        _ => {
            return Err(Error::new(
                Kind::NotOdoo,
                "the reply is JSON, but not JSON-RPC",
            ));
        }
    };
    match envelope.error {
        None => T::read(
            envelope.result.map_or("null", RawValue::get).as_bytes(),
            what,
        ),
        Some(failure) => Err(match serde_json::from_str::<Failure>(failure.get()) {
            Ok(failure) => failure.data.classify(),
            Err(_) => Error::new(Kind::Unexpected, "Odoo returns an error without a message"),
        }),
    }
}

/// A field that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
