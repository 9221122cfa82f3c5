//! Odoo's search domains: parsing the prefix notation, and turning a domain into a test of rows.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    access::View,
    clock,
    fail::Fail,
    fields::{self, Field, Model},
    records::{self, Row, Val},
    world::{ACTIVE, TOTP},
};

/// A test of a row.
pub(super) type Test<'w> = Box<dyn Fn(&Row<'w>) -> bool + 'w>;

/// A parsed domain.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    All,
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Leaf(String, String, Value),
    /// `(1, '=', 1)` and `(0, '=', 1)`.
    Constant(bool),
}

/// Reads the prefix notation; terms without an operator between them are anded.
pub(super) fn parse(domain: &Value, version: u8) -> Result<Node, Fail> {
    let Value::Array(terms) = domain else {
        return Err(match version {
            ..=18 => Fail::Other(
                "builtins.AssertionError",
                "Domains to normalize must have a 'domain' form: a list or tuple of domain components".into(),
            ),
            _ => Fail::type_error(format!("Domain() invalid argument type for domain: {}", python(domain))),
        });
    };
    let mut stack: Vec<Node> = Vec::new();
    for term in terms.iter().rev() {
        let node = match term {
            Value::String(operator) => {
                let mut pop = || {
                    stack.pop().ok_or_else(|| {
                        Fail::value(format!(
                            "Domain {} is syntactically not correct.",
                            python(domain)
                        ))
                    })
                };
                match operator.as_str() {
                    "!" => Node::Not(Box::new(pop()?)),
                    "&" => Node::And(Box::new(pop()?), Box::new(pop()?)),
                    "|" => Node::Or(Box::new(pop()?), Box::new(pop()?)),
                    _ => return Err(Fail::value(format!("Invalid leaf {}", python(term)))),
                }
            }
            Value::Array(leaf) => match leaf.as_slice() {
                [Value::String(field), Value::String(operator), value] => {
                    Node::Leaf(field.clone(), operator.to_lowercase(), value.clone())
                }
                [Value::Number(left), Value::String(_), Value::Number(right)] => {
                    Node::Constant(left == right)
                }
                _ => return Err(Fail::value(format!("Invalid leaf {}", python(term)))),
            },
            _ => return Err(Fail::value(format!("Invalid leaf {}", python(term)))),
        };
        stack.push(node);
    }
    Ok(stack
        .into_iter()
        .rev()
        .reduce(|left, right| Node::And(Box::new(left), Box::new(right)))
        .unwrap_or(Node::All))
}

impl Node {
    /// Does some term name this field?
    pub(super) fn names(&self, field: &str) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.names(field) || right.names(field)
            }
            Self::Not(inner) => inner.names(field),
            Self::Leaf(name, ..) => name == field,
            Self::All | Self::Constant(_) => false,
        }
    }
}

/// Turns a domain into a test, for the rows of `model` as `view` sees them.
pub(super) fn compile<'w>(
    view: &View<'w>,
    model: Model,
    node: &Node,
    negated: bool,
) -> Result<Test<'w>, Fail> {
    match node {
        Node::All => Ok(Box::new(move |_| !negated)),
        Node::Constant(holds) => {
            let holds = *holds != negated;
            Ok(Box::new(move |_| holds))
        }
        Node::Not(inner) => compile(view, model, inner, !negated),
        // As in Odoo, `!` is moved to the terms: `! (a >= b)` asks for `a < b`.
        Node::And(left, right) | Node::Or(left, right) => {
            let both = matches!(node, Node::And(..)) != negated;
            let (left, right) = (
                compile(view, model, left, negated)?,
                compile(view, model, right, negated)?,
            );
            Ok(if both {
                Box::new(move |row| left(row) && right(row))
            } else {
                Box::new(move |row| left(row) || right(row))
            })
        }
        Node::Leaf(field, operator, value) => {
            let invalid = || {
                let term = format!("('{field}', '{operator}', {})", python(value));
                Fail::value(format!("Invalid operator in condition {term}"))
            };
            let operator = if negated {
                opposite(operator).ok_or_else(invalid)?
            } else {
                operator
            };
            if !OPERATORS.contains(&operator) {
                return Err(invalid());
            }
            leaf(view, model, field, operator, value)
        }
    }
}

