//! Predictions of a table of any length, in parts: read piece by piece, written part by part, joined at the end.
//!
//! A table of a few rows is one part. What a row's prediction is depends neither on how the table is cut nor on who
//! makes which part: rows are read one by one, batches begin at the table's multiples of `train.batch`, and random
//! changes are drawn by the row's number in the table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::groups::{GroupMeans, check_task};
use super::{Model, PredictOptions, Predictions};
use crate::dataset::{Dataset, ImageSource, PieceRows};
use crate::encode::Unseen;
use crate::error::{DataError, Error, Result, quoted, setting};
use crate::join::Joins;
use crate::loader::LoaderOptions;
use crate::ranks::{Alone, Ranks, all_or_none, as_collective_error};
use crate::run::{
    BadRowRecord, BadRowsWriter, Extra, Joined, Manifest, OldParts, PartRecord, Parts,
    PredictionRow, PredictionsWriter, TableFile, TableFormat, prediction_rows,
};
use crate::schema::images_elsewhere;
use crate::store::Shard;
use crate::table::{Column, Pieces, ReadLimit};
use crate::write::{ColumnKind, CsvText, Value};

/// Rows without a prediction that an outcome lists; of more it says how many.
pub(super) const LISTED: usize = 10;

/// Rows read at once, at most.
pub(super) const PIECE_ROWS: usize = 2048;

/// Bytes of cells from which on fewer are read at once: a table may hold its images.
pub(super) const PIECE_BYTES: usize = 64 << 20;

/// How a table is predicted.
pub struct TableOptions<'a> {
    /// Threads, and memory for images to come.
    pub loader: LoaderOptions,
    /// As [`PredictOptions::tta_passes`]. Default: 1.
    pub tta_passes: usize,
    /// As [`PredictOptions::coverage`]. Default: no sets.
    pub coverage: Option<f64>,
    /// Points that are less probably visible are left out, as missing cells. Default: none.
    pub min_confidence: Option<f32>,
    /// Rows a part, rounded up to a multiple of `train.batch`: what a kill loses at most. Default: 8192.
    pub part_rows: usize,
    /// Which parts are made here: `(i, n)`, i from 1 to n, is every n-th from the i-th on. Default: `(1, 1)`, all.
    pub share: (usize, usize),
    /// How text is written as CSV. Default: as it is.
    pub text: CsvText,
    /// Columns of the table that are written before the predictions, each cell as text. Default: none.
    pub keep: Vec<String>,
    /// A column of the table: one row is written for all that share its value, their mean prediction, in the order of their
    /// first rows; with neither a coverage nor columns that are kept. The parts hold the rows, so that a job goes on after a
    /// kill as any other; memory grows with the number of groups. Default: a row each.
    pub by: Option<String>,
    /// What a row that cannot be predicted does. Default: it is listed.
    pub bad_rows: BadRows,
    /// What a column of metadata does that the table lacks. Default: it ends the job before it begins.
    pub absent: Absent,
    /// What parts of an earlier job are for. Default: they are gone on with.
    pub old_parts: OldParts,
    /// Who takes part: several ranks share the parts out among them, on a disk that all see; the first joins them.
    /// Default: [`Alone`].
    pub ranks: &'a dyn Ranks,
    /// Called as rows are predicted. Default: nobody is told.
    pub on_progress: Option<&'a mut dyn FnMut(Progress)>,
}

impl std::fmt::Debug for TableOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableOptions")
            .field("tta_passes", &self.tta_passes)
            .field("part_rows", &self.part_rows)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

impl Default for TableOptions<'_> {
    fn default() -> Self {
        Self {
            loader: LoaderOptions::default(),
            tta_passes: 1,
            coverage: None,
            min_confidence: None,
            part_rows: 8192,
            share: (1, 1),
            text: CsvText::default(),
            keep: Vec::new(),
            by: None,
            bad_rows: BadRows::default(),
            absent: Absent::default(),
            old_parts: OldParts::default(),
            ranks: &Alone,
            on_progress: None,
        }
    }
}

/// What a row that cannot be predicted does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// It keeps its place without a prediction, and is listed with its reason in `<name>.bad.csv`.
    #[default]
    Listed,
    /// It ends the job.
    Stop,
}

