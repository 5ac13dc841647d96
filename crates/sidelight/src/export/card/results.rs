//! How good the model is, and whether the metadata helps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Card, MOST_NAMES, code, prose, table, text};
use crate::compare::{Speed, StoredAnswer};
use crate::evidence::{ArmScore, Difference, Evidence};
use crate::metric::{better, meaning};
use crate::number::{count, counted, number, signed};

impl Card<'_> {
    /// What a comparison says, or how to make one.
    pub(super) fn verdict(&self) -> String {
        match self.answer {
            Some(answer) => answer_in_words(answer),
            None if self.model.config.metadata.is_empty() => {
                "**Not asked**: the training table had no metadata beside the images.".into()
            }
            None => "**Not tested.** It is not known whether the metadata makes these predictions better, or worse. Beside the \
                     table, and `RUN` being the run that this was exported from,\n\n```sh\nsidelight compare config.toml --out answer\n\
                     sidelight export RUN --hub . --comparison answer --overwrite\n```\n\ntrains the model with and without it on \
                     the same folds, beside controls, and writes the answer here."
                .into(),
        }
    }

    pub(super) fn results(&self) -> String {
        let metrics = self.metrics;
        let constant = |name: &str| {
            let found = metrics.constant.iter().find(|(known, _)| known == name);
            found.map_or_else(|| "–".to_owned(), |(_, value)| number(*value))
        };
        let has_constant = !metrics.constant.is_empty();
        let row = |(name, value): &(String, f64)| {
            let mut row = vec![code(name), number(*value)];
            row.extend(has_constant.then(|| constant(name)));
            row.push(format!(
                "{}; {}",
                prose(&meaning(name)),
                better(name).words()
            ));
            row
        };
        let rows: Vec<Vec<String>> = metrics.metrics.iter().map(row).collect();
        let header: &[&str] = match has_constant {
            true => &["metric", "value", "constant guess", "what it is"],
            false => &["metric", "value", "what it is"],
        };
        let folds = match self.model.config.data.split.joins_folds() {
            true => {
                ", each predicted by that one of the models whose weights were not learned from it"
            }
            false => ", which the network's weights were not learned from",
        };
        let mut results = format!(
            "On {} validation rows{folds}{}.\n\n{}",
            count(metrics.rows.valid),
            match self.model.config.train.restores_best() {
                true =>
                    "; the best epoch was chosen by them, so that these scores flatter the model a little",
                false => "",
            },
            table(header, &rows)
        );
        if has_constant {
            results.push_str("\nThe constant guess is what is best without any input, made from the training rows.\n");
        }
        results.push_str(match self.answer {
            Some(_) => "\nThese are of one division of the rows, without intervals; differences with intervals are above.\n",
            None => "\nThese are of one division of the rows, without intervals.\n",
        });
        if let Some(groups) = &metrics.by_group {
            let scores = groups.metrics.iter().take(3);
            let scores: Vec<String> = scores
                .map(|(name, value)| format!("{} {}", code(name), number(*value)))
                .collect();
            let _ = write!(
                results,
                "\nOf {} by {}, each scored once by the mean of what is said of its rows: {}.\n",
                counted(groups.n, "group"),
                code(&groups.column),
                scores.join(", ")
            );
        }
        results.push_str(&self.parts());
        results
    }

    /// The scores of each class, label, point or column.
    fn parts(&self) -> String {
        let parts = &self.metrics.per_part;
        if parts.len() < 2 {
            return String::new();
        }
        let mut names: Vec<&str> = Vec::new();
        for name in parts.values().flat_map(BTreeMap::keys) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        // How many rows comes first.
        names.sort_by_key(|name| *name != "n");
        let score = |value: Option<&Option<f64>>| {
            value.copied().flatten().map_or_else(|| "–".into(), number)
        };
        // In the order of the model's outputs, where these have the names.
        let own = self.model.task.part_names();
        let mut ordered: Vec<_> = parts.iter().collect();
        ordered.sort_by_key(|(part, _)| own.iter().position(|name| name == *part));
        let rows: Vec<Vec<String>> = ordered
            .into_iter()
            .take(MOST_NAMES)
            .map(|(part, scores)| {
                let scores = names.iter().map(|name| score(scores.get(*name)));
                std::iter::once(text(part)).chain(scores).collect()
            })
            .collect();
        let mut header = vec![self.model.task.part()];
        header.extend(&names);
        let mut said = format!("\n{}", table(&header, &rows));
        if let Some(more) = parts.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
            let _ = writeln!(said, "\nand {} more.", count(more));
        }
        said
    }
}

fn answer_in_words(answer: &StoredAnswer) -> String {
    let Evidence {
        verdict,
        decision,
        rows,
        units,
        folds,
        seeds,
        ..
    } = &answer.evidence;
    let units = match units == rows {
        true => String::new(),
        false => format!(" of {}", counted(*units, "independent unit")),
    };
    let speed = match answer.speed {
        Speed::Full => "everything trained",
        Speed::Quick => "heads trained on a frozen backbone",
    };
    let mut said = format!(
        "**{}**\n\nThe verdict is {}: {} against {} on {} rows{units}, each held out once in {folds} folds{}; {speed}. Decided by \
         {} (lower is better), difference {} (95 % interval {}).\n",
        prose(&verdict.sentence),
        code(verdict.code.as_str()),
        code(&decision.arm),
        code(&decision.reference),
        count(*rows),
        match seeds {
            1 => String::new(),
            seeds => format!(", {seeds} times"),
        },
        code(&decision.score),
        signed(decision.difference),
        interval(decision.low, decision.high),
    );
    match verdict.doubts.is_empty() {
        true => said.push_str("\nNothing was found that speaks against it.\n"),
        false => said.push_str("\nWhat speaks against believing it:\n\n"),
    }
    for doubt in &verdict.doubts {
        let explains = if doubt.spurious {
            " **This explains the gain away.**"
        } else {
            ""
        };
        let _ = writeln!(said, "- {}{explains}", prose(&doubt.sentence));
    }
    let _ = write!(said, "\n{}", arms(&answer.evidence));
    said
}

/// Each arm's score, and how far it is from the image alone.
fn arms(evidence: &Evidence) -> String {
    let metric = &evidence.metric.name;
    let reference = &evidence.decision.reference;
    let difference = |arm: &ArmScore| {
        let is_it = |line: &&Difference| {
            line.arm == arm.name && line.reference == *reference && line.metric == *metric
        };
        let found = evidence.differences.iter().find(is_it);
        found.map_or_else(
            || "–".to_owned(),
            |line| format!("{} ({})", signed(line.delta), interval(line.low, line.high)),
        )
    };
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let row = |arm: &ArmScore| {
        let control = if arm.role.is_control() {
            " (control)"
        } else {
            ""
        };
        vec![
            format!("{}{control}", code(&arm.name)),
            value(arm.mean),
            value(arm.sd),
            difference(arm),
            count(arm.n),
        ]
    };
    let rows: Vec<Vec<String>> = evidence.arms.iter().map(row).collect();
    let header = [
        "arm",
        &format!("{}, mean of folds", code(metric)),
        "sd over folds",
        &format!("difference from {} (95 % interval)", code(reference)),
        "rows",
    ];
    table(&header, &rows)
}

fn interval(low: f64, high: f64) -> String {
    format!("{} to {}", signed(low), signed(high))
}
