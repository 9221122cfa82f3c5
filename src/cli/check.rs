//! `check`: is the configuration right, and what may each target's account see?

use std::process::ExitCode;
use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;

use super::table::Table;
use super::{Options, UNREACHABLE, block_on, colour, load};
use crate::config::{Config, Target};
use crate::domain::Capability;
use crate::odoo::plan::Parts;
use crate::odoo::{Clients, Error, Kind, Transport};
use crate::poll::{Polled, once};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Ask every target once, and show what its account may see and what to grant.
    #[arg(long)]
    connect: bool,
}

/// Targets that are asked at the same time.
const AT_ONCE: usize = 8;

pub(super) fn check(options: &Options, check: &Check) -> ExitCode {
    let config = match load(&options.config_file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    println!(
        "{}: good, {} target{}",
        options.config_file.display(),
        config.targets.len(),
        if config.targets.len() == 1 { "" } else { "s" }
    );
    if !check.connect {
        return ExitCode::SUCCESS;
    }
    let answers = block_on(ask(&config));
    print!("{}", table(&answers).render(colour()));
    let advice = advice(&answers);
    if !advice.is_empty() {
        println!("\n{}", advice.join("\n"));
    }
    let complete = answers.iter().all(|(target, answer)| match answer {
        Ok(polled) => polled
            .facts
            .gaps()
            .all(|(capability, _)| target.accept_missing.contains(&capability)),
        Err(_) => false,
    });
    if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNREACHABLE)
    }
}

type Answer = (Arc<Target>, Result<Polled, Error>);

/// Polls every target once, several at a time, and gives the answers in the configuration's order.
async fn ask(config: &Config) -> Vec<Answer> {
    let clients = Clients::default();
    futures::stream::iter(&config.targets)
        .map(async |target| {
            let answer = async {
                let transport = Transport::new(&clients, Arc::clone(target))?;
                let mut session = None;
                let poll = once(
                    &transport,
                    &mut session,
                    target,
                    &config.roles,
                    Parts::ALL,
                    Timestamp::now(),
                );
                tokio::time::timeout(target.timeout, poll)
                    .await
                    .unwrap_or_else(|_| {
                        Err(Error::new(
                            Kind::TimedOut,
                            format!("no answer within {:?}", target.timeout),
                        ))
                    })
            };
            (Arc::clone(target), answer.await)
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

fn table(answers: &[Answer]) -> Table {
    let mut header = vec!["TARGET", "STATE", "ODOO", "API"];
    header.extend(Capability::ALL.iter().map(|capability| capability.as_str()));
    let mut table = Table::new(header);
    for (target, answer) in answers {
        let mut row = vec![target.name.clone()];
        match answer {
            Ok(polled) => {
                let gaps: Vec<Capability> = polled
                    .facts
                    .gaps()
                    .map(|(capability, _)| capability)
                    .collect();
                row.push("ok".into());
                row.push(polled.facts.server.version.clone());
                row.push(polled.facts.server.api.to_string());
                row.extend(Capability::ALL.iter().map(|capability| {
                    if gaps.contains(capability) {
                        "no"
                    } else {
                        "yes"
                    }
                    .to_owned()
                }));
            }
            Err(error) => row.push(error.reason().to_string()),
        }
        table.row(row);
    }
    table
}

/// What to do, target by target.
fn advice(answers: &[Answer]) -> Vec<String> {
    let mut lines = Vec::new();
    for (target, answer) in answers {
        let name = &target.name;
        match answer {
            Err(error) => {
                lines.push(format!("{name}: {error}"));
                lines.extend(error.hint.map(|hint| format!("  to do: {hint}")));
            }
            Ok(polled) => {
                for (capability, gap) in polled.facts.gaps() {
                    let accepted = if target.accept_missing.contains(&capability) {
                        " (accepted)"
                    } else {
                        ""
                    };
                    lines.push(format!("{name}: no {capability}{accepted}: {}", gap.seen));
                    lines.push(format!("  to do: grant {}", gap.grant));
                }
                if !polled.standing.exempt.contains(polled.facts.poller) {
                    let login = target.login.as_deref().unwrap_or("the account's login");
                    lines.push(format!(
                        "{name}: the polling account counts as a person without a second factor"
                    ));
                    lines.push(format!(
                        "  to do: exempt it: exemptions: [{{login: {login}, reason: service}}]"
                    ));
                }
            }
        }
    }
    lines
}
