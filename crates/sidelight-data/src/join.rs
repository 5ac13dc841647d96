//! Columns of other tables beside those of a table: `data.join`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::config::{Config, DataConfig, JoinConfig, MetadataEntry};
use crate::error::{Error, Result, setting};
use crate::number::counted;
use crate::spelling::Spelling;
use crate::table::{Cell, Column, Piece, SourceFormat, Table};

/// What is read from the images, and no column of any table.
const COMPUTED: [&str; 3] = ["image.", "exif.", "dicom."];

impl DataConfig {
    /// Reads the table, with the columns of those that are joined, and one for `image` where that is a path with columns in
    /// braces.
    ///
    /// # Errors
    ///
    /// As [`Table::read_with`]; those of [`Joins::open`] and [`Joins::apply`].
    pub fn read_table(&self) -> Result<Table> {
        let table = Table::read_as(&self.table, &self.remote, &self.source_format())?;
        self.completed(table)
    }

    /// The table with what [`DataConfig::read_table`] adds to it.
    pub(crate) fn completed(&self, table: Table) -> Result<Table> {
        let table = Joins::open(self)?.apply(table)?;
        table.with_paths(self.image.names())
    }
}

/// The other tables of `data.join`, read.
#[derive(Debug)]
pub struct Joins<'a> {
    spelling: Spelling<'a>,
    joins: Vec<Join<'a>>,
}

/// The time of each row, 0 where there is none, and the row.
type RowsByKey = HashMap<Vec<String>, Vec<(f64, usize)>>;

#[derive(Debug)]
struct Join<'a> {
    config: &'a JoinConfig,
    other: Table,
    /// For each key the rows that have it, the earliest first where there is a time.
    rows: RowsByKey,
}

impl<'a> Joins<'a> {
    /// Reads the other tables.
    ///
    /// # Errors
    ///
    /// As [`Table::read_with`]; [`Error::NoColumn`]; [`Error::Setting`] where several rows have one key, and nothing says
    /// which of them is meant; [`Error::Cell`] of a time that cannot be read.
    pub fn open(data: &'a DataConfig) -> Result<Self> {
        let spelling = Spelling {
            decimal: data.decimal,
            unit: None,
            date_order: data.date_order,
        };
        let joins = data.join.iter().map(|config| {
            let format = SourceFormat {
                sheet: config.sheet.clone(),
                ..SourceFormat::default()
            };
            let other = Table::read_as(&config.table, &data.remote, &format)?;
            let rows = rows_by_key(&other, config, &spelling)?;
            Ok(Join {
                config,
                other,
                rows,
            })
        });
        let joins = joins.collect::<Result<_>>()?;
        Ok(Self { spelling, joins })
    }

    /// Those for new rows: where a table of these columns has all that the metadata is read from, it is complete as it is,
    /// and nothing is read.
    ///
    /// # Errors
    ///
    /// As [`Joins::open`].
    pub fn for_new_rows(config: &'a Config, columns: &[String]) -> Result<Self> {
        let is_there = |(name, entry): (&String, &MetadataEntry)| {
            let source = entry.full().from.unwrap_or_else(|| name.clone());
            columns.contains(&source) || COMPUTED.iter().any(|prefix| source.starts_with(prefix))
        };
        if config.metadata.iter().all(is_there) {
            return Ok(Self {
                spelling: Spelling::default(),
                joins: Vec::new(),
            });
        }
        Self::open(&config.data)
    }

    /// The files of the other tables.
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.joins.iter().map(|join| join.config.table.clone());
        files.collect()
    }

    /// The table with the columns of the others. One that has all columns of another is taken to be joined with it already.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`]; [`Error::Cell`] of a time that cannot be read; [`Error::Setting`] where a table has some of the
    /// columns of another, or no row of it belongs to any.
    pub fn apply(&self, mut table: Table) -> Result<Table> {
        for join in &self.joins {
            table = join.apply(table, &self.spelling)?;
        }
        Ok(table)
    }
}

impl Joins<'_> {
    /// As [`Joins::apply`], to a piece of a table; to one without columns, of rows that cannot be read, nothing is added.
    ///
    /// # Errors
    ///
    /// As [`Joins::apply`].
    pub fn apply_to(&self, piece: Piece) -> Result<Piece> {
        if piece.table.columns.is_empty() {
            return Ok(piece);
        }
        let table = self.apply(piece.table)?;
        Ok(Piece { table, ..piece })
    }
}

