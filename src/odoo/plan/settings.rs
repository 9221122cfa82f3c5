//! Installed modules, the policy in force, and trusted networks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::users::{Many2one, Users, row, unless_forbidden};
use super::{Question, groups};
use crate::domain::facts::{Gap, Known, TrustedNetworks};
use crate::domain::{Module, PolicyScope};
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::reply::Setting;
use crate::odoo::session::Session;
use crate::odoo::surface::rpc_answers;
use crate::odoo::text::Text;
use crate::odoo::transport::Transport;

const MODULES_GRANT: &str = "read access to ir.module.module; on Odoo 14 to 16 only base.group_system has it, and no smaller right is safe";
const POLICY_GRANT: &str = "base.group_system, or install the module mfa_auditor_use instead. Never grant ir.config_parameter: it holds the database's secret";
const POLICY_GRANT_BY_NAME: &str = "base.group_system, which Odoo 20 requires for settings; or install the module mfa_auditor_use instead";
const POLICY_GRANT_WITH_OAUTH: &str = "read access to auth.oauth.provider, which auth_oauth reads with all settings (it reveals the client ids of the providers); or install the module mfa_auditor_use instead";

/// The module without which 19 and later have no XML-RPC and JSON-RPC.
const RPC: &str = "rpc";

/// From this release on XML-RPC and JSON-RPC are a module.
const WITH_RPC_MODULE: (u32, u32) = (19, 0);

/// The setting of the e-mail code policy.
const POLICY: &str = "auth_totp_policy";

/// From this release on a setting can be asked for by name. Before it that needs the right to read modules, and then every setting there
/// is comes back, passwords included: there only single parameters are asked for.
const SETTINGS_BY_NAME: (u32, u32) = (17, 0);

/// Installed modules.
pub(super) struct Modules {
    /// The installed ones of those that matter.
    pub(super) known: Known<BTreeSet<Module>>,
    /// The names of the installed ones among those that were searched; empty if modules are unknown.
    names: BTreeSet<String>,
}

impl Modules {
    /// The known modules among the installed ones.
    pub(super) fn of(names: Known<Vec<Text>>) -> Self {
        Self {
            names: names
                .complete()
                .into_iter()
                .flatten()
                .cloned()
                .map(String::from)
                .collect(),
            known: names.map(|names| names.iter().filter_map(|name| name.parse().ok()).collect()),
        }
    }

    /// Returns true if a module is known to be installed.
    fn has(&self, module: Module) -> bool {
        self.known
            .complete()
            .is_some_and(|modules| modules.contains(&module))
    }
}

/// True if 19 and later answer XML-RPC and JSON-RPC. Unless the module `rpc` is known to be installed, the endpoints are requested: as a server-wide module it answers for
/// databases that lack it.
pub(super) async fn legacy_rpc(
    transport: &Transport,
    session: &Session,
    modules: &Modules,
) -> Option<bool> {
    if session.server.release < WITH_RPC_MODULE || modules.names.contains(RPC) {
        return Some(true);
    }
    rpc_answers(transport, session.server.api).await
}

/// The XML ids of groups that the configuration names and that do not exist, although their module is installed.
pub(super) fn missing_groups(users: &Users<'_>, modules: &Modules) -> Vec<String> {
    if users.groups_gap.is_some() {
        return Vec::new();
    }
    let is_installed = |module: &str| {
        module == "base" || modules.names.contains(module) || users.groups.has_module(module)
    };
    let configured: BTreeSet<&str> = groups::configured(users.question).collect();
    configured
        .into_iter()
        .filter(|xml_id| users.groups.id(xml_id).is_none())
        .filter(|xml_id| xml_id.split('.').next().is_some_and(is_installed))
        .map(str::to_owned)
        .collect()
}

#[derive(Deserialize)]
struct ModuleRow {
    id: u32,
    name: Text,
}
row!(ModuleRow);

/// Asks for the installed ones of the modules that matter. One that waits for its upgrade or removal is still there.
pub(super) async fn modules(users: &Users<'_>) -> Result<Modules, Error> {
    let domain = vec![
        json!(["name", "in", module_names(users.question)]),
        json!(["state", "in", ["installed", "to upgrade", "to remove"]]),
    ];
    let rows = users
        .rows::<ModuleRow>("ir.module.module", domain, &["name"])
        .await;
    let rows = unless_forbidden(rows, "ir.module.module", MODULES_GRANT)?;
    Ok(Modules::of(rows.map(|rows| {
        rows.into_iter().map(|row| row.name).collect()
    })))
}

/// The names of the modules that matter, those of the configured groups included.
pub(super) fn module_names<'q>(question: &'q Question<'_>) -> BTreeSet<&'q str> {
    let of_groups = groups::configured(question).filter_map(|xml_id| xml_id.split('.').next());
    Module::ALL
        .iter()
        .map(|module| module.as_str())
        .chain([RPC])
        .chain(of_groups)
        .collect()
}

