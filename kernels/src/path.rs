//! `Path`: which instructions the integer kernel uses, chosen once for a process.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that forces the path of [`Path::chosen`].
pub const VARIABLE: &str = "CORAL_KERNELS_PATH";

/// A way of computing lagged sums that this machine has. All ways give the same bits.
///
/// Only this module creates one, and only after it has queried the processor. This makes a call through it sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub(crate) Kind);

/// The ways there are, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No instructions beyond those of the build.
    Portable,
    /// 256-bit multiply-and-add of 16-bit numbers.
    Avx2,
    /// 512-bit multiply-and-accumulate of 16-bit numbers.
    Avx512Vnni,
}

const KINDS: [Kind; 3] = [Kind::Portable, Kind::Avx2, Kind::Avx512Vnni];

/// Why a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPath {
    /// No path has this name.
    Unknown(String),
    /// The processor, or the build for another processor, lacks its instructions.
    Absent(&'static str),
}

impl fmt::Display for NoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPath::Unknown(name) => write!(f, "no kernel path is called `{name}`: use portable, avx2 or avx512vnni"),
            NoPath::Absent(name) => {
                write!(
                    f,
                    "kernel path `{name}`: this processor lacks its instructions; use portable or unset {VARIABLE}"
                )
            }
        }
    }
}

impl std::error::Error for NoPath {}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Portable => "portable",
            Kind::Avx2 => "avx2",
            Kind::Avx512Vnni => "avx512vnni",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        match self {
            Kind::Portable => true,
            Kind::Avx2 => is_x86_feature_detected!("avx2"),
            Kind::Avx512Vnni => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Kind::Portable
    }
}

impl Path {
    /// The path that every machine has.
    pub const PORTABLE: Path = Path(Kind::Portable);

    /// All paths of this machine, slowest first.
    ///
    /// ```
    /// assert_eq!(coral_kernels::Path::all()[0], coral_kernels::Path::PORTABLE);
    /// ```
    pub fn all() -> Vec<Path> {
        KINDS.into_iter().filter(|kind| kind.is_here()).map(Path).collect()
    }

    /// The path of this name: `portable`, `avx2` or `avx512vnni`.
    ///
    /// # Errors
    /// When there is none of that name, or not on this machine.
    ///
    /// ```
    /// use coral_kernels::{NoPath, Path};
    /// assert_eq!(Path::named("portable"), Ok(Path::PORTABLE));
    /// assert_eq!(Path::named("mmx"), Err(NoPath::Unknown("mmx".to_owned())));
    /// ```
    pub fn named(name: &str) -> Result<Path, NoPath> {
        let kind = KINDS.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| NoPath::Unknown(name.to_owned()))?;
        if kind.is_here() { Ok(Path(kind)) } else { Err(NoPath::Absent(kind.name())) }
    }

    /// What this process uses: the path that `CORAL_KERNELS_PATH` names, else the fastest. Decided by the first call.
    ///
    /// # Errors
    /// When the variable names a path that does not exist or that this machine lacks.
    pub fn chosen() -> Result<Path, NoPath> {
        static CHOSEN: OnceLock<Result<Path, NoPath>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| match std::env::var_os(VARIABLE) {
                Some(name) if !name.is_empty() => Path::named(&name.to_string_lossy()),
                _ => Ok(Path::all().pop().unwrap_or(Path::PORTABLE)),
            })
            .clone()
    }

    /// Its name, as [`Path::named`] takes it.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
