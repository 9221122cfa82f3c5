//! The command line: output and exit code of each command.
//!
//! 0: OK. 1: findings, or the command failed. 2: invalid configuration or command line. 3: a target is unreachable, or incompletely
//! visible.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "both panic where the other end is closed or full"
)]

mod alerts;
mod archive;
mod ask;
mod check;
mod demo;
mod generate;
mod one;
mod output;
mod remembered;
mod rules;
mod scan;
mod serve;
mod table;

use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Id, Parser, Subcommand};

use output::complain;

use crate::config::web_file::{Sources, WebConfig, WebFile};
use crate::config::{self, Config, Diagnostic, Files, ProcessEnv};
use crate::runtime::{Listen, LogFormat, Logging, install_crypto, wants_color};
use crate::store::{FILE_NAME, Location};
use crate::web::MetricsPath;
use crate::web::access::Access;

/// Directory of the store without systemd.
const STATE_DIRECTORY: &str = "/var/lib/odoo-mfa-exporter";

/// Default address of the daemon.
const ANYWHERE: &str = ":9893";

/// Findings, or the command failed.
const FAILED: u8 = 1;
/// The configuration or the command line is invalid.
const MISCONFIGURED: u8 = 2;
/// A target is unreachable, or incompletely visible.
const UNREACHABLE: u8 = 3;

/// Exports second-factor coverage of Odoo servers as Prometheus metrics.
///
/// Polls any number of Odoo servers (14 to 20) read-only with a least-privilege account, and exports which users are protected by a
/// second factor, by user type and by privileged role. A number is complete or absent, and the exporter says what to grant.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    long_about,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP,
    propagate_version = true
)]
struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Try it without Odoo:         odoo-mfa-exporter demo
Create a configuration:      odoo-mfa-exporter config init > config.yml
Check the configuration:     odoo-mfa-exporter --config.file config.yml check --connect
Print a report:              odoo-mfa-exporter --config.file config.yml scan

Exit codes: 0 OK, 1 findings or failed, 2 invalid configuration, 3 a target is unreachable or incomplete.";

const AFTER_LONG_HELP: &str = "\
Examples:
  odoo-mfa-exporter demo
          Try it without an Odoo server.
  odoo-mfa-exporter config init > config.yml
          Create a configuration.
  odoo-mfa-exporter --config.file config.yml check --connect
          Check it, and print what to grant in Odoo.
  odoo-mfa-exporter --config.file config.yml scan
          Print a report.
  odoo-mfa-exporter --config.file config.yml
          Start the daemon. Prometheus scrapes http://localhost:9893/metrics.

Signals of the daemon:
  SIGHUP  reloads the configuration. An invalid one changes nothing, and the log has the errors.
  SIGTERM, SIGINT
          stop the daemon; a second signal stops it at once.

Files:
  /etc/odoo-mfa-exporter/config.yml
          The configuration. API keys are in their own files.
  /var/lib/odoo-mfa-exporter/store.db
          The store: counters, history and alert state.

Exit codes:
  0 OK, 1 findings or failed, 2 invalid configuration, 3 a target is unreachable or incomplete.";

