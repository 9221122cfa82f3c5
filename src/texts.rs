//! All texts that a user reads, in one file to proofread: `tests/texts.md`. `UPDATE_DOCS=1` rewrites it.
//!
//! Findings, alerts and failures appear as a user sees them, and a new kind cannot be left out. Messages that are put together where
//! something fails appear as the source has them, file by file: an error, and then its hint.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::config::KeyError;
use crate::domain::alert::{Detail, Rule, Rules, annotations, labels};
use crate::domain::finding::fixture::Fixture;
use crate::domain::finding::tests::{passkey_only, situations};
use crate::domain::finding::{self, findings};
use crate::domain::roster::Unlisted;
use crate::domain::{Reason, facts::Gap};
use crate::odoo;
use crate::web::directory::Refused;

/// Lists variants, and the compiler rejects a list that lacks one.
macro_rules! all {
    ($type:ident: $($variant:ident),* $(,)?) => {
        all![$($type::$variant => $type::$variant),*]
    };
    ($($variant:pat => $value:expr),* $(,)?) => {{
        let listed = [$($value),*];
        for it in &listed {
            match it {
                $($variant => (),)*
            }
        }
        listed
    }};
}

/// Tests, and files whose texts are the generated part of a page in docs/.
const NOT_SHOWN: [&str; 6] = [
    "config/schema/",
    "config/web_file/fields.rs",
    "exposition/catalog/",
    "tests",
    "texts.rs",
    "fixture.rs",
];

#[test]
fn every_text_is_in_one_file() {
    let texts = [
        ("Findings", of_findings()),
        ("Alerts", of_alerts()),
        ("Failures of requests to Odoo", of_failures()),
        ("Lists that are refused", of_refusals()),
        ("API keys and passwords that cannot be read", of_keys()),
        ("Texts in the source", of_the_source()),
    ];
    let mut all = String::new();
    for (title, texts) in texts {
        writeln!(all, "# {title}\n\n{}", texts.join("\n")).expect("a string takes everything");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/texts.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &all).expect("the file is writable");
    }
    let current = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        current == all,
        "tests/texts.md is not current: UPDATE_DOCS=1 cargo test --lib texts"
    );
}

fn of_findings() -> Vec<String> {
    let spoilt = situations().into_iter().map(|(spoil, _)| spoil);
    let mut all = finding::of_entries();
    for spoil in spoilt.chain([passkey_only as fn(&mut Fixture)]) {
        let mut fixture = Fixture::healthy();
        spoil(&mut fixture);
        all.extend(fixture.with(findings));
    }
    let mut texts = BTreeSet::new();
    for it in all {
        let text = format!(
            "{} ({})\n  {}\n  {}\n  → {}\n",
            it.kind, it.severity, it.title, it.detail, it.what_to_do
        );
        texts.insert((it.kind, it.severity, text));
    }
    let shown: BTreeSet<_> = texts.iter().map(|(kind, ..)| *kind).collect();
    let every = finding::Kind::ALL.iter().copied().collect();
    assert_eq!(shown, every, "a kind of finding needs a situation");
    texts.into_iter().map(|(.., text)| text).collect()
}

fn of_alerts() -> Vec<String> {
    let own = [
        ("target", "erp"),
        ("role", "hr"),
        ("user_type", "internal"),
        ("state", "expired"),
        ("mechanism", "trusted_network"),
        ("endpoint", "xmlrpc"),
        ("vantage", "outside"),
        ("capability", "api_keys"),
        ("alertmanager", "http://alertmanager:9093"),
    ]
    .map(|(name, value)| (name, value.into()));
    let rules = Rules::default();
    let detail = Detail {
        failing: Some(Reason::Connect),
        before_after: None,
    };
    let mut texts = Vec::new();
    for rule in Rule::ALL.iter().copied() {
        let value = match rule {
            Rule::CoverageBelowTarget | Rule::FleetBlind => 0.4,
            Rule::PollerKeyExpiring | Rule::TargetStale => f64::from(2 * 86_400 + 3600),
            _ => 3.0,
        };
        let labels = labels(&rules, rule, None, None, &own);
        let says = annotations(&rules, &labels, value, &detail);
        let severity = labels.get("severity").unwrap_or_default();
        let (summary, description) = (&says["summary"], &says["description"]);
        texts.push(format!(
            "{rule} ({severity})\n  {summary}\n  {description}\n"
        ));
    }
    texts
}

fn of_failures() -> Vec<String> {
    use odoo::Kind;
    let kinds = all![
        Kind: Unreachable, Tls, TimedOut, NotOdoo, Unauthorized, Forbidden, Incomplete, NoDatabase, Maintenance, RateLimited,
        NoSuchPath, NoSuchName, Unexpected, TooLarge, Defect
    ];
    let shown = kinds.map(|kind| {
        let error = odoo::Error::new(kind, "");
        let hint = error.hint.unwrap_or("(given where it fails)");
        format!("{kind:?} ({})\n  → {hint}\n", error.reason())
    });
    shown.into()
}

