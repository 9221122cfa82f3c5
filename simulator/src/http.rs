//! A request taken apart, and what goes back.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, Response, header},
};

use super::fault::Fault;

/// A request, taken apart.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn is_json(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        matches!(
            kind.split(';').next().unwrap_or_default().trim(),
            "application/json" | "application/json-rpc"
        )
    }
}

/// The response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// Further headers.
    pub(super) more: Vec<(&'static str, &'static str)>,
}

impl Reply {
    pub(super) fn json(status: u16, version: u8, body: &serde_json::Value) -> Self {
        let kind = if version <= 16 {
            "application/json"
        } else {
            "application/json; charset=utf-8"
        };
        Self {
            status,
            kind,
            body: body.to_string(),
            more: Vec::new(),
        }
    }

    pub(super) fn html(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            kind: "text/html; charset=utf-8",
            body: body.into(),
            more: Vec::new(),
        }
    }
}

/// The result of a handler.
pub(super) enum Outcome {
    Answer(Reply),
    /// A fault strikes, and this is what would have been said without it.
    Struck(Fault, Reply),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Answer(reply)
    }
}

/// The response, on a connection that stays open or not.
pub(super) fn respond(reply: Reply, date: Option<String>, keep_alive: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    headers.insert(
        header::SERVER,
        HeaderValue::from_static("Werkzeug/2.2.2 Python/3.11.7"),
    );
    for (name, value) in reply.more {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(date) = date.and_then(|date| date.try_into().ok()) {
        headers.insert(header::DATE, date);
    }
    if !keep_alive {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
