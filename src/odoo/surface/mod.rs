//! Endpoints that answer without credentials, from one vantage point.
//!
//! Only harmless questions: versions, calls without a token or with an empty password, the database manager's page, the list of
//! databases, the health page. Nothing is ever posted to another path below `/web/database`, and no key, cookie or client certificate
//! is sent. [`QUESTIONS`] is the whole list.
//!
//! Odoo's own answer is exposure. A refusal or a page of something else counts as blocked only if Odoo is known to stand behind it:
//! a wrong URL or a server that is down would look the same. An endpoint with several paths is exposed by one of them, and blocked only
//! if all of them are.

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::call::DATABASE;
use super::causes::cause;
use super::client::{Client, Failure as Lost, Request, within};
use super::refusal::OdooError;
use super::reply::Release;
use super::text::Text;
use super::transport::{Clients, Transport, beginning, join};
use crate::config::{Target, Tls, Vantage};
use crate::domain::surface::{Checked, Exposure, Seen};
use crate::domain::{Api, Endpoint};

/// Number of bytes that are read of an answer: the largest, the database manager's page, has 45 kB.
const MAX_ANSWER: usize = 256 << 10;

/// No single question waits longer, however long a poll may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Vantage points that are checked at the same time.
const AT_ONCE: usize = 4;

/// Asks from every configured vantage at the same time, in the configuration's order; from none where none is configured. `at` is when.
///
/// It takes up to three times [`TIMEOUT`], independent of the target's deadline.
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

