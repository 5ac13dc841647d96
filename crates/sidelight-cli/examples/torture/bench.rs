//! Kills and faults: what a command leaves after them, against what it leaves undisturbed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::content::{self, Content, content};
use super::process::{Ended, end, kill_after};
use super::random::Random;
use super::shim::{Shim, SmallDisk, Trouble, can_mount};

/// A command whose result is known.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// What is run, again after each fault.
    line: &'static str,
    /// Where a finished run of another seed lies before.
    before: Option<&'static str>,
}

/// The commands that write what a person keeps.
pub(crate) const JOBS: [Job; 6] = [
    Job {
        name: "train",
        line: "train t.toml --out place/run --resume",
        before: None,
    },
    Job {
        name: "overwrite",
        line: "train t.toml --out place/run --overwrite --set train.seed=4",
        before: Some("run"),
    },
    Job {
        name: "compare",
        line: "compare t.toml --arms metadata,concat --folds 2 --seeds 1 --out place/comparison",
        before: None,
    },
    Job {
        name: "cached",
        line: "compare t.toml --arms concat --quick --folds 2 --seeds 1 --cache place/cache --out place/comparison",
        before: None,
    },
    Job {
        name: "predict",
        line: "predict model many.csv --part-rows 8 --out place/predictions.csv",
        before: None,
    },
    Job {
        name: "export",
        line: "export model --onnx place/model.onnx",
        before: None,
    },
];

const CONFIG: &str = r#"
data.table = "t.csv"
target = { kind = "regression", column = "price" }
metadata = { beds = "continuous", tree = "categorical" }
model = { backbone = "small_cnn", weights = "none", fusion = "concat" }
train = { epochs = 3, size = 16, batch = 8, checkpoint_steps = 1, seed = 3 }
augment.rotate = 10.0
"#;

/// The file of a run that is of use only whole.
const WEIGHTS: &str = "model/weights.safetensors";

/// What became of the trials of a job.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Trials, kills and so on.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What went wrong.
    pub(crate) faults: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn fault(&mut self, job: &str, what: impl std::fmt::Display) {
        self.faults.push(format!("{job}: {what}"));
    }
}

/// A folder with a table, its images and a trained model, an empty `place` for what the jobs write, and the program.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    place: PathBuf,
    program: PathBuf,
    shim: Option<Shim>,
    pub(crate) has_small_disks: bool,
}

/// What an undisturbed job leaves, how long it takes and how many calls that touch files.
#[derive(Debug)]
pub(crate) struct Reference {
    content: Content,
    took: Duration,
    calls: u64,
}

impl Bench {
    /// Writes the table and its images, and trains the model.
    pub(crate) fn new(folder: &Path, program: &Path, shim: Option<Shim>) -> io::Result<Self> {
        let mut rows = Vec::new();
        for row in 0..24_u8 {
            fs::write(folder.join(format!("{row}.bmp")), content::bmp(row))?;
            let (price, beds) = (100 + 7 * u32::from(row), row % 5);
            let tree = ["oak", "elm", "ash"][usize::from(row % 3)];
            rows.push(format!("{row}.bmp,{price},{beds},{tree}\n"));
        }
        let header = "file_name,price,beds,tree\n";
        fs::write(folder.join("t.csv"), header.to_owned() + &rows.concat())?;
        let many = rows.concat().repeat(5);
        fs::write(folder.join("many.csv"), header.to_owned() + &many)?;
        fs::write(folder.join("t.toml"), CONFIG)?;
        let place = folder.join("place");
        fs::create_dir(&place)?;
        let bench = Self {
            has_small_disks: cfg!(target_os = "linux") && can_mount(&place),
            folder: folder.to_path_buf(),
            place,
            program: program.to_path_buf(),
            shim,
        };
        let train = "train t.toml --out model";
        match end(bench.start(train, &Trouble::None)?)? {
            Ended::Done => Ok(bench),
            other => Err(io::Error::other(format!("{train}: {other:?}"))),
        }
    }

    /// Whether the system's calls can fail.
    pub(crate) fn has_shim(&self) -> bool {
        self.shim.is_some()
    }

