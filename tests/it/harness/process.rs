//! The program as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::eventually;

/// A daemon that serves; it is killed when it is dropped.
pub struct Program {
    process: Child,
    directory: PathBuf,
    /// Address that it listens on, such as `127.0.0.1:1234`.
    pub address: String,
}

impl Program {
    /// Starts a command in a directory, where its log goes, with these arguments; waits until it listens.
    pub async fn start(directory: &Path, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(directory.join("log")).expect("a file");
        let process = command(directory)
            .args(["--web.listen-address", "127.0.0.1:0"])
            .args(["--storage.path", ":memory:", "--log.level", "trace"])
            .args(arguments)
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let mut this = Self {
            process,
            directory: directory.to_owned(),
            address: String::new(),
        };
        this.address = eventually("the program listens", async || {
            let log = this.log();
            let from = log
                .split_once("http://localhost:")
                .map(|it| ("127.0.0.1:", it.1));
            let from = from.or(log.split_once("address=").map(|it| ("", it.1)));
            let (host, rest) = from?;
            let end = rest.find(['/', '\n', ' '])?;
            Some(format!("{host}{}", &rest[..end]))
        })
        .await;
        this
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).expect("a file")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    let output = command(directory).args(arguments).output();
    output.expect("the program starts")
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
    command.current_dir(directory).stdin(Stdio::null());
    command
}
