//! From a table and a configuration to a [`Dataset`]: strictly, for a trained model, or to list every problem.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::cells::ImageCells;
use super::crop;
use super::fact::{Fact, image_facts, is_computed};
use super::metadata::{Misread, MissingMarkers, expected, read as read_metadata};
use super::{
    Dataset, Folds, ImageSource, Metadata, MetadataColumn, Opened, PieceRows, RowWeights, Split,
    Targets, outside, target, time, weight,
};
use crate::config::{
    Config, Frame, MetadataConfig, MetadataEntry, Spacing, TargetKind, Unreadable, expand_ranges,
};
use crate::error::{Error, Result, setting};
use crate::image::{Affine, facts};
use crate::random;
use crate::schema;
use crate::table::{BadRow, Cell, Column, Piece, Table, Values, extension};

/// What stands in the way of an entirely strict reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// Cells that are not what their column holds.
    pub misread: Vec<Misread>,
    /// Columns that were asked for and are not there.
    pub absent: Vec<Absent>,
    /// Table rows (from 0) without the name of an image.
    pub no_image: Vec<usize>,
}

/// A column that was asked for and is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Absent {
    /// The field that names it.
    pub field: String,
    /// Name of the column that is absent.
    pub column: String,
}

impl Findings {
    fn absent(&mut self, field: impl Into<String>, column: &str) {
        self.absent.push(Absent {
            field: field.into(),
            column: column.to_owned(),
        });
    }

    /// The column that a field names, if it names one that is there.
    fn find<'a>(
        &mut self,
        table: &'a Table,
        field: &str,
        name: Option<&String>,
    ) -> Option<&'a Column> {
        let found = table.find(name?);
        if found.is_none() {
            self.absent(field, name?);
        }
        found
    }

    /// The columns that a field names, if all are there.
    fn find_all<'a>(
        &mut self,
        table: &'a Table,
        field: &str,
        names: &[String],
    ) -> Option<Vec<&'a Column>> {
        let found: Vec<_> = names
            .iter()
            .map(|name| self.find(table, field, Some(name)))
            .collect();
        found.into_iter().collect()
    }
}

/// What is done with rows that have no target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WithoutTarget {
    LeftOut,
    Kept,
    /// Nobody asks what the target is.
    Unread,
}

/// `left_out` are rows of the table (from 0) that nobody looks at.
pub(super) fn strict(table: &Table, config: &Config, left_out: &HashSet<usize>) -> Result<Dataset> {
    let (mut dataset, findings) = build(table, config, WithoutTarget::LeftOut, left_out)?;
    if let Some(absent) = findings.absent.first() {
        table.column(&absent.column)?;
    }
    all_read(table, &findings.misread)?;
    no_image(table, config, &findings)?;
    if dataset.is_empty() {
        let column = config.target.names().into_iter().next().unwrap_or_default();
        return Err(Error::NoTarget {
            path: table.path.clone(),
            column,
            rows: table.n_rows,
        });
    }
    check_weights(&dataset, config)?;
    outside::leave_out(&mut dataset)?;
    Ok(dataset)
}

/// An error that names the first cell that is not what its column holds, if there is one.
fn all_read(table: &Table, misread: &[Misread]) -> Result<()> {
    let mut first = misread.iter().filter_map(|m| Some((m, m.first.first()?)));
    match first.next() {
        None => Ok(()),
        Some((misread, (row, found))) => Err(Error::Cell {
            at: table.place(*row, &misread.column),
            expected: misread.expected.into(),
            found: found.clone(),
        }),
    }
}

/// Refuses weights that are 0 in every row.
fn check_weights(dataset: &Dataset, config: &Config) -> Result<()> {
    let rows: Vec<usize> = (0..dataset.len()).collect();
    match (&dataset.weights, &config.data.weight) {
        (Some(weights), Some(column)) => weights.check(column, &rows, "the rows"),
        _ => Ok(()),
    }
}