/// Checks each endpoint once from one vantage point. `at` is the time.
pub async fn check(
    clients: &Clients,
    target: &Target,
    vantage: &Vantage,
    at: Timestamp,
) -> Checked {
    let tls = tls(target, vantage);
    let seen = match clients.to(&tls, vantage.proxy.as_ref(), None) {
        Ok(client) => {
            let asking = Asking {
                client: &client,
                url: &vantage.url,
                timeout: target.timeout.min(TIMEOUT),
                database: &target.database,
            };
            asking.all().await
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

/// The target's authorities if the vantage point leads to the same host. Never its client certificate, which is a credential.
pub(super) fn tls(target: &Target, vantage: &Vantage) -> Tls {
    if vantage.url.host() != target.url.host() {
        return Tls::default();
    }
    Tls {
        client: None,
        ..target.tls.clone()
    }
}

/// Returns true if password RPC answers at the target's own URL: `/jsonrpc`, `/xmlrpc` or `/xmlrpc/2`.
///
/// `Some(false)` only if Odoo or what stands before it answers 404 on each of them; `None` if that is unknown. The state of the module
/// `rpc` in a database does not decide: a server that lists it in `server_wide_modules`, as it does by default, answers in any case.
///
/// One to three requests, which count as those of the poll; none if the poll itself speaks JSON-RPC.
pub async fn rpc_answers(transport: &Transport, api: Api) -> Option<bool> {
    if api == Api::Jsonrpc {
        return Some(true);
    }
    let target = transport.target();
    let asking = Asking {
        client: transport.client(),
        url: &target.url,
        timeout: target.timeout.min(TIMEOUT),
        database: &target.database,
    };
    let mut absent = true;
    for (path, request, odoo) in [
        ("/jsonrpc", jsonrpc_version as Ask, of_jsonrpc as Judge),
        ("/xmlrpc/common", xmlrpc_version, of_xmlrpc),
        ("/xmlrpc/2/common", xmlrpc_version, of_xmlrpc),
    ] {
        let request = request(asking.post(path), asking.database);
        let reply = transport.counted(asking.ask(request)).await.ok();
        if matches!(reply.as_ref().and_then(odoo), Some(Verdict::Open(_))) {
            return Some(true);
        }
        absent &= reply.is_some_and(|reply| {
            reply.status == StatusCode::NOT_FOUND && !reply.body.contains(NO_DATABASE)
        });
    }
    absent.then_some(false)
}

/// Gives a request for a path its body and headers; the text is the name of the target's database.
type Ask = fn(Request, &str) -> Request;

/// Meaning of an answer if it is Odoo's own.
type Judge = fn(&Reply) -> Option<Verdict>;

/// A question to one path.
struct Question {
    path: &'static str,
    /// Without one, it is a GET.
    ask: Option<Ask>,
    /// True if it is for the service `db`, which does not exist from [`WITHOUT_DB`] on.
    db: bool,
    /// The endpoints that the answer is about.
    shows: &'static [(Endpoint, Judge)],
}

const QUESTIONS: &[Question] = &[
    question(
        "/xmlrpc/common",
        xmlrpc_version,
        &[(Endpoint::Xmlrpc, of_xmlrpc)],
    ),
    question(
        "/xmlrpc/object",
        xmlrpc_object,
        &[(Endpoint::Xmlrpc, of_xmlrpc)],
    ),
    question(
        "/xmlrpc/2/common",
        xmlrpc_version,
        &[(Endpoint::Xmlrpc, of_xmlrpc)],
    ),
    question(
        "/xmlrpc/2/object",
        xmlrpc_object,
        &[(Endpoint::Xmlrpc, of_xmlrpc)],
    ),
    question(
        "/jsonrpc",
        jsonrpc_version,
        &[(Endpoint::Jsonrpc, of_jsonrpc)],
    ),
    question(
        "/json/2/res.users/context_get",
        json2,
        &[(Endpoint::Json2, of_json2)],
    ),
    Question {
        path: "/web/database/manager",
        ask: None,
        db: false,
        shows: &[(Endpoint::DatabaseManager, of_manager)],
    },
    question(
        "/web/database/list",
        list,
        &[(Endpoint::DatabaseList, of_list)],
    ),
    Question {
        db: true,
        ..question("/xmlrpc/db", xmlrpc_list, XMLRPC_DB)
    },
    Question {
        db: true,
        ..question("/xmlrpc/2/db", xmlrpc_list, XMLRPC_DB)
    },
    Question {
        db: true,
        ..question(
            "/jsonrpc",
            jsonrpc_list,
            &[(Endpoint::DatabaseList, of_list)],
        )
    },
];

const XMLRPC_DB: &[(Endpoint, Judge)] = &[
    (Endpoint::Xmlrpc, of_xmlrpc),
    (Endpoint::DatabaseList, of_xmlrpc_list),
];

/// From this release on there is no service `db`, and each call to it writes a traceback into Odoo's log.
const WITHOUT_DB: (u32, u32) = (19, 1);

/// Odoo's answer from [`WITHOUT_DB`] on.
const NO_SERVICE: &str = "Invalid service name";

/// Odoo's answer on a path that it may have in a database, if it has not found the database.
const NO_DATABASE: &str = "No database is selected";

const fn question(path: &'static str, ask: Ask, shows: &'static [(Endpoint, Judge)]) -> Question {
    Question {
        path,
        ask: Some(ask),
        db: false,
        shows,
    }
}

struct Asking<'t> {
    client: &'t Client,
    url: &'t Url,
    timeout: Duration,
    database: &'t str,
}

/// The fields that are read of an answer in JSON.
#[derive(Deserialize)]
struct Json<'a> {
    jsonrpc: Option<Text>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Failure>,
    /// The name of an exception in JSON-2.
    name: Option<Text>,
    /// The contents of the health page.
    status: Option<Text>,
}

/// An error of JSON-RPC.
#[derive(Deserialize)]
struct Failure {
    data: Option<OdooError>,
}

/// A version of JSON-RPC.
#[derive(Deserialize)]
struct Version {
    server_version_info: Release,
}

/// The answer.
struct Reply {
    status: StatusCode,
    content_type: String,
    location: Option<String>,
    body: String,
}

/// Meaning of an answer by itself.
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

impl Asking<'_> {
    async fn all(&self) -> [Seen; Endpoint::ALL.len()] {
        let (first, db): (Vec<&Question>, Vec<&Question>) =
            QUESTIONS.iter().partition(|question| !question.db);
        let (mut replies, health) = futures::join!(
            join_all(first.into_iter().map(|question| self.question(question))),
            self.ask(self.get("/web/health")),
        );
        let without_db = replies
            .iter()
            .filter_map(|(_, reply)| reply.as_ref().ok()?.release())
            .any(|release| release >= WITHOUT_DB);
        if !without_db {
            replies.extend(join_all(db.iter().map(|question| self.question(question))).await);
        }

        let mut verdicts: Vec<(Endpoint, &str, Verdict)> = Vec::new();
        for (question, reply) in &replies {
            for (endpoint, odoo) in question.shows {
                let verdict = judge(question.path, reply, *odoo);
                verdicts.push((*endpoint, question.path, verdict));
            }
        }
        if without_db {
            for question in db {
                for (endpoint, _) in question.shows {
                    verdicts.push((*endpoint, question.path, no_service()));
                }
            }
        }
        let alive = verdicts
            .iter()
            .any(|(.., verdict)| matches!(verdict, Verdict::Open(_) | Verdict::Closed(_)))
            || health.is_ok_and(|reply| is_health(&reply))
            || self.tells_its_version().await;
        let mut paths: [Vec<(&str, Seen)>; Endpoint::ALL.len()] = Default::default();
        for (endpoint, path, verdict) in verdicts {
            paths[endpoint as usize].push((path, seen(verdict, alive)));
        }
        paths.map(|paths| combined(&paths))
    }

    async fn question<'q>(&self, question: &'q Question) -> (&'q Question, Result<Reply, String>) {
        let request = match question.ask {
            Some(ask) => ask(self.post(question.path), self.database),
            None => self.get(question.path),
        };
        (question, self.ask(request).await)
    }

    /// Odoo 14 has no health page.
    async fn tells_its_version(&self) -> bool {
        let version = self.post("/web/webclient/version_info").json(&json!({}));
        let reply = self.ask(version).await;
        reply.is_ok_and(|reply| reply.release().is_some())
    }

    fn get(&self, path: &str) -> Request {
        Request::get(&join(self.url, path))
    }

    fn post(&self, path: &str) -> Request {
        Request::post(&join(self.url, path))
    }

    /// Sends, and reads no more than [`MAX_ANSWER`]: the rest of a longer answer changes nothing.
    async fn ask(&self, request: Request) -> Result<Reply, String> {
        let failed = |lost: Lost| cause(&lost, self.url).message;
        let deadline = Instant::now() + self.timeout;
        let response = within(deadline, self.client.send(request))
            .await
            .map_err(failed)?;
        let header = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_ascii_lowercase())
        };
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let location = header(LOCATION);
        let status = response.status();
        let body = within(deadline, beginning(response, MAX_ANSWER))
            .await
            .map_err(failed)?;
        Ok(Reply {
            status,
            content_type,
            location,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

fn xmlrpc_version(request: Request, _: &str) -> Request {
    xmlrpc(request, "version", "")
}

fn xmlrpc_list(request: Request, _: &str) -> Request {
    xmlrpc(request, "list", "")
}

/// A call that Odoo refuses before it asks who calls: the password is empty. It is no failed login and writes no traceback.
fn xmlrpc_object(request: Request, database: &str) -> Request {
    let database = database.replace('&', "&amp;").replace('<', "&lt;");
    let string = |text: &str| format!("<param><value><string>{text}</string></value></param>");
    let params = [
        string(&database),
        "<param><value><int>0</int></value></param>".to_owned(),
        string(""),
        string("res.users"),
        string("context_get"),
        "<param><value><array><data/></array></value></param>".to_owned(),
    ];
    xmlrpc(request, "execute_kw", &params.concat())
}

fn xmlrpc(request: Request, method: &str, params: &str) -> Request {
    request.header(CONTENT_TYPE, "text/xml").body(format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    ))
}

fn jsonrpc_version(request: Request, _: &str) -> Request {
    jsonrpc(request, "common", "version")
}

fn jsonrpc_list(request: Request, _: &str) -> Request {
    jsonrpc(request, "db", "list")
}

fn jsonrpc(request: Request, service: &str, method: &str) -> Request {
    request.json(&json!({
        "jsonrpc": "2.0", "method": "call", "id": 1,
        "params": {"service": service, "method": method, "args": []},
    }))
}

fn list(request: Request, _: &str) -> Request {
    request.json(&json!({"jsonrpc": "2.0", "method": "call", "params": {}}))
}

/// A server with several databases only knows the path when the request names one.
fn json2(request: Request, database: &str) -> Request {
    request.json(&json!({})).header(DATABASE, database)
}

impl Reply {
    fn json(&self) -> Option<Json<'_>> {
        if self.content_type.starts_with("application/json") {
            serde_json::from_str(&self.body).ok()
        } else {
            None
        }
    }

    /// The version, if the answer is one.
    fn release(&self) -> Option<(u32, u32)> {
        if let Some(body) = self.json() {
            let version: Version = serde_json::from_str(body.result?.get()).ok()?;
            return version.server_version_info.0;
        }
        let (major, minor) = self.xml_string("server_serie")?.split_once('.')?;
        Release::deserialize(&json!([major, minor])).ok()?.0
    }

    /// The text of a member of the structure that an XML-RPC call answers.
    fn xml_string(&self, member: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<name>{member}</name>"))?;
        let (_, rest) = rest.split_once("<value>")?;
        let (value, _) = rest.split_once("</value>")?;
        let (_, value) = value.split_once('>')?;
        Some(value.split_once('<')?.0)
    }
}