/// Options of every command. Each can be set by an environment variable as well.
#[derive(Debug, Args)]
struct Options {
    /// The configuration file (YAML).
    #[arg(
        long = "config.file",
        env = "ODOO_MFA_EXPORTER_CONFIG_FILE",
        value_name = "FILE",
        default_value = "/etc/odoo-mfa-exporter/config.yml",
        global = true
    )]
    config_file: PathBuf,
    /// Reload when the configuration or a file that it names changes, checked at this interval (30s without a value). Without this
    /// option, reload with SIGHUP or POST /-/reload.
    #[arg(
        long = "config.auto-reload",
        env = "ODOO_MFA_EXPORTER_CONFIG_AUTO_RELOAD",
        value_name = "INTERVAL",
        value_parser = period,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s",
        global = true
    )]
    auto_reload: Option<Duration>,
    /// Directory or file of the store, which keeps counters, history and alert state; `:memory:` keeps nothing. Default: the state directory of
    /// systemd, or /var/lib/odoo-mfa-exporter.
    #[arg(
        long = "storage.path",
        env = "ODOO_MFA_EXPORTER_STORAGE_PATH",
        value_name = "PATH",
        global = true
    )]
    storage_path: Option<PathBuf>,
    /// Address to listen on. Default: `:9893`, port 9893 of every address of this host; for `demo`, 127.0.0.1:9893.
    #[arg(
        long = "web.listen-address",
        env = "ODOO_MFA_EXPORTER_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        global = true
    )]
    listen: Option<Listen>,
    /// Path of the metrics.
    #[arg(
        long = "web.telemetry-path",
        env = "ODOO_MFA_EXPORTER_WEB_TELEMETRY_PATH",
        value_name = "PATH",
        default_value = "/metrics",
        global = true
    )]
    metrics_path: MetricsPath,
    /// Shard to poll, counted from 0. The name of a target decides its shard.
    #[arg(
        long,
        env = "ODOO_MFA_EXPORTER_SHARD",
        value_name = "NUMBER",
        default_value_t = 0,
        global = true
    )]
    shard: u32,
    /// Number of shards, 1 to 1024. Another shard takes its share of the targets from the others; no other target moves.
    #[arg(
        long,
        env = "ODOO_MFA_EXPORTER_TOTAL_SHARDS",
        value_name = "NUMBER",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1024),
        global = true
    )]
    total_shards: u32,
    /// Web configuration file in the format of Prometheus exporters: TLS, users, client certificates. Read again when it changes.
    #[arg(
        long = "web.config.file",
        env = "ODOO_MFA_EXPORTER_WEB_CONFIG_FILE",
        value_name = "FILE",
        global = true
    )]
    web_config_file: Option<PathBuf>,
    /// Log level: error, warn, info, debug or trace. POST /-/log-level?level=debug changes it while the daemon runs.
    #[arg(
        long = "log.level",
        env = "ODOO_MFA_EXPORTER_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    log_level: String,
    /// Log format. Default: text on a terminal, logfmt elsewhere.
    #[arg(
        long = "log.format",
        env = "ODOO_MFA_EXPORTER_LOG_FORMAT",
        value_enum,
        global = true
    )]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Poll the targets and serve metrics (default).
    ///
    /// Polls every target once per interval, at an offset derived from its name. /metrics has the result of the last polls; /-/ready answers
    /// 200 once each target has been polled. Under systemd, the daemon reports its readiness, notifies the watchdog, and takes the socket of
    /// a socket unit instead of --web.listen-address.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter
  odoo-mfa-exporter --config.file config.yml --web.listen-address 127.0.0.1:9893 serve
  odoo-mfa-exporter --config.auto-reload --log.format json serve
  odoo-mfa-exporter --shard 0 --total-shards 3 serve")]
    Serve,
    /// Try the exporter on simulated Odoo servers; requires no Odoo.
    ///
    /// The databases have a history of 90 days. Other commands can use its configuration, in a temporary directory that is deleted at the end.
    /// The log has warnings and errors only, unless --log.level says otherwise.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter demo
  odoo-mfa-exporter demo --targets 80
  odoo-mfa-exporter --web.listen-address 127.0.0.1:0 demo --seed 7")]
    Demo(demo::Arguments),
    /// Check the configuration; with --connect, also what each target's account can see.
    ///
    /// Prints all errors at once, with line, column and a hint. Exits with 2 if the configuration is invalid, and with 3 if an account lacks
    /// a permission.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter check
  odoo-mfa-exporter --config.file config.yml check --connect")]
    Check(check::Check),
    /// List the alerts of the running daemon, list its rules, or send a test alert.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter alerts
  odoo-mfa-exporter alerts --url http://exporter.example.com:9893
  odoo-mfa-exporter alerts rules
  odoo-mfa-exporter alerts test --rule OdooMfaAdminWithoutMfa")]
    Alerts(alerts::Alerts),
    /// Poll each target once and print a report.
    ///
    /// The report names users. Leaves with 3 if a target did not show all that it must.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter scan
  odoo-mfa-exporter scan erp warehouse
  odoo-mfa-exporter scan --verbose --severity warning
  odoo-mfa-exporter scan --format html --output report.html
  odoo-mfa-exporter scan --format json --output report.json
  odoo-mfa-exporter scan --format junit --baseline report.json --fail-on new:warning
  odoo-mfa-exporter scan --archive /var/lib/odoo-mfa-exporter/reports")]
    Scan(scan::Scan),
    /// Print the history of a target's headline numbers.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter history erp
  odoo-mfa-exporter history erp --from 30d --format csv")]
    History(remembered::Remembered),
    /// Print the change log: users who enrolled, lost a factor or became privileged; API keys created and deleted.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter changes erp
  odoo-mfa-exporter changes erp --from 2026-11-01 --to 2026-12-01 --format json")]
    Changes(remembered::Remembered),
    /// Create a configuration file.
    #[command(
        subcommand,
        after_help = "\
Examples:
  odoo-mfa-exporter config init > config.yml"
    )]
    Config(generate::Config),
    /// Print the Prometheus rules, adapted to your job and runbooks.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter rules > odoo-mfa.rules.yml
  odoo-mfa-exporter rules --job mfa --runbook-url https://mfa.example.com/runbooks
  odoo-mfa-exporter rules --format operator | kubectl apply -f -")]
    Rules(rules::Rules),
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter schema > config.schema.json
          Then let the first line of config.yml be:
          # yaml-language-server: $schema=config.schema.json")]
    Schema,
    /// Print a completion script for your shell.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter completions bash > /etc/bash_completion.d/odoo-mfa-exporter
  odoo-mfa-exporter completions zsh > /usr/share/zsh/vendor-completions/_odoo-mfa-exporter
  odoo-mfa-exporter completions fish > ~/.config/fish/completions/odoo-mfa-exporter.fish")]
    Completions(generate::Completions),
    /// Write the manual pages, for packages.
    #[command(hide = true)]
    Man(generate::Man),
    /// Run simulated Odoo servers in a process of their own, for load tests.
    #[command(hide = true)]
    Simulate(serve::Simulate),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let command = with_help_of_each(without_empty_variables(Cli::command()));
    let parsed = command.clone().try_get_matches().and_then(|matches| {
        let level = matches.value_source("log_level");
        Cli::from_arg_matches(&matches).map(|cli| (cli, level))
    });
    let (cli, level) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&command, &error),
    };
    let (mut options, command) = (cli.options, cli.command);
    // Changes of a fleet would scroll what the demo prints off the screen.
    if matches!(command, Some(Command::Demo(_))) && level == Some(ValueSource::DefaultValue) {
        "warn".clone_into(&mut options.log_level);
    }
    let logging = match Logging::start(&options.log_level, options.log_format) {
        Ok(logging) => logging,
        Err(_) => {
            let from = match level {
                Some(ValueSource::EnvVariable) => "ODOO_MFA_EXPORTER_LOG_LEVEL",
                _ => "--log.level",
            };
            complain(format_args!(
                "error: {from}: unknown level `{}`\n  hint: write error, warn, info, debug or trace",
                options.log_level
            ));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    install_crypto();
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::serve(&options, logging),
        Command::Demo(demo) => demo::demo(&options, &demo, logging),
        Command::History(what) => remembered::history(&options, &what),
        Command::Changes(what) => remembered::changes(&options, &what),
        Command::Alerts(what) => alerts::alerts(&options, &what),
        Command::Scan(scan) => scan::scan(&options, &scan),
        Command::Simulate(simulate) => serve::simulate(simulate),
        Command::Config(what) => generate::config(&what),
        Command::Rules(what) => rules::rules(&what),
        Command::Schema => generate::schema(),
        Command::Completions(what) => generate::completions(&what),
        Command::Man(what) => generate::man(&what),
        Command::Check(check) => check::check(&options, &check),
    }
}

