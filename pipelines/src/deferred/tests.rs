//! Rows ahead of the clock: what is stored, when it is read again, and what a corrected clock can repair.

#![allow(clippy::unwrap_used)]

use super::*;
use model::check::check_event;
use model::rows::Rows;

const NOW: TimeMs = TimeMs(1_700_000_000_000);

fn reject(place: &str, timestamp: TimeMs) -> Reject {
    let event = fixtures::event("c", "e", timestamp);
    let (reason, detail) = check_event(&event, NOW).unwrap_err();
    let (source, place) = ("s".to_owned(), place.to_owned());
    Reject { source, place, colony_id: None, reason, detail, raw: String::new(), rejected_at: NOW }
}

fn positions(parts: &[(&str, &str)]) -> Positions {
    Positions(parts.iter().map(|(part, text)| ((*part).to_owned(), (*text).to_owned())).collect())
}

fn batch(rejects: Vec<Reject>, at: &[(&str, &str)]) -> Batch {
    Batch { rejects, positions: positions(at), ..Batch::default() }
}

fn ahead(days: i64) -> TimeMs {
    NOW + days * DAY_MS
}

/// Observes, and gives the positions that a store then has.
fn stored(source: &str, batches: &[Batch]) -> BTreeMap<String, Positions> {
    let mut held = Deferred::default();
    let mut stored: BTreeMap<String, Positions> = BTreeMap::new();
    for batch in batches {
        held.observe(source, batch, NOW);
        stored.entry(source.to_owned()).or_default().advance(batch.positions.clone());
    }
    stored.insert(DEFERRED_NAME.to_owned(), held.take_moved());
    stored
}

#[test]
fn a_partition_goes_back_to_where_its_first_row_ahead_lay_once_the_clock_takes_it() {
    let stored = stored(
        "kafka:e",
        &[
            batch(Vec::new(), &[("e/0", "5"), ("e/1", "7")]),
            batch(vec![reject("e/0@6", ahead(12)), reject("e/0@7", ahead(10))], &[("e/0", "8"), ("e/1", "9")]),
            batch(vec![reject("e/0@9", ahead(11))], &[("e/0", "10")]),
        ],
    );
    let (unmoved, rewound) = rewind(&stored, ahead(9) - 1);
    assert_eq!((unmoved["kafka:e"].clone(), rewound.len()), (positions(&[("e/0", "10"), ("e/1", "9")]), 0));
    let (moved, rewound) = rewind(&stored, ahead(9));
    assert_eq!(moved["kafka:e"], positions(&[("e/0", "5"), ("e/1", "9")]), "the other partition stays");
    assert_eq!(rewound["kafka:e"], BTreeSet::from(["e/0".to_owned()]));
    let rows = Deferred::of_store(&stored, NOW).rows(NOW).unwrap();
    assert_eq!((rows.rows, rows.met, rows.first, rows.last), (3, 0, ahead(10), ahead(12)));
    assert_eq!(rows.read_again_from, ahead(9));
}

#[tokio::test]
async fn what_is_read_again_is_no_longer_deferred_and_files_settle_their_rejects() {
    let stored = stored("files", &[batch(vec![reject("a.csv:3", ahead(10))], &[("a.csv", "end")])]);
    let (moved, rewound) = rewind(&stored, ahead(20));
    assert_eq!(moved["files"], Positions::default(), "from its start");

    struct One(Option<Batch>);
    #[async_trait]
    impl Source for One {
        fn name(&self) -> &str {
            "files"
        }
        fn is_finite(&self) -> bool {
            true
        }
        async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
            Ok(self.0.take())
        }
    }
    let again = Batch { rows: Rows::default(), ..batch(Vec::new(), &[("a.csv", "end")]) };
    let mut source = Rewound { inner: Box::new(One(Some(again))), partitions: rewound["files"].clone() };
    let batch = source.next_batch().await.unwrap().unwrap();
    assert_eq!((batch.rewound.clone(), batch.restarted.clone()), (vec!["a.csv".to_owned()], vec!["a.csv".to_owned()]));

    let mut held = Deferred::of_store(&stored, NOW);
    held.observe("files", &batch, ahead(20));
    assert_eq!(held.rows(NOW), None);
    let mut after = stored.clone();
    after.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
    assert_eq!(Deferred::of_store(&after, NOW).rows(NOW), None, "also after a restart");
    assert!(rewind(&after, ahead(30)).1.is_empty());
}

