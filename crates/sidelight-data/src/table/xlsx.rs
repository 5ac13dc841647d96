//! Workbooks of spreadsheet programs: one of their sheets, as it would be saved as CSV.
//!
//! Read here, on `quick-xml` and `zip`, and not by `calamine` 0.38, which takes the memory for as many shared strings as a
//! workbook claims to have (`uniqueCount`): one of 1 kB ends the process.

mod number;
mod package;
mod sheet;
mod workbook;
mod xml;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::LargeStringBuilder;

use self::package::{Budget, Fault, Outcome, bad};
use self::sheet::{Content, Row, Rows as SheetRows};
use self::workbook::{SheetName, Workbook};
use super::pieces::{OnBadRow, Piece, ReadLimit, RowLines, Rows, check_gaps};
use super::{SourceFormat, Table, unique_names};
use crate::error::{Error, Place, Result, first_of, setting};
use crate::store::Shard;

/// The rows of a sheet, one after another.
pub(super) struct Sheet {
    path: PathBuf,
    book: Workbook,
    sheet: SheetName,
    extent: Extent,
    /// Names of the columns from the extent's first to its last.
    names: Vec<String>,
    remarks: Vec<String>,
    /// The rows after those that were given; `None` before the first.
    rows: Option<SheetRows>,
    /// The row read last, which may not have been given yet.
    row: Row,
    /// The number in the sheet of the row to give next.
    next: u32,
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sheet")
            .field("path", &self.path)
            .field("sheet", &self.sheet)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Where the cells of a sheet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// The row of the header and the last one, from 1.
    rows: (u32, u32),
    /// The first column and the last one, from 0.
    columns: (u32, u32),
    /// Cells below the header.
    n_cells: usize,
    /// Bytes of their text.
    n_bytes: u64,
}

impl Extent {
    fn n_columns(&self) -> usize {
        (self.columns.1 - self.columns.0) as usize + 1
    }
    fn n_rows(&self) -> usize {
        (self.rows.1 - self.rows.0) as usize
    }
}

impl Sheet {
    /// Opens a workbook, chooses its sheet, looks through it and reads its header.
    pub(super) fn open(path: &Path, format: &SourceFormat) -> Result<Self> {
        let opened = guarded(|| {
            let book = Workbook::open(path, package::Package::budget)?;
            let budget = book.package.budget();
            Ok((book, budget))
        });
        let (mut book, budget) = opened.map_err(|fault| of_file(path, fault))?;
        let chosen = choose(path, &mut book, format.sheet.as_deref(), &budget)?;
        let (sheet, others) = chosen;
        let looked = guarded(|| look_through(&mut book, &sheet, &budget));
        let (extent, header) = looked
            .map_err(|fault| of_file(path, fault))?
            .ok_or_else(|| Error::EmptyTable {
                path: path.to_path_buf(),
                what: "cell",
            })?;
        let mut sheet = Self {
            path: path.to_path_buf(),
            book,
            sheet,
            extent,
            names: Vec::new(),
            remarks: Vec::new(),
            rows: None,
            row: Row::default(),
            next: extent.rows.0 + 1,
        };
        sheet.remarks = sheet.remarks_on(&others, header.cells.len());
        sheet.names = sheet.names_of(&header)?;
        unique_names(path, sheet.names.iter().map(String::as_str))?;
        let n_gaps = extent.n_rows() * extent.n_columns() - extent.n_cells;
        let n_bytes = usize::try_from(sheet.book.package.n_bytes).unwrap_or(usize::MAX);
        check_gaps(n_gaps, n_bytes, || sheet.place(extent.rows.1))?;
        Ok(sheet)
    }

    /// The columns' names.
    fn names_of(&self, header: &Row) -> Result<Vec<String>> {
        let mut cells = header.cells.iter().peekable();
        let (first, last) = self.extent.columns;
        let names = (first..=last).map(|column| {
            let found = cells.next_if(|(at, _)| *at == column);
            let text = found.and_then(|(_, found)| header.text(found, &self.book.meaning));
            match (found, text.map(str::trim).unwrap_or_default()) {
                (Some((_, Content::Error(_))), text) => Err(Error::ErrorCell {
                    at: Place {
                        line: Some(header.number as usize),
                        ..Place::file(&self.path)
                    },
                    sheet: self.sheet.name.clone(),
                    found: text.to_owned(),
                }),
                (_, "") => Ok(format!("column {}", column + 1)),
                (_, name) => Ok(name.to_owned()),
            }
        });
        names.collect()
    }

