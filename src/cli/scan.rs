//! `scan`: one poll now, and a report.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use super::archive::Archive;
use super::ask::{Answer, ask};
use super::one::OneTarget;
use super::output::{complain, printed};
use super::{FAILED, MISCONFIGURED, Options, UNREACHABLE, block_on, colour};
use crate::config::{Config, Target};
use crate::domain::exemption::Exemption;
use crate::domain::finding::Severity;
use crate::domain::finding::controls::Framework;
use crate::domain::surface::Checked;
use crate::odoo::surface::check_all;
use crate::odoo::{self, Clients};
use crate::scan::{self, Configured, Detail, Previous, Report, Selection, TargetReport};

/// Options of `scan`.
#[derive(Debug, clap::Args)]
pub(super) struct Scan {
    /// The targets to scan, by name; all of them if none is named.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Only targets with this label of the configuration. Repeat it for targets that have all of several labels.
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    target_label: Vec<(String, String)>,
    /// What to write: text for people (colored on a terminal), JSON for programs, one HTML page to file, or JUnit XML for CI.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Everything about each target, instead of one screen (text).
    #[arg(long, short)]
    verbose: bool,
    /// Only the summary of all targets (text and HTML).
    #[arg(long, conflicts_with = "verbose")]
    summary: bool,
    /// Show only findings of this severity or a higher one: info, warning or critical. Grades and exit codes are of everything.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Show only findings that concern a control of this framework, such as pci_dss; see docs/controls.md.
    #[arg(long, value_name = "FRAMEWORK")]
    framework: Option<Framework>,
    /// Compare with a report that --format json wrote: what is new, fixed, unchanged.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Leave with code 1 if there is a finding of this severity or a higher one that is not accepted: info, warning or critical. With
    /// `new:` before it, only if the baseline does not have the finding.
    #[arg(long, value_name = "[new:]SEVERITY")]
    fail_on: Option<FailOn>,
    /// List at most so many affected users of one finding. The report says how many more there are.
    #[arg(long, value_name = "NUMBER", default_value_t = scan::LISTED)]
    max_users: usize,
    /// Who runs it, for the report. By default the user and the host.
    #[arg(long, value_name = "NAME")]
    run_by: Option<String>,
    /// Write the report into this file instead of printing it. A new file has the mode 0600, since the report names users.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the report into this directory as HTML and JSON, named after the day, and compare it with the one of the last day that is
    /// there. The links latest.html and latest.json lead to it.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["output", "format", "baseline", "verbose"])]
    archive: Option<PathBuf>,
    #[command(flatten)]
    one: OneTarget,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Html,
    Junit,
}

/// Which findings fail the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FailOn {
    severity: Severity,
    only_new: bool,
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (only_new, word) = match text.strip_prefix("new:") {
            Some(word) => (true, word),
            None => (false, text),
        };
        let severity = word.parse().map_err(|_| {
            "write info, warning or critical, and `new:` before it for what the baseline does not have".to_owned()
        })?;
        Ok(Self { severity, only_new })
    }
}

impl FailOn {
    fn fails(self, report: &Report) -> bool {
        if self.only_new {
            report.has_new_at_least(self.severity)
        } else {
            report.has_at_least(self.severity)
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write a label and its value, such as team=finance")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn scan(options: &Options, scan: &Scan) -> ExitCode {
    match scan.run(options) {
        Ok(code) | Err(code) => code,
    }
}

/// Says what is wrong with the command line.
fn misconfigured(message: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("error: {message}"));
    ExitCode::from(MISCONFIGURED)
}

impl Scan {
    /// # Errors
    /// The code to leave with, when there is nothing to report.
    fn run(&self, options: &Options) -> Result<ExitCode, ExitCode> {
        self.check().map_err(misconfigured)?;
        let config = self.one.load(&options.config_file)?;
        let targets = chosen(&config, self).map_err(misconfigured)?;
        let archive = self.archive.as_deref().map(Archive::open).transpose();
        let archive = archive.map_err(|error| failed(&error))?;
        let baseline = match &archive {
            Some(archive) => archive.previous(),
            None => self.baseline().map_err(misconfigured)?,
        };
        let names: Vec<String> = config.targets.iter().map(|it| it.name.clone()).collect();
        let shared: Vec<Exemption> = config.shared_exemptions().cloned().collect();
        let configured = Configured {
            organization: config.organization.as_deref(),
            accept_findings: &config.accept_findings,
            targets: &names,
            exemptions: &shared,
        };
        let read = block_on(read(&config, &targets, self.max_users));
        let mut report = Report::new(Timestamp::now(), &configured, read);
        report.run_by = Some(self.run_by.clone().unwrap_or_else(user_and_host));
        if let Some(previous) = &baseline {
            scan::compare(&mut report, previous, &names);
        }
        let code = self.code(&report);
        if let Some(configuration) = self.one.configuration() {
            complain(format_args!(
                "The configuration that polls this target, for /etc/odoo-mfa-exporter/config.yml:\n\n{configuration}"
            ));
        }
        let whole = archive.is_some().then(|| scan::json(&report));
        report.select(Selection {
            targets: self.targets.clone(),
            target_labels: self.target_label.clone(),
            severity: self.severity,
            framework: self.framework,
        });
        if let (Some(archive), Some(json)) = (archive, whole) {
            let html = scan::render_html(&report, self.summary);
            let written = archive.write(report.generated_at, &html, &json);
            let path = written.map_err(|error| failed(&error))?;
            return Ok(printed(format!("{}\n", path.display()), code));
        }
        Ok(self.deliver(&self.render(&report), code))
    }

