//! Work that must not hold up calls: it gives way to whatever serves.

#[cfg(target_os = "linux")]
use rustix::process::{getpriority_process, setpriority_process};

/// How far it steps back: to a tenth of a processor on a machine that is wholly busy, so that what
/// is compiled there still is done in its time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Has the calling thread give way to others from now on, and the processes that it starts. On
/// Linux alone, where niceness belongs to a thread: elsewhere the whole process would step back.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        // Whoever was started by one that stepped back has done so already, and twice is too far.
        let is = getpriority_process(None).unwrap_or_default();
        if let Err(error) = setpriority_process(None, is.max(NICENESS)) {
            // It then works as before, and takes its share from calls.
            tracing::debug!(%error, "a thread cannot step back");
        }
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
}
