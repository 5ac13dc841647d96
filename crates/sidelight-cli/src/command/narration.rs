//! Reports the progress of training on the terminal.

use sidelight::train::Event;

use crate::terminal::{Terminal, count, duration, significant};

/// Reports one event; `name` tells apart several models that are trained in turn.
pub(super) fn narrate(terminal: &mut Terminal, name: &str, event: &Event) {
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("{name}: ")
    };
    match event {
        Event::Remark { text } => terminal.say(text),
        Event::Resumed { total_step } => terminal.say(format!("resuming from step {total_step}")),
        Event::Plan {
            rows_train,
            rows_valid,
            valid_times,
            steps_per_epoch,
            epochs,
            frozen_epochs,
            backbone,
            n_parameters,
            target,
        } => {
            let backbone = if backbone == "none" {
                "no backbone"
            } else {
                backbone
            };
            let frozen = match *frozen_epochs {
                0 => String::new(),
                all if all == *epochs => ", the backbone frozen".to_owned(),
                first => format!(", the backbone frozen in the first {first}"),
            };
            let latest = match valid_times {
                Some([column, range]) => format!(" (the latest by `{column}`: {range})"),
                None => String::new(),
            };
            terminal.say(format!(
                "{name}{target}: {rows_train} training rows, {rows_valid} validation rows{latest}; {backbone}, {} parameters; {} of {}{frozen}",
                thousands(*n_parameters),
                count(*epochs, "epoch"),
                count(*steps_per_epoch, "step"),
            ));
        }
        Event::Features { done, rows } => {
            terminal.progress(|| format!("{name}features, computed once: {done} of {rows} rows"))
        }
        Event::Step {
            epoch,
            step,
            steps,
            loss,
            images_per_second,
            seconds_left,
            input_bound,
            ..
        } => {
            terminal.progress(|| {
                let waits = if *input_bound > 0.2 { format!(", {:.0} % waiting for images", 100.0 * input_bound) } else { String::new() };
                format!(
                    "{name}epoch {epoch}, step {step}/{steps}, loss {}, {images_per_second:.0} rows/s, {} left{waits}",
                    significant(*loss),
                    duration(*seconds_left),
                )
            });
        }
        Event::Rate {
            step,
            steps,
            rate,
            loss,
        } => terminal.progress(|| {
            format!(
                "step {step}/{steps}, rate {}, loss {}",
                significant(*rate),
                significant(*loss)
            )
        }),
        Event::Epoch {
            epoch,
            train_loss,
            valid_loss,
            score_name,
            score,
            seconds,
            best,
            ..
        } => terminal.say(format!(
            "{name}epoch {epoch:>3}  loss {}  valid {}  {score_name} {}{}  {}",
            significant(*train_loss),
            significant(*valid_loss),
            significant(*score),
            if *best { " *" } else { "  " },
            duration(*seconds),
        )),
        _ => {}
    }
}

/// `11.7 million`, `184 thousand`.
fn thousands(n: usize) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.0} thousand", n as f64 / 1e3),
        _ => format!("{:.1} million", n as f64 / 1e6),
    }
}
