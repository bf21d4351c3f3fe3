//! What is shown while a reef starts: by the process itself, or by the one that started it in the background.

use super::super::running::control::{Link, RunState};
use crate::exit::Failure;
use crate::output::Output;
use crate::text::counted;
use crate::waiting::Waiting;
use model::time::{SECOND_MS, format_duration_ms};
use pipelines::config::ReefConfig;
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long colonies may take to connect before the others are reported.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A failure that is stored may be of an earlier run: this long the colony may still connect.
const FAILURE_GRACE: Duration = Duration::from_secs(2);

/// How a starting reef is seen.
pub enum Seen {
    /// Its process has ended.
    Gone,
    /// It does not answer yet.
    NotYet,
    /// It answers.
    State(Box<RunState>),
}

/// Who looks at a starting reef.
pub trait Look {
    /// How it is now.
    async fn look(&mut self) -> Result<Seen, Failure>;
}

/// How the start went.
pub enum Start {
    /// The reef runs.
    Running(Box<RunState>),
    /// Its process ended before.
    Gone,
    /// It is still being restored after the longest wait.
    Slow,
}

/// Tells each step of the start, until the reef runs.
pub async fn tell(
    config: &ReefConfig,
    wait: Option<Duration>,
    mut looker: impl Look,
    output: &Output,
) -> Result<Start, Failure> {
    let reef_id = &config.reef_id;
    output.item(&json!({ "event": "starting", "reef_id": reef_id }), |_| format!("Starting Reef: {reef_id}"))?;
    let loaded = match config.colonies.len() as u64 {
        0 => counted(config.sources.len() as u64, "source"),
        1 => "1 colony".to_owned(),
        many => format!("{many} colonies"),
    };
    line(output, &format!("Loaded {loaded}"))?;
    let began = Instant::now();
    // a run in this process shows its own progress
    let waiting = wait.map(|most| Waiting::start("rebuilding windows from stored rows", Some(most), output));
    loop {
        match looker.look().await? {
            Seen::Gone => return Ok(Start::Gone),
            Seen::State(state) if state.phase != "restoring" => break,
            Seen::NotYet | Seen::State(_) => {}
        }
        if wait.is_some_and(|wait| began.elapsed() > wait) {
            return Ok(Start::Slow);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    drop(waiting);
    let state = match connected(config, &mut looker, output).await? {
        Some(state) => state,
        None => return Ok(Start::Gone),
    };
    tell_rest(config, &state, output)?;
    Ok(Start::Running(state))
}

/// Waits for the colonies, and tells how each is.
async fn connected(
    config: &ReefConfig,
    looker: &mut impl Look,
    output: &Output,
) -> Result<Option<Box<RunState>>, Failure> {
    if !config.colonies.is_empty() {
        line(output, "Connecting to colonies...")?;
    }
    let began = Instant::now();
    let state = loop {
        let state = match looker.look().await? {
            Seen::State(state) => state,
            Seen::Gone | Seen::NotYet => return Ok(None),
        };
        if is_settled(&state.colonies, began.elapsed()) {
            break state;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    for link in &state.colonies {
        let value = json!({
            "event": "colony", "colony_id": link.colony_id, "connected": link.connected, "error": link.error,
        });
        output.item(&value, |style| {
            let how = match (link.connected, link.error.lines().next()) {
                (true, _) => format!("Connected {}", style.green("✓")),
                (false, Some(error)) => format!("Not connected {} ({error})", style.red("✗")),
                (false, None) => format!("Not connected {} (no answer yet)", style.red("✗")),
            };
            format!("  - {}: {how}", link.colony_id)
        })?;
    }
    Ok(Some(state))
}

fn is_settled(links: &[Link], waited: Duration) -> bool {
    let has_news = |link: &Link| link.connected || (waited >= FAILURE_GRACE && !link.error.is_empty());
    links.iter().all(has_news) || waited >= CONNECT_WAIT
}

fn tell_rest(config: &ReefConfig, state: &RunState, output: &Output) -> Result<(), Failure> {
    if !config.colonies.is_empty() {
        if !output.json() {
            output.item(&(), |_| String::new())?;
        }
        if config.collection.event_stream {
            line(output, "Started event streams")?;
        }
        let interval = seconds(config.collection.summary_interval_ms);
        line(output, &format!("Started summary collection ({interval} interval)"))?;
    }
    if config.correlation.enabled {
        line(output, "Started AI correlation engine")?;
    }
    if let Some(api) = &state.api {
        line(output, &format!("Services: {api}"))?;
    }
    if let Some(url) = &state.dashboard {
        line(output, &format!("Dashboard: {url}"))?;
    }
    let value = json!({
        "event": "running", "reef_id": state.reef_id, "pid": state.pid, "api": state.api, "dashboard": state.dashboard, "colonies": state.colonies,
        "config": state.config.display().to_string(), "log": state.log.as_ref().map(|log| log.display().to_string()),
    });
    output.item(&value, |_| "\nReef is running!".to_owned())
}

/// A line with a tick. Programs read the events.
fn line(output: &Output, text: &str) -> Result<(), Failure> {
    if output.json() { Ok(()) } else { output.item(&(), |style| format!("{} {text}", style.green("✓"))) }
}

/// `60s`, as the option is written; whole minutes stay seconds.
fn seconds(ms: i64) -> String {
    if ms % SECOND_MS == 0 { format!("{}s", ms / SECOND_MS) } else { format_duration_ms(ms) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pipelines::config::{Format, parse};
    use std::path::Path;

    fn config(more: &str) -> ReefConfig {
        let text = format!(
            "reef_id: infra-reef-a1b2c3\ncolonies:\n  - {{colony_id: my-shop-production, endpoint: 'http://a:1'}}\n  - \
             {{colony_id: payments-api-prod, endpoint: 'http://b:1'}}\n{more}"
        );
        parse(&text, Format::Yaml, Path::new("reef.yaml")).unwrap()
    }

    fn state(phase: &str, links: &[(&str, bool, &str)]) -> Seen {
        let link = |(colony_id, connected, error): &(&str, bool, &str)| Link {
            colony_id: (*colony_id).to_owned(),
            connected: *connected,
            error: (*error).to_owned(),
        };
        Seen::State(Box::new(RunState {
            reef_id: "infra-reef-a1b2c3".to_owned(),
            pid: 7,
            started_at: String::new(),
            config: "reef.yaml".into(),
            log: None,
            phase: phase.to_owned(),
            api: Some("http://127.0.0.1:3101".to_owned()),
            dashboard: None,
            colonies: links.iter().map(link).collect(),
            generation: 1,
            reload_problem: None,
        }))
    }

    /// Sees one after the other, the last one again and again.
    struct Scripted(Vec<Seen>);

    impl Look for Scripted {
        async fn look(&mut self) -> Result<Seen, Failure> {
            if self.0.len() > 1 {
                return Ok(self.0.remove(0));
            }
            Ok(match &self.0[0] {
                Seen::Gone => Seen::Gone,
                Seen::NotYet => Seen::NotYet,
                Seen::State(state) => Seen::State(state.clone()),
            })
        }
    }

    #[tokio::test]
    async fn each_step_is_told_as_the_seed_shows_it() {
        let (output, captured) = Output::captured(false);
        let looks = vec![
            Seen::NotYet,
            state("restoring", &[]),
            state("running", &[]),
            state("running", &[("my-shop-production", true, ""), ("payments-api-prod", false, "")]),
            state("running", &[("my-shop-production", true, ""), ("payments-api-prod", true, "")]),
        ];
        let start = tell(&config(""), None, Scripted(looks), &output).await.unwrap();
        assert!(matches!(start, Start::Running(_)));
        let expected = "Starting Reef: infra-reef-a1b2c3\n✓ Loaded 2 colonies\n✓ Connecting to colonies...\n  - \
                        my-shop-production: Connected ✓\n  - payments-api-prod: Connected ✓\n\n✓ Started event streams\n✓ \
                        Started summary collection (60s interval)\n✓ Started AI correlation engine\n✓ Services: \
                        http://127.0.0.1:3101\n\nReef is running!\n";
        assert_eq!(captured.stdout(), expected);
    }

    #[test]
    fn a_colony_that_fails_is_waited_for_a_little_and_a_silent_one_longer() {
        let link = |connected: bool, error: &str| Link { colony_id: "c".into(), connected, error: error.to_owned() };
        let seconds = Duration::from_secs;
        assert!(is_settled(&[link(true, "")], seconds(0)) && is_settled(&[], seconds(0)));
        assert!(!is_settled(&[link(true, ""), link(false, "refused")], seconds(1)));
        assert!(is_settled(&[link(true, ""), link(false, "refused")], seconds(2)));
        assert!(!is_settled(&[link(false, "")], seconds(9)) && is_settled(&[link(false, "")], seconds(10)));
    }

    #[tokio::test]
    async fn for_programs_the_last_line_is_the_result_and_an_end_is_told_apart() {
        let (output, captured) = Output::captured(true);
        output.begin_lines();
        let links = [("my-shop-production", true, ""), ("payments-api-prod", true, "")];
        let config = config("correlation: {enabled: false}\n");
        tell(&config, None, Scripted(vec![state("running", &links)]), &output).await.unwrap();
        let events: Vec<serde_json::Value> =
            captured.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["starting", "colony", "colony", "running"]);
        assert_eq!((&events[3]["pid"], &events[3]["colonies"][1]["connected"]), (&7.into(), &true.into()));
        let gone = tell(&config, None, Scripted(vec![Seen::Gone]), &output).await.unwrap();
        assert!(matches!(gone, Start::Gone));
        let slow = tell(&config, Some(Duration::ZERO), Scripted(vec![Seen::NotYet]), &output).await.unwrap();
        assert!(matches!(slow, Start::Slow));
    }
}
