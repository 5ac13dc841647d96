//! From a trained session to a finished run: predictions, scores, model, report.

use crate::batch::{Predictions, score_groups};
use crate::config::Config;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::metric::{self, Metrics};
use crate::run::{
    Event, Extra, GroupScores, MetricsFile, PredictionsWriter, RowCounts, RunFolder,
    prediction_rows,
};
use crate::task::Task;

#[cfg(feature = "report")]
use super::page;
use super::{Session, Setup, TrainingLog};

/// Writes everything that a finished run has.
///
/// # Errors
///
/// [`DataError::Write`](crate::error::DataError::Write).
pub(super) fn finish(
    session: Session,
    predicted: &Predictions,
    metrics: &Metrics,
    constant: Option<&Metrics>,
    folder: RunFolder,
    log: &mut TrainingLog<'_>,
) -> Result<()> {
    let unreadable = session.setup.batches.unreadable.as_ref();
    if let Some(list) = unreadable.filter(|list| !list.is_empty()) {
        log.warn(format!(
            "{} records could not be read and were passed over: {}",
            list.len(),
            folder.skipped_path().display()
        ));
    }
    let done = Event::Done {
        seconds: session.state.progress.seconds,
        metrics: metrics.values.clone(),
    };
    // The report is made of the log, and so that comes before it; who watches is told when all is there.
    log.write(&done);

    let Setup { batches, task, .. } = &session.setup;
    let dataset = &batches.source.dataset;
    write_predictions(dataset, task, &batches.valid, predicted, &folder)?;
    #[cfg(feature = "report")]
    if let Err(error) = page::page(&session, predicted, metrics, &folder)
        .and_then(|page| folder.write_report(&page.html()))
    {
        // The report can be made again from the rest.
        log.warn(format!("warning: no report: {error}"));
    }
    let mut scores = metrics_file(&session, metrics, constant);
    scores.by_group = session.score_of_groups(predicted).map(GroupScores::from);
    let model = session.into_model();
    folder.write_model(|dir| model.save(dir))?;
    folder.finish(&scores)?;
    log.tell(done);
    Ok(())
}

/// Writes what was predicted of these rows beside what is true.
pub(super) fn write_predictions(
    dataset: &Dataset,
    task: &Task,
    rows: &[usize],
    predicted: &Predictions,
    folder: &RunFolder,
) -> Result<()> {
    let mut extras = vec![Extra::Target, Extra::Loss];
    if dataset.groups.is_some() {
        extras.insert(0, Extra::Group);
    }
    let known = || predicted.predictions.iter().flatten();
    if known().any(|prediction| !prediction.confidence().is_empty()) {
        extras.push(Extra::Confidence);
    }
    let candidates = known().map(|prediction| prediction.candidates().len());
    extras.extend(candidates.max().filter(|n| *n > 0).map(Extra::Candidates));
    let mut writer = PredictionsWriter::create(&folder.predictions_path(), task, &extras)?;
    let rows: Vec<_> = prediction_rows(
        dataset,
        rows,
        &predicted.predictions,
        predicted.losses.as_deref(),
    )
    .collect();
    writer.write(&rows)?;
    Ok(writer.finish()?)
}

fn metrics_file(session: &Session, metrics: &Metrics, constant: Option<&Metrics>) -> MetricsFile {
    let Setup {
        config, batches, ..
    } = &session.setup;
    let progress = &session.state.progress;
    MetricsFile {
        rows: RowCounts {
            train: batches.train.len(),
            valid: batches.valid.len(),
        },
        seconds: progress.seconds,
        images_per_second: progress.total_rows as f64 / progress.seconds.max(1e-9),
        ..scores_file(config, metrics, constant)
    }
}

/// A `metrics.json` of these scores, without what is known of the training.
pub(super) fn scores_file(
    config: &Config,
    metrics: &Metrics,
    constant: Option<&Metrics>,
) -> MetricsFile {
    let finite = |value: f64| value.is_finite().then_some(value);
    let part = |(part, scores): &(String, Vec<(String, f64)>)| {
        (
            part.clone(),
            scores
                .iter()
                .map(|(name, value)| (name.clone(), finite(*value)))
                .collect(),
        )
    };
    MetricsFile {
        metrics: metrics.values.clone(),
        constant: constant.map_or_else(Vec::new, |constant| constant.values.clone()),
        per_part: metrics.per_part.iter().map(part).collect(),
        ..MetricsFile::new(config.target.kind, config.model.arm)
    }
}

/// Scores of the groups of rows (`data.group`), and the column that they are of; `None` where each has a row, or they have no
/// score.
pub(super) fn group_scores(
    config: &Config,
    task: &Task,
    dataset: &Dataset,
    rows: &[usize],
    predicted: &Predictions,
) -> Option<(String, Metrics)> {
    let groups = dataset.groups.as_ref()?;
    if !metric::are_several(rows.iter().map(|&row| groups[row])) {
        return None;
    }
    let found = score_groups(task, dataset, rows, &predicted.predictions)?;
    Some((config.data.group.clone()?, found.ok()?))
}
