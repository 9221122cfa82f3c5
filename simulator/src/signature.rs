//! The parameters of each method, which differ by version: a wrong name is an error.

use serde_json::{Map, Value};

use super::{fail::Fail, fields::Model, methods::Call};

/// A parameter and whether it must be given.
type Parameter = (&'static str, bool);

/// Signature of a method.
pub(super) struct Signature {
    function: &'static str,
    /// Is it called on records?
    on_records: bool,
    parameters: Vec<Parameter>,
}

impl Signature {
    #[expect(clippy::too_many_lines, reason = "one arm for each method")]
    pub(super) fn find(version: u8, model: Model, method: &str) -> Option<Self> {
        let domain = if version <= 16 { "args" } else { "domain" };
        let (on_records, function, parameters): (bool, &'static str, Vec<Parameter>) = match method
        {
            "search" => {
                let mut parameters = vec![
                    (domain, true),
                    ("offset", false),
                    ("limit", false),
                    ("order", false),
                ];
                if version <= 16 {
                    parameters.push(("count", false));
                }
                (false, "BaseModel.search()", parameters)
            }
            "search_count" if version <= 15 => {
                (false, "BaseModel.search_count()", vec![(domain, true)])
            }
            "search_count" => (
                false,
                "BaseModel.search_count()",
                vec![(domain, true), ("limit", false)],
            ),
            "search_read" => {
                let mut parameters = vec![
                    ("domain", false),
                    ("fields", false),
                    ("offset", false),
                    ("limit", false),
                    ("order", false),
                ];
                if version >= 15 {
                    parameters.push(("load", false));
                }
                let function = match version {
                    ..=14 => "BaseModel.search_read()",
                    15..=16 => "UsersView.read()",
                    _ => "UsersView._read_format()",
                };
                (false, function, parameters)
            }
            "read" => (
                true,
                "BaseModel.read()",
                vec![("fields", false), ("load", false)],
            ),
            "fields_get" => (
                false,
                "BaseModel.fields_get()",
                vec![("allfields", false), ("attributes", false)],
            ),
            "read_group" if version <= 19 => (
                false,
                "BaseModel.read_group()",
                vec![
                    ("domain", true),
                    ("fields", true),
                    ("groupby", true),
                    ("offset", false),
                    ("limit", false),
                    ("orderby", false),
                    ("lazy", false),
                ],
            ),
            "formatted_read_group" if version >= 19 => (
                false,
                "BaseModel.formatted_read_group()",
                vec![
                    ("domain", true),
                    ("groupby", false),
                    ("aggregates", false),
                    ("having", false),
                    ("offset", false),
                    ("limit", false),
                    ("order", false),
                ],
            ),
            "context_get" if model == Model::Users => (false, "Users.context_get()", vec![]),
            "has_group" if model == Model::Users => (
                version >= 18,
                "Users.has_group()",
                vec![("group_ext_id", true)],
            ),
            "get_external_id" => (true, "BaseModel.get_external_id()", vec![]),
            "get_metadata" => (true, "BaseModel.get_metadata()", vec![]),
            "exists" => (true, "BaseModel.exists()", vec![]),
            "check_object_reference" if model == Model::Data => (
                false,
                "IrModelData.check_object_reference()",
                vec![
                    ("module", true),
                    ("xml_id", true),
                    ("raise_on_access_error", false),
                ],
            ),
            "get_param" if model == Model::Parameters && version <= 19 => (
                false,
                "IrConfigParameter.get_param()",
                vec![("key", true), ("default", false)],
            ),
            "get_str" if model == Model::Parameters && version >= 20 => (
                false,
                "IrConfigParameter.get_str()",
                vec![("key", true), ("default", false)],
            ),
            "read_facts" if model == Model::Companion => {
                (false, "MfaAuditor.read_facts()", vec![("question", true)])
            }
            "default_get" if model == Model::Settings => (
                false,
                "ResConfigSettings.default_get()",
                vec![("fields", true)],
            ),
            "check_access_rights" if version <= 19 => (
                false,
                "BaseModel.check_access_rights()",
                vec![("operation", true), ("raise_exception", false)],
            ),
            "has_access" if version >= 18 => {
                (true, "BaseModel.has_access()", vec![("operation", true)])
            }
            _ => return None,
        };
        Some(Self {
            function,
            on_records,
            parameters,
        })
    }

    /// The ids and the arguments by name.
    pub(super) fn bind(&self, call: &Call) -> Result<(Vec<u32>, Map<String, Value>), Fail> {
        let wrong = |message: String| Fail::Argument {
            function: self.function.into(),
            message,
        };
        let mut positional = call.args.iter();
        let ids = match (&call.ids, self.on_records) {
            (Some(_), false) => {
                return Err(wrong(format!(
                    "cannot call {}.{} with ids",
                    call.model, call.method
                )));
            }
            (Some(ids), true) => id_list(ids),
            (None, true) => positional.next().map(id_list).unwrap_or_default(),
            (None, false) => Vec::new(),
        };
        let mut bound = Map::new();
        for ((name, required), value) in self.parameters.iter().map(|it| (it, positional.next())) {
            match value.or_else(|| call.kwargs.get(*name)) {
                Some(value) => drop(bound.insert((*name).into(), value.clone())),
                None if *required && call.args.is_empty() => {
                    return Err(wrong(format!("missing a required argument: '{name}'")));
                }
                None if *required => {
                    return Err(wrong(format!(
                        "missing 1 required positional argument: '{name}'"
                    )));
                }
                None => {}
            }
        }
        if positional.next().is_some() {
            return Err(wrong(format!(
                "takes {} positional arguments but {} were given",
                self.parameters.len() + 1,
                call.args.len() + 1
            )));
        }
        match call
            .kwargs
            .keys()
            .find(|name| !self.parameters.iter().any(|(it, _)| it == name))
        {
            Some(name) => Err(wrong(format!(
                "got an unexpected keyword argument '{name}'"
            ))),
            None => Ok((ids, bound)),
        }
    }
}

/// Ids as a client may send them: a list, or one.
pub(super) fn id_list(value: &Value) -> Vec<u32> {
    match value {
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
        _ => Vec::new(),
    }
}
