//! Derived tables: what every store owes of a table that it knows by its description alone.

use super::rows::START;
use super::{Fixture, commit_of, dump_after};
use crate::schema::{DERIVED, DerivedTable, Kind, RETIRED, RetentionClass, Schema, Table};
use crate::{Commit, StoreReader, StoreWriter};
use model::derived::{DerivedChange, Value};
use model::real::Real;
use model::rows::Rows;
use model::time::MINUTE_MS;

/// A table with a column of every kind.
pub const EXAMPLE: DerivedTable = DerivedTable {
    table: Table {
        name: "example_outputs",
        key: 3,
        columns: &[
            ("observed_at", Kind::Time),
            ("colony_id", Kind::Text),
            ("place", Kind::U32),
            ("score", Kind::Real),
            ("note", Kind::Text),
            ("samples", Kind::U64),
            ("shift", Kind::I64),
            ("lag_seconds", Kind::I32),
            ("is_final", Kind::Truth),
            ("valid_to", Kind::Time),
            ("events", Kind::Texts),
        ],
    },
    retention: RetentionClass::Correlations,
    time: "observed_at",
};

const ALL: [DerivedTable; DERIVED.len() + 1] = {
    let mut all = [EXAMPLE; DERIVED.len() + 1];
    let mut place = 0;
    while place < DERIVED.len() {
        all[place] = DERIVED[place];
        place += 1;
    }
    all
};

/// The tables of this version and, as the last one, the example.
pub const SCHEMA: Schema = Schema { derived: &ALL, retired: RETIRED };

const TABLE: &DerivedTable = &ALL[DERIVED.len()];

/// Some row of a table; everything that may be null is, if asked for.
fn sample(table: &DerivedTable, number: u64, is_bare: bool) -> Vec<Value> {
    let value = |(column, kind): &(&str, Kind)| match kind {
        Kind::Texts => Value::Texts(vec![format!("text {number}")]),
        _ if is_bare && !table.is_required(column) => Value::Null,
        Kind::Text => Value::Text(format!("text {number}")),
        Kind::Time => Value::Time(START + number as i64),
        Kind::Real => Value::Real(Real(number as f64 / 8.0)),
        Kind::I32 | Kind::I64 => Value::Whole(number as i64 - 5),
        Kind::U32 | Kind::U64 => Value::Count(number),
        Kind::Truth => Value::Truth(number.is_multiple_of(2)),
    };
    table.table.columns.iter().map(value).collect()
}

pub(super) async fn every_table_is_written_read_and_removed<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    for table in SCHEMA.derived {
        let rows = [sample(table, 1, false), sample(table, 2, true)];
        let keys = rows.each_ref().map(|row| row[..table.table.key].to_vec());
        let change = |upserts: &[Vec<Value>], removed: &[Vec<Value>]| Commit {
            derived: vec![DerivedChange {
                table: table.table.name.to_owned(),
                upserts: upserts.to_vec(),
                removed: removed.to_vec(),
            }],
            ..commit_of(1, Rows::default())
        };
        let reader = store.reader();
        store.commit(&change(&rows, &[])).await.unwrap();
        assert_eq!(reader.rows_of(table, None, 10).await.unwrap().rows(), rows, "{}", table.table.name);
        store.commit(&change(&[], &keys)).await.unwrap();
        assert!(reader.rows_of(table, None, 10).await.unwrap().is_empty(), "{}", table.table.name);
    }
    fixture.close(store).await;
}

/// A row `minute` minutes after the start.
pub(crate) fn row(minute: i64, colony: &str, score: f64) -> Vec<Value> {
    vec![
        Value::Time(START + minute * MINUTE_MS),
        Value::Text(colony.to_owned()),
        Value::Count(minute.unsigned_abs()),
        Value::Real(Real(score)),
        Value::Text("it's \\ \"quoted\"\n".to_owned()),
        Value::Count(u64::MAX),
        Value::Whole(i64::MIN + 1),
        Value::Whole(-60),
        Value::Truth(true),
        Value::Time(START + 1),
        Value::Texts(vec!["e1".to_owned(), String::new()]),
    ]
}

/// Everything that may be null is.
fn bare(minute: i64, colony: &str) -> Vec<Value> {
    let mut row = row(minute, colony, 0.0);
    row[3..10].fill(Value::Null);
    row[10] = Value::Texts(Vec::new());
    row
}

fn key(row: &[Value]) -> Vec<Value> {
    row[..EXAMPLE.table.key].to_vec()
}

/// A commit that changes the example.
pub(crate) fn commit(tick: u64, upserts: Vec<Vec<Value>>, removed: Vec<Vec<Value>>) -> Commit {
    let change = DerivedChange { table: EXAMPLE.table.name.to_owned(), upserts, removed };
    Commit { derived: vec![change], ..commit_of(tick, Rows::default()) }
}

