//! Positions: `topic/partition` to the offset of the next record, as text.

use model::position::Positions;
use std::collections::BTreeMap;

/// The name of a partition, in positions, rejects and messages.
pub(super) fn part(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}

/// Resume offset of each partition of a topic. An invalid offset is ignored, so that its partition is read again.
pub(super) fn of_topic(positions: &Positions, topic: &str) -> BTreeMap<i32, i64> {
    let one = |(name, text): (&String, &String)| {
        let (of, partition) = name.rsplit_once('/')?;
        let next: i64 = text.parse().ok().filter(|next| *next >= 0)?;
        (of == topic).then_some((partition.parse().ok()?, next))
    };
    positions.0.iter().filter_map(one).collect()
}

/// Positions of these topics, of any Kafka source that committed them: adding a topic to a source, which renames it,
/// must not restart the others. Each was committed with its rows, so the furthest one is right.
pub fn inherit<'a>(own: &Positions, others: impl Iterator<Item = &'a Positions>, topics: &[&str]) -> Positions {
    let mut all = own.clone();
    for (name, text) in others.flat_map(|positions| &positions.0) {
        let is_ours = name.rsplit_once('/').is_some_and(|(topic, _)| topics.contains(&topic));
        if !is_ours || own.0.contains_key(name) {
            continue;
        }
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        if all.0.get(name).is_none_or(|held| number(held) < number(text)) {
            all.0.insert(name.clone(), text.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(parts: &[(&str, &str)]) -> Positions {
        Positions(parts.iter().map(|(part, next)| ((*part).to_owned(), (*next).to_owned())).collect())
    }

    #[test]
    fn partitions_of_a_topic_are_read_and_rubbish_is_left_out() {
        let held = positions(&[("a/0", "5"), ("a/1", "x"), ("b/2", "7"), ("a/11", "0"), ("a", "3"), ("a/2", "-1")]);
        assert_eq!(of_topic(&held, "a"), [(0, 5), (11, 0)].into());
    }

    #[test]
    fn a_source_that_got_another_topic_resumes_its_position() {
        let others = [positions(&[("m/0", "9"), ("x/0", "1")]), positions(&[("m/0", "12"), ("e/0", "4")])];
        let own = positions(&[("e/0", "2")]);
        let all = inherit(&own, others.iter(), &["m", "e"]);
        assert_eq!(all, positions(&[("e/0", "2"), ("m/0", "12")]), "its own position is the one that counts");
    }
}
