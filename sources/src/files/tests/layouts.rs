//! Files as people have them: other layouts of JSON, other extensions, names, folders, pipes.

use super::*;

fn events(number: usize) -> Vec<String> {
    (0..number).map(event_line).collect()
}

fn ids(chunk: &Chunk) -> Vec<String> {
    chunk.rows.events.iter().map(|event| event.event_id.clone()).collect()
}

#[test]
fn objects_of_every_layout_are_read() {
    let lines = events(30);
    let expected: Vec<String> = (0..30).map(|number| format!("e{number}")).collect();
    let pretty: Vec<String> = lines
        .iter()
        .map(|line| serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap()).unwrap())
        .collect();
    for text in [
        lines.join("\n"),
        format!("\u{feff}{}\n", lines.join("\r\n")),
        format!("[{}]", lines.join(",")),
        format!("[\n{}\n]\n", lines.join(",\n")),
        pretty.join("\n"),
        format!("[\n{}\n]", pretty.join(",\n")),
        lines.concat(),
        format!("{}\n{}", lines[0], lines[1..].join(",")),
    ] {
        let chunk = chunks("e.json", &text, RowKind::Events).unwrap();
        assert_eq!((ids(&chunk), chunk.rejects), (expected.clone(), Vec::new()), "{}", &text[..200]);
    }
}

#[test]
fn a_broken_object_of_another_layout_is_refused_and_the_next_one_is_read() {
    let lines = events(3);
    let text = format!("[\n{},\n{},\n{}\n]\n", lines[0], lines[1].replace("\"deploy\"", "\"deploy"), lines[2]);
    let chunk = chunks("e.json", &text, RowKind::Events).unwrap();
    assert_eq!(ids(&chunk), ["e0", "e2"]);
    assert_eq!(reasons(&chunk), [("e.json row 2".to_owned(), RejectReason::Malformed)]);
}

#[test]
fn each_refused_object_of_a_line_has_a_place_of_its_own() {
    let lines: Vec<String> = events(4).iter().map(|line| line.replace("\"service_id\"", "\"servise\"")).collect();
    let chunk = chunks("e.json", &format!("[{}]", lines.join(",")), RowKind::Events).unwrap();
    let places: Vec<String> = reasons(&chunk).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["e.json row 1", "e.json row 2", "e.json row 3", "e.json row 4"]);
}

#[test]
fn refused_objects_that_share_a_line_among_others_have_places_of_their_own() {
    let lines: Vec<String> = events(6).iter().map(|line| line.replace("\"service_id\"", "\"servise\"")).collect();
    let text = format!("{}\n{}{}\n{},\n{}\n", events(1)[0], lines[1], lines[2], lines[3], lines[4]);
    let chunk = chunks("e.ndjson", &text, RowKind::Events).unwrap();
    let places: Vec<String> = reasons(&chunk).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["e.ndjson:2.1", "e.ndjson:2.2", "e.ndjson:3", "e.ndjson:4"]);
}

#[tokio::test]
async fn layouts_resume_at_every_chunk() {
    let all: Vec<String> = events(20_000).iter().map(|line| format!("  {line}")).collect();
    let folder = folder(&[("e.json", &format!("[\n{}\n]\n", all.join(",\n")))]);
    let config = config(folder.path(), &[], &["e.json"]);
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let first = source.next_batch().await.unwrap().unwrap();
    let rest = read_from(&config, &first.positions).await.unwrap();
    assert_eq!(first.rows.events.len() + rest.rows.events.len(), 20_000);
    let again = read_from(&config, &rest.positions).await.unwrap();
    assert_eq!((again.rows.len(), again.report.unchanged_files), (0, 1));
}

