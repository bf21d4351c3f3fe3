//! A broker that asks for TLS and a password: properties of the source reach the client, and errors are reported.

use super::broker::{Broker, PASSWORD, USER};
use super::{client, count, events, held, unique};
use crate::support::{Reef, json, program};
use std::process::{Command, Output};

/// What a command says about a reef over `topic`.
fn asked(command: &str, reef: &Reef, password: &str) -> Output {
    let mut program = Command::new(program("coral-pipeline"));
    program.arg(command).arg(reef.config()).arg("--json").env("REEF_KAFKA_PASSWORD", password);
    program.output().unwrap()
}

/// A topic behind TLS and a password is read and written, and refusals say why.
pub fn behind_tls_and_a_password(broker: &Broker) {
    let topic = unique("secured");
    client::create_topic(&broker.brokers(), &topic, 2);
    client::send(&broker.brokers(), &topic, &events(0..20));
    let (address, certificate) = broker.secure();
    let reef = |trusts: bool, topic: &str| {
        let trust = format!(", \"ssl.ca.location\" = \"{}\"", certificate.display());
        Reef::new(&format!(
            "[[sources]]\nkind = \"kafka\"\nbrokers = \"{address}\"\ntopics.events = \"{topic}\"\nend = \"now\"\n\
             options = {{ \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"SCRAM-SHA-512\", \
             \"sasl.username\" = \"{USER}\"{} }}\noptions_env = {{ \"sasl.password\" = \"REEF_KAFKA_PASSWORD\" }}\n",
            if trusts { &trust } else { "" }
        ))
    };

    let trusting = reef(true, &topic);
    let read = json(&asked("run", &trusting, PASSWORD));
    assert_eq!((count(&read, "events"), held(&trusting)), (20, (0..20).collect()));
    assert!(asked("validate", &trusting, PASSWORD).status.success());

    // stored rows are published the same way
    let copy = format!("{topic}-copy");
    let mut publish = Command::new(program("coral-pipeline"));
    publish.arg("publish").arg(trusting.config()).args(["--stored", "--events-topic", &copy, "--json"]);
    json(&publish.env("REEF_KAFKA_PASSWORD", PASSWORD).output().unwrap());
    let copied = reef(true, &copy);
    assert_eq!(count(&json(&asked("run", &copied, PASSWORD)), "events"), 20);

    for (reef, password, why) in
        [(&trusting, "wrong", "uthentication"), (&reef(false, &topic), PASSWORD, "certificate")]
    {
        for command in ["run", "validate"] {
            let refused = asked(command, reef, password);
            let said = String::from_utf8_lossy(&refused.stdout) + String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && said.contains(&address) && said.contains(why), "{command}: {said}");
            assert!(!said.contains(PASSWORD) && !said.contains("\"wrong\""), "{command}: {said}");
        }
    }
}
