//! That a log is one process's alone.
//!
//! A log that two had open would be cut, rotated and closed by each under the other's hands: the
//! second would find changes of the first under way, and write down that nobody knows how they
//! ended. So it is taken before anything of it is read. The file stays when the process goes; it is
//! the system that lets go of it, however the process ended.

use super::AuditError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Held by who writes the log and by who carries it; let go of when neither does any more.
#[derive(Debug)]
pub(super) struct Lock {
    /// Locked as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the log at a path, and makes its folder if that is not there.
    pub(super) fn take(log: &Path) -> Result<Arc<Self>, AuditError> {
        let mut name = log.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let failed = |source| AuditError::Open {
            path: name.display().to_string(),
            source,
        };
        let file = open(&name).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Arc::new(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(AuditError::InUse {
                path: log.display().to_string(),
                lock: name.display().to_string(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn open(name: &Path) -> io::Result<File> {
    if let Some(dir) = name.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(name)
}
