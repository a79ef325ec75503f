//! Where a command finds its configuration.

use crate::config::Sources;
use clap::Args;
use std::path::PathBuf;

/// The flags that name configuration.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Where {
    /// The configuration file [default: ./holdfast.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A directory of configuration files, such as a mounted config map.
    #[arg(long, value_name = "DIR", env = "HOLDFAST_CONFIG_DIR")]
    config_dir: Option<PathBuf>,
}

impl Where {
    /// The layers, with the environment as it is now and these flags over it: key, value, flag.
    pub(super) fn sources(&self, flags: Vec<(String, String, String)>) -> Sources {
        // A variable that is no UTF-8 is none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources {
            file: self.config.clone(),
            dir: self.config_dir.clone(),
            environment,
            flags,
        }
    }
}