/// The command line, as help, completions and manual pages show it.
fn command() -> clap::Command {
    with_help_of_each(Cli::command())
}

/// The help of a command shows the options that apply to it.
fn with_help_of_each(command: clap::Command) -> clap::Command {
    const LOG: &[&str] = &["log_level", "log_format"];
    let of = |command: &str| -> Option<Vec<&str>> {
        let own: &[&str] = match command {
            "serve" => return None,
            "demo" => &["listen", "metrics_path"],
            "check" => &["config_file", "web_config_file"],
            "scan" => &["config_file"],
            "history" | "changes" => &["storage_path"],
            "alerts" => &["config_file", "listen"],
            _ => return Some(Vec::new()),
        };
        Some([own, LOG].concat())
    };
    let globals: Vec<Arg> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .cloned()
        .collect();
    command.mut_subcommands(|subcommand| {
        let Some(shown) = of(subcommand.get_name()) else {
            return subcommand;
        };
        let hidden = globals
            .iter()
            .filter(|arg| !shown.contains(&arg.get_id().as_str()));
        subcommand.args(hidden.map(|arg| arg.clone().hide(true)))
    })
}

/// Treats an empty environment variable as unset.
fn without_empty_variables(mut command: clap::Command) -> clap::Command {
    let is_empty = |arg: &&Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let empty: Vec<Id> = command
        .get_arguments()
        .filter(is_empty)
        .map(|arg| arg.get_id().clone())
        .collect();
    for id in empty {
        command = command.mut_arg(id, |arg| arg.env(Resettable::Reset));
    }
    command
}

