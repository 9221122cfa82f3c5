//! Behavior of the simulator, seen from outside: over a socket, as a client sees it.

mod domains;
mod faults;
mod fleet;
mod happy;
mod hidden;
mod known;
mod replay;
mod traps;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use super::*;

/// A fixed time: 2026-11-24 02:30:00.
pub(super) const NOW: Time = 1_795_487_400;

/// An answer, or `None` where the connection was closed without a byte.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// One request on a connection of its own.
pub(super) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let head: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream
            .write_all(text.as_bytes())
            .expect("the request is taken");
        let mut bytes = Vec::new();
        // A reset is as good as an end.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Some(Answer {
            status,
            headers,
            body: body.into(),
        })
    })
    .await
    .expect("the client does not panic")
}

/// A server with one database `prod` and the accounts that poll it.
pub(super) struct Stage {
    pub(super) server: SimServer,
    pub(super) database: std::sync::Arc<Database>,
    pub(super) full: Account,
    pub(super) least: Account,
    pub(super) plain: Account,
    pub(super) manager: Account,
    pub(super) portal: Account,
    pub(super) narrow: Account,
}

impl Stage {
    pub(super) async fn new(version: u8) -> Self {
        Self::with(&Recipe {
            policy: Some("employee_required").filter(|_| version >= 15),
            ..Recipe::new(version, 7)
        })
        .await
    }

    pub(super) async fn with(recipe: &Recipe) -> Self {
        let server = SimServer::start(ServerOptions::new(recipe.version))
            .await
            .expect("a free port");
        let mut world = World::build(recipe, Clock::fixed(NOW));
        let mut account = |kind, login| world.add_account(kind, login);
        let full = account(AccountKind::Full, "svc-full");
        let least = account(AccountKind::Least, "svc-least");
        let plain = account(AccountKind::Plain, "svc-plain");
        let manager = account(AccountKind::ErpManager, "svc-erp");
        let portal = account(AccountKind::Portal, "svc-portal");
        let narrow = account(AccountKind::OneCompany, "svc-one-company");
        let database = server.add_database("prod", world);
        Self {
            server,
            database,
            full,
            least,
            plain,
            manager,
            portal,
            narrow,
        }
    }

    /// A call by the version's own protocol: the result, or the error's name.
    pub(super) async fn call(
        &self,
        who: &Account,
        model: &str,
        method: &str,
        kwargs: Value,
    ) -> Result<Value, String> {
        if self.server.version() >= 19 {
            self.json2(who, model, method, kwargs).await
        } else {
            self.rpc(who, model, method, json!([]), kwargs).await
        }
    }

    pub(super) async fn json2(
        &self,
        who: &Account,
        model: &str,
        method: &str,
        body: Value,
    ) -> Result<Value, String> {
        let headers = [
            ("Authorization", &*format!("bearer {}", who.api_key)),
            ("X-Odoo-Database", "prod"),
            ("Content-Type", "application/json"),
        ];
        let answer = ask(
            self.server.address(),
            "POST",
            &format!("/json/2/{model}/{method}"),
            &headers,
            &body.to_string(),
        )
        .await
        .expect("an answer");
        let body = answer.json();
        if answer.status == 200 {
            Ok(body)
        } else {
            Err(body["name"].as_str().unwrap_or_default().into())
        }
    }

    pub(super) async fn rpc(
        &self,
        who: &Account,
        model: &str,
        method: &str,
        args: Value,
        kwargs: Value,
    ) -> Result<Value, String> {
        let body = self
            .service(
                "object",
                "execute_kw",
                json!(["prod", who.uid, who.api_key, model, method, args, kwargs]),
            )
            .await;
        match body["error"]["data"]["name"].as_str() {
            Some(name) => Err(name.into()),
            None => Ok(body["result"].clone()),
        }
    }

    pub(super) async fn service(&self, service: &str, method: &str, args: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": service, "method": method, "args": args}});
        let headers = [("Content-Type", "application/json")];
        ask(
            self.server.address(),
            "POST",
            "/jsonrpc",
            &headers,
            &body.to_string(),
        )
        .await
        .expect("an answer")
        .json()
    }

    pub(super) async fn count(&self, who: &Account, domain: Value) -> Result<usize, String> {
        let name = if self.server.version() <= 16 {
            "args"
        } else {
            "domain"
        };
        let count = self
            .call(
                who,
                "res.users",
                "search_count",
                json!({name: domain, "context": {"active_test": false}}),
            )
            .await?;
        Ok(count.as_u64().expect("a count") as usize)
    }
}
