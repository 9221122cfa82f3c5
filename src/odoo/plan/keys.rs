//! API keys and trusted devices, and whether all of them were seen.
//!
//! Record rules hide rows of other users without an error. They do not filter a domain over the one2many field, so it finds all
//! owners: if these are not the owners of the rows that were read, the rows are not complete.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::users::{Many2one, Row, Users, row, unless_false, unless_forbidden};
use crate::domain::IdSet;
use crate::domain::facts::{ApiKey, Device, Gap, Known, Scope};
use crate::odoo::date::Date;
use crate::odoo::error::Error;
use crate::odoo::text::Text;

const GRANT: &str =
    "a group with read access and a record rule [(1, '=', 1)] on the model, or base.group_system";

/// Number of rows in one request: 3 MB.
const PAGE: usize = 20_000;

/// Odoo 14 keeps trusted browsers among the API keys.
const SCOPE_OF_14S_DEVICES: &str = "2fa_trusted_device";

/// From this release on a key without a scope opens nothing.
const SCOPE_REQUIRED: (u32, u32) = (19, 4);

/// API keys and devices of a poll.
pub(super) struct KeysAndDevices {
    pub(super) keys: Known<Vec<ApiKey>>,
    pub(super) devices: Known<Vec<Device>>,
    pub(super) poller_expiry: Option<Timestamp>,
}

/// A row of `res.users.apikeys`: an object, or a list of the fields in this order.
#[derive(Deserialize)]
pub(super) struct KeyRow {
    id: u32,
    user_id: Many2one,
    #[serde(deserialize_with = "unless_false")]
    scope: Option<Text>,
    #[serde(deserialize_with = "unless_false")]
    create_date: Option<Date>,
    #[serde(default, deserialize_with = "unless_false")]
    expiration_date: Option<Date>,
}

/// A row of `auth_totp.device`.
#[derive(Deserialize)]
struct DeviceRow {
    id: u32,
    user_id: Many2one,
    #[serde(default, deserialize_with = "unless_false")]
    expiration_date: Option<Date>,
}

row!(KeyRow, DeviceRow);

/// A row with an owner.
trait OwnedRow: Row + DeserializeOwned + Send + 'static {
    /// The model that it is of.
    const MODEL: &'static str;
    /// The field of `res.users` with the rows of a user.
    const OF_OWNER: &'static str;
    /// The fields that are read, in addition to `expiration_date`.
    const FIELDS: &'static [&'static str];

    /// The owner.
    fn owner(&self) -> u32;
}

impl OwnedRow for KeyRow {
    const MODEL: &'static str = "res.users.apikeys";
    const OF_OWNER: &'static str = "api_key_ids";
    const FIELDS: &'static [&'static str] = &["user_id", "scope", "create_date"];

    fn owner(&self) -> u32 {
        self.user_id.id()
    }
}

impl OwnedRow for DeviceRow {
    const MODEL: &'static str = "auth_totp.device";
    const OF_OWNER: &'static str = "totp_trusted_device_ids";
    const FIELDS: &'static [&'static str] = &["user_id"];

    fn owner(&self) -> u32 {
        self.user_id.id()
    }
}

impl From<&KeyRow> for DeviceRow {
    fn from(row: &KeyRow) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            expiration_date: row.expiration_date,
        }
    }
}

/// Reads keys and devices.
pub(super) async fn read(users: &Users<'_>) -> Result<KeysAndDevices, Error> {
    let archived = &users.archived;
    let parts = users.question.parts;
    let has_devices = users.has(DeviceRow::OF_OWNER);
    let release = users.session.server.release;
    let in_one_table = release < (15, 0);
    let keys = if parts.keys || (parts.devices && has_devices && in_one_table) {
        Some(Owned::<KeyRow>::read(users).await?)
    } else {
        None
    };
    let devices = if parts.devices && has_devices && !in_one_table {
        Some(Owned::<DeviceRow>::read(users).await?)
    } else {
        None
    };
    let devices = match (&keys, &devices) {
        _ if !parts.devices => Known::NotAsked,
        (_, Some(devices)) => devices.all(|row| Some(device(row, archived))),
        (Some(table), None) if has_devices => table.all(|row| {
            let is_device = scope(row, release).is_none();
            is_device.then(|| device(&row.into(), archived))
        }),
        _ => Known::Complete(Vec::new()),
    };
    Ok(KeysAndDevices {
        poller_expiry: keys.as_ref().and_then(|keys| {
            poller_expiry(&keys.rows, release, users.session.uid, users.question.now)
        }),
        keys: match &keys {
            Some(keys) if parts.keys => complete_keys(keys, release, archived),
            _ => Known::NotAsked,
        },
        devices,
    })
}

