//! How statements of each class are sent for keys of one home datacenter.

use crate::cql::calls::{Nodes, Route};
use crate::cql::settings::{ConsistencyLevels, CqlSettings, Level, Serial};
use crate::cql::statement::Class;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
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
    let mut policy = DefaultPolicy::builder()
        .token_aware(true)
        .permit_dc_failover(may_leave_home(class, levels));
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
    // What is sent a second time while it is late is so by who calls the driver, too.
    ExecutionProfile::builder()
        .consistency(consistency)
        .serial_consistency(Some(serial_level(levels.serial)))
        // Deadlines are kept by who calls the driver.
        .request_timeout(None)
        .load_balancing_policy(Arc::new(route))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build()
}

/// Whether nodes outside of a key's home datacenter may be asked.
pub(super) fn may_leave_home(class: Class, levels: &ConsistencyLevels) -> bool {
    // The majority of all replicas can be asked from anywhere.
    match class {
        Class::SerialRead | Class::Condition => levels.serial == Serial::Global,
        Class::Write => levels.write == Level::Quorum,
        Class::Read => levels.read == Level::Quorum || levels.remote_reads,
        Class::Stream => levels.stream == Level::Quorum || levels.remote_reads,
    }
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
