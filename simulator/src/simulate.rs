//! A fleet of any size, for load tests and dashboards: servers of several versions with many databases each, latencies, failures and life,
//! and the configuration to poll it.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use super::{
    clock::Clock,
    fault::Fault,
    life::{Life, Pace},
    options::ServerOptions,
    rng::{Rng, hex},
    scenarios::DemoTarget,
    server::SimServer,
    world::{AccountKind, Recipe, World},
};

/// What to simulate.
#[derive(Debug, Clone)]
pub struct SimulateOptions {
    /// How many databases.
    pub targets: usize,
    /// The same seed gives the same fleet.
    pub seed: u64,
    /// Where to listen. On 127.0.0.1 each server takes a loopback address of its own (127.0.1.1 and on), so that limits for a host mean something.
    pub listen: IpAddr,
    /// The first server's port, the next ones the next; 0: free ports.
    pub port: u16,
    /// The versions, in turn; one that is named more often has more servers.
    pub versions: Vec<u8>,
    /// Databases of a server.
    pub per_server: usize,
    /// Internal people of a database, from and to; most databases are small, and few are large.
    pub internal: (u32, u32),
    /// Portal people of a database, from and to, in the same way.
    pub portal: (u32, u32),
    /// How long each answer takes, from and to.
    pub latency: (Duration, Duration),
    /// Share of databases that close every connection without an answer.
    pub share_down: f64,
    /// Share of databases that answer after `slow`.
    pub share_slow: f64,
    /// How slow those are.
    pub slow: Duration,
    /// Share of databases polled by an account that sees too little.
    pub share_blind: f64,
    /// Share of databases in which every user has a second factor, and no user but the polling account an API key.
    pub share_well_kept: f64,
    /// The databases' time.
    pub clock: Clock,
    /// Changes while it runs; `None`: none.
    pub pace: Option<Pace>,
    /// Where the configuration goes; `None`: standard output.
    pub configuration: Option<PathBuf>,
    /// Where the key goes that opens every simulated database.
    pub key_file: PathBuf,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            targets: 100,
            seed: 1,
            listen: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            versions: vec![19, 18, 17, 19, 18, 16, 15, 19],
            per_server: 25,
            internal: (10, 120),
            portal: (0, 400),
            latency: (Duration::from_millis(20), Duration::from_millis(500)),
            share_down: 0.0,
            share_slow: 0.0,
            slow: Duration::from_secs(10),
            share_blind: 0.0,
            share_well_kept: 0.0,
            clock: Clock::system(),
            pace: None,
            configuration: None,
            key_file: "simulated.key".into(),
        }
    }
}

/// A running fleet; it stops when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// What can be polled.
    pub targets: Vec<DemoTarget>,
    /// The servers.
    pub servers: Vec<SimServer>,
    _life: Option<Life>,
}

impl Fleet {
    /// Starts the servers. An error is a socket's.
    pub async fn start(options: &SimulateOptions) -> io::Result<Self> {
        let mut rng = Rng::new(options.seed);
        let key = hex(&mut rng, 40);
        let (mut servers, mut targets) = (Vec::new(), Vec::new());
        let versions = if options.versions.is_empty() {
            &[19][..]
        } else {
            &options.versions
        };
        while targets.len() < options.targets {
            let number = servers.len();
            let version = versions[number % versions.len()];
            let server = SimServer::start(ServerOptions {
                listen: (
                    address(options.listen, number),
                    options
                        .port
                        .checked_add(u16::try_from(number).unwrap_or(u16::MAX))
                        .filter(|_| options.port != 0)
                        .unwrap_or(0),
                )
                    .into(),
                keep_alive: true,
                latency: Some(options.latency),
                keep_requests: 0,
                clock: Some(options.clock.clone()),
                seed: rng.next(),
                ..ServerOptions::new(version)
            })
            .await?;
            for _ in 0..options
                .per_server
                .max(1)
                .min(options.targets - targets.len())
            {
                let target = populate(&server, options, &mut rng, &key, targets.len());
                targets.push(target);
            }
            servers.push(server);
        }
        let databases = servers.iter().flat_map(SimServer::databases).collect();
        let life = options
            .pace
            .map(|pace| Life::start(databases, options.seed, pace));
        Ok(Self {
            targets,
            servers,
            _life: life,
        })
    }

