//! `alerts`: what the running daemon alerts on, which rules there are, and whether an alert arrives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::{Timestamp, ToSpan};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::output::{complain, printed};
use super::table::Table;
use super::{FAILED, MISCONFIGURED, Options, block_on, color, load, print_diagnostics};
use crate::alerting::{self, Endpoint, Notification};
use crate::config::{Config, HttpClient, ProcessEnv, Receiver, ReceiverKind, duration_text};
use crate::domain::alert::{self, Fingerprint, Rule};
use crate::odoo::{self, Clients, Failure, Request, beginning, within};

/// Number of bytes that are read of the list of alerts.
const MAX_ANSWER: usize = 32 << 20;

/// Options of `alerts`.
#[derive(Debug, clap::Args)]
pub(super) struct Alerts {
    #[command(subcommand)]
    command: Option<Command>,
    /// Address of the daemon. Default: --web.listen-address on this host.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// A file with credentials and TLS settings, in the format of promtool's option of this name: `basic_auth: {username, password_file}`,
    /// `authorization: {credentials_file}`, `tls_config: {ca_file, cert_file, key_file, server_name}`.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the rules as configured.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter --config.file config.yml alerts rules")]
    Rules,
    /// Send a test alert to every receiver in the configuration, and print the results. It resolves after four minutes.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter alerts test
  odoo-mfa-exporter alerts test --rule OdooMfaAdminWithoutMfa")]
    Test {
        /// The alert to imitate.
        #[arg(long, value_name = "NAME", default_value = Rule::Watchdog.as_str(), value_parser = rule)]
        rule: Rule,
    },
}

pub(super) fn alerts(options: &Options, what: &Alerts) -> ExitCode {
    match &what.command {
        None => list(options, what),
        Some(Command::Rules) => match load(&options.config_file) {
            Ok(config) => printed(rules(&config).render(color()), ExitCode::SUCCESS),
            Err(code) => code,
        },
        Some(Command::Test { rule }) => match load(&options.config_file) {
            Ok(config) => test(&config, *rule),
            Err(code) => code,
        },
    }
}

fn rule(name: &str) -> Result<Rule, String> {
    name.parse()
        .map_err(|_| "unknown alert; `alerts rules` lists all alerts".to_owned())
}

type Texts = BTreeMap<String, String>;

/// The answer of `/api/v1/alerts`.
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    alerts: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    labels: Texts,
    annotations: Texts,
    state: String,
    #[serde(rename = "activeAt")]
    active_at: Timestamp,
}

/// The daemon answers with another status than success.
#[derive(Debug, thiserror::Error)]
#[error("the daemon answers {0}")]
struct Refused(StatusCode);

fn list(options: &Options, what: &Alerts) -> ExitCode {
    let how = match what.http_config_file.as_deref() {
        Some(path) => match HttpClient::load(path, &ProcessEnv) {
            Ok((how, warnings)) => {
                print_diagnostics(&warnings);
                how
            }
            Err(diagnostics) => {
                print_diagnostics(&diagnostics);
                return ExitCode::from(MISCONFIGURED);
            }
        },
        None => HttpClient::default(),
    };
    let url = match &what.url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", options.listen(super::ANYWHERE).reached_at()),
    };
    let alerts = Url::parse(&format!("{url}/api/v1/alerts"));
    let alerts = async { ask(&alerts?, &how).await };
    match block_on(alerts) {
        Ok(alerts) => printed(table(alerts).render(color()), ExitCode::SUCCESS),
        Err(error) => {
            let hint = match error.downcast_ref() {
                Some(Refused(StatusCode::UNAUTHORIZED)) => {
                    "pass credentials with --http.config.file"
                }
                Some(Refused(StatusCode::FORBIDDEN)) => {
                    "the user needs the role `read`: see web.roles in the daemon's configuration"
                }
                Some(_) => "see the daemon's log",
                None => {
                    "set --url (https://... for TLS); set the trusted authority with --http.config.file"
                }
            };
            complain(format_args!(
                "error: cannot list the alerts of {url}: {error:#}\n  hint: {hint}"
            ));
            ExitCode::from(FAILED)
        }
    }
}

async fn ask(url: &Url, how: &HttpClient) -> anyhow::Result<Vec<Listed>> {
    let client = Clients::default().to(&how.tls, None, None)?;
    let request = Request::get(url).authorized(how.auth.as_ref());
    let deadline = Instant::now() + Duration::from_secs(10);
    let lost = |failure: Failure| odoo::cause(&failure, url);
    let response = within(deadline, client.send(request)).await.map_err(lost)?;
    let status = response.status();
    if !status.is_success() {
        return Err(Refused(status).into());
    }
    let body = within(deadline, beginning(response, MAX_ANSWER)).await;
    let answer: Answer =
        serde_json::from_slice(&body.map_err(lost)?).context("not the answer of an exporter")?;
    Ok(answer.data.alerts)
}

