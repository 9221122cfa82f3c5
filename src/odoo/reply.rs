//! Replies of a server: contents and size limits of each kind. A reply is always read into a type that bounds it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::{Error, Kind};
use super::text::{Text, printable};
use crate::domain::IdSet;

/// The bytes of a number, a setting, an error.
pub(super) const SCALAR: usize = 64 << 10;

/// The bytes of a page of rows.
const ROWS: usize = 4 << 20;

/// The bytes of a list of ids: two million.
pub(super) const IDS: usize = 16 << 20;

/// A reply of one kind.
pub(super) trait Reply: Sized + Send + 'static {
    /// The most bytes that it may have.
    const LIMIT: usize;

    /// Reads it. `what` is its name in an error.
    ///
    /// # Errors
    /// If it is something else.
    fn read(json: &[u8], what: &str) -> Result<Self, Error>;
}

/// Implements [`Reply`] for types that have a `Deserialize` of their own.
macro_rules! reply {
    ($limit:expr => $($type:ty),+) => {$(
        impl $crate::odoo::reply::Reply for $type {
            const LIMIT: usize = $limit;

            fn read(json: &[u8], what: &str) -> Result<Self, $crate::odoo::error::Error> {
                $crate::odoo::reply::decode(json, what)
            }
        }
    )+};
}
pub(super) use reply;

reply!(SCALAR => u32, BTreeMap<String, IgnoredAny>, BTreeMap<String, Setting>, Setting, IdOrFalse, (IgnoredAny, IdOrFalse));
reply!(ROWS => BTreeMap<u32, Text>);

/// A row with an id.
pub(super) trait Row {
    /// The id.
    fn id(&self) -> u32;
}

/// Implements [`Row`] for rows with a field `id`.
macro_rules! row {
    ($($row:ty),+) => {$(
        impl $crate::odoo::reply::Row for $row {
            fn id(&self) -> u32 {
                self.id
            }
        }
    )+};
}
pub(super) use row;

/// Rows in the order of their ids, each id once.
#[derive(Debug)]
pub(super) struct Rows<T>(pub(super) Vec<T>);

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut last = None;
        let rows = sequence(deserializer, |rows: &mut Vec<T>, row: T| {
            let rises = last.replace(row.id()) < Some(row.id());
            rows.push(row);
            rises
        });
        rows.map(Self)
    }
}

impl<T: Row + DeserializeOwned + Send + 'static> Reply for Vec<T> {
    const LIMIT: usize = ROWS;

    fn read(json: &[u8], what: &str) -> Result<Self, Error> {
        decode(json, what).map(|Rows(rows)| rows)
    }
}

/// Ids in their order, each once: read straight into a set.
#[derive(Debug, Default)]
pub(super) struct Ids(pub(super) IdSet);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        sequence(deserializer, |ids: &mut IdSet, id| ids.try_push(id).is_ok()).map(Self)
    }
}

impl Reply for IdSet {
    const LIMIT: usize = IDS;

    fn read(json: &[u8], what: &str) -> Result<Self, Error> {
        decode(json, what).map(|Ids(ids)| ids)
    }
}

/// Ids in an order that the question asked for, each once.
#[derive(Debug)]
pub(super) struct Ordered(pub(super) Vec<u32>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut seen = IdSet::new();
        let ids = sequence(deserializer, |ids: &mut Vec<u32>, id| {
            ids.push(id);
            seen.insert(id)
        });
        ids.map(Self)
    }
}

reply!(IDS => Ordered);

/// The most items of a list that a question has few of: exemptions, modules, roles.
const FEW: usize = 20_000;

/// A list of not too many.
#[derive(Debug)]
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = sequence(deserializer, |items: &mut Vec<T>, item| {
            items.push(item);
            items.len() <= FEW
        });
        items.map(Self)
    }
}

