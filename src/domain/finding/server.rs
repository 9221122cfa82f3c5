//! Findings about the server: what it enforces, what goes around that, what is reachable, and what the account cannot see.

use super::{Case, Finding, Kind, Severity, count_users, counted, grouped};
use crate::domain::facts::TrustedNetworks;
use crate::domain::posture::Enforcer;
use crate::domain::surface::Exposure;
use crate::domain::vocabulary::Bypass;
use crate::domain::{Capability, Endpoint, IdSet, Module};

pub(super) fn find(case: &Case, found: &mut Vec<Finding>) {
    installed(case, found);
    enforcement(case, found);
    trusted_networks(case, found);
    other_bypasses(case, found);
    password_rpc(case, found);
    surface(case, found);
    missing_groups(case, found);
    clock(case, found);
    capabilities(case, found);
}

fn has(case: &Case, module: Module) -> bool {
    case.facts
        .modules
        .complete()
        .is_some_and(|modules| modules.contains(&module))
}

fn installed(case: &Case, found: &mut Vec<Finding>) {
    if case.facts.modules.complete().is_some() && !has(case, Module::AuthTotp) {
        found.push(
            Finding::new(
                Kind::TotpNotInstalled,
                Severity::Critical,
                "Odoo's two-factor authentication is not installed",
            )
            .about(Module::AuthTotp.as_str())
            .detail("Without the module auth_totp no user can enroll an authenticator.")
            .what_to_do("Install 'Two-Factor Authentication (TOTP)': in Apps, remove the filter 'Apps' and search auth_totp."),
        );
    }
}

fn enforcement(case: &Case, found: &mut Vec<Finding>) {
    let Some(enforcement) = case.posture.enforcement else {
        return;
    };
    if enforcement.by != Enforcer::None {
        return;
    }
    let what_to_do = if case.facts.is_at_least((19, 0)) {
        "Settings > General Settings > Permissions > Enforce two-factor authentication (needs the module auth_totp_mail)."
    } else if case.facts.is_at_least((15, 0)) {
        "Install the module auth_totp_mail_enforce, then Settings > General Settings > Permissions > Enforce two-factor authentication."
    } else {
        "Odoo 14 has no such setting: upgrade, or check with this report that users enroll."
    };
    found.push(
        Finding::new(
            Kind::EnforcementNone,
            Severity::Warning,
            "A second factor is not mandatory",
        )
        .detail("Users decide for themselves, and can disable it again. A policy counts only while its module is installed.")
        .what_to_do(what_to_do),
    );
}

/// A bypass that the configuration accepts is only worth knowing.
fn unless_accepted(case: &Case, bypass: Bypass, severity: Severity) -> Severity {
    if case.accept_bypasses.contains(&bypass) {
        Severity::Info
    } else {
        severity
    }
}

fn trusted_networks(case: &Case, found: &mut Vec<Finding>) {
    let Some(networks) = &case.facts.trusted_networks else {
        return;
    };
    let (severity, title, detail) = match networks {
        TrustedNetworks::Rows {
            personal: 0,
            everybody: 0,
        } => return,
        TrustedNetworks::Rows {
            personal,
            everybody: 0,
        } => (
            Severity::Warning,
            format!(
                "{} the second factor for some users",
                counted(*personal, "trusted network waives", "trusted networks waive")
            ),
            "In such a network, these users need only their passwords.".to_owned(),
        ),
        TrustedNetworks::Rows { everybody, .. } => (
            Severity::Critical,
            format!(
                "{} the second factor for all users",
                counted(*everybody, "trusted network waives", "trusted networks waive")
            ),
            "A row of the module auth_totp_ip_check without users applies to all users. Behind a reverse proxy that hides client addresses, it can apply to every client.".to_owned(),
        ),
        TrustedNetworks::Unreadable => (
            Severity::Warning,
            "Trusted networks may skip the second factor".to_owned(),
            "The module auth_totp_ip_check is installed, and the account cannot read its networks.".to_owned(),
        ),
    };
    found.push(
        Finding::new(Kind::TrustedNetwork, unless_accepted(case, Bypass::TrustedNetwork, severity), title)
            .about(Module::AuthTotpIpCheck.as_str())
            .detail(detail)
            .what_to_do("Remove the networks (model auth_totp.cidr), or limit each row to the few users who need it. If the account cannot read them, grant it read access to auth_totp.cidr."),
    );
}

