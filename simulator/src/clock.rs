//! Time as Odoo keeps it: whole seconds, UTC, written as `2026-11-24 02:33:33`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Seconds since the Unix epoch. 0 stands for "never" and "no date" wherever a date is optional.
pub type Time = u32;

/// One day in seconds.
pub(super) const DAY: Time = 86_400;

/// Where the simulator takes the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(|| u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0))
    }

    /// A clock that stands still.
    pub fn fixed(now: Time) -> Self {
        Self::from_fn(move || now)
    }

    /// The machine's clock, so many seconds ago.
    pub fn behind(seconds: Arc<AtomicU32>) -> Self {
        Self::from_fn(move || Self::system().now() - seconds.load(Ordering::Relaxed))
    }

    /// As an HTTP header has it.
    pub(super) fn http_date(&self) -> String {
        let now = jiff::Timestamp::from_second(self.now().into());
        now.unwrap_or_default()
            .strftime("%a, %d %b %Y %T GMT")
            .to_string()
    }

    /// Any other source.
    pub fn from_fn(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.now()))
    }
}

/// As Odoo writes a datetime.
pub(super) fn format(time: Time) -> String {
    match jiff::Timestamp::from_second(i64::from(time)) {
        Ok(stamp) => stamp.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => String::new(),
    }
}

/// A date or datetime as Odoo accepts it in a domain.
pub(super) fn parse(text: &str) -> Option<Time> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let stamp: jiff::Timestamp = format!("{date}T{time}Z").parse().ok()?;
    u32::try_from(stamp.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_as_odoo_does() {
        let time = parse("2026-11-24 02:33:33").expect("a datetime");
        assert_eq!(format(time), "2026-11-24 02:33:33");
        assert_eq!(parse("1970-01-02"), Some(DAY));
        assert_eq!(parse("yesterday"), None);
    }
}
