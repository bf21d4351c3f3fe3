//! Prepared: statements that clients have prepared, by handle. There are few at once, and one that is not used for long
//! is forgotten: each is a text of a caller in the memory of the reef.

use super::errors;
use super::ticket::random;
use arrow_flight::FlightData;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tonic::Status;

/// Most of them at once; the one that was used longest ago makes room.
pub(super) const STATEMENTS_MAX: usize = 256;
/// How long one is kept that is not used.
pub(super) const UNUSED_MAX: Duration = Duration::from_secs(30 * 60);

/// The statements that are prepared.
#[derive(Default)]
pub(super) struct Prepared(Mutex<HashMap<Bytes, Kept>>);

struct Kept {
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

    /// Keeps a statement; its handle.
    pub(super) fn keep(&self, sql: String, now: Instant) -> Result<Bytes, Status> {
        let handle = random()?;
        let mut kept = self.kept(now);
        if kept.len() >= STATEMENTS_MAX {
            let oldest = kept.iter().min_by_key(|(_, it)| it.used).map(|(handle, _)| handle.clone());
            if let Some(oldest) = oldest {
                kept.remove(&oldest);
            }
        }
        kept.insert(handle.clone(), Kept { sql, values: Vec::new(), used: now });
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

fn missing() -> Status {
    let minutes = UNUSED_MAX.as_secs() / 60;
    errors::not_found(format!(
        "there is no such prepared statement: it was closed, was not used for {minutes} minutes, had to make room for \
         others, or the reef was started again; prepare it again"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tonic::Code;

    #[test]
    fn few_statements_are_kept_for_a_while_after_they_were_used() {
        let (prepared, start) = (Prepared::default(), Instant::now());
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let first = prepared.keep("first".to_owned(), start).unwrap();
        let second = prepared.keep("second".to_owned(), after(1)).unwrap();
        assert_eq!(prepared.get(&first, after(29)).unwrap().0, "first");
        assert_eq!(prepared.get(&second, after(31)).unwrap_err().code(), Code::NotFound, "30 minutes after its use");
        assert!(prepared.get(&first, after(58)).is_ok(), "each use counts");
        for n in 0..STATEMENTS_MAX {
            prepared.keep(format!("{n}"), after(59)).unwrap();
        }
        assert_eq!(prepared.get(&first, after(59)).unwrap_err().code(), Code::NotFound, "it made room");
        assert_eq!(prepared.kept(after(59)).len(), STATEMENTS_MAX);
    }

    #[test]
    fn a_closed_statement_is_gone_and_closing_it_again_is_no_fault() {
        let (prepared, now) = (Prepared::default(), Instant::now());
        let handle = prepared.keep("SELECT ?".to_owned(), now).unwrap();
        prepared.bind(&handle, vec![FlightData::default()], now).unwrap();
        assert_eq!(prepared.get(&handle, now).unwrap().1.len(), 1);
        prepared.close(&handle, now);
        prepared.close(&handle, now);
        assert_eq!(prepared.get(&handle, now).unwrap_err().code(), Code::NotFound);
        assert_eq!(prepared.bind(&handle, Vec::new(), now).unwrap_err().code(), Code::NotFound);
    }
}
