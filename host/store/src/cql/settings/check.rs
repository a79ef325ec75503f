//! What settings cannot be, and what may not change while the store is open.
//!
//! Every complaint names the key of the configuration and what to write instead.

use super::{CqlSettings, Layout, Level, Serial};
use holdfast_model::Invalid;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// The longest name of a keyspace that servers take.
const KEYSPACE_CHARS_MAX: usize = 48;

/// Longer than this nobody waits for anything; it is a slip of the unit.
const TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// Shorter than this a network alone can take.
const TIMEOUT_MIN: Duration = Duration::from_millis(5);

/// Faster than this keepalives are a load, and a server that collects garbage looks dead.
const KEEPALIVE_MIN: Duration = Duration::from_millis(500);

/// A lease ends in whole seconds, and is renewed several times while it lasts.
const LEASE_MIN: Duration = Duration::from_secs(2);

/// Requests that one connection can number, and the least that a node has.
const IN_FLIGHT_MAX: usize = 32_768;

/// Replicas of one datacenter: more than this is a slip.
const REPLICAS_MAX: u16 = 32;

/// Homes are numbered in a byte.
const HOMES_MAX: usize = 64;

impl CqlSettings {
    /// Looks whether the settings can be used at all, without asking anybody.
    ///
    /// # Errors
    /// The first key that cannot, with what to write instead.
    pub fn check(&self) -> Result<(), Invalid> {
        check_points(&self.contact_points)?;
        check_datacenter("store.cql.local_datacenter", &self.local_datacenter)?;
        check_keyspace(&self.keyspace)?;
        self.check_replication()?;
        self.check_login()?;
        self.check_timeouts()?;
        self.check_consistency()?;
        check_layout(&self.layout)?;
        self.check_homes()?;
        self.check_flow()
    }

    /// Looks whether an open store can go on with `new` settings.
    ///
    /// # Errors
    /// The first key that needs a new start.
    pub fn check_change(&self, new: &Self) -> Result<(), Invalid> {
        let fixed = |key: &str, same: bool| match same {
            true => Ok(()),
            false => Err(Invalid::new(
                key,
                "cannot change while the store is open; put the old value back or restart",
            )),
        };
        fixed("store.cql.keyspace", self.keyspace == new.keyspace)?;
        fixed("store.cql.replication", self.replication == new.replication)?;
        fixed("store.cql.layout", self.layout == new.layout)?;
        // Keys without a list of homes live in the local datacenter of the first start.
        fixed("store.cql.local_datacenter", self.homes() == new.homes())?;
        fixed(
            "store.cql.consistency.serial",
            self.consistency.serial == new.consistency.serial,
        )
    }

    fn check_replication(&self) -> Result<(), Invalid> {
        const KEY: &str = "store.cql.replication";
        let mut seen = HashSet::new();
        for (datacenter, replicas) in &self.replication {
            check_datacenter(KEY, datacenter)?;
            if *replicas == 0 || *replicas > REPLICAS_MAX {
                let why = format!("{datacenter} has {replicas} replicas; 1 to {REPLICAS_MAX}");
                return Err(Invalid::new(KEY, why));
            }
            if !seen.insert(datacenter) {
                return Err(Invalid::new(KEY, format!("{datacenter} is there twice")));
            }
        }
        if !seen.contains(&self.local_datacenter) {
            let local = &self.local_datacenter;
            let why = format!("has no replicas in the local datacenter; add {local}:3");
            return Err(Invalid::new(KEY, why));
        }
        Ok(())
    }

    fn check_login(&self) -> Result<(), Invalid> {
        let Some(login) = &self.login else {
            return Ok(());
        };
        if login.username.is_empty() {
            return Err(Invalid::new("store.cql.username", "is empty; name a role"));
        }
        if login.password.is_empty() {
            let why = "is empty; give the role's password, as env:NAME or file:PATH";
            return Err(Invalid::new("store.cql.password", why));
        }
        Ok(())
    }

