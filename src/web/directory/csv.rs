//! Lists as CSV (RFC 4180).

use axum::body::Bytes;
use futures::{Stream, StreamExt, stream};

use super::{Asked, Refused};
use crate::odoo::directory::ROWS;
use crate::store::render::csv_line as line;

/// A row with a fixed number of named columns.
pub(super) trait Row<const N: usize>: Sized {
    /// Kind of the row.
    type Of: Clone + Send + 'static;
    /// The columns' names.
    const HEADER: [&'static str; N];
    /// The columns, empty where nothing is known.
    fn cells(&self) -> [String; N];
    /// The rows of some of a list.
    fn read(
        asked: &Asked,
        some: &[Self::Of],
    ) -> impl Future<Output = Result<Vec<Self>, Refused>> + Send;
}

/// A whole list, a part at a time. A part that cannot be read ends the stream with an error: a file that was cut short must not look whole.
pub(super) fn file<R: Row<N>, const N: usize>(
    asked: Asked,
    all: &[R::Of],
) -> impl Stream<Item = Result<Bytes, Refused>> + use<R, N> {
    let header = Bytes::from(line(R::HEADER));
    let parts: Vec<Vec<R::Of>> = all.chunks(ROWS).map(<[R::Of]>::to_vec).collect();
    let rows = stream::unfold((asked, parts.into_iter()), async |(asked, mut parts)| {
        let some = parts.next()?;
        let read = R::read(&asked, &some).await;
        let lines = read.map(|rows| rows.iter().map(|row| line(row.cells())).collect::<String>());
        Some((lines.map(Bytes::from), (asked, parts)))
    });
    stream::iter([Ok(header)]).chain(rows)
}

/// `true` or `false`, or empty if unknown.
pub(super) fn yes_or_no(truth: Option<bool>) -> String {
    truth.map(|it| it.to_string()).unwrap_or_default()
}
