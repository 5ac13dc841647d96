//! Columns that say which part a row belongs to, in the ways people write it.

use super::{boolean, name};
use crate::config::SplitConfig;
use crate::kind::Split;
use crate::table::Cell;

/// What the cells of a column mean as parts.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// What true and false mean, where the column's name says it.
    flag: Option<[Split; 2]>,
    split: Option<&'a SplitConfig>,
}

impl<'a> Parts<'a> {
    /// Of a column of this name, by that name alone.
    pub fn of_name(column: &str) -> Self {
        let flag = name::part_flag(column).map(|part| {
            let other = match part {
                Split::Train => Split::Valid,
                Split::Valid | Split::Test => Split::Train,
            };
            [other, part]
        });
        Self { flag, split: None }
    }

    /// Of a column of this name, by what the configuration says of its values.
    pub fn of_config(column: &str, split: &'a SplitConfig) -> Self {
        let is_told = !split.valid_where.is_empty() || !split.test_where.is_empty();
        Self {
            split: is_told.then_some(split),
            ..Self::of_name(column)
        }
    }

    /// The part that a cell names.
    pub fn read(&self, text: &str) -> Option<Split> {
        if let Some(split) = self.split {
            let is_one_of = |names: &[String]| names.iter().any(|name| same_value(name, text));
            return Some(if is_one_of(&split.valid_where) {
                Split::Valid
            } else if is_one_of(&split.test_where) {
                Split::Test
            } else {
                Split::Train
            });
        }
        let flag = |[no, yes]: [Split; 2]| {
            boolean(Cell::Text(text)).map(|is_so| if is_so { yes } else { no })
        };
        Split::named(text).or_else(|| self.flag.and_then(flag))
    }
}

/// Whether two cells say the same: `4` and `4.0` do.
pub(crate) fn same_value(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_read_as_its_name_says() {
        let read = |column: &str, text: &str| Parts::of_name(column).read(text);
        assert_eq!(read("is_valid", "True"), Some(Split::Valid));
        assert_eq!(read("is_valid", "0"), Some(Split::Train));
        assert_eq!(read("training", "1"), Some(Split::Train));
        assert_eq!(read("training", "0"), Some(Split::Valid));
        assert_eq!(read("is_test", "no"), Some(Split::Train));
        assert_eq!(read("phase", "VAL"), Some(Split::Valid));
        assert_eq!(read("phase", "1"), None);
        assert_eq!(read("fold", "3"), None);
    }

    #[test]
    fn any_column_says_parts_where_the_configuration_says_of_which_values() {
        let split = SplitConfig {
            valid_where: vec!["4".into()],
            test_where: vec!["b".into()],
            ..SplitConfig::default()
        };
        let parts = Parts::of_config("fold", &split);
        assert_eq!(parts.read("4.0"), Some(Split::Valid));
        assert_eq!(parts.read(" b"), Some(Split::Test));
        assert_eq!(parts.read("0"), Some(Split::Train));
    }
}