/// Not too many by name.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = BTreeMap<String, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("not too many by name")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((name, item)) = map.next_entry()? {
                    entries.insert(name, item);
                    if entries.len() > FEW {
                        return Err(de::Error::custom("there are too many"));
                    }
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// `false` or `null`, which is how Odoo writes that there is none; also for a setting that is a yes or no.
    Unset,
    /// `true`.
    Yes,
    /// A text.
    Text(Text),
    /// A number from 0 on.
    Number(u64),
    /// Anything else.
    Other,
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Setting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a setting")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Setting, E> {
                Ok(Setting::Unset)
            }

            fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Setting, E> {
                Ok(if yes { Setting::Yes } else { Setting::Unset })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting, E> {
                Text::deserialize(de::value::StrDeserializer::new(text)).map(Setting::Text)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Setting, E> {
                Ok(Setting::Number(number))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Setting, E> {
                Ok(Setting::Other)
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Setting, E> {
                Ok(Setting::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Setting, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Setting::Other)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Setting, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Setting::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The id of a record, or `false` for none.
#[derive(Debug)]
pub(super) struct IdOrFalse(pub(super) Option<u32>);

impl<'de> Deserialize<'de> for IdOrFalse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;

        impl Visitor<'_> for Id {
            type Value = IdOrFalse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or `false`")
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<IdOrFalse, E> {
                let small = u32::try_from(id);
                small
                    .map(|id| IdOrFalse(Some(id)))
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(id), &self))
            }

            fn visit_bool<E: de::Error>(self, known: bool) -> Result<IdOrFalse, E> {
                if known {
                    return Err(E::invalid_type(de::Unexpected::Bool(known), &self));
                }
                Ok(IdOrFalse(None))
            }
        }

        deserializer.deserialize_any(Id)
    }
}

/// The first two parts of a `server_version_info`: `[19, 0, 0, "final", 0, ""]`, or `["saas~18", 2, ...]` on Odoo's own platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Release(pub(super) Option<(u32, u32)>);

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Release;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the parts of a version")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Release, A::Error> {
                let parts = (seq.next_element()?, seq.next_element()?);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                let release = number(parts.0).zip(number(parts.1));
                Ok(Release(release))
            }
        }

        fn number(part: Option<Setting>) -> Option<u32> {
            match part? {
                Setting::Number(number) => u32::try_from(number).ok(),
                Setting::Text(text) => text
                    .trim_start_matches(|c: char| !c.is_ascii_digit())
                    .parse()
                    .ok(),
                _ => None,
            }
        }

        deserializer.deserialize_seq(Parts)
    }
}

/// Reads a list, item by item. `add` puts an item in, and says whether its id may stand there.
fn sequence<'de, D, T, C>(
    deserializer: D,
    add: impl FnMut(&mut C, T) -> bool,
) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    C: Default,
{
    struct Items<F, C, T>(F, PhantomData<(C, T)>);

    impl<'de, F, C, T> Visitor<'de> for Items<F, C, T>
    where
        F: FnMut(&mut C, T) -> bool,
        C: Default,
        T: Deserialize<'de>,
    {
        type Value = C;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<C, A::Error> {
            let mut items = C::default();
            while let Some(item) = seq.next_element()? {
                if !(self.0)(&mut items, item) {
                    return Err(de::Error::custom(
                        "an item is repeated, out of order, or one too many",
                    ));
                }
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Items(add, PhantomData))
}

/// Reads JSON into the type that a reply must have.
///
/// # Errors
/// If it is something else. The message quotes no value.
pub(super) fn decode<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| {
        if !error.is_data() {
            return not_json(&error);
        }
        // Once more, in a way that takes longer and says where.
        let json = &mut serde_json::Deserializer::from_slice(json);
        let again = serde_path_to_error::deserialize::<_, T>(json).err();
        let place = again.map(|error| printable(&error.path().to_string(), 100));
        let place = place.filter(|place| place != ".");
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let wrong = without_value(&error.to_string());
        Error::new(
            Kind::Unexpected,
            format!("unexpected reply for {what}: {place}{wrong}"),
        )
    })
}

