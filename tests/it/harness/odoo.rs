//! A simulated Odoo 19 with one database and an account that polls it.

use std::sync::Arc;

use odoo_simulator::{
    Account, AccountKind, Clock, Database, Recipe, ServerOptions, SimServer, World,
};

/// The server, its database `prod`, and the account `auditor`.
pub struct Odoo {
    pub server: SimServer,
    pub database: Arc<Database>,
    pub account: Account,
}

impl Odoo {
    pub async fn start(kind: AccountKind) -> Self {
        let server = SimServer::start(ServerOptions::new(19))
            .await
            .expect("a free port");
        let mut world = World::build(&Recipe::new(19, 1), Clock::system());
        let account = world.add_account(kind, "auditor");
        let database = server.add_database("prod", world);
        Self {
            server,
            database,
            account,
        }
    }
}
