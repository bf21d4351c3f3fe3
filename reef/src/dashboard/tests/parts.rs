//! Parts of pages: charts and their gaps, who was affected, what the reef reads.

use super::*;
use crate::answers::tests::affected;
use crate::answers::tests::by_effect::{BY_EFFECT, judged};
use crate::answers::tests::predictions::foreseen;
use model::metric::MetricPoint;
use model::position::Positions;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};

/// Two hours of minutes without the half hour in their middle.
fn with_a_gap() -> Vec<MetricPoint> {
    let names = SeriesRef {
        colony_id: "shop-staging",
        application_name: "shop",
        environment: "staging",
        service_id: "web",
        metric_name: "latency",
        interval_seconds: Some(60),
    };
    let series = SeriesId::of(names);
    let point = |minute: i64| {
        let p95 = Some(Real(minute as f64));
        MetricPoint { series, timestamp: TimeMs(minute * MINUTE_MS), p95, count: Some(1), ..MetricPoint::default() }
    };
    (0..45).chain(75..120).map(point).collect()
}

#[tokio::test]
async fn a_series_of_one_metric_has_a_chart_and_its_gaps_are_rows() {
    let mut store = MemoryStore::new();
    let rows = Rows { metrics: with_a_gap().into(), ..Rows::default() };
    store.commit(&commit_of(1, rows)).await.unwrap();
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/series?env=staging&range=6h").await.body;
    for words in [
        "src=\"/assets/charts.js\"",
        "data-series=\"/data/series?env=staging&amp;range=6h&amp;metric=latency\"",
        "data-timeline=\"/timeline?env=staging&amp;range=6h\"",
        "Zoom in",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(page.matches("nothing was received").count(), 2, "one of them explains the chart: {page}");
    let data = opened.get("/data/series?env=staging&range=6h&metric=latency").await;
    let data: serde_json::Value = serde_json::from_str(&data.body).unwrap();
    let points = data["series"][0]["points"].as_array().unwrap();
    let extremes = (points[0]["low"].as_f64(), points[points.len() - 1]["high"].as_f64());
    assert_eq!(extremes, (Some(0.0), Some(119.0)), "{data}");
}

#[tokio::test]
async fn series_of_several_metrics_have_no_common_chart() {
    let store = foreseen().await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/series?range=24h").await.body;
    assert!(!page.contains("charts.js") && page.contains("<h2>"), "{page}");
}

#[tokio::test]
async fn the_page_of_services_says_whom_a_deployment_affected() {
    let store = foreseen().await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/services?service=api&env=production").await.body;
    let (_, affected) = page.split_once("Affected and not affected").unwrap();
    for words in [
        "href=\"/deployment?id=my-shop-production%2Fe-3\"",
        "payment-processor",
        "is called by it",
        "coral reef affected my-shop-production/e-3",
    ] {
        assert!(affected.contains(words), "{words}: {affected}");
    }
}

#[tokio::test]
async fn a_neighbour_by_a_pattern_has_the_score_of_the_pattern() {
    let store = affected::store().await;
    let opened = Opened::over(&store, false).await;
    for path in ["/deployment?id=my-shop-production/e-3", "/services?service=api&env=production"] {
        let page = opened.get(path).await.body;
        assert!(page.contains(">a pattern</a> (<data value=\"0.87\">0.87</data>), <data "), "{path}: {page}");
        // a call has none
        assert!(page.contains("<td>is called by it</td>"), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_page_of_the_reef_names_its_sources_and_leads_to_rows() {
    let mut store = store().await;
    let at = |part: &str| Positions([(part.to_owned(), "7".to_owned())].into());
    let positions = vec![("orders-topic".to_owned(), at("0")), ("evaluated".to_owned(), at("events"))];
    store.commit(&Commit { positions, ..commit_of(2, Rows::default()) }).await.unwrap();
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/health").await.body;
    let position = "<td>orders-topic</td><td><code>0</code></td><td><code>7</code></td>";
    assert!(page.contains(position) && !page.contains("<td>evaluated"), "{page}");
    let behind = "<time datetime=\"2026-03-07T10:00:00.000Z\" title=\"2026-03-07T10:00:00.000Z\">2 h</time>";
    assert!(page.contains(behind), "the colony that is behind the newest one says by how much: {page}");
    assert!(page.contains("<a href=\"/events?range=30d\"><data value=\"21\">21</data></a>"), "{page}");
}

#[tokio::test]
async fn the_timeline_by_effect_has_the_order_of_the_answer() {
    let store = judged().await;
    let opened = Opened::over(&store, false).await;
    let listed = async |path: &str| -> Vec<String> {
        let page = opened.get(path).await.body;
        // the lanes above it have links too
        let (_, list) = page.split_once("Deployments with their effects").unwrap();
        let links = list.split("/deployment?id=my-shop-production%2F").skip(1);
        links.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    };
    assert_eq!(listed("/timeline?range=30d&order=effect").await, BY_EFFECT);
    let by_time = listed("/timeline?range=30d").await;
    assert!(by_time.len() == BY_EFFECT.len() && by_time != BY_EFFECT, "{by_time:?}");
    let page = opened.get("/timeline?range=30d&order=effect").await.body;
    assert!(page.contains("coral reef deployments --order effect"), "{page}");
}