    /// The configuration that polls the fleet.
    pub fn configuration(&self, options: &SimulateOptions) -> String {
        let mut text = String::from(
            "# A simulated fleet. The key opens nothing but the simulated databases.\ntargets:\n",
        );
        let key =
            std::path::absolute(&options.key_file).unwrap_or_else(|_| options.key_file.clone());
        for target in &self.targets {
            let _ = write!(
                text,
                "- name: {}\n  url: {}\n  database: {}\n  login: {}\n  api_key_file: {}\n  allow_plain_http: true\n  labels: {{odoo: \"{}\"}}\n",
                target.name,
                target.url,
                target.database,
                target.login,
                key.display(),
                target.version
            );
        }
        text
    }
}

/// Runs a fleet until Ctrl-C, after writing its configuration and key. An error is a socket's or a file's.
pub async fn simulate(options: SimulateOptions) -> io::Result<()> {
    let fleet = Fleet::start(&options).await?;
    let key = fleet
        .targets
        .first()
        .map(|target| target.api_key.clone())
        .unwrap_or_default();
    write_private(&options.key_file, &key)?;
    let text = fleet.configuration(&options);
    match &options.configuration {
        Some(path) => std::fs::write(path, text)?,
        None => {
            use std::io::Write as _;
            std::io::stdout().lock().write_all(text.as_bytes())?;
        }
    }
    tokio::signal::ctrl_c().await
}

fn populate(
    server: &SimServer,
    options: &SimulateOptions,
    rng: &mut Rng,
    key: &str,
    number: usize,
) -> DemoTarget {
    let between = |(from, to): (u32, u32), rng: &mut Rng| {
        from + (f64::from(to.saturating_sub(from)) * rng.unit().powi(3)).round() as u32
    };
    let version = server.version();
    let name = format!("sim-{number:05}");
    // Without a draw where there is none, so that a seed gives the same fleet as before.
    let well_kept = options.share_well_kept > 0.0 && rng.chance(options.share_well_kept);
    let mut recipe = Recipe {
        host: format!("{name}.example"),
        internal: between(options.internal, rng),
        portal: between(options.portal, rng),
        companies: 1 + u8::from(rng.chance(0.3)),
        websites: u8::from(rng.chance(0.5)),
        totp_internal: rng.unit(),
        policy: Some("employee_required").filter(|_| version >= 15 && rng.chance(0.3)),
        ..Recipe::new(version, rng.next())
    };
    if well_kept {
        recipe.keys_per_hundred = 0;
    }
    let mut world = World::build(&recipe, options.clock.clone());
    let kind = if rng.chance(options.share_blind) {
        AccountKind::Plain
    } else {
        AccountKind::Full
    };
    let account = world.add_account(kind, "mfa-auditor");
    world.also_opens(key, account.uid);
    if well_kept {
        let users: Vec<u32> = world.users().map(|user| user.id()).collect();
        for id in users {
            world.enrol(id);
        }
    }
    let database = server.add_database(&name, world);
    if rng.chance(options.share_down) {
        database.fail(Fault::Down);
    } else if rng.chance(options.share_slow) {
        database.fail(Fault::Slow(options.slow));
    }
    DemoTarget {
        name: name.clone(),
        url: server.url(),
        database: name,
        login: account.login,
        api_key: key.into(),
        version,
    }
}

fn address(listen: IpAddr, number: usize) -> IpAddr {
    let number = u32::try_from(number).unwrap_or(0);
    match listen {
        IpAddr::V4(Ipv4Addr::LOCALHOST) if cfg!(target_os = "linux") => {
            // 127.0.1.1 and on, without .0 and .255.
            let [high, low] = [1 + number / 250, 1 + number % 250];
            Ipv4Addr::from(0x7F00_0000 + ((high & 0xFFFF) << 8) + low).into()
        }
        other => other,
    }
}

/// The key file can be read by its owner only, as the exporter demands of key files.
fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