/// What a column of metadata does that the model reads and the table lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// It ends the job before it begins: it is likely there under another name.
    #[default]
    Refused,
    /// It is missing in every row.
    Missing,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Rows predicted by this call; of several ranks about as many as all of them have.
    pub n_rows: usize,
    /// How much of the table was read, in [0, 1].
    pub share_read: f64,
    /// How much of it had been read when the first of these rows was.
    pub share_before: f64,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOutcome {
    /// Rows that this is about: of the whole table where it is joined, else of the share.
    pub n_rows: usize,
    /// Those without a prediction.
    pub n_bad: usize,
    /// The first of them, ten at most, in words.
    pub first_bad: Vec<String>,
    /// Parts of the whole table.
    pub n_parts: usize,
    /// Rows of a part, but for the last: [`TableOptions::part_rows`], rounded up.
    pub part_rows: usize,
    /// Parts that were there already.
    pub n_parts_before: usize,
    /// What of the metadata training had not seen.
    pub unseen: Unseen,
    /// Columns of metadata that the table lacks.
    pub absent: Vec<String>,
    /// Whether the file is there.
    pub joined: Joined,
    /// Groups that were written by this call, where they were asked for.
    pub n_groups: Option<usize>,
}

/// Predicts every row of a table and writes them to `out` as CSV, JSON Lines or Parquet, whole or not at all.
///
/// While it is made its parts are in `<out>.parts`; called again after a kill it goes on after the last whole part.
/// Several processes with different shares, or the same, may work on one `out`; whoever finishes last joins the parts.
/// `tables` is one table, or several tar archives; archives may be addresses, fetched as the model's
/// `config.data.remote` says; `checksum` is [`Model::checksum`] of the model's folder. Rows without
/// a prediction keep their place, and are listed with the reason in `<name>.bad.csv` beside `out`.
///
/// # Errors
///
/// [`DataError::Setting`](crate::error::DataError::Setting) of groups of keypoints, of more groups than fit in memory, and of groups with
/// a coverage or kept columns; [`Error::PartsDiffer`] where parts are there of another model, table or other options; [`Error::BadRow`] with
/// [`BadRows::Stop`]; [`DataError::EmptyTable`](crate::error::DataError::EmptyTable), [`DataError::NoColumn`](crate::error::DataError::NoColumn), and those of reading and writing. Of several ranks
/// [`Error::OnRank`] where the others do not know of it and must be ended, [`Error::OtherRank`] where another says why.
pub fn predict_table(
    model: &Model,
    checksum: &str,
    tables: &[PathBuf],
    out: &Path,
    options: TableOptions<'_>,
) -> Result<TableOutcome> {
    let (ranks, text) = (options.ranks, options.text);
    let by = options.by.clone();
    let options = with_groups(model, options)?;
    let extras = extras(model, options.coverage);
    if let Some(coverage) = options.coverage {
        model.thresholds(coverage)?;
    }
    if options.min_confidence.is_some() && !model.says_confidence() {
        return Err(Error::NoConfidence);
    }
    let batch = model.config.train.batch.max(1);
    let part_rows = options.part_rows.max(1).next_multiple_of(batch);
    let data = &model.config.data;
    let opened = || {
        let pieces = Pieces::open_as(tables, &data.remote, &data.format_of_others())?;
        let joins = check_columns(model, tables, &options)?;
        let manifest = Manifest::new(
            checksum.to_owned(),
            files(tables, &pieces, &joins)?,
            TableFormat::from_path(out)?,
            part_rows,
            in_words(&options, batch, model),
        )
        .with_text(text);
        Ok::<_, Error>((pieces, joins, manifest))
    };
    let (mut pieces, joins, manifest) = all_or_none(ranks, opened())?;
    // What is there of an earlier job is discarded once, before the others look.
    let first = match ranks.is_first() {
        true => Parts::open(out, &manifest, options.old_parts).map(Some),
        false => Ok(None),
    };
    let parts = match all_or_none(ranks, first)? {
        Some(parts) => Ok(parts),
        None => Parts::open(out, &manifest, OldParts::Continue),
    };
    let parts = all_or_none(ranks, parts)?;
    let share = match ranks.is_alone() {
        true => options.share,
        false => (ranks.rank() + 1, ranks.size()),
    };
    let keep = options.keep.clone();
    let mut job = Job {
        model,
        joins,
        parts: &parts,
        options,
        batch,
        part_rows,
        n_rows: 0,
        share_before: None,
    };
    let made = job.make_share(share, &mut pieces);
    let (n_parts, n_parts_before, mut sum) =
        made.map_err(|error| as_collective_error(ranks, error))?;
    let is_there = match n_parts {
        0 => Err(Error::from(DataError::EmptyTable {
            path: tables.first().cloned().unwrap_or_default(),
            what: "row",
        })),
        _ => Ok(()),
    };
    all_or_none(ranks, is_there)?;
    let mut n_before = [n_parts_before as f64];
    ranks.sum_f64(&mut n_before);

    // What the others met is read before the parts are gone.
    if share.1 > 1 {
        let all = total(&parts, n_parts).map_err(|error| as_collective_error(ranks, error))?;
        if all.n_parts == n_parts {
            sum = all;
        }
    }
    let columns = PredictionsWriter::columns(&model.task, &extras, &labels(&keep));
    let mut n_groups = None;
    let joined = match ranks.is_first() {
        true => {
            ranks.wait();
            match &by {
                None => parts.join(n_parts, &columns),
                Some(by) => parts.join_as(n_parts, |files| {
                    let mut means = GroupMeans::new(&model.task, by, &data.missing)?;
                    files
                        .iter()
                        .try_for_each(|file| means.read(file, &extras))?;
                    n_groups = Some(means.len());
                    means.write(out, text)
                }),
            }
        }
        false => {
            drop(parts);
            ranks.wait();
            Ok(Joined::Whole)
        }
    };
    let joined = all_or_none(ranks, joined)?;
    let absent = sum.absent.into_iter();
    Ok(TableOutcome {
        n_rows: sum.n_rows,
        n_bad: sum.n_bad,
        first_bad: sum.first_bad,
        n_parts,
        part_rows,
        n_parts_before: n_before[0] as usize,
        unseen: sum.unseen,
        absent: absent
            .filter(|(_, n)| *n == sum.n_parts)
            .map(|(column, _)| column)
            .collect(),
        joined,
        n_groups,
    })
}

