//! Labels of an alert, in little memory: a fleet has a hundred thousand alerts.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Rule;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Labels, sorted by name: one allocation, which clones share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<[u8]>);

/// Ends each name and each value: a byte that no UTF-8 text has. Fingerprints are hashes of the very same bytes.
const END: u8 = 0xff;

impl Labels {
    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(it, value)| (it == name).then_some(value))
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.0.split(|byte| *byte == END);
        let mut texts = texts.map(|text| str::from_utf8(text).expect("it was made of texts"));
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// The rule of the alert with these labels; `None` if this version has no such rule.
    pub fn rule(&self) -> Option<Rule> {
        self.get("alertname")?.parse().ok()
    }

    /// The same as a map.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.iter().map(owned).collect()
    }
}

/// Of several labels of one name the last one counts.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut labels: Vec<(N, V)> = labels.into_iter().collect();
        let size = |(name, value): &(N, V)| name.as_ref().len() + value.as_ref().len() + 2;
        let mut bytes = Vec::with_capacity(labels.iter().map(size).sum());
        labels.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        for (index, (name, value)) in labels.iter().enumerate() {
            let next = labels.get(index + 1);
            if next.is_none_or(|(next, _)| next.as_ref() != name.as_ref()) {
                for text in [name.as_ref(), value.as_ref()] {
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.push(END);
                }
            }
        }
        Self(bytes.into())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(labels.into_iter().collect())
    }
}

/// The label that distinguishes the daemon's alerts from those of Prometheus rules.
pub const ORIGIN: (&str, &str) = ("origin", "odoo-mfa-exporter");

/// Fingerprint of an alert: a hash of its labels, the same that Alertmanager computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// FNV-1a over names and values, each ended by a byte that no UTF-8 text has.
    pub fn of(labels: &Labels) -> Self {
        let bytes = labels.0.iter();
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}