/// Returns true if the body contains this text.
fn is(text: &Option<Text>, wanted: &str) -> bool {
    text.as_deref() == Some(wanted)
}

fn is_health(reply: &Reply) -> bool {
    reply.status == StatusCode::OK && reply.json().is_some_and(|body| is(&body.status, "pass"))
}

/// State of a path. `alive`: Odoo is known to be there.
fn seen(verdict: Verdict, alive: bool) -> Seen {
    let (exposure, why) = match verdict {
        Verdict::Open(why) => (Exposure::Exposed, why),
        Verdict::Closed(why) => (Exposure::Blocked, why),
        Verdict::Elsewhere(why) if alive => (Exposure::Blocked, why),
        Verdict::Elsewhere(why) => (
            Exposure::Unknown,
            format!("{why}, and no endpoint there answers as Odoo does"),
        ),
        Verdict::Silent(why) => (Exposure::Unknown, why),
    };
    Seen { exposure, why }
}

/// State of an endpoint: one open path exposes it, and otherwise one unknown path leaves it unknown. The reasons are those of the
/// deciding paths; they name these paths if others differ, and if one is open.
fn combined(paths: &[(&str, Seen)]) -> Seen {
    let exposure = [Exposure::Exposed, Exposure::Unknown]
        .into_iter()
        .find(|exposure| paths.iter().any(|(_, seen)| seen.exposure == *exposure))
        .unwrap_or(Exposure::Blocked);
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (path, seen) in paths.iter().filter(|(_, seen)| seen.exposure == exposure) {
        match reasons.iter_mut().find(|(why, _)| *why == seen.why) {
            Some((_, at)) => at.push(path),
            None => reasons.push((&seen.why, vec![path])),
        }
    }
    let name_all = exposure == Exposure::Exposed;
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(why, at)| {
            if paths.len() == 1 || (at.len() == paths.len() && !name_all) {
                why.to_owned()
            } else {
                format!("{}: {why}", at.join(", "))
            }
        })
        .collect();
    Seen {
        exposure,
        why: reasons.join("; "),
    }
}

