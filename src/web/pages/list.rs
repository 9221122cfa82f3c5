//! Common parts of the lists over targets: their addresses, filters, and the numbers that they explain.

use std::collections::BTreeSet;

use super::parts::{Choice, Column, Pager, Select};
use super::text::{grouped, href, spaced};
use crate::domain::roster;
use crate::domain::{ExemptReason, UserType};
use crate::web::App;
use crate::web::changes::ChangesQuery;
use crate::web::directory::{
    Counted, Direction, KeysQuery, Label, RoleFilter, SortKeys, SortUsers, UsersQuery, Which,
};
use crate::web::paging::{PageNumber, PageRows, Slice};

/// Parameters that say how a list is shown, not what is in it.
const SHOWN: [&str; 6] = ["sort", "order", "page", "per_page", "after", "limit"];

/// A query for one page of a list, and the links from that page.
pub trait ListQuery: Clone {
    /// The path of its page.
    const PATH: &'static str;
    /// Name of its file.
    const FILE: &'static str = Self::PATH;
    /// Name of the list, for a screen reader.
    const LABEL: &'static str;

    /// Its parameters, in the order of the address; those that are not given are empty.
    fn parameters(&self) -> Vec<(&'static str, String)>;
    /// Its targets.
    fn which(&self) -> Which<'_>;

    /// The page that answers it.
    fn href(&self) -> String {
        address(Self::PATH, &self.parameters())
    }

    /// The whole list as a file.
    fn csv(&self) -> String {
        let mut parameters = self.parameters();
        parameters.retain(|(name, _)| !["page", "per_page", "after", "limit"].contains(name));
        address(&format!("{}.csv", Self::FILE), &parameters)
    }

    /// The name of that file: the list, its targets or labels, what is filtered, and the day.
    fn file_name(&self) -> String {
        let mut parts = vec![Self::FILE.to_owned()];
        let filters = self.filters();
        parts.extend(filters.into_iter().map(|(_, value)| value));
        parts.push(jiff::Timestamp::now().strftime("%Y-%m-%d").to_string());
        parts.join("-")
    }

    /// The parameters that say what is in the list.
    fn filters(&self) -> Vec<(&'static str, String)> {
        let given = |(name, value): &(&str, String)| !value.is_empty() && !SHOWN.contains(name);
        self.parameters().into_iter().filter(given).collect()
    }

    /// Filters in use, each with the address of the list without it.
    fn chips(&self) -> Vec<Chip> {
        let all = self.parameters();
        let filters = self.filters();
        let chip = |(name, value): &(&'static str, String)| {
            let mut rest = all.clone();
            rest.retain(|it| it != &(*name, value.clone()));
            rest.retain(|(name, _)| !["page", "after"].contains(name));
            let (name, shown) = match *name {
                "label" => ("label", value.clone()),
                "q" => ("search", value.clone()),
                "user_type" => ("type", spaced(value)),
                name => (name, spaced(value)),
            };
            Chip {
                text: format!("{name}: {shown}"),
                href: address(Self::PATH, &rest),
            }
        };
        filters.iter().map(chip).collect()
    }
}

/// A list of which Odoo gives one page after the other.
pub trait PagedQuery: ListQuery {
    /// Its sort keys.
    type Sort: Copy + PartialEq;

    /// Page and order.
    fn part(&mut self) -> Part<'_, Self::Sort>;
    /// Sort key and direction.
    fn sorted(&self, targets: usize) -> (Self::Sort, Direction);

    /// Links to the other pages of the list.
    fn pager(&self, shown: &Slice, total: &u64) -> Pager {
        Pager::new(Self::LABEL, *shown, *total, |number| {
            let mut query = self.clone();
            *query.part().page = Some(number);
            query.href()
        })
    }

    /// The same list with as many rows on a page as there may be.
    fn at_once(&self) -> String {
        let mut query = self.clone();
        *query.part().per_page = Some(PageRows::MOST);
        *query.part().page = None;
        query.href()
    }

    /// The header of a column that can be sorted by.
    fn column(
        &self,
        targets: usize,
        title: &'static str,
        class: &'static str,
        by: Self::Sort,
    ) -> Column {
        let (sorted_by, direction) = self.sorted(targets);
        let now = (sorted_by == by).then_some(direction);
        let mut query = self.clone();
        let part = query.part();
        (*part.sort, *part.order) = (Some(by), now.map(Direction::reversed));
        *part.page = None;
        Column::sorts(title, class, now, query.href())
    }
}

/// The parameters that say which part of a list a page shows.
pub struct Part<'a, S> {
    /// By what.
    pub sort: &'a mut Option<S>,
    /// Direction of the sort.
    pub order: &'a mut Option<Direction>,
    /// Number of the page.
    pub page: &'a mut Option<PageNumber>,
    /// Rows per page.
    pub per_page: &'a mut Option<PageRows>,
}

