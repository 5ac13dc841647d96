//! A few kills of each command that writes what a person keeps, a full disk and two starters: the short form of the example
//! `torture`.

use std::path::Path;

#[path = "../../examples/torture/bench.rs"]
mod bench;
#[path = "../../examples/torture/random.rs"]
mod random;

use bench::{Bench, JOBS, Tally};
use random::Random;

#[test]
fn what_is_killed_filled_or_started_twice_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sidelight"));
    let bench = Bench::new(folder.path(), program).unwrap();
    let mut random = Random(7);
    // `compare` takes too long for a test; its runs are those of `train`.
    for job in JOBS.iter().filter(|job| job.name != "compare") {
        let reference = bench.reference(job).unwrap();
        let mut tally = Tally::default();
        bench
            .kill(job, &reference, 2, &mut random, &mut tally)
            .unwrap();
        match job.name {
            "predict" if cfg!(unix) => bench.fill(job, &reference, &mut random, &mut tally),
            "train" => bench.start_twice(job, &reference, &mut tally),
            _ => Ok(()),
        }
        .unwrap();
        assert_eq!(tally.faults, Vec::<String>::new(), "{tally:?}");
        assert!(tally.trials > 0, "{tally:?}");
    }
}