#[test]
fn rows_without_a_position_of_their_own_go_with_the_next_one_and_wrong_units_are_not_held() {
    let no_time = reject("x", TimeMs(1_700_000_000_000_000_000 / 1_000));
    let stored = stored(
        "colony-events:c",
        &[batch(vec![reject("StreamEvents e", ahead(3)), no_time], &[]), batch(Vec::new(), &[("c", "s:2")])],
    );
    let rows = Deferred::of_store(&stored, NOW).rows(NOW).unwrap();
    assert_eq!((rows.rows, rows.first), (1, ahead(3)));
    let (moved, _) = rewind(&stored, ahead(2));
    assert_eq!(moved["colony-events:c"], Positions::default());
}

#[test]
fn rows_that_are_still_ahead_after_a_rewind_are_held_from_there() {
    let first = [
        batch(Vec::new(), &[("e/0", "5")]),
        batch(vec![reject("e/0@6", ahead(3)), reject("e/0@7", ahead(10))], &[("e/0", "200")]),
    ];
    let mut all = stored("kafka:e", &first);
    // two days later the first of them is taken, the second is not
    let (moved, rewound) = rewind(&all, ahead(2));
    assert_eq!((moved["kafka:e"].clone(), rewound.len()), (positions(&[("e/0", "5")]), 1));
    let mut held = Deferred::of_store(&all, NOW);
    let again = batch(vec![reject("e/0@7", ahead(10))], &[("e/0", "8")]);
    held.observe("kafka:e", &Batch { rewound: vec!["e/0".to_owned()], ..again }, NOW);
    held.observe("kafka:e", &batch(Vec::new(), &[("e/0", "200")]), NOW);
    all.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
    let (moved, _) = rewind(&all, ahead(9));
    assert_eq!(moved["kafka:e"], positions(&[("e/0", "5")]), "and not at 200, which is behind it");
}

#[test]
fn a_part_that_is_no_longer_read_is_forgotten_once_its_time_has_come() {
    let gone = [batch(vec![reject("gone.csv:3", ahead(10))], &[("gone.csv", "end")])];
    let mut all = stored("files", &gone);
    let mut early = Deferred::of_store(&all, ahead(1));
    early.forget_unread();
    assert_eq!(early.rows(NOW).map(|rows| rows.rows), Some(1), "the clock has not come so far");
    let mut later = Deferred::of_store(&all, ahead(20));
    assert_eq!(later.rows(NOW), None, "it does not wait for the clock");
    later.forget_unread();
    all.entry(DEFERRED_NAME.to_owned()).or_default().advance(later.take_moved());
    assert!(rewind(&all, ahead(30)).1.is_empty());
}

/// A run that reads these sources, and how it went.
#[derive(Clone, Copy)]
struct Asking<'a> {
    sources: &'a [&'a str],
    delivering: &'a [&'a str],
    away: &'a [&'a str],
    lasts_ms: i64,
}

impl Asking<'_> {
    /// Asks and ends the run, and gives what is stored then.
    fn run(&self, mut stored: BTreeMap<String, Positions>, now: TimeMs) -> BTreeMap<String, Positions> {
        let mut held = Deferred::of_store(&stored, now);
        held.ask(self.sources.iter().map(|source| (*source).to_owned()).collect(), now);
        for source in self.delivering {
            held.observe(source, &batch(Vec::new(), &[("e/1", "4")]), now);
        }
        held.give_up(now + self.lasts_ms, |source| self.away.contains(&source));
        stored.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
        stored
    }
}

fn waits(stored: &BTreeMap<String, Positions>) -> usize {
    Deferred::of_store(stored, NOW).waiting().positions
}