fn other_bypasses(case: &Case, found: &mut Vec<Finding>) {
    if has(case, Module::AuthAdminPasskey) {
        found.push(
            Finding::new(
                Kind::MasterPassword,
                unless_accepted(case, Bypass::MasterPassword, Severity::Critical),
                "One password opens every account",
            )
            .about(Module::AuthAdminPasskey.as_str())
            .detail("The module auth_admin_passkey accepts a master password from Odoo's configuration file for all users. Whether it also skips the second factor depends on auth_admin_passkey_ignore_totp there, which is not visible from outside.")
            .what_to_do("Uninstall auth_admin_passkey, or remove auth_admin_passkey_password from Odoo's configuration file."),
        );
    }
    if has(case, Module::ImpersonateLogin) {
        found.push(
            Finding::new(
                Kind::Impersonation,
                unless_accepted(case, Bypass::Impersonation, Severity::Warning),
                "Some users can act as other users",
            )
            .about(Module::ImpersonateLogin.as_str())
            .detail(format!(
                "The module impersonate_login lets the users of its group log in as others, without their second factor{}.",
                match case.facts.administrators_spared {
                    Some(true) => "; administrators are excluded",
                    Some(false) => "; administrators are not excluded",
                    None => "",
                }
            ))
            .what_to_do("Keep its group small and protected, exclude administrators (in Settings, if its version supports it), and review its log (model impersonate.log). Or uninstall it."),
        );
    }
}

fn password_rpc(case: &Case, found: &mut Vec<Finding>) {
    let Some(open) = case.posture.password_rpc else {
        return;
    };
    let total: u64 = open.0.iter().sum();
    if total == 0 {
        return;
    }
    let by_type: Vec<String> = open
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(user_type, count)| format!("{} {user_type}", grouped(*count)))
        .collect();
    let people: IdSet = case.facts.totp.complete().map_or_else(IdSet::new, |totp| {
        (case.named() - totp)
            .iter()
            .filter(|id| open[case.facts.people.type_of(*id)] > 0)
            .collect()
    });
    let what_to_do = if case.facts.is_at_least((19, 0)) {
        "Block /xmlrpc and /jsonrpc at the reverse proxy for clients that do not need them, or uninstall the module rpc and move programs to JSON-2, which accepts API keys only. The e-mail code policy also closes RPC for the users that it covers."
    } else {
        "Block /xmlrpc and /jsonrpc at the reverse proxy for clients that do not need them. Enrolling TOTP disables the password there; the e-mail code policy changes nothing before Odoo 19."
    };
    found.push(
        Finding::new(
            Kind::PasswordRpcOpen,
            Severity::Warning,
            format!("The password alone of {} may open XML-RPC and JSON-RPC", count_users(total)),
        )
        .detail(format!(
            "By type: {}, exempt users included. This is an upper bound, because local passwords are not visible. A passkey changes nothing here.",
            by_type.join(", ")
        ))
        .what_to_do(what_to_do)
        .people(people),
    );
}

