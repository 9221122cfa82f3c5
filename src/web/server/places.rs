//! Places of connections: how many there are, and which connection gives way to a new one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All places.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    next: AtomicU64,
    taken: Mutex<HashMap<u64, Held>>,
}

/// A connection as the others see it.
#[derive(Debug)]
struct Held {
    network: IpAddr,
    activity: Activity,
    gives_way: CancellationToken,
}

/// A connection's place, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    pub(super) activity: Activity,
    /// Is cancelled when the connection must end for a new one.
    pub(super) gives_way: CancellationToken,
}

/// State of a connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy)]
struct State {
    /// Start of the last request, or of the connection.
    began: Instant,
    /// Since when it has this many requests.
    since: Instant,
    requests: usize,
}

/// A request that is answered; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Request(Activity);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            next: AtomicU64::new(0),
            taken: Mutex::default(),
        }))
    }

    /// A place for a connection from a network. If all are taken, one of the network that has most gives way: the connection that is
    /// idle for longest. Without an idle one it is the one that asked first, unless the new one would have as many places. `None` if
    /// none gives way.
    pub(super) fn take(&self, network: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        if taken.len() >= self.0.most {
            let victim = victim(&taken, network)?;
            if let Some(held) = taken.remove(&victim) {
                held.gives_way.cancel();
            }
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let activity = Activity::new();
        let gives_way = CancellationToken::new();
        taken.insert(
            number,
            Held {
                network,
                activity: activity.clone(),
                gives_way: gives_way.clone(),
            },
        );
        Some(Place {
            places: self.clone(),
            number,
            activity,
            gives_way,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn victim(taken: &HashMap<u64, Held>, newcomer: IpAddr) -> Option<u64> {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    for held in taken.values() {
        *counts.entry(held.network).or_default() += 1;
    }
    let now = Instant::now();
    let rank = |(number, held): (&u64, &Held)| {
        let state = held.activity.state();
        let idle = state.requests == 0;
        let count = counts[&held.network];
        (idle, count, now.duration_since(state.since), *number)
    };
    let (idle, count, _, number) = taken.iter().map(rank).max()?;
    let own = counts.get(&newcomer).copied().unwrap_or(0);
    (idle || count > own + 1).then_some(number)
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            began: now,
            since: now,
            requests: 0,
        })))
    }

    /// A request began.
    pub(super) fn request(&self) -> Request {
        let now = Instant::now();
        let mut state = self.lock();
        state.began = now;
        state.requests += 1;
        state.since = now;
        Request(self.clone())
    }

    /// Start of the last request, or of the connection.
    pub(super) fn began(&self) -> Instant {
        self.state().began
    }

    fn state(&self) -> State {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests = state.requests.saturating_sub(1);
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn gone(place: &Place) -> bool {
        place.gives_way.is_cancelled()
    }

    #[test]
    fn the_longest_idle_one_of_the_client_with_most_gives_way() {
        let places = Places::new(4);
        let take = |last| places.take(address(last));
        let scraper = take(1).expect("a place");
        let busy = take(2).expect("a place");
        let request = busy.activity.request();
        let [older, newer] = [take(2), take(2)].map(|it| it.expect("a place"));
        let other = take(3).expect("a place");
        assert_eq!(
            [&scraper, &busy, &older, &newer].map(gone),
            [false, false, true, false]
        );
        // Its place is the other's: nothing is given back twice.
        drop(older);
        let _own = take(2).expect("a place");
        assert_eq!(
            [&scraper, &busy, &newer, &other].map(gone),
            [false, false, true, false]
        );
        drop((newer, request));
    }

    #[test]
    fn without_an_idle_one_only_who_has_more_gives_way() {
        let places = Places::new(3);
        let held: Vec<_> = (0..3)
            .map(|_| {
                let place = places.take(address(1)).expect("a place");
                (place.activity.request(), place)
            })
            .collect();
        assert!(places.take(address(1)).is_none());
        let other = places.take(address(2)).expect("a place");
        let _request = other.activity.request();
        assert_eq!(held.iter().filter(|(_, place)| gone(place)).count(), 1);
        assert!(places.take(address(2)).is_none(), "both would have two");
        assert!(places.take(address(3)).is_some());
    }
}
