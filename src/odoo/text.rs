//! Text from outside: cut where it enters, and without characters that a terminal or a log would obey.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// The most characters of a text in a reply: names, logins, versions, messages of exceptions.
const LONGEST: usize = 500;

/// The shortest secret that is looked for: a shorter one would be found in ordinary words.
const SHORTEST_SECRET: usize = 4;

/// A text in a reply, as [`printable`] leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(String);

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cut;

        impl Visitor<'_> for Cut {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(printable(text, LONGEST)))
            }
        }

        deserializer.deserialize_str(Cut)
    }
}

/// At most so many characters of a text. Spaces replace control characters, C1 and line separators included, and those that change the
/// direction of what follows.
pub fn printable(text: &str, longest: usize) -> String {
    let shown = |c: char| match c {
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut chars = text.chars();
    let mut cut: String = chars.by_ref().take(longest).map(shown).collect();
    if chars.next().is_some() {
        cut.push('…');
    }
    cut
}

/// A text without a secret that it may hold.
pub fn redacted(text: &str, secret: &str) -> String {
    if secret.len() < SHORTEST_SECRET {
        return text.to_owned();
    }
    text.replace(secret, "[redacted]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_obeyed_by_no_terminal() {
        assert_eq!(
            printable("a\x1b[31m\r\nb\u{9b}c\u{202e}d", 99),
            "a [31m  b c d"
        );
        assert_eq!(printable("Żółć Łódź", 4), "Żółć…");
        let read: Text =
            serde_json::from_str(&format!("\"{}\"", "x".repeat(9999))).expect("a text");
        assert_eq!(read.chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_secret_is_redacted_unless_it_could_be_any_word() {
        assert_eq!(
            redacted("Bearer 0123abcd!", "0123abcd"),
            "Bearer [redacted]!"
        );
        assert_eq!(redacted("an error", "an"), "an error");
    }
}
