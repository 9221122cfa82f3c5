//! The fleet of the `demo` command: three healthy servers, one whose account sees too little, one that is down a third of the time.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    clock::{Clock, DAY, Time},
    fault::Fault,
    life::{Life, Pace},
    options::ServerOptions,
    rng::Rng,
    server::SimServer,
    simulate::{Fleet, SimulateOptions},
    world::{AccountKind, Credential, Recipe, Uses, World},
};

/// Facts about a simulated server for a configuration.
#[derive(Clone)]
pub struct DemoTarget {
    /// Its name, such as `healthy19`.
    pub name: String,
    /// The server's URL: plain HTTP on a loopback address.
    pub url: String,
    /// The database.
    pub database: String,
    /// The login of the account that polls.
    pub login: String,
    /// Its key. It opens nothing but the simulated database.
    pub api_key: String,
    /// The Odoo version.
    pub version: u8,
}

impl fmt::Debug for DemoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DemoTarget({} at {}, Odoo {})",
            self.name, self.url, self.version
        )
    }
}

/// A running demo; it stops when it is dropped.
#[derive(Debug)]
pub struct Demo {
    /// The targets.
    pub targets: Vec<DemoTarget>,
    /// The servers; the first ones in the order of the targets.
    pub servers: Vec<SimServer>,
    seed: u64,
    rng: Rng,
    /// Lag of its clocks, in seconds.
    behind: Arc<AtomicU32>,
    life: Option<Life>,
    flaky: Option<JoinHandle<()>>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(flaky) = &self.flaky {
            flaky.abort();
        }
    }
}

/// Times for which `flaky15` is up, and then down.
const UP: Duration = Duration::from_secs(40);
const DOWN: Duration = Duration::from_secs(20);

/// The targets that each demo has.
pub const CAST: usize = 5;

/// Number of events in a database within a day of its history.
const CHANGES_A_DAY: u32 = 2;

/// The one that is down a third of the time.
const FLAKY: usize = 4;

/// Starts the demo's servers on free ports of 127.0.0.1, with their clocks this many days behind. From the sixth target on they are a fleet. An error
/// is a socket's.
pub async fn start_demo(seed: u64, count: usize, days: u32) -> io::Result<Demo> {
    let cast: [_; CAST] = [
        (healthy19(seed), "healthy19", AccountKind::Full),
        (healthy20(seed), "healthy20", AccountKind::Full),
        (healthy17(seed), "healthy17", AccountKind::Full),
        (blind18(seed), "blind18", AccountKind::Plain),
        (flaky15(seed), "flaky15", AccountKind::Full),
    ];
    let behind = Arc::new(AtomicU32::new(days * DAY));
    let clock = Clock::behind(Arc::clone(&behind));
    let (mut servers, mut targets) = (Vec::new(), Vec::new());
    for (recipe, name, kind) in cast {
        let latency = Some((Duration::from_millis(5), Duration::from_millis(40)));
        let server = SimServer::start(ServerOptions {
            latency: latency.filter(|_| days == 0),
            clock: Some(clock.clone()),
            seed,
            ..ServerOptions::new(recipe.version)
        })
        .await?;
        let mut world = World::build(&recipe, clock.clone());
        if name == "healthy19" {
            world.install("mfa_auditor");
            world.install("mfa_auditor_use");
            world.uses = uses(&world);
        }
        let account = world.add_account(kind, "mfa-exporter");
        // The past may be longer than a key lives.
        let own = world
            .keys()
            .find(|key| key.owner == account.uid && key.expires != 0)
            .map(|key| (key.id, key.expires));
        if let Some((id, expires)) = own {
            world.set_key_expiry(id, Some(expires + days * DAY));
        }
        server.add_database("prod", world);
        targets.push(DemoTarget {
            name: name.into(),
            url: server.url(),
            database: "prod".into(),
            login: account.login,
            api_key: account.api_key,
            version: recipe.version,
        });
        servers.push(server);
    }
    if count > CAST {
        let fleet = Fleet::start(&SimulateOptions {
            targets: count - CAST,
            seed,
            latency: (Duration::ZERO, Duration::ZERO),
            share_well_kept: 0.3,
            clock,
            ..SimulateOptions::default()
        })
        .await?;
        targets.extend(fleet.targets);
        servers.extend(fleet.servers);
    }
    Ok(Demo {
        targets,
        servers,
        seed,
        rng: Rng::new(seed),
        behind,
        life: None,
        flaky: None,
    })
}

