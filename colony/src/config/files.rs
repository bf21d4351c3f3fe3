//! The three configuration files and their keys; writing new ones.

use super::edited::EditedFile;
use super::error::ConfigError;
use super::network::{DiscoveryFile, MeshFile};
use super::places::Places;
use super::yaml::{Keys, YamlFile};
use model::secret::Secret;
use model::time::parse_duration_ms;
use rand::RngExt;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How long rows are kept, in milliseconds; `None` keeps them indefinitely.
///
/// Nothing is deleted by default: a colony loaded with last year's records must not lose them at its first start. RFD
/// 010 suggests 30d, 90d and 7d.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// By start of the bucket.
    pub metric_summaries_ms: Option<i64>,
    /// By time of the event.
    pub events_ms: Option<i64>,
    /// By time of the resolution; open insights stay.
    pub insights_ms: Option<i64>,
}

impl Retention {
    /// These limits, and `other`'s where there are none.
    pub fn or(self, other: Retention) -> Retention {
        Retention {
            metric_summaries_ms: self.metric_summaries_ms.or(other.metric_summaries_ms),
            events_ms: self.events_ms.or(other.events_ms),
            insights_ms: self.insights_ms.or(other.insights_ms),
        }
    }

    fn read(storage: &Keys<'_>) -> Result<Retention, ConfigError> {
        let keys = storage.section("retention", "storage.retention.")?;
        let duration = |key: &str| {
            keys.text(key)?
                .map(|text| parse_duration_ms(&text).map_err(|error| keys.error(key, error.to_string())))
                .transpose()
        };
        Ok(Retention {
            metric_summaries_ms: duration("metric_summaries")?,
            events_ms: duration("events")?,
            insights_ms: duration("insights")?,
        })
    }
}

/// `~/.coral/colonies/<id>.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColonyFile {
    /// `colony_id`
    pub colony_id: String,
    /// `application_name`
    pub application_name: String,
    /// `environment`
    pub environment: String,
    /// `colony_secret`
    pub colony_secret: Option<Secret>,
    /// `storage_path`
    pub storage_path: Option<PathBuf>,
    /// `storage.retention`
    pub retention: Retention,
    /// `mesh`
    pub mesh: Option<MeshFile>,
    /// `discovery`
    pub discovery: Option<DiscoveryFile>,
}

impl ColonyFile {
    /// Reads the file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<ColonyFile>, ConfigError> {
        let Some(file) = YamlFile::read(path)? else { return Ok(None) };
        let colony = file.parse(|keys| {
            let colony_id = keys.required("colony_id")?;
            if !is_colony_id(&colony_id) {
                return Err(keys.error("colony_id", format!("{colony_id:?} is not a colony id")));
            }
            Ok(ColonyFile {
                colony_id,
                application_name: keys.required("application_name")?,
                environment: keys.text("environment")?.unwrap_or_default(),
                colony_secret: keys.text("colony_secret")?.map(Secret::new),
                storage_path: keys.text("storage_path")?.map(PathBuf::from),
                retention: Retention::read(&keys.section("storage", "storage.")?)?,
                mesh: MeshFile::read(&keys, path.parent().unwrap_or(Path::new(".")))?,
                discovery: DiscoveryFile::read(&keys)?,
            })
        })?;
        Ok(Some(colony))
    }
}

/// `<project>/.coral/config.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectFile {
    /// `colony_id`
    pub colony_id: Option<String>,
    /// `storage.path`
    pub storage_path: Option<PathBuf>,
    /// `storage.retention`
    pub retention: Retention,
}

impl ProjectFile {
    /// Reads the file; the default when there is none.
    pub fn read(path: &Path) -> Result<ProjectFile, ConfigError> {
        let Some(file) = YamlFile::read(path)? else { return Ok(ProjectFile::default()) };
        file.parse(|keys| {
            let storage = keys.section("storage", "storage.")?;
            Ok(ProjectFile {
                colony_id: keys.text("colony_id")?,
                storage_path: storage.text("path")?.map(PathBuf::from),
                retention: Retention::read(&storage)?,
            })
        })
    }
}

/// `default_colony` of `~/.coral/config.yaml`.
pub fn read_default_colony(path: &Path) -> Result<Option<String>, ConfigError> {
    match YamlFile::read(path)? {
        Some(file) => file.parse(|keys| keys.text("default_colony")),
        None => Ok(None),
    }
}

/// `default_reef` of the same file.
pub fn read_default_reef(path: &Path) -> Result<Option<String>, ConfigError> {
    match YamlFile::read(path)? {
        Some(file) => file.parse(|keys| keys.text("default_reef")),
        None => Ok(None),
    }
}

/// The input of `coral colony init`.
#[derive(Clone, Debug, Default)]
pub struct NewColony {
    /// The application.
    pub application_name: String,
    /// The environment.
    pub environment: String,
    /// The id; `None` makes one up: `<application>-<environment>-<6 letters or digits>`.
    pub colony_id: Option<String>,
    /// Where the database goes; `None` is `.coral`.
    pub storage_path: Option<PathBuf>,
}

/// What `coral colony init` wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The colony.
    pub colony_id: String,
    /// Files written, in order.
    pub files: Vec<PathBuf>,
    /// Files that already existed and were not changed.
    pub kept: Vec<PathBuf>,
}

