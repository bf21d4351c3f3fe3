//! Generated statements: over a store they give what they give over the same rows in memory, where nothing is left to it.

use super::rows;
use crate::answers::Scope;
use crate::sql::engine::{SqlEngine, SqlQuestion};
use crate::sql::{catalog, functions};
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider,
};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::Value;
use sinks::StoreReader;
use sinks::scan::Scan;
use sinks::schema::{Kind, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many statements.
const STATEMENTS: usize = 200;
/// Those whose conditions a store answers itself: at least this many of them.
const PUSHED_MIN: usize = 60;
/// The tables that they read.
const TABLES: [&str; 3] = ["federated_events", "federated_metrics", "correlations"];

pub(super) async fn statements_give_what_they_give_over_the_same_rows_in_memory(reader: &Arc<dyn StoreReader>) {
    let (engine, mut memory) = (SqlEngine::default(), Memory::of(reader).await);
    let mut dice = Dice(0x5eed);
    let (mut pushed, mut with_rows) = (0, 0);
    for _ in 0..STATEMENTS {
        let sql = memory.statement(&mut dice);
        let expected = memory.rows(&sql).await;
        let found = rows(&engine, reader, &sql).await;
        let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, expected, "{sql}");
        with_rows += usize::from(!expected.is_empty());
        let explained = SqlQuestion { sql: format!("EXPLAIN {sql}"), ..SqlQuestion::default() };
        let plan = engine.answer(&explained, reader, &Scope::default()).await;
        let plan = plan.unwrap_or_else(|error| panic!("{sql}: {error}")).table.page();
        pushed += usize::from(plan.contains("where=[") && !plan.contains("FilterExec"));
    }
    assert!(pushed >= PUSHED_MIN, "{pushed} of {STATEMENTS} are left to the store");
    assert!(with_rows >= STATEMENTS / 2, "only {with_rows} of {STATEMENTS} have rows");
}

/// The rows of a store in memory.
struct Memory {
    context: SessionContext,
    /// Values of each column, by table and place.
    values: BTreeMap<(&'static str, usize), Vec<Value>>,
}

impl Memory {
    async fn of(reader: &Arc<dyn StoreReader>) -> Memory {
        let (schema, mut values) = (Arc::new(MemorySchemaProvider::new()), BTreeMap::new());
        for table in tables() {
            let batches = all_rows(reader, table).await;
            let held = crate::sql::Table { schema: table.scanned_schema(), batches: batches.clone() };
            for row in held.json_rows() {
                for (place, value) in row.into_iter().enumerate() {
                    let seen: &mut Vec<Value> = values.entry((table.name, place)).or_default();
                    if seen.len() < 50 && !value.is_null() && !value.is_array() && !seen.contains(&value) {
                        seen.push(value);
                    }
                }
            }
            let provider = MemTable::try_new(table.scanned_schema(), vec![batches]);
            let provider = provider.unwrap_or_else(|error| panic!("{error}"));
            schema.register_table(table.name.to_owned(), Arc::new(provider)).unwrap_or_else(|error| panic!("{error}"));
        }
        let reef = MemoryCatalogProvider::new();
        reef.register_schema(catalog::STORE, schema).unwrap_or_else(|error| panic!("{error}"));
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(catalog::REEF.to_owned(), Arc::new(reef));
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(catalog::REEF, catalog::STORE)
            .with_create_default_catalog_and_schema(false);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let builder = SessionStateBuilder::new().with_config(config).with_catalog_list(Arc::new(catalogs));
        let context = SessionContext::new_with_state(functions::registered(builder).build());
        Memory { context, values }
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        let frame = self.context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let schema = Arc::clone(frame.schema().inner());
        let batches = frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let held = crate::sql::Table { schema, batches };
        let mut rows: Vec<String> = held.json_rows().into_iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        rows
    }

    fn statement(&mut self, dice: &mut Dice) -> String {
        let table = tables()[dice.roll(TABLES.len())];
        let condition = self.condition(table, dice, 2);
        let (name, group) = (table.name, dice.column(table, |kind| kind != Kind::Texts));
        let (group, number) = (table.columns[group].0, dice.column(table, is_whole));
        let number = table.columns[number].0;
        let keys: Vec<&str> = table.key_columns().iter().map(|(name, _)| *name).collect();
        let keys = keys.join(", ");
        match dice.roll(7) {
            0 => format!("SELECT {keys}, {group} AS more FROM {name} WHERE {condition}"),
            1 => format!("SELECT count(*), count({group}), min({group}), max({group}) FROM {name} WHERE {condition}"),
            2 => format!("SELECT {group}, count(*), sum({number}) FROM {name} WHERE {condition} GROUP BY {group}"),
            3 => format!("SELECT {keys} FROM {name} WHERE {condition} ORDER BY {keys} DESC LIMIT {}", 1 + dice.roll(9)),
            4 => format!("SELECT DISTINCT {group} FROM {name} WHERE {condition}"),
            5 => format!("SELECT count(*) FROM (SELECT 1 FROM {name} WHERE {condition} LIMIT {})", 1 + dice.roll(9)),
            _ => format!(
                "SELECT m.metric_name, e.event_type, count(*) FROM (SELECT * FROM {name} WHERE {condition}) AS t \
                 CROSS JOIN (SELECT DISTINCT event_type FROM federated_events) AS e \
                 JOIN (SELECT DISTINCT metric_name FROM federated_metrics) AS m ON m.metric_name <> e.event_type GROUP BY 1, 2"
            ),
        }
    }

