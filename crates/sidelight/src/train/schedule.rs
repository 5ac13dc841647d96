//! How the learning rate and the momentum move from step to step.
//!
//! A [`TrainingPlan`] is the whole training as phases: the pretrained part frozen first, then everything. Rates are
//! a function of the step alone, so a resumed run goes on where it was by its step number.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// The peak's share that one-cycle begins at is 1/25.
///
/// # Source
///
/// fastai, `fit_one_cycle`.
const DIV: f64 = 25.0;
/// And the share that it ends at is 1/100 000.
const DIV_FINAL: f64 = 1e5;
/// Momentum (Adam's β₁) at the beginning, at the peak rate, at the end; fastai's `moms`.
const MOMENTUM: [f64; 3] = [0.95, 0.85, 0.95];

/// What a step needs to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Learning rate of the head; parts of the backbone take a share of it.
    pub rate: f64,
    /// SGD's momentum, AdamW's β₁.
    pub momentum: f64,
}

/// A rate over the steps of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Up along a cosine, down along a cosine, momentum the other way round.
    ///
    /// Step `i` of `n` is at `i / n`; from 0 to `rise` the rate goes from `peak / div` to `peak`,
    /// from there to `peak / 100 000`.
    ///
    /// # Source
    ///
    /// Smith & Topin 2018, "Super-Convergence", arXiv:1708.07120; the shape and numbers are fastai's `fit_one_cycle`.
    OneCycle {
        /// Highest learning rate of the schedule.
        peak: f64,
        /// Share of the steps that it rises, in (0, 1).
        rise: f64,
        /// `peak / div` is where it begins.
        div: f64,
    },
    /// Up along a line from 0 over a share of the steps, then down to 0 along a cosine; momentum stays at 0.9.
    ///
    /// # Source
    ///
    /// Loshchilov & Hutter 2017, "SGDR", arXiv:1608.03983, eq. 5; the warm-up as in Goyal et al. 2017, arXiv:1706.02677.
    WarmupCosine {
        /// Highest learning rate of the schedule.
        peak: f64,
        /// Share of the steps that it rises, in [0, 1).
        warmup: f64,
    },
    /// The same rate throughout; momentum stays at 0.9.
    Constant {
        /// The learning rate throughout.
        rate: f64,
    },
}

impl Schedule {
    /// One cycle with fastai's numbers: a quarter of the steps up, from 1/25 of the peak.
    pub fn one_cycle(peak: f64) -> Self {
        Self::OneCycle {
            peak,
            rise: 0.25,
            div: DIV,
        }
    }

    /// Rates of step `step` (from 0) of `steps`.
    pub fn at(&self, step: usize, steps: usize) -> Rates {
        let position = step as f64 / steps.max(1) as f64;
        match *self {
            Self::OneCycle { peak, rise, div } => {
                let [first, middle, last] = MOMENTUM;
                if position < rise {
                    let part = position / rise;
                    Rates {
                        rate: cosine(peak / div, peak, part),
                        momentum: cosine(first, middle, part),
                    }
                } else {
                    let part = (position - rise) / (1.0 - rise);
                    Rates {
                        rate: cosine(peak, peak / DIV_FINAL, part),
                        momentum: cosine(middle, last, part),
                    }
                }
            }
            Self::WarmupCosine { peak, warmup } => {
                // Half a step ahead, so that neither the first nor the last step has a rate of 0.
                let position = (step as f64 + 0.5) / steps.max(1) as f64;
                let rate = if position < warmup {
                    peak * position / warmup
                } else {
                    cosine(peak, 0.0, (position - warmup) / (1.0 - warmup))
                };
                Rates {
                    rate,
                    momentum: 0.9,
                }
            }
            Self::Constant { rate } => Rates {
                rate,
                momentum: 0.9,
            },
        }
    }
}

/// From `start` to `end` along half a cosine; `part` in [0, 1].
fn cosine(start: f64, end: f64, part: f64) -> f64 {
    start + (1.0 + (PI * (1.0 - part)).cos()) * (end - start) / 2.0
}

/// Some epochs under one schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Number of epochs.
    pub epochs: usize,
    /// Whether the backbone is frozen or trains.
    pub backbone: Backbone,
    /// How the learning rate runs over its steps.
    pub schedule: Schedule,
}

/// What the pretrained part does in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backbone {
    /// It stays as it is; what it says of each image is computed once.
    Frozen,
    /// It learns too.
    Training,
}

/// The whole training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// In order; none is without epochs.
    pub phases: Vec<Phase>,
    /// Steps of every epoch.
    pub steps_per_epoch: usize,
}

