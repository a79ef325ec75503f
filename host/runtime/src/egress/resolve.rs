//! Where a name leads.

use super::address::judge;
use super::error::EgressError;
use super::target::Target;
use ipnet::IpNet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// A lookup that takes longer is no help to a request that somebody waits for.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 16;

/// A lookup under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows where names lead: the machine's resolver, or a test's.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of a name.
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// The machine's own resolver.
#[derive(Debug)]
pub(crate) struct System;

impl Resolve for System {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Looks a target up and leaves out where nobody may go; a literal address goes the same way.
pub(crate) async fn vetted(
    resolver: &dyn Resolve,
    target: &Target,
    open: &[IpNet],
) -> Result<Vec<IpAddr>, EgressError> {
    let host = &target.host;
    let found = match target.literal() {
        Some(address) => vec![address],
        None => timeout(LOOKUP_MAX, resolver.lookup(host))
            .await
            .map_err(|_| EgressError::Timeout(format!("the lookup of {host} took too long")))?
            .map_err(|e| EgressError::Lookup(format!("{host} cannot be looked up ({e})")))?,
    };
    if found.is_empty() {
        return Err(EgressError::Lookup(format!("{host} has no address")));
    }
    let mut closed = None;
    let mut good = Vec::new();
    for address in found.into_iter().take(ADDRESSES_MAX) {
        match judge(address, open) {
            Ok(()) => good.push(address),
            Err(why) => closed = Some(why),
        }
    }
    match (good.is_empty(), closed) {
        (true, Some(why)) => Err(EgressError::Closed(format!("{host} leads to {why}"))),
        _ => Ok(good),
    }
}