    /// What a person should know of how it is read.
    fn remarks_on(&self, others: &[String], n_names: usize) -> Vec<String> {
        let (path, sheet) = (self.path.display(), &self.sheet.name);
        let mut remarks = Vec::new();
        if !others.is_empty() {
            remarks.push(format!(
                "{path} has several sheets: read `{sheet}`, not {}; `data.sheet` chooses another",
                first_of(others, 10)
            ));
        }
        let n_columns = self.extent.n_columns();
        if n_names * 2 < n_columns {
            remarks.push(format!(
                "{path}: row {} of `{sheet}`, the first with cells, is taken for the header and names {n_names} of {n_columns} columns; if it is a title, delete it",
                self.extent.rows.0
            ));
        }
        remarks
    }

    /// Where a row is, by its number in the sheet.
    fn place(&self, number: u32) -> Place {
        Place {
            line: Some(number as usize),
            ..Place::file(&self.path).with_row((number - self.extent.rows.0) as usize)
        }
    }

    /// Makes `row` the row to give next, or one below it where that one has no cells.
    fn advance(&mut self) -> Result<()> {
        let advanced = guarded(|| {
            if self.rows.is_none() {
                let budget = self.book.package.budget();
                let xml = self.book.package.part(&self.sheet.part, &budget)?;
                self.rows = Some(SheetRows::new(xml)?);
            }
            while let Some(rows) = &mut self.rows
                && self.row.number < self.next
            {
                if !rows.next(&self.book.meaning, &mut self.row)? {
                    return bad("it changed while it was read");
                }
            }
            Ok(())
        });
        advanced.map_err(|fault| of_file(&self.path, fault))
    }

    /// Appends the cells of the next row, which is `row`.
    fn push(&self, builders: &mut [LargeStringBuilder]) {
        let mut cells = self.row.cells.iter().peekable();
        for (builder, column) in builders.iter_mut().zip(self.extent.columns.0..) {
            let found = cells.next_if(|(at, _)| *at == column);
            let text = found.and_then(|(_, found)| self.row.text(found, &self.book.meaning));
            builder.append_option(text);
        }
    }

    /// The first cell of the next row that is an error.
    fn error_cell(&self) -> Option<Error> {
        let is_error = |(_, found): &&(u32, Content)| matches!(found, Content::Error(_));
        let (column, found) = self.row.cells.iter().find(is_error)?;
        let name = self.names.get((column - self.extent.columns.0) as usize);
        let text = self.row.text(found, &self.book.meaning);
        Some(Error::ErrorCell {
            at: self
                .place(self.next)
                .with_column(name.cloned().unwrap_or_default()),
            sheet: self.sheet.name.clone(),
            found: text.unwrap_or_default().to_owned(),
        })
    }
}

impl Rows for Sheet {
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece> {
        let new = |_: &String| LargeStringBuilder::with_capacity(0, 0);
        let mut builders: Vec<_> = self.names.iter().map(new).collect();
        let mut lines = RowLines::new(first_row + 2);
        let (mut n_rows, mut n_bytes, mut bad) = (0, 0, Vec::new());
        while !take.is_full(n_rows, n_bytes) && self.next <= self.extent.rows.1 {
            self.advance()?;
            // A row without cells has no place in the file, but one in the table.
            let is_there = self.row.number == self.next;
            match self.error_cell().filter(|_| is_there) {
                None if is_there => self.push(&mut builders),
                error => {
                    if let Some(error) = error {
                        on_bad_row.bad(n_rows, error, &mut bad)?;
                    }
                    let all = builders.iter_mut();
                    all.for_each(LargeStringBuilder::append_null);
                }
            }
            if is_there {
                n_bytes += self.row.n_bytes(&self.book.meaning);
            }
            // A gap takes memory as well.
            n_bytes += self.names.len();
            lines.push(self.next as usize);
            self.next += 1;
            n_rows += 1;
        }
        let table = Table {
            first_row,
            remarks: self.remarks.clone(),
            ..Table::of_texts(&self.path, &self.names, builders, n_rows, lines.finish())
        };
        Ok(Piece { table, bad })
    }

