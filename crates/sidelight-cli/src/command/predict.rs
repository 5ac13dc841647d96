//! `sidelight predict RUN TABLE --out FILE`

use sidelight::predict::Model;
use sidelight::run::{Extra, PredictionRow, PredictionsWriter, Run, prediction_rows};

use super::{Answer, problems, rows};
use crate::args::PredictArgs;
use crate::terminal::{Terminal, count};

/// Predicts every row of a table and writes them.
pub(crate) fn run(args: &PredictArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let mut model = Model::load(&Run::open(&args.run)?.model_dir())?;
    args.machine.configure_model(&mut model);
    let dataset = rows::of_table(&model.config, &args.table, terminal)?;
    // Made before the work, so that a name or a folder that cannot be used is said at once.
    let mut writer = PredictionsWriter::create(&args.out, &model.task, &[Extra::Problem])?;
    let options = args.looks.options();
    let predictions = model.predict_with(&dataset, options, &mut |done, all| {
        terminal.progress(|| args.looks.progress(done, all))
    })?;
    let positions: Vec<usize> = (0..dataset.len()).collect();
    let mut table: Vec<PredictionRow<'_>> =
        prediction_rows(&dataset, &positions, &predictions.predictions, None).collect();
    for (position, error) in &predictions.problems {
        table[*position].problem = Some(problems::in_full(error));
    }
    writer.write(&table)?;
    writer.finish()?;
    problems::say(&dataset, &predictions, terminal);
    terminal.say(format!(
        "{} predicted: {}",
        count(dataset.len() - predictions.problems.len(), "row"),
        args.out.display()
    ));
    Ok(Answer::Done)
}
