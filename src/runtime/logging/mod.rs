//! Logs: one line per event, on standard error.
//!
//! Under systemd each line begins with its priority (`<4>`), which the journal takes off: it works for every supervisor that knows
//! sd-daemon(3), and leaves the line as it is elsewhere. The journal's own protocol would need a socket and would take that away.

mod logfmt;

use std::fmt::Debug;
use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::Style;
use tracing::field::Field;
use tracing::metadata::ParseLevelError;
use tracing::{Event, Level, Subscriber};
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

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people: coloured on a terminal.
    Text,
    /// `key=value`, as Prometheus writes it.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// What is logged, which can be changed.
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
    /// When the level cannot be read.
    pub fn start(level: &str, format: Option<LogFormat>) -> Result<Self, ParseError> {
        let (filter, handle) = reload::Layer::new(filter(level)?);
        let format = format.unwrap_or(if stderr().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Logfmt
        });
        let journal = is_journal();
        let lines = fmt::layer().with_writer(stderr);
        let lines: Box<dyn Layer<_> + Send + Sync> = match format {
            LogFormat::Text => {
                let text = fmt::format().with_target(false);
                let lines = lines.with_ansi(wants_colour(&stderr()));
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

    /// What is logged: a level, or directives.
    pub fn level(&self) -> String {
        self.current().clone()
    }

    /// Logs this level from now on, until it is changed again or the process ends. Never what libraries say beyond warnings, which may hold
    /// secrets: that takes the command line.
    ///
    /// # Errors
    /// When it is no level.
    pub fn set_level(&self, level: &str) -> Result<(), ParseLevelError> {
        let level = level.parse::<Level>()?.as_str().to_ascii_lowercase();
        if let Ok(filter) = filter(&level) {
            let mut current = self.current();
            // It fails only if nothing is logged any more.
            let _ = self.filter.reload(filter);
            *current = level;
        }
        Ok(())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, String> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a field of a line for people, without characters that a terminal would obey or that would end the line.
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

/// Whether an output wants colours: if it is a terminal, and `NO_COLOR` does not say otherwise.
pub fn wants_colour(output: &impl IsTerminal) -> bool {
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

/// Whether standard error is the journal, by what systemd says of it.
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

/// A line, with its priority in front where somebody takes that off.
struct Line<F> {
    format: F,
    priority: bool,
}

impl<F> Line<F> {
    fn new(format: F, priority: bool) -> Self {
        Self { format, priority }
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
        if self.priority {
            let priority = match *event.metadata().level() {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                Level::DEBUG | Level::TRACE => 7,
            };
            write!(writer, "<{priority}>")?;
        }
        self.format.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written.
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
}