fn surface(case: &Case, found: &mut Vec<Finding>) {
    for checked in case.surface {
        for (endpoint, seen) in &checked.endpoints {
            let subject = format!("{}/{endpoint}", checked.vantage);
            let unwanted = checked.expect_blocked.contains(endpoint);
            let databases = matches!(endpoint, Endpoint::DatabaseManager | Endpoint::DatabaseList);
            match seen.exposure {
                // An API has to be reachable from somewhere; the database manager has to be reachable from nowhere.
                Exposure::Exposed if unwanted || databases => found.push(
                    Finding::new(
                        Kind::EndpointExposed,
                        if unwanted {
                            Severity::Critical
                        } else {
                            Severity::Info
                        },
                        format!(
                            "Vantage point {} reaches {}",
                            checked.vantage,
                            name(*endpoint)
                        ),
                    )
                    .about(subject)
                    .detail(format!("Without credentials: {}.", seen.why))
                    .what_to_do(how_to_close(*endpoint)),
                ),
                Exposure::Unknown if unwanted => found.push(
                    Finding::new(
                        Kind::SurfaceUnknown,
                        Severity::Info,
                        format!(
                            "Unknown whether vantage point {} reaches {}",
                            checked.vantage,
                            name(*endpoint)
                        ),
                    )
                    .about(subject)
                    .detail(format!("{}.", seen.why))
                    .what_to_do(
                        "Check `url` and `proxy` of the vantage point in the configuration.",
                    ),
                ),
                Exposure::Exposed | Exposure::Blocked | Exposure::Unknown => {}
            }
        }
    }
}

/// The usual name of an endpoint.
pub(super) fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Xmlrpc => "XML-RPC",
        Endpoint::Jsonrpc => "JSON-RPC",
        Endpoint::Json2 => "JSON-2",
        Endpoint::DatabaseManager => "the database manager",
        Endpoint::DatabaseList => "the list of databases",
    }
}

fn how_to_close(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Xmlrpc => "Block /xmlrpc at the reverse proxy.",
        Endpoint::Jsonrpc => "Block /jsonrpc at the reverse proxy.",
        Endpoint::Json2 => "Block /json at the reverse proxy.",
        Endpoint::DatabaseList => {
            "Set list_db = False in Odoo's configuration file, which closes the list at every path. At the reverse proxy, block /web/database, /xmlrpc and /jsonrpc."
        }
        Endpoint::DatabaseManager => {
            "Set list_db = False in Odoo's configuration file and a long random admin_passwd, and block /web/database at the reverse proxy."
        }
    }
}

fn missing_groups(case: &Case, found: &mut Vec<Finding>) {
    for xml_id in &case.facts.missing_groups {
        found.push(
            Finding::new(
                Kind::ConfiguredGroupMissing,
                Severity::Warning,
                format!("The configured group {xml_id} does not exist"),
            )
            .about(xml_id.as_str())
            .detail("Its module is installed, so the XML id is misspelled, or this Odoo version does not have the group. A role without it has fewer users, and an exemption by it exempts no user.")
            .what_to_do("Correct privileged_roles or the target's exemptions. Settings > Technical > External Identifiers lists the XML ids of the model res.groups."),
        );
    }
}

fn clock(case: &Case, found: &mut Vec<Finding>) {
    found.extend(case.facts.clock_skew().map(|skew| {
        Finding::new(Kind::ClocksDiffer, Severity::Warning, skew)
            .detail("Ages, grace periods and expiry dates follow Odoo's clock; times of polls, changes and alerts follow the exporter's.")
            .what_to_do("Synchronize the clocks of both hosts with NTP.")
    }));
}

fn capabilities(case: &Case, found: &mut Vec<Finding>) {
    for (capability, gap) in case.facts.gaps() {
        let accepted = case.accept_missing.contains(&capability);
        found.push(
            Finding::new(
                Kind::CapabilityMissing,
                if accepted {
                    Severity::Info
                } else {
                    Severity::Warning
                },
                format!("Unknown: {}", what(capability)),
            )
            .about(capability.as_str())
            .detail(format!("{}. Figures that need it are absent.", gap.seen))
            .what_to_do(format!("Grant the polling account: {}.", gap.grant)),
        );
    }
}

fn what(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "all users",
        Capability::Totp => "which users enrolled TOTP",
        Capability::Passkeys => "passkeys of all users",
        Capability::ApiKeys => "API keys of all users",
        Capability::TrustedDevices => "trusted devices of all users",
        Capability::Policy => "the e-mail code policy",
        Capability::Modules => "which modules are installed",
        Capability::Groups => "members of roles",
        Capability::Logins => "last logins of users",
    }
}
