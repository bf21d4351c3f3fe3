//! `coral`: colonies and reefs.

fn main() -> std::process::ExitCode {
    cli::entry::main::<cli::coral_program::Coral>()
}
