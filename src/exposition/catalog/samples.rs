//! The sink to which the functions of the catalog write their samples.

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use crate::domain::{PerType, Posture, UserType};

/// Takes the samples of one family, one after the other.
pub struct Samples<'a> {
    take: &'a mut dyn FnMut(&[&str], Value),
}

/// The value of a sample.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A count, or 1 and 0.
    Whole(u64),
    /// Anything else; finite.
    Real(f64),
    /// A distribution.
    Histogram(&'a Histogram),
}

impl<'a> Samples<'a> {
    /// Hands each sample to a function: the values of the family's labels, in their order, and the sample's value.
    pub fn new(take: &'a mut dyn FnMut(&[&str], Value)) -> Self {
        Self { take }
    }

    /// One sample, with the values of the family's labels in their order.
    pub fn add<'v>(&mut self, labels: &[&str], value: impl Into<Value<'v>>) {
        (self.take)(labels, value.into());
    }

    /// A sample of a family without labels, if the value is known.
    pub fn add_known<'v>(&mut self, value: Option<impl Into<Value<'v>>>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    /// A sample for each type that has users, if the value is known.
    pub fn add_per_type<'v, T: Copy + Into<Value<'v>>>(
        &mut self,
        posture: &Posture,
        values: Option<PerType<T>>,
    ) {
        for user_type in user_types(Some(posture)) {
            if let Some(values) = values {
                self.add(&[user_type.as_str()], values[user_type]);
            }
        }
    }

    /// A sample for each word of a closed set, with the value of the same index.
    pub fn add_each<'v, T: Copy + Into<Value<'v>>>(&mut self, words: &[&str], values: &[T]) {
        for (word, value) in words.iter().zip(values) {
            self.add(&[word], *value);
        }
    }
}

/// The types that are exported: `public` and `none` only if such users are known to exist.
pub fn user_types(posture: Option<&Posture>) -> impl Iterator<Item = UserType> {
    UserType::ALL
        .iter()
        .copied()
        .filter(move |user_type| match user_type {
            UserType::Internal | UserType::Portal => true,
            UserType::Public | UserType::None => {
                posture.is_some_and(|posture| posture.has_type(*user_type))
            }
        })
}

impl From<u64> for Value<'_> {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<bool> for Value<'_> {
    fn from(holds: bool) -> Self {
        Self::Whole(u64::from(holds))
    }
}

impl From<f64> for Value<'_> {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

/// Seconds since 1970.
impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Real(time.as_duration().as_secs_f64())
    }
}

impl<'a> From<&'a Histogram> for Value<'a> {
    fn from(histogram: &'a Histogram) -> Self {
        Self::Histogram(histogram)
    }
}
