//! What a bounded read makes of brokers that are away for a while: nothing but a wait.

use super::*;

/// What a resumed or second reading of a recording takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_were_seen_are_reached_exactly_or_missed_aloud() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("m", &(0..12).map(|number| metric_message(number, Encoding::Json)).collect::<Vec<_>>());
    let seen = |text: &str| KafkaConfig {
        end: KafkaEnd::Seen(Offsets::parse(text).unwrap().unwrap()),
        gone_after: Duration::from_millis(300),
        ..mock.config()
    };
    let highs: Vec<(i32, i64)> = {
        let all = probe(&KafkaConfig { end: KafkaEnd::Now, ..mock.config() }).unwrap();
        let of_metrics = all.into_iter().find(|topic| topic.topic == "m").unwrap();
        of_metrics.partitions.iter().map(|seen| (seen.partition, seen.high)).collect()
    };
    let (partition, high) = highs.iter().copied().max_by_key(|(_, high)| *high).unwrap();
    assert!(high >= 2, "{highs:?}");
    let part = read_all(&seen(&format!("offset:m/{partition}={}", high - 1)), &Positions::default()).await;
    assert_eq!(part.rows.len() as i64, high - 1, "partitions that were not there are not read");

    // a completed read needs no topic
    let done = Positions([(format!("m/{partition}"), (high + 5).to_string())].into());
    let nothing = read_all(&seen(&format!("offset:m/{partition}={}", high + 5)), &done).await;
    assert!(nothing.rows.is_empty());

    for (text, missing) in [
        (format!("offset:m/{partition}={}", high + 1), Some(high)),
        (format!("offset:m/{partition}={high},m/99=1"), None),
        ("offset:gone/0=4".to_owned(), None),
    ] {
        let mut config = seen(&text);
        if text.contains("gone") {
            config.metrics_topic = Some("gone".to_owned());
        }
        let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
        let error = loop {
            match source.next_batch().await {
                Ok(Some(batch)) => assert!(batch.rows.is_empty(), "{text}: nothing is read of a changed topic"),
                Ok(None) => panic!("{text}: it cannot have reached its end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, SourceError::KafkaShort { found, .. } if *found == missing), "{text}: {error:?}");
    }
}

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
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let mut rows = next(&mut source).await.unwrap().rows.len();
    mock.ask(Asked::Down);
    tokio::time::sleep(AWAY).await;
    mock.ask(Asked::Up);
    while let Some(batch) = next(&mut source).await {
        rows += batch.rows.len();
    }
    assert_eq!(rows, expected);
}
