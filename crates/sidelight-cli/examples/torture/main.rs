//! Kills commands at random moments, fills the disk under them and starts them twice, and compares what they leave with
//! what they leave undisturbed.
//!
//! ```text
//! cargo run --release --example torture -- [--minutes 10] [--seed 0] [--program target/release/sidelight]
//! ```
//!
//! One line a job: trials, kills, refusals, faults. The exit code is 1 where there was a fault.
#![allow(clippy::print_stdout, reason = "a program of its own")]

mod bench;
mod random;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bench::{Bench, JOBS, Tally};
use random::Random;

fn main() -> anyhow::Result<()> {
    let mut minutes = 10.0;
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
            "--program" => program = value.into(),
            _ => anyhow::bail!("{word}: --minutes, --seed and --program are known"),
        }
    }
    let program = program.canonicalize()?;
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), &program)?;
    let mut tallies: Vec<Tally> = JOBS.iter().map(|_| Tally::default()).collect();
    let references: Vec<_> = JOBS.iter().map(|job| bench.reference(job)).collect();
    let began = Instant::now();
    let all = Duration::from_secs_f64(60.0 * minutes);
    'all: for round in 0.. {
        for ((job, reference), tally) in JOBS.iter().zip(&references).zip(&mut tallies) {
            let reference = reference
                .as_ref()
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            match round % 6 {
                4 => bench.fill(job, reference, &mut random, tally)?,
                5 => bench.start_twice(job, reference, tally)?,
                _ => bench.kill(job, reference, &mut random, tally)?,
            }
            if began.elapsed() > all {
                break 'all;
            }
        }
    }
    let mut is_whole = true;
    for (job, tally) in JOBS.iter().zip(&tallies) {
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
