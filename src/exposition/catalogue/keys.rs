//! Families about API keys.

use super::{Family, Label, Section, USER_TYPE};
use crate::domain::Posture;
use crate::domain::posture::Keys;
use crate::domain::transition::KeyTransition;

pub const SECTION: Section = Section {
    title: "API keys",
    intro: "The native `res.users.apikeys`. Odoo 14's trusted browsers, which share that table, are not keys.",
    families: &[
        Family::gauge("odoo_api_keys", "Working keys, by what they open.")
            .labels(&[Label::closed("scope", &["unrestricted", "rpc", "other"])])
            .posture(|posture, samples| {
                if let Some(keys) = &posture.keys {
                    samples.add(&["unrestricted"], keys.unrestricted);
                    samples.add(&["rpc"], keys.rpc);
                    samples.add(&["other"], keys.other);
                }
            }),
        Family::gauge("odoo_api_keys_by_age", "Working keys, by age.")
            .notes("Sums to `odoo_api_keys`.")
            .labels(&[Label::closed("age", &AGES)])
            .posture(|posture, samples| {
                if let Some(keys) = &posture.keys {
                    samples.add_each(&AGES, &keys.by_age);
                }
            }),
        Family::gauge(
            "odoo_api_keys_without_expiry",
            "Working keys that never expire.",
        )
        .notes("Up to 17, where keys have no date, all of them.")
        .posture(|posture, samples| {
            samples.add_known(of_keys(posture, |keys| keys.without_expiry))
        }),
        Family::gauge(
            "odoo_api_keys_expiring",
            "Working keys that expire soon, by when.",
        )
        .labels(&[Label::closed("due", &DUE)])
        .posture(|posture, samples| {
            if let Some(keys) = &posture.keys {
                samples.add_each(&DUE, &keys.expiring);
            }
        }),
        Family::gauge("odoo_api_keys_expired", "Keys past their date.")
            .notes("Odoo 18+ purges them daily; up to 17 it is 0.")
            .posture(|posture, samples| samples.add_known(of_keys(posture, |keys| keys.expired))),
        Family::gauge(
            "odoo_api_key_owners",
            "Distinct people holding a working key.",
        )
        .labels(&[USER_TYPE])
        .posture(|posture, samples| {
            samples.add_per_type(posture, posture.keys.as_ref().map(|keys| keys.owners));
        }),
        Family::gauge(
            "odoo_api_keys_of_privileged_users",
            "Working keys of active people in a role, exempt or not.",
        )
        .notes("A key's reach does not depend on exemption.")
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.of_privileged));
        }),
        Family::gauge(
            "odoo_api_keys_of_privileged_users_without_expiry",
            "Working keys without a date of active people in a role, exempt or not.",
        )
        .notes("Absent up to Odoo 17, where no key can have a date.")
        .posture(|posture, samples| {
            let keys = posture.keys.as_ref();
            samples.add_known(keys.and_then(|keys| keys.of_privileged_without_expiry));
        }),
        Family::gauge(
            "odoo_api_keys_of_archived_users",
            "Unexpired keys of archived people.",
        )
        .notes("They work again when the owner is unarchived.")
        .posture(|posture, samples| samples.add_known(of_keys(posture, |keys| keys.of_archived))),
        Family::gauge(
            "odoo_api_keys_of_unprotected_users",
            "Working keys of people without an accepted factor, exempt or not.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.of_unprotected));
        }),
        Family::gauge(
            "odoo_api_key_oldest_creation_timestamp_seconds",
            "When the oldest working key was made.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.oldest));
        }),
        Family::gauge(
            "odoo_api_key_next_expiry_timestamp_seconds",
            "When the next working key expires.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.next_expiry));
        }),
        Family::counter(
            "odoo_api_key_transitions_total",
            "Keys that were created, revoked, or expired.",
        )
        .notes("A key that vanishes after its date has expired, not been revoked.")
        .labels(&[Label::closed("transition", KeyTransition::WORDS)])
        .counters(|counters, samples| {
            samples.add_each(
                KeyTransition::WORDS,
                counters.api_keys.as_slice().as_flattened(),
            );
        }),
        Family::gauge(
            "odoo_api_keys_unused",
            "Working keys that were not used for some time.",
        )
        .notes("Only where the module `mfa_auditor_use` (odoo-addons.md) notes use, and has done so for long enough to tell; else absent. To the hour.")
        .labels(&[Label::closed("unused_for", &UNUSED_FOR)])
        .posture(|posture, samples| {
            let unused = posture.keys.as_ref().map(|keys| keys.unused);
            for (unused_for, count) in UNUSED_FOR.iter().zip(unused.into_iter().flatten()) {
                if let Some(count) = count {
                    samples.add(&[unused_for], count);
                }
            }
        }),
    ],
};

const AGES: [&str; 4] = ["lt_30d", "30d_90d", "90d_365d", "ge_365d"];
const UNUSED_FOR: [&str; 2] = ["30d_90d", "ge_90d"];
const DUE: [&str; 2] = ["lt_7d", "7d_30d"];

fn of_keys(posture: &Posture, count: fn(&Keys) -> u64) -> Option<u64> {
    posture.keys.as_ref().map(count)
}