impl TrainingPlan {
    /// Everything trains from the first step: nothing is pretrained.
    pub fn from_scratch(epochs: usize, rate: f64) -> Self {
        Self::new(vec![Phase {
            epochs,
            backbone: Backbone::Training,
            schedule: Schedule::one_cycle(rate),
        }])
    }

    /// The pretrained part stays frozen throughout.
    pub fn frozen(epochs: usize, rate: f64) -> Self {
        Self::new(vec![Phase {
            epochs,
            backbone: Backbone::Frozen,
            schedule: Schedule::one_cycle(rate),
        }])
    }

    /// First only what is new; then everything, at half the rate.
    ///
    /// One frozen epoch is the rising part of a cycle; more are a whole cycle, so that the new layers have come to rest
    /// when the pretrained ones begin to move.
    ///
    /// # Source
    ///
    /// fastai's `fine_tune`: `pct_start=0.99` while frozen, then `base_lr / 2`, `pct_start=0.3`, `div=5`. Departure: the
    /// whole cycle of several frozen epochs (fastai ends them, too, at the peak).
    pub fn fine_tune(freeze_epochs: usize, epochs: usize, rate: f64) -> Self {
        Self::new(vec![
            Phase {
                epochs: freeze_epochs,
                backbone: Backbone::Frozen,
                schedule: match freeze_epochs {
                    1 => Schedule::OneCycle {
                        peak: rate,
                        rise: 0.99,
                        div: DIV,
                    },
                    _ => Schedule::one_cycle(rate),
                },
            },
            Phase {
                epochs,
                backbone: Backbone::Training,
                schedule: Schedule::OneCycle {
                    peak: rate / 2.0,
                    rise: 0.3,
                    div: 5.0,
                },
            },
        ])
    }

    fn new(mut phases: Vec<Phase>) -> Self {
        phases.retain(|phase| phase.epochs > 0);
        Self {
            phases,
            steps_per_epoch: 1,
        }
    }

