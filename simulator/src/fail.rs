//! Exceptions of Odoo. The protocols turn them into a reply: a status and a bare error for JSON-2, an `error` member for JSON-RPC, a fault for XML-RPC.

use serde_json::{Value, json};

/// An error of a call, named for the Python exception.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fail {
    /// `odoo.exceptions.AccessDenied`: who are you.
    Denied(String),
    /// `odoo.exceptions.AccessError`: you may not.
    Access(String),
    /// `odoo.exceptions.UserError`.
    User(String),
    /// `odoo.exceptions.MissingError`.
    Missing(String),
    /// The model does not exist.
    NoModel(String),
    /// The model has no such method.
    NoMethod {
        /// The model.
        model: String,
        /// The method.
        method: String,
    },
    /// The arguments do not fit the method's signature: 422 in JSON-2, a `TypeError` of `function` elsewhere.
    Argument {
        /// The Python name of the function, such as `BaseModel.search_count()`.
        function: String,
        /// The mismatch.
        message: String,
    },
    /// Any other exception: its full Python name and message.
    Other(&'static str, String),
}

impl Fail {
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self::Other("builtins.ValueError", message.into())
    }

    pub(super) fn type_error(message: impl Into<String>) -> Self {
        Self::Other("builtins.TypeError", message.into())
    }

    pub(super) fn access_denied() -> Self {
        Self::Denied("Access Denied".into())
    }

    /// The connection to PostgreSQL cannot be made.
    pub(super) fn postgres_down() -> Self {
        Self::Other(
            "psycopg2.OperationalError",
            "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n".into(),
        )
    }

    /// There is no such database.
    pub(super) fn no_database(name: &str) -> Self {
        Self::Other(
            "psycopg2.OperationalError",
            format!(
                "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  database \"{name}\" does not exist\n"
            ),
        )
    }

    /// The exception's name and message, as a legacy protocol shows them.
    pub(super) fn legacy(&self, version: u8) -> (&'static str, String) {
        match self {
            Self::Denied(message) => ("odoo.exceptions.AccessDenied", message.clone()),
            Self::Access(message) => ("odoo.exceptions.AccessError", message.clone()),
            Self::User(message) => ("odoo.exceptions.UserError", message.clone()),
            Self::Missing(message) => ("odoo.exceptions.MissingError", message.clone()),
            Self::NoModel(model) => (
                "odoo.exceptions.UserError",
                format!("Object {model} doesn't exist"),
            ),
            Self::NoMethod { model, method } => (
                "builtins.AttributeError",
                match version {
                    ..=14 => format!("type object '{model}' has no attribute '{method}'"),
                    15..=18 => {
                        format!("The method '{method}' does not exist on the model '{model}'")
                    }
                    _ => format!("The method '{model}.{method}' does not exist"),
                },
            ),
            Self::Argument { function, message } => {
                ("builtins.TypeError", format!("{function} {message}"))
            }
            Self::Other(name, message) => (name, message.clone()),
        }
    }

    /// The `data` member of a JSON-RPC error.
    pub(super) fn legacy_data(&self, version: u8) -> Value {
        let (name, message) = self.legacy(version);
        json!({"name": name, "debug": TRACEBACK, "message": message, "arguments": [message], "context": {}})
    }

    /// The status and body of a JSON-2 error.
    pub(super) fn json2(&self) -> (u16, Value) {
        match self {
            Self::NoModel(model) => werkzeug(
                404,
                "NotFound",
                &format!("the model '{model}' does not exist"),
            ),
            Self::NoMethod { model, method } => werkzeug(
                404,
                "NotFound",
                &format!("The method '{model}.{method}' does not exist"),
            ),
            Self::Argument { message, .. } => werkzeug(422, "UnprocessableEntity", message),
            _ => {
                let status = match self {
                    Self::Denied(_) | Self::Access(_) => 403,
                    Self::User(_) => 422,
                    Self::Missing(_) => 404,
                    _ => 500,
                };
                (status, self.legacy_data(19))
            }
        }
    }
}

/// An HTTP error as JSON-2 writes it.
pub(super) fn werkzeug(status: u16, name: &str, message: &str) -> (u16, Value) {
    let name = format!("werkzeug.exceptions.{name}");
    (
        status,
        json!({"name": name, "message": message, "arguments": [message, status], "context": {}, "debug": TRACEBACK}),
    )
}

/// Stands where Odoo puts its traceback: a client must never show it.
pub(super) const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"/opt/odoo/odoo/http.py\", line 2173, in _transactioning\nsimulated-traceback-marker\n";
