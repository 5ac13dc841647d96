//! Writes a run folder: what may already be there, and what happens to it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{
    BEGUN, CHECKPOINT, CONFIG, FOLDS, FolderWriter, LOG, LogWriter, METRICS, MLRUNS, MODEL,
    MetricsFile, PREDICTIONS, REPORT, Reached, Run, SKIPPED, TENSORBOARD, Trackers, recover_folder,
    tracking, write_whole,
};
use crate::config::Config;
use crate::error::{Error, FolderContent, Result, cannot_write};
use crate::write::{open_kept, remove_folder_if_there};

/// Says that the folder is a run of ours. Whoever writes to it holds a lock on this file; it is never removed, so that
/// nobody ever waits for the lock of a file that is gone.
const MARK: &str = ".sidelight-run";
/// The run that was overwritten, until its successor is finished.
const REPLACED: &str = ".replaced";
/// What a run consists of; without the first it is not finished.
const ENTRIES: [&str; 11] = [
    METRICS,
    CONFIG,
    LOG,
    TENSORBOARD,
    MLRUNS,
    CHECKPOINT,
    FOLDS,
    SKIPPED,
    PREDICTIONS,
    REPORT,
    MODEL,
];

/// What to do with a run that is already in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Stop with [`Error::OutputNotEmpty`].
    #[default]
    Refuse,
    /// Go on with an unfinished run; where there is none yet, begin.
    Resume,
    /// Put a new run in its place. The old one is kept aside until the new one is finished. Only files of runs are
    /// ever removed: where there are others, nothing is.
    Overwrite,
}

impl FolderContent {
    /// Looks into a folder. A run is known by its mark, the file `.sidelight-run`, whatever else is there.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write) where the path is a file or cannot be looked into.
    pub fn look(dir: &Path) -> Result<Self> {
        let is_marked = dir.join(MARK).is_file();
        if is_marked && dir.join(METRICS).is_file() && dir.join(CONFIG).is_file() {
            return Ok(Self::FinishedRun);
        }
        let has_begun = || {
            let folders = [CHECKPOINT, FOLDS].map(|name| dir.join(name).is_dir());
            dir.join(LOG).is_file() || folders.contains(&true)
        };
        if is_marked && has_begun() {
            return Ok(Self::UnfinishedRun);
        }
        // A process that was killed before it began has nothing to lose.
        let foreign = foreign_in(dir, |name| is_marked && is_of_a_run(name));
        Ok(foreign
            .map_err(cannot_write(dir))?
            .map_or(Self::Nothing, |file| Self::OtherFiles { file }))
    }
}

/// The first entry of a folder whose name is none of ours; none where there is no such folder.
pub(crate) fn foreign_in(dir: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(dir) {
        Err(found) if found.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !is_ours(&entry.file_name().to_string_lossy()) {
            return Ok(Some(entry.path().display().to_string()));
        }
    }
    Ok(None)
}

/// Whether this is `.name.….partial`, or the `.name.old` of a folder: what a killed process left of one of these names.
pub(crate) fn is_left_over(file: &str, names: &[&str]) -> bool {
    let of = |name: &&str| {
        let rest = file.strip_prefix('.')?.strip_prefix(name)?;
        Some(rest.starts_with('.') && (rest.ends_with(".partial") || rest == ".old"))
    };
    names.iter().any(|name| of(name) == Some(true))
}

fn is_of_a_run(name: &str) -> bool {
    name == MARK || name == REPLACED || ENTRIES.contains(&name) || is_left_over(name, &ENTRIES)
}

/// What is in the folder, where it may be written to.
fn admit(dir: &Path, existing: Existing) -> Result<FolderContent> {
    let found = FolderContent::look(dir)?;
    let foreign = || {
        if existing == Existing::Overwrite {
            if let Some(file) = foreign_in(dir, is_of_a_run)? {
                return Ok(Some(file));
            }
            if let Some(file) = tracking::foreign_in(dir)? {
                return Ok(Some(file));
            }
            if let Some(file) = foreign_in_folds(&dir.join(FOLDS))? {
                return Ok(Some(file));
            }
        }
        foreign_in_replaced(dir)
    };
    let found = match existing {
        Existing::Refuse => found,
        _ => foreign()
            .map_err(cannot_write(dir))?
            .map_or(found, |file| FolderContent::OtherFiles { file }),
    };
    match (&found, existing) {
        (FolderContent::Nothing, _)
        | (FolderContent::UnfinishedRun, Existing::Resume)
        | (FolderContent::FinishedRun | FolderContent::UnfinishedRun, Existing::Overwrite) => {
            Ok(found)
        }
        _ => Err(Error::OutputNotEmpty {
            path: dir.to_path_buf(),
            found,
        }),
    }
}

