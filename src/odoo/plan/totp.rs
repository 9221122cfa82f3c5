//! Users with TOTP. A search by `totp_enabled` finds any stored secret, an empty one too, and add-ons may differ from it in other ways; at a login, Odoo uses
//! the field as it is read. So the search only selects the users to read.
//!
//! Reading it costs one SQL statement a user. So all are read while there are few; else those who are newly found, those in a role, and some of the others at
//! each poll.

use serde::Deserialize;

use super::users::{Users, row, totp};
use crate::domain::IdSet;
use crate::domain::facts::{Gap, Known};
use crate::odoo::call::Call;
use crate::odoo::error::Error;

/// Up to so many users are all read at each poll.
const FEW: u64 = 3_000;

/// Of more users so many are read again at each poll, in the order of their ids.
const SLICE: usize = 500;

/// Number of users in one request: 1 MB.
const PAGE: usize = 20_000;

/// From this release on Odoo hides `totp_enabled` of others, from reading and from searching, without an error, unless the account is in [`SEES_TOTP`].
const HIDDEN_SINCE: (u32, u32) = (19, 1);

/// The group that sees `totp_enabled` of others.
const SEES_TOTP: &str = "base.group_erp_manager";

const HIDDEN: &str = "base.group_erp_manager, which can also change users; or install the module mfa_auditor_use instead, which needs no other right";

const DISAGREES: &str = "nothing: a module of this Odoo reads totp_enabled differently than it searches by it, and mfa_auditor_use does not help either. Report the module";

#[derive(Deserialize)]
struct TotpRow {
    id: u32,
    totp_enabled: bool,
}
row!(TotpRow);

impl Users<'_> {
    /// Users with TOTP, active and archived, of whom `privileged` are in a role.
    pub(super) async fn totp(&self, privileged: &IdSet) -> Result<Known<IdSet>, Error> {
        if !self.has("totp_enabled") {
            return Ok(Known::Complete(IdSet::new()));
        }
        if !self.sees_totp() {
            return Ok(Known::Missing(Gap {
                seen: "Odoo hides TOTP of other users from the account".to_owned(),
                grant: HIDDEN,
            }));
        }
        if !self.can_search("totp_enabled") {
            // Odoo 14, and early builds of 15 and 16, ignore a domain with it. Reading is batched there.
            let everybody = self.ids(Vec::new()).await?;
            return Ok(Known::Complete(self.read_totp(&everybody).await?));
        }
        let found = self.ids(vec![totp()]).await?;
        let wanted = self.to_read(&found, privileged);
        let on = self.read_totp(&wanted).await?;
        let mut missed = &on - &found;
        if !missed.is_empty() {
            // Perhaps they enrolled since the search.
            missed -= self.ids(vec![totp()]).await?;
        }
        if !missed.is_empty() {
            return Ok(Known::Missing(Gap {
                seen: "a search by totp_enabled does not find all users who have it".to_owned(),
                grant: DISAGREES,
            }));
        }
        let mut learned = self.learned();
        let verified = &mut learned.totp;
        let off = &wanted - &on;
        verified.on = &(&verified.on | &on) - &off;
        verified.off = &(&verified.off | &off) - &on;
        verified.on &= &found;
        verified.off &= &found;
        Ok(Known::Complete((found | on) - &verified.off))
    }

    /// Returns true if the account sees TOTP of other users.
    fn sees_totp(&self) -> bool {
        self.session.server.release < HIDDEN_SINCE
            || self
                .groups
                .id(SEES_TOTP)
                .is_some_and(|group| self.accounts.own.groups.contains(&group))
    }

    /// Of whom to read the field: the users who were found, and those in a role.
    fn to_read(&self, found: &IdSet, privileged: &IdSet) -> IdSet {
        if found.len() <= FEW {
            return match privileged.len() {
                0..=FEW => found | privileged,
                _ => found.clone(),
            };
        }
        let mut learned = self.learned();
        let verified = &mut learned.totp;
        let known = &verified.on | &verified.off;
        let mut wanted = found - &known;
        wanted |= match privileged.len() {
            0..=FEW => privileged.clone(),
            _ => found & privileged,
        };
        let slice: Vec<u32> = known
            .range(verified.cursor.saturating_add(1)..)
            .take(SLICE)
            .collect();
        verified.cursor = match slice.last() {
            Some(last) if slice.len() == SLICE => *last,
            _ => 0,
        };
        wanted.extend(slice.into_iter().filter(|id| found.contains(*id)));
        wanted
    }

    /// Users with TOTP among these, as the field is read. A user who was deleted since is left out.
    async fn read_totp(&self, users: &IdSet) -> Result<IdSet, Error> {
        let users: Vec<u32> = users.iter().collect();
        let mut on = IdSet::new();
        for ids in users.chunks(PAGE) {
            let call = Call::new("res.users", "search_read")
                .arg("domain", [("id", "in", ids)])
                .named("fields", vec!["totp_enabled"])
                .named("order", "id")
                .with_archived();
            let rows: Vec<TotpRow> = self.call(call, "totp_enabled").await?;
            on.extend(rows.iter().filter(|row| row.totp_enabled).map(|row| row.id));
        }
        Ok(on)
    }
}
