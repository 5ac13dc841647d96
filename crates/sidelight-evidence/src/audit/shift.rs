//! Whether a column, or the target, is distributed differently in training rows and in the others.

use crate::statistics::two_sample::{Shift, category_shift, kolmogorov_smirnov};
use sidelight_data::config::TargetScale;
use sidelight_data::dataset::{MetadataValues, Split, Targets};

/// Shift of a column: categories and truth values by total variation, missing being one of them; numbers and
/// times by Kolmogorov and Smirnov's distance of the known ones. `None`: nothing to compare.
pub(super) fn of_column(values: &MetadataValues, parts: &[Split]) -> Option<Shift> {
    match values {
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => {
            numbers(values.iter().copied(), parts)
        }
        names => {
            let (levels, codes) = names.levels()?;
            let code = |code: Option<u32>| code.map_or(levels.len(), |code| code as usize);
            categories(codes.into_iter().map(code), levels.len() + 1, parts)
        }
    }
}

/// Shift of whether a column is missing.
pub(super) fn of_gaps(values: &MetadataValues, parts: &[Split]) -> Option<Shift> {
    categories(values.missing().into_iter().map(usize::from), 2, parts)
}

/// Shift of the target: the class, or the value of its first column. `None` for labels and points.
pub(super) fn of_target(targets: &Targets, scale: TargetScale, parts: &[Split]) -> Option<Shift> {
    match targets {
        Targets::Class { names, index } => {
            let code = |class: &Option<u32>| class.map_or(names.len(), |class| class as usize);
            categories(index.iter().map(code), names.len() + 1, parts)
        }
        Targets::Regression { names, values } => {
            let first = values.iter().step_by(names.len());
            let learned = |value: &f64| scale.forward(*value);
            let known = |value: f64| (!value.is_nan()).then_some(value);
            numbers(first.map(learned).map(known), parts)
        }
        Targets::Multilabel { .. } | Targets::Keypoints { .. } => None,
    }
}

fn categories(codes: impl Iterator<Item = usize>, n: usize, parts: &[Split]) -> Option<Shift> {
    let mut counts = [vec![0; n], vec![0; n]];
    for (code, part) in codes.zip(parts) {
        counts[usize::from(*part != Split::Train)][code] += 1;
    }
    category_shift(&counts[0], &counts[1])
}

fn numbers(values: impl Iterator<Item = Option<f64>>, parts: &[Split]) -> Option<Shift> {
    let mut samples = [Vec::new(), Vec::new()];
    for (value, part) in values.zip(parts) {
        samples[usize::from(*part != Split::Train)].extend(value);
    }
    kolmogorov_smirnov(&samples[0], &samples[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_known_in_one_part_only_has_shifted() {
        let parts: Vec<Split> = (0..40)
            .map(|row| if row < 20 { Split::Train } else { Split::Test })
            .collect();
        let values = (0..40).map(|row| (row < 20).then_some(row % 2 == 0));
        let values = MetadataValues::Boolean(values.collect());
        assert_eq!(
            of_column(&values, &parts).map(|shift| shift.distance),
            Some(1.0)
        );
        assert_eq!(
            of_gaps(&values, &parts).map(|shift| shift.distance),
            Some(1.0)
        );
        // There is nothing to compare the known values with.
        let values = (0..40).map(|row| (row < 20).then_some(f64::from(row)));
        assert_eq!(
            of_column(&MetadataValues::Continuous(values.collect()), &parts),
            None
        );
    }
}
