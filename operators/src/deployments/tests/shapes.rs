//! Deployments in the shapes that tools send.

use super::{at, evaluated, event, line, told};
use crate::deployments::tests::Rows;
use crate::deployments::{Deployments, Input};
use model::event::{Event, Severity};

fn events(events: Vec<Event>) -> Vec<String> {
    told(events.iter().filter_map(Input::of_event))
}

fn described(minute: i64, event_type: &str, description: &str) -> Event {
    Event { description: description.to_owned(), ..event(minute, &format!("d{minute}"), event_type, "") }
}

#[test]
fn one_event_is_one_deployment_and_the_version_before_it_is_known() {
    let all = vec![event(0, "a", "deploy", "version=v1.0.0"), event(60, "b", "deploy", "version=v1.1.0")];
    assert_eq!(events(all), ["0-0 >v1.0.0 success", "60-60 v1.0.0>v1.1.0 success"]);
    let measured = event(10, "a", "deployment", "version=2 from_version=1 duration_seconds=300");
    assert_eq!(events(vec![measured]), ["5-10 1>2 success"]);
    let spelled = event(10, "a", "deployment", "version=2 duration=2m30s");
    assert_eq!(events(vec![spelled]), ["7-10 >2 success"]);
    let failed = Event { severity: Severity::Error, ..event(0, "a", "deploy", "version=v1.0.0") };
    assert_eq!(events(vec![failed]), ["0-0 >v1.0.0 failed"]);
}

#[test]
fn started_and_finished_are_one_deployment() {
    for (start, end) in [
        (event(0, "a", "deployment_started", "version=v2"), event(8, "b", "deployment_finished", "version=v2")),
        (event(0, "a", "deploy.start", "tag=2"), event(8, "b", "deploy.done", "")),
        (
            event(0, "a", "deploy", "status=in_progress version=v2"),
            event(8, "b", "deploy", "status=succeeded version=v2"),
        ),
        (
            event(0, "a", "DeployStarted", "deployment_id=7 version=v2"),
            event(8, "b", "DeployCompleted", "deployment_id=7"),
        ),
        (
            described(0, "deployment", "Deployment of 2.0.0 started"),
            described(8, "deployment", "Deployment of 2.0.0 completed"),
        ),
    ] {
        let found = events(vec![start.clone(), end]);
        assert_eq!(found.len(), 1, "{start:?}: {found:?}");
        assert!(found[0].starts_with("0-8 >") && found[0].ends_with("success"), "{found:?}");
        let alone = events(vec![start]);
        assert!(alone[0].starts_with("0-… >") && alone[0].ends_with("running"), "{alone:?}");
    }
    let failed = vec![event(0, "a", "deploy_started", "version=v2"), event(5, "b", "deploy_failed", "version=v2")];
    assert_eq!(events(failed), ["0-5 >v2 failed"]);
    let hours = vec![event(0, "a", "deploy_started", "version=v2"), event(200, "b", "deploy_finished", "version=v2")];
    assert_eq!(events(hours), ["0-200 >v2 success"]);
}

#[test]
fn a_deployment_that_fails_leaves_the_version_before_in_effect() {
    let all = vec![
        event(0, "a", "deploy", "version=v1"),
        event(60, "b", "deploy_failed", "version=v2"),
        event(120, "c", "deploy", "version=v3"),
    ];
    assert_eq!(events(all), ["0-0 >v1 success", "60-60 v1>v2 failed", "120-120 v1>v3 success"]);
}

#[test]
fn a_rollback_marks_what_it_puts_back_and_is_a_row_of_its_own() {
    let before = || vec![event(0, "a", "deploy", "version=v1"), event(60, "b", "deploy", "version=v2")];
    let marked = ["0-0 >v1 success", "60-60 v1>v2 rolled_back", "75-75 v2>v1 success rollback"];
    for rollback in [
        event(75, "c", "rollback", ""),
        event(75, "c", "rollback", "version=v1"),
        event(75, "c", "deploy", "status=rolled_back version=v2"),
        event(75, "c", "deployment_rolled_back", "version=v2"),
        described(75, "deployment", "Rolled back to v1"),
    ] {
        let found = events(before().into_iter().chain([rollback.clone()]).collect());
        assert_eq!(found, marked, "{rollback:?}");
    }
    let next = event(200, "d", "deploy", "version=v3");
    let found = events(before().into_iter().chain([event(75, "c", "rollback", ""), next]).collect());
    assert_eq!(found[3], "200-200 v1>v3 success");
    let failed = event(75, "c", "rollback_failed", "version=v1");
    let found = events(before().into_iter().chain([failed]).collect());
    assert_eq!(found[1..], ["60-60 v1>v2 success", "75-75 v2>v1 failed rollback"]);
    let running = vec![event(0, "a", "deploy_started", "version=v2"), event(9, "b", "rollback", "version=v1")];
    assert_eq!(events(running), ["0-9 >v2 rolled_back", "9-9 v2>v1 success rollback"]);
}

