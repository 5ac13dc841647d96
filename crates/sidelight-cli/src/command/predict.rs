//! `sidelight predict RUN TABLE --out FILE`

use std::fs::Metadata;
use std::path::Path;
use std::time::Instant;

use sidelight::annotation::{Format, check_output};
use sidelight::config::TargetKind;
use sidelight::loader::LoaderOptions;
use sidelight::predict::{
    Absent, BadRows, Model, Progress, TableOptions, TableOutcome, predict_table, write_annotations,
};
use sidelight::ranks::{Ranks, all_or_none};
use sidelight::run::{Joined, OldParts, bad_rows_path, parts_dir};
use sidelight::write::CsvText;

use super::{Answer, problems, rows};
use crate::args::predict::PredictArgs;
use crate::refusal::Refusal;
use crate::terminal::{Terminal, count, duration, significant};

/// Predicts every row of a table and writes them.
pub(crate) fn run(
    args: &PredictArgs,
    terminal: &mut Terminal,
    ranks: &dyn Ranks,
) -> anyhow::Result<Answer> {
    let (model, checksum) = all_or_none(ranks, read(args, ranks))?;
    let start = Instant::now();
    let options = TableOptions {
        loader: LoaderOptions {
            workers: args.machine.threads,
            ..LoaderOptions::default()
        },
        tta_passes: args.tta.passes(),
        coverage: args.covering.coverage,
        min_confidence: args.min_confidence,
        part_rows: args.part_rows as usize,
        share: args.shard.unwrap_or((1, 1)),
        text: match args.spreadsheet_safe {
            true => CsvText::SpreadsheetSafe,
            false => CsvText::Exact,
        },
        keep: args.keep.clone(),
        by: args.by.clone(),
        bad_rows: match args.strict {
            true => BadRows::Stop,
            false => BadRows::Listed,
        },
        absent: match args.allow_missing {
            true => Absent::Missing,
            false => Absent::Refused,
        },
        old_parts: match args.overwrite {
            true => OldParts::Discard,
            false => OldParts::Continue,
        },
        ranks,
        on_progress: Some(&mut |progress| terminal.progress(|| in_words(&progress, start))),
    };
    let out = args.predictions();
    let outcome = predict_table(&model, &checksum, &args.table, &out, options)?;
    say(&outcome, args, &out, terminal);
    if let (Some(format), Joined::Whole, true) = (args.format, outcome.joined, ranks.is_first()) {
        write_annotations(&model, &out, &args.keep, format.into(), &args.out)?;
        terminal.say(format!("annotations: {}", args.out.display()));
    }
    match outcome.n_bad {
        0 => Ok(Answer::Done),
        _ => Ok(Answer::No),
    }
}

/// The model and its checksum.
fn read(args: &PredictArgs, ranks: &dyn Ranks) -> anyhow::Result<(Model, String)> {
    if !ranks.is_alone() {
        shared_out(args)?;
    }
    args.machine.prepare()?;
    let mut model = args.machine.load(&args.run)?;
    rows::with_images(&mut model, &args.images)?;
    if let Some(format) = args.format {
        check_format(&model, format.into(), &args.out)?;
    }
    let checksum = Model::checksum(&Model::folder(&args.run)?)?;
    Ok((model, checksum))
}

/// Refuses before anything is predicted what cannot be written as annotations.
fn check_format(model: &Model, format: Format, out: &Path) -> anyhow::Result<()> {
    let kind = model.task.kind();
    if kind != TargetKind::Keypoints {
        anyhow::bail!(Refusal::new(
            format!("--format writes keypoints, and the model predicts a target of kind {kind}"),
            "leave it out",
        ));
    }
    Ok(check_output(format, out)?)
}

/// Refuses what several processes of one job cannot do.
fn shared_out(args: &PredictArgs) -> anyhow::Result<()> {
    if args.shard.is_some() {
        anyhow::bail!(Refusal::new(
            "--shard cannot be used under mpirun: its processes already share the table",
            "use one of the two",
        ));
    }
    let is_device = |found: Metadata| !found.is_file() && !found.is_dir();
    if std::fs::metadata(&args.out).is_ok_and(is_device) {
        anyhow::bail!(Refusal::new(
            format!(
                "{} is not a file, and under mpirun the parts are written beside it",
                args.out.display()
            ),
            "choose a file with --out",
        ));
    }
    Ok(())
}

/// Rows done, rows per second, and time left. The number of rows is known only at the end.
pub(super) fn in_words(progress: &Progress, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64().max(1e-3);
    let rate = significant(progress.n_rows as f64 / seconds);
    let rows = count(progress.n_rows, "row");
    let percent = 100.0 * progress.share_read;
    let read = progress.share_read - progress.share_before;
    let mut text = format!("{rows}, {rate} per second, {percent:.0} % of the table");
    if read > 0.0 {
        let left = seconds * (1.0 - progress.share_read) / read;
        text += &format!(", {} left", duration(left));
    }
    text
}

/// Reports what was noticed, then the rows without a prediction, last whether the output is complete.
fn say(outcome: &TableOutcome, args: &PredictArgs, out: &Path, terminal: &mut Terminal) {
    if outcome.n_parts_before > 0 {
        terminal.say(format!(
            "{} of {} done already",
            outcome.n_parts_before,
            count(outcome.n_parts, "part")
        ));
    }
    if outcome.n_parts > 1 && outcome.part_rows != args.part_rows as usize {
        terminal.say(format!(
            "parts of {} instead of {}: --part-rows is rounded up to whole batches",
            count(outcome.part_rows, "row"),
            args.part_rows
        ));
    }
    for column in &outcome.absent {
        terminal.warn(format!(
            "the table has no column `{column}`: treated as missing in every row"
        ));
    }
    for sentence in outcome.unseen.sentences() {
        terminal.warn(sentence);
    }
    let n_bad = outcome.n_bad;
    problems::list(n_bad, outcome.n_rows, &outcome.first_bad, terminal);
    let done = count(outcome.n_rows - n_bad, "row");
    let of_bad = match n_bad {
        0 => String::new(),
        n => format!(", {} without a prediction", count(n, "row")),
    };
    let parts = parts_dir(out);
    terminal.say(match outcome.joined {
        Joined::Whole => {
            let side = match n_bad {
                0 => String::new(),
                _ => beside(out),
            };
            let groups = match (outcome.n_groups, &args.by) {
                (Some(n), Some(by)) => format!(", {} by `{by}`", count(n, "group")),
                _ => String::new(),
            };
            format!("{done} predicted{of_bad}{groups}: {}{side}", out.display())
        }
        Joined::OthersAtWork => format!(
            "{done} predicted{of_bad}; other processes are still writing to {}, and the last to finish joins the parts",
            parts.display()
        ),
        Joined::Missing(missing) => format!(
            "{done} predicted{of_bad}; {missing} of {} are still missing from {}: the process that writes the last joins them",
            count(outcome.n_parts, "part"),
            parts.display()
        ),
    });
}

/// Where the rows without a prediction are listed; not beside a device.
fn beside(out: &Path) -> String {
    let bad = bad_rows_path(out);
    match bad.exists() {
        true => format!(", the reasons in {}", bad.display()),
        false => String::new(),
    }
}
