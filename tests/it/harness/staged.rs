//! A simulated database that was polled once: a board that shows it, and a directory that asks it.

use std::sync::Arc;

use jiff::Timestamp;
use odoo_mfa_exporter::config::{Config, Target};
use odoo_mfa_exporter::domain::health::{Outcome, PollHealth};
use odoo_mfa_exporter::domain::snapshot::Identity;
use odoo_mfa_exporter::domain::standing::Terms;
use odoo_mfa_exporter::domain::{Posture, Roster, TargetSnapshot};
use odoo_mfa_exporter::exposition::Board;
use odoo_mfa_exporter::odoo::plan::Parts;
use odoo_mfa_exporter::odoo::{Clients, Transport};
use odoo_mfa_exporter::poll;
use odoo_mfa_exporter::web::directory::Directory;
use odoo_simulator::{
    AccountKind, Clock, Database, Life, Recipe, ServerOptions, SimServer, Time, World,
};

use super::snapshots::pending;
use super::target;

/// 2026-11-24 02:30:00.
pub const NOW: Time = 1_795_487_400;
pub const DAY: Time = 86_400;

/// A target `erp` that was polled once.
pub struct Staged {
    pub server: SimServer,
    pub database: Arc<Database>,
    pub board: Arc<Board>,
    pub directory: Arc<Directory>,
    pub posture: Arc<Posture>,
}

/// A database in which things happened for most of a year.
pub fn lived_in(recipe: &Recipe) -> World {
    let mut world = World::build(recipe, Clock::fixed(NOW));
    Life::skip(&mut world, 300);
    world
}

/// Several targets that were polled once, and others that were not.
pub struct StagedFleet {
    pub server: SimServer,
    pub databases: Vec<Arc<Database>>,
    pub board: Arc<Board>,
    pub directory: Arc<Directory>,
    pub postures: Vec<Arc<Posture>>,
}

impl StagedFleet {
    /// Serves worlds of one version as databases of one server, as the targets of these names, and polls each once with an account of a kind.
    /// `more`: settings of every target; `others`: targets that no poll of these numbers is of.
    pub async fn new(
        worlds: Vec<(&str, World, AccountKind)>,
        more: &str,
        others: Vec<TargetSnapshot>,
    ) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let version = worlds[0].1.version();
        let server = SimServer::start(ServerOptions::new(version))
            .await
            .expect("a free port");
        let (mut entries, mut databases) = (Vec::new(), Vec::new());
        for (name, mut world, kind) in worlds {
            let account = world.add_account(kind, "auditor");
            let database = if entries.is_empty() { "prod" } else { name };
            entries.push(format!(
                "{{name: '{name}', url: '{}', database: '{database}', login: auditor, api_key: {}, timeout: 5s{more}}}",
                server.url(),
                account.api_key
            ));
            databases.push(server.add_database(database, world));
        }
        let config = target::config(&format!("targets: [{}]", entries.join(", ")));
        let clients = Arc::new(Clients::default());
        let board = Arc::new(Board::new());
        let (mut slots, mut postures) = (Vec::new(), Vec::new());
        for target in &config.targets {
            let snapshot = polled(&clients, target, &config, &server.url()).await;
            postures.push(snapshot.posture.clone().expect("numbers"));
            let slot = board.slot(Arc::clone(&snapshot.identity));
            slot.publish(snapshot);
            slots.push(slot);
        }
        for snapshot in others {
            let slot = board.slot(Arc::clone(&snapshot.identity));
            slot.publish(snapshot);
            slots.push(slot);
        }
        board.show(slots);
        Self {
            directory: Directory::new(&config.targets, &board, &clients),
            server,
            databases,
            board,
            postures,
        }
    }
}

/// Polls a target once.
async fn polled(
    clients: &Arc<Clients>,
    target: &Arc<Target>,
    config: &Config,
    url: &str,
) -> TargetSnapshot {
    let transport = Transport::new(clients, Arc::clone(target)).expect("a client");
    let now = Timestamp::from_second(NOW.into()).expect("a time");
    let polled = poll::once(
        &transport,
        &mut None,
        target,
        &config.roles,
        Parts::ALL,
        now,
    )
    .await
    .expect("the poll succeeds");
    let terms = Terms {
        accepted: &target.accepted_factors,
        exemptions: &target.exemptions,
    };
    TargetSnapshot {
        identity: Arc::new(Identity {
            url: url.to_owned(),
            database: target.database.clone(),
            ..Identity::clone(&pending(&target.name).identity)
        }),
        health: PollHealth {
            last: Some(Outcome::Success),
            last_success: Some(now),
            last_attempt: Some(now),
            successes: 1,
            ..PollHealth::default()
        },
        server: Some(polled.facts.server.clone()),
        capabilities: polled.facts.capabilities().into(),
        posture: Some(Arc::clone(&polled.posture)),
        roster: Some(Arc::new(Roster::new(polled.facts, polled.standing, &terms))),
        ..pending(&target.name)
    }
}

impl Staged {
    /// Serves a world, with an account that sees as much as its kind does, and polls it once. `more`: settings of the target.
    pub async fn new(world: World, kind: AccountKind, more: &str) -> Self {
        let fleet = StagedFleet::new(vec![("erp", world, kind)], more, Vec::new()).await;
        Self {
            directory: fleet.directory,
            server: fleet.server,
            database: Arc::clone(&fleet.databases[0]),
            board: fleet.board,
            posture: Arc::clone(&fleet.postures[0]),
        }
    }
}
