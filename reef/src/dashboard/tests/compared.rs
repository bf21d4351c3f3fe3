//! The page of environments side by side: what its table says.

use super::*;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};

/// The first minute of what is observed.
const FIRST: TimeMs = TimeMs(1_731_499_200_000);

/// A metric of the shop in an environment, minute by minute over eight hours.
fn observed(environment: &str, metric_name: &str, value: f64) -> Vec<MetricPoint> {
    let names = SeriesRef {
        colony_id: &format!("shop-{environment}"),
        application_name: "shop",
        environment,
        service_id: "web",
        metric_name,
        interval_seconds: Some(60),
    };
    let series = SeriesId::of(names);
    let point = |minute: i64| {
        let p95 = Some(Real(value));
        MetricPoint { series, timestamp: FIRST + minute * MINUTE_MS, p95, count: Some(1), ..MetricPoint::default() }
    };
    (0..480).map(point).collect()
}

/// A store in which each of these was observed: environment, metric, value.
async fn with(observations: &[(&str, &str, f64)]) -> MemoryStore {
    let metrics: Vec<MetricPoint> =
        observations.iter().flat_map(|(environment, metric, value)| observed(environment, metric, *value)).collect();
    let mut store = MemoryStore::new();
    store.commit(&commit_of(1, Rows { metrics: metrics.into(), ..Rows::default() })).await.unwrap();
    store
}

/// A row of the table of a page.
fn row<'a>(page: &'a str, metric: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!(">{metric}</a></td>")).unwrap();
    rest.split_once("</tr>").unwrap().0
}

#[tokio::test]
async fn a_metric_without_a_better_direction_is_greater_and_not_worse() {
    let store = with(&[
        ("staging", "latency", 200.0),
        ("production", "latency", 100.0),
        ("staging", "water_level", 9.0),
        ("production", "water_level", 3.0),
    ])
    .await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/compare?a=staging&b=production&range=24h").await.body;
    let hours = "<data value=\"8\">8</data> of <data value=\"8\">8</data>";
    let level = row(&page, "water_level");
    assert!(level.contains(&format!("<span class=\"muted\">greater in </span>{hours}")), "{level}");
    let latency = row(&page, "latency");
    assert!(latency.contains(&format!("<td class=\"number\">{hours}")), "{latency}");
}

#[tokio::test]
async fn no_name_of_an_environment_turns_text() {
    let (a, b) = (format!("a {HOSTILE}"), format!("b {HOSTILE}"));
    let store = with(&[(a.as_str(), HOSTILE, 2.0), (b.as_str(), HOSTILE, 1.0)]).await;
    let opened = Opened::over(&store, false).await;
    for path in ["/compare?range=24h", "/compare?a=other&b=none", "/series?range=24h", "/services", "/"] {
        let page = opened.get(path).await.body;
        assert!(page.contains("alert()&gt;·"), "{path}: {page}");
        assert_eq!(turned(&page), Vec::<&str>::new(), "{path}");
    }
}

/// The environments of the charts of a page.
fn drawn(page: &str) -> Vec<&str> {
    page.split("<figure data-environment=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn all_environments_of_an_application_are_side_by_side() {
    let store =
        with(&[("staging", "latency", 200.0), ("canary", "latency", 150.0), ("production", "latency", 100.0)]).await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/compare?range=24h").await.body;
    assert_eq!(drawn(&page), ["canary", "production", "staging"], "{page}");
    assert!(page.contains("class=\"charts several\""), "{page}");
    for words in [
        "Canary is 50.0% slower than production (latency)",
        "<li>staging – <a href=",
        "href=\"/compare?range=24h&amp;a=canary&amp;b=staging&amp;c=production\"",
        "data-series=\"/data/series?env=staging&amp;app=shop&amp;metric=latency&amp;range=24h\"",
        "<select name=\"c\">",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("faster than staging"), "{page}");
    let named = opened.get("/compare?range=24h&a=canary&b=production&c=staging").await.body;
    assert!(named.contains("Canary is 25.0% faster than staging (latency)"), "{named}");
    // those that an address names, and no others
    for (query, environments) in [
        ("a=staging&b=production", vec!["staging", "production"]),
        ("a=staging&b=prod&d=canary&c=production", vec!["staging", "production", "canary"]),
        ("a=staging&b=production&c=nowhere", vec!["staging", "production"]),
    ] {
        let page = opened.get(&format!("/compare?range=24h&{query}")).await.body;
        assert_eq!(drawn(&page), environments, "{query}: {page}");
        assert_eq!(page.contains("No environment is called nowhere."), query.contains("nowhere"), "{page}");
    }
}

#[tokio::test]
async fn a_page_says_which_part_a_service_or_a_colony_of_its_address_narrows() {
    let store = with(&[("staging", "latency", 2.0), ("production", "latency", 1.0)]).await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/compare?service=web&colony=shop-staging").await.body;
    for words in [
        "Only the charts are of the service web. Sentence and table are of all services.",
        "Environments are compared with all of their colonies, and not only shop-staging.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let whole = opened.get("/compare").await.body;
    assert!(!whole.contains("Only the charts") && !whole.contains("not only"), "{whole}");
}
