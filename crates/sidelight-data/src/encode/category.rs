//! A category as slots or as a code, with places for *missing* and *unknown*.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::config::{CategoryEncoding, MetadataConfig};
use crate::error::{Result, setting};

/// The code of a missing category.
pub const MISSING: u32 = 0;
/// The code of a category that has none of its own.
pub const UNKNOWN: u32 = 1;
/// The code of the first category that has its own.
pub const FIRST: u32 = 2;

/// The code of the category at an index; one beyond all codes is unknown.
fn code_at(index: usize) -> u32 {
    let code = u32::try_from(index).ok().and_then(|i| i.checked_add(FIRST));
    code.unwrap_or(UNKNOWN)
}

/// Training rows that a category needs to get a place of its own.
const MIN_ROWS: usize = 2;
/// Most categories that `auto` makes one-hot.
const MAX_ONE_HOT: usize = 16;

/// The fitted categories of one column.
///
/// A category of fewer than two training rows shares the *unknown* slot with all that training
/// never saw: one row teaches nothing about a category, but together such rows teach what a rare
/// one is like. Where training had no rare category that slot was never trained, so an unseen
/// category is encoded one-hot as the *average* row: each category's slot holds its share of
/// training rows (or nothing at all where there is only one category).
/// Embeddings cannot do that: the vector of a code that no training row has never learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// Names with a place of their own, in natural order; code `FIRST + i`.
    pub names: Vec<String>,
    /// Training rows of each.
    pub counts: Vec<usize>,
    /// Training rows whose category was too rare for a place of its own.
    pub n_rare: usize,
    /// Slots or a code.
    pub form: CategoryForm,
    /// Pairs of codes that swap under a horizontal flip.
    pub flip: Vec<[u32; 2]>,
}

/// What a category becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CategoryForm {
    /// One slot per category, then *missing*, then *unknown*.
    OneHot,
    /// One code: 0 *missing*, 1 *unknown*, then the categories.
    Embedding,
}

