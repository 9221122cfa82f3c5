//! Assignment of targets to processes.

use super::fnv1a;

/// A part of the targets: one process polls it, or several with the same numbers that replace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// Number of shards.
    pub total: u32,
}

impl Shard {
    /// All targets.
    pub const WHOLE: Self = Self { index: 0, total: 1 };

    /// Returns true if a target is in it.
    pub fn holds(self, target: &str) -> bool {
        Self::index_of(target, self.total) == self.index
    }

    /// The shard of a target among `total`: the one with the highest score (rendezvous hashing), so that an additional shard moves
    /// only its own share. Every version must agree on it: docs/operations.md documents the computation.
    pub fn index_of(target: &str, total: u32) -> u32 {
        let seed = fnv1a(target.as_bytes());
        let score = |shard: &u32| split_mix(seed, u64::from(*shard));
        (0..total).max_by_key(score).unwrap_or(0)
    }
}

/// The output of `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) at a position from 0.
fn split_mix(seed: u64, position: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(position + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixed for all versions. The generator's own test vector, and what follows for names.
    #[test]
    fn every_version_puts_a_target_into_the_same_shard() {
        let outputs: Vec<_> = (0..3)
            .map(|position| split_mix(1_234_567, position))
            .collect();
        assert_eq!(
            outputs,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        let page = include_str!("../../docs/operations.md");
        let known = [
            ("erp", [0, 0, 4]),
            ("warehouse", [0, 2, 2]),
            ("customer-1", [0, 0, 7]),
            ("Zürich", [0, 2, 2]),
        ];
        for (name, expected) in known {
            assert_eq!(
                [2, 3, 10].map(|total| Shard::index_of(name, total)),
                expected
            );
            let [two, three, ten] = expected;
            let row = format!("| `{name}` | {two} | {three} | {ten} |");
            assert!(page.contains(&row), "docs/operations.md lacks {row}");
        }
    }

    #[test]
    fn each_target_is_in_one_shard_and_shares_are_even() {
        for total in [1, 2, 3, 7, 20] {
            let mut shares = vec![0_u32; total as usize];
            for number in 0..10_000 {
                let name = format!("customer-{number}");
                let shard = |index| Shard { index, total };
                let holders: Vec<_> = (0..total).filter(|it| shard(*it).holds(&name)).collect();
                assert_eq!(holders.len(), 1, "{name}");
                shares[holders[0] as usize] += 1;
            }
            let even = 10_000 / total;
            let (least, most) = (shares.iter().min(), shares.iter().max());
            // Five standard deviations of a share.
            let spread = 5 * even.isqrt();
            assert!(
                least >= Some(&(even - spread)) && most <= Some(&(even + spread)),
                "{shares:?}"
            );
        }
    }

    #[test]
    fn one_shard_more_moves_only_its_own_share() {
        for total in 1..20 {
            let mut moved = 0;
            for number in 0..10_000 {
                let name = format!("customer-{number}");
                let (before, after) = (
                    Shard::index_of(&name, total),
                    Shard::index_of(&name, total + 1),
                );
                if before != after {
                    assert_eq!(after, total, "{name} moves to the new one or not at all");
                    moved += 1;
                }
            }
            let share = 10_000 / (total + 1);
            let spread = 5 * share.isqrt();
            assert!(
                (share - spread..=share + spread).contains(&moved),
                "{moved} of {share}"
            );
        }
    }
}
