//! The binary `holdfast`.

fn main() -> std::process::ExitCode {
    holdfast::commands::run()
}
