//! What is found once the cluster has let us in.

use super::STEP_TIMEOUT;
use crate::clock::Clock;
use crate::commands::doctor::Finding;
use crate::commands::host::{alter, unsafe_in_production};
use holdfast_model::{Invalid, UnixMillis};
use holdfast_store::schema::{self, SchemaStatus};
use holdfast_store::{CqlSettings, Login, Probe, SeenRole, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// The role and the password that every new cluster has.
const DEFAULT_LOGIN: &str = "cassandra";

/// How far a node's clock may be off before timestamps decide wrongly who wrote last: changes of
/// one key from two processes are further apart than that.
const SKEW_MILLIS_DOUBT: u64 = 100;

/// So far off that leases and expiry go wrong too.
const SKEW_MILLIS_ILL: u64 = 2_000;

/// What findings about the keyspace's replicas are called.
const REPLICATION: &str = "replication";

/// Replicas of which a majority is left when one is lost.
const REPLICAS_GOOD: u16 = 3;

pub(super) async fn of(probe: &Probe, settings: &CqlSettings, is_production: bool) -> Vec<Finding> {
    let mut findings = datacenters(probe, settings);
    findings.push(role(probe, is_production).await);
    findings.push(default_login(settings, is_production).await);
    let wanted: BTreeMap<String, u16> = settings.replication.iter().cloned().collect();
    match probe.replication().await {
        Ok(found) => {
            let kept = found.as_ref().unwrap_or(&wanted);
            if !is_production {
                findings.extend(consistency(settings, kept));
            }
            findings.extend(replication(found, &wanted, settings));
        }
        Err(error) => findings.push(unanswered(REPLICATION, &error)),
    }
    let (schema, is_there) = schema(settings).await;
    findings.extend(schema);
    findings.push(clock(probe, &Clock::System).await);
    if is_there {
        findings.push(match probe.serial_read().await {
            Ok(()) => Finding::well("conditional writes", "their replicas answer"),
            Err(error) => Finding::ill(
                "conditional writes",
                error.to_string(),
                "start the nodes that hold the replicas, or grant the role SELECT and MODIFY",
            ),
        });
    }
    if is_production {
        match unsafe_in_production(probe, settings).await {
            Ok(complaints) => findings.extend(complaints.into_iter().map(|complaint| {
                let what = format!("production {}", complaint.key);
                Finding::ill(&what, complaint.wrong, complaint.write)
            })),
            Err(error) => findings.push(unanswered("production", &error)),
        }
    }
    findings
}

fn unanswered(what: &str, error: &dyn std::fmt::Display) -> Finding {
    Finding::ill(what, error.to_string(), "look at the nodes' logs")
}

/// Whether the names that the configuration uses are those that the cluster reports.
fn datacenters(probe: &Probe, settings: &CqlSettings) -> Vec<Finding> {
    let nodes = probe.nodes();
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in &nodes {
        let up = by_name.entry(&node.datacenter).or_default();
        up.push(&node.address);
    }
    let names: Vec<&str> = by_name.keys().copied().collect();
    let names = names.join(", ");
    let homes = settings.layout.homes.iter();
    let replicated = settings.replication.iter().map(|(name, _)| name);
    let local = std::iter::once(("store.cql.local_datacenter", &settings.local_datacenter));
    let named = local
        .chain(homes.map(|name| ("store.cql.layout.homes", name)))
        .chain(replicated.map(|name| ("store.cql.replication", name)));
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for (key, name) in named {
        if !by_name.contains_key(name.as_str()) && told.insert((key, name)) {
            findings.push(Finding::ill(
                &format!("datacenter {name}"),
                format!("the cluster has none of this name; it reports {names}"),
                format!("set {key} to one of these, letter for letter"),
            ));
        }
    }
    findings.extend(probe.unknown_rack().map(|why| {
        let mend = "set store.cql.local_rack to one of these, letter for letter, or take it out";
        Finding::doubt("rack", why, mend)
    }));
    let down: Vec<&str> = nodes
        .iter()
        .filter(|node| !node.is_connected)
        .map(|node| node.address.as_str())
        .collect();
    let count = nodes.len();
    let detail = format!("{count} in {names}");
    findings.push(match down.is_empty() {
        true => Finding::well("nodes", detail),
        false => Finding::doubt(
            "nodes",
            format!("{detail}; cannot be connected to: {}", down.join(", ")),
            "start them, or open their ports to this machine",
        ),
    });
    for (datacenter, replicas) in &settings.replication {
        let nodes = by_name.get(datacenter.as_str()).map_or(0, Vec::len);
        if nodes > 0 && nodes < usize::from(*replicas) {
            findings.push(Finding::ill(
                &format!("datacenter {datacenter}"),
                format!("{replicas} replicas are asked for and there are {nodes} nodes"),
                "add nodes, or set store.cql.replication to so many before the first start",
            ));
        }
    }
    findings
}

async fn role(probe: &Probe, is_production: bool) -> Finding {
    const WHAT: &str = "cluster role";
    // Production has a finding of its own for either.
    let doubt = |detail: String, mend: &str| match is_production {
        true => Finding::well(WHAT, detail),
        false => Finding::doubt(WHAT, detail, mend),
    };
    match probe.role().await {
        Ok(SeenRole::Nobody) => doubt(
            "the cluster asks nobody who they are".to_owned(),
            "set `authenticator: PasswordAuthenticator` at the nodes before production",
        ),
        Ok(SeenRole::Known { name, is_superuser }) if is_superuser => doubt(
            format!("{name} is a superuser"),
            "make a role with the rights on the keyspace alone before production",
        ),
        Ok(SeenRole::Known { name, .. }) => Finding::well(WHAT, format!("{name}, no superuser")),
        Err(error) => unanswered(WHAT, &error),
    }
}

/// Whether anybody who has read a manual can log in.
async fn default_login(settings: &CqlSettings, is_production: bool) -> Finding {
    const WHAT: &str = "default login";
    const MEND: &str = "make another superuser, then `ALTER ROLE cassandra WITH PASSWORD = '…' AND \
                        LOGIN = false`";
    let mut settings = settings.clone();
    settings.login = Some(Login {
        username: DEFAULT_LOGIN.to_owned(),
        password: DEFAULT_LOGIN.to_owned(),
    });
    settings.timeouts.session = settings.timeouts.session.min(STEP_TIMEOUT);
    match Probe::open(settings).await {
        Ok(probe) => match probe.role().await {
            Ok(SeenRole::Nobody) => Finding::well(WHAT, "nobody is asked for one"),
            _ if is_production => Finding::ill(WHAT, "cassandra/cassandra is let in", MEND),
            _ => Finding::doubt(WHAT, "cassandra/cassandra is let in", MEND),
        },
        Err(StoreError::Open { .. }) => Finding::well(WHAT, "cassandra/cassandra is refused"),
        Err(error) => unanswered(WHAT, &error),
    }
}

/// Whether the replicas that there are can form the majorities that calls ask for.
fn replication(
    found: Option<BTreeMap<String, u16>>,
    wanted: &BTreeMap<String, u16>,
    settings: &CqlSettings,
) -> Vec<Finding> {
    const WHAT: &str = REPLICATION;
    let keyspace = &settings.keyspace;
    let is_there = found.is_some();
    let found = found.unwrap_or_else(|| wanted.clone());
    let mut findings = Vec::new();
    if found != *wanted {
        let of = |(name, count): (&String, &u16)| format!("{name}:{count}");
        let shown: Vec<String> = found.iter().map(of).collect();
        findings.push(Finding::doubt(
            WHAT,
            format!(
                "{keyspace} has {}, which is not what is configured",
                shown.join(",")
            ),
            format!(
                "set store.cql.replication to it, or {}",
                alter(keyspace, wanted)
            ),
        ));
    }
    let mut used: BTreeSet<String> = settings.homes().into_iter().collect();
    used.insert(settings.local_datacenter.clone());
    for datacenter in used {
        let count = found.get(&datacenter).copied().unwrap_or(0);
        let majority = count / 2 + 1;
        let detail = format!("{count} replicas in {datacenter}: {majority} must answer");
        let mut enough = found.clone();
        enough.insert(datacenter.clone(), REPLICAS_GOOD);
        let mend = match is_there {
            true => alter(keyspace, &enough),
            false => format!("set store.cql.replication to {datacenter}:{REPLICAS_GOOD}"),
        };
        findings.push(match count {
            0 => Finding::ill(
                WHAT,
                format!("{keyspace} has no replicas in {datacenter}"),
                mend,
            ),
            1 => Finding::doubt(WHAT, format!("{detail}; a lost disk loses pins"), mend),
            2 => Finding::doubt(WHAT, format!("{detail}; one node down stops calls"), mend),
            _ => Finding::well(WHAT, detail),
        });
    }
    findings
}

/// Levels with which something acknowledged could be lost. Production has findings of its own.
fn consistency(settings: &CqlSettings, replication: &BTreeMap<String, u16>) -> Vec<Finding> {
    let found = settings.could_lose(replication).into_iter();
    let doubt = |invalid: Invalid| {
        let (wrong, write) = invalid.why.rsplit_once("; ").unwrap_or((&invalid.why, ""));
        let key = invalid.what.trim_start_matches("store.cql.");
        let mend = format!("{} = {}", invalid.what, write.trim_start_matches("write "));
        Finding::doubt(&key.replace('.', " "), wrong, mend)
    };
    found.map(doubt).collect()
}

/// How the schema is; and whether there is one.
async fn schema(settings: &CqlSettings) -> (Vec<Finding>, bool) {
    const WHAT: &str = "schema";
    let status = match schema::status(settings).await {
        Ok(status) => status,
        Err(error) => return (vec![unanswered(WHAT, &error)], false),
    };
    let SchemaStatus {
        version, needed, ..
    } = status;
    let server = format!("{} {}", status.flavour, status.server);
    let mut findings = vec![match (&status.refused, version) {
        (Some(why), _) => Finding::ill(WHAT, why.clone(), "see `holdfast schema status`"),
        (None, 0) => Finding::well(WHAT, format!("there is none yet in {server}")),
        (None, _) if version < needed => Finding::doubt(
            WHAT,
            format!(
                "{} is at version {version} of {needed} in {server}",
                settings.keyspace
            ),
            "run `holdfast schema up`; a start does it too, unless store.cql.migrate = \"check\"",
        ),
        (None, _) => Finding::well(
            WHAT,
            format!("{} is at version {version} in {server}", settings.keyspace),
        ),
    }];
    // Each tells what to do about it itself.
    let differing = status.findings.iter();
    findings.extend(
        differing.map(|found| Finding::doubt(WHAT, found.clone(), "see `holdfast schema status`")),
    );
    (findings, version > 0)
}

/// A node's clock beside ours. The way there and back makes it uncertain by half of its time.
async fn clock(probe: &Probe, ours: &Clock) -> Finding {
    let before = ours.now();
    match probe.time().await {
        Ok(theirs) => skew(before, theirs, ours.now()),
        Err(error) => unanswered("clock", &error),
    }
}

/// What to say of a node's time that came between two of ours.
fn skew(before: UnixMillis, theirs: UnixMillis, after: UnixMillis) -> Finding {
    const WHAT: &str = "clock";
    let half = after.millis_since(before) / 2;
    let ours = before.plus_millis(half);
    let off = ours.millis_since(theirs).max(theirs.millis_since(ours));
    let least = off.saturating_sub(half);
    let detail = format!("a node's is {off} ms off ours, give or take {half} ms");
    let mend = "let this machine and the nodes keep time by NTP (chrony)";
    match least {
        SKEW_MILLIS_ILL.. => Finding::ill(WHAT, detail, mend),
        SKEW_MILLIS_DOUBT.. => Finding::doubt(WHAT, detail, mend),
        _ => Finding::well(WHAT, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_store::contract::cassandra;

    #[test]
    fn a_clock_that_is_off_is_told_as_far_as_it_is_certain() {
        let of = |before, theirs, after| {
            let [before, theirs, after] = [before, theirs, after].map(UnixMillis::new);
            skew(before, theirs, after)
        };
        let state = |finding: &Finding| (finding.ok, finding.mend.is_some());
        let (well, doubt, ill) = ((true, false), (true, true), (false, true));
        for (theirs, told) in [
            (10_000, well),
            (10_099, well),
            (10_100, doubt),
            (9_900, doubt),
            (11_999, doubt),
            (12_000, ill),
            (8_000, ill),
            (0, ill),
        ] {
            let finding = of(10_000, theirs, 10_000);
            assert_eq!(state(&finding), told, "{finding:?}");
        }
        // An answer that took three seconds may have been given at any time of these.
        assert_eq!(state(&of(10_000, 11_400, 13_000)), well);
        assert_eq!(state(&of(10_000, 15_000, 13_000)), ill);
        let finding = of(10_000, 12_500, 10_200);
        assert!(finding.detail.contains("2400 ms off"), "{finding:?}");
        assert!(finding.mend.unwrap().contains("NTP"));
    }

    /// A real node, beside a clock of ours that is an hour fast, and one that is right.
    #[tokio::test]
    async fn a_real_node_s_clock_is_compared_with_ours() {
        let node = tokio::task::spawn_blocking(cassandra::single);
        let node = node.await.unwrap().unwrap();
        let probe = Probe::open(node.settings("unused")).await.unwrap();
        let found = clock(&probe, &Clock::System).await;
        assert!(found.ok, "{found:?}");
        let ahead = Clock::System.now().plus_millis(3_600_000);
        let found = clock(&probe, &Clock::manual(ahead)).await;
        assert!(!found.ok, "{found:?}");
        assert!(found.mend.unwrap().contains("NTP"));
    }
}
