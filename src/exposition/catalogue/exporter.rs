//! Families about the exporter itself and its process.

use super::{Family, Label, Samples, Section};
use crate::exposition::alerting::ReceiverStats;
use crate::exposition::process::Process;
use crate::exposition::state::{BuildInfo, ExporterState};

/// What one moment shows of the exporter.
#[derive(Debug)]
pub struct ExporterReading {
    /// What it counts while it runs.
    pub state: std::sync::Arc<ExporterState>,
    /// How many targets there are, by state.
    pub targets: TargetStates,
    /// What the kernel knows of its process; `None` where that cannot be read.
    pub process: Option<Process>,
}

/// How many targets there are, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetStates {
    /// The last poll succeeded.
    pub up: u64,
    /// The last poll failed.
    pub down: u64,
    /// No poll has ended yet.
    pub pending: u64,
}

const ALERTMANAGER: Label = Label::open("alertmanager");

pub const SECTION: Section = Section {
    title: "The exporter itself",
    intro: "These have no label `target`.",
    families: &[
        Family::gauge("odoo_mfa_exporter_build_info", "What is running; always 1.")
            .labels(&[
                Label::open("version"),
                Label::open("revision"),
                Label::open("rustc"),
            ])
            .exporter(|_, samples| {
                let build = BuildInfo::THIS;
                samples.add(&[build.version, build.revision, build.rustc], true);
            }),
        Family::gauge(
            "odoo_mfa_exporter_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.config().last_successful)),
        Family::gauge(
            "odoo_mfa_exporter_config_last_reload_success_timestamp_seconds",
            "When the configuration was last loaded.",
        )
        .exporter(|exporter, samples| samples.add_known(exporter.state.config().loaded_at)),
        Family::gauge(
            "odoo_mfa_exporter_web_config_last_reload_successful",
            "Whether the last attempt to load `--web.config.file` succeeded.",
        )
        .notes("Absent without that file. At 0 the configuration of before stays in force; the log says why.")
        .exporter(|exporter, samples| {
            samples.add_known(exporter.state.config().web_last_successful);
        }),
        Family::gauge(
            "odoo_mfa_exporter_config_hash",
            "A hash of the configuration in force.",
        )
        .notes("Replicas with the same configuration have the same.")
        .exporter(|exporter, samples| samples.add_known(exporter.state.config().hash)),
        Family::gauge("odoo_mfa_exporter_targets", "Configured targets, by state.")
            .labels(&[Label::closed("state", &["up", "down", "pending"])])
            .exporter(|exporter, samples| {
                samples.add(&["up"], exporter.targets.up);
                samples.add(&["down"], exporter.targets.down);
                samples.add(&["pending"], exporter.targets.pending);
            }),
        Family::gauge(
            "odoo_mfa_exporter_polls_in_flight",
            "Polls that run right now.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.polls_in_flight())),
        Family::histogram(
            "odoo_mfa_exporter_poll_lag_seconds",
            "Time from when a poll was due until it started.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.poll_lag())),
        Family::gauge(
            "odoo_mfa_exporter_shard",
            "Which part of the targets this process polls; always 1.",
        )
        .labels(&[Label::open("shard"), Label::open("total_shards")])
        .exporter(|exporter, samples| {
            let shard = exporter.state.shard();
            samples.add(&[&shard.index.to_string(), &shard.total.to_string()], true);
        }),
        Family::gauge(
            "odoo_mfa_exporter_alerts",
            "Alerts of the exporter's own rules, by state.",
        )
        .labels(&[
            Label::open("alertname"),
            Label::closed("severity", &["critical", "warning", "info", "none"]),
            Label::closed("state", &["pending", "firing"]),
        ])
        .exporter(|exporter, samples| {
            for ((name, severity, state), count) in exporter.state.alerting().alerts() {
                samples.add(&[&name, &severity, state], count);
            }
        }),
        Family::counter(
            "odoo_mfa_exporter_notifications_sent_total",
            "Alerts that an Alertmanager took.",
        )
        .notes("In these families a webhook goes by its name.")
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_sent)),
        Family::counter(
            "odoo_mfa_exporter_notifications_failed_total",
            "Alerts that an Alertmanager did not take.",
        )
        .notes("Counted at each attempt.")
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_failed)),
        Family::counter(
            "odoo_mfa_exporter_notifications_dropped_total",
            "Alerts that were given up.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_dropped)),
        Family::gauge(
            "odoo_mfa_exporter_notification_queue_length",
            "Alerts that wait for an Alertmanager.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::queue)),
        Family::histogram(
            "odoo_mfa_exporter_notification_latency_seconds",
            "How long an Alertmanager took to answer.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| {
            for (name, stats) in exporter.state.alerting().receivers() {
                samples.add(&[&name], stats.latency());
            }
        }),
        Family::gauge(
            "odoo_mfa_exporter_notification_clock_skew_seconds",
            "How far an Alertmanager's clock is ahead of this host's.",
        )
        .notes("To a second. Absent until it has taken alerts and said what time it is.")
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| {
            for (name, stats) in exporter.state.alerting().receivers() {
                if let Some(ahead) = stats.clock_ahead() {
                    samples.add(&[&name], ahead);
                }
            }
        }),
        Family::counter(
            "odoo_mfa_exporter_store_errors_total",
            "Operations of the store that failed.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.store_errors())),
        Family::counter(
            "odoo_mfa_exporter_series_dropped_total",
            "Series that were not exported because of a limit.",
        )
        .notes("There is no such limit: always 0.")
        .exporter(|_, samples| samples.add(&[], 0)),
    ],
};

fn of_receivers(
    exporter: &ExporterReading,
    samples: &mut Samples,
    count: impl Fn(&ReceiverStats) -> u64,
) {
    for (name, stats) in exporter.state.alerting().receivers() {
        samples.add(&[&name], count(&stats));
    }
}

pub const PROCESS: Section = Section {
    title: "The process",
    intro: "As every Prometheus client has them; at most a second old. What the system does not limit has no `max`.",
    families: &[
        Family::counter(
            "process_cpu_seconds_total",
            "User and system CPU time spent.",
        )
        .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.cpu_seconds))),
        Family::gauge("process_open_fds", "Open file descriptors.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.open_fds))),
        Family::gauge("process_max_fds", "Most open file descriptors allowed.").exporter(
            |exporter, samples| samples.add_known(exporter.process.and_then(|p| p.max_fds)),
        ),
        Family::gauge("process_virtual_memory_bytes", "Virtual memory.").exporter(
            |exporter, samples| samples.add_known(exporter.process.map(|p| p.virtual_memory)),
        ),
        Family::gauge(
            "process_virtual_memory_max_bytes",
            "Most virtual memory allowed.",
        )
        .exporter(|exporter, samples| {
            samples.add_known(exporter.process.and_then(|p| p.max_virtual_memory));
        }),
        Family::gauge("process_resident_memory_bytes", "Resident memory.").exporter(
            |exporter, samples| samples.add_known(exporter.process.map(|p| p.resident_memory)),
        ),
        Family::gauge("process_threads", "Threads.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.threads))),
        Family::gauge("process_start_time_seconds", "When the process started.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.started))),
    ],
};
