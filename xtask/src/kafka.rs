//! Apache Kafka for the tests: a broker's jars from Maven Central, fetched once into the cache.

use crate::checkout;
use crate::maven::{self, Artifact};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

/// The version that the tests run against.
const KAFKA_VERSION: &str = "4.3.1";
const KAFKA: Artifact = Artifact { group: "org.apache.kafka", name: "kafka_2.13", version: KAFKA_VERSION };

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
    if let Some(what) = maven::missing_programs() {
        return Ok(Err(format!("Apache Kafka needs {what} (Java 17 or later, Maven), which this machine lacks")));
    }
    println!("kafka: fetching Apache Kafka {KAFKA_VERSION} and what it runs with (45 MB) from Maven Central");
    Ok(maven::fetch(&KAFKA, &folder)?.map(|()| folder))
}
