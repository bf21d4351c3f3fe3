//! `coral-pipeline publish`: a reef's files or stored rows to Kafka topics, so that they can be replayed from there.

use super::load::load_runnable;
use super::meter::{Meter, per_second};
use super::progress_line::share_done;
use super::run_failure::read_failure;
use super::shortfall::unreadable;
use crate::entry::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Style};
use crate::signals::watch_shutdown;
use crate::text::{bytes, count, counted};
use model::clock::{Clock, SystemClock};
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::time::{TimeMs, format_duration_ms};
use pipelines::config::ReefConfig;
use pipelines::open::{inputs, store};
use pipelines::progress::Progress;
use serde_json::{Value, json};
use sinks::{Span, StoreReader, pages};
use sources::kafka::{Encoding, KafkaConfig, PublishConfig, PublishCounts, Publisher};
use sources::{InputReport, Source, SourceError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Rows of one page of the store.
const PAGE_ROWS: usize = 10_000;
/// What helps after any interruption.
const PUBLISH_AGAIN: &str = "publish again: rows that already exist do no harm";
/// Between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
#[command(
    before_help = "Example:  coral-pipeline publish reef.toml --brokers localhost:9092 \
                   --metrics-topic coral.metrics --events-topic coral.events",
    after_help = "Messages are keyed by colony and have the event time of their row as timestamp. Ends when every message has \
                  been acknowledged. Publishing twice is harmless: a run deduplicates rows. Created topics have unlimited \
                  retention. If the reef has one kafka source, its brokers, topics and options are the defaults."
)]
pub struct PublishArgs {
    /// The reef: a .toml or .yaml file
    pub config: PathBuf,
    /// host:port, several separated by commas
    #[arg(long)]
    pub brokers: Option<String>,
    /// Topic for metrics; without it metrics are not published
    #[arg(long, value_name = "TOPIC")]
    pub metrics_topic: Option<String>,
    /// Topic for events; without it events are not published
    #[arg(long, value_name = "TOPIC")]
    pub events_topic: Option<String>,
    /// Start of the range, inclusive (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<TimeMs>,
    /// End of the range, exclusive (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<TimeMs>,
    /// Encoding of values
    #[arg(long, value_enum, default_value = "json")]
    pub encoding: Form,
    /// Partitions of created topics
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Publish the reef's files (the default if it has any)
    #[arg(long, conflicts_with = "stored")]
    pub files: bool,
    /// Publish the reef's stored rows, including late ones
    #[arg(long)]
    pub stored: bool,
    /// Read and count the rows, and send none; no broker is contacted
    #[arg(long)]
    pub dry_run: bool,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// The records of files.
    Json,
    /// The messages of federation.proto.
    Protobuf,
}

fn time(text: &str) -> Result<TimeMs, String> {
    TimeMs::parse_rfc3339(text).ok_or_else(|| "write an RFC 3339 time such as 2023-01-03T19:00:00Z".to_owned())
}

/// What a publication came to.
#[derive(Debug, Default)]
struct Tally {
    counts: PublishCounts,
    rejects: u64,
    outside: u64,
    oldest: Option<TimeMs>,
    inputs: InputReport,
    stopped: bool,
    /// Rows were counted and not sent.
    is_dry_run: bool,
}

