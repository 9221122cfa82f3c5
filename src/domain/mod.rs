//! What the program knows about second factors, as pure data and pure functions: no I/O, no clock, no runtime.
//!
//! *Facts* are what Odoo said and what it could not say; a *posture* is the numbers that follow from them under a configuration;
//! a *snapshot* is what one moment shows of a target: its last posture, if it is still true, and how its polls go.

pub mod acceptance;
pub mod alert;
pub mod exemption;
pub mod facts;
pub mod finding;
pub mod grade;
pub mod health;
pub mod posture;
pub mod role;
pub mod roster;
pub mod shard;
pub mod snapshot;
pub mod standing;
pub mod surface;
pub mod transition;
pub mod vocabulary;

pub use facts::Facts;
pub use posture::Posture;
pub use roster::Roster;
pub use shard::Shard;
pub use snapshot::TargetSnapshot;
pub use vocabulary::{
    Api, Bypass, Capability, Endpoint, ExemptReason, Factor, Module, PolicyScope, Reason, UserType,
};

/// Ids of people (`res.users`), sorted and compact.
pub type IdSet = roaring::RoaringBitmap;

/// One value for each [`UserType`], indexed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PerType<T>(pub [T; 4]);

impl<T> PerType<T> {
    /// Computes the value of each type.
    pub fn from_fn(mut value: impl FnMut(UserType) -> T) -> Self {
        Self(std::array::from_fn(|index| value(UserType::ALL[index])))
    }

    /// The types with their values, in the order in which they are exported.
    pub fn iter(&self) -> impl Iterator<Item = (UserType, &T)> {
        UserType::ALL.iter().copied().zip(&self.0)
    }
}

impl<T> std::ops::Index<UserType> for PerType<T> {
    type Output = T;
    fn index(&self, user_type: UserType) -> &T {
        &self.0[user_type as usize]
    }
}

impl<T> std::ops::IndexMut<UserType> for PerType<T> {
    fn index_mut(&mut self, user_type: UserType) -> &mut T {
        &mut self.0[user_type as usize]
    }
}

/// A hash that stays the same over versions and restarts, which the standard library's does not promise.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
