//! Statements by chance: over any table, with conditions of which some are left to a store and some are not, and with the values
//! that stores could compare differently.

use crate::sql;
use serde_json::Value;
use sinks::schema::{Kind, Table};
use std::collections::BTreeMap;

/// Values of each column that are used, at most.
const VALUES_MAX: usize = 50;

/// Tables with rows, and values that they have.
#[derive(Default)]
pub(super) struct Known {
    tables: Vec<&'static Table>,
    /// By table and place of the column.
    values: BTreeMap<(&'static str, usize), Vec<Value>>,
}

impl Known {
    pub(super) fn learn(&mut self, table: &'static Table, rows: &sql::Table) {
        if rows.is_empty() {
            return;
        }
        self.tables.push(table);
        for row in rows.json_rows() {
            for (place, value) in row.into_iter().enumerate() {
                let seen = self.values.entry((table.name, place)).or_default();
                if seen.len() < VALUES_MAX && !value.is_null() && !value.is_array() && !seen.contains(&value) {
                    seen.push(value);
                }
            }
        }
    }
}

/// Statements of one seed.
pub(super) struct Statements<'a> {
    known: &'a Known,
    dice: Dice,
}

impl<'a> Statements<'a> {
    pub(super) fn new(known: &'a Known, seed: u64) -> Statements<'a> {
        Statements { known, dice: Dice::of(seed) }
    }

    pub(super) fn statement(&mut self) -> String {
        let table = self.known.tables[self.dice.roll(self.known.tables.len())];
        let (name, one, other) = (table.name, self.condition(table, 3), self.condition(table, 1));
        let group = self.column(table, |kind| kind != Kind::Texts).unwrap_or(table.columns[0].0);
        let by = self.column(table, |kind| kind != Kind::Texts && kind != Kind::Real).unwrap_or(table.columns[0].0);
        let total = self.column(table, is_whole).map_or("count(*)".to_owned(), |whole| format!("sum({whole})"));
        let key = table.columns[0].0;
        let keys: Vec<&str> = table.key_columns().iter().map(|(name, _)| *name).collect();
        let keys = keys.join(", ");
        let (few, skipped) = (1 + self.dice.roll(9), self.dice.roll(3));
        match self.dice.roll(14) {
            0 => format!("SELECT {keys}, {group} AS more FROM {name} WHERE {one}"),
            1 => format!("SELECT count(*), count({group}), min({group}), max({group}) FROM {name} WHERE {one}"),
            2 => format!("SELECT {by}, count(*), {total} AS total FROM {name} WHERE {one} GROUP BY {by}"),
            3 => format!("SELECT {keys} FROM {name} WHERE {one} ORDER BY {keys} DESC LIMIT {few} OFFSET {skipped}"),
            4 => format!("SELECT DISTINCT {group} FROM {name} WHERE {one}"),
            5 => format!("SELECT count(*) FROM (SELECT 1 FROM {name} WHERE {one} LIMIT {few})"),
            6 => format!(
                "SELECT {by}, count(*) FILTER (WHERE {other}) AS in_other, count(DISTINCT {group}) AS different \
                 FROM {name} WHERE {one} GROUP BY {by} HAVING count(*) > 1"
            ),
            7 => {
                format!("SELECT {keys}, row_number() OVER (PARTITION BY {by} ORDER BY {keys}) FROM {name} WHERE {one}")
            }
            8 => format!("SELECT {keys} FROM {name} WHERE {one} EXCEPT SELECT {keys} FROM {name} WHERE {other}"),
            9 => format!(
                "SELECT count(*) AS n, count(b.{key}) AS k, count(b.{group}) AS g FROM (SELECT * FROM {name} WHERE {one}) AS a \
                 LEFT JOIN (SELECT * FROM {name} WHERE {other}) AS b ON a.{key} = b.{key}"
            ),
            10 => format!("SELECT {keys} FROM {name} WHERE {group} NOT IN (SELECT {group} FROM {name} WHERE {one})"),
            11 => format!("SELECT {keys}, CASE WHEN {one} THEN 'a' WHEN {other} THEN 'b' END AS kind FROM {name}"),
            12 => format!(
                "SELECT {keys}, (SELECT count(*) FROM {name} WHERE {other}) AS others FROM {name} WHERE {one} \
                 UNION ALL SELECT {keys}, -1 FROM {name} WHERE {other}"
            ),
            _ => format!(
                "SELECT {by}, min({group}) AS first_one, max({group}) AS last_one FROM {name} AS t WHERE {one} GROUP BY {by} \
                 HAVING min({group}) IS NOT NULL"
            ),
        }
    }

    fn column(&mut self, table: &'static Table, is_right: impl Fn(Kind) -> bool) -> Option<&'static str> {
        let names: Vec<&str> =
            table.columns.iter().filter(|(_, kind)| is_right(*kind)).map(|(name, _)| *name).collect();
        if names.is_empty() { None } else { Some(names[self.dice.roll(names.len())]) }
    }

    fn condition(&mut self, table: &'static Table, depth: usize) -> String {
        let chance = if depth == 0 { usize::MAX } else { self.dice.roll(12) };
        let mut part = || self.condition(table, depth.saturating_sub(1));
        match chance {
            0..=2 => format!("({} AND {})", part(), part()),
            3..=5 => format!("({} OR {})", part(), part()),
            6 => format!("NOT ({})", part()),
            7 => {
                let part = part();
                format!(
                    "({part}) IS {}",
                    self.of(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"])
                )
            }
            _ => self.comparison(table),
        }
    }

    fn comparison(&mut self, table: &'static Table) -> String {
        let places: Vec<usize> =
            (0..table.columns.len()).filter(|place| table.columns[*place].1 != Kind::Texts).collect();
        let place = places[self.dice.roll(places.len())];
        let (name, kind) = table.columns[place];
        let op = self.of(&["=", "<>", "<", "<=", ">", ">="]);
        let mut value = || self.value(table, place);
        let (one, two, three) = (value(), value(), value());
        match self.dice.roll(20) {
            0 => format!("{name} IS NULL"),
            1 => format!("{name} IS NOT NULL"),
            2 => format!("{name} IN ({one}, {two}, {three})"),
            3 => format!("{name} IN ({one}, {two}, {three}, {one}, {two}, NULL)"),
            4 => format!("{name} NOT IN ({one}, {two})"),
            5 => format!("{name} NOT IN ({one}, NULL)"),
            6 => format!("{name} BETWEEN {one} AND {two}"),
            7 => format!("{name} NOT BETWEEN {one} AND {two}"),
            8 => format!("{one} {op} {name}"),
            9 => format!("({name} IS DISTINCT FROM {one})"),
            10 | 11 => self.of_kind(name, kind, (op, &one)),
            _ => format!("{name} {op} {one}"),
        }
    }

    /// A condition that columns of a kind have by themselves.
    fn of_kind(&mut self, name: &str, kind: Kind, (op, value): (&str, &str)) -> String {
        match kind {
            Kind::Truth => match self.dice.roll(4) {
                0 => name.to_owned(),
                1 => format!("NOT {name}"),
                2 => format!("NOT ({name} IS TRUE)"),
                _ => format!("{name} IS NOT FALSE"),
            },
            Kind::Text | Kind::Texts => match self.dice.roll(5) {
                0 => format!("{name} LIKE '%a%'"),
                1 => format!("{name} NOT LIKE 'e_'"),
                2 => format!("{name} ILIKE 'z%'"),
                3 => format!("upper({name}) {op} upper({value})"),
                _ => format!("{name} || '' {op} {value}"),
            },
            Kind::Time => match self.dice.roll(4) {
                0 => format!("{name} + INTERVAL '1 hour' {op} {value}"),
                1 => format!("date_trunc('hour', {name}) {op} {value}"),
                2 => format!("CAST({name} AS DATE) {op} DATE '2026-03-02'"),
                _ => format!("{name} {op} now()"),
            },
            Kind::Real => format!("{name} * 2 {op} {value}"),
            Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64 => format!("{name} % 2 {op} 1"),
        }
    }

    /// A value of the column, or one that is hard to compare with it.
    fn value(&mut self, table: &'static Table, place: usize) -> String {
        let of_column = self.known.values.get(&(table.name, place)).filter(|values| !values.is_empty());
        let known = of_column.map(|values| &values[self.dice.roll(values.len())]);
        let is_hard = self.dice.roll(3) == 0;
        match (table.columns[place].1, known) {
            (Kind::Truth, _) => self.of(&["true", "false"]).to_owned(),
            (Kind::Text | Kind::Texts, Some(Value::String(text))) if !is_hard => quoted(text),
            (Kind::Text | Kind::Texts, _) => {
                self.of(&["''", "'Z'", "'a'", "'日'", "'it''s \\ not there'", "'NULL'", "'A'"]).to_owned()
            }
            (Kind::Time, Some(Value::String(text))) if !is_hard => format!("TIMESTAMP '{text}'"),
            (Kind::Time, _) => self
                .of(&[
                    "TIMESTAMP '2026-03-02T10:00:00.001Z'",
                    "TIMESTAMP '2026-03-02T12:30:00+02:00'",
                    "TIMESTAMP '2026-03-02 10:30:00'",
                    "'2026-03-02T10:20:00Z'",
                    "DATE '2026-03-02'",
                    "to_timestamp('2026-03-02T10:07:00Z')",
                    "TIMESTAMP '1960-01-01T00:00:00Z'",
                    "TIMESTAMP '2250-01-01T00:00:00Z'",
                ])
                .to_owned(),
            (_, Some(Value::Number(number))) if !is_hard => number.to_string(),
            (Kind::Real, _) => self
                .of(&[
                    "0",
                    "0.0",
                    "-0.0",
                    "17.25",
                    "20",
                    "1e300",
                    "5e-324",
                    "CAST('NaN' AS DOUBLE)",
                    "CAST('Infinity' AS DOUBLE)",
                    "CAST('-Infinity' AS DOUBLE)",
                ])
                .to_owned(),
            _ => self
                .of(&[
                    "0",
                    "1",
                    "60",
                    "-1",
                    "1.5",
                    "100000",
                    "4294967296",
                    "9007199254740993",
                    "18446744073709551615",
                    "'60'",
                ])
                .to_owned(),
        }
    }

    fn of<'b>(&mut self, words: &[&'b str]) -> &'b str {
        words[self.dice.roll(words.len())]
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn is_whole(kind: Kind) -> bool {
    matches!(kind, Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64)
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// Seeds beside each other give different numbers from the first one on.
    fn of(seed: u64) -> Dice {
        Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // the lower bits are the weaker ones
        ((self.0 >> 20) % sides.max(1) as u64) as usize
    }
}
