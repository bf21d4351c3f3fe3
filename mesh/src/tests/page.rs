//! docs/mesh.md: the messages that its troubleshooting table quotes are those of the program, with their exit codes.

use crate::error::{Class, DiscoveryError, MeshError, WeakSecret, listen_refused};
use crate::registry::Refusal;
use model::time::TimeMs;
use std::io::ErrorKind;

/// Each error with what is printed of it.
fn shown() -> Vec<(Class, String)> {
    let (colony_id, at) = (|| "my-shop".to_owned(), || "203.0.113.42:41580".to_owned());
    let url = || "https://discovery.example.com".to_owned();
    let refusal = Refusal::Revoked { at: TimeMs(0) };
    let errors = [
        MeshError::WrongSecret { colony_id: colony_id(), at: at() },
        MeshError::NoAnswer { colony_id: colony_id(), at: at(), tries: 5, seconds: 15 },
        MeshError::UnknownColony { colony_id: colony_id(), discovery: url() },
        MeshError::Refused { colony_id: colony_id(), reason: refusal.code().to_owned(), detail: refusal.to_string() },
        MeshError::LookUp { colony_id: colony_id(), cause: DiscoveryError::Unknown { url: url() } },
        MeshError::WeakSecret {
            found_in: "r.secret".to_owned(),
            cause: WeakSecret::Short { characters: 9, least: crate::secret::CHARACTERS_MIN },
        },
        listen_refused("UDP", "0.0.0.0:41580", ErrorKind::AddrInUse.into()),
    ];
    let shown = errors.iter().map(|error| {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        (error.class(), format!("{error}: {cause}"))
    });
    // a response of the discovery service, as a colony logs it
    let server = include_str!("../discovery/server.rs").to_owned();
    shown.chain([(Class::Failed, server)]).collect()
}

/// Whether a text has the parts of a quotation in their order, which are separated by `…`.
fn is_quoted(text: &str, quotation: &str) -> bool {
    let mut rest = Some(text);
    for part in quotation.split('…') {
        rest = rest.and_then(|text| text.split_once(part.trim()).map(|(_, behind)| behind));
    }
    rest.is_some()
}

#[test]
fn the_messages_of_the_page_are_those_of_the_program() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mesh.md")).unwrap();
    let table = page.split("\n## Troubleshooting\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let shown = shown();
    let mut found = 0;
    for row in table.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `coral")) {
        let symptom = row.split('|').nth(1).unwrap().trim();
        let (quotation, code) = symptom.trim_start_matches('`').split_once('`').unwrap();
        let (class, text) = shown.iter().find(|(_, text)| is_quoted(text, quotation)).expect(row);
        let expected = match class {
            Class::Failed => 1,
            Class::Usage => 2,
            Class::NotAuthorised => 4,
        };
        assert!(code.is_empty() || code == format!(" (exit {expected})"), "{row}: {text}");
        found += 1;
    }
    assert_eq!(found, shown.len());
}