async fn stored(reader: &dyn StoreReader, page_rows: usize) -> Vec<Vec<Value>> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = reader.rows_of(TABLE, after.as_ref(), page_rows).await.unwrap();
        assert!(page.len() <= page_rows);
        rows.extend(page.rows());
        match page.end() {
            Some(end) => after = Some(end),
            None => return rows,
        }
    }
}

/// Predictions of one pattern in 40 days: 3 hits, 1 miss and 1 void in the last 30, 1 miss before, and one that is open. What
/// [`SCORES`] says of them is what the view has to say.
pub fn predictions() -> Commit {
    let at = |day: i64| START + day * 24 * 60 * MINUTE_MS;
    let text = |text: &str| Value::Text(text.to_owned());
    let prediction = |number: i64, day: i64, outcome: &str| {
        let lead = (outcome == "hit").then_some(at(day) + number * 60 * MINUTE_MS);
        let mut row = vec![text(&format!("p-{number}")), text("c-1")];
        row.extend(["staging", "e", "production", "api", "error_spike"].map(text));
        row.extend([0, 60, 120, 130].map(|minute| Value::Time(at(day) + minute * MINUTE_MS)));
        row.extend([Value::Real(Real(0.8)), text(outcome), Value::Null, lead.map_or(Value::Null, Value::Time)]);
        row.extend(["api", "deploy", "shop", "staging", "shop", "production"].map(text));
        row.push(Value::Real(Real(0.1)));
        row
    };
    let outcomes = [(0, "miss"), (11, "hit"), (12, "hit"), (13, "miss"), (14, "void"), (38, "hit"), (40, "open")];
    let upserts =
        outcomes.iter().enumerate().map(|(number, (day, outcome))| prediction(number as i64, *day, outcome)).collect();
    let day = |day: i64, targets: u64, muted: Value| {
        let counts = [3_600, 7_200, targets].map(Value::Count);
        let mut row = vec![text("c-1"), Value::Time(at(day)), Value::Real(Real(0.8)), Value::Real(Real(0.1))];
        row.extend(counts);
        row.push(muted);
        row
    };
    let days = vec![day(11, 1, Value::Null), day(12, 3, Value::Null), day(20, 7, text("no longer true"))];
    let change =
        |table: &str, upserts: Vec<Vec<Value>>| DerivedChange { table: table.to_owned(), upserts, removed: Vec::new() };
    Commit {
        derived: vec![change("predictions", upserts), change("prediction_days", days)],
        ..commit_of(1, Rows::default())
    }
}

/// Columns of the view that [`SCORES`] lists, each as a float.
pub const SCORE_COLUMNS: &str = "days, open_count, hit_count, miss_count, void_count, \"precision\", precision_low, \
                                 precision_high, target_count, recall, brier_score, skill, lead_seconds_median";

/// By hand: Wilson's interval of 3 of 4 and of 3 of 5; hits score 0.04 and misses 0.64, by chance 0.81 and 0.01; of the leads
/// 1, 2 and 5 hours the median is the second.
pub const SCORES: [[f64; 13]; 2] = [
    [30.0, 1.0, 3.0, 1.0, 1.0, 0.75, 0.300_642, 0.954_413, 4.0, 0.75, 0.19, 1.0 - 0.19 / 0.61, 7_200.0],
    [90.0, 1.0, 3.0, 2.0, 1.0, 0.6, 0.230_724, 0.882_379, 4.0, 0.75, 0.28, 1.0 - 0.28 / 0.49, 7_200.0],
];

