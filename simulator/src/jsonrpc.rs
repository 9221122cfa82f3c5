//! Legacy JSON-RPC, `POST /jsonrpc`: the services `common`, `object` and `db`. Every error of a call is a 200 with an `error` member.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{
    database::Database,
    fail::Fail,
    fault::{Fault, LogEntry},
    http::{Outcome, Reply, Request},
    methods::{self, Call, Violations},
    pages,
    server::{Shared, read},
    world::{ACTIVE, World},
};

pub(super) fn answer(shared: &Shared, request: &Request) -> Outcome {
    let version = shared.options.version;
    if request.method != Method::POST || !request.is_json() {
        return pages::not_json_rpc(version, request).into();
    }
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(_) => return pages::bad_json(version, request).into(),
    };
    let Value::Object(envelope) = body else {
        return if version <= 16 {
            pages::internal_error(version).into()
        } else {
            Reply::html(400, "Invalid JSON-RPC data").into()
        };
    };
    let id = envelope.get("id").cloned().unwrap_or(Value::Null);
    let mut fault = None;
    let result = serve(
        shared,
        envelope.get("params").unwrap_or(&Value::Null),
        &mut fault,
    );
    let reply = Reply::json(200, version, &enclose(version, &id, result));
    match fault {
        Some(fault) => Outcome::Struck(fault, reply),
        None => Outcome::Answer(reply),
    }
}

/// The envelope of a result or an error. A `None` is neither.
pub(super) fn enclose(version: u8, id: &Value, result: Result<Option<Value>, Fail>) -> Value {
    match result {
        Ok(Some(result)) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Ok(None) => json!({"jsonrpc": "2.0", "id": id}),
        Err(fail) => {
            let code = if version >= 19 { 0 } else { 200 };
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "Odoo Server Error", "data": fail.legacy_data(version)}})
        }
    }
}

/// The reply of `common.version` and of the version page; `saas`: the minor number of a release of Odoo Online.
pub(super) fn version_info(version: u8, saas: Option<u8>) -> Value {
    let (serie, info) = match saas {
        Some(minor) => (
            format!("saas~{version}.{minor}"),
            json!([format!("saas~{version}"), minor, 0, "final", 0, ""]),
        ),
        None => (
            format!("{version}.0"),
            json!([version, 0, 0, "final", 0, ""]),
        ),
    };
    json!({"server_version": serie, "server_version_info": info, "server_serie": serie, "protocol_version": 1})
}

fn serve(
    shared: &Shared,
    params: &Value,
    fault: &mut Option<Fault>,
) -> Result<Option<Value>, Fail> {
    let version = shared.options.version;
    let (Some(service), Some(method), Some(args)) = (
        params["service"].as_str(),
        params["method"].as_str(),
        params["args"].as_array(),
    ) else {
        return Err(Fail::type_error(missing(version, params)));
    };
    let outside = || {
        shared.log.note(
            LogEntry {
                protocol: "jsonrpc".into(),
                model: service.into(),
                method: method.into(),
                arguments: String::new(),
            },
            Violations::default(),
        )
    };
    match (service, method) {
        ("common", "version") => {
            outside();
            Ok(Some(version_info(version, shared.options.saas)))
        }
        ("common", "about") => Ok(Some(json!(if version <= 14 {
            "See http://odoo.com"
        } else {
            "See http://openerp.com"
        }))),
        ("common", "login" | "authenticate") => {
            let database = open(shared, args.first())?;
            let entry = LogEntry {
                protocol: "jsonrpc".into(),
                model: "common".into(),
                method: "authenticate".into(),
                arguments: String::new(),
            };
            database.arrive(entry, Violations::default());
            *fault = database.faults.strike(Some("common"), Some("authenticate"));
            let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
            Ok(Some(authenticate(&database, text(1), text(2))))
        }
        ("common", _) => Err(Fail::Other(
            "builtins.Exception",
            format!("Method not found: {method}"),
        )),
        ("object", "execute_kw" | "execute") => execute(shared, method, args, fault),
        ("object", _) => Err(Fail::Other(
            "builtins.NameError",
            format!("Method not available {method}"),
        )),
        ("db", _) if version <= 19 => {
            outside();
            database_service(shared, method, args)
        }
        _ if version <= 16 => Err(Fail::Other(
            "builtins.UnboundLocalError",
            "cannot access local variable 'dispatch' where it is not associated with a value"
                .into(),
        )),
        _ if version >= 20 => Err(Fail::value(format!("Invalid service name: {service}"))),
        _ => Err(Fail::Other("builtins.KeyError", service.into())),
    }
}

fn missing(version: u8, params: &Value) -> String {
    let class = if version >= 19 { "JSONRPC" } else { "RPC" };
    let names: Vec<String> = ["service", "method", "args"]
        .into_iter()
        .filter(|name| params[*name].is_null())
        .map(|name| format!("'{name}'"))
        .collect();
    let list = match names.as_slice() {
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        _ => format!(
            "{}, and {}",
            names[..names.len().saturating_sub(1)].join(", "),
            names.last().cloned().unwrap_or_default()
        ),
    };
    format!(
        "{class}.jsonrpc() missing {} required positional argument{}: {list}",
        names.len(),
        if names.len() == 1 { "" } else { "s" }
    )
}

