//! The answer as a page.

use super::answer::Answer;
use super::design::Design;
use super::{Speed, arm::Arm};
use crate::error::Result;
use crate::report::{ComparisonPage, number, page};

/// Everything that the page says.
pub(super) fn page<'a>(
    design: &'a Design,
    answer: &'a Answer,
    title: &'a str,
) -> Result<ComparisonPage<'a>> {
    Ok(ComparisonPage {
        title,
        evidence: &answer.evidence,
        design: facts(design, answer),
        remarks: &design.remarks,
        config: design.config.to_toml()?,
        machine: page::machine(),
    })
}

fn facts(design: &Design, answer: &Answer) -> Vec<(String, String)> {
    let evidence = &answer.evidence;
    let config = &design.config;
    let units = match &config.data.group {
        Some(group) => format!(
            "{} values of `{group}`, never divided",
            number::count(evidence.units)
        ),
        None => format!("{} rows (no group column)", number::count(evidence.units)),
    };
    let folds = match &design.dataset.times {
        Some(times) => format!(
            ", in the order of `{}`: each is tested on what was learned from the rows before it",
            times.column
        ),
        None => String::new(),
    };
    let speed = match design.speed {
        Speed::Quick => {
            "quick: the pretrained part stays frozen and sees each image once, without random changes"
        }
        Speed::Full => "full: trained as the configuration says",
    };
    let epochs = design
        .jobs()
        .iter()
        .map(|job| design.job_config(job).train.epochs)
        .max();
    let mut facts = vec![
        ("target", target(&config.target.names())),
        ("rows", number::count(evidence.rows)),
        ("independent units", units),
        (
            "folds × seeds",
            format!("{} × {}{folds}", evidence.folds, evidence.seeds),
        ),
        ("speed", speed.to_owned()),
        (
            "backbone",
            format!("{}, {} pixels", config.model.backbone, config.train.size),
        ),
        (
            "epochs",
            format!(
                "at most {}; the best by inner validation rows, which are part of {}",
                epochs.unwrap_or(config.train.epochs),
                match design.dataset.times {
                    Some(_) => "the folds before, their latest rows",
                    None => "the other folds",
                }
            ),
        ),
        (
            "intervals",
            "95 %, by the luck of units (5000 resamples of all held-out predictions together) and of fits (fold by fold)"
                .to_owned(),
        ),
    ];
    if let Some([mean, low, high]) = answer.weight {
        facts.push(("weighted vote", format!("metadata weighs {mean:.2} ({low:.2} to {high:.2}), learned on the inner validation rows")));
    }
    if design.arms.contains(&Arm::Shuffled) {
        facts.push(("shuffled", "metadata permuted among training rows, among inner validation rows and among held-out rows".to_owned()));
    }
    facts.push(("time of all trainings", number::duration(answer.seconds)));
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The target's columns; of many the first and the last.
fn target(names: &[String]) -> String {
    match names {
        [first, second, .., last] if names.len() > 8 => {
            format!("{first}, {second}, … {last} ({} columns)", names.len())
        }
        few => few.join(", "),
    }
}
