//! From numbers to positions, and where the ticks go.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "steps and decades of numbers up to `LARGEST`, of which there are few; a float as an integer saturates"
)]

use crate::number;

/// From here on ticks are abbreviated.
const LARGE: f64 = 100_000.0;

/// What is larger is drawn as this, so that spans and steps are finite.
const LARGEST: f64 = 1e300;
/// Numbers that are no further apart are drawn as one, so that there are few steps between any two.
const SMALLEST: f64 = 1e-300;

/// Linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScaleKind {
    /// Equal steps are equal differences.
    #[default]
    Linear,
    /// Equal steps are equal ratios; what is not above 0 has no place.
    Log,
}

/// Maps a range of numbers onto a range of positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Linear or logarithmic.
    pub kind: ScaleKind,
    /// Smallest and largest number.
    pub domain: [f64; 2],
    /// Their positions, pixels.
    pub range: [f64; 2],
}

impl Scale {
    /// A scale over all these numbers (those that have no place on it are passed over).
    /// One number alone gets room on both sides; none at all: 0 to 1 (log: 1 to 10).
    pub fn over(kind: ScaleKind, values: impl IntoIterator<Item = f64>) -> Self {
        let mut domain = [f64::INFINITY, f64::NEG_INFINITY];
        for value in values {
            if value.is_finite() && (kind == ScaleKind::Linear || value > 0.0) {
                let value = drawn(kind, value);
                domain = [domain[0].min(value), domain[1].max(value)];
            }
        }
        Self {
            kind,
            domain: spread(kind, domain),
            range: [0.0, 1.0],
        }
    }

    /// The same numbers at other positions.
    #[must_use]
    pub fn onto(mut self, from: f64, to: f64) -> Self {
        self.range = [from, to];
        self
    }

    /// Widened to the next round numbers.
    #[must_use]
    pub fn rounded(mut self, n_ticks: usize) -> Self {
        match self.kind {
            ScaleKind::Linear => {
                let step = nice_step(self.domain[1] - self.domain[0], n_ticks);
                let [low, high] = self.domain;
                self.domain = [
                    (low / step + 1e-9).floor() * step,
                    (high / step - 1e-9).ceil() * step,
                ];
            }
            ScaleKind::Log => {
                let [low, high] = self.domain;
                let steps = |value: f64| log_steps(value.log10().floor() as i32);
                let below = steps(low)
                    .into_iter()
                    .rfind(|tick| *tick <= low * 1.000_001);
                let next = 10f64.powi(high.log10().floor() as i32 + 1);
                let above = steps(high)
                    .into_iter()
                    .find(|tick| *tick >= high * 0.999_999);
                self.domain = [below.unwrap_or(low), above.unwrap_or(next)];
            }
        }
        self
    }

    /// Where a number goes; `None`: it has no place (not finite, not above 0 on a log scale).
    pub fn at(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.kind == ScaleKind::Log && value <= 0.0) {
            return None;
        }
        let value = drawn(self.kind, value);
        let along = |value: f64| match self.kind {
            ScaleKind::Linear => value,
            ScaleKind::Log => value.ln(),
        };
        let [low, high] = self.domain.map(along);
        let share = (along(value) - low) / (high - low);
        let place = self.range[0] + share * (self.range[1] - self.range[0]);
        place.is_finite().then_some(place)
    }

    /// Round numbers within the range, about as many as asked for, each with its text.
    ///
    /// # Source
    ///
    /// P. S. Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990: steps of 1, 2 or 5 times a power of ten.
    pub fn ticks(&self, n_ticks: usize) -> Vec<(f64, String)> {
        match self.kind {
            ScaleKind::Linear => {
                self.linear_ticks(nice_step(self.domain[1] - self.domain[0], n_ticks))
            }
            ScaleKind::Log => self.log_ticks(n_ticks),
        }
    }

    /// Round numbers at whole steps: for epochs.
    pub fn whole_ticks(&self, n_ticks: usize) -> Vec<(f64, String)> {
        self.linear_ticks(nice_step(self.domain[1] - self.domain[0], n_ticks).max(1.0))
    }

    fn linear_ticks(&self, step: f64) -> Vec<(f64, String)> {
        let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let first = (self.domain[0] / step - 1e-9).ceil() as i64;
        let last = (self.domain[1] / step + 1e-9).floor() as i64;
        let largest = self.domain[0].abs().max(self.domain[1].abs());
        let text = |value: f64| match decimals > 6 || largest >= LARGE {
            true => abbreviated(value),
            false => number::fixed(value, decimals),
        };
        (first..=last)
            .map(|k| k as f64 * step)
            .map(|value| (value, text(value)))
            .collect()
    }

    fn log_ticks(&self, n_ticks: usize) -> Vec<(f64, String)> {
        let [low, high] = self.domain.map(|value| value.log10());
        let decades = low.floor() as i32..=high.ceil() as i32;
        let inside =
            |tick: &f64| (self.domain[0] * 0.999_999..=self.domain[1] * 1.000_001).contains(tick);
        let all: Vec<f64> = decades.clone().flat_map(log_steps).filter(inside).collect();
        let every = ((high - low) / n_ticks as f64).ceil().max(1.0) as i32;
        let ticks = match high - low < n_ticks as f64 / 2.0 {
            true => all,
            false => decades
                .step_by(every as usize)
                .map(|k| 10f64.powi(k))
                .filter(inside)
                .collect(),
        };
        ticks
            .into_iter()
            .map(|tick| (tick, tick_text(tick)))
            .collect()
    }
}

