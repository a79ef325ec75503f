//! The program compiles plugins in processes of its own kind.

use crate::support::process::component;
use holdfast_runtime::{Compiler, Plugins, PluginsConfig};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast");

const PATIENCE: Duration = Duration::from_secs(60);

fn start(recipe: &str) -> Child {
    Command::new(PROGRAM)
        .args(["plugin", "compile", recipe])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn compile(recipe: &str, wasm: &[u8]) -> Output {
    let mut child = start(recipe);
    // A child that ends before it has read all closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(wasm);
    child.wait_with_output().unwrap()
}

fn open(dir: &Path) -> Plugins {
    Plugins::open(PluginsConfig {
        dir: dir.join("plugins"),
        cache: Some(dir.join("cache")),
        compiler: Compiler::Child {
            program: PROGRAM.into(),
            args: vec!["plugin".into(), "compile".into()],
        },
        ..PluginsConfig::default()
    })
    .unwrap()
}

#[test]
fn what_a_child_compiles_serves() {
    let home = tempfile::tempdir().unwrap();
    let plugins = home.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for name in ["authorizer-quota", "pricing-tiered"] {
        std::fs::copy(
            component(&format!("{name}.wasm")),
            plugins.join(format!("{name}.wasm")),
        )
        .unwrap();
    }
    let states = |plugins: &Plugins| {
        let infos = plugins.list().into_iter();
        infos
            .map(|info| (info.state, info.error))
            .collect::<Vec<_>>()
    };
    let live = ("live".to_owned(), None);
    assert_eq!(states(&open(home.path())), [live.clone(), live.clone()]);
    // Once more, from the cache that the first one filled.
    assert_eq!(states(&open(home.path())), [live.clone(), live]);
}

#[test]
fn what_cannot_be_compiled_is_told_in_one_line() {
    for (recipe, wasm, said) in [
        ("raw", &b""[..], "raw is no recipe"),
        ("timed", b"no component", "does not compile"),
        ("metered", b"\0asm\x0d\0\x01\0\xff\xff", "does not compile"),
    ] {
        let output = compile(recipe, wasm);
        assert_eq!(output.status.code(), Some(1), "{recipe}");
        assert!(output.stdout.is_empty());
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.starts_with(said), "{why}");
    }
}

/// What the system holds a process to, of what it calls so.
#[cfg(target_os = "linux")]
fn bound(process: u32, named: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with(named)).unwrap();
    let hard = line[named.len()..].split_whitespace().nth(1).unwrap();
    hard.to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_bounds_its_memory_and_files_before_it_reads() {
    let mut child = start("timed");
    let of_child = |named: &str| bound(child.id(), named);
    // The bound on memory is set before that on files.
    let begin = Instant::now();
    while of_child("Max file size") != "0" {
        assert!(begin.elapsed() < PATIENCE, "the child sets no bounds");
        std::thread::sleep(Duration::from_millis(5));
    }
    let four_gib = (4_u64 << 30).to_string();
    assert_eq!(of_child("Max address space"), four_gib);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
