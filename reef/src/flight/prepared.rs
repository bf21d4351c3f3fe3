//! Prepared: statements that clients have prepared, by handle. There are few at once, also of one caller, and one that is
//! not used for long is forgotten: each is a text of a caller in the memory of the reef.

use super::errors;
use super::ticket::random;
use crate::access::Asker;
use arrow_flight::FlightData;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tonic::Status;

/// Most of them at once; then the caller that has most gives up the one that it used longest ago.
pub(super) const STATEMENTS_MAX: usize = 256;
/// Most of one caller at once; then it gives up the one that it used longest ago.
pub(super) const OF_CALLER_MAX: usize = 64;
/// How long one is kept that is not used.
pub(super) const UNUSED_MAX: Duration = Duration::from_secs(30 * 60);

/// The statements that are prepared.
#[derive(Default)]
pub(super) struct Prepared(Mutex<HashMap<Bytes, Kept>>);

struct Kept {
    /// Who prepared it.
    asker: Asker,
    sql: String,
    values: Vec<FlightData>,
    used: Instant,
}

impl Prepared {
    /// All that are not too old at `now`.
    fn kept(&self, now: Instant) -> MutexGuard<'_, HashMap<Bytes, Kept>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, it| now.duration_since(it.used) < UNUSED_MAX);
        kept
    }

    /// Keeps a statement of a caller; its handle.
    pub(super) fn keep(&self, asker: Asker, sql: String, now: Instant) -> Result<Bytes, Status> {
        let handle = random()?;
        let mut kept = self.kept(now);
        if let Some(oldest) = makes_room(&kept, &asker) {
            kept.remove(&oldest);
        }
        kept.insert(handle.clone(), Kept { asker, sql, values: Vec::new(), used: now });
        Ok(handle)
    }

    /// Values for the parameters of its next executions.
    pub(super) fn bind(&self, handle: &Bytes, values: Vec<FlightData>, now: Instant) -> Result<(), Status> {
        let mut kept = self.kept(now);
        let it = kept.get_mut(handle).ok_or_else(missing)?;
        (it.values, it.used) = (values, now);
        Ok(())
    }

    /// The statement, and the values that it has.
    pub(super) fn get(&self, handle: &Bytes, now: Instant) -> Result<(String, Vec<FlightData>), Status> {
        let mut kept = self.kept(now);
        let it = kept.get_mut(handle).ok_or_else(missing)?;
        it.used = now;
        Ok((it.sql.clone(), it.values.clone()))
    }

    /// Forgets a statement; one that is not there is forgotten already.
    pub(super) fn close(&self, handle: &Bytes, now: Instant) {
        self.kept(now).remove(handle);
    }
}

/// The statement that makes room for one more of `asker`, if one has to: no caller takes the room of another that has fewer.
fn makes_room(kept: &HashMap<Bytes, Kept>, asker: &Asker) -> Option<Bytes> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for it in kept.values() {
        *counts.entry(it.asker.0.as_str()).or_default() += 1;
    }
    let own = counts.get(asker.0.as_str()).copied().unwrap_or_default();
    let of = if own >= OF_CALLER_MAX {
        asker.0.as_str()
    } else if kept.len() >= STATEMENTS_MAX {
        counts.into_iter().max_by_key(|(_, count)| *count)?.0
    } else {
        return None;
    };
    let of_it = kept.iter().filter(|(_, it)| it.asker.0 == of);
    of_it.min_by_key(|(_, it)| it.used).map(|(handle, _)| handle.clone())
}

fn missing() -> Status {
    let minutes = UNUSED_MAX.as_secs() / 60;
    errors::not_found(format!(
        "there is no such prepared statement: it was closed, was not used for {minutes} minutes, had to make room (a \
         caller has at most {OF_CALLER_MAX}, all together {STATEMENTS_MAX}), or the reef was started again; prepare it \
         again, and close those that are not needed"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tonic::Code;

    fn asker(name: &str) -> Asker {
        Asker(name.to_owned())
    }

    #[test]
    fn few_statements_are_kept_for_a_while_after_they_were_used() {
        let (prepared, start) = (Prepared::default(), Instant::now());
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let first = prepared.keep(asker("a"), "first".to_owned(), start).unwrap();
        let second = prepared.keep(asker("a"), "second".to_owned(), after(1)).unwrap();
        assert_eq!(prepared.get(&first, after(29)).unwrap().0, "first");
        assert_eq!(prepared.get(&second, after(31)).unwrap_err().code(), Code::NotFound, "30 minutes after its use");
        assert!(prepared.get(&first, after(58)).is_ok(), "each use counts");
        for n in 0..OF_CALLER_MAX {
            prepared.keep(asker("a"), format!("{n}"), after(59)).unwrap();
        }
        let refused = prepared.get(&first, after(59)).unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "it made room");
        assert!(refused.message().contains("at most 64, all together 256"), "{refused}");
        assert_eq!(prepared.kept(after(59)).len(), OF_CALLER_MAX);
    }

    #[test]
    fn a_caller_with_many_statements_takes_no_room_of_one_with_few() {
        let (prepared, start) = (Prepared::default(), Instant::now());
        let after = |seconds: usize| start + Duration::from_secs(seconds as u64);
        let few = prepared.keep(asker("few"), "SELECT 1".to_owned(), start).unwrap();
        let mut firsts = Vec::new();
        // as many callers as fill all places, and one more
        for caller in 0..=STATEMENTS_MAX / OF_CALLER_MAX {
            for n in 0..OF_CALLER_MAX + 5 {
                let handle = prepared.keep(asker(&format!("many-{caller}")), format!("{n}"), after(1 + n)).unwrap();
                firsts.extend((n == 0).then_some(handle));
            }
        }
        assert!(prepared.get(&few, after(100)).is_ok(), "the oldest of all is that of a caller with one");
        assert_eq!(prepared.kept(after(100)).len(), STATEMENTS_MAX);
        for first in &firsts {
            assert_eq!(prepared.get(first, after(100)).unwrap_err().code(), Code::NotFound);
        }
        let more = prepared.keep(asker("new"), "SELECT 2".to_owned(), after(100)).unwrap();
        assert!(prepared.get(&more, after(100)).is_ok() && prepared.get(&few, after(100)).is_ok());
        assert_eq!(prepared.kept(after(100)).len(), STATEMENTS_MAX);
    }

    #[test]
    fn a_closed_statement_is_gone_and_closing_it_again_is_no_fault() {
        let (prepared, now) = (Prepared::default(), Instant::now());
        let handle = prepared.keep(Asker::default(), "SELECT ?".to_owned(), now).unwrap();
        prepared.bind(&handle, vec![FlightData::default()], now).unwrap();
        assert_eq!(prepared.get(&handle, now).unwrap().1.len(), 1);
        prepared.close(&handle, now);
        prepared.close(&handle, now);
        assert_eq!(prepared.get(&handle, now).unwrap_err().code(), Code::NotFound);
        assert_eq!(prepared.bind(&handle, Vec::new(), now).unwrap_err().code(), Code::NotFound);
    }
}
