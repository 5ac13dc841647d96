//! A few kills of each command that writes what a person keeps and of a server, a full disk, short reads and two starters:
//! the short form of the example `torture`.

use std::path::Path;

#[allow(dead_code, reason = "the example does more")]
#[path = "../../examples/torture/bench.rs"]
mod bench;
#[path = "../../examples/torture/content.rs"]
mod content;
#[path = "../../examples/torture/process.rs"]
mod process;
#[path = "../../examples/torture/random.rs"]
mod random;
#[cfg(unix)]
#[path = "../../examples/torture/serve.rs"]
mod serve;
#[allow(dead_code, reason = "the example does more")]
#[path = "../../examples/torture/shim.rs"]
mod shim;

use bench::{Bench, JOBS, Tally};
use random::Random;
use shim::Shim;

#[test]
fn what_is_killed_filled_or_started_twice_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sidelight"));
    let shim = Shim::compile(folder.path())
        .inspect_err(|why| eprintln!("SKIPPED: faults of the system's calls: {why}"));
    let bench = Bench::new(folder.path(), program, shim.ok()).unwrap();
    let mut random = Random(7);
    for job in &JOBS {
        let reference = bench.reference(job).unwrap();
        let mut tally = Tally::default();
        let (random, tally) = (&mut random, &mut tally);
        bench.kill(job, &reference, 2, random, tally).unwrap();
        match job.name {
            "predict" if cfg!(unix) => bench.fill(job, &reference, random, tally),
            "train" => bench.start_twice(job, &reference, tally),
            "export" | "compare" if bench.has_shim() => {
                bench.shorten(job, &reference, random, tally)
            }
            "overwrite" if bench.has_shim() => bench.err(job, &reference, random, tally),
            _ => Ok(()),
        }
        .unwrap();
        assert_eq!(tally.faults, Vec::<String>::new(), "{tally:?}");
        assert!(tally.counts["trials"] > 0, "{tally:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_is_killed_or_stopped_gives_whole_answers_and_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sidelight"));
    let bench = Bench::new(folder.path(), program, None).unwrap();
    let service = serve::Service::new(&bench).unwrap();
    let (mut random, mut tally) = (Random(1), Tally::default());
    for _ in 0..4 {
        service.trial(&mut random, &mut tally).unwrap();
    }
    assert_eq!(tally.faults, Vec::<String>::new(), "{tally:?}");
    assert!(tally.counts["kills"] > 0, "{tally:?}");
    assert!(tally.counts["stops"] > 0, "{tally:?}");
}
