//! Work that must not hold up calls: it gives way to whatever serves.

#[cfg(target_os = "linux")]
use rustix::process::{getpriority_process, setpriority_process};
use std::cell::Cell;
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// How far it steps back: to a tenth of a processor on a machine that is wholly busy, so that what
/// is compiled there still is done in its time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How much it asks for at once: more than others do, for of two that want a processor Linux lets
/// the one go first that asks for less (`EEVDF`, since 6.12). Niceness alone says how much each is
/// given in the end, and not that one who serves need not wait for a tick of the system's clock.
#[cfg(target_os = "linux")]
const SLICE: Duration = Duration::from_millis(5);

thread_local! {
    static HAS_STEPPED_BACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread has stepped back, or tried to.
pub(crate) fn has_stepped_back() -> bool {
    HAS_STEPPED_BACK.get()
}

/// Has the calling thread give way to others from now on, and the processes that it starts. On
/// Linux alone, where niceness belongs to a thread: elsewhere the whole process would step back.
pub fn step_back() {
    HAS_STEPPED_BACK.set(true);
    #[cfg(target_os = "linux")]
    {
        // Whoever was started by one that stepped back has done so already, and twice is too far.
        let is = getpriority_process(None).unwrap_or_default();
        let niceness = is.max(NICENESS);
        // Where slices are not to be had (a sandbox may forbid them), niceness is half of it.
        let stepped = step_back_with_slice(niceness)
            .or_else(|_| setpriority_process(None, niceness).map_err(io::Error::from));
        if let Err(error) = stepped {
            // It then works as before, and takes its share from calls.
            tracing::debug!(%error, "a thread cannot step back");
        }
    }
}

/// Sets the calling thread's niceness and slice. Linux before 6.12 takes the slice and ignores it.
#[cfg(target_os = "linux")]
fn step_back_with_slice(niceness: i32) -> io::Result<()> {
    let mut attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default(),
        sched_policy: 0,
        sched_flags: u64::from(libc::SCHED_FLAG_KEEP_POLICY.unsigned_abs()),
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: u64::try_from(SLICE.as_nanos()).unwrap_or_default(),
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
            step_back_with_slice(niceness).unwrap();
            getpriority_process(None).unwrap()
        });
        assert_eq!(after.join().unwrap(), niceness);
    }
}
