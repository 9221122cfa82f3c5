//! JSON-2, `POST /json/2/MODEL/METHOD` (19 and later): a key, named arguments, bare results, errors by status.

use axum::http::Method;
use serde_json::{Map, Value};

use super::{
    fail::werkzeug,
    fault::LogEntry,
    http::{Outcome, Reply, Request},
    methods::{self, Call, Violations},
    pages,
    server::{NO_ROUTE, Shared},
};

#[expect(
    clippy::too_many_lines,
    reason = "the checks of a request, in the order in which Odoo makes them"
)]
pub(super) fn answer(shared: &Shared, request: &Request) -> Outcome {
    let version = shared.options.version;
    let error = |(status, body): (u16, Value)| Reply::json(status, version, &body);
    let mut parts = request
        .path
        .trim_start_matches("/json/2")
        .trim_matches('/')
        .split('/');
    let (Some(model), Some(method), None, &Method::POST) = (
        parts.next().filter(|it| !it.is_empty()),
        parts.next(),
        parts.next(),
        &request.method,
    ) else {
        return error(werkzeug(
            404,
            "NotFound",
            "Did you mean POST /json/2/<model>/<method>?",
        ))
        .into();
    };
    let name = request
        .header("x-odoo-database")
        .filter(|_| !shared.options.drops_database_header);
    let database = match name.or(shared.options.default_database.as_deref()) {
        Some(name) => shared.database(name),
        None => shared.single(),
    };
    let note = |arguments: String| LogEntry {
        protocol: "json2".into(),
        model: model.into(),
        method: method.into(),
        arguments,
    };
    let Some(database) = database else {
        shared.log.note(note(String::new()), Violations::default());
        return Reply::html(404, pages::NO_DATABASE).into();
    };
    if !shared.has_rpc(Some(&database)) {
        return pages::html(version, 404, "Not Found", NO_ROUTE).into();
    }
    if !request.is_json() {
        return pages::wrong_type(
            version,
            "/json/2/&lt;__model__&gt;/&lt;__method__&gt;",
            "json2",
            false,
        )
        .into();
    }
    let parsed: Result<Value, _> = serde_json::from_slice(&request.body);
    let mut kwargs = match &parsed {
        Ok(Value::Object(map)) => map.clone(),
        // A list is taken for no arguments at all.
        _ => Map::new(),
    };
    let ids = kwargs.remove("ids");
    let context = kwargs
        .remove("context")
        .and_then(|it| it.as_object().cloned())
        .unwrap_or_default();
    let call = Call {
        model: model.into(),
        method: method.into(),
        args: Vec::new(),
        kwargs,
        ids,
        context,
    };
    database.arrive(
        note(String::from_utf8_lossy(&request.body).into_owned()),
        methods::violations(&call),
    );
    let reply = {
        let world = database.world();
        let token = request
            .header("authorization")
            .and_then(|it| it.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match (token, parsed) {
            (None, _) => {
                let mut reply = error(werkzeug(
                    401,
                    "Unauthorized",
                    "User not authenticated, use an API Key with a Bearer Authorization header.",
                ));
                reply.more.push(("www-authenticate", "Bearer"));
                reply
            }
            (Some((_, key)), parsed) => match (world.key_of(key.trim()), parsed) {
                (None, _) => error(werkzeug(401, "Unauthorized", "Invalid apikey")),
                (Some(_), Err(wrong)) => error(werkzeug(
                    400,
                    "BadRequest",
                    &format!("could not parse the body as json: {wrong}"),
                )),
                (Some(key), Ok(_)) => match methods::run(&world, key.owner, &call) {
                    Ok(result) => Reply::json(200, version, &result.unwrap_or(Value::Null)),
                    Err(fail) => error(fail.json2()),
                },
            },
        }
    };
    match database.faults.strike(Some(model), Some(method)) {
        Some(fault) => Outcome::Struck(fault, reply),
        None => Outcome::Answer(reply),
    }
}
