//! The counters of transitions: they begin at 0 with the first baseline that can count, and never go back.

use super::{Baseline, Change, ChangeKind};
use crate::domain::PerType;
use crate::domain::vocabulary::{UserType, vocabulary};

vocabulary! {
    /// Transition of a user's second factor.
    MfaTransition {
        /// They have one now.
        Enrolled = "enrolled",
        /// They have none any more.
        Disabled = "disabled",
    }
}

vocabulary! {
    /// Transition of a user's privilege.
    PrivilegeTransition {
        /// They are in a role now.
        Granted = "granted",
        /// They are in none any more.
        Revoked = "revoked",
    }
}

vocabulary! {
    /// Transition of an API key.
    KeyTransition {
        /// It came.
        Created = "created",
        /// It vanished before its date, or had none.
        Revoked = "revoked",
        /// It vanished after its date.
        Expired = "expired",
    }
}

/// Counters of transitions. `None`: never countable, because a required capability was never there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// By type, indexed by [`MfaTransition`]; public users and users of no type only where there ever were any.
    pub mfa: PerType<Option<[u64; MfaTransition::ALL.len()]>>,
    /// Of users in a role, indexed by [`MfaTransition`].
    pub privileged_mfa: Option<[u64; MfaTransition::ALL.len()]>,
    /// Indexed by [`PrivilegeTransition`].
    pub privilege: Option<[u64; PrivilegeTransition::ALL.len()]>,
    /// Indexed by [`KeyTransition`].
    pub api_keys: Option<[u64; KeyTransition::ALL.len()]>,
    /// Number of polls that could not be compared with the one before.
    pub breaks: u64,
}

impl Counters {
    /// Begins what the baseline is the first to know.
    pub fn begin(&mut self, baseline: &Baseline) {
        let (factors, roles) = (baseline.factors.is_some(), baseline.roles.is_some());
        if factors {
            for user_type in UserType::ALL {
                let usual = matches!(user_type, UserType::Internal | UserType::Portal);
                if usual || baseline.types[*user_type] {
                    self.mfa[*user_type].get_or_insert_default();
                }
            }
        }
        if factors && roles {
            self.privileged_mfa.get_or_insert_default();
        }
        if roles {
            self.privilege.get_or_insert_default();
        }
        if baseline.keys.is_some() {
            self.api_keys.get_or_insert_default();
        }
    }

    /// Counts changes.
    pub fn add<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) {
        for change in changes {
            self.add_one(change);
        }
    }

    fn add_one(&mut self, change: &Change) {
        let mfa = match change.kind {
            ChangeKind::MfaEnrolled => MfaTransition::Enrolled,
            ChangeKind::MfaDisabled => MfaTransition::Disabled,
            ChangeKind::PrivilegeGranted => {
                return self.add_privilege(PrivilegeTransition::Granted);
            }
            ChangeKind::PrivilegeRevoked => {
                return self.add_privilege(PrivilegeTransition::Revoked);
            }
            ChangeKind::KeyCreated => return self.add_key(KeyTransition::Created),
            ChangeKind::KeyRevoked => return self.add_key(KeyTransition::Revoked),
            ChangeKind::KeyExpired => return self.add_key(KeyTransition::Expired),
            ChangeKind::Joined | ChangeKind::Left | ChangeKind::Archived => return,
        };
        if let Some(user_type) = change.user_type {
            self.mfa[user_type].get_or_insert_default()[mfa as usize] += 1;
        }
        if change.privileged {
            self.privileged_mfa.get_or_insert_default()[mfa as usize] += 1;
        }
    }

    fn add_privilege(&mut self, transition: PrivilegeTransition) {
        self.privilege.get_or_insert_default()[transition as usize] += 1;
    }

    fn add_key(&mut self, transition: KeyTransition) {
        self.api_keys.get_or_insert_default()[transition as usize] += 1;
    }
}
