//! Kills commands at random moments, fills the disk under them and starts them twice, and compares what they leave with
//! what they leave undisturbed.
//!
//! ```text
//! cargo run --release --example torture -- [--minutes 10] [--seed 0] [--job train] [--program FILE]
//! ```
//!
//! One line a job: trials, kills, refusals, faults. The exit code is 1 where there was a fault.
#![allow(clippy::print_stdout, reason = "a program of its own")]

mod bench;
mod random;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bench::{Bench, JOBS, Job, Tally};
use random::Random;

/// Kills of one command before it is let go to its end.
const MOST_KILLS: u64 = 6;

fn main() -> anyhow::Result<()> {
    let (mut minutes, mut only) = (10.0, None);
    let mut random = Random(0);
    // Beside the examples.
    let mut program: PathBuf = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .map_or_else(PathBuf::new, |folder| folder.join("sidelight"));
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--minutes" => minutes = value.parse()?,
            "--seed" => random.0 = value.parse()?,
            "--job" => only = Some(value),
            "--program" => program = value.into(),
            _ => anyhow::bail!("{word}: --minutes, --seed, --job and --program are known"),
        }
    }
    let program = program.canonicalize()?;
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), &program)?;
    let is_chosen = |job: &&Job| only.as_ref().is_none_or(|only| only == job.name);
    let jobs: Vec<&Job> = JOBS.iter().filter(is_chosen).collect();
    anyhow::ensure!(!jobs.is_empty(), "no such job");
    let mut tallies: Vec<Tally> = jobs.iter().map(|_| Tally::default()).collect();
    let references: Result<Vec<_>, _> = jobs.iter().map(|job| bench.reference(job)).collect();
    let references = references?;
    let began = Instant::now();
    let all = Duration::from_secs_f64(60.0 * minutes);
    'all: for round in 0.. {
        for ((job, reference), tally) in jobs.iter().zip(&references).zip(&mut tallies) {
            match round % 6 {
                4 => bench.fill(job, reference, &mut random, tally)?,
                5 => bench.start_twice(job, reference, tally)?,
                _ => bench.kill(job, reference, MOST_KILLS, &mut random, tally)?,
            }
            if began.elapsed() > all {
                break 'all;
            }
        }
    }
    let mut is_whole = true;
    for (job, tally) in jobs.iter().zip(&tallies) {
        let Tally {
            trials,
            kills,
            refusals,
            faults,
        } = tally;
        let n = faults.len();
        println!(
            "{}: {trials} trials, {kills} kills, {refusals} refusals, {n} faults",
            job.name
        );
        faults.iter().for_each(|fault| println!("  {fault}"));
        is_whole &= faults.is_empty();
    }
    match is_whole {
        true => Ok(()),
        false => anyhow::bail!("something was lost"),
    }
}
