//! What a bounded read makes of brokers that are away for a while: nothing but a wait.

use super::*;

/// Far longer than a partition may be away.
const AWAY: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_away_are_no_topic_that_is_gone() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("m", &(0..60_000).map(|number| metric_message(number, Encoding::Json)).collect::<Vec<_>>());
    let config = KafkaConfig {
        end: KafkaEnd::Now,
        queue_bytes_max: 64 << 10,
        gone_after: Duration::from_millis(200),
        ..mock.config()
    };
    // the mock cluster keeps the newest records only
    let expected = read_all(&config, &Positions::default()).await.rows.len();
    assert!(expected > 20_000, "{expected}");
    let mut source = config.build(&Positions::default()).unwrap();
    let mut rows = next(&mut source).await.unwrap().rows.len();
    mock.ask(Asked::Down);
    tokio::time::sleep(AWAY).await;
    mock.ask(Asked::Up);
    while let Some(batch) = next(&mut source).await {
        rows += batch.rows.len();
    }
    assert_eq!(rows, expected);
}
