//! `sidelight features CONFIG|RUN [TABLE]`

use std::time::Instant;

use sidelight::loader::LoaderOptions;
use sidelight::predict::{FeatureExtractor, FeatureOptions};

use super::{Answer, predict, problems};
use crate::args::Configured;
use crate::args::features::FeaturesArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Terminal, count};

/// Computes what the backbone says of every row's image and writes it.
pub(crate) fn run(args: &FeaturesArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let out = args.out.display();
    if args.out.is_file() && !args.overwrite {
        anyhow::bail!(Refusal::new(
            format!("{out} already exists"),
            "--overwrite replaces it; another file with --out keeps both",
        ));
    }
    args.machine.prepare()?;
    let mut extractor = match args.source.is_dir() {
        true => of_run(args)?,
        false => of_config(args, terminal)?,
    };
    if !args.image.is_empty() {
        extractor = extractor.with_images(&args.image)?;
    }
    let start = Instant::now();
    let options = FeatureOptions {
        loader: LoaderOptions {
            workers: args.machine.threads,
            ..LoaderOptions::default()
        },
        stop: Some(stop::on_ctrl_c()?),
        on_progress: Some(&mut |progress| {
            terminal.progress(|| predict::in_words(&progress, start));
        }),
    };
    let tables = (!args.table.is_empty()).then_some(&args.table[..]);
    let Some(written) = extractor.write(tables, &args.out, options)? else {
        anyhow::bail!(Refusal::new(
            format!("stopped; {out} was not written"),
            "run the same command again",
        ));
    };
    let (n_rows, n_bad) = (written.n_rows, written.n_bad);
    problems::list_without("features", n_bad, n_rows, &written.first_bad, terminal);
    terminal.say(format!(
        "{} of {}: {out}",
        count(n_rows, "row"),
        count(written.width, "feature")
    ));
    match n_bad {
        0 => Ok(Answer::Done),
        _ => Ok(Answer::No),
    }
}

/// The backbone of a configuration.
fn of_config(args: &FeaturesArgs, terminal: &mut Terminal) -> anyhow::Result<FeatureExtractor> {
    let configured = Configured::new(args.source.clone(), args.overrides.set.clone());
    let config = configured.read_to_build(&args.machine, terminal)?;
    if config.model.begins_from_scratch() {
        terminal.warn(format!(
            "`{}` has random weights (`model.weights = \"none\"`): its features say little",
            config.model.backbone
        ));
    }
    Ok(FeatureExtractor::of_config(&config)?)
}

/// The trained backbone of a run.
fn of_run(args: &FeaturesArgs) -> anyhow::Result<FeatureExtractor> {
    if !args.overrides.set.is_empty() {
        anyhow::bail!(Refusal::new(
            "the configuration of a run cannot be overridden",
            "leave out --set, or give a sidelight.toml",
        ));
    }
    Ok(FeatureExtractor::of_model(
        &args.machine.load(&args.source)?,
    )?)
}
