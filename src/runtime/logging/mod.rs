//! Logs: one line per event, on standard error.
//!
//! Under systemd each line begins with its priority (`<4>`), which the journal takes off: it works for every supervisor that knows
//! sd-daemon(3), and leaves the line as it is elsewhere. The journal's own protocol would need a socket and would take that away.

mod logfmt;

use std::collections::hash_map::{Entry, HashMap};
use std::fmt::Debug;
use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::Style;
use tracing::callsite::Identifier;
use tracing::field::Field;
use tracing::metadata::ParseLevelError;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use logfmt::Logfmt;

use crate::odoo::printable;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Readable text, colored on a terminal.
    Text,
    /// `key=value`, as Prometheus writes it.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// The log level, which can be changed.
#[derive(Debug, Clone)]
pub struct Logging {
    filter: Handle<Targets, Registry>,
    level: Arc<Mutex<String>>,
}

impl Logging {
    /// Starts logging. `level` is a level (`info`) or directives (`info,odoo_mfa_exporter::poll=debug`). Without a format it is text on a
    /// terminal, and logfmt elsewhere.
    ///
    /// # Errors
    /// If the level cannot be parsed.
    pub fn start(level: &str, format: Option<LogFormat>) -> Result<Self, ParseError> {
        let (filter, handle) = reload::Layer::new(filter(level)?);
        let format = format.unwrap_or(if stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Logfmt
        });
        let journal = is_journal();
        // If standard error is closed or full, there is nowhere to report that.
        let lines = fmt::layer().with_writer(stderr).log_internal_errors(false);
        let lines: Box<dyn Layer<_> + Send + Sync> = match format {
            LogFormat::Text => {
                let text = fmt::format().with_target(false);
                let lines = lines.with_ansi(wants_color(&stderr()));
                let lines = lines.fmt_fields(fmt::format::debug_fn(field).delimited(" "));
                lines.event_format(Line::new(text, journal)).boxed()
            }
            LogFormat::Logfmt => lines.event_format(Line::new(Logfmt, journal)).boxed(),
            LogFormat::Json => {
                let json = fmt::format().json().with_target(false).flatten_event(true);
                let json = json.with_current_span(false).with_span_list(false);
                let fields = fmt::format::JsonFields::new();
                let lines = lines.event_format(Line::new(json, journal));
                lines.fmt_fields(fields).boxed()
            }
        };
        // It fails only if logging runs already, in tests.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init();
        Ok(Self {
            filter: handle,
            level: Arc::new(Mutex::new(level.to_owned())),
        })
    }

    /// The log level: a level, or directives.
    pub fn level(&self) -> String {
        self.current().clone()
    }

    /// Logs this level from now on, until it is changed again or the process ends. Never what libraries say beyond warnings, which may hold
    /// secrets: that takes the command line.
    ///
    /// # Errors
    /// If it is not a level.
    pub fn set_level(&self, level: &str) -> Result<(), ParseLevelError> {
        let level = level.parse::<Level>()?.as_str().to_ascii_lowercase();
        if let Ok(filter) = filter(&level) {
            let mut current = self.current();
            // It fails only if logging is disabled any more.
            let _ = self.filter.reload(filter);
            *current = level;
        }
        Ok(())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, String> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a field of a line for users, without characters that a terminal would obey or that would end the line.
fn field(to: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = printable(&format!("{value:?}"), usize::MAX);
    let (name, equals) = match to.has_ansi_escapes() {
        true => (Style::new().italic(), Style::new().dimmed()),
        false => (Style::new(), Style::new()),
    };
    match field.name() {
        "message" => write!(to, "{value}"),
        it => write!(to, "{name}{it}{name:#}{equals}={equals:#}{value}"),
    }
}

/// Returns true if an output shows colors: if it is a terminal, and `NO_COLOR` is not set.
pub fn wants_color(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Libraries speak only when something is wrong: their debug output may hold what ours must not.
fn filter(level: &str) -> Result<Targets, ParseError> {
    let directives = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        format!("warn,odoo_mfa_exporter={level}")
    };
    directives.parse()
}

/// Returns true if standard error is the journal, according to systemd.
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let file = stderr()
        .as_fd()
        .try_clone_to_owned()
        .map(std::fs::File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|it| *stream == *format!("{}:{}", it.dev(), it.ino()))
}

