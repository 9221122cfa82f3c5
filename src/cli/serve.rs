//! `serve`, `demo` and `simulate`: what runs until it is stopped.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::output::{self, complain};
use super::{
    FAILED, MISCONFIGURED, Options, block_on, load_noting_files, load_web, print_diagnostics,
};
use crate::config::web_file::{Sources, WebFile};
use crate::config::{Config, Diagnostic, Env, FileContent, Files};
use crate::domain::Shard;
use crate::runtime::{Daemon, Logging, Origin, Settings, inherited_socket, stop_on_signals};
use crate::store::{Limits, Location, Store};
use crate::web::access::Access;
use odoo_simulator::{DemoTarget, SimulateOptions, start_demo};

/// From one look at `--web.config.file` to the next: each wakes the process and reads all files that it names.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The same seed gives the same people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Simulate {
    /// How many databases.
    #[arg(long, default_value_t = 100)]
    targets: usize,
    /// The same seed gives the same fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shortest and longest time that an answer takes, in milliseconds.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], default_values_t = [20, 500])]
    latency: Vec<u64>,
    /// Fewest and most internal people of a database; most databases are small.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], default_values_t = [10, 120])]
    internal: Vec<u32>,
    /// Fewest and most portal people of a database.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], default_values_t = [0, 400])]
    portal: Vec<u32>,
    /// Share of databases that close every connection, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    down: f64,
    /// Share of databases that answer after 10 seconds, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    slow: f64,
    /// Share of databases in which every user has a second factor, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    well_kept: f64,
    /// Where the configuration goes that polls them; standard output if not given.
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// Where the key goes that opens every simulated database.
    #[arg(long, value_name = "FILE", default_value = "simulated.key")]
    key_file: PathBuf,
}

pub(super) fn serve(options: &Options, logging: Logging) -> ExitCode {
    if options.shard >= options.total_shards {
        complain(format_args!(
            "error: there is no shard {} of {}\n  hint: --shard counts from 0",
            options.shard, options.total_shards
        ));
        return ExitCode::from(MISCONFIGURED);
    }
    let (config, files) = match load_noting_files(&options.config_file) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let (access, sources) = match load_web(options, &config.web) {
        Ok(web) => web,
        Err(code) => return code,
    };
    let listener = match inherited_socket() {
        Ok(Some(inherited)) => Ok(inherited),
        Ok(None) => options.listen.bind(),
        Err(error) => Err(error),
    };
    finish(listener.map_err(Into::into).and_then(|listener| {
        let started = Started {
            files,
            listener,
            access,
            sources,
            logging,
        };
        block_on(run(&config, options, started))
    }))
}

/// What was there before anything ran.
struct Started {
    files: Files,
    listener: TcpListener,
    access: Access,
    /// What the web configuration was read from.
    sources: Sources,
    logging: Logging,
}

async fn run(config: &Config, options: &Options, started: Started) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).context("cannot listen to signals")?;
    // From here on a SIGHUP waits for the daemon instead of ending it.
    let hangups = signal(SignalKind::hangup()).context("cannot listen to signals")?;
    let settings = Settings {
        listener: started.listener,
        metrics_path: options.metrics_path.clone(),
        access: started.access.clone(),
        store: Some(Store::open(options.storage(), Limits::default())?),
        shard: Shard {
            index: options.shard,
            total: options.total_shards,
        },
        origin: Some(Origin {
            path: options.config_file.clone(),
            files: started.files,
        }),
        logging: Some(started.logging),
    };
    let daemon = Daemon::prepare(config, settings).await?;
    if let Some(path) = &options.web_config_file {
        tokio::spawn(started.access.reread(
            path.clone(),
            started.sources,
            LOOK_EVERY,
            daemon.exporter(),
            stop.clone(),
        ));
    }
    if let Some(reloader) = daemon.reloader() {
        tokio::spawn(reloader.clone().on_hangups(hangups));
        if let Some(every) = options.auto_reload {
            tokio::spawn(reloader.on_changes(every));
        }
    }
    let targets = daemon.board().slots().len();
    info!(address = %daemon.address()?, targets, "listening");
    daemon.run(stop).await?;
    info!("stopped");
    Ok(())
}

