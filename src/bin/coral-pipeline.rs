//! `coral-pipeline`: the engine of a reef.

/// Rows are made by the threads that read and freed by the one that stores: the system's allocator makes them wait for one
/// another there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::entry::main::<cli::pipeline::CoralPipeline>()
}
