//! Endpoints other than JSON-2 and JSON-RPC: health, versions, the database pages, XML-RPC's version, and the HTML of errors.

use axum::http::Method;
use serde_json::{Value, json};

use super::{
    fail::{Fail, werkzeug},
    fault::LogEntry,
    http::{Reply, Request},
    jsonrpc,
    methods::Violations,
    server::{Shared, read},
};

/// JSON-2 without a database that answers: there is none of that name, or PostgreSQL is down.
pub(super) const NO_DATABASE: &str = "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the requested URL was not found in the server-wide controllers.</p>\n<p>Please verify the hostname, <a href=/web/login>login</a> and try again.</p>\n\n<!-- Alternatively, use the X-Odoo-Database header. -->\n";

#[expect(clippy::too_many_lines, reason = "one arm for each path")]
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let version = shared.options.version;
    let path = request.path.as_str();
    shared.log.note(
        LogEntry {
            protocol: path.into(),
            model: String::new(),
            method: request.method.to_string(),
            arguments: String::new(),
        },
        Violations::default(),
    );
    let get = request.method == Method::GET;
    let rpc_id = || {
        serde_json::from_slice::<Value>(&request.body)
            .ok()
            .and_then(|body| body.get("id").cloned())
            .unwrap_or(Value::Null)
    };
    if let Some((strings, service)) = xmlrpc_service(path) {
        return if get {
            let text = "The method is not allowed for the requested URL.";
            html(version, 405, "Method Not Allowed", text)
        } else {
            let body = String::from_utf8_lossy(&request.body);
            xmlrpc(shared, strings, service, &body)
        };
    }
    match path {
        "/web/version" | "/json/version" if version >= 19 => {
            if get {
                Reply::json(
                    200,
                    version,
                    &json!({"version_info": [version, 0, 0, "final", 0, ""], "version": format!("{version}.0")}),
                )
            } else {
                html(
                    version,
                    400,
                    "Bad Request",
                    "Session expired (invalid CSRF token)",
                )
            }
        }
        "/web/health" if version >= 15 => {
            let with_database = version >= 17 && request.query.contains("db_server_status");
            let body = if with_database {
                json!({"status": "pass", "db_server_status": true})
            } else {
                json!({"status": "pass"})
            };
            Reply {
                status: 200,
                kind: "application/json",
                body: body.to_string(),
                more: vec![("cache-control", "no-store")],
            }
        }
        "/web/webclient/version_info" | "/web/database/list" if get || !request.is_json() => {
            not_json_rpc(version, request)
        }
        "/web/webclient/version_info" => Reply::json(
            200,
            version,
            &jsonrpc::enclose(
                version,
                &rpc_id(),
                Ok(Some(jsonrpc::version_info(version, shared.options.saas))),
            ),
        ),
        "/web/database/list" => {
            let list = if shared.options.list_databases {
                Ok(Some(json!(
                    read(&shared.databases).keys().collect::<Vec<_>>()
                )))
            } else {
                Err(Fail::access_denied())
            };
            Reply::json(200, version, &jsonrpc::enclose(version, &rpc_id(), list))
        }
        "/web/database/manager" => {
            let note = if shared.options.list_databases {
                "Manage databases"
            } else {
                "The database manager has been disabled by the administrator"
            };
            Reply::html(
                200,
                format!(
                    "<!DOCTYPE html>\n<html><head><title>Odoo</title></head><body><div>{note}</div></body></html>\n"
                ),
            )
        }
        "/" => {
            let mut reply = html(
                version,
                303,
                "Redirecting...",
                "You should be redirected automatically to the target URL: <a href=\"/odoo\">/odoo</a>. If not, click the link.",
            );
            reply.more.push(("location", "/odoo"));
            reply
        }
        _ => not_found(version, request),
    }
}

/// A page as werkzeug writes it.
pub(super) fn html(version: u8, status: u16, title: &str, text: &str) -> Reply {
    let head = if version <= 16 {
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">"
    } else {
        "<!doctype html>\n<html lang=en>"
    };
    let number = if title.ends_with("...") {
        String::new()
    } else {
        format!("{status} ")
    };
    Reply::html(
        status,
        format!("{head}\n<title>{number}{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n"),
    )
}