    fn check_timeouts(&self) -> Result<(), Invalid> {
        let times = &self.timeouts;
        for (key, time, least) in [
            ("connect", times.connect, TIMEOUT_MIN),
            ("session", times.session, TIMEOUT_MIN),
            ("prepare", times.prepare, TIMEOUT_MIN),
            ("read", times.read, TIMEOUT_MIN),
            ("write", times.write, TIMEOUT_MIN),
            ("condition", times.condition, TIMEOUT_MIN),
            ("page", times.page, TIMEOUT_MIN),
            ("schema", times.schema, TIMEOUT_MIN),
            ("lease", times.lease, LEASE_MIN),
            ("keepalive", times.keepalive, KEEPALIVE_MIN),
        ] {
            if time < least || time > TIMEOUT_MAX {
                let why = format!("is {time:?}; {least:?} to {TIMEOUT_MAX:?}");
                return Err(Invalid::new(format!("store.cql.timeouts.{key}"), why));
            }
        }
        if times.connect > times.session {
            let why = format!("is longer than timeouts.session ({:?})", times.session);
            return Err(Invalid::new("store.cql.timeouts.connect", why));
        }
        Ok(())
    }

    fn check_consistency(&self) -> Result<(), Invalid> {
        let levels = &self.consistency;
        if levels.serial == Serial::Local {
            return Ok(());
        }
        for (key, level) in [("read", levels.read), ("write", levels.write)] {
            if level != Level::Quorum {
                let why = "conditional writes are decided by all datacenters \
                           (consistency.serial is global); it must be quorum";
                return Err(Invalid::new(format!("store.cql.consistency.{key}"), why));
            }
        }
        Ok(())
    }

    fn check_homes(&self) -> Result<(), Invalid> {
        const KEY: &str = "store.cql.layout.homes";
        let homes = &self.layout.homes;
        if homes.len() > HOMES_MAX {
            return Err(Invalid::new(KEY, format!("at most {HOMES_MAX}")));
        }
        let mut seen = HashSet::new();
        for home in homes {
            if !self.replication.iter().any(|(of, _)| of == home) {
                let why = format!("{home} has no replicas; add it to store.cql.replication");
                return Err(Invalid::new(KEY, why));
            }
            if !seen.insert(home) {
                return Err(Invalid::new(KEY, format!("{home} is there twice")));
            }
        }
        Ok(())
    }

    fn check_flow(&self) -> Result<(), Invalid> {
        let flow = &self.flow;
        for (key, number) in [
            ("in_flight", flow.in_flight),
            ("node_in_flight", flow.node_in_flight),
            ("stream_pages", flow.stream_pages),
        ] {
            if number == 0 || number > IN_FLIGHT_MAX {
                let why = format!("is {number}; 1 to {IN_FLIGHT_MAX}");
                return Err(Invalid::new(format!("store.cql.flow.{key}"), why));
            }
        }
        if flow.retry_percent > 100 {
            let why = "is over 100; a share of all calls, such as 20";
            return Err(Invalid::new("store.cql.flow.retry_percent", why));
        }
        if let Some(after) = flow.speculate_after
            && (after.is_zero() || after >= self.timeouts.read)
        {
            let why = format!("is {after:?}; more than 0 and less than timeouts.read");
            return Err(Invalid::new("store.cql.flow.speculate_after", why));
        }
        Ok(())
    }
}

fn check_points(points: &[String]) -> Result<(), Invalid> {
    const KEY: &str = "store.cql.contact_points";
    if points.is_empty() {
        return Err(Invalid::new(KEY, "is empty; name at least one node"));
    }
    for point in points {
        let wrong = |why: &str| Err(Invalid::new(KEY, format!("{point:?}: {why}")));
        if point.parse::<IpAddr>().is_ok() {
            continue;
        }
        let (host, port) = match point.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (point.as_str(), None),
        };
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return wrong("write host or host:port, without a scheme");
        }
        if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
            return wrong("the port is 1 to 65535");
        }
    }
    Ok(())
}

/// Names go into the text of statements, so they are plain.
fn check_datacenter(key: &str, name: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        let why = format!("{name:?} is no datacenter; write it as `nodetool status` shows it");
        return Err(Invalid::new(key, why));
    }
    Ok(())
}

fn check_keyspace(name: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if !begins || !name.chars().all(plain) || name.len() > KEYSPACE_CHARS_MAX {
        let why = format!(
            "{name:?}: a small letter, then small letters, digits and _, \
             {KEYSPACE_CHARS_MAX} characters at most"
        );
        return Err(Invalid::new("store.cql.keyspace", why));
    }
    Ok(())
}