/// The options for the rows of groups: each part has their group before the predictions, its text as it is.
fn with_groups<'o>(model: &Model, options: TableOptions<'o>) -> Result<TableOptions<'o>> {
    let Some(by) = &options.by else {
        return Ok(options);
    };
    check_task(&model.task)?;
    let other = match (&options.coverage, &options.keep[..]) {
        (Some(coverage), _) => Some(format!("a coverage of {coverage}")),
        (None, [column, ..]) => Some(format!("{column} to be kept")),
        (None, []) => None,
    };
    if let Some(other) = other {
        let expected = "nothing else of the rows, since a row is written for each group";
        return Err(setting("by", expected, other).into());
    }
    Ok(TableOptions {
        keep: vec![by.clone()],
        text: CsvText::Exact,
        ..options
    })
}

/// The options that parts of one table have in common.
fn in_words(options: &TableOptions<'_>, batch: usize, model: &Model) -> String {
    let (looks, precision) = (options.tta_passes.max(1), &model.config.train.precision);
    let mut words = format!("{looks} looks, {batch} rows a batch, {precision}");
    words += &format!(", images by `{}`", model.config.data.image);
    if let Some(coverage) = options.coverage {
        words += &format!(", coverage {coverage}");
    }
    if let Some(least) = options.min_confidence {
        words += &format!(", points of a confidence of {least}");
    }
    if !options.keep.is_empty() {
        words += &format!(", with {}", quoted(&options.keep).join(", "));
    }
    if options.by.is_some() {
        words += ", for means of groups";
    }
    words
}

/// Kept columns, as they are written.
pub(super) fn labels(keep: &[String]) -> Vec<(&str, ColumnKind)> {
    let names = keep.iter().map(String::as_str);
    names.map(|name| (name, ColumnKind::Text)).collect()
}

