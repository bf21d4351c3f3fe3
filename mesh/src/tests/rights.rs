//! As user nobody, with every capability dropped: a colony and a reef work, and no tun device is open.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Set for the child that has no rights.
const WITHOUT_RIGHTS: &str = "CORAL_MESH_TEST_WITHOUT_RIGHTS";

#[test]
fn neither_side_needs_a_right() {
    let this = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // the user nobody may not read the folder of this program
    let copy = folder.path().join("test");
    std::fs::copy(&this, &copy).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"])
        .arg("--no-new-privs")
        .arg(copy)
        .args(["--exact", "tests::rights::works_without_rights", "--nocapture"])
        .env(WITHOUT_RIGHTS, "1")
        .env("TMPDIR", folder.path())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return eprintln!("SKIPPED neither_side_needs_a_right: setpriv: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && text.contains("setpriv: ") {
        return eprintln!("SKIPPED neither_side_needs_a_right: {}", text.trim());
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
}

/// Not a test itself: the program that the one above runs as user nobody.
#[tokio::test]
async fn works_without_rights() {
    if std::env::var_os(WITHOUT_RIGHTS).is_none() {
        return;
    }
    let world = super::support::World::udp();
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    super::support::summary(channel, 100).await.unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open: Vec<_> = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).collect();
    assert!(!open.iter().any(|path| path.ends_with("tun")), "{open:?}");
    // TCP is inside: the kernel knows of none that is ours
    let tcp = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let inodes: Vec<&str> = tcp.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)).collect();
    let sockets = open.iter().filter_map(|path| path.to_str()?.strip_prefix("socket:[")?.strip_suffix(']'));
    let sockets: Vec<&str> = sockets.collect();
    assert!(sockets.len() >= 2 && !sockets.iter().any(|socket| inodes.contains(socket)), "{sockets:?}\n{tcp}");
}
