//! YAML as a tree that knows its positions. serde stops at the first value of a wrong type, a tree does not:
//! it is what allows all errors to be reported at once. It has no `Debug`, for it may hold secrets.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::diagnostic::{Position, Sink};

/// A value and where it stands.
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// A key of a mapping and where it stands.
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// Its kind, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Parses one document. A syntax error is reported alone, for nothing behind it can be trusted; keys that are
/// there twice are reported, and the first one stays.
pub(super) fn parse(text: &str, sink: &Sink) -> Option<Node> {
    match serde_saphyr::from_str_with_options::<Node>(text, options()) {
        Ok(mut root) => {
            drop_duplicate_keys(&mut root, sink);
            Some(root)
        }
        Err(error) => {
            // The default rendering shows the lines around the error, and so passwords.
            let error = error.without_snippet();
            let position = error.location().map(position);
            sink.error(
                position,
                format!("YAML: {}", UserMessageFormatter.format_message(error)),
                "",
            );
            None
        }
    }
}

/// Limits fit for 100,000 targets. Aliases are kept shorter, since few bytes of them can stand for many nodes.
fn options() -> serde_saphyr::Options {
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = 3_000_000;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 20_000_000,
            max_nodes: 10_000_000,
            max_aliases: 1_000_000,
            max_merge_keys: 1_000_000,
            // One anchor for a whole fleet is good style here.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

fn position(location: serde_saphyr::Location) -> Position {
    Position {
        line: location.line(),
        column: location.column(),
    }
}

fn drop_duplicate_keys(node: &mut Node, sink: &Sink) {
    match &mut node.value {
        Value::Map(entries) => {
            let mut seen = std::collections::HashMap::new();
            entries.retain_mut(|(key, value)| {
                if let Some(first) = seen.get(&key.name) {
                    let first: &Position = first;
                    sink.error(
                        key.at,
                        format!("`{}` is set twice", key.name),
                        format!(
                            "it stands on line {} already: remove one of them",
                            first.line
                        ),
                    );
                    return false;
                }
                seen.insert(key.name.clone(), key.at);
                drop_duplicate_keys(value, sink);
                true
            });
        }
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| drop_duplicate_keys(item, sink)),
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: position(spanned.defined),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    // No field needs an integer that a float does not hold exactly.
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key = Key {
                at: position(key.defined),
                name: key.value,
            };
            map.push((key, entries.next_value()?));
        }
        Ok(Value::Map(map))
    }
}
