//! Apache Cassandra for tests: one node that they share, and clusters to break.
//!
//! [`single`] answers with a node that is kept in the target directory, started by whoever finds it
//! dead and used by all test binaries of this clone; `make test-servers-down` ends it. Each test
//! takes a [`keyspace`](SingleNode::keyspace) of its own on it. A [`Cluster`] belongs to one test
//! and ends with it, or with the process, however that ends.
//!
//! Everything here blocks; in an asynchronous test, call it where that is no harm. The program
//! behind it is `.ci/tools/cassandra`.

mod cluster;
mod launcher;

pub use cluster::{Cluster, Network, Tls};

use crate::{CqlSettings, Login};
use launcher::{Description, Launcher};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the keyspaces of tests begin with; then come the process and a number.
const KEYSPACE_PREFIX: &str = "t_";

/// Set to a directory, it makes several clones share one node.
const SHARED_DIR: &str = "HOLDFAST_TEST_CASSANDRA_DIR";

/// Memory of the shared node: for the tables of some hundred tests.
const SINGLE_HEAP: &str = "512m";

/// The login that Cassandra makes by itself: a superuser whose password everybody knows.
#[must_use]
pub fn default_login() -> Login {
    Login {
        username: "cassandra".to_owned(),
        password: "cassandra".to_owned(),
    }
}

/// The shared node, started if need be.
///
/// # Errors
/// It is not installed, or does not start; the text says what to do. All later calls get the same
/// answer.
pub fn single() -> io::Result<&'static SingleNode> {
    static NODE: OnceLock<Result<SingleNode, String>> = OnceLock::new();
    NODE.get_or_init(|| SingleNode::start().map_err(|e| e.to_string()))
        .as_ref()
        .map_err(|told| io::Error::other(told.clone()))
}

/// One node that all tests share.
#[derive(Debug)]
pub struct SingleNode {
    about: Description,
    keyspaces: AtomicU32,
    /// Locked while this process lives, so that nobody clears the node meanwhile.
    _in_use: File,
}

impl SingleNode {
    fn start() -> io::Result<Self> {
        let dir = match std::env::var_os(SHARED_DIR) {
            Some(dir) => PathBuf::from(dir),
            None => target_dir()?.join("cassandra-test"),
        };
        std::fs::create_dir_all(&dir)?;
        let in_use = File::create(dir.join("in-use"))?;
        let launcher = Launcher::new(dir);
        if in_use.try_lock().is_ok() {
            // A node whose start was cut short cannot be swept; `up` goes on with it.
            launcher.run("sweep", &["--prefix", KEYSPACE_PREFIX]).ok();
        }
        // In between somebody else may have the lock and clear the node. We start it only once we
        // hold our share of the lock, and from then on it stays.
        in_use.unlock()?;
        in_use.lock_shared()?;
        launcher.run("up", &["--quiet", "--heap", SINGLE_HEAP])?;
        Ok(Self {
            about: launcher.describe()?,
            keyspaces: AtomicU32::new(0),
            _in_use: in_use,
        })
    }

    /// The name of a keyspace that nobody has used.
    #[must_use]
    pub fn keyspace(&self) -> String {
        let number = self.keyspaces.fetch_add(1, Ordering::Relaxed);
        format!("{KEYSPACE_PREFIX}{}_{number}", std::process::id())
    }

    /// Settings for a store in a keyspace on this node, as the host's own unprivileged role.
    #[must_use]
    pub fn settings(&self, keyspace: &str) -> CqlSettings {
        self.about.settings(keyspace)
    }

    /// The login of the host's role, which may make keyspaces but is no superuser.
    #[must_use]
    pub fn host_login(&self) -> Login {
        self.about.host.clone().into()
    }

    /// A superuser's login; its password is not the default one.
    #[must_use]
    pub fn superuser(&self) -> Login {
        self.about.superuser.clone().into()
    }
}

/// The directory that Cargo builds in: the one above this program that is marked as a cache.
fn target_dir() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let is_target = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file();
    let found = program.ancestors().find(is_target).map(Path::to_owned);
    found.ok_or_else(|| {
        let at = program.display();
        io::Error::other(format!("{at} is in no target directory of Cargo's"))
    })
}