#[test]
fn what_does_not_come_in_a_week_of_asking_is_given_up_but_not_while_its_source_is_away() {
    for source in ["kafka:e", "colony-events:c"] {
        let sources = &[source][..];
        let good = Asking { sources, delivering: sources, away: &[], lasts_ms: RUN_MS_MIN };
        let ahead_of_clock = [batch(vec![reject("e/0@6", ahead(10))], &[("e/0", "7")])];
        // two weeks pass before the first run that asks
        let early = good.run(stored(source, &ahead_of_clock), ahead(1));
        let first = good.run(early, ahead(24));
        assert_eq!(rewind(&first, ahead(24)).1.len(), 1, "it is asked for");
        let next = good.run(first, ahead(30));
        assert_eq!(waits(&next), 1, "six days");
        let away = Asking { away: sources, ..good }.run(next, ahead(40));
        assert_eq!(waits(&away), 1, "the source could not deliver");
        let stopped = Asking { delivering: &["files"], ..good }.run(away, ahead(40));
        assert_eq!(waits(&stopped), 1, "it was stopped before the first batch");
        let short = Asking { lasts_ms: RUN_MS_MIN - 1, ..good }.run(stopped, ahead(40));
        assert_eq!(waits(&short), 1, "other partitions may have come first");
        let over = good.run(short, ahead(40));
        assert_eq!((waits(&over), rewind(&over, ahead(40)).1.len()), (0, 0));
    }
}

#[test]
fn what_no_source_reads_is_given_up_after_a_week_and_a_renamed_source_counts_by_its_topic() {
    let ahead_of_clock = [batch(vec![reject("e/0@6", ahead(10))], &[("e/0", "7")])];
    let sources = &["kafka:m", "kafka:e,x"][..];
    let renamed = Asking { sources, delivering: sources, away: &[], lasts_ms: RUN_MS_MIN };
    let first = renamed.run(stored("kafka:e", &ahead_of_clock), ahead(20));
    for away in [&["kafka:e,x"][..], sources] {
        assert_eq!(waits(&Asking { away, ..renamed }.run(first.clone(), ahead(40))), 1);
    }
    let other = Asking { delivering: &["kafka:m"], ..renamed };
    assert_eq!(waits(&other.run(first.clone(), ahead(40))), 1, "one of another topic says nothing about it");
    let elsewhere = Asking { away: &["kafka:m"], ..renamed };
    assert_eq!(waits(&elsewhere.run(first.clone(), ahead(40))), 0);
    let unread = Asking { sources: &["kafka:m"], delivering: &[], away: &[], lasts_ms: 0 };
    assert_eq!(waits(&unread.run(first.clone(), ahead(26))), 1, "six days");
    assert_eq!(waits(&unread.run(first, ahead(27))), 0);
}

#[test]
fn a_topic_goes_back_also_where_another_source_reads_it_by_now() {
    let mut all = stored(
        "kafka:e",
        &[batch(Vec::new(), &[("e/0", "5")]), batch(vec![reject("e/0@6", ahead(10))], &[("e/0", "7")])],
    );
    // a topic was added to the source, which renames it; it has read on
    all.insert("kafka:e,m".to_owned(), positions(&[("e/0", "90"), ("m/0", "4")]));
    let (moved, rewound) = rewind(&all, ahead(20));
    assert_eq!(moved["kafka:e,m"], positions(&[("e/0", "5"), ("m/0", "4")]));
    assert_eq!(rewound_of(&rewound, "kafka:e,m"), BTreeSet::from(["e/0".to_owned()]));
    assert!(rewound_of(&rewound, "files").is_empty());
    let mut held = Deferred::of_store(&all, ahead(20));
    let again = batch(Vec::new(), &[("e/0", "8")]);
    held.observe("kafka:e,m", &Batch { rewound: vec!["e/0".to_owned()], ..again }, ahead(20));
    all.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
    assert_eq!(waits(&all), 0, "it has been read again");
}

#[test]
fn a_topic_goes_back_only_in_a_source_that_reads_it() {
    let all = stored(
        "kafka:e",
        &[batch(Vec::new(), &[("e/0", "5")]), batch(vec![reject("e/0@6", ahead(10))], &[("e/0", "7")])],
    );
    let (_, rewound) = rewind(&all, ahead(20));
    assert_eq!(rewound_of(&rewound, "kafka:e"), BTreeSet::from(["e/0".to_owned()]));
    assert!(rewound_of(&rewound, "kafka:m").is_empty(), "late rows of another topic stay late");
    assert!(rewound_of(&rewound, "kafka:m,ee").is_empty());
}

