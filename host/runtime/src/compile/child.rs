//! Compiling in a child process: the host's half and the child's.
//!
//! The child gets the component on its standard input and gives the code on its standard output; if
//! it cannot, it says why on standard error. It sets bounds on itself before it reads anything, and
//! the host stops it when its time is up.

use super::trusted::Code;
use super::{CODE_BYTES_MAX, time_limit};
use crate::engine::Recipe;
use crate::guest::printable;
use crate::limits::WASM_BYTES_CEILING;
use crate::priority::step_back;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// Address space of the child. Compiling the largest file that is read at all takes less than half.
const CHILD_MEMORY_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes of what a child says went wrong.
const COMPLAINT_BYTES_MAX: usize = 4 * 1024;

/// How often a child that has said all is looked at until it ends.
const REAP_PAUSE: Duration = Duration::from_millis(1);

/// What a child compiled.
pub(super) struct Compiled(Vec<u8>);

impl Compiled {
    /// The code.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The child's half: reads a component, writes code. It bounds the memory, the processor time and
/// the files of the whole process, so nothing else must run in it.
///
/// # Errors
/// The text says what is wrong with the component, or with the bounds.
pub fn compile_as_child(
    recipe: &str,
    from: &mut dyn Read,
    to: &mut dyn Write,
) -> Result<(), String> {
    step_back();
    let recipe = Recipe::named(recipe).ok_or_else(|| {
        format!("{recipe} is no recipe of this host; is it of the version that asks?")
    })?;
    bound(Resource::As, CHILD_MEMORY_BYTES)?;
    // No files and no dumps: it has nothing to write but its standard output.
    bound(Resource::Fsize, 0)?;
    bound(Resource::Core, 0)?;
    let mut wasm = Vec::new();
    from.take(WASM_BYTES_CEILING as u64)
        .read_to_end(&mut wasm)
        .map_err(|e| format!("the component cannot be read ({e})"))?;
    bound(Resource::Cpu, time_limit(wasm.len()).as_secs())?;
    let engine = Engine::new(&recipe.config()).map_err(|e| format!("no engine ({e:#})"))?;
    let code = engine
        .precompile_component(&wasm)
        .map_err(|e| format!("does not compile: {e:#}"))?;
    to.write_all(&code)
        .and_then(|()| to.flush())
        .map_err(|e| format!("the code cannot be written ({e})"))
}

/// Sets a bound on this process, or leaves one that is tighter already.
fn bound(resource: Resource, most: u64) -> Result<(), String> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |set| most.min(set));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(|e| format!("{resource:?} cannot be bounded ({e})"))
}

/// The child's command, without anything of the host's surroundings.
pub(super) fn command(program: &Path, args: &[String], recipe: Recipe) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(recipe.as_str())
        .env_clear()
        .current_dir("/");
    command
}

/// The host's half: starts the child, and waits for it at most so long.
pub(super) fn run(command: &mut Command, wasm: &[u8], most: Duration) -> Result<Code, String> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            let program = command.get_program().display();
            format!("cannot be compiled: {program} cannot be started ({e})")
        })?;
    let talk = match Talk::begin(&mut child, wasm) {
        Ok(talk) => talk,
        Err(why) => {
            stop(&mut child);
            return Err(format!("cannot be compiled: {why}"));
        }
    };
    let left = || most.saturating_sub(start.elapsed());
    let said = talk.end(left()).and_then(|said| {
        let ended = reap(&mut child, &left)?;
        Some((said, ended))
    });
    let Some(((code, complaint), status)) = said else {
        stop(&mut child);
        return Err(format!(
            "took more than {} s to compile and was given up; build it with opt-level = \"s\", or leave out what makes it so large",
            most.as_secs()
        ));
    };
    if !status.success() {
        return Err(failure(status, &String::from_utf8_lossy(&complaint)));
    }
    if code.len() > CODE_BYTES_MAX {
        return Err(format!(
            "becomes more than {CODE_BYTES_MAX} bytes of code, which is more than this host loads"
        ));
    }
    Ok(Code::of_child(Compiled(code)))
}

/// Why a child did not compile. One that finds no memory says so in its own words and is ended by a
/// signal, so its words alone would say too little.
fn failure(status: ExitStatus, complaint: &str) -> String {
    let memory = format!(
        "it may have needed more than its {} MiB of memory",
        CHILD_MEMORY_BYTES / (1024 * 1024)
    );
    match (complaint.trim(), status.code()) {
        ("", _) => format!("cannot be compiled: the compiler ended with {status}; {memory}"),
        (complaint, Some(_)) => printable(complaint),
        (complaint, None) => format!(
            "cannot be compiled: the compiler ended with {status} ({}); {memory}, so build it with opt-level = \"s\", or leave out what makes it so large",
            printable(complaint)
        ),
    }
}

