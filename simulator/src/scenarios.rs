//! The fleet of the `demo` command: two healthy servers, one whose account sees too little, one that is down a third of the time.

use std::{fmt, io, time::Duration};

use tokio::task::JoinHandle;

use super::{
    clock::{Clock, Time},
    fault::Fault,
    life::{Life, Pace},
    options::ServerOptions,
    server::SimServer,
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
    /// The servers, in the order of the targets.
    pub servers: Vec<SimServer>,
    _life: Life,
    flaky: JoinHandle<()>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.flaky.abort();
    }
}

/// Times for which `flaky15` is up, and then down.
const UP: Duration = Duration::from_secs(40);
const DOWN: Duration = Duration::from_secs(20);

/// Starts the demo's servers on free ports of 127.0.0.1. An error is a socket's.
pub async fn start_demo(seed: u64) -> io::Result<Demo> {
    let cast = [
        (healthy19(seed), "healthy19", AccountKind::Full),
        (healthy17(seed), "healthy17", AccountKind::Full),
        (blind18(seed), "blind18", AccountKind::Plain),
        (flaky15(seed), "flaky15", AccountKind::Full),
    ];
    let (mut servers, mut targets) = (Vec::new(), Vec::new());
    for (recipe, name, kind) in cast {
        let latency = Some((Duration::from_millis(5), Duration::from_millis(40)));
        let server = SimServer::start(ServerOptions {
            latency,
            seed,
            ..ServerOptions::new(recipe.version)
        })
        .await?;
        let mut world = World::build(&recipe, Clock::system());
        if name == "healthy19" {
            world.install("mfa_auditor");
            world.install("mfa_auditor_use");
            world.uses = uses(&world);
        }
        let account = world.add_account(kind, "mfa-auditor");
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
    let databases = servers.iter().flat_map(SimServer::databases).collect();
    let switch = servers[3].switch();
    let flaky = tokio::spawn(async move {
        loop {
            tokio::time::sleep(UP).await;
            switch.set(Some(Fault::Down));
            tokio::time::sleep(DOWN).await;
            switch.set(None);
        }
    });
    Ok(Demo {
        targets,
        servers,
        _life: Life::start(databases, seed, Pace::default()),
        flaky,
    })
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
