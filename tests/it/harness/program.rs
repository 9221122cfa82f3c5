//! The program itself, with a directory of its own and simulated servers that it polls.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use odoo_simulator::{AccountKind, Clock, Recipe, ServerOptions, SimServer, World};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::eventually;

/// A directory with configuration and keys, and the simulated server that they lead to.
pub struct Stage {
    pub server: SimServer,
    pub directory: tempfile::TempDir,
}

impl Stage {
    /// With a key file `KEY.key` for each of these databases.
    pub async fn new(databases: &[&str]) -> Self {
        odoo_mfa_exporter::runtime::install_crypto();
        let mut options = ServerOptions::new(19);
        // So that a poll takes some time, as it does elsewhere.
        options.latency = Some((Duration::from_millis(2), Duration::from_millis(8)));
        let server = SimServer::start(options).await.expect("a free port");
        let directory = tempfile::tempdir().expect("a directory");
        let stage = Self { server, directory };
        for (seed, database) in (1..).zip(databases) {
            let mut world = World::build(&Recipe::new(19, seed), Clock::system());
            let account = world.add_account(AccountKind::Full, "auditor");
            stage.server.add_database(database, world);
            stage.write(&format!("{database}.key"), &account.api_key);
        }
        stage
    }

    /// A target for a database, as the configuration has it.
    pub fn target(&self, database: &str) -> Value {
        json!({
            "name": database, "url": self.server.url(), "database": database,
            "login": "auditor", "api_key_file": format!("{database}.key"),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that no other user may read.
    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("a mode");
    }

    /// Writes the configuration.
    pub fn configure(&self, config: &Value) {
        self.write("config.yml", &config.to_string());
    }

    /// The daemon at a free port, to be started.
    pub fn daemon(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_odoo-mfa-exporter"));
        self.options(&mut command);
        command.arg("--web.listen-address=127.0.0.1:0");
        command
    }

    /// The daemon with a socket that is passed to it as systemd does, to be started.
    pub fn activated(&self, socket: &TcpListener) -> Command {
        let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_odoo-mfa-exporter")]);
        self.options(&mut command);
        let socket = socket.try_clone().expect("a file descriptor");
        command.stdin(OwnedFd::from(socket));
        command
    }

    /// The options that every command of this stage has.
    pub fn options(&self, command: &mut Command) {
        command
            .arg("--config.file")
            .arg(self.path("config.yml"))
            .env("ODOO_MFA_EXPORTER_STORAGE_PATH", self.path("store.db"));
    }
}

/// The program while it runs; killed when it is dropped.
pub struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (mut lines, written) = (
            BufReader::new(child.stderr.take().expect("a pipe")).lines(),
            Arc::clone(&log),
        );
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                *written.lock().expect("no panic") += &(line + "\n");
            }
        });
        Self {
            child,
            log,
            reading,
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits until it has logged something.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("it logs '{text}'"), async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    /// Address that it listens on.
    pub async fn address(&self) -> SocketAddr {
        eventually("it says where it listens", async || {
            let log = self.log();
            let (_, rest) = log.split_once("address=")?;
            rest.split_whitespace().next()?.parse().ok()
        })
        .await
    }

    /// Sends it a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(id);
        assert!(kill.status().await.expect("kill").success());
    }

    /// Waits for its end, and for all that it logged.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.child.wait().await.expect("its end");
        (&mut self.reading).await.expect("no panic");
        status
    }
}

/// Notifications to a unit with `Type=notify`.
pub struct Notified(UnixDatagram);

impl Notified {
    pub fn at(stage: &Stage) -> Self {
        Self(UnixDatagram::bind(stage.path("notify")).expect("a socket"))
    }

    /// The next message of which a line, or several, begin so.
    pub async fn next(&self, beginning: &str) -> String {
        let message = async {
            loop {
                let mut buffer = [0; 4096];
                let length = self.0.recv(&mut buffer).await.expect("a message");
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if format!("\n{message}").contains(&format!("\n{beginning}")) {
                    return message;
                }
            }
        };
        let within = Duration::from_secs(30);
        let message = tokio::time::timeout(within, message).await;
        message.unwrap_or_else(|_| panic!("not within half a minute: {beginning}"))
    }
}

/// Answer of a path of a server, over its own connection.
pub async fn get(address: SocketAddr, path: &str) -> reqwest::Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()?;
    let response = client.get(format!("http://{address}{path}")).send().await?;
    response.text().await
}

/// Answer of `POST` to a path: the status and the text.
pub async fn post(address: SocketAddr, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build();
    let request = client
        .expect("a client")
        .post(format!("http://{address}{path}"));
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.text().await.expect("a text"))
}
