//! `cargo xtask bench peers`: the question of the kernels put to other programs, on the same series and cores.

use crate::checkout;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What is asked, each with its version. pyscamp is compiled, which takes cmake, a C++ compiler and some minutes.
const PEERS: [&str; 4] = ["numpy", "duckdb==1.5.6", "stumpy==1.14.1", "pyscamp==4.0.3"];

/// `cargo xtask bench`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let series = match args {
        [what] if what == "peers" => "50",
        [what, flag, series] if what == "peers" && flag == "--series" => series.as_str(),
        _ => bail!("say what: cargo xtask bench peers [--series N]"),
    };
    let python = peers()?;
    let folder = checkout::cache()?.join("tools/bench-peers/series");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut ours = checkout::cargo();
    ours.args(["bench", "-p", "coral-operators", "--bench", "peers", "--"]).arg(&folder).arg(series);
    let done = checkout::run(&mut ours)?;
    if done != ExitCode::SUCCESS {
        return Ok(done);
    }
    println!("\ncargo xtask bench peers --series {series}");
    checkout::run(Command::new(python).arg(checkout::root().join("benches/peers.py")).arg(&folder))
}

/// The Python that has the peers, as far as they can be installed: one that is missing is skipped with a message.
fn peers() -> Result<PathBuf> {
    let folder = checkout::cache()?.join("tools/bench-peers");
    let python = folder.join("bin/python");
    if !python.exists() {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
        if !made.context("cannot start python3")?.success() {
            bail!("python3 cannot create a virtual environment (Debian: apt-get install python3-venv)");
        }
    }
    for peer in PEERS {
        let stamp = folder.join(format!("{peer}.installed"));
        if stamp.exists() {
            continue;
        }
        println!("bench: installing {peer} from PyPI");
        if install(&python, peer)? {
            fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
        } else {
            println!("bench: {peer} could not be installed and will be skipped");
        }
    }
    Ok(python)
}

fn install(python: &Path, peer: &str) -> Result<bool> {
    let status = Command::new(python).args(["-m", "pip", "install", "--quiet", peer]).status();
    Ok(status.context("cannot start pip")?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_says_what_there_is() {
        let wrong: [&[&str]; 4] = [&[], &["x"], &["peers", "--series"], &["peers", "50"]];
        for args in wrong {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let refused = run(&args).map(|_| ()).map_err(|error| error.to_string());
            assert_eq!(refused, Err("say what: cargo xtask bench peers [--series N]".to_owned()));
        }
    }
}
