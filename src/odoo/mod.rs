//! All that knows Odoo: how to call a server over JSON-2 or JSON-RPC, what to ask it, and what its answers and refusals mean.
//!
//! One poll is [`plan::read`]: it asks for counts and sets of ids, never for rows of portal users, and gives [`Facts`] in which
//! anything that is not proven complete is missing. What two polls share is a [`Session`].
//!
//! Invariants: only reading methods are called; `totp_secret` and keys are never asked for, not even in a domain; no request leaves
//! without the deadline of its poll; no reply is read beyond the limit of its kind ([`reply::Reply::LIMIT`]).
//!
//! [`Facts`]: crate::domain::Facts

mod call;
mod causes;
mod client;
mod date;
pub mod directory;
mod dns;
mod error;
mod groups;
pub mod plan;
mod refusal;
mod reply;
mod session;
pub mod surface;
mod text;
mod tls;
mod transport;

pub use causes::cause;
pub use client::{Client, Failure, Request, Response, within};
pub(crate) use date::{of_header as date_of_header, retry_after};
pub use directory::Person;
pub use dns::{NoAddress, Resolver};
pub use error::{Error, Kind};
pub use session::Session;
pub use text::{Text, printable, redacted};
pub use transport::{Clients, Transport, beginning};
