//! Reads values out of the tree: each method gives a value or reports what to write instead.

use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

use super::diagnostic::{Position, Sink};
use super::schema::Section;
use super::yaml::{Key, Node, Value};
use crate::domain::role::XmlId;
use crate::domain::vocabulary::UnknownWord;

/// A value with the name of the field that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) sink: &'a Sink,
    /// True if it is one of a list's values and not the list.
    entry: bool,
}

/// A mapping whose fields a section declares.
pub(super) struct Fields<'a> {
    pub(super) at: Position,
    entries: &'a [(Key, Node)],
    section: &'static Section,
    sink: &'a Sink,
}

impl<'a> Fields<'a> {
    /// The field, if it is there.
    pub(super) fn get(&self, name: &'static str) -> Option<Item<'a>> {
        debug_assert!(
            self.section.field(name).is_some(),
            "`{name}` is not declared in {}",
            self.section.path
        );
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Item {
            name,
            node,
            sink: self.sink,
            entry: false,
        })
    }

    /// Returns true if it has no fields.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The field; it is an error if it is not there.
    pub(super) fn require(&self, name: &'static str, example: &str) -> Option<Item<'a>> {
        let item = self.get(name);
        if item.is_none() {
            self.sink.error(
                self.at,
                format!("`{name}` is missing"),
                format!("add `{name}: {example}`"),
            );
        }
        item
    }

    fn check_unknown(&self) {
        for (key, _) in self.entries {
            if self.section.field(&key.name).is_none() {
                let known: Vec<_> = self.section.fields.iter().map(|field| field.name).collect();
                self.sink.error(
                    key.at,
                    format!("unknown field `{}`", key.name),
                    suggestion(&key.name, &known),
                );
            }
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn at(&self) -> Position {
        self.node.at
    }

    /// The whole document.
    pub(super) fn root(node: &'a Node, sink: &'a Sink) -> Self {
        Self {
            name: "the configuration",
            node,
            sink,
            entry: false,
        }
    }

    /// Reports `message` about this field.
    pub(super) fn fail<T>(&self, message: &str, hint: impl Into<String>) -> Option<T> {
        self.sink
            .error(self.node.at, format!("`{}` {message}", self.name), hint);
        None
    }

    /// Reports `message` about this field, which works all the same.
    pub(super) fn warn(&self, message: &str, hint: &str) {
        self.sink
            .warning(self.node.at, format!("`{}` {message}", self.name), hint);
    }

    pub(super) fn fields(&self, section: &'static Section) -> Option<Fields<'a>> {
        let entries = self.raw_entries("a mapping")?;
        let fields = Fields {
            at: self.node.at,
            entries,
            section,
            sink: self.sink,
        };
        fields.check_unknown();
        Some(fields)
    }

    /// The entries of a mapping with free keys.
    pub(super) fn entries(&self) -> Vec<(&'a Key, Item<'a>)> {
        self.raw_entries("a mapping")
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| {
                (
                    key,
                    Item {
                        name: &key.name,
                        node,
                        sink: self.sink,
                        entry: false,
                    },
                )
            })
            .collect()
    }

    /// The values of a list, which may have none.
    pub(super) fn list(&self) -> Option<Vec<Item<'a>>> {
        match &self.node.value {
            Value::List(items) => {
                let entry = |node| Item {
                    node,
                    entry: true,
                    ..*self
                };
                Some(items.iter().map(entry).collect())
            }
            _ => self.wrong_kind("a list", "write the values in brackets: `[a, b]`"),
        }
    }

    /// Text that is not empty and holds no control characters.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.fail("is empty", "give a value, or remove the line")
            }
            Value::Text(text) if text.chars().any(char::is_control) => self.fail(
                "contains a line break or another control character",
                "write it on one line",
            ),
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => self.wrong_kind("text", "put it in quotes"),
            _ => self.wrong_kind("text", ""),
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong_kind("`true` or `false`", &flag_hint(&self.node.value)),
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self.node.value {
            Value::Number(value) => Some(value),
            _ => self.wrong_kind("a number", "write it without quotes and percent sign"),
        }
    }

    pub(super) fn ratio(&self) -> Option<f64> {
        let value = self.number()?;
        if (0.0..=1.0).contains(&value) {
            return Some(value);
        }
        let hint = if value > 1.0 && value <= 100.0 {
            format!("for {value} percent write `{}`", value / 100.0)
        } else {
            "write a number from 0 to 1".to_owned()
        };
        self.fail(&format!("is {value}, which is not a ratio"), hint)
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        match &self.node.value {
            Value::Number(0.0) => Some(Duration::ZERO),
            Value::Number(number) => {
                let hint = format!("write a duration such as `{0}s`, `{0}m` or `{0}d`", number.abs().ceil());
                self.fail("has no unit", hint)
            }
            Value::Text(text) => match parse_duration(text) {
                Some(duration) => Some(duration),
                None => self.fail(
                    "is not a duration",
                    "write whole numbers with units, the largest first, such as `30s`, `5m`, `1h30m` or `14d` (units: w, d, h, m, s, ms)",
                ),
            },
            _ => self.wrong_kind("a duration", "such as `5m`"),
        }
    }

