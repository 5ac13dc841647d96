//! Mutants of the corpora in `fuzz/corpus`, without the nightly compiler that libFuzzer needs, and so without its guidance
//! by coverage: for `fuzz/run.sh` where there is no nightly, and to look at an input again.
//!
//! ```text
//! cargo run --release --example fuzz -- [--minutes 1] [--seed 0] [--target csv] [FILE…]
//! ```
//!
//! An input that panics, takes longer than a second or more than 400 MiB is kept in `fuzz/found/`; one that ends the
//! process is there too, as `TARGET.running`.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "torture/random.rs"]
mod random;
#[path = "../../../fuzz/targets.rs"]
mod targets;

use random::Random;
use targets::{TARGETS, Target};

/// Longest input.
const MOST_BYTES: usize = 1 << 16;
/// An input that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(1);
/// What an input may add to the memory of the process, MiB.
const MOST_MIB: u64 = 400;

/// What the formats are made of, and numbers at the limits of their types.
const WORDS: [&[u8]; 32] = [
    b"\"",
    b",",
    b"\n",
    b"\r\n",
    b"{\"",
    b"\":",
    b"[[",
    b"null",
    b"-0",
    b"1e308",
    b"\\u0000",
    b"=",
    b"[model]",
    b"\xff\xd8",
    b"\xff\xda",
    b"\xff\xd9",
    b"IHDR",
    b"IDAT",
    b"PAR1",
    b"ustar",
    b"<row>",
    b"</row>",
    b"<c t=\"s\"><v>",
    b"</v></c>",
    b" r=\"XFD1048576\"",
    b"<is><t>",
    b"&amp;",
    b"_x000D_",
    b"--B\r\n",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
];

fn main() -> anyhow::Result<()> {
    let (mut minutes, mut random, mut only) = (1.0, Random(0), None);
    let mut files: Vec<PathBuf> = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "--minutes" => minutes = value().parse()?,
            "--seed" => random.0 = value().parse()?,
            "--target" => only = Some(value()),
            _ => files.push(word.into()),
        }
    }
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let found = fuzz.join("found");
    let all = TARGETS.iter();
    let chosen: Vec<&Target> = all
        .filter(|(name, _)| only.as_ref().is_none_or(|only| only == name))
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "no such target");
    let mut is_sound = true;
    for (name, target) in &chosen {
        for file in &files {
            target(&fs::read(file)?);
        }
        if !files.is_empty() {
            continue;
        }
        let corpus = corpus(&fuzz.join("corpus").join(name))?;
        anyhow::ensure!(!corpus.is_empty(), "no corpus of {name}");
        fs::create_dir_all(&found)?;
        let running = found.join(format!("{name}.running"));
        let (began, mut n, mut n_kept) = (Instant::now(), 0_u64, 0);
        let mut slowest = Duration::ZERO;
        let share = Duration::from_secs_f64(60.0 * minutes / chosen.len() as f64);
        // What the target sets up once is none of an input's time.
        target(&corpus[0]);
        let before = peak_mib();
        while began.elapsed() < share {
            let input = mutant(&corpus, &mut random);
            fs::write(&running, &input)?;
            let start = Instant::now();
            let ran = catch_unwind(AssertUnwindSafe(|| target(&input)));
            let took = start.elapsed();
            n += 1;
            slowest = slowest.max(took);
            let is_large = peak_mib() > before + MOST_MIB;
            if ran.is_err() || took > PATIENCE || is_large {
                n_kept += 1;
                fs::write(found.join(format!("{name}-{n}")), &input)?;
            }
            // The peak does not go down: the next would be blamed for it.
            if is_large {
                break;
            }
        }
        fs::remove_file(&running)?;
        let grown = peak_mib().saturating_sub(before);
        println!(
            "{name}: {n} inputs in {:.0} s, slowest {:.0} ms, {grown} MiB more than before, {n_kept} kept",
            began.elapsed().as_secs_f64(),
            1000.0 * slowest.as_secs_f64()
        );
        is_sound &= n_kept == 0;
    }
    anyhow::ensure!(is_sound, "look at {}", found.display());
    Ok(())
}

fn corpus(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}

/// One of the corpus, changed in a few places.
fn mutant(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let one = |random: &mut Random| &corpus[random.below(corpus.len() as u64) as usize];
    let mut bytes = one(random).clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let length = short(random, 9);
        let end = (at + length).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                let times = short(random, 8);
                bytes.splice(at..at, again.repeat(times));
            }
            4 => bytes.truncate(at),
            5 => {
                let other = one(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                let until = (from + length).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
            6 => {
                let word = WORDS[random.below(WORDS.len() as u64) as usize];
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            _ => {
                let word = WORDS[random.below(WORDS.len() as u64) as usize];
                bytes.splice(at..at, word.iter().copied());
            }
        }
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

/// A number from 1 to 2 to the power of `bits`, more often a small one.
fn short(random: &mut Random, bits: u64) -> usize {
    let bits = random.below(bits);
    1 + random.below(1 << bits) as usize
}

/// The most memory that the process has had, MiB; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
