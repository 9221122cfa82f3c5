//! Families about API keys.

use super::{Family, Label, Section, USER_TYPE};
use crate::domain::Posture;
use crate::domain::posture::Keys;
use crate::domain::transition::KeyTransition;

pub const SECTION: Section = Section {
    title: "API keys",
    intro: "Odoo's own `res.users.apikeys`. The trusted browsers of Odoo 14, which are in the same table, do not count.",
    families: &[
        Family::gauge("odoo_api_keys", "Active API keys, by scope.")
            .labels(&[Label::closed("scope", &["unrestricted", "rpc", "other"])])
            .posture(|posture, samples| {
                if let Some(keys) = &posture.keys {
                    samples.add(&["unrestricted"], keys.unrestricted);
                    samples.add(&["rpc"], keys.rpc);
                    samples.add(&["other"], keys.other);
                }
            }),
        Family::gauge("odoo_api_keys_by_age", "Active API keys, by age.")
            .notes("Sums to `odoo_api_keys`.")
            .labels(&[Label::closed("age", &AGES)])
            .posture(|posture, samples| {
                if let Some(keys) = &posture.keys {
                    samples.add_each(&AGES, &keys.by_age);
                }
            }),
        Family::gauge(
            "odoo_api_keys_without_expiry",
            "Active API keys that never expire.",
        )
        .notes("Up to Odoo 17, where keys have no expiry, all of them.")
        .posture(|posture, samples| {
            samples.add_known(of_keys(posture, |keys| keys.without_expiry))
        }),
        Family::gauge(
            "odoo_api_keys_expiring",
            "Active API keys that expire soon, by time left.",
        )
        .labels(&[Label::closed("due", &DUE)])
        .posture(|posture, samples| {
            if let Some(keys) = &posture.keys {
                samples.add_each(&DUE, &keys.expiring);
            }
        }),
        Family::gauge("odoo_api_keys_expired", "Expired API keys.")
            .notes("Odoo 18 and later deletes them daily; up to 17 it is 0.")
            .posture(|posture, samples| samples.add_known(of_keys(posture, |keys| keys.expired))),
        Family::gauge(
            "odoo_api_key_owners",
            "Distinct users who own an active API key.",
        )
        .labels(&[USER_TYPE])
        .posture(|posture, samples| {
            samples.add_per_type(posture, posture.keys.as_ref().map(|keys| keys.owners));
        }),
        Family::gauge(
            "odoo_api_keys_of_privileged_users",
            "Active API keys of active users in a role, exempt or not.",
        )
        .notes("An exemption does not limit an API key.")
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.of_privileged));
        }),
        Family::gauge(
            "odoo_api_keys_of_privileged_users_without_expiry",
            "Active API keys without an expiry of active users in a role, exempt or not.",
        )
        .notes("Absent up to Odoo 17, where keys have no expiry.")
        .posture(|posture, samples| {
            let keys = posture.keys.as_ref();
            samples.add_known(keys.and_then(|keys| keys.of_privileged_without_expiry));
        }),
        Family::gauge(
            "odoo_api_keys_of_archived_users",
            "Unexpired API keys of archived users.",
        )
        .notes("They become active again when the owner is unarchived.")
        .posture(|posture, samples| samples.add_known(of_keys(posture, |keys| keys.of_archived))),
        Family::gauge(
            "odoo_api_keys_of_unprotected_users",
            "Active API keys of users without an accepted factor, exempt or not.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.of_unprotected));
        }),
        Family::gauge(
            "odoo_api_key_oldest_creation_timestamp_seconds",
            "Creation time of the oldest active API key.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.oldest));
        }),
        Family::gauge(
            "odoo_api_key_next_expiry_timestamp_seconds",
            "Expiry time of the active API key that expires next.",
        )
        .posture(|posture, samples| {
            samples.add_known(posture.keys.as_ref().and_then(|keys| keys.next_expiry));
        }),
        Family::counter(
            "odoo_api_key_transitions_total",
            "API keys that were created, revoked, or expired.",
        )
        .notes("A key that disappears after its expiry counts as expired, not as revoked.")
        .labels(&[Label::closed("transition", KeyTransition::WORDS)])
        .counters(|counters, samples| {
            samples.add_each(
                KeyTransition::WORDS,
                counters.api_keys.as_slice().as_flattened(),
            );
        }),
        Family::gauge(
            "odoo_api_keys_unused",
            "Active API keys that were not used for this long.",
        )
        .notes("Requires the module `mfa_auditor_use` (odoo-addons.md), for at least this long; absent otherwise. Accurate to the hour.")
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
