//! Files that are read a second time: unchanged, replaced, grown, finished, broken.

use super::*;
use crate::FailureClass;
use model::clock::ManualClock;

fn event_config(folder: &Path, name: &str) -> FilesConfig {
    config(folder, &[], &[name])
}

/// Gives a file the time of another moment, or of another file.
fn set_time(path: &Path, time: std::time::SystemTime) {
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

fn ids(batch: &Batch) -> Vec<&str> {
    batch.rows.events.iter().map(|event| event.event_id.as_str()).collect()
}

#[tokio::test]
async fn an_unchanged_file_is_counted_and_not_read() {
    let folder = folder(&[
        ("e.ndjson", &format!("{}\n", event_line(1))),
        ("f.csv", "event_id,colony_id,timestamp,event_type,service_id\n"),
    ]);
    let config = config(folder.path(), &[], &["*.ndjson", "*.csv"]);
    let first = read_all(&config).await.unwrap();
    assert_eq!((ids(&first), first.report.unchanged_files), (vec!["e1"], 0));
    let again = read_from(&config, &first.positions).await.unwrap();
    assert_eq!((again.rows.len(), again.report.unchanged_files, again.restarted.len()), (0, 2, 0));
}

#[tokio::test]
async fn another_file_of_the_same_size_and_time_is_noticed() {
    for (length, other) in [(20, 3), (30_000, 29_999)] {
        let text = |other: usize| -> String {
            let id = |n: usize| if n == other { format!("\"x{n}\"") } else { format!("\"e{n}\"") };
            (0..length).map(|n| event_line(n).replace(&format!("\"e{n}\""), &id(n)) + "\n").collect()
        };
        let folder = folder(&[("e.ndjson", &text(usize::MAX))]);
        let path = folder.path().join("e.ndjson");
        let config = event_config(folder.path(), "e.ndjson");
        let first = read_all(&config).await.unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, text(other)).unwrap();
        set_time(&path, time);
        let again = read_from(&config, &first.positions).await.unwrap();
        assert_eq!(again.rows.events.len(), length, "it is read from its start");
        assert_eq!(again.restarted, ["e.ndjson"]);
    }
}

#[tokio::test]
async fn a_grown_file_is_read_from_its_old_end() {
    let header = "event_id,colony_id,timestamp,event_type,service_id\n";
    let csv = |n: usize| format!("e{n},shop-production,1672770000000,deploy,api\n");
    let json = |n: usize| event_line(n) + "\n";
    for (name, header) in [("e.csv", header), ("e.ndjson", "")] {
        let line = |number: usize| if name == "e.csv" { csv(number) } else { json(number) };
        let many: String = (0..500).map(line).collect();
        let folder = folder(&[(name, &format!("{header}{many}broken\n"))]);
        let path = folder.path().join(name);
        let config = event_config(folder.path(), name);
        let first = read_all(&config).await.unwrap();
        assert_eq!((first.rows.events.len(), first.rejects.len()), (500, 1));
        fs::write(&path, format!("{header}{many}broken\n{}bad\n", line(500))).unwrap();
        let again = read_from(&config, &first.positions).await.unwrap();
        assert_eq!((ids(&again), again.restarted.len()), (vec!["e500"], 0), "{name}: only what is new");
        let place = &again.rejects[0].place;
        let number = 503 + usize::from(!header.is_empty());
        assert_eq!(*place, format!("{name}:{number}"), "lines are counted on");
        // a file that is longer and yet another one
        fs::write(&path, format!("{header}{}{many}{many}", line(9_999))).unwrap();
        let again = read_from(&config, &first.positions).await.unwrap();
        assert_eq!((again.rows.events.len(), again.restarted.len()), (1_001, 1), "{name}");
    }
}

