//! The journal: one line of JSON for each state of a question in words, appended at once by every process that answers one.
//!
//! A question must neither wait for a commit nor delay one, and the tables of a store are written by its run alone: the run
//! copies what has ended into the table `analyses`. Only the user of the reef can read the file. A full one becomes the
//! former one, of which there is one.

mod from_end;

use model::error::one_line;
use model::time::{HOUR_MS, TimeMs};
pub use sinks::analyses::Record;
use sinks::analyses::{EVIDENCE_BYTES_MAX, Key};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// A larger file becomes the former one.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest text of a record.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A state of an analysis is appended within this time after it was asked: no caller waits for as long.
const STATES_WITHIN_MS: i64 = 2 * HOUR_MS;

/// The number of a file that is not there.
const NO_FILE: u64 = u64::MAX;

/// The file.
#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    writing: Mutex<()>,
}

/// How far a journal has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the file; 0 before the first look.
    file: u64,
    offset: u64,
}

/// What a journal has after a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// States of analyses, the oldest first.
    pub records: Vec<Record>,
    /// Whether everything was read: the place was in no file.
    pub is_everything: bool,
}

impl Journal {
    /// In this file, which may not exist.
    pub fn of(file: &Path) -> Journal {
        Journal { file: file.to_owned(), writing: Mutex::default() }
    }

    /// Appends a state of an analysis; returns whether it is written. A file that cannot be written costs the record, not
    /// the answer.
    pub fn append(&self, record: &Record) -> bool {
        let written = self.written(record);
        if let Err(error) = &written {
            let file = self.file.display();
            tracing::error!(%file, error = one_line(error), "an analysis is not recorded");
        }
        written.is_ok()
    }

    fn written(&self, record: &Record) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = self.open()?;
        // a line that was cut stays one of its own
        let mut line = if is_cut(&mut file)? { vec![b'\n'] } else { Vec::new() };
        line.extend(serde_json::to_vec(&bounded(record))?);
        line.push(b'\n');
        file.write_all(&line)
    }

    /// The file with room for a line.
    fn open(&self) -> io::Result<File> {
        let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.file);
        let file = open()?;
        if file.metadata()?.len() <= FILE_BYTES_MAX || !self.moved(&file)? { Ok(file) } else { open() }
    }

    /// Makes a full file the former one; false where another process is about to. A line that another process appends
    /// meanwhile is in the former one.
    fn moved(&self, file: &File) -> io::Result<bool> {
        if file.try_lock().is_err() {
            return Ok(false);
        }
        // one that is gone was moved by another process, which has not begun a new one
        let own = number(&file.metadata()?);
        let there = opened(&self.file)?.map(|there| there.metadata()).transpose()?;
        if there.is_some_and(|there| number(&there) == own) {
            fs::rename(&self.file, self.former())?;
        }
        Ok(true)
    }

    /// What was appended after a place, which moves on. Lines without an end are left for the next time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn since(&self, place: &mut Place) -> io::Result<Since> {
        let mut since = Since::default();
        // in this order: a file that is moved meanwhile is found twice, not missed
        let file = opened(&self.file)?;
        let former = opened(&self.former())?;
        if file.is_none() && former.is_none() {
            return Ok(since);
        }
        let own = match &file {
            Some(file) => number(&file.metadata()?),
            None => NO_FILE,
        };
        if place.file != own {
            since.is_everything = true;
            if let Some(mut former) = former {
                let former_number = number(&former.metadata()?);
                let is_known = former_number == place.file;
                if former_number != own {
                    lines(&mut former, if is_known { place.offset } else { 0 }, &mut since.records)?;
                    since.is_everything = !is_known;
                }
            }
            *place = Place { file: own, offset: 0 };
        }
        if let Some(mut file) = file {
            if file.metadata()?.len() < place.offset {
                *place = Place { file: own, offset: 0 };
                since.is_everything = true;
            }
            place.offset = lines(&mut file, place.offset, &mut since.records)?;
        }
        Ok(since)
    }

    /// Makes a file that begins before a time the former one, and removes a former one that ends before it: what is older
    /// than twice a retention is gone.
    ///
    /// # Errors
    /// When a file cannot be read, moved or removed.
    pub fn expire(&self, oldest: TimeMs) -> io::Result<()> {
        if let Some(former) = opened(&self.former())? {
            if modified(&former.metadata()?)? < oldest {
                fs::remove_file(self.former())?;
            }
            return Ok(());
        }
        let Some(file) = opened(&self.file)? else { return Ok(()) };
        let mut line = Vec::new();
        // the first line is as long as its texts allow
        BufReader::new(&file).take(8 * TEXT_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        let first = serde_json::from_slice::<Record>(&line).ok().and_then(|record| record.asked());
        if first.is_some_and(|first| first < oldest) {
            self.moved(&file)?;
        }
        Ok(())
    }

    /// What was asked from a time on, the newest first, each analysis in its last state and without its texts. Older
    /// states are not read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn asked_since(&self, from: TimeMs) -> io::Result<Vec<Record>> {
        let mut records: BTreeMap<Key, Record> = BTreeMap::new();
        self.visit_from_end(|record| {
            let Some(key) = record.key() else { return true };
            if key.0 < from - STATES_WITHIN_MS {
                return false;
            }
            // its last state came first
            let is_later = records.get(&key).is_none_or(|known| record.is_finished() && !known.is_finished());
            if key.0 >= from && is_later {
                records.insert(key, record.without_texts());
            }
            true
        })?;
        Ok(records.into_values().rev().collect())
    }

    /// The last state of an analysis, with its texts. The journal is read from its end up to there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_state(&self, analysis_id: &str) -> io::Result<Option<Record>> {
        let mut found = None;
        self.visit_from_end(|record| {
            found = Some(record).filter(|record| record.analysis_id == analysis_id);
            found.is_none()
        })?;
        Ok(found)
    }

    /// States of analyses, the last one first, as long as `visit` wants more.
    fn visit_from_end(&self, mut visit: impl FnMut(Record) -> bool) -> io::Result<()> {
        let (mut files, mut own) = (Vec::new(), NO_FILE);
        // in this order: a file that is moved meanwhile is found twice, not missed
        for path in [self.file.clone(), self.former()] {
            let Some(file) = opened(&path)? else { continue };
            let number = number(&file.metadata()?);
            if number != own {
                files.push(file);
            }
            own = number;
        }
        let mut read = |line: &[u8]| record_of(line).is_none_or(&mut visit);
        for mut file in files {
            if !from_end::lines(&mut file, &mut read)? {
                break;
            }
        }
        Ok(())
    }

    fn former(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".1");
        PathBuf::from(name)
    }
}

