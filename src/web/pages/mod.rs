//! Pages for users: rendered here, readable without scripts, in light and dark, on a screen and on a phone.
//!
//! - `/` and `/targets.csv`: the fleet, worst first
//! - `/targets/NAME`: one target
//! - `/users` and `/users.csv`, `/keys` and `/keys.csv`: who is behind the numbers, of all targets or of some; names only for readers who may
//!   read them
//! - `/changes` and `/changes.csv`: the change log
//! - `/alerts`: the exporter's own alerts
//! - `/report`: the report of `scan` about what the last polls found, to print and file
//! - `/-/style.css`, `/-/icon.svg`: what every page loads

mod alerts;
mod asked;
mod changes;
mod chart;
mod figures;
mod fleet;
mod keys;
mod list;
mod parts;
mod refused;
mod report;
mod target;
mod text;
mod users;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Uri;
use axum::http::header::{self, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::{Stream, TryStreamExt};

use super::access::{Reader, Role};
use super::directory::{Refused, Which};
use super::{App, internal_error};
use crate::exposition::state::BuildInfo;
pub(super) use refused::refuse;
use text::href;

/// The routes of all pages.
pub(super) fn routes() -> Router<Arc<App>> {
    let file = |name: &'static str, content: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, name)], content))
    };
    Router::new()
        .route("/", get(fleet::page))
        .route("/targets.csv", get(fleet::csv))
        .route("/alerts", get(alerts::page))
        .route("/report", get(report::page))
        .route("/report.css", get(report::style))
        .route("/targets/{name}", get(target::page))
        .route("/users", get(users::page))
        .route("/users.csv", get(users::csv))
        .route("/keys", get(keys::page))
        .route("/keys.csv", get(keys::csv))
        .route("/changes", get(changes::page))
        .route("/changes.csv", get(changes::csv))
        .route(
            "/-/style.css",
            file(
                "text/css; charset=utf-8",
                include_str!("../templates/style.css"),
            ),
        )
        .route(
            "/-/icon.svg",
            file("image/svg+xml", include_str!("../templates/icon.svg")),
        )
}

/// Frame of every page.
struct Layout {
    /// The way from the page to the exporter's root, against which links are resolved: `../` for each folder of its path.
    root: String,
    /// The page itself, from there.
    own: String,
    /// Address that signs a reader in and returns to this page.
    sign_in: String,
    title: String,
    /// Link of the navigation to the page itself.
    here: &'static str,
    /// The target that the page is about, and what of it can be opened.
    target: Option<(String, Vec<Link>)>,
    user: Option<String>,
    /// Returns true if readers can sign in with a browser.
    asks_for_passwords: bool,
    names: bool,
    /// True if the reader may read pages at all.
    reads: bool,
    metrics_path: String,
    build: BuildInfo,
    store_errors: u64,
}

/// A link of a navigation.
struct Link {
    text: &'static str,
    href: String,
}

impl Layout {
    fn new(
        app: &App,
        reader: &Reader,
        uri: &Uri,
        title: impl Into<String>,
        here: &'static str,
    ) -> Self {
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        Self {
            root: format!(
                "./{}",
                "../".repeat(uri.path().matches('/').count().saturating_sub(1))
            ),
            own: format!(".{path}"),
            sign_in: href(&["sign-in"], &[("next", path)]),
            title: title.into(),
            here,
            target: None,
            user: reader.user().map(str::to_owned),
            asks_for_passwords: app.access.asks_for_passwords(),
            names: reader.may(Role::ReadNames),
            reads: reader.may(Role::Read),
            metrics_path: app.metrics_path.to_string(),
            build: BuildInfo::THIS,
            store_errors: app.exposition.exporter().store_errors(),
        }
    }

    /// The page is about a target.
    fn of(app: &App, reader: &Reader, uri: &Uri, target: &str, here: &'static str) -> Self {
        let list = |text, path: &str| Link {
            text,
            href: href(&[path], &[("target", target)]),
        };
        let links = vec![
            Link {
                text: "Summary",
                href: href(&["targets", target], &[]),
            },
            list("Users", "users"),
            list("API keys", "keys"),
            list("Changes", "changes"),
        ];
        let title = match here {
            "Summary" => target.to_owned(),
            _ => format!("{here}: {target}"),
        };
        Self {
            target: Some((target.to_owned(), links)),
            ..Self::new(app, reader, uri, title, here)
        }
    }

    /// The page is a list: of one target, where only one is named.
    fn listing(
        app: &App,
        reader: &Reader,
        uri: &Uri,
        here: &'static str,
        which: Which<'_>,
    ) -> Self {
        match which.targets {
            [target] => Self::of(app, reader, uri, target, here),
            _ => Self::new(app, reader, uri, here, here),
        }
    }

    fn can_sign_in(&self) -> bool {
        self.user.is_none() && self.asks_for_passwords
    }

    fn can_sign_out(&self) -> bool {
        self.user.is_some() && self.asks_for_passwords
    }

    fn is_here(&self, link: &str) -> bool {
        self.here == link
    }
}

/// Pages run no script, load their style and icon from here, and their forms lead here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(page) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response(),
        Err(_) => internal_error(),
    }
}

/// A file to save. An error in the middle of it closes the connection: what arrived is not whole, and the client knows.
fn file(name: &str, rows: impl Stream<Item = Result<Bytes, Refused>> + Send + 'static) -> Response {
    let rows =
        rows.inspect_err(|refused| tracing::warn!(%refused, "a list was not sent completely"));
    let mut response = Body::from_stream(rows).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