    /// What clap cannot check.
    fn check(&self) -> Result<(), &'static str> {
        let without_baseline = self.baseline.is_none() && self.archive.is_none();
        if self.fail_on.is_some_and(|it| it.only_new) && without_baseline {
            return Err("--fail-on new: needs a report to compare with: add --baseline FILE");
        }
        if self.format == Format::Junit && self.severity.is_some() {
            return Err("--severity would let findings pass in JUnit: use --fail-on");
        }
        Ok(())
    }

    fn baseline(&self) -> Result<Option<Previous>, String> {
        let Some(path) = &self.baseline else {
            return Ok(None);
        };
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the baseline {name}: {error}"))?;
        let previous = Previous::read(&text).map_err(|why| format!("the baseline {name} {why}"))?;
        Ok(Some(previous))
    }

    fn code(&self, report: &Report) -> ExitCode {
        if report.is_incomplete() {
            ExitCode::from(UNREACHABLE)
        } else if self.fail_on.is_some_and(|it| it.fails(report)) {
            ExitCode::from(FAILED)
        } else {
            ExitCode::SUCCESS
        }
    }

    fn render(&self, report: &Report) -> String {
        match self.format {
            Format::Text => {
                let detail = match (self.summary, self.verbose) {
                    (true, _) => Detail::Summary,
                    (false, true) => Detail::Full,
                    (false, false) => Detail::Screen,
                };
                let terminal = self.output.is_none();
                scan::render_text(report, style(terminal && colour(), terminal, detail))
            }
            Format::Json => scan::json(report),
            Format::Html => scan::render_html(report, self.summary),
            Format::Junit => {
                let fail_on = self.fail_on.unwrap_or(FailOn {
                    severity: Severity::Warning,
                    only_new: false,
                });
                scan::render_junit(report, fail_on.severity, fail_on.only_new)
            }
        }
    }

    fn deliver(&self, text: &str, code: ExitCode) -> ExitCode {
        let Some(path) = &self.output else {
            return printed(text, code);
        };
        match write(path, text) {
            Ok(()) => code,
            Err(error) => failed(&format!("cannot write {}: {error}", path.display())),
        }
    }
}

fn failed(message: &str) -> ExitCode {
    complain(format_args!("error: {message}"));
    ExitCode::from(FAILED)
}

/// Who runs the program, and where.
fn user_and_host() -> String {
    let variables = ["SUDO_USER", "LOGNAME", "USER"];
    let user = variables
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|user| !user.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let system = rustix::system::uname();
    format!("{user}@{}", system.nodename().to_string_lossy())
}

/// Writes a report, which names people: a new file is its owner's alone. A file that is there is replaced as a whole, and keeps its
/// mode; what is no regular file, such as a pipe, is written to.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    // What a symbolic link leads to is written, not the link.
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

fn chosen(config: &Config, scan: &Scan) -> Result<Vec<Arc<Target>>, String> {
    let names = || config.targets.iter().map(|target| target.name.as_str());
    if let Some(name) = scan
        .targets
        .iter()
        .find(|it| !names().any(|name| name == **it))
    {
        let known: Vec<&str> = names().collect();
        return Err(format!(
            "no target is called '{name}'; there are: {}",
            known.join(", ")
        ));
    }
    let selection = Selection {
        targets: scan.targets.clone(),
        target_labels: scan.target_label.clone(),
        ..Selection::default()
    };
    let chosen: Vec<Arc<Target>> = config
        .targets
        .iter()
        .filter(|target| selection.has_target(&target.name, &target.labels))
        .cloned()
        .collect();
    if chosen.is_empty() {
        return Err("no target has these labels: see `labels` in the configuration".to_owned());
    }
    Ok(chosen)
}

async fn read(config: &Config, targets: &[Arc<Target>], listed: usize) -> Vec<TargetReport> {
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
        let people = scan::people_to_name(asked.target, polled, surface(asked.target), listed);
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
            Ok((polled, names)) => {
                let terms = scan::Terms {
                    target: &target.name,
                    accept_findings: &config.accept_findings,
                    listed,
                };
                scan::target(&target, &polled, surface(&target), &names, &terms)
            }
            Err(error) => scan::failed(&target, &error),
        })
        .collect()
}

/// As wide as the terminal is, unless `COLUMNS` says otherwise.
fn style(colour: bool, terminal: bool, detail: Detail) -> scan::Style {
    let set = std::env::var("COLUMNS").ok();
    let set = set.and_then(|columns| columns.parse().ok());
    let real = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        size.filter(|_| terminal).map(|size| size.ws_col.into())
    };
    scan::Style {
        colour,
        width: set.or_else(real).filter(|it| *it > 0).unwrap_or(100),
        detail,
    }
}
