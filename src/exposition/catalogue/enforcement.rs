//! Families about what makes a second factor mandatory, what goes around it, and what a server shows to strangers.

use super::{Family, Label, Section, USER_TYPE};
use crate::domain::posture::Enforcer;
use crate::domain::{Bypass, Endpoint, Module, PolicyScope};

const MECHANISM: Label = Label::closed("mechanism", Bypass::WORDS);
const VANTAGE: Label = Label::open("vantage");
const ENDPOINT: Label = Label::closed("endpoint", Endpoint::WORDS);

pub const SECTION: Section = Section {
    title: "Enforcement and exposed endpoints",
    intro: "",
    families: &[
        Family::gauge(
            "odoo_mfa_policy",
            "1 for what makes a second factor mandatory, the widest if several.",
        )
        .notes("Exactly one is 1. `module`: a known third-party enforcement module and no core policy.")
        .labels(&[Label::closed("policy", &POLICIES)])
        .posture(|posture, samples| {
            let Some(enforcement) = &posture.enforcement else {
                return;
            };
            let in_force = match enforcement.by {
                Enforcer::None => POLICIES[0],
                Enforcer::Policy(scope) => scope.as_str(),
                Enforcer::Module => POLICIES[3],
            };
            for policy in POLICIES {
                samples.add(&[policy], policy == in_force);
            }
        }),
        Family::gauge(
            "odoo_mfa_enforced",
            "Whether what is in force makes a second factor mandatory for this type.",
        )
        .notes("1 or 0; `all_required` covers every type.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| {
            samples.add_per_type(posture, posture.enforcement.map(|all| all.covers));
        }),
        Family::gauge(
            "odoo_mfa_enforcement_weakened_timestamp_seconds",
            "When a poll last found that what had enforced a second factor for this type for 90 minutes or longer does so no more.",
        )
        .notes("Absent if never. Stays while the target is down, and over restarts.")
        .labels(&[USER_TYPE])
        .target(|target, samples| {
            for (user_type, known) in target.recent.iter().flat_map(|it| it.enforcement.iter()) {
                if let Some(at) = known.weakened {
                    samples.add(&[user_type.as_str()], at);
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_module_installed",
            "1 for each installed module that changes the picture.",
        )
        .notes("Only the installed ones.")
        .labels(&[Label::closed("module", Module::WORDS)])
        .posture(|posture, samples| {
            for module in posture.modules.iter().flatten() {
                samples.add(&[module.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_mfa_bypass_present",
            "Whether this lets people around the second factor.",
        )
        .notes("1 or 0. `trusted_network`: at least one network is trusted, or the module is there and its rows cannot be read; the others: the module is installed.")
        .labels(&[MECHANISM])
        .posture(|posture, samples| {
            if let Some(bypasses) = &posture.bypasses {
                for mechanism in Bypass::ALL {
                    let present = match mechanism {
                        Bypass::TrustedNetwork => bypasses.trusted_network,
                        Bypass::MasterPassword => bypasses.master_password,
                        Bypass::Impersonation => bypasses.impersonation,
                    };
                    samples.add(&[mechanism.as_str()], present);
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_bypass_accepted",
            "1 where the configuration accepts a way around the second factor.",
        )
        .notes("Only the accepted ones.")
        .labels(&[MECHANISM])
        .target(|target, samples| {
            for mechanism in &target.identity.accept_bypasses {
                samples.add(&[mechanism.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_password_rpc_users",
            "Active people, exempt or not, whose bare password may open XML-RPC or JSON-RPC: an upper bound.",
        )
        .notes("Without TOTP and, from 19 on, not covered by the policy in force; 0 where 19+ has no module `rpc`. A passkey changes nothing.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.password_rpc)),
        Family::gauge(
            "odoo_password_rpc_used_users",
            "Active people, exempt or not, whose bare password opened XML-RPC or JSON-RPC within the last 30 days.",
        )
        .notes("Only where the module `mfa_auditor_use` (odoo-addons.md) notes use, and has done so for 30 days; else absent.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.password_rpc_used)),
        Family::gauge(
            "odoo_endpoint_exposed",
            "Whether Odoo answered this endpoint to somebody without credentials.",
        )
        .notes("1: answered by Odoo; 0: blocked; absent when refused, timed out or TLS failed. Only for configured vantages.")
        .labels(&[VANTAGE, ENDPOINT])
        .target(|target, samples| {
            for checked in target.surface.iter() {
                for (endpoint, seen) in &checked.endpoints {
                    if let Some(exposed) = seen.exposure.is_exposed() {
                        samples.add(&[&checked.vantage, endpoint.as_str()], exposed);
                    }
                }
            }
        }),
        Family::gauge(
            "odoo_endpoint_expected_blocked",
            "1 where the configuration says that this vantage must not reach the endpoint.",
        )
        .notes("Alert only on that.")
        .labels(&[VANTAGE, ENDPOINT])
        .target(|target, samples| {
            for (vantage, endpoint) in &target.identity.expect_blocked {
                samples.add(&[vantage, endpoint.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_surface_last_check_timestamp_seconds",
            "When the vantage last looked.",
        )
        .labels(&[VANTAGE])
        .target(|target, samples| {
            for checked in target.surface.iter() {
                samples.add(&[&checked.vantage], checked.at);
            }
        }),
    ],
};

const POLICIES: [&str; 4] = [
    "none",
    PolicyScope::EmployeeRequired.as_str(),
    PolicyScope::AllRequired.as_str(),
    "module",
];