/// Keeps the later state of an analysis: one with an end is never replaced by one without.
pub fn follow<K: Ord>(records: &mut BTreeMap<K, Record>, key: K, record: Record) {
    let is_later = records.get(&key).is_none_or(|known| record.is_finished() || !known.is_finished());
    if is_later {
        records.insert(key, record);
    }
}

/// A file keeps its number when it is moved.
fn number(file: &fs::Metadata) -> u64 {
    file.ino()
}

fn modified(file: &fs::Metadata) -> io::Result<TimeMs> {
    let since = file.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

fn opened(file: &Path) -> io::Result<Option<File>> {
    match File::open(file) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds the records of whole lines from an offset on; returns the offset behind them. A line that was cut is passed over.
fn lines(file: &mut File, from: u64, records: &mut Vec<Record>) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    records.extend(text[..whole].split(|byte| *byte == b'\n').filter_map(record_of));
    Ok(from + whole as u64)
}

/// The record of a line; none of one that was cut.
fn record_of(line: &[u8]) -> Option<Record> {
    serde_json::from_slice(line).ok().filter(|record: &Record| !record.analysis_id.is_empty())
}

/// Whether a file ends within a line.
fn is_cut(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0_u8; 1];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

fn bounded(record: &Record) -> Record {
    let cut = |text: &String| match text.len() {
        ..=TEXT_BYTES_MAX => text.clone(),
        _ => format!("{}… (cut)", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]),
    };
    let mut record = Record { answer: cut(&record.answer), sent: cut(&record.sent), ..record.clone() };
    // a list that is cut could not be read; who makes one keeps to the limit
    if record.evidence.len() > EVIDENCE_BYTES_MAX {
        record.evidence.clear();
    }
    record
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn record(id: &str, outcome: &str) -> Record {
        Record {
            analysis_id: id.to_owned(),
            asked_at: format!("2024-11-13T12:00:0{}Z", id.len()),
            outcome: outcome.to_owned(),
            answer: "text".to_owned(),
            ..Record::default()
        }
    }

    impl Journal {
        /// All analyses, the newest first, each in its last state.
        fn records(&self) -> io::Result<Vec<Record>> {
            let mut records = BTreeMap::new();
            for record in self.since(&mut Place::default())?.records {
                follow(&mut records, record.key(), record);
            }
            Ok(records.into_values().rev().collect())
        }
    }

    fn ids(since: &Since) -> Vec<&str> {
        since.records.iter().map(|one| one.analysis_id.as_str()).collect()
    }

    #[test]
    fn the_last_state_counts_and_a_cut_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/analyses.ndjson");
        let journal = Journal::of(&file);
        assert_eq!(journal.records().unwrap(), []);
        for one in [record("a-1", "started"), record("a-22", "started"), record("a-1", "answered")] {
            assert!(journal.append(&one));
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("{\"analysis_id\":\"a-3");
        fs::write(&file, text).unwrap();
        let outcomes: Vec<String> = journal.records().unwrap().into_iter().map(|one| one.outcome).collect();
        assert_eq!(outcomes, ["started", "answered"], "the newest first");
        journal.append(&record("a-4444", "answered"));
        assert_eq!(journal.records().unwrap().len(), 3, "the line behind a cut one is whole");
    }

    #[test]
    fn a_line_of_an_earlier_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        let line = r#"{"analysis_id":"a-1","asked_at":"2024-11-13T12:00:00.000Z","took_ms":5,"outcome":"template"}"#;
        fs::write(&file, format!("{line}\n{{}}\n")).unwrap();
        let records = Journal::of(&file).records().unwrap();
        assert_eq!((records.len(), records[0].took_ms, records[0].role.as_str()), (1, 5, ""));
        assert_eq!(records[0].evidence, "");
    }

    #[test]
    fn a_full_file_becomes_the_former_one_and_texts_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("analyses.ndjson");
        let journal = Journal::of(&file);
        let mut place = Place::default();
        let evidence = "x".repeat(EVIDENCE_BYTES_MAX + 1);
        let long = Record { sent: "é".repeat(TEXT_BYTES_MAX), evidence, ..record("a-1", "answered") };
        journal.append(&long);
        let kept = journal.records().unwrap().remove(0);
        assert!(kept.sent.len() < TEXT_BYTES_MAX + 20 && kept.evidence.is_empty(), "half a list is none");
        let line = fs::read(&file).unwrap();
        fs::write(&file, line.repeat(1 + FILE_BYTES_MAX as usize / line.len())).unwrap();
        assert!(journal.since(&mut place).unwrap().is_everything);
        journal.append(&record("a-22", "answered"));
        assert!(fs::metadata(&file).unwrap().len() < 1_000);
        assert_eq!(journal.records().unwrap().len(), 2);
        // a reader in between misses nothing and reads nothing twice
        let since = journal.since(&mut place).unwrap();
        assert_eq!((ids(&since), since.is_everything), (vec!["a-22"], false));
    }

    #[test]
    fn a_full_file_that_another_process_has_moved_away_costs_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(&folder.path().join("a.ndjson"));
        journal.append(&record("a-1", "answered"));
        let opened_before = File::open(&journal.file).unwrap();
        fs::rename(&journal.file, journal.former()).unwrap();
        assert!(journal.moved(&opened_before).unwrap(), "there is no file of this name now");
        assert!(journal.append(&record("a-22", "answered")));
        assert_eq!(journal.records().unwrap().len(), 2);
    }

    #[test]
    fn what_was_appended_is_read_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        let (journal, other) = (Journal::of(&file), Journal::of(&file));
        let mut place = Place::default();
        assert_eq!(journal.since(&mut place).unwrap(), Since::default());
        journal.append(&record("a-1", "started"));
        other.append(&record("a-22", "started"));
        let since = journal.since(&mut place).unwrap();
        assert_eq!((ids(&since), since.is_everything), (vec!["a-1", "a-22"], true));
        let half = serde_json::to_string(&record("a-333", "answered")).unwrap();
        OpenOptions::new().append(true).open(&file).unwrap().write_all(half.as_bytes()).unwrap();
        assert_eq!(journal.since(&mut place).unwrap(), Since::default(), "it has no end yet");
        other.append(&record("a-1", "answered"));
        assert_eq!(ids(&journal.since(&mut place).unwrap()), ["a-333", "a-1"]);
        // a file that was replaced by a shorter one is read from its beginning
        fs::write(&file, "").unwrap();
        other.append(&record("a-4444", "answered"));
        let since = journal.since(&mut place).unwrap();
        assert_eq!((ids(&since), since.is_everything), (vec!["a-4444"], true));
    }

    #[test]
    fn the_newest_are_read_from_the_end_of_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(&folder.path().join("a.ndjson"));
        let noon = TimeMs::parse_rfc3339("2024-11-13T12:00:00Z").unwrap();
        let append = |hours: i64, id: &str, outcome: &str| {
            let asked_at = (noon - hours * HOUR_MS).to_string();
            assert!(journal.append(&Record { asked_at, outcome: outcome.to_owned(), ..record(id, "") }));
        };
        let since = |hours: i64| -> Vec<(String, String)> {
            let found = journal.asked_since(noon - hours * HOUR_MS).unwrap().into_iter();
            found.map(|one| (one.analysis_id + &one.answer, one.outcome)).collect()
        };
        let named = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(id, outcome)| ((*id).to_owned(), (*outcome).to_owned())).collect()
        };
        assert_eq!((since(9), journal.last_state("a-1").unwrap()), (Vec::new(), None));
        append(30, "a-1", "answered");
        append(6, "a-2", "started");
        // a state behind which nothing from the last hours can be
        append(8, "a-3", "started");
        append(2, "a-4", "started");
        append(1, "a-5", "started");
        fs::rename(&journal.file, journal.former()).unwrap();
        append(2, "a-4", "answered");
        append(1, "a-5", "failed");
        append(0, "a-6", "started");
        assert_eq!(since(2), named(&[("a-6", "started"), ("a-5", "failed"), ("a-4", "answered")]));
        assert_eq!(since(5), since(2), "a-2 is not looked for behind a-3");
        assert_eq!(since(48).len(), 6);
        let state = |id: &str| journal.last_state(id).unwrap().map(|one| (one.outcome, one.answer));
        assert_eq!(state("a-4"), Some(("answered".to_owned(), "text".to_owned())));
        assert_eq!(state("a-2"), Some(("started".to_owned(), "text".to_owned())), "it is in the former file");
        assert_eq!(state("a-9"), None);
    }

    #[test]
    fn what_is_older_than_twice_its_retention_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        let journal = Journal::of(&file);
        let at = |text: &str| TimeMs::parse_rfc3339(text).unwrap();
        journal.expire(at("2030-01-01T00:00:00Z")).unwrap();
        journal.append(&record("a-1", "answered"));
        journal.expire(at("2024-11-13T12:00:00Z")).unwrap();
        assert!(file.exists(), "it is young enough");
        journal.expire(at("2024-11-14T00:00:00Z")).unwrap();
        assert!(!file.exists() && journal.former().exists());
        journal.append(&record("a-22", "answered"));
        assert_eq!(journal.records().unwrap().len(), 2);
        // the former one was written to a moment ago
        journal.expire(at("2024-11-14T00:00:00Z")).unwrap();
        assert_eq!(journal.records().unwrap().len(), 2);
        journal.expire(TimeMs(i64::MAX)).unwrap();
        let left = journal.records().unwrap();
        assert_eq!(left.iter().map(|one| one.analysis_id.as_str()).collect::<Vec<_>>(), ["a-22"]);
    }

    #[test]
    fn an_end_is_never_replaced_by_a_beginning() {
        let mut records = BTreeMap::new();
        for outcome in ["started", "answered", "started"] {
            follow(&mut records, 1, record("a-1", outcome));
        }
        assert_eq!(records[&1].outcome, "answered");
    }

    #[test]
    fn processes_that_move_a_full_file_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        let first = Journal::of(&file);
        first.append(&record("a-1", "answered"));
        let line = fs::read(&file).unwrap();
        fs::write(&file, line.repeat(1 + FILE_BYTES_MAX as usize / line.len())).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || Journal::of(file).append(&record(&format!("b-{number}"), "answered")));
            }
        });
        assert_eq!(first.records().unwrap().len(), 9);
    }
}