/// As [`Dataset::open`](super::Dataset::open).
pub(super) fn open(config: &Config) -> Result<Opened> {
    config.validate()?;
    let data = &config.data;
    let mut piece = match data.unreadable {
        Unreadable::Refuse => Piece {
            table: data.read_table()?,
            bad: Vec::new(),
        },
        Unreadable::Skip => {
            let piece = Table::read_with_gaps(&data.table, &data.remote, &data.source_format())?;
            Piece {
                table: data.completed(piece.table)?,
                ..piece
            }
        }
    };
    let (config, mut remarks) = schema::resolve(&piece.table, config)?;
    let mut dataset = match config.data.unreadable {
        Unreadable::Refuse => strict(&piece.table, &config, &HashSet::new())?,
        Unreadable::Skip => readable(&mut piece, &config)?,
    };
    remarks.append(&mut dataset.remarks);
    dataset.remarks = remarks;
    Ok(Opened {
        table: piece.table,
        bad: piece.bad,
        config,
        dataset,
    })
}

/// The rows that can be read; what cannot, or has no image, is among the piece's bad rows afterwards.
fn readable(piece: &mut Piece, config: &Config) -> Result<Dataset> {
    let Piece { table, bad } = piece;
    let mut left_out: HashSet<usize> = bad.iter().map(|bad| bad.row).collect();
    if let Ok(columns) = schema::image_columns(table, &config.data) {
        let has_none = |row| {
            columns
                .iter()
                .all(|column| column.cell(row) == Cell::Missing)
        };
        for row in 0..table.n_rows {
            if has_none(row) && left_out.insert(row) {
                let error = Error::Cell {
                    at: table.place(row, &columns[0].name),
                    expected: no_image_of(table).into(),
                    found: String::new(),
                };
                bad.push(BadRow { row, error });
            }
        }
    }
    bad.sort_by_key(|bad| bad.row);
    strict(table, config, &left_out)
}

/// What a row without an image lacks.
fn no_image_of(table: &Table) -> &'static str {
    match table.samples {
        Some(_) => "an image beside its metadata (.jpg, .png, .webp, …)",
        None => "the name of an image",
    }
}

/// As [`Dataset::grouped_by`](super::Dataset::grouped_by).
pub(super) fn grouped_by(
    mut dataset: Dataset,
    table: &Table,
    column: &str,
    config: &Config,
) -> Result<Dataset> {
    let gaps = MissingMarkers {
        table: &config.data.missing,
        column: &[],
    };
    let column = table.column(column)?;
    let found = groups(column, gaps, &dataset.rows, &mut dataset.remarks);
    dataset.groups = Some(found);
    Ok(dataset)
}

/// As [`Dataset::for_evaluation`](super::Dataset::for_evaluation).
pub(super) fn scored(table: &Table, config: &Config, needs_image: bool) -> Result<Dataset> {
    let mut dataset = lenient(table, config, needs_image)?;
    outside::leave_out(&mut dataset)?;
    let (Some(name), Some(targets)) = (&config.data.weight, &dataset.targets) else {
        return Ok(dataset);
    };
    let column = table.column(name)?;
    let gaps = MissingMarkers {
        table: &config.data.missing,
        column: &[],
    };
    let mut misread = Vec::new();
    // A row without a target is not scored, whatever it would count.
    let rows = 0..dataset.len();
    let rows: Vec<usize> = rows.filter(|&row| targets.is_known(row)).collect();
    let in_table: Vec<usize> = rows.iter().map(|&row| dataset.rows[row]).collect();
    let spelling = config.table_spelling();
    let read = weight::read(column, spelling, gaps, &in_table, &mut misread);
    all_read(table, &misread)?;
    let mut of_row = vec![0.0; dataset.len()];
    for (&row, &weight) in rows.iter().zip(read.of_row()) {
        of_row[row] = weight;
    }
    let weights = RowWeights::new(of_row);
    weights.check(name, &rows, "the rows with a target")?;
    dataset.weights = Some(weights);
    Ok(dataset)
}

