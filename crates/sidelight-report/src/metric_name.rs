//! What the names of metrics mean, in words.

/// Which way a metric improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// An error.
    Lower,
    /// A share that is right, say.
    Higher,
}

impl Better {
    /// "lower is better" or "higher is better".
    pub fn words(self) -> &'static str {
        match self {
            Self::Lower => "lower is better",
            Self::Higher => "higher is better",
        }
    }
}

/// A metric's name, what it means and which way it improves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// As in `metrics.json`.
    pub name: String,
    /// In words; empty where we have none.
    pub meaning: String,
    /// Which way it improves.
    pub better: Better,
}

impl MetricName {
    /// The metric of this name; one we do not know has no words and counts as higher-is-better.
    ///
    /// ```
    /// use sidelight_report::{Better, MetricName};
    /// let metric = MetricName::of("mean_px");
    /// assert_eq!(metric.better, Better::Lower);
    /// assert_eq!(metric.meaning, "mean distance to the true point, pixels");
    /// ```
    pub fn of(name: &str) -> Self {
        let (meaning, better) = meaning(name);
        Self {
            name: name.to_owned(),
            meaning,
            better,
        }
    }
}

fn meaning(name: &str) -> (String, Better) {
    if let Some(at) = name.strip_prefix("pck@") {
        let meaning = format!("share of points within {at} of the normaliser");
        return (meaning, Better::Higher);
    }
    let (meaning, better) = match name {
        "mean_px" => ("mean distance to the true point, pixels", Better::Lower),
        "median_px" => ("median distance to the true point, pixels", Better::Lower),
        "mean_nme" => ("mean distance over the normaliser", Better::Lower),
        "accuracy" => ("share of rows whose class is right", Better::Higher),
        "balanced_accuracy" => (
            "mean over classes of the share that is right",
            Better::Higher,
        ),
        "macro_f1" | "f1" => ("harmonic mean of precision and recall", Better::Higher),
        "precision" => ("share of what was said that is true", Better::Higher),
        "recall" => ("share of what is true that was said", Better::Higher),
        "auroc" => (
            "chance that a true row is ranked above a false one",
            Better::Higher,
        ),
        "average_precision" => ("area under the precision–recall curve", Better::Higher),
        "log_loss" => (
            "mean of −ln of the probability given to the truth, nats",
            Better::Lower,
        ),
        "brier" => ("mean squared error of the probabilities", Better::Lower),
        "ece" => ("expected calibration error", Better::Lower),
        "mae" => ("mean absolute error, in the target’s unit", Better::Lower),
        "rmse" => (
            "root mean squared error, in the target’s unit",
            Better::Lower,
        ),
        "mape" => ("mean absolute error over the true value", Better::Lower),
        "r2" => ("share of the variance explained", Better::Higher),
        "loss" => ("what training minimises", Better::Lower),
        _ => ("", Better::Higher),
    };
    (meaning.to_owned(), better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_from_the_name() {
        let metric = MetricName::of("pck@0.05");
        assert_eq!(
            metric.meaning,
            "share of points within 0.05 of the normaliser"
        );
        assert_eq!(metric.better.words(), "higher is better");
    }
}
