//! From the text of a TOML and overrides to a [`Config`], and back.

use std::path::{Path, PathBuf};

use serde_path_to_error::Segment;

use super::{Config, collapse_range, expand_ranges};
use crate::error::{Error, Result, cannot_read, setting};
use crate::store::is_remote;

/// The weights in a run folder.
const RUN_WEIGHTS: &str = "model/weights.safetensors";

impl Config {
    /// Reads a TOML, applies overrides (`a.b=c`, the value in TOML or a bare word),
    /// and makes `data.table`, `data.join.table` and `model.weights` relative to the TOML's folder.
    ///
    /// A key of an override is a TOML key, so that a dot in a name is quoted:
    /// `metadata."exif.ExposureTime"=continuous`. A number addresses one element of a list: `target.columns.0=x`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]; [`Error::Config`] and [`Error::UnknownField`], with the line;
    /// [`Error::Override`]; [`Error::Setting`] and [`Error::HubName`] where a value is none that its field can have.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(cannot_read(path))?;
        let text = String::from_utf8(bytes).map_err(|error| Error::Config {
            path: path.to_path_buf(),
            line: {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to());
                valid.map(|valid| 1 + line_breaks(valid))
            },
            message: "not UTF-8 text".into(),
        })?;
        Self::parse(&text, path, overrides)
    }

    /// [`Config::read`] of a text that stands, or would stand, in the file `path`.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Self> {
        // A byte order mark is what some editors leave; it says nothing.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| config_error(path, text, None, &error, None))?;
        for text in overrides {
            apply(&mut table, text)?;
        }
        let mut config: Self = serde_path_to_error::deserialize(table).map_err(|error| {
            let field = dotted(error.path());
            let error = error.into_inner();
            // The merged table knows no lines; where the text alone fails the same way, it does.
            let in_text = toml::from_str::<Self>(text).err();
            let in_text = in_text.filter(|found| found.message() == error.message());
            config_error(path, text, field, &error, in_text.as_ref())
        })?;
        config.target.columns = expand_ranges(&config.target.columns);
        let folder = path.parent().unwrap_or(Path::new(""));
        if !is_remote(&config.data.table) {
            config.data.table = folder.join(&config.data.table);
        }
        for join in &mut config.data.join {
            if !is_remote(&join.table) {
                join.table = folder.join(&join.table);
            }
        }
        if let Some(cache) = &mut config.data.remote.cache {
            *cache = folder.join(&cache);
        }
        // A run begins another.
        let of_run = folder.join(&config.model.weights).join(RUN_WEIGHTS);
        if config.model.weights != super::weights::NONE && of_run.is_file() {
            config.model.weights = of_run.to_string_lossy().into_owned();
        } else if config.model.weights_are_a_file() {
            let path = folder.join(&config.model.weights);
            config.model.weights = path.to_string_lossy().into_owned();
            if !config.model.weights_are_a_file() {
                // What said so was the dot that it began with.
                let path = Path::new(".").join(path);
                config.model.weights = path.to_string_lossy().into_owned();
            }
        }
        config.validate()?;
        Ok(config)
    }

    /// The same configuration with absolute paths, so that it means the same in any folder.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the current folder cannot be told.
    pub fn absolute(&self) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(cannot_read(path));
        let mut config = self.clone();
        if !is_remote(&config.data.table) {
            config.data.table = absolute(&config.data.table)?;
        }
        for join in &mut config.data.join {
            if !is_remote(&join.table) {
                join.table = absolute(&join.table)?;
            }
        }
        if let Some(cache) = &mut config.data.remote.cache {
            *cache = absolute(cache)?;
        }
        if config.model.weights_are_a_file() {
            config.model.weights = absolute(&PathBuf::from(&config.model.weights))?
                .to_string_lossy()
                .into_owned();
        }
        Ok(config)
    }

    /// The resolved configuration as TOML, every field written out, paths absolute:
    /// it reads back as [`Config::absolute`] from any folder.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where the current folder cannot be told; [`Error::Setting`] where a value has no form in TOML
    /// (a seed above 2⁶³).
    pub fn to_toml(&self) -> Result<String> {
        let mut config = self.absolute()?;
        config.target.columns = collapse_range(&config.target.columns);
        toml::to_string_pretty(&config)
            .map_err(|error| setting("config", "values that TOML can hold", error))
    }
}

/// The text of a configuration with these overrides in it; its comments stay.
///
/// # Errors
///
/// [`Error::Override`]; [`Error::Config`] where the text is no TOML.
pub fn with_overrides(text: &str, path: &Path, overrides: &[String]) -> Result<String> {
    let mut table: toml::Table =
        toml::from_str(text).map_err(|error| config_error(path, text, None, &error, None))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for text in overrides {
        let malformed = || Error::Override {
            text: text.to_owned(),
        };
        apply(&mut table, text)?;
        let (key, _) = split_assignment(text).ok_or_else(malformed)?;
        let path = key_path(key).ok_or_else(malformed)?;
        let [section, name, ..] = &path[..] else {
            return Err(malformed());
        };
        let value = table.get(section).and_then(|section| section.get(name));
        let line = format!("{} = {}", super::key(name), value.ok_or_else(malformed)?);
        set_line(&mut lines, section, &super::key(name), line);
    }
    Ok(lines.join("\n") + "\n")
}

