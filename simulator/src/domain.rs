//! Odoo's search domains: parsing the prefix notation, and turning a domain into a test of rows.

use serde_json::Value;

use super::{access::View, fail::Fail, fields::Model, records::Row, term};

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
            term::leaf(view, model, field, operator, value)
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
