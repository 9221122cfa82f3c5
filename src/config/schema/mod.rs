//! How fields are declared. The declaration (in `fields`) tells known fields from unknown ones, and writes the reference in
//! docs/configuration.md, the JSON Schema and the configuration to start from.

mod alerting;
mod common;
mod fields;
mod json;
mod start;

use std::collections::BTreeSet;
use std::fmt;

pub(super) use alerting::*;
pub(super) use common::{TLS, field};
pub(super) use fields::*;
pub use json::json_schema;
pub use start::starting_configuration;

use crate::domain::role::Roles;

/// A mapping with a fixed set of fields.
pub(super) struct Section {
    /// Where it stands, for the reference: `targets[].tls`.
    pub(super) path: &'static str,
    pub(super) fields: &'static [Field],
}

/// One field of a section.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// `required`, or what holds without it: a value in backticks, or words; empty if nothing does.
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
    /// What one might write, in YAML's flow style; empty where the default shows it.
    pub(super) example: &'static str,
    /// Exactly one of the section's alternatives must be there.
    pub(super) alternative: bool,
}

/// The type of a value.
pub(super) enum Kind {
    Flag,
    Number,
    Ratio,
    Text,
    Duration,
    Date,
    Url,
    Path,
    XmlId,
    /// One of a closed set, in words.
    Word(&'static [&'static str]),
    List(&'static Kind),
    /// Keys, values.
    Map(&'static str, &'static Kind),
    Section(&'static Section),
}

impl Section {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields of which exactly one must be there, if there are such.
    pub(super) fn alternatives(&self) -> impl Iterator<Item = &'static str> {
        let alternatives = self.fields.iter().filter(|field| field.alternative);
        alternatives.map(|field| field.name)
    }
}

impl Field {
    /// With something that one might write.
    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// As one of those of which exactly one must be there.
    const fn alternative(self) -> Self {
        Self {
            alternative: true,
            ..self
        }
    }

    fn is_required(&self) -> bool {
        self.default == "required"
    }

    /// The default where it is a value, as YAML.
    fn default_value(&self) -> Option<&'static str> {
        let value = self.default.strip_prefix('`')?.strip_suffix('`')?;
        (!value.contains('`')).then_some(value)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Number => f.write_str("number"),
            Self::Ratio => f.write_str("ratio, 0 to 1"),
            Self::Text => f.write_str("text"),
            Self::Duration => f.write_str("duration"),
            Self::Date => f.write_str("date"),
            Self::Url => f.write_str("URL"),
            Self::Path => f.write_str("path"),
            Self::XmlId => f.write_str("XML id"),
            Self::Word(words) => write!(f, "`{}`", words.join("`, `")),
            Self::List(kind) => write!(f, "list of {kind}"),
            Self::Map(keys, kind) => write!(f, "mapping of {keys} to {kind}"),
            Self::Section(_) => f.write_str("mapping, see below"),
        }
    }
}

/// The reference of all fields as Markdown tables, one per section, and the default roles.
pub fn reference() -> String {
    let mut text = tables(&ROOT);
    text += "### Default roles\n\n| role | groups |\n|---|---|\n";
    for (role, groups) in Roles::default().iter() {
        let groups: Vec<_> = groups.iter().map(|group| format!("`{group}`")).collect();
        text += &format!("| `{role}` | {} |\n", groups.join(", "));
    }
    text
}

/// A file's sections as Markdown tables.
pub(super) fn tables(root: &'static Section) -> String {
    let mut text = String::new();
    write_section(root, &mut text, &mut BTreeSet::new());
    text
}

/// Sections that stand in several places are written once.
fn write_section(
    section: &'static Section,
    text: &mut String,
    written: &mut BTreeSet<&'static str>,
) {
    use fmt::Write;
    if !written.insert(section.path) {
        return;
    }
    let title = if section.path.is_empty() {
        "The file"
    } else {
        section.path
    };
    let _ = write!(
        text,
        "### {title}\n\n| field | type | default | meaning |\n|---|---|---|---|\n"
    );
    for Field {
        name,
        kind,
        default,
        meaning,
        ..
    } in section.fields
    {
        let _ = writeln!(text, "| `{name}` | {kind} | {default} | {meaning} |");
    }
    text.push('\n');
    for field in section.fields {
        if let Some(inner) = inner_section(&field.kind) {
            write_section(inner, text, written);
        }
    }
}

fn inner_section(kind: &'static Kind) -> Option<&'static Section> {
    match kind {
        Kind::Section(section) => Some(section),
        Kind::List(kind) | Kind::Map(_, kind) => inner_section(kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1` writes them anew.
    #[test]
    fn the_references_in_the_documentation_are_these() {
        let web = crate::config::web_file::reference();
        for (page, reference) in [("configuration.md", reference()), ("web.md", web)] {
            let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).expect("the page");
            let (head, rest) = text
                .split_once("<!-- fields: generated -->\n")
                .expect("its beginning");
            let (_, tail) = rest.split_once("<!-- /fields -->").expect("its end");
            let wanted =
                format!("{head}<!-- fields: generated -->\n{reference}<!-- /fields -->{tail}");
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(&path, &wanted).expect("the page is writable");
            }
            let current = std::fs::read_to_string(&path).expect("the page");
            assert!(
                current == wanted,
                "docs/{page} is not what src/config declares: UPDATE_DOCS=1 cargo test --locked"
            );
        }
    }

    /// The names of all fields of a section and of those in it.
    fn names(section: &'static Section) -> Vec<&'static str> {
        let mut names: Vec<_> = section.fields.iter().map(|field| field.name).collect();
        let inner = section
            .fields
            .iter()
            .filter_map(|field| inner_section(&field.kind));
        names.extend(inner.flat_map(super::tests::names));
        names
    }

    #[test]
    fn the_example_shows_every_field() {
        let page = include_str!("../../../docs/configuration.md");
        let example = page
            .split("```yaml")
            .nth(2)
            .and_then(|rest| rest.split("```").next())
            .expect("the example");
        for name in names(&ROOT) {
            assert!(
                example.contains(&format!("{name}:")) || example.contains(&format!("{name},")),
                "{name}"
            );
        }
    }

    #[test]
    fn the_declared_words_are_the_vocabularys() {
        use crate::config::ApiChoice;
        use crate::domain::alert::Severity;
        use crate::domain::finding;
        use crate::domain::vocabulary::{Bypass, Capability, Endpoint, ExemptReason, Factor};
        fn words(section: &Section, name: &str) -> Vec<&'static str> {
            match &section.field(name).expect("declared").kind {
                Kind::Word(words) | Kind::List(Kind::Word(words)) => words.to_vec(),
                _ => panic!("{name} is no word"),
            }
        }
        fn all<T: Copy + std::fmt::Display>(values: &[T]) -> Vec<String> {
            values.iter().map(ToString::to_string).collect()
        }
        assert_eq!(words(&DEFAULTS, "accepted_factors"), all(Factor::ALL));
        assert_eq!(words(&TARGET, "accept_missing"), all(Capability::ALL));
        assert_eq!(words(&TARGET, "accept_bypasses"), all(Bypass::ALL));
        assert_eq!(words(&TARGET, "api"), all(ApiChoice::ALL));
        assert_eq!(words(&EXEMPTION, "reason"), all(ExemptReason::ALL));
        assert_eq!(words(&VANTAGE, "expect_blocked"), all(Endpoint::ALL));
        assert_eq!(words(&ACCEPTANCE, "finding"), all(finding::Kind::ALL));
        assert_eq!(words(&RULE, "severity"), all(Severity::ALL));
    }
}
