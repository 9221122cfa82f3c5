//! Charts as inline SVG: axes with units, and a sentence for screen readers. Unknown values are gaps in the line.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::text::{grouped, percent};

/// Unit of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shares, 0 to 1, drawn from 0 to 100%.
    Share,
    /// Numbers of something, drawn from 0 to beyond the greatest.
    Count,
}

/// One line.
#[derive(Debug)]
pub struct Series {
    /// Name.
    pub label: &'static str,
    /// Class in the style sheet: `a`, `b`, `c`.
    pub class: &'static str,
    /// Values over time; `None` if unknown.
    pub points: Vec<(Timestamp, Option<f64>)>,
}

/// Settings that all lines of a chart share.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The left end.
    pub from: Timestamp,
    /// The right end.
    pub to: Timestamp,
    /// A longer time without a value is a gap.
    pub gap: SignedDuration,
    /// The lines.
    pub unit: Unit,
}

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 220.0;
/// Positions of the axes: left, top, right, bottom.
const PLOT: [f64; 4] = [46.0, 10.0, 588.0, 190.0];
const SPARK: [f64; 4] = [2.0, 2.0, 117.0, 26.0];

/// A chart with axes; `None` where no value is known.
pub fn chart(title: &str, frame: Frame, series: &[Series]) -> Option<String> {
    let values = series.iter().flat_map(|line| &line.points);
    let most = values
        .filter_map(|(_, value)| *value)
        .max_by(f64::total_cmp)?;
    let (top, step) = match frame.unit {
        Unit::Share => (1.0, 0.25),
        Unit::Count => nice(most),
    };
    let said: Vec<String> = series
        .iter()
        .filter_map(|line| said(line, frame.unit))
        .collect();
    let mut svg = format!(
        r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}. {}">"#,
        said.join(" ")
    );
    let [left, _, right, bottom] = PLOT;
    let mut tick = 0.0;
    while tick <= top + step / 2.0 {
        let y = place_y(tick / top, PLOT);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{left}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 6.0,
            y + 4.0,
            shown(tick, frame.unit)
        );
        tick += step;
    }
    let span = frame.to.duration_since(frame.from);
    let format = if span <= SignedDuration::from_hours(48) {
        "%H:%M"
    } else {
        "%d %b"
    };
    for quarter in 0..=4 {
        let at = frame.from + span * quarter / 4;
        let x = left + (right - left) * f64::from(quarter) / 4.0;
        let anchor = ["start", "middle", "middle", "middle", "end"][quarter as usize];
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{}"/><text x="{x:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
            bottom + 4.0,
            bottom + 18.0,
            at.strftime(format)
        );
    }
    for line in series {
        draw(&mut svg, line, frame, top, PLOT);
    }
    for line in series {
        hover(&mut svg, line, frame, top);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Values that show when a pointer rests on them, at most.
const HOVERED: usize = 60;

/// Spots on a line that show their time and value.
fn hover(svg: &mut String, line: &Series, frame: Frame, top: f64) {
    let known = line
        .points
        .iter()
        .filter_map(|(at, value)| Some((*at, (*value)?)));
    let known: Vec<(Timestamp, f64)> = known.collect();
    let every = known.len().div_ceil(HOVERED).max(1);
    for (at, value) in known.into_iter().rev().step_by(every) {
        let _ = write!(
            svg,
            r#"<circle class="hit" cx="{:.1}" cy="{:.1}" r="5"><title>{}, {}: {}</title></circle>"#,
            place_x(at, frame, PLOT),
            place_y(value / top, PLOT),
            line.label,
            at.strftime("%Y-%m-%d %H:%M UTC"),
            shown(value, frame.unit)
        );
    }
}

/// A small line without labels: shares from 0 to 100%, counts from 0; `None` where no value is known.
pub fn sparkline(frame: Frame, line: &Series) -> Option<String> {
    let said = said(line, frame.unit)?;
    let mut svg =
        format!(r#"<svg class="spark" viewBox="0 0 120 28" role="img" aria-label="{said}">"#);
    for share in [0.0, 1.0] {
        let y = place_y(share, SPARK);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="0" y1="{y}" x2="120" y2="{y}"/>"#
        );
    }
    let most = line.points.iter().filter_map(|(_, value)| *value);
    let top = match frame.unit {
        Unit::Share => 1.0,
        Unit::Count => most.fold(1.0, f64::max),
    };
    draw(&mut svg, line, frame, top, SPARK);
    svg.push_str("</svg>");
    Some(svg)
}

/// The line in pieces between gaps; a value that stands alone is a dot.
fn draw(svg: &mut String, line: &Series, frame: Frame, top: f64, plot: [f64; 4]) {
    let x = |at: Timestamp| place_x(at, frame, plot);
    let mut pieces: Vec<Vec<(Timestamp, f64)>> = Vec::new();
    let mut last: Option<Timestamp> = None;
    for (at, value) in &line.points {
        let Some(value) = value else {
            last = None;
            continue;
        };
        let goes_on = last.is_some_and(|last| at.duration_since(last) <= frame.gap);
        match pieces.last_mut() {
            Some(piece) if goes_on => piece.push((*at, *value)),
            _ => pieces.push(vec![(*at, *value)]),
        }
        last = Some(*at);
    }
    for piece in pieces {
        if let [(at, value)] = piece.as_slice() {
            let (x, y) = (x(*at), place_y(value / top, plot));
            let _ = write!(
                svg,
                r#"<circle class="dot {}" cx="{x:.1}" cy="{y:.1}" r="2"/>"#,
                line.class
            );
            continue;
        }
        let _ = write!(svg, r#"<polyline class="line {}" points=""#, line.class);
        for (at, value) in piece {
            let _ = write!(svg, "{:.1},{:.1} ", x(at), place_y(value / top, plot));
        }
        svg.push_str(r#""/>"#);
    }
}

fn place_x(at: Timestamp, frame: Frame, [left, _, right, _]: [f64; 4]) -> f64 {
    let span = frame.to.duration_since(frame.from).as_secs_f64().max(1.0);
    let share = at.duration_since(frame.from).as_secs_f64() / span;
    left + (right - left) * share.clamp(0.0, 1.0)
}

fn place_y(share: f64, [_, top, _, bottom]: [f64; 4]) -> f64 {
    bottom - (bottom - top) * share
}

/// A line in words.
fn said(line: &Series, unit: Unit) -> Option<String> {
    let known: Vec<f64> = line.points.iter().filter_map(|(_, value)| *value).collect();
    let (first, last) = (known.first()?, known.last()?);
    let least = known.iter().copied().min_by(f64::total_cmp)?;
    let most = known.iter().copied().max_by(f64::total_cmp)?;
    let [first, last, least, most] = [*first, *last, least, most].map(|value| shown(value, unit));
    Some(format!(
        "{}: from {first} to {last}, between {least} and {most}.",
        line.label
    ))
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => percent(value),
        // Counts of users and keys: whole, and far below what a float holds exactly.
        Unit::Count => grouped(value as u64),
    }
}

/// The top of an axis of counts and the step of its ticks: 1, 2 or 5 times a power of ten.
fn nice(most: f64) -> (f64, f64) {
    let rough = (most / 4.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|it| it * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0);
    ((most / step).ceil().max(1.0) * step, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).expect("a time")
    }

    fn frame(unit: Unit) -> Frame {
        Frame {
            from: at(0),
            to: at(100),
            gap: SignedDuration::from_hours(2),
            unit,
        }
    }

    fn line(points: &[(i64, Option<f64>)]) -> Series {
        Series {
            label: "Internal users",
            class: "a",
            points: points
                .iter()
                .map(|(hour, value)| (at(*hour), *value))
                .collect(),
        }
    }

    #[test]
    fn what_is_not_known_is_a_gap_and_never_a_zero() {
        let points = [
            (0, Some(0.5)),
            (1, Some(0.6)),
            (2, None),
            (3, Some(0.7)),
            (4, Some(0.8)),
            (90, Some(0.9)),
        ];
        let svg = chart("Coverage", frame(Unit::Share), &[line(&points)]).expect("values");
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle class=\"dot").count(), 1, "{svg}");
        assert!(
            svg.contains("Internal users: from 50% to 90%, between 50% and 90%."),
            "{svg}"
        );
        assert!(
            svg.contains("<title>Internal users, 1970-01-04 18:00 UTC: 90%</title>"),
            "{svg}"
        );
        assert_eq!(
            chart("Coverage", frame(Unit::Share), &[line(&[(0, None)])]),
            None
        );
        assert_eq!(sparkline(frame(Unit::Share), &line(&[])), None);
    }

    #[test]
    fn the_axis_of_counts_ends_in_a_round_number_above_them() {
        for (most, ends) in [
            (0.0, (1.0, 1.0)),
            (3.0, (3.0, 1.0)),
            (17.0, (20.0, 5.0)),
            (95.0, (100.0, 50.0)),
            (12_345.0, (15_000.0, 5_000.0)),
        ] {
            assert_eq!(nice(most), ends, "{most}");
        }
        let svg = chart(
            "Keys",
            frame(Unit::Count),
            &[line(&[(0, Some(17.0)), (1, Some(0.0))])],
        )
        .expect("values");
        assert!(svg.contains(">20</text>"), "{svg}");
    }
}
