//! `sidelight compare CONFIG --out DIR`

use std::sync::Arc;

use sidelight::compare::{CompareOptions, Compared, Earlier, Event, Speed, Work, compare};
use sidelight::evidence::{Difference, Evidence};
use sidelight::ranks::Ranks;

use super::Answer;
use crate::args::Format;
use crate::args::compare::CompareArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Cell, Table, Terminal, count, duration};

/// Compares the arms, and prints them with the verdict and its doubts.
pub(crate) fn run(
    args: &CompareArgs,
    terminal: &mut Terminal,
    ranks: &Arc<dyn Ranks>,
) -> anyhow::Result<Answer> {
    let config = args
        .configured
        .read_on_all(&**ranks, &args.machine, terminal)?;
    let mut progress = Progress::default();
    let options = CompareOptions {
        out: args.out.clone(),
        earlier: if args.overwrite {
            Earlier::Discard
        } else {
            Earlier::Reuse
        },
        folds: args.folds,
        seeds: args.seeds,
        arms: args.arms.clone(),
        metric: args.metric.clone(),
        speed: if args.quick {
            Speed::Quick
        } else {
            Speed::Full
        },
        work: match args.jobs {
            Some((index, of)) => Work::Share {
                index: index - 1,
                of,
            },
            None if args.merge => Work::Join,
            None => Work::All,
        },
        cache: args.cached.features(),
        ranks: Arc::clone(ranks),
        stop: Some(stop::on_ctrl_c()?),
        on_event: Some(&mut |event| progress.narrate(terminal, &event)),
    };
    let out = args.out.display();
    match compare(&config, options)? {
        Compared::Answer(evidence) => {
            let format = args.printed.format;
            terminal.table(&table(&evidence, format), format)?;
            terminal.conclude(&evidence.verdict.sentence, format)?;
            for entry in &evidence.verdict.doubts {
                terminal.warn(&entry.sentence);
            }
            terminal.say(format!(
                "report: {}",
                args.out.join("report.html").display()
            ));
        }
        Compared::Share { done, jobs } if done == jobs => {
            terminal.say(format!("all {jobs} trainings are in {out}; run the same command with --merge instead of --jobs for the result"));
        }
        Compared::Share { done, jobs } => {
            terminal.say(format!(
                "this share is done; {done} of all {jobs} trainings are in {out}"
            ));
        }
        Compared::Stopped { done, jobs } => {
            anyhow::bail!(Refusal::new(
                format!("stopped; {done} of {jobs} trainings are saved in {out}"),
                "run the same command again to continue",
            ));
        }
    }
    Ok(Answer::Done)
}

/// The reference that differences are taken from.
const REFERENCE: &str = "image";

/// Every arm, with its difference from the image alone in the metric, the bounds of its 95 % interval, and p. The column
/// names of JSON and CSV are short, for programs.
fn table(evidence: &Evidence, format: Format) -> Table {
    let [difference, low, high, p] = match format {
        Format::Text => ["vs image", "95 % low", "95 % high", "p"],
        _ => ["difference", "low", "high", "p"],
    };
    let metric = evidence.metric.name.as_str();
    let mut table = Table::new(["arm", metric, "sd", "n", difference, low, high, p]);
    for arm in &evidence.arms {
        let line = evidence.differences.iter().find(|line| {
            line.arm == arm.name && line.reference == REFERENCE && line.metric == metric
        });
        let of = |number: fn(&Difference) -> f64| -> Cell { line.map(number).into() };
        table.push([
            arm.name.as_str().into(),
            arm.mean.into(),
            arm.sd.into(),
            arm.n.into(),
            of(|line| line.delta),
            of(|line| line.low),
            of(|line| line.high),
            of(|line| line.p),
        ]);
    }
    table
}

/// The parts of the progress line.
#[derive(Debug, Default)]
struct Progress {
    job: String,
    left: String,
}

impl Progress {
    fn narrate(&mut self, terminal: &mut Terminal, event: &Event) {
        match event {
            Event::Remark(remark) => terminal.say(remark),
            Event::Plan {
                arms,
                rows,
                folds,
                seeds,
                jobs,
                kept,
                todo,
            } => {
                let seeds = if *seeds > 1 {
                    format!(" × {seeds} seeds")
                } else {
                    String::new()
                };
                terminal.say(format!(
                    "comparing {} on the same {folds} folds{seeds}, {rows} rows: {}",
                    count(arms.len(), "arm"),
                    arms.join(", ")
                ));
                let kept = if *kept > 0 {
                    format!(", {kept} are done already")
                } else {
                    String::new()
                };
                terminal.say(format!("{}{kept}; {todo} to run", count(*jobs, "training")));
            }
            Event::Features { done, rows } => {
                terminal.progress(|| format!("features, computed once: {done} of {rows} rows"));
            }
            Event::Job {
                name,
                number,
                of,
                seconds_left,
            } => {
                self.job = format!("training {number} of {of}: {name}");
                self.left = seconds_left.map_or_else(String::new, |seconds| {
                    format!(", {} left", duration(seconds))
                });
                terminal.progress(|| format!("{}{}", self.job, self.left));
            }
            Event::Step { done } => {
                terminal.progress(|| format!("{}, {:.0} %{}", self.job, 100.0 * done, self.left));
            }
            Event::Weighing => terminal.progress(|| "weighing the evidence".into()),
            _ => {}
        }
    }
}
