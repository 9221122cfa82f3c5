//! Opaque values by kind and key, for parts that keep state over a restart.

use rusqlite::{Connection, params};

use super::worker::Fault;

pub(super) fn load(connection: &Connection, kind: &str) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let mut query =
        connection.prepare_cached("SELECT key, value FROM state WHERE kind = ?1 ORDER BY key")?;
    let rows = query.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn save(
    connection: &mut Connection,
    kind: &str,
    values: &[(String, Option<Vec<u8>>)],
) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    for (key, value) in values {
        match value {
            Some(value) => transaction
                .prepare_cached("INSERT INTO state (kind, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value")?
                .execute(params![kind, key, value])?,
            None => transaction
                .prepare_cached("DELETE FROM state WHERE kind = ?1 AND key = ?2")?
                .execute(params![kind, key])?,
        };
    }
    Ok(transaction.commit()?)
}