pub(super) fn internal_error(version: u8) -> Reply {
    let text = "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.";
    html(version, 500, "Internal Server Error", text)
}

/// The content type is none that the route takes.
pub(super) fn wrong_type(version: u8, route: &str, kind: &str, get: bool) -> Reply {
    let http = if get {
        "&#39;http&#39;, &#39;json2&#39;"
    } else {
        "&#39;http&#39;"
    };
    let text = format!(
        "Request inferred type is compatible with [{http}] but &#39;{route}&#39; is type=&#39;{kind}&#39;.<br><br>Please verify the Content-Type request header and try again."
    );
    html(version, 415, "Unsupported Media Type", &text)
}

/// A JSON-RPC route asked by GET or with another content type.
pub(super) fn not_json_rpc(version: u8, request: &Request) -> Reply {
    let path = &request.path;
    match version {
        ..=16 if request.method == Method::GET => {
            let text = format!(
                "&lt;function RPC.jsonrpc at 0x7f0000000000&gt;, {path}: Function declared as capable of handling request of type &#x27;json&#x27; but called with a request of type &#x27;http&#x27;"
            );
            html(version, 400, "Bad Request", &text)
        }
        ..=16 => html(
            version,
            400,
            "Bad Request",
            "Session expired (invalid CSRF token)",
        ),
        17..=18 => {
            let text = format!(
                "Request inferred type is compatible with [&#39;http&#39;] but &#39;{path}&#39; is type=&#39;json&#39;."
            );
            html(version, 400, "Bad Request", &text)
        }
        _ => wrong_type(version, path, "jsonrpc", request.method == Method::GET),
    }
}

pub(super) fn bad_json(version: u8, request: &Request) -> Reply {
    if version <= 16 {
        let text = format!(
            "Invalid JSON data: &#x27;{}&#x27;",
            String::from_utf8_lossy(&request.body)
        );
        html(version, 400, "Bad Request", &text)
    } else {
        Reply::html(400, "Invalid JSON data")
    }
}

fn not_found(version: u8, request: &Request) -> Reply {
    let text = "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.";
    if version <= 16 && request.is_json() {
        let message = format!("404 Not Found: {text}");
        let data = werkzeug(404, "NotFound", &message).1;
        let error =
            json!({"code": 404, "message": "404: Not Found", "data": data, "http_status": 404});
        return Reply::json(
            404,
            version,
            &json!({"jsonrpc": "2.0", "id": null, "error": error}),
        );
    }
    html(version, 404, "Not Found", text)
}

/// PostgreSQL is down: what the path says then instead of `reply`.
pub(super) fn postgres_down(shared: &Shared, request: &Request, reply: Reply) -> Reply {
    let version = shared.options.version;
    if version <= 14 {
        return internal_error(version);
    }
    match request.path.as_str() {
        path if path.starts_with("/json/2") => Reply::html(404, NO_DATABASE),
        "/web/health" if version >= 17 && request.query.contains("db_server_status") => Reply {
            status: 500,
            kind: "application/json",
            body: json!({"status": "fail", "db_server_status": false}).to_string(),
            more: Vec::new(),
        },
        "/jsonrpc" if !needs_no_database(request) => {
            failed(version, request, Fail::postgres_down())
        }
        _ => reply,
    }
}

/// The key does not open.
pub(super) fn denied(shared: &Shared, request: &Request) -> Reply {
    let version = shared.options.version;
    let envelope: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if request.path.starts_with("/json/2") {
        let (status, body) = werkzeug(401, "Unauthorized", "Invalid apikey");
        return Reply::json(status, version, &body);
    }
    if matches!(
        envelope["params"]["method"].as_str(),
        Some("authenticate" | "login")
    ) {
        return Reply::json(
            200,
            version,
            &jsonrpc::enclose(version, &envelope["id"], Ok(Some(json!(false)))),
        );
    }
    failed(version, request, Fail::access_denied())
}

