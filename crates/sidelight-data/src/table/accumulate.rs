//! Grows one column cell by cell, in the narrowest type that holds all of them.

use arrow_array::Array as _;
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, LargeBinaryBuilder, LargeStringBuilder,
};

use super::pieces::OnBadRow;
use super::{Scalar, Values};

/// A column that is being read. It starts without a type; a cell that does not fit makes it mixed.
#[derive(Debug)]
pub(super) enum Accumulator {
    /// So many missing cells, nothing else yet.
    Empty(usize),
    Boolean(BooleanBuilder),
    Number(Float64Builder),
    Text(LargeStringBuilder),
    Image(LargeBinaryBuilder, LargeStringBuilder),
    Mixed(Vec<Scalar>),
}

impl Accumulator {
    pub(super) fn push_missing(&mut self) {
        match self {
            Self::Empty(n) => *n += 1,
            Self::Boolean(cells) => cells.append_null(),
            Self::Number(cells) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
            Self::Image(bytes, path) => {
                bytes.append_null();
                path.append_null();
            }
            Self::Mixed(cells) => cells.push(Scalar::Missing),
        }
    }

    pub(super) fn push_boolean(&mut self, cell: bool) {
        if let Self::Empty(n) = self {
            let mut cells = BooleanBuilder::with_capacity(*n + 1);
            cells.append_nulls(*n);
            *self = Self::Boolean(cells);
        }
        match self {
            Self::Boolean(cells) => cells.append_value(cell),
            _ => self.mixed().push(Scalar::Boolean(cell)),
        }
    }

    pub(super) fn push_number(&mut self, cell: f64) {
        // Data frames write a gap as NaN.
        if cell.is_nan() {
            return self.push_missing();
        }
        if let Self::Empty(n) = self {
            let mut cells = Float64Builder::with_capacity(*n + 1);
            cells.append_nulls(*n);
            *self = Self::Number(cells);
        }
        match self {
            Self::Number(cells) => cells.append_value(cell),
            _ => self.mixed().push(Scalar::Number(cell)),
        }
    }

    /// A whole number; beyond 2⁵³ it would lose digits as a floating-point number, so it is kept as text:
    /// such numbers are identifiers.
    pub(super) fn push_integer(&mut self, cell: i128) {
        const EXACT: i128 = 1 << 53;
        if (-EXACT..=EXACT).contains(&cell) {
            self.push_number(cell as f64);
        } else {
            self.push_text(&cell.to_string());
        }
    }

    pub(super) fn push_text(&mut self, cell: &str) {
        if let Self::Empty(n) = self {
            let mut cells = LargeStringBuilder::with_capacity(*n + 1, 0);
            cells.append_nulls(*n);
            *self = Self::Text(cells);
        }
        match self {
            Self::Text(cells) => cells.append_value(cell),
            _ => self.mixed().push(Scalar::Text(cell.to_owned())),
        }
    }

    pub(super) fn push_image(&mut self, image: Option<&[u8]>, name: Option<&str>) {
        if let Self::Empty(n) = self {
            let (mut bytes, mut path) = (LargeBinaryBuilder::new(), LargeStringBuilder::new());
            (0..*n).for_each(|_| {
                bytes.append_null();
                path.append_null();
            });
            *self = Self::Image(bytes, path);
        }
        if let Self::Image(bytes, path) = self {
            bytes.append_option(image);
            path.append_option(name);
        } else {
            self.push_missing();
        }
    }

