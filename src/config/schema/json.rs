//! The declared fields as a JSON Schema (draft 2020-12), for editors and other programs.
//!
//! It refuses nothing that the exporter accepts. What depends on more than one field, and on other files, only the exporter checks.

use serde_json::{Map, Value, json};

use super::{Field, Kind, ROOT, Section};
use crate::domain::alert::Rule;

/// The schema of the configuration.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut schema = section(&ROOT, &mut definitions);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Configuration of odoo-mfa-exporter".into();
    schema["$defs"] = definitions.into();
    schema
}

fn section(section: &'static Section, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        let mut property = kind(&field.kind, definitions);
        property["description"] = description(field).into();
        if let Some(default) = field.default_value().and_then(value) {
            property["default"] = default;
        }
        properties.insert(field.name.to_owned(), property);
    }
    let required = section.fields.iter().filter(|field| field.is_required());
    let required: Vec<_> = required.map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let alternatives: Vec<_> = section.alternatives().collect();
    if !alternatives.is_empty() {
        let only = |name: &&str| json!({"required": [name]});
        schema["oneOf"] = alternatives.iter().map(only).collect();
    }
    schema
}

/// Defaults that are no value stand in the description.
fn description(field: &Field) -> String {
    let words =
        !field.is_required() && field.default_value().is_none() && !field.default.is_empty();
    if words {
        format!("{} Default: {}.", field.meaning, field.default)
    } else {
        field.meaning.to_owned()
    }
}

fn value(yaml: &str) -> Option<Value> {
    serde_saphyr::from_str(yaml).ok()
}

fn kind(kind: &'static Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Ratio => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Kind::Text | Kind::Path => text(r"^[^\u0000-\u001f\u007f]*\S[^\u0000-\u001f\u007f]*$"),
        Kind::Duration => json!({"anyOf": [
            text("^(?=.)([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"),
            {"const": 0},
        ]}),
        Kind::Date => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        Kind::Url => text("^[a-zA-Z][a-zA-Z0-9+.-]*://[^?#]+$"),
        Kind::XmlId => text(r"^[^.\s]+\.[^.\s]+$"),
        Kind::Word(words) => json!({"enum": words}),
        Kind::List(inner) => json!({"type": "array", "items": self::kind(inner, definitions)}),
        Kind::Map(keys, inner) => json!({
            "type": "object",
            "propertyNames": names(keys),
            "additionalProperties": self::kind(inner, definitions),
        }),
        Kind::Section(inner) => {
            let name = inner.path.replace("[]", "").replace(": ", ".");
            if !definitions.contains_key(&name) {
                // Before its content, which may refer to it.
                definitions.insert(name.clone(), Value::Null);
                let content = section(inner, definitions);
                definitions.insert(name.clone(), content);
            }
            json!({"$ref": format!("#/$defs/{name}")})
        }
    }
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// The keys of a mapping: as the declaration calls them, or a list of words.
fn names(keys: &str) -> Value {
    match keys {
        "label" | "annotation" => json!({"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}),
        "role" => json!({"pattern": "^[a-z][a-z0-9_]*$"}),
        "alert" => json!({"enum": Rule::ALL.iter().map(|rule| rule.as_str()).collect::<Vec<_>>()}),
        words => {
            json!({"enum": words.split(", ").map(|word| word.trim_matches('`')).collect::<Vec<_>>()})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1` rewrites it.
    #[test]
    fn the_schema_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json");
        let wanted = format!("{:#}\n", json_schema());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).expect("the file is writable");
        }
        let current = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            current == wanted,
            "docs/config.schema.json is not what src/config/schema declares"
        );
    }
}
