//! Families about people and their second factors.

use super::samples::user_types;
use super::{Family, Label, Section, USER_TYPE};
use crate::domain::transition::{MfaTransition, RecentTransition};
use crate::domain::{ExemptReason, Factor, UserType};

const TRANSITION: Label = Label::closed("transition", MfaTransition::WORDS);

pub const SECTION: Section = Section {
    title: "Users and second factors",
    intro: "",
    families: &[
        Family::gauge("odoo_users", "All people.")
            .labels(&[USER_TYPE, Label::closed("state", &["active", "archived"])])
            .posture(|posture, samples| {
                for user_type in user_types(Some(posture)) {
                    let word = user_type.as_str();
                    samples.add(&[word, "active"], posture.active[user_type]);
                    samples.add(&[word, "archived"], posture.archived[user_type]);
                }
            }),
        Family::gauge(
            "odoo_mfa_accepted_factor",
            "Whether this counts as a second factor, as configured.",
        )
        .notes("1 or 0, also while the target is down.")
        .labels(&[Label::closed("factor", Factor::WORDS)])
        .target(|target, samples| {
            for factor in Factor::ALL {
                samples.add(
                    &[factor.as_str()],
                    target.identity.accepted.contains(factor),
                );
            }
        }),
        Family::gauge(
            "odoo_mfa_eligible_users",
            "Active people who are not exempt: the denominator of the coverage.",
        )
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, Some(posture.eligible))),
        Family::gauge(
            "odoo_mfa_protected_users",
            "Eligible people with at least one accepted factor.",
        )
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.protected)),
        Family::gauge(
            "odoo_mfa_coverage_ratio",
            "Protected people divided by eligible people.",
        )
        .notes("Absent where nobody is eligible.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| {
            let Some(protected) = posture.protected else {
                return;
            };
            for user_type in user_types(Some(posture)) {
                let eligible = posture.eligible[user_type];
                if eligible > 0 {
                    let ratio = protected[user_type] as f64 / eligible as f64;
                    samples.add(&[user_type.as_str()], ratio);
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_coverage_target_ratio",
            "The wanted coverage, as configured.",
        )
        .notes("Absent where none is wanted. Stays while the target is down.")
        .labels(&[USER_TYPE])
        .target(|target, samples| {
            for user_type in user_types(target.posture.as_deref()) {
                if let Some(wanted) = target.identity.coverage_target[user_type] {
                    samples.add(&[user_type.as_str()], wanted);
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_enrolled_users",
            "Active people, exempt or not, who enrolled this method.",
        )
        .notes("Somebody with both is in both: the one set that overlaps.")
        .labels(&[USER_TYPE, Label::closed("method", &["totp", "passkey"])])
        .posture(|posture, samples| {
            for user_type in user_types(Some(posture)) {
                for (method, enrolled) in [("totp", posture.totp), ("passkey", posture.passkey)] {
                    if let Some(enrolled) = enrolled {
                        samples.add(&[user_type.as_str(), method], enrolled[user_type]);
                    }
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_single_factor_users",
            "Eligible people with exactly one enrolled method.",
        )
        .notes("Several passkeys are one. Odoo has no recovery codes, so a lost phone locks them out.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.single_factor)),
        Family::gauge(
            "odoo_mfa_grace_users",
            "Unprotected people whose account is younger than the grace period.",
        )
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.grace)),
        Family::gauge(
            "odoo_mfa_well_known_accounts_active",
            "Accounts that Odoo or a website uses for no user, and that can act as one.",
        )
        .notes("The public user, the portal template, the default user and the websites' users: not archived, or with the rights of internal or portal users.")
        .posture(|posture, samples| samples.add(&[], posture.well_known_active)),
        Family::gauge(
            "odoo_mfa_well_known_accounts_privileged",
            "Accounts in a role that Odoo or a website uses for no user, and that can act as one.",
        )
        .posture(|posture, samples| {
            if let Some(count) = posture.well_known_privileged {
                samples.add(&[], count);
            }
        }),
        Family::gauge(
            "odoo_mfa_exempt_users",
            "Active people whom the configuration exempts.",
        )
        .notes("For example shared terminals that cannot hold an authenticator.")
        .labels(&[USER_TYPE, Label::closed("reason", ExemptReason::WORDS)])
        .posture(|posture, samples| {
            for user_type in user_types(Some(posture)) {
                for reason in ExemptReason::ALL {
                    samples.add(
                        &[user_type.as_str(), reason.as_str()],
                        posture.exempt[user_type][*reason as usize],
                    );
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_break_glass_last_login_timestamp_seconds",
            "The last login of the accounts exempted as `break_glass`.",
        )
        .notes("Absent without such an account, before its first login, and without `logins`.")
        .posture(|posture, samples| samples.add_known(posture.break_glass_login)),
        Family::gauge(
            "odoo_mfa_exemptions",
            "Exemptions of the configuration, by what became of them.",
        )
        .labels(&[Label::closed("state", &["valid", "expired", "unmatched"])])
        .posture(|posture, samples| {
            samples.add(&["valid"], posture.exemptions.valid);
            samples.add(&["expired"], posture.exemptions.expired);
            samples.add(&["unmatched"], posture.exemptions.unmatched);
        }),
        Family::gauge(
            "odoo_mfa_sso_users",
            "Active people, exempt or not, linked to an identity provider.",
        )
        .notes("Odoo cannot see their second factor.")
        .labels(&[USER_TYPE, Label::closed("provider", &["oauth", "saml"])])
        .posture(|posture, samples| {
            for user_type in user_types(Some(posture)) {
                for (provider, linked) in [("oauth", posture.oauth), ("saml", posture.saml)] {
                    if let Some(linked) = linked {
                        samples.add(&[user_type.as_str(), provider], linked[user_type]);
                    }
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_dormant_unprotected_users",
            "Unprotected people without a login for the dormancy period.",
        )
        .notes("Somebody who never logged in counts once the account is that old. Needs `logins`.")
        .labels(&[USER_TYPE])
        .posture(|posture, samples| samples.add_per_type(posture, posture.dormant_unprotected)),
        Family::gauge(
            "odoo_mfa_trusted_devices",
            "Browsers that skip the second factor.",
        )
        .posture(|posture, samples| samples.add_known(posture.devices.map(|all| all.devices))),
        Family::gauge(
            "odoo_mfa_trusted_device_users",
            "People who own a browser that skips the second factor.",
        )
        .posture(|posture, samples| samples.add_known(posture.devices.map(|all| all.owners))),
        Family::counter(
            "odoo_mfa_transitions_total",
            "People who enrolled a first factor, or went from a factor to none.",
        )
        .notes("Net between two polls, by user id, restarts included. `disabled`: active in both, had TOTP or a passkey, now neither. Leaving, archiving, changes of type, exemption or configuration are no transition.")
        .labels(&[USER_TYPE, TRANSITION])
        .counters(|counters, samples| {
            for (user_type, counts) in counters.mfa.iter() {
                for (transition, count) in MfaTransition::ALL.iter().zip(counts.iter().flatten()) {
                    samples.add(&[user_type.as_str(), transition.as_str()], *count);
                }
            }
        }),
        Family::gauge(
            "odoo_mfa_recently_unprotected_users",
            "Eligible users who lost their protection within the last 7 days and are still without it.",
        )
        .notes("By any accepted factor, policy and SSO included. Exact by user id, over restarts and outages of any length; portal users whom a policy protected are counted. New users, changes of the configuration and expired exemptions never enter. After a restored backup the net loss of protected users enters.")
        .labels(&[USER_TYPE])
        .target(|target, samples| {
            if let Some(posture) = &target.posture {
                samples.add_per_type(posture, target.recently_unprotected);
            }
        }),
        Family::gauge(
            "odoo_mfa_recent_transitions",
            "Users whose transition was found within the last 3 hours.",
        )
        .notes("Restarts and failed polls included: it stays while the target is down. The first poll of a database and a restored backup give 0.")
        .labels(&[Label::closed("transition", RecentTransition::WORDS)])
        .target(|target, samples| {
            let (Some(counters), Some(recent)) = (&target.counters, &target.recent) else {
                return;
            };
            for kind in RecentTransition::ALL {
                // As the counters: absent until the capability was there.
                let known = match kind {
                    RecentTransition::Disabled => counters.mfa[UserType::Internal].is_some(),
                    RecentTransition::PrivilegedDisabled => counters.privileged_mfa.is_some(),
                    RecentTransition::PrivilegeGranted => counters.privilege.is_some(),
                };
                if known {
                    samples.add(&[kind.as_str()], recent.people(*kind).len());
                }
            }
        }),
        Family::counter(
            "odoo_privileged_mfa_transitions_total",
            "People in a role who enrolled a first factor, or went from a factor to none.",
        )
        .notes("As `odoo_mfa_transitions_total`.")
        .labels(&[TRANSITION])
        .counters(|counters, samples| {
            samples.add_each(MfaTransition::WORDS, counters.privileged_mfa.as_slice().as_flattened());
        }),
    ],
};
