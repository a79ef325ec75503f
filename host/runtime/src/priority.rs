//! Who goes first where several want a processor: whoever serves before the work that must not
//! hold up calls, and the clock of guests before both.
//!
//! Of two that want a processor Linux (6.12 and later) lets the one go first that asks for less at
//! once (`EEVDF`), also in the middle of what the other asked for. How much each is given in the
//! end is a matter of niceness and not of that, so that asking for little takes nothing away.

#[cfg(target_os = "linux")]
use rustix::process::{getpriority_process, setpriority_process};
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// How far it steps back: to a tenth of a processor on a machine that is wholly busy, so that what
/// is compiled there still is done in its time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How much is asked for at once by who stepped back: more than others do. With niceness alone, one
/// who serves would wait for a tick of the system's clock.
#[cfg(target_os = "linux")]
const LONG_SLICE: Duration = Duration::from_millis(5);

/// The same by who serves: less than the 1.4 to 2.8 ms of whoever says nothing.
#[cfg(target_os = "linux")]
const SHORT_SLICE: Duration = Duration::from_micros(500);

/// The same by a ticker, which needs some microseconds: the least that Linux takes.
#[cfg(target_os = "linux")]
const SHORTEST_SLICE: Duration = Duration::from_micros(100);

/// Has the calling thread give way to others from now on, and the processes that it starts. On
/// Linux alone, where niceness belongs to a thread: elsewhere the whole process would step back.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        // Whoever was started by one that stepped back has done so already, and twice is too far.
        let is = getpriority_process(None).unwrap_or_default();
        let niceness = is.max(NICENESS);
        // Where slices are not to be had (a sandbox may forbid them), niceness is half of it.
        let stepped = ask_for(LONG_SLICE, niceness, Children::Alike)
            .or_else(|_| setpriority_process(None, niceness).map_err(io::Error::from));
        if let Err(error) = stepped {
            // It then works as before, and takes its share from calls.
            tracing::debug!(%error, "a thread cannot step back");
        }
    }
}

/// Has the calling thread go before others that want its processor from now on, and not the threads
/// that it starts: for whoever serves.
pub fn go_first() {
    #[cfg(target_os = "linux")]
    go_first_with(SHORT_SLICE);
}

/// The same before those that serve, for who needs the processor for a moment at a time.
pub(crate) fn go_before_all() {
    #[cfg(target_os = "linux")]
    go_first_with(SHORTEST_SLICE);
}

#[cfg(target_os = "linux")]
fn go_first_with(slice: Duration) {
    let niceness = getpriority_process(None).unwrap_or_default();
    if let Err(error) = ask_for(slice, niceness, Children::AsOthers) {
        // It then waits for its turn as others do.
        tracing::debug!(%error, "a thread cannot go before others");
    }
}

/// How the threads and processes begin that a thread starts.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    Alike,
    AsOthers,
}

/// Sets the calling thread's slice and niceness. Linux before 6.12 takes the slice and ignores it.
#[cfg(target_os = "linux")]
fn ask_for(slice: Duration, niceness: i32, children: Children) -> io::Result<()> {
    let flags = match children {
        Children::Alike => libc::SCHED_FLAG_KEEP_POLICY,
        Children::AsOthers => libc::SCHED_FLAG_KEEP_POLICY | libc::SCHED_FLAG_RESET_ON_FORK,
    };
    let mut attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default(),
        sched_policy: 0,
        sched_flags: u64::from(flags.unsigned_abs()),
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: u64::try_from(slice.as_nanos()).unwrap_or_default(),
        sched_deadline: 0,
        sched_period: 0,
    };
    let (this_thread, no_flags) = (0, 0_u32);
    #[expect(unsafe_code, reason = "the proof stands below")]
    // SAFETY: `sched_setattr(2)` takes a thread's number, a pointer and flags. It reads as many
    // bytes behind the pointer as the `size` there says, which is the struct's own, while
    // `attributes` lives, and writes none unless that size is one that it does not know: then it
    // writes the size that it does know into `size`, for which the pointer is one to write to.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            this_thread,
            &raw mut attributes,
            no_flags,
        )
    };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_says_so_steps_back_and_once() {
        let before = getpriority_process(None).unwrap();
        let after = std::thread::spawn(|| {
            step_back();
            step_back();
            getpriority_process(None).unwrap()
        });
        assert_eq!(after.join().unwrap(), before.max(NICENESS));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[test]
    fn a_slice_is_taken_together_with_the_niceness() {
        let niceness = getpriority_process(None).unwrap().max(NICENESS);
        let after = std::thread::spawn(move || {
            ask_for(LONG_SLICE, niceness, Children::Alike).unwrap();
            getpriority_process(None).unwrap()
        });
        assert_eq!(after.join().unwrap(), niceness);
    }

    #[test]
    fn who_goes_first_keeps_its_niceness_and_starts_others_as_they_would_be() {
        let before = getpriority_process(None).unwrap();
        let first = std::thread::spawn(move || {
            ask_for(SHORT_SLICE, before, Children::AsOthers).unwrap();
            let child = std::thread::spawn(|| {
                // Who has been started by one that goes first can step back.
                step_back();
                getpriority_process(None).unwrap()
            });
            let own = getpriority_process(None).unwrap();
            (own, child.join().unwrap())
        });
        assert_eq!(first.join().unwrap(), (before, before.max(NICENESS)));
    }
}