pub(super) fn lenient(table: &Table, config: &Config, needs_image: bool) -> Result<Dataset> {
    let mut config = config.clone();
    // A sample is for training, and so is a division by time; every new row is to be predicted.
    config.data.limit = 0;
    config.data.time = None;
    config.data.weight = None;
    let with_paths;
    let mut images = config.data.image.names().iter();
    let table = match images.any(|image| table.is_path(image)) {
        true => {
            with_paths = table.clone().with_paths(config.data.image.names())?;
            &with_paths
        }
        false => table,
    };
    let (mut dataset, findings) = build(table, &config, WithoutTarget::Kept, &HashSet::new())?;
    let absent = findings.absent.iter();
    for absent in absent.filter(|absent| absent.field == "data.image") {
        table.column(&absent.column)?;
    }
    if needs_image {
        no_image(table, &config, &findings)?;
    }
    for Absent { field, column } in findings.absent {
        // The field is `metadata.x`, or the target, the group or the part: of those only metadata matters here.
        if field.starts_with("metadata") {
            dataset.remarks.push(format!(
                "the table has no column `{column}`: it is missing in every row"
            ));
        }
    }
    for misread in findings.misread {
        let Some((row, found)) = misread.first.first() else {
            continue;
        };
        let (column, expected, row) = (&misread.column, misread.expected, row + 1);
        dataset.remarks.push(match misread.count {
            1 => format!("1 cell of column `{column}` is not {expected}, read as missing: {found:?} in row {row}"),
            n => format!("{n} cells of column `{column}` are not {expected}, read as missing: {found:?} in row {row}, …"),
        });
    }
    Ok(dataset)
}

/// As [`Dataset::of_piece`](super::Dataset::of_piece).
pub(super) fn piece(piece: Piece, config: &Config, needs_image: bool) -> Result<PieceRows> {
    let Piece { table, mut bad } = piece;
    let table = table.with_paths(config.data.image.names())?;
    let mut config = config.clone();
    config.data.limit = 0;
    config.data.group = None;
    config.data.fold = None;
    config.data.time = None;
    config.data.weight = None;
    config.data.split.column = None;
    let (mut dataset, findings) = build(&table, &config, WithoutTarget::Unread, &HashSet::new())?;
    let is_bad: HashSet<usize> = bad.iter().map(|bad| bad.row).collect();

    let mut no_image = findings.no_image;
    let (mut absent, mut n_absent) = (Vec::new(), 0);
    for Absent { field, column } in findings.absent {
        if field == "data.image" {
            // A header names it for all pieces. Lines of JSON may not; never in the first is a slip in the name.
            let is_first = table.first_row == 0 && !table.columns.is_empty();
            if is_first || !has_lines_of_json(&table) {
                table.column(&column)?;
            }
            n_absent += 1;
        } else {
            absent.push(column);
        }
    }
    if n_absent == config.data.image.names().len() {
        no_image = (0..table.n_rows).collect();
    }
    let first = config.data.image.first();
    let column = schema::image_column(&table, first);
    let image_column = column.map_or_else(|_| first.to_owned(), |c| c.name.clone());
    let mut more = Vec::new();
    if needs_image {
        let expected = no_image_of(&table);
        more.extend(
            no_image
                .iter()
                .map(|row| (*row, &image_column, expected, "")),
        );
    }
    for misread in &findings.misread {
        for (row, found) in &misread.first {
            more.push((*row, &misread.column, misread.expected, found.as_str()));
        }
    }
    // One reason a row, the image's before that of a column.
    let mut seen = is_bad;
    for (row, column, expected, found) in more {
        if seen.insert(row) {
            let error = Error::Cell {
                at: table.place(row, column),
                expected: expected.into(),
                found: shortened(found),
            };
            bad.push(BadRow { row, error });
        }
    }
    bad.sort_by_key(|bad| bad.row);
    // Nothing is to be read for them, nor for those without the name of an image.
    for row in bad.iter().map(|bad| bad.row).chain(no_image) {
        let parts = dataset.images[row].parts().iter().map(unread);
        dataset.images[row] = ImageSource::of_parts(parts.collect());
    }
    dataset.rows = (0..table.n_rows).map(|row| table.first_row + row).collect();
    Ok(PieceRows {
        dataset,
        table,
        image_column,
        bad,
        absent,
    })
}