/// The e-mail code policy in force. The parameter survives its module, so it counts only while a module has the setting: auth_totp_mail_enforce up to 18,
/// and auth_totp_mail later.
pub(super) async fn policy(
    users: &Users<'_>,
    modules: &Modules,
) -> Result<Known<Option<PolicyScope>>, Error> {
    let may_be_there = modules.known.complete().is_none_or(|modules| {
        modules.contains(&Module::AuthTotpMail) || modules.contains(&Module::AuthTotpMailEnforce)
    });
    if !may_be_there || !has_policy(users, modules).await? {
        return Ok(Known::Complete(None));
    }
    let value = if users.session.server.release >= SETTINGS_BY_NAME {
        setting(users, POLICY).await
    } else {
        let parameter =
            Call::new("ir.config_parameter", "get_param").arg("key", "auth_totp.policy");
        users.call(parameter, "auth_totp.policy").await.map(Some)
    };
    let grant = if users.session.server.release < SETTINGS_BY_NAME {
        POLICY_GRANT
    } else if modules.has(Module::AuthOauth) || users.has("oauth_uid") {
        POLICY_GRANT_WITH_OAUTH
    } else {
        POLICY_GRANT_BY_NAME
    };
    match unless_forbidden(value, "the e-mail code policy", grant)? {
        Known::Complete(value) => policy_of(value),
        Known::Missing(gap) => Ok(Known::Missing(gap)),
        Known::NotAsked => Ok(Known::NotAsked),
    }
}

/// The policy, of the value that Odoo keeps.
pub(super) fn policy_of(value: Option<Setting>) -> Result<Known<Option<PolicyScope>>, Error> {
    match value {
        None | Some(Setting::Unset) => Ok(Known::Complete(None)),
        Some(Setting::Text(text)) if text.is_empty() => Ok(Known::Complete(None)),
        Some(Setting::Text(text)) => match text.parse() {
            Ok(scope) => Ok(Known::Complete(Some(scope))),
            Err(_) => Ok(Known::Missing(Gap {
                seen: "auth_totp.policy has an unknown value".to_owned(),
                grant: "nothing: set the policy to employee_required or all_required, or report the value",
            })),
        },
        Some(_) => Err(Error::new(
            Kind::Unexpected,
            "auth_totp.policy is not a text",
        )),
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
    modules: &Modules,
) -> Result<Option<TrustedNetworks>, Error> {
    if !modules.has(Module::AuthTotpIpCheck) {
        return Ok(None);
    }
    let rows = users
        .rows::<NetworkRow>("auth_totp.cidr", Vec::new(), &["user_ids"])
        .await;
    Ok(Some(match unless_unreadable(rows)? {
        Some(rows) => {
            let everybody = rows.iter().filter(|row| row.user_ids.is_empty()).count() as u64;
            TrustedNetworks::Rows {
                personal: rows.len() as u64 - everybody,
                everybody,
            }
        }
        None => TrustedNetworks::Unreadable,
    }))
}

#[derive(Deserialize)]
struct ClearTextKeyRow {
    id: u32,
    user_id: Many2one,
}
row!(ClearTextKeyRow);

/// Owners of the API keys that `auth_api_key` stores in clear text, if it is installed. Its field `key` is never read.
pub(super) async fn clear_text_keys(
    users: &Users<'_>,
    modules: &Modules,
) -> Result<Option<Vec<u32>>, Error> {
    if !modules.has(Module::AuthApiKey) {
        return Ok(None);
    }
    let rows = users
        .rows::<ClearTextKeyRow>("auth.api.key", Vec::new(), &["user_id"])
        .await;
    let owners = |rows: Vec<ClearTextKeyRow>| rows.iter().map(|row| row.user_id.id()).collect();
    Ok(unless_unreadable(rows)?.map(owners))
}

/// True if `impersonate_login` excludes administrators. Only its later versions have the setting.
pub(super) async fn administrators_spared(
    users: &Users<'_>,
    modules: &Modules,
) -> Result<Option<bool>, Error> {
    const FIELD: &str = "restrict_impersonate_admin_settings";
    let release = users.session.server.release;
    if release < SETTINGS_BY_NAME || !modules.has(Module::ImpersonateLogin) {
        return Ok(None);
    }
    if !has_setting(users, FIELD).await? {
        return Ok(None);
    }
    let value = unless_unreadable(setting(users, FIELD).await)?;
    Ok(match value.flatten() {
        Some(Setting::Yes) => Some(true),
        Some(Setting::Unset) => Some(false),
        _ => None,
    })
}

/// `None` where the account may not read, or the model is not there.
fn unless_unreadable<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NoSuchName) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True if the settings have the policy: read again when other modules are installed.
async fn has_policy(users: &Users<'_>, modules: &Modules) -> Result<bool, Error> {
    let known = users.learned().policy.clone();
    if let Some((names, there)) = known
        && names == modules.names
        && modules.known.complete().is_some()
    {
        return Ok(there);
    }
    let there = has_setting(users, POLICY).await?;
    users.learned().policy = Some((modules.names.clone(), there));
    Ok(there)
}

/// True if the settings have a field: each comes with its module.
async fn has_setting(users: &Users<'_>, field: &'static str) -> Result<bool, Error> {
    let fields = Call::new("res.config.settings", "fields_get")
        .arg("allfields", vec![field])
        .named("attributes", vec!["type"]);
    let fields: BTreeMap<String, IgnoredAny> = users.call(fields, "the fields of settings").await?;
    Ok(fields.contains_key(field))
}

/// One setting, from [`SETTINGS_BY_NAME`] on.
async fn setting(users: &Users<'_>, field: &'static str) -> Result<Option<Setting>, Error> {
    let settings = Call::new("res.config.settings", "default_get").arg("fields", vec![field]);
    let mut settings: BTreeMap<String, Setting> = users.call(settings, "settings").await?;
    Ok(settings.remove(field))
}
