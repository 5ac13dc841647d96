//! A run as MLflow keeps it in files: `mlruns/1/RUN/`, a file for each metric, parameter and tag.
//!
//! # Source
//!
//! MLflow, `mlflow/store/tracking/file_store.py` and `mlflow/utils/validation.py` (Apache-2.0).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::tracking::{Ended, Measurement, Track, is_behind};
use super::{MLRUNS, Reached, write_whole, yaml};
use crate::config::Config;
use crate::digest::hexadecimal;
use crate::error::{Result, cannot_write};
use crate::write::remove_file_if_there;

/// The experiment that the run is of: a store has this one.
const EXPERIMENT: &str = "1";
/// MLflow's own experiment, which it makes wherever it looks.
const DEFAULT_EXPERIMENT: &str = "0";
const META: &str = "meta.yaml";
const METRICS: &str = "metrics";
const PARAMS: &str = "params";
const TAGS: &str = "tags";
/// The tag that says that a run is ours.
const VERSION: &str = "sidelight.version";
const OWN_TAGS: [&str; 4] = [
    VERSION,
    "mlflow.runName",
    "mlflow.source.name",
    "mlflow.source.type",
];
/// Longer values of parameters are cut: `MAX_PARAM_VAL_LENGTH`.
const LONGEST_VALUE: usize = 6000;
/// Bytes of a name, which is that of a file as well; MLflow's own limit is 250 characters.
const LONGEST_NAME: usize = 200;
/// Folders below a store, at most: an experiment, a run, metrics, and two of a name.
const DEEPEST: usize = 6;

/// `RunStatus` of MLflow's `service.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running = 1,
    Finished = 3,
    Failed = 4,
    Killed = 5,
}

/// A run that is written.
#[derive(Debug)]
pub(super) struct TrackedRun {
    dir: PathBuf,
    id: String,
    name: String,
    /// Milliseconds since 1970.
    begun: u128,
    status: Status,
    /// Metrics by name.
    files: HashMap<String, File>,
}

impl TrackedRun {
    /// Begins the run of a run folder, or goes on with it: metrics stay as far as they were behind the checkpoint.
    pub(super) fn open(run: &Path, config: &Config, reached: Reached) -> Result<Self> {
        let parameters = parameters(config)?;
        let run = std::path::absolute(run).map_err(cannot_write(run))?;
        let store = run.join(MLRUNS);
        let experiment = store.join(EXPERIMENT);
        let begin = || {
            fs::create_dir_all(&experiment)?;
            let dir = match own_runs(&experiment)?.into_iter().next() {
                Some(dir) => dir,
                None => experiment.join(new_id(&run)),
            };
            for folder in [METRICS, PARAMS, TAGS, "artifacts"] {
                fs::create_dir_all(dir.join(folder))?;
            }
            for path in files_below(&dir.join(METRICS))? {
                cut(&path, &key_of(&dir.join(METRICS), &path), reached)?;
            }
            io::Result::Ok(dir)
        };
        let dir = begin().map_err(cannot_write(&store))?;
        let tracked = Self {
            id: last(&dir),
            name: last(&run),
            begun: started(&dir.join(META)).unwrap_or_else(now),
            status: Status::Running,
            files: HashMap::new(),
            dir,
        };
        // First what says that it is ours.
        let values = [
            env!("CARGO_PKG_VERSION"),
            &tracked.name,
            "sidelight train",
            "LOCAL",
        ];
        for (tag, value) in OWN_TAGS.into_iter().zip(values) {
            write_text(&tracked.dir.join(TAGS).join(tag), value)?;
        }
        for (name, value) in parameters {
            write_text(&tracked.dir.join(PARAMS).join(name), &value)?;
        }
        if !experiment.join(META).is_file() {
            write_text(
                &experiment.join(META),
                &experiment_meta(config, &experiment),
            )?;
        }
        tracked.write_meta()?;
        Ok(tracked)
    }