/// An image that is named and not to be read.
fn unread(image: &ImageSource) -> ImageSource {
    match image.whole() {
        ImageSource::Path(_) | ImageSource::Object(_) => ImageSource::Bytes {
            name: image.name(),
            bytes: [].into(),
        },
        other => other.clone(),
    }
}

fn has_lines_of_json(table: &Table) -> bool {
    ["jsonl", "ndjson"].contains(&extension(&table.path).as_str())
}

/// The first characters of a cell, for a message.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Everything that a strict reading would stop at, and the data set without it.
pub fn inspect(table: &Table, config: &Config) -> Result<(Dataset, Findings)> {
    build(table, config, WithoutTarget::LeftOut, &HashSet::new())
}

fn no_image(table: &Table, config: &Config, findings: &Findings) -> Result<()> {
    match findings.no_image.first() {
        None => Ok(()),
        Some(row) => Err(Error::Cell {
            at: table.place(*row, config.data.image.first()),
            expected: "the name of an image".into(),
            found: String::new(),
        }),
    }
}

fn build(
    table: &Table,
    config: &Config,
    without_target: WithoutTarget,
    left_out: &HashSet<usize>,
) -> Result<(Dataset, Findings)> {
    let mut findings = Findings::default();
    let mut remarks = table.remarks.clone();
    let gaps = MissingMarkers {
        table: &config.data.missing,
        column: &[],
    };
    let target_gaps = MissingMarkers {
        column: &config.target.missing,
        ..gaps
    };

    let targets = match without_target {
        WithoutTarget::Unread => None,
        _ => read_targets(table, config, target_gaps, &mut findings),
    };
    let names = config.data.image.names();
    if table.samples.is_some() && config.data.n_images() > 1 {
        let expected = "nothing, since a record of an archive has one image";
        return Err(setting("data.image", expected, &config.data.image));
    }
    let mut image_columns = Vec::new();
    for name in names {
        let column = schema::image_column(table, name).ok();
        if column.is_none() {
            findings.absent("data.image", name);
        }
        image_columns.push(column);
    }

    let mut rows: Vec<usize> = (0..table.n_rows).collect();
    rows.retain(|row| !left_out.contains(row));
    if without_target == WithoutTarget::LeftOut
        && let Some(targets) = &targets
    {
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|row| targets.is_known(**row));
        rows = known;
        if !unknown.is_empty() {
            remarks.push(format!(
                "{} of {} rows have no target and are left out{}",
                unknown.len(),
                table.n_rows,
                spelt_targets(table, config, target_gaps, &unknown)
            ));
        }
    }
    if config.data.limit > 0 && config.data.limit < rows.len() {
        rows = sample(&rows, config.data.limit, config.data.split.seed);
        remarks.push(format!(
            "a sample of {} rows is used (`data.limit`)",
            rows.len()
        ));
    }

    let cells = ImageCells {
        table,
        columns: &image_columns,
        data: &config.data,
    };
    // Whoever reads strictly stops at the absent column; who lists problems goes on to the next.
    let found = cells.read(&rows)?;
    findings.no_image = found.nameless;
    remarks.extend(found.remarks);
    let mut images = found.images;
    let is_upright =
        config.target.kind == TargetKind::Keypoints && config.target.frame == Some(Frame::Upright);
    let to_table = is_upright.then(|| turns(&images));
    if let Some(names) = &config.data.crop
        && let Some(columns) = findings.find_all(table, "data.crop", names)
    {
        let rows = (&rows[..], to_table.as_deref());
        let (spelling, misread) = (config.table_spelling(), &mut findings.misread);
        crop::cut(&mut images, &columns, rows, spelling, gaps, misread);
    }
    let reading = ColumnReader {
        table,
        config,
        image_column: image_columns.iter().copied().flatten().next(),
        rows: &rows,
        without_target,
    };
    let metadata = reading.columns(&images, &mut findings)?;
    let column = findings.find(table, "data.group", config.data.group.as_ref());
    let groups = column.map(|column| groups(column, gaps, &rows, &mut remarks));
    let column = findings.find(
        table,
        "data.split.column",
        config.data.split.column.as_ref(),
    );
    let splits = column.map(|column| parts(column, config, gaps, &rows, &mut findings));
    let column = findings.find(table, "data.fold", config.data.fold.as_ref());
    let folds = column.map(|column| folds(column, gaps, &rows, &mut findings));
    let column = findings.find(table, "data.time", config.data.time.as_ref());
    let times = column.map(|column| {
        let spelling = config.table_spelling();
        time::read(column, spelling, gaps, &rows, &mut findings.misread)
    });
    let column = findings.find(table, "data.weight", config.data.weight.as_ref());
    let weights = column.map(|column| {
        let spelling = config.table_spelling();
        weight::read(column, spelling, gaps, &rows, &mut findings.misread)
    });
    let mut targets = targets.map(|targets| targets.select(&rows));
    if let (
        Some(Targets::Keypoints {
            n_points,
            xy,
            scale,
            ..
        }),
        Some(turns),
    ) = (&mut targets, &to_table)
    {
        for (size, turn) in scale.mm_per_px.iter_mut().zip(turns) {
            let [a, ..] = turn.0;
            // A quarter turn: what was across is down.
            if a == 0.0 {
                size.reverse();
            }
        }
        for (points, turn) in xy.chunks_exact_mut((*n_points).max(1)).zip(turns) {
            let to_stored = turn.inverse();
            points
                .iter_mut()
                .for_each(|point| *point = to_stored.apply(*point));
        }
    }
    findings.misread.retain(|misread| misread.count > 0);
    let dataset = Dataset {
        path: table.path.clone(),
        rows,
        images,
        metadata,
        targets,
        groups,
        splits,
        folds,
        times,
        weights,
        to_table,
        remarks,
    };
    Ok((dataset, findings))
}

