//! nginx in front of a server, as operators put it there.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

/// A running nginx; it stops when it is dropped.
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    /// Starts nginx in front of a server, with these rules in its `server` block.
    pub async fn start(server: SocketAddr, rules: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // A port that was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let path = directory.path().display();
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
                uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
                server {{
                    listen {address};
                    {rules}
                    location / {{ proxy_pass http://{server}; }}
                }}
            }}"
        );
        std::fs::write(directory.path().join("conf"), configuration).expect("a file");
        let process = Command::new(program())
            .arg("-c")
            .arg(directory.path().join("conf"))
            .arg("-e")
            .arg(directory.path().join("log"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let this = Self {
            process,
            address,
            directory,
        };
        eventually("nginx listens", async || {
            TcpStream::connect(this.address).ok()
        })
        .await;
        this
    }

    /// Address that it listens on.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Debian keeps it where only the administrator's search path leads.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() {
        "/usr/sbin/nginx"
    } else {
        "nginx"
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            eprintln!("nginx: {}", log.unwrap_or_default());
        }
    }
}
