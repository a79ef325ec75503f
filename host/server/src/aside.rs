//! The threads for what takes long and is no hurry: components at work, policies that are looked
//! over.

use holdfast_runtime::step_back;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;

/// Threads of their own for what may take hundreds of milliseconds of a processor and is no hurry.
///
/// They step back: where all processors are busy, whoever asks for a pin goes before who asks for a
/// price or tries a candidate, and a component that loops until its deadline costs other calls
/// little. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aside(Arc<Threads>);

/// Only the threads for blocking work of this runtime are used; nothing drives it.
#[derive(Debug)]
struct Threads {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Aside {
    /// Makes ready to start threads, which come and go with the work.
    ///
    /// # Errors
    /// The system has no handles left.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .thread_name("aside")
            .on_thread_start(step_back)
            .build()?;
        Ok(Self(Arc::new(Threads {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })))
    }

    /// Has a thread do this. The error is what the thread died of.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        self.0.handle.spawn_blocking(work).await
    }
}

impl Drop for Threads {
    /// Without waiting for those that work: whoever drops this may be a task.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_is_done_elsewhere_and_what_dies_is_told() {
        let aside = Aside::start().unwrap();
        let here = std::thread::current().id();
        let there = aside.run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
        let died = aside.run(|| panic!("by intention")).await;
        assert!(died.unwrap_err().is_panic());
        assert_eq!(aside.run(|| 7).await.unwrap(), 7);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_give_way_to_those_that_serve() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let aside = Aside::start().unwrap();
        let there = aside.run(niceness).await.unwrap();
        // Who was started with a low priority already has nothing to give.
        assert!(there > niceness() || niceness() >= 10, "{there}");
    }
}
