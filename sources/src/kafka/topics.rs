//! Topics of a publication: found or created.

use super::client::{creation_words, reason};
use super::publish_config::{MESSAGE_BYTES_MAX, PublishConfig};
use crate::error::SourceError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A topic that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReady {
    /// Its name.
    pub topic: String,
    /// Whether it was created just now.
    pub is_new: bool,
    /// Partitions.
    pub partitions: usize,
    /// Its retention, counted from record timestamps; `None`: unlimited or unknown.
    pub retention_ms: Option<i64>,
}

/// Makes sure that the topics exist. Created topics have unlimited retention: records have event times as timestamps,
/// and the usual seven days would delete a recording of last month at once.
pub(super) async fn ensure(config: &PublishConfig) -> Result<Vec<TopicReady>, SourceError> {
    let admin: AdminClient<DefaultClientContext> =
        config.client_config().create().map_err(|error| config.error(&creation_words(&error)))?;
    let mut ready = Vec::new();
    for topic in [&config.metrics_topic, &config.events_topic].into_iter().flatten() {
        ready.push(match partitions(&admin, config, topic)? {
            0 => {
                create(&admin, config, topic).await?;
                let partitions = usize::try_from(config.partitions).unwrap_or(1);
                TopicReady { topic: topic.clone(), is_new: true, partitions, retention_ms: None }
            }
            partitions => {
                let retention_ms = retention_ms(&admin, topic).await;
                TopicReady { topic: topic.clone(), is_new: false, partitions, retention_ms }
            }
        });
    }
    Ok(ready)
}

/// How many partitions a topic has; none when it does not exist.
fn partitions(
    admin: &AdminClient<DefaultClientContext>,
    config: &PublishConfig,
    topic: &str,
) -> Result<usize, SourceError> {
    let failed = |error: KafkaError| {
        let said = reason(&error);
        config.error(&format!("no response from the brokers: {said}; check that they run and listen there"))
    };
    // queried as a list, because naming a topic may create it
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT).map_err(failed)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    Ok(found.map_or(0, |found| found.partitions().len()))
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    config: &PublishConfig,
    topic: &str,
) -> Result<(), SourceError> {
    let wanted = NewTopic::new(topic, config.partitions, TopicReplication::Fixed(-1))
        .set("retention.ms", "-1")
        .set("max.message.bytes", MESSAGE_BYTES_MAX);
    let refused = |said: String| config.error(&format!("topic {topic} cannot be created: {said}"));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let answer = admin.create_topics([&wanted], &options).await.map_err(|error| refused(error.to_string()))?;
    for result in answer {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(refused(code.to_string())),
        }
    }
    Ok(())
}

/// Only for a warning: brokers that do not respond are no reason to fail.
async fn retention_ms(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Option<i64> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer = admin.describe_configs(&asked, &AdminOptions::new()).await.ok()?;
    let resource = answer.into_iter().next()?.ok()?;
    resource.get("retention.ms")?.value.as_ref()?.parse().ok().filter(|ms| *ms >= 0)
}
