//! A learning rate from a hundred steps: the rate rises until the loss runs away, and a good one lies well before.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::error::Result;

use super::optimizer::clip_factor;
use super::schedule::Rates;
use super::{Event, Session, TrainingLog};

/// Steps of a search.
const STEPS: usize = 100;
/// The first rate and the last.
const RANGE: [f64; 2] = [1e-7, 10.0];
/// Weight of the past in the smoothed loss.
const SMOOTHING: f64 = 0.98;
/// The search ends where the smoothed loss is this many times its smallest.
const RUNAWAY: f64 = 4.0;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateSearch {
    /// The rates that were tried, rising.
    pub rates: Vec<f64>,
    /// The smoothed loss at each.
    pub losses: Vec<f64>,
    /// The rate to try; `None` where the loss nowhere fell.
    pub suggestion: Option<f64>,
}

/// Trains for up to a hundred steps with a rate that rises from 1e-7 to 10, and suggests one.
/// The session is used up; what is searched for is the rate of its first phase, the `train.learning_rate`.
///
/// # Errors
///
/// An image that cannot be read.
///
/// # Source
///
/// Smith 2017, "Cyclical Learning Rates", arXiv:1506.01186, section 3.3; range, smoothing and end are fastai's `lr_find`.
pub fn lr_find(
    mut session: Session,
    log: &mut TrainingLog<'_>,
    stop: &AtomicBool,
) -> Result<RateSearch> {
    session.begin_epoch(0, log)?;
    log.begin_epoch();
    let (mut rates, mut losses) = (Vec::new(), Vec::new());
    let (mut mean, mut smallest) = (0.0, f64::INFINITY);
    let mut epoch = 0;
    'search: while rates.len() < STEPS {
        let mut batches = session.setup.batches.training(epoch, 0);
        while let Some(mut step) = session.compute_gradients(&mut batches, stop)? {
            let number = rates.len();
            let rate = RANGE[0] * (RANGE[1] / RANGE[0]).powf(number as f64 / STEPS as f64);
            mean = SMOOTHING * mean + (1.0 - SMOOTHING) * step.loss;
            let smoothed = mean / (1.0 - SMOOTHING.powi(number as i32 + 1));
            smallest = smallest.min(smoothed);
            if !smoothed.is_finite()
                || smoothed > RUNAWAY * smallest
                || stop.load(Ordering::Relaxed)
            {
                break 'search;
            }
            rates.push(rate);
            losses.push(smoothed);
            log.emit(Event::Rate {
                step: number + 1,
                steps: STEPS,
                rate,
                loss: smoothed,
            });
            if rates.len() == STEPS {
                break 'search;
            }
            let scale = clip_factor(step.gradients.norm(), session.setup.config.train.clip);
            let rates = Rates {
                rate,
                momentum: 0.9,
            };
            session.state.network =
                session
                    .state
                    .optimizer
                    .step(session.state.network, &step.gradients, rates, scale);
            let ranks = &*session.setup.batches.ranks;
            step.update_running_statistics(&mut session.state.network, ranks);
            session.state.progress.total_step += 1;
        }
        epoch += 1;
    }
    let suggestion = valley(&rates, &losses);
    Ok(RateSearch {
        rates,
        losses,
        suggestion,
    })
}

/// The rate two sixths into the longest falling stretch, the first tenth of the steps and the last five left out.
///
/// # Source
///
/// fastai's `valley` (`callback/schedule.py`): the stretch is the longest falling subsequence.
fn valley(rates: &[f64], losses: &[f64]) -> Option<f64> {
    let (from, to) = (STEPS / 10, losses.len().saturating_sub(5));
    if to <= from + 2 {
        return None;
    }
    let (rates, losses) = (&rates[from..to], &losses[from..to]);
    // Length of the longest falling subsequence that ends at each place.
    let mut lengths = vec![1usize; losses.len()];
    let (mut start, mut end) = (0.0, 0usize);
    for i in 1..losses.len() {
        for j in 0..i {
            if losses[i] < losses[j] && lengths[i] < lengths[j] + 1 {
                lengths[i] = lengths[j] + 1;
            }
            if lengths[end] < lengths[i] {
                end = i;
                // As fastai has it: the subsequence may have holes, and then this is later than its true start;
                // where it has none, this is one place before it.
                start = end as f64 - lengths[end] as f64;
            }
        }
    }
    if end == 0 {
        return None;
    }
    let third = (end as f64 - start) / 3.0;
    let place = start + third.floor() + (third / 2.0).floor();
    Some(rates[place.max(0.0) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_suggestion_is_fastais() {
        // Made by `tests/reference/lr_find.py`.
        let cases: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/reference/lr_find.json")).unwrap();
        for case in cases {
            let numbers =
                |field: &str| serde_json::from_value::<Vec<f64>>(case[field].clone()).unwrap();
            let (rates, losses) = (numbers("rates"), numbers("losses"));
            let found = valley(&rates, &losses).unwrap();
            let expected = case["suggestion"].as_f64().unwrap();
            assert!(
                (found / expected - 1.0).abs() < 1e-5,
                "{}: {found} is not {expected}",
                case["name"]
            );
        }
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let rates: Vec<f64> = (0..100).map(f64::from).collect();
        let rising: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(valley(&rates, &rising), None);
        assert_eq!(valley(&rates[..12], &rising[..12]), None);
    }
}
