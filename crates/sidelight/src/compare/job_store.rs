//! The folder of a comparison: the result of each finished job, kept whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Earlier;
use super::design::{Design, Job};
use super::job::Finished;
use crate::error::{DataError, Error, FolderContent, Result, cannot_write};
use crate::run::{foreign_in, is_left_over};
use crate::write::{open_kept, remove_file_if_there, remove_folder_if_there, write_whole};

pub(super) const ANSWER: &str = "compare.json";
pub(super) const PREDICTIONS: &str = "out_of_fold.csv";
pub(super) const REPORT: &str = "report.html";
const JOBS: &str = "jobs";
const CLAIMS: &str = "claims";
/// Says that the folder is a comparison of ours: what is in it may be removed.
const MARK: &str = ".sidelight-comparison";
const ENTRIES: [&str; 6] = [ANSWER, PREDICTIONS, REPORT, JOBS, CLAIMS, MARK];

/// A comparison's folder. Several processes may fill it at once: each file is one job's, and whole.
#[derive(Debug)]
pub(super) struct JobStore {
    dir: PathBuf,
}

impl JobStore {
    /// Makes the folder, or goes on with the comparison in it.
    pub(super) fn open(dir: &Path, earlier: Earlier) -> Result<Self> {
        if let Some(file) = foreign(dir, earlier).map_err(cannot_write(dir))? {
            return Err(Error::OutputNotEmpty {
                path: dir.to_path_buf(),
                found: FolderContent::OtherFiles { file },
            });
        }
        let store = Self {
            dir: dir.to_path_buf(),
        };
        if earlier == Earlier::Discard {
            store.clear()?;
        }
        let jobs = dir.join(JOBS);
        let begin = || {
            fs::create_dir_all(dir)?;
            open_kept(&dir.join(MARK))?;
            fs::create_dir_all(&jobs)
        };
        begin().map_err(cannot_write(&jobs))?;
        Ok(store)
    }

    /// Clears files that killed processes left half written.
    fn clear_left_overs(&self) -> std::io::Result<()> {
        let clear = |dir: &Path, is_ours: &dyn Fn(&str) -> bool| {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if is_ours(&entry.file_name().to_string_lossy()) {
                    remove_file_if_there(&entry.path())?;
                }
            }
            Ok(())
        };
        clear(&self.dir, &|name| is_left_over(name, &ENTRIES))?;
        clear(&self.dir.join(JOBS), &is_partial)
    }

    /// Only what a comparison wrote; anything else in the folder stays.
    fn clear(&self) -> Result<()> {
        let jobs = self.dir.join(JOBS);
        remove_folder_if_there(&jobs).map_err(cannot_write(&jobs))?;
        self.forget_claims()?;
        for name in [ANSWER, PREDICTIONS, REPORT] {
            let path = self.dir.join(name);
            remove_file_if_there(&path).map_err(cannot_write(&path))?;
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
            remove_folder_if_there(&path)?;
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
        if !finished.is_of(design, job) {
            let why = "its predictions are not those of the rows of this job";
            let source = serde::de::Error::custom(why);
            return Err(Error::JobFile { path, source });
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
            None => {
                // Nobody is writing a result any more. What cannot be cleared is untidy, not wrong.
                let _ = self.clear_left_overs();
                Ok(found)
            }
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

/// The first file that no comparison writes; without the mark, the first at all.
fn foreign(dir: &Path, earlier: Earlier) -> std::io::Result<Option<String>> {
    if !dir.join(MARK).is_file() {
        return foreign_in(dir, |_| false);
    }
    if earlier == Earlier::Reuse {
        return Ok(None);
    }
    let is_ours = |name: &str| ENTRIES.contains(&name) || is_left_over(name, &ENTRIES);
    if let Some(file) = foreign_in(dir, is_ours)? {
        return Ok(Some(file));
    }
    foreign_in(&dir.join(JOBS), |name| {
        name.ends_with(".json") || is_partial(name)
    })
}

fn is_partial(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".partial")
}

fn file_name(Job { model, seed, fold }: &Job) -> String {
    let (seed, fold) = (seed + 1, fold + 1);
    format!("{}.seed-{seed}.fold-{fold}.json", model.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_files_are_never_discarded() {
        let folder = tempfile::tempdir().unwrap();
        // Without a mark, whatever its names; with one, what no comparison writes.
        for mine in [
            "jobs/letter.doc",
            "compare.json",
            "notes.txt",
            "jobs/figure.png",
        ] {
            let dir = folder.path().join(mine.replace('/', "-"));
            if !["jobs/letter.doc", "compare.json"].contains(&mine) {
                JobStore::open(&dir, Earlier::Reuse).unwrap();
            }
            fs::create_dir_all(dir.join(JOBS)).unwrap();
            fs::write(dir.join(mine), "years of work").unwrap();
            let failed = JobStore::open(&dir, Earlier::Discard).unwrap_err();
            assert!(matches!(failed, Error::OutputNotEmpty { .. }), "{failed:?}");
            assert!(dir.join(mine).exists());
        }
        let dir = folder.path().join("ours");
        for earlier in [Earlier::Reuse, Earlier::Discard, Earlier::Reuse] {
            let store = JobStore::open(&dir, earlier).unwrap();
            fs::write(store.path(ANSWER), "{}").unwrap();
        }
    }
}