    fn write_meta(&self) -> Result<()> {
        let ended = match self.status {
            Status::Running => "null".to_owned(),
            _ => now().to_string(),
        };
        // The fields of `RunInfo`, in the order of the alphabet as MLflow writes them; of a person nothing.
        let meta = format!(
            "artifact_uri: {}\nend_time: {ended}\nentry_point_name: ''\nexperiment_id: '{EXPERIMENT}'\n\
             lifecycle_stage: active\nrun_id: {id}\nrun_name: {name}\nrun_uuid: {id}\nsource_name: ''\nsource_type: 4\n\
             source_version: ''\nstart_time: {}\nstatus: {}\ntags: []\nuser_id: ''\n",
            yaml::scalar(&file_uri(&self.dir.join("artifacts"))),
            self.begun,
            self.status as i32,
            id = yaml::scalar(&self.id),
            name = yaml::scalar(&self.name),
        );
        write_text(&self.dir.join(META), &meta)
    }

    fn append(&mut self, name: &str, value: f64, step: usize) -> Result<()> {
        let key = key(name);
        let path = self.dir.join(METRICS).join(&key);
        let line = format!("{} {value} {step}\n", now());
        let mut write = || {
            if !self.files.contains_key(&key) {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let file = File::options().append(true).create(true).open(&path)?;
                self.files.insert(key.clone(), file);
            }
            match self.files.get_mut(&key) {
                // One write a line, so that a kill tears the last one only.
                Some(file) => file.write_all(line.as_bytes()),
                None => Ok(()),
            }
        };
        Ok(write().map_err(cannot_write(&path))?)
    }
}

impl Track for TrackedRun {
    fn write(&mut self, measurement: &Measurement) -> Result<()> {
        for (name, value) in &measurement.values {
            self.append(name, *value, measurement.step)?;
        }
        if let Some(ended) = measurement.ended {
            self.status = match ended {
                Ended::Done => Status::Finished,
                Ended::Stopped => Status::Killed,
            };
            self.write_meta()?;
        }
        Ok(())
    }
}

impl Drop for TrackedRun {
    fn drop(&mut self) {
        if self.status == Status::Running {
            self.status = Status::Failed;
            // In a destructor nobody hears of a failure; it is then said to be running.
            let _ = self.write_meta();
        }
    }
}

fn experiment_meta(config: &Config, dir: &Path) -> String {
    let table = config.data.table.file_stem().unwrap_or_default();
    let table = table.to_string_lossy();
    let name = if table.is_empty() {
        "sidelight"
    } else {
        &table
    };
    let now = now();
    format!(
        "artifact_location: {}\ncreation_time: {now}\nexperiment_id: '{EXPERIMENT}'\nlast_update_time: {now}\n\
         lifecycle_stage: active\nname: {}\n",
        yaml::scalar(&file_uri(dir)),
        yaml::scalar(name),
    )
}

/// Each setting by its path in the configuration.
fn parameters(config: &Config) -> Result<Vec<(String, String)>> {
    let table: toml::Table = toml::from_str(&config.to_toml()?).unwrap_or_default();
    let mut found = Vec::new();
    flatten("", &table, &mut found);
    Ok(found)
}

fn flatten(before: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let name = format!("{before}{name}");
        match value {
            toml::Value::Table(table) => flatten(&format!("{name}."), table, found),
            toml::Value::String(text) => found.push((file_name(&name), first_of(text))),
            other => found.push((file_name(&name), first_of(&other.to_string()))),
        }
    }
}

fn first_of(value: &str) -> String {
    value.chars().take(LONGEST_VALUE).collect()
}

/// A name of a metric as MLflow accepts it; what stands before a slash is a folder.
fn key(name: &str) -> String {
    name.split('/').map(file_name).collect::<Vec<_>>().join("/")
}

/// A name as MLflow accepts it, and no path: what is neither letter nor digit, `_`, `-`, `.` or a blank is `_`.
fn file_name(name: &str) -> String {
    let is_known = |c: char| c.is_alphanumeric() || ['_', '-', '.', ' '].contains(&c);
    let mut written = String::new();
    for c in name.chars().map(|c| if is_known(c) { c } else { '_' }) {
        if written.len() + c.len_utf8() > LONGEST_NAME {
            break;
        }
        written.push(c);
    }
    match written.starts_with('.') {
        true => written.replacen('.', "_", 1),
        false => written,
    }
}

