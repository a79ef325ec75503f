//! The binary `holdfast`.

/// A request makes and drops some dozens of small values; the system's allocator was a seventh of
/// all the time of a write.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    holdfast::commands::run()
}
