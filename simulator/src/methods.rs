//! The methods that may be called, and what they do. Everything that writes is refused and marked.

use serde_json::{Map, Value, json};

use super::{
    access::View,
    companion,
    fail::Fail,
    fields::{Field, Model, SETTINGS},
    query::domain_of,
    signature::Signature,
    world::World,
};

/// A call as a protocol delivers it.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    pub(super) model: String,
    pub(super) method: String,
    /// Positional arguments; JSON-2 has none.
    pub(super) args: Vec<Value>,
    /// Named arguments, without `context`.
    pub(super) kwargs: Map<String, Value>,
    /// The `ids` of JSON-2.
    pub(super) ids: Option<Value>,
    pub(super) context: Map<String, Value>,
}

/// Calls that a read-only client must never make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Violations {
    /// It would have written.
    pub(super) write: bool,
    /// It named `totp_secret`, an API key's text or another secret.
    pub(super) secret: bool,
}

/// Starts the message with which a write is refused.
pub(super) const WRITE_MARKER: &str = "the simulated Odoo refuses to write:";

/// Errors of a call, regardless of its result.
pub(super) fn violations(call: &Call) -> Violations {
    let text = json!([call.args, call.kwargs]).to_string();
    let secret_param = call.method.starts_with("get_") && text.contains("database.secret");
    let key_text = matches!(call.model.as_str(), "auth.api.key" | "res.users.apikeys")
        && text.contains("\"key\"");
    Violations {
        write: writes(&call.method),
        secret: text.contains("totp_secret") || secret_param || key_text,
    }
}

/// Runs a call for a user. `None` is Python's: no result at all.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each method, and before it the checks that they share"
)]
pub(super) fn run(world: &World, uid: u32, call: &Call) -> Result<Option<Value>, Fail> {
    let version = world.version;
    let model = Model::find(world, &call.model).ok_or_else(|| Fail::NoModel(call.model.clone()))?;
    let method = call.method.as_str();
    let private = version >= 19 && matches!(method, "search_fetch" | "exists");
    if method.starts_with('_') || private {
        let what = if version >= 19 {
            format!("'{}.{method}'", call.model)
        } else {
            method.into()
        };
        return Err(Fail::Access(format!(
            "Private methods (such as {what}) cannot be called remotely."
        )));
    }
    if writes(method) {
        return Err(Fail::Access(format!(
            "{WRITE_MARKER} {}.{method}",
            call.model
        )));
    }
    let signature = Signature::find(version, model, method).ok_or_else(|| Fail::NoMethod {
        model: call.model.clone(),
        method: method.into(),
    })?;
    let (ids, args) = signature.bind(call)?;
    let user = world.person(uid).ok_or_else(Fail::access_denied)?;
    let view = View::new(world, user, &call.context)?;
    let fields = |name: &str| -> Result<Vec<Field>, Fail> { view.readable(model, args.get(name)) };
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(Some(match method {
        "search" => json!(
            view.search(model, &args)?
                .iter()
                .map(super::records::Row::id)
                .collect::<Vec<_>>()
        ),
        "search_count" => {
            let count = view.find(model, domain_of(&args))?.count();
            let limit = args
                .get("limit")
                .and_then(Value::as_u64)
                .and_then(|it| usize::try_from(it).ok())
                .unwrap_or(usize::MAX);
            json!(count.min(limit))
        }
        "search_read" => {
            view.check_read(model)?;
            let fields = fields("fields")?;
            let rows = view.search(model, &args)?;
            view.read(&rows, &fields, args.get("load"))
        }
        "read" => {
            view.check_read(model)?;
            view.read_ids(model, &ids, &fields("fields")?, args.get("load"))?
        }
        "fields_get" => view.fields_get(model, args.get("allfields"), args.get("attributes")),
        "read_group" => view.read_group(model, &args)?,
        "formatted_read_group" => view.formatted_read_group(model, &args)?,
        "context_get" => {
            let mut context = json!({"lang": "en_US", "tz": false});
            if version >= 17 {
                context["uid"] = json!(uid);
            }
            context
        }
        "has_group" => {
            let of = if version >= 18 {
                ids.first().copied().unwrap_or(uid)
            } else {
                uid
            };
            let group = world.groups.id(text("group_ext_id"));
            json!(
                world
                    .person(of)
                    .zip(group)
                    .is_some_and(|(person, group)| world.set(person).all.contains(&group))
            )
        }
        "get_external_id" => view.external_ids(model, &ids)?,
        "get_metadata" => view.metadata(model, &ids)?,
        "check_object_reference" => {
            let raise = args.get("raise_on_access_error");
            let raise = raise.and_then(Value::as_bool).unwrap_or(false);
            view.object_reference(text("module"), text("xml_id"), raise)?
        }
        "get_param" | "get_str" => {
            view.check_read(model)?;
            match world.param(text("key")) {
                Some(value) => json!(value),
                None => args.get("default").cloned().unwrap_or(json!(false)),
            }
        }
        "read_facts" => companion::read_facts(&view, &args["question"])?,
        "default_get" => settings(&view, args.get("fields"))?,
        "check_access_rights" | "has_access" => {
            let may = text("operation") == "read" && view.may_read(model);
            let raise = method == "check_access_rights"
                && args
                    .get("raise_exception")
                    .and_then(Value::as_bool)
                    .unwrap_or(true);
            match (may, raise) {
                (false, true) => return Err(view.refusal(model)),
                (true, true) if version >= 19 => return Ok(None),
                (may, _) => json!(may),
            }
        }
        "exists" => json!(
            ids.iter()
                .filter(|id| view.row(model, **id).is_some())
                .collect::<Vec<_>>()
        ),
        _ => {
            return Err(Fail::NoMethod {
                model: call.model.clone(),
                method: method.into(),
            });
        }
    }))
}

fn writes(method: &str) -> bool {
    const NAMES: &[&str] = &[
        "create",
        "write",
        "unlink",
        "copy",
        "web_save",
        "load",
        "name_create",
        "toggle_active",
        "remove",
        "generate",
        "change_password",
        "execute",
        "unarchive",
        "flush_model",
        "init",
        "invite",
        "signup",
        "reset_password",
        "make_key",
    ];
    const PREFIXES: &[&str] = &[
        "action_",
        "button_",
        "set_",
        "totp_",
        "revoke_",
        "api_key_",
        "preference_",
        "auth_passkey_",
        "update_",
        "delete_",
        "import_",
        "web_save",
    ];
    NAMES.contains(&method) || PREFIXES.iter().any(|prefix| method.starts_with(prefix))
}

/// `res.config.settings default_get`: in 17 to 19 any internal user gets every setting, unless a module reads in it what they may not.
fn settings(view: &View<'_>, fields: Option<&Value>) -> Result<Value, Fail> {
    let world = view.world;
    if !(17..=19).contains(&world.version) && !view.is_system() {
        return Err(view.refusal(Model::Settings));
    }
    view.check_read(Model::Settings)?;
    if world.installed("auth_oauth") {
        view.check_read(Model::Providers)?;
    }
    let mut values = Map::new();
    for name in fields
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.field == name && setting.is_there(world))
            .ok_or_else(|| Fail::Other("builtins.KeyError", name.into()))?;
        let value = world.param(setting.parameter);
        let value = match setting.kind {
            "boolean" => json!(value.is_some()),
            _ => value.map_or(json!(false), |value| json!(value)),
        };
        values.insert(name.into(), value);
    }
    if world.version >= 19 {
        values.insert("portal_allow_api_keys".into(), json!(false));
        values.insert("is_installed_sale".into(), json!(false));
    }
    Ok(Value::Object(values))
}