    fn skip(&mut self, _: usize, n_rows: usize) -> Result<usize> {
        let left = (self.extent.rows.1 + 1).saturating_sub(self.next);
        let n_rows = u32::try_from(n_rows).map_or(left, |n_rows| n_rows.min(left));
        self.next += n_rows;
        Ok(n_rows as usize)
    }

    fn share_read(&self) -> f64 {
        let n_read = self.next.saturating_sub(self.extent.rows.0 + 1);
        f64::from(n_read) / self.extent.n_rows().max(1) as f64
    }

    fn files(&self) -> Vec<Arc<Shard>> {
        vec![Arc::new(Shard::file(self.path.clone()))]
    }
}

/// The sheet to read, and the names of the others that have cells.
fn choose(
    path: &Path,
    book: &mut Workbook,
    told: Option<&str>,
    budget: &Budget,
) -> Result<(SheetName, Vec<String>)> {
    let mut sheets = book.sheets.clone();
    if let Some(told) = told {
        let names = sheets.iter().map(|sheet| format!("`{}`", sheet.name));
        let names: Vec<String> = names.collect();
        let found = sheets.into_iter().find(|sheet| sheet.name == told);
        return match found {
            Some(sheet) => Ok((sheet, Vec::new())),
            None => {
                let known = first_of(&names, 50);
                let expected = format!("a sheet of {} ({known})", path.display());
                Err(setting("data.sheet", expected, told))
            }
        };
    }
    // What a person does not see is read only where there is nothing else.
    sheets.sort_by_key(|sheet| sheet.is_hidden);
    let mut filled = Vec::new();
    for sheet in sheets {
        match guarded(|| has_cells(book, &sheet, budget)) {
            Ok(true) => filled.push(sheet),
            Ok(false) => {}
            // Whatever is wrong with the others.
            Err(Fault::Bad(_)) if !filled.is_empty() => {}
            Err(fault) => return Err(of_file(path, fault)),
        }
    }
    let mut filled = filled.into_iter();
    let first = filled.next().ok_or_else(|| Error::EmptyTable {
        path: path.to_path_buf(),
        what: "cell",
    })?;
    let others = filled.map(|sheet| format!("`{}`", sheet.name));
    Ok((first, others.collect()))
}

fn has_cells(book: &mut Workbook, sheet: &SheetName, budget: &Budget) -> Outcome<bool> {
    let mut rows = SheetRows::new(book.package.part(&sheet.part, budget)?)?;
    rows.next(&book.meaning, &mut Row::default())
}

/// Where a sheet has cells, and the first row that has; `None`: it is empty.
fn look_through(
    book: &mut Workbook,
    sheet: &SheetName,
    budget: &Budget,
) -> Outcome<Option<(Extent, Row)>> {
    let mut rows = SheetRows::new(book.package.part(&sheet.part, budget)?)?;
    let mut header = Row::default();
    if !rows.next(&book.meaning, &mut header)? {
        return Ok(None);
    }
    let columns = |row: &Row| Some((row.cells.first()?.0, row.cells.last()?.0));
    let mut extent = Extent {
        rows: (header.number, header.number),
        columns: columns(&header).unwrap_or_default(),
        n_cells: 0,
        n_bytes: 0,
    };
    let most = book.package.most();
    let mut row = Row::default();
    while rows.next(&book.meaning, &mut row)? {
        extent.rows.1 = row.number;
        if let Some((first, last)) = columns(&row) {
            let (least, most) = extent.columns;
            extent.columns = (least.min(first), most.max(last));
        }
        extent.n_cells += row.cells.len();
        extent.n_bytes += row.n_bytes(&book.meaning) as u64;
        // A long text that many cells share is once in the file.
        if extent.n_bytes > most {
            return bad(format!(
                "the cells of its sheet `{}` hold more than {most} bytes of text",
                sheet.name
            ));
        }
    }
    Ok(Some((extent, header)))
}

/// What a reading comes to; a panic of those who inflate and parse is a fault of the file.
fn guarded<T>(read: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| bad("it is damaged: its reader gave up"))
}

fn of_file(path: &Path, fault: Fault) -> Error {
    let path = path.to_path_buf();
    match fault {
        Fault::Io(source) => Error::Read { path, source },
        Fault::Bad(reason) => Error::Workbook { path, reason },
    }
}
