//! Faults of one process: each ends all of them with a message that says whose fault and what to do.

use super::parts::{Ending, Parts};
use super::*;
use crate::cluster::link::queue;
use crate::cluster::wire::{Answer, Frame, Hello, MAGIC, Purpose, read_greeting, write, write_greeting};
use crate::cluster::{settings, wire};
use crate::engine::workers::PLANTED_DAYS;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_ends_both_processes_with_its_message() {
    for guilty in [1, 0] {
        let parts = Parts { ending: Ending::Endless, ..Parts::of_fleet(6) };
        let folder = tempfile::tempdir().unwrap();
        let planted = format!("[correlation]\nhorizon = \"{}d\"\n", PLANTED_DAYS + guilty);
        let config = config(folder.path(), &free_hosts(2), &planted);
        let mut messages = Vec::new();
        for process in start_all(&config, &parts) {
            messages.push(process.failure().await);
        }
        for message in &messages {
            assert!(message.contains(&format!("worker {guilty} of the engine failed on tick")), "{messages:?}");
            assert!(message.contains("a planted panic") && message.contains("this is a bug"), "{messages:?}");
        }
        let other = 1 - guilty as usize;
        assert!(messages[other].contains(&format!("process {guilty} (")), "{messages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_in_one_process_ends_both_with_its_error() {
    let parts = Parts { ending: Ending::FailsAt(1), ..Parts::of_fleet(7) };
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(2), "");
    let mut processes = start_all(&config, &parts).into_iter();
    let lead = processes.next().unwrap().failure().await;
    let other = processes.next().unwrap().failure().await;
    assert!(other.starts_with("source parts cannot continue") && other.contains("the broker is on fire"), "{other}");
    assert!(lead.starts_with("process 1 (127.0.0.1:") && lead.contains("the broker is on fire"), "{lead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_never_comes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &free_hosts(2), "");
    config.engine.peer_wait_ms = 1_500;
    let (said, mut heard) = tokio::sync::mpsc::channel(8);
    for process in [0, 1] {
        let (options, _controls) = options();
        let said = said.clone();
        let tell = move |line: &str| said.try_send(line.to_owned()).unwrap();
        let inputs = Parts::of_fleet(8).inputs();
        let error = run_with(&config, process, options, &tell, inputs.as_ref()).await.unwrap_err();
        let hosts = &config.engine.hosts;
        let (me, other) = (&hosts[process], &hosts[1 - process]);
        let wanted = format!("process {process} ({me}) waited 1 s for process {} ({other})", 1 - process);
        assert!(error.to_string().starts_with(&wanted), "{error}");
        let line = heard.try_recv().unwrap();
        assert!(line.contains("waits for") && line.contains(other.as_str()), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_settings_are_reported_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = free_hosts(2);
    let first = config(folder.path(), &hosts, "");
    let second = config(folder.path(), &hosts, "[correlation]\nmax_lag = \"6h\"");
    let parts = Parts::of_fleet(9);
    let processes = [Process::start(&first, 0, parts.inputs()), Process::start(&second, 1, parts.inputs())];
    let [lead, other] = processes.map(Process::failure);
    let (lead, other) = tokio::join!(lead, other);
    assert!(lead.contains("correlation.max_lag_ms (14400000 here, 21600000 there)"), "{lead}");
    assert!(other.contains("correlation.max_lag_ms (21600000 here, 14400000 there)"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_second_copies_do_not_disturb_the_meeting() {
    let parts = Parts::of_fleet(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(3), "");
    let lead = Process::start(&config, 0, parts.inputs());
    let address = &config.engine.hosts[0];
    let connect = || async {
        let deadline = Instant::now() + LIMIT;
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    };
    // a browser, someone who says nothing, a process that does not exist
    let mut browser = connect().await;
    browser.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let _silent = connect().await;
    let mut unknown = connect().await;
    let settings = settings::of(&config);
    let hello = Hello { magic: MAGIC.to_owned(), process: 7, purpose: Purpose::Control, settings };
    write_greeting(&mut unknown, &hello).await.unwrap();
    let answer: Answer = read_greeting(&mut unknown).await.unwrap();
    assert!(answer.refused.unwrap().contains("give each process its own --process"));
    let others = [Process::start(&config, 1, parts.inputs()), Process::start(&config, 2, parts.inputs())];
    for process in others.into_iter().chain([lead]) {
        process.end().await.unwrap();
    }
}

/// Connects to the leading process as process 1, and then follows the test.
async fn impostor(config: &ReefConfig) -> (TcpStream, TcpStream) {
    let mut met = Vec::new();
    for purpose in [Purpose::Control, Purpose::Data] {
        let deadline = Instant::now() + LIMIT;
        let mut stream = loop {
            match TcpStream::connect(&config.engine.hosts[0]).await {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        };
        let settings = settings::of(config);
        write_greeting(&mut stream, &Hello { magic: MAGIC.to_owned(), process: 1, purpose, settings }).await.unwrap();
        assert_eq!(read_greeting::<Answer>(&mut stream).await.unwrap(), Answer { refused: None });
        met.push(stream);
    }
    let data = met.pop().unwrap();
    (met.pop().unwrap(), data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_started_again_while_the_others_meet_takes_its_own_place() {
    let parts = Parts { ending: Ending::Finite, ..Parts::of_fleet(13) };
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(3), "");
    let lead = Process::start(&config, 0, parts.inputs());
    // its first start connects to process 0, sends a message, and ends before process 2 connects
    let (mut control, data) = impostor(&config).await;
    write(&mut control, &Frame::Beat).await.unwrap();
    drop((control, data));
    let again = Process::start(&config, 1, parts.inputs());
    let last = Process::start(&config, 2, parts.inputs());
    for process in [lead, again, last] {
        process.end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_is_lost_after_its_silence() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), &free_hosts(2), "");
    config.engine.peer_silence_ms = 1_000;
    let lead = Process::start(&config, 0, Parts::of_fleet(11).inputs());
    let (_control, _data) = impostor(&config).await;
    let message = lead.failure().await;
    let wanted = format!("process 1 ({}) has been silent for 1 s", config.engine.hosts[1]);
    assert!(message.starts_with(&wanted), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_connection_that_breaks_alone_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(2), "");
    let lead = Process::start(&config, 0, Parts::of_fleet(12).inputs());
    let (_control, data) = impostor(&config).await;
    drop(data);
    let message = lead.failure().await;
    assert!(message.contains("is lost: its data connection was closed"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_is_reported() {
    for (frames, wanted) in [
        (vec![Frame::Sources(Vec::new()), Frame::Sources(Vec::new())], "sources named twice"),
        (vec![Frame::End { is_stopped: true }], "unexpected End"),
        (
            vec![Frame::Batch { source: 3, batch: Box::default(), bytes: None, outage: None }],
            "a batch of source 3, which is not open",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), &free_hosts(2), "");
        let lead = Process::start(&config, 0, Parts::of_fleet(13).inputs());
        let (mut control, _data) = impostor(&config).await;
        for frame in &frames {
            write(&mut control, frame).await.unwrap();
        }
        let message = lead.failure().await;
        assert!(message.contains("broke the protocol") && message.contains(wanted), "{message}");
        // it is notified as well, and may have received start positions before
        loop {
            match wire::read(&mut control).await.unwrap() {
                Frame::Failed { message } => break assert!(message.contains(wanted), "{message}"),
                Frame::Start { .. } | Frame::Beat => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_process_may_not_send_more_batches_than_agreed() {
    use crate::cluster::alarm::Alarm;
    use crate::cluster::remote::{FromReader, WINDOW_BATCHES};
    use crate::cluster::wire::SourceFacts;
    use crate::error::Peer;

    let alarm = Alarm::default();
    let peer = Peer { process: 1, host: "a:1".to_owned() };
    let (mut from, awaited) = FromReader::new(peer, queue().0, watch::channel(false).0, alarm.clone());
    from.take(Frame::Sources(vec![SourceFacts { name: "parts".to_owned(), is_finite: true, is_acknowledged: false }]));
    let _sources = awaited.opened.await.unwrap();
    let batch = || Frame::Batch { source: 0, batch: Box::default(), bytes: None, outage: None };
    for _ in 0..WINDOW_BATCHES {
        from.take(batch());
    }
    let quiet = tokio::time::timeout(Duration::ZERO, alarm.raised()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    from.take(batch());
    assert!(alarm.raised().await.to_string().contains("more batches than agreed"));
}
