//! A real Prometheus, and its promtool.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::eventually;
use super::exporter::client;

const HOW_TO_INSTALL: &str = "Prometheus and promtool are needed: apt-get install prometheus (and systemctl disable --now prometheus)";

/// Complaints of `promtool check metrics`, empty if none.
pub fn check_metrics(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(HOW_TO_INSTALL);
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin
        .write_all(text.as_bytes())
        .expect("promtool reads all");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let complaints = [output.stdout, output.stderr].concat();
    let complaints = String::from_utf8(complaints).expect("complaints are text");
    assert_eq!(
        output.status.success(),
        complaints.is_empty(),
        "{complaints}"
    );
    complaints
}

/// A Prometheus that scrapes once a second.
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one with these jobs, each a name and the address of its only target.
    pub async fn start(jobs: &[(&str, SocketAddr)]) -> Self {
        let mut config =
            String::from("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n");
        for (job, address) in jobs {
            config +=
                &format!("- {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}\n");
        }
        let this = Self::start_with(&[("prometheus.yml", config)]).await;
        for (job, _) in jobs {
            eventually(&format!("Prometheus has scraped {job}"), async || {
                this.errors(job).await.is_some().then_some(())
            })
            .await;
        }
        this
    }

    /// Starts one with these files, each a name and its text; `prometheus.yml` is among them.
    pub async fn start_with(files: &[(&str, String)]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(data.path().join(name), text).expect("a file");
        }
        // It cannot say which port it got: take a free one, and give it back for it.
        let address = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let process = Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                data.path().join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                data.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(HOW_TO_INSTALL);
        let this = Self {
            process,
            address,
            _data: data,
        };
        eventually("Prometheus answers", async || {
            this.get("/api/v1/targets", &[]).await
        })
        .await;
        this
    }

    /// The error of the last scrape of a job's target; `None` before the first.
    pub async fn errors(&self, job: &str) -> Option<String> {
        let targets = self.get("/api/v1/targets", &[]).await?;
        let targets = targets["activeTargets"].as_array()?.clone();
        let target = targets
            .iter()
            .find(|target| target["labels"]["job"] == job)?;
        (target["health"] != "unknown").then(|| target["lastError"].as_str().map(Into::into))?
    }

    /// The results of an instant query.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", query)]).await;
        let answer = answer.unwrap_or_else(|| panic!("no answer to {query}"));
        answer["result"].as_array().expect("a vector").clone()
    }

    /// The data of an answer of its API; `None` if there is none or it is an error.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let mut url =
            reqwest::Url::parse(&format!("http://{}{path}", self.address)).expect("a URL");
        url.query_pairs_mut().extend_pairs(parameters);
        let response = client().get(url).send().await.ok()?;
        let mut answer: Value = response.error_for_status().ok()?.json().await.ok()?;
        Some(answer["data"].take())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
