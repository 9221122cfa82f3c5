//! Embeds the revision and the compiler in the program. Works without git and outside a repository.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ODOO_MFA_EXPORTER_REVISION");
    let rustc = output(
        &std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()),
        &["--version"],
    );
    let rustc = rustc
        .as_deref()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or("unknown");
    println!("cargo::rustc-env=BUILD_RUSTC={rustc}");
    println!("cargo::rustc-env=BUILD_REVISION={}", revision());
}

/// The revision: set by a packager, or of git; a debug build does not run git, because each commit would rebuild it.
fn revision() -> String {
    if let Ok(revision) = std::env::var("ODOO_MFA_EXPORTER_REVISION") {
        return revision;
    }
    if std::env::var("PROFILE").as_deref() == Ok("debug") {
        return "development".into();
    }
    // A non-empty prefix: the sources are in another project's repository.
    if output("git", &["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix.is_empty()) {
        if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo::rerun-if-changed={log}");
        }
        if let Some(revision) = output("git", &["rev-parse", "--short=12", "HEAD"]) {
            return revision;
        }
    }
    "unknown".into()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
