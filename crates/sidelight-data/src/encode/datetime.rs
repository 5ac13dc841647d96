//! A moment as what repeats (time of day, of week, of year) and what does not (the trend).

use std::f64::consts::TAU;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::number::{Number, Transform, mean_and_sd};

const DAY_S: f64 = 86_400.0;
const WEEK_S: f64 = 7.0 * DAY_S;
const YEAR_S: f64 = 365.25 * DAY_S;

/// Slots of a moment, the flag not counted.
pub(super) const WIDTH: usize = 7;

/// The fitted trend of a column of moments.
///
/// Slots: sine and cosine of the time of day, of the week (from Monday) and of the year, then
/// seconds since 1970 standardised like a [`Number`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Datetime {
    /// The moment itself, standardised over the training rows.
    pub trend: Number,
    /// Whether every training value was a midnight: then dates are shown without a time.
    pub dates_only: bool,
}

impl Datetime {
    /// Fits on seconds since 1970, of which there is at least one.
    pub(super) fn fit(seconds: &[f64]) -> Self {
        let (mean, sd) = mean_and_sd(seconds);
        let sd = if sd > 0.0 { sd } else { YEAR_S };
        let dates_only = seconds.iter().all(|s| s.rem_euclid(DAY_S) == 0.0);
        Self {
            trend: Number {
                transform: Transform::Linear,
                mean,
                sd,
            },
            dates_only,
        }
    }

    /// Names of the slots.
    pub(super) fn slots(column: &str) -> Vec<String> {
        ["hour", "weekday", "season"]
            .iter()
            .flat_map(|part| {
                [
                    format!("{column} {part} sin"),
                    format!("{column} {part} cos"),
                ]
            })
            .chain([format!("{column} trend")])
            .collect()
    }

    /// Writes a moment into its slots.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "slots are in single precision"
    )]
    pub(super) fn write(&self, seconds: f64, slots: &mut [f32]) {
        // 1970-01-01 was a Thursday, three days after Monday.
        let turns = [
            seconds.rem_euclid(DAY_S) / DAY_S,
            (seconds + 3.0 * DAY_S).rem_euclid(WEEK_S) / WEEK_S,
            turn_of_year(seconds),
        ];
        for (pair, turn) in slots.chunks_exact_mut(2).zip(turns) {
            pair[0] = (TAU * turn).sin() as f32;
            pair[1] = (TAU * turn).cos() as f32;
        }
        self.trend.write(seconds, &mut slots[WIDTH - 1..WIDTH]);
    }

    /// The moment that was written, to 10 ms: the day from the trend, the time from its own slots.
    pub(super) fn read(&self, slots: &[f32]) -> f64 {
        let rough = self.trend.read(&slots[WIDTH - 1..WIDTH]);
        let turn = f64::from(slots[0]).atan2(f64::from(slots[1])) / TAU;
        let of_day = (turn * DAY_S).rem_euclid(DAY_S);
        let exact = of_day + DAY_S * ((rough - of_day) / DAY_S).round();
        (exact * 100.0).round() / 100.0
    }

    /// A moment as text: ISO 8601 without a zone.
    pub fn text(&self, seconds: f64) -> String {
        let moment = civil(seconds);
        if self.dates_only && seconds.rem_euclid(DAY_S) == 0.0 {
            moment.date().to_string()
        } else {
            moment.to_string()
        }
    }
}

/// How much of its year has passed, in [0, 1).
fn turn_of_year(seconds: f64) -> f64 {
    let moment = civil(seconds);
    let days = f64::from(moment.day_of_year() - 1) + seconds.rem_euclid(DAY_S) / DAY_S;
    days / f64::from(moment.days_in_year())
}

/// The calendar's view, moments beyond the years ±9999 being taken as its ends.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, far beyond the calendar"
)]
fn civil(seconds: f64) -> DateTime {
    let milliseconds = (seconds * 1000.0).round();
    let lowest = DateTime::MIN;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    // A span of i64 milliseconds can leave the calendar, which the checked sum reports.
    let span = jiff::SignedDuration::from_millis(milliseconds as i64);
    epoch
        .checked_add(span)
        .unwrap_or(if seconds < 0.0 { lowest } else { DateTime::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(datetime: &Datetime, seconds: f64) -> Vec<f32> {
        let mut slots = vec![0.0; WIDTH];
        datetime.write(seconds, &mut slots);
        slots
    }

    #[test]
    fn a_moment_is_read_back_to_the_second() {
        let datetime = Datetime::fit(&[1.5e9, 1.6e9, 1.7e9 + 1.0]);
        for seconds in [
            0.0,
            1_551_441_723.0,
            1.7e9,
            1_709_164_800.0,
            1_600_000_000.25,
        ] {
            assert_eq!(datetime.read(&written(&datetime, seconds)), seconds);
        }
        // 2024-02-29
        assert_eq!(datetime.text(1_709_164_800.0), "2024-02-29T00:00:00");
    }

    #[test]
    fn noon_monday_and_new_year_are_where_they_should_be() {
        let datetime = Datetime::fit(&[0.0, 1e9]);
        assert!(datetime.dates_only || datetime.trend.sd > 0.0);
        // 2024-01-01T12:00:00, a Monday
        let slots = written(&datetime, 1_704_110_400.0);
        assert!(
            slots[0].abs() < 1e-6 && (slots[1] + 1.0).abs() < 1e-6,
            "noon is half a day: {slots:?}"
        );
        let half_day_of_week = (TAU / 14.0).sin() as f32;
        assert!((slots[2] - half_day_of_week).abs() < 1e-6);
        assert!(
            slots[5] > 0.999,
            "new year's day is the year's start: {slots:?}"
        );
    }

    #[test]
    fn dates_are_shown_without_a_time() {
        let datetime = Datetime::fit(&[0.0, DAY_S]);
        assert_eq!(datetime.text(DAY_S), "1970-01-02");
        assert_eq!(datetime.text(DAY_S + 60.0), "1970-01-02T00:01:00");
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_a_number_all_the_same() {
        let datetime = Datetime::fit(&[0.0]);
        for seconds in [1e300, -1e300, 1e18] {
            assert!(
                written(&datetime, seconds)
                    .iter()
                    .all(|slot| slot.is_finite())
            );
            assert!(!datetime.text(seconds).is_empty());
        }
    }
}
