//! What a server answers to somebody without credentials, from one vantage.
//!
//! Only what any browser may ask: versions, a call without a token, the database manager's page, the list of databases, the health
//! page. Nothing is ever posted to another path below `/web/database`, and no key, cookie or client certificate is sent.
//!
//! Odoo's own answer is exposure. A refusal or a page of something else counts as blocked only where Odoo is known to stand behind it:
//! a wrong URL or a server that is down would look the same.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use super::causes::from_reqwest;
use super::transport::{Clients, join};
use crate::config::{Target, Tls, Vantage};
use crate::domain::Endpoint;
use crate::domain::surface::{Checked, Exposure, Seen};

/// How much of an answer is read: the largest, the database manager's page, has 45 kB.
const MAX_ANSWER: usize = 256 << 10;

/// No single question waits longer, however long a poll may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Vantages that ask at the same time.
const AT_ONCE: usize = 4;

/// Asks from every configured vantage at the same time, in the configuration's order; from none where none is configured. `at` is when.
///
/// It takes up to twice [`TIMEOUT`], whatever the target's own deadline.
pub async fn check_all(clients: &Clients, target: &Target, at: Timestamp) -> Vec<Checked> {
    let mut checks: Vec<BoxFuture<'_, Checked>> = Vec::new();
    if let Some(surface) = &target.surface {
        for vantage in &surface.vantages {
            checks.push(check(clients, target, vantage, at).boxed());
        }
    }
    futures::stream::iter(checks)
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Asks each endpoint once from one vantage. `at` is when.
pub async fn check(
    clients: &Clients,
    target: &Target,
    vantage: &Vantage,
    at: Timestamp,
) -> Checked {
    let seen = match clients.with(&tls(target, vantage), vantage.proxy.as_ref()) {
        Ok(client) => {
            let asking = Asking {
                client,
                url: vantage.url.clone(),
                timeout: target.timeout.min(TIMEOUT),
            };
            asking.all(&target.database).await
        }
        Err(error) => std::array::from_fn(|_| Seen {
            exposure: Exposure::Unknown,
            why: error.message.clone(),
        }),
    };
    Checked {
        vantage: vantage.name.clone(),
        at,
        endpoints: Endpoint::ALL.iter().copied().zip(seen).collect(),
        expect_blocked: vantage.expect_blocked.clone(),
    }
}

/// The target's authority where the vantage leads to the same host, never its client certificate: that would be a credential.
pub(super) fn tls(target: &Target, vantage: &Vantage) -> Tls {
    if vantage.url.host() != target.url.host() {
        return Tls::default();
    }
    Tls {
        client: None,
        ..target.tls.clone()
    }
}

struct Asking {
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
}

/// What came back.
struct Reply {
    status: StatusCode,
    content_type: String,
    location: Option<String>,
    body: String,
}

/// What an answer shows by itself.
enum Verdict {
    /// Odoo answers.
    Open(String),
    /// Odoo answers that it does not do this.
    Closed(String),
    /// Not Odoo's answer, or no such path.
    Elsewhere(String),
    /// Says nothing.
    Silent(String),
}

impl Asking {
    async fn all(&self, database: &str) -> [Seen; Endpoint::ALL.len()] {
        let (xmlrpc, jsonrpc, json2, manager, list, health) = tokio::join!(
            self.ask(self.xmlrpc()),
            self.ask(self.jsonrpc()),
            self.ask(self.json2(database)),
            self.ask(self.get("/web/database/manager")),
            self.ask(self.post(
                "/web/database/list",
                &json!({"jsonrpc": "2.0", "method": "call", "params": {}})
            )),
            self.ask(self.get("/web/health")),
        );
        let verdicts = [
            judge("/xmlrpc/2/common", xmlrpc, of_xmlrpc),
            judge("/jsonrpc", jsonrpc, of_jsonrpc),
            judge("/json/2/res.users/context_get", json2, of_json2),
            judge("/web/database/manager", manager, of_manager),
            judge("/web/database/list", list, of_list),
        ];
        let alive = verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Open(_) | Verdict::Closed(_)))
            || health.is_ok_and(|reply| is_health(&reply))
            || self.tells_its_version().await;
        verdicts.map(|verdict| {
            let (exposure, why) = match verdict {
                Verdict::Open(why) => (Exposure::Exposed, why),
                Verdict::Closed(why) => (Exposure::Blocked, why),
                Verdict::Elsewhere(why) if alive => (Exposure::Blocked, why),
                Verdict::Elsewhere(why) => (
                    Exposure::Unknown,
                    format!("{why}, and nothing there answers as Odoo does"),
                ),
                Verdict::Silent(why) => (Exposure::Unknown, why),
            };
            Seen { exposure, why }
        })
    }

    fn xmlrpc(&self) -> RequestBuilder {
        self.client
            .post(join(&self.url, "/xmlrpc/2/common"))
            .header(CONTENT_TYPE, "text/xml")
            .body("<?xml version=\"1.0\"?><methodCall><methodName>version</methodName><params/></methodCall>")
    }

    fn jsonrpc(&self) -> RequestBuilder {
        let version = json!({
            "jsonrpc": "2.0", "method": "call", "id": 1,
            "params": {"service": "common", "method": "version", "args": []},
        });
        self.post("/jsonrpc", &version)
    }

    /// A server with several databases only knows the path when the request names one.
    fn json2(&self, database: &str) -> RequestBuilder {
        self.post("/json/2/res.users/context_get", &json!({}))
            .header("X-Odoo-Database", database)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(join(&self.url, path))
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(join(&self.url, path)).json(body)
    }

    /// Odoo 14 has no health page.
    async fn tells_its_version(&self) -> bool {
        let version = self.post("/web/webclient/version_info", &json!({}));
        self.ask(version).await.is_ok_and(|reply| {
            reply
                .json()
                .is_some_and(|body| body.get("result").is_some())
        })
    }

    /// Sends, and reads no more than [`MAX_ANSWER`]: the rest of a longer answer changes nothing.
    async fn ask(&self, request: RequestBuilder) -> Result<Reply, String> {
        let failed = |error: reqwest::Error| from_reqwest(&error).message;
        let mut response = request.timeout(self.timeout).send().await.map_err(failed)?;
        let header = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_ascii_lowercase())
        };
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let location = header(LOCATION);
        let mut body = Vec::new();
        while body.len() < MAX_ANSWER
            && let Some(chunk) = response.chunk().await.map_err(failed)?
        {
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status(),
            content_type,
            location,
            body: String::from_utf8_lossy(&body[..body.len().min(MAX_ANSWER)]).into_owned(),
        })
    }
}

