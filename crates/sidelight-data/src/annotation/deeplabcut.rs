//! DeepLabCut: `CollectedData_….csv`, whose header is three lines, four where there are several animals.
//!
//! # Source
//!
//! <https://deeplabcut.github.io/DeepLabCut/docs/standardDeepLabCut_UserGuide.html>: the lines `scorer`, `individuals` (several
//! animals only), `bodyparts` and `coords`, then a line an image, its path in one cell or in three. An empty cell is a point that was
//! not labelled.

use std::path::Path;

use csv::StringRecord;

use super::named::{Named, NamedImage, placed};
use super::{Annotations, Point, bad, finite, json};
use crate::error::Result;

/// Where x and y of a point of an animal are.
struct Columns {
    individual: Option<String>,
    bodypart: String,
    x: usize,
    y: usize,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let text = json::text(path)?;
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .into_records();
    let mut header: Vec<StringRecord> = Vec::new();
    while header.last().and_then(|row| row.get(0)) != Some("coords") {
        let row = rows.next().transpose().ok().flatten();
        match row {
            Some(row) if header.len() < 4 => header.push(row),
            _ => {
                let expected = "lines that begin with `scorer`, `bodyparts` and `coords`";
                return Err(bad(path, "the header", expected, "others"));
            }
        }
    }
    let columns = columns(path, &header)?;
    let n_index = columns.iter().map(|found| found.x).min().unwrap_or(1);
    let mut images = Vec::new();
    for row in rows {
        let row = row.map_err(|error| bad(path, "the table", "rows of CSV", error))?;
        images.push(read_row(path, &row, n_index, &columns)?);
    }
    let mut known: Vec<String> = Vec::new();
    for found in &columns {
        if !known.contains(&found.bodypart) {
            known.push(found.bodypart.clone());
        }
    }
    placed(path, &known, images)
}

/// The columns of each point.
fn columns(path: &Path, header: &[StringRecord]) -> Result<Vec<Columns>> {
    let line = |name: &str| header.iter().find(|row| row.get(0) == Some(name));
    let missing = |name: &str| bad(path, "the header", format!("a line `{name}`"), "none");
    let bodyparts = line("bodyparts").ok_or_else(|| missing("bodyparts"))?;
    let coords = line("coords").ok_or_else(|| missing("coords"))?;
    let individuals = line("individuals");
    if coords.iter().any(|cell| cell == "likelihood") {
        let expected = "labels (`CollectedData_….csv`)";
        return Err(bad(
            path,
            "the header",
            expected,
            "`likelihood`: predictions of a video",
        ));
    }
    let mut found: Vec<Columns> = Vec::new();
    for (x, coord) in coords.iter().enumerate() {
        if coord != "x" {
            continue;
        }
        let bodypart = bodyparts.get(x).unwrap_or_default().to_owned();
        let individual = individuals.and_then(|row| row.get(x)).map(str::to_owned);
        let is_y = coords.get(x + 1) == Some("y") && bodyparts.get(x + 1) == Some(&bodypart);
        if !is_y {
            let expected = format!("`y` of `{bodypart}` beside its `x`");
            return Err(bad(path, format!("column {}", x + 2), expected, "another"));
        }
        found.push(Columns {
            individual,
            bodypart,
            x,
            y: x + 1,
        });
    }
    match found.is_empty() {
        true => Err(bad(path, "the header", "columns `x` and `y`", "none")),
        false => Ok(found),
    }
}

fn read_row(
    path: &Path,
    row: &StringRecord,
    n_index: usize,
    columns: &[Columns],
) -> Result<NamedImage> {
    let line = row.position().map_or(0, csv::Position::line);
    let parts: Vec<&str> = row
        .iter()
        .take(n_index)
        .filter(|part| !part.is_empty())
        .collect();
    let mut animals: Vec<Named> = Vec::new();
    for found in columns {
        let cell = |column: usize| -> Result<Option<f64>> {
            let text = row.get(column).unwrap_or_default().trim();
            if text.is_empty() || text.eq_ignore_ascii_case("nan") {
                return Ok(None);
            }
            let number = finite(text).ok_or_else(|| {
                let at = format!("line {line}, column {}", column + 1);
                bad(path, at, "a number", format!("`{text}`"))
            })?;
            Ok(Some(number))
        };
        let point = match (cell(found.x)?, cell(found.y)?) {
            (Some(x), Some(y)) => Point::Visible([x, y]),
            _ => Point::Missing,
        };
        let said = found.individual.iter();
        let said: Vec<_> = said
            .map(|name| ("individual".to_owned(), name.clone()))
            .collect();
        let known = animals.iter().position(|animal| animal.attributes == said);
        let known = known.unwrap_or_else(|| {
            animals.push(Named {
                attributes: said,
                ..Named::default()
            });
            animals.len() - 1
        });
        if let Some(animal) = animals.get_mut(known) {
            animal.points.push((found.bodypart.clone(), point));
        }
    }
    animals.retain(|animal| {
        animal
            .points
            .iter()
            .any(|(_, point)| *point != Point::Missing)
    });
    Ok(NamedImage {
        file: parts.join("/").replace('\\', "/"),
        size: None,
        instances: animals,
    })
}
