//! Where to listen: an address of the command line, or a socket that systemd passes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::str::FromStr;

use listenfd::ListenFd;

/// Takes the socket that the service manager passes (`LISTEN_FDS`), if it passes one. It keeps listening while the daemon is restarted,
/// so that no scrape is lost. To be called before anything else runs: it changes the environment.
///
/// # Errors
/// When what is passed is not one listening TCP socket.
pub fn inherited_socket() -> io::Result<Option<TcpListener>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        let passed = sockets.len();
        let message = format!(
            "{passed} sockets are passed (LISTEN_FDS), and one can be served: keep one ListenStream= in the socket unit"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    sockets.take_tcp_listener(0).map_err(|error| {
        let message = format!("what is passed (LISTEN_FDS) is no TCP socket: {error}; write ListenStream=9893 into the socket unit");
        io::Error::new(error.kind(), message)
    })
}

/// An address to listen on, as Prometheus writes it: `:9893` for all addresses, or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    host: Option<String>,
    port: u16,
}

/// An address that cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address such as :9893, 127.0.0.1:9893 or [::1]:9893 is wanted")]
pub struct UnusableAddress;

impl FromStr for Listen {
    type Err = UnusableAddress;

    fn from_str(text: &str) -> Result<Self, UnusableAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(UnusableAddress)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: port.parse().map_err(|_| UnusableAddress)?,
        })
    }
}

impl Listen {
    /// Where a client on this machine reaches it, as in a URL.
    pub fn reached_at(&self) -> String {
        match self.host.as_deref() {
            None | Some("0.0.0.0" | "::") => format!("localhost:{}", self.port),
            Some(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            Some(host) => format!("{host}:{}", self.port),
        }
    }

    /// Binds the address.
    ///
    /// # Errors
    /// When it cannot be bound; the error names it.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let explained = |error: io::Error| {
            let host = self.host.as_deref().unwrap_or_default();
            let port = self.port;
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    ". Stop the program that listens there, or choose another port with --web.listen-address"
                }
                io::ErrorKind::PermissionDenied => {
                    ". Choose a port from 1024 on with --web.listen-address"
                }
                io::ErrorKind::AddrNotAvailable => {
                    ". Choose an address of this host with --web.listen-address"
                }
                _ => "",
            };
            io::Error::new(
                error.kind(),
                format!("cannot listen on {host}:{port}: {error}{hint}"),
            )
        };
        if let Some(host) = &self.host {
            return TcpListener::bind((host.as_str(), self.port)).map_err(explained);
        }
        // [::] takes IPv4 too, but a host may have no IPv6 at all.
        match TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).map_err(explained)
            }
            bound => bound.map_err(explained),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_prometheus_writes_them() {
        let read = |text: &str| {
            text.parse::<Listen>()
                .map(|listen| (listen.host, listen.port))
        };
        assert_eq!(read(":9893"), Ok((None, 9893)));
        assert_eq!(read("127.0.0.1:0"), Ok((Some("127.0.0.1".into()), 0)));
        assert_eq!(read("[::1]:80"), Ok((Some("::1".into()), 80)));
        assert_eq!(read("9893"), Err(UnusableAddress));
        assert_eq!(read("localhost:http"), Err(UnusableAddress));
    }
}
