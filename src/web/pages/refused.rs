//! The page that replaces one that cannot be shown.

use askama::Template;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::{Layout, html};
use crate::web::App;
use crate::web::access::Reader;
use crate::web::directory::Refused;
use crate::web::problem::refusal;

/// Way to get access to names: the sentence on every page without them.
pub const HOW_TO_GET_NAMES: &str = "Names are shown to signed-in readers with the role for them: --web.config.file has the users, web.roles.read_names who may read names.";

#[derive(Template)]
#[template(path = "refused.html")]
struct Page {
    layout: Layout,
    message: String,
    hint: String,
}

/// A page that says why there is none.
pub fn page(app: &App, reader: &Reader, uri: &Uri, refused: &Refused) -> Response {
    let title = match refused {
        Refused::NoSuchTarget(_) => "Not found",
        _ => "Not available",
    };
    show(
        app,
        reader,
        uri,
        title,
        refused.status(),
        &refused.to_string(),
        refused.hint(),
    )
}

/// Parameters that are not understood: a list must not be shown as if they had been.
pub fn parameters(app: &App, reader: &Reader, uri: &Uri, message: &str) -> Response {
    let hint = "correct the parameter in the address, or leave it out";
    show(
        app,
        reader,
        uri,
        "Invalid request",
        StatusCode::BAD_REQUEST,
        message,
        hint,
    )
}

fn show(
    app: &App,
    reader: &Reader,
    uri: &Uri,
    title: &str,
    status: StatusCode,
    message: &str,
    hint: &str,
) -> Response {
    let page = Page {
        layout: Layout::new(app, reader, uri, title, ""),
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    (status, html(&page)).into_response()
}

/// Refuses a request as its client understands it: a browser by a page, a program by a problem or a line of text.
pub fn refuse(
    app: &App,
    reader: Option<&Reader>,
    request: &Request,
    status: StatusCode,
    detail: &str,
) -> Response {
    let uri = request.uri();
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if uri.path().starts_with("/api/") || !accept.is_some_and(|it| it.contains("text/html")) {
        return refusal(uri.path(), status, detail);
    }
    let (title, hint) = match status {
        StatusCode::UNAUTHORIZED => (
            "Sign in",
            "sign in; the administrator of the exporter creates users in --web.config.file",
        ),
        StatusCode::FORBIDDEN => (
            "Not allowed",
            "ask the administrator of the exporter for the role (web.roles), or sign in as another user",
        ),
        StatusCode::NOT_FOUND => ("Not found", "check the address, or start from the overview"),
        StatusCode::TOO_MANY_REQUESTS => {
            ("Too many requests", "wait a moment, then reload the page")
        }
        _ => ("Invalid request", "go back, or start from the overview"),
    };
    let nobody = Reader::nobody();
    show(
        app,
        reader.unwrap_or(&nobody),
        uri,
        title,
        status,
        detail,
        hint,
    )
}

/// A file that cannot be made.
pub fn text(refused: &Refused) -> Response {
    (refused.status(), format!("{refused}\n{}\n", refused.hint())).into_response()
}
