//! `coral colony init`: a new colony's identity.

use super::failure;
use crate::exit::Failure;
use crate::output::Output;
use colony::config::{NewColony, Places, init, planned};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Example:  coral colony init my-shop --environment production")]
pub struct InitArgs {
    /// Name of the application
    application: String,
    /// Environment it runs in, for example production
    #[arg(long, value_name = "ENV")]
    environment: String,
    /// Id of the colony [default: <application>-<environment>-<6 letters or digits>]
    #[arg(long, value_name = "ID")]
    colony_id: Option<String>,
    /// Directory of the database, relative to the project [default: .coral]
    #[arg(long, value_name = "DIR")]
    storage_path: Option<PathBuf>,
    /// Say which files would be written, and write none
    #[arg(long)]
    dry_run: bool,
}

/// Writes the files and lists them.
pub fn run(args: InitArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let new = NewColony {
        application_name: args.application,
        environment: args.environment,
        colony_id: args.colony_id,
        storage_path: args.storage_path,
    };
    let make = if args.dry_run { planned } else { init };
    let written = make(places, &new).map_err(|error| failure::config(&error))?;
    let shown = |path: &Path| path.display().to_string();
    let mut value = json!({
        "colony_id": written.colony_id,
        "files": written.files.iter().map(|path| shown(path)).collect::<Vec<_>>(),
        "kept": written.kept.iter().map(|path| shown(path)).collect::<Vec<_>>(),
    });
    if args.dry_run {
        value["dry_run"] = true.into();
        return output.result(&value, |_| {
            let files = written.files.iter().map(|path| format!("\n  {} would be written", path.display()));
            format!("colony {} would be created; nothing was changed{}", written.colony_id, files.collect::<String>())
        });
    }
    output.result(&value, |style| {
        let mut lines = vec![format!("{} colony {}", style.green("created"), written.colony_id)];
        lines.extend(written.files.iter().map(|path| format!("  wrote {}", path.display())));
        lines.extend(written.kept.iter().map(|path| format!("  kept  {} as it was", path.display())));
        lines.push(format!("start it: coral colony start --colony-id {}", written.colony_id));
        lines.join("\n")
    })
}
