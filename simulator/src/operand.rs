//! The right-hand side of a term, and how values compare with it.

use serde_json::Value;

use super::{clock, domain::python, fail::Fail, fields::Field, records::Val};

/// The right-hand side of a term, read once.
pub(super) struct Operand {
    values: Vec<Val<'static>>,
    list: bool,
    /// For the `like` family.
    text: String,
}

impl Operand {
    pub(super) fn new(field: Field, value: &Value) -> Result<Self, Fail> {
        let list = value.as_array();
        let one = |value: &Value| -> Result<Val<'static>, Fail> {
            Ok(match value {
                Value::Null | Value::Bool(false) if field.kind != "boolean" => Val::Null,
                Value::Null => Val::Bool(false),
                Value::Bool(it) => Val::Bool(*it),
                Value::Number(it) => it.as_u64().and_then(|it| u32::try_from(it).ok()).map_or(
                    Val::Int(u32::from(it.as_i64().is_none_or(|it| it > 0)) * u32::MAX),
                    Val::Int,
                ),
                Value::String(it) if field.kind == "datetime" => {
                    Val::Date(clock::parse(it).ok_or_else(|| {
                        Fail::value(format!(
                            "time data '{it}' does not match format '%Y-%m-%d %H:%M:%S'"
                        ))
                    })?)
                }
                Value::String(it) => Val::Text(it.clone().into()),
                other => {
                    return Err(Fail::value(format!(
                        "Invalid value {} for field {}",
                        python(other),
                        field.name
                    )));
                }
            })
        };
        let values = match list {
            Some(list) => list.iter().map(one).collect::<Result<_, _>>()?,
            None => vec![one(value)?],
        };
        Ok(Self {
            values,
            list: list.is_some(),
            text: value.as_str().unwrap_or_default().into(),
        })
    }

    /// As SQL does, with Odoo's additions for rows without a value.
    pub(super) fn holds(&self, value: &Val<'_>, operator: &str) -> bool {
        use std::cmp::Ordering;
        let any = || {
            self.values.iter().any(|wanted| {
                wanted == value || (*wanted == Val::Null && *value == Val::Bool(false))
            })
        };
        let order = || match (value, self.values.first()) {
            (Val::Int(left), Some(Val::Int(right))) => Some(left.cmp(right)),
            (Val::Date(left), Some(Val::Date(right))) => Some(left.cmp(right)),
            (Val::Text(left), Some(Val::Text(right))) => Some(left.as_ref().cmp(right.as_ref())),
            _ => None,
        };
        let text = || match value {
            Val::Text(text) => text.as_ref(),
            _ => "",
        };
        match operator {
            "=?" if !self.list && self.values == [Val::Null] => true,
            "=" | "==" | "in" | "=?" => any(),
            "!=" | "<>" | "not in" => !any(),
            "<" => order() == Some(Ordering::Less),
            "<=" => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            ">" => order() == Some(Ordering::Greater),
            ">=" => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
            "like" => like(text(), &format!("%{}%", self.text)),
            "not like" => !like(text(), &format!("%{}%", self.text)),
            "ilike" => like(
                &text().to_lowercase(),
                &format!("%{}%", self.text.to_lowercase()),
            ),
            "not ilike" => !like(
                &text().to_lowercase(),
                &format!("%{}%", self.text.to_lowercase()),
            ),
            "=ilike" => like(&text().to_lowercase(), &self.text.to_lowercase()),
            _ => like(text(), &self.text),
        }
    }

    /// A term on a many2one or a list of ids.
    pub(super) fn links(&self, value: &Val<'_>, operator: &str) -> bool {
        let ids: &[u32] = match value {
            Val::One(_, 0) | Val::Null => &[],
            Val::One(_, id) => std::slice::from_ref(id),
            Val::Many(ids) => ids,
            _ => return false,
        };
        let any = self.values.iter().any(|wanted| match wanted {
            Val::Int(id) => ids.contains(id),
            Val::Null => ids.is_empty(),
            _ => false,
        });
        any == matches!(operator, "=" | "in" | "==")
    }
}

/// SQL's `LIKE`: `%` is any text, `_` any character.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = rest.as_str();
            like(text, rest)
                || text
                    .char_indices()
                    .any(|(at, c)| like(&text[at + c.len_utf8()..], rest))
        }
        Some(wanted) => {
            // A sign behind the escape stands for itself.
            let (any, wanted) = match wanted {
                '\\' => (false, rest.next().unwrap_or('\\')),
                wanted => (wanted == '_', wanted),
            };
            let mut chars = text.chars();
            chars
                .next()
                .is_some_and(|c| (any || wanted == c) && like(chars.as_str(), rest.as_str()))
        }
    }
}
