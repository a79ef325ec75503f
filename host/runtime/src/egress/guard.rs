//! One plugin's way out.

use super::address::closed_host;
use super::body::{Counted, Outbound, Received};
use super::connect::Connector;
use super::error::EgressError;
use super::metrics::EgressMetrics;
use super::pace::{Pace, Stride};
use super::resolve::{Resolve, System, vetted};
use super::rule::{Rule, Scope};
use super::secret::{Concealed, Vault};
use super::target::Target;
use super::tls;
use super::voice::{Ending, Voice};
use crate::logs::Ring;
use futures_util::FutureExt;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bytes of a response's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Headers of a response.
const HEADERS_MAX: usize = 100;

/// What all plugins share on their way out.
#[derive(Debug)]
pub(crate) struct Outside {
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
    together: Arc<Semaphore>,
    metrics: EgressMetrics,
    vault: Vault,
}

impl Outside {
    /// `roots` are the certificates that are trusted; those of the system if none are named.
    pub(crate) fn new(
        resolver: Option<Arc<dyn Resolve>>,
        roots: Option<&Path>,
        environment: Arc<BTreeMap<String, String>>,
        connections: usize,
        metrics: EgressMetrics,
    ) -> Result<Self, String> {
        Ok(Self {
            resolver: resolver.unwrap_or_else(|| Arc::new(System)),
            tls: tls::client(roots)?,
            together: Arc::new(Semaphore::new(connections)),
            metrics,
            vault: Vault::new(environment),
        })
    }
}

/// How long to wait for what; a plugin can ask for less, never for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) between_bytes: Duration,
}

impl Waits {
    /// Payment providers answer within seconds; who is slower is asked again later.
    pub(crate) const MAX: Self = Self {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(20),
        between_bytes: Duration::from_secs(10),
    };

    /// What a plugin asks for, cut to what it can have.
    pub(crate) fn asked(
        connect: Option<Duration>,
        first_byte: Option<Duration>,
        between_bytes: Option<Duration>,
    ) -> Self {
        let cut = |asked: Option<Duration>, most: Duration| asked.map_or(most, |d| d.min(most));
        Self {
            connect: cut(connect, Self::MAX.connect),
            first_byte: cut(first_byte, Self::MAX.first_byte),
            between_bytes: cut(between_bytes, Self::MAX.between_bytes),
        }
    }
}

/// What one call of a plugin may still send and fetch.
#[derive(Debug)]
pub(crate) struct Allowance {
    requests_max: u64,
    requests: AtomicU64,
    bytes_max: u64,
    bytes: AtomicU64,
    /// What was told of already: at most a failure and an end for each request, and one more.
    told: Mutex<BTreeSet<String>>,
}

impl Allowance {
    /// So many requests, and so many bytes in both directions together.
    pub(crate) const fn new(requests_max: u64, bytes_max: u64) -> Self {
        Self {
            requests_max,
            requests: AtomicU64::new(0),
            bytes_max,
            bytes: AtomicU64::new(0),
            told: Mutex::new(BTreeSet::new()),
        }
    }

    fn take_request(&self) -> Result<(), EgressError> {
        if self.requests.fetch_add(1, Ordering::Relaxed) < self.requests_max {
            return Ok(());
        }
        Err(EgressError::Exhausted(format!(
            "more than {} requests in one call; make fewer or raise egress_calls under [limits]",
            self.requests_max
        )))
    }

    /// Whether a failure has not been told of in this call: who goes on asking where he was
    /// refused, or when he is out of requests, fills no log.
    pub(super) fn is_news(&self, failure: &str) -> bool {
        let mut told = self.told.lock();
        !told.contains(failure) && told.insert(failure.to_owned())
    }

    /// Takes bytes of a body.
    pub(super) fn take_bytes(&self, bytes: usize) -> Result<(), EgressError> {
        let bytes = bytes as u64;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        Err(EgressError::TooLarge(format!(
            "more than {} bytes in one call; send and fetch less or raise egress_bytes under [limits]",
            self.bytes_max
        )))
    }
}

/// Drives a connection while its response is read; ends with it.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whose way out it is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// The plugin's name.
    pub(crate) plugin: Arc<str>,
    /// Which load of it.
    pub(crate) generation: u64,
    /// Where its operator reads what became of its requests.
    pub(crate) ring: Arc<Ring>,
    /// Connections that it may hold at once.
    pub(crate) connections: usize,
    /// Bytes of bodies in a second, in both directions together.
    pub(crate) bytes_per_second: u64,
}

/// One plugin's way out.
pub(crate) struct Guard {
    rules: Vec<Rule>,
    outside: Arc<Outside>,
    own: Arc<Semaphore>,
    pace: Arc<Pace>,
    voice: Arc<Voice>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("plugin", &self.voice.plugin())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// The way out of a plugin with these rules.
    pub(crate) fn new(owner: Owner, rules: Vec<Rule>, outside: Arc<Outside>) -> Self {
        let metrics = outside.metrics.of(&owner.plugin, owner.generation);
        let plugin = owner.plugin.to_string();
        let voice = Voice::new(plugin, owner.generation, owner.ring, metrics);
        Self {
            rules,
            own: Arc::new(Semaphore::new(owner.connections)),
            pace: Arc::new(Pace::new(owner.bytes_per_second)),
            voice: Arc::new(voice),
            outside,
        }
    }