pub(super) fn demo(options: &Options, demo: &Demo, logging: Logging) -> ExitCode {
    finish(block_on(async {
        let simulated = start_demo(demo.seed)
            .await
            .context("cannot start the simulated servers")?;
        let env = DemoEnv {
            configuration: demo_configuration(&simulated.targets),
        };
        let (config, _) = Config::load(Path::new("demo.yml"), &env).map_err(defect)?;
        let (password, users) = demo_reader()?;
        let env = DemoEnv {
            configuration: users,
        };
        let web = WebFile::load(Path::new("demo-web.yml"), &env);
        let web = web.config.ok_or_else(|| defect(web.diagnostics))?;
        let access = Access::new(&config.web, web)?;
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone()).context("cannot listen to signals")?;
        let settings = Settings {
            listener: options.listen.bind()?,
            metrics_path: options.metrics_path.clone(),
            access,
            store: Some(Store::open(Location::Memory, Limits::default())?),
            shard: Shard::WHOLE,
            origin: None,
            logging: Some(logging),
        };
        let daemon = Daemon::prepare(&config, settings).await?;
        let mut text = String::from("Simulated Odoo servers, changing while you watch:\n");
        for target in &simulated.targets {
            text += &format!(
                "  {:<10} Odoo {:<3} {}\n",
                target.name, target.version, target.url
            );
        }
        let address = daemon.address()?;
        text += &format!(
            "\nThe exporter:\n  http://localhost:{port}/\n  http://localhost:{port}{}\n\nNames of people want a signed-in reader:\n  \
             http://localhost:{port}/sign-in\n  user {DEMO_READER}, password {password}\n\nCtrl-C ends it.\n",
            options.metrics_path,
            port = address.port(),
        );
        // The daemon runs also if standard output is closed or full.
        let _ = output::print(text);
        daemon.run(stop).await?;
        Ok(())
    }))
}

pub(super) fn simulate(simulate: Simulate) -> ExitCode {
    // The command line takes two of each.
    let range = |values: &[u32]| (values[0], values[1]);
    let options = SimulateOptions {
        targets: simulate.targets,
        seed: simulate.seed,
        latency: (
            Duration::from_millis(simulate.latency[0]),
            Duration::from_millis(simulate.latency[1]),
        ),
        internal: range(&simulate.internal),
        portal: range(&simulate.portal),
        share_down: simulate.down,
        share_slow: simulate.slow,
        share_well_kept: simulate.well_kept,
        configuration: simulate.configuration,
        key_file: simulate.key_file,
        ..SimulateOptions::default()
    };
    finish(block_on(odoo_simulator::simulate(options)).map_err(Into::into))
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Polls often, so that one sees something happen.
fn demo_configuration(targets: &[DemoTarget]) -> String {
    let targets: Vec<_> = targets
        .iter()
        .map(|target| {
            serde_json::json!({
                "name": target.name, "url": target.url, "database": target.database,
                "login": target.login, "api_key": target.api_key,
                "exemptions": [{"login": target.login, "reason": "service"}],
                "surface": {"interval": "1m", "vantages": [{
                    "name": "outside", "url": target.url, "expect_blocked": ["xmlrpc", "database_manager"],
                }]},
            })
        })
        .collect();
    // JSON is YAML.
    serde_json::json!({
        "defaults": {"interval": "5s", "timeout": "4s"},
        "targets": targets,
        "web": {"roles": {"scrape": ["*"], "read": ["*"], "read_names": [DEMO_READER]}},
    })
    .to_string()
}

/// Who may read names in the demo.
const DEMO_READER: &str = "reader";

/// A password of its own for each run, and a web configuration with the reader.
fn demo_reader() -> anyhow::Result<(String, String)> {
    let bytes: [u8; 12] = ring::rand::generate(&SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?
        .expose();
    let password = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    // Nobody guesses 96 bits, however fast a guess is checked.
    let hash = bcrypt::hash(&password, 4)?;
    let users = serde_json::json!({"basic_auth_users": {DEMO_READER: hash}});
    Ok((password, users.to_string()))
}

fn defect(diagnostics: Vec<Diagnostic>) -> anyhow::Error {
    print_diagnostics(&diagnostics);
    anyhow::anyhow!("the demo's configuration is wrong: a defect of this program")
}

/// The demo's configuration exists in memory only.
struct DemoEnv {
    configuration: String,
}

impl Env for DemoEnv {
    fn file(&self, _: &Path) -> io::Result<FileContent> {
        Ok(FileContent {
            bytes: self.configuration.clone().into_bytes(),
            mode: 0o600,
        })
    }

    fn var(&self, _: &str) -> Option<String> {
        None
    }
}