/// What is stored of a partition of a topic that two sources have read, one after the other: position and entry of each.
fn of_both(entries: [(&str, &str, &str, TimeMs); 2]) -> BTreeMap<String, Positions> {
    let mut all: BTreeMap<String, Positions> = BTreeMap::new();
    let mut parts = Positions::default();
    for (source, from, reached, first) in entries {
        let row = [batch(Vec::new(), &[("e/0", from)]), batch(vec![reject("e/0@6", first)], &[("e/0", reached)])];
        let mut stored = stored(source, &row);
        parts.advance(stored.remove(DEFERRED_NAME).unwrap());
        all.extend(stored);
    }
    all.insert(DEFERRED_NAME.to_owned(), parts);
    all
}

/// Takes note that this source reads the partition again, and gives what is stored then.
fn read_again(mut all: BTreeMap<String, Positions>, source: &str, at: TimeMs) -> BTreeMap<String, Positions> {
    let mut held = Deferred::of_store(&all, at);
    held.observe(source, &Batch { rewound: vec!["e/0".to_owned()], ..batch(Vec::new(), &[("e/0", "51")]) }, at);
    all.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
    all
}

fn entries(all: &BTreeMap<String, Positions>) -> Vec<(String, Option<String>)> {
    read(all).into_iter().map(|((source, _), held)| (source, held.from)).collect()
}

#[test]
fn of_two_entries_for_a_partition_the_earlier_position_counts_and_both_are_settled() {
    let entry = |source, from| (source, from, "90", ahead(10));
    for both in [[entry("kafka:e", "9"), entry("kafka:e,m", "50")], [entry("kafka:e", "50"), entry("kafka:e,m", "9")]] {
        let all = of_both(both);
        let (moved, _) = rewind(&all, ahead(20));
        assert_eq!(
            moved["kafka:e,m"],
            positions(&[("e/0", "9")]),
            "and not the last one, nor the first in order of text"
        );
        let mut held = Deferred::of_store(&all, ahead(20));
        let again = batch(Vec::new(), &[("e/0", "40")]);
        held.observe("kafka:e,m", &Batch { rewound: vec!["e/0".to_owned()], ..again }, ahead(20));
        assert_eq!(held.waiting().positions, 0);
        assert_eq!(held.reached["kafka:e,m"], positions(&[("e/0", "40")]));
        // a row of the first batch that is still ahead waits from where the source went back to
        let again = batch(vec![reject("e/0@10", ahead(30))], &[("e/0", "11")]);
        let mut held = Deferred::of_store(&all, ahead(20));
        held.observe("kafka:e,m", &Batch { rewound: vec!["e/0".to_owned()], ..again }, ahead(20));
        let mut after = all.clone();
        after.entry(DEFERRED_NAME.to_owned()).or_default().advance(held.take_moved());
        assert_eq!(entries(&after), [("kafka:e,m".to_owned(), Some("9".to_owned()))]);
    }
}

#[test]
fn of_two_entries_for_a_partition_the_one_that_was_not_read_again_stays() {
    // the old name sorts last, and the time of the new entry has not come
    let all = of_both([("kafka:m,e", "50", "60", ahead(10)), ("kafka:e", "5", "90", ahead(40))]);
    let (moved, _) = rewind(&all, ahead(20));
    assert_eq!(moved["kafka:e"], positions(&[("e/0", "50")]));
    let after = read_again(all, "kafka:e", ahead(20));
    assert_eq!(entries(&after), [("kafka:e".to_owned(), Some("5".to_owned()))], "it lies before the rewind");
    // after the rewind: its rows come again, and wait again if they are still ahead
    let all = of_both([("kafka:m,e", "5", "60", ahead(10)), ("kafka:e", "50", "90", ahead(40))]);
    let (moved, _) = rewind(&all, ahead(20));
    assert_eq!(moved["kafka:e"], positions(&[("e/0", "5")]));
    assert!(entries(&read_again(all, "kafka:e", ahead(20))).is_empty());
}
