//! Keys and signatures.

use super::{plugin, put};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::tempdir;

#[test]
fn a_signature_holds_for_its_key_and_its_component_alone() {
    let dir = tempdir().unwrap();
    put(dir.path(), "pricing-tiered", "p");
    let made = plugin(dir.path(), &["keygen", "ours.key", "--json"]).json();
    let ours = made["public_key"].as_str().unwrap().to_owned();
    let mode = fs::metadata(dir.path().join("ours.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let told = plugin(dir.path(), &["keygen", "ours.key"]).failed();
    assert!(told.contains("already"), "{told}");
    let theirs = plugin(dir.path(), &["keygen", "theirs.key", "--json"]).json();
    let theirs = theirs["public_key"].as_str().unwrap().to_owned();

    let told = plugin(dir.path(), &["check", "p.wasm", "--trusted-key", &ours]).failed();
    assert!(told.contains("holdfast plugin sign"), "{told}");
    let told = plugin(dir.path(), &["sign", "p.wasm", "--key-file", "ours.key"]).good();
    let id = made["key_id"].as_str().unwrap();
    assert!(told.contains(id), "{told}");
    let told = plugin(dir.path(), &["check", "p.wasm", "--trusted-key", &ours]).good();
    assert!(told.contains(&format!("by key {id}")), "{told}");
    let told = plugin(dir.path(), &["check", "p.wasm", "--trusted-key", &theirs]).failed();
    assert!(told.contains("not trusted"), "{told}");

    // Another component under the same signature.
    let path = dir.path().join("p.wasm");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0, 2, 1, b'x']);
    fs::write(&path, bytes).unwrap();
    let told = plugin(dir.path(), &["check", "p.wasm", "--trusted-key", &ours]).failed();
    assert!(told.contains("changed after"), "{told}");
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let dir = tempdir().unwrap();
    put(dir.path(), "pricing-tiered", "p");
    plugin(dir.path(), &["keygen", "k"]).good();
    let key = dir.path().join("k");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = plugin(dir.path(), &["sign", "p.wasm", "--key-file", "k"]).failed();
    assert!(told.contains("chmod 600"), "{told}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "no key").unwrap();
    let told = plugin(dir.path(), &["sign", "p.wasm", "--key-file", "k"]).failed();
    assert!(told.contains("keygen"), "{told}");
    assert!(!dir.path().join("p.sig").exists());
    // What is no plugin gets no signature.
    fs::write(dir.path().join("p.wasm"), "x").unwrap();
    plugin(dir.path(), &["keygen", "other"]).good();
    plugin(dir.path(), &["sign", "p.wasm", "--key-file", "other"]).failed();
    assert!(!dir.path().join("p.sig").exists());
}
