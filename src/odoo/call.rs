//! One call of a model's method, in the words of either API.

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::error::{Error, Kind};
use super::transport::{OdooError, Transport};
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
        self.named("context", json!({"active_test": false}))
    }
}

/// Calls a method as an account: the uid is asked once and kept.
///
/// # Errors
/// Whatever went wrong with the server, or the account's rights.
pub(super) async fn call(
    transport: &Transport,
    api: Api,
    uid: u32,
    call: Call,
) -> Result<Value, Error> {
    match api {
        Api::Json2 => json2(transport, call).await,
        Api::Jsonrpc => {
            let target = transport.target();
            let positional: Vec<Value> = call
                .positional
                .into_iter()
                .map(|(_, value)| value)
                .collect();
            let key = target.api_key.expose_secret();
            let args = json!([
                target.database,
                uid,
                key,
                call.model,
                call.method,
                positional,
                call.named
            ]);
            jsonrpc(transport, "object", "execute_kw", args).await
        }
    }
}

/// Asks whom the target's key belongs to. Over JSON-RPC this is `authenticate`, which counts as a login: once per session, never per
/// poll.
///
/// # Errors
/// [`Kind::Unauthorized`] if the key opens nothing.
pub(super) async fn whoami(transport: &Transport, api: Api) -> Result<u32, Error> {
    let uid = match api {
        Api::Json2 => json2(transport, Call::new("res.users", "context_get")).await?["uid"].take(),
        Api::Jsonrpc => {
            let target = transport.target();
            let Some(login) = &target.login else {
                return Err(
                    Error::new(Kind::Unauthorized, "JSON-RPC needs the account's login").hint(
                        "set the target's login to the login of the account that owns the API key",
                    ),
                );
            };
            let args = json!([target.database, login, target.api_key.expose_secret(), {}]);
            jsonrpc(transport, "common", "authenticate", args).await?
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

async fn json2(transport: &Transport, call: Call) -> Result<Value, Error> {
    let target = transport.target();
    let mut body = call.named;
    body.extend(
        call.positional
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let request = transport
        .post(&format!("/json/2/{}/{}", call.model, call.method))
        .bearer_auth(target.api_key.expose_secret())
        .header("X-Odoo-Database", &target.database)
        .json(&body);
    transport.json(request).await
}

/// One call of JSON-RPC's `/jsonrpc`, which answers errors with the status 200.
pub(super) async fn jsonrpc(
    transport: &Transport,
    service: &str,
    method: &str,
    args: Value,
) -> Result<Value, Error> {
    let request = transport.post("/jsonrpc").json(&json!({
        "jsonrpc": "2.0", "method": "call", "id": 1,
        "params": {"service": service, "method": method, "args": args},
    }));
    transport.judged(request, result_of).await
}

/// The result of a JSON-RPC envelope. Neither result nor error means that the method returned nothing.
pub(super) fn result_of(mut envelope: Value) -> Result<Value, Error> {
    if !envelope.is_object() || envelope.get("jsonrpc").is_none() {
        return Err(Error::new(
            Kind::NotOdoo,
            "the reply is JSON, but not JSON-RPC's",
        ));
    }
    match envelope.get_mut("error").map(Value::take) {
        None => Ok(envelope
            .get_mut("result")
            .map(Value::take)
            .unwrap_or_default()),
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