fn check_layout(layout: &Layout) -> Result<(), Invalid> {
    let wrong = |key: &str, why: &str| Err(Invalid::new(format!("store.cql.layout.{key}"), why));
    if !(8..=31).contains(&layout.prefix_bits) {
        return wrong("prefix_bits", "8 to 31; 28 is right for nearly all");
    }
    if layout.peer_bucket_bits > layout.prefix_bits.min(20) {
        return wrong("peer_bucket_bits", "at most 20, and at most prefix_bits");
    }
    for (key, shards) in [
        ("feed_shards", layout.feed_shards),
        ("expiry_shards", layout.expiry_shards),
    ] {
        if !(1..=256).contains(&shards) {
            return wrong(key, "1 to 256");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::settings::{Login, TlsFiles};

    fn good() -> CqlSettings {
        let mut settings = CqlSettings::new(vec!["db1:9042".to_owned()], "dc1", "holdfast");
        settings.replication = vec![("dc1".to_owned(), 3), ("dc2".to_owned(), 3)];
        settings
    }

    fn complaint(change: impl FnOnce(&mut CqlSettings)) -> String {
        let mut settings = good();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn good_settings_pass() {
        good().check().unwrap();
        for point in [
            "10.0.0.1",
            "10.0.0.1:9042",
            "db.example",
            "::1",
            "[::1]:9042",
        ] {
            let mut settings = good();
            settings.contact_points = vec![point.to_owned()];
            settings.check().unwrap();
        }
    }

    /// The complaint about a change of good settings begins with the key.
    fn refused(key: &str, change: impl FnOnce(&mut CqlSettings)) {
        let complaint = complaint(change);
        let begins = complaint.starts_with(&format!("store.cql.{key}: "));
        assert!(begins, "{key}: {complaint}");
    }

    #[test]
    fn complaints_of_where_and_what_name_their_key() {
        refused("contact_points", |s| s.contact_points.clear());
        refused("contact_points", |s| s.contact_points[0] = "tcp://a".into());
        refused("contact_points", |s| s.contact_points[0] = "a:0".into());
        refused("local_datacenter", |s| s.local_datacenter = "d c".into());
        refused("replication", |s| s.local_datacenter = "dc9".into());
        refused("keyspace", |s| s.keyspace = "Pins".into());
        refused("keyspace", |s| s.keyspace = "a\"; drop".into());
        refused("replication", |s| s.replication[0].1 = 0);
        refused("replication", |s| s.replication[1].0 = "dc1".into());
        refused("password", |s| {
            s.login = Some(Login {
                username: "a".into(),
                password: String::new(),
            });
        });
    }

    #[test]
    fn complaints_of_how_name_their_key() {
        let second = Duration::from_secs(1);
        refused("timeouts.read", |s| s.timeouts.read = Duration::ZERO);
        refused("timeouts.connect", |s| s.timeouts.session = second);
        refused("timeouts.keepalive", |s| s.timeouts.keepalive = second / 10);
        refused("consistency.read", |s| {
            s.consistency.serial = Serial::Global
        });
        refused("layout.prefix_bits", |s| s.layout.prefix_bits = 32);
        refused("layout.feed_shards", |s| s.layout.feed_shards = 0);
        refused("layout.homes", |s| s.layout.homes = vec!["dc3".into()]);
        refused("flow.in_flight", |s| s.flow.in_flight = 0);
        refused("flow.retry_percent", |s| s.flow.retry_percent = 101);
        refused("flow.speculate_after", |s| {
            s.flow.speculate_after = Some(second * 5);
        });
    }

    #[test]
    fn what_is_fixed_at_the_start_is_refused_by_name() {
        let refused = |change: fn(&mut CqlSettings)| {
            let mut new = good();
            change(&mut new);
            good().check_change(&new).unwrap_err().what
        };
        assert_eq!(
            refused(|s| s.keyspace = "other".into()),
            "store.cql.keyspace"
        );
        assert_eq!(refused(|s| s.replication[0].1 = 5), "store.cql.replication");
        assert_eq!(refused(|s| s.layout.prefix_bits = 9), "store.cql.layout");
        assert_eq!(
            refused(|s| s.local_datacenter = "dc2".into()),
            "store.cql.local_datacenter"
        );
        let mut new = good();
        new.contact_points = vec!["db2".into()];
        new.timeouts.read *= 2;
        good().check_change(&new).unwrap();
    }

    #[test]
    fn no_secret_is_shown() {
        let mut settings = good();
        settings.login = Some(Login {
            username: "holdfast".to_owned(),
            password: "hunter2".to_owned(),
        });
        settings.tls = Some(TlsFiles {
            ca: "ca.pem".into(),
            client: None,
            server_name: None,
        });
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("Login(holdfast)") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
