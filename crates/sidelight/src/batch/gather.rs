//! Predictions that several ranks made, each of its share of the rows, put together.

use std::sync::Arc;

use crate::encode::Unseen;
use crate::error::{Error, Result, in_full};
use crate::ranks::{Ranks, gather_numbers};
use crate::task::{Candidate, Confidence, Prediction, Task};

use super::Predictions;

/// The predictions of all ranks, one's after the other's; `first` is the place of a rank's first row among all.
///
/// # Errors
///
/// [`Error::RanksDiffer`]: the others are another version of the program.
pub(crate) fn gather(
    ranks: &dyn Ranks,
    task: &Task,
    own: Predictions,
    first: usize,
) -> Result<Predictions> {
    if ranks.is_alone() {
        return Ok(own);
    }
    // Points say how sure they are, each in two numbers, or do not; and there may be candidates.
    let width = task.n_outputs();
    let predictions = own.predictions.iter().flatten();
    let n_candidates = predictions.map(|prediction| prediction.candidates().len());
    let n_candidates = [n_candidates.max().unwrap_or(0) as f64];
    let n_candidates = gather_numbers(ranks, &n_candidates);
    let n_candidates = n_candidates.into_iter().fold(0.0, f64::max) as usize;
    let (of_candidates, beside) = match task {
        Task::Keypoints { .. } => (n_candidates * (1 + width), width),
        _ => (0, 0),
    };
    debug_assert!(own.sets.is_none(), "sets are made of what was gathered");
    let has_losses = own.losses.is_some();
    let losses = own
        .losses
        .unwrap_or_else(|| vec![f32::NAN; own.predictions.len()]);
    let mut numbers = Vec::with_capacity(own.predictions.len() * (2 + width));
    for (prediction, loss) in own.predictions.iter().zip(losses) {
        numbers.extend([f64::from(u8::from(prediction.is_some())), f64::from(loss)]);
        let values = prediction
            .as_ref()
            .map(Prediction::numbers)
            .unwrap_or_default();
        numbers.extend(values.into_iter().chain(std::iter::repeat(0.0)).take(width));
        let confidence = prediction.as_ref().map_or(&[][..], Prediction::confidence);
        let confidence = confidence.iter().flat_map(|of| [of.visible, of.error]);
        let confidence = confidence.map(f64::from).chain(std::iter::repeat(f64::NAN));
        numbers.extend(confidence.take(beside));
        let candidates = prediction.as_ref().map_or(&[][..], Prediction::candidates);
        let candidates = candidates.iter().flat_map(|candidate| {
            let places = candidate.xy.as_flattened().iter();
            std::iter::once(&candidate.probability).chain(places)
        });
        let candidates = candidates.map(|number| f64::from(*number));
        let candidates = candidates.chain(std::iter::repeat(f64::NAN));
        numbers.extend(candidates.take(of_candidates));
    }
    let problems: Vec<(usize, String)> = own
        .problems
        .iter()
        .map(|(row, error)| (first + row, in_full(error)))
        .collect();
    let said =
        serde_json::to_vec(&(problems, own.unseen)).expect("numbers and text are written as JSON");

    let mut all = Predictions::default();
    let mut losses = Vec::new();
    for row in gather_numbers(ranks, &numbers).chunks_exact(2 + width + beside + of_candidates) {
        let (own, further) = row[2..].split_at(width);
        let (confidence, candidates) = further.split_at(beside);
        let prediction = || {
            let prediction = Prediction::from_numbers(task.kind(), own);
            with_candidates(with_confidence(prediction, confidence), candidates, width)
        };
        all.predictions.push((row[0] > 0.0).then(prediction));
        losses.push(row[1] as f32);
    }
    all.losses = has_losses.then_some(losses);
    for (rank, said) in ranks.gather(&said).into_iter().enumerate() {
        let said: (Vec<(usize, String)>, Unseen) =
            serde_json::from_slice(&said).map_err(|_| Error::OtherRank { rank })?;
        let told =
            |(row, text): (usize, String)| (row, Arc::new(Error::ListedBadRow { bad: text }));
        all.problems.extend(said.0.into_iter().map(told));
        all.unseen.absorb(said.1);
    }
    Ok(all)
}

