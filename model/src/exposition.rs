//! Exposition: a strict reader of OpenMetrics text, for tests of what instruments are shown as.
//!
//! It refuses what a scraper would refuse or could misread: text behind the end, descriptions after samples, families that
//! come twice or are mixed, names without the unit they state, counters that do not end with `_total`, repeated label
//! sets, numbers that are none, and histograms whose buckets fall or do not add up.

use std::collections::{BTreeMap, BTreeSet};

/// A sample: its labels and its value.
pub type Sample = (BTreeMap<String, String>, f64);

/// What was read: samples by their full name, such as `reef_rows_total`.
#[derive(Debug, Default)]
pub struct Exposition {
    samples: BTreeMap<String, Vec<Sample>>,
    /// Types by the name of the family.
    types: BTreeMap<String, String>,
}

impl Exposition {
    /// Reads a whole text.
    ///
    /// # Errors
    /// The first line that breaks a rule, and which.
    pub fn parse(text: &str) -> Result<Exposition, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("the text does not end with `# EOF`")?;
        let (mut read, mut family) = (Exposition::default(), Family::default());
        let mut known = BTreeSet::new();
        for line in body.lines() {
            let refused = |why: String| format!("{line:?}: {why}");
            if let Some(described) = line.strip_prefix("# ") {
                let mut parts = described.splitn(3, ' ');
                let (word, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let rest = parts.next().unwrap_or_default();
                if family.name != name {
                    family.check().map_err(refused)?;
                    read.take(std::mem::take(&mut family));
                    if !is_name(name) || !known.insert(name.to_owned()) {
                        return Err(refused("a family with no name, or one that came before".to_owned()));
                    }
                    name.clone_into(&mut family.name);
                }
                family.describe(word, rest).map_err(refused)?;
            } else {
                family.add(line).map_err(refused)?;
            }
        }
        family.check()?;
        read.take(family);
        Ok(read)
    }

    fn take(&mut self, family: Family) {
        if !family.name.is_empty() {
            self.types.insert(family.name, family.kind);
        }
        for (name, sample) in family.samples {
            self.samples.entry(name).or_default().push(sample);
        }
    }

    /// Names of all families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// All samples of this full name.
    pub fn samples(&self, name: &str) -> &[Sample] {
        self.samples.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum of the samples of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |known: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| known.get(*name).is_some_and(|known| known == value))
        };
        self.samples(name).iter().filter(|(labels, _)| fits(labels)).map(|(_, value)| value).sum()
    }

    /// The most samples that one name has.
    pub fn samples_max(&self) -> usize {
        self.samples.values().map(Vec::len).max().unwrap_or(0)
    }
}

/// A family as far as it has been read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    unit: String,
    help: bool,
    samples: Vec<(String, Sample)>,
}

impl Family {
    fn describe(&mut self, word: &str, rest: &str) -> Result<(), String> {
        if !self.samples.is_empty() {
            return Err("a description after samples".to_owned());
        }
        let is_first = match word {
            "TYPE" => std::mem::replace(&mut self.kind, rest.to_owned()).is_empty(),
            "UNIT" => std::mem::replace(&mut self.unit, rest.to_owned()).is_empty(),
            "HELP" => !std::mem::replace(&mut self.help, true) && !rest.is_empty(),
            other => return Err(format!("no description is called {other:?}")),
        };
        let is_known = word != "TYPE" || ["counter", "gauge", "histogram"].contains(&rest);
        let has_unit = word != "UNIT" || self.name.ends_with(&format!("_{rest}"));
        match (is_first, is_known, has_unit) {
            (true, true, true) => Ok(()),
            (false, ..) => Err("a description that is empty or comes twice".to_owned()),
            (_, false, _) => Err("an unknown type".to_owned()),
            (.., false) => Err("a name that does not end with its unit".to_owned()),
        }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (name, labels, value) = sample(line)?;
        let suffix = name.strip_prefix(&self.name).ok_or("a sample of a family that is not described")?;
        let fits = match self.kind.as_str() {
            "counter" => suffix == "_total",
            "gauge" => suffix.is_empty(),
            "histogram" => ["_bucket", "_count", "_sum"].contains(&suffix),
            _ => false,
        };
        if !fits {
            return Err(format!("not a sample of a {:?}", self.kind));
        }
        if self.kind == "counter" && value < 0.0 {
            return Err("a counter below zero".to_owned());
        }
        if self.samples.iter().any(|(known, (set, _))| *known == name && *set == labels) {
            return Err("these labels come twice".to_owned());
        }
        self.samples.push((name, (labels, value)));
        Ok(())
    }