/// The failure of a reply that is not JSON, or ends in its middle.
pub(super) fn not_json(error: &serde_json::Error) -> Error {
    Error::new(
        Kind::Unexpected,
        format!("the reply is not valid JSON: {error}"),
    )
}

/// The error of serde, without the value that it quotes: `invalid type: string, expected u32`.
fn without_value(error: &str) -> String {
    let error = error.rsplit_once(" at line ").map_or(error, |(it, _)| it);
    let Some((found, expected)) = error.rsplit_once(", expected ") else {
        return error.to_owned();
    };
    let kind = found.split(['"', '`']).next().unwrap_or_default();
    format!("{}, expected {expected}", kind.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: Reply>(json: &str) -> String {
        match T::read(json.as_bytes(), "it") {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.message,
        }
    }

    #[derive(Deserialize)]
    struct Named {
        id: u32,
        #[expect(dead_code, reason = "only read")]
        name: Text,
    }
    row!(Named);

    #[test]
    fn ids_rise_and_fit_into_32_bits() {
        let ids = IdSet::read(b"[1, 3, 4294967295]", "it").expect("ids");
        assert_eq!(ids.iter().collect::<Vec<_>>(), [1, 3, u32::MAX]);
        let twice = "unexpected reply for it: an item is repeated, out of order, or one too many";
        assert_eq!(message::<IdSet>("[1, 3, 3]"), twice);
        assert_eq!(message::<IdSet>("[3, 1]"), twice);
        assert_eq!(message::<Ordered>("[3, 1]"), "fine");
        assert_eq!(message::<Ordered>("[3, 1, 3]"), twice);
        let rows = |ids: [u32; 2]| {
            ids.map(|id| format!("{{\"id\": {id}, \"name\": \"\"}}"))
                .join(",")
        };
        assert_eq!(
            message::<Vec<Named>>(&format!("[{}]", rows([1, 2]))),
            "fine"
        );
        assert_eq!(message::<Vec<Named>>(&format!("[{}]", rows([1, 1]))), twice);
        for wrong in ["[-1]", "[4294967296]", "[1.0]", "[null]", "{}", "[[1]]"] {
            assert_ne!(message::<IdSet>(wrong), "fine", "{wrong}");
        }
    }

    #[test]
    fn an_error_says_where_and_quotes_no_value() {
        let wrong = r#"[{"id": "s3cret, expected `s3cret`", "name": ""}]"#;
        let message = message::<Vec<Named>>(wrong);
        assert_eq!(
            message,
            "unexpected reply for it: [0].id: invalid type: string, expected u32"
        );
    }

    #[test]
    fn a_count_above_32_bits_is_no_count() {
        assert_eq!(
            message::<u32>("4294967338"),
            "unexpected reply for it: invalid value: integer, expected u32"
        );
    }

    #[test]
    fn releases_are_read_as_odoo_writes_them() {
        let read = |json| serde_json::from_str::<Release>(json).expect("a list").0;
        assert_eq!(read("[14, 0, 0, \"final\", 0, \"\"]"), Some((14, 0)));
        assert_eq!(
            read("[\"saas~18\", 2, 0, \"final\", 0, \"e\"]"),
            Some((18, 2))
        );
        assert_eq!(read("[]"), None);
        assert_eq!(read("[null, 0]"), None);
    }

    #[test]
    fn any_value_of_a_setting_is_read_without_keeping_it() {
        for (json, setting) in [
            ("false", Setting::Unset),
            ("null", Setting::Unset),
            ("true", Setting::Yes),
            ("7", Setting::Number(7)),
            ("[{\"a\": [1]}]", Setting::Other),
            ("{\"a\": [1]}", Setting::Other),
        ] {
            assert_eq!(
                Setting::read(json.as_bytes(), "it").expect("a setting"),
                setting
            );
        }
    }
}