    /// A duration that is not zero.
    pub(super) fn period(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            return self.fail(
                "is zero",
                "give a duration such as `5m`, or remove the line",
            );
        }
        Some(duration)
    }

    pub(super) fn date(&self) -> Option<jiff::civil::Date> {
        let text = self.text()?;
        match jiff::civil::Date::from_str(text) {
            // The parser takes a few more forms than are meant to be written here.
            Ok(date) if date.to_string() == text => Some(date),
            _ => self.fail(
                "is not a valid date",
                "write year, month and day, such as `2027-01-31`",
            ),
        }
    }

    /// One word of a closed set. Another word is not shown: it might be a secret on the wrong line.
    pub(super) fn word<T: FromStr<Err = UnknownWord>>(&self) -> Option<T> {
        let word = self.text()?;
        match word.parse() {
            Ok(value) => Some(value),
            Err(UnknownWord { expected }) => {
                self.fail("has an unknown value", suggestion(word, &expected))
            }
        }
    }

    pub(super) fn xml_id(&self) -> Option<XmlId> {
        match self.text()?.parse() {
            Ok(id) => Some(id),
            Err(_) => self.fail(
                "is not an XML id",
                "write module and name with one dot between them, such as `base.group_system`",
            ),
        }
    }

    /// A URL with a host, of one of these schemes, without query and fragment. Never shown in a message: a URL that
    /// is wrong may hold a password all the same.
    pub(super) fn url(&self, schemes: &[&str], credentials: bool) -> Option<Url> {
        let text = self.text()?;
        let example = format!("write it like `{}://host.example.com`", schemes[0]);
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(_) if text.contains("://") => {
                return self.fail("is not a valid URL, or has no host", example);
            }
            Err(_) => {
                return self.fail(
                    "has no scheme",
                    format!("start it with `{}://`", schemes[0]),
                );
            }
        };
        if !text.contains("://") || !schemes.contains(&url.scheme()) {
            return self.fail(
                &format!("must start with `{}://`", schemes.join("://` or `")),
                example,
            );
        }
        if url.host_str().is_none_or(str::is_empty) {
            return self.fail("has no host", example);
        }
        if !credentials && (!url.username().is_empty() || url.password().is_some()) {
            return self.fail(
                "contains credentials",
                "remove the part before the `@`: a URL is shown in metrics and logs",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return self.fail(
                "has a query or a fragment",
                "remove the `?` or `#` and everything after it",
            );
        }
        Some(url)
    }

    fn raw_entries(&self, expected: &str) -> Option<&'a [(Key, Node)]> {
        match &self.node.value {
            Value::Map(entries) => Some(entries),
            _ => self.wrong_kind(expected, "write `key: value` pairs, indented"),
        }
    }

    fn wrong_kind<T>(&self, expected: &str, hint: &str) -> Option<T> {
        match self.node.value.kind() {
            "nothing" => self.fail("has no value", "give one, or remove the line"),
            kind if self.entry => {
                let message = format!("an entry of `{}` must be {expected}, not {kind}", self.name);
                self.sink.error(self.node.at, message, hint);
                None
            }
            kind => self.fail(&format!("must be {expected}, not {kind}"), hint),
        }
    }
}

/// 'did you mean', or all that is known.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    did_you_mean(word, known).unwrap_or_else(|| format!("known values: `{}`", known.join("`, `")))
}

/// The known word that is nearly the same.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    let close =
        |candidate: &&str| strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase());
    let best = known
        .iter()
        .copied()
        .max_by(|a, b| close(a).total_cmp(&close(b)))?;
    (close(&best) >= 0.8).then(|| format!("did you mean `{best}`?"))
}

/// A duration as the configuration writes it, in days and smaller units.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if rest >= millis {
            text += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// `1h30m`: whole numbers with units, the largest first, each unit once; at most 100 years, so that adding one to
/// a time cannot overflow.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 6] = [
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    const MAX_MS: u64 = 100 * 365 * 86_400_000;
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let index = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(units[index].1)?)?;
        units = &units[index + 1..];
        rest = tail;
    }
    (!text.is_empty() && total <= MAX_MS).then(|| Duration::from_millis(total))
}

/// Suggests a flag for an invalid value. YAML 1.1 had more words for true and false.
fn flag_hint(value: &Value) -> String {
    let Value::Text(text) = value else {
        return "write `true` or `false`".to_owned();
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "false" => "write it without quotes".to_owned(),
        "yes" | "on" | "y" => format!("`{text}` is text in YAML 1.2: write `true`"),
        "no" | "off" | "n" => format!("`{text}` is text in YAML 1.2: write `false`"),
        _ => "write `true` or `false`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units_in_falling_order() {
        for (text, millis) in [
            ("5m", 300_000),
            ("14d", 1_209_600_000),
            ("1h30m", 5_400_000),
            ("1m1s1ms", 61_001),
            ("0s", 0),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["0s", "5m", "14d", "1h30m", "1m1s1ms", "36500d"] {
            let duration = parse_duration(text).expect("a duration");
            assert_eq!(duration_text(duration), text);
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "1.5h",
            "-5m",
            "30m1h",
            "5m5m",
            "5M",
            "5min",
            "1y",
            "99999999999999999999s",
            "5300w",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
