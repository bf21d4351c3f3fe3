//! Two colonies in their own processes, streamed and pulled by a running reef while their events arrive.

use crate::support::colonies::{COLONIES, Daemon, cut, from_files, live_reef, run_until_complete, stop};
use crate::support::recordings::Recording;

#[test]
fn live_colonies_give_what_files_give() {
    let recording = Recording::any("releases");
    let folder = tempfile::tempdir().unwrap();
    let (parts, all, events) = cut(&recording.events(), folder.path());
    let colonies: Vec<Daemon> = COLONIES.into_iter().map(|colony| Daemon::init(folder.path(), colony, "")).collect();
    let reef = live_reef(&colonies);

    let running = reef.start();
    for part in &parts {
        for (colony, file) in colonies.iter().zip(part) {
            colony.import(file);
        }
    }
    stop(running);
    run_until_complete(&reef, events);
    assert_eq!(reef.correlations(), from_files(&all));
    assert_eq!(reef.query("SELECT count(*) FROM federated_events WHERE late"), "0\n");
    let health = "SELECT colony_id, application_name, environment FROM colony_status ORDER BY ALL";
    let expected = "aws-sdk-ruby-production\taws-sdk-ruby\tproduction\nboto3-production\tboto3\tproduction\n";
    assert_eq!(reef.query(health), expected);
}

#[test]
fn killing_colony_and_reef_on_the_way_changes_nothing() {
    let recording = Recording::any("releases");
    let folder = tempfile::tempdir().unwrap();
    let (parts, all, events) = cut(&recording.events(), folder.path());
    let mut colonies: Vec<Daemon> =
        COLONIES.into_iter().map(|colony| Daemon::init(folder.path(), colony, "")).collect();
    let reef = live_reef(&colonies);

    let mut running = reef.start();
    for (number, part) in parts.iter().enumerate() {
        for (colony, file) in colonies.iter().zip(part) {
            colony.import(file);
        }
        match number {
            1 | 3 => colonies[number / 2].crash_and_restart(),
            2 | 4 => {
                running.kill().unwrap();
                running.wait().unwrap();
                running = reef.start();
            }
            _ => {}
        }
    }
    stop(running);
    run_until_complete(&reef, events);
    assert_eq!(reef.correlations(), from_files(&all));
}