impl Category {
    /// Fits on how often each name occurs in training rows.
    ///
    /// Both names of a flip pair get a place when either occurs: mirrored images train the other.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) when a name is in two flip pairs (flipping twice would not give back the row).
    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    pub(super) fn fit<'a>(
        column: &str,
        config: &MetadataConfig,
        occurrences: impl Iterator<Item = (&'a str, usize)>,
    ) -> Result<Self> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (name, count) in occurrences.filter(|(_, count)| *count > 0) {
            *counts.entry(canonical(name)).or_default() += count;
        }
        let pairs: Vec<[String; 2]> = config
            .flip
            .iter()
            .map(|pair| pair.each_ref().map(|name| canonical(name)))
            .filter(|[a, b]| a != b && (counts.contains_key(a) || counts.contains_key(b)))
            .collect();
        let paired: Vec<&String> = pairs.iter().flatten().collect();
        for (i, name) in paired.iter().enumerate() {
            if paired[..i].contains(name) {
                return Err(setting(
                    format!("metadata.{column}.flip"),
                    "each name in one pair at most",
                    format!("{name} twice"),
                ));
            }
        }
        let n_rare = counts
            .iter()
            .filter(|(name, count)| **count < MIN_ROWS && !paired.contains(name))
            .map(|(_, n)| n)
            .sum();
        let mut names: Vec<String> = counts
            .iter()
            .filter(|(name, count)| **count >= MIN_ROWS && !paired.contains(name))
            .map(|(name, _)| name)
            .chain(paired.iter().copied())
            .cloned()
            .collect();
        names.sort_by(|a, b| natural_order(a, b));
        let code = |name: &String| {
            let i = names
                .iter()
                .position(|other| other == name)
                .expect("paired names are kept");
            code_at(i)
        };
        let flip = pairs.iter().map(|pair| pair.each_ref().map(code)).collect();
        let counts = names
            .iter()
            .map(|name| counts.get(name).copied().unwrap_or(0))
            .collect();
        let form = match config.encoding {
            CategoryEncoding::OneHot => CategoryForm::OneHot,
            CategoryEncoding::Embedding => CategoryForm::Embedding,
            CategoryEncoding::Auto if names.len() <= MAX_ONE_HOT => CategoryForm::OneHot,
            CategoryEncoding::Auto => CategoryForm::Embedding,
        };
        Ok(Self {
            names,
            counts,
            n_rare,
            form,
            flip,
        })
    }

    /// Number of codes: categories, *missing* and *unknown*.
    pub fn n_codes(&self) -> usize {
        self.names.len() + FIRST as usize
    }

    /// How a stored one contradicts itself.
    pub(super) fn misfit(&self) -> Option<&'static str> {
        let codes = FIRST as usize..self.n_codes();
        let mut flipped = self.flip.as_flattened().iter();
        if self.counts.len() != self.names.len() {
            return Some("its `counts` are not as many as its `names`");
        }
        let has = |code: &u32| usize::try_from(*code).is_ok_and(|code| codes.contains(&code));
        (!flipped.all(has)).then_some("its `flip` has a code that is none of its categories")
    }

    /// Dense slots: as many as codes where one-hot, else none.
    pub(super) fn width(&self) -> usize {
        match self.form {
            CategoryForm::OneHot => self.n_codes(),
            CategoryForm::Embedding => 0,
        }
    }

    /// Names of the dense slots.
    pub(super) fn slots(&self, column: &str) -> Vec<String> {
        if self.form == CategoryForm::Embedding {
            return Vec::new();
        }
        let own = self.names.iter().map(|name| format!("{column} = {name}"));
        own.chain([
            format!("{column} is missing"),
            format!("{column} is unknown"),
        ])
        .collect()
    }

    /// The code of each of these names, as another table spells them: exactly, or as the same number.
    pub(super) fn codes<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<u32> {
        codes_of(&self.names, names)
            .into_iter()
            .map(|index| index.map_or(UNKNOWN, code_at))
            .collect()
    }

    /// Writes a code into its slots (one-hot) or its place among the codes.
    pub(super) fn write(&self, code: u32, slots: &mut [f32], codes: &mut [u32]) {
        if self.form == CategoryForm::Embedding {
            codes[0] = code;
            return;
        }
        slots.fill(0.0);
        match code {
            MISSING => slots[self.names.len()] = 1.0,
            UNKNOWN if self.n_rare > 0 => slots[self.names.len() + 1] = 1.0,
            UNKNOWN if self.names.len() > 1 => {
                let total = self.counts.iter().sum::<usize>() as f32;
                for (slot, count) in slots.iter_mut().zip(&self.counts) {
                    // Never quite 1, so that it cannot be read as that category.
                    *slot = (*count as f32 / total).min(0.999);
                }
            }
            UNKNOWN => {}
            code => slots[(code - FIRST) as usize] = 1.0,
        }
    }

    /// The code that was written.
    pub(super) fn read(&self, slots: &[f32], codes: &[u32]) -> u32 {
        if self.form == CategoryForm::Embedding {
            return codes[0];
        }
        match slots.iter().position(|&slot| slot >= 1.0) {
            Some(i) if i < self.names.len() => code_at(i),
            Some(i) if i == self.names.len() => MISSING,
            _ => UNKNOWN,
        }
    }

    /// Swaps the paired categories.
    pub(super) fn swap(&self, slots: &mut [f32], codes: &mut [u32]) {
        for &[a, b] in &self.flip {
            match self.form {
                CategoryForm::OneHot => slots.swap((a - FIRST) as usize, (b - FIRST) as usize),
                CategoryForm::Embedding if codes[0] == a => codes[0] = b,
                CategoryForm::Embedding if codes[0] == b => codes[0] = a,
                CategoryForm::Embedding => {}
            }
        }
    }
}

/// A name as it is compared: trimmed, and a whole number without its `.0`
/// (`98021.0` is what a Parquet file makes of a `98021` that has gaps).
pub fn canonical(name: &str) -> String {
    let name = name.trim();
    if let Some((whole, zeros)) = name.split_once('.') {
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_whole && !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') {
            return whole.to_owned();
        }
    }
    name.to_owned()
}

/// Index among `known` of each of `names`: the same [`canonical`] name, else the one that is the
/// same number (`2139` for `02139`, where no other is). `None`: not among them.
pub fn codes_of<'a>(known: &[String], names: impl Iterator<Item = &'a str>) -> Vec<Option<usize>> {
    let by_name: HashMap<&str, usize> = known
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), i))
        .collect();
    let mut by_number: HashMap<u64, Option<usize>> = HashMap::new();
    for (i, name) in known.iter().enumerate() {
        if let Some(number) = as_number(name) {
            by_number
                .entry(number)
                .and_modify(|entry| *entry = None)
                .or_insert(Some(i));
        }
    }
    names
        .map(|name| {
            let name = canonical(name);
            let same = by_name.get(name.as_str()).copied();
            same.or_else(|| {
                as_number(&name).and_then(|number| by_number.get(&number).copied().flatten())
            })
        })
        .collect()
}

/// The bits of the number that a name is, if it is one.
fn as_number(name: &str) -> Option<u64> {
    let number = name
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())?;
    // Adding 0 makes -0 and 0 the same bits.
    Some((number + 0.0).to_bits())
}

