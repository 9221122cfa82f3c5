//! Findings about the server: what it enforces, what goes around that, what is reachable, and what the account cannot see.

use super::{Case, Finding, Kind, Severity, counted, grouped, persons};
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
            .detail("Without the module auth_totp nobody can enrol an authenticator.")
            .what_to_do("Install 'Two-Factor Authentication (TOTP)': Apps, without the filter 'Apps', search auth_totp."),
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
        "Odoo 14 has no such setting: upgrade, or check by this report that people enrol."
    };
    found.push(
        Finding::new(
            Kind::EnforcementNone,
            Severity::Warning,
            "Nothing makes a second factor mandatory",
        )
        .detail("Everybody decides for themselves, and may switch it off again. A policy that was set counts only while its module is installed.")
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
                "{} the second factor for named people",
                counted(*personal, "trusted network waives", "trusted networks waive")
            ),
            "Whoever is in such a network needs only their passwords.".to_owned(),
        ),
        TrustedNetworks::Rows { everybody, .. } => (
            Severity::Critical,
            format!(
                "Nobody needs a second factor from {}",
                counted(*everybody, "trusted network", "trusted networks")
            ),
            "A row of the module auth_totp_ip_check that names no people holds for everybody. Behind a reverse proxy that hides addresses, that may be the whole world.".to_owned(),
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
            .what_to_do("Remove the networks (model auth_totp.cidr), or name in each row the few people who need it. If the account may not read them, grant it read access to auth_totp.cidr."),
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
            .detail("The module auth_admin_passkey accepts a master password from the server's configuration file for everybody. Whether it also skips the second factor depends on auth_admin_passkey_ignore_totp there, which cannot be read from outside.")
            .what_to_do("Uninstall auth_admin_passkey, or remove auth_admin_passkey_password from the server's configuration file."),
        );
    }
    if has(case, Module::ImpersonateLogin) {
        found.push(
            Finding::new(
                Kind::Impersonation,
                unless_accepted(case, Bypass::Impersonation, Severity::Warning),
                "Some people may act as somebody else",
            )
            .about(Module::ImpersonateLogin.as_str())
            .detail(format!(
                "The module impersonate_login lets the people of its group log in as others, without the others' second factor{}.",
                match case.facts.administrators_spared {
                    Some(true) => "; administrators are spared",
                    Some(false) => "; administrators are not spared",
                    None => "",
                }
            ))
            .what_to_do("Keep its group small and protected, spare administrators (Settings, where its version has the setting), look at its log (model impersonate.log), or uninstall it."),
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
        "Block /xmlrpc and /jsonrpc at the reverse proxy for everybody who does not need them, or uninstall the module rpc and let programs use JSON-2, which takes keys only. The e-mail code policy closes it for those whom it covers."
    } else {
        "Block /xmlrpc and /jsonrpc at the reverse proxy for everybody who does not need them. Whoever enrols TOTP can no longer use a bare password there; the e-mail code policy changes nothing before Odoo 19."
    };
    found.push(
        Finding::new(
            Kind::PasswordRpcOpen,
            Severity::Warning,
            format!("The bare password of {} may open XML-RPC and JSON-RPC", persons(total)),
        )
        .detail(format!(
            "By type: {}, exempt people included. An upper bound: whether somebody has a local password cannot be seen. A passkey changes nothing here.",
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
                        format!("Vantage {} reaches {}", checked.vantage, name(*endpoint)),
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
                            "Whether vantage {} reaches {} is not known",
                            checked.vantage,
                            name(*endpoint)
                        ),
                    )
                    .about(subject)
                    .detail(format!("{}.", seen.why))
                    .what_to_do("Check the vantage's url and proxy in the configuration."),
                ),
                Exposure::Exposed | Exposure::Blocked | Exposure::Unknown => {}
            }
        }
    }
}

/// What people call an endpoint.
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
            "Set list_db = False in Odoo's configuration file: it closes the list at every path. At the reverse proxy that takes /web/database, /xmlrpc and /jsonrpc."
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
            .detail("Its module is installed, so the XML id is misspelled, or this Odoo version does not have the group. A role without it has fewer users, and an exemption by it exempts nobody.")
            .what_to_do("Correct privileged_roles or the target's exemptions. Settings > Technical > External Identifiers lists the XML ids of the model res.groups."),
        );
    }
}

fn clock(case: &Case, found: &mut Vec<Finding>) {
    found.extend(case.facts.clock_skew().map(|skew| {
        Finding::new(Kind::ClocksDiffer, Severity::Warning, skew)
            .detail("Ages, grace periods and expiry dates are computed by Odoo's clock; times of polls, changes and alerts are by the exporter's.")
            .what_to_do("Synchronize the clocks of both hosts by NTP.")
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
                format!("Not known: {}", what(capability)),
            )
            .about(capability.as_str())
            .detail(format!("{}. Numbers that need it are left out.", gap.seen))
            .what_to_do(format!("Grant the polling account: {}.", gap.grant)),
        );
    }
}

fn what(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "all users",
        Capability::Totp => "who enrolled TOTP",
        Capability::Passkeys => "everybody's passkeys",
        Capability::ApiKeys => "everybody's API keys",
        Capability::TrustedDevices => "everybody's trusted devices",
        Capability::Policy => "the e-mail code policy",
        Capability::Modules => "which modules are installed",
        Capability::Groups => "who is in which role",
        Capability::Logins => "when people last logged in",
    }
}