    fn condition(&self, table: &'static Table, dice: &mut Dice, depth: usize) -> String {
        if depth > 0 && dice.roll(2) == 0 {
            let word = ["AND", "OR"][dice.roll(2)];
            let (left, right) = (self.condition(table, dice, depth - 1), self.condition(table, dice, depth - 1));
            return format!("({left} {word} {right})");
        }
        let place = dice.column(table, |kind| kind != Kind::Texts);
        let (name, kind) = table.columns[place];
        let value = |dice: &mut Dice| self.value(table, place, dice);
        let comparison = ["=", "<>", "<", "<=", ">", ">="][dice.roll(6)];
        match dice.roll(12) {
            0 => format!("{name} IS NULL"),
            1 => format!("{name} IS NOT NULL"),
            2 => format!("{name} IN ({}, {}, {})", value(dice), value(dice), value(dice)),
            3 => format!("{name} NOT IN ({}, {})", value(dice), value(dice)),
            4 => format!("{name} BETWEEN {} AND {}", value(dice), value(dice)),
            5 => format!("{name} NOT BETWEEN {} AND {}", value(dice), value(dice)),
            6 => format!("{} {comparison} {name}", value(dice)),
            7 => format!("NOT ({name} {comparison} {})", value(dice)),
            8 if kind == Kind::Truth => format!("NOT {name}"),
            8 if kind == Kind::Text => format!("{name} LIKE '%a%'"),
            9 if kind == Kind::Truth => name.to_owned(),
            9 if kind == Kind::Text => format!("upper({name}) {comparison} upper({})", value(dice)),
            10 if kind == Kind::Time => format!("{name} + INTERVAL '1 hour' {comparison} {}", value(dice)),
            10 if is_whole(kind) => format!("{name} % 2 {comparison} 1"),
            _ => format!("{name} {comparison} {}", value(dice)),
        }
    }

    /// A value of the column, or one near it.
    fn value(&self, table: &'static Table, place: usize, dice: &mut Dice) -> String {
        let known = self.values.get(&(table.name, place));
        let known = known.filter(|known| !known.is_empty()).map(|known| &known[dice.roll(known.len())]);
        match (table.columns[place].1, known) {
            (Kind::Truth, _) => ["true", "false"][dice.roll(2)].to_owned(),
            (Kind::Text | Kind::Texts, Some(Value::String(text))) => format!("'{}'", text.replace('\'', "''")),
            (Kind::Text | Kind::Texts, _) => "'it''s \\ not there'".to_owned(),
            (Kind::Time, Some(Value::String(text))) => format!("TIMESTAMP '{text}'"),
            (Kind::Time, _) => "TIMESTAMP '2026-03-02T10:00:00.001Z'".to_owned(),
            (Kind::Real, Some(Value::Number(number))) if dice.roll(3) > 0 => number.to_string(),
            (Kind::Real, _) => ["0.0", "-0.0", "17.25", "1e300"][dice.roll(4)].to_owned(),
            (_, Some(Value::Number(number))) if dice.roll(3) > 0 => number.to_string(),
            _ => ["0", "1", "60", "100000"][dice.roll(4)].to_owned(),
        }
    }
}

fn is_whole(kind: Kind) -> bool {
    matches!(kind, Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64)
}

fn tables() -> Vec<&'static Table> {
    let find = |name: &&str| catalog::stored_tables().find(|table| table.name == *name);
    TABLES.iter().filter_map(find).collect()
}

async fn all_rows(reader: &Arc<dyn StoreReader>, table: &'static Table) -> Vec<RecordBatch> {
    let columns = (0..table.columns.len()).collect();
    let scan = Scan { table, columns, conditions: Vec::new(), aggregates: Vec::new(), limit: None };
    let mut scanned = reader.scan(scan).await.unwrap_or_else(|error| panic!("{error}"));
    let mut batches = Vec::new();
    while let Some(batch) = scanned.next().await {
        batches.push(batch.unwrap_or_else(|error| panic!("{error}")));
    }
    batches
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    /// A column of such a kind.
    fn column(&mut self, table: &Table, is_right: impl Fn(Kind) -> bool) -> usize {
        let places: Vec<usize> = (0..table.columns.len()).filter(|place| is_right(table.columns[*place].1)).collect();
        places[self.roll(places.len())]
    }
}
