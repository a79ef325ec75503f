//! Configuration: layers of text become one typed value, or a list of everything that is wrong.
//!
//! Layers, each over the one before: defaults, `holdfast.toml`, a directory of files (a mounted
//! config map), what config plugins supply, the environment (`HOLDFAST_SECTION__KEY`), flags.
//! `sections` declares every key
//! once; reading, the reference in `schema/config.toml` and what a reload may change come from
//! there.
//!
//! *Architecture invariants:* nobody else reads the environment or a configuration file; a value
//! that was accepted here needs no second look elsewhere.

mod advice;
mod check;
mod field;
mod layers;
mod live;
mod problem;
mod production;
mod reader;
mod reference;
mod secret;
mod section;
mod sections;
mod setting;
mod value;
pub mod watch;

pub use field::{Change, Reload};
pub use layers::{Environment, Sources};
pub use live::{Commit, Live, Subscriber};
pub use problem::{Complaint, Origin, Problem, Problems};
pub use production::REPLICAS_MIN;
pub use reference::reference;
pub use secret::Secret;
pub use sections::{
    AtRest, Audit, Auth, ClusterApi, Config, Copies, Cql, CqlConnections, CqlConsistency, CqlFlow,
    CqlLayout, CqlTimeouts, CqlTls, FrameCompression, General, Issuer, Kubo, Level, Limits, Log,
    LogFormat, Migrate, Ops, Plugins, Policies, SerialScope, Server, Store, StoreKind,
    TabletChoice, TombstoneGc,
};
pub use value::{Bounded, ByteSize, Millis, Named, Pairs, Replication};

use layers::Supplied;
use reader::Reader;
use std::path::PathBuf;

/// A configuration that holds together, and the files it was read from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Every file that has a part in it: when one changes, it is to be read again.
    pub files: Vec<PathBuf>,
    /// How they looked then.
    pub look: watch::Look,
}

/// Looks deeper into a configuration than its values: reads the keys and certificates that it
/// names.
pub type Inspect = fn(&Config) -> Vec<Complaint>;

/// Reads all layers and checks them.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(sources: &Sources, inspect: Inspect) -> Result<Loaded, Problems> {
    load_with(sources, inspect, &[])
}

/// The same, with what config plugins lay over the files.
fn load_with(
    sources: &Sources,
    inspect: Inspect,
    supplied: &[Supplied],
) -> Result<Loaded, Problems> {
    let gathered = layers::gather(sources, supplied);
    let mut reader = Reader::new(gathered, &sources.environment);
    let config = Config::read(&mut reader);
    reader.report_unknown();
    let mut complaints = check::check(&config);
    if config.general.production {
        complaints.extend(production::check(&config, &sources.files()));
    }
    complaints.extend(inspect(&config));
    complaints.extend(advice::out_of_place(&config, supplied));
    for complaint in complaints {
        reader.complain(complaint);
    }
    let (problems, mut files) = reader.finish();
    files.extend(config.files());
    if problems.is_empty() {
        let look = watch::Look::at(&files);
        return Ok(Loaded {
            config,
            files,
            look,
        });
    }
    Err(Problems::new(problems))
}
