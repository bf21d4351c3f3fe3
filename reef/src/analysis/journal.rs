//! The journal: who asked what, what it cost, what was sent and answered. One line of JSON for each state of an analysis.
//!
//! It is a file beside the store: the tables of a store are written by its run alone, and a question must neither wait for a
//! commit nor delay one. Only the user of the reef can read it. A full file becomes the former one, of which there is one.

use crate::answers::part::{Listed, Part};
use crate::answers::{AnswerError, Refusal};
use model::error::one_line;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A larger file becomes the former one.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest text of a record.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// An analysis as it is recorded. Times are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its key.
    pub analysis_id: String,
    /// When it was asked.
    pub asked_at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Who asked: the id of a token, or `local`.
    pub caller: String,
    /// The question.
    pub question: String,
    /// `started`, `answered`, `template`, `failed` or `cancelled`.
    pub outcome: String,
    /// The model that worded it; empty for none.
    pub model_used: String,
    /// Tokens given to models, as they state it.
    pub input_tokens: u32,
    /// Tokens that they wrote.
    pub output_tokens: u32,
    /// What they cost, in millionths of a US dollar; none where no price is known.
    pub cost_micros: Option<u64>,
    /// Ids of the evidence.
    pub evidence_ids: Vec<String>,
    /// SHA-256 of the answer.
    pub answer_sha256: String,
    /// Sentences of a model that were dropped.
    pub sentences_dropped: u32,
    /// Whether it was streamed.
    pub streamed: bool,
    /// Why it failed, or why no model worded it.
    pub reason: String,
    /// The answer.
    pub answer: String,
    /// What was sent to a model, as it left this process.
    pub sent: String,
}

/// The file.
pub struct Journal {
    file: PathBuf,
    writing: Mutex<()>,
}

impl Journal {
    /// In this file, which may not exist.
    pub fn of(file: &Path) -> Journal {
        Journal { file: file.to_owned(), writing: Mutex::default() }
    }

    /// Appends a state of an analysis. A file that cannot be written costs the record, not the answer.
    pub fn append(&self, record: &Record) {
        if let Err(error) = self.written(record) {
            let file = self.file.display();
            tracing::error!(%file, error = one_line(&error), "an analysis is not recorded");
        }
    }

    fn written(&self, record: &Record) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        if fs::metadata(&self.file).is_ok_and(|file| file.len() > FILE_BYTES_MAX) {
            fs::rename(&self.file, self.former())?;
        }
        // a line that was cut stays one of its own
        let mut line = if self.is_cut()? { vec![b'\n'] } else { Vec::new() };
        line.extend(serde_json::to_vec(&record.bounded())?);
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.file)?;
        file.write_all(&line)
    }

    /// Whether the file ends within a line.
    fn is_cut(&self) -> io::Result<bool> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0_u8; 1];
        file.read_exact(&mut last)?;
        Ok(last != [b'\n'])
    }

    /// All analyses, the newest first. One without an end was cut off with its process.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self) -> io::Result<Vec<Record>> {
        let mut records: BTreeMap<(String, String), Record> = BTreeMap::new();
        for file in [self.former(), self.file.clone()] {
            let text = match fs::read(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // the last line of a process that was killed may be cut
            let lines = text.split(|byte| *byte == b'\n');
            let parsed = lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok());
            records.extend(parsed.map(|record| ((record.asked_at.clone(), record.analysis_id.clone()), record)));
        }
        Ok(records.into_values().rev().collect())
    }

    /// A part of the list, without texts, or one analysis with them.
    ///
    /// # Errors
    /// When the file cannot be read, or the id is unknown.
    pub fn list(&self, analysis_id: Option<&str>, part: &Part) -> Result<Listed<Record>, AnswerError> {
        let failed = |error: io::Error| {
            tracing::warn!(error = one_line(&error), "the journal of analyses cannot be read");
            Refusal::invalid("the journal of analyses cannot be read", "see the reef's log")
        };
        let records = self.records().map_err(failed)?;
        let Some(id) = analysis_id else {
            let short =
                records.into_iter().map(|record| Record { answer: String::new(), sent: String::new(), ..record });
            return Ok(part.of(short.collect())?);
        };
        let mut found: Vec<Record> = records.into_iter().filter(|record| record.analysis_id.starts_with(id)).collect();
        found.truncate(1);
        if found.is_empty() {
            let hint = "list them: leave analysis_id empty";
            return Err(Refusal::not_found(format!("there is no analysis {id:?}"), hint).at("analysis_id").into());
        }
        Ok(Listed { total: found.len(), items: found, truncated: false, next_cursor: None })
    }

    fn former(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".1");
        PathBuf::from(name)
    }
}

impl Record {
    fn bounded(&self) -> Record {
        let cut = |text: &String| match text.len() {
            ..=TEXT_BYTES_MAX => text.clone(),
            _ => format!("{}… (cut)", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]),
        };
        Record { answer: cut(&self.answer), sent: cut(&self.sent), ..self.clone() }
    }
}

/// A key for a new analysis.
pub fn new_id() -> String {
    let mut bytes = [0_u8; 8];
    // without random numbers no token could be checked either
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("a-{}", hex(&bytes))
}

/// SHA-256 of a text, in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

    #[test]
    fn the_last_state_counts_and_a_cut_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/analyses.ndjson");
        let journal = Journal::of(&file);
        assert_eq!(journal.records().unwrap(), []);
        for one in [record("a-1", "started"), record("a-22", "started"), record("a-1", "answered")] {
            journal.append(&one);
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("{\"analysis_id\":\"a-3");
        fs::write(&file, text).unwrap();
        let outcomes: Vec<String> = journal.records().unwrap().into_iter().map(|one| one.outcome).collect();
        assert_eq!(outcomes, ["started", "answered"], "the newest first");
        let list = journal.list(None, &Part::default()).unwrap();
        assert_eq!((list.total, list.items[1].answer.as_str()), (2, ""));
        assert_eq!(journal.list(Some("a-1"), &Part::default()).unwrap().items[0].answer, "text");
        assert!(journal.list(Some("a-9"), &Part::default()).is_err());
        journal.append(&record("a-4444", "answered"));
        assert_eq!(journal.records().unwrap().len(), 3, "the line behind a cut one is whole");
    }

    #[test]
    fn a_full_file_becomes_the_former_one_and_texts_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("analyses.ndjson");
        let journal = Journal::of(&file);
        let long = Record { sent: "é".repeat(TEXT_BYTES_MAX), ..record("a-1", "answered") };
        journal.append(&long);
        assert!(journal.records().unwrap()[0].sent.len() < TEXT_BYTES_MAX + 20);
        let line = fs::read(&file).unwrap();
        fs::write(&file, line.repeat(1 + FILE_BYTES_MAX as usize / line.len())).unwrap();
        journal.append(&record("a-22", "answered"));
        assert!(fs::metadata(&file).unwrap().len() < 1_000);
        assert_eq!(journal.records().unwrap().len(), 2);
    }
}
