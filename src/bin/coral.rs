//! `coral`: colonies and reefs.

/// `coral reef start` runs the engine: the reason is that of `coral-pipeline`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::entry::main::<cli::coral_program::Coral>()
}