/// The targets, where the table has the target's columns.
fn read_targets(
    table: &Table,
    config: &Config,
    gaps: MissingMarkers<'_>,
    findings: &mut Findings,
) -> Option<Targets> {
    let names = config.target.names();
    let columns: Vec<&Column> = names.iter().filter_map(|name| table.find(name)).collect();
    if columns.is_empty() {
        return None;
    }
    if columns.len() < names.len() {
        // Some but not all: a slip in a name, not a table of new rows.
        let absent = names.iter().filter(|name| table.find(name).is_none());
        absent.for_each(|name| findings.absent("target", name));
        return None;
    }
    let misread = &mut findings.misread;
    let spelling = config.target_spelling();
    let mut targets = target::read(&config.target, spelling, &columns, gaps, misread);
    let of_scale = config.target.spacing.iter().flat_map(Spacing::columns);
    let of_scale = of_scale.map(|column| ("target.spacing", column));
    let of_area = config
        .target
        .area
        .iter()
        .map(|column| ("target.area", column));
    for (field, column) in of_scale.chain(of_area) {
        findings.find(table, field, Some(column));
    }
    let misread = &mut findings.misread;
    let find = |name: &str| table.find(name);
    target::with_scale(&mut targets, &config.target, find, spelling, gaps, misread);
    let names = expand_ranges(&config.target.visibility);
    let found = findings.find_all(table, "target.visibility", &names);
    if let Some(found) = found.filter(|found| !found.is_empty()) {
        target::with_visibility(&mut targets, &found, gaps, &mut findings.misread);
    }
    Some(targets)
}

