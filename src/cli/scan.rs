//! `scan`: one poll now, and a report.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::ask::{Answer, ask};
use super::one::OneTarget;
use super::output::{complain, printed};
use super::{FAILED, MISCONFIGURED, Options, UNREACHABLE, block_on, color};
use crate::config::{Config, Target};
use crate::domain::finding::Severity;
use crate::domain::surface::Checked;
use crate::odoo::surface::check_all;
use crate::odoo::{self, Clients};
use crate::scan::{self, Report, TargetReport};

/// Options of `scan`.
#[derive(Debug, clap::Args)]
pub(super) struct Scan {
    /// Names of the targets to scan. Default: all.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Output format: text, colored on a terminal; JSON; or one self-contained HTML page.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Exit with 1 if there is a finding of this severity or higher: info, warning or critical.
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Write the report into this file instead of printing it. A new file has mode 0600, because the report contains names of users.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    one: OneTarget,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Html,
}

pub(super) fn scan(options: &Options, scan: &Scan) -> ExitCode {
    let config = match scan.one.load(&options.config_file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let targets = match chosen(&config, &scan.targets) {
        Ok(targets) => targets,
        Err(message) => {
            complain(format_args!("error: {message}"));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let report = Report::new(Timestamp::now(), block_on(report(&config, &targets)));
    let text = match scan.format {
        Format::Text => scan::render_text(&report, style(scan.output.is_none() && color())),
        Format::Json => scan::json(&report),
        Format::Html => scan::render_html(&report),
    };
    let code = if report.is_incomplete() {
        ExitCode::from(UNREACHABLE)
    } else if scan
        .fail_on
        .is_some_and(|severity| report.has_at_least(severity))
    {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    };
    if let Some(configuration) = scan.one.configuration() {
        complain(format_args!(
            "The configuration that polls this target, for /etc/odoo-mfa-exporter/config.yml:\n\n{configuration}"
        ));
    }
    let Some(path) = &scan.output else {
        return printed(text, code);
    };
    match write(path, &text) {
        Ok(()) => code,
        Err(error) => {
            complain(format_args!(
                "error: cannot write {}: {error}",
                path.display()
            ));
            ExitCode::from(FAILED)
        }
    }
}

/// Writes a report, which contains names: only the owner can read a new file. An existing file is replaced as a whole and keeps its
/// mode. Anything other than a regular file, such as a pipe, is written to.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // Writes the target of a symbolic link, not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mode = match path.metadata() {
        Ok(there) if !there.is_file() => return std::fs::write(path, text),
        Ok(there) => there.permissions().mode() & 0o777,
        Err(_) => 0o600,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
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
                .ok_or_else(|| format!("unknown target '{name}'; configured targets: {}", known()))
        })
        .collect()
}

async fn report(config: &Config, targets: &[Arc<Target>]) -> Vec<TargetReport> {
    // Not within the deadline of a poll: an unreachable vantage point takes its time.
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

fn style(color: bool) -> scan::Style {
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    scan::Style {
        color,
        width: width.unwrap_or(100),
    }
}