fn of_refusals() -> Vec<String> {
    let gap = Gap {
        seen: "AccessError".to_owned(),
        grant: "(what to grant)",
    };
    let what = "API keys";
    let refused = all![
        Refused::NoSuchTarget(_) => Refused::NoSuchTarget("erp".to_owned()),
        Refused::NotPolled => Refused::NotPolled,
        Refused::Down(_) => Refused::Down(Reason::Connect),
        Refused::Unlisted(Unlisted::Missing { .. }) => Refused::Unlisted(Unlisted::Missing { what, gap }),
        Refused::Unlisted(Unlisted::NotAsked(_)) => Refused::Unlisted(Unlisted::NotAsked(what)),
        Refused::Unlisted(Unlisted::UseNotNoted) => Refused::Unlisted(Unlisted::UseNotNoted),
        Refused::Unlisted(Unlisted::NoSuchRole(_)) => Refused::Unlisted(Unlisted::NoSuchRole("hr".to_owned())),
        Refused::Nowhere { .. } => Refused::Nowhere { targets: 80, first: Box::new(Refused::NotPolled) },
        Refused::TooMany(_) => Refused::TooMany(2_400),
        Refused::Busy => Refused::Busy,
        Refused::Odoo(_) => Refused::Odoo(odoo::Error::new(odoo::Kind::Forbidden, "AccessError")),
    ];
    let shown = refused.map(|it| format!("{it} ({})\n  → {}\n", it.status(), it.hint()));
    shown.into()
}

fn of_keys() -> Vec<String> {
    let errors = all![
        KeyError::Unreadable(_) => KeyError::Unreadable(std::io::ErrorKind::PermissionDenied.into()),
        KeyError::NotSet => KeyError::NotSet,
        KeyError::NoVariableName => KeyError::NoVariableName,
        KeyError::NoCredentialName => KeyError::NoCredentialName,
        KeyError::NoCredentials => KeyError::NoCredentials,
        KeyError::Empty => KeyError::Empty,
        KeyError::WhiteSpace => KeyError::WhiteSpace,
        KeyError::NotAscii => KeyError::NotAscii,
    ];
    let shown = errors.map(|it| format!("`api_key_file` {it}\n  → {}\n", it.hint()));
    shown.into()
}

/// The texts of each file, in its order.
fn of_the_source() -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut files = Vec::new();
    add_files(root, &mut files);
    files.sort();
    let mut shown = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).expect("it is in the folder");
        let name = name.to_str().expect("a name in UTF-8");
        if NOT_SHOWN.iter().any(|part| name.contains(part)) {
            continue;
        }
        let source = std::fs::read_to_string(&file).expect("a source file");
        let texts = literals(&source).into_iter().filter(|it| is_prose(it));
        let texts: String = texts.map(|it| format!("- {it}\n")).collect();
        if !texts.is_empty() {
            shown.push(format!("## src/{name}\n{texts}"));
        }
    }
    shown
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add_files(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

/// The string literals of a source file, but for its tests and for reasons why something cannot happen.
fn literals(source: &str) -> Vec<String> {
    let tests = source.find("#[cfg(test)]\nmod tests {");
    let mut rest = &source[..tests.unwrap_or(source.len())];
    let mut found = Vec::new();
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        let length = match from {
            it if it.starts_with("//") => it.find('\n').unwrap_or(it.len()),
            it if it.starts_with("'\"'") => 3,
            it if it.starts_with('"') => {
                let hashes = before.len() - before.trim_end_matches('#').len();
                let raw = hashes > 0 && before.trim_end_matches('#').ends_with('r');
                let end = if raw {
                    it[1..].find(&format!("\"{}", "#".repeat(hashes)))
                } else {
                    end_of_string(&it[1..])
                };
                let end = end.expect("the literal ends");
                let before = before.trim_end();
                if !before.ends_with(".expect(") && !before.ends_with("reason =") {
                    found.push(if raw {
                        it[1..=end].to_owned()
                    } else {
                        unescaped(&it[1..=end])
                    });
                }
                end + 2
            }
            _ => 1,
        };
        rest = &from[length..];
    }
    found
}

/// Position of the quote that ends a string literal.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// A literal as it is shown: a line that is continued is one, and a break within a text begins an indented line.
fn unescaped(literal: &str) -> String {
    let lines = literal.split("\\\n").map(str::trim_start);
    let text = lines.collect::<String>();
    let text = text.replace("\\\"", "\"").replace("\\n", "\n");
    text.trim().replace('\n', "\n  ")
}

/// Two words or more, and not SQL.
fn is_prose(text: &str) -> bool {
    const SQL: [&str; 9] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "PRAGMA", "WITH", "BEGIN",
    ];
    let words = text.split(|c: char| !c.is_alphabetic());
    let first = text.split_whitespace().next();
    words.filter(|word| word.len() > 1).count() > 1
        && text.trim().contains(' ')
        && !first.is_some_and(|word| SQL.contains(&word))
}