/// Odoo's own answer by the endpoint's rule; everything else by the status.
fn judge(path: &str, reply: &Result<Reply, String>, odoo: Judge) -> Verdict {
    let reply = match reply {
        Ok(reply) => reply,
        Err(why) => return Verdict::Silent(why.clone()),
    };
    if let Some(verdict) = odoo(reply) {
        return verdict;
    }
    let status = reply.status.as_u16();
    match status {
        300..=399 => {
            let location = reply.location.as_deref().unwrap_or_default();
            let target = location.split(['?', '#']).next().unwrap_or_default();
            if target.ends_with(path) {
                Verdict::Silent(format!(
                    "answers {status}, a redirect to the same path elsewhere: set the `url` of the vantage point to that address"
                ))
            } else {
                Verdict::Elsewhere(format!("answers {status}, a redirect"))
            }
        }
        404 if reply.body.contains(NO_DATABASE) => Verdict::Silent(
            "Odoo answers that it has no such database, so it does not say whether it has the path"
                .to_owned(),
        ),
        404 => Verdict::Elsewhere("answers 404, no such path".to_owned()),
        429 | 500 => Verdict::Silent(format!("answers {status}")),
        200..=299 => Verdict::Elsewhere(format!("answers {status}, but unlike Odoo")),
        _ => Verdict::Elsewhere(format!("answers {status}, unlike Odoo")),
    }
}

