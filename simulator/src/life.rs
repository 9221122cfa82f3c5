//! Life goes on: people enrol, leave, join, switch TOTP off, are given roles and keys. Seeded, so that a run can be repeated.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::{
    clock::DAY,
    database::Database,
    rng::Rng,
    world::{Kind, Scope, World},
};

/// How fast life goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two ticks.
    pub every: Duration,
    /// Changes of a tick, spread over all databases at random.
    pub changes: u32,
}

impl Default for Pace {
    /// Brisk: something to see at each poll of a demo.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            changes: 3,
        }
    }
}

/// A background task that changes worlds; it stops when it is dropped.
#[derive(Debug)]
pub struct Life(JoinHandle<()>);

impl Life {
    /// Starts it, for these databases.
    pub fn start(databases: Vec<Arc<Database>>, seed: u64, pace: Pace) -> Self {
        let mut rng = Rng::new(seed ^ 0x11FE);
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pace.every);
            let count = u32::try_from(databases.len()).unwrap_or(u32::MAX);
            loop {
                ticks.tick().await;
                for _ in 0..pace.changes {
                    let at = usize::try_from(rng.below(count)).unwrap_or(0);
                    if let Some(database) = databases.get(at) {
                        Self::step(&mut database.world_mut(), &mut rng);
                    }
                }
            }
        }))
    }

    /// A number of changes at once, by the world's own seed: the same world and count give the same result.
    pub fn skip(world: &mut World, changes: u32) {
        let mut rng = world.rng();
        Self::go_on(world, changes, &mut rng);
    }

    /// The same with a seed that goes on.
    pub(super) fn go_on(world: &mut World, changes: u32, rng: &mut Rng) {
        for _ in 0..changes {
            Self::step(world, rng);
        }
    }

    /// One change. The accounts that poll are left alone.
    fn step(world: &mut World, rng: &mut Rng) {
        let now = world.now();
        let internal = rng.chance(0.7);
        let Some(id) = pick(world, rng, internal) else {
            return;
        };
        let enrolled = world.user(id).is_some_and(|person| person.totp());
        match rng.below(100) {
            // About as many enrol as lose it once most have it.
            0..=29 if !enrolled => drop(world.enrol(id)),
            0..=11 => drop(world.disable_totp(id)),
            12..=49 => drop(world.log_in(id, now)),
            50..=57 => drop(world.hire(if internal {
                Kind::Internal
            } else {
                Kind::Portal
            })),
            58..=65 => drop(world.set_active(id, false)),
            66..=70 => {
                let role = ROLES[usize::try_from(rng.below(ROLES.len() as u32)).unwrap_or(0)];
                let has = world.user(id).is_some_and(|person| person.in_group(role));
                if has {
                    world.revoke(id, role);
                } else if internal {
                    world.grant(id, role);
                }
            }
            71..=78 => {
                world.add_key(
                    id,
                    Scope::usual(world.version),
                    now,
                    Some(now + (1 + rng.below(90)) * DAY),
                );
            }
            79..=85 => {
                let keys: Vec<u32> = world
                    .keys()
                    .filter(|key| !world.is_account(key.owner))
                    .map(|key| key.id)
                    .collect();
                if let Some(key) = keys.get(
                    usize::try_from(rng.below(u32::try_from(keys.len()).unwrap_or(0))).unwrap_or(0),
                ) {
                    world.revoke_key(*key);
                }
            }
            86..=91 if enrolled => {
                world.add_device(id, now, Some(now + 90 * DAY));
            }
            92..=95 if world.installed("auth_passkey") => {
                world.add_passkey(id, now);
            }
            96 => world.remove_passkeys(id),
            97 if world.version() >= 18 => world.purge_expired(),
            _ => drop(world.log_in(id, now)),
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const ROLES: &[&str] = &[
    "account.group_account_user",
    "hr.group_hr_user",
    "sales_team.group_sale_manager",
    "stock.group_stock_manager",
    "base.group_erp_manager",
    "base.group_system",
];

/// An active person who is no polling account; portal people outnumber the others, so the kind is tried a few times.
fn pick(world: &World, rng: &mut Rng, internal: bool) -> Option<u32> {
    let count = u32::try_from(world.people.len()).ok()?;
    let fits = |id: u32| {
        world
            .user(id)
            .filter(|person| !person.pseudo() && person.active() && !world.is_account(id))
            .map(|person| person.kind() == Kind::Internal)
    };
    let mut other = None;
    for _ in 0..60 {
        let id = world
            .people
            .get(usize::try_from(rng.below(count)).ok()?)?
            .id;
        match fits(id) {
            Some(kind) if kind == internal => return Some(id),
            Some(_) => other = Some(id),
            None => {}
        }
    }
    other
}
