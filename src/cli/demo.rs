//! `demo`: the exporter on simulated Odoo servers, with a past, and a configuration on which the other commands work.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, IsTerminal, Write, stderr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use odoo_simulator::{CAST, Demo, DemoTarget, start_demo};
use ring::rand::SystemRandom;
use tokio_util::sync::CancellationToken;

use super::serve::finish;
use super::{Options, block_on, output, print_diagnostics};
use crate::config::web_file::WebFile;
use crate::config::{Config, Diagnostic, ProcessEnv};
use crate::domain::Shard;
use crate::poll::Past;
use crate::runtime::{Daemon, Logging, Settings, stop_on_signals};
use crate::store::{FILE_NAME, Limits, Location, Store};
use crate::web::access::Access;

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The same seed gives the same users.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of databases, 5 to 10,000. The first five differ in version and health; the others are a fleet.
    #[arg(long, value_name = "NUMBER", default_value_t = CAST as u64, value_parser = clap::value_parser!(u64).range(CAST as u64..=10_000))]
    targets: u64,
}

/// Days of history of the databases.
const DAYS: u32 = 90;

/// The reader of names in the demo.
const READER: &str = "reader";

pub(super) fn demo(options: &Options, arguments: &Arguments, logging: Logging) -> ExitCode {
    finish(block_on(run(options, arguments, logging)))
}

async fn run(options: &Options, arguments: &Arguments, logging: Logging) -> anyhow::Result<()> {
    // Before the work: an address that is in use is said at once.
    let listener = options.listen("127.0.0.1:9893").bind()?;
    let mut simulated = start_demo(arguments.seed, usize::try_from(arguments.targets)?, DAYS)
        .await
        .context("cannot start the simulated servers")?;
    let files = Files::create(&simulated.targets)?;
    let config = files.path("config.yml");
    let (loaded, _) = Config::load(&config, &ProcessEnv).map_err(defect)?;
    let (password, users) = reader()?;
    files.write("web.yml", &users)?;
    let web = WebFile::load(&files.path("web.yml"), &ProcessEnv);
    let web = web.config.ok_or_else(|| defect(web.diagnostics))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).context("cannot handle signals")?;
    let store = Store::open(Location::Path(files.path(FILE_NAME)), Limits::default())?;
    let past = live_through(&mut simulated, &loaded, &store);
    if stop.run_until_cancelled(past).await.is_none() {
        return Ok(());
    }
    simulated.go_live();
    let settings = Settings {
        listener,
        metrics_path: options.metrics_path.clone(),
        access: Access::new(&loaded.web, web)?,
        store: Some(store),
        shard: Shard::WHOLE,
        origin: None,
        logging: Some(logging),
    };
    let daemon = Daemon::prepare(&loaded, settings).await?;
    let port = daemon.address()?.port();
    // The daemon runs also if standard output is closed or full.
    let _ = output::print(welcome(
        options,
        &simulated.targets,
        &files,
        port,
        &password,
    ));
    Ok(daemon.run(stop).await?)
}

