//! Grouping: the legacy `read_group` and, from 19 on, `formatted_read_group`. Groups without rows are not in the answer.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use serde_json::{Map, Value, json};

use super::{
    access::View,
    fail::Fail,
    fields::{self, Field, Model},
    query::{compare, domain_of, not_sql},
    records::{Row, Val},
};

/// A group: the values that it is grouped by, and its rows.
type Bucket<'w> = (Vec<Val<'w>>, Vec<Row<'w>>);

impl<'w> View<'w> {
    /// `read_group`. `lazy` groups by the first field only and calls the count `<field>_count`.
    pub(super) fn read_group(
        &self,
        model: Model,
        args: &Map<String, Value>,
    ) -> Result<Value, Fail> {
        let domain = domain_of(args);
        let lazy = args.get("lazy").and_then(Value::as_bool).unwrap_or(true);
        let mut by = names(args.get("groupby"));
        if lazy {
            by.truncate(1);
        }
        let aggregates: Vec<String> = names(args.get("fields"))
            .into_iter()
            .filter(|it| it.contains(':'))
            .collect();
        let (fields, buckets) = self.buckets(model, domain, &by)?;
        let count = match by.first() {
            Some(first) if lazy => format!("{}_count", first.split(':').next().unwrap_or_default()),
            _ => "__count".into(),
        };
        let mut groups = Vec::new();
        for (values, rows) in buckets {
            let mut group = Map::new();
            let terms: Vec<Value> = self.describe(&fields, &values, &mut group);
            group.insert(count.clone(), json!(rows.len()));
            for aggregate in &aggregates {
                let name = aggregate.split(':').next().unwrap_or_default();
                group.insert(name.into(), self.aggregate(model, aggregate, &rows)?);
            }
            let own = domain.as_array().cloned().unwrap_or_default();
            // Up to 16 the terms of the group come before those of the domain.
            let parts = if self.world.version <= 16 {
                [terms, own]
            } else {
                [own, terms]
            };
            group.insert("__domain".into(), and(parts.concat()));
            groups.push(Value::Object(group));
        }
        Ok(Value::Array(groups))
    }

    /// `formatted_read_group`.
    pub(super) fn formatted_read_group(
        &self,
        model: Model,
        args: &Map<String, Value>,
    ) -> Result<Value, Fail> {
        let by = names(args.get("groupby"));
        let aggregates = names(args.get("aggregates"));
        let (fields, buckets) = self.buckets(model, domain_of(args), &by)?;
        let mut groups = Vec::new();
        for (values, rows) in buckets {
            let mut group = Map::new();
            let terms = self.describe(&fields, &values, &mut group);
            group.insert("__extra_domain".into(), and(terms));
            for aggregate in &aggregates {
                let value = if aggregate == "__count" {
                    json!(rows.len())
                } else {
                    self.aggregate(model, aggregate, &rows)?
                };
                group.insert(aggregate.clone(), value);
            }
            groups.push(Value::Object(group));
        }
        Ok(Value::Array(groups))
    }

    fn buckets(
        &self,
        model: Model,
        domain: &Value,
        by: &[String],
    ) -> Result<(Vec<Field>, Vec<Bucket<'w>>), Fail> {
        let mut by_fields = Vec::new();
        for name in by {
            let plain = name.split(':').next().unwrap_or_default();
            let field = fields::find(self.world, model, plain)
                .ok_or_else(|| self.unknown_field(model, plain))?;
            let old_many = self.world.version <= 14 && field.kind == "many2many";
            if !field.groupable() || old_many {
                return Err(not_sql(self.world.version, model, plain));
            }
            by_fields.push(field);
        }
        let mut found: HashMap<Vec<Val<'w>>, Vec<Row<'w>>> = HashMap::new();
        let (mut key, mut keys) = (Vec::new(), Vec::new());
        for row in self.find(model, domain)? {
            key.clear();
            keys.clear();
            for field in &by_fields {
                match self.value(&row, field.name) {
                    Val::Many(ids) => {
                        // A user in several groups is counted in each.
                        let ids = if ids.is_empty() { vec![0] } else { ids };
                        keys.push((key.len(), field.relation.unwrap_or(model), ids));
                        key.push(Val::Null);
                    }
                    value => key.push(value),
                }
            }
            for key in combinations(&key, &keys) {
                match found.get_mut(key.as_ref()) {
                    Some(rows) => rows.push(row.clone()),
                    None => drop(found.insert(key.into_owned(), vec![row.clone()])),
                }
            }
        }
        let mut buckets: Vec<Bucket<'w>> = found.into_iter().collect();
        buckets.sort_by(|(left, _), (right, _)| {
            let orders = left
                .iter()
                .zip(right)
                .map(|(left, right)| compare(left, right));
            orders.fold(Ordering::Equal, Ordering::then)
        });
        if by.is_empty() && buckets.is_empty() {
            buckets.push((Vec::new(), Vec::new()));
        }
        Ok((by_fields, buckets))
    }

    /// Writes the values of a group; gives the terms that find its rows.
    fn describe(
        &self,
        fields: &[Field],
        values: &[Val<'w>],
        group: &mut Map<String, Value>,
    ) -> Vec<Value> {
        let pairs = fields.iter().zip(values);
        pairs
            .map(|(field, value)| {
                group.insert(field.name.into(), self.json(value.clone(), true));
                json!([field.name, "=", self.json(value.clone(), false)])
            })
            .collect()
    }

    fn aggregate(&self, model: Model, spec: &str, rows: &[Row<'w>]) -> Result<Value, Fail> {
        let (name, function) = spec
            .split_once(':')
            .ok_or_else(|| Fail::value(format!("Invalid aggregate {spec}")))?;
        let field =
            fields::find(self.world, model, name).ok_or_else(|| self.unknown_field(model, name))?;
        let values = rows
            .iter()
            .map(|row| self.value(row, field.name))
            .filter(|value| *value != Val::Null);
        let found = match function {
            "count" => return Ok(json!(values.count())),
            "max" => values.max_by(compare),
            "min" => values.min_by(compare),
            _ => {
                return Err(Fail::value(format!(
                    "Invalid aggregation function '{function}' on field '{name}'"
                )));
            }
        };
        Ok(self.json(found.unwrap_or(Val::Null), false))
    }
}

/// The keys of a row: one, unless a field has several values.
fn combinations<'k, 'w>(
    key: &'k [Val<'w>],
    many: &[(usize, Model, Vec<u32>)],
) -> Vec<Cow<'k, [Val<'w>]>> {
    let mut keys = vec![Cow::Borrowed(key)];
    for (at, model, ids) in many {
        let each = |key: &Cow<'k, [Val<'w>]>| {
            let key = key.clone().into_owned();
            ids.iter()
                .map(|id| {
                    let mut key = key.clone();
                    key[*at] = if *id == 0 {
                        Val::Null
                    } else {
                        Val::One(*model, *id)
                    };
                    Cow::Owned(key)
                })
                .collect::<Vec<_>>()
        };
        keys = keys.iter().flat_map(each).collect();
    }
    keys
}

fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(Into::into)
            .collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// Terms with the operators that Odoo writes before them.
fn and(terms: Vec<Value>) -> Value {
    let leaves = terms.iter().filter(|term| term.is_array()).count();
    let given = terms
        .iter()
        .filter(|term| term.is_string() && *term != "!")
        .count();
    let missing = leaves.saturating_sub(1 + given);
    Value::Array(
        std::iter::repeat_n(json!("&"), missing)
            .chain(terms)
            .collect(),
    )
}
