//! Families about the polls of a target, which stay while it is down.

use super::{Family, Label, Section};
use crate::domain::{Api, Capability, Reason};

const REASON: Label = Label::closed("reason", Reason::WORDS);
const CAPABILITY: Label = Label::closed("capability", Capability::WORDS);

pub const SECTION: Section = Section {
    title: "Poll health",
    intro: "These families stay while a target is down, and so do its counters.",
    families: &[
        Family::gauge(
            "odoo_up",
            "1 if the last poll succeeded, 0 if it failed.",
        )
        .notes("Absent until the first poll after a start has ended, unless figures were restored (then 1).")
        .target(|target, samples| samples.add_known(target.up())),
        Family::gauge(
            "odoo_poll_failing",
            "1 for the reason of the last failure while the target is down.",
        )
        .notes("Stays during backoff. Absent while the target is not down.")
        .labels(&[REASON])
        .target(|target, samples| {
            if let Some(reason) = target.failing() {
                samples.add(&[reason.as_str()], true);
            }
        }),
        Family::gauge(
            "odoo_poll_last_success_timestamp_seconds",
            "Time at which the last successful poll ended.",
        )
        .notes("Absent until the first success.")
        .target(|target, samples| samples.add_known(target.health.last_success)),
        Family::gauge(
            "odoo_poll_last_attempt_timestamp_seconds",
            "Time at which the last poll started.",
        )
        .target(|target, samples| samples.add_known(target.health.last_attempt)),
        Family::gauge(
            "odoo_poll_last_duration_seconds",
            "Duration of the last poll.",
        )
        .target(|target, samples| {
            samples.add_known(target.health.last_duration.map(|took| took.as_secs_f64()));
        }),
        Family::gauge(
            "odoo_poll_interval_seconds",
            "Interval between the starts of two polls, as configured.",
        )
        .target(|target, samples| samples.add(&[], target.identity.interval)),
        Family::counter("odoo_polls_total", "Polls that ended, by result.")
            .labels(&[Label::closed("result", &["success", "failure"])])
            .target(|target, samples| {
                samples.add(&["success"], target.health.successes);
                samples.add(&["failure"], target.health.failed());
            }),
        Family::counter("odoo_poll_failures_total", "Failed polls, by reason.")
            .labels(&[REASON])
            .target(|target, samples| samples.add_each(Reason::WORDS, &target.health.failures)),
        Family::counter(
            "odoo_poll_skipped_total",
            "Polls that were due and did not start.",
        )
        .notes("The previous poll was still running, or the target was in backoff.")
        .target(|target, samples| samples.add(&[], target.health.skipped)),
        Family::counter(
            "odoo_poll_requests_total",
            "Requests that polls sent to the target, by outcome.",
        )
        .labels(&[Label::closed("outcome", &["ok", "error"])])
        .target(|target, samples| {
            samples.add(&["ok"], target.health.requests_ok);
            samples.add(&["error"], target.health.requests_error);
        }),
        Family::gauge("odoo_target_info", "The polled server; always 1.")
            .notes("The URL has no credentials. Absent until a poll has succeeded.")
            .labels(&[
                Label::open("url"),
                Label::open("database"),
                Label::open("server_version"),
                Label::closed("api", Api::WORDS),
            ])
            .target(|target, samples| {
                if let Some(server) = &target.server {
                    let identity = &target.identity;
                    samples.add(
                        &[
                            &identity.url,
                            &identity.database,
                            &server.version,
                            server.api.as_str(),
                        ],
                        true,
                    );
                }
            }),
        Family::gauge(
            "odoo_poller_key_expiry_timestamp_seconds",
            "Earliest expiry of the polling account's own active API keys that open RPC.",
        )
        .notes("Absent if none expires.")
        .target(|target, samples| samples.add_known(target.poller_key_expiry)),
        Family::counter(
            "odoo_baseline_breaks_total",
            "Polls that could not be compared with the one before, because the database was replaced, restored or moved.",
        )
        .notes("Changes between these two polls count as no transition.")
        .counters(|counters, samples| samples.add(&[], counters.breaks)),
        Family::gauge(
            "odoo_capability",
            "1 if the polling account can read this capability completely, 0 if not.",
        )
        .notes("At 0, it exists and is not completely visible; the families that need it are absent. Absent until a poll has found out.")
        .labels(&[CAPABILITY])
        .target(|target, samples| {
            for (capability, gap) in target.capabilities.iter() {
                samples.add(&[capability.as_str()], gap.is_none());
            }
        }),
        Family::gauge(
            "odoo_capability_accepted_missing",
            "1 if the configuration accepts that this capability is missing.",
        )
        .notes("Only accepted capabilities.")
        .labels(&[CAPABILITY])
        .target(|target, samples| {
            for capability in &target.identity.accept_missing {
                samples.add(&[capability.as_str()], true);
            }
        }),
    ],
};
