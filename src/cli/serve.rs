//! `serve` and `simulate`: what runs until it is stopped.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::output::complain;
use super::{ANYWHERE, FAILED, MISCONFIGURED, Options, block_on, load_noting_files, load_web};
use crate::config::web_file::Sources;
use crate::config::{Config, Files};
use crate::domain::Shard;
use crate::runtime::{Daemon, Logging, Origin, Settings, inherited_socket, stop_on_signals};
use crate::store::{Limits, Store};
use crate::web::access::Access;
use odoo_simulator::SimulateOptions;

/// From one look at `--web.config.file` to the next: each wakes the process and reads all files that it names.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
        Ok(None) => options.listen(ANYWHERE).bind(),
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

pub(super) fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}
