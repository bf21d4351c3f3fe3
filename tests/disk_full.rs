//! A disk that is full during a commit: a clear message, no hang, nothing lost; with space again the run resumes and
//! ends as an undisturbed one.

use crate::crash::{input, reef_over};
use crate::support::tables::{assert_equal, tables};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Room for the store's first commits and not for all of them.
const SMALL: &str = "1500k";
const LARGE: &str = "200m";
const RUN_MAX: Duration = Duration::from_secs(120);

/// A file system of a given size, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over `folder`; the error says why that cannot be done here.
    fn mount(folder: &Path, size: &str) -> Result<SmallDisk, String> {
        let options = format!("size={size}");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], folder)?;
        Ok(SmallDisk(folder.to_owned()))
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        mount(&["-o", &options], &self.0).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(options: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(options).arg(folder).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// Runs the command to its end: exit code, standard output, standard error. Panics when it hangs.
fn ended(command: &mut Command, folder: &Path) -> (Option<i32>, Value, String) {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = command.stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() > RUN_MAX => {
                child.kill().unwrap();
                panic!("it hangs:\n{}", std::fs::read_to_string(&err).unwrap());
            }
            #[expect(clippy::disallowed_methods, reason = "polls for the end of a process, with a deadline")]
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let text = std::fs::read_to_string(&out).unwrap();
    (status.code(), serde_json::from_str(&text).unwrap_or(Value::Null), std::fs::read_to_string(&err).unwrap())
}

#[test]
fn a_full_disk_stops_the_run_with_what_to_do_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let input = input(folder.path());
    let undisturbed = reef_over(&input);
    undisturbed.run();
    let expected = tables(&undisturbed.store());

    let reef = reef_over(&input).with_store("disk/reef.duckdb");
    let folder_of_store = reef.store().parent().unwrap().to_owned();
    std::fs::create_dir(&folder_of_store).unwrap();
    // after the reef, so that it is unmounted before the folder is removed
    let disk = match SmallDisk::mount(&folder_of_store, SMALL) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("SKIPPED a full disk: no small file system can be mounted here: {why}");
            return;
        }
    };
    for _ in 0..2 {
        // also when it is started again without space
        let (code, document, messages) = ended(&mut reef.command(), folder.path());
        assert_eq!(code, Some(1), "{document:#}\n{messages}");
        let error = document["error"].to_string();
        for words in ["disk/reef.duckdb", "disk is full", "free some space", "run again"] {
            assert!(error.contains(words), "{words:?} is missing: {error}");
        }
    }
    disk.resize(LARGE);
    let (code, document, messages) = ended(&mut reef.command(), folder.path());
    assert_eq!(code, Some(0), "{document:#}\n{messages}");
    assert_equal(&tables(&reef.store()), &expected, "after space was made");
}
