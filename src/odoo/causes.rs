//! Why no whole answer came: the true cause, out of the chain of errors that an HTTP client wraps around it.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::iter::successors;

use reqwest::Url;

use super::client::{Failure, Flood};
use super::dns::NoAddress;
use super::error::{Error, Kind};
use super::tls;

/// A failed request, and what is said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    /// Host and port of the server.
    pub(super) place: &'a str,
    /// Host and port of the proxy on the way there.
    pub(super) proxy: Option<&'a str>,
}

/// Host and port of a URL.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Explains a failure of a request to a URL, without a proxy.
pub fn cause(failure: &Failure, url: &Url) -> Error {
    let way = Way {
        place: &place(url),
        proxy: None,
    };
    way.failure(failure)
}

impl Way<'_> {
    /// Explains a failure of the HTTP client.
    pub(super) fn failure(self, error: &Failure) -> Error {
        let place = self.place;
        if let Some(flood) = find::<Flood>(error) {
            return Error::new(Kind::TooLarge, format!("{place} {flood}"));
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return tls::failure(tls, place);
        }
        if let Some(missing) = find::<NoAddress>(error) {
            return Error::new(Kind::Unreachable, format!("cannot look up {missing}"))
                .hint(missing.hint);
        }
        let is_connect = is_connect(error);
        let first = if let (Some(proxy), true) = (self.proxy, is_connect) {
            format!("the proxy {proxy}")
        } else {
            place.to_owned()
        };
        let last = innermost(error);
        if let Some(error) = handshake(&last, &first, place) {
            return error;
        }
        let io = find::<io::Error>(error).map(io::Error::kind);
        let hyper = find::<hyper::Error>(error);
        let is_timeout = io == Some(ErrorKind::TimedOut);
        if is_connect && is_timeout {
            Error::new(
                Kind::TimedOut,
                format!("cannot connect to {first}: no answer in time"),
            )
            .hint("check that no firewall drops packets of this host")
        } else if is_timeout {
            Error::new(Kind::TimedOut, format!("no answer from {place} in time"))
        } else if is_connect {
            Error::new(
                Kind::Unreachable,
                format!("cannot connect to {first}: {last}"),
            )
        } else if hyper.is_some_and(hyper::Error::is_parse) {
            Error::new(
                Kind::NotOdoo,
                format!("{place} does not answer in HTTP: {last}"),
            )
            .hint("the port may use TLS: start `url` with https://")
        } else if matches!(io, Some(ErrorKind::InvalidData | ErrorKind::InvalidInput)) {
            Error::new(
                Kind::Unexpected,
                format!("the reply cannot be decompressed: {last}"),
            )
        } else {
            Error::new(
                Kind::Unreachable,
                format!("{place} closed the connection before its answer ended: {last}"),
            )
            .hint(
                "check the log of Odoo or of the proxy in front of it; if the port uses TLS, start `url` with https://",
            )
        }
    }
}

/// A failure of a proxy's tunnel or of a TLS handshake, which only its text tells apart.
fn handshake(last: &str, first: &str, place: &str) -> Option<Error> {
    let (kind, message, hint) = match last {
        "tunnel error: proxy authorization required" => (
            Kind::Unreachable,
            format!("{first} requires credentials to connect to {place} (407)"),
            "add user and password to `proxy`",
        ),
        "tunnel error: unsuccessful" => (
            Kind::Unreachable,
            format!("{first} refuses to connect to {place}"),
            "allow this host and port in the proxy's rules, or remove `proxy`",
        ),
        "tls handshake eof" => (
            Kind::Tls,
            format!("{place} closed the connection during the TLS handshake"),
            "check that the port uses TLS; if it does not, start `url` with http://",
        ),
        _ => return None,
    };
    Some(Error::new(kind, message).hint(hint))
}

/// Returns true if a server closed a connection without an answer, as an idle one does after a while.
pub(super) fn is_closed(error: &Failure) -> bool {
    let reset = [
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    !is_connect(error)
        && (find::<hyper::Error>(error)
            .is_some_and(|hyper| hyper.is_incomplete_message() || hyper.is_canceled())
            || find::<io::Error>(error).is_some_and(|io| reset.contains(&io.kind())))
}

fn is_connect(error: &Failure) -> bool {
    matches!(error, Failure::Connect(_))
}

/// The innermost error of a kind.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error)
        .filter_map(<dyn StdError>::downcast_ref)
        .last()
}

/// An error and its causes, outermost first. What an I/O error holds is its cause, which it does not say itself.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |cause: &&'a (dyn StdError + 'static)| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        let io = cause.downcast_ref::<io::Error>();
        match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}

/// The innermost cause, which says what happened: `connection refused`.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let last = causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    match last.split_once(" (os error ") {
        Some((what, _)) => what.to_lowercase(),
        None => last,
    }
}
