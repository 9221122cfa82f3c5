//! One term of a domain, `(field, operator, value)`, as a test of rows: where Odoo's answers part from plain comparison.

use std::collections::HashSet;

use serde_json::Value;

use super::signature::id_list;
use super::{
    access::View,
    domain::{Test, python},
    fail::Fail,
    fields::{self, Field, Model},
    operand::Operand,
    records::{self, Row, Val},
    world::{ACTIVE, EMPTY_SECRET, GroupSet, Kind, NO_SECRET, Person, TOTP},
};

pub(super) fn leaf<'w>(
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
    let own = match model {
        Model::Users => user_leaf(view, field, operator, value)?,
        _ => users_of(view, model, field, operator, value),
    };
    if let Some(test) = own {
        return Ok(test);
    }
    let ids = matches!(field.kind, "many2one" | "one2many" | "many2many");
    let wanted = Operand::new(field, value)?;
    let (view, name, operator) = (view.clone(), field.name, operator.to_owned());
    Ok(Box::new(move |row| {
        if ids {
            wanted.links(&view.value(row, name), &operator)
        } else {
            wanted.holds(&view.value(row, name), &operator)
        }
    }))
}

/// Terms on users that Odoo answers in a way of its own, or that must be quick with a hundred thousand users.
#[expect(clippy::too_many_lines, reason = "one arm for each field")]
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
                .map(|set| set.kind != Kind::Internal)
                .collect();
            user(
                move |person| share[usize::from(person.set)],
                wants(truth == Some(true)),
            )
        }
        // Up to 14 the field cannot be searched, and the term is ignored.
        "totp_enabled" if !field.searchable => Box::new(|_| true),
        "totp_enabled" => {
            let wanted = match value {
                Value::Array(list) => list.contains(&Value::Bool(true)),
                other => *other == Value::Bool(true),
            };
            let wanted = wanted == matches!(operator, "=" | "in");
            let view = view.clone();
            let holds = move |person: &Person| has_secret(person) && view.sees_totp(person.id);
            user(holds, wanted || world.quirks.totp_domain_broken)
        }
        "totp_secret" if world.version <= 14 => {
            user(has_secret, truth == Some(false) && operator == "!=")
        }
        "totp_secret" => return Err(view.forbidden_field(Model::Users, "totp_secret")),
        "login_date" => {
            // The term follows the log: in 17 it requires rights on it. It matches a user if any row of the user does, and no user if none does.
            if world.version == 17 {
                view.check_read(Model::Log)?;
            }
            let wanted = Operand::new(field, value)?;
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
            // The existence of rows is checked without the record rules of the keys.
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
            if !matches!(value, Value::Array(_) | Value::Number(_)) {
                return Ok(None);
            }
            let wanted = id_list(value);
            let positive = matches!(operator, "in" | "=");
            let groups = &world.groups;
            let sets: Vec<bool> = if field.name == "all_group_ids" {
                // A search through the visible groups that a user is put into: `not in` finds each user with another one.
                let implying: HashSet<u32> =
                    wanted.iter().flat_map(|id| groups.implying(*id)).collect();
                let visible = |id: &u32| !world.hidden_groups.contains(id);
                let through = |id: &u32| visible(id) && implying.contains(id) == positive;
                let sets = groups.sets.iter();
                sets.map(|set| set.explicit.iter().any(through)).collect()
            } else {
                let explicit = field.name == "group_ids";
                let own = |set: &'w GroupSet| if explicit { &set.explicit } else { &set.all };
                let sets = groups.sets.iter();
                sets.map(|set| wanted.iter().any(|id| own(set).contains(id)) == positive)
                    .collect()
            };
            user(move |person| sets[usize::from(person.set)], true)
        }
        "id" if matches!(operator, "in" | "not in") && value.is_array() => {
            let ids: HashSet<u64> = value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect();
            let within = operator == "in";
            Box::new(move |row| ids.contains(&row.id().into()) == within)
        }
        "id" => {
            let wanted = Operand::new(field, value)?;
            let operator = operator.to_owned();
            Box::new(move |row| wanted.holds(&Val::Int(row.id()), &operator))
        }
        _ => return Ok(None),
    }))
}

/// Condition of the search for `totp_enabled`: a secret that is not NULL, the empty text too.
fn has_secret(person: &Person) -> bool {
    person.has(TOTP) && !person.has(NO_SECRET) || person.has(EMPTY_SECRET)
}

/// Terms on the users of groups, companies and contacts: asked in the table of the relation, without the record rules of users.
fn users_of<'w>(
    view: &View<'w>,
    model: Model,
    field: Field,
    operator: &str,
    value: &Value,
) -> Option<Test<'w>> {
    let listed = matches!(value, Value::Array(_) | Value::Number(_));
    if field.relation != Some(Model::Users)
        || !(listed || matches!(value, Value::Null | Value::Bool(false)))
    {
        return None;
    }
    let world = view.world;
    let wanted: HashSet<u32> = id_list(value).into_iter().collect();
    let any = move |person: &Person| !listed || wanted.contains(&person.id);
    let positive = matches!(operator, "=" | "in") == listed;
    Some(match (model, field.name) {
        (Model::Partners, _) => {
            let active_only = world.version == 18 && view.active_test;
            Box::new(move |row| {
                matches!(row, Row::Partner(person)
                    if (any(person) && (!active_only || person.has(ACTIVE))) == positive)
            })
        }
        (Model::Groups, name) => {
            let mut ids: HashSet<u32> = HashSet::new();
            for person in world.people.iter().filter(|person| any(person)) {
                let set = world.set(person);
                ids.extend(if name == "user_ids" {
                    &set.explicit
                } else {
                    &set.all
                });
            }
            Box::new(move |row| ids.contains(&row.id()) == positive)
        }
        (Model::Companies, _) => {
            let people = world.people.iter().filter(|person| any(person));
            let bits = people.fold(0, |bits, person| bits | person.companies);
            Box::new(move |row| (bits & (1 << (row.id() - 1)) != 0) == positive)
        }
        _ => return None,
    })
}

fn user<'w>(has: impl Fn(&Person) -> bool + 'w, wanted: bool) -> Test<'w> {
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
    if model == Model::Partners {
        // The rules of users are passed by.
        return Some(Ok(Box::new(
            move |row| matches!(row, Row::Partner(person) if inner(&Row::User(person))),
        )));
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
