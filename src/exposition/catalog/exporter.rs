//! Families about the exporter itself and its process.

use super::{Family, Label, Samples, Section};
use crate::exposition::alerting::ReceiverStats;
use crate::exposition::process::Process;
use crate::exposition::state::{BuildInfo, ExporterState};

/// State of the exporter at one moment.
#[derive(Debug)]
pub struct ExporterReading {
    /// Counters of the exporter.
    pub state: std::sync::Arc<ExporterState>,
    /// Numbers of targets, by state.
    pub targets: TargetStates,
    /// The kernel's figures about the process; `None` if they cannot be read.
    pub process: Option<Process>,
}

/// Numbers of targets, by state.
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
    intro: "These families have no label `target`.",
    families: &[
        Family::gauge("odoo_mfa_exporter_build_info", "Version of the exporter; always 1.")
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
            "1 if the last attempt to load the configuration succeeded, 0 if not.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.config().last_successful)),
        Family::gauge(
            "odoo_mfa_exporter_config_last_reload_success_timestamp_seconds",
            "Time at which the configuration in force was loaded.",
        )
        .exporter(|exporter, samples| samples.add_known(exporter.state.config().loaded_at)),
        Family::gauge(
            "odoo_mfa_exporter_web_config_last_reload_successful",
            "1 if the last attempt to load `--web.config.file` succeeded, 0 if not.",
        )
        .notes("Absent without that file. At 0 the previous configuration stays in force; the log has the reason.")
        .exporter(|exporter, samples| {
            samples.add_known(exporter.state.config().web_last_successful);
        }),
        Family::gauge(
            "odoo_mfa_exporter_config_hash",
            "Hash of the configuration in force.",
        )
        .notes("Replicas with the same configuration have the same hash.")
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
            "Polls that are running.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.polls_in_flight())),
        Family::histogram(
            "odoo_mfa_exporter_poll_lag_seconds",
            "Delay between the time when a poll was due and its start.",
        )
        .exporter(|exporter, samples| samples.add(&[], exporter.state.poll_lag())),
        Family::gauge(
            "odoo_mfa_exporter_shard",
            "The shard that this process polls; always 1.",
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
            "Alerts that an Alertmanager accepted.",
        )
        .notes("In these families, the label value of a webhook is its name.")
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_sent)),
        Family::counter(
            "odoo_mfa_exporter_notifications_failed_total",
            "Alerts that an Alertmanager did not accept.",
        )
        .notes("Counted at each attempt.")
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_failed)),
        Family::counter(
            "odoo_mfa_exporter_notifications_dropped_total",
            "Alerts that were dropped.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::all_dropped)),
        Family::gauge(
            "odoo_mfa_exporter_notification_queue_length",
            "Alerts in the queue of an Alertmanager.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| of_receivers(exporter, samples, ReceiverStats::queue)),
        Family::histogram(
            "odoo_mfa_exporter_notification_latency_seconds",
            "Response time of an Alertmanager.",
        )
        .labels(&[ALERTMANAGER])
        .exporter(|exporter, samples| {
            for (name, stats) in exporter.state.alerting().receivers() {
                samples.add(&[&name], stats.latency());
            }
        }),
        Family::gauge(
            "odoo_mfa_exporter_notification_clock_skew_seconds",
            "Difference between an Alertmanager's clock and this host's; positive if the Alertmanager's is ahead.",
        )
        .notes("Accurate to a second. Absent until it has accepted alerts and sent its time.")
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
            "Failed operations of the store.",
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
    intro: "The same families as other Prometheus clients, at most a second old. A `max` family is absent if the system sets no limit.",
    families: &[
        Family::counter(
            "process_cpu_seconds_total",
            "User and system CPU time spent.",
        )
        .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.cpu_seconds))),
        Family::gauge("process_open_fds", "Open file descriptors.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.open_fds))),
        Family::gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
        )
        .exporter(|exporter, samples| samples.add_known(exporter.process.and_then(|p| p.max_fds))),
        Family::gauge("process_virtual_memory_bytes", "Virtual memory size.").exporter(
            |exporter, samples| samples.add_known(exporter.process.map(|p| p.virtual_memory)),
        ),
        Family::gauge(
            "process_virtual_memory_max_bytes",
            "Maximum virtual memory size.",
        )
        .exporter(|exporter, samples| {
            samples.add_known(exporter.process.and_then(|p| p.max_virtual_memory));
        }),
        Family::gauge("process_resident_memory_bytes", "Resident memory size.").exporter(
            |exporter, samples| samples.add_known(exporter.process.map(|p| p.resident_memory)),
        ),
        Family::gauge("process_threads", "Number of threads.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.threads))),
        Family::gauge("process_start_time_seconds", "Start time of the process.")
            .exporter(|exporter, samples| samples.add_known(exporter.process.map(|p| p.started))),
    ],
};
