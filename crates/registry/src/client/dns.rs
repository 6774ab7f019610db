//! Names by hickory: our files are static, and static glibc has no resolver of its own that works everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The files a system's resolver is set up by. A machine that changes its network changes them, so they are looked at
/// before every lookup.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

type Stamp = [Option<SystemTime>; 2];

/// The machine's resolver, made at the first lookup.
#[derive(Clone, Default)]
pub(super) struct Resolver {
    made: Arc<Mutex<Option<(Stamp, TokioResolver)>>>,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Resolver {
    /// The addresses of a host.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failed> {
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let found = self.current()?.lookup_ip(host).await;
        // hickory prints the query as a struct; where there is no such name, the words are Docker's.
        let found = found.map_err(|error| match error.is_no_records_found() {
            true => Failed::from(format!("lookup {host}: no such host")),
            false => Failed::from(format!("lookup {host}: {error}")),
        })?;
        Ok(found.iter().collect())
    }

    fn current(&self) -> Result<TokioResolver, Failed> {
        let stamp = FILES.map(changed);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, resolver)) = &*made
            && *known == stamp
        {
            return Ok(resolver.clone());
        }
        let resolver = make()?;
        *made = Some((stamp, resolver.clone()));
        Ok(resolver)
    }
}

fn changed(path: &str) -> Option<SystemTime> {
    Path::new(path).metadata().and_then(|m| m.modified()).ok()
}

/// Without resolv.conf there still are the names of /etc/hosts.
fn make() -> Result<TokioResolver, Failed> {
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::warn!(%error, "no name servers: /etc/resolv.conf cannot be read");
        TokioResolver::builder_with_config(
            ResolverConfig::default(),
            TokioRuntimeProvider::default(),
        )
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    Ok(builder.build()?)
}

/// RFC 6761: such names never leave the machine.
pub(super) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
