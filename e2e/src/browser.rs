//! Chromium without a window, behind a chromedriver of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Preferences of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Scheme {
    /// As `prefers-color-scheme` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A violation that axe-core finds in a page.
pub type Violation = String;

/// A browser. It must be closed.
#[derive(Debug)]
pub struct Browser {
    /// To drive it.
    pub client: Client,
    _driver: Child,
}

/// A command of Chromium's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Starts chromedriver on a free port, and Chromium.
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is missing: sudo apt-get install chromium-driver (scripts/test-tools)");
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port: u16 = loop {
            let line = lines.next_line().await.expect("text");
            let line = line.expect("chromedriver ended");
            if let Some((_, rest)) = line.split_once("on port ") {
                match rest.trim_end_matches('.').parse() {
                    Ok(0) | Err(_) => {}
                    Ok(port) => break port,
                }
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        // Containers have a small /dev/shm and run as root, for whom Chromium has no sandbox.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ];
        let capabilities = json!({
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is written as an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session");
        // The report of 80 targets takes axe-core half a minute on two busy cores.
        let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
        let timeouts = TimeoutConfiguration::new(seconds(180), seconds(60), None);
        client.update_timeouts(timeouts).await.expect("timeouts");
        Self {
            client,
            _driver: driver,
        }
    }

    /// Ends it.
    pub async fn close(self) {
        self.client.close().await.expect("it closes");
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// Shows pages as on a screen of this width, in CSS pixels, and in a scheme.
    pub async fn look(&self, width: u32, scheme: Scheme) {
        let phone = width < 600;
        let height = if phone { 844 } else { 900 };
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        )
        .await;
        let feature = json!({"name": "prefers-color-scheme", "value": scheme.as_str()});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [feature]}))
            .await;
    }

    /// Saves files that are downloaded into a directory.
    pub async fn download_to(&self, directory: &Path) {
        self.devtools(
            "Browser.setDownloadBehavior",
            json!({"behavior": "allow", "downloadPath": directory}),
        )
        .await;
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .expect("a script that runs")
    }

    /// Messages of the console since the last call, except remarks.
    pub async fn errors(&self) -> Vec<String> {
        let log = self.extension("se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let said = |entry: &Value| format!("{}: {}", entry["level"], entry["message"]);
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(said)
            .collect()
    }

    /// Violations that axe-core finds: WCAG 2.2 at A and AA, and its best practices.
    pub async fn violations(&self) -> Vec<Violation> {
        let axe =
            std::fs::read_to_string(axe()).expect("axe-core is missing: run scripts/test-tools");
        self.run(&axe).await;
        let found = self
            .client
            .execute_async(
                "const done = arguments[arguments.length - 1];
                 axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}).then(
                   it => done(it.violations.flatMap(v => v.nodes.map(n => `${v.id} (${v.impact}): ${n.html} ${n.failureSummary}`))),
                   error => done([String(error)]));",
                Vec::new(),
            )
            .await
            .expect("axe-core runs");
        let found = found.as_array().cloned().unwrap_or_else(|| vec![found]);
        found
            .iter()
            .map(|it| it.as_str().unwrap_or("?").to_owned())
            .collect()
    }

    /// Keeps a picture of the page, or the upper part of a long one, for review.
    pub async fn picture(&self, name: &str) {
        let size =
            self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
        let height = size["height"].as_f64().unwrap_or(0.0).min(2400.0);
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1});
        let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.devtools("Page.captureScreenshot", shot).await;
        let encoded = shot["data"].as_str().expect("a picture");
        let bytes =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded).expect("base64");
        let directory = pictures();
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join(format!("{name}.png")), bytes).expect("a file");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.extension("goog/cdp/execute", body).await
    }

    async fn extension(&self, path: &'static str, body: Value) -> Value {
        let command = Extension { path, body };
        self.client
            .issue_cmd(command)
            .await
            .expect("Chromium obeys")
    }
}

/// Directory in which scripts/test-tools puts axe-core.
fn axe() -> PathBuf {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"),
    };
    cache.join("odoo-mfa-exporter/axe/node_modules/axe-core/axe.min.js")
}

/// Directory for pictures: beside the build.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("e2e")
}