/// The call raises.
pub(super) fn raised(
    shared: &Shared,
    request: &Request,
    name: &'static str,
    message: &str,
) -> Reply {
    let fail = match name {
        "odoo.exceptions.AccessError" => Fail::Access(message.into()),
        "odoo.exceptions.AccessDenied" => Fail::Denied(message.into()),
        "odoo.exceptions.UserError" => Fail::User(message.into()),
        _ => Fail::Other(name, message.into()),
    };
    if request.path.starts_with("/json/2") {
        let (status, body) = fail.json2();
        return Reply::json(status, shared.options.version, &body);
    }
    failed(shared.options.version, request, fail)
}

fn failed(version: u8, request: &Request, fail: Fail) -> Reply {
    let envelope: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    Reply::json(
        200,
        version,
        &jsonrpc::enclose(version, &envelope["id"], Err(fail)),
    )
}

fn needs_no_database(request: &Request) -> bool {
    let envelope: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let params = &envelope["params"];
    params["service"] == "common" && matches!(params["method"].as_str(), Some("version" | "about"))
}

/// The service of a path of XML-RPC, and whether its fault codes are strings, as only `/xmlrpc` has them.
fn xmlrpc_service(path: &str) -> Option<(bool, &str)> {
    let service = path.strip_prefix("/xmlrpc/")?;
    let (strings, service) = match service.strip_prefix("2/") {
        Some(service) => (false, service),
        None => (true, service),
    };
    matches!(service, "common" | "object" | "db").then_some((strings, service))
}

/// XML-RPC answers its version and the list of databases; anything else is refused.
fn xmlrpc(shared: &Shared, strings: bool, service: &str, body: &str) -> Reply {
    let version = shared.options.version;
    let method = body
        .split_once("<methodName>")
        .and_then(|(_, rest)| rest.split_once("</methodName>"))
        .map_or("", |(name, _)| name.trim());
    let member = |name: &str, value: &str| {
        format!("<member>\n<name>{name}</name>\n<value>{value}</value>\n</member>\n")
    };
    let head = if version >= 18 {
        "<?xml version=\"1.0\"?>"
    } else {
        "<?xml version='1.0'?>"
    };
    let params =
        |value: String| format!("<params>\n<param>\n<value>{value}</value>\n</param>\n</params>\n");
    let fault = |name: &str, code: u8, text: &str| {
        let code = if strings {
            format!("<string>{name}</string>")
        } else {
            format!("<int>{code}</int>")
        };
        let text = format!("<string>{text}</string>");
        let members = [member("faultCode", &code), member("faultString", &text)];
        format!(
            "<fault>\n<value><struct>\n{}</struct></value>\n</fault>\n",
            members.concat()
        )
    };
    let inner = match (service, method) {
        ("common", "version") => {
            let list = format!(
                "<array><data>\n<value><int>{version}</int></value>\n<value><int>0</int></value>\n<value><int>0</int></value>\n<value><string>final</string></value>\n<value><int>0</int></value>\n<value><string></string></value>\n</data></array>"
            );
            let members = [
                member("server_version", &format!("<string>{version}.0</string>")),
                member("server_version_info", &list),
                member("server_serie", &format!("<string>{version}.0</string>")),
                member("protocol_version", "<int>1</int>"),
            ];
            params(format!("<struct>\n{}</struct>", members.concat()))
        }
        ("db", _) if version >= 20 => {
            let text = "Invalid service name: db";
            fault(
                text,
                1,
                &format!("Traceback (most recent call last):\nValueError: {text}\n"),
            )
        }
        ("db", "list") if shared.options.list_databases => {
            let databases = read(&shared.databases);
            let names: Vec<String> = databases
                .keys()
                .map(|name| format!("<value><string>{name}</string></value>\n"))
                .collect();
            params(format!("<array><data>\n{}</data></array>", names.concat()))
        }
        _ => fault("AccessDenied", 3, "Access Denied"),
    };
    Reply {
        status: 200,
        kind: "text/xml; charset=utf-8",
        body: format!("{head}\n<methodResponse>\n{inner}</methodResponse>\n"),
        more: Vec::new(),
    }
}
