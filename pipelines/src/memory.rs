//! Memory: the program's limit, and its division among store, ticks and queues.
//!
//! The limit is `engine.memory_limit`; without it, what the container allows (cgroup v1 and v2), else the machine. The
//! engine's windows are as large as the data makes them: what is left of the limit is theirs. A run that outgrows what
//! is configured, or its container, ends with a message: in a container before the kernel kills it. Its commits remain.

use std::fs;
use std::path::{Path, PathBuf};

/// Part of a container's memory that the program plans with: the kernel counts more than a process knows of.
const OF_CONTAINER: (u64, u64) = (9, 10);
/// Part of a machine's memory.
const OF_MACHINE: (u64, u64) = (8, 10);
/// Where nothing can be known.
const UNKNOWN_BYTES: u64 = 4 << 30;
/// What the store leaves to the engine at least, from limits on that allow it.
const ENGINE_BYTES: u64 = 1 << 30;
/// Most memory of a tick's rows. There are two ticks, one being written and one being read, and engine and store work
/// on copies of them.
const TICK_BYTES_MAX: u64 = 192 << 20;
/// Of the limit, a tick and the queue of what waits for the next one take this part each.
const TICK_PART: u64 = 32;
/// A tick being written, one being read, and a copy of each.
const TICKS_HELD: usize = 4;
/// What a running program takes of its container when it has outgrown it.
const OUTGROWN: (u64, u64) = (95, 100);
/// What the program takes without any data: a configured limit below this bounds ticks and store, and ends no run.
const PROGRAM_BYTES: u64 = 128 << 20;

/// Where the limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `engine.memory_limit`.
    Configured,
    /// The container.
    Container,
    /// The machine.
    Machine,
    /// Nothing is known of either.
    Unknown,
}

/// The memory of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that it plans with.
    pub limit_bytes: u64,
    /// The source of the limit.
    pub origin: Origin,
    /// What the kernel allows, beyond which it ends processes.
    container_bytes: Option<u64>,
}

/// The program takes more memory than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory {} is used up: {} MiB of {} MiB. Everything up to the last commit is stored, and a run with more \
     memory resumes: raise {}, or evaluate fewer rows (a shorter \
     correlation.metric_window or correlation.horizon, fewer series)",
    if *.is_configured { "that engine.memory_limit allows" } else { "of the container" },
    .used_bytes >> 20,
    .allowed_bytes >> 20,
    if *.is_configured { "engine.memory_limit" } else { "the container's limit" }
)]
pub struct Outgrown {
    /// In use.
    pub used_bytes: u64,
    /// Allowed.
    pub allowed_bytes: u64,
    /// By `engine.memory_limit`, not by the container.
    pub is_configured: bool,
}

impl Memory {
    /// The memory of this process; `configured` is `engine.memory_limit`.
    pub fn of(configured: Option<u64>) -> Memory {
        Memory::from(configured, container_bytes(Path::new("/")), machine_bytes(Path::new("/")))
    }

    fn from(configured: Option<u64>, container: Option<u64>, machine: Option<u64>) -> Memory {
        // a limit above the machine's memory is none
        let container_bytes = container.filter(|bytes| machine.is_none_or(|machine| *bytes < machine));
        let part = |bytes: u64, (of, all): (u64, u64)| bytes / all * of;
        let (limit_bytes, origin) = match (configured, container_bytes, machine) {
            (Some(bytes), ..) => (bytes, Origin::Configured),
            (None, Some(bytes), _) => (part(bytes, OF_CONTAINER), Origin::Container),
            (None, None, Some(bytes)) => (part(bytes, OF_MACHINE), Origin::Machine),
            (None, None, None) => (UNKNOWN_BYTES, Origin::Unknown),
        };
        Memory { limit_bytes, origin, container_bytes }
    }

    /// What DuckDB may take: half of much memory, a quarter of little.
    pub fn store_bytes(&self) -> u64 {
        (self.limit_bytes / 4).max((self.limit_bytes / 2).saturating_sub(ENGINE_BYTES))
    }

    /// Most memory of a tick's rows.
    pub fn tick_bytes_max(&self) -> usize {
        usize::try_from((self.limit_bytes / TICK_PART).min(TICK_BYTES_MAX)).unwrap_or(usize::MAX)
    }

    /// Most memory of what sources have delivered and no tick has taken yet.
    pub fn queue_bytes_max(&self) -> usize {
        self.tick_bytes_max()
    }

    /// What the windows of the engine may take: all but ticks, the queue, and what the store in this process may take.
    /// That is a cache, but one that gives nothing back while the engine grows.
    pub fn windows_bytes(&self, store_bytes: u64) -> u64 {
        let held = (TICKS_HELD * self.tick_bytes_max() + self.queue_bytes_max()) as u64;
        self.limit_bytes.max(PROGRAM_BYTES).saturating_sub(held + store_bytes)
    }

    /// What a topic may hold prefetched.
    pub fn topic_bytes(&self) -> u64 {
        self.limit_bytes / TICK_PART
    }

    /// What the program uses, where the kernel says so.
    pub fn used_bytes(&self) -> Option<u64> {
        used_bytes(Path::new("/"))
    }

    /// # Errors
    /// When the program has outgrown what is configured, or its container.
    pub fn check(&self) -> Result<(), Outgrown> {
        self.used_bytes().map_or(Ok(()), |used_bytes| self.check_used(used_bytes))
    }

