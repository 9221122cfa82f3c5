//! Answers as recorded of real servers, behind a server of our own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;

use super::*;
use Exposure::{Blocked, Exposed, Unknown};

/// An answer: status, content type, body.
type Answer = (u16, &'static str, &'static str);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const XML: &str = "text/xml; charset=utf-8";
const HEALTHY: Answer = (200, "application/json", r#"{"status": "pass"}"#);
const FORBIDDEN: Answer = (
    403,
    "text/html",
    "<html><center><h1>403 Forbidden</h1></center><center>nginx</center></html>",
);
const BAD_GATEWAY: Answer = (
    502,
    "text/html",
    "<html><center><h1>502 Bad Gateway</h1></center><center>nginx</center></html>",
);
const NO_SUCH_PATH: Answer = (
    404,
    HTML,
    "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server.</p>",
);
const NO_DATABASE: Answer = (
    404,
    HTML,
    "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the requested URL was not found in the server-wide controllers.</p>",
);
const MANAGER: Answer = (
    200,
    HTML,
    r#"<html><form action="/web/database/create"><input name="master_pwd"/></form></html>"#,
);
const MANAGER_DISABLED: Answer = (
    200,
    HTML,
    r#"<html><div class="alert alert-danger">The database manager has been disabled by the administrator</div></html>"#,
);
const LIST: Answer = (
    200,
    JSON,
    r#"{"jsonrpc": "2.0", "id": null, "result": ["lab15", "lab17", "lab18"]}"#,
);
const LIST_DENIED: Answer = (
    200,
    JSON,
    r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "Odoo Server Error", "data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied", "arguments": ["Access Denied"], "context": {}, "debug": "<traceback>"}}}"#,
);
const LIST_FAILS: Answer = (
    200,
    JSON,
    r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "Odoo Server Error", "data": {"name": "psycopg2.OperationalError", "debug": "<traceback>"}}}"#,
);
const JSONRPC: Answer = (
    200,
    JSON,
    r#"{"jsonrpc": "2.0", "id": 1, "result": {"server_version": "19.0", "server_version_info": [19, 0, 0, "final", 0, ""], "server_serie": "19.0", "protocol_version": 1}}"#,
);
const XMLRPC: Answer = (
    200,
    XML,
    "<?xml version=\"1.0\"?>\n<methodResponse>\n<params>\n<param>\n<value><struct></struct></value></param></params></methodResponse>",
);
/// An answer to `execute_kw` with an empty password, or to `list` with `list_db = False`: at `/xmlrpc`, and at `/xmlrpc/2`.
const XMLRPC_DENIED: Answer = (
    200,
    XML,
    "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><string>AccessDenied</string></value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>Access Denied</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n",
);
const XMLRPC_2_DENIED: Answer = (
    200,
    XML,
    "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>3</int></value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>Access Denied</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n",
);
const XMLRPC_LIST: Answer = (
    200,
    XML,
    "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n<value><string>lab15</string></value>\n<value><string>lab17</string></value>\n</data></array></value>\n</param>\n</params>\n</methodResponse>\n",
);
const XMLRPC_LIST_FAILS: Answer = (
    200,
    XML,
    "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>1</int></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n",
);
/// The version of Odoo 20, whose XML-RPC has no service `db`.
const XMLRPC_20: Answer = (
    200,
    XML,
    "<?xml version=\"1.0\"?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n<name>server_version</name>\n<value><string>20.0</string></value>\n</member>\n<member>\n<name>server_serie</name>\n<value><string>20.0</string></value>\n</member>\n</struct></value>\n</param>\n</params>\n</methodResponse>\n",
);
const XMLRPC_NO_DB: Answer = (
    200,
    XML,
    "<?xml version=\"1.0\"?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>1</int></value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>ValueError: Invalid service name: db</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n",
);
const UNAUTHORIZED: Answer = (
    401,
    JSON,
    r#"{"name": "werkzeug.exceptions.Unauthorized", "message": "User not authenticated, use an API Key with a Bearer Authorization header.", "arguments": [], "context": {}, "debug": "<traceback>"}"#,
);
/// The answer of 15 on a path of JSON-2.
const JSONRPC_404: Answer = (
    404,
    "application/json",
    r#"{"jsonrpc": "2.0", "id": null, "error": {"code": 404, "message": "404: Not Found", "data": {"name": "werkzeug.exceptions.NotFound"}}}"#,
);
const VERSION_INFO: Answer = (
    200,
    "application/json",
    r#"{"jsonrpc": "2.0", "id": null, "result": {"server_version": "14.0", "server_version_info": [14, 0, 0, "final", 0, ""]}}"#,
);

