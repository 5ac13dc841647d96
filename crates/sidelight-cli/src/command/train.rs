//! `sidelight train CONFIG --out DIR`

use std::sync::Arc;

use serde_json::Value;

use sidelight::config::Config;
use sidelight::ranks::Ranks;
use sidelight::run::{Existing, MetricsFile, Run};
use sidelight::train::{TrainOptions, Trained, train};

use super::narration::narrate;
use super::{Answer, baseline};
use crate::args::Configured;
use crate::args::train::TrainArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Terminal, count, duration, significant};

/// Trains, and prints the metrics of the validation rows.
pub(crate) fn run(
    args: &TrainArgs,
    terminal: &mut Terminal,
    ranks: &Arc<dyn Ranks>,
) -> anyhow::Result<Answer> {
    let config = configured(args).read_on_all(&**ranks, &args.machine, terminal)?;
    if args.resume
        && let Ok(run) = Run::open(&args.out)
    {
        refuse_other(&config, &run, args)?;
        run.tidy();
        terminal.say(format!(
            "{} is a finished run: there is nothing to resume",
            args.out.display()
        ));
        let kept = run.metrics()?;
        print(
            &kept.metrics,
            &kept.constant,
            kept.rows.valid,
            args,
            terminal,
        )?;
        say_groups(&kept, terminal);
        return Ok(Answer::Done);
    }
    let options = TrainOptions {
        out: args.out.clone(),
        existing: match (args.resume, args.overwrite) {
            (true, _) => Existing::Resume,
            (_, true) => Existing::Overwrite,
            _ => Existing::Refuse,
        },
        cache: args.cached.features(),
        ranks: Arc::clone(ranks),
        stop: Some(stop::on_ctrl_c()?),
        on_event: Some(&mut |event| narrate(terminal, "", &event)),
    };
    let Trained {
        metrics,
        constant,
        run,
        ..
    } = train(&config, options)?;
    let out = args.out.display();
    let Some(metrics) = metrics else {
        anyhow::bail!(Refusal::new(
            format!("stopped; a checkpoint is saved in {out}"),
            format!(
                "continue with `sidelight train {} --out {out}{} --resume`",
                args.configured.config.display(),
                args.folds
                    .map_or_else(String::new, |n| format!(" --folds {n}")),
            ),
        ));
    };
    let constant = constant.map_or_else(Vec::new, |constant| constant.values);
    print(&metrics.values, &constant, metrics.n, args, terminal)?;
    if !ranks.is_first() {
        return Ok(Answer::Done);
    }
    let kept = run.metrics()?;
    say_groups(&kept, terminal);
    terminal.say(format!(
        "trained in {}; report: {}",
        duration(kept.seconds),
        run.report_path().display()
    ));
    Ok(Answer::Done)
}

/// The configuration with what the options of this command say of it.
fn configured(args: &TrainArgs) -> Configured {
    let Configured { config, overrides } = &args.configured;
    let folds = args.folds.map(|n| format!("data.split.folds={n}"));
    let set = overrides.set.iter().cloned().chain(folds);
    Configured::new(config.clone(), set.collect())
}

/// The first metrics of groups, where they have several rows each.
fn say_groups(kept: &MetricsFile, terminal: &mut Terminal) {
    let Some(groups) = &kept.by_group else {
        return;
    };
    let metrics = groups.metrics.iter().take(3);
    let metrics: Vec<String> = metrics
        .map(|(name, value)| format!("{name} {}", significant(*value)))
        .collect();
    terminal.say(format!(
        "{} by `{}`, the mean of their rows: {}",
        count(groups.n, "group"),
        groups.column,
        metrics.join(", ")
    ));
}

/// Refuses to take a finished run for the one that is asked for, if that would be trained otherwise.
fn refuse_other(config: &Config, run: &Run, args: &TrainArgs) -> anyhow::Result<()> {
    let settings = |config: &Config| -> anyhow::Result<Vec<(String, Value)>> {
        let whole = serde_json::to_value(config)?;
        let sections = ["target", "model", "train", "augment"].into_iter();
        let of_section = |section: &str| {
            let fields = whole.get(section).and_then(Value::as_object).cloned();
            let fields = fields.unwrap_or_default().into_iter();
            fields
                .map(|(name, value)| (format!("{section}.{name}"), value))
                .collect::<Vec<_>>()
        };
        let folds = config.data.split.folds.into();
        let folds = std::iter::once(("data.split.folds".to_owned(), folds));
        Ok(sections.flat_map(of_section).chain(folds).collect())
    };
    let (begun, now) = (settings(&run.config()?)?, settings(config)?);
    let may_differ = [
        "train.workers",
        "train.memory",
        "train.checkpoint_steps",
        "train.log",
        "model.arm",
        "model.weights",
    ];
    let other = now.iter().find(|(field, value)| {
        !may_differ.contains(&field.as_str())
            && begun
                .iter()
                .find(|(known, _)| known == field)
                .map(|(_, value)| value)
                != Some(value)
    });
    let Some((field, now)) = other else {
        return Ok(());
    };
    let begun = begun.iter().find(|(known, _)| known == field);
    let begun = begun.map_or_else(|| "nothing".into(), |(_, value)| value.to_string());
    let (out, config) = (args.out.display(), args.configured.config.display());
    anyhow::bail!(Refusal::new(
        format!("{out} is finished: it was trained with `{field} = {begun}`, now it is `{now}`"),
        format!(
            "begin a run from its weights: `sidelight train {config} --out OTHER --set model.weights={out} --set train.freeze_epochs=0`; --overwrite begins anew"
        ),
    ));
}

/// The metrics of `n` validation rows as a table, beside them what a constant guess scores.
fn print(
    values: &[(String, f64)],
    constant: &[(String, f64)],
    n: usize,
    args: &TrainArgs,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let table = baseline::table(values, constant, n);
    terminal.table(&table, args.printed.format)?;
    if let Some(doubt) = baseline::doubt(values, constant) {
        terminal.warn(doubt);
    }
    Ok(())
}
