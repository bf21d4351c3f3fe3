//! The two `.coral` folders and what overrides what.

use crate::config::places::find_project;
use crate::config::{ColonyFile, ConfigError, NewColony, Places, init, planned, resolve};
use model::secret::Secret;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct Scene {
    _dir: tempfile::TempDir,
    places: Places,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let places =
            Places { home: dir.path().join("home/.coral"), project: dir.path().join("project"), storage_path: None };
        Scene { _dir: dir, places }
    }

    fn write(&self, path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn colony(&self, id: &str, rest: &str) {
        let text = format!("colony_id: {id}\napplication_name: my-shop\nenvironment: production\n{rest}");
        self.write(&self.places.colony_file(id), &text);
    }
}

fn new_colony(colony_id: Option<&str>) -> NewColony {
    NewColony {
        application_name: "my-shop".into(),
        environment: "production".into(),
        colony_id: colony_id.map(str::to_owned),
        storage_path: None,
    }
}

#[test]
fn env_beats_project_beats_user_beats_default() {
    let absolute = "/var/lib/coral/storage";
    // (environment, project, user) -> storage path, relative ones to the project
    let cases = [
        (None, None, None, ".coral"),
        (None, None, Some(".coral"), ".coral"),
        (None, None, Some(absolute), absolute),
        (None, Some("./data/coral"), Some(absolute), "./data/coral"),
        (Some("/tmp-of/coral-test"), Some("./data/coral"), Some(absolute), "/tmp-of/coral-test"),
        (Some(absolute), None, None, absolute),
    ];
    for (environment, project, user, expected) in cases {
        let mut scene = Scene::new();
        scene.colony("alex-dev-0977e1", &user.map(|path| format!("storage_path: {path}\n")).unwrap_or_default());
        let storage = project.map(|path| format!("storage:\n  path: {path}\n")).unwrap_or_default();
        scene.write(&scene.places.project_file(), &format!("colony_id: alex-dev-0977e1\n{storage}"));
        scene.places.storage_path = environment.map(PathBuf::from);
        let resolved = resolve(&scene.places, None).unwrap();
        assert_eq!(resolved.storage_path, scene.places.project.join(expected));
    }
}

#[test]
fn a_sub_directory_belongs_to_its_project_and_home_is_no_project() {
    let scene = Scene::new();
    let home = scene.places.home.clone();
    scene.write(&scene.places.project_file(), "colony_id: c1\n");
    scene.write(&scene.places.user_file(), "default_colony: c1\n");
    let deep = scene.places.project.join("src/deep");
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(find_project(&deep, &home), scene.places.project);
    let elsewhere = home.parent().unwrap().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    assert_eq!(find_project(&elsewhere, &home), elsewhere);
}

#[test]
fn old_files_load_and_foreign_keys_are_left_alone() {
    let scene = Scene::new();
    scene.colony(
        "c1",
        "colony_secret: hush\nwireguard:\n  private_key: also-hush\n  port: 41580\nstorage:\n  retention:\n    metric_summaries: 30d\n    events: 90d\n    insights: 7d\n",
    );
    let colony = ColonyFile::read(&scene.places.colony_file("c1")).unwrap().unwrap();
    assert_eq!(colony.colony_secret, Some(Secret::new("hush")));
    assert_eq!(colony.retention.insights_ms, Some(7 * 86_400_000));
    assert!(!format!("{colony:?}").contains("hush"));
}

#[test]
fn faults_name_file_and_key() {
    let scene = Scene::new();
    let cases = [
        ("application_name: x\n", "colony_id: is missing"),
        ("colony_id: c1\n", "application_name: is missing"),
        ("colony_id: c1\napplication_name: [x]\n", "application_name: must be text"),
        ("colony_id: ../c1\napplication_name: x\n", "colony_id: \"../c1\" is not a colony id"),
        ("colony_id: c1\napplication_name: x\nstorage: here\n", "storage: must have keys"),
        (
            "colony_id: c1\napplication_name: x\nstorage:\n  retention:\n    events: 90\n",
            "storage.retention.events: duration",
        ),
        ("just text", "must be a list"),
        ("a: [", "is not YAML"),
    ];
    for (text, expected) in cases {
        let path = scene.places.colony_file("c1");
        scene.write(&path, text);
        let error = ColonyFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("c1.yaml") && error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn init_writes_secrets_for_the_owner_alone_and_overwrites_nothing() {
    let scene = Scene::new();
    let written = init(&scene.places, &new_colony(None)).unwrap();
    let suffix = written.colony_id.strip_prefix("my-shop-production-").unwrap();
    assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    let path = scene.places.colony_file(&written.colony_id);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let colony = ColonyFile::read(&path).unwrap().unwrap();
    let secret = colony.colony_secret.unwrap();
    let secret = secret.reveal();
    assert_eq!(secret.len(), 64);
    let project = std::fs::read_to_string(scene.places.project_file()).unwrap();
    assert!(!project.contains(secret));
    let resolved = resolve(&scene.places, None).unwrap();
    assert_eq!(resolved.colony.colony_id, written.colony_id);
    assert_eq!(resolved.storage_path, scene.places.project.join(".coral"));

    assert!(matches!(init(&scene.places, &new_colony(Some(&written.colony_id))), Err(ConfigError::Exists { .. })));
    let plan = planned(&scene.places, &new_colony(Some("second"))).unwrap();
    assert!(!scene.places.colony_file("second").exists(), "a plan writes nothing");
    let second = init(&scene.places, &new_colony(Some("second"))).unwrap();
    assert_eq!(plan, second);
    assert!(matches!(planned(&scene.places, &new_colony(Some("second"))), Err(ConfigError::Exists { .. })));
    assert_eq!((second.files.len(), second.kept.len()), (1, 2));
    assert_eq!(std::fs::read_to_string(scene.places.project_file()).unwrap(), project);
    assert!(matches!(init(&scene.places, &new_colony(Some("../evil"))), Err(ConfigError::Key { .. })));
}

#[test]
fn a_colony_is_found_by_id_prefix_default_or_being_the_only_one() {
    let scene = Scene::new();
    assert!(matches!(resolve(&scene.places, None), Err(ConfigError::NoColony)));
    scene.colony("my-shop-production-a3f2e1", "");
    assert_eq!(resolve(&scene.places, None).unwrap().colony.colony_id, "my-shop-production-a3f2e1");
    scene.colony("my-shop-staging-b7c8d2", "");
    assert!(matches!(resolve(&scene.places, None), Err(ConfigError::Ambiguous { .. })));
    assert!(matches!(resolve(&scene.places, Some("my-shop")), Err(ConfigError::Ambiguous { .. })));
    let found = resolve(&scene.places, Some("my-shop-prod")).unwrap();
    assert_eq!(found.colony.colony_id, "my-shop-production-a3f2e1");
    let error = resolve(&scene.places, Some("my-shp")).unwrap_err().to_string();
    assert!(error.contains("my-shop-staging-b7c8d2"), "{error}");
    scene.write(&scene.places.user_file(), "default_colony: my-shop-staging-b7c8d2\n");
    assert_eq!(resolve(&scene.places, None).unwrap().colony.colony_id, "my-shop-staging-b7c8d2");
}
