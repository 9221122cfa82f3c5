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
            "1 for the policy in force, the widest if there are several.",
        )
        .notes("Exactly one is 1. `module`: a known third-party enforcement module, and no policy of Odoo.")
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
            "1 if a second factor is mandatory for this type of user, 0 if not.",
        )
        .notes("`all_required` covers every type.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| {
            samples.add_per_type(posture, posture.enforcement.map(|all| all.covers));
        }),
        Family::gauge(
            "odoo_mfa_enforcement_weakened_timestamp_seconds",
            "Time at which a poll last found that a second factor is no longer enforced for this type of user.",
        )
        .notes("Only if it was enforced for 90 minutes or longer. Absent if never. Stays while the target is down, and over restarts.")
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
            "1 for each installed module that affects authentication.",
        )
        .notes("Only installed modules.")
        .labels(&[Label::closed("module", Module::WORDS)])
        .posture(|posture, samples| {
            for module in posture.modules.iter().flatten() {
                samples.add(&[module.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_mfa_bypass_present",
            "1 if this mechanism bypasses the second factor, 0 if not.",
        )
        .notes("`trusted_network`: at least one network is trusted, or the module is installed and its rows cannot be read. Others: the module is installed.")
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
            "1 if the configuration accepts this bypass of the second factor.",
        )
        .notes("Only accepted bypasses.")
        .labels(&[MECHANISM])
        .target(|target, samples| {
            for mechanism in &target.identity.accept_bypasses {
                samples.add(&[mechanism.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_password_rpc_users",
            "Active users, exempt or not, whose password alone may open XML-RPC or JSON-RPC: an upper bound.",
        )
        .notes("Users without TOTP and, from 19 on, not covered by the policy in force. 0 on 19 and later without the module `rpc`. A passkey changes nothing.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.password_rpc)),
        Family::gauge(
            "odoo_password_rpc_used_users",
            "Active users, exempt or not, whose password alone opened XML-RPC or JSON-RPC within the last 30 days.",
        )
        .notes("Requires the module `mfa_auditor_use` (odoo-addons.md), for at least 30 days; absent otherwise.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.password_rpc_used)),
        Family::gauge(
            "odoo_endpoint_exposed",
            "1 if Odoo answers this endpoint without credentials, 0 if it is blocked.",
        )
        .notes("Absent if the connection is refused, times out or fails in TLS. Only for configured vantage points.")
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
            "1 if the configuration says that this endpoint must be blocked from this vantage point.",
        )
        .notes("Alerts consider only these.")
        .labels(&[VANTAGE, ENDPOINT])
        .target(|target, samples| {
            for (vantage, endpoint) in &target.identity.expect_blocked {
                samples.add(&[vantage, endpoint.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_surface_last_check_timestamp_seconds",
            "Time of the last check from this vantage point.",
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
