//! Plugins that wait for the outside: what they are granted, what they reach, and what they cannot.

mod collector;
mod config;
mod crowd;
mod measured;
mod payment;

use crate::house::{PATIENCE, put};
use holdfast_runtime::{JobsConfig, Lookup, PluginInfo, Plugins, PluginsConfig, Resolve};
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A plugins folder and the door to it, with an outside of the test's own.
struct Yard {
    dir: TempDir,
    plugins: Plugins,
}

impl Yard {
    /// An empty folder.
    fn new(environment: &[(&str, &str)]) -> Self {
        Self::resolving(environment, None)
    }

    /// The same, with names that lead where the test says.
    fn resolving(environment: &[(&str, &str)], resolver: Option<Arc<dyn Resolve>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let environment: BTreeMap<_, _> = environment.iter().map(owned).collect();
        let plugins = Plugins::open(PluginsConfig {
            dir: dir.path().to_owned(),
            jobs: JobsConfig {
                environment: Arc::new(environment),
                resolver,
                ..JobsConfig::default()
            },
            ..PluginsConfig::default()
        })
        .unwrap();
        Self { dir, plugins }
    }

    /// Installs a component under its own name.
    fn install(&self, component: &str, manifest: &str) -> PluginInfo {
        self.install_as(component, component, manifest)
    }

    /// Installs it under another one.
    fn install_as(&self, component: &str, name: &str, manifest: &str) -> PluginInfo {
        put(self.dir.path(), component, name, manifest);
        self.plugins.rescan();
        let is_there = |infos: &[PluginInfo]| infos.iter().any(|info| info.name == name);
        assert!(self.plugins.wait_until(PATIENCE, is_there));
        let infos = self.plugins.list();
        infos.into_iter().rfind(|info| info.name == name).unwrap()
    }
}

/// The golden vectors that ship with a plugin.
fn vectors(plugin: &str) -> String {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    fs::read_to_string(plugins.join(plugin).join("vectors.json")).unwrap()
}

/// A resolver by whom all names lead to the same addresses.
#[derive(Debug)]
struct Leads(Vec<IpAddr>);

impl Leads {
    fn to(addresses: &[&str]) -> Arc<dyn Resolve> {
        Arc::new(Self(addresses.iter().map(|a| a.parse().unwrap()).collect()))
    }
}

impl Resolve for Leads {
    fn lookup<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Why the newest file of a name was refused.
fn refusal(info: PluginInfo) -> String {
    assert_eq!(info.state, "refused", "{info:?}");
    info.error.unwrap()
}