    /// The same for what it is known to use.
    ///
    /// # Errors
    /// When the program has outgrown what is configured, or its container.
    pub fn check_used(&self, used_bytes: u64) -> Result<(), Outgrown> {
        let (part, all) = OUTGROWN;
        let is_over = |bytes: u64| used_bytes > bytes / all * part;
        if let Some(allowed_bytes) = self.container_bytes.filter(|bytes| is_over(*bytes)) {
            return Err(Outgrown { used_bytes, allowed_bytes, is_configured: false });
        }
        let allowed_bytes = self.limit_bytes.max(PROGRAM_BYTES);
        if self.origin == Origin::Configured && used_bytes > allowed_bytes {
            return Err(Outgrown { used_bytes, allowed_bytes, is_configured: true });
        }
        Ok(())
    }
}

/// The lowest limit of the container and its parents, from the kernel's files below `root`.
fn container_bytes(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut limits_of = |base: PathBuf, group: &str, file: &str| {
        // a container sees its own group as the root, regardless of the path
        files.push(base.join(file));
        let mut folder = base.join(group.trim_start_matches('/'));
        while folder != base && folder.starts_with(&base) {
            files.push(folder.join(file));
            if !folder.pop() {
                break;
            }
        }
    };
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if controllers.is_empty() {
            limits_of(root.join("sys/fs/cgroup"), group, "memory.max");
        } else if controllers.split(',').any(|name| name == "memory") {
            limits_of(root.join("sys/fs/cgroup/memory"), group, "memory.limit_in_bytes");
        }
    }
    // "max" is no number, and no limit
    let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    limits.min()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    kibibytes(&root.join("proc/meminfo"), "MemTotal:")
}

/// Memory that the kernel cannot take back by dropping a page of a file.
fn used_bytes(root: &Path) -> Option<u64> {
    kibibytes(&root.join("proc/self/status"), "RssAnon:")
}

/// The value of a line `Name:   123 kB`.
fn kibibytes(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A folder with these files, as the kernel would show them.
    fn kernel(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_least_limit_of_the_groups_counts_in_both_versions_of_cgroups() {
        let two = kernel(&[
            ("proc/self/cgroup", "0::/pods/reef\n"),
            ("sys/fs/cgroup/pods/memory.max", "536870912\n"),
            ("sys/fs/cgroup/pods/reef/memory.max", "max\n"),
        ]);
        assert_eq!(container_bytes(two.path()), Some(512 * MIB));
        let one = kernel(&[
            ("proc/self/cgroup", "9:cpu,cpuacct:/a\n4:memory:/docker/7\n1:name=systemd:/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/docker/7/memory.limit_in_bytes", "268435456\n"),
        ]);
        assert_eq!(container_bytes(one.path()), Some(256 * MIB));
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_root_has_its_limit_there() {
        let files = [("proc/self/cgroup", "0::/../../kubepods/x\n"), ("sys/fs/cgroup/memory.max", "1073741824\n")];
        assert_eq!(container_bytes(kernel(&files).path()), Some(1_024 * MIB));
        let files = [
            ("proc/self/cgroup", "4:memory:/docker/7\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ];
        assert_eq!(container_bytes(kernel(&files).path()), Some(1_024 * MIB));
        assert_eq!(container_bytes(kernel(&[]).path()), None);
    }

    #[test]
    fn what_is_configured_counts_then_the_container_then_the_machine() {
        let of = |configured, container, machine| {
            let memory = Memory::from(configured, container, machine);
            (memory.origin, memory.limit_bytes / MIB, memory.container_bytes.is_some())
        };
        let (small, large) = (Some(500 * MIB), Some(8_000 * MIB));
        assert_eq!(of(Some(100 * MIB), small, large), (Origin::Configured, 100, true));
        assert_eq!(of(None, small, large), (Origin::Container, 450, true));
        assert_eq!(of(None, Some(u64::MAX / 2), large), (Origin::Machine, 6_400, false));
        assert_eq!(of(None, None, large), (Origin::Machine, 6_400, false));
        assert_eq!(of(None, None, None), (Origin::Unknown, 4_096, false));
    }

    #[test]
    fn everything_that_is_held_at_once_leaves_half_of_little_memory_to_the_windows() {
        for mib in [128, 256, 460, 1_024, 4_096, 65_536] {
            let memory = Memory::from(Some(mib * MIB), None, None);
            // a tick being written, one being read, a copy of each, and the queue
            let held = memory.store_bytes() + 4 * memory.tick_bytes_max() as u64 + memory.queue_bytes_max() as u64;
            assert!(held <= mib * MIB / 2, "{mib} MiB: {} MiB", held / MIB);
            let windows = memory.windows_bytes(memory.store_bytes());
            assert_eq!(windows + held, mib * MIB, "{mib} MiB");
            assert_eq!(memory.windows_bytes(0), windows + memory.store_bytes(), "without a store in this process");
        }
    }

    #[test]
    fn a_program_that_has_outgrown_its_container_is_reported() {
        let memory = |container| Memory::from(None, Some(container), Some(u64::MAX));
        assert_eq!(memory(1 << 50).check(), Ok(()));
        let outgrown = memory(MIB).check().unwrap_err().to_string();
        assert!(outgrown.contains("of 1 MiB") && outgrown.contains("metric_window"), "{outgrown}");
        let configured = |mib: u64| Memory::from(Some(mib * MIB), None, Some(u64::MAX));
        assert_eq!((configured(512).check_used(500 * MIB), configured(1).check_used(100 * MIB)), (Ok(()), Ok(())));
        let outgrown = configured(512).check_used(520 * MIB).unwrap_err().to_string();
        assert!(
            outgrown.contains("raise engine.memory_limit") && outgrown.contains("520 MiB of 512 MiB"),
            "{outgrown}"
        );
    }
}