/// Whether the table has what the model reads and what is to be kept, by its first rows: before anything is written.
fn check_columns<'m>(
    model: &'m Model,
    tables: &[PathBuf],
    options: &TableOptions<'_>,
) -> Result<Joins<'m>> {
    let take = ReadLimit {
        rows: PIECE_ROWS,
        step: 1,
        bytes: PIECE_BYTES,
    };
    let data = &model.config.data;
    let Some(piece) =
        Pieces::open_as(tables, &data.remote, &data.format_of_others())?.next(take)?
    else {
        return Ok(Joins::open(data)?);
    };
    let joins = Joins::for_new_rows(&model.config, &piece.table.names())?;
    // Rows that cannot be read say nothing of the columns.
    if piece.table.columns.is_empty() || piece.bad.len() == piece.table.n_rows {
        return Ok(joins);
    }
    let piece = joins.apply_to(piece)?;
    let table = &piece.table;
    let names = table.names();
    for name in &options.keep {
        table.column(name)?;
    }
    let needs_image = model.needs_image();
    let rows = Dataset::of_piece(piece, &model.config, needs_image)?;
    look_for_images(model, &rows)?;
    match (options.absent, rows.absent.is_empty()) {
        (Absent::Refused, false) => Err(Error::AbsentColumns {
            path: tables.first().cloned().unwrap_or_default(),
            absent: rows.absent,
            columns: names,
        }),
        _ => Ok(joins),
    }
}

/// Refuses a table none of whose first images is there, where it is known what would find them: the pictures of a test
/// set, say, which are in a folder of their own.
fn look_for_images(model: &Model, rows: &PieceRows) -> Result<()> {
    let images = rows.dataset.images.iter().flat_map(ImageSource::parts);
    let paths = images.filter_map(|image| match image {
        ImageSource::Path(path) => Some(path),
        _ => None,
    });
    let n = paths.clone().count();
    if !model.reads_image() || n == 0 || paths.clone().any(|path| path.exists()) {
        return Ok(());
    }
    let images = &model.config.data.image;
    match images_elsewhere(&rows.table, images) {
        Some(found) => Err(Error::ImagesElsewhere {
            path: rows.table.path.clone(),
            n,
            image: images.to_string(),
            found: found.names().join(","),
        }),
        None => Ok(()),
    }
}

/// The files that a table is made of, with those that are joined to it, and the listing that named them, where one did.
fn files(tables: &[PathBuf], pieces: &Pieces, joins: &Joins<'_>) -> Result<Vec<TableFile>> {
    let mut files = pieces.files();
    let joined = joins.files().into_iter();
    files.extend(joined.map(|path| Arc::new(Shard::file(path))));
    let files = files.iter().map(|shard| TableFile::of_shard(shard));
    let listing = pieces.listing().map(|checksum| {
        let name = tables.first().map(|path| path.display().to_string());
        TableFile::listing(name.unwrap_or_default(), checksum)
    });
    files.chain(listing.map(Ok)).collect()
}

/// What all parts say together that are there.
fn total(parts: &Parts, n_parts: usize) -> Result<Sum> {
    let mut all = Sum::default();
    for part in 0..n_parts {
        parts
            .record(part)?
            .into_iter()
            .for_each(|record| all.add(record));
    }
    Ok(all)
}

/// What makes parts.
struct Job<'a, 'o> {
    model: &'a Model,
    joins: Joins<'a>,
    parts: &'a Parts,
    options: TableOptions<'o>,
    /// Rows of a batch, and of a part: a multiple of it.
    batch: usize,
    part_rows: usize,
    /// Rows predicted so far.
    n_rows: usize,
    share_before: Option<f64>,
}

impl Job<'_, '_> {
    /// Makes the parts of a share that are not there yet: how many the table has, how many of the share were there, and
    /// what the share's say together.
    fn make_share(
        &mut self,
        (index, of): (usize, usize),
        pieces: &mut Pieces,
    ) -> Result<(usize, usize, Sum)> {
        let part_rows = self.part_rows;
        let mut sum = Sum::default();
        let (mut n_parts, mut n_parts_before) = (0, 0);
        loop {
            let is_ours = n_parts % of == index - 1;
            let (n_rows, record) = match self.parts.record(n_parts)? {
                Some(record) => {
                    n_parts_before += usize::from(is_ours);
                    (pieces.skip(part_rows)?, is_ours.then_some(record))
                }
                None if is_ours => match self.make_part(n_parts, pieces)? {
                    Some(record) => (record.n_rows, Some(record)),
                    None => (0, None),
                },
                None => (pieces.skip(part_rows)?, None),
            };
            if n_rows > 0 {
                n_parts += 1;
            }
            if let Some(record) = record {
                self.stop_at_bad(&record)?;
                sum.add(record);
            }
            if n_rows < part_rows {
                return Ok((n_parts, n_parts_before, sum));
            }
        }
    }

