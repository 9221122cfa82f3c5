//! Checks of each request before it is answered.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::{Credentials, Reader, Refusal, Role};
use crate::web::App;
use crate::web::Connection;
use crate::web::pages::refuse;

/// Required role of a route; metrics require [`Role::Scrape`]. Unlisted paths, also without a route, require [`Role::Read`].
pub(super) const NEEDS: &[(&str, Option<Role>)] = &[
    ("/-/healthy", None),
    ("/-/ready", None),
    ("/probe", Some(Role::Scrape)),
    ("/sd", Some(Role::Scrape)),
    ("/users.csv", Some(Role::ReadNames)),
    ("/keys.csv", Some(Role::ReadNames)),
    ("/api/v1/users", Some(Role::ReadNames)),
    ("/api/v1/keys", Some(Role::ReadNames)),
];

/// Bytes of a path and a query: no route needs more than a few hundred.
const URI: usize = 8 << 10;

/// Bytes of a body: no route reads one.
const BODY: u64 = 64 << 10;

/// Nothing that is served runs scripts, loads anything, is framed, or may be kept by a cache.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Stands before every route: lets a request pass or refuses it, and sets the headers that every answer has.
pub(in crate::web) async fn guard(
    State(app): State<Arc<App>>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let role = needs(route.as_ref().map(MatchedPath::as_str), &app);
    let response = match admit(&app, &mut request, role).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.answer(&app, &request),
    };
    complete(&app, response)
}

/// Sets the headers that every answer has.
fn complete(app: &App, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    for (name, value) in &app.access.rules().web.headers {
        headers.insert(name, value.clone());
    }
    response
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    UriTooLong,
    BodyTooLarge,
    CrossSite,
    TooManyRequests,
    Unauthorized,
    NoCertificate,
    Forbidden(Role),
}

/// Lets a request pass, with its [`Reader`] if the route requires one.
async fn admit(app: &App, request: &mut Request, role: Option<Role>) -> Result<(), Refused> {
    if length(request.uri()) > URI {
        return Err(Refused::UriTooLong);
    }
    if content_length(request.headers()).is_some_and(|length| length > BODY) {
        return Err(Refused::BodyTooLarge);
    }
    if changes_something(request.method()) && is_cross_site(request.headers(), request.uri()) {
        return Err(Refused::CrossSite);
    }
    let Some(role) = role else {
        return Ok(());
    };
    let rules = app.access.rules();
    let passes = |bucket: &super::Bucket| bucket.take(Instant::now());
    if !rules.bucket.as_ref().is_none_or(passes) {
        return Err(Refused::TooManyRequests);
    }
    let has_users = !rules.web.users.is_empty();
    let credentials = has_users.then(|| Credentials::of(request.headers()));
    let connection: Option<&Connection> = request.extensions().get();
    let reader = match credentials.flatten() {
        None => rules.without_password(connection),
        Some(credentials) => {
            let network = connection.map(|it| it.network);
            let reader = app.access.reader(&rules, &credentials, network).await;
            reader.map_err(|why| match why {
                Refusal::Unauthorized => Refused::Unauthorized,
                Refusal::Busy => Refused::TooManyRequests,
            })?
        }
    };
    pass(app, request, reader, role)
}

/// Lets a request pass if its sender has the required role.
fn pass(app: &App, request: &mut Request, reader: Reader, role: Role) -> Result<(), Refused> {
    let unknown = reader.user().is_none();
    // A refusal says who is signed in.
    request.extensions_mut().insert(reader.clone());
    // If clients can sign in, only signed-in clients change something, even if all may read.
    let changes = changes_something(request.method());
    if unknown && app.access.asks_for_passwords() && (changes || !reader.may(role)) {
        return Err(Refused::Unauthorized);
    }
    if unknown && changes && app.access.verifies_clients() {
        return Err(Refused::NoCertificate);
    }
    if !reader.may(role) {
        return Err(Refused::Forbidden(role));
    }
    Ok(())
}

fn needs(route: Option<&str>, app: &App) -> Option<Role> {
    if route == Some(app.metrics_path.as_str()) {
        return Some(Role::Scrape);
    }
    let listed = NEEDS.iter().find(|(path, _)| Some(*path) == route);
    listed.map_or(Some(Role::Read), |(_, needs)| *needs)
}

fn length(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |it| it.as_str().len())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Returns true if a browser sends this on behalf of another site. Browsers say so; other clients have no signed-in user to misuse.
fn is_cross_site(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = text("origin") else {
        return false;
    };
    let host = uri
        .authority()
        .map(|authority| authority.as_str())
        .or(text("host"));
    let origin = origin.split_once("://").map(|(_, host)| host);
    origin.is_none() || origin != host
}

impl Refused {
    fn answer(self, app: &App, request: &Request) -> Response {
        let (status, detail) = match self {
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "the URL is too long"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "the request comes from another site"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "user and password are required"),
            Self::NoCertificate => (StatusCode::FORBIDDEN, "this requires a client certificate"),
            Self::Forbidden(role) => (
                StatusCode::FORBIDDEN,
                match role {
                    Role::Scrape => {
                        "this requires the role `scrape` (web.roles in the configuration)"
                    }
                    Role::Read => "this requires the role `read` (web.roles in the configuration)",
                    Role::ReadNames => {
                        "names of users require a signed-in reader with the role `read_names` (web.roles in the configuration)"
                    }
                },
            ),
        };
        let mut response = refuse(app, request.extensions().get(), request, status, detail);
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized if app.access.asks_for_passwords() => {
                headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
            }
            Self::TooManyRequests => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// The header that makes a browser ask for user and password.
pub(in crate::web) const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"odoo-mfa-exporter\", charset=\"UTF-8\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_cannot_be_made_to_post_by_other_sites() {
        let cross = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            is_cross_site(&headers.collect(), &Uri::from_static("/-/reload"))
        };
        for (headers, expected) in [
            (&[("host", "a:1")][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            // Its answer decides before its origin.
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a:1"),
                    ("host", "a:1"),
                ],
                true,
            ),
            (&[("origin", "http://a:1"), ("host", "a:1")], false),
            (&[("origin", "http://a:2"), ("host", "a:1")], true),
            (&[("origin", "http://evil"), ("host", "a:1")], true),
            (&[("origin", "null"), ("host", "a:1")], true),
            (&[("origin", "http://a:1")], true),
        ] {
            assert_eq!(cross(headers), expected, "{headers:?}");
        }
    }
}
