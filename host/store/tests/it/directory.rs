//! Directories that are no good: each is refused by name, with a mend.

use holdfast_model::ErrorKind;
use holdfast_store::contract::sample::{at, full_draft};
use holdfast_store::{Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with a store in it, closed.
async fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path()).await.unwrap();
    for id in 0..20 {
        store
            .create_request(full_draft(id, id).unwrap(), at(id))
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    dir
}

/// The reason that a directory is refused, which must name it.
async fn refused(dir: &Path) -> String {
    let error = Store::embedded(dir).await.expect_err("this must not open");
    let StoreError::Open { path, why } = &error else {
        panic!("{error:?}");
    };
    assert!(path.starts_with(dir.to_str().unwrap()), "{path}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    why.clone()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn one_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path()).await.unwrap();
    assert!(
        refused(dir.path())
            .await
            .contains("in use by another process")
    );
    store.ping().await.unwrap();
    store.close().await.unwrap();
    Store::embedded(dir.path())
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
}

#[tokio::test]
async fn another_format_is_refused() {
    let dir = filled().await;
    fs::write(dir.path().join("FORMAT"), "holdfast embedded store 2\n").unwrap();
    let why = refused(dir.path()).await;
    assert!(
        why.contains("embedded store 2") && why.contains("state export"),
        "{why}"
    );
}

#[tokio::test]
async fn somebody_elses_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "all of it").unwrap();
    let why = refused(dir.path()).await;
    assert!(
        why.contains("thesis.tex") && why.contains("empty directory"),
        "{why}"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("thesis.tex")).unwrap(),
        "all of it"
    );
}

#[tokio::test]
async fn one_that_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let why = refused(&dir.path().join("file/store")).await;
    assert!(why.contains("cannot be made"), "{why}");
    assert!(
        refused(Path::new("/proc/holdfast"))
            .await
            .contains("cannot be made")
    );
}

#[tokio::test]
async fn missing_parts_are_refused() {
    let dir = filled().await;
    fs::remove_file(dir.path().join("FORMAT")).unwrap();
    assert!(refused(dir.path()).await.contains("no FORMAT file"));
    let dir = filled().await;
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert!(refused(dir.path()).await.contains("db is missing"));
}

#[tokio::test]
async fn what_an_interrupted_start_has_left_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("db.new/keyspaces")).unwrap();
    fs::write(dir.path().join("db.new/0.jnl"), "half").unwrap();
    fs::write(dir.path().join("FORMAT.new"), "holdf").unwrap();
    let store = Store::embedded(dir.path()).await.unwrap();
    store.ping().await.unwrap();
    store.close().await.unwrap();
}

/// Whatever file is cut in half or has a bit turned, opening ends with an error that names the
/// directory or with a store that can be read or says what it cannot read: never with a panic.
#[tokio::test]
async fn damaged_files_never_crash_it() {
    let whole = filled().await;
    let mut refusals = 0;
    for file in files(&whole.path().join("db")) {
        let name = file.strip_prefix(whole.path()).unwrap();
        if !matters(name) {
            continue;
        }
        for damage in [cut as fn(&Path), turn] {
            let copy = tempfile::tempdir().unwrap();
            copy_all(whole.path(), copy.path());
            damage(&copy.path().join(name));
            match Store::embedded(copy.path()).await {
                Ok(store) => {
                    let _ = store.check().await;
                    store.close().await.unwrap();
                }
                Err(StoreError::Open { path, why }) => {
                    assert!(path.starts_with(copy.path().to_str().unwrap()), "{path}");
                    assert!(why.contains("restore"), "{}: {why}", name.display());
                    refusals += 1;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            }
        }
    }
    assert!(refusals >= 3, "only {refusals} damaged stores were refused");
}

/// Every file beside the keyspaces, and those of the first three keyspaces: the others are alike.
fn matters(name: &Path) -> bool {
    let mut parts = name.iter().skip_while(|part| *part != "keyspaces").skip(1);
    parts
        .next()
        .is_none_or(|keyspace| ["0", "1", "2"].iter().any(|n| keyspace == *n))
}

fn cut(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
}

/// Turns a bit in the middle of what is not zero: journals are made longer than they are filled.
fn turn(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let filled = bytes.iter().rposition(|b| *b != 0).unwrap_or(0);
    if let Some(byte) = bytes.get_mut(filled / 2) {
        *byte ^= 0x10;
    }
    fs::write(file, bytes).unwrap();
}

fn copy_all(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}