    /// Makes the next part; `None` at the end of the table.
    fn make_part(&mut self, part: usize, pieces: &mut Pieces) -> Result<Option<PartRecord>> {
        let part_rows = self.part_rows;
        let mut begun: Option<(PredictionsWriter, BadRowsWriter)> = None;
        let (mut n_rows, mut n_pieces) = (0, 0);
        let mut sum = Sum::default();
        while n_rows < part_rows {
            let share_read = pieces.share_read();
            let share_before = *self.share_before.get_or_insert(share_read);
            let largest = PIECE_ROWS.next_multiple_of(self.batch);
            let take = ReadLimit {
                rows: largest.min(part_rows - n_rows),
                step: self.batch,
                bytes: PIECE_BYTES,
            };
            let Some(piece) = pieces.next(take)? else {
                break;
            };
            let piece = self.joins.apply_to(piece)?;
            let needs_image = self.model.needs_image();
            let rows = Dataset::of_piece(piece, &self.model.config, needs_image)?;
            let mut predictions = self.predict(&rows.dataset, share_read, share_before)?;
            if let Some(least) = self.options.min_confidence {
                let known = predictions.predictions.iter_mut().flatten();
                known.for_each(|prediction| prediction.leave_out_unsure(least));
            }
            // Begun with the first rows, so that a table which ends here leaves no empty part; before they are
            // written, a folder that cannot be used is said.
            let (writer, bad_rows) = match &mut begun {
                Some(begun) => begun,
                none => {
                    let path = self.parts.path(part);
                    let extras = &extras(self.model, self.options.coverage);
                    let (labels, text) = (labels(&self.options.keep), self.options.text);
                    let task = &self.model.task;
                    let writer =
                        PredictionsWriter::with_labels(&path, task, extras, &labels, text)?;
                    none.insert((writer, self.parts.bad_rows(part)))
                }
            };
            let n = rows.dataset.len();
            let bad = bad_of(&rows, &predictions.problems);
            if let (BadRows::Stop, Some(first)) = (self.options.bad_rows, bad.first()) {
                return Err(Error::BadRow {
                    at: first.at.clone(),
                    reason: first.reason.clone(),
                });
            }
            let unseen = std::mem::take(&mut predictions.unseen);
            write(writer, &rows, predictions, &bad, &self.options.keep)?;
            bad.iter().try_for_each(|bad| bad_rows.write(bad))?;
            sum.unseen.absorb(match rows.bad.is_empty() {
                true => unseen,
                // What could not be read is no gap.
                false => self.unseen_of_good(&rows)?,
            });
            sum.add_absent(rows.absent);
            n_rows += n;
            n_pieces += 1;
            self.n_rows += n;
        }
        let Some((writer, bad_rows)) = begun else {
            return Ok(None);
        };
        writer.finish()?;
        let absent = sum.absent.into_iter().filter(|(_, n)| *n == n_pieces);
        let absent = absent.map(|(column, _)| column).collect();
        let record = self
            .parts
            .commit(part, n_rows, bad_rows, sum.unseen, absent)?;
        Ok(Some(record))
    }

    /// Predicts the rows of a piece, and tells how far the job is.
    fn predict(
        &mut self,
        rows: &Dataset,
        share_read: f64,
        share_before: f64,
    ) -> Result<Predictions> {
        let options = &mut self.options;
        let n_passes = match self.model.reads_image() {
            true => options.tta_passes.max(1),
            false => 1,
        };
        let (n_before, n_ranks) = (self.n_rows, options.ranks.size());
        let mut tell = |done: usize, _| {
            if let Some(on_progress) = &mut options.on_progress {
                on_progress(Progress {
                    n_rows: (n_before + done / n_passes) * n_ranks,
                    share_read,
                    share_before,
                });
            }
        };
        // Each rank has its own parts.
        self.model.predict(
            rows,
            PredictOptions {
                loader: options.loader,
                tta_passes: options.tta_passes,
                coverage: options.coverage,
                on_progress: Some(&mut tell),
                ..PredictOptions::default()
            },
        )
    }

