//! The honest opponent: boosted trees on the columns, which need neither images nor a network.

use super::measure::{Scored, ScoredArm};
use super::{Difference, Doubt, Role};

/// Trees against the metadata alone, and the best arm with metadata against trees.
pub(super) fn differences(scored: &Scored, best: &ScoredArm) -> Vec<Difference> {
    let Some(trees) = scored.first(Role::Trees) else {
        return Vec::new();
    };
    let metadata = scored.first(Role::Metadata);
    let against_metadata = metadata.and_then(|metadata| scored.difference(trees, metadata));
    let all = [against_metadata, scored.difference(best, trees)];
    all.into_iter().flatten().collect()
}

/// What trees do better than networks, beyond a standard error of the difference.
pub(super) fn doubt(scored: &Scored) -> Option<Doubt> {
    let arm = scored.first(Role::Trees)?;
    let trees = arm.value(None)?;
    let beats = |other: &ScoredArm, value: f64| {
        scored.gain(trees - value) > 0.0
            && scored
                .bootstrap(arm, other)
                .is_some_and(|found| scored.gain(found.estimate) > found.se)
    };
    let networks = scored
        .arms
        .iter()
        .filter(|arm| arm.role.is_candidate() || matches!(arm.role, Role::Image | Role::Metadata));
    let (best, next) = networks
        .filter_map(|arm| Some((arm, arm.value(None)?)))
        .max_by(|a, b| scored.gain(a.1).total_cmp(&scored.gain(b.1)))?;
    if beats(best, next) {
        let arm = best.name.clone();
        return Some(Doubt::TreesAreBest { trees, arm, next });
    }
    let network = scored.first(Role::Metadata)?;
    let metadata = network.value(None)?;
    beats(network, metadata).then_some(Doubt::TreesUseColumnsBetter { trees, metadata })
}
