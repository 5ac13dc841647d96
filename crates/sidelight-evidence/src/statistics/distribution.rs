//! The normal and Student's t distribution, through `statrs`.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Degrees of freedom from which Student's t is taken for normal: the difference is a hundred-thousandth, and the
/// incomplete beta function loses more digits than that (at 10⁷ a quantile is off by 1e-4).
const NORMAL_DF: f64 = 1e6;

/// Probability that a standard normal number is at most `z`.
pub fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The number that a standard normal one is below with probability `p`; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(0.0, 1.0))
}

/// Probability that Student's t with `df` degrees of freedom is at most `t`.
pub fn t_cdf(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 1.0 } else { 0.0 };
    }
    if df > NORMAL_DF {
        return normal_cdf(t);
    }
    student(df).cdf(t)
}

/// The number that Student's t with `df` degrees of freedom is below with probability `p`.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if df > NORMAL_DF {
        return normal_quantile(p);
    }
    student(df).inverse_cdf(p.clamp(0.0, 1.0))
}

/// Probability that |t| is at least this large under no effect.
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    (2.0 * t_cdf(-t.abs(), df)).min(1.0)
}

/// Probability that |z| is at least this large under no effect.
pub fn normal_two_sided(z: f64) -> f64 {
    (2.0 * normal_cdf(-z.abs())).min(1.0)
}

#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn student(df: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, df.max(f64::MIN_POSITIVE)).expect("degrees of freedom are above 0")
}
