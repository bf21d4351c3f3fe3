//! Confirm: a command that removes something asks first, or needs `--yes`.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use console::Term;
use std::io::IsTerminal;

/// The flags of such a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfirmArgs {
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
    /// Fail instead of asking
    #[arg(long)]
    pub no_input: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl ConfirmArgs {
    /// Whether `what` is to be done (`revoke the token 3f9a0c21`): not in a dry run, which is said.
    ///
    /// # Errors
    /// When it is not confirmed, or nobody can be asked.
    pub fn permit(&self, what: &str, output: &Output) -> Result<bool, Failure> {
        if self.dry_run {
            output.message(&format!("this would {what}; nothing was changed"));
            return Ok(false);
        }
        if self.yes {
            return Ok(true);
        }
        let terminal = Term::stderr();
        if self.no_input || !std::io::stdin().is_terminal() || !terminal.is_term() {
            let message = format!("this would {what}, and --yes is missing");
            return Err(Failure::new(Exit::Usage, "confirmation_missing", message)
                .hint("give --yes; --dry-run only says what would be done"));
        }
        let asked =
            terminal.write_str(&format!("This will {what}. Continue? [y/N] ")).and_then(|()| terminal.read_line());
        let answer = asked.map_err(|error| {
            Failure::new(Exit::Failed, "confirmation_unreadable", "cannot read the confirmation")
                .caused_by(Some(&error))
        })?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            _ => Err(Failure::new(Exit::Failed, "not_confirmed", "not confirmed; nothing was changed")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn without_a_terminal_only_yes_permits_and_a_dry_run_says_what_it_would_do() {
        let (output, captured) = Output::captured(false);
        let args = |yes: bool, dry_run: bool| ConfirmArgs { yes, no_input: true, dry_run };
        assert!(args(true, false).permit("remove it", &output).unwrap());
        let failure = args(false, false).permit("remove it", &output).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "confirmation_missing"));
        assert!(
            failure.message == "this would remove it, and --yes is missing" && failure.hint.unwrap().contains("--yes")
        );
        assert_eq!(captured.stderr(), "");
        for yes in [false, true] {
            assert!(!args(yes, true).permit("remove it", &output).unwrap());
        }
        assert_eq!(captured.stderr(), "this would remove it; nothing was changed\n".repeat(2));
    }
}