/// Takes out of a metric's file what will come again, and a line that is torn; a file without a line is none to MLflow.
fn cut(path: &Path, key: &str, reached: Reached) -> io::Result<()> {
    let text = fs::read(path)?;
    let is_kept = |line: &&[u8]| {
        let whole = line.strip_suffix(b"\n");
        let step = whole.and_then(|line| line.rsplit(|byte| *byte == b' ').next());
        let step = step.and_then(|step| std::str::from_utf8(step).ok()?.parse().ok());
        step.is_some_and(|step| is_behind(key, step, reached) && reached.total_step > 0)
    };
    let kept: Vec<&[u8]> = text
        .split_inclusive(|byte| *byte == b'\n')
        .take_while(is_kept)
        .collect();
    match kept.is_empty() {
        true => remove_file_if_there(path),
        false => write_whole(path, |file| file.write_all(&kept.concat())).map_err(io::Error::other),
    }
}

/// The runs of an experiment that are ours.
fn own_runs(experiment: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(experiment)? {
        let dir = entry?.path();
        if dir.join(TAGS).join(VERSION).is_file() {
            found.push(dir);
        }
    }
    found.sort();
    Ok(found)
}

/// The first file of a store that neither we nor MLflow itself put there: a note, a tag, an artefact, another run.
pub(super) fn foreign_in(store: &Path) -> io::Result<Option<PathBuf>> {
    if !store.is_dir() {
        return Ok(None);
    }
    let experiment = store.join(EXPERIMENT);
    let own = match experiment.is_dir() {
        true => own_runs(&experiment)?,
        false => Vec::new(),
    };
    let own_meta = [DEFAULT_EXPERIMENT, EXPERIMENT].map(|name| store.join(name).join(META));
    let is_ours = |path: &Path| {
        own_meta.iter().any(|meta| *meta == path)
            || own.iter().any(|dir| {
                let tags = OWN_TAGS.map(|tag| dir.join(TAGS).join(tag));
                path == dir.join(META)
                    || tags.iter().any(|tag| *tag == path)
                    || [METRICS, PARAMS]
                        .iter()
                        .any(|folder| path.starts_with(dir.join(folder)))
            })
    };
    Ok(files_below(store)?.into_iter().find(|path| !is_ours(path)))
}

