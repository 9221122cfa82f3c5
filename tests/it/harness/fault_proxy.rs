//! A proxy that breaks connections in the ways in which networks do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Behavior of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it reaches the server.
    None,
    /// It is closed without a byte.
    Reset,
    /// The answer ends in its middle.
    Cut,
    /// Nothing ever comes back.
    Silence,
    /// Returns this to any request.
    Answer(&'static str),
    /// An answer that does not end.
    Endless,
}

/// A running proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    task: tokio::task::JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to a server, without a fault.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let fault = Arc::new(Mutex::new(Fault::None));
        let current = Arc::clone(&fault);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                let fault = *current.lock().expect("no panic");
                // A broken connection is what this is for.
                tokio::spawn(async move { drop(connect(client, server, fault).await) });
            }
        });
        Self {
            address,
            fault,
            task,
        }
    }

    /// Address that it listens on.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Behavior of connections from now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().expect("no panic") = fault;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(mut client: TcpStream, server: SocketAddr, fault: Fault) -> std::io::Result<()> {
    let mut request = [0; 65536];
    match fault {
        Fault::None => {
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Fault::Reset => {}
        Fault::Cut => {
            let _asked = client.read(&mut request).await?;
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
            client.write_all(head.as_bytes()).await?;
            client.write_all(b"{\"version_info\": [19, 0").await?;
        }
        Fault::Silence => loop {
            if client.read(&mut request).await? == 0 {
                break;
            }
        },
        Fault::Answer(answer) => {
            let _asked = client.read(&mut request).await?;
            client.write_all(answer.as_bytes()).await?;
        }
        Fault::Endless => {
            let _asked = client.read(&mut request).await?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
            client.write_all(head.as_bytes()).await?;
            loop {
                client.write_all(&[b' '; 65536]).await?;
            }
        }
    }
    Ok(())
}