/// How EXIF turns each image, from its header; an image that cannot be read is not turned.
fn turns(images: &[ImageSource]) -> Vec<Affine> {
    let _ahead = ImageSource::read_ahead(images.iter());
    let turn =
        |image: &ImageSource| facts(image).map_or(Affine::IDENTITY, |facts| facts.from_stored);
    images.par_iter().map(turn).collect()
}

/// Rows drawn without replacement, in the table's order; the seed says which.
fn sample(rows: &[usize], n: usize, seed: u64) -> Vec<usize> {
    let mut random = random::named(seed, "data.limit");
    let mut drawn = rand::seq::index::sample(&mut random, rows.len(), n).into_vec();
    drawn.sort_unstable();
    drawn.into_iter().map(|index| rows[index]).collect()
}

/// Where the cells of a metadata column come from.
enum Source<'a> {
    Column(&'a Column),
    /// Position among the facts that are read from the images.
    Fact(usize),
    Absent,
}

/// What metadata is read from, and how.
pub(super) struct ColumnReader<'a> {
    pub(super) table: &'a Table,
    pub(super) config: &'a Config,
    pub(super) image_column: Option<&'a Column>,
    pub(super) rows: &'a [usize],
    pub(super) without_target: WithoutTarget,
}

impl ColumnReader<'_> {
    /// The columns of the configuration, in its order; for each there is one entry in `findings.misread`.
    pub(super) fn columns(
        &self,
        images: &[ImageSource],
        findings: &mut Findings,
    ) -> Result<Metadata> {
        let Self {
            table,
            config,
            image_column,
            rows,
            without_target,
        } = *self;
        let configs: Vec<(&String, MetadataConfig)> = config
            .metadata
            .iter()
            .map(|(name, entry): (_, &MetadataEntry)| (name, entry.full()))
            .collect();
        let by_name = table.by_name();
        let mut facts: Vec<&str> = Vec::new();
        let mut sources = Vec::new();
        for (name, column) in &configs {
            let from = column.from.as_deref().unwrap_or(name);
            let source = match by_name.get(from).copied() {
                Some(column) => Source::Column(column),
                None if is_computed(from) => {
                    facts.push(from);
                    Source::Fact(facts.len() - 1)
                }
                // A pattern without `from` is over the name of the image.
                None if column.pattern.is_some() && column.from.is_none() => {
                    image_column.map_or(Source::Absent, Source::Column)
                }
                None => {
                    findings.absent(format!("metadata.{}", crate::config::key(name)), from);
                    Source::Absent
                }
            };
            sources.push(source);
        }
        let facts: Vec<Vec<Option<Fact>>> = if facts.is_empty() {
            Vec::new()
        } else {
            let _ahead = ImageSource::read_ahead(images.iter());
            images
                .par_iter()
                .map(|image| image_facts(image, &facts))
                .collect()
        };

        let mut columns = Vec::new();
        for ((name, config_of), source) in configs.iter().zip(&sources) {
            let label = if let Source::Column(column) = source {
                column.name.as_str()
            } else {
                name.as_str()
            };
            let mut misread = Misread::new(label, expected(config_of.kind));
            if without_target == WithoutTarget::Unread {
                misread = misread.all();
            }
            let gaps = MissingMarkers {
                table: &config.data.missing,
                column: &config_of.missing,
            };
            let cells = rows.iter().enumerate().map(|(position, row)| {
                let cell = match source {
                    Source::Column(column) => text_for_pattern(column, *row, config_of),
                    Source::Fact(fact) => facts[position][*fact]
                        .as_ref()
                        .map_or(Cell::Missing, Fact::cell),
                    Source::Absent => Cell::Missing,
                };
                (*row, cell)
            });
            let values = read_metadata(
                config_of,
                config.spelling(config_of),
                gaps,
                cells,
                &mut misread,
            )?;
            findings.misread.push(misread);
            columns.push(MetadataColumn {
                name: (*name).clone(),
                values,
            });
        }
        Ok(Metadata {
            columns,
            n_rows: rows.len(),
        })
    }
}

