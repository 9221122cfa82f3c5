//! Order of password comparisons. One at a time, and in turns, so that a client that guesses delays others as little as possible.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Maximum number of waiting requests; beyond it, the client with the most of them loses one.
const WAITING: usize = 128;

/// Origins whose turns are counted: then the counts begin at 0 again.
const COUNTED: usize = 4096;

/// The network that a client comes from: the address, or of an IPv6 address the first 64 bits, which one client has to itself.
pub(in crate::web) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Origin of an attempt: the address, and a keyed hash of the user that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) network: Option<IpAddr>,
    pub(super) user: u64,
}

/// The line of those who wait. Networks take turns, and within a network users: behind a reverse proxy all come from one network.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    /// True if a turn has not ended.
    taken: bool,
    waiting: Vec<Waiting>,
    /// Number of turns of each origin since the line was empty.
    networks: HashMap<Option<IpAddr>, u64>,
    origins: HashMap<Origin, u64>,
}

#[derive(Debug)]
struct Waiting {
    origin: Origin,
    turn: oneshot::Sender<Turn>,
}

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Turns>);

impl Turns {
    /// Waits for a turn. `None` if so many wait that this one had to give way.
    pub(super) async fn next(&self, origin: Origin) -> Option<Turn> {
        let turn = {
            let mut line = self.line();
            if !line.taken {
                line.taken = true;
                line.count(origin);
                return Some(Turn(Some(self.clone())));
            }
            let (turn, comes) = oneshot::channel();
            line.waiting.retain(|it| !it.turn.is_closed());
            line.waiting.push(Waiting { origin, turn });
            if line.waiting.len() > WAITING {
                line.shorten();
            }
            comes
        };
        turn.await.ok()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn count(&mut self, origin: Origin) {
        if self.origins.len() >= COUNTED {
            self.networks.clear();
            self.origins.clear();
        }
        *self.networks.entry(origin.network).or_default() += 1;
        *self.origins.entry(origin).or_default() += 1;
    }

    /// Removes the next one: of the network with the fewest turns, of it the user with the fewest, and then the first one.
    fn pop(&mut self) -> Option<Waiting> {
        let turns = |it: &Waiting| {
            let network = self.networks.get(&it.origin.network);
            let origin = self.origins.get(&it.origin);
            (network.copied(), origin.copied())
        };
        let first = (0..self.waiting.len()).min_by_key(|index| turns(&self.waiting[*index]))?;
        Some(self.waiting.remove(first))
    }

    /// Sends away the newest of the user who has most in the line, of the network that has.
    fn shorten(&mut self) {
        let mut networks: HashMap<_, usize> = HashMap::new();
        let mut origins: HashMap<_, usize> = HashMap::new();
        for it in &self.waiting {
            *networks.entry(it.origin.network).or_default() += 1;
            *origins.entry(it.origin).or_default() += 1;
        }
        let most = |index: &usize| {
            let origin = self.waiting[*index].origin;
            (networks[&origin.network], origins[&origin], *index)
        };
        if let Some(index) = (0..self.waiting.len()).max_by_key(most) {
            self.waiting.remove(index);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else {
            return;
        };
        let mut line = turns.line();
        while let Some(Waiting { origin, turn }) = line.pop() {
            line.count(origin);
            match turn.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                // Its client has gone; this is the turn that is passed on.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        *line = Line::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(last: u8, user: u64) -> Origin {
        Origin {
            network: Some(IpAddr::from([192, 0, 2, last])),
            user,
        }
    }

    #[test]
    fn an_ipv6_client_has_a_whole_network() {
        let of = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }

    /// Lets all tasks run until they wait.
    async fn settle() {
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn networks_take_turns_and_in_a_network_users_do() {
        let turns = Turns::default();
        let first = turns.next(origin(1, 1)).await.expect("a turn");
        let order = Arc::new(Mutex::new(Vec::new()));
        // Guesses of one network, of one user, and then another user there, and another network.
        let asked = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 1)];
        let waiting = asked.map(|(network, user)| {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let turn = turns.next(origin(network, user)).await;
                order.lock().expect("no panic").push((network, user));
                drop(turn);
            })
        });
        settle().await;
        drop(first);
        for task in waiting {
            task.await.expect("no panic");
        }
        let order = order.lock().expect("no panic").clone();
        assert_eq!(order, [(2, 1), (1, 2), (1, 1), (1, 1), (1, 1)]);
    }

    #[tokio::test]
    async fn who_has_most_in_a_full_line_gives_way_and_who_left_is_passed_over() {
        let turns = Turns::default();
        let first = turns.next(origin(1, 1)).await.expect("a turn");
        let wait = |it| {
            tokio::spawn({
                let turns = turns.clone();
                async move { turns.next(it).await.is_some() }
            })
        };
        let many: Vec<_> = (0..WAITING).map(|_| wait(origin(1, 1))).collect();
        settle().await;
        let one = wait(origin(2, 1));
        settle().await;
        for left in &many[..WAITING / 2] {
            left.abort();
        }
        drop(first);
        assert!(one.await.expect("no panic"), "it gets its turn");
        let mut served = 0;
        for task in many {
            served += usize::from(task.await.unwrap_or(false));
        }
        assert_eq!(served, WAITING / 2 - 1, "the newest gave way");
        assert!(turns.next(origin(3, 1)).await.is_some());
    }
}
