//! Who asks, and what they may do. Every request carries its [`Reader`] as an extension: handlers take `Extension<Reader>`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::App;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read metrics.
    Scrape,
    /// Read numbers: pages and API.
    Read,
    /// Read names of people as well.
    ReadNames,
}

/// Whoever sent a request, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    user: Option<Arc<str>>,
    roles: u8,
}

impl Reader {
    /// Somebody who is signed in.
    pub fn signed_in(user: &str, roles: impl IntoIterator<Item = Role>) -> Self {
        Self {
            user: Some(user.into()),
            roles: roles.into_iter().fold(0, |all, role| all | role.bit()),
        }
    }

    /// Anybody, where no authentication is configured: may scrape and read numbers, never names.
    pub fn anybody() -> Self {
        Self {
            user: None,
            roles: Role::Scrape.bit() | Role::Read.bit(),
        }
    }

    /// Who is signed in: the user of basic authentication, or the name of a client certificate.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether they may do it.
    pub fn may(&self, role: Role) -> bool {
        self.roles & role.bit() != 0
    }
}

impl Role {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Decides who a request's reader is.
#[derive(Debug, Clone, Default)]
pub struct Access {}

impl Access {
    /// Without authentication: everybody may scrape and read numbers, nobody names.
    pub fn open() -> Self {
        Self::default()
    }

    fn reader(&self, _: &Request) -> Reader {
        Reader::anybody()
    }
}

pub(super) async fn identify(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let reader = app.access.reader(&request);
    request.extensions_mut().insert(reader);
    next.run(request).await
}
