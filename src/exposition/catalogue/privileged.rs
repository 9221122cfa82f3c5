//! Families about people in privileged roles.

use super::{Family, Label, Samples, Section};
use crate::domain::posture::{Privileged, Role};
use crate::domain::transition::PrivilegeTransition;
use crate::domain::{ExemptReason, Posture};

const ROLE: Label = Label::open("role");

pub const SECTION: Section = Section {
    title: "Privileged users",
    intro: "",
    families: &[
        Family::gauge(
            "odoo_privileged_users",
            "Distinct eligible people in at least one role.",
        )
        .posture(|posture, samples| samples.add_known(of_all(posture, |all| Some(all.people)))),
        Family::gauge(
            "odoo_privileged_users_without_mfa",
            "Distinct eligible people in at least one role who are unprotected.",
        )
        .posture(|posture, samples| samples.add_known(of_all(posture, |all| all.unprotected))),
        Family::gauge(
            "odoo_privileged_exempt_users",
            "Distinct exempt active users in at least one role.",
        )
        .labels(&[Label::closed("reason", ExemptReason::WORDS)])
        .posture(|posture, samples| {
            if let Some(all) = &posture.privileged {
                samples.add_each(ExemptReason::WORDS, &all.exempt);
            }
        }),
        Family::gauge("odoo_role_users", "Distinct eligible people in the role.")
            .labels(&[ROLE])
            .posture(|posture, samples| add_roles(samples, posture, |role| Some(role.people))),
        Family::gauge(
            "odoo_role_users_without_mfa",
            "Eligible people in the role who are unprotected.",
        )
        .labels(&[ROLE])
        .posture(|posture, samples| add_roles(samples, posture, |role| role.unprotected)),
        Family::gauge(
            "odoo_role_users_without_mfa_past_grace",
            "Eligible people in the role who are unprotected and past the grace period.",
        )
        .labels(&[ROLE])
        .posture(|posture, samples| {
            add_roles(samples, posture, |role| role.unprotected_past_grace)
        }),
        Family::gauge(
            "odoo_role_users_with_passkey",
            "Eligible users in the role who have a passkey.",
        )
        .notes("The only factor of Odoo that resists phishing. Needs `passkeys`.")
        .labels(&[ROLE])
        .posture(|posture, samples| add_roles(samples, posture, |role| role.with_passkey)),
        Family::gauge(
            "odoo_role_exempt_users",
            "Active people in the role who are exempt.",
        )
        .notes("An exempt administrator must not vanish.")
        .labels(&[ROLE])
        .posture(|posture, samples| add_roles(samples, posture, |role| Some(role.exempt))),
        Family::counter(
            "odoo_privilege_transitions_total",
            "Active people who became privileged, or stopped being so.",
        )
        .notes("Leaving is no transition.")
        .labels(&[Label::closed("transition", PrivilegeTransition::WORDS)])
        .counters(|counters, samples| {
            samples.add_each(
                PrivilegeTransition::WORDS,
                counters.privilege.as_slice().as_flattened(),
            );
        }),
        Family::gauge(
            "odoo_admins_with_mfa",
            "Protected people in the role settings.",
        )
        .notes("At 1, with one person in `settings`, a lost phone locks the administrators out.")
        .posture(|posture, samples| samples.add_known(of_all(posture, |all| all.protected_admins))),
    ],
};

fn of_all(posture: &Posture, count: fn(&Privileged) -> Option<u64>) -> Option<u64> {
    posture.privileged.as_ref().and_then(count)
}

fn add_roles(samples: &mut Samples, posture: &Posture, count: fn(&Role) -> Option<u64>) {
    for role in posture.privileged.iter().flat_map(|all| &all.roles) {
        if let Some(count) = count(role) {
            samples.add(&[&role.name], count);
        }
    }
}
