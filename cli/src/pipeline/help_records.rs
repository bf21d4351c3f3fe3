//! `help records`: the columns of events and metrics, which of them are needed, and an example of each as CSV.

use crate::exit::Failure;
use crate::output::{Output, Style};
use serde_json::{Value, json};

/// A column: its name, whether it is required, and its content.
struct Column(&'static str, bool, &'static str);

const EVENT_COLUMNS: [Column; 12] = [
    Column("event_id", true, "unique within its colony; a second row with it is a repeat, or a newer version"),
    Column("colony_id", true, "application and environment, e.g. my-shop-production"),
    Column("timestamp", true, "when it happened: RFC 3339 (2026-11-02T09:15:00Z), or whole milliseconds since 1970"),
    Column("event_type", true, "what happened, as a recurring name: deploy, error_spike, crash, alert, …"),
    Column("service_id", true, "the affected service"),
    Column("severity", false, "info, warning, error or critical; info if missing"),
    Column("description", false, "free text"),
    Column("metadata", false, "a JSON object; in CSV as quoted text"),
    Column("application_name", false, "from colony_id (my-shop) if missing"),
    Column("environment", false, "from colony_id (production) if missing"),
    Column("version", false, "a whole number; of two rows with one event_id the higher one wins"),
    Column("withdrawn", false, "true: the event is withdrawn"),
];

const METRIC_COLUMNS: [Column; 14] = [
    Column("colony_id", true, "as above"),
    Column("service_id", true, "the service"),
    Column("metric_name", true, "e.g. latency_ms"),
    Column("timestamp", true, "start of the interval of the row"),
    Column("p50", false, "at least one of p50, p95, p99, mean and max is required; p95 is compared, otherwise mean"),
    Column("p95", false, "95th percentile"),
    Column("p99", false, "99th percentile"),
    Column("mean", false, "average"),
    Column("max", false, "largest value"),
    Column("count", false, "number of samples in the row"),
    Column(
        "interval_seconds",
        false,
        "length of the interval: 60, 300, 900 or 3600; derived from the series if missing",
    ),
    Column("application_name", false, "as above"),
    Column("environment", false, "as above"),
    Column("version", false, "of two rows of one series, time and interval the higher one wins"),
];

/// Events as a CSV file.
pub(super) const EVENTS_CSV: &str = "\
event_id,colony_id,timestamp,event_type,service_id,severity,description
deploy-1,my-shop-staging,2026-11-02T09:15:00Z,deploy,checkout,info,v1.4.0
spike-1,my-shop-production,2026-11-02T11:30:20Z,error_spike,checkout,error,5xx above 2 %
deploy-2,my-shop-staging,2026-11-04T13:02:00Z,deploy,checkout,info,v1.4.1
";

/// Metrics as a CSV file.
pub(super) const METRICS_CSV: &str = "\
colony_id,service_id,metric_name,timestamp,p50,p95,mean,count,interval_seconds
my-shop-staging,checkout,latency_ms,2026-11-02T09:00:00Z,41.5,120.2,48.1,1840,300
my-shop-staging,checkout,latency_ms,2026-11-02T09:05:00Z,42.0,131.7,50.3,1795,300
my-shop-production,checkout,latency_ms,2026-11-02T09:00:00Z,38.2,96.4,41.9,22410,300
";

/// Prints the columns.
pub fn print(output: &Output) -> Result<(), Failure> {
    let columns = |columns: &[Column]| -> Vec<Value> {
        let value = |Column(name, required, meaning): &Column| json!({ "column": name, "required": required, "meaning": meaning });
        columns.iter().map(value).collect()
    };
    let document = json!({
        "events": { "columns": columns(&EVENT_COLUMNS), "csv": EVENTS_CSV },
        "metrics": { "columns": columns(&METRIC_COLUMNS), "csv": METRICS_CSV },
    });
    output.result(&document, page)
}

fn page(style: Style) -> String {
    let mut lines = vec![
        "Records of files (parquet, csv, ndjson) and of Kafka values (JSON), in any order of columns. Other".to_owned(),
        "columns are ignored. * marks required columns; a row without one is rejected and counted.".to_owned(),
    ];
    for (heading, columns, example) in
        [("Events", &EVENT_COLUMNS[..], EVENTS_CSV), ("Metrics", &METRIC_COLUMNS[..], METRICS_CSV)]
    {
        lines.push(format!("\n{}", style.bold(heading)));
        lines.extend(columns.iter().map(|Column(name, required, meaning)| {
            format!("  {} {name:18} {meaning}", if *required { "*" } else { " " })
        }));
        lines.push(format!("\n{}", example.trim_end()));
    }
    lines.push("\nMore examples, with patterns: coral-pipeline generate --out fleet".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::clock::SystemClock;
    use model::position::Positions;
    use sources::Source;
    use sources::files::FilesConfig;

    #[test]
    fn the_examples_are_rows_that_a_run_takes_and_every_column_is_on_the_page() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e.csv"), EVENTS_CSV).unwrap();
        std::fs::write(folder.path().join("m.csv"), METRICS_CSV).unwrap();
        let files = FilesConfig {
            metrics: vec!["m.csv".to_owned()],
            events: vec!["e.csv".to_owned()],
            base_dir: folder.path().to_owned(),
            ..FilesConfig::default()
        };
        let (mut events, mut metrics) = (0, 0);
        crate::entry::runtime().unwrap().block_on(async {
            let mut source = files.build(&Positions::default(), &SystemClock::shared()).unwrap();
            while let Some(batch) = source.next_batch().await.unwrap() {
                assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
                events += batch.rows.events.len();
                metrics += batch.rows.metrics.len();
            }
        });
        assert_eq!((events, metrics), (3, 3));
        let (output, captured) = Output::captured(false);
        assert!(print(&output).is_ok());
        for Column(name, ..) in EVENT_COLUMNS.iter().chain(&METRIC_COLUMNS) {
            assert!(captured.stdout().contains(&format!(" {name} ")), "{name}");
        }
        assert!(captured.stdout().lines().all(|line| line.chars().count() <= 120));
    }

    #[test]
    fn a_row_without_a_required_column_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (columns, example, is_events) in
            [(&EVENT_COLUMNS[..], EVENTS_CSV, true), (&METRIC_COLUMNS[..], METRICS_CSV, false)]
        {
            for Column(name, required, _) in columns.iter().filter(|Column(name, ..)| example.contains(name)) {
                let names: Vec<&str> = example.lines().next().unwrap().split(',').collect();
                let at = names.iter().position(|column| column == name).unwrap();
                let without: String = example
                    .lines()
                    .map(|line| {
                        let mut cells: Vec<&str> = line.split(',').collect();
                        cells.remove(at);
                        cells.join(",") + "\n"
                    })
                    .collect();
                std::fs::write(folder.path().join("x.csv"), without).unwrap();
                let list = vec!["x.csv".to_owned()];
                let (metrics, events) = if is_events { (Vec::new(), list) } else { (list, Vec::new()) };
                let files =
                    FilesConfig { metrics, events, base_dir: folder.path().to_owned(), ..FilesConfig::default() };
                let look = files.look(&SystemClock::shared()).unwrap().remove(0);
                let is_refused = look.problem.is_some() || !look.rejects.is_empty();
                assert_eq!(is_refused, *required, "{name}: {look:?}");
            }
        }
    }
}
