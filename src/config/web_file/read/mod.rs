//! From the tree to the configuration. A value that is empty counts as absent, as in Go.

mod tls;

use std::path::Path;
use std::time::Duration;

use bcrypt::HashParts;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;

use super::{PasswordHash, RateLimit, WebConfig, fields};
use crate::config::diagnostic::Sink;
use crate::config::env::Env;
use crate::config::reader::{Fields, Item, suggestion};
use crate::config::resolve::Context;
use crate::config::schema::Section;
use crate::config::yaml::{Node, Value};

pub(super) fn read(root: &Node, path: &Path, env: &dyn Env, sink: &Sink) -> WebConfig {
    let context = Context::new(env, path, sink);
    let root = Item::root(root, sink);
    if matches!(root.node.value, Value::Null) {
        return WebConfig::default();
    }
    let Some(root) = root.fields(&fields::ROOT) else {
        return WebConfig::default();
    };
    let http = section(&root, "http_server_config", &fields::HTTP);
    let http2 = http.as_ref().and_then(|http| flag(http, "http2"));
    WebConfig {
        tls: section(&root, "tls_server_config", &fields::TLS)
            .and_then(|inner| tls::tls(&inner, http2.unwrap_or(true), &context)),
        headers: http.map(|http| headers(&http)).unwrap_or_default(),
        users: entries(&root, "basic_auth_users")
            .into_iter()
            .filter_map(|item| Some((item.name.to_owned(), user(&item)?)))
            .collect(),
        rate_limit: section(&root, "rate_limit", &fields::RATE_LIMIT)
            .and_then(|inner| rate_limit(&inner)),
    }
}

fn headers(http: &Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let headers = entries(http, "headers").into_iter();
    headers.filter_map(|item| header(&item)).collect()
}

fn header(item: &Item<'_>) -> Option<(HeaderName, HeaderValue)> {
    const ALLOWED: [(&str, &[&str]); 5] = [
        ("Strict-Transport-Security", &[]),
        ("X-Content-Type-Options", &["nosniff"]),
        ("X-Frame-Options", &["deny", "sameorigin"]),
        ("X-XSS-Protection", &[]),
        ("Content-Security-Policy", &[]),
    ];
    let Some((name, values)) = ALLOWED.iter().find(|(name, _)| *name == item.name) else {
        let known = ALLOWED.map(|(name, _)| name);
        return item.fail(
            "is not a header that you can set",
            suggestion(item.name, &known),
        );
    };
    let value = match &item.node.value {
        // As in `X-XSS-Protection: 0`.
        Value::Number(number) if number.fract() == 0.0 => number.to_string(),
        Value::Null => String::new(),
        Value::Text(text) if text.is_empty() => String::new(),
        _ => item.text()?.to_owned(),
    };
    if !values.is_empty() && !values.contains(&value.as_str()) {
        return item.fail("has an invalid value", suggestion(&value, values));
    }
    let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
    match HeaderValue::from_str(&value) {
        Ok(_) if value.is_empty() => None,
        Ok(value) => Some((name, value)),
        Err(_) => item.fail("is not a valid value of a header", "write it in ASCII"),
    }
}

/// From then on a first sign-in takes seconds, and so does each attempt that fails.
const SLOW_COST: u32 = 15;

fn user(item: &Item<'_>) -> Option<PasswordHash> {
    const HINT: &str = "create one with `htpasswd -nB USER`";
    if item.name.contains(':') {
        item.warn(
            "contains `:`: such a user cannot sign in",
            "choose another name",
        );
    }
    let text = match &item.node.value {
        Value::Text(text) => text,
        _ => return item.fail("has no bcrypt hash", HINT),
    };
    match text.parse::<HashParts>() {
        Ok(parts) if (4..=31).contains(&parts.get_cost()) => {
            if parts.get_cost() >= SLOW_COST {
                item.warn(
                    &format!(
                        "has a hash with cost {}: each first sign-in takes seconds",
                        parts.get_cost()
                    ),
                    "use 10 to 12",
                );
            }
            Some(PasswordHash(SecretString::from(text.as_str())))
        }
        _ => item.fail("has a value that is not a bcrypt hash", HINT),
    }
}

fn rate_limit(fields: &Fields<'_>) -> Option<RateLimit> {
    let interval = match present(fields, "interval") {
        Some(item) => go_duration(&item)?,
        None => Duration::ZERO,
    };
    let burst = match present(fields, "burst") {
        Some(item) => match item.number()? {
            number if number.fract() == 0.0 && (0.0..=1e9).contains(&number) => number as u32,
            _ => return item.fail("is not a whole number of at least 1", "such as `10`"),
        },
        None => 0,
    };
    if interval.is_zero() {
        return None;
    }
    if burst == 0 {
        return present(fields, "burst")
            .or(present(fields, "interval"))?
            .fail("allows no request", "set `burst` to at least 1");
    }
    Some(RateLimit { interval, burst })
}

/// A duration as Go reads it: `1.5s`, `1h30m`, `300ms`.
fn go_duration(item: &Item<'_>) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let parse = |text: &str| {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at(number);
            let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, tail) = tail.split_at(unit.unwrap_or(tail.len()));
            let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
            let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
            total = total.checked_add(part)?;
            rest = tail;
        }
        (!text.is_empty()).then_some(total)
    };
    match &item.node.value {
        Value::Number(0.0) => Some(Duration::ZERO),
        Value::Text(text) if text == "0" => Some(Duration::ZERO),
        Value::Text(text) => parse(text)
            .or_else(|| item.fail("is not a duration", "such as `1s`, `1.5s` or `100ms`")),
        _ => item.fail("has no unit", "such as `1s` or `100ms`"),
    }
}

fn is_null(item: &Item<'_>) -> bool {
    matches!(item.node.value, Value::Null)
}

/// A field with something in it.
fn present<'a>(fields: &Fields<'a>, name: &'static str) -> Option<Item<'a>> {
    let empty = |item: &Item<'_>| matches!(&item.node.value, Value::Text(text) if text.is_empty());
    fields
        .get(name)
        .filter(|item| !is_null(item) && !empty(item))
}

fn section<'a>(
    fields: &Fields<'a>,
    name: &'static str,
    declared: &'static Section,
) -> Option<Fields<'a>> {
    let item = fields.get(name).filter(|item| !is_null(item))?;
    item.fields(declared)
}

fn entries<'a>(fields: &Fields<'a>, name: &'static str) -> Vec<Item<'a>> {
    let item = fields.get(name).filter(|item| !is_null(item));
    let entries = item.map(|item| item.entries()).unwrap_or_default();
    entries.into_iter().map(|(_, item)| item).collect()
}

/// Go's YAML takes more words for truth than others.
fn flag(fields: &Fields<'_>, name: &'static str) -> Option<bool> {
    let item = fields.get(name).filter(|item| !is_null(item))?;
    match &item.node.value {
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "true" => Some(true),
            "n" | "no" | "off" | "false" => Some(false),
            _ => item.flag(),
        },
        _ => item.flag(),
    }
}