/// A filter that is set.
pub struct Chip {
    /// Label.
    pub text: String,
    /// The list without it.
    pub href: String,
}

/// Boxes to tick, any number of them.
pub struct Group {
    /// The parameter.
    pub name: &'static str,
    /// Heading.
    pub label: &'static str,
    /// Choices.
    pub options: Vec<Choice>,
}

impl Group {
    /// Number of selected choices.
    pub fn chosen(&self) -> usize {
        self.options.iter().filter(|option| option.chosen).count()
    }
}

/// The form that narrows a list.
pub struct Filters {
    /// Address.
    pub action: String,
    /// Rows.
    pub label: &'static str,
    /// Search text, and the label of its field.
    pub search: Option<(&'static str, String)>,
    /// Fields to choose from.
    pub selects: Vec<Select>,
    /// Fields for a day: parameter, label, value.
    pub days: Vec<(&'static str, &'static str, String)>,
    /// Boxes to tick.
    pub groups: Vec<Group>,
    /// A field for the name of a target, where there are too many for boxes.
    pub target_field: bool,
    /// Parameters that stay as they are.
    pub hidden: Vec<(&'static str, String)>,
    /// Filters in use.
    pub chips: Vec<Chip>,
}

/// Targets and labels that are shown as boxes to tick, at most.
const BOXES: usize = 100;

impl Filters {
    /// The filters that every list has: targets and labels. Other fields are added; what has no field stays as it is.
    pub fn of<Q: ListQuery>(app: &App, query: &Q) -> Self {
        let snapshots = app.board.snapshots();
        let which = query.which();
        let mut filters = Self {
            action: href(&[Q::PATH], &[]),
            label: Q::LABEL,
            search: None,
            selects: Vec::new(),
            days: Vec::new(),
            groups: Vec::new(),
            target_field: snapshots.len() > BOXES,
            hidden: query
                .parameters()
                .into_iter()
                .filter(|(name, value)| !value.is_empty() && !["page", "after"].contains(name))
                .collect(),
            chips: query.chips(),
        };
        let labels: BTreeSet<String> = snapshots
            .iter()
            .flat_map(|snapshot| &snapshot.identity.labels)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !labels.is_empty() && labels.len() <= BOXES {
            let chosen = |label: &String| which.labels.iter().any(|it| it.as_str() == label);
            let options = labels
                .iter()
                .map(|it| (it.clone(), it.replacen('=', ": ", 1), chosen(it)));
            filters = filters.group("label", "Label", options);
        }
        if snapshots.len() > 1 && !filters.target_field {
            let mut names: Vec<&String> = snapshots.iter().map(|it| &it.identity.name).collect();
            names.sort();
            let options = names
                .into_iter()
                .map(|name| (name.clone(), name.clone(), which.targets.contains(name)));
            filters = filters.group("target", "Target", options);
        }
        filters
    }

    /// Boxes to tick: value, text, and whether it is ticked.
    pub fn group(
        mut self,
        name: &'static str,
        label: &'static str,
        options: impl Iterator<Item = (String, String, bool)>,
    ) -> Self {
        self.hidden.retain(|(hidden, _)| *hidden != name);
        let options = options.map(|(value, label, chosen)| Choice {
            value,
            label,
            chosen,
        });
        let group = Group {
            name,
            label,
            options: options.collect(),
        };
        // Filters of the list itself come before labels and targets.
        let place = self
            .groups
            .iter()
            .position(|group| {
                ["label", "target"].contains(&group.name) && !["label", "target"].contains(&name)
            })
            .unwrap_or(self.groups.len());
        self.groups.insert(place, group);
        self
    }

    /// Fields for the order: on a phone, a table has no header to sort by.
    pub fn sorts<T: ToString + PartialEq + Copy>(
        mut self,
        all: &[T],
        by: T,
        order: Option<Direction>,
    ) -> Self {
        self.hidden
            .retain(|(hidden, _)| !["sort", "order"].contains(hidden));
        let sort = all
            .iter()
            .fold(Select::new("sort", "Sort by"), |select, it| {
                select.option(it.to_string(), spaced(&it.to_string()), *it == by)
            });
        let order = Select::new("order", "Order")
            .option("", "default", order.is_none())
            .option(Direction::Asc, "ascending", order == Some(Direction::Asc))
            .option(
                Direction::Desc,
                "descending",
                order == Some(Direction::Desc),
            );
        self.selects = vec![sort, order];
        self
    }

    /// A field to search in.
    pub fn search(mut self, label: &'static str, text: Option<&String>) -> Self {
        self.hidden.retain(|(hidden, _)| *hidden != "q");
        self.search = Some((label, text.cloned().unwrap_or_default()));
        self
    }

    /// A field for a day.
    pub fn day(mut self, name: &'static str, label: &'static str, value: String) -> Self {
        self.hidden.retain(|(hidden, _)| *hidden != name);
        self.days.push((name, label, value));
        self
    }
}

/// The roles that targets have.
pub fn roles(app: &App, which: Which<'_>) -> Vec<String> {
    let snapshots = app.board.snapshots();
    let rosters = snapshots
        .iter()
        .filter(|snapshot| which.contains(&snapshot.identity))
        .filter_map(|snapshot| snapshot.roster.as_ref()?.facts.roles.complete());
    let roles: BTreeSet<&String> = rosters.flat_map(|roles| roles.keys()).collect();
    roles.into_iter().cloned().collect()
}

/// Roles as boxes to tick.
pub fn role_options(
    roles: &[String],
    chosen: &[RoleFilter],
) -> impl Iterator<Item = (String, String, bool)> {
    let words = [
        (RoleFilter::ANY, "any role"),
        (RoleFilter::ADMINISTRATORS, "administrators"),
    ];
    let words = words.map(|(value, label)| (value.to_owned(), label.to_owned()));
    let own = roles.iter().map(|role| (role.clone(), spaced(role)));
    words.into_iter().chain(own).map(|(value, label)| {
        let is = chosen.iter().any(|role| role.as_str() == value);
        (value, label, is)
    })
}

impl ListQuery for UsersQuery {
    const PATH: &'static str = "users";
    const LABEL: &'static str = "Users";

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = repeated("state", &self.state, roster::State::as_str);
        all.extend(repeated("user_type", &self.user_type, UserType::as_str));
        all.extend(self.role.iter().map(|it| ("role", it.as_str().to_owned())));
        all.extend([
            ("reason", given(self.reason.map(ExemptReason::as_str))),
            ("finding", given(self.finding.map(|kind| kind.as_str()))),
            ("subject", given(self.subject.as_ref())),
            ("q", given(self.q.as_ref())),
        ]);
        all.extend(targets(self.which()));
        all.extend([
            ("sort", given(self.sort.map(SortUsers::as_str))),
            ("order", given(self.order.map(Direction::as_str))),
            ("page", given(self.page)),
            ("per_page", given(self.per_page)),
        ]);
        all
    }

    fn which(&self) -> Which<'_> {
        self.which()
    }
}

