//! Runs that complete, are stopped, or resume an interrupted one.

use super::parts::{Ending, Parts};
use super::*;
use crate::progress::{Ended, ServeSummary};

fn served(end: ClusterEnd) -> ServeSummary {
    match end {
        ClusterEnd::Served(summary) => summary,
        other => panic!("it should have served: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_partitions_store_what_one_process_stores() {
    let parts = Parts::of_fleet(3);
    let expected = undisturbed(&parts).await;
    assert_eq!(expected.rejects.values().sum::<u64>(), 4, "refused rows are shared as well");
    for (processes, workers) in [(2, 1), (2, 2), (3, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), &free_hosts(processes), "");
        config.engine.workers = workers;
        let parts = Parts { heard: Arc::default(), ..parts.clone() };
        let mut ends = Vec::new();
        for process in start_all(&config, &parts) {
            ends.push(process.end().await.unwrap());
        }
        let ClusterEnd::Led(summary) = ends.remove(0) else { panic!("process 0 leads") };
        assert_eq!(summary.progress.events + summary.progress.metrics, parts.rows());
        for (number, end) in ends.into_iter().enumerate() {
            let served = served(end);
            assert_eq!((served.process, served.ended), (number + 1, Ended::InputFinished));
            assert!(served.progress.events > 0 && served.progress.metrics > 0, "{served:?}");
        }
        assert_eq!(stored(&config).await, expected, "{processes} processes of {workers} workers");
        assert_eq!(*parts.heard.lock().unwrap(), expected.positions["parts"], "every source hears what is stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_process_can_be_stopped_and_a_later_run_resumes() {
    let parts = Parts { ending: Ending::Endless, ..Parts::of_fleet(4) };
    let expected = undisturbed(&parts).await;
    let folder = tempfile::tempdir().unwrap();
    for (asked, ticks) in [(1, 2), (0, 5)] {
        let config = config(folder.path(), &free_hosts(2), "");
        let mut processes = start_all(&config, &parts);
        processes[0].sees(|progress| progress.ticks >= ticks).await;
        processes[asked].stop.send_replace(true);
        let second = processes.pop().unwrap().end().await.unwrap();
        assert_eq!(served(second).ended, Ended::Stopped);
        let ClusterEnd::Led(summary) = processes.remove(0).end().await.unwrap() else { panic!("process 0 leads") };
        assert_eq!(summary.ended, Ended::Stopped);
    }
    let config = config(folder.path(), &free_hosts(2), "");
    for process in start_all(&config, &Parts { ending: Ending::Finite, ..parts }) {
        process.end().await.unwrap();
    }
    assert_eq!(stored(&config).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_lost_ends_the_other_and_a_restart_resumes() {
    let parts = Parts { ending: Ending::Endless, ..Parts::of_fleet(5) };
    let expected = undisturbed(&parts).await;
    let folder = tempfile::tempdir().unwrap();
    for (lost, ticks) in [(1, 3), (0, 4)] {
        let config = config(folder.path(), &free_hosts(2), "");
        let mut processes = start_all(&config, &parts);
        processes[0].sees(|progress| progress.ticks >= ticks).await;
        let gone = processes.remove(lost);
        gone.task.abort();
        // its store is closed once the task has ended
        assert!(gone.task.await.unwrap_err().is_cancelled());
        let message = processes.remove(0).failure().await;
        let wanted = format!("process {lost} ({}) is lost", config.engine.hosts[lost]);
        assert!(message.starts_with(&wanted) && message.contains("restart all processes"), "{message}");
    }
    let config = config(folder.path(), &free_hosts(2), "");
    let mut ends = Vec::new();
    for process in start_all(&config, &Parts { ending: Ending::Finite, ..parts }) {
        ends.push(process.end().await);
    }
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    assert_eq!(stored(&config).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_lost_is_named_by_all_others() {
    let parts = Parts { ending: Ending::Endless, ..Parts::of_fleet(14) };
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &free_hosts(3), "");
    let mut processes = start_all(&config, &parts);
    processes[0].sees(|progress| progress.ticks >= 2).await;
    processes.pop().unwrap().task.abort();
    for process in processes {
        let message = process.failure().await;
        assert!(message.contains(&format!("process 2 ({}) is lost", config.engine.hosts[2])), "{message}");
    }
}
