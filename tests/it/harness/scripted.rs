//! A server that answers as a test says, for what no real Odoo answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Header lines, each with its line end.
    pub headers: String,
    pub body: Vec<u8>,
    /// Transfer of the body.
    pub pace: Pace,
}

/// Transfer of a body.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// At once.
    Whole,
    /// In pieces of so many bytes, each a chunk of its own.
    Chunks(usize),
    /// The connection is closed without a byte.
    Closed,
    /// Instead of the answer: the first text, and then the second one until the client has gone.
    Endless(&'static str, &'static str),
    /// Instead of the answer: the body alone, each byte in a packet of its own.
    Bytes,
}

impl Answer {
    /// JSON with the status 200.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "content-type: application/json\r\n", body)
    }

    /// Any answer.
    pub fn new(status: u16, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: headers.to_owned(),
            body: body.into(),
            pace: Pace::Whole,
        }
    }

    /// The same at another pace.
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }
}

/// A request.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns true if it is for a path.
    pub fn is_for(&self, path: &str) -> bool {
        let mut words = self.head.split_whitespace();
        words
            .nth(1)
            .is_some_and(|it| it.split('?').next() == Some(path))
    }
}

/// A running server; it stops when it is dropped.
pub struct Scripted {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Answers each request by a function. Connections are kept.
    pub async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                // A client that goes away is what some tests are about.
                tokio::spawn(async move { drop(serve(stream, &*answer, &count).await) });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Number of requests.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Request) -> Answer + ?Sized),
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(request) = next(&mut stream, &mut read).await? else {
            return Ok(());
        };
        count.fetch_add(1, Ordering::SeqCst);
        let Answer {
            status,
            headers,
            body,
            pace,
        } = answer(&request);
        let length = match pace {
            Pace::Whole => format!("content-length: {}", body.len()),
            Pace::Chunks(_) => "transfer-encoding: chunked".to_owned(),
            Pace::Closed => return Ok(()),
            Pace::Endless(start, again) => {
                stream.write_all(start.as_bytes()).await?;
                let again = again.repeat(1 + 4096 / again.len());
                loop {
                    stream.write_all(again.as_bytes()).await?;
                }
            }
            Pace::Bytes => {
                stream.set_nodelay(true)?;
                for byte in body {
                    stream.write_all(&[byte]).await?;
                }
                return Ok(());
            }
        };
        let head = format!("HTTP/1.1 {status} Scripted\r\n{headers}{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let Pace::Chunks(size) = pace else {
            stream.write_all(&body).await?;
            continue;
        };
        for piece in body.chunks(size) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&chunk).await?;
        }
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

/// The next request; `None` if the client has gone, or says nothing for long.
async fn next(stream: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    loop {
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let all = end + 4 + length.unwrap_or(0);
            if read.len() >= all {
                let body = read[end + 4..all].to_vec();
                read.drain(..all);
                return Ok(Some(Request { head, body }));
            }
        }
        let mut part = [0; 16384];
        let part_read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut part));
        match part_read.await {
            Ok(Ok(0)) | Err(_) => return Ok(None),
            Ok(got) => read.extend_from_slice(&part[..got?]),
        }
        // A TLS handshake.
        if read.first() == Some(&0x16) {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .await?;
            return Ok(None);
        }
    }
}

/// The database that [`odoo_19`] has.
pub const DATABASE: &str = "prod";

/// As a small Odoo 19 answers what a poll asks first: one user, two groups.
pub fn odoo_19(request: &Request) -> Answer {
    let path = request.head.split_whitespace().nth(1).unwrap_or_default();
    let body = match path {
        "/web/webclient/version_info" => {
            r#"{"jsonrpc": "2.0", "result": {"server_version": "19.0", "server_version_info": [19, 0, 0, "final", 0, ""]}}"#
        }
        "/json/2/res.users/context_get" if !request.head.contains(DATABASE) => {
            return Answer::new(
                404,
                "content-type: text/html\r\n",
                "No database is selected",
            );
        }
        "/json/2/res.users/context_get" => r#"{"lang": "en_US", "uid": 5}"#,
        "/json/2/res.users/get_external_id" => {
            r#"{"1": "base.user_root", "3": "base.template_portal_user_id", "4": "base.public_user"}"#
        }
        "/json/2/res.users/fields_get" => {
            r#"{"group_ids": {"searchable": true}, "all_group_ids": {"searchable": true}, "totp_enabled": {"searchable": true}, "api_key_ids": {"searchable": true}}"#
        }
        "/json/2/res.groups/search_read" => {
            r#"[{"id": 1, "all_implied_ids": [1]}, {"id": 2, "all_implied_ids": [2]}]"#
        }
        "/json/2/res.groups/get_metadata" => {
            r#"[{"id": 1, "xmlid": "base.group_user", "xmlids": []}, {"id": 2, "xmlid": "base.group_portal", "xmlids": []}]"#
        }
        "/json/2/res.users/search_read" => {
            r#"[{"id": 5, "active": true, "all_group_ids": [1], "company_ids": [1], "companies_count": 1}]"#
        }
        path if path.ends_with("/read") => return Answer::json(read(&request.body)),
        "/json/2/res.users/search" => "[5]",
        "/json/2/res.users/search_count" => "0",
        _ => "[]",
    };
    Answer::json(body)
}

/// As Odoo answers `read` of ids that do not exist.
fn read(body: &[u8]) -> String {
    let question: Value = serde_json::from_slice(body).expect("JSON");
    let ids = question["ids"].as_array().expect("ids");
    let rows: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    json!(rows).to_string()
}
