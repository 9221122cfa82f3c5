//! Common parts of the pages of users and of API keys: links to lists, and the numbers that lists explain.

use super::parts::{Column, Pager};
use super::text::href;
use crate::domain::roster::{self, Unlisted};
use crate::domain::{ExemptReason, UserType};
use crate::odoo::directory::SortPeople;
use crate::web::directory::{Direction, KeysQuery, PeopleQuery, SortKeys};
use crate::web::paging::{PageNumber, PageRows, Slice};

/// The parameters that say which part of a list a page shows.
pub struct Part<'a, S> {
    sort: &'a mut Option<S>,
    order: &'a mut Option<Direction>,
    page: &'a mut Option<PageNumber>,
    per_page: &'a mut Option<PageRows>,
}

/// A query for one page of a list, and the links from that page.
pub trait ListQuery: Clone {
    /// The last part of the path of its page.
    const PATH: &'static str;
    /// Name of the list, for screen readers.
    const LABEL: &'static str;
    /// Sort keys.
    type Sort: Copy + PartialEq;

    /// Its parameters; those that are not given are empty.
    fn parameters(&self) -> Vec<(&'static str, String)>;
    /// Page and order of the list.
    fn part(&mut self) -> Part<'_, Self::Sort>;
    /// Sort key and direction.
    fn sorted(&self) -> (Self::Sort, Direction);

    /// The path of its page.
    fn path(&self, target: &str) -> String {
        href(&["targets", target, Self::PATH], &[])
    }

    /// The page that answers it.
    fn href(&self, target: &str) -> String {
        self.address(target, Self::PATH)
    }

    /// The whole list as a file.
    fn csv(&self, target: &str) -> String {
        let mut all = self.clone();
        *all.part().page = None;
        *all.part().per_page = None;
        all.address(target, &format!("{}.csv", Self::PATH))
    }

    /// A page or a file of a target, with its parameters.
    fn address(&self, target: &str, last: &str) -> String {
        let parameters = self.parameters();
        let parameters = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        href(&["targets", target, last], &parameters.collect::<Vec<_>>())
    }

    /// Links to the other pages of the list.
    fn pager(&self, target: &str, shown: &Slice, total: &u64) -> Pager {
        Pager::new(Self::LABEL, *shown, *total, |number| {
            let mut query = self.clone();
            *query.part().page = Some(number);
            query.href(target)
        })
    }

    /// The header of a column that can be sorted by.
    fn column(
        &self,
        target: &str,
        title: &'static str,
        class: &'static str,
        by: Self::Sort,
    ) -> Column {
        let (sorted_by, direction) = self.sorted();
        let now = (sorted_by == by).then_some(direction);
        let mut query = self.clone();
        let part = query.part();
        (*part.sort, *part.order) = (Some(by), now.map(Direction::reversed));
        *part.page = None;
        Column::sorts(title, class, now, query.href(target))
    }
}

impl ListQuery for PeopleQuery {
    const PATH: &'static str = "people";
    const LABEL: &'static str = "users";
    type Sort = SortPeople;

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("state", given(self.state.map(roster::State::as_str))),
            ("user_type", given(self.user_type.map(UserType::as_str))),
            ("role", given(self.role.as_ref().map(|role| role.as_str()))),
            ("reason", given(self.reason.map(ExemptReason::as_str))),
            ("finding", given(self.finding.map(|kind| kind.as_str()))),
            ("subject", given(self.subject.as_ref())),
            ("q", given(self.q.as_ref())),
            ("sort", given(self.sort.map(SortPeople::as_str))),
            ("order", given(self.order.map(Direction::as_str))),
            ("page", given(self.page)),
            ("per_page", given(self.per_page)),
        ]
    }

    fn part(&mut self) -> Part<'_, SortPeople> {
        Part {
            sort: &mut self.sort,
            order: &mut self.order,
            page: &mut self.page,
            per_page: &mut self.per_page,
        }
    }

    fn sorted(&self) -> (SortPeople, Direction) {
        (
            self.sort.unwrap_or(SortPeople::Name),
            self.order.unwrap_or(Direction::Asc),
        )
    }
}

impl ListQuery for KeysQuery {
    const PATH: &'static str = "keys";
    const LABEL: &'static str = "API keys";
    type Sort = SortKeys;

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("state", given(self.state.map(roster::KeyState::as_str))),
            ("q", given(self.q.as_ref())),
            ("sort", given(self.sort.map(SortKeys::as_str))),
            ("order", given(self.order.map(Direction::as_str))),
            ("page", given(self.page)),
            ("per_page", given(self.per_page)),
        ]
    }

    fn part(&mut self) -> Part<'_, SortKeys> {
        Part {
            sort: &mut self.sort,
            order: &mut self.order,
            page: &mut self.page,
            per_page: &mut self.per_page,
        }
    }

    fn sorted(&self) -> (SortKeys, Direction) {
        (self.sort(), self.order())
    }
}

fn given(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The numbers that lists explain.
#[derive(Default)]
pub struct Numbers {
    /// Heading of the rows.
    pub what: &'static str,
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Rows; none before the first poll.
    pub rows: Vec<Row>,
}

/// One row of the numbers.
pub struct Row {
    /// Label.
    pub label: &'static str,
    /// A number for each column, with a link for readers who may read names; or why it is unknown.
    pub cells: Result<Vec<(u64, Option<String>)>, Unlisted>,
}