const OPERATORS: &[&str] = &[
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "like",
    "not like",
    "ilike",
    "not ilike",
    "=like",
    "=ilike",
    "=?",
    "<>",
    "==",
];

fn opposite(operator: &str) -> Option<&'static str> {
    let pairs = [
        ("=", "!="),
        ("<", ">="),
        (">", "<="),
        ("in", "not in"),
        ("like", "not like"),
        ("ilike", "not ilike"),
    ];
    pairs.iter().find_map(|(left, right)| match operator {
        it if it == *left => Some(*right),
        it if it == *right => Some(*left),
        _ => None,
    })
}

fn leaf<'w>(
    view: &View<'w>,
    model: Model,
    path: &str,
    operator: &str,
    value: &Value,
) -> Result<Test<'w>, Fail> {
    let world = view.world;
    let unknown = || {
        let term = format!("('{path}', '{operator}', {})", python(value));
        let word = if world.version >= 19 {
            "condition"
        } else {
            "leaf"
        };
        Fail::value(format!(
            "Invalid field {}.{path} in {word} {term}",
            model.name()
        ))
    };
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = fields::find(world, model, name).ok_or_else(unknown)?;
    if let Some(rest) = rest {
        return dotted(view, model, field, rest, operator, value).ok_or_else(unknown)?;
    }
    if model == Model::Users
        && let Some(test) = user_leaf(view, field, operator, value)?
    {
        return Ok(test);
    }
    let ids = matches!(field.kind, "many2one" | "one2many" | "many2many");
    let wanted = Wanted::new(field, value)?;
    let (view, name, operator) = (view.clone(), field.name, operator.to_owned());
    Ok(Box::new(move |row| {
        if ids {
            wanted.links(&view.value(row, name), &operator)
        } else {
            wanted.holds(&view.value(row, name), &operator)
        }
    }))
}

/// Terms on users that Odoo answers in a way of its own, or that must be quick with a hundred thousand people.
fn user_leaf<'w>(
    view: &View<'w>,
    field: Field,
    operator: &str,
    value: &Value,
) -> Result<Option<Test<'w>>, Fail> {
    let world = view.world;
    let truth = value.as_bool();
    let equality = matches!(operator, "=" | "!=");
    let wants = |truth: bool| truth == (operator == "=");
    Ok(Some(match field.name {
        "active" if equality && truth.is_some() => {
            user(move |person| person.has(ACTIVE), wants(truth == Some(true)))
        }
        "share" if equality && truth.is_some() => {
            let share: Vec<bool> = world
                .groups
                .sets
                .iter()
                .map(|set| set.kind != super::world::Kind::Internal)
                .collect();
            user(
                move |person| share[usize::from(person.set)],
                wants(truth == Some(true)),
            )
        }
        // Up to 14 the field cannot be searched, and the term is ignored.
        "totp_enabled" if !field.searchable => Box::new(|_| true),
        "totp_enabled" if world.quirks.totp_domain_broken => user(|person| person.has(TOTP), true),
        "totp_enabled" => {
            let wanted = match value {
                Value::Array(list) => list.contains(&Value::Bool(true)),
                other => *other == Value::Bool(true),
            };
            user(
                |person| person.has(TOTP),
                wanted == matches!(operator, "=" | "in"),
            )
        }
        "totp_secret" if world.version <= 14 => user(
            |person| person.has(TOTP),
            truth == Some(false) && operator == "!=",
        ),
        "totp_secret" => return Err(view.forbidden_field(Model::Users, "totp_secret")),
        "login_date" => {
            // The term follows the log: in 17 it needs rights on it. It matches a person if any row of theirs does, and nobody if none is.
            if world.version == 17 {
                view.check_read(Model::Log)?;
            }
            let wanted = Wanted::new(field, value)?;
            let operator = operator.to_owned();
            Box::new(move |row| match row {
                Row::User(person) => [person.last_row, person.other_row]
                    .iter()
                    .any(|date| *date != 0 && wanted.holds(&Val::Date(*date), &operator)),
                _ => false,
            })
        }
        "log_ids" if truth == Some(false) && equality => user(
            |person| person.last_row != 0 || person.other_row != 0,
            operator == "!=",
        ),
        "api_key_ids" | "totp_trusted_device_ids" | "auth_passkey_key_ids" => {
            let relation = field.relation.unwrap_or(Model::Keys);
            let owners = owners(
                records::all(world, relation),
                |row| !matches!(value, Value::Array(list) if !list.iter().any(|id| id.as_u64() == Some(row.id().into()))),
            );
            // Whether there are any is asked without the record rules of the keys.
            let empty = truth == Some(false) || *value == Value::Null;
            user(
                move |person| owners.contains(&person.id),
                if empty {
                    operator == "!="
                } else {
                    matches!(operator, "in" | "=")
                },
            )
        }
        "group_ids" | "all_group_ids" | "groups_id" => {
            let wanted: Vec<u32> = match value {
                Value::Array(list) => list
                    .iter()
                    .filter_map(Value::as_u64)
                    .filter_map(|id| id.try_into().ok())
                    .collect(),
                Value::Number(one) => one
                    .as_u64()
                    .and_then(|id| id.try_into().ok())
                    .into_iter()
                    .collect(),
                _ => return Ok(None),
            };
            let explicit = field.name == "group_ids";
            let sets: Vec<bool> = world
                .groups
                .sets
                .iter()
                .map(|set| {
                    wanted.iter().any(|id| {
                        if explicit {
                            set.explicit.contains(id)
                        } else {
                            set.all.contains(id)
                        }
                    })
                })
                .collect();
            user(
                move |person| sets[usize::from(person.set)],
                matches!(operator, "in" | "="),
            )
        }
        "id" => {
            let wanted = Wanted::new(field, value)?;
            let operator = operator.to_owned();
            Box::new(move |row| wanted.holds(&Val::Int(row.id()), &operator))
        }
        _ => return Ok(None),
    }))
}

