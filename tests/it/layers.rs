//! Modules depend on each other in one direction only.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module, and those it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("odoo", &["domain", "config"]),
    ("store", &["domain", "config"]),
    ("exposition", &["domain", "config"]),
    ("poll", &["domain", "config", "odoo", "store", "exposition"]),
    (
        "alerting",
        &["domain", "config", "odoo", "store", "exposition"],
    ),
    (
        "web",
        &[
            "domain",
            "config",
            "odoo",
            "store",
            "exposition",
            "alerting",
            "scan",
        ],
    ),
    ("scan", &["domain", "config", "odoo", "poll"]),
    (
        "runtime",
        &[
            "domain",
            "config",
            "odoo",
            "store",
            "exposition",
            "poll",
            "alerting",
            "web",
        ],
    ),
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, below) in MAY_USE {
        let files = files(&source.join(module));
        assert!(!files.is_empty(), "there is no module {module}");
        for file in files {
            let text = fs::read_to_string(&file).expect("a source file");
            for used in text.split("crate::").skip(1) {
                let used = used
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap_or_default();
                let is_module = MAY_USE.iter().any(|(module, _)| *module == used) || used == "cli";
                if is_module && used != *module && !below.contains(&used) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path if path.extension().is_some_and(|extension| extension == "rs") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