#[test]
fn a_rollback_undoes_the_step_away_from_the_version_that_it_puts_back() {
    let deploy =
        |minute: i64, version: &str| event(minute, &format!("d{minute}"), "deploy", &format!("version={version}"));
    let failed =
        |minute: i64, version: &str| Event { event_type: "deploy_failed".to_owned(), ..deploy(minute, version) };
    let back = |minute: i64, version: &str| Event { event_type: "rollback".to_owned(), ..deploy(minute, version) };
    let no_version = event(200, "d200", "rollback", "");

    // the attempt failed, and the version before it is put back, or the attempt is named, or nothing
    for rollback in [back(200, "v1"), back(200, "v2"), no_version.clone()] {
        let found = events(vec![deploy(0, "v1"), failed(60, "v2"), rollback.clone()]);
        let expected = ["0-0 >v1 success", "60-60 v1>v2 rolled_back", "200-200 v2>v1 success rollback"];
        assert_eq!(found, expected, "{rollback:?}");
    }
    // further back than the attempt: what was in effect is undone
    let found = events(vec![deploy(0, "v1"), deploy(60, "v2"), failed(120, "v3"), back(200, "v1")]);
    assert_eq!(found[1..], ["60-60 v1>v2 rolled_back", "120-120 v2>v3 failed", "200-200 v2>v1 success rollback"]);
    let found = events(vec![deploy(0, "v1"), deploy(60, "v2"), deploy(90, "v3"), failed(120, "v4"), back(200, "v1")]);
    assert_eq!(found[2..], ["90-90 v2>v3 rolled_back", "120-120 v3>v4 failed", "200-200 v3>v1 success rollback"]);
    // of two attempts the one that is named
    let found = events(vec![deploy(0, "v1"), failed(60, "v2"), failed(120, "v3"), back(200, "v2")]);
    assert_eq!(found[1..], ["60-60 v1>v2 rolled_back", "120-120 v1>v3 failed", "200-200 v2>v1 success rollback"]);
    // a version that comes back by a deployment is left like any other
    for rollback in [back(200, "v1"), back(200, "v3"), no_version.clone()] {
        let found = events(vec![deploy(0, "v1"), deploy(60, "v2"), deploy(90, "v1"), deploy(120, "v3"), rollback]);
        let expected = [
            "0-0 >v1 success",
            "60-60 v1>v2 success",
            "90-90 v2>v1 success",
            "120-120 v1>v3 rolled_back",
            "200-200 v3>v1 success rollback",
        ];
        assert_eq!(found, expected);
    }
    // a rollback that failed changes nothing, and the next one undoes the same deployment
    let attempt = Event { event_type: "rollback_failed".to_owned(), ..back(90, "v1") };
    let found = events(vec![deploy(0, "v1"), deploy(60, "v2"), attempt, back(200, "v1")]);
    let expected = ["60-60 v1>v2 rolled_back", "90-90 v2>v1 failed rollback", "200-200 v2>v1 success rollback"];
    assert_eq!(found[1..], expected);
    // said a second time, hours later: nothing more is undone
    for again in [back(200, "v1"), Event { timestamp: at(200), ..back(200, "v2") }] {
        let found = events(vec![deploy(0, "v1"), deploy(60, "v2"), back(75, "v1"), again]);
        assert_eq!(found[0], "0-0 >v1 success");
        assert_eq!(found[2..], ["75-75 v2>v1 success rollback", "200-200 v2>v1 success rollback"]);
    }
    // one step further
    let found = events(vec![deploy(0, "v1"), deploy(30, "v2"), deploy(60, "v3"), back(75, "v2"), no_version]);
    assert_eq!(found[1], "30-30 v1>v2 rolled_back");
    assert_eq!(found[4], "200-200 v2>v1 success rollback");
    // another service is not concerned
    let other = Event { service_id: "web".to_owned(), ..back(200, "v1") };
    let found = events(vec![deploy(0, "v1"), failed(60, "v2"), other]);
    assert_eq!(found, ["0-0 >v1 success", "60-60 v1>v2 failed", "200-200 >v1 success rollback"]);
}