impl Reply {
    fn json(&self) -> Option<Value> {
        if self.content_type.starts_with("application/json") {
            serde_json::from_str(&self.body).ok()
        } else {
            None
        }
    }
}

fn is_health(reply: &Reply) -> bool {
    reply.status == StatusCode::OK && reply.json().is_some_and(|body| body["status"] == "pass")
}

/// Odoo's own answer by the endpoint's rule; everything else by the status.
fn judge(
    path: &str,
    reply: Result<Reply, String>,
    odoo: impl Fn(&Reply) -> Option<Verdict>,
) -> Verdict {
    let reply = match reply {
        Ok(reply) => reply,
        Err(why) => return Verdict::Silent(why),
    };
    if let Some(verdict) = odoo(&reply) {
        return verdict;
    }
    let status = reply.status.as_u16();
    match status {
        300..=399 => {
            let location = reply.location.unwrap_or_default();
            let target = location.split(['?', '#']).next().unwrap_or_default();
            if target.ends_with(path) {
                Verdict::Silent(format!(
                    "answers {status}, to the same path elsewhere: set the vantage's url to that"
                ))
            } else {
                Verdict::Elsewhere(format!("answers {status}, a redirect"))
            }
        }
        404 if reply.body.contains("No database is selected") => Verdict::Silent(
            "Odoo answers that it has no such database, so it does not say whether it has the path"
                .to_owned(),
        ),
        404 => Verdict::Elsewhere("answers 404, no such path".to_owned()),
        429 | 500 => Verdict::Silent(format!("answers {status}")),
        200..=299 => Verdict::Elsewhere(format!("answers {status}, but not as Odoo does")),
        _ => Verdict::Elsewhere(format!("answers {status}, and not as Odoo does")),
    }
}

fn of_xmlrpc(reply: &Reply) -> Option<Verdict> {
    let is_xml = reply.content_type.starts_with("text/xml");
    (is_xml && reply.body.contains("<methodResponse>"))
        .then(|| Verdict::Open("answers an XML-RPC call".to_owned()))
}

fn of_jsonrpc(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    // 15 answers a path that it does not have with an error in JSON-RPC too, and with the status 404.
    (reply.status == StatusCode::OK && body["jsonrpc"] == "2.0")
        .then(|| Verdict::Open("answers a JSON-RPC call".to_owned()))
}

fn of_json2(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    (reply.status == StatusCode::UNAUTHORIZED && body["name"] == "werkzeug.exceptions.Unauthorized")
        .then(|| Verdict::Open("asks for an API key".to_owned()))
}

fn of_manager(reply: &Reply) -> Option<Verdict> {
    if reply.status != StatusCode::OK || !reply.content_type.starts_with("text/html") {
        return None;
    }
    if reply.body.contains("disabled by the administrator") {
        Some(Verdict::Closed(
            "Odoo answers, but the manager is disabled (list_db = False): nothing can be done with it"
                .to_owned(),
        ))
    } else if reply.body.contains("/web/database/") && reply.body.contains("master_pwd") {
        Some(Verdict::Open(
            "shows the page that creates, copies and drops databases with the master password"
                .to_owned(),
        ))
    } else {
        None
    }
}

fn of_list(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    if reply.status != StatusCode::OK || body["jsonrpc"] != "2.0" {
        return None;
    }
    if let Some(databases) = body["result"].as_array() {
        return Some(Verdict::Open(format!(
            "tells the names of {} databases",
            databases.len()
        )));
    }
    Some(
        if body["error"]["data"]["name"] == "odoo.exceptions.AccessDenied" {
            Verdict::Closed("Odoo refuses to list its databases (list_db = False)".to_owned())
        } else {
            Verdict::Silent(
                "Odoo answers with an error, such as when PostgreSQL is down".to_owned(),
            )
        },
    )
}

#[cfg(test)]
mod tests;
