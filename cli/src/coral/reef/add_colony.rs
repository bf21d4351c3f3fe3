//! `coral reef add-colony`: a colony is looked up, called and joined, and then written into the reef's file.

use super::choice::ReefChoice;
use super::edit::{Entry, with_colony};
use super::life::reload::tell_running;
use super::running::run_file::RunPaths;
use super::secret_input::{Given, SecretArgs};
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::mesh_failure;
use crate::output::Output;
use colony::config::{EditedFile, Places};
use mesh::secret::SecretSource;
use mesh::{LinkStatus, MeshColony, MeshError, Network, Route, Step};
use model::clock::SystemClock;
use pipelines::config::{Format, ReefConfig};
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// How long a running reef may take to read its file again.
const RELOAD_WAIT: Duration = Duration::from_secs(60);

/// Arguments of `add-colony`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral reef add-colony my-shop-production-a3f2e1 --colony-secret-file shop.secret",
    after_help = "The colony is looked up at [discovery] endpoint of the reef's file, or called at --endpoint with its \
                  --public-key and --mesh-ip (`coral colony status` shows them). The file is changed only after the colony \
                  has admitted the reef. A reef started with coral reef start reads the colony at once, any other one after a \
                  restart.\n\nExit codes: 4 wrong secret or \
                  refused, 1 no answer or not known at discovery, 2 usage."
)]
pub struct AddColonyArgs {
    /// Id of the colony
    colony_id: String,
    #[command(flatten)]
    reef: ReefChoice,
    #[command(flatten)]
    secret: SecretArgs,
    /// host:port (UDP) of the colony's door, instead of asking discovery
    #[arg(long, value_name = "HOST:PORT", requires_all = ["public_key", "mesh_ip"])]
    endpoint: Option<String>,
    /// The colony's public key; without --endpoint, the one that discovery must show
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
    /// Its address inside the mesh [default: as discovery shows it]
    #[arg(long, value_name = "IP")]
    mesh_ip: Option<Ipv4Addr>,
    /// Its port inside the mesh [default: as discovery shows it, or 9000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    connect_port: Option<u16>,
    /// Say what would be added; dial no colony, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// The reef's file before the change.
struct File {
    path: PathBuf,
    text: String,
    format: Format,
}

/// Adds the colony.
pub fn run(args: &AddColonyArgs, places: &Places, output: &Output) -> Result<(), Failure> {
    let file = File::read(args.reef.resolve(places)?)?;
    if args.dry_run {
        let config = file.planned(args)?;
        let path = file.path.display().to_string();
        let value = json!({ "dry_run": true, "reef_id": config.reef_id, "colony_id": args.colony_id, "config": path });
        return output.result(&value, |_| {
            format!("Colony {} would be called, joined and written to {path}; nothing was changed", args.colony_id)
        });
    }
    let given = args.secret.read(output)?;
    let config = file.planned(args)?;
    let joined = runtime()?.block_on(join(args, &config, &given, output));
    let status = joined.map_err(|error| {
        if !output.json() {
            // nothing is lost when stdout is closed: the failure says it too
            let _ = output.item(&(), |style| format!(" {} {error}", style.red("✗")));
        }
        let reef_id = &config.reef_id;
        let message = format!("colony {} was not added to reef {reef_id}; nothing was saved", args.colony_id);
        let told = mesh_failure::failure(&error);
        let mut failure = Failure::new(told.exit, told.code, message);
        failure.details = [vec![told.message], told.details].concat();
        failure
    })?;
    file.save(args, &status, &given)?;
    let is_read = read_by_running(&config, places, output)?;
    let value = json!({
        "reef_id": config.reef_id,
        "colony_id": args.colony_id,
        "config": file.path.display().to_string(),
        "endpoint": status.tunnel.endpoint.map(|endpoint| endpoint.to_string()),
        "mesh_ip": status.mesh_address.map(|address| address.ip().to_string()),
        "connect_port": status.mesh_address.map(|address| address.port()),
        "reef_mesh_ip": status.reef_mesh_ip.map(|ip| ip.to_string()),
        "read_only": status.read_only,
        "secret_expires_at": status.secret_expires_at.map(|at| at.to_string()),
        "read_by_running_reef": is_read,
    });
    output.result(&value, |style| {
        let mark = style.green("✓");
        let read = if is_read { format!("\n{mark} The running reef reads it now") } else { String::new() };
        format!("\n{mark} Colony added to reef configuration\n{mark} WireGuard tunnel established{read}")
    })
}

/// A reef that runs takes the colony. If it does not, the colony stays in the file and is read at the next start.
fn read_by_running(config: &ReefConfig, places: &Places, output: &Output) -> Result<bool, Failure> {
    let paths = RunPaths::of(places, &config.reef_id);
    match runtime()?.block_on(tell_running(&paths, RELOAD_WAIT)) {
        Ok(read) => Ok(read.is_some()),
        Err(failure) => {
            let why = [vec![failure.message], failure.details].concat().join(": ");
            output.message(&format!("warning: the colony is saved, and the running reef does not read it yet: {why}"));
            Ok(false)
        }
    }
}

/// Joins the mesh, showing each step, and leaves again: a running reef has its own tunnel.
async fn join(
    args: &AddColonyArgs,
    config: &ReefConfig,
    given: &Given,
    output: &Output,
) -> Result<LinkStatus, MeshError> {
    let bad_key = || MeshError::BadSettings { what: "--public-key is no WireGuard public key".to_owned() };
    let public_key = args.public_key.as_ref().map(|text| text.parse().map_err(|_| bad_key())).transpose()?;
    let colony = MeshColony {
        mesh_ip: args.mesh_ip,
        connect_port: args.connect_port,
        endpoint: args.endpoint.clone(),
        public_key,
        ..MeshColony::new(&args.colony_id, given.source.clone())
    };
    let network = pipelines::open::network::of(config, SystemClock::shared())?;
    show(output, &format!("Adding colony to reef {}...", config.reef_id));
    show(output, "");
    let (shown, colony_id) = (output.clone(), args.colony_id.clone());
    let route = Route::Mesh(Box::new(colony));
    let joined = network.dial_showing(&route, move |step| {
        if let Some(line) = line(&step, &colony_id) {
            show(&shown, &line);
        }
    });
    joined.await?;
    let status = status_of(&network).await;
    network.close().await;
    status
}

async fn status_of(network: &Network) -> Result<LinkStatus, MeshError> {
    network.status().await.into_iter().next().ok_or(MeshError::Closed)
}

/// A line of the page as it comes to be. JSON is one document at the end.
fn show(output: &Output, line: &str) {
    if !output.json() {
        // a closed stdout does not stop the work
        let _ = output.item(&(), |_| line.to_owned());
    }
}

fn line(step: &Step, colony_id: &str) -> Option<String> {
    Some(match step {
        Step::LookingUp { discovery: Some(_) } => format!(" ↳ Querying discovery for colony: {colony_id}"),
        Step::LookingUp { discovery: None } => format!(" ↳ Using the given endpoint of colony: {colony_id}"),
        Step::Found { endpoints, mesh_address } => {
            let first = endpoints.first()?;
            let more = if endpoints.len() > 1 { format!(" and {} more", endpoints.len() - 1) } else { String::new() };
            format!(" ↳ Colony endpoint: {first}{more} (mesh IP: {mesh_address})")
        }
        Step::Calling => " ↳ Establishing WireGuard tunnel...".to_owned(),
        Step::Registering { .. } => " ↳ Registering reef as mesh peer...".to_owned(),
        Step::Registered { reef_mesh_ip } => format!(" ↳ Assigned mesh IP: {reef_mesh_ip}"),
    })
}

impl File {
    fn read(path: PathBuf) -> Result<File, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, "config_unreadable", format!("cannot read {}", path.display()))
                .caused_by(Some(&error))
        };
        let format = Format::of_path(&path).unwrap_or(Format::Yaml);
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        Ok(File { path, text, format })
    }

    /// The configuration as it will be, except for addresses that are not known yet. What is in the way is found before
    /// the colony is called.
    fn planned(&self, args: &AddColonyArgs) -> Result<ReefConfig, Failure> {
        self.refuse_present(&self.text, &args.colony_id)?;
        let unknown = Ipv4Addr::new(10, 0, 0, 1);
        let entry = Entry {
            colony_id: &args.colony_id,
            mesh_ip: args.mesh_ip.unwrap_or(unknown),
            connect_port: 9000,
            secret: ("colony_secret_env", "PLANNED".to_owned()),
            endpoint: args.endpoint.as_deref(),
            public_key: args.public_key.as_deref(),
            reef_mesh_ip: unknown,
        };
        let parts = (self.text.as_str(), self.format, self.path.as_path());
        with_colony(parts, &entry).map(|(_, config)| config).map_err(|problem| self.refused(problem))
    }

    /// A colony that the text has already is not added.
    fn refuse_present(&self, text: &str, colony_id: &str) -> Result<(), Failure> {
        let known = pipelines::config::parse(text, self.format, &self.path);
        if known.is_ok_and(|config| config.colonies.iter().any(|colony| colony.colony_id == colony_id)) {
            let message = format!("colony {colony_id} is already in {}", self.path.display());
            return Err(Failure::new(Exit::Usage, "colony_present", message)
                .hint("coral reef ping shows whether it answers; take it out of the file to add it again"));
        }
        Ok(())
    }

    fn refused(&self, problem: String) -> Failure {
        let message = format!("{} cannot take another colony", self.path.display());
        Failure::new(Exit::Usage, "config_invalid", message).detail(problem).docs("coral-pipeline help config")
    }

    /// Writes the colony, and before it a secret that is nowhere yet. If one of the two fails, neither is left.
    /// The file is read again: it may have changed while the secret was typed and the colony was called.
    fn save(&self, args: &AddColonyArgs, status: &LinkStatus, given: &Given) -> Result<(), Failure> {
        let (Some(mesh_address), Some(reef_mesh_ip)) = (status.mesh_address, status.reef_mesh_ip) else {
            return Err(mesh_failure::failure(&MeshError::Closed));
        };
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let secret_name = format!("{stem}.{}.secret", args.colony_id);
        let secret = match (&given.source, &given.loose) {
            (SecretSource::Env(name), _) => ("colony_secret_env", name.clone()),
            (SecretSource::File(path), None) => ("colony_secret_file", path.display().to_string()),
            (SecretSource::File(_) | SecretSource::Text(_), _) => ("colony_secret_file", secret_name.clone()),
        };
        let entry = Entry {
            colony_id: &args.colony_id,
            mesh_ip: *mesh_address.ip(),
            connect_port: mesh_address.port(),
            secret,
            endpoint: args.endpoint.as_deref(),
            public_key: args.public_key.as_deref(),
            reef_mesh_ip,
        };
        let unwritable = |error: &std::io::Error| {
            Failure::new(Exit::Failed, "config_unwritable", format!("cannot write {}", self.path.display()))
                .caused_by(Some(error))
        };
        let edited = EditedFile::open(&self.path).map_err(|error| unwritable(&error))?;
        self.refuse_present(edited.text(), &args.colony_id)?;
        let parts = (edited.text(), self.format, self.path.as_path());
        let (text, _) = with_colony(parts, &entry).map_err(|problem| self.refused(problem))?;
        let secret_file = self.path.with_file_name(secret_name);
        if let Some(secret) = &given.loose {
            secret.store(&secret_file).map_err(|error| mesh_failure::failure(&error))?;
        }
        edited.replace(&text).map_err(|error| {
            if given.loose.is_some() {
                let _ = std::fs::remove_file(&secret_file);
            }
            unwritable(&error)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mesh::LinkState;
    use mesh::stats::{Drops, TunnelStats};

    #[test]
    fn what_was_written_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        std::fs::write(&path, "reef_id: r\n").unwrap();
        let file = File::read(path.clone()).unwrap();
        let meanwhile = "reef_id: r\ncolonies:\n  - colony_id: other\n    endpoint: 'http://a:1'\n";
        std::fs::write(&path, meanwhile).unwrap();
        let status = LinkStatus {
            colony_id: "shop".to_owned(),
            state: LinkState::Up,
            reef_mesh_ip: Some(Ipv4Addr::new(10, 42, 0, 100)),
            mesh_address: Some("10.42.0.1:9000".parse().unwrap()),
            public_key: None,
            read_only: false,
            secret_expires_at: None,
            tunnel: TunnelStats::default(),
            drops: Drops::default(),
        };
        let args = AddColonyArgs {
            colony_id: "shop".to_owned(),
            reef: ReefChoice::default(),
            secret: SecretArgs::default(),
            endpoint: None,
            public_key: None,
            mesh_ip: None,
            connect_port: None,
            dry_run: false,
        };
        let given = Given { source: SecretSource::Env("SHOP".to_owned()), loose: None };
        file.save(&args, &status, &given).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(meanwhile) && text.contains("- colony_id: \"shop\""), "{text}");
        let again = file.save(&args, &status, &given).unwrap_err();
        assert_eq!((again.exit, again.code), (Exit::Usage, "colony_present"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_dry_run_checks_the_file_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        let text = "reef_id: r\ncolonies:\n  - colony_id: other\n    endpoint: 'http://a:1'\n";
        std::fs::write(&path, text).unwrap();
        let home = folder.path().to_owned();
        let places = Places { home: home.clone(), project: home, storage_path: None };
        let planned = |colony_id: &str| {
            let args = AddColonyArgs {
                colony_id: colony_id.to_owned(),
                reef: ReefChoice { reef: Some(path.display().to_string()) },
                secret: SecretArgs::default(),
                endpoint: None,
                public_key: None,
                mesh_ip: None,
                connect_port: None,
                dry_run: true,
            };
            let (output, captured) = Output::captured(true);
            run(&args, &places, &output).map(|()| captured.stdout())
        };
        let told: serde_json::Value = serde_json::from_str(&planned("shop").unwrap()).unwrap();
        assert_eq!(
            (&told["dry_run"], &told["reef_id"], &told["colony_id"]),
            (&true.into(), &"r".into(), &"shop".into())
        );
        assert_eq!(planned("other").unwrap_err().code, "colony_present");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
