//! Signing in and out with a browser: it asks for user and password when it is answered 401, and forgets them when they are refused.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use reqwest::Url;

use super::access::{CHALLENGE, Reader};
use super::{App, pages};

/// Lets a browser ask for user and password. A signed-in reader is redirected to `next`, a path of this exporter.
pub(super) async fn r#in(State(app): State<Arc<App>>, request: Request) -> Response {
    let reader: Option<&Reader> = request.extensions().get();
    if reader.is_some_and(|reader| reader.user().is_some()) {
        let next = request.uri().query().and_then(next);
        return Redirect::to(next.as_deref().unwrap_or("./")).into_response();
    }
    challenge(&app, &request, "sign in with user and password")
}

/// Makes a browser forget user and password.
pub(super) async fn out(State(app): State<Arc<App>>, request: Request) -> Response {
    challenge(
        &app,
        &request,
        "you are signed out: cancel the question for a password, or sign in as another user",
    )
}

fn challenge(app: &App, request: &Request, detail: &str) -> Response {
    let nobody = Some(Reader::nobody());
    let refuse = |status, detail| pages::refuse(app, nobody.as_ref(), request, status, detail);
    if !app.access.asks_for_passwords() {
        return refuse(
            StatusCode::NOT_FOUND,
            "no user signs in with a password: the exporter has no basic_auth_users (--web.config.file)",
        );
    }
    let mut response = refuse(StatusCode::UNAUTHORIZED, detail);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, CHALLENGE);
    response
}

/// Path to redirect to, from the query, relative to the exporter's root; `None` if it is not a page of this exporter.
fn next(query: &str) -> Option<String> {
    let here = Url::parse("http://exporter/").ok()?;
    let query = Url::parse(&format!("http://exporter/?{query}")).ok()?;
    let (_, next) = query.query_pairs().find(|(name, _)| name == "next")?;
    let odd = |c: char| c == '\\' || c.is_control();
    if !next.starts_with('/') || next.contains(odd) {
        return None;
    }
    let url = here.join(&next).ok()?;
    let path = url.path();
    if url.origin() != here.origin() || path.starts_with("//") || path.starts_with("/sign-") {
        return None;
    }
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Some(format!(".{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_exporter_is_gone_on_to() {
        for (query, expected) in [
            (
                "next=/users?state=active%26q=a%2520b",
                Some("./users?state=active&q=a%20b"),
            ),
            (
                "next=%2Fusers%3Fstate%3Dactive",
                Some("./users?state=active"),
            ),
            ("next=/targets/a%2520b", Some("./targets/a%20b")),
            ("next=/", Some("./")),
            ("next=//evil.example/", None),
            ("next=/%5Cevil.example", None),
            ("next=/.//evil.example", None),
            ("next=/%09/evil.example", None),
            ("next=https://evil.example/", None),
            ("next=javascript:alert(1)", None),
            ("next=users", None),
            ("next=/sign-out", None),
            ("", None),
        ] {
            assert_eq!(next(query).as_deref(), expected, "{query}");
        }
    }
}