/// The first file in folders that are replaced whole that is none of ours.
fn foreign_in_replaced(dir: &Path) -> io::Result<Option<String>> {
    for folder in [CHECKPOINT, MODEL].map(|name| dir.join(name)) {
        let ours = [".json", ".safetensors", ".sha256"];
        let is_ours = |name: &str| ours.iter().any(|ending| name.ends_with(ending));
        if let Some(file) = foreign_in(&folder, is_ours)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The first file among the runs of folds that is none of ours; none where there are no such runs.
fn foreign_in_folds(folds: &Path) -> io::Result<Option<String>> {
    let is_fold = |name: &str| name.parse::<usize>().is_ok();
    let is_ours = |name: &str| is_fold(name) || name == BEGUN || is_left_over(name, &[BEGUN]);
    if let Some(file) = foreign_in(folds, is_ours)? {
        return Ok(Some(file));
    }
    for entry in fs::read_dir(folds).into_iter().flatten() {
        let entry = entry?;
        if !is_fold(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let dir = entry.path();
        let looks = [
            foreign_in(&dir, is_of_a_run)?,
            tracking::foreign_in(&dir)?,
            foreign_in_replaced(&dir)?,
        ];
        if let Some(file) = looks.into_iter().flatten().next() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Clears what a finished run does not need and a process killed at its very end has left, unless another is at it.
pub(super) fn clear_what_is_over(dir: &Path) {
    if let Ok(_lock) = RunFolder::hold(dir) {
        clear_needless(dir);
    }
}

/// The run is whole: what cannot be cleared now is untidy, not wrong.
fn clear_needless(dir: &Path) {
    for name in [CHECKPOINT, REPLACED] {
        let _ = remove_folder_if_there(&dir.join(name));
    }
    // A folder that was replaced, and could not be removed then.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if is_left_over(&entry.file_name().to_string_lossy(), &[CHECKPOINT, MODEL]) {
            let _ = remove_folder_if_there(&entry.path());
        }
    }
}

/// A run folder in the making.
///
/// `metrics.json` is written last, so a folder without it is not a finished run, whatever
/// happened; what was logged and checkpointed stays, to go on from.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let dir = folder.path().join("a");
/// use sidelight::config::{Arm, TargetKind};
/// use sidelight::run::{Existing, MetricsFile, Run, RunFolder};
///
/// let run = RunFolder::create(&dir, Existing::Refuse)?;
/// run.write_config("[data]\ntable = \"metadata.csv\"\n")?;
/// run.write_model(|model| {
///     std::fs::write(model.join("task.json"), "{}").expect("the folder is there");
///     Ok(())
/// })?;
/// assert!(Run::open(&dir).is_err());
/// run.finish(&MetricsFile::new(TargetKind::Class, Arm::Both))?;
/// assert!(Run::open(&dir).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    resumed: bool,
    /// Held as long as this lives, so that no second process writes here.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder (and those above it) and holds it, or says why not. Nothing is lost by a refusal.
    ///
    /// # Errors
    ///
    /// [`Error::OutputNotEmpty`], [`Error::RunInUse`], [`DataError::Write`](crate::error::DataError::Write).
    pub fn create(dir: &Path, existing: Existing) -> Result<Self> {
        // Nothing is touched before it was looked at; what was found may be another's by the time the lock is ours.
        admit(dir, existing).inspect_err(|refused| {
            let is_finished = matches!(
                refused,
                Error::OutputNotEmpty {
                    found: FolderContent::FinishedRun,
                    ..
                }
            );
            if is_finished && existing == Existing::Resume {
                clear_what_is_over(dir);
            }
        })?;
        fs::create_dir_all(dir).map_err(cannot_write(dir))?;
        let lock = Self::hold(dir)?;
        let found = admit(dir, existing)?;
        if existing == Existing::Overwrite && found != FolderContent::Nothing {
            set_aside(dir, &found).map_err(cannot_write(dir))?;
        }
        let run = Self {
            dir: dir.to_path_buf(),
            resumed: existing == Existing::Resume && found == FolderContent::UnfinishedRun,
            _lock: lock,
        };
        recover_folder(&run.checkpoint_dir())?;
        run.clear_partials().map_err(cannot_write(dir))?;
        Ok(run)
    }

    /// The run folder that is being written.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether an unfinished run is gone on with.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Where checkpoints go, each through a [`FolderWriter`]; removed by [`finish`](Self::finish).
    pub fn checkpoint_dir(&self) -> PathBuf {
        self.dir.join(CHECKPOINT)
    }

    /// What the runs of folds were begun with; the folder is made where it is not there.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub(crate) fn begun_path(&self) -> Result<PathBuf> {
        let folds = self.dir.join(FOLDS);
        fs::create_dir_all(&folds).map_err(cannot_write(&folds))?;
        Ok(folds.join(BEGUN))
    }

    /// Where `predictions.csv` goes, for a [`PredictionsWriter`](super::PredictionsWriter).
    pub fn predictions_path(&self) -> PathBuf {
        self.dir.join(PREDICTIONS)
    }

    /// A new log, or the old one as it was here (see [`LogWriter::resume`]).
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write); [`DataError::Read`](crate::error::DataError::Read) and [`Error::LogLine`] where one is gone on with.
    pub fn log(&self, reached: impl Into<Reached>) -> Result<LogWriter> {
        let (path, reached) = (self.dir.join(LOG), reached.into());
        match reached.total_step {
            0 => LogWriter::create(&path),
            _ => LogWriter::resume(&path, reached),
        }
    }

    /// What `train.log` asks for: begun, or as it was here.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write); [`DataError::Read`](crate::error::DataError::Read) where one is gone on with.
    pub(crate) fn trackers(&self, config: &Config, reached: Reached) -> Result<Trackers> {
        Trackers::open(&self.dir, config, reached)
    }

    /// Records that could not be read and were passed over: `skipped.csv`.
    pub fn skipped_path(&self) -> PathBuf {
        self.dir.join(SKIPPED)
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write_config(&self, toml: &str) -> Result<()> {
        self.write(CONFIG, toml)
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write_report(&self, html: &str) -> Result<()> {
        self.write(REPORT, html)
    }

    /// Writes `model/`: `save` is given a folder to fill.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write) and those of `save`.
    pub fn write_model(&self, save: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let writer = FolderWriter::create(&self.dir.join(MODEL))?;
        save(writer.path())?;
        Ok(writer.finish()?)
    }

    /// Writes `metrics.json`, which makes this a finished run, and clears what is no longer needed.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write); [`Error::NotARun`] where configuration or model were not written.
    pub fn finish(self, metrics: &MetricsFile) -> Result<Run> {
        let dir = self.dir.clone();
        let not_a_run = |missing| Error::NotARun {
            path: dir.clone(),
            missing,
        };
        if !dir.join(CONFIG).is_file() {
            return Err(not_a_run(CONFIG));
        }
        if !dir.join(MODEL).is_dir() {
            return Err(not_a_run(MODEL));
        }
        metrics.write(&dir.join(METRICS))?;
        clear_needless(&dir);
        Ok(Run { dir })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(write_whole(&self.dir.join(name), |file| {
            file.write_all(text.as_bytes())
        })?)
    }

    /// Clears files that a killed process left half written; nobody else writes here.
    fn clear_partials(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let is_file = entry.file_type()?.is_file();
            if is_file && is_left_over(&entry.file_name().to_string_lossy(), &ENTRIES) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes the lock; the system releases it when the process ends, however it ends.
    fn hold(dir: &Path) -> Result<File> {
        let file = open_kept(&dir.join(MARK)).map_err(cannot_write(dir))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::RunInUse {
                path: dir.to_path_buf(),
            }),
            // Some network disks know no locks; a run there is only less guarded.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
        }
    }
}

/// Moves a run out of the way, its scores first. A finished one is kept until its successor is finished; an unfinished
/// one that was itself a successor does not displace it. What a killed process did not come to is done now.
fn set_aside(dir: &Path, found: &FolderContent) -> io::Result<()> {
    let kept = dir.join(REPLACED);
    if *found == FolderContent::FinishedRun {
        remove_folder_if_there(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    for name in ENTRIES {
        let (from, to) = (dir.join(name), kept.join(name));
        match (from.exists(), to.exists()) {
            (true, false) => fs::rename(from, to)?,
            (true, true) if from.is_dir() => fs::remove_dir_all(from)?,
            (true, true) => fs::remove_file(from)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Arm, TargetKind};

    fn metrics() -> MetricsFile {
        MetricsFile::new(TargetKind::Regression, Arm::Image)
    }

    fn finish(run: RunFolder, config: &str) -> Run {
        run.write_config(config).unwrap();
        run.write_model(|_| Ok(())).unwrap();
        run.finish(&metrics()).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_finished_run_holds_its_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("deep/er/a");
        let run = RunFolder::create(&dir, Existing::Refuse).unwrap();
        run.log(0).unwrap();
        let checkpoint = FolderWriter::create(&run.checkpoint_dir()).unwrap();
        checkpoint.finish().unwrap();
        // What was replaced by it, where that could not be removed.
        fs::create_dir_all(dir.join(".checkpoint.old")).unwrap();
        fs::write(dir.join(".checkpoint.old/best.safetensors"), "").unwrap();
        run.write_report("<!doctype html>").unwrap();
        finish(run, "");
        let expected = [
            MARK,
            "config.toml",
            "log.jsonl",
            "metrics.json",
            "model",
            "report.html",
        ];
        assert_eq!(names(&dir), expected);
        assert_eq!(names(dir.parent().unwrap()), ["a"]);
    }

    #[test]
    fn what_a_kill_at_the_very_end_left_is_cleared_by_a_resume() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let run = finish(RunFolder::create(&dir, Existing::Refuse).unwrap(), "");
        let beside = |name: &str| dir.join(name);
        let left = [
            run.checkpoint_dir(),
            beside(".checkpoint.old"),
            beside(".model.old"),
            beside(".checkpoint.1.partial"),
        ];
        for existing in [Existing::Refuse, Existing::Resume] {
            for folder in &left {
                fs::create_dir_all(folder).unwrap();
                fs::write(folder.join("best.safetensors"), "").unwrap();
            }
            assert!(RunFolder::create(&dir, existing).is_err());
            let there = left.iter().map(|folder| folder.exists());
            assert!(
                there
                    .into_iter()
                    .all(|there| there == (existing == Existing::Refuse))
            );
        }
    }

    #[test]
    fn a_finished_run_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        finish(
            RunFolder::create(&dir, Existing::Refuse).unwrap(),
            "old = 1",
        );
        for existing in [Existing::Refuse, Existing::Resume] {
            let failed = RunFolder::create(&dir, existing).unwrap_err();
            assert_eq!(
                failed.to_string(),
                format!("{} already holds a finished run", dir.display())
            );
            assert!(failed.hint().unwrap().starts_with("replace"));
        }
        assert_eq!(fs::read_to_string(dir.join(CONFIG)).unwrap(), "old = 1");
        assert!(Run::open(&dir).is_ok());
    }

    #[test]
    fn an_unfinished_run_is_gone_on_with_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        drop(
            RunFolder::create(&dir, Existing::Refuse)
                .unwrap()
                .log(0)
                .unwrap(),
        );
        let failed = RunFolder::create(&dir, Existing::Refuse).unwrap_err();
        assert_eq!(
            failed.to_string(),
            format!("{} already holds an unfinished run", dir.display())
        );
        assert!(failed.hint().unwrap().starts_with("resume"));
        assert!(
            RunFolder::create(&dir, Existing::Resume)
                .unwrap()
                .is_resumed()
        );
        assert!(dir.join(LOG).exists());
    }

    #[test]
    fn resuming_where_nothing_is_begins() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("a"), Existing::Resume).unwrap();
        assert!(!run.is_resumed());
    }

    #[test]
    fn files_that_are_not_a_run_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
        for existing in [Existing::Refuse, Existing::Resume, Existing::Overwrite] {
            let failed = RunFolder::create(folder.path(), existing).unwrap_err();
            assert!(
                matches!(
                    failed,
                    Error::OutputNotEmpty {
                        found: FolderContent::OtherFiles { .. },
                        ..
                    }
                ),
                "{failed:?}"
            );
        }
        assert_eq!(names(folder.path()), ["thesis.tex"]);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "").unwrap();
        let failed = RunFolder::create(&path, Existing::Overwrite).unwrap_err();
        assert_eq!(
            failed.to_string(),
            format!("cannot write {}", path.display())
        );
    }

    #[test]
    fn an_overwritten_run_is_kept_until_its_successor_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        finish(
            RunFolder::create(&dir, Existing::Refuse).unwrap(),
            "old = 1",
        );
        // Twice: a successor killed on its way must not displace the finished one.
        for _ in 0..2 {
            let run = RunFolder::create(&dir, Existing::Overwrite).unwrap();
            run.log(0).unwrap();
            drop(run);
            let kept = dir.join(REPLACED).join(CONFIG);
            assert_eq!(fs::read_to_string(kept).unwrap(), "old = 1");
        }
        let run = RunFolder::create(&dir, Existing::Resume).unwrap();
        finish(run, "new = 1");
        assert_eq!(fs::read_to_string(dir.join(CONFIG)).unwrap(), "new = 1");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn two_processes_cannot_write_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let first = RunFolder::create(&dir, Existing::Refuse).unwrap();
        first.log(0).unwrap();
        for existing in [Existing::Resume, Existing::Overwrite] {
            let failed = RunFolder::create(&dir, existing).unwrap_err();
            assert!(matches!(failed, Error::RunInUse { .. }), "{failed:?}");
        }
        assert!(dir.join(LOG).exists());
    }

    #[test]
    fn a_model_that_could_not_be_saved_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let run = RunFolder::create(&dir, Existing::Refuse).unwrap();
        let full = |model: &Path| {
            fs::write(model.join("weights"), "half").unwrap();
            Err(cannot_write(model)(io::ErrorKind::StorageFull.into()).into())
        };
        run.write_model(full).unwrap_err();
        assert_eq!(names(&dir), [MARK]);
        run.write_config("").unwrap();
        let failed = run.finish(&metrics()).unwrap_err();
        assert!(
            matches!(
                failed,
                Error::NotARun {
                    missing: "model",
                    ..
                }
            ),
            "{failed:?}"
        );
        assert!(!dir.join(METRICS).exists());
    }

    #[test]
    fn a_process_killed_while_writing_leaves_nothing_to_see_and_nothing_in_the_way() {
        let test = "run::folder::tests::a_process_killed_while_writing_leaves_nothing_to_see_and_nothing_in_the_way";
        if let Some(dir) = std::env::var_os("SIDELIGHT_TEST_DIES_IN") {
            let run = RunFolder::create(Path::new(&dir), Existing::Refuse).unwrap();
            let _ = run.log(0).unwrap();
            let _ = write_whole(&run.dir().join(CONFIG), |file| {
                file.write_all(b"half of")?;
                file.flush()?;
                std::process::abort()
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        let killed = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("SIDELIGHT_TEST_DIES_IN", &dir)
            .output()
            .unwrap();
        assert!(!killed.status.success());
        assert!(!dir.join(CONFIG).exists());
        assert_eq!(names(&dir).len(), 3, "{:?}", names(&dir));
        let run = RunFolder::create(&dir, Existing::Resume).unwrap();
        assert!(run.is_resumed());
        assert_eq!(names(&dir), [MARK, LOG]);
    }

    #[test]
    fn a_kill_before_the_first_file_is_whole_leaves_a_folder_that_can_be_begun_in() {
        let folder = tempfile::tempdir().unwrap();
        for existing in [Existing::Refuse, Existing::Resume, Existing::Overwrite] {
            let dir = folder.path().join(format!("{existing:?}"));
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join(MARK), "").unwrap();
            fs::write(dir.join(".config.toml.Ab12cd.partial"), "[da").unwrap();
            assert!(!RunFolder::create(&dir, existing).unwrap().is_resumed());
            assert_eq!(names(&dir), [MARK]);
        }
    }

    #[test]
    fn a_persons_folder_with_names_like_ours_is_never_touched() {
        let names_like_ours: [&[&str]; 4] = [
            &["checkpoint/", "thesis.tex"],
            &["log.jsonl"],
            &["metrics.json", "config.toml", "model/"],
            &[".config.toml.a.partial"],
        ];
        for files in names_like_ours {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                match file.strip_suffix('/') {
                    Some(name) => fs::create_dir(folder.path().join(name)).unwrap(),
                    None => fs::write(folder.path().join(file), "mine").unwrap(),
                }
            }
            let before = names(folder.path());
            for existing in [Existing::Refuse, Existing::Resume, Existing::Overwrite] {
                let failed = RunFolder::create(folder.path(), existing).unwrap_err();
                let is_other = matches!(
                    &failed,
                    Error::OutputNotEmpty {
                        found: FolderContent::OtherFiles { .. },
                        ..
                    }
                );
                assert!(is_other, "{files:?}: {failed:?}");
                assert_eq!(names(folder.path()), before);
            }
        }
    }

    #[test]
    fn a_persons_file_in_a_run_stays_and_is_named() {
        for file in ["thesis.tex", "model/notes.txt", "checkpoint/old.pth"] {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path().join("a");
            finish(RunFolder::create(&dir, Existing::Refuse).unwrap(), "a = 1");
            fs::create_dir_all(dir.join(CHECKPOINT)).unwrap();
            fs::write(dir.join(file), "years of work").unwrap();
            let before = names(&dir);
            let failed = RunFolder::create(&dir, Existing::Overwrite).unwrap_err();
            let path = dir.join(file);
            assert_eq!(
                failed.to_string(),
                format!(
                    "{} already holds {}, which is not known to be Sidelight's",
                    dir.display(),
                    path.display()
                )
            );
            assert_eq!(names(&dir), before);
            assert!(path.exists());
        }
    }
}