/// Prints the error of the command line, or the requested help.
fn refuse(command: &clap::Command, error: &clap::Error) -> ExitCode {
    let shown = error.print();
    if !error.use_stderr() {
        let written = shown.and_then(|()| stdout().flush());
        return match written {
            Err(why) if why.kind() != ErrorKind::BrokenPipe => {
                complain(format_args!(
                    "error: cannot write to standard output: {why}"
                ));
                ExitCode::from(FAILED)
            }
            _ => ExitCode::SUCCESS,
        };
    }
    if let Some(variable) = blamed(command, error) {
        complain(format_args!(
            "  hint: the value is that of the environment variable {variable}"
        ));
    }
    ExitCode::from(MISCONFIGURED)
}

/// The environment variable that an invalid value comes from, if any.
fn blamed(command: &clap::Command, error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (
        text(ContextKind::InvalidArg)?,
        text(ContextKind::InvalidValue)?,
    );
    let mut command = command.clone();
    // An argument has no text before.
    command.build();
    let arg = command
        .get_arguments()
        .find(|arg| arg.to_string() == argument)?;
    let variable = arg.get_env()?;
    let given = std::env::args()
        .any(|it| it.starts_with(&format!("--{}", arg.get_long().unwrap_or_default())));
    let same = std::env::var_os(variable).is_some_and(|it| it == value);
    (same && !given).then(|| variable.to_string_lossy().into_owned())
}

impl Options {
    /// Address to listen on.
    fn listen(&self, default: &str) -> Listen {
        let given = self.listen.clone();
        given.unwrap_or_else(|| default.parse().expect("an address of this program"))
    }

    /// Location of the store.
    fn storage(&self) -> Location {
        match &self.storage_path {
            Some(path) if path.as_os_str() == ":memory:" => Location::Memory,
            Some(path) => Location::Path(path.clone()),
            None => {
                let directory = std::env::var_os("STATE_DIRECTORY")
                    .filter(|directory| !directory.is_empty())
                    .unwrap_or_else(|| STATE_DIRECTORY.into());
                Location::Path(PathBuf::from(directory).join(FILE_NAME))
            }
        }
    }
}

/// The URL of a web server on the command line.
fn url(text: &str) -> Result<String, String> {
    let parsed = text.parse::<reqwest::Url>().ok();
    let parsed = parsed.filter(|url| ["http", "https"].contains(&url.scheme()));
    parsed.map(String::from).ok_or_else(|| {
        "an http or https URL is required, such as https://erp.example.com".to_owned()
    })
}

/// A duration on the command line.
fn period(text: &str) -> Result<Duration, String> {
    let period = text.parse::<jiff::SignedDuration>();
    let period = period.ok().and_then(|it| Duration::try_from(it).ok());
    period
        .filter(|it| !it.is_zero())
        .ok_or_else(|| "expected a duration such as 30s or 5m".to_owned())
}

/// Loads the configuration, and prints its errors on standard error.
fn load(path: &Path) -> Result<Config, ExitCode> {
    load_noting_files(path).map(|(config, _)| config)
}

/// As [`load`], with the files that were read.
fn load_noting_files(path: &Path) -> Result<(Config, Files), ExitCode> {
    let (loaded, files) = Config::load_noting_files(path, &ProcessEnv);
    let (config, diagnostics) = match loaded {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(diagnostics) => (None, diagnostics),
    };
    print_diagnostics(&diagnostics);
    let config = config.ok_or_else(|| ExitCode::from(MISCONFIGURED))?;
    Ok((config, files))
}

/// Loads the web configuration, if there is one, and prints its errors, and errors of it together with the roles.
fn load_web(options: &Options, roles: &config::Web) -> Result<(Access, Sources), ExitCode> {
    let file = match &options.web_config_file {
        Some(path) => WebFile::load(path, &ProcessEnv),
        None => WebFile {
            config: Some(WebConfig::default()),
            ..WebFile::default()
        },
    };
    print_diagnostics(&file.diagnostics);
    let web = file.config.ok_or_else(|| ExitCode::from(MISCONFIGURED))?;
    let access = Access::new(roles, web).map_err(|error| {
        complain(format_args!("error: {error}"));
        ExitCode::from(MISCONFIGURED)
    })?;
    for stranger in access.strangers() {
        complain(format_args!(
            "warning: `web.roles` names {stranger}, who cannot sign in\n  hint: add the user to `basic_auth_users` of --web.config.file, or write a client \
             certificate as `certificate:NAME`"
        ));
    }
    Ok((access, file.sources))
}

fn print_diagnostics(diagnostics: &[Diagnostic]) {
    let color = wants_color(&stderr());
    for diagnostic in diagnostics {
        complain(diagnostic.render(color));
    }
}

/// Returns true if standard output shows colors.
fn color() -> bool {
    wants_color(&stdout())
}

/// Runs a future to its end, on as many threads as there are cores.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("the system gives a process its threads and its epoll")
        .block_on(future)
}
