//! Which points change places under a horizontal flip, by their names.

/// What stands on one side and on the other, anywhere in a name.
const WORDS: [[&str; 2]; 3] = [["left", "right"], ["Left", "Right"], ["LEFT", "RIGHT"]];
/// The same at its beginning.
const BEGINNINGS: [[&str; 2]; 2] = [["l_", "r_"], ["L_", "R_"]];
/// The same at its end.
const ENDS: [[&str; 2]; 2] = [["_l", "_r"], ["_L", "_R"]];

/// Pairs of places whose names differ in left and right, the lower place first, in the order of those.
///
/// # Example
///
/// ```
/// use sidelight_data::annotation::symmetric_pairs;
///
/// let names = ["nose", "right_eye", "left_eye", "ear_L", "ear_R"].map(String::from);
/// assert_eq!(symmetric_pairs(&names), [[1, 2], [3, 4]]);
/// ```
pub fn symmetric_pairs(names: &[String]) -> Vec<[usize; 2]> {
    let place = |name: &String| names.iter().position(|other| other == name);
    let pairs = names.iter().enumerate().filter_map(|(at, name)| {
        let other = mirrored(name)?;
        let other = place(&other)?;
        Some([at.min(other), at.max(other)])
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The name of the point on the right, of one on the left.
fn mirrored(left: &str) -> Option<String> {
    let word = WORDS.iter().find(|[side, _]| left.contains(side));
    if let Some([side, other]) = word {
        return Some(left.replacen(side, other, 1));
    }
    let begun = BEGINNINGS
        .iter()
        .find_map(|[side, other]| Some(format!("{other}{}", left.strip_prefix(side)?)));
    begun.or_else(|| {
        ENDS.iter()
            .find_map(|[side, other]| Some(format!("{}{other}", left.strip_suffix(side)?)))
    })
}
