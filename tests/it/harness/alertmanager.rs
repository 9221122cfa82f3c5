//! A real Alertmanager, and who it tells.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;

use super::eventually;
use super::exporter::{Server, client};

const HOW_TO_INSTALL: &str = "Alertmanager is needed: apt-get install prometheus-alertmanager (and systemctl disable --now prometheus-alertmanager)";

/// An Alertmanager that groups by name and target, and waits for little.
pub struct Alertmanager {
    process: Option<Child>,
    pub address: SocketAddr,
    cluster: Option<SocketAddr>,
    peers: Vec<SocketAddr>,
    /// Its web configuration, if it has one; then it serves HTTPS.
    web: Option<PathBuf>,
    data: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts one that tells a webhook.
    pub async fn start(webhook: &str) -> Self {
        Self::start_in(webhook, None, &[], None).await
    }

    /// Starts one behind a web configuration with certificates.
    pub async fn start_behind(webhook: &str, web: &Path) -> Self {
        Self::start_in(webhook, None, &[], Some(web)).await
    }

    /// Starts two in a cluster.
    pub async fn start_two(webhook: &str) -> [Self; 2] {
        let (a, b) = (free(), free());
        let one = Self::start_in(webhook, Some(a), &[b], None).await;
        let other = Self::start_in(webhook, Some(b), &[a], None).await;
        for one in [&one, &other] {
            eventually("the cluster is settled", async || {
                let status = one.get("api/v2/status").await?;
                let peers = status["cluster"]["peers"].as_array()?.len();
                (status["cluster"]["status"] == "ready" && peers == 2).then_some(())
            })
            .await;
        }
        [one, other]
    }

    async fn start_in(
        webhook: &str,
        cluster: Option<SocketAddr>,
        peers: &[SocketAddr],
        web: Option<&Path>,
    ) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let config = format!(
            "route: {{receiver: sink, group_by: [alertname, target], group_wait: 300ms, group_interval: 500ms, repeat_interval: 1h}}\n\
             receivers: [{{name: sink, webhook_configs: [{{url: '{webhook}', send_resolved: true}}]}}]\n"
        );
        std::fs::write(data.path().join("alertmanager.yml"), config).expect("a configuration");
        let mut this = Self {
            process: None,
            address: free(),
            cluster,
            peers: peers.to_vec(),
            web: web.map(Path::to_owned),
            data,
        };
        this.restart().await;
        this
    }

    /// Lets it write down whom it told, and end.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = i32::try_from(process.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            let id = id.expect("a process has an id");
            rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
            let _ = process.wait();
        }
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        let path = |name: &str| self.data.path().join(name).display().to_string();
        let cluster = self.cluster.map(|it| it.to_string()).unwrap_or_default();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", path("alertmanager.yml")))
            .arg(format!("--storage.path={}", path("data")))
            .arg(format!("--web.listen-address={}", self.address))
            .arg(format!("--cluster.listen-address={cluster}"))
            .args(["--cluster.peer-timeout=1s", "--cluster.settle-timeout=2s"])
            .args([
                "--cluster.gossip-interval=50ms",
                "--cluster.pushpull-interval=1s",
            ])
            .args(self.peers.iter().map(|it| format!("--cluster.peer={it}")))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(web) = &self.web {
            command.arg(format!("--web.config.file={}", web.display()));
        }
        self.process = Some(command.spawn().expect(HOW_TO_INSTALL));
        eventually("Alertmanager is ready", async || {
            if self.web.is_some() {
                // It wants a certificate and a password even for this.
                return TcpStream::connect(self.address).ok().map(drop);
            }
            let ready = client().get(self.url("-/ready")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The alert of this name, if it is there.
    pub async fn alert(&self, name: &str) -> Option<Value> {
        let alerts = self.get("api/v2/alerts").await?;
        let mut named = alerts.as_array()?.iter();
        named.find(|it| it["labels"]["alertname"] == name).cloned()
    }

    pub async fn get(&self, path: &str) -> Option<Value> {
        let response = client().get(self.url(path)).send().await.ok()?;
        response.error_for_status().ok()?.json().await.ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.kill();
    }
}

/// It cannot say which port it got: take a free one, and give it back for it.
pub fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|free| free.local_addr())
        .expect("a free port")
}

/// Whoever is told: keeps every message, and answers as it is told to.
#[derive(Clone)]
pub struct Sink {
    messages: Arc<Mutex<Vec<Value>>>,
    answer: Arc<Mutex<StatusCode>>,
}

impl Sink {
    /// A sink and the server in front of it.
    pub async fn start() -> (Self, Server) {
        let sink = Self {
            messages: Arc::default(),
            answer: Arc::new(Mutex::new(StatusCode::OK)),
        };
        let take = async |State(sink): State<Sink>, body: axum::Json<Value>| {
            sink.messages.lock().expect("no panic").push(body.0);
            *sink.answer.lock().expect("no panic")
        };
        let routes = Router::new().fallback(post(take)).with_state(sink.clone());
        let server = Server::start(routes).await;
        (sink, server)
    }

    /// Answers with this from now on.
    pub fn answer(&self, status: StatusCode) {
        *self.answer.lock().expect("no panic") = status;
    }

    /// Every message so far.
    pub fn all(&self) -> Vec<Value> {
        self.messages.lock().expect("no panic").clone()
    }

    /// Messages on alerts of this name, with this status.
    pub fn on(&self, name: &str, status: &str) -> Vec<Value> {
        let mut all = self.all();
        all.retain(|it| it["groupLabels"]["alertname"] == name && it["status"] == status);
        all
    }

    /// Waits for the first message on alerts of this name, with this status.
    pub async fn first(&self, name: &str, status: &str) -> Value {
        eventually(&format!("{name} is {status}"), async || {
            self.on(name, status).first().cloned()
        })
        .await
    }
}
