//! The folder of a comparison: the result of each finished job, kept whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Earlier;
use super::design::{Design, Job};
use super::job::Finished;
use crate::error::{DataError, Error, FolderContent, Result, cannot_write};
use crate::run::write_whole;

pub(super) const ANSWER: &str = "compare.json";
pub(super) const PREDICTIONS: &str = "out_of_fold.csv";
pub(super) const REPORT: &str = "report.html";
const JOBS: &str = "jobs";
const CLAIMS: &str = "claims";

/// A comparison's folder. Several processes may fill it at once: each file is one job's, and whole.
#[derive(Debug)]
pub(super) struct JobStore {
    dir: PathBuf,
}

impl JobStore {
    /// Makes the folder, or goes on with the comparison in it.
    pub(super) fn open(dir: &Path, earlier: Earlier) -> Result<Self> {
        let is_ours = dir.join(JOBS).is_dir() || dir.join(ANSWER).is_file();
        if !is_ours && FolderContent::look(dir)? != FolderContent::Nothing {
            return Err(Error::OutputNotEmpty {
                path: dir.to_path_buf(),
                found: FolderContent::OtherFiles,
            });
        }
        let store = Self {
            dir: dir.to_path_buf(),
        };
        if earlier == Earlier::Discard && is_ours {
            store.clear()?;
        }
        let jobs = dir.join(JOBS);
        fs::create_dir_all(&jobs).map_err(cannot_write(&jobs))?;
        Ok(store)
    }

    /// Only what a comparison wrote; anything else in the folder stays.
    fn clear(&self) -> Result<()> {
        let gone = |result: std::io::Result<()>, path: PathBuf| match result {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(cannot_write(&path)(source))
            }
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(self.dir.join(JOBS)), self.dir.join(JOBS))?;
        self.forget_claims()?;
        for name in [ANSWER, PREDICTIONS, REPORT] {
            gone(fs::remove_file(self.dir.join(name)), self.dir.join(name))?;
        }
        Ok(())
    }

    /// Says that a job is being done; `false`: another rank has said so before.
    ///
    /// A file that comes into being once, whoever asks, is a queue on every file system that a cluster shares.
    pub(super) fn claim(&self, job: &Job) -> Result<bool> {
        let path = self.dir.join(CLAIMS).join(file_name(job));
        match fs::File::create_new(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(DataError::Write { path, source }.into()),
        }
    }

    /// Forgets who was doing what: they were of an earlier start.
    pub(super) fn forget_claims(&self) -> Result<()> {
        let path = self.dir.join(CLAIMS);
        let begin = || {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::create_dir_all(&path)
        };
        Ok(begin().map_err(cannot_write(&path))?)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    #[cfg(feature = "report")]
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The result of a job, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::JobDiffers`] where it is of other settings or rows; [`Error::JobFile`], [`DataError::Read`](crate::error::DataError::Read).
    pub(super) fn get(&self, design: &Design, job: &Job) -> Result<Option<Finished>> {
        let path = self.path_of(job);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DataError::Read { path, source }.into()),
        };
        let finished: Finished =
            serde_json::from_slice(&text).map_err(|source| Error::JobFile {
                path: path.clone(),
                source,
            })?;
        if finished.digest != design.digest(job)? {
            return Err(Error::JobDiffers { path });
        }
        Ok(Some(finished))
    }

    /// Keeps the result of a job.
    pub(super) fn put(&self, job: &Job, finished: &Finished) -> Result<()> {
        let text =
            serde_json::to_vec(finished).expect("a result has string keys and finite numbers");
        Ok(write_whole(&self.path_of(job), |file| {
            file.write_all(&text)
        })?)
    }

    /// The results of all jobs.
    ///
    /// # Errors
    ///
    /// [`Error::JobsMissing`], and those of [`JobStore::get`].
    pub(super) fn all(&self, design: &Design) -> Result<BTreeMap<Job, Finished>> {
        let jobs = design.jobs();
        let total = jobs.len();
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for job in jobs {
            match self.get(design, &job)? {
                Some(finished) => drop(found.insert(job, finished)),
                None => missing.push(job),
            }
        }
        match missing.first() {
            None => Ok(found),
            Some(first) => Err(Error::JobsMissing {
                path: self.dir.clone(),
                missing: missing.len(),
                total,
                first: format!("`{first}`"),
            }),
        }
    }

    fn path_of(&self, job: &Job) -> PathBuf {
        self.dir.join(JOBS).join(file_name(job))
    }
}

fn file_name(Job { model, seed, fold }: &Job) -> String {
    let (seed, fold) = (seed + 1, fold + 1);
    format!("{}.seed-{seed}.fold-{fold}.json", model.file_name())
}