/// Sorts firing alerts first.
fn table(mut alerts: Vec<Listed>) -> Table {
    alerts.sort_by(|a, b| (&a.state, &a.labels).cmp(&(&b.state, &b.labels)));
    let mut table = Table::new(vec!["STATE", "SEVERITY", "ALERT", "SINCE", "SUMMARY"]);
    for alert in alerts {
        let text = |from: &Texts, name: &str| from.get(name).cloned().unwrap_or_default();
        table.row(vec![
            alert.state,
            text(&alert.labels, "severity"),
            text(&alert.labels, "alertname"),
            alert.active_at.strftime("%F %T").to_string(),
            text(&alert.annotations, "summary"),
        ]);
    }
    table
}

fn rules(config: &Config) -> Table {
    let header = ["ALERT", "ENABLED", "SEVERITY", "FOR", "KEEP", "THRESHOLD"];
    let mut table = Table::new(header.to_vec());
    for rule in Rule::ALL {
        let settings = config.alerting.rules.get(*rule);
        let enabled = if settings.enabled { "yes" } else { "no" };
        let threshold = rule
            .threshold()
            .map(|it| format!("{} {}", settings.threshold, it.meaning));
        table.row(vec![
            rule.to_string(),
            enabled.to_owned(),
            settings.severity.unwrap_or(rule.severity()).to_string(),
            duration_text(settings.hold),
            duration_text(settings.keep_firing),
            threshold.unwrap_or_default(),
        ]);
    }
    table
}

fn test(config: &Config, rule: Rule) -> ExitCode {
    if config.alerting.receivers.is_empty() {
        complain(
            "error: the configuration has no receiver\n  hint: alerting: {alertmanagers: [{url: http://127.0.0.1:9093}]}",
        );
        return ExitCode::from(MISCONFIGURED);
    }
    let alert = Arc::new(test_alert(config, rule));
    let told = block_on(async {
        let told = config.alerting.receivers.iter().map(|receiver| {
            let (receiver, alert) = (Arc::new(receiver.clone()), Arc::clone(&alert));
            async move { send(&receiver, &alert).await }
        });
        futures::future::join_all(told).await
    });
    let mut code = ExitCode::SUCCESS;
    let mut text = String::new();
    for (receiver, result) in config.alerting.receivers.iter().zip(told) {
        let line = match result {
            Ok(what) => what,
            Err(error) => {
                code = ExitCode::from(FAILED);
                format!("not accepted: {error}")
            }
        };
        text += &format!("{}: {line}\n", receiver.name);
    }
    printed(text, code)
}

/// Marked by a label, so that routes and silences can distinguish it from a real alert.
fn test_alert(config: &Config, rule: Rule) -> Notification {
    let now = Timestamp::now();
    let target = config.targets.first().map(|it| it.name.clone());
    let mut own = vec![("test", "true".into())];
    if rule.is_of_targets() {
        own.extend(target.map(|name| ("target", name.into())));
    }
    let labels = alert::labels(&config.alerting.rules, rule, None, None, &own);
    let lease = 4.minutes();
    let annotations = [
        ("summary", format!("Test of {rule}: nothing is wrong")),
        (
            "description",
            "Sent by `odoo-mfa-exporter alerts test`. It resolves after four minutes.".into(),
        ),
        ("runbook_url", alert::runbook_url(rule)),
    ];
    let annotations = annotations.map(|(name, text)| (name.to_owned(), text));
    let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
    Notification {
        fingerprint: Fingerprint::of(&labels),
        labels,
        annotations: annotations.into(),
        starts_at: now,
        ends_at: until,
        resolved: false,
        generator_url: String::new(),
        of_use_until: until,
    }
}

/// Sends it, and asks Alertmanager for the receivers that it is routed to.
async fn send(
    receiver: &Arc<Receiver>,
    alert: &Arc<Notification>,
) -> Result<String, alerting::Refusal> {
    let endpoint = Endpoint::new(receiver, None, Duration::from_secs(10), &Clients::default())?;
    endpoint.send(std::slice::from_ref(alert)).await?;
    match receiver.kind {
        ReceiverKind::Webhook { .. } => Ok("taken".into()),
        ReceiverKind::Alertmanager { .. } => {
            let receivers = endpoint.receivers_of(alert).await?;
            Ok(format!("accepted; routed to: {}", receivers.join(", ")))
        }
    }
}