    /// What a job leaves undisturbed.
    pub(crate) fn reference(&self, job: &Job) -> io::Result<Reference> {
        self.prepare(job)?;
        let count = self.folder.join("count");
        let began = Instant::now();
        let ended = end(self.start(job.line, &Trouble::Count(count.clone()))?)?;
        let took = began.elapsed();
        let Ended::Done = ended else {
            return Err(io::Error::other(format!("{}: {ended:?}", job.name)));
        };
        let calls = match &self.shim {
            Some(_) => fs::read_to_string(count)?
                .parse()
                .map_err(io::Error::other)?,
            None => 0,
        };
        Ok(Reference {
            content: content(&self.place)?,
            took,
            calls,
        })
    }

    /// One trial of what there is, the kills more often than the rest.
    pub(crate) fn trial(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        let has_shim = self.has_shim();
        match random.below(10) {
            0 => self.fill(job, reference, random, tally),
            1 if has_shim => self.err(job, reference, random, tally),
            2 if has_shim => self.shorten(job, reference, random, tally),
            3 if has_shim => self.jump(job, reference, random, tally),
            4 => self.start_twice(job, reference, tally),
            _ => self.kill(job, reference, 12, random, tally),
        }
    }

    /// Kills the job, so many times at most; then lets it go to its end.
    pub(crate) fn kill(
        &self,
        job: &Job,
        reference: &Reference,
        most: u64,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.prepare(job)?;
        for _ in 0..=random.below(most) {
            // Half of them at any time, half at the call that writes, renames or removes something.
            let ended = match random.below(2) {
                1 if self.has_shim() => {
                    let trouble = Trouble::Kill(1 + random.below(reference.calls));
                    end(self.start(job.line, &trouble)?)?
                }
                _ => {
                    let after =
                        Duration::from_micros(random.below(reference.took.as_micros() as u64));
                    kill_after(self.start(job.line, &Trouble::None)?, after)?
                }
            };
            match ended {
                Ended::Killed => tally.count("kills"),
                Ended::Done => {}
                other => tally.fault(job.name, format_args!("after a kill: {other:?}")),
            }
            self.look_for_a_model(job, reference, tally)?;
        }
        self.finish(job, reference, tally)
    }

    /// The disk is full: the job is refused, or was small enough. Then it goes to its end.
    pub(crate) fn fill(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        content::empty(&self.place)?;
        tally.count("full disks");
        let sizes = reference.content.values().map(Vec::len);
        if self.has_small_disks && random.below(2) == 0 {
            let kib = 8 + random.below(2 * sizes.sum::<usize>() as u64 / 1024);
            let disk = SmallDisk::mount(&self.place, kib)?;
            match self.prepare(job) {
                Ok(()) => {
                    self.suffer(job, reference, &Trouble::None, tally)?;
                    disk.grow()?;
                }
                // No room even for what lies there before.
                Err(_) => {
                    disk.grow()?;
                    self.prepare(job)?;
                }
            }
            return self.finish(job, reference, tally);
        }
        self.prepare(job)?;
        let trouble = match random.below(2) {
            1 if self.has_shim() => Trouble::Full(1 + random.below(reference.calls)),
            _ if cfg!(unix) => {
                Trouble::Blocks(random.below(sizes.max().unwrap_or(0) as u64 / 512 + 1))
            }
            _ => Trouble::None,
        };
        self.suffer(job, reference, &trouble, tally)?;
        self.finish(job, reference, tally)
    }

    /// A read, a write or another call that touches a file fails, once or a few times.
    pub(crate) fn err(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.prepare(job)?;
        for _ in 0..=random.below(4) {
            tally.count("I/O errors");
            let trouble = Trouble::Error(1 + random.below(reference.calls));
            self.suffer(job, reference, &trouble, tally)?;
        }
        self.finish(job, reference, tally)
    }

    /// Reads and writes do a part of what was asked, which nobody may notice.
    pub(crate) fn shorten(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.prepare(job)?;
        tally.count("short reads and writes");
        let trouble = Trouble::Short(random.below(1 << 31));
        let ended = end(self.start(job.line, &trouble)?)?;
        self.compare(job, &ended, reference, tally)
    }

    /// The clock jumps, and perhaps there is a kill; nobody may notice.
    fn jump(
        &self,
        job: &Job,
        reference: &Reference,
        random: &mut Random,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.prepare(job)?;
        tally.count("clock jumps");
        let trouble = Trouble::Time(random.below(1 << 31));
        let after = Duration::from_micros(random.below(2 * reference.took.as_micros() as u64));
        match kill_after(self.start(job.line, &trouble)?, after)? {
            Ended::Killed => tally.count("kills"),
            Ended::Done => {}
            other => tally.fault(
                job.name,
                format_args!("under a clock that jumps: {other:?}"),
            ),
        }
        let ended = end(self.start(job.line, &trouble)?)?;
        self.compare(job, &ended, reference, tally)
    }