/// The same of rows that are known to be all there are.
pub(super) fn complete(
    keys: Option<Vec<KeyRow>>,
    devices: Option<Vec<KeyRow>>,
    release: (u32, u32),
    archived: &IdSet,
    poller: u32,
    now: Timestamp,
) -> KeysAndDevices {
    let keys = keys.map(Owned::complete);
    let device = |row: &KeyRow| device(&row.into(), archived);
    KeysAndDevices {
        poller_expiry: keys
            .as_ref()
            .and_then(|keys| poller_expiry(&keys.rows, release, poller, now)),
        keys: keys.map_or(Known::NotAsked, |keys| {
            complete_keys(&keys, release, archived)
        }),
        devices: devices.map_or(Known::NotAsked, |rows| {
            Known::Complete(rows.iter().map(device).collect())
        }),
    }
}

/// The visible part of the rows of a model that users own.
struct Owned<R> {
    rows: Vec<R>,
    /// Why the rows are not all there are, if they are not.
    gap: Option<Gap>,
}

impl<R: OwnedRow> Owned<R> {
    async fn read(users: &Users<'_>) -> Result<Self, Error> {
        let mut fields = R::FIELDS.to_vec();
        if users.session.keys_expire {
            fields.push("expiration_date");
        }
        // A user may create one between the two questions: what is hidden is read once more.
        let mut again = true;
        loop {
            let rows: Result<Vec<R>, _> = users.pages(R::MODEL, Vec::new(), &fields, PAGE).await;
            let mut rows = match unless_forbidden(rows, R::MODEL, GRANT)? {
                Known::Complete(rows) => rows,
                refused => {
                    return Ok(Self {
                        rows: Vec::new(),
                        gap: refused.gap().cloned(),
                    });
                }
            };
            let visible: IdSet = rows.iter().map(Row::id).collect();
            let hidden = users.owners_of_hidden(R::OF_OWNER, &visible).await?;
            rows.retain(|row| users.is_user(row.owner()));
            if hidden == 0 {
                return Ok(Self::complete(rows));
            }
            if !std::mem::take(&mut again) {
                let owners: IdSet = rows.iter().map(R::owner).collect();
                return Ok(Self {
                    gap: Some(Gap {
                        seen: format!(
                            "sees rows of {} of {} users, and Odoo hides rows of {hidden} users",
                            R::MODEL,
                            owners.len()
                        ),
                        grant: GRANT,
                    }),
                    rows,
                });
            }
        }
    }

    /// Rows that are known to be all there are.
    fn complete(rows: Vec<R>) -> Self {
        Self { rows, gap: None }
    }

    /// All rows, turned into something.
    fn all<T>(&self, item: impl Fn(&R) -> Option<T>) -> Known<Vec<T>> {
        match &self.gap {
            Some(gap) => Known::Missing(gap.clone()),
            None => Known::Complete(self.rows.iter().filter_map(item).collect()),
        }
    }
}

fn complete_keys(
    table: &Owned<KeyRow>,
    release: (u32, u32),
    archived: &IdSet,
) -> Known<Vec<ApiKey>> {
    table.all(|row| {
        Some(ApiKey {
            id: row.id,
            owner: row.user_id.id(),
            owner_active: !archived.contains(row.user_id.id()),
            scope: scope(row, release)?,
            created: row.create_date.map(Timestamp::from),
            expires: row.expiration_date.map(Timestamp::from),
        })
    })
}

/// Every account sees its own keys, so this is known even where others' are not.
fn poller_expiry(
    rows: &[KeyRow],
    release: (u32, u32),
    poller: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    rows.iter()
        .filter(|row| {
            row.user_id.id() == poller && scope(row, release).is_some_and(Scope::opens_rpc)
        })
        .filter_map(|row| row.expiration_date.map(Timestamp::from))
        .filter(|end| *end > now)
        .min()
}

/// The scope of a row in a release; `None` for a trusted browser.
fn scope(row: &KeyRow, release: (u32, u32)) -> Option<Scope> {
    match row.scope.as_deref() {
        Some(SCOPE_OF_14S_DEVICES) => None,
        // Odoo compares the scope, of which only NULL stood for all.
        None if release < SCOPE_REQUIRED => Some(Scope::Unrestricted),
        None => Some(Scope::Other),
        Some("rpc") => Some(Scope::Rpc),
        Some(_) => Some(Scope::Other),
    }
}

fn device(row: &DeviceRow, archived: &IdSet) -> Device {
    Device {
        owner: row.user_id.id(),
        owner_active: !archived.contains(row.user_id.id()),
        expires: row.expiration_date.map(Timestamp::from),
    }
}
