//! How statements of each class are sent for keys of one home datacenter.

use crate::cql::calls::{Nodes, Route};
use crate::cql::settings::{CqlSettings, Level, Serial};
use crate::cql::statement::Class;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::{Consistency, SerialConsistency};
use std::sync::Arc;

/// One profile for each class.
#[derive(Debug)]
pub(super) struct Profiles {
    read: ExecutionProfileHandle,
    serial: ExecutionProfileHandle,
    write: ExecutionProfileHandle,
    condition: ExecutionProfileHandle,
    stream: ExecutionProfileHandle,
}

impl Profiles {
    pub(super) fn new(home: &str, settings: &CqlSettings, nodes: &Arc<Nodes>) -> Self {
        let of = |class| profile(home, settings, nodes, class).into_handle();
        Self {
            read: of(Class::Read),
            serial: of(Class::SerialRead),
            write: of(Class::Write),
            condition: of(Class::Condition),
            stream: of(Class::Stream),
        }
    }

    pub(super) fn of(&self, class: Class) -> &ExecutionProfileHandle {
        match class {
            Class::Read => &self.read,
            Class::SerialRead => &self.serial,
            Class::Write => &self.write,
            Class::Condition => &self.condition,
            Class::Stream => &self.stream,
        }
    }
}

fn profile(
    home: &str,
    settings: &CqlSettings,
    nodes: &Arc<Nodes>,
    class: Class,
) -> ExecutionProfile {
    let levels = &settings.consistency;
    let level = match class {
        Class::Read | Class::SerialRead => levels.read,
        Class::Write | Class::Condition => levels.write,
        Class::Stream => levels.stream,
    };
    let consistency = match class {
        Class::SerialRead => serial_as_plain(levels.serial),
        _ => plain_level(level),
    };
    let reads = matches!(class, Class::Read | Class::Stream);
    // The majority of all replicas can be asked from anywhere.
    let anywhere = match class {
        Class::SerialRead | Class::Condition => levels.serial == Serial::Global,
        _ => level == Level::Quorum,
    };
    let mut policy = DefaultPolicy::builder()
        .token_aware(true)
        .permit_dc_failover(anywhere || reads && levels.remote_reads);
    policy = match &settings.local_rack {
        Some(rack) if home == settings.local_datacenter => {
            policy.prefer_datacenter_and_rack(home.to_owned(), rack.clone())
        }
        _ => policy.prefer_datacenter(home.to_owned()),
    };
    let route = Route {
        inner: policy.build(),
        nodes: Arc::clone(nodes),
        home: home.to_owned(),
    };
    let mut profile = ExecutionProfile::builder()
        .consistency(consistency)
        .serial_consistency(Some(serial_level(levels.serial)))
        // Deadlines are kept by who calls the driver.
        .request_timeout(None)
        .load_balancing_policy(Arc::new(route))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()));
    if let (Class::Read | Class::Write, Some(after)) = (class, settings.flow.speculate_after) {
        let policy = SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: after,
        };
        profile = profile.speculative_execution_policy(Some(Arc::new(policy)));
    }
    profile.build()
}

const fn plain_level(level: Level) -> Consistency {
    match level {
        Level::LocalOne => Consistency::LocalOne,
        Level::LocalQuorum => Consistency::LocalQuorum,
        Level::Quorum => Consistency::Quorum,
    }
}

const fn serial_as_plain(serial: Serial) -> Consistency {
    match serial {
        Serial::Local => Consistency::LocalSerial,
        Serial::Global => Consistency::Serial,
    }
}

const fn serial_level(serial: Serial) -> SerialConsistency {
    match serial {
        Serial::Local => SerialConsistency::LocalSerial,
        Serial::Global => SerialConsistency::Serial,
    }
}
