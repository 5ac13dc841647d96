//! Scores beside those of a constant guess: what is no better has learned nothing.

use sidelight::metric::better;

use crate::terminal::{Cell, Table, significant};

/// The metrics of `n` rows; beside them, where there is one, what a constant guess from the training rows scores.
pub(super) fn table(values: &[(String, f64)], constant: &[(String, f64)], n: usize) -> Table {
    if constant.is_empty() {
        let mut table = Table::new(["metric", "value", "n"]);
        for (name, value) in values {
            table.push([name.as_str().into(), (*value).into(), n.into()]);
        }
        return table;
    }
    let mut table = Table::new(["metric", "value", "constant", "n"]);
    for (name, value) in values {
        table.push([
            name.as_str().into(),
            (*value).into(),
            guessed(constant, name),
            n.into(),
        ]);
    }
    table
}

/// What a constant guess scores by this metric.
pub(super) fn guessed(constant: &[(String, f64)], name: &str) -> Cell {
    let found = constant.iter().find(|(known, _)| known == name);
    Cell::from(found.map(|(_, value)| *value))
}

/// Where the first metric is no better than a constant guess's: a sentence that says so.
pub(super) fn doubt(values: &[(String, f64)], constant: &[(String, f64)]) -> Option<String> {
    let (name, value) = values.first()?;
    let (_, guess) = constant.iter().find(|(known, _)| known == name)?;
    let is_better = better(name).prefers(*value, *guess);
    // Where one class is commoner than the others, always saying it is accurate.
    let balanced = constant
        .iter()
        .find(|(known, _)| known == "balanced_accuracy");
    let is_uneven = name == "accuracy" && balanced.is_some_and(|(_, even)| even + 0.1 < *guess);
    let way = match is_uneven {
        true => {
            "; `balanced_accuracy` counts every class alike, and `train.class_weights = true` learns so"
        }
        false => "",
    };
    (!is_better).then(|| {
        format!(
            "no better than a constant guess: {name} {} against {}{way}",
            significant(*value),
            significant(*guess)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_better_than_a_constant_guess_is_said() {
        let scores = |name: &str, value: f64| vec![(name.to_owned(), value)];
        let (value, guess) = (scores("accuracy", 0.95), scores("accuracy", 0.95));
        let said = doubt(&value, &guess).unwrap();
        assert!(said.contains("accuracy 0.9500 against 0.9500"), "{said}");
        assert_eq!(doubt(&scores("accuracy", 0.96), &guess), None);
        assert_eq!(doubt(&scores("mae", 1.0), &scores("mae", 1.5)), None);
        assert!(doubt(&scores("mae", 1.6), &scores("mae", 1.5)).is_some());
        assert_eq!(doubt(&value, &[]), None);
    }
}
