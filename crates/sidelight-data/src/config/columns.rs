//! Short names for many columns: `x0..y188` is `x0, y0, x1, y1, … x188, y188`.

/// The columns that a range such as `x0..y188` or `margin1..margin64` stands for.
///
/// Both ends are text with one number in it (the last, where there are several). Where only the
/// number differs the range counts; where the text differs too, the two take turns.
/// `None`: not a range.
///
/// # Example
///
/// ```
/// use sidelight_data::config::expand_range;
///
/// assert_eq!(expand_range("x0..y1").unwrap(), ["x0", "y0", "x1", "y1"]);
/// assert_eq!(expand_range("shape09..shape11").unwrap(), ["shape09", "shape10", "shape11"]);
/// assert!(expand_range("price").is_none());
/// ```
pub fn expand_range(range: &str) -> Option<Vec<String>> {
    let (first, last) = range.split_once("..")?;
    // Or the names would be ranges again, to whoever reads them back.
    if last.contains("..") {
        return None;
    }
    let (first, last) = (
        Numbered::parse(first.trim())?,
        Numbered::parse(last.trim())?,
    );
    // A slip of the finger must not ask for a billion names.
    if first.number > last.number || last.number - first.number >= 100_000 {
        return None;
    }
    let one_axis = first.before == last.before && first.after == last.after;
    let mut names = Vec::new();
    for number in first.number..=last.number {
        names.push(first.name(number, first.width));
        if !one_axis {
            names.push(last.name(number, first.width));
        }
    }
    Some(names)
}

/// Names with every range among them written out.
pub fn expand_ranges(names: &[String]) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| expand_range(name).unwrap_or_else(|| vec![name.clone()]))
        .collect()
}

/// Names as one range where they are one and it is shorter to read, otherwise as they are.
pub fn collapse_range(names: &[String]) -> Vec<String> {
    if names.len() > 4
        && let (Some(first), Some(last)) = (names.first(), names.last())
    {
        let range = format!("{first}..{last}");
        if expand_range(&range).is_some_and(|expanded| expanded == names) {
            return vec![range];
        }
    }
    names.to_vec()
}

/// A name around a number.
struct Numbered<'a> {
    before: &'a str,
    number: usize,
    /// Digits, where the number is padded with zeros; otherwise 0.
    width: usize,
    after: &'a str,
}

impl<'a> Numbered<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
        let start = name[..end]
            .rfind(|c: char| !c.is_ascii_digit())
            .map_or(0, |at| {
                at + name[at..].chars().next().map_or(1, char::len_utf8)
            });
        let digits = &name[start..end];
        let width = if digits.len() > 1 && digits.starts_with('0') {
            digits.len()
        } else {
            0
        };
        Some(Self {
            before: &name[..start],
            number: digits.parse().ok()?,
            width,
            after: &name[end..],
        })
    }

    fn name(&self, number: usize, width: usize) -> String {
        format!("{}{number:0width$}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_over_two_axes_interleaves_them() {
        let names = expand_range("x0..y188").unwrap();
        assert_eq!(names.len(), 378);
        assert_eq!(names[..3], ["x0", "y0", "x1"]);
        assert_eq!(names[377], "y188");
    }

    #[test]
    fn the_number_may_stand_anywhere_and_be_padded() {
        assert_eq!(
            expand_range("p1_x..p2_y").unwrap(),
            ["p1_x", "p1_y", "p2_x", "p2_y"]
        );
        assert_eq!(
            expand_range("x08..y10").unwrap(),
            ["x08", "y08", "x09", "y09", "x10", "y10"]
        );
        assert_eq!(expand_range("é1..é2").unwrap(), ["é1", "é2"]);
    }

    #[test]
    fn what_is_no_range_stays_as_it_is() {
        for text in [
            "price",
            "a..b",
            "x5..x1",
            "..",
            "x0..",
            "x0..x1..x2",
            "x0..x99999999999",
            "x0..x100000000",
        ] {
            assert!(expand_range(text).is_none(), "{text}");
        }
        let names: Vec<String> = ["a", "x0..y1"].map(String::from).to_vec();
        assert_eq!(expand_ranges(&names), ["a", "x0", "y0", "x1", "y1"]);
    }

    #[test]
    fn collapsing_undoes_expanding_and_nothing_else() {
        let long = expand_range("x0..y9").unwrap();
        assert_eq!(collapse_range(&long), ["x0..y9"]);
        let mut shuffled = long.clone();
        shuffled.swap(0, 1);
        assert_eq!(collapse_range(&shuffled), shuffled);
        let short = expand_range("x0..y1").unwrap();
        assert_eq!(collapse_range(&short), short);
    }
}
