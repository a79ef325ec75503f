//! Real components in a host's plugins folder.

use super::host::Host;
use holdfast_runtime::PluginInfo;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Puts a component under a name, by rename as an installer does, and takes it in.
pub(crate) async fn install(host: &Host, component: &str, name: &str, manifest: &str) {
    let folder = host.dir.path().join("plugins");
    let component = component.to_owned();
    let (name, manifest) = (name.to_owned(), manifest.to_owned());
    let plugins = host.app.plugins.clone();
    // Compiling a component takes a while: not on a thread that serves calls.
    let installed = tokio::task::spawn_blocking(move || {
        let from = dist().join(format!("{component}.wasm"));
        let beside = folder.join(format!(".{name}.tmp"));
        fs::write(folder.join(format!("{name}.toml")), manifest).unwrap();
        fs::copy(from, &beside).unwrap();
        fs::rename(beside, folder.join(format!("{name}.wasm"))).unwrap();
        plugins.rescan();
        let infos = plugins.list();
        infos.into_iter().rfind(|info| info.name == name)
    });
    let info: PluginInfo = installed.await.unwrap().expect("the plugin is listed");
    assert_eq!((info.state.as_str(), info.error), ("live", None));
}

/// Where the built components are. The first test of a fresh clone builds them; the lock is for
/// test binaries that run side by side.
pub(crate) fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let dist = plugins.join("dist");
        fs::create_dir_all(&dist).unwrap();
        let lock = File::create(dist.join(".lock")).unwrap();
        lock.lock().unwrap();
        let names = [
            "pricing-tiered",
            "authorizer-quota",
            "hostile-pricing",
            "hostile-authorizer",
            "hostile-payment",
            "hostile-config",
            "payment-webhook",
            "config-env-overlay",
            "config-guard",
        ];
        let is_built = |name: &&str| dist.join(format!("{name}.wasm")).exists();
        if !names.iter().all(is_built) {
            let built = Command::new(plugins.join("build")).status().unwrap();
            assert!(built.success(), "plugins/build failed");
        }
        dist
    })
}