    /// What only the whole family shows.
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Ok(());
        }
        if self.kind.is_empty() || !self.help || self.samples.is_empty() {
            return Err(format!("{} has no type, no help or no sample", self.name));
        }
        if self.kind == "histogram" { self.check_buckets() } else { Ok(()) }
    }

    fn check_buckets(&self) -> Result<(), String> {
        let of = |suffix: &str| {
            let name = format!("{}{suffix}", self.name);
            self.samples.iter().filter(move |(known, _)| *known == name).map(|(_, sample)| sample)
        };
        for (labels, count) in of("_count") {
            let mut buckets = Vec::new();
            for (own, value) in of("_bucket") {
                let mut others = own.clone();
                let le = others.remove("le").ok_or("a bucket without `le`")?;
                if others == *labels {
                    buckets.push((number(&le).ok_or("a bound that is no number")?, *value));
                }
            }
            let is_rising = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
            let ends = buckets.last().is_some_and(|(le, value)| le.is_infinite() && value == count);
            if !is_rising || !ends || !of("_sum").any(|(own, _)| own == labels) {
                return Err(format!("{} {labels:?}: buckets that do not add up", self.name));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    letters.next().is_some_and(is_letter) && letters.all(|c| is_letter(c) || c.is_ascii_digit())
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => text.parse().ok(),
        _ => None,
    }
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Result<(String, BTreeMap<String, String>, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err("no name".to_owned());
    }
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").ok_or("a label without a value")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("the label {label:?} has no name or comes twice"));
            }
            if let Some(after) = after.strip_prefix('}') {
                rest = after;
                break;
            }
            inside = after.strip_prefix(',').ok_or("labels are not separated by a comma")?;
        }
    }
    let value = rest.strip_prefix(' ').and_then(number).ok_or("a value that is no number")?;
    Ok((name.to_owned(), labels, value))
}

/// A value up to its closing quotation mark, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, same @ ('\\' | '"'))) => value.push(same),
                _ => return Err("an escape that is none".to_owned()),
            },
            other => value.push(other),
        }
    }
    Err("a value without an end".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = "# HELP reef_rows Rows.\n# TYPE reef_rows counter\nreef_rows_total{kind=\"a\\\"b\",of=\"x\"} 3\n\
        # HELP reef_took_seconds How long.\n# TYPE reef_took_seconds histogram\n# UNIT reef_took_seconds seconds\n\
        reef_took_seconds_sum 0.5\nreef_took_seconds_count 2\nreef_took_seconds_bucket{le=\"1.0\"} 1\n\
        reef_took_seconds_bucket{le=\"+Inf\"} 2\n# EOF\n";

    #[test]
    fn a_good_text_is_read() {
        let read = Exposition::parse(GOOD).unwrap();
        assert_eq!(read.families().collect::<Vec<_>>(), ["reef_rows", "reef_took_seconds"]);
        assert_eq!(read.sum("reef_rows_total", &[("kind", "a\"b")]), 3.0);
        assert_eq!(read.samples("reef_took_seconds_bucket").len(), 2);
        assert_eq!(read.samples_max(), 2);
    }

    #[test]
    fn each_broken_rule_is_refused() {
        let broken = [
            ("# EOF\n", ""),
            ("reef_rows_total{", "reef_rows{"),
            ("} 3\n", "} three\n"),
            ("} 3\n", "} 3\nreef_rows_total{kind=\"a\\\"b\",of=\"x\"} 4\n"),
            ("} 3\n", "} 3\nreef_other 1\n"),
            ("} 3\n", "} 3\n# UNIT reef_rows rows\n"),
            ("} 3\n", "} -3\n"),
            ("\\\"b", "\\b"),
            (",of=", " of="),
            ("# TYPE reef_rows counter\n", ""),
            ("# HELP reef_rows Rows.\n", ""),
            ("# UNIT reef_took_seconds seconds", "# UNIT reef_took_seconds bytes"),
            ("{le=\"1.0\"} 1", "{le=\"1.0\"} 4"),
            ("{le=\"+Inf\"} 2", "{le=\"+Inf\"} 3"),
            ("{le=\"+Inf\"} 2", "{le=\"2.0\"} 2"),
            ("reef_took_seconds_sum 0.5\n", ""),
            ("# EOF\n", "# HELP reef_rows Again.\n# TYPE reef_rows counter\nreef_rows_total 1\n# EOF\n"),
        ];
        for (from, to) in broken {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from:?} is part of the text");
            assert!(Exposition::parse(&text).is_err(), "{from:?} -> {to:?} was read");
        }
    }
}
