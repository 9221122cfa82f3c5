//! The exporter as its users start it, on a simulated fleet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::eventually;

/// May read names.
pub const OFFICER: &str = "olga";
/// May read numbers.
pub const READER: &str = "rolf";

/// Credentials of a user.
#[derive(Debug, Clone)]
pub struct Password {
    /// Who.
    pub user: String,
    /// The secret.
    pub password: String,
}

/// A running exporter. It ends, with what it needs, when it is dropped.
#[derive(Debug)]
pub struct Exporter {
    /// `host:port`.
    pub address: String,
    programs: Vec<Child>,
    _directory: Option<TempDir>,
}

impl Exporter {
    /// The exporter on simulated targets in which nothing happens, all of them polled once. All clients may read numbers.
    pub async fn with_fleet(targets: u32) -> Self {
        Self::with_fleet_down(targets, 0.0).await
    }

    /// The same, with a share of the targets that close every connection.
    pub async fn with_fleet_down(targets: u32, down: f64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let simulated = Command::new(program())
            .args([
                "simulate",
                "--seed",
                "7",
                "--latency",
                "0",
                "5",
                "--targets",
            ])
            .arg(targets.to_string())
            .args(["--down", &down.to_string()])
            .args([
                "--configuration",
                path(&at("config.yml")),
                "--key-file",
                path(&at("key")),
            ])
            .kill_on_drop(true)
            .spawn()
            .expect("the exporter can be started");
        let fleet = eventually("the fleet is up", async || {
            let text = std::fs::read_to_string(at("config.yml")).ok()?;
            (text.matches("- name:").count() == targets as usize && text.ends_with('\n'))
                .then_some(text)
        })
        .await;
        let roles =
            format!("web: {{roles: {{scrape: ['*'], read: ['*'], read_names: [{OFFICER}]}}}}\n");
        std::fs::write(at("config.yml"), fleet + &roles).expect("a file");
        let users: String = [OFFICER, READER]
            .map(|user| {
                format!(
                    "  {user}: {}\n",
                    bcrypt::hash(password(user), 4).expect("a hash")
                )
            })
            .concat();
        std::fs::write(at("web.yml"), format!("basic_auth_users:\n{users}")).expect("a file");
        let mut daemon = Command::new(program())
            .args([
                "--config.file",
                path(&at("config.yml")),
                "--web.config.file",
                path(&at("web.yml")),
            ])
            .args([
                "--storage.path",
                path(&at("store")),
                "--web.listen-address",
                "127.0.0.1:0",
            ])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the exporter can be started");
        let log = BufReader::new(daemon.stderr.take().expect("a pipe"));
        let address = first(log, |line| {
            let (_, rest) = line
                .contains("listening")
                .then(|| line.split_once("address="))??;
            Some(rest.split_whitespace().next()?.to_owned())
        })
        .await;
        let exporter = Self {
            address,
            programs: vec![daemon, simulated],
            _directory: Some(directory),
        };
        eventually("every target was polled", async || {
            (exporter.get("/-/ready").await? == "ready\n").then_some(())
        })
        .await;
        exporter
    }

    /// `demo`, and the reader whose sign-in it prints.
    pub async fn demo() -> (Self, Password) {
        let mut demo = Command::new(program())
            .args(["demo", "--web.listen-address", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the exporter can be started");
        let output = BufReader::new(demo.stdout.take().expect("a pipe"));
        let mut port = None;
        let reader = first(output, |line| {
            if let Some((_, rest)) = line.split_once("http://localhost:") {
                port = port.take().or(rest.split('/').next().map(str::to_owned));
            }
            let (_, reader) = line.split_once("sign in as ")?;
            let (user, password) = reader.trim().split_once(" with the password ")?;
            Some(Password {
                user: user.to_owned(),
                password: password.to_owned(),
            })
        })
        .await;
        let exporter = Self {
            address: format!(
                "127.0.0.1:{}",
                port.expect("an address before the password")
            ),
            programs: vec![demo],
            _directory: None,
        };
        eventually("every target was polled", async || {
            (exporter.get("/-/ready").await? == "ready\n").then_some(())
        })
        .await;
        (exporter, reader)
    }

    /// Credentials of one of [`OFFICER`] and [`READER`].
    pub fn sign_in(user: &str) -> Password {
        Password {
            user: user.to_owned(),
            password: password(user),
        }
    }

    /// Address of a page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Address of a page, with user and password, as browsers take it.
    pub fn url_as(&self, who: &Password, path: &str) -> String {
        format!(
            "http://{}:{}@{}{path}",
            who.user, who.password, self.address
        )
    }

    /// The samples of a family in the metrics, by their `target` and then by another label.
    pub async fn samples(&self, family: &str, label: &str) -> HashMap<(String, String), f64> {
        let text = self.get("/metrics").await.expect("a scrape");
        let value = |line: &str, label: &str| {
            let (_, rest) = line.split_once(&format!("{label}=\""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        text.lines()
            .filter(|line| line.starts_with(&format!("{family}{{")))
            .filter_map(|line| {
                let key = (
                    value(line, "target")?,
                    value(line, label).unwrap_or_default(),
                );
                Some((key, line.rsplit(' ').next()?.parse().ok()?))
            })
            .collect()
    }

    /// Response of a path, for a client that is not signed in.
    pub async fn get(&self, path: &str) -> Option<String> {
        let url = self.url(path);
        let read = move || {
            ureq::get(url)
                .call()
                .ok()?
                .into_body()
                .read_to_string()
                .ok()
        };
        tokio::task::spawn_blocking(read).await.expect("no panic")
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // It may have ended by itself.
            let _ = program.start_kill();
        }
    }
}

/// The exporter's binary, which scripts/e2e builds.
fn program() -> PathBuf {
    let built = std::env::var_os("ODOO_MFA_EXPORTER").map(PathBuf::from);
    built.expect("run scripts/e2e: it builds the exporter and says where it is")
}

fn password(user: &str) -> String {
    format!("{user}-s-secret")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// The first line that says something, while everything that follows is read and thrown away.
async fn first<T>(
    mut lines: impl tokio::io::AsyncBufRead + Unpin + Send + 'static,
    mut says: impl FnMut(&str) -> Option<T>,
) -> T {
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).await.expect("text");
        assert!(read > 0, "the program ended");
        if let Some(said) = says(&line) {
            tokio::spawn(async move { tokio::io::copy(&mut lines, &mut tokio::io::sink()).await });
            return said;
        }
    }
}
