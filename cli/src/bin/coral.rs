//! `coral`: colonies and reefs.

fn main() -> std::process::ExitCode {
    coral_cli::entry::main::<coral_cli::coral_program::Coral>()
}