/// Puts a line in the place of the one with its key, in use or not, or at the end of its section.
fn set_line(lines: &mut Vec<String>, section: &str, key: &str, line: String) {
    let header = format!("[{section}]");
    let Some(start) = lines.iter().position(|line| line.starts_with(&header)) else {
        lines.extend([String::new(), header, line]);
        return;
    };
    let mut after = lines.iter().skip(start + 1);
    let end = after.position(|line| line.starts_with('['));
    let end = end.map_or(lines.len(), |end| start + 1 + end);
    let key_of = |line: &str| line.split('=').next().map(|key| key.trim().to_owned());
    let is_of = |line: &String, key: &str| key_of(line).is_some_and(|found| found == key);
    let commented = format!("# {key}");
    let section = || lines.iter().enumerate().take(end).skip(start + 1);
    let find = |key: &str| section().find(|(_, line)| is_of(line, key));
    let place = find(key).or_else(|| find(&commented)).map(|(at, _)| at);
    let filled = section().rfind(|(_, line)| !line.is_empty());
    let last = filled.map_or(start, |(at, _)| at);
    match place.and_then(|at| lines.get_mut(at)) {
        Some(old) => *old = line,
        None => lines.insert(last + 1, line),
    }
}

/// Sets one field of the table from `a.b=c`.
fn apply(table: &mut toml::Table, text: &str) -> Result<()> {
    let malformed = || Error::Override {
        text: text.to_owned(),
    };
    let (key, value) = split_assignment(text).ok_or_else(malformed)?;
    let value = value.trim();
    // TOML itself splits the key, quotes included.
    let path = key_path(key).ok_or_else(malformed)?;
    let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let (last, parents) = path.split_last().ok_or_else(malformed)?;
    let wrong = |depth: usize, expected: String, found: &toml::Value| {
        let names: Vec<&str> = path.iter().take(depth).map(String::as_str).collect();
        setting(names.join("."), expected, found)
    };
    let Some((first, between)) = parents.split_first() else {
        table.insert(last.clone(), value);
        return Ok(());
    };
    let mut node = table
        .entry(first.clone())
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    for (depth, name) in between.iter().enumerate() {
        node = match step(node, name) {
            Ok(next) => next,
            Err(found) => {
                return Err(wrong(
                    depth + 1,
                    format!("something that has `{name}`"),
                    &found,
                ));
            }
        };
    }
    // `"continuous"` is short for `{ kind = "continuous" }`, and has room for more only when written out.
    if parents.len() == 2
        && first == "metadata"
        && let toml::Value::String(kind) = node
    {
        let kind = toml::Value::String(std::mem::take(kind));
        *node = toml::Value::Table([("kind".to_owned(), kind)].into_iter().collect());
    }
    match step(node, last) {
        Ok(place) => {
            *place = value;
            Ok(())
        }
        Err(found) => Err(wrong(
            parents.len(),
            format!("something that has `{last}`"),
            &found,
        )),
    }
}

/// The named entry of a table, made if absent, or the numbered element of a list (one past its end adds one).
fn step<'a>(node: &'a mut toml::Value, name: &str) -> Result<&'a mut toml::Value, toml::Value> {
    let found = node.clone();
    match node {
        toml::Value::Table(table) => Ok(table
            .entry(name.to_owned())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))),
        toml::Value::Array(list) => match name.parse::<usize>() {
            Ok(index) if index <= list.len() => {
                if index == list.len() {
                    list.push(toml::Value::Table(toml::Table::new()));
                }
                list.get_mut(index).ok_or(found)
            }
            _ => Err(found),
        },
        _ => Err(found),
    }
}

/// Splits at the first `=` that stands outside quotes.
fn split_assignment(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '=') => return Some((&text[..at], &text[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// The names in a dotted TOML key.
fn key_path(key: &str) -> Option<Vec<String>> {
    // A line break or a comment would let the text be more than a key.
    if key.contains(['\n', '#']) || key.trim().is_empty() {
        return None;
    }
    let mut node = toml::Value::Table(toml::from_str(&format!("{key} = 0")).ok()?);
    let mut path = Vec::new();
    while let toml::Value::Table(table) = node {
        let (name, next) = table.into_iter().next()?;
        path.push(name);
        node = next;
    }
    Some(path)
}

/// What TOML or serde said, as ours: with the line, the field, and the nearest name.
fn config_error(
    path: &Path,
    text: &str,
    field: Option<String>,
    error: &toml::de::Error,
    in_text: Option<&toml::de::Error>,
) -> Error {
    let path = path.to_path_buf();
    let message = error.message().trim();
    let span = in_text.unwrap_or(error).span();
    let line = span
        .filter(|_| !message.starts_with("missing field"))
        .map(|span| 1 + line_breaks(text.as_bytes().get(..span.start).unwrap_or(text.as_bytes())));
    let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
    let section = |name: &str| match &field {
        // The path ends in the section, or in the field itself.
        Some(field) if field == name || field.ends_with(&format!(".{name}")) => field.clone(),
        Some(field) => format!("{field}.{name}"),
        None => name.to_owned(),
    };
    if message.starts_with("unknown field") {
        let name = quoted.next().unwrap_or_default();
        return Error::UnknownField {
            path,
            line,
            field: section(&name),
            known: quoted.collect(),
        };
    }
    if message.starts_with("unknown variant") {
        let name = quoted.next().unwrap_or_default();
        return Error::UnknownChoice {
            path,
            line,
            field: field.unwrap_or_default(),
            found: name,
            known: quoted.collect(),
        };
    }
    if let Some(name) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return Error::Config {
            path,
            line,
            message: format!("`{}` is missing", section(name)),
        };
    }
    let message = match field {
        Some(field) => format!("`{field}`: {message}"),
        None => message.to_owned(),
    };
    Error::Config {
        path,
        line,
        message,
    }
}

/// The dotted path of a field; nothing for the whole of a configuration.
fn dotted(path: &serde_path_to_error::Path) -> Option<String> {
    let names: Vec<&str> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        })
        .collect();
    (!names.is_empty()).then(|| names.join("."))
}

fn line_breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