/// All that is in a folder and is none, sorted; what is too deep to be looked into counts as a file.
fn files_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![(dir.to_path_buf(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() && depth < DEEPEST {
                true => folders.push((entry.path(), depth + 1)),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The name of the metric in a file.
fn key_of(metrics: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(metrics).unwrap_or(path).iter();
    let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// When a run began, as its `meta.yaml` says.
fn started(meta: &Path) -> Option<u128> {
    let text = fs::read_to_string(meta).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("start_time: "))?;
    line.trim().parse().ok()
}

/// 32 hexadecimal digits, as MLflow's own; of another run, or at another time, others.
fn new_id(run: &Path) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    let seed = format!("{} {nanoseconds} {}", run.display(), std::process::id());
    hexadecimal(&Sha256::digest(seed.as_bytes())[..16])
}

/// Milliseconds since 1970.
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}

/// The last name of a path.
fn last(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// An absolute path as an address.
fn file_uri(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = match cfg!(windows) {
        true => format!("/{}", path.replace('\\', "/")),
        false => path.into_owned(),
    };
    let mut uri = String::from("file://");
    for byte in path.bytes() {
        match byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte) {
            true => uri.push(char::from(byte)),
            false => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    Ok(write_whole(path, |file| file.write_all(text.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetConfig;

    fn config() -> Config {
        Config::new("houses.csv", TargetConfig::class("kind: of/house"))
    }

    fn open(run: &Path, total_step: usize, in_epoch: bool) -> TrackedRun {
        let reached = Reached {
            total_step,
            in_epoch,
        };
        TrackedRun::open(run, &config(), reached).unwrap()
    }

    fn write(run: &mut TrackedRun, step: usize, name: &'static str, value: f64) {
        let measurement = Measurement {
            step,
            values: vec![(name.into(), value)],
            ended: None,
        };
        run.write(&measurement).unwrap();
    }

    /// Value and step of each line.
    fn told(dir: &Path, key: &str) -> Vec<String> {
        let text = fs::read_to_string(dir.join(METRICS).join(key)).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').unwrap().1.to_owned();
        text.lines().map(line).collect()
    }

    fn status(dir: &Path) -> String {
        let text = fs::read_to_string(dir.join(META)).unwrap();
        let line = text.lines().find(|line| line.starts_with("status"));
        line.unwrap().to_owned()
    }

    #[test]
    fn resumed_it_tells_every_step_once_and_is_the_same_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = open(folder.path(), 0, false);
        let dir = run.dir.clone();
        let loss = "train/loss";
        for (step, value) in [(1, 0.5), (2, 0.4), (3, 9.0)] {
            write(&mut run, step, loss, value);
        }
        write(&mut run, 2, "valid/pck@0.05", 0.25);
        write(&mut run, 3, "epoch", 1.0);
        let begun = run.begun;
        (&run.files[loss]).write_all(b"17960 0.").unwrap();
        drop(run);
        assert_eq!(status(&dir), "status: 4");

        let mut run = open(folder.path(), 2, true);
        assert_eq!((&run.dir, run.begun), (&dir, begun));
        assert_eq!(status(&dir), "status: 1");
        assert_eq!(told(&dir, loss), ["0.5 1", "0.4 2"]);
        // At the step of the checkpoint, but of an epoch that was not scored then.
        assert!(told(&dir, "valid/pck_0.05").is_empty());
        assert!(!dir.join(METRICS).join("epoch").exists());
        write(&mut run, 3, loss, f64::NAN);
        run.write(&Measurement {
            step: 3,
            values: vec![("final/accuracy".into(), 1.0)],
            ended: Some(Ended::Done),
        })
        .unwrap();
        assert_eq!(told(&dir, loss), ["0.5 1", "0.4 2", "NaN 3"]);
        assert_eq!(status(&dir), "status: 3");
        drop(run);
        assert_eq!(status(&dir), "status: 3");
        // Begun anew.
        let run = open(folder.path(), 0, false);
        assert_eq!(run.dir, dir);
        assert!(files_below(&dir.join(METRICS)).unwrap().is_empty());
    }

    #[test]
    fn a_name_is_no_path_and_no_value_is_endless() {
        assert_eq!(key("valid/pck@0.05"), "valid/pck_0.05");
        assert_eq!(file_name("metadata.../../etc"), "metadata..._.._etc");
        assert_eq!(file_name("../x"), "_._x");
        assert_eq!(file_name(&"ä".repeat(300)).len(), LONGEST_NAME);
        let mut config = config();
        config.data.ignore = vec!["x".repeat(10_000)];
        let found = parameters(&config).unwrap();
        assert!(found.iter().all(|(_, value)| value.len() <= LONGEST_VALUE));
        assert!(found.contains(&("target.column".into(), "kind: of/house".into())));
    }

    #[test]
    fn what_a_person_added_is_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join(MLRUNS);
        assert_eq!(foreign_in(&store).unwrap(), None);
        let mut run = open(folder.path(), 0, false);
        write(&mut run, 1, "train/loss", 0.5);
        // What MLflow makes when it looks.
        fs::create_dir_all(store.join(".trash")).unwrap();
        fs::create_dir_all(store.join("0")).unwrap();
        fs::write(store.join("0/meta.yaml"), "").unwrap();
        assert_eq!(foreign_in(&store).unwrap(), None);
        for mine in [
            run.dir.join("tags/mlflow.note.content"),
            run.dir.join("artifacts/figure.png"),
            store.join("1/another/meta.yaml"),
            store.join("notes.txt"),
        ] {
            fs::create_dir_all(mine.parent().unwrap()).unwrap();
            fs::write(&mine, "mine").unwrap();
            assert_eq!(foreign_in(&store).unwrap().as_ref(), Some(&mine));
            fs::remove_file(&mine).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_address_has_no_blanks() {
        let path = Path::new("/a b/ä#1");
        assert_eq!(file_uri(path), "file:///a%20b/%C3%A4%231");
    }
}