/// The cell; for a pattern over embedded images, their name.
fn text_for_pattern<'a>(column: &'a Column, row: usize, config: &MetadataConfig) -> Cell<'a> {
    match &column.values {
        Values::Image { path, .. }
            if config.pattern.is_some() && !arrow_array::Array::is_null(path, row) =>
        {
            Cell::Text(path.value(row))
        }
        Values::Members(members) if config.pattern.is_some() => members[row]
            .as_ref()
            .map_or(Cell::Missing, |member| Cell::Text(&member.name)),
        _ => column.cell(row),
    }
}

/// Group numbers in order of first appearance; a row without a group is one of its own.
fn groups(
    column: &Column,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
    remarks: &mut Vec<String>,
) -> Vec<u32> {
    let mut number_of: HashMap<String, u32> = HashMap::new();
    let (mut next, mut n_alone) = (0, 0);
    let mut new = || {
        next += 1;
        next - 1
    };
    let mut group = |row: &usize| match gaps.read(column.cell(*row)).to_text() {
        Some(name) => match number_of.get(name.trim()) {
            Some(number) => *number,
            None => *number_of.entry(name.trim().to_owned()).or_insert(new()),
        },
        None => {
            n_alone += 1;
            new()
        }
    };
    let numbers = rows.iter().map(&mut group).collect();
    if n_alone > 0 {
        remarks.push(format!(
            "{n_alone} rows have no `{}`: each is taken as a group of its own",
            column.name
        ));
    }
    numbers
}

/// What the cells of left-out rows say in place of a target, if they are not empty: `: 12 say `NA``.
fn spelt_targets(
    table: &Table,
    config: &Config,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
) -> String {
    let mut spelt: BTreeMap<String, usize> = BTreeMap::new();
    let names = config.target.names();
    for column in names.iter().filter_map(|name| table.find(name)) {
        for row in rows {
            let cell = column.cell(*row);
            if gaps.is_spelt(cell) {
                let text = cell.to_text().unwrap_or_default();
                *spelt.entry(text.trim().to_owned()).or_default() += 1;
            }
        }
    }
    let said: Vec<String> = spelt
        .iter()
        .map(|(text, n)| format!("{n} say `{text}`"))
        .collect();
    match said.is_empty() {
        true => String::new(),
        false => format!(": {} (`data.missing`)", said.join(", ")),
    }
}

/// The fold of each row, in the order of their names: numbers as numbers.
fn folds(
    column: &Column,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
    findings: &mut Findings,
) -> Folds {
    let mut misread = Misread::new(&column.name, "the number or name of a fold");
    let mut read = |row: &usize| match gaps.read(column.cell(*row)).to_text() {
        Some(name) => name.trim().to_owned(),
        None => {
            misread.push(*row, "");
            String::new()
        }
    };
    let of_row: Vec<String> = rows.iter().map(&mut read).collect();
    let mut names: Vec<String> = of_row.clone();
    let number = |name: &String| name.parse::<f64>().unwrap_or(f64::INFINITY);
    names.sort_by(|a, b| number(a).total_cmp(&number(b)).then_with(|| a.cmp(b)));
    names.dedup();
    let code: HashMap<&String, u32> = names.iter().zip(0..).collect();
    let of_row = of_row.iter().map(|name| code[name]).collect();
    findings.misread.push(misread);
    Folds { of_row, names }
}

fn parts(
    column: &Column,
    config: &Config,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
    findings: &mut Findings,
) -> Vec<Split> {
    let mut misread = Misread::new(&column.name, "`train`, `valid` or `test`");
    let part = schema::Parts::of_config(&column.name, &config.data.split);
    let read = |row: &usize| {
        let text = gaps.read(column.cell(*row)).to_text().unwrap_or_default();
        part.read(&text).unwrap_or_else(|| {
            misread.push(*row, &text);
            Split::Train
        })
    };
    let parts = rows.iter().map(read).collect();
    findings.misread.push(misread);
    parts
}