/// A line with the number of those that were not written, as a field.
fn counted(line: &str, more: u64) -> String {
    match line.strip_suffix('}') {
        Some(object) => format!("{object},\"more\":{more}}}"),
        None => format!("{line} more={more}"),
    }
}

/// A line, with its priority in front if the journal removes it.
struct Line<F> {
    format: F,
    priority: bool,
    floods: Mutex<HashMap<Identifier, (Instant, u64)>>,
}

/// A library's warning is written once in this time: a client can cause some as often as it likes.
const FLOOD: Duration = Duration::from_secs(10);

impl<F> Line<F> {
    fn new(format: F, priority: bool) -> Self {
        Self {
            format,
            priority,
            floods: Mutex::default(),
        }
    }

    /// Number of similar lines that were suppressed since the last one; `None` if this one is suppressed, too.
    fn passes(&self, metadata: &'static Metadata<'static>, now: Instant) -> Option<u64> {
        if metadata.target().starts_with(env!("CARGO_CRATE_NAME")) {
            return Some(0);
        }
        let mut floods = self.floods.lock().unwrap_or_else(PoisonError::into_inner);
        match floods.entry(metadata.callsite()) {
            Entry::Vacant(place) => {
                place.insert((now, 0));
                Some(0)
            }
            Entry::Occupied(mut known) => {
                let (last, more) = known.get_mut();
                if now.duration_since(*last) < FLOOD {
                    *more += 1;
                    return None;
                }
                *last = now;
                Some(std::mem::take(more))
            }
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Line<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Some(more) = self.passes(event.metadata(), Instant::now()) else {
            return Ok(());
        };
        if self.priority {
            let priority = match *event.metadata().level() {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                Level::DEBUG | Level::TRACE => 7,
            };
            write!(writer, "<{priority}>")?;
        }
        if more == 0 {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format
            .format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", counted(line.trim_end(), more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The written bytes.
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_for_people_holds_no_character_that_a_terminal_obeys() {
        let written = Buffer::default();
        let writer = written.clone();
        let lines = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .fmt_fields(fmt::format::debug_fn(field).delimited(" "))
            .event_format(Line::new(fmt::format().with_target(false), false));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let error = "a\x1b]0;owned\x07\r\nb\u{9b}31m";
            tracing::warn!(%error, text = error, "poll\x1b[31m failed");
        });
        let bytes = written.0.lock().expect("no panic").clone();
        let line = String::from_utf8(bytes).expect("UTF-8");
        let (_, line) = line.split_once("WARN ").expect("a level");
        assert_eq!(
            line,
            "poll [31m failed error=a ]0;owned   b 31m text=\"a\\u{1b}]0;owned\\u{7}\\r\\nb\\u{9b}31m\"\n"
        );
    }

    #[test]
    fn a_library_is_not_repeated_and_this_program_is() {
        let written = Buffer::default();
        let to = written.clone();
        let layer = fmt::layer()
            .with_writer(move || to.clone())
            .event_format(Line::new(Logfmt, false));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..3 {
                tracing::warn!(target: "h2::proto", "reset");
                tracing::warn!("of this program");
            }
        });
        let text = String::from_utf8(written.0.lock().expect("no panic").clone()).expect("text");
        assert_eq!(text.matches("reset").count(), 1, "{text}");
        assert_eq!(text.matches("of this program").count(), 3, "{text}");
    }

    #[test]
    fn the_number_of_those_that_were_not_written_is_a_field() {
        assert_eq!(
            counted("level=warn msg=reset", 7),
            "level=warn msg=reset more=7"
        );
        assert_eq!(
            counted("{\"level\":\"WARN\"}", 7),
            "{\"level\":\"WARN\",\"more\":7}"
        );
    }
}
