//! Parts that several pages have: fields to choose from, headers that sort, and links to other pages of a list.

use crate::web::directory::Direction;
use crate::web::paging::{PageNumber, Slice, Within};

/// A field to choose from.
pub struct Select {
    /// The parameter.
    pub name: &'static str,
    /// Label for the reader.
    pub label: &'static str,
    /// Options.
    pub options: Vec<Choice>,
}

/// One of several.
pub struct Choice {
    /// As it is sent.
    pub value: String,
    /// As it is read.
    pub label: String,
    /// True if it is chosen.
    pub chosen: bool,
}

/// The header of a column.
pub struct Column {
    /// Title.
    pub title: &'static str,
    /// Class in the style sheet.
    pub class: &'static str,
    /// The link that sorts by it.
    pub href: Option<String>,
    /// Current order, as in `aria-sort`.
    pub sorted: Option<&'static str>,
}

/// Links to other pages of a list.
pub struct Pager {
    /// Name of the list.
    pub label: &'static str,
    /// Number of this page.
    pub page: u32,
    /// Number of pages.
    pub pages: u32,
    /// Text, relation and address of each.
    pub links: Vec<(&'static str, &'static str, String)>,
}

impl Select {
    /// A field in which nothing is chosen yet.
    pub fn new(name: &'static str, label: &'static str) -> Self {
        Self {
            name,
            label,
            options: Vec::new(),
        }
    }

    /// One more to choose.
    pub fn option(mut self, value: impl ToString, label: impl ToString, chosen: bool) -> Self {
        self.options.push(Choice {
            value: value.to_string(),
            label: label.to_string(),
            chosen,
        });
        self
    }

    /// Words that are read as they are sent.
    pub fn words<T: ToString + PartialEq + Copy>(self, all: &[T], chosen: Option<T>) -> Self {
        all.iter().fold(self, |select, word| {
            select.option(word.to_string(), word.to_string(), chosen == Some(*word))
        })
    }
}

impl Column {
    /// A column that cannot be sorted by.
    pub fn plain(title: &'static str, class: &'static str) -> Self {
        Self {
            title,
            class,
            href: None,
            sorted: None,
        }
    }

    /// A column that can: `now` is how it is sorted at present, `href` where the link leads.
    pub fn sorts(
        title: &'static str,
        class: &'static str,
        now: Option<Direction>,
        href: String,
    ) -> Self {
        Self {
            href: Some(href),
            sorted: now.map(|direction| match direction {
                Direction::Asc => "ascending",
                Direction::Desc => "descending",
            }),
            ..Self::plain(title, class)
        }
    }
}

impl Pager {
    /// Links from a page, which may lie beyond the end.
    pub fn new(
        label: &'static str,
        shown: Slice,
        total: u64,
        link: impl Fn(PageNumber) -> String,
    ) -> Self {
        let (page, pages) = (shown.page, shown.pages(total));
        let link = |number| link(Within(number));
        let mut links = Vec::new();
        if page > 1 {
            links.push(("First", "first", link(1)));
            links.push(("Previous", "prev", link((page - 1).min(pages))));
        }
        if page < pages {
            links.push(("Next", "next", link(page + 1)));
            links.push(("Last", "last", link(pages)));
        }
        Self {
            label,
            page,
            pages,
            links,
        }
    }
}