#[test]
fn a_file_that_is_something_else_is_named_once() {
    let utf16: Vec<u8> = "\u{feff}{\"event_id\": 1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let csv = "event_id,colony_id,timestamp,event_type,service_id\n1,c,2023-01-03T19:06:18Z,deploy,api\n";
    let cases: [(&str, &[u8], &str); 8] = [
        ("e.ndjson", b"\x1f\x8b\x08\x00rest", "it is compressed with gzip"),
        ("e.csv", &utf16, "it is UTF-16 text"),
        ("e.csv", b"<html><body>sign in", "it is HTML"),
        ("e.csv", b"{\"event_id\": 1}", "it holds JSON"),
        ("e.ndjson", csv.as_bytes(), "its first line is a header of CSV"),
        ("e.parquet", csv.as_bytes(), "it does not begin as one but with \"event_id,colony_id"),
        ("e.parquet", b"", "it is empty"),
        ("e.parquet", b"PAR1 and the rest is missing", "its end is missing"),
    ];
    for (name, bytes, words) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = open(&path, RowKind::Events).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_file_under_several_patterns_is_read_once() {
    let folder = folder(&[("e.ndjson", &event_line(1)), ("m[1].ndjson", &event_line(2))]);
    std::os::unix::fs::symlink("e.ndjson", folder.path().join("link.ndjson")).unwrap();
    let absolute = folder.path().join("e.ndjson").display().to_string();
    for patterns in [
        vec!["e.ndjson", "e.ndjson"],
        vec!["*.ndjson", "e.ndjson", "m[1].ndjson"],
        vec!["e.ndjson", "./e.ndjson", "link.ndjson"],
        vec!["e.ndjson", &absolute],
        vec![&absolute, "e*.ndjson"],
    ] {
        let all = read_all(&config(folder.path(), &[], &patterns)).await.unwrap();
        let mut expected = vec!["e.ndjson"];
        if patterns[0].starts_with('*') {
            expected.push("m[1].ndjson");
        }
        assert_eq!(all.positions.0.keys().collect::<Vec<_>>(), expected, "{patterns:?}");
        assert_eq!(all.rows.events.len(), expected.len(), "{patterns:?}");
    }
}

#[tokio::test]
async fn paths_that_are_no_files_are_named_as_what_they_are() {
    let folder = folder(&[("e.ndjson", &event_line(1))]);
    fs::create_dir(folder.path().join("dir.ndjson")).unwrap();
    std::os::unix::fs::symlink("nowhere.ndjson", folder.path().join("dead.ndjson")).unwrap();
    let pipe = folder.path().join("pipe.ndjson");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = |pattern: &str| {
        let built = config(folder.path(), &[], &[pattern]).build(&Positions::default(), &SystemClock::shared());
        built.map(|_| ()).unwrap_err()
    };
    assert!(error("dir.ndjson").to_string().contains("is a folder"), "{}", error("dir.ndjson"));
    assert!(error("pipe.ndjson").to_string().contains("names a pipe (FIFO)"), "{}", error("pipe.ndjson"));
    assert!(error("e.ndjson.gz").to_string().contains("is a compressed file"), "{}", error("e.ndjson.gz"));
    assert!(matches!(error("dead.ndjson"), SourceError::File { .. }));
    fs::remove_file(pipe).unwrap();
    let all = read_all(&config(folder.path(), &[], &["*.ndjson"])).await.unwrap();
    assert_eq!((all.rows.events.len(), all.report.failed_inputs), (1, 1), "{:?}", all.report);
    assert!(all.report.failed[0].problem.contains("dead.ndjson"), "{:?}", all.report);
}

#[test]
fn what_a_file_holds_is_known_by_its_first_records() {
    let metric = r#"{"colony_id":"c","service_id":"s","Metric-Name":"m","timestamp":1672770000000,"p50":1}"#;
    let clock = SystemClock::shared();
    for (name, text, expected) in [
        ("e.ndjson", format!("\u{feff}{}\n", event_line(1)), RowKind::Events),
        ("e.json", format!("[{}]", event_line(1)), RowKind::Events),
        ("m.ndjson", format!("caf\u{e9}\n{metric}\n"), RowKind::Metrics),
        ("m.csv", format!("{METRIC_HEADER}{}", metric_line(1)), RowKind::Metrics),
        ("e.csv", "Event ID;Colony ID;Timestamp;Event Type;Service ID\n".to_owned(), RowKind::Events),
    ] {
        let folder = folder(&[(name, &text)]);
        assert_eq!(kind_of(&folder.path().join(name), &clock).unwrap(), expected, "{name}");
    }
    let folder = folder(&[("x.ndjson", "words\n")]);
    let error = kind_of(&folder.path().join("x.ndjson"), &clock).unwrap_err().to_string();
    assert!(error.contains("no record of it is a JSON object"), "{error}");
}