/// The prediction with these confidences, two numbers a point; NaN: it has none.
fn with_confidence(mut prediction: Prediction, numbers: &[f64]) -> Prediction {
    if let Prediction::Keypoints { confidence, .. } = &mut prediction
        && numbers.iter().all(|number| !number.is_nan())
    {
        let of_point = |&[visible, error]: &[f64; 2]| Confidence {
            visible: visible as f32,
            error: error as f32,
        };
        *confidence = numbers.as_chunks::<2>().0.iter().map(of_point).collect();
    }
    prediction
}

/// The prediction with these candidates, each its probability and its coordinates; NaN: it has none.
fn with_candidates(mut prediction: Prediction, numbers: &[f64], width: usize) -> Prediction {
    if let Prediction::Keypoints { candidates, .. } = &mut prediction
        && numbers.first().is_some_and(|number| !number.is_nan())
    {
        let all = numbers.chunks_exact(1 + width).map(|numbers| {
            let places = numbers[1..].as_chunks::<2>().0.iter();
            Candidate {
                probability: numbers[0] as f32,
                xy: places.map(|xy| xy.map(|number| number as f32)).collect(),
            }
        });
        *candidates = all.collect();
    }
    prediction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::Threads;

    #[test]
    fn what_is_gathered_is_what_was_predicted_to_the_bit() {
        let task = Task::Class {
            column: "tree".into(),
            names: ["elm", "oak", "yew"].map(String::from).to_vec(),
            counts: vec![1; 3],
        };
        let prediction = |row: usize| {
            (row != 2).then(|| Prediction::Class {
                probabilities: vec![row as f32 / 7.0, f32::MIN_POSITIVE, f32::INFINITY],
            })
        };
        let found = Threads::run(3, |ranks| {
            let share = ranks.share(5);
            let own = Predictions {
                predictions: share.clone().map(prediction).collect(),
                sets: None,
                spread: None,
                losses: Some(share.clone().map(|row| row as f32 / 3.0).collect()),
                problems: share
                    .clone()
                    .filter(|row| *row == 2)
                    .map(|row| {
                        let name = "2.png".into();
                        (
                            row - share.start,
                            Arc::new(crate::error::DataError::ImageEmpty { name }.into()),
                        )
                    })
                    .collect(),
                unseen: Unseen {
                    new_gaps: [("beds".to_owned(), share.len())].into(),
                    ..Unseen::default()
                },
            };
            gather(&*ranks, &task, own, share.start).unwrap()
        });
        for all in found {
            assert_eq!(all.predictions, (0..5).map(prediction).collect::<Vec<_>>());
            let losses: Vec<f32> = (0..5).map(|row| row as f32 / 3.0).collect();
            assert_eq!(all.losses, Some(losses));
            assert_eq!(all.unseen.new_gaps["beds"], 5);
            let [(2, problem)] = &all.problems[..] else {
                panic!("{:?}", all.problems)
            };
            assert_eq!(problem.to_string(), "2.png: the image is empty (0 bytes)");
        }
    }

    #[test]
    fn points_are_gathered_with_their_candidates() {
        let task = Task::Keypoints {
            columns: ["x0", "y0"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: crate::config::Normalizer::Diagonal,
            mean: Vec::new(),
        };
        let prediction = |row: usize| {
            let at = |x: f32| vec![[row as f32 + x, 0.5]];
            let candidate = |probability, x| Candidate {
                probability,
                xy: at(x),
            };
            (row != 1).then(|| Prediction::Keypoints {
                xy: at(0.1),
                confidence: Vec::new(),
                candidates: vec![candidate(0.7, 0.1), candidate(0.3, 0.9)],
            })
        };
        // The last rank has no row of its own, and does not know how many candidates there are.
        let found = Threads::run(4, |ranks| {
            let share = ranks.share(3);
            let own = Predictions {
                predictions: share.clone().map(prediction).collect(),
                ..Predictions::default()
            };
            gather(&*ranks, &task, own, share.start).unwrap()
        });
        for all in found {
            assert_eq!(all.predictions, (0..3).map(prediction).collect::<Vec<_>>());
        }
    }
}