    /// What training had not seen, of the rows that could be read.
    fn unseen_of_good(&self, rows: &PieceRows) -> Result<Unseen> {
        let mut is_good = vec![true; rows.dataset.len()];
        rows.bad.iter().for_each(|bad| is_good[bad.row] = false);
        let good: Vec<usize> = (0..is_good.len()).filter(|row| is_good[*row]).collect();
        let metadata = rows.dataset.metadata.select(&good);
        Ok(self.model.encoder.encode(&metadata)?.1)
    }

    /// With [`BadRows::Stop`], the error of a bad row in a part that was made without.
    fn stop_at_bad(&self, record: &PartRecord) -> Result<()> {
        match (self.options.bad_rows, record.first_bad.first()) {
            (BadRows::Stop, Some(first)) => Err(Error::ListedBadRow { bad: first.clone() }),
            _ => Ok(()),
        }
    }
}

/// The columns beside those of predictions.
fn extras(model: &Model, coverage: Option<f64>) -> Vec<Extra> {
    let set = coverage.map(|_| Extra::Set);
    let extras = model.extras().into_iter().chain(set);
    extras.chain([Extra::Problem]).collect()
}

/// The rows without a prediction: those that could not be read, and those whose image could not be used.
pub(super) fn bad_of(rows: &PieceRows, problems: &[(usize, Arc<Error>)]) -> Vec<BadRowRecord> {
    let number = |row: usize| rows.dataset.rows[row] + 1;
    let mut is_bad = vec![false; rows.dataset.len()];
    let mut bad = Vec::new();
    for row in &rows.bad {
        is_bad[row.row] = true;
        bad.push((row.row, BadRowRecord::of_row(row, &rows.table)));
    }
    for (row, error) in problems {
        if !is_bad[*row] {
            let mut record = BadRowRecord::new(number(*row), error);
            record.at = rows.table.place(*row, &rows.image_column);
            bad.push((*row, record));
        }
    }
    bad.sort_by_key(|(row, _)| *row);
    bad.into_iter().map(|(_, record)| record).collect()
}

/// Writes all rows of a piece; a bad one keeps its place, with the reason in place of a prediction.
fn write(
    writer: &mut PredictionsWriter,
    rows: &PieceRows,
    predictions: Predictions,
    bad: &[BadRowRecord],
    keep: &[String],
) -> Result<()> {
    let first_row = rows.table.first_row;
    let Predictions {
        mut predictions,
        sets,
        spread,
        ..
    } = predictions;
    for bad in bad {
        predictions[bad.row - 1 - first_row] = None;
    }
    let positions: Vec<usize> = (0..rows.dataset.len()).collect();
    let mut table: Vec<PredictionRow<'_>> =
        prediction_rows(&rows.dataset, &positions, &predictions, None).collect();
    for (row, set) in table.iter_mut().zip(sets.iter().flatten()) {
        row.set = set.as_ref();
    }
    for (row, spread) in table.iter_mut().zip(spread.iter().flatten()) {
        row.spread = spread;
    }
    for bad in bad {
        table[bad.row - 1 - first_row].problem = Some(bad.reason.clone());
    }
    let kept: Vec<Option<&Column>> = keep.iter().map(|name| rows.table.find(name)).collect();
    for (row, written) in table.into_iter().enumerate() {
        let cells = kept.iter().map(|column| {
            let text = column.and_then(|column| column.cell(row).to_text());
            text.map_or(Value::Missing, Value::Text)
        });
        writer.write_labelled(&cells.collect::<Vec<_>>(), &[written])?;
    }
    Ok(())
}

/// What parts say together.
#[derive(Default)]
struct Sum {
    n_parts: usize,
    n_rows: usize,
    n_bad: usize,
    first_bad: Vec<String>,
    unseen: Unseen,
    /// In how many parts (or pieces) each column is absent.
    absent: std::collections::BTreeMap<String, usize>,
}

impl Sum {
    fn add(&mut self, record: PartRecord) {
        self.n_parts += 1;
        self.n_rows += record.n_rows;
        self.n_bad += record.n_bad;
        let room = LISTED.saturating_sub(self.first_bad.len());
        self.first_bad
            .extend(record.first_bad.into_iter().take(room));
        self.unseen.absorb(record.unseen);
        self.add_absent(record.absent);
    }
    fn add_absent(&mut self, columns: Vec<String>) {
        for column in columns {
            *self.absent.entry(column).or_default() += 1;
        }
    }
}