    /// The same, with so many steps an epoch.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = steps;
        self
    }

    /// Epochs of all phases.
    pub fn epochs(&self) -> usize {
        self.phases.iter().map(|phase| phase.epochs).sum()
    }

    /// Epochs in which the pretrained part stands still.
    pub fn frozen_epochs(&self) -> usize {
        let frozen = |phase: &&Phase| phase.backbone == Backbone::Frozen;
        self.phases
            .iter()
            .filter(frozen)
            .map(|phase| phase.epochs)
            .sum()
    }

    /// Steps of all phases.
    pub fn total_steps(&self) -> usize {
        self.epochs() * self.steps_per_epoch
    }

    /// What the pretrained part does in this epoch (from 0).
    pub fn backbone(&self, epoch: usize) -> Backbone {
        self.phase(epoch).1.backbone
    }

    /// Whether the pretrained part begins to learn in this epoch (from 0), after it stood still.
    pub fn thaws_in(&self, epoch: usize) -> bool {
        let before = epoch.checked_sub(1).map(|before| self.backbone(before));
        before == Some(Backbone::Frozen) && self.backbone(epoch) == Backbone::Training
    }

    /// The epochs of the phase that this epoch is of, all from 0.
    pub fn epochs_of_phase(&self, epoch: usize) -> std::ops::Range<usize> {
        let (first, phase) = self.phase(epoch);
        first..first + phase.epochs
    }

    /// How many of the backbone's `n` blocks learn in this epoch (from 0), where they thaw one after the other: one
    /// more in every epoch of their phase, or so many that all have thawed in its first half.
    ///
    /// # Source
    ///
    /// Howard & Ruder 2018, "ULMFiT", arXiv:1801.06146, section 3.3: the last layer first, one more each epoch. Departure:
    /// the pace, for there are more blocks here than epochs.
    pub fn thawed(&self, epoch: usize, n: usize) -> usize {
        let (first, phase) = self.phase(epoch);
        match phase.backbone {
            Backbone::Frozen => 0,
            Backbone::Training => {
                let (nth, half) = (epoch - first + 1, phase.epochs.div_ceil(2));
                n.min(nth.max((n * nth).div_ceil(half)))
            }
        }
    }

    /// Rates of a step of an epoch, both from 0.
    pub fn at(&self, epoch: usize, step: usize) -> Rates {
        let (first, phase) = self.phase(epoch);
        phase.schedule.at(
            (epoch - first) * self.steps_per_epoch + step,
            phase.epochs * self.steps_per_epoch,
        )
    }

    /// The phase of an epoch, and its first epoch.
    fn phase(&self, epoch: usize) -> (usize, &Phase) {
        let mut first = 0;
        for phase in &self.phases {
            if epoch < first + phase.epochs {
                return (first, phase);
            }
            first += phase.epochs;
        }
        panic!("epoch {epoch} of a plan of {first}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Made by `tests/reference/schedules.py` with fastai and PyTorch.
    const REFERENCE: &str = include_str!("../../tests/reference/schedules.json");

    /// fastai computes in `f32`, PyTorch in `f64`: hence the tolerance, relative for rates.
    fn check(name: &str, expected: &Value, tolerance: f64, found: impl Iterator<Item = Rates>) {
        let numbers =
            |field: &str| serde_json::from_value::<Vec<f64>>(expected[field].clone()).unwrap();
        let (rates, momenta) = (numbers("rate"), numbers("momentum"));
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), rates.len());
        for (step, found) in found.iter().enumerate() {
            let (rate, momentum) = (rates[step], momenta[step]);
            // The last steps of a cycle are so low that the cosine's rounding, on the scale of the peak, shows.
            assert!(
                (found.rate - rate).abs() < tolerance * (rate + 1e-3),
                "{name}, step {step}: {} is not {rate}",
                found.rate
            );
            assert!(
                (found.momentum - momentum).abs() < tolerance,
                "{name}, step {step}: momentum"
            );
        }
    }

    #[test]
    fn one_cycle_is_fastais() {
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        let schedule = Schedule::one_cycle(2e-3);
        check(
            "one cycle",
            &reference["fastai_one_cycle"],
            1e-6,
            (0..40).map(|step| schedule.at(step, 40)),
        );
    }

    #[test]
    fn fine_tune_is_fastais() {
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        let plan = TrainingPlan::fine_tune(1, 3, 2e-3).with_steps_per_epoch(8);
        assert_eq!((plan.epochs(), plan.total_steps()), (4, 32));
        let steps = (0..4).flat_map(|epoch| (0..8).map(move |step| (epoch, step)));
        check(
            "fine tune",
            &reference["fastai_fine_tune"],
            1e-6,
            steps.map(|(epoch, step)| plan.at(epoch, step)),
        );
        assert_eq!(
            [0, 1, 3].map(|epoch| plan.backbone(epoch)),
            [Backbone::Frozen, Backbone::Training, Backbone::Training]
        );
    }

    #[test]
    fn several_frozen_epochs_come_to_rest_before_the_backbone_moves() {
        let plan = TrainingPlan::fine_tune(5, 1, 2e-3).with_steps_per_epoch(8);
        let rate = |epoch, step| plan.at(epoch, step).rate;
        assert!(rate(4, 7) < 2e-3 / 100.0, "{}", rate(4, 7));
        assert_eq!(rate(1, 2), 2e-3, "the peak, after a quarter");
    }

    #[test]
    fn one_cycle_is_torchs_but_for_where_the_last_step_is() {
        // torch puts step i of n at i / (n − 1); its n steps are the first n of our n − 1, the last at the very end.
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        let schedule = Schedule::one_cycle(2e-3);
        check(
            "torch",
            &reference["torch_one_cycle"],
            1e-12,
            (0..41).map(|step| schedule.at(step, 40)),
        );
    }

    #[test]
    fn warm_up_rises_along_a_line_and_falls_to_nothing() {
        let schedule = Schedule::WarmupCosine {
            peak: 1.0,
            warmup: 0.1,
        };
        let rates: Vec<f64> = (0..100).map(|step| schedule.at(step, 100).rate).collect();
        assert!((rates[0] - 0.05).abs() < 1e-12);
        assert!((rates[1] - 0.15).abs() < 1e-12);
        assert!(rates[10] > 0.999 && rates[99] < 1e-3 && rates[99] > 0.0);
        assert!(rates[10..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn blocks_thaw_one_an_epoch_or_all_in_the_first_half() {
        let thawed = |epochs, n| {
            let plan = TrainingPlan::fine_tune(1, epochs, 1e-3);
            (0..=epochs)
                .map(|epoch| plan.thawed(epoch, n))
                .collect::<Vec<_>>()
        };
        assert_eq!(thawed(8, 10), [0, 3, 5, 8, 10, 10, 10, 10, 10]);
        assert_eq!(thawed(10, 3), [0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!(thawed(1, 5), [0, 5]);
        assert_eq!(thawed(3, 0), [0, 0, 0, 0]);
    }

    #[test]
    fn a_plan_skips_phases_without_epochs() {
        let plan = TrainingPlan::fine_tune(0, 2, 1e-3);
        assert_eq!(plan.phases.len(), 1);
        assert_eq!(plan.backbone(0), Backbone::Training);
    }
}