fn no_service() -> Verdict {
    Verdict::Closed("Odoo has no service db".to_owned())
}

fn of_xmlrpc(reply: &Reply) -> Option<Verdict> {
    if !reply.content_type.starts_with("text/xml") || !reply.body.contains("<methodResponse>") {
        return None;
    }
    Some(if reply.body.contains(NO_SERVICE) {
        no_service()
    } else {
        Verdict::Open("answers an XML-RPC call".to_owned())
    })
}

fn of_xmlrpc_list(reply: &Reply) -> Option<Verdict> {
    match of_xmlrpc(reply)? {
        Verdict::Open(_) => Some(match reply.xml_string("faultCode") {
            None => names(reply.body.matches("<string>").count()),
            // The code of /xmlrpc, and that of /xmlrpc/2.
            Some("AccessDenied" | "3") => refuses_to_list(),
            Some(_) => fails(),
        }),
        closed => Some(closed),
    }
}

fn of_jsonrpc(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    // 15 answers a path that it does not have with an error in JSON-RPC too, and with the status 404.
    (reply.status == StatusCode::OK && is(&body.jsonrpc, "2.0"))
        .then(|| Verdict::Open("answers a JSON-RPC call".to_owned()))
}

fn of_json2(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    (reply.status == StatusCode::UNAUTHORIZED && is(&body.name, "werkzeug.exceptions.Unauthorized"))
        .then(|| Verdict::Open("asks for an API key".to_owned()))
}

fn of_manager(reply: &Reply) -> Option<Verdict> {
    if reply.status != StatusCode::OK || !reply.content_type.starts_with("text/html") {
        return None;
    }
    if reply.body.contains("disabled by the administrator") {
        Some(Verdict::Closed(
            "Odoo answers, but the manager is disabled (list_db = False)".to_owned(),
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
    if reply.status != StatusCode::OK || !is(&body.jsonrpc, "2.0") {
        return None;
    }
    let result = body.result.map_or("null", RawValue::get);
    if let Ok(databases) = serde_json::from_str::<Vec<IgnoredAny>>(result) {
        return Some(names(databases.len()));
    }
    let error = body.error.and_then(|error| error.data);
    Some(match error {
        Some(error) if &*error.name == "odoo.exceptions.AccessDenied" => refuses_to_list(),
        Some(error) if error.message.starts_with(NO_SERVICE) => no_service(),
        _ => fails(),
    })
}

fn names(databases: usize) -> Verdict {
    let s = if databases == 1 { "" } else { "s" };
    Verdict::Open(format!("returns the names of {databases} database{s}"))
}

fn refuses_to_list() -> Verdict {
    Verdict::Closed("Odoo refuses to list its databases (list_db = False)".to_owned())
}

fn fails() -> Verdict {
    Verdict::Silent("Odoo returns an error, for example because PostgreSQL is down".to_owned())
}

#[cfg(test)]
mod tests;