/// The order a person would sort names in: runs of digits by their number (`a2` before `a10`),
/// numbers as a whole by their value (`-1` before `0.5`), the rest by Unicode.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let number = |name: &str| name.parse::<f64>().ok().filter(|x| x.is_finite());
    match (number(a), number(b)) {
        (Some(x), Some(y)) => return x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (None, None) => {}
    }
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (x_digits, x_rest) = left.split_at(digits(left));
            let (y_digits, y_rest) = right.split_at(digits(right));
            let (x_digits, y_digits) = (
                x_digits.trim_start_matches('0'),
                y_digits.trim_start_matches('0'),
            );
            let order = x_digits
                .len()
                .cmp(&y_digits.len())
                .then_with(|| x_digits.cmp(y_digits));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (x_rest, y_rest);
        } else if x == y {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetadataKind;

    fn fit(config: &MetadataConfig, occurrences: &[(&str, usize)]) -> Category {
        Category::fit("c", config, occurrences.iter().copied())
            .expect("categories that can be fitted")
    }

    fn auto() -> MetadataConfig {
        MetadataConfig::new(MetadataKind::Categorical)
    }

    #[test]
    fn up_to_16_categories_are_one_hot_and_more_are_embedded() {
        let names: Vec<String> = (0..17).map(|i| format!("c{i}")).collect();
        let occurrences: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 2)).collect();
        assert_eq!(fit(&auto(), &occurrences[..16]).form, CategoryForm::OneHot);
        assert_eq!(fit(&auto(), &occurrences).form, CategoryForm::Embedding);
    }

    #[test]
    fn a_category_of_one_row_trains_the_unknown_slot() {
        let category = fit(&auto(), &[("a", 3), ("b", 2), ("c", 1)]);
        assert_eq!(category.names, ["a", "b"]);
        let mut slots = [9.0; 4];
        category.write(category.codes(["c"].into_iter())[0], &mut slots, &mut []);
        assert_eq!(slots, [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn an_unseen_category_is_an_average_row_where_no_rare_one_trained_the_slot() {
        let category = fit(&auto(), &[("a", 3), ("b", 1), ("b ", 2)]);
        let mut slots = [9.0; 4];
        category.write(UNKNOWN, &mut slots, &mut []);
        assert_eq!(slots, [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(category.read(&slots, &[]), UNKNOWN);
        let constant = fit(&auto(), &[("a", 3)]);
        let mut slots = [9.0; 3];
        constant.write(UNKNOWN, &mut slots, &mut []);
        assert_eq!(slots, [0.0; 3]);
    }

    #[test]
    fn numbers_are_recognised_however_they_are_spelt() {
        let category = fit(
            &auto(),
            &[("98021", 2), ("02139.0", 2), ("1.5", 2), ("NaN", 2)],
        );
        let codes =
            category.codes(["98021.0", " 98021", "2139", "1.50", "98021.5", "nan"].into_iter());
        let name = |code: u32| {
            category
                .names
                .get(code.wrapping_sub(FIRST) as usize)
                .map(String::as_str)
        };
        let read: Vec<_> = codes.into_iter().map(name).collect();
        assert_eq!(
            read,
            [
                Some("98021"),
                Some("98021"),
                Some("02139"),
                Some("1.5"),
                None,
                None
            ]
        );
    }

    #[test]
    fn a_number_that_two_names_share_is_nobodys() {
        let category = fit(&auto(), &[("01", 2), ("1", 2)]);
        let codes = category.codes(["01", "1", "001"].into_iter());
        assert_eq!(codes, [2, 3, UNKNOWN]);
    }

    #[test]
    fn both_sides_of_a_flip_have_a_place_though_one_was_never_seen() {
        let config = MetadataConfig {
            flip: vec![["left".into(), "right".into()]],
            ..auto()
        };
        let category = fit(&config, &[("left", 1), ("front", 4)]);
        assert_eq!(category.names, ["front", "left", "right"]);
        let mut slots = [0.0, 1.0, 0.0, 0.0, 0.0];
        category.swap(&mut slots, &mut []);
        assert_eq!(slots, [0.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_name_in_two_flip_pairs_is_refused() {
        let flip = vec![["a".into(), "b".into()], ["b".into(), "c".into()]];
        let config = MetadataConfig { flip, ..auto() };
        let error = Category::fit("side", &config, [("a", 5), ("b", 5), ("c", 5)].into_iter())
            .expect_err("b is in two pairs");
        assert_eq!(
            error.to_string(),
            "`metadata.side.flip`: expected each name in one pair at most, found `b twice`"
        );
    }

    #[test]
    fn natural_order_is_a_persons() {
        let mut names = ["b", "a10", "a2", "10", "9", "-1", "a02", "Zürich", "a"].map(String::from);
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            ["-1", "9", "10", "Zürich", "a", "a02", "a2", "a10", "b"]
        );
    }
}