impl PagedQuery for UsersQuery {
    type Sort = SortUsers;

    fn part(&mut self) -> Part<'_, SortUsers> {
        Part {
            sort: &mut self.sort,
            order: &mut self.order,
            page: &mut self.page,
            per_page: &mut self.per_page,
        }
    }

    fn sorted(&self, targets: usize) -> (SortUsers, Direction) {
        (self.sort(targets), self.order())
    }
}

impl ListQuery for KeysQuery {
    const PATH: &'static str = "keys";
    const LABEL: &'static str = "API keys";

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut all = repeated("state", &self.state, roster::KeyState::as_str);
        all.extend(self.role.iter().map(|it| ("role", it.as_str().to_owned())));
        all.push(("q", given(self.q.as_ref())));
        all.extend(targets(self.which()));
        all.extend([
            ("sort", given(self.sort.map(SortKeys::as_str))),
            ("order", given(self.order.map(Direction::as_str))),
            ("page", given(self.page)),
            ("per_page", given(self.per_page)),
        ]);
        all
    }

    fn which(&self) -> Which<'_> {
        self.which()
    }
}

impl PagedQuery for KeysQuery {
    type Sort = SortKeys;

    fn part(&mut self) -> Part<'_, SortKeys> {
        Part {
            sort: &mut self.sort,
            order: &mut self.order,
            page: &mut self.page,
            per_page: &mut self.per_page,
        }
    }

    fn sorted(&self, _: usize) -> (SortKeys, Direction) {
        (self.sort(), self.order())
    }
}

impl ListQuery for ChangesQuery {
    const PATH: &'static str = "changes";
    const LABEL: &'static str = "Changes";

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let kinds = self.kind.iter();
        let mut all: Vec<_> = kinds.map(|it| ("kind", it.to_string())).collect();
        all.extend(repeated("user_type", &self.user_type, UserType::as_str));
        all.extend([
            ("from", given(self.from.as_ref())),
            ("to", given(self.to.as_ref())),
        ]);
        all.extend(targets(self.which()));
        all.extend([("after", given(self.after)), ("limit", given(self.limit))]);
        all
    }

    fn which(&self) -> Which<'_> {
        self.which()
    }
}