/// Polls the past of the databases into the store: daily in the last month, where there are not many.
async fn live_through(simulated: &mut Demo, config: &Config, store: &Store) {
    let few = config.targets.len() <= 10;
    let progress = stderr().is_terminal();
    let mut past = Past::new(config, store.clone());
    let mut day = 0;
    while day < DAYS {
        if progress {
            let _ = write!(
                stderr(),
                "\r\x1b[Kpreparing the history: day {day} of {DAYS}"
            );
        }
        past.poll().await;
        let step = if few && day >= DAYS - 30 { 1 } else { 10 };
        simulated.pass(step.min(DAYS - day));
        day += step;
    }
    if progress {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

fn welcome(
    options: &Options,
    targets: &[DemoTarget],
    files: &Files,
    port: u16,
    password: &str,
) -> String {
    let mut text = String::from("Simulated Odoo servers, with changing data:\n");
    for target in targets.iter().take(CAST) {
        text += &format!(
            "  {:<10} Odoo {:<3} {}\n",
            target.name, target.version, target.url
        );
    }
    if targets.len() > CAST {
        text += &format!("  and {} more\n", targets.len() - CAST);
    }
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    let [config, web, store] = ["config.yml", "web.yml", FILE_NAME].map(|name| files.path(name));
    let (config, web, store) = (config.display(), web.display(), store.display());
    let metrics = &options.metrics_path;
    text + &format!(
        "\nOpen http://localhost:{port}/ (the metrics: http://localhost:{port}{metrics}).\n\
         To see users' names, sign in as {READER} with the password {password}\n\
         \nTry the other commands in another terminal:\n\
         \x20 export ODOO_MFA_EXPORTER_CONFIG_FILE={config} ODOO_MFA_EXPORTER_WEB_CONFIG_FILE={web}\n\
         \x20 {program} check --connect\n\
         \x20 {program} scan healthy19\n\
         \x20 {program} history healthy19 --storage.path {store}\n\
         \x20 {program} changes healthy19 --storage.path {store}\n\
         \x20 {program} alerts --url http://localhost:{port}\n\
         \nPress Ctrl-C to stop the demo and delete its files.\n"
    )
}

/// The demo's files, in a directory of their own that ends with it.
struct Files(PathBuf);

impl Files {
    fn create(targets: &[DemoTarget]) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("odoo-mfa-demo-{}", random()?));
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let files = Self(directory);
        for target in targets {
            files.write(&format!("{}.key", target.name), &target.api_key)?;
        }
        files.write("config.yml", &configuration(targets))?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let written: io::Result<()> = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Polls often, so that one sees something happen; alerts wait for seconds, not for hours.
fn configuration(targets: &[DemoTarget]) -> String {
    let mut text = format!(
        "\
# The demo's configuration. It ends with the demo.
defaults:
  interval: {interval}
  timeout: 4s
alerting:
  evaluation_interval: 2s
  rules:
    OdooMfaAdminWithoutMfa: {{for: 10s}}
    OdooMfaPrivilegedWithoutMfa: {{for: 20s}}
    OdooMfaCoverageBelowTarget: {{for: 20s}}
    OdooMfaEndpointExposed: {{for: 10s}}
    OdooMfaCapabilityMissing: {{for: 20s}}
    OdooMfaApiKeyOfArchivedUser: {{for: 30s}}
web:
  roles: {{scrape: ['*'], read: ['*'], read_names: [{READER}]}}
targets:
",
        interval = if targets.len() > CAST { "30s" } else { "5s" },
    );
    for target in targets {
        let DemoTarget {
            name,
            url,
            database,
            login,
            ..
        } = target;
        text += &format!(
            "\
- name: {name}
  url: {url}
  database: {database}
  login: {login}
  api_key_file: {name}.key
  allow_plain_http: true
  exemptions: [{{login: {login}, reason: service}}]
  surface:
    interval: 1m
    vantages: [{{name: outside, url: '{url}', expect_blocked: [xmlrpc, database_manager]}}]
"
        );
    }
    text
}

/// A password of its own for each run, and a web configuration with the reader.
fn reader() -> anyhow::Result<(String, String)> {
    let password = random()?;
    // 96 bits cannot be guessed, however fast a guess is checked.
    let hash = bcrypt::hash(&password, 4)?;
    Ok((
        password,
        format!("basic_auth_users: {{{READER}: '{hash}'}}\n"),
    ))
}

fn random() -> anyhow::Result<String> {
    let bytes: [u8; 12] = ring::rand::generate(&SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("the system returns no random bytes"))?
        .expose();
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn defect(diagnostics: Vec<Diagnostic>) -> anyhow::Error {
    print_diagnostics(&diagnostics);
    anyhow::anyhow!("the demo's configuration is invalid: a bug in the exporter")
}