/// Publishes, and prints the acknowledged rows.
pub fn run(args: &PublishArgs, output: &Output) -> Result<(), Failure> {
    let config = load_runnable(&args.config)?;
    let target = target(args, &config)?;
    let started = Instant::now();
    runtime()?.block_on(async {
        let to_user = output.clone();
        let shutdown = watch_shutdown(output, move || {
            to_user.message("stopping: waiting for acknowledgements (press Ctrl-C again to abort)")
        })?;
        output.message(&format!("reading rows for {}", target.brokers));
        let publisher = match args.dry_run {
            true => None,
            false => Some(Publisher::open(target.clone()).await.map_err(|error| kafka_failure(&error))?),
        };
        let ready = publisher.as_ref().map(Publisher::topics).unwrap_or_default();
        let topics: Vec<Value> = ready
            .iter()
            .map(|it| json!({ "topic": it.topic, "created": it.is_new, "partitions": it.partitions }))
            .collect();
        let retention = ready.iter().filter_map(|it| Some((it.topic.clone(), it.retention_ms?)));
        let retention: Vec<(String, i64)> = retention.collect();
        let wants = (target.events_topic.is_some(), target.metrics_topic.is_some());
        let tally = Tally { is_dry_run: args.dry_run, ..Tally::default() };
        let meter = Meter::default();
        let mut work = Work { args, publisher, wants, tally, shutdown, output, started, told_at: started, meter };
        match inputs::files(&config) {
            Some(files) if !args.stored => {
                let source = files
                    .build(&Positions::default(), &SystemClock::shared())
                    .map_err(|error| file_failure(&error, args))?;
                work.files(source).await?;
            }
            None if args.files => {
                let message = format!("{} names no files", args.config.display());
                return Err(Failure::new(Exit::Usage, "no_files", message).hint("publish its stored rows: --stored"));
            }
            _ => work.stored(&store::open_for_reading(&config).await.map_err(|error| store_failure(&error))?).await?,
        }
        let Work { publisher, mut tally, .. } = work;
        if let Some(publisher) = publisher {
            tally.counts = tokio::task::block_in_place(|| publisher.finish()).map_err(|error| kafka_failure(&error))?;
        }
        warn_of_retention(&retention, &tally, output);
        conclude(&target, &topics, &tally, started.elapsed(), output)
    })
}

/// Where to publish: what the command line says, else the reef's one Kafka source.
fn target(args: &PublishArgs, config: &ReefConfig) -> Result<PublishConfig, Failure> {
    let mut sources =
        inputs::kafka(config).map_err(|error| Failure::from_error(Exit::Usage, "input_invalid", &error))?;
    let default: Option<KafkaConfig> = if sources.len() == 1 { sources.pop() } else { None };
    let usage = |message: &str, hint: &str| {
        Failure::new(Exit::Usage, "usage", message).hint(hint).docs("coral-pipeline publish --help")
    };
    let Some(brokers) = args.brokers.clone().or_else(|| default.as_ref().map(|it| it.brokers.clone())) else {
        return Err(usage("no brokers to publish to", "name them: --brokers host:port"));
    };
    let names_topics = args.metrics_topic.is_some() || args.events_topic.is_some();
    let of_default = |topic: fn(&KafkaConfig) -> &Option<String>| {
        default.as_ref().filter(|_| !names_topics).and_then(|it| topic(it).clone())
    };
    let target = PublishConfig {
        brokers,
        metrics_topic: args.metrics_topic.clone().or_else(|| of_default(|it| &it.metrics_topic)),
        events_topic: args.events_topic.clone().or_else(|| of_default(|it| &it.events_topic)),
        encoding: if args.encoding == Form::Json { Encoding::Json } else { Encoding::Protobuf },
        partitions: args.partitions,
        options: default.map(|it| it.options).unwrap_or_default(),
    };
    match (&target.metrics_topic, &target.events_topic) {
        (None, None) => {
            Err(usage("no topic to publish to", "name at least one: --metrics-topic NAME, --events-topic NAME"))
        }
        (Some(one), Some(other)) if one == other => {
            Err(usage(&format!("topic {one} cannot hold metrics and events"), "give each its own topic"))
        }
        _ => Ok(target),
    }
}

struct Work<'a> {
    args: &'a PublishArgs,
    /// None in a dry run.
    publisher: Option<Publisher>,
    /// Whether events, and metrics, have a topic.
    wants: (bool, bool),
    tally: Tally,
    shutdown: watch::Receiver<bool>,
    output: &'a Output,
    started: Instant,
    told_at: Instant,
    meter: Meter,
}

