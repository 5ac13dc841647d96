//! The honest opponent: boosted trees on the columns, which need neither images nor a network.

use super::measure::{Scored, ScoredArm};
use super::{Doubt, Role};

/// What trees do better than networks by the score that decides, beyond a standard error of the difference.
pub(super) fn doubt(scored: &Scored) -> Option<Doubt> {
    let trees = scored.first(Role::Trees)?;
    let beats = |other: &ScoredArm| {
        let line = scored.by_score(trees, other);
        // Of an interval of 95 %, a quarter is a standard error.
        line.is_some_and(|line| {
            -line.delta > (line.high - line.low) / 4.0 && !scored.is_negligible(line.delta)
        })
    };
    let networks = scored
        .arms
        .iter()
        .filter(|arm| arm.role.is_candidate() || matches!(arm.role, Role::Image | Role::Metadata));
    let score = |arm: &ScoredArm| arm.value(None).unwrap_or(f64::INFINITY);
    let best = networks.min_by(|a, b| score(a).total_cmp(&score(b)))?;
    if beats(best) {
        let (metric, trees, next) = scored.told(trees, best)?;
        let arm = best.name.clone();
        return Some(Doubt::TreesAreBest {
            metric,
            trees,
            arm,
            next,
        });
    }
    let network = scored
        .first(Role::Metadata)
        .filter(|network| beats(network))?;
    let (metric, trees, metadata) = scored.told(trees, network)?;
    Some(Doubt::TreesUseColumnsBetter {
        metric,
        trees,
        metadata,
    })
}
