//! `serve`, `demo` and `simulate`: what runs until it is stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{FAILED, Options, block_on, load, print_diagnostics};
use crate::config::{Config, Env, FileContent};
use crate::demo::{DemoTarget, SimulateOptions, start_demo};
use crate::runtime::{Daemon, stop_on_signals};
use crate::store::{Limits, Location, Store};

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
    /// Where the configuration goes that polls them; standard output if not given.
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// Where the key goes that opens every simulated database.
    #[arg(long, value_name = "FILE", default_value = "simulated.key")]
    key_file: PathBuf,
}

pub(super) fn serve(options: &Options) -> ExitCode {
    let config = match load(&options.config_file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    finish(block_on(run(&config, options)))
}

async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).context("cannot listen to signals")?;
    let store = Store::open(options.storage(), Limits::default())?;
    let daemon = Daemon::prepare(
        config,
        &options.listen,
        options.metrics_path.clone(),
        Some(store),
    )
    .await?;
    info!(address = %daemon.address()?, targets = config.targets.len(), "listening");
    daemon.run(stop).await?;
    info!("stopped");
    Ok(())
}

pub(super) fn demo(options: &Options, demo: &Demo) -> ExitCode {
    finish(block_on(async {
        let simulated = start_demo(demo.seed)
            .await
            .context("cannot start the simulated servers")?;
        let env = DemoEnv {
            configuration: demo_configuration(&simulated.targets),
        };
        let (config, _) = Config::load(Path::new("demo.yml"), &env).map_err(|diagnostics| {
            print_diagnostics(&diagnostics);
            anyhow::anyhow!("the demo's configuration is wrong: a defect of this program")
        })?;
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone()).context("cannot listen to signals")?;
        let store = Store::open(Location::Memory, Limits::default())?;
        let daemon = Daemon::prepare(
            &config,
            &options.listen,
            options.metrics_path.clone(),
            Some(store),
        )
        .await?;
        println!("Simulated Odoo servers, changing while you watch:");
        for target in &simulated.targets {
            println!(
                "  {:<10} Odoo {:<3} {}",
                target.name, target.version, target.url
            );
        }
        let address = daemon.address()?;
        println!(
            "\nThe exporter:\n  http://localhost:{}/\n  http://localhost:{}{}\n\nCtrl-C ends it.",
            address.port(),
            address.port(),
            options.metrics_path
        );
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
        configuration: simulate.configuration,
        key_file: simulate.key_file,
        ..SimulateOptions::default()
    };
    finish(block_on(crate::demo::simulate(options)).map_err(Into::into))
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
    serde_json::json!({"defaults": {"interval": "5s", "timeout": "4s"}, "targets": targets})
        .to_string()
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
