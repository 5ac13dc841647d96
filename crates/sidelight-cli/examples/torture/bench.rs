//! Kills, full files and two starters at once: what a command leaves after them, against what it leaves undisturbed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::random::Random;

/// A job that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A command whose result is known.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// What is run, again after each kill; `OUT` stands for the output.
    line: &'static str,
    /// The output: a file or a folder.
    out: &'static str,
}

/// Every command that writes what a person keeps.
pub(crate) const JOBS: [Job; 4] = [
    Job {
        name: "train",
        line: "train t.toml --out OUT --resume",
        out: "run",
    },
    Job {
        name: "compare",
        line: "compare t.toml --quick --folds 2 --seeds 1 --out OUT",
        out: "comparison",
    },
    Job {
        name: "predict",
        line: "predict model many.csv --part-rows 8 --out OUT",
        out: "predictions.csv",
    },
    Job {
        name: "export",
        line: "export model --onnx OUT",
        out: "model.onnx",
    },
];

const CONFIG: &str = r#"
data.table = "t.csv"
target = { kind = "regression", column = "price" }
metadata = { beds = "continuous", tree = "categorical" }
model = { backbone = "small_cnn", weights = "none" }
train = { epochs = 3, size = 32, batch = 8, checkpoint_steps = 1, seed = 3 }
augment.rotate = 10.0
"#;

/// What became of the trials of a job.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) trials: u64,
    pub(crate) kills: u64,
    /// Commands that a limit of the system stopped.
    pub(crate) refusals: u64,
    /// What went wrong.
    pub(crate) faults: Vec<String>,
}

/// A folder with a table, its images and a trained model, and the program.
#[derive(Debug)]
pub(crate) struct Bench {
    folder: PathBuf,
    program: PathBuf,
}

/// Result and duration of an undisturbed job.
#[derive(Debug)]
pub(crate) struct Reference {
    content: BTreeMap<String, Vec<u8>>,
    took: Duration,
}

impl Bench {
    /// Writes the table and its images, and trains the model.
    pub(crate) fn new(folder: &Path, program: &Path) -> io::Result<Self> {
        let mut rows = Vec::new();
        for row in 0..24_u8 {
            fs::write(folder.join(format!("{row}.bmp")), bmp(row))?;
            let (price, beds) = (100 + 7 * u32::from(row), row % 5);
            let tree = ["oak", "elm", "ash"][usize::from(row % 3)];
            rows.push(format!("{row}.bmp,{price},{beds},{tree}\n"));
        }
        let header = "file_name,price,beds,tree\n";
        fs::write(folder.join("t.csv"), header.to_owned() + &rows.concat())?;
        let many = rows.concat().repeat(5);
        fs::write(folder.join("many.csv"), header.to_owned() + &many)?;
        fs::write(folder.join("t.toml"), CONFIG)?;
        let bench = Self {
            folder: folder.to_path_buf(),
            program: program.to_path_buf(),
        };
        let train = JOBS[0].line.replace("OUT", "model");
        let said = bench.end(bench.start(&train, None)?)?;
        match said {
            Ended::Done => Ok(bench),
            other => Err(io::Error::other(format!("{train}: {other:?}"))),
        }
    }

    /// What a job leaves undisturbed.
    pub(crate) fn reference(&self, job: &Job) -> io::Result<Reference> {
        let out = format!("reference-{}", job.out);
        let began = Instant::now();
        let said = self.end(self.start(&job.line.replace("OUT", &out), None)?)?;
        let took = began.elapsed();
        match said {
            Ended::Done => Ok(Reference {
                content: content(&self.folder.join(out))?,
                took,
            }),
            other => Err(io::Error::other(format!("{}: {other:?}", job.name))),
        }
    }

    /// Kills the job at random moments, so many times at most; then lets it go to its end.
    pub(crate) fn kill(
        &self,
        job: &Job,
        reference: &Reference,
        most: u64,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.clear(job)?;
        let line = job.line.replace("OUT", job.out);
        for _ in 0..=random.below(most) {
            let process = self.start(&line, None)?;
            // Half of them anywhere, half between the writing of a file and its renaming.
            let is_killed = match random.below(2) {
                0 => {
                    let at = reference.took.as_micros() as u64;
                    self.kill_when(process, Duration::from_micros(random.below(at)), None)?
                }
                _ => self.kill_when(process, PATIENCE, Some(1 + random.below(6)))?,
            };
            tally.kills += u64::from(is_killed);
        }
        let said = self.end(self.start(&line, None)?)?;
        self.compare(job, &said, reference, tally)
    }

    /// No file may grow beyond a random size, as on a disk that is full: the job is refused, or was small enough. Then it
    /// goes to its end.
    pub(crate) fn fill(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.clear(job)?;
        let line = job.line.replace("OUT", job.out);
        let largest = reference.content.values().map(Vec::len).max();
        let blocks = random.below(largest.unwrap_or(0) as u64 / 512 + 1);
        match self.end(self.start(&line, Some(blocks))?)? {
            Ended::Done => {}
            Ended::Refused(text) if !text.contains("panicked") && text.contains("error") => {
                tally.refusals += 1;
            }
            other => tally.faults.push(format!("{} full: {other:?}", job.name)),
        }
        let said = self.end(self.start(&line, None)?)?;
        self.compare(job, &said, reference, tally)
    }

