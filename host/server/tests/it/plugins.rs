//! `holdfast plugin …`: what an author does with files, and an operator with a host.

mod attacking;
mod hostile;
mod projects;
mod serving;
mod signing;
mod trying;

use crate::support::host::Host;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

/// How a command ended: its code, and what it said on either stream.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// What a command said that must have gone well.
    fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What a command said that must have failed.
    fn failed(self) -> String {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        self.out + &self.err
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// Runs `holdfast plugin` in a folder, with nothing in its environment.
fn plugin(dir: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .current_dir(dir)
        .env_clear()
        .arg("plugin")
        .args(arguments);
    ended(command.output().unwrap())
}

/// Runs `holdfast plugin` against a host, as whoever has the key.
async fn call(host: &Host, key: &str, dir: &Path, arguments: &[&str]) -> Ended {
    call_at(host.address, key, dir, arguments).await
}

/// The same against whatever host listens at an address.
async fn call_at(address: SocketAddr, key: &str, dir: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .current_dir(dir)
        .env_clear()
        .env("HOLDFAST_URL", format!("http://{address}"))
        .env("HOLDFAST_KEY", key)
        .arg("plugin")
        .args(arguments);
    // The host may run on this thread.
    let run = tokio::task::spawn_blocking(move || ended(command.output().unwrap()));
    run.await.unwrap()
}

fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Puts a built component into a folder.
fn put(dir: &Path, component: &str, name: &str) {
    let from = crate::support::plugins::dist().join(format!("{component}.wasm"));
    std::fs::copy(from, dir.join(format!("{name}.wasm"))).unwrap();
}
