//! `sidelight check CONFIG`

use sidelight::check::{Problem, Severity, check};
use sidelight::train::rehearse;

use super::{Answer, counting_images};
use crate::args::Format;
use crate::args::check::CheckArgs;
use crate::hint;
use crate::terminal::{Table, Terminal, count};

/// Lists every problem; the answer is no if one of them would stop training.
pub(crate) fn run(args: &CheckArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let config = args.configured.read()?;
    let mut report = counting_images(terminal, |on_progress| check(&config, on_progress))?;
    if report.n_errors() == 0
        && let Some(ready) = report.ready.take()
    {
        match rehearse(ready) {
            Ok(said) => report.remarks.extend(said),
            Err(error) => {
                let error = anyhow::Error::from(error);
                let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
                let problem = Problem::training(causes.join(": "), hint::of_chain(&error));
                report.problems.insert(0, problem);
            }
        }
    }
    terminal.say_all(&report.remarks);
    match args.printed.format {
        Format::Text => terminal.data(&listed(&report.problems))?,
        format => terminal.table(&table(&report.problems), format)?,
    }
    let errors = count(report.n_errors(), "error");
    let warnings = count(report.n_warnings(), "warning");
    let seen = format!(
        "{} and {}",
        count(report.n_used, "row"),
        count(report.n_images, "image")
    );
    if report.n_errors() > 0 {
        terminal.say(format!(
            "{errors}, {warnings} in {seen}: training would fail"
        ));
        return Ok(Answer::No);
    }
    match report.n_warnings() {
        0 => terminal.say(format!("no problems in {seen}")),
        _ => terminal.say(format!("{warnings} in {seen}: training would run")),
    }
    Ok(Answer::Done)
}

fn label(problem: &Problem) -> &'static str {
    match problem.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One problem per line, with its hint below.
fn listed(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        text += &format!("{:<8} {problem}\n", label(problem));
        if let Some(hint) = &problem.hint {
            text += &format!("{:<8} hint: {hint}\n", "");
        }
    }
    text
}

fn table(problems: &[Problem]) -> Table {
    let mut table = Table::new(["severity", "problem", "hint"]);
    for problem in problems {
        table.push([
            label(problem).into(),
            problem.to_string().into(),
            problem.hint.clone().into(),
        ]);
    }
    table
}
