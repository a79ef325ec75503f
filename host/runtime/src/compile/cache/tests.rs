//! What the cache takes for its own, and what it does not.

use super::*;
use prometheus::Opts;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn dropped() -> IntCounterVec {
    IntCounterVec::new(Opts::new("dropped", "dropped"), &["reason"]).unwrap()
}

fn cache() -> (TempDir, Cache) {
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::open(&home.path().join("cache"), dropped()).unwrap();
    (home, cache)
}

fn bytes(cache: &Cache, name: &str) -> Option<Vec<u8>> {
    cache.get(name).map(|code| code.to_bytes().unwrap())
}

fn put(cache: &Cache, name: &str, code: &[u8]) {
    cache.put(name, &Code::of_cache(Proven(code.to_vec())));
}

fn count(cache: &Cache, reason: &str) -> u64 {
    cache.dropped.with_label_values(&[reason]).get()
}

#[test]
fn what_is_put_in_comes_out_and_outlives_a_restart() {
    let (home, cache) = cache();
    assert_eq!(bytes(&cache, "a"), None);
    put(&cache, "a", b"code");
    assert_eq!(bytes(&cache, "a").unwrap(), b"code");
    drop(cache);
    let again = Cache::open(&home.path().join("cache"), dropped()).unwrap();
    assert_eq!(bytes(&again, "a").unwrap(), b"code");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&again.dir), 0o700);
    assert_eq!(mode(&again.dir.join("key")), 0o600);
    assert_eq!(mode(&again.path("a")), 0o600);
}

#[test]
fn what_was_changed_is_thrown_away() {
    let (_home, cache) = cache();
    put(&cache, "a", b"code of a");
    let whole = fs::read(cache.path("a")).unwrap();
    let mut turned = whole.clone();
    *turned.last_mut().unwrap() ^= 1;
    let mut tag_turned = whole.clone();
    tag_turned[0] ^= 1;
    for (n, changed) in [
        &turned[..],
        &tag_turned,
        &whole[..whole.len() - 1],
        &whole[..MAC_BYTES],
        &whole[..5],
        b"",
        &[whole.clone(), b"more".to_vec()].concat(),
    ]
    .iter()
    .enumerate()
    {
        fs::write(cache.path("a"), changed).unwrap();
        assert_eq!(bytes(&cache, "a"), None, "change {n}");
        assert!(!cache.path("a").exists());
        assert_eq!(count(&cache, "unproven"), n as u64 + 1);
        fs::write(cache.path("a"), &whole).unwrap();
        let own = fs::Permissions::from_mode(0o600);
        fs::set_permissions(cache.path("a"), own).unwrap();
    }
    assert_eq!(bytes(&cache, "a").unwrap(), b"code of a");
}

#[test]
fn an_entry_counts_under_its_own_name_and_key_alone() {
    let (_home, cache) = cache();
    put(&cache, "a", b"code of a");
    fs::copy(cache.path("a"), cache.path("b")).unwrap();
    assert_eq!(bytes(&cache, "b"), None);
    let (_other_home, other) = self::cache();
    fs::copy(cache.path("a"), other.path("a")).unwrap();
    assert_eq!(bytes(&other, "a"), None);
    assert_eq!(bytes(&cache, "a").unwrap(), b"code of a");
}

#[test]
fn a_folder_that_others_can_reach_is_refused_with_the_mend() {
    let (_home, cache) = cache();
    let open = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        Cache::open(&cache.dir, dropped()).map(|_| ())
    };
    let why = open(&cache.dir, 0o755).unwrap_err();
    assert!(
        why.contains("mode 755") && why.contains("set it to 700"),
        "{why}"
    );
    assert!(open(&cache.dir, 0o700).is_ok());
    let why = open(&cache.dir.join("key"), 0o644).unwrap_err();
    assert!(
        why.contains("key") && why.contains("set it to 600"),
        "{why}"
    );
    assert!(open(&cache.dir.join("key"), 0o600).is_ok());
    fs::write(cache.dir.join("key"), b"short").unwrap();
    let why = open(&cache.dir.join("key"), 0o600).unwrap_err();
    assert!(why.contains("remove the folder"), "{why}");

    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Cache::open(&file, dropped()).is_err());
    let link = home.path().join("link");
    std::os::unix::fs::symlink(&cache.dir, &link).unwrap();
    let why = Cache::open(&link, dropped()).unwrap_err();
    assert!(why.contains("is no folder"), "{why}");
}

#[test]
fn the_oldest_goes_when_it_is_full() {
    let (_home, mut cache) = cache();
    cache.bytes_max = 3 * (MAC_BYTES as u64 + 10);
    let age = |name: &str, seconds: u64| {
        let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(cache.path(name))
            .unwrap()
            .set_modified(then)
            .unwrap();
    };
    for (name, seconds) in [("a", 3), ("b", 1), ("c", 2)] {
        put(&cache, name, &[7; 10]);
        age(name, seconds);
    }
    // Used once more: now the other old one is the next to go.
    assert!(bytes(&cache, "b").is_some());
    put(&cache, "d", &[7; 10]);
    let there = ["a", "b", "c", "d"].map(|name| cache.path(name).exists());
    assert_eq!(there, [true, true, false, true]);
    assert_eq!(count(&cache, "evicted"), 1);
    // One that is larger than all may be is kept, alone.
    put(&cache, "e", &[7; 1_000]);
    assert!(bytes(&cache, "e").is_some());
}

#[test]
fn what_a_stopped_process_left_is_swept() {
    let (home, cache) = cache();
    let part = cache.dir.join("a.part");
    fs::write(&part, b"half").unwrap();
    Cache::open(&home.path().join("cache"), dropped()).unwrap();
    assert!(!part.exists());
}