/// The pipes, each served by a thread of its own: a child that writes before it has read all, or
/// does neither, blocks nobody else.
struct Talk {
    code: Receiver<Vec<u8>>,
    complaint: Receiver<Vec<u8>>,
}

impl Talk {
    fn begin(child: &mut Child, wasm: &[u8]) -> Result<Self, String> {
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("its pipes are missing".into());
        };
        let wasm = wasm.to_vec();
        spawn(move || {
            // A child that ends early says why on standard error.
            let _ = input.write_all(&wasm);
        })?;
        Ok(Self {
            // One byte more than may be, so that too much is told from just enough.
            code: hear(output, CODE_BYTES_MAX.saturating_add(1))?,
            complaint: hear(errors, COMPLAINT_BYTES_MAX)?,
        })
    }

    /// All that was said, or none if the child is not through in time.
    fn end(self, most: Duration) -> Option<(Vec<u8>, Vec<u8>)> {
        let start = Instant::now();
        let code = heard(&self.code, most)?;
        let complaint = heard(&self.complaint, most.saturating_sub(start.elapsed()))?;
        Some((code, complaint))
    }
}

/// Reads to the end, or to the bound, after which the pipe is closed.
fn hear(from: impl Read + Send + 'static, most: usize) -> Result<Receiver<Vec<u8>>, String> {
    let (heard, to_be_heard) = channel();
    spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is all there is.
        let _ = from.take(most as u64).read_to_end(&mut bytes);
        // Nobody listens if the child was given up.
        let _ = heard.send(bytes);
    })?;
    Ok(to_be_heard)
}

fn heard(from: &Receiver<Vec<u8>>, most: Duration) -> Option<Vec<u8>> {
    match from.recv_timeout(most) {
        Ok(bytes) => Some(bytes),
        Err(RecvTimeoutError::Timeout) => None,
        // The thread is gone without a word, so there is nothing.
        Err(RecvTimeoutError::Disconnected) => Some(Vec::new()),
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new()
        .name("plugin-compile".into())
        .spawn(work)
        .map_err(|e| format!("no thread can be started ({e})"))
}

/// Waits for the end of a child that has closed its pipes: a matter of microseconds.
fn reap(child: &mut Child, left: &dyn Fn() -> Duration) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if left().is_zero() {
            return None;
        }
        std::thread::sleep(REAP_PAUSE);
    }
}

fn stop(child: &mut Child) {
    // It may just have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn refused(script: &str, most: Duration) -> String {
        match run(&mut shell(script), &vec![0; 1 << 20], most) {
            Ok(_) => panic!("{script} compiled"),
            Err(why) => why,
        }
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_child_that_hangs_is_stopped() {
        let start = Instant::now();
        for script in [
            "exec sleep 1000",
            "exec sleep 1000 >&- 2>&-",
            "cat >/dev/null; exec sleep 1000",
            "while :; do :; done",
        ] {
            let why = refused(script, Duration::from_millis(200));
            assert!(why.contains("was given up"), "{script}: {why}");
        }
        assert!(start.elapsed() < PATIENCE);
    }

    #[test]
    fn a_child_that_fails_says_why() {
        for (script, said) in [
            ("echo 'is no component' >&2; exit 1", "is no component"),
            ("exit 3", "exit status: 3"),
            ("kill -9 $$", "signal: 9"),
            (
                "echo out of memory >&2; kill -9 $$",
                "(out of memory); it may",
            ),
            ("printf 'a\\033[31mb' >&2; exit 1", "a\\u{1b}[31mb"),
            ("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", "xxx"),
        ] {
            let why = refused(script, PATIENCE);
            assert!(why.contains(said), "{script}: {why}");
            assert!(why.len() < 2 * COMPLAINT_BYTES_MAX, "{} bytes", why.len());
        }
        let why = run(&mut Command::new("/does/not/exist"), b"", PATIENCE);
        assert!(why.is_err_and(|why| why.contains("/does/not/exist")));
    }

    #[test]
    fn what_a_child_gives_is_taken_whole() {
        // It writes before it has read all, and reads only then.
        let script = "head -c 300000 /dev/zero; exec cat";
        let code = run(&mut shell(script), &vec![1; 1 << 20], PATIENCE)
            .unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(code.to_bytes().unwrap().len(), 300_000 + (1 << 20));
    }

    #[test]
    fn the_child_knows_its_recipes() {
        let why = compile_as_child("raw", &mut &b""[..], &mut Vec::new()).unwrap_err();
        assert!(why.contains("raw is no recipe"), "{why}");
    }
}
