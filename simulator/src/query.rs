//! Searching and reading: `search`, `search_count`, `search_read`, `read`, `fields_get`.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::{
    access::View,
    companion,
    domain::{self, Node},
    fail::Fail,
    fields::{self, Field, Model},
    records::{self, Row, Val},
    world::ACTIVE,
};

impl<'w> View<'w> {
    /// The rows that a domain finds for this account, in table order.
    pub(super) fn find(
        &self,
        model: Model,
        domain: &Value,
    ) -> Result<impl Iterator<Item = Row<'w>>, Fail> {
        let node = match domain {
            Value::Null => Node::All,
            other => domain::parse(other, self.world.version)?,
        };
        self.check_read(model)?;
        let test = domain::compile(self, model, &node, false)?;
        let hide_archived = self.active_test && !node.names("active");
        let there = move |row: &Row<'w>| match row {
            _ if !hide_archived => true,
            Row::User(person) => person.has(ACTIVE),
            Row::Partner(person) => records::contact_active(person),
            Row::Company(_, company) => company.active,
            _ => true,
        };
        Ok(records::all(self.world, model)
            .filter(move |row| there(row) && test(row) && self.sees(row)))
    }

    /// As `find`, ordered and cut.
    pub(super) fn search(
        &self,
        model: Model,
        args: &Map<String, Value>,
    ) -> Result<Vec<Row<'w>>, Fail> {
        let mut rows: Vec<Row<'w>> = self.find(model, domain_of(args))?.collect();
        self.sort(model, &mut rows, args.get("order").and_then(Value::as_str))?;
        let number = |name: &str| {
            args.get(name)
                .and_then(Value::as_u64)
                .and_then(|it| usize::try_from(it).ok())
        };
        let offset = number("offset").unwrap_or(0);
        // Odoo takes a limit of 0 for none.
        let limit = number("limit")
            .filter(|limit| *limit > 0)
            .unwrap_or(usize::MAX);
        Ok(rows.into_iter().skip(offset).take(limit).collect())
    }

    /// The fields that a read asks for: all that may be read where none are named.
    pub(super) fn readable(
        &self,
        model: Model,
        wanted: Option<&Value>,
    ) -> Result<Vec<Field>, Fail> {
        let all = fields::of(self.world, model);
        let names: Vec<&str> = wanted
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        if names.is_empty() {
            return Ok(all
                .into_iter()
                .filter(|field| !field.forbidden && field.name != "id")
                .collect());
        }
        names
            .into_iter()
            .filter(|name| *name != "id")
            .map(|name| match all.iter().find(|field| field.name == name) {
                None => Err(self.unknown_field(model, name)),
                Some(field) if field.forbidden => Err(self.forbidden_field(model, name)),
                Some(field) => Ok(*field),
            })
            .collect()
    }

    pub(super) fn unknown_field(&self, model: Model, name: &str) -> Fail {
        let word = if self.world.version >= 19 {
            ""
        } else {
            "model "
        };
        Fail::value(format!(
            "Invalid field '{name}' on {word}'{}'",
            model.name()
        ))
    }

    /// Rows as `read` gives them.
    pub(super) fn read(&self, rows: &[Row<'w>], fields: &[Field], load: Option<&Value>) -> Value {
        let names = load.is_none_or(|load| load == "_classic_read");
        let record = |row: &Row<'w>| {
            let mut record = Map::with_capacity(fields.len() + 1);
            record.insert("id".into(), json!(row.id()));
            for field in fields {
                record.insert(
                    field.name.into(),
                    self.json(self.value(row, field.name), names),
                );
            }
            Value::Object(record)
        };
        Value::Array(rows.iter().map(record).collect())
    }

    /// `read` by ids: what does not exist is left out, unless only the id is asked for; what a rule hides is refused.
    pub(super) fn read_ids(
        &self,
        model: Model,
        ids: &[u32],
        fields: &[Field],
        load: Option<&Value>,
    ) -> Result<Value, Fail> {
        self.check_read(model)?;
        let only_ids = fields.is_empty();
        let computed = |field: &Field| field.name == "totp_enabled" && self.world.version >= 15;
        if model == Model::Users
            && fields.iter().any(computed)
            && ids.iter().any(|id| self.world.person(*id).is_none())
        {
            return Err(Fail::type_error("'NoneType' object is not subscriptable"));
        }
        let rows: Vec<Row<'w>> = if ids.len() > 8 && model != Model::Users {
            let mut rows: std::collections::HashMap<u32, Row<'w>> = records::all(self.world, model)
                .map(|row| (row.id(), row))
                .collect();
            ids.iter().filter_map(|id| rows.remove(id)).collect()
        } else {
            ids.iter().filter_map(|id| self.row(model, *id)).collect()
        };
        // Computed fields, and fields in the table of a relation, are read without a query on users.
        let stored = fields.iter().any(|field| {
            field.kind != "many2many" && !computed(field) && field.name != "totp_enabled"
        });
        let refused = |row: &Row<'w>| match row {
            Row::User(person) => !self.may_read_user(person, stored),
            row => !self.sees(row),
        };
        self.refuse(model, rows.iter().filter(|row| refused(row)))?;
        if only_ids {
            return Ok(ids.iter().map(|id| json!({"id": id})).collect());
        }
        Ok(self.read(&rows, fields, load))
    }

    /// The error of rows that a rule hides, where there are any.
    pub(super) fn refuse<'r>(
        &self,
        model: Model,
        hidden: impl Iterator<Item = &'r Row<'w>>,
    ) -> Result<(), Fail>
    where
        'w: 'r,
    {
        let names: Vec<String> = hidden
            .take(6)
            .map(|row| format!("{} (id={})", self.display(row), row.id()))
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(self.rule_refusal(model, &names.join(", ")))
        }
    }

    /// `fields_get`: leaves out what it does not know.
    pub(super) fn fields_get(
        &self,
        model: Model,
        wanted: Option<&Value>,
        attributes: Option<&Value>,
    ) -> Value {
        let names: Vec<&str> = wanted
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let attributes: Vec<&str> = attributes
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let version = self.world.version;
        let describe = |field: &Field| {
            let mut all = Map::new();
            all.insert("type".into(), json!(field.kind));
            all.insert("string".into(), json!(field.name));
            all.insert("store".into(), json!(field.store));
            all.insert("searchable".into(), json!(field.searchable));
            all.insert("sortable".into(), json!(field.sortable()));
            all.insert("readonly".into(), json!(!field.store));
            all.insert("required".into(), json!(false));
            if version >= 18 {
                all.insert("groupable".into(), json!(field.groupable()));
            }
            if let Some(relation) = field.relation {
                all.insert("relation".into(), json!(relation.name()));
            }
            if !attributes.is_empty() {
                all.retain(|name, _| attributes.contains(&name.as_str()));
            }
            Value::Object(all)
        };
        let there = fields::of(self.world, model)
            .into_iter()
            .filter(|field| !field.forbidden && (names.is_empty() || names.contains(&field.name)))
            .filter(|field| field.name != companion::MARKER || companion::may_ask(self));
        Value::Object(
            there
                .map(|field| (field.name.to_owned(), describe(&field)))
                .collect(),
        )
    }

    fn sort(&self, model: Model, rows: &mut [Row<'w>], order: Option<&str>) -> Result<(), Fail> {
        let default = if model == Model::Users {
            "name, login"
        } else {
            "id"
        };
        let mut keys: Vec<(Field, bool)> = Vec::new();
        for part in order
            .filter(|order| !order.trim().is_empty())
            .unwrap_or(default)
            .split(',')
        {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or("id");
            let descending = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("desc"));
            let field = fields::find(self.world, model, name)
                .ok_or_else(|| self.unknown_field(model, name))?;
            if field.sortable() {
                keys.push((field, descending));
            } else if self.world.version >= 18 {
                return Err(not_sql(self.world.version, model, name));
            }
            // Up to 17 Odoo only warns in its log and orders by what is left.
        }
        match keys.as_slice() {
            [] | [(Field { name: "id", .. }, false)] => rows.sort_by_key(Row::id),
            [(Field { name: "id", .. }, true)] => {
                rows.sort_by_key(|row| std::cmp::Reverse(row.id()))
            }
            _ => rows.sort_by_cached_key(|row| {
                let values = keys
                    .iter()
                    .map(|(field, descending)| Sortable(self.value(row, field.name), *descending))
                    .collect::<Vec<_>>();
                (values, row.id())
            }),
        }
        Ok(())
    }
}