impl Work<'_> {
    async fn files(&mut self, mut source: impl Source) -> Result<(), Failure> {
        while let Some(batch) = source.next_batch().await.map_err(|error| file_failure(&error, self.args))? {
            self.tally.rejects += batch.rejects.len() as u64;
            self.tally.inputs.absorb(batch.report);
            self.send(batch.rows.events, batch.rows.metrics.to_vec(), source.progress_bytes())?;
            if self.tally.stopped {
                break;
            }
        }
        Ok(())
    }

    async fn stored(&mut self, reader: &Arc<dyn StoreReader>) -> Result<(), Failure> {
        let from = self.args.from.unwrap_or(TimeMs(i64::MIN));
        let span = Span { from, to: self.args.to, with_late: true };
        let mut pages_of_events = pages::<Event>(reader, span, PAGE_ROWS);
        let mut pages_of_metrics = pages::<MetricPoint>(reader, span, PAGE_ROWS);
        while !self.tally.stopped {
            let events = pages_of_events.next().await.map_err(|error| store_failure(&error))?;
            let metrics = pages_of_metrics.next().await.map_err(|error| store_failure(&error))?;
            if events.is_none() && metrics.is_none() {
                break;
            }
            let events = events.into_iter().flatten().map(|stored| stored.row).collect();
            let metrics = metrics.into_iter().flatten().map(|stored| stored.row).collect();
            self.send(events, metrics, None)?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        mut events: Vec<Event>,
        mut metrics: Vec<MetricPoint>,
        done: Option<(u64, u64)>,
    ) -> Result<(), Failure> {
        let before = events.len() + metrics.len();
        let wanted =
            |time: TimeMs| self.args.from.is_none_or(|from| time >= from) && self.args.to.is_none_or(|to| time < to);
        events.retain(|row| wanted(row.timestamp));
        metrics.retain(|row| wanted(row.timestamp));
        self.tally.outside += (before - events.len() - metrics.len()) as u64;
        let times = events.iter().map(|row| row.timestamp).chain(metrics.iter().map(|row| row.timestamp));
        self.tally.oldest = self.tally.oldest.into_iter().chain(times).min();
        if let Some(publisher) = &mut self.publisher {
            // the producer waits while too much is unacknowledged
            tokio::task::block_in_place(|| {
                publisher.send_events(&events)?;
                publisher.send_metrics(&metrics)
            })
            .map_err(|error| kafka_failure(&error))?;
        } else {
            let (events_wanted, metrics_wanted) = self.wants;
            let counts = &mut self.tally.counts;
            counts.events += if events_wanted { events.len() as u64 } else { 0 };
            counts.metrics += if metrics_wanted { metrics.len() as u64 } else { 0 };
        }
        self.tally.stopped = *self.shutdown.borrow();
        if self.told_at.elapsed() >= LINE_EVERY {
            self.told_at = Instant::now();
            let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (what, rows) = match &self.publisher {
                Some(publisher) => ("acknowledged", publisher.acknowledged()),
                None => ("counted", self.tally.counts.events + self.tally.counts.metrics),
            };
            let progress = Progress { events: rows, bytes: done, ..Progress::default() };
            let reading = self.meter.read(&progress, elapsed_ms);
            let share = share_done(&progress, &reading).map(|share| format!(" · {share}")).unwrap_or_default();
            let (rows, speed) = (counted(rows, "row"), count(reading.rows_per_second as u64));
            self.output.message(&format!("publishing{share} · {rows} {what} ({speed}/s)"));
        }
        Ok(())
    }
}

/// A topic with retention counts from event time: older records are deleted before they can be replayed.
fn warn_of_retention(retention: &[(String, i64)], tally: &Tally, output: &Output) {
    let Some(oldest) = tally.oldest else { return };
    for (topic, retention_ms) in retention {
        if SystemClock.now() - oldest > *retention_ms {
            output.message(&format!(
                "warning: topic {topic} keeps records for {} and the oldest row is of {oldest}: the brokers will delete \
                 old rows; set its retention.ms to -1 to keep them",
                format_duration_ms(*retention_ms)
            ));
        }
    }
}