impl Demo {
    /// Lets so many days pass, with their changes.
    pub fn pass(&mut self, days: u32) {
        let behind = self.behind.load(Ordering::Relaxed);
        let left = behind.saturating_sub(days * DAY);
        self.behind.store(left, Ordering::Relaxed);
        for database in self.servers.iter().flat_map(SimServer::databases) {
            Life::go_on(
                &mut database.world_mut(),
                CHANGES_A_DAY * days,
                &mut self.rng,
            );
        }
    }

    /// Starts random events and failures: `flaky15` alternates between up and down, and 3% of the other databases stay down.
    pub fn go_live(&mut self) {
        let databases: Vec<_> = self.servers.iter().flat_map(SimServer::databases).collect();
        for database in databases.iter().skip(CAST).skip(7).step_by(33) {
            database.fail(Fault::Down);
        }
        self.life = Some(Life::start(databases, self.seed, Pace::default()));
        let switch = self.servers[FLAKY].switch();
        self.flaky = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(UP).await;
                switch.set(Some(Fault::Down));
                tokio::time::sleep(DOWN).await;
                switch.set(None);
            }
        }));
    }
}

/// As the module noted them for 200 days: of each key one use, or none.
fn uses(world: &World) -> Uses {
    let before = |days: Time| world.now() - days * 86_400;
    let used = world.keys().filter(|key| key.id % 5 != 0);
    // None before it was made.
    let last_use = |key: &Credential| before(key.id * 7 % 130).max(key.created);
    Uses {
        since: before(200),
        keys: used.map(|key| (key.id, last_use(key))).collect(),
        passwords: [(2, before(3))].into(),
    }
}

/// A well-kept company on 19, over JSON-2, with a policy for employees.
pub fn healthy19(seed: u64) -> Recipe {
    Recipe {
        host: "nordwind.example".into(),
        policy: Some("employee_required"),
        totp_internal: 0.8,
        passkeys: 0.15,
        ..Recipe::new(19, seed)
    }
}

/// The newest version, over JSON-2, with passkeys.
pub fn healthy20(seed: u64) -> Recipe {
    Recipe {
        host: "morgenrot.example".into(),
        totp_internal: 0.6,
        passkeys: 0.3,
        internal: 30,
        portal: 50,
        ..Recipe::new(20, seed.wrapping_add(4))
    }
}

/// An older one over JSON-RPC, without a policy, with single sign-on.
pub fn healthy17(seed: u64) -> Recipe {
    Recipe {
        host: "suedstern.example".into(),
        oauth: 0.2,
        totp_internal: 0.5,
        internal: 45,
        portal: 80,
        ..Recipe::new(17, seed.wrapping_add(1))
    }
}

/// Polled by an account that sees only its own keys and devices.
pub fn blind18(seed: u64) -> Recipe {
    Recipe {
        host: "westhafen.example".into(),
        internal: 35,
        portal: 60,
        modules: vec!["auth_totp_mail_enforce"],
        ..Recipe::new(18, seed.wrapping_add(2))
    }
}

/// Up for 40 seconds, down for 20.
pub fn flaky15(seed: u64) -> Recipe {
    Recipe {
        host: "ostberg.example".into(),
        internal: 25,
        portal: 40,
        totp_internal: 0.3,
        websites: 1,
        ..Recipe::new(15, seed.wrapping_add(3))
    }
}