    /// Starts the job twice: both share it, or one is refused.
    pub(crate) fn start_twice(
        &self,
        job: &Job,
        reference: &Reference,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.clear(job)?;
        let line = job.line.replace("OUT", job.out);
        let both = [self.start(&line, None)?, self.start(&line, None)?];
        let mut said = Vec::new();
        for process in both {
            said.push(self.end(process)?);
        }
        for ended in &said {
            match ended {
                Ended::Refused(text) if text.contains("panicked") => {
                    tally.faults.push(format!("{} twice: {text}", job.name));
                }
                Ended::Refused(_) => tally.refusals += 1,
                _ => {}
            }
        }
        if !said.iter().any(|ended| matches!(ended, Ended::Done)) {
            tally
                .faults
                .push(format!("{} twice, and neither: {said:?}", job.name));
        }
        let said = self.end(self.start(&line, None)?)?;
        self.compare(job, &said, reference, tally)
    }

    fn compare(
        &self,
        job: &Job,
        said: &Ended,
        reference: &Reference,
        tally: &mut Tally,
    ) -> io::Result<()> {
        tally.trials += 1;
        if !matches!(said, Ended::Done) {
            tally.faults.push(format!("{}: {said:?}", job.name));
            return Ok(());
        }
        let found = content(&self.folder.join(job.out))?;
        let names = found.keys().chain(reference.content.keys());
        let mut differ = names.filter(|name| found.get(*name) != reference.content.get(*name));
        if let Some(name) = differ.next() {
            tally.faults.push(format!("{}: {name:?} differs", job.name));
        }
        // Beside the output nothing is left of the way there.
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".partial") || name.ends_with(".parts") {
                tally.faults.push(format!("{}: left {name}", job.name));
            }
        }
        Ok(())
    }

    fn clear(&self, job: &Job) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_of_job = name.starts_with(job.out) || name.starts_with(&format!(".{}", job.out));
            if is_of_job && path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if is_of_job {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Starts the program; `blocks` of 512 bytes are the largest file that it may write.
    fn start(&self, line: &str, blocks: Option<u64>) -> io::Result<Child> {
        let mut command = match blocks {
            None => Command::new(&self.program),
            Some(blocks) => {
                let mut command = Command::new("sh");
                // Writing beyond the limit is then an error, as it is on a full disk, not the end of the process.
                let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                command.args(["-c", &limited]).arg(&self.program);
                command
            }
        };
        command
            .args(line.split(' '))
            .current_dir(&self.folder)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Waits for the end.
    fn end(&self, mut process: Child) -> io::Result<Ended> {
        let mut said = process.stderr.take();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(said) = &mut said {
                let _ = io::Read::read_to_string(said, &mut text);
            }
            text
        });
        let began = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break Some(status);
            }
            if began.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                break None;
            }
            sleep(Duration::from_millis(2));
        };
        let text = reading.join().unwrap_or_default();
        Ok(match status.map(|status| status.code()) {
            None => Ended::Hung,
            Some(Some(0)) => Ended::Done,
            Some(Some(2)) => Ended::Refused(text),
            Some(code) => Ended::Broken(code, text),
        })
    }

    /// Kills a process after this time, or when it has begun so many files; whether it was still there to be killed.
    fn kill_when(
        &self,
        mut process: Child,
        after: Duration,
        partial: Option<u64>,
    ) -> io::Result<bool> {
        let began = Instant::now();
        let (mut seen, mut last) = (0, None);
        while began.elapsed() < after {
            if process.try_wait()?.is_some() {
                return Ok(false);
            }
            match partial {
                Some(nth) => {
                    let now = partial_file(&self.folder);
                    if now.is_some() && now != last {
                        seen += 1;
                    }
                    last = now;
                    if seen == nth {
                        break;
                    }
                }
                None => sleep(Duration::from_micros(200)),
            }
        }
        process.kill()?;
        process.wait()?;
        Ok(true)
    }
}

/// How a command ended.
enum Ended {
    Done,
    /// With exit code 2 and these words.
    Refused(String),
    /// With another code, or by a signal, and these words.
    Broken(Option<i32>, String),
    Hung,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Broken(code, text) => write!(f, "exit code {code:?}: {text}"),
            Self::Hung => f.write_str("hung"),
        }
    }
}

/// A file or folder in the making, here or one or two folders below.
fn partial_file(folder: &Path) -> Option<PathBuf> {
    fn look(folder: &Path, depth: usize) -> Option<PathBuf> {
        for entry in fs::read_dir(folder).ok()?.filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name();
            if name.to_string_lossy().ends_with(".partial") {
                return Some(path);
            }
            if depth > 0
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && let Some(found) = look(&path, depth - 1)
            {
                return Some(found);
            }
        }
        None
    }
    look(folder, 2)
}

/// The files of an output by their names, without what tells of time.
fn content(out: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![out.to_path_buf()];
    if out.is_file() {
        folders.clear();
        files.insert(String::new(), fs::read(out)?);
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(out).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            if !(name.ends_with("log.jsonl") || name.ends_with(".html")) {
                files.insert(name, without_times(fs::read(&path)?));
            }
        }
    }
    Ok(files)
}

/// JSON without the values that tell of time.
fn without_times(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    for key in ["seconds\":", "per_second\":"] {
        let mut parts = text.split(key);
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            kept += key;
            kept += part.trim_start_matches(|c: char| " .e+-".contains(c) || c.is_ascii_digit());
        }
        text = kept;
    }
    text.into_bytes()
}

/// A picture of 32 × 32 pixels.
fn bmp(seed: u8) -> Vec<u8> {
    let n_bytes: u32 = 54 + 32 * 32 * 3;
    let mut bytes = b"BM".to_vec();
    bytes.extend(n_bytes.to_le_bytes());
    bytes.extend([0; 4]);
    for number in [54_u32, 40, 32, 32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    let mut random = Random(seed.into());
    bytes.extend((0..32 * 32 * 3).map(|_| random.below(256) as u8));
    bytes
}
