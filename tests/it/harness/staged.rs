//! A simulated database that was polled once: a board that shows it, and a directory that asks it.

use std::sync::Arc;

use jiff::Timestamp;
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

impl Staged {
    /// Serves a world, with an account that sees as much as its kind does, and polls it once. `more`: settings of the target.
    pub async fn new(mut world: World, kind: AccountKind, more: &str) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let account = world.add_account(kind, "auditor");
        let server = SimServer::start(ServerOptions::new(world.version()))
            .await
            .expect("a free port");
        let database = server.add_database("prod", world);
        let config = target::config(&format!(
            "targets: [{{name: erp, url: '{}', database: prod, login: auditor, api_key: {}, timeout: 5s{more}}}]",
            server.url(),
            account.api_key
        ));
        let target = Arc::clone(&config.targets[0]);
        let clients = Arc::new(Clients::default());
        let transport = Transport::new(&clients, Arc::clone(&target)).expect("a client");
        let now = Timestamp::from_second(NOW.into()).expect("a time");
        let polled = poll::once(
            &transport,
            &mut None,
            &target,
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
        let snapshot = TargetSnapshot {
            identity: Arc::new(Identity {
                url: server.url(),
                ..Identity::clone(&pending("erp").identity)
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
            ..pending("erp")
        };
        let board = Arc::new(Board::new());
        let slot = board.slot(Arc::clone(&snapshot.identity));
        slot.publish(snapshot);
        board.show(vec![slot]);
        Self {
            directory: Directory::new(&config.targets, &board, &clients),
            server,
            database,
            board,
            posture: polled.posture,
        }
    }
}