    /// Starts the job twice: both share it, or one is refused.
    pub(crate) fn start_twice(
        &self,
        job: &Job,
        reference: &Reference,
        tally: &mut Tally,
    ) -> io::Result<()> {
        self.prepare(job)?;
        tally.count("starts of two at once");
        let none = Trouble::None;
        let both = [self.start(job.line, &none)?, self.start(job.line, &none)?];
        let mut n_done = 0;
        for process in both {
            match end(process)? {
                Ended::Done => n_done += 1,
                ended if ended.is_refused() => tally.count("refusals"),
                other => tally.fault(job.name, format_args!("two at once: {other:?}")),
            }
        }
        if n_done == 0 {
            tally.fault(job.name, "two at once, and neither was done");
        }
        self.finish(job, reference, tally)
    }

    /// The job under trouble: it is refused in words, or was not hit.
    fn suffer(
        &self,
        job: &Job,
        reference: &Reference,
        trouble: &Trouble,
        tally: &mut Tally,
    ) -> io::Result<()> {
        match end(self.start(job.line, trouble)?)? {
            Ended::Done => {}
            ended if ended.is_refused() => tally.count("refusals"),
            other => tally.fault(job.name, format_args!("{trouble:?}: {other:?}")),
        }
        self.look_for_a_model(job, reference, tally)
    }

    /// The job goes to its end.
    fn finish(&self, job: &Job, reference: &Reference, tally: &mut Tally) -> io::Result<()> {
        let ended = end(self.start(job.line, &Trouble::None)?)?;
        self.compare(job, &ended, reference, tally)
    }

    fn compare(
        &self,
        job: &Job,
        ended: &Ended,
        reference: &Reference,
        tally: &mut Tally,
    ) -> io::Result<()> {
        tally.count("trials");
        if !matches!(ended, Ended::Done) {
            tally.fault(job.name, format_args!("{ended:?}"));
            return Ok(());
        }
        let found = content(&self.place)?;
        let names = found.keys().chain(reference.content.keys());
        let mut differ = names.filter(|name| {
            let now = found.get(*name);
            // A fault of the disk may cost a cache, not what comes of it.
            now != reference.content.get(*name) && (now.is_some() || !name.starts_with("cache"))
        });
        if let Some(name) = differ.next() {
            let how = match (found.get(name), reference.content.get(name)) {
                (None, _) => "is not there",
                (_, None) => "was left",
                _ => "differs",
            };
            tally.fault(job.name, format_args!("{name:?} {how}"));
        }
        Ok(())
    }

    /// Where a run is to be replaced, it or its successor is there at every moment.
    fn look_for_a_model(
        &self,
        job: &Job,
        reference: &Reference,
        tally: &mut Tally,
    ) -> io::Result<()> {
        let Some(before) = job.before else {
            return Ok(());
        };
        let old = fs::read(self.folder.join("model").join(WEIGHTS))?;
        let new = reference.content.get(&format!("{before}/{WEIGHTS}"));
        let is_one = |(name, bytes): (&String, &Vec<u8>)| {
            name.ends_with(WEIGHTS) && (*bytes == old || Some(bytes) == new)
        };
        if !content(&self.place)?.iter().any(is_one) {
            tally.fault(job.name, "neither the run nor its successor is there");
        }
        Ok(())
    }

    /// An empty place, or the run that is to be replaced.
    fn prepare(&self, job: &Job) -> io::Result<()> {
        content::empty(&self.place)?;
        match job.before {
            Some(name) => content::copy(&self.folder.join("model"), &self.place.join(name)),
            None => Ok(()),
        }
    }

    fn start(&self, line: &str, trouble: &Trouble) -> io::Result<Child> {
        self.command(line, trouble).spawn()
    }

    /// The program with these arguments; its messages can be read.
    pub(crate) fn command(&self, line: &str, trouble: &Trouble) -> Command {
        let mut command = trouble.command(&self.program, self.shim.as_ref());
        command
            .args(line.split(' '))
            .current_dir(&self.folder)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}
