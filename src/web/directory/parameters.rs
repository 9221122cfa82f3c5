//! Query parameters as types. An unknown one is refused: a misspelled filter must not list every user.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

/// The parameters of a URL, each with all its values, in the order of their names.
pub(in crate::web) type Values = BTreeMap<String, Vec<String>>;

/// Reads the parameters of a URL.
///
/// # Errors
/// If the query is malformed.
pub(in crate::web) fn values(uri: &Uri) -> Result<Values, String> {
    let Query(listed) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|rejection| rejection.body_text())?;
    let mut values = Values::new();
    for (name, value) in listed {
        values.entry(name).or_default().push(value);
    }
    Ok(values)
}

/// Reads parameters as a type.
///
/// # Errors
/// If a parameter is unknown or not valid, or if it has several values and takes one.
pub(in crate::web) fn read<T: DeserializeOwned>(values: Values) -> Result<T, String> {
    let values = values.into_iter().map(|(name, values)| (name, All(values)));
    let values = MapDeserializer::<_, Error>::new(values);
    serde_path_to_error::deserialize(values).map_err(|error| error.to_string())
}

/// Reads a parameter that takes one value; an empty one, as forms send it, is none.
pub(in crate::web) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// Reads a parameter that takes any number of values; empty ones, as forms send them, are none.
pub(in crate::web) fn many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + PartialEq,
{
    let mut all = Vec::new();
    for text in Vec::<String>::deserialize(deserializer)? {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let value = text.parse().map_err(serde::de::Error::custom)?;
        if !all.contains(&value) {
            all.push(value);
        }
    }
    Ok(all)
}

/// All values of a parameter.
struct All(Vec<String>);

impl IntoDeserializer<'_, Error> for All {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for All {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(value), true) => visitor.visit_string(value),
            _ => Err(Error::custom("it is given twice, but takes one value")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        tuple tuple_struct map struct enum identifier ignored_any
    }
}
