//! Values of the last so many slots of time, in little memory: most stay the same from slot to slot.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Values by slot, the newest last. A slot without a value is no part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ring<T>(VecDeque<Span<T>>);

/// Slots in a row with the same value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Span<T> {
    first: u32,
    last: u32,
    value: T,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Copy + PartialEq> Ring<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets the value of a slot, from the one that it had, and forgets what is older than so many slots. Gives whether the slot is new.
    pub(super) fn put(
        &mut self,
        slot: u32,
        slots: u32,
        value: impl FnOnce(Option<T>) -> T,
    ) -> bool {
        // A clock that was set back makes no second history.
        self.0.retain_mut(|span| {
            span.last = span.last.min(slot);
            span.first <= slot
        });
        let oldest = (slot + 1).saturating_sub(slots);
        self.0.retain_mut(|span| {
            span.first = span.first.max(oldest);
            span.first <= span.last
        });
        let known = self.0.back().filter(|span| span.last == slot).copied();
        if let Some(span) = known {
            self.0.pop_back();
            if span.first < slot {
                let last = slot - 1;
                self.0.push_back(Span { last, ..span });
            }
        }
        let value = value(known.map(|span| span.value));
        match self.0.back_mut() {
            Some(span) if span.last + 1 == slot && span.value == value => span.last = slot,
            _ => self.0.push_back(Span {
                first: slot,
                last: slot,
                value,
            }),
        }
        known.is_none()
    }

    /// The values, each once for slots in a row that have it.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|span| &span.value)
    }

    /// The 0.9 quantile over the slots, rounded to a lower rank, so that the one highest value never is it: a single spike is not what is
    /// usual.
    pub(super) fn usual<V: Ord>(&self, of: impl Fn(&T) -> V) -> Option<V> {
        let mut values: Vec<(V, u32)> = self
            .0
            .iter()
            .map(|span| (of(&span.value), span.last - span.first + 1))
            .collect();
        values.sort_unstable();
        let slots: u32 = values.iter().map(|(_, slots)| slots).sum();
        let mut rank = slots.checked_sub(1)? * 9 / 10;
        for (value, slots) in values {
            if rank < slots {
                return Some(value);
            }
            rank -= slots;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SLOTS: u32 = 12;

    proptest! {
        #[test]
        fn holds_what_a_map_of_slots_would(puts in prop::collection::vec((0u32..8, prop::bool::weighted(0.05), 0u8..3), 1..60)) {
            let mut ring = Ring::default();
            let mut map: BTreeMap<u32, u8> = BTreeMap::new();
            let mut slot = 1_000;
            for (later, back, value) in puts {
                slot = if back { slot - later } else { slot + later / 4 };
                map.retain(|known, _| *known <= slot && known + SLOTS > slot);
                let before = map.insert(slot, value);
                let new = ring.put(slot, SLOTS, |known| {
                    assert_eq!(known, before);
                    value
                });
                prop_assert_eq!(new, before.is_none());
                let mut values: Vec<u8> = map.values().copied().collect();
                values.sort_unstable();
                prop_assert_eq!(ring.usual(|value| *value), Some(values[(values.len() - 1) * 9 / 10]));
                let text = serde_json::to_vec(&ring).expect("JSON");
                prop_assert_eq!(&serde_json::from_slice::<Ring<u8>>(&text).expect("its own JSON"), &ring);
            }
        }
    }

    #[test]
    fn what_stays_the_same_takes_no_memory() {
        let mut ring = Ring::default();
        for slot in 0..1000 {
            ring.put(slot, SLOTS, |_| 7);
        }
        assert_eq!(ring.values().count(), 1);
    }
}
