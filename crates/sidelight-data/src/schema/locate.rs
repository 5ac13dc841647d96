//! Where the images are that a column names: with a folder before the name, an ending behind it, or both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::labels;
use crate::config::ImageColumns;
use crate::table::{Cell, Column, IMAGE_ENDINGS, Table, Values, extension, folded};

/// Cells of a column that are looked for.
const CELLS: usize = 60;
/// Folders below the table's that are looked into.
const FOLDERS: usize = 200;
/// Files that are remembered.
const FILES: usize = 500_000;
/// Levels of folders below the table's.
const LEVELS: usize = 2;

/// The images in the folders at and below a table's own, two levels deep.
pub(crate) struct Folders {
    /// Of each folder, as a path relative to the table with `/`: the images by their [`folded`] name without its ending, and
    /// that.
    images: Vec<(String, HashMap<String, String>)>,
}

impl Folders {
    /// Lists the folders of a table. What cannot be listed has nothing in it.
    pub(crate) fn of(root: &Path) -> Self {
        let mut images = Vec::new();
        let mut n_files = 0;
        let mut todo: Vec<(PathBuf, String, usize)> = vec![(root.to_path_buf(), String::new(), 0)];
        while let Some((path, name, level)) = todo.pop() {
            if images.len() == FOLDERS {
                break;
            }
            let path_or_here = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &path
            };
            let mut here = HashMap::new();
            for entry in std::fs::read_dir(path_or_here)
                .into_iter()
                .flatten()
                .flatten()
            {
                let Ok(entry_name) = entry.file_name().into_string() else {
                    continue;
                };
                let file = Path::new(&entry_name);
                if IMAGE_ENDINGS.contains(&extension(file).as_str()) && n_files < FILES {
                    n_files += 1;
                    if let Some((stem, ending)) = entry_name.rsplit_once('.') {
                        here.insert(folded(stem), ending.to_owned());
                    }
                } else if level < LEVELS
                    && !entry_name.starts_with('.')
                    && entry.file_type().is_ok_and(|kind| kind.is_dir())
                {
                    let name = format!("{name}{entry_name}/");
                    todo.push((path.join(&entry_name), name, level + 1));
                }
            }
            images.push((name, here));
        }
        // The nearest folder first, and always in the same order.
        images.sort_by(|(a, _), (b, _)| {
            (a.matches('/').count(), a).cmp(&(b.matches('/').count(), b))
        });
        Self { images }
    }

    /// What `data.image` must be so that (nearly) all cells of this column are images: its name, or a path with it in
    /// braces.
    pub(crate) fn locate(&self, table: &Table, column: &Column) -> Option<String> {
        if !matches!(column.values, Values::Text(_) | Values::Number(_)) {
            return None;
        }
        let cells = sample(column);
        let most = |n: usize| n > 0 && n * 10 >= cells.len() * 9;
        if nearly_all_are_there(table, &cells) {
            return Some(column.name.clone());
        }
        for (folder, images) in &self.images {
            let has = |cell: &&String| match cell.rsplit_once('.') {
                Some((stem, ending)) => images
                    .get(&folded(stem))
                    .is_some_and(|found| found.eq_ignore_ascii_case(ending)),
                None => false,
            };
            let ending = |cell: &String| images.get(&folded(cell));
            let endings: Vec<&String> = cells.iter().filter_map(ending).collect();
            if most(cells.iter().filter(has).count()) {
                if folder.is_empty() {
                    return Some(column.name.clone());
                }
                return Some(format!("{folder}{{{}}}", column.name));
            }
            if most(endings.len()) {
                let first = endings[0];
                // Where they differ, each is looked for when it is read.
                let ending = match endings.iter().all(|ending| *ending == first) {
                    true => format!(".{first}"),
                    false => String::new(),
                };
                return Some(format!("{folder}{{{}}}{ending}", column.name));
            }
        }
        self.below(column, &cells)
    }

    /// As [`Folders::locate`], of cells that begin with a folder and lack the ending: `jpeg/LES_1`.
    fn below(&self, column: &Column, cells: &[String]) -> Option<String> {
        let ending = |cell: &String| {
            let (folder, stem) = cell.rsplit_once('/')?;
            let (_, images) = self
                .images
                .iter()
                .find(|(name, _)| folded(name.trim_end_matches('/')) == folded(folder))?;
            images.get(&folded(stem)).cloned()
        };
        let endings: Vec<String> = cells.iter().filter_map(ending).collect();
        let first = endings.first()?;
        let is_most = endings.len() * 10 >= cells.len() * 9;
        let is_one = endings.iter().all(|ending| ending == first);
        (is_most && is_one).then(|| format!("{{{}}}.{first}", column.name))
    }
}

/// How many images the cells of a column name at most, where nearly all names in its cells are of files that are there; 1
/// where a cell is one name.
pub(crate) fn per_cell(table: &Table, column: &Column) -> usize {
    let is_list = |cell: &String| labels(cell).len() > 1 && !table.root.join(cell).is_file();
    let cells = sample(column);
    let are_lists = matches!(column.values, Values::Text(_)) && cells.iter().any(is_list);
    let names: Vec<String> = cells.iter().flat_map(|cell| labels(cell)).collect();
    if !are_lists || !nearly_all_are_there(table, &names) {
        return 1;
    }
    let all = (0..column.len()).filter_map(|row| column.cell(row).to_text());
    all.map(|cell| labels(&cell).len()).fold(1, usize::max)
}

/// Whether nearly all cells of a column are paths of files.
pub(crate) fn are_there(table: &Table, column: &Column) -> bool {
    nearly_all_are_there(table, &sample(column))
}

fn nearly_all_are_there(table: &Table, names: &[String]) -> bool {
    let is_there = |name: &&String| table.root.join(name.as_str()).is_file();
    !names.is_empty() && names.iter().filter(is_there).count() * 10 >= names.len() * 9
}

/// Cells from all over the column.
fn sample(column: &Column) -> Vec<String> {
    let step = (column.len() / CELLS).max(1);
    let text = |row| match column.cell(row) {
        cell @ (Cell::Text(_) | Cell::Number(_)) => Some(cell.to_text()?.trim().to_owned()),
        _ => None,
    };
    let cells = (0..column.len()).step_by(step).filter_map(text);
    cells.take(CELLS).collect()
}

/// What a configuration's `data.image` should be in place of this one, whose images are not there; `None`: as it is, or
/// they are nowhere near the table.
pub fn images_elsewhere(table: &Table, images: &ImageColumns) -> Option<ImageColumns> {
    let found = |name: &String| image_elsewhere(table, name);
    let elsewhere: Vec<Option<String>> = images.names().iter().map(found).collect();
    let is_any = elsewhere.iter().any(Option::is_some);
    let names = elsewhere.into_iter().zip(images.names());
    let names: Vec<String> = names
        .map(|(found, name)| found.unwrap_or_else(|| name.clone()))
        .collect();
    is_any.then(|| names.into())
}

fn image_elsewhere(table: &Table, image: &str) -> Option<String> {
    let folders = Folders::of(&table.root);
    let candidates = match table.find(image) {
        Some(column) if !image.contains('{') => vec![column],
        _ => table
            .columns
            .iter()
            .filter(|column| column.name != image)
            .collect(),
    };
    let mut found = candidates
        .into_iter()
        .filter_map(|column| folders.locate(table, column));
    found.find(|found| found != image)
}