    /// What was read so far, each cell of its own type. (Of images it is their names.)
    #[expect(
        clippy::unreachable,
        reason = "its message says why it cannot be reached"
    )]
    fn mixed(&mut self) -> &mut Vec<Scalar> {
        fn scalars<T>(
            cells: impl IntoIterator<Item = Option<T>>,
            one: impl Fn(T) -> Scalar,
        ) -> Vec<Scalar> {
            cells
                .into_iter()
                .map(|cell| cell.map_or(Scalar::Missing, &one))
                .collect()
        }
        let text = |cell: &str| Scalar::Text(cell.to_owned());
        let cells = match self {
            Self::Mixed(cells) => std::mem::take(cells),
            Self::Empty(n) => vec![Scalar::Missing; *n],
            Self::Boolean(cells) => scalars(&cells.finish(), Scalar::Boolean),
            Self::Number(cells) => scalars(&cells.finish(), Scalar::Number),
            Self::Text(cells) => scalars(&cells.finish(), text),
            Self::Image(_, names) => scalars(&names.finish(), text),
        };
        *self = Self::Mixed(cells);
        match self {
            Self::Mixed(cells) => cells,
            _ => unreachable!("it was made mixed above"),
        }
    }

    /// The column; one of mixed types is text where it is whole.
    pub(super) fn finish(self, on_bad_row: OnBadRow) -> Values {
        match self {
            Self::Empty(n) => {
                let mut cells = LargeStringBuilder::with_capacity(n, 0);
                cells.append_nulls(n);
                Values::Text(cells.finish())
            }
            Self::Boolean(mut cells) => Values::Boolean(cells.finish()),
            Self::Number(mut cells) => Values::Number(cells.finish()),
            Self::Image(mut bytes, mut path) => Values::Image {
                bytes: bytes.finish(),
                path: path.finish(),
            },
            Self::Text(mut cells) => Values::Text(cells.finish()),
            Self::Mixed(cells) if on_bad_row == OnBadRow::Piece => Values::Mixed(cells),
            Self::Mixed(cells) => {
                Values::Text(cells.iter().map(|cell| cell.cell().to_text()).collect())
            }
        }
    }

    /// Appends all cells of a finished column.
    pub(super) fn extend(&mut self, values: &Values) {
        match values {
            Values::Text(cells) => cells.iter().for_each(|cell| match cell {
                Some(cell) => self.push_text(cell),
                None => self.push_missing(),
            }),
            Values::Number(cells) => cells.iter().for_each(|cell| match cell {
                Some(cell) => self.push_number(cell),
                None => self.push_missing(),
            }),
            Values::Boolean(cells) => cells.iter().for_each(|cell| match cell {
                Some(cell) => self.push_boolean(cell),
                None => self.push_missing(),
            }),
            Values::Image { bytes, path } => {
                for row in 0..bytes.len() {
                    let bytes = (!bytes.is_null(row)).then(|| bytes.value(row));
                    let path = (!path.is_null(row)).then(|| path.value(row));
                    self.push_image(bytes, path);
                }
            }
            // No imagefolder's part has either: it is read as a whole, and from files of its own.
            Values::Mixed(_) | Values::Members(_) => {
                (0..values.len()).for_each(|_| self.push_missing());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Column};
    use super::*;

    #[test]
    fn a_column_of_mixed_cells_becomes_text_without_losing_any() {
        let mut column = Accumulator::Empty(0);
        column.push_missing();
        column.push_integer(3);
        column.push_number(2.5);
        column.push_boolean(true);
        column.push_text("50+");
        let column = Column {
            name: "age".into(),
            values: column.finish(OnBadRow::Whole),
        };
        let cells: Vec<_> = (0..column.len()).map(|row| column.cell(row)).collect();
        assert_eq!(
            cells,
            [
                Cell::Missing,
                Cell::Text("3"),
                Cell::Text("2.5"),
                Cell::Text("true"),
                Cell::Text("50+")
            ]
        );
    }

    #[test]
    fn a_whole_number_too_large_to_be_exact_keeps_its_digits() {
        let mut column = Accumulator::Empty(0);
        column.push_integer(1);
        column.push_integer(9_007_199_254_740_993);
        let column = Column {
            name: "id".into(),
            values: column.finish(OnBadRow::Whole),
        };
        assert_eq!(column.cell(1), Cell::Text("9007199254740993"));
    }
}
