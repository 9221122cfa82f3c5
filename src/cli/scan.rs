//! `scan`: one poll now, and a report.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::ask::{Answer, ask};
use super::{FAILED, MISCONFIGURED, Options, UNREACHABLE, block_on, colour, load};
use crate::config::{Config, Target};
use crate::domain::finding::Severity;
use crate::domain::surface::Checked;
use crate::odoo::surface::check_all;
use crate::odoo::{self, Clients};
use crate::scan::{self, Report, TargetReport};

/// Options of `scan`.
#[derive(Debug, clap::Args)]
pub(super) struct Scan {
    /// The targets to scan, by name; all of them if none is named.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// What to write: text for people (coloured on a terminal), JSON for programs, or one HTML page to file.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Leave with code 1 if there is a finding of this severity or a higher one: info, warning or critical.
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Write the report into this file instead of printing it.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Html,
}

pub(super) fn scan(options: &Options, scan: &Scan) -> ExitCode {
    let config = match load(&options.config_file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let targets = match chosen(&config, &scan.targets) {
        Ok(targets) => targets,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let report = Report::new(Timestamp::now(), block_on(report(&config, &targets)));
    let text = match scan.format {
        Format::Text => scan::render_text(&report, style(scan.output.is_none() && colour())),
        Format::Json => scan::json(&report),
        Format::Html => scan::render_html(&report),
    };
    match &scan.output {
        None => print!("{text}"),
        Some(path) => {
            if let Err(error) = std::fs::write(path, text) {
                eprintln!("error: cannot write {}: {error}", path.display());
                return ExitCode::from(FAILED);
            }
        }
    }
    if report.is_incomplete() {
        ExitCode::from(UNREACHABLE)
    } else if scan
        .fail_on
        .is_some_and(|severity| report.has_at_least(severity))
    {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

fn chosen(config: &Config, names: &[String]) -> Result<Vec<Arc<Target>>, String> {
    if names.is_empty() {
        return Ok(config.targets.clone());
    }
    names
        .iter()
        .map(|name| {
            let known = || {
                config
                    .targets
                    .iter()
                    .map(|target| target.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let target = config.targets.iter().find(|target| target.name == *name);
            target
                .cloned()
                .ok_or_else(|| format!("no target is called '{name}'; there are: {}", known()))
        })
        .collect()
}

async fn report(config: &Config, targets: &[Arc<Target>]) -> Vec<TargetReport> {
    // Not within a poll's deadline: what a vantage cannot reach takes its time to say so.
    let clients = Clients::default();
    let surfaces = targets.iter().map(async |target| {
        let checked = check_all(&clients, target, Timestamp::now()).await;
        (target.name.as_str(), checked)
    });
    let surfaces: BTreeMap<&str, Vec<Checked>> = join_all(surfaces).await.into_iter().collect();
    let surface = |target: &Target| {
        surfaces
            .get(target.name.as_str())
            .map_or(&[][..], Vec::as_slice)
    };
    let answers = ask(config, targets, async |asked, polled| {
        let people = scan::people_to_name(asked.target, polled, surface(asked.target));
        let names = odoo::directory::people(asked.transport, asked.session, &people).await?;
        Ok(names
            .into_iter()
            .map(|person| (person.id, person))
            .collect())
    })
    .await;
    answers
        .into_iter()
        .map(|Answer { target, result }| match result {
            Ok((polled, names)) => scan::target(&target, &polled, surface(&target), &names),
            Err(error) => scan::failed(&target, &error),
        })
        .collect()
}

fn style(colour: bool) -> scan::Style {
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    scan::Style {
        colour,
        width: width.unwrap_or(100),
    }
}