#[derive(Clone)]
struct Server {
    answers: BTreeMap<&'static str, Answer>,
    fallback: Answer,
    seen: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (head, body) = request.into_parts();
    let asked = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let service = if asked.contains("\"service\":\"db\"") {
        format!("{path} db")
    } else {
        path.clone()
    };
    let (status, content_type, body) = *server
        .answers
        .get(service.as_str())
        .unwrap_or(&server.fallback);
    server.seen.lock().expect("a lock").push((
        format!("{} {service}", head.method),
        head.headers,
        asked,
    ));
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = (status, [("content-type", content_type)], body).into_response();
    if status.is_redirection() {
        // A redirect's body here is where it leads.
        let location = body.parse().expect("a header's value");
        response.headers_mut().insert("location", location);
    }
    response
}

/// A server that answers like this, and where.
async fn serve(
    answers: &[(&'static str, Answer)],
    fallback: Answer,
) -> (Server, SocketAddr, JoinHandle<std::io::Result<()>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server {
        answers: answers.iter().copied().collect(),
        fallback,
        seen: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(answer).with_state(server.clone());
    let running = tokio::spawn(async move { axum::serve(listener, router).await });
    (server, address, running)
}

/// Why an endpoint counts as it does.
fn why(checked: &Checked, endpoint: Endpoint) -> &str {
    &checked.endpoints[endpoint as usize].1.why
}

/// Checks a server that answers like this, from a vantage point with its own path.
async fn checked(
    answers: &[(&'static str, Answer)],
    fallback: Answer,
) -> (Vec<Exposure>, Checked, Server) {
    let (server, address, running) = serve(answers, fallback).await;
    let target = target(&format!("http://{address}/"));
    let vantage = &target.surface.as_ref().expect("a surface").vantages[0];
    let checked = check(&Clients::default(), &target, vantage, Timestamp::UNIX_EPOCH).await;
    running.abort();
    let exposures = checked
        .endpoints
        .iter()
        .map(|(_, seen)| seen.exposure)
        .collect();
    (exposures, checked, server)
}

/// A target whose only vantage is itself, out of a configuration file.
fn target(url: &str) -> Arc<Target> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("c.yml");
    let yaml = format!(
        "targets: [{{name: t, url: '{url}', database: lab19, api_key: canary-key, surface: {{vantages: [{{name: here, expect_blocked: [database_list]}}]}}}}]"
    );
    std::fs::write(&path, yaml).expect("a file");
    let (config, _) =
        crate::config::Config::load(&path, &crate::config::ProcessEnv).expect("a configuration");
    Arc::clone(&config.targets[0])
}

#[tokio::test]
async fn odoo_19_answers_everywhere() {
    let (exposures, checked, server) = checked(
        &[
            ("/xmlrpc/common", XMLRPC),
            ("/xmlrpc/object", XMLRPC_DENIED),
            ("/xmlrpc/db", XMLRPC_LIST),
            ("/xmlrpc/2/common", XMLRPC),
            ("/xmlrpc/2/object", XMLRPC_2_DENIED),
            ("/xmlrpc/2/db", XMLRPC_LIST),
            ("/jsonrpc", JSONRPC),
            ("/jsonrpc db", LIST),
            ("/json/2/res.users/context_get", UNAUTHORIZED),
            ("/web/database/manager", MANAGER),
            ("/web/database/list", LIST),
            ("/web/health", HEALTHY),
        ],
        NO_SUCH_PATH,
    )
    .await;
    assert_eq!(exposures, [Exposed; 5]);
    assert!(checked.expect_blocked.contains(&Endpoint::DatabaseList));
    assert_eq!(
        why(&checked, Endpoint::Xmlrpc),
        "/xmlrpc/common, /xmlrpc/object, /xmlrpc/2/common, /xmlrpc/2/object, /xmlrpc/db, /xmlrpc/2/db: answers an XML-RPC call"
    );
    assert_eq!(
        why(&checked, Endpoint::DatabaseList),
        "/web/database/list, /jsonrpc: returns the names of 3 databases; /xmlrpc/db, /xmlrpc/2/db: returns the names of 2 databases"
    );
    let mut seen = server.seen.lock().expect("a lock").clone();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let asked: Vec<&str> = seen.iter().map(|(what, ..)| what.as_str()).collect();
    assert_eq!(
        asked,
        [
            "GET /web/database/manager",
            "GET /web/health",
            "POST /json/2/res.users/context_get",
            "POST /jsonrpc",
            "POST /jsonrpc db",
            "POST /web/database/list",
            "POST /xmlrpc/2/common",
            "POST /xmlrpc/2/db",
            "POST /xmlrpc/2/object",
            "POST /xmlrpc/common",
            "POST /xmlrpc/db",
            "POST /xmlrpc/object",
        ]
    );
    for (what, headers, body) in &seen {
        if what.ends_with("/object") {
            // Without a password Odoo refuses before it looks at anything else.
            assert!(body.contains("<int>0</int></value></param><param><value><string></string>"));
        }
        assert!(
            !headers.contains_key("authorization"),
            "{what} has no credentials"
        );
        assert!(!headers.contains_key("cookie"), "{what} has no credentials");
        // Odoo 15 answers 400 to a GET with a content type.
        assert_eq!(
            headers.contains_key("content-type"),
            what.starts_with("POST"),
            "{what}"
        );
        assert_eq!(
            headers.contains_key("x-odoo-database"),
            what.contains("/json/2"),
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_odoo_itself_refuses_is_blocked_and_says_so() {
    let (exposures, checked, _) = checked(
        &[
            ("/xmlrpc/common", XMLRPC),
            ("/xmlrpc/2/common", XMLRPC),
            ("/xmlrpc/db", XMLRPC_DENIED),
            ("/xmlrpc/2/db", XMLRPC_2_DENIED),
            ("/jsonrpc", JSONRPC),
            ("/jsonrpc db", LIST_DENIED),
            ("/json/2/res.users/context_get", JSONRPC_404),
            ("/web/database/manager", MANAGER_DISABLED),
            ("/web/database/list", LIST_DENIED),
        ],
        NO_SUCH_PATH,
    )
    .await;
    assert_eq!(exposures, [Exposed, Exposed, Blocked, Blocked, Blocked]);
    assert!(why(&checked, Endpoint::DatabaseManager).contains("list_db = False"));
    assert_eq!(
        why(&checked, Endpoint::DatabaseList),
        "Odoo refuses to list its databases (list_db = False)"
    );
}

#[tokio::test]
async fn one_open_path_exposes_an_endpoint_and_is_named() {
    // Each path of XML-RPC, while everything else is blocked.
    for (path, answer) in [
        ("/xmlrpc/common", XMLRPC),
        ("/xmlrpc/object", XMLRPC_DENIED),
        ("/xmlrpc/db", XMLRPC_DENIED),
        ("/xmlrpc/2/common", XMLRPC),
        ("/xmlrpc/2/object", XMLRPC_2_DENIED),
        ("/xmlrpc/2/db", XMLRPC_2_DENIED),
    ] {
        let (exposures, checked, _) = checked(&[(path, answer)], FORBIDDEN).await;
        assert_eq!(
            exposures,
            [Exposed, Blocked, Blocked, Blocked, Blocked],
            "{path}"
        );
        assert_eq!(
            why(&checked, Endpoint::Xmlrpc),
            format!("{path}: answers an XML-RPC call")
        );
    }
    // Each path of the list of databases.
    for (path, answer) in [
        ("/web/database/list", LIST),
        ("/jsonrpc db", LIST),
        ("/xmlrpc/db", XMLRPC_LIST),
        ("/xmlrpc/2/db", XMLRPC_LIST),
    ] {
        let (exposures, checked, _) = checked(&[(path, answer)], FORBIDDEN).await;
        assert_eq!(exposures[4], Exposed, "{path}");
        let path = path.trim_end_matches(" db");
        assert!(why(&checked, Endpoint::DatabaseList).starts_with(path));
    }
}

#[tokio::test]
async fn one_unknown_path_leaves_an_endpoint_unknown_unless_another_is_open() {
    const FAILS: Answer = (500, HTML, "<h1>Internal Server Error</h1>");
    let silent = [
        ("/web/health", HEALTHY),
        ("/xmlrpc/object", FAILS),
        ("/xmlrpc/2/db", XMLRPC_LIST_FAILS),
    ];
    let (exposures, checked, _) = checked(&silent, FORBIDDEN).await;
    // A fault of `list` is an answer of XML-RPC.
    assert_eq!(exposures, [Exposed, Blocked, Blocked, Blocked, Unknown]);
    assert_eq!(
        why(&checked, Endpoint::DatabaseList),
        "/xmlrpc/2/db: Odoo returns an error, for example because PostgreSQL is down"
    );
    let (exposures, checked, _) = super::tests::checked(&silent[..2], FORBIDDEN).await;
    assert_eq!(exposures[0], Unknown);
    assert_eq!(
        why(&checked, Endpoint::Xmlrpc),
        "/xmlrpc/object: answers 500"
    );
}

#[tokio::test]
async fn odoo_20_is_not_asked_for_its_databases_over_rpc() {
    let version_20: Answer = (
        200,
        JSON,
        r#"{"jsonrpc": "2.0", "id": 1, "result": {"server_version_info": ["saas~19", 1, 0, "final", 0, ""]}}"#,
    );
    for (path, version) in [("/xmlrpc/2/common", XMLRPC_20), ("/jsonrpc", version_20)] {
        let (exposures, checked, server) = checked(
            &[(path, version), ("/web/database/list", LIST_DENIED)],
            FORBIDDEN,
        )
        .await;
        assert_eq!(exposures[4], Blocked, "{path}");
        assert_eq!(
            why(&checked, Endpoint::DatabaseList),
            "/web/database/list: Odoo refuses to list its databases (list_db = False); /xmlrpc/db, /xmlrpc/2/db, /jsonrpc: Odoo has no service db"
        );
        let asked = server.seen.lock().expect("a lock").clone();
        assert!(asked.iter().all(|(what, ..)| !what.ends_with("db")));
    }
    // A server that does not say its version is asked, and answers so.
    let no_db: Answer = (
        200,
        JSON,
        r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "data": {"name": "builtins.ValueError", "message": "Invalid service name: db"}}}"#,
    );
    let answers = [
        ("/xmlrpc/db", XMLRPC_NO_DB),
        ("/xmlrpc/2/db", XMLRPC_NO_DB),
        ("/jsonrpc db", no_db),
    ];
    let (exposures, ..) = checked(&answers, FORBIDDEN).await;
    assert_eq!(exposures, [Blocked; 5]);
}

#[tokio::test]
async fn password_rpc_is_absent_only_if_each_path_answers_404() {
    let is = async |answers: &[(&'static str, Answer)], fallback| {
        let (server, address, running) = serve(answers, fallback).await;
        let target = target(&format!("http://{address}/"));
        let transport = Transport::new(&Clients::default(), target).expect("a client");
        let answer = rpc_answers(&transport, Api::Json2).await;
        let asked = server.seen.lock().expect("a lock").len() as u64;
        assert_eq!(transport.take_counts(), (asked, 0));
        assert_eq!(rpc_answers(&transport, Api::Jsonrpc).await, Some(true));
        running.abort();
        answer
    };
    assert_eq!(is(&[], NO_SUCH_PATH).await, Some(false));
    assert_eq!(is(&[("/jsonrpc", JSONRPC)], NO_SUCH_PATH).await, Some(true));
    for path in ["/xmlrpc/common", "/xmlrpc/2/common"] {
        assert_eq!(is(&[(path, XMLRPC)], NO_SUCH_PATH).await, Some(true));
        // An endpoint that only a proxy refuses may be open elsewhere.
        assert_eq!(is(&[(path, FORBIDDEN)], NO_SUCH_PATH).await, None);
    }
    assert_eq!(is(&[("/jsonrpc", BAD_GATEWAY)], NO_SUCH_PATH).await, None);
    assert_eq!(is(&[], NO_DATABASE).await, None);
    assert_eq!(is(&[], (200, HTML, "<html>Log in</html>")).await, None);
}

#[tokio::test]
async fn a_refusal_of_a_proxy_means_blocked_only_in_front_of_odoo() {
    for refusal in [
        FORBIDDEN,
        BAD_GATEWAY,
        NO_SUCH_PATH,
        (200, HTML, "<html>Please log in</html>"),
        (302, HTML, "https://sso.example/login"),
    ] {
        let (exposures, _, _) = checked(&[("/web/health", HEALTHY)], refusal).await;
        assert_eq!(
            exposures, [Blocked; 5],
            "{refusal:?} beside a health page that passes"
        );
        let (exposures, checked, _) = checked(&[], refusal).await;
        assert_eq!(exposures, [Unknown; 5], "{refusal:?} everywhere");
        assert!(
            checked.endpoints[0]
                .1
                .why
                .contains("no endpoint there answers as Odoo does")
        );
    }
    // 14 has no health page, and returns its version.
    let (exposures, _, _) = checked(
        &[("/web/webclient/version_info", VERSION_INFO)],
        NO_SUCH_PATH,
    )
    .await;
    assert_eq!(exposures, [Blocked; 5]);
}

#[tokio::test]
async fn what_says_nothing_stays_unknown() {
    let (exposures, _, _) = checked(
        &[
            ("/web/health", HEALTHY),
            (
                "/xmlrpc/2/common",
                (500, HTML, "<h1>Internal Server Error</h1>"),
            ),
            ("/jsonrpc", (301, HTML, "https://erp.example/jsonrpc")),
            ("/json/2/res.users/context_get", NO_DATABASE),
            ("/web/database/manager", (429, HTML, "slow down")),
            ("/web/database/list", LIST_FAILS),
        ],
        NO_SUCH_PATH,
    )
    .await;
    assert_eq!(exposures, [Unknown; 5]);
}

#[tokio::test]
async fn a_type_without_users_is_unknown_with_the_reason() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let target = target(&format!("http://{address}/"));
    let vantage = &target.surface.as_ref().expect("a surface").vantages[0];
    let checked = check(&Clients::default(), &target, vantage, Timestamp::UNIX_EPOCH).await;
    for (endpoint, seen) in &checked.endpoints {
        assert_eq!(seen.exposure, Unknown, "{endpoint}");
        assert!(seen.why.contains("refused"), "{}", seen.why);
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let endless: &'static str = Box::leak("x".repeat(4 << 20).into_boxed_str());
    let (exposures, _, _) = checked(&[("/web/health", HEALTHY)], (200, HTML, endless)).await;
    assert_eq!(exposures, [Blocked; 5]);
}
