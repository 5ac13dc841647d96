//! Kills commands and a server at random moments, fills the disk under them, lets their reads and writes fail, moves their
//! clock and starts them twice, and compares what they leave with what they leave undisturbed.
//!
//! ```text
//! cargo run --release --example torture -- [--minutes 10] [--kills 2000] [--seed 0] [--job train] [--program FILE]
//! ```
//!
//! One line a job: trials, kills, refusals and so on; then its faults. It ends after so many minutes or kills, whichever
//! comes first; the exit code is 1 where there was a fault.
#![allow(clippy::print_stdout, reason = "a program of its own")]

mod bench;
mod content;
mod process;
mod random;
mod serve;
mod shim;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bench::{Bench, JOBS, Job, Tally};
use random::Random;
use serve::Service;
use shim::Shim;

fn main() -> anyhow::Result<()> {
    let (mut minutes, mut most_kills, mut only) = (None, u64::MAX, None);
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
            "--minutes" => minutes = Some(value.parse()?),
            "--kills" => most_kills = value.parse()?,
            "--seed" => random.0 = value.parse()?,
            "--job" => only = Some(value),
            "--program" => program = value.into(),
            _ => anyhow::bail!("{word}: see the head of examples/torture/main.rs"),
        }
    }
    let minutes = minutes.unwrap_or(if most_kills == u64::MAX { 10.0 } else { 1e6 });
    let program = program.canonicalize()?;
    let folder = tempfile::tempdir()?;
    let shim = Shim::compile(folder.path())
        .inspect_err(|why| println!("no faults of calls, no clock, kills by time only: {why}"));
    let bench = Bench::new(folder.path(), &program, shim.ok())?;
    if !bench.has_small_disks {
        println!("no file system of a few KiB: only root can mount one, on Linux");
    }
    let is_chosen = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let jobs: Vec<&Job> = JOBS.iter().filter(|job| is_chosen(job.name)).collect();
    let references: Result<Vec<_>, _> = jobs.iter().map(|job| bench.reference(job)).collect();
    let references = references?;
    let service = match is_chosen("serve") && cfg!(unix) {
        true => Some(Service::new(&bench)?),
        false => None,
    };
    anyhow::ensure!(!jobs.is_empty() || service.is_some(), "no such job");
    let mut tallies: Vec<Tally> = jobs.iter().map(|_| Tally::default()).collect();
    let mut of_service = Tally::default();
    let began = Instant::now();
    let all = Duration::from_secs_f64(60.0 * minutes);
    let kills = |tally: &Tally| tally.counts.get("kills").copied().unwrap_or(0);
    while began.elapsed() < all
        && tallies.iter().map(kills).sum::<u64>() + kills(&of_service) < most_kills
    {
        for ((job, reference), tally) in jobs.iter().zip(&references).zip(&mut tallies) {
            bench.trial(job, reference, &mut random, tally)?;
        }
        if let Some(service) = &service {
            service.trial(&mut random, &mut of_service)?;
        }
    }
    let names = jobs.iter().map(|job| job.name).chain(["serve"]);
    let mut is_whole = true;
    for (name, tally) in names.zip(tallies.iter().chain([&of_service])) {
        let counts = tally.counts.iter();
        let counts: Vec<String> = counts.map(|(what, n)| format!("{n} {what}")).collect();
        let n = tally.faults.len();
        println!("{name}: {}, {n} faults", counts.join(", "));
        tally.faults.iter().for_each(|fault| println!("  {fault}"));
        is_whole &= tally.faults.is_empty();
    }
    println!("in {:.0} s", began.elapsed().as_secs_f64());
    match is_whole {
        true => Ok(()),
        false => anyhow::bail!("something was lost"),
    }
}
