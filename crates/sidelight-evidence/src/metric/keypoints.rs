//! Errors of points in pixels, and relative to the size of what they are on.

use sidelight_data::config::Normalizer;

/// Distance of two points in pixels.
pub fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The object keypoint similarity of one point, in [0, 1]: `exp(−d² / (2 A (2σ)²))`, `d` in pixels, `A` the object's area in
/// pixels².
///
/// # Source
///
/// COCO, <https://cocodataset.org/#keypoints-eval>; pycocotools' `COCOeval.computeOks`, which adds ε to the area.
pub fn similarity(px: f64, sigma: f64, area: f64) -> f64 {
    let k = 2.0 * sigma;
    (-px * px / (k * k) / (area + f64::EPSILON) / 2.0).exp()
}

/// What a row's errors are divided by, in pixels; `None` where it is not known or 0.
///
/// `truth` is the row's true points (`None`: missing), `size` the image's width and height.
///
/// # Source
///
/// The distance of two points is the inter-ocular distance of Sagonas et al. 2013, "300 Faces
/// in-the-Wild Challenge" (points 36 and 45 there); the box's `√(w h)` is Bulat & Tzimiropoulos
/// 2017, "How far are we from solving the 2D & 3D face alignment problem?", arXiv:1703.07332, section 4.
pub fn normalizer(
    normalizer: Normalizer,
    truth: &[Option<[f64; 2]>],
    size: Option<[f64; 2]>,
) -> Option<f64> {
    let by = match normalizer {
        Normalizer::Diagonal => size.map(|[width, height]| width.hypot(height)),
        Normalizer::Between([a, b]) => {
            let (a, b) = (
                truth.get(a).copied().flatten(),
                truth.get(b).copied().flatten(),
            );
            a.zip(b).map(|(a, b)| distance(a, b))
        }
        Normalizer::Box => {
            let known = truth.iter().flatten();
            let side = |axis: usize| {
                let range = known
                    .clone()
                    .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], point| {
                        [low.min(point[axis]), high.max(point[axis])]
                    });
                range[1] - range[0]
            };
            Some((side(0) * side(1)).sqrt())
        }
    };
    by.filter(|by| by.is_finite() && *by > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizers_are_what_they_say() {
        let truth = [Some([0.0, 0.0]), Some([3.0, 4.0]), None];
        assert_eq!(
            normalizer(Normalizer::Between([0, 1]), &truth, None),
            Some(5.0)
        );
        assert_eq!(normalizer(Normalizer::Between([0, 2]), &truth, None), None);
        assert_eq!(
            normalizer(Normalizer::Box, &truth, None),
            Some(12f64.sqrt())
        );
        assert_eq!(normalizer(Normalizer::Box, &truth[..1], None), None);
        assert_eq!(normalizer(Normalizer::Box, &[None], None), None);
        assert_eq!(
            normalizer(Normalizer::Diagonal, &truth, Some([30.0, 40.0])),
            Some(50.0)
        );
        assert_eq!(normalizer(Normalizer::Diagonal, &truth, None), None);
    }
}