fn conclude(
    target: &PublishConfig,
    topics: &[Value],
    tally: &Tally,
    elapsed: Duration,
    output: &Output,
) -> Result<(), Failure> {
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let document = json!({
        "dry_run": tally.is_dry_run,
        "brokers": target.brokers,
        "topics": topics,
        "events": tally.counts.events,
        "metrics": tally.counts.metrics,
        "bytes": tally.counts.bytes,
        "outside": tally.outside,
        "rejects": tally.rejects,
        "failed_inputs": tally.inputs.failed_inputs,
        "elapsed_ms": elapsed_ms,
    });
    if tally.stopped {
        let rows = counted(tally.counts.events + tally.counts.metrics, "row");
        let fate = if tally.is_dry_run { "none of them sent" } else { "all acknowledged" };
        return Err(Failure::new(Exit::Interrupted, "interrupted", format!("stopped after {rows}, {fate}"))
            .hint(PUBLISH_AGAIN)
            .report(document));
    }
    // what could be read has been published
    let failure = unreadable(&tally.inputs, tally.counts.events + tally.counts.metrics > 0)
        .map(|failure| failure.hint(format!("repair or replace them and {PUBLISH_AGAIN}")));
    output.concluded(&document, |style| page(target, tally, elapsed_ms, style), failure)
}

fn page(target: &PublishConfig, tally: &Tally, elapsed_ms: u64, style: Style) -> String {
    let PublishCounts { events, metrics, bytes: size } = tally.counts;
    let rows = events + metrics;
    let topic = |name: &Option<String>| name.as_deref().unwrap_or("no topic, left out").to_owned();
    let heading = match tally.is_dry_run {
        true => format!("Would be published to {}; nothing was sent", target.brokers),
        false => format!("Published to {}: every message acknowledged", target.brokers),
    };
    let mut lines = vec![
        style.bold(&heading),
        format!("  events    {} ({})", count(events), topic(&target.events_topic)),
        format!("  metrics   {} ({})", count(metrics), topic(&target.metrics_topic)),
    ];
    if !tally.is_dry_run {
        lines.push(format!(
            "  size      {} in {}, {} rows/s",
            bytes(size),
            format_duration_ms(i64::try_from(elapsed_ms).unwrap_or(i64::MAX)),
            count(per_second(rows, elapsed_ms) as u64)
        ));
    }
    if tally.outside > 0 {
        lines.push(format!("  outside   {} before --from or after --to", counted(tally.outside, "row")));
    }
    if tally.rejects > 0 {
        lines.push(style.yellow(&format!("  rejects   {} that no run would take", counted(tally.rejects, "row"))));
    }
    lines.join("\n")
}

fn kafka_failure(error: &SourceError) -> Failure {
    Failure::from_error(Exit::Failed, "kafka_failed", error)
        .hint("publish again once it is repaired: rows that already exist do no harm")
}

fn file_failure(error: &SourceError, args: &PublishArgs) -> Failure {
    read_failure(error, &args.config, PUBLISH_AGAIN)
}

