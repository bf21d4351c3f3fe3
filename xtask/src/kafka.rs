//! Apache Kafka for the tests: a broker's jars from Maven Central, fetched once into the cache.

use crate::checkout;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The version that the tests run against.
const KAFKA_VERSION: &str = "4.3.1";
/// `mvn` checks every jar against the checksum that the repository holds beside it.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies";

/// `cargo xtask kafka`.
pub fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = args.first() {
        bail!("`cargo xtask kafka` takes no arguments, got `{unknown}`");
    }
    match jars()? {
        Ok(folder) => {
            println!("kafka: Apache Kafka {KAFKA_VERSION} is in {}", folder.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => bail!("{reason}"),
    }
}

/// The folder with the jars, or why this machine has none. The tests find it themselves.
pub fn jars() -> Result<std::result::Result<PathBuf, String>> {
    let folder = checkout::cache()?.join(format!("kafka-{KAFKA_VERSION}"));
    if folder.is_dir() {
        return Ok(Ok(folder));
    }
    let missing: Vec<&str> = [("java", "-version"), ("mvn", "--version")]
        .into_iter()
        .filter(|(program, version)| !checkout::answers(program, &[version]))
        .map(|(program, _)| program)
        .collect();
    if !missing.is_empty() {
        let what = missing.join(" and ");
        return Ok(Err(format!("Apache Kafka needs {what} (Java 17 or later, Maven), which this machine lacks")));
    }
    println!("kafka: fetching Apache Kafka {KAFKA_VERSION} and what it runs with (45 MB) from Maven Central");
    let scratch = folder.with_file_name(format!(".part-kafka-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let outcome = fetch(&scratch);
    if let Ok(Ok(jars)) = &outcome {
        fs::rename(jars, &folder).with_context(|| format!("cannot move {} to {}", jars.display(), folder.display()))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    Ok(outcome?.map(|_| folder))
}

fn fetch(scratch: &std::path::Path) -> Result<std::result::Result<PathBuf, String>> {
    let project = scratch.join("pom.xml");
    fs::write(&project, pom()).with_context(|| format!("cannot write {}", project.display()))?;
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
    let first = said.lines().find(|line| line.contains("ERROR")).unwrap_or("mvn failed").trim();
    Ok(Err(format!("Apache Kafka {KAFKA_VERSION} could not be fetched: {first}")))
}

/// A project that depends on the broker and nothing else.
fn pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>com.example</groupId>\n  <artifactId>kafka-broker</artifactId>\n  <version>1</version>\n  \
         <packaging>pom</packaging>\n  <dependencies>\n    <dependency>\n      \
         <groupId>org.apache.kafka</groupId>\n      <artifactId>kafka_2.13</artifactId>\n      \
         <version>{KAFKA_VERSION}</version>\n    </dependency>\n  </dependencies>\n</project>\n"
    )
}