/// Words as boxes to tick.
pub fn words<T: ToString + PartialEq>(
    all: &'static [T],
    chosen: &[T],
) -> impl Iterator<Item = (String, String, bool)> {
    all.iter()
        .map(|it| (it.to_string(), spaced(&it.to_string()), chosen.contains(it)))
}

/// A parameter with all its values.
pub fn repeated<T: Copy>(
    name: &'static str,
    values: &[T],
    word: impl Fn(T) -> &'static str,
) -> Vec<(&'static str, String)> {
    let values = values.iter();
    values.map(|it| (name, word(*it).to_owned())).collect()
}

fn targets(which: Which<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let labels = which.labels.iter().map(Label::as_str);
    let labels = labels.map(|it| ("label", it.to_owned()));
    let targets = which.targets.iter().map(|it| ("target", it.clone()));
    labels.chain(targets).collect::<Vec<_>>().into_iter()
}

/// A parameter with its value; empty if it has none.
pub fn given(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn address(path: &str, parameters: &[(&'static str, String)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    href(&[path], &parameters.collect::<Vec<_>>())
}

/// The numbers that lists explain.
#[derive(Default)]
pub struct Numbers {
    /// Heading of the rows.
    pub what: &'static str,
    /// Headings of the columns.
    pub columns: Vec<String>,
    /// Rows; none where there are too many targets for them.
    pub rows: Vec<Row>,
}

/// One row of the numbers.
pub struct Row {
    /// Label.
    pub label: &'static str,
    /// A number for each column, and the list of it; `None`: unknown on every target.
    pub cells: Vec<Option<Cell>>,
    /// On which targets it is unknown, and why.
    pub unknown: Option<String>,
}

/// A number of a row.
pub struct Cell {
    /// The number.
    pub count: u64,
    /// The list.
    pub href: String,
}

/// Targets for which the numbers of all states are counted, at most: a page must not take seconds.
pub const COUNTED: usize = 500;

impl Row {
    /// Returns true if a number is known on any target.
    pub fn is_known(&self) -> bool {
        self.cells.iter().any(Option::is_some)
    }

    /// A row of numbers over several targets: each cell's counts and the list.
    pub fn new(label: &'static str, cells: Vec<(Vec<Counted>, String)>) -> Self {
        let unknown = cells.first().and_then(|(counts, _)| {
            let why = |it: &Counted| it.count.as_ref().err().map(ToString::to_string);
            let mut reasons = counts.iter().filter_map(why);
            let first = reasons.next()?;
            Some(match counts.len() {
                1 => first,
                all => format!(
                    "unknown on {} of {} targets",
                    grouped(1 + reasons.count() as u64),
                    grouped(all as u64)
                ),
            })
        });
        let cell = |(counts, href): (Vec<Counted>, String)| {
            let known = counts.iter().filter_map(|it| it.count.as_ref().ok());
            let count = known.copied().reduce(|a, b| a + b)?;
            Some(Cell { count, href })
        };
        Self {
            label,
            cells: cells.into_iter().map(cell).collect(),
            unknown,
        }
    }
}

/// Number of rows of a list by target.
pub struct PerTarget {
    /// Name, the list of it alone, and the number or why it is unknown; the most first.
    pub rows: Vec<(String, String, Result<u64, String>)>,
    /// Targets that are not among the rows: they have none.
    pub none: u64,
    /// Targets that have fewer than those among the rows.
    pub more: u64,
    /// Number of targets.
    pub targets: usize,
}

/// Targets in that table, at most.
const PER_TARGET: usize = 100;

impl PerTarget {
    /// Of these counts.
    pub fn new(mut counts: Vec<Counted>, link: impl Fn(&str) -> String) -> Self {
        let targets = counts.len();
        counts.retain(|it| it.count != Ok(0));
        let none = (targets - counts.len()) as u64;
        let order = |it: &Counted| std::cmp::Reverse(it.count.as_ref().map_or(0, |count| *count));
        counts.sort_by_key(|it| (it.count.is_ok(), order(it)));
        let more = counts.len().saturating_sub(PER_TARGET) as u64;
        counts.truncate(PER_TARGET);
        let row = |it: Counted| {
            let count = it.count.map_err(|refused| refused.to_string());
            (it.target.clone(), link(&it.target), count)
        };
        Self {
            rows: counts.into_iter().map(row).collect(),
            none,
            more,
            targets,
        }
    }
}