fn log_steps(decade: i32) -> [f64; 3] {
    [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade))
}

/// A tick of one digit, without zeros that say nothing: 0.05, 2, 100, 10⁻⁵.
fn tick_text(tick: f64) -> String {
    let decade = (tick.log10() + 1e-9).floor() as i32;
    match decade {
        -4..0 => number::fixed(tick, -decade as usize),
        _ => abbreviated(tick),
    }
}

/// Thousands and millions as `k` and `M`, so that labels stay short.
fn abbreviated(value: f64) -> String {
    let short = |value: f64, unit: &str| {
        let text = number::fixed(value, 2);
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        size if size >= 1e9 || (size > 0.0 && size < 1e-3) => {
            number::number(value).replace(".00", "")
        }
        size if size >= 1e6 => short(value / 1e6, "\u{202F}M"),
        size if size >= 1e4 => short(value / 1e3, "\u{202F}k"),
        _ => short(value, ""),
    }
}

fn nice_step(span: f64, n_ticks: usize) -> f64 {
    let raw = span / n_ticks.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let digit = match raw / power {
        d if d < 1.5 => 1.0,
        d if d < 3.5 => 2.0,
        d if d < 7.5 => 5.0,
        _ => 10.0,
    };
    digit * power
}

/// A number as a scale has it.
fn drawn(kind: ScaleKind, value: f64) -> f64 {
    match kind {
        ScaleKind::Linear => value.clamp(-LARGEST, LARGEST),
        ScaleKind::Log => value.clamp(SMALLEST, LARGEST),
    }
}

/// Gives an empty or a zero-wide range some width.
fn spread(kind: ScaleKind, [low, high]: [f64; 2]) -> [f64; 2] {
    if high - low >= SMALLEST {
        return [low, high];
    }
    match (kind, low <= high) {
        (ScaleKind::Linear, true) => {
            let is_zero = low.abs().max(high.abs()) < SMALLEST;
            let margin = if is_zero { 1.0 } else { low.abs() * 0.1 };
            [low - margin, high + margin]
        }
        (ScaleKind::Log, true) => [low / 2.0, high * 2.0],
        (ScaleKind::Linear, false) => [0.0, 1.0],
        (ScaleKind::Log, false) => [1.0, 10.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: Vec<(f64, String)>) -> Vec<String> {
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let scale = Scale::over(ScaleKind::Linear, [0.03, 0.97]);
        assert_eq!(texts(scale.ticks(5)), ["0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(
            texts(scale.rounded(5).ticks(5)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        let scale = Scale::over(ScaleKind::Linear, [-30.0, 120_000.0]).rounded(3);
        assert_eq!(
            texts(scale.ticks(3)),
            [
                "−50\u{202F}k",
                "0",
                "50\u{202F}k",
                "100\u{202F}k",
                "150\u{202F}k"
            ]
        );
    }

    #[test]
    fn epochs_are_never_divided() {
        let scale = Scale::over(ScaleKind::Linear, [1.0, 3.0]);
        assert_eq!(texts(scale.whole_ticks(6)), ["1", "2", "3"]);
    }

    #[test]
    fn a_log_scale_has_few_ticks_over_one_decade_and_over_many() {
        let scale = Scale::over(ScaleKind::Log, [0.04, 0.9]).rounded(5);
        assert_eq!(
            texts(scale.ticks(5)),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
        );
        let scale = Scale::over(ScaleKind::Log, [1e-9, 1.0]);
        assert_eq!(
            texts(scale.ticks(4)),
            ["1 × 10⁻⁹", "1 × 10⁻⁶", "0.001", "1"]
        );
    }

    #[test]
    fn numbers_go_where_they_belong() {
        let scale = Scale::over(ScaleKind::Log, [1.0, 100.0]).onto(0.0, 200.0);
        assert_eq!(scale.at(10.0), Some(100.0));
        assert_eq!(scale.at(0.0), None);
        assert_eq!(scale.at(f64::NAN), None);
    }

    #[test]
    fn numbers_at_the_ends_of_what_there_is_have_few_ticks_and_a_place() {
        let ends = [
            0.0,
            5e-324,
            -5e-324,
            1e-310,
            1e-300,
            1.0,
            f64::MAX,
            -f64::MAX,
        ];
        for kind in [ScaleKind::Linear, ScaleKind::Log] {
            for (a, b) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
                let plain = Scale::over(kind, [a, b]);
                for scale in [plain, plain.rounded(5)] {
                    let [low, high] = scale.domain;
                    assert!(low < high && (high - low).is_finite(), "{a} {b}: {scale:?}");
                    let n_ticks = scale.ticks(5).len();
                    assert!((1..=12).contains(&n_ticks), "{a} {b}: {n_ticks} ticks");
                    let is_placed = |value| kind == ScaleKind::Linear || value > 0.0;
                    for value in [a, b].into_iter().filter(|value| is_placed(*value)) {
                        let place = scale.at(value).unwrap();
                        assert!((-0.01..=1.01).contains(&place), "{a} {b}: {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_number_or_none_still_makes_a_scale() {
        assert_eq!(Scale::over(ScaleKind::Linear, [5.0]).domain, [4.5, 5.5]);
        assert_eq!(
            Scale::over(ScaleKind::Linear, [f64::NAN]).domain,
            [0.0, 1.0]
        );
        assert_eq!(Scale::over(ScaleKind::Log, [-1.0]).domain, [1.0, 10.0]);
    }
}
