//! The corpora of the fuzz targets, each input once.

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_input_of_the_corpora_is_an_error_or_a_value() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    std::thread::scope(|scope| {
        for (name, target) in targets::TARGETS {
            let corpus = corpora.join(name);
            let run = move || {
                let entries = fs::read_dir(&corpus).unwrap();
                let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
                assert!(!paths.is_empty(), "no corpus of {name}");
                for path in paths {
                    eprintln!("{}", path.display());
                    target(&fs::read(&path).unwrap());
                }
            };
            scope.spawn(run);
        }
    });
}
