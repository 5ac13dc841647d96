//! Exponential moving average (EMA) of weights and running statistics.

use std::collections::BTreeMap;

use crate::network::Network;

use super::checkpoint::NamedValues;

/// An exponential moving average of weights and running statistics.
///
/// After step `t` (the first being 1) every number moves by `1 − d` of the way to its present value, with
/// `d = decay`, or, warming up, `d = min(decay, 1 − (1 + (t − 1))^(−2/3))`. After the first step it is a copy.
/// It is kept on the host in `f32`; what is frozen has no share in it, for it does not move.
///
/// # Source
///
/// timm's `ModelEmaV3` (`timm/utils/model_ema.py`): running statistics are averaged like weights
/// (`exclude_buffers = False`), `use_warmup` with its `warmup_gamma = 1` and `warmup_power = 2/3`. The idea:
/// Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".
#[derive(Debug, Clone, Default)]
pub struct Ema {
    decay: f64,
    warms_up: bool,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Ema {
    /// One that has seen no step yet.
    pub fn new(decay: f64, warms_up: bool) -> Self {
        Self {
            decay,
            warms_up,
            values: BTreeMap::new(),
        }
    }

    /// Moves towards the network as it is after step number `step` since training began, the first being 1.
    pub fn update(&mut self, network: &Network, step: usize) {
        let decay = self.decay_at(step);
        if decay == 0.0 || !self.has_begun() {
            self.restore(network.state_dict());
            return;
        }
        network.root.each_parameter("", &mut |path, parameter| {
            let average = self.values.get_mut(&path).filter(|_| !parameter.frozen);
            if let Some((_, average)) = average {
                lerp(average, &parameter.values(), (1.0 - decay) as f32);
            }
        });
    }

    fn decay_at(&self, step: usize) -> f64 {
        let since = step.saturating_sub(1) as f64;
        match self.warms_up {
            _ if since == 0.0 => 0.0,
            true => (1.0 - (1.0 + since).powf(-2.0 / 3.0)).min(self.decay),
            false => self.decay,
        }
    }

    /// Whether it has seen a step.
    pub fn has_begun(&self) -> bool {
        !self.values.is_empty()
    }

    /// The averages, sorted by path; none before the first step.
    pub fn values(&self) -> Vec<NamedValues> {
        let named = |(path, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
            (path.clone(), shape.clone(), values.clone())
        };
        self.values.iter().map(named).collect()
    }

    /// Goes on from these, in any order.
    pub fn restore(&mut self, values: Vec<NamedValues>) {
        let by_path = |(path, shape, values)| (path, (shape, values));
        self.values = values.into_iter().map(by_path).collect();
    }
}

/// PyTorch's `lerp`: from whichever end is nearer.
fn lerp(from: &mut [f32], to: &[f32], share: f32) {
    for (from, &to) in from.iter_mut().zip(to) {
        *from = if share < 0.5 {
            *from + share * (to - *from)
        } else {
            to - (to - *from) * (1.0 - share)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layer::BatchNorm;
    use crate::network::parameter::Start;
    use crate::network::{Architecture, InputSpec};
    use burn::tensor::Device;
    use serde_json::Value;

    /// Made by `tests/reference/ema.py`, as timm's `ModelEmaV3` does it.
    const REFERENCE: &str = include_str!("../../tests/reference/ema.json");

    fn network() -> Network {
        let input = InputSpec {
            mean: [0.0; 3],
            sd: [1.0; 3],
            size: 1,
            channels: 3,
        };
        let architecture = Architecture::sequence([("norm", BatchNorm::default().into())]);
        Network::new(architecture, input, Start::Zeros, &Device::flex()).unwrap()
    }

    fn state(names: &Value, values: &Value) -> Vec<NamedValues> {
        let names: Vec<String> = serde_json::from_value(names.clone()).unwrap();
        let values: Vec<Vec<f32>> = serde_json::from_value(values.clone()).unwrap();
        let named = |(name, values)| (format!("norm.{name}"), vec![3], values);
        names.into_iter().zip(values).map(named).collect()
    }

    #[test]
    fn weights_and_running_statistics_lag_as_in_timm() {
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        for case in reference["cases"].as_array().unwrap() {
            let decay = case["decay"].as_f64().unwrap();
            let mut average = Ema::new(decay, case["warm_up"].as_bool().unwrap());
            let mut network = network();
            for (step, expected) in case["steps"].as_array().unwrap().iter().enumerate() {
                let of = |field| state(&reference["names"], &expected[field]);
                network.load_state(of("network")).unwrap();
                average.update(&network, step + 1);
                let mut sorted = of("average");
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                for ((path, _, found), (_, _, expected)) in average.values().iter().zip(sorted) {
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(
                            (found - expected).abs() < 1e-6,
                            "{path} after step {}: {found} is not {expected}",
                            step + 1
                        );
                    }
                }
            }
        }
    }
}