/// The domain argument, under the name that the version gives it.
pub(super) fn domain_of(args: &Map<String, Value>) -> &Value {
    args.get("domain")
        .or_else(|| args.get("args"))
        .unwrap_or(&Value::Null)
}

/// The refusal to order or group by what is not in the database.
pub(super) fn not_sql(version: u8, model: Model, field: &str) -> Fail {
    let model = model.name();
    match version {
        ..=14 => Fail::User(
            "Fields in 'groupby' must be database-persisted fields (no computed fields)".into(),
        ),
        15..=16 => Fail::User(format!(
            "Field {model}.{field} is not a stored field, only stored fields (regular or many2many) are valid for the 'groupby' parameter"
        )),
        17 => Fail::value(format!("Cannot convert field {model}.{field} to SQL")),
        _ if field == "login_date" => Fail::value(format!(
            "Cannot convert {model}.login_date (related=log_ids.create_date) to SQL because log_ids is not a Many2one"
        )),
        _ => Fail::value(format!(
            "Cannot convert {model}.{field} to SQL because it is not stored"
        )),
    }
}

/// A value to order by, as PostgreSQL does: no value comes last, or first where the order is descending.
struct Sortable<'w>(Val<'w>, bool);

impl PartialEq for Sortable<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sortable<'_> {}

impl PartialOrd for Sortable<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sortable<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = compare(&self.0, &other.0);
        if self.1 { order.reverse() } else { order }
    }
}

/// The order of two values; no value is the last.
pub(super) fn compare(left: &Val<'_>, right: &Val<'_>) -> Ordering {
    match (left, right) {
        (Val::Null, Val::Null) => Ordering::Equal,
        (Val::Null, _) => Ordering::Greater,
        (_, Val::Null) => Ordering::Less,
        (Val::Bool(left), Val::Bool(right)) => left.cmp(right),
        (Val::Int(left), Val::Int(right))
        | (Val::Date(left), Val::Date(right))
        | (Val::One(_, left), Val::One(_, right)) => left.cmp(right),
        (Val::Text(left), Val::Text(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}