impl Join<'_> {
    fn apply(&self, mut table: Table, spelling: &Spelling<'_>) -> Result<Table> {
        let added = self.added();
        let names: HashSet<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let is_there = |column: &Column| names.contains(column.name.as_str());
        if !added.is_empty() && added.iter().all(|column| is_there(column)) {
            return Ok(table);
        }
        if let Some(column) = added.iter().find(|column| is_there(column)) {
            let (name, other) = (&column.name, self.other.path.display());
            return Err(setting(
                "data.join",
                format!(
                    "columns of other names than those of {}",
                    table.path.display()
                ),
                format!("`{name}` in {other} as well: give it another name there"),
            ));
        }
        let keys = self.config.on.pairs();
        let keys = keys.iter().map(|(own, _)| table.column(own));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let time = self.config.latest.as_ref().map(|latest| latest.pairs());
        let time = time.and_then(|pairs| pairs.first().map(|(own, _)| table.column(own)));
        let time = time.transpose()?;
        let mut rows = Vec::with_capacity(table.n_rows);
        for row in 0..table.n_rows {
            rows.push(match (key(&keys, row), time) {
                (None, _) => None,
                (Some(key), None) => self.rows.get(&key).and_then(|rows| rows.first()),
                (Some(key), Some(time)) => match moment(&table, time, row, spelling)? {
                    None => None,
                    Some(time) => self.rows.get(&key).and_then(|rows| {
                        let n = rows.partition_point(|(other, _)| *other <= time);
                        rows.get(..n)?.last()
                    }),
                },
            });
        }
        let rows: Vec<Option<usize>> = rows.iter().map(|row| row.map(|(_, row)| *row)).collect();
        self.say(&mut table, &rows)?;
        table
            .columns
            .extend(added.iter().map(|column| column.of_rows(&rows)));
        Ok(table)
    }

    /// The columns of the other table but those by which it is joined.
    fn added(&self) -> Vec<&Column> {
        let latest = self.config.latest.iter().flat_map(|latest| latest.pairs());
        let keys: HashSet<&str> = (self.config.on.pairs().into_iter().chain(latest))
            .map(|(_, other)| other)
            .collect();
        let columns = self.other.columns.iter();
        columns
            .filter(|column| !keys.contains(column.name.as_str()))
            .collect()
    }

    /// How many rows have no row in the other table; that none has is an error.
    fn say(&self, table: &mut Table, rows: &[Option<usize>]) -> Result<()> {
        let alone = rows.iter().filter(|row| row.is_none()).count();
        let other = self.other.path.display();
        // Of a piece of a table it may be so.
        let is_whole = table.first_row == 0;
        if alone == rows.len() && alone > 0 && is_whole && table.n_rows > 1 {
            let mut known: Vec<&Vec<String>> = self.rows.keys().collect();
            known.sort();
            let known: Vec<String> = known.iter().take(3).map(|key| key.join(", ")).collect();
            let pairs = self.config.on.pairs();
            let own: Vec<&str> = pairs.iter().map(|(own, _)| *own).collect();
            return Err(setting(
                "data.join",
                format!("rows of {other} for rows of {}", table.path.display()),
                format!(
                    "none: no `{}` there is as in {other} ({}, …){}",
                    own.join("`, `"),
                    known.join("; "),
                    match self.config.latest {
                        Some(_) => ", or all rows there are later",
                        None => "",
                    }
                ),
            ));
        }
        if alone > 0 && is_whole {
            table.remarks.push(format!(
                "{} of {} no row in {other}: its columns are missing there",
                counted(alone, "row"),
                match rows.len() {
                    1 => "1 has".to_owned(),
                    n => format!("{n} have"),
                }
            ));
        }
        Ok(())
    }
}

fn rows_by_key(other: &Table, config: &JoinConfig, spelling: &Spelling<'_>) -> Result<RowsByKey> {
    let pairs = config.on.pairs();
    let latest = config.latest.as_ref().map(|latest| latest.pairs());
    if pairs.is_empty() && latest.is_none() {
        return Err(setting("data.join.on", "a column", "none"));
    }
    if let Some(latest) = &latest
        && latest.len() != 1
    {
        return Err(setting("data.join.latest", "one column", latest.len()));
    }
    let keys = pairs.iter().map(|(_, theirs)| other.column(theirs));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let time = latest.and_then(|pairs| pairs.first().map(|(_, theirs)| other.column(theirs)));
    let time = time.transpose()?;
    let mut rows = RowsByKey::new();
    for row in 0..other.n_rows {
        let Some(key) = key(&keys, row) else {
            continue;
        };
        let at = match time {
            None => 0.0,
            Some(time) => match moment(other, time, row, spelling)? {
                Some(at) => at,
                None => continue,
            },
        };
        rows.entry(key).or_default().push((at, row));
    }
    for of_key in rows.values_mut() {
        of_key.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pairs = of_key.windows(2);
        if let Some([(_, first), (_, second)]) =
            pairs.find(|pair| matches!(pair, [(a, _), (b, _)] if a == b))
        {
            let found = format!(
                "the same in {} and {}",
                other.row_place(*first),
                other.row_place(*second)
            );
            return Err(setting(
                "data.join",
                match time {
                    None => {
                        "one row for each key; `latest` chooses of several the latest by a column"
                    }
                    Some(_) => "one row for each key and time",
                },
                found,
            ));
        }
    }
    Ok(rows)
}

/// What the cells of a row are, as text; nothing where one is missing.
fn key(columns: &[&Column], row: usize) -> Option<Vec<String>> {
    let cells = columns.iter().map(|column| column.cell(row).to_text());
    let cells = cells.map(|cell| Some(cell?.trim().to_owned()).filter(|cell| !cell.is_empty()));
    cells.collect()
}

/// The time of a row: a date or a number.
fn moment(
    table: &Table,
    column: &Column,
    row: usize,
    spelling: &Spelling<'_>,
) -> Result<Option<f64>> {
    let read = match column.cell(row) {
        Cell::Missing => return Ok(None),
        Cell::Number(number) => Some(number),
        Cell::Text(text) if text.trim().is_empty() => return Ok(None),
        Cell::Text(text) => spelling.datetime(text).or_else(|| spelling.number(text)),
        _ => None,
    };
    match read {
        Some(time) => Ok(Some(time)),
        None => Err(Error::Cell {
            at: table.place(row, &column.name),
            expected: "a date, a time or a number (`data.date_order` says which of day and month stands first)".into(),
            found: column.cell(row).to_text().unwrap_or_default().into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
