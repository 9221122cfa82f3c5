//! One place that alerts are sent to: the request, and what its answer means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Notification, payload};
use crate::config::{Auth, Receiver, ReceiverKind};
use crate::odoo::{
    self, Client, Clients, Failure, Request, Response, Text, beginning, printable, within,
};

/// Number of bytes that are read of an answer.
const ANSWER: usize = 64 << 10;

/// An alert as Alertmanager lists it: its own receivers of it.
#[derive(Deserialize)]
struct Routed {
    receivers: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Text,
}

/// One place that alerts are sent to.
#[derive(Debug)]
pub struct Endpoint {
    receiver: Arc<Receiver>,
    /// Its name, or the address that the name stands for.
    name: String,
    client: Client,
    timeout: Duration,
}

/// Why alerts were not taken. Holds no secret, and no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The answer, or the error.
    pub reason: String,
    /// The next step for the alerts.
    pub then: Then,
    /// Time for which the receiver asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Next step for alerts that were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Sending the same again would be refused again.
    GiveUp,
    /// Sending the same again soon may succeed.
    Retry,
    /// The request may have been wrong, or the receiver's configuration: sending the same again later may succeed.
    RetryLater,
    /// Fewer alerts in one request may be taken.
    Split,
}

impl Refusal {
    fn new(then: Then, reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            then,
            retry_after: None,
        }
    }
}

/// Facts in an answer, in addition to success.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Lead of the receiver's clock; to a second.
    pub clock_ahead: Option<SignedDuration>,
}

impl Endpoint {
    /// Prepares a client. With an address, the host's name is not looked up.
    ///
    /// # Errors
    /// If the TLS files cannot be used.
    pub fn new(
        receiver: &Arc<Receiver>,
        address: Option<SocketAddr>,
        timeout: Duration,
        clients: &Clients,
    ) -> Result<Self, Refusal> {
        let client = clients
            .to(&receiver.tls, None, address)
            .map_err(|error| Refusal::new(Then::GiveUp, error.message))?;
        let name = match address {
            Some(address) => format!("{}://{address}", receiver.url.scheme()),
            None => receiver.name.clone(),
        };
        Ok(Self {
            receiver: Arc::clone(receiver),
            name,
            client,
            timeout,
        })
    }

    /// Its name in logs and metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its format.
    pub fn kind(&self) -> ReceiverKind {
        self.receiver.kind
    }

    /// Sends alerts in one request. To a webhook they must be of one group.
    ///
    /// # Errors
    /// If they were not accepted.
    pub async fn send(&self, alerts: &[Arc<Notification>]) -> Result<Taken, Refusal> {
        let (url, body) = match self.receiver.kind {
            ReceiverKind::Alertmanager { .. } => {
                (self.api("api/v2/alerts")?, payload::alertmanager(alerts))
            }
            ReceiverKind::Webhook { .. } => (
                self.receiver.url.clone(),
                payload::webhook(&self.receiver.name, alerts),
            ),
        };
        let request = Request::post(&url)
            .authorized(self.receiver.auth.as_ref())
            .json(&body);
        let deadline = Instant::now() + self.timeout;
        let response = self.answer(request, deadline).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Taken {
                clock_ahead: clock_ahead(response.headers(), Timestamp::now()),
            });
        }
        Err(self.refusal(status, response, deadline).await)
    }

    /// To which of its own receivers an Alertmanager sends the alert with these labels.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn receivers_of(&self, alert: &Notification) -> Result<Vec<String>, Refusal> {
        let mut url = self.api("api/v2/alerts")?;
        for (name, value) in alert.labels.iter() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            url.query_pairs_mut()
                .append_pair("filter", &format!("{name}=\"{value}\""));
        }
        let request = Request::get(&url).authorized(self.receiver.auth.as_ref());
        let deadline = Instant::now() + self.timeout;
        let response = self.answer(request, deadline).await?;
        let body = within(deadline, beginning(response, ANSWER)).await;
        let body = body.map_err(|failure| self.lost(&failure))?;
        let alerts: Vec<Routed> = serde_json::from_slice(&body).map_err(|_| {
            Refusal::new(
                Then::GiveUp,
                "does not answer like an Alertmanager: check its `url`",
            )
        })?;
        let receivers = alerts.into_iter().flat_map(|it| it.receivers);
        Ok(receivers.map(|it| self.redacted(&it.name)).collect())
    }

    async fn answer(&self, request: Request, deadline: Instant) -> Result<Response, Refusal> {
        self.client.renew();
        let response = within(deadline, self.client.send(request)).await;
        response.map_err(|failure| self.lost(&failure))
    }

    /// Nothing, or nothing whole, came back.
    fn lost(&self, failure: &Failure) -> Refusal {
        let cause = odoo::cause(failure, &self.receiver.url);
        Refusal::new(Then::Retry, cause.message)
    }

    fn api(&self, path: &str) -> Result<Url, Refusal> {
        let url = self.receiver.url.join(path);
        url.map_err(|error| Refusal::new(Then::GiveUp, error.to_string()))
    }

    /// A text of the receiver's, which may repeat what it was sent.
    fn redacted(&self, text: &str) -> String {
        match &self.receiver.auth {
            None => text.to_owned(),
            Some(Auth::Basic { username, password }) => {
                let password = password.expose_secret();
                let header = BASE64_STANDARD.encode(format!("{username}:{password}"));
                odoo::redacted(&odoo::redacted(text, &header), password)
            }
            Some(Auth::Bearer(token)) => odoo::redacted(text, token.expose_secret()),
        }
    }

    /// Alertmanager refuses a whole batch with 400 and yet keeps its valid alerts: the same batch would be refused forever. A webhook
    /// gets each alert once, so it gets it again.
    async fn refusal(&self, status: StatusCode, response: Response, deadline: Instant) -> Refusal {
        let retry_after = odoo::retry_after(response.headers(), Timestamp::now());
        let text = within(deadline, beginning(response, ANSWER)).await;
        let text = text.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE
            || status == StatusCode::BAD_REQUEST && text.contains("body too large");
        let is_webhook = matches!(self.receiver.kind, ReceiverKind::Webhook { .. });
        let reason = if is_webhook {
            // It may repeat what it was sent.
            format!("answers {status}")
        } else {
            format!(
                "answers {status}: {}",
                printable(&self.redacted(&text), 200)
            )
        };
        let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        let then = if too_large {
            Then::Split
        } else if status.is_server_error() || again.contains(&status) {
            Then::Retry
        } else if is_webhook {
            Then::RetryLater
        } else {
            Then::GiveUp
        };
        Refusal {
            reason,
            then,
            retry_after,
        }
    }
}

fn clock_ahead(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    Some(odoo::date_of_header(headers.get(DATE)?)?.duration_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_gives_the_lead_of_the_other_clock() {
        let now = "2026-11-24T05:00:00Z".parse().expect("a time");
        let ahead = |date: &'static str| {
            let headers = HeaderMap::from_iter([(DATE, date.parse().expect("a header"))]);
            clock_ahead(&headers, now).map(|it| it.as_secs())
        };
        assert_eq!(ahead("Tue, 24 Nov 2026 05:02:00 GMT"), Some(120));
        assert_eq!(ahead("Tue, 24 Nov 2026 04:59:59 GMT"), Some(-1));
        assert_eq!(ahead("yesterday"), None);
    }
}