pub(super) async fn rows_are_written_replaced_removed_and_read<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let first: Vec<Vec<Value>> = (0..5).map(|minute| row(minute, "a", 0.5)).chain([bare(2, "b")]).collect();
    store.commit(&commit(1, first.clone(), Vec::new())).await.unwrap();
    let mut expected = first;
    expected.sort();
    for page_rows in [1, 4, 100] {
        assert_eq!(stored(store.reader().as_ref(), page_rows).await, expected, "in the order of the key");
    }
    assert_eq!(store.reader().totals().await.unwrap().rows["example_outputs"], 6);

    // one replaced, one removed, one that is both, one removed that was never there
    let replaced = row(1, "a", 0.75);
    let both = bare(3, "a");
    let removed = [&expected[0], &both, &row(77, "z", 0.0)].map(|row| key(row)).to_vec();
    store.commit(&commit(2, vec![replaced.clone(), both.clone()], removed)).await.unwrap();
    fixture.close(store).await;
    let mut store = fixture.open().await;
    let expected = [replaced, bare(2, "b"), row(2, "a", 0.5), both, row(4, "a", 0.5)];
    let mut sorted = expected.to_vec();
    sorted.sort();
    assert_eq!(stored(store.reader().as_ref(), 10).await, sorted);
    let reader = store.reader();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let a = texts(&["a"]);
    let first = reader.rows_with(TABLE, ("colony_id", &a), None, 3).await.unwrap();
    let rest = reader.rows_with(TABLE, ("colony_id", &a), first.end().as_ref(), 3).await.unwrap();
    let of_a = [first.rows(), rest.rows()].concat();
    assert_eq!((first.len(), of_a), (3, sorted.iter().filter(|row| row[1] == sorted[0][1]).cloned().collect()));
    let of_both = reader.rows_with(TABLE, ("colony_id", &texts(&["b", "z", "a"])), None, 10).await.unwrap();
    assert_eq!(of_both.rows(), sorted);
    for none in [texts(&["' OR '1' = '1"]), Vec::new()] {
        assert!(reader.rows_with(TABLE, ("colony_id", &none), None, 10).await.unwrap().is_empty(), "{none:?}");
    }

    // of several changes in one commit the last one counts
    let mut several = commit(3, vec![row(9, "a", 0.1)], Vec::new());
    several.derived.extend(commit(3, Vec::new(), vec![key(&row(9, "a", 0.1)), key(&row(4, "a", 0.0))]).derived);
    several.derived.extend(commit(3, vec![row(4, "a", 0.9)], Vec::new()).derived);
    store.commit(&several).await.unwrap();
    let rows = stored(store.reader().as_ref(), 10).await;
    assert_eq!((rows.len(), &rows[4]), (5, &row(4, "a", 0.9)));
    fixture.close(store).await;
}

/// Pages of the newest rows, each of as many as there are, until there is none.
async fn newest(reader: &dyn StoreReader, page_rows: usize) -> Vec<Vec<Value>> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let page = reader.newest_of(TABLE, before.as_ref(), page_rows).await.unwrap();
        rows.extend(page.rows());
        before = page.end();
        if page.len() < page_rows {
            return rows;
        }
    }
}

pub(super) async fn the_newest_rows_come_first_and_a_count_ends_where_it_is_told<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let all: Vec<Vec<Value>> = (0..9).flat_map(|minute| ["a", "b"].map(|colony| row(minute, colony, 0.5))).collect();
    store.commit(&commit(1, all.clone(), Vec::new())).await.unwrap();
    // the four newest are gone, and one in the middle; another is replaced
    let removed = [17, 16, 15, 14, 6].map(|place| key(&all[place])).to_vec();
    let replaced = row(5, "a", 0.75);
    store.commit(&commit(2, vec![replaced.clone()], removed)).await.unwrap();
    let mut expected: Vec<Vec<Value>> = [&all[..6], &all[7..10], &[replaced], &all[11..14]].concat();
    expected.reverse();
    let reader = store.reader();
    for page_rows in [1, 3, 13, 14, 100] {
        assert_eq!(newest(reader.as_ref(), page_rows).await, expected, "in pages of {page_rows}");
    }
    for (most, count) in [(0, 0), (5, 5), (13, 13), (100, 13)] {
        assert_eq!(reader.count_of(TABLE, most).await.unwrap(), count, "of at most {most}");
    }
    fixture.close(store).await;
}

pub(super) async fn a_repeat_changes_nothing_and_what_does_not_fit_is_refused<F: Fixture>(fixture: &impl Fn() -> F) {
    let commits = [
        commit(1, vec![row(0, "a", 0.5), row(1, "a", 0.5)], Vec::new()),
        commit(2, vec![row(2, "b", 0.5)], vec![key(&row(0, "a", 0.0))]),
    ];
    let once = dump_after(&fixture(), &commits, false).await;
    assert_eq!(once["example_outputs"].len(), 2);
    let again = [&commits[0], &commits[0], &commits[1], &commits[1]].map(Commit::clone);
    assert_eq!(dump_after(&fixture(), &again, true).await, once);

    let wrong = fixture();
    let mut store = wrong.open().await;
    store.commit(&commits[0]).await.unwrap();
    let short = row(0, "a", 0.5)[..4].to_vec();
    let mut mixed = row(0, "a", 0.5);
    mixed.swap(0, 1);
    let mut without_key = row(0, "a", 0.5);
    without_key[1] = Value::Null;
    for (row, text) in [(short, "4 values instead of 11"), (mixed, "cannot hold"), (without_key, "colony_id")] {
        let error = store.commit(&commit(2, vec![row], Vec::new())).await.unwrap_err();
        assert!(error.cause.as_ref().unwrap().to_string().contains(text), "{text}: {:?}", error.cause);
    }
    let mut unknown = commit(2, vec![row(0, "a", 0.1)], Vec::new());
    unknown.derived[0].table = "elsewhere".to_owned();
    let error = store.commit(&unknown).await.unwrap_err();
    assert!(error.cause.unwrap().to_string().contains("elsewhere"));
    assert_eq!(stored(store.reader().as_ref(), 10).await.len(), 2, "nothing of them is stored");
    wrong.close(store).await;
}
