//! `ts=... level=... msg="..." key=value`, as Prometheus and its exporters write it. Shorter than configuring a crate
//! for field order and priorities.

use std::fmt::{self, Debug, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Writes events that way. Any value stays on its line.
pub(super) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, "ts={:.3} level={level} msg=", Timestamp::now())?;
        value(&mut writer, &fields.message)?;
        writeln!(writer, "{}", fields.rest)
    }
}

/// The message, and the other fields as they are written.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, shown: &dyn Debug) {
        self.record_str(field, &format!("{shown:?}"));
    }

    fn record_str(&mut self, field: &Field, text: &str) {
        if field.name() == "message" {
            text.clone_into(&mut self.message);
        } else {
            // A string takes everything.
            let _ = write!(self.rest, " {}=", field.name());
            let _ = value(&mut self.rest, text);
        }
    }
}

fn value(to: &mut impl Write, text: &str) -> fmt::Result {
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\') || c.is_alphanumeric();
    if !text.is_empty() && text.chars().all(plain) {
        return to.write_str(text);
    }
    to.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => to.write_str("\\\"")?,
            '\\' => to.write_str("\\\\")?,
            '\n' => to.write_str("\\n")?,
            '\r' => to.write_str("\\r")?,
            '\t' => to.write_str("\\t")?,
            character if character.is_control() => write!(to, "\\u{:04x}", u32::from(character))?,
            character => to.write_char(character)?,
        }
    }
    to.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_their_line_and_are_quoted_where_that_is_needed() {
        let written = |text: &str| {
            let mut line = String::new();
            value(&mut line, text).expect("a string takes everything");
            line
        };
        for text in ["erp", "https://erp.example.com/a?b", "Zürich", "5m", "a,b"] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written(""), "\"\"");
        assert_eq!(written("a b"), "\"a b\"");
        assert_eq!(written("a=\"b\""), "\"a=\\\"b\\\"\"");
        assert_eq!(
            written("C:\\n\n\r\t\u{1b}[31m\u{85}"),
            "\"C:\\\\n\\n\\r\\t\\u001b[31m\\u0085\""
        );
    }
}