/// Writes the identity of a new colony with a fresh secret (0600, in a folder of 0700), and where there are none yet
/// the project's file and the default colony.
pub fn init(places: &Places, new: &NewColony) -> Result<Written, ConfigError> {
    let (colony_id, path) = identity(places, new)?;
    let storage_path = new.storage_path.clone().unwrap_or_else(|| PathBuf::from(".coral"));
    let text = format!(
        "# Identity of a colony; holds its secret, keep it to yourself.\n\
         colony_id: {}\napplication_name: {}\nenvironment: {}\ncolony_secret: {}\n\n\
         # Relative to the project directory.\nstorage_path: {}\n\n\
         # Rows older than this are deleted; without these keys nothing is.\n\
         # storage:\n#   retention:\n#     metric_summaries: 30d\n#     events: 90d\n#     insights: 7d\n\n\
         # Reefs of other machines come through a WireGuard mesh on this UDP port (docs/mesh.md).\n\
         # mesh:\n#   listen: 0.0.0.0:41580\n\
         # discovery:\n#   endpoint: https://discovery.example.com\n",
        quoted(&colony_id),
        quoted(&new.application_name),
        quoted(&new.environment),
        quoted(&random(b"0123456789abcdef", 64)),
        quoted(&storage_path.to_string_lossy()),
    );
    let mut written = Written { colony_id: colony_id.clone(), files: Vec::new(), kept: Vec::new() };
    let pointer = |key: &str| format!("{key}: {}\n", quoted(&colony_id));
    write_new(&path, &text, Access::Private, &mut written)?;
    write_new(&places.user_file(), &pointer("default_colony"), Access::Private, &mut written)?;
    write_new(&places.project_file(), &pointer("colony_id"), Access::Shared, &mut written)?;
    Ok(written)
}

/// What [`init`] would write. An id that is made up is another one each time.
pub fn planned(places: &Places, new: &NewColony) -> Result<Written, ConfigError> {
    let (colony_id, path) = identity(places, new)?;
    let files = [path, places.user_file(), places.project_file()];
    let (kept, files) = files.into_iter().partition(|path| path.exists());
    Ok(Written { colony_id, files, kept })
}

/// The id of a new colony, and its file, which does not exist.
fn identity(places: &Places, new: &NewColony) -> Result<(String, PathBuf), ConfigError> {
    let colony_id = new.colony_id.clone().unwrap_or_else(|| {
        let suffix = random(b"abcdefghijklmnopqrstuvwxyz0123456789", 6);
        format!("{}-{}-{suffix}", new.application_name, new.environment)
    });
    let path = places.colony_file(&colony_id);
    if !is_colony_id(&colony_id) {
        let problem = format!("{colony_id:?} is not a colony id: use letters, digits, '.', '_' and '-'");
        return Err(ConfigError::Key { path, key: "colony_id".to_owned(), problem });
    }
    if path.exists() {
        return Err(ConfigError::Exists { colony_id, path });
    }
    Ok((colony_id, path))
}

fn random(letters: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(letters[rng.random_range(0..letters.len())])).collect()
}

/// Writes another `colony_secret` into a colony's file; everything else in it stays. Its user alone can read it then.
pub fn replace_secret(path: &Path, secret: &str) -> Result<(), ConfigError> {
    let failed = |doing| move |cause| ConfigError::Io { doing, path: path.to_owned(), cause };
    let edited = EditedFile::open(path).map_err(failed("read"))?;
    let is_it = |line: &&str| line.starts_with("colony_secret:");
    let number = edited.text().lines().filter(is_it).count();
    if number != 1 {
        let problem = "must be on a line of its own, `colony_secret: …`, to be replaced".to_owned();
        return Err(ConfigError::Key { path: path.to_owned(), key: "colony_secret".to_owned(), problem });
    }
    let line = format!("colony_secret: {}", quoted(secret));
    let lines: Vec<&str> = edited.text().lines().map(|it| if is_it(&it) { line.as_str() } else { it }).collect();
    let text = lines.join("\n") + "\n";
    edited.make_private().map_err(failed("write"))?;
    edited.replace(&text).map_err(failed("write"))
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Clone, Copy)]
enum Access {
    /// 0600 in a folder of 0700.
    Private,
    /// 0644 in a folder of 0755.
    Shared,
}

fn write_new(path: &Path, text: &str, access: Access, written: &mut Written) -> Result<(), ConfigError> {
    let (file_mode, folder_mode) = match access {
        Access::Private => (0o600, 0o700),
        Access::Shared => (0o644, 0o755),
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(folder_mode)
            .create(folder)
            .map_err(|cause| ConfigError::Io { doing: "create", path: folder.to_owned(), cause })?;
    }
    let io_error = |cause| ConfigError::Io { doing: "write", path: path.to_owned(), cause };
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(file_mode).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(io_error)?;
            written.files.push(path.to_owned());
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => written.kept.push(path.to_owned()),
        Err(cause) => return Err(io_error(cause)),
    }
    Ok(())
}

/// Whether the text can be a colony's id: it becomes part of file names.
pub fn is_colony_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
