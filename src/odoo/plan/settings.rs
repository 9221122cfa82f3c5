//! Which modules are installed, what the server enforces, and which networks it trusts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::users::{Users, row, unless_forbidden};
use crate::domain::facts::{Gap, Known, TrustedNetworks};
use crate::domain::{Module, PolicyScope};
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::session::decode;

const MODULES_GRANT: &str = "read access to ir.module.module; on Odoo 14 to 16 only base.group_system has it, and nothing less is safe to grant";
const POLICY_GRANT: &str = "base.group_system; from 17 on any internal user may read it. Never grant ir.config_parameter: it holds the database's secret";

/// The module without which 19 and later have no XML-RPC and JSON-RPC.
const RPC: &str = "rpc";

/// What is known of modules.
pub(super) struct Modules {
    /// The installed ones of those that matter.
    pub(super) known: Known<BTreeSet<Module>>,
    /// Whether `rpc` is installed, where modules are known.
    pub(super) rpc: bool,
}

#[derive(Deserialize)]
struct ModuleRow {
    id: u32,
    name: String,
}
row!(ModuleRow);

/// Asks for the installed ones of the modules that matter. One that waits for its upgrade or removal is still there.
pub(super) async fn modules(users: &Users<'_>) -> Result<Modules, Error> {
    let names: Vec<&str> = Module::ALL
        .iter()
        .map(|module| module.as_str())
        .chain([RPC])
        .collect();
    let domain = vec![
        json!(["name", "in", names]),
        json!(["state", "in", ["installed", "to upgrade", "to remove"]]),
    ];
    let rows = users
        .rows::<ModuleRow>("ir.module.module", domain, &["name"])
        .await;
    let rows = unless_forbidden(rows, MODULES_GRANT)?;
    Ok(Modules {
        rpc: rows
            .complete()
            .is_some_and(|rows| rows.iter().any(|row| row.name == RPC)),
        known: rows.map(|rows| {
            rows.iter()
                .filter_map(|row| row.name.parse().ok())
                .collect()
        }),
    })
}

/// The e-mail code policy in force. The parameter survives its module, so it counts only while the module is there.
pub(super) async fn policy(
    users: &Users<'_>,
    modules: &Modules,
) -> Result<Known<Option<PolicyScope>>, Error> {
    let release = users.session.server.release;
    let owner = if release >= (19, 0) {
        Module::AuthTotpMail
    } else {
        Module::AuthTotpMailEnforce
    };
    let installed = match modules.known.complete() {
        Some(modules) => modules.contains(&owner),
        // The setting's field comes with its module.
        None => {
            let fields = Call::new("res.config.settings", "fields_get")
                .arg("allfields", vec!["auth_totp_policy"])
                .named("attributes", vec!["type"]);
            let fields = users.session.call(users.transport, fields).await?;
            fields.get("auth_totp_policy").is_some()
        }
    };
    if !installed {
        return Ok(Known::Complete(None));
    }
    // Up to 16 the settings need the right to read modules, and then answer with every setting there is, passwords included: there only
    // the one parameter is asked for.
    let value = if release >= (17, 0) {
        let settings =
            Call::new("res.config.settings", "default_get").arg("fields", vec!["auth_totp_policy"]);
        let settings = users.session.call(users.transport, settings).await;
        settings
            .and_then(|settings| decode::<BTreeMap<String, Value>>(settings, "settings"))
            .map(|mut settings| settings.remove("auth_totp_policy"))
    } else {
        let parameter =
            Call::new("ir.config_parameter", "get_param").arg("key", "auth_totp.policy");
        users
            .session
            .call(users.transport, parameter)
            .await
            .map(Some)
    };
    let value = match unless_forbidden(value, POLICY_GRANT)? {
        Known::Complete(value) => value,
        Known::Missing(gap) => return Ok(Known::Missing(gap)),
        Known::NotAsked => return Ok(Known::NotAsked),
    };
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Known::Complete(None)),
        Some(Value::String(text)) if text.is_empty() => Ok(Known::Complete(None)),
        Some(Value::String(text)) => match text.parse() {
            Ok(scope) => Ok(Known::Complete(Some(scope))),
            Err(_) => Ok(Known::Missing(Gap {
                seen: "auth_totp.policy has a value that is not known".to_owned(),
                grant: "nothing: set the policy to employee_required or all_required, or report what this Odoo knows",
            })),
        },
        Some(_) => Err(Error::new(Kind::Unexpected, "auth_totp.policy is no text")),
    }
}

#[derive(Deserialize)]
struct NetworkRow {
    id: u32,
    #[serde(default)]
    user_ids: Vec<u32>,
}
row!(NetworkRow);

/// The networks that skip the second factor, where that module is installed.
pub(super) async fn trusted_networks(
    users: &Users<'_>,
    modules: &Known<BTreeSet<Module>>,
) -> Result<Option<TrustedNetworks>, Error> {
    if !modules
        .complete()
        .is_some_and(|modules| modules.contains(&Module::AuthTotpIpCheck))
    {
        return Ok(None);
    }
    match users
        .rows::<NetworkRow>("auth_totp.cidr", Vec::new(), &["user_ids"])
        .await
    {
        Ok(rows) => {
            let everybody = rows.iter().filter(|row| row.user_ids.is_empty()).count() as u64;
            Ok(Some(TrustedNetworks::Rows {
                personal: rows.len() as u64 - everybody,
                everybody,
            }))
        }
        Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NoSuchName) => {
            Ok(Some(TrustedNetworks::Unreadable))
        }
        Err(error) => Err(error),
    }
}