#[test]
fn what_three_tools_report_is_one_deployment() {
    let tools = vec![
        event(0, "ci-1", "deploy_started", "pipeline_id=991 image=registry.example.com/shop/api:v2.1.0"),
        event(1, "chat-1", "deploy", "version=2.1.0"),
        event(2, "k8s-1", "deployment", "revision=17 release_id=x"),
        event(6, "ci-2", "deploy_finished", "pipeline_id=991 image=registry.example.com/shop/api:v2.1.0"),
        event(7, "argo-1", "rollout", "git_sha=9fceb02d0ae5 status=Healthy"),
    ];
    assert_eq!(events(tools.clone()), ["0-7 >v2.1.0 success"]);
    // the same again is the next deployment
    let again = tools.into_iter().map(|tool| Event {
        event_id: format!("{}-again", tool.event_id),
        timestamp: tool.timestamp + 3_600_000 * 8,
        ..tool
    });
    assert_eq!(events(again.collect()).len(), 1);
}

#[test]
fn two_deployments_shortly_after_one_another_stay_two() {
    let all = vec![event(0, "a", "deploy", "version=v1"), event(3, "b", "deploy", "version=v2")];
    assert_eq!(events(all), ["0-0 >v1 success", "3-3 v1>v2 success"]);
    let unnamed = vec![event(0, "a", "deploy", "deployment_id=1"), event(2, "b", "deploy", "deployment_id=2")];
    assert_eq!(events(unnamed).len(), 2, "nothing but their names tells them apart");
    let other = Event { service_id: "web".to_owned(), ..event(0, "b", "deploy", "version=v1") };
    assert_eq!(events(vec![event(0, "a", "deploy", "version=v1"), other]).len(), 2);
}

#[test]
fn versions_are_found_where_tools_put_them() {
    let digest = format!("shop/api@sha256:{}", "ab12".repeat(16));
    for (metadata, version) in [
        ("version=v2.1.0", "v2.1.0"),
        ("tag=2.1.0", "2.1.0"),
        ("image=shop/api:2.1.0", "2.1.0"),
        ("image=registry.example.com:5000/shop/api:2.1.0", "2.1.0"),
        (&format!("image={digest}"), "ab12ab12ab12"),
        ("revision=42", "42"),
        ("git_sha=9fceb02d0ae598e95dc970b74767f19372d61af8", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
        ("gitSha=9fceb02", "9fceb02"),
        ("app.kubernetes.io/version=3.0", "3.0"),
        ("git_sha=9fceb02 version=2.1.0", "2.1.0"),
        ("image=shop/api version=latest", ""),
    ] {
        assert_eq!(events(vec![event(0, "a", "deploy", metadata)]), [format!("0-0 >{version} success")], "{metadata}");
    }
    for (description, line) in [
        ("Deployed v2.1.0 to production", "0-0 >v2.1.0 success"),
        ("api upgraded from v2.0.9 to v2.1.0 by ci", "0-0 v2.0.9>v2.1.0 success"),
        ("Bumping version to 1.27.42", "0-0 >1.27.42 success"),
        ("Release v1.44.175 (2023-01-03)", "0-0 >v1.44.175 success"),
        ("rolling out shop/api:2.1.0-rc1", "0-0 >2.1.0-rc1 success"),
        ("git_sha=9fceb02d0ae5 is live", "0-0 >9fceb02d0ae5 success"),
        ("revision 17 of api", "0-0 >17 success"),
        ("Updated API models and rebuilt service gems.", "0-0 > success"),
        ("deployed at 14:30 from 10.0.0.12", "0-0 > success"),
    ] {
        assert_eq!(events(vec![described(0, "deploy", description)]), [line], "{description}");
    }
}

#[test]
fn a_deployment_is_corrected_by_late_and_withdrawn_events() {
    let mut operator = Deployments::default();
    let mut rows = Rows::default();
    let mut change = |event: Event, diff: i64| {
        rows.apply(evaluated(&mut operator, Input::of_event(&event).map(|input| (input, diff)).into_iter().collect()));
        rows.deployments().iter().map(line).collect::<Vec<_>>()
    };
    let first = event(60, "b", "deploy", "version=v2");
    assert_eq!(change(first.clone(), 1), ["60-60 >v2 success"]);
    assert_eq!(change(first, 1), ["60-60 >v2 success"], "a repeat");
    let earlier = event(0, "a", "deploy", "version=v1");
    assert_eq!(change(earlier.clone(), 1), ["0-0 >v1 success", "60-60 v1>v2 success"]);
    let amended = Event { version: 1, timestamp: at(61), ..event(61, "b", "deploy", "version=v2.0.1") };
    assert_eq!(change(amended, 1)[1], "61-61 v1>v2.0.1 success");
    let renamed = Event { version: 2, ..event(61, "b", "alert", "") };
    assert_eq!(change(renamed.clone(), 1), ["0-0 >v1 success"], "it is no deployment after all");
    assert_eq!(change(renamed, -1).len(), 2);
    let withdrawn = Event { withdrawn: true, ..earlier };
    assert_eq!(change(withdrawn, 1), ["61-61 >v2.0.1 success"]);
}
