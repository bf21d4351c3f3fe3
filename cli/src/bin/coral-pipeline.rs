//! `coral-pipeline`: the engine of a reef.

fn main() -> std::process::ExitCode {
    coral_cli::entry::main::<coral_cli::pipeline::CoralPipeline>()
}
