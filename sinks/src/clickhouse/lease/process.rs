//! Identity of this process, and whether another one of the same machine is still alive.

use std::fs;
use std::io::ErrorKind;
use std::sync::LazyLock;

/// A process as every process of its machine can find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// The machine's name, for people.
    pub(super) host: String,
    pub(super) id: u32,
    /// In ticks of the machine's clock; 0 when it cannot be known.
    pub(super) start: u64,
    /// Boot of the kernel and process namespace: process numbers are comparable only within both. Empty if unknown.
    pub(super) machine: String,
}

static OWN: LazyLock<Process> = LazyLock::new(|| {
    let id = std::process::id();
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let host = match line("/proc/sys/kernel/hostname") {
        name if name.is_empty() => std::env::var("HOSTNAME").unwrap_or_else(|_| "an unnamed host".to_owned()),
        name => name,
    };
    Process { host, id, start: start_of(id).ok().flatten().unwrap_or(0), machine: machine().unwrap_or_default() }
});

impl Process {
    /// This one.
    pub(super) fn own() -> &'static Process {
        &OWN
    }

    /// Whether it lives; `None` when that cannot be seen from here.
    pub(super) fn is_alive(&self) -> Option<bool> {
        let own = Process::own();
        let is_here = !own.machine.is_empty() && own.machine == self.machine;
        if !is_here {
            return None;
        }
        start_of(self.id).ok().map(|start| start == Some(self.start))
    }
}

fn machine() -> Option<String> {
    // where a system hides other users' processes, one that cannot be seen may well be alive
    fs::metadata("/proc/1").ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Start time of a process; `None` if it does not exist or is a zombie.
///
/// # Errors
/// When that is not to be seen from here, as with other users' processes on some systems.
fn start_of(id: u32) -> Result<Option<u64>, std::io::Error> {
    let stat = match fs::read_to_string(format!("/proc/{id}/stat")) {
        // the second: it has ended while it was read
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => return Ok(None),
        answer => answer?,
    };
    // its name is in parentheses and may contain any of them
    let after_name = stat.rfind(')').map_or("", |at| &stat[at + 1..]);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return Ok(None);
    }
    let start = fields.get(19).and_then(|field| field.parse().ok());
    start.map(Some).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// "No such process", as Linux numbers it.
const ESRCH: i32 = 3;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_distinguished_from_its_successors() {
        let own = Process::own().clone();
        assert!(own.start > 0 && !own.machine.is_empty() && !own.host.is_empty(), "{own:?}");
        assert_eq!(own.is_alive(), Some(true));
        assert_eq!(
            Process { start: own.start + 1, ..own.clone() }.is_alive(),
            Some(false),
            "the number was given again"
        );
        assert_eq!(Process { machine: "another".to_owned(), ..own.clone() }.is_alive(), None);

        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let other = Process { id: child.id(), start: start_of(child.id()).unwrap().unwrap(), ..own };
        assert_eq!(other.is_alive(), Some(true));
        child.kill().unwrap();
        while other.is_alive() == Some(true) {
            std::thread::yield_now();
        }
        assert_eq!(other.is_alive(), Some(false), "ended, but not yet waited for");
        child.wait().unwrap();
        assert_eq!(other.is_alive(), Some(false));
    }
}
