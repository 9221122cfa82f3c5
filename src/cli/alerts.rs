//! `alerts`: what the running daemon alerts on, which rules there are, and whether an alert arrives.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use super::table::Table;
use super::{FAILED, MISCONFIGURED, Options, block_on, colour, load};
use crate::alerting::{self, Endpoint, Notification};
use crate::config::{Config, Receiver, ReceiverKind};
use crate::domain::alert::{self, Fingerprint, Labels, Rule};

/// Options of `alerts`.
#[derive(Debug, clap::Args)]
pub(super) struct Alerts {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the daemon is, if not at --web.listen-address on this machine.
    #[arg(long, value_name = "URL")]
    url: Option<reqwest::Url>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the rules as they are configured.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter --config.file config.yml alerts rules")]
    Rules,
    /// Send a test alert to every receiver of the configuration, and say what became of it. It ends by itself after some minutes.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter alerts test
  odoo-mfa-exporter alerts test --rule OdooMfaAdminWithoutMfa")]
    Test {
        /// The alert that it is to look like.
        #[arg(long, value_name = "NAME", default_value = Rule::Watchdog.as_str(), value_parser = rule)]
        rule: Rule,
    },
}

pub(super) fn alerts(options: &Options, what: &Alerts) -> ExitCode {
    match &what.command {
        None => list(options, what.url.as_ref()),
        Some(Command::Rules) => match load(&options.config_file) {
            Ok(config) => {
                print!("{}", rules(&config).render(colour()));
                ExitCode::SUCCESS
            }
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
        .map_err(|_| "no alert of the daemon; `alerts rules` lists them".to_owned())
}

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
    labels: Labels,
    annotations: Labels,
    state: String,
    #[serde(rename = "activeAt")]
    active_at: Timestamp,
}

fn list(options: &Options, url: Option<&reqwest::Url>) -> ExitCode {
    let url = match url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", options.listen.reached_at()),
    };
    match block_on(ask(&format!("{url}/api/v1/alerts"))) {
        Ok(alerts) => {
            print!("{}", table(alerts).render(colour()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let error = error.without_url();
            eprintln!("error: no daemon answers at {url}: {error}\n  hint: name it with --url");
            ExitCode::from(FAILED)
        }
    }
}

async fn ask(url: &str) -> Result<Vec<Listed>, reqwest::Error> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()?;
    let response = client.get(url).send().await?.error_for_status()?;
    Ok(response.json::<Answer>().await?.data.alerts)
}

/// What fires first.
fn table(mut alerts: Vec<Listed>) -> Table {
    alerts.sort_by(|a, b| (&a.state, &a.labels).cmp(&(&b.state, &b.labels)));
    let mut table = Table::new(vec!["STATE", "SEVERITY", "ALERT", "SINCE", "SUMMARY"]);
    for alert in alerts {
        let text = |from: &Labels, name: &str| from.get(name).cloned().unwrap_or_default();
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
            format!("{:?}", settings.hold),
            format!("{:?}", settings.keep_firing),
            threshold.unwrap_or_default(),
        ]);
    }
    table
}

fn test(config: &Config, rule: Rule) -> ExitCode {
    if config.alerting.receivers.is_empty() {
        eprintln!(
            "error: the configuration names nobody to tell\n  hint: alerting: {{alertmanagers: [{{url: http://127.0.0.1:9093}}]}}"
        );
        return ExitCode::from(MISCONFIGURED);
    }
    let alert = Arc::new(test_alert(config, rule));
    let told = block_on(async {
        let told = config.alerting.receivers.iter().map(|receiver| {
            let (receiver, alert) = (Arc::new(receiver.clone()), Arc::clone(&alert));
            async move { tell(&receiver, &alert).await }
        });
        futures::future::join_all(told).await
    });
    let mut all = true;
    for (receiver, result) in config.alerting.receivers.iter().zip(told) {
        match result {
            Ok(what) => println!("{}: {what}", receiver.name),
            Err(error) => {
                all = false;
                println!("{}: not taken: {error}", receiver.name);
            }
        }
    }
    if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// Marked by a label, so that routes and silences can tell it from a real one.
fn test_alert(config: &Config, rule: Rule) -> Notification {
    let now = Timestamp::now();
    let target = config.targets.first().map(|it| it.name.clone());
    let mut own = vec![("test", "true".to_owned())];
    if rule.is_of_targets() {
        own.extend(target.map(|name| ("target", name)));
    }
    let labels = alert::labels(&config.alerting.rules, rule, None, None, &own);
    let lease = 4.minutes();
    let annotations = [
        ("summary", format!("Test of {rule}: nothing is wrong")),
        (
            "description",
            "Sent by `odoo-mfa-exporter alerts test`. It ends by itself after four minutes.".into(),
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
        of_use_until: until,
    }
}

/// Sends it, and asks an Alertmanager whom it will tell.
async fn tell(
    receiver: &Arc<Receiver>,
    alert: &Arc<Notification>,
) -> Result<String, alerting::Refusal> {
    let endpoint = Endpoint::new(receiver, None, Duration::from_secs(10))?;
    endpoint.send(std::slice::from_ref(alert)).await?;
    match receiver.kind {
        ReceiverKind::Webhook { .. } => Ok("taken".into()),
        ReceiverKind::Alertmanager { .. } => {
            let receivers = endpoint.receivers_of(alert).await?;
            Ok(format!("taken; its receivers: {}", receivers.join(", ")))
        }
    }
}
