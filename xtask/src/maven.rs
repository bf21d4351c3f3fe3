//! Jars from Maven Central, with what they run with, fetched by Maven itself.

use crate::checkout;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `mvn` checks every jar against the checksum that the repository holds beside it.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies";

/// What is published under these names.
pub struct Artifact {
    /// Who publishes it.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its exact version.
    pub version: &'static str,
}

/// What a program of Java needs that this machine lacks, if anything.
pub fn missing_programs() -> Option<String> {
    let missing: Vec<&str> = [("java", "-version"), ("mvn", "--version")]
        .into_iter()
        .filter(|(program, version)| !checkout::answers(program, &[version]))
        .map(|(program, _)| program)
        .collect();
    (!missing.is_empty()).then(|| missing.join(" and "))
}

/// Puts an artifact, and all that it needs at run time, into `folder`, or says why not. It appears there completely or
/// not at all.
pub fn fetch(artifact: &Artifact, folder: &Path) -> Result<std::result::Result<(), String>> {
    let Artifact { name, version, .. } = artifact;
    let scratch = folder.with_file_name(format!(".part-{name}-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let outcome = copied(artifact, &scratch);
    if let Ok(Ok(jars)) = &outcome {
        checkout::name(jars, folder)?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    Ok(outcome?.map(drop).map_err(|first| format!("{name} {version} could not be fetched: {first}")))
}

fn copied(artifact: &Artifact, scratch: &Path) -> Result<std::result::Result<PathBuf, String>> {
    let project = scratch.join("pom.xml");
    fs::write(&project, pom(artifact)).with_context(|| format!("cannot write {}", project.display()))?;
    let jars = scratch.join("jars");
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", PLUGIN, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .current_dir(scratch)
        .output()
        .context("cannot start mvn")?;
    if output.status.success() {
        return Ok(Ok(jars));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(Err(said.lines().find(|line| line.contains("ERROR")).unwrap_or("mvn failed").trim().to_owned()))
}

/// A project that depends on the artifact and nothing else.
fn pom(Artifact { group, name, version }: &Artifact) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>com.example</groupId>\n  <artifactId>jars</artifactId>\n  <version>1</version>\n  \
         <packaging>pom</packaging>\n  <dependencies>\n    <dependency>\n      \
         <groupId>{group}</groupId>\n      <artifactId>{name}</artifactId>\n      \
         <version>{version}</version>\n    </dependency>\n  </dependencies>\n</project>\n"
    )
}
