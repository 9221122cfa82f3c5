//! Names of hosts: one resolver for all requests of the process. It blocks no thread, and asks only the servers in `/etc/resolv.conf`.
//!
//! It reads `/etc/resolv.conf` and `/etc/hosts`, and asks A and AAAA records. It knows nothing of NSS modules, such as those for mDNS and
//! LDAP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::time::timeout;
use tower_service::Service;

/// A lookup takes no longer than this, however many servers there are.
const LOOKUP: Duration = Duration::from_secs(4);

/// A server that does not answer within this time is asked again, or another one.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Questions to one server that may be open at the same time: two for each poll.
const OPEN: usize = 1024;

/// The resolver. Clones share cache and configuration.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<ArcSwap<System>>);

/// A resolver as the system is configured.
#[derive(Debug)]
struct System {
    resolver: TokioResolver,
    /// The DNS servers, or why there are none.
    servers: Result<Vec<IpAddr>, String>,
}

/// Why there is no address for a host.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{host}: {why}")]
pub struct NoAddress {
    /// The name of the host.
    host: String,
    why: String,
    /// The next step.
    pub(super) hint: &'static str,
}

impl Default for Resolver {
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(System::read())))
    }
}

impl Resolver {
    /// Reads `/etc/resolv.conf` and `/etc/hosts` again, and forgets what was looked up.
    pub fn reload(&self) {
        self.0.store(Arc::new(System::read()));
    }

    /// The addresses of a host, as long as their records live.
    ///
    /// # Errors
    /// If there are none, or no server answers in time.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let system = self.0.load_full();
        let found = timeout(LOOKUP, system.resolver.lookup_ip(host)).await;
        let (why, hint) = match found.unwrap_or(Err(NetError::Timeout)) {
            Ok(found) => return Ok(found.iter().collect()),
            Err(error) => system.explain(&error),
        };
        Err(NoAddress {
            host: host.to_owned(),
            why,
            hint,
        })
    }

    /// The addresses of a host with a port.
    ///
    /// # Errors
    /// See [`Self::addresses`].
    pub async fn sockets(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NoAddress> {
        let addresses = self.addresses(host).await?;
        let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        Ok(sockets.collect())
    }
}

impl System {
    fn read() -> Self {
        let (config, mut options, trouble) = match read_system_conf() {
            Ok((config, options)) => (config, options, None),
            // Never other servers: they would learn internal names. Names in /etc/hosts are found all the same.
            Err(error) => (
                ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                ResolverOpts::default(),
                Some(error.to_string()),
            ),
        };
        options.timeout = options.timeout.min(ATTEMPT);
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.max_active_requests = OPEN;
        let servers = config.name_servers().iter().map(|server| server.ip);
        let servers = match trouble {
            None => Ok(servers.collect()),
            Some(trouble) => Err(trouble),
        };
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .expect("without TLS and DNSSEC nothing can be wrong with a resolver");
        Self { resolver, servers }
    }

    fn explain(&self, error: &NetError) -> (String, &'static str) {
        let servers = match &self.servers {
            Ok(servers) => servers,
            Err(trouble) => {
                return (
                    format!("/etc/resolv.conf cannot be used: {trouble}"),
                    "add DNS servers to /etc/resolv.conf, or the host to /etc/hosts; then reload",
                );
            }
        };
        if error.is_nx_domain() {
            return (
                "the host does not exist".to_owned(),
                "correct the host name, or add it to the DNS or to /etc/hosts",
            );
        }
        if error.is_no_records_found() {
            return (
                "the host has no address".to_owned(),
                "add an A or AAAA record to the DNS, or the host to /etc/hosts",
            );
        }
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let servers = servers.join(", ");
        let why = match error {
            NetError::Timeout => format!("the DNS servers do not answer ({servers})"),
            error => format!("the DNS servers fail ({servers}): {error}"),
        };
        (
            why,
            "check /etc/resolv.conf, and that this host can reach the DNS servers",
        )
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NoAddress;
    type Future = BoxFuture<'static, Result<Self::Response, NoAddress>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAddress>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = self.clone();
        // The client sets the port.
        Box::pin(async move { Ok(this.sockets(name.as_str(), 0).await?.into_iter()) })
    }
}