/// The result of reading each version of a file in a separate run: rows by id, the greatest copy of each, and the
/// locations of rejects.
async fn left_behind(name: &str, versions: &[&str], clock_ms: Option<i64>) -> (Vec<(String, String)>, Vec<String>) {
    let folder = folder(&[(name, "")]);
    let config = event_config(folder.path(), name);
    let mut positions = Positions::default();
    let mut events: std::collections::BTreeMap<String, model::event::Event> = Default::default();
    let mut rejects = std::collections::BTreeSet::new();
    for version in versions {
        fs::write(folder.path().join(name), version).unwrap();
        let clock: SharedClock = match clock_ms {
            Some(ms) => ManualClock::at(TimeMs(ms)),
            None => SystemClock::shared(),
        };
        let mut source = config.build(&positions, &clock).unwrap();
        while let Some(batch) = source.next_batch().await.unwrap() {
            for settled in &batch.settled {
                assert!(rejects.remove(settled), "{settled} was a reject");
            }
            if !batch.restarted.is_empty() {
                rejects.clear();
            }
            rejects.extend(batch.rejects.iter().map(|reject| reject.place.clone()));
            for event in batch.rows.events {
                let stored = events.entry(event.event_id.clone()).or_insert_with(|| event.clone());
                if event > *stored {
                    *stored = event;
                }
            }
            positions.advance(batch.positions);
        }
    }
    let shown = events.into_values().filter(|event| !event.withdrawn).map(|event| (event.event_id, event.description));
    (shown.collect(), rejects.into_iter().collect())
}

