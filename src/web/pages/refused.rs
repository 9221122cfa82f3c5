//! The page that replaces one that cannot be shown.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::{Layout, html};
use crate::web::App;
use crate::web::access::Reader;
use crate::web::directory::Refused;

/// Explains how to configure names: the sentence of every page without them.
pub const HOW_TO_GET_NAMES: &str = "Only signed-in readers with the role `read_names` see names of users: configure sign-in with --web.config.file, and the readers in web.roles.read_names.";

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
pub fn parameters(app: &App, reader: &Reader, uri: &Uri, rejection: &QueryRejection) -> Response {
    let hint = "Remove the parameter, or use one of the values.";
    show(
        app,
        reader,
        uri,
        "Invalid request",
        StatusCode::BAD_REQUEST,
        &rejection.body_text(),
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

/// A file that cannot be made.
pub fn text(refused: &Refused) -> Response {
    (refused.status(), format!("{refused}\n{}\n", refused.hint())).into_response()
}
