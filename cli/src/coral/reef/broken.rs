//! Broken: a reef that runs while its file is wrong. Its process has the former configuration and answers with it. Also
//! where the file is right, and only the process can answer.

use super::known::{self, KnownReef};
use super::running::control::{self, RunState};
use super::running::run_file::{RunFile, RunPaths};
use crate::exit::Failure;
use crate::output::Output;
use crate::pipeline::ask::caller;
use crate::pipeline::ask::question::Question;
use colony::config::Places;
use reef::analysis::Piece;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The process that runs a reef whose file is wrong.
pub(super) struct RunsOn {
    /// How it is.
    pub(super) state: RunState,
    /// Beside what it answers questions; absent before it has begun.
    store: Option<PathBuf>,
}

/// The process, where the failure to read the file is that it is wrong, and one runs.
///
/// # Errors
/// When a process runs it and does not answer.
pub(super) async fn running(path: &Path, places: &Places, failure: &Failure) -> Result<Option<RunsOn>, Failure> {
    if failure.code != "config_invalid" {
        return Ok(None);
    }
    process(path, places).await
}

/// The process that runs the reef with this file.
async fn process(path: &Path, places: &Places) -> Result<Option<RunsOn>, Failure> {
    let Some((run_file, run)) = run_of(path, places) else { return Ok(None) };
    let state = control::state(&run_file.with_extension("sock")).await?;
    Ok(state.map(|state| RunsOn { state, store: run.store }))
}

/// The run file of the reef with this file: that of its id, or one that names the file.
fn run_of(path: &Path, places: &Places) -> Option<(PathBuf, RunFile)> {
    let own = RunPaths::of(places, &KnownReef::read(path).reef_id).run;
    let whole = std::fs::canonicalize(path).ok()?;
    let is_of_file = |run: &RunFile| std::fs::canonicalize(&run.config).is_ok_and(|config| config == whole);
    let entries = std::fs::read_dir(known::folder(places)).ok()?.flatten().map(|entry| entry.path());
    let mut runs = entries
        .filter(|path| RunPaths::is_run_file(path))
        .filter_map(|path| RunFile::read(&path).map(|run| (path, run)));
    runs.find(|(run_file, run)| *run_file == own || is_of_file(run))
}

impl RunsOn {
    /// Says on what an answer is based.
    pub(super) fn note(&self, failure: &Failure, output: &Output) {
        let first = failure.details.first().map(|detail| format!(" ({detail})")).unwrap_or_default();
        output.message(&format!(
            "{}{first}; answered by the process that runs the reef (pid {}), which keeps the configuration that it has",
            failure.message, self.state.pid
        ));
    }

    /// Its answer; `None` where it answers no questions now.
    ///
    /// # Errors
    /// When it refuses the question, or does not answer.
    pub(super) async fn answer(
        &self,
        question: &Question,
        pass_on: &mut (dyn FnMut(&Piece) + Send),
    ) -> Result<Option<(Value, String)>, Failure> {
        match &self.store {
            Some(store) => caller::answer_of_running(question, store, pass_on).await,
            None => Ok(None),
        }
    }
}

/// The answer of the process that runs the reef with this file; `None` where none does, or it answers no questions now.
///
/// # Errors
/// When it refuses the question, or does not answer.
pub(super) async fn answer_of_process(
    question: &Question,
    (path, places): (&Path, &Places),
    pass_on: &mut (dyn FnMut(&Piece) + Send),
) -> Result<Option<(Value, String)>, Failure> {
    match process(path, places).await? {
        Some(runs_on) => runs_on.answer(question, pass_on).await,
        None => Ok(None),
    }
}

/// The answer of the process that runs a reef whose file is wrong; the failure to read the file where there is none.
///
/// # Errors
/// That failure, and those of the question.
pub(super) async fn answered(
    question: &Question,
    (path, places): (&Path, &Places),
    failure: Failure,
    (output, pass_on): (&Output, &mut (dyn FnMut(&Piece) + Send)),
) -> Result<(Value, String), Failure> {
    let Some(runs_on) = running(path, places, &failure).await? else { return Err(failure) };
    match runs_on.answer(question, pass_on).await? {
        Some(answer) => {
            runs_on.note(&failure, output);
            Ok(answer)
        }
        None => Err(failure),
    }
}