fn user<'w>(has: impl Fn(&super::world::Person) -> bool + 'w, wanted: bool) -> Test<'w> {
    Box::new(move |row| matches!(row, Row::User(person) if has(person) == wanted))
}

fn owners<'w>(
    rows: Box<dyn Iterator<Item = Row<'w>> + 'w>,
    keep: impl Fn(&Row<'w>) -> bool,
) -> HashSet<u32> {
    rows.filter(|row| keep(row))
        .filter_map(|row| match row {
            Row::Key(key) | Row::Passkey(key) => Some(key.owner),
            Row::Log { user, .. } => Some(user),
            _ => None,
        })
        .collect()
}

/// `a.b`: a search on the other model, which obeys its record rules. `None`: no such path.
fn dotted<'w>(
    view: &View<'w>,
    model: Model,
    field: Field,
    rest: &str,
    operator: &str,
    value: &Value,
) -> Option<Result<Test<'w>, Fail>> {
    let relation = field.relation?;
    let inner = match leaf(view, relation, rest, operator, value) {
        Ok(inner) => inner,
        Err(error) => return Some(Err(error)),
    };
    if let Err(error) = view.check_read(relation) {
        return Some(Err(error));
    }
    let through: Vec<Row<'w>> = records::all(view.world, relation)
        .filter(|row| view.sees(row) && inner(row))
        .collect();
    if field.kind == "one2many" {
        let owners = owners(Box::new(through.into_iter()), |_| true);
        return (model == Model::Users)
            .then(|| Ok(user(move |person| owners.contains(&person.id), true)));
    }
    let ids: HashSet<u32> = through.iter().map(Row::id).collect();
    let (view, name) = (view.clone(), field.name);
    Some(Ok(Box::new(move |row| match view.value(row, name) {
        Val::One(_, id) => ids.contains(&id),
        Val::Many(list) => list.iter().any(|id| ids.contains(id)),
        _ => false,
    })))
}

/// The right-hand side of a term, read once.
struct Wanted {
    values: Vec<Val<'static>>,
    list: bool,
    /// For the `like` family.
    text: String,
}

impl Wanted {
    fn new(field: Field, value: &Value) -> Result<Self, Fail> {
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
    fn holds(&self, value: &Val<'_>, operator: &str) -> bool {
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
    fn links(&self, value: &Val<'_>, operator: &str) -> bool {
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
fn like(text: &str, pattern: &str) -> bool {
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
            let mut chars = text.chars();
            chars.next().is_some_and(|c| {
                (wanted == '_' || wanted == c) && like(chars.as_str(), rest.as_str())
            })
        }
    }
}

/// A value as Python prints it, for error messages.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(python).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(map) => format!(
            "{{{}}}",
            map.iter()
                .map(|(key, value)| format!("'{key}': {}", python(value)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
