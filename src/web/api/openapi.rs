//! The OpenAPI document: generated from the operations below and the types that they read and write.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::alerts::{AlertsQuery, Answer};
use super::remembered::{HistoryPage, HistoryQuery};
use super::targets::{Nothing, TargetsPage, TargetsQuery};
use super::view::TargetDetail;
use crate::web::changes::{ChangesPage, ChangesQuery};
use crate::web::directory::{KeysPage, KeysQuery, UsersPage, UsersQuery};
use crate::web::{App, Problem};

/// One operation: a GET.
struct Operation {
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    /// The role that it needs.
    role: &'static str,
    /// True if it is about one target, named by a parameter.
    of_target: bool,
    parameters: fn(&mut SchemaGenerator) -> Schema,
    answer: fn(&mut SchemaGenerator) -> Schema,
    /// The problems that it can have of its own.
    problems: &'static [u16],
}

const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/targets",
        id: "listTargets",
        summary: "Lists the targets with their headline numbers",
        role: "read",
        of_target: false,
        parameters: schema::<TargetsQuery>,
        answer: schema::<TargetsPage>,
        problems: &[400],
    },
    Operation {
        path: "/api/v1/targets/{name}",
        id: "getTarget",
        summary: "Returns a target with all its numbers",
        role: "read",
        of_target: false,
        parameters: schema::<Nothing>,
        answer: schema::<TargetDetail>,
        problems: &[400, 404],
    },
    Operation {
        path: "/api/v1/users",
        id: "listUsers",
        summary: "Users of all targets, by state, type and role: read from Odoo on request, and kept for a minute",
        role: "read_names",
        of_target: false,
        parameters: schema::<UsersQuery>,
        answer: schema::<UsersPage>,
        problems: &[400, 404, 502, 503],
    },
    Operation {
        path: "/api/v1/keys",
        id: "listKeys",
        summary: "API keys of all targets, never the keys themselves: names are read from Odoo on request, and kept for a minute",
        role: "read_names",
        of_target: false,
        parameters: schema::<KeysQuery>,
        answer: schema::<KeysPage>,
        problems: &[400, 404, 502, 503],
    },
    Operation {
        path: "/api/v1/changes",
        id: "listChanges",
        summary: "Lists changes: users who enrolled, lost a factor or became privileged; API keys created and deleted",
        role: "read",
        of_target: false,
        parameters: schema::<ChangesQuery>,
        answer: schema::<ChangesPage>,
        problems: &[400, 404, 503],
    },
    Operation {
        path: "/api/v1/history",
        id: "listHistory",
        summary: "Returns the history of the headline numbers",
        role: "read",
        of_target: true,
        parameters: schema::<HistoryQuery>,
        answer: schema::<HistoryPage>,
        problems: &[400, 404, 503],
    },
    Operation {
        path: "/api/v1/alerts",
        id: "listAlerts",
        summary: "Lists pending and firing alerts in Prometheus' format",
        role: "read",
        of_target: false,
        parameters: schema::<AlertsQuery>,
        answer: schema::<Answer>,
        problems: &[400],
    },
];

/// The document, with the exporter's address where a reverse proxy has another one.
pub(super) async fn answer(State(app): State<Arc<App>>) -> Json<Value> {
    let mut document = document();
    if let Some(url) = app.access.external_url() {
        document["servers"] = json!([{"url": url.as_str().trim_end_matches('/')}]);
    }
    Json(document)
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
    let mut generator = settings.into_generator();
    let problem = schema::<Problem>(&mut generator);
    let paths: Map<String, Value> = OPERATIONS
        .iter()
        .map(|it| {
            (
                it.path.to_owned(),
                json!({"get": it.describe(&mut generator)}),
            )
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "odoo-mfa-exporter",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Second-factor coverage of Odoo servers. Unknown values are `null`, never 0.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": responses(&problem),
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "certificate": {"type": "mutualTLS"},
            },
        },
        "security": [{}, {"password": []}, {"certificate": []}],
    })
}

/// The problems that every operation can have, and those that some have.
fn responses(problem: &Schema) -> Value {
    let all = [
        (400, "A parameter is invalid or unknown."),
        (401, "User and password are required."),
        (403, "The reader does not have the required role."),
        (404, "The target or the role does not exist."),
        (429, "Too many requests."),
        (502, "Odoo does not answer, or refuses the request."),
        (503, "The data is temporarily unavailable."),
    ];
    let response = |(status, description): (u16, &str)| {
        let content = json!({"application/problem+json": {"schema": problem}});
        (
            format!("problem{status}"),
            json!({"description": description, "content": content}),
        )
    };
    all.into_iter().map(response).collect::<Map<_, _>>().into()
}

impl Operation {
    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let mut parameters = self.parameters(generator);
        if self.of_target {
            parameters.insert(0, required("target", "query"));
        }
        if self.path.contains("{name}") {
            parameters.insert(0, required("name", "path"));
        }
        let answer = (self.answer)(generator);
        let mut responses = Map::new();
        responses.insert(
            "200".into(),
            json!({"description": self.summary, "content": {"application/json": {"schema": answer}}}),
        );
        for status in [401, 403, 429].iter().chain(self.problems) {
            let reference = format!("#/components/responses/problem{status}");
            responses.insert(status.to_string(), json!({"$ref": reference}));
        }
        json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": format!("Requires the role `{}`.", self.role),
            "parameters": parameters,
            "responses": responses,
        })
    }

    /// A type's properties, as query parameters.
    fn parameters(&self, generator: &mut SchemaGenerator) -> Vec<Value> {
        let settings = generator.settings().clone().for_deserialize();
        let inline = |settings: &mut SchemaSettings| settings.inline_subschemas = true;
        let schema = (self.parameters)(&mut settings.with(inline).into_generator());
        let properties = schema.get("properties").and_then(Value::as_object);
        let parameter = |(name, schema): (&String, &Value)| {
            let mut schema = schema.clone();
            let description = take_description(&mut schema);
            json!({"name": name, "in": "query", "description": description, "schema": schema})
        };
        properties.into_iter().flatten().map(parameter).collect()
    }
}

/// A missing parameter is not `null`: removes that from the schema, and the description, which the parameter has.
fn take_description(schema: &mut Value) -> Option<Value> {
    let object = schema.as_object_mut()?;
    let description = object.remove("description");
    object.remove("default");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|it| !it.is_null());
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|it| it["type"] != "null");
        *schema = choices.pop()?;
        schema.as_object_mut()?.remove("description");
    }
    if let Some(items) = schema.get_mut("items") {
        take_description(items);
    }
    if schema["type"] == "string" && schema.get("enum").is_none() && schema.get("format").is_none()
    {
        // An empty one is refused.
        let object = schema.as_object_mut()?;
        object.entry("pattern").or_insert_with(|| r"\S".into());
    }
    description
}

fn required(name: &str, place: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": true,
        "description": "The target's name.",
        "schema": {"type": "string", "minLength": 1},
    })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