#[tokio::test]
async fn a_half_written_last_record_gives_way_to_the_whole_one() {
    let header = "event_id,colony_id,timestamp,event_type,service_id,description\n";
    let line = |id: usize, text: &str| format!("e{id},shop-production,1672770000000,deploy,api,{text}");
    let whole = format!("{header}{}\n{}\n{}\n", line(1, "one"), line(2, "again and again"), line(3, "three"));
    let expected = left_behind("e.csv", &[&whole], None).await;
    assert_eq!(expected.0.len(), 3);
    for cut in header.len() + 1..whole.len() {
        let (rows, rejects) = left_behind("e.csv", &[&whole[..cut], &whole], None).await;
        assert_eq!((&rows, &rejects), (&expected.0, &expected.1), "cut at {cut}: {:?}", &whole[..cut]);
    }
    // cut text that sorts after the whole one, in two steps
    let steps = [
        format!("{header}{}", line(1, "z")),
        format!("{header}{}", line(1, "z\"")),
        format!("{header}{}\n", line(1, "z\"a")),
    ];
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    assert_eq!(left_behind("e.csv", &steps, None).await.0, [("e1".to_owned(), "z\"a".to_owned())]);
    // the whole record is no row: what its beginning was taken for is taken back, until it is one after all
    let one = format!("{header}{}\n", line(1, "one"));
    let broken = [format!("{one}{}", line(2, "two")), format!("{one}{},more,and\n", line(2, "two"))];
    let found = left_behind("e.csv", &[&broken[0], &broken[1]], None).await;
    assert_eq!(found, (vec![("e1".to_owned(), "one".to_owned())], vec!["e.csv:3".to_owned()]));
    let steps = ["z", "z,more", "z,more,and\n"].map(|text| format!("{one}{}", line(2, text)));
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    assert_eq!(left_behind("e.csv", &steps, None).await, found, "also in steps");
    // a record of several lines, and one that is no text
    let steps = [
        format!("{one}e2,\"shop-production\",1672770000000,deploy,\"a\nb\",z"),
        format!("{one}e2,\"shop-production\",1672770000000,deploy,\"a\nb\",z\"a\n"),
    ];
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let expected_row = ("e2".to_owned(), "z\"a".to_owned());
    assert_eq!(left_behind("e.csv", &steps, None).await.0[1], expected_row);
    // the same for objects, whose end is certain
    let whole = format!("{}\n{}\n", event_line(1), event_line(2));
    let expected = left_behind("e.ndjson", &[&whole], None).await;
    for cut in 1..whole.len() {
        assert_eq!(left_behind("e.ndjson", &[&whole[..cut], &whole], None).await, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_quote_that_is_open_at_the_end_of_a_growing_file_may_still_close() {
    let header = "event_id,colony_id,timestamp,event_type,service_id,description\n";
    let whole = format!("{header}e1,shop-production,1672770000000,deploy,api,\"two\nlines\"\n");
    let cut = whole.len() - 5;
    let alone = left_behind("e.csv", &[&whole[..cut]], None).await;
    assert_eq!(alone, (Vec::new(), vec!["e.csv:2".to_owned()]));
    let both = left_behind("e.csv", &[&whole[..cut], &whole], None).await;
    assert_eq!(both, (vec![("e1".to_owned(), "two\nlines".to_owned())], Vec::new()));
}

#[tokio::test]
async fn a_record_cut_in_what_identifies_it_waits_until_the_file_is_quiet() {
    let header = "colony_id,timestamp,event_type,service_id,event_id\n";
    let text =
        format!("{header}shop-production,1672770000000,deploy,api,e1\nshop-production,1672770000000,deploy,api,e2");
    let ids = |left: (Vec<(String, String)>, Vec<String>)| left.0.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(left_behind("e.csv", &[&text], None).await), ["e1"]);
    assert_eq!(ids(left_behind("e.csv", &[&text, &format!("{text}22\n")], None).await), ["e1", "e222"]);
    // much later the file is assumed to be complete: its last record is read as it is
    assert_eq!(ids(left_behind("e.csv", &[&text, &text], Some(4_102_444_800_000)).await), ["e1", "e2"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let folder =
        folder(&[("a.csv", "nothing,known\n1,2\n"), ("b.parquet", "PAR1 not really"), ("c.ndjson", &event_line(1))]);
    let config = config(folder.path(), &[], &["*.csv", "*.parquet", "*.ndjson"]);
    let all = read_all(&config).await.unwrap();
    assert_eq!(ids(&all), ["e1"]);
    let failed: Vec<_> = all.report.failed.iter().map(|failed| (failed.input.as_str(), failed.class)).collect();
    assert_eq!(failed, [("a.csv", FailureClass::Format), ("b.parquet", FailureClass::Format)]);
    assert!(all.report.failed[1].problem.contains("b.parquet is not a readable parquet file"), "{:?}", all.report);
    assert_eq!(all.positions.0.keys().collect::<Vec<_>>(), ["c.ndjson"], "what failed is tried again by the next run");
}

#[tokio::test]
async fn a_reader_that_panics_costs_its_file_which_is_named_and_no_other() {
    let folder = folder(&[
        ("panics-when-opened.ndjson", &event_line(1)),
        ("panics-when-read.ndjson", &event_line(2)),
        ("whole.ndjson", &event_line(3)),
    ]);
    let config = config(folder.path(), &[], &["*.ndjson"]);
    let all = read_all(&config).await.unwrap();
    assert_eq!(ids(&all), ["e3"]);
    let failed: Vec<_> = all.report.failed.iter().map(|failed| (failed.input.as_str(), failed.class)).collect();
    let names = ["panics-when-opened.ndjson", "panics-when-read.ndjson"];
    assert_eq!(failed, names.map(|name| (name, FailureClass::Format)));
    for (failed, name) in all.report.failed.iter().zip(names) {
        assert!(failed.problem.contains(name) && failed.problem.contains("a planted panic"), "{}", failed.problem);
    }
    assert_eq!(
        all.positions.0.keys().collect::<Vec<_>>(),
        ["whole.ndjson"],
        "what failed is tried again by the next run"
    );
}

#[test]
fn positions_of_earlier_versions_are_understood() {
    let text = r#"{"rows":2,"lines":3,"bytes":40,"file":{"len_bytes":40,"modified_ns":7}}"#;
    let position = position::FilePosition::of_text(text).unwrap();
    assert!(position.is_done && position.content.is_none() && position.tail.is_none());
    let half = position::FilePosition::of_text(&text.replace("\"bytes\":40", "\"bytes\":20")).unwrap();
    assert!(!half.is_done);
    assert_eq!(position::FilePosition::of_text(&position.to_text()), Some(position));
}

#[tokio::test]
async fn what_was_made_of_a_half_written_record_is_replaced_also_after_a_read_that_waited() {
    // the last column identifies the row: a cut one waits
    let header = "colony_id,timestamp,event_type,service_id,description,event_id\n";
    let line = |text: &str, id: &str| format!("shop-production,1672770000000,deploy,api,{text},{id}");
    let folder = folder(&[("e.csv", "")]);
    let config = event_config(folder.path(), "e.csv");
    let mut positions = Positions::default();
    let mut stored: Vec<model::event::Event> = Vec::new();
    let long = "z".repeat(60_000);
    let steps = [
        (format!("{header}{}\n{}", line("one", "e0"), line(&long, "e1")), true),
        (format!("{header}{}\n{}", line("one", "e0"), line(&long, "e1x")), false),
        (format!("{header}{}\n{}\n", line("one", "e0"), line(&long, "e1xy")), false),
    ];
    for (text, is_quiet) in &steps {
        fs::write(folder.path().join("e.csv"), text).unwrap();
        let clock: SharedClock = match is_quiet {
            true => ManualClock::at(TimeMs(4_102_444_800_000)),
            false => SystemClock::shared(),
        };
        let mut source = config.build(&positions, &clock).unwrap();
        while let Some(batch) = source.next_batch().await.unwrap() {
            stored.extend(batch.rows.events);
            positions.advance(batch.positions);
        }
        let position = &positions.0["e.csv"];
        assert!(position.len() < 16 * 1024, "a position of {} bytes", position.len());
    }
    stored.sort();
    let greatest: std::collections::BTreeMap<_, _> =
        stored.iter().map(|event| (event.event_id.as_str(), event.withdrawn)).collect();
    assert_eq!(greatest, [("e0", false), ("e1", true), ("e1xy", false)].into());
}

/// The metric rows after all versions of a file: the greatest copy of each bucket, without its version.
async fn metrics_left_behind(versions: &[&str]) -> Vec<(TimeMs, Option<f64>)> {
    let folder = folder(&[("m.csv", "")]);
    let config = config(folder.path(), &["m.csv"], &[]);
    let mut positions = Positions::default();
    let mut points: std::collections::BTreeMap<TimeMs, model::metric::MetricPoint> = Default::default();
    for version in versions {
        fs::write(folder.path().join("m.csv"), version).unwrap();
        let batch = read_from(&config, &positions).await.unwrap();
        positions.advance(batch.positions);
        for point in batch.rows.metrics {
            let stored = points.entry(point.timestamp).or_insert(point);
            if point.rank() > stored.rank() {
                *stored = point;
            }
        }
    }
    points.into_values().map(|point| (point.timestamp, point.p95.map(|real| real.0))).collect()
}

#[tokio::test]
async fn a_number_cut_before_its_exponent_gives_way_to_the_whole_one() {
    let header = "colony_id,service_id,metric_name,timestamp,count,p95\n";
    let line = |minute: i64, p95: &str| format!("shop,web,rate,{},100,{p95}", 1_672_770_000_000_i64 + minute * 60_000);
    let whole = format!("{header}{}\n{}\n{}\n", line(0, "9.75e-05"), line(1, "1.5e-05"), line(2, "152.75"));
    let expected = metrics_left_behind(&[&whole]).await;
    assert_eq!(expected.len(), 3);
    for cut in header.len() + 1..whole.len() {
        assert_eq!(metrics_left_behind(&[&whole[..cut], &whole]).await, expected, "cut at {cut}: {:?}", &whole[..cut]);
    }
    // in steps, each of which says more
    let steps: Vec<&str> = [5, 4, 3, 1, 0].iter().map(|less| &whole[..whole.len() - less]).collect();
    assert_eq!(metrics_left_behind(&steps).await, expected);
}

#[tokio::test]
async fn a_stated_version_makes_the_file_the_truth_and_reads_it_again() {
    let header = "colony_id,service_id,metric_name,timestamp,p95,version\n";
    let folder =
        folder(&[("m.csv", &format!("{header}shop,web,rate,1672770000000,5,\nshop,web,rate,1672770060000,5,7\n"))]);
    let config = config(folder.path(), &["m.csv"], &[]);
    let first = read_all(&config).await.unwrap();
    let versions = |batch: &Batch| batch.rows.metrics.iter().map(|point| point.version).collect::<Vec<_>>();
    assert_eq!(versions(&first), [0, 7]);
    let stated = FilesConfig { versions: [("m.csv".to_owned(), 3)].into(), ..config.clone() };
    let again = read_from(&stated, &first.positions).await.unwrap();
    assert_eq!((versions(&again), again.restarted.len()), (vec![3, 7], 1));
    let unchanged = read_from(&stated, &again.positions).await.unwrap();
    assert_eq!((unchanged.rows.len(), unchanged.report.unchanged_files), (0, 1));
}
