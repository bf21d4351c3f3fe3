//! `coral-pipeline`: the engine of a reef.

fn main() -> std::process::ExitCode {
    cli::entry::main::<cli::pipeline::CoralPipeline>()
}