    /// Whether every secret that the rules name can be had now.
    pub(crate) fn check_secrets(&self) -> Result<(), String> {
        let mut secrets = self.rules.iter().flat_map(|rule| &rule.secrets);
        secrets.try_for_each(|(_, template)| self.outside.vault.fill(template).map(|_| ()))
    }

    /// Sends a request, if the rules allow it. What is refused is logged here, with what to write
    /// to allow it if that could be meant; the guest is told that it was refused.
    pub(crate) async fn send(
        &self,
        request: Request<Outbound>,
        waits: Waits,
        allowance: Arc<Allowance>,
    ) -> Result<(Response<Received>, Driver), EgressError> {
        let outcome = self.pass(request, waits, Arc::clone(&allowance)).await;
        if let Err(error) = &outcome {
            self.voice.failed(error, &allowance);
        }
        outcome
    }

    async fn pass(
        &self,
        request: Request<Outbound>,
        waits: Waits,
        allowance: Arc<Allowance>,
    ) -> Result<(Response<Received>, Driver), EgressError> {
        allowance.take_request()?;
        let target = Target::of(request.method(), request.uri())
            .map_err(|why| EgressError::Denied(crate::guest::printable(&why)))?;
        let rule = self.rule_for(&target)?;
        let mut concealed = Concealed::default();
        let request = self.prepare(request, rule, &target, &mut concealed, &allowance)?;
        let outside = &self.outside;
        let addresses = vetted(outside.resolver.as_ref(), &target, &rule.open).await?;
        let connector = Connector {
            own: &self.own,
            together: &outside.together,
            open: &self.voice.metrics.connections,
            tls: &outside.tls,
        };
        let connection = connector
            .connect(&target, &addresses, waits.connect)
            .await?;
        let host = target.authority();
        let broken = |e: hyper::Error| EgressError::Broken(format!("no answer of {host} ({e})"));
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake::<_, Counted>(TokioIo::new(connection))
            .await
            .map_err(broken)?;
        let driver = async move {
            // What goes wrong on it, the body or the answer says.
            let _ = connection.await;
        };
        // Fused, because it may have ended before the answer is read.
        let mut driver: Driver = Box::pin(driver.fuse());
        let answer = async {
            let answer = sender.send_request(request);
            tokio::pin!(answer);
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = &mut driver => answer.await,
            }
        };
        let late = EgressError::Timeout(format!(
            "{host} did not answer within {} ms",
            waits.first_byte.as_millis()
        ));
        let response = timeout(waits.first_byte, answer).await.map_err(|_| late)?;
        let mut response = response.map_err(broken)?;
        concealed.redact(response.headers_mut());
        let stride = self.stride(&allowance);
        let ending = Ending::new(Arc::clone(&self.voice), allowance);
        let response =
            response.map(|body| Received::new(body, ending, stride, waits.between_bytes));
        Ok((response, driver))
    }

    fn stride(&self, allowance: &Arc<Allowance>) -> Stride {
        let (pace, voice) = (Arc::clone(&self.pace), Arc::clone(&self.voice));
        Stride::new(pace, voice, Arc::clone(allowance))
    }

    fn rule_for(&self, target: &Target) -> Result<&Rule, EgressError> {
        let found = self.rules.iter().find(|rule| rule.scope.covers(target));
        found.ok_or_else(|| EgressError::Denied(self.not_allowed(target)))
    }

    /// Why a request is refused that no rule allows, with the lines that would. Where it was going
    /// to what is closed by itself there are none: a redirect leads there too, and its maker should
    /// not have an operator grant it.
    fn not_allowed(&self, target: &Target) -> String {
        let asked = format!(
            "{} {}://{}{} is not allowed",
            target.method,
            target.scheme.as_str(),
            target.authority(),
            target.path,
        );
        if let Some(closed) = closed_host(&target.host) {
            return format!("{asked}: no rule covers it, and it goes to {closed}");
        }
        let needed = Scope {
            scheme: target.scheme,
            host: target.host.clone(),
            port: target.port,
            methods: vec![target.method.clone()],
            path_prefix: target.path.clone(),
        };
        format!(
            "{asked}; to allow it, write into {}.toml: {}",
            self.voice.plugin(),
            needed.lines().replace('\n', " ⏎ "),
        )
    }

    /// Brings a request into the form in which it was judged, and puts the secrets in.
    fn prepare(
        &self,
        request: Request<Outbound>,
        rule: &Rule,
        target: &Target,
        concealed: &mut Concealed,
        allowance: &Arc<Allowance>,
    ) -> Result<Request<Counted>, EgressError> {
        let broken = |e: &dyn fmt::Display| EgressError::Denied(format!("no request ({e})"));
        let (mut parts, body) = request.into_parts();
        parts.uri = target
            .path_and_query()
            .parse::<Uri>()
            .map_err(|e| broken(&e))?;
        let host = HeaderValue::from_str(&target.authority()).map_err(|e| broken(&e))?;
        parts.headers.insert(HOST, host);
        for (name, template) in &rule.secrets {
            let filled = self
                .outside
                .vault
                .fill(template)
                .map_err(EgressError::Secret)?;
            // This removes what the guest wrote under the name.
            parts.headers.insert(name, filled.header.clone());
            concealed.add(filled);
        }
        let sent = self.voice.metrics.sent.clone();
        Ok(Request::from_parts(
            parts,
            Counted::new(body, Arc::clone(allowance), self.stride(allowance), sent),
        ))
    }
}
