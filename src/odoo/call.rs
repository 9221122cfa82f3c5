//! One call of a model's method, in the words of either API.

use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::error::{Error, Kind};
use super::transport::{OdooError, Transport, decode};
use crate::domain::Api;

/// A call of a model's method.
///
/// The first arguments are positional over JSON-RPC, because their names changed between versions (`args` became `domain` in 17), and
/// named over JSON-2.
#[derive(Debug)]
pub(super) struct Call {
    model: &'static str,
    method: &'static str,
    positional: Vec<(&'static str, Value)>,
    named: Map<String, Value>,
}

impl Call {
    /// A call without arguments.
    pub(super) fn new(model: &'static str, method: &'static str) -> Self {
        Self {
            model,
            method,
            positional: Vec::new(),
            named: Map::new(),
        }
    }

    /// Adds a positional argument, with its name in JSON-2.
    pub(super) fn arg(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.positional.push((name, value.into()));
        self
    }

    /// Adds a named argument.
    pub(super) fn named(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.named.insert(name.to_owned(), value.into());
        self
    }

    /// Sees archived records too: otherwise Odoo leaves them out.
    pub(super) fn with_archived(self) -> Self {
        self.context("active_test", false)
    }

    /// Names the companies whose records are wanted.
    pub(super) fn within(self, companies: &[u32]) -> Self {
        self.context("allowed_company_ids", companies)
    }

    fn context(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let context = self.named.entry("context").or_insert_with(|| json!({}));
        context[name] = value.into();
        self
    }
}

/// Calls a method as an account: the uid is asked once and kept. `what` is the name of the reply in an error.
///
/// # Errors
/// Whatever went wrong with the server, or the account's rights; also if the reply is of another type.
pub(super) async fn call<T: DeserializeOwned>(
    transport: &Transport,
    api: Api,
    uid: u32,
    call: Call,
    what: &str,
) -> Result<T, Error> {
    match api {
        Api::Json2 => json2(transport, call, what).await,
        Api::Jsonrpc => {
            let target = transport.target();
            let positional: Vec<Value> = call
                .positional
                .into_iter()
                .map(|(_, value)| value)
                .collect();
            let key = target.api_key.expose_secret();
            let args = (
                &target.database,
                uid,
                key,
                call.model,
                call.method,
                positional,
                call.named,
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
    let uid: Value = match api {
        Api::Json2 => {
            let context = Call::new("res.users", "context_get");
            json2::<Value>(transport, context, what).await?["uid"].take()
        }
        Api::Jsonrpc => {
            let target = transport.target();
            let Some(login) = &target.login else {
                return Err(
                    Error::new(Kind::Unauthorized, "JSON-RPC needs the account's login").hint(
                        "set the target's login to the login of the account that owns the API key",
                    ),
                );
            };
            let key = target.api_key.expose_secret();
            let args = (&target.database, login, key, Map::new());
            jsonrpc(transport, "common", "authenticate", args, what).await?
        }
    };
    match uid.as_u64().and_then(|uid| u32::try_from(uid).ok()) {
        Some(uid) => Ok(uid),
        None if uid == Value::Bool(false) => Err(Error::new(
            Kind::Unauthorized,
            "Odoo refuses the login or the API key",
        )),
        None => Err(Error::new(
            Kind::Unexpected,
            "Odoo does not say whom the API key belongs to",
        )),
    }
}

async fn json2<T: DeserializeOwned>(
    transport: &Transport,
    call: Call,
    what: &str,
) -> Result<T, Error> {
    let request = json2_request(transport, call, &transport.target().database);
    transport.reply(request, |json| decode(json, what)).await
}

/// Proves, once for a session, that the name of the database arrives: another name must be refused. Without the header, which a proxy may drop, a server
/// with one database answers for that one under any name.
///
/// # Errors
/// [`Kind::NotOdoo`] if another name is not refused.
pub(super) async fn database_is_named(transport: &Transport) -> Result<(), Error> {
    let context = Call::new("res.users", "context_get");
    let request = json2_request(transport, context, "no-such-database-odoo-mfa-exporter");
    match transport.status(request).await? {
        StatusCode::NOT_FOUND => Ok(()),
        status if status.is_success() => Err(Error::new(
            Kind::NotOdoo,
            "Odoo answers for any database name: the header X-Odoo-Database does not reach it",
        )
        .hint("let the reverse proxy pass the header X-Odoo-Database on to Odoo, or set the target's api to jsonrpc")),
        status => Err(Error::new(
            Kind::NotOdoo,
            format!("answers {status} for a database that does not exist, and not 404 as Odoo does"),
        )),
    }
}

fn json2_request(transport: &Transport, call: Call, database: &str) -> RequestBuilder {
    let target = transport.target();
    let mut body = call.named;
    body.extend(
        call.positional
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    transport
        .post(&format!("/json/2/{}/{}", call.model, call.method))
        .bearer_auth(target.api_key.expose_secret())
        .header("X-Odoo-Database", database)
        .json(&body)
}

/// One call of JSON-RPC's `/jsonrpc`, which answers errors with the status 200.
pub(super) async fn jsonrpc<T: DeserializeOwned>(
    transport: &Transport,
    service: &str,
    method: &str,
    args: impl Serialize,
    what: &str,
) -> Result<T, Error> {
    #[derive(Serialize)]
    struct Request<'a, A> {
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
    let request = transport.post("/jsonrpc").json(&Request {
        jsonrpc: "2.0",
        method: "call",
        id: 1,
        params: Params {
            service,
            method,
            args,
        },
    });
    transport.reply(request, |json| result_of(json, what)).await
}

/// What JSON-RPC wraps a result or an error in.
#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<IgnoredAny>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    error: Option<Value>,
}

/// The result of a JSON-RPC envelope. Neither result nor error means that the method returned nothing.
pub(super) fn result_of<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Error> {
    let envelope = match serde_json::from_slice::<Envelope>(json) {
        Ok(envelope) if envelope.jsonrpc.is_some() => envelope,
        Err(error) if !error.is_data() => return decode(json, what),
        _ => {
            return Err(Error::new(
                Kind::NotOdoo,
                "the reply is JSON, but not JSON-RPC's",
            ));
        }
    };
    match envelope.error {
        None => decode(
            envelope.result.map_or("null", RawValue::get).as_bytes(),
            what,
        ),
        Some(mut error) => {
            let data = error.get_mut("data").map(Value::take).unwrap_or_default();
            Err(match serde_json::from_value::<OdooError>(data) {
                Ok(error) => error.classify(),
                Err(_) => Error::new(
                    Kind::Unexpected,
                    "Odoo answers an error without saying which",
                ),
            })
        }
    }
}

/// A field that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
