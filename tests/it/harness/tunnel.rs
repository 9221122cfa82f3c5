//! A proxy that connects clients to servers: HTTP CONNECT, SOCKS5, or CONNECT over TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
    copy_bidirectional,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::pki::Identity;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A running proxy; it stops when it is dropped.
pub struct Tunnel {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Tunnel {
    /// Speaks TLS if it has a certificate.
    pub async fn start(identity: Option<&Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, tls) = (Arc::clone(&asked), identity.map(acceptor));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (seen, tls) = (Arc::clone(&seen), tls.clone());
                // A client that goes away is no failure.
                tokio::spawn(async move {
                    let client: Box<dyn Io> = match tls {
                        Some(tls) => Box::new(tls.accept(stream).await?),
                        None => Box::new(stream),
                    };
                    serve(BufReader::new(client), &seen).await
                });
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// Requests of clients: the kind of proxy, the credentials, and the server.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain, key).expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(mut client: BufReader<Box<dyn Io>>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let first = client.fill_buf().await?.first().copied();
    let (asked, to, granted) = match first {
        Some(5) => socks(&mut client).await?,
        _ => connect(&mut client).await?,
    };
    seen.lock().expect("no panic").push(asked);
    let mut server = TcpStream::connect(to).await?;
    client.write_all(granted).await?;
    client.flush().await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn connect(
    client: &mut BufReader<Box<dyn Io>>,
) -> io::Result<(String, String, &'static [u8])> {
    let (mut to, mut credentials) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("CONNECT ") {
            rest.split(' ')
                .next()
                .unwrap_or_default()
                .clone_into(&mut to);
        }
        if let Some(value) = line
            .strip_prefix("Proxy-Authorization: ")
            .or(line.strip_prefix("proxy-authorization: "))
        {
            value.clone_into(&mut credentials);
        }
    }
    let asked = format!("CONNECT {credentials} {to}");
    Ok((asked, to, b"HTTP/1.1 200 OK\r\n\r\n"))
}

async fn socks(client: &mut BufReader<Box<dyn Io>>) -> io::Result<(String, String, &'static [u8])> {
    let text = async |client: &mut BufReader<Box<dyn Io>>| {
        let length = client.read_u8().await?;
        let mut text = vec![0; length.into()];
        client.read_exact(&mut text).await?;
        io::Result::Ok(text)
    };
    client.read_u8().await?;
    let methods = text(client).await?;
    let mut credentials = String::new();
    if methods.contains(&2) {
        client.write_all(&[5, 2]).await?;
        client.flush().await?;
        client.read_u8().await?;
        let (user, password) = (text(client).await?, text(client).await?);
        let [user, password] = [user, password].map(|it| String::from_utf8_lossy(&it).into_owned());
        credentials = format!("{user}:{password}");
        client.write_all(&[1, 0]).await?;
    } else {
        client.write_all(&[5, 0]).await?;
    }
    client.flush().await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => IpAddr::from(client.read_u32().await?.to_be_bytes()).to_string(),
        3 => String::from_utf8_lossy(&text(client).await?).into_owned(),
        _ => format!(
            "[{}]",
            IpAddr::from(client.read_u128().await?.to_be_bytes())
        ),
    };
    let to = format!("{host}:{}", client.read_u16().await?);
    let asked = format!("SOCKS5 {credentials} {to}");
    Ok((asked, to, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
}