fn open(shared: &Shared, name: Option<&Value>) -> Result<std::sync::Arc<Database>, Fail> {
    let version = shared.options.version;
    match name.unwrap_or(&Value::Null) {
        Value::String(name) if !name.is_empty() => {
            shared.database(name).ok_or_else(|| Fail::no_database(name))
        }
        _ if version >= 18 => Err(Fail::Other(
            "builtins.AssertionError",
            "Missing database name".into(),
        )),
        Value::Null => Err(Fail::Other(
            "builtins.AttributeError",
            "'NoneType' object has no attribute 'startswith'".into(),
        )),
        _ => Err(Fail::no_database("odoo")),
    }
}

/// A login with a key or a password, which writes a row of the log; `false` where it fails.
fn authenticate(database: &Database, login: &str, password: &str) -> Value {
    let (uid, now, version) = {
        let world = database.world();
        let uid = world
            .by_login(login)
            .filter(|person| person.has(ACTIVE))
            .map(|person| person.id)
            .filter(|uid| opens(&world, *uid, password));
        (uid, world.now(), world.version)
    };
    let cools_down = version <= LAST_COOLDOWN && database.logins.cools_down(now);
    match uid {
        Some(uid) if !cools_down => {
            database.logins.succeeded(uid, password);
            database.world_mut().log_in(uid, now);
            json!(uid)
        }
        _ => {
            database.logins.failed(now);
            json!(false)
        }
    }
}

/// The last version in which failed logins over RPC shut out their source address for a minute.
const LAST_COOLDOWN: u8 = 16;

fn opens(world: &World, uid: u32, password: &str) -> bool {
    !password.is_empty()
        && (world.key_of(password).is_some_and(|key| key.owner == uid)
            || world.password_opens(uid, password))
}

#[expect(
    clippy::too_many_lines,
    reason = "the checks of a request, in the order in which Odoo makes them"
)]
fn execute(
    shared: &Shared,
    how: &str,
    args: &[Value],
    fault: &mut Option<Fault>,
) -> Result<Option<Value>, Fail> {
    if args.is_empty() {
        return Err(Fail::Other(
            "builtins.IndexError",
            "list index out of range".into(),
        ));
    }
    let database = open(shared, args.first())?;
    let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
    let (model, method) = (text(3), text(4));
    let (positional, mut kwargs) = if how == "execute" {
        (args.get(5..).unwrap_or_default().to_vec(), Map::new())
    } else {
        let list = args
            .get(5)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        (
            list,
            args.get(6)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        )
    };
    let arguments = json!([positional, kwargs]).to_string();
    let context = kwargs
        .remove("context")
        .and_then(|it| it.as_object().cloned())
        .unwrap_or_default();
    let call = Call {
        model: model.into(),
        method: method.into(),
        args: positional,
        kwargs,
        ids: None,
        context,
    };
    let entry = LogEntry {
        protocol: "jsonrpc".into(),
        model: model.into(),
        method: method.into(),
        arguments,
    };
    database.arrive(entry, methods::violations(&call));
    *fault = database.faults.strike(Some(model), Some(method));
    let world = database.world();
    let uid = match args.get(1).unwrap_or(&Value::Null) {
        Value::Number(number) => number
            .as_u64()
            .and_then(|it| u32::try_from(it).ok())
            .unwrap_or(0),
        Value::Bool(it) => u32::from(*it),
        Value::String(it) => it
            .parse()
            .map_err(|_| Fail::value(format!("invalid literal for int() with base 10: '{it}'")))?,
        _ => {
            return Err(Fail::type_error(
                "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
            ));
        }
    };
    if uid == 0 || text(2).is_empty() {
        return Err(Fail::access_denied());
    }
    if world.person(uid).is_none() {
        return Err(Fail::Missing(format!(
            "Record does not exist or has been deleted.\n(Record: res.users({uid},), User: {uid})"
        )));
    }
    if !opens(&world, uid, text(2)) {
        return Err(Fail::access_denied());
    }
    // Keys that were checked before the failures are remembered, and stay active.
    if !database.logins.knows(uid, text(2)) {
        if world.version <= LAST_COOLDOWN && database.logins.cools_down(world.now()) {
            let message = "Too many login failures, please wait a bit before trying again.";
            return Err(Fail::Denied(message.into()));
        }
        database.logins.succeeded(uid, text(2));
    }
    methods::run(&world, uid, &call)
}

fn database_service(shared: &Shared, method: &str, args: &[Value]) -> Result<Option<Value>, Fail> {
    Ok(Some(match method {
        "list" if !shared.options.list_databases => return Err(Fail::access_denied()),
        "list" => json!(read(&shared.databases).keys().collect::<Vec<_>>()),
        "db_exist" => json!(
            args.first()
                .and_then(Value::as_str)
                .is_some_and(|name| shared.database(name).is_some())
        ),
        "server_version" => json!(format!("{}.0", shared.options.version)),
        _ => return Err(Fail::access_denied()),
    }))
}
