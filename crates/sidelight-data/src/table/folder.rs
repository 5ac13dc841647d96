//! Hugging Face's `imagefolder`: a folder of images with a metadata file, with one for each part, or with a folder per class.

use std::path::{Path, PathBuf};

use arrow_array::LargeStringArray;

use super::pieces::{OnBadRow, known_line};
use super::{
    Accumulator, Cell, Column, IMAGE_ENDINGS, SourceFile, Table, Values, extension, unique_names,
};
use crate::error::{Error, Result, cannot_read};
use crate::kind::Split;

/// The metadata files that are looked for, in this order.
const METADATA: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

pub(super) fn read(path: &Path) -> Result<Table> {
    if let Some(file) = metadata_file(path) {
        return Ok(Table {
            root: path.to_path_buf(),
            ..Table::read(&file)?
        });
    }
    let folders = subfolders(path)?;
    let parts: Vec<&PathBuf> = folders.iter().filter(|folder| is_part(folder)).collect();
    if parts.iter().any(|part| metadata_file(part).is_some()) {
        return join(path, &parts);
    }
    classes(path, &folders)
}

/// One table of the metadata files of several parts, with a column `split` that names the part.
fn join(path: &Path, parts: &[&PathBuf]) -> Result<Table> {
    let mut columns: Vec<(String, Accumulator)> = Vec::new();
    let mut files = Vec::new();
    let mut lines = Vec::new();
    let mut split = Vec::new();
    for part in parts {
        let Some(file) = metadata_file(part) else {
            continue;
        };
        let table = Table::read(&file)?;
        let n_before = split.len();
        let part_name = file_name(part);
        for column in &table.columns {
            let position = columns
                .iter()
                .position(|(name, _)| *name == column.name)
                .unwrap_or_else(|| {
                    columns.push((column.name.clone(), Accumulator::Empty(n_before)));
                    columns.len() - 1
                });
            let Some((_, cells)) = columns.get_mut(position) else {
                continue;
            };
            match &column.values {
                // Names are relative to the part's folder, and must become relative to the whole.
                Values::Text(names) if column.name == "file_name" => {
                    names.iter().for_each(|name| match name {
                        Some(name) => cells.push_text(&format!("{part_name}/{name}")),
                        None => cells.push_missing(),
                    })
                }
                values => cells.extend(values),
            }
        }
        for (name, cells) in &mut columns {
            if table.find(name).is_none() {
                (0..table.n_rows).for_each(|_| cells.push_missing());
            }
        }
        lines.extend((0..table.n_rows).map(|row| known_line(table.row_place(row).line)));
        split.extend((0..table.n_rows).map(|_| part_name.clone()));
        files.push(SourceFile {
            path: file,
            n_rows: table.n_rows,
        });
    }
    let n_rows = split.len();
    let mut columns: Vec<Column> = columns
        .into_iter()
        .map(|(name, cells)| Column {
            name,
            values: cells.finish(OnBadRow::Whole),
        })
        .collect();
    // A column of that name in the files is the person's own, and stays.
    if !columns.iter().any(|column| column.name == "split") {
        columns.push(Column {
            name: "split".into(),
            values: Values::Text(LargeStringArray::from_iter_values(split)),
        });
    }
    unique_names(path, columns.iter().map(|column| column.name.as_str()))?;
    Ok(Table {
        root: path.to_path_buf(),
        files,
        ..Table::of_file(path, columns, n_rows, Some(lines.into()))
    })
}

/// A table of images in folders, the folder's name being the label; folders of parts may stand above.
fn classes(path: &Path, folders: &[PathBuf]) -> Result<Table> {
    let by_part = !folders.is_empty() && folders.iter().all(|folder| is_part(folder));
    let (mut names, mut labels, mut split) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |folder: &Path, prefix: &str, part: Option<&str>| -> Result<()> {
        let label = file_name(folder);
        for image in images(folder)? {
            names.push(format!("{prefix}{label}/{image}"));
            labels.push(label.clone());
            split.extend(part.map(str::to_owned));
        }
        Ok(())
    };
    for folder in folders {
        if by_part {
            let part = file_name(folder);
            for class in subfolders(folder)? {
                add(&class, &format!("{part}/"), Some(&part))?;
            }
        } else {
            add(folder, "", None)?;
        }
    }
    if names.is_empty() {
        return Err(Error::NoImagefolder {
            path: path.to_path_buf(),
        });
    }
    let n_rows = names.len();
    let mut columns = Vec::new();
    for (name, cells) in [("file_name", names), ("label", labels), ("split", split)] {
        if cells.len() == n_rows {
            columns.push(Column {
                name: name.into(),
                values: Values::Text(LargeStringArray::from_iter_values(cells)),
            });
        }
    }
    let table = Table {
        root: path.to_path_buf(),
        ..Table::of_file(path, columns, n_rows, None)
    };
    let first = table.columns.first().map(|column| column.cell(0));
    debug_assert!(matches!(first, Some(Cell::Text(_))));
    Ok(table)
}

pub(super) fn metadata_file(folder: &Path) -> Option<PathBuf> {
    METADATA
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

fn is_part(folder: &Path) -> bool {
    Split::named(&file_name(folder)).is_some()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Names in a folder, sorted: the system's order differs from machine to machine. Hidden ones are left out.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot_read = cannot_read(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot_read)? {
        paths.push(entry.map_err(cannot_read)?.path());
    }
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

fn images(folder: &Path) -> Result<Vec<String>> {
    let is_image =
        |path: &PathBuf| IMAGE_ENDINGS.contains(&extension(path).as_str()) && path.is_file();
    Ok(entries(folder)?
        .iter()
        .filter(|path| is_image(path))
        .map(|path| file_name(path))
        .collect())
}
