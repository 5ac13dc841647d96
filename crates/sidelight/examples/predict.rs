//! Predicts new rows with a trained model. Run the example `train` first.
//!
//! ```text
//! cargo run --release -p sidelight --example predict
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::path::Path;

use sidelight::Model;

fn main() -> sidelight::Result<()> {
    run("runs/tiny".as_ref(), "data/tiny/metadata.csv".as_ref())
}

/// Predicts the rows of `table` with the model of the run folder `run`.
pub fn run(run: &Path, table: &Path) -> sidelight::Result<()> {
    let model = Model::open(run)?;
    // The columns mean what they meant in training; the target's columns need not be there.
    let rows = model.read(table)?;

    let predicted = model.predict(&rows, Default::default())?;
    for (row, prediction) in predicted.predictions.iter().enumerate().take(3) {
        println!("row {}: {prediction:?}", row + 1);
    }
    // A row whose image cannot be read has no prediction and says why; new categories are counted.
    for (row, problem) in &predicted.problems {
        println!("row {}: {problem}", row + 1);
    }
    for sentence in predicted.unseen.sentences() {
        println!("{sentence}");
    }
    Ok(())
}
