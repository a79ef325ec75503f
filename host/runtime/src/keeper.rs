//! The thread that looks after what is loaded: rules of candidates, promotions that are watched,
//! what drains.

use crate::generation::Bell;
use crate::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Looks after the plugins until dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    is_over: Arc<AtomicBool>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins.
    pub(crate) fn start(registry: Arc<Registry>) -> std::io::Result<Self> {
        let bell = Arc::clone(registry.bell());
        let is_over = Arc::new(AtomicBool::new(false));
        let (rung, ends) = (Arc::clone(&bell), Arc::clone(&is_over));
        let thread = std::thread::Builder::new()
            .name("plugin-keeper".into())
            .spawn(move || {
                let mut pause = None;
                while !ends.load(Ordering::Acquire) {
                    rung.wait(pause);
                    pause = registry.look_after();
                }
            })?;
        Ok(Self {
            is_over,
            bell,
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks after the plugins panicked");
        }
    }
}