fn store_failure(error: &sinks::SinkError) -> Failure {
    Failure::from_error(Exit::Failed, "store_failed", error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;
    use sources::{FailedInput, FailureClass};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: PublishArgs,
    }

    fn target_of(words: &[&str], sources: &str) -> Result<PublishConfig, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.yaml");
        std::fs::write(&path, format!("reef_id: r\nsources: [{sources}]\n")).unwrap();
        let line = ["publish", path.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let args = Line::try_parse_from(line).unwrap().args;
        target(&args, &load_runnable(&path).unwrap())
    }

    #[test]
    fn a_dry_run_counts_rows_and_contacts_no_broker() {
        let folder = tempfile::tempdir().unwrap();
        let event = |n: u32| {
            format!(
                "{{\"event_id\":\"e{n}\",\"colony_id\":\"c\",\"timestamp\":\"2026-03-01T00:00:0{n}Z\",\
                 \"event_type\":\"deploy\",\"service_id\":\"s\"}}\n"
            )
        };
        std::fs::write(folder.path().join("e.ndjson"), (0..3).map(event).collect::<String>()).unwrap();
        let reef = folder.path().join("reef.yaml");
        std::fs::write(&reef, "reef_id: r\nsources: [{kind: files, events: [e.ndjson]}]\n").unwrap();
        let line = ["publish", reef.to_str().unwrap(), "--brokers", "127.0.0.1:1", "--events-topic", "e", "--dry-run"];
        let line = line.into_iter().chain(["--from", "2026-03-01T00:00:01Z"]);
        let (output, captured) = Output::captured(true);
        run(&Line::try_parse_from(line).unwrap().args, &output).unwrap();
        let document: Value = serde_json::from_str(&captured.stdout()).unwrap();
        assert_eq!((&document["dry_run"], &document["topics"]), (&true.into(), &json!([])));
        assert_eq!((&document["events"], &document["outside"]), (&2.into(), &1.into()), "{document}");
    }

    #[test]
    fn the_reefs_own_topics_are_the_default_and_the_command_line_wins() {
        let kafka = "{kind: kafka, brokers: 'k:1', topics: {metrics: m, events: e}, options: {client.rack: a}}";
        let all = target_of(&[], kafka).unwrap();
        assert_eq!(
            (all.brokers.as_str(), all.metrics_topic.as_deref(), all.events_topic.as_deref()),
            ("k:1", Some("m"), Some("e"))
        );
        assert_eq!(all.options["client.rack"], "a");
        let one = target_of(&["--events-topic", "x", "--brokers", "l:2"], kafka).unwrap();
        assert_eq!((one.brokers.as_str(), one.metrics_topic, one.events_topic.as_deref()), ("l:2", None, Some("x")));
    }

    #[test]
    fn files_that_could_not_be_read_decide_the_code_and_are_named() {
        let target = target_of(&["--brokers", "k:1", "--events-topic", "e"], "{kind: files, events: [e.csv]}").unwrap();
        let concluded = |classes: &[FailureClass]| {
            let mut tally =
                Tally { counts: PublishCounts { events: 5, ..PublishCounts::default() }, ..Tally::default() };
            for class in classes {
                let (input, problem) = ("e.csv".to_owned(), "is cut off".to_owned());
                tally.inputs.add_failed(FailedInput { input, class: *class, problem });
            }
            conclude(&target, &[], &tally, Duration::ZERO, &Output::captured(true).0)
        };
        assert_eq!(concluded(&[]), Ok(()));
        let broken = concluded(&[FailureClass::Format]).unwrap_err();
        assert_eq!(
            (broken.exit, broken.code, &*broken.details[0]),
            (Exit::Failed, "input_unreadable", "e.csv: is cut off")
        );
        assert_eq!(broken.message, "1 input could not be read; the others were");
        assert_eq!(broken.report.unwrap()["events"], 5, "what was published is reported as well");
        assert!(broken.hint.unwrap().contains("publish again"));
        assert_eq!(concluded(&[FailureClass::Permission]).unwrap_err().exit, Exit::NotAuthorised);
        assert_eq!(concluded(&[FailureClass::NotFound]).unwrap_err().exit, Exit::NotFound);
    }

    #[test]
    fn what_is_missing_is_named() {
        let files = "{kind: files, events: [e.csv]}";
        assert_eq!(target_of(&[], files).unwrap_err().message, "no brokers to publish to");
        assert_eq!(target_of(&["--brokers", "k:1"], files).unwrap_err().message, "no topic to publish to");
        let same = target_of(&["--brokers", "k:1", "--events-topic", "t", "--metrics-topic", "t"], files).unwrap_err();
        assert_eq!((same.exit, same.message.as_str()), (Exit::Usage, "topic t cannot hold metrics and events"));
        assert!(Line::try_parse_from(["publish", "r.toml", "--from", "yesterday"]).is_err());
        assert!(Line::try_parse_from(["publish", "r.toml", "--files", "--stored"]).is_err());
    }
}
