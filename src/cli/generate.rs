//! `completions`, `man`, `schema` and `config init`: what is generated from the program's own declarations.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

use super::FAILED;
use super::output::{complain, printed};
use crate::config::{json_schema, starting_configuration};

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Options of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Where the pages go, one for each command.
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// What `config` does.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Config {
    /// Print a commented configuration to start from.
    #[command(after_help = "\
Examples:
  odoo-mfa-exporter config init > config.yml
  odoo-mfa-exporter --config.file config.yml check")]
    Init,
}

pub(super) fn completions(what: &Completions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(
        what.shell,
        &mut super::command(),
        env!("CARGO_PKG_NAME"),
        &mut script,
    );
    printed(script, ExitCode::SUCCESS)
}

pub(super) fn schema() -> ExitCode {
    printed(format!("{:#}\n", json_schema()), ExitCode::SUCCESS)
}

pub(super) fn config(what: &Config) -> ExitCode {
    match what {
        Config::Init => printed(starting_configuration(), ExitCode::SUCCESS),
    }
}

pub(super) fn man(what: &Man) -> ExitCode {
    match write_pages(&what.directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let directory = what.directory.display();
            complain(format_args!(
                "error: cannot write the pages to {directory}: {error}"
            ));
            ExitCode::from(FAILED)
        }
    }
}

fn write_pages(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(super::command(), directory)
}
