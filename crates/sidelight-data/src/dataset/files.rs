//! Files whose names differ from those in a table in capitals, Unicode form or slashes alone.
//!
//! Names travel through systems that treat them differently: Windows and macOS do not tell `A.JPG` from `a.jpg`, macOS
//! writes `é` as two characters, Windows divides folders by `\`. A file that is there as it is named is never looked for
//! twice: folders are listed only for what is missing, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::image::ImageSource;
use crate::number::counted;
use crate::table::{IMAGE_ENDINGS, extension, folded};

/// Of so many rows every image is looked for; of more some are at first, and all if one of those is not there.
const ALL_OF: usize = 10_000;
/// How many are looked for of more rows.
const SOME: usize = 1_000;
/// Files that are remembered of all folders.
const FILES: usize = 2_000_000;

/// Looks for files whose names differ from a path's in capitals, Unicode form or slashes alone; lists each folder once.
#[derive(Debug, Default)]
pub struct SimilarNames {
    listed: HashMap<PathBuf, Names>,
    /// Folders that were looked for, and where they are.
    found: HashMap<PathBuf, Option<PathBuf>>,
    n_files: usize,
}

/// The names in a folder by what they are [`folded`] to.
type Names = HashMap<String, Vec<String>>;

/// Gives images that are not there the file whose name differs in capitals, Unicode form or slashes alone, if there is
/// one and only one. What was done, in words; `None`: nothing.
pub(super) fn take_similar_names(root: &Path, images: &mut [ImageSource]) -> Option<String> {
    let missing = missing(images);
    let mut folders = SimilarNames::default();
    let (mut n, mut first) = (0, None);
    for place in missing {
        let Some(ImageSource::Path(path)) = images.get_mut(place) else {
            continue;
        };
        let Some(found) = folders.alike(root, path) else {
            continue;
        };
        let named = |path: &Path| {
            path.strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        first.get_or_insert_with(|| format!("`{}` for `{}`", named(&found), named(path)));
        n += 1;
        *path = found;
    }
    let (images, first) = (counted(n, "image"), first?);
    Some(format!(
        "{images} found under names that differ from the table's in capitals, Unicode form or slashes alone: {first}{}",
        if n > 1 { ", …" } else { "" }
    ))
}

/// Which images are files that are not there.
fn missing(images: &[ImageSource]) -> Vec<usize> {
    let is_missing = |place: &usize| match images.get(*place) {
        Some(ImageSource::Path(path)) => path.file_name().is_some() && !path.exists(),
        _ => false,
    };
    let n = images.len();
    let all = || (0..n).into_par_iter();
    // The time that millions of rows take to look for is saved where nothing is amiss.
    if n > ALL_OF && !all().step_by(n / SOME).any(|place| is_missing(&place)) {
        return Vec::new();
    }
    all().filter(is_missing).collect()
}

impl SimilarNames {
    /// The names in the folder of `path` that differ from its own so; none if it is there itself.
    pub fn of(&mut self, path: &Path) -> Vec<String> {
        match path.exists() {
            true => Vec::new(),
            false => self.names_like(path).unwrap_or_default(),
        }
    }

    /// The one file that a path may mean.
    fn alike(&mut self, root: &Path, path: &Path) -> Option<PathBuf> {
        self.one_like(path).or_else(|| {
            // `/train/1.jpg`, from where the table's folder was the root.
            let below = path
                .strip_prefix("/")
                .ok()
                .filter(|_| !path.starts_with(root))?;
            let path = root.join(below);
            if path.is_file() {
                Some(path)
            } else {
                self.one_like(&path)
            }
        })
    }

    fn one_like(&mut self, path: &Path) -> Option<PathBuf> {
        let folder = self.folder(path.parent()?)?;
        let names = self.names_like(path)?;
        only(&folder, &names).filter(|found| found != path && found.exists())
    }

    /// The names in the folder of `path` that may mean it; of one without an ending of images, those with one too.
    fn names_like(&mut self, path: &Path) -> Option<Vec<String>> {
        let wanted = folded(path.file_name()?.to_str()?);
        let folder = self.folder(path.parent()?)?;
        let has_ending = IMAGE_ENDINGS.contains(&extension(path).as_str());
        let endings = IMAGE_ENDINGS.iter().filter(|_| !has_ending);
        let names = self.names(&folder);
        let with_ending = endings.filter_map(|ending| names.get(&format!("{wanted}.{ending}")));
        let found = names.get(&wanted).into_iter().chain(with_ending);
        Some(found.flatten().cloned().collect())
    }

    /// The folder that a path means: itself, or the one that differs in capitals, Unicode form or slashes alone.
    fn folder(&mut self, path: &Path) -> Option<PathBuf> {
        if let Some(known) = self.found.get(path) {
            return known.clone();
        }
        let found = match path.as_os_str().is_empty() || path.is_dir() {
            true => Some(path.to_path_buf()),
            false => self.folder_like(path),
        };
        self.found.insert(path.to_path_buf(), found.clone());
        found
    }

    fn folder_like(&mut self, path: &Path) -> Option<PathBuf> {
        let wanted = folded(path.file_name()?.to_str()?);
        let above = self.folder(path.parent()?)?;
        let mut names = self.names(&above).get(&wanted)?.clone();
        names.retain(|name| above.join(name).is_dir());
        only(&above, &names)
    }

    /// What is in a folder; nothing where it cannot be listed.
    fn names(&mut self, folder: &Path) -> &Names {
        match self.listed.entry(folder.to_path_buf()) {
            Entry::Occupied(listed) => listed.into_mut(),
            Entry::Vacant(new) => {
                let here = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                let mut names = Names::new();
                let left = FILES.saturating_sub(self.n_files);
                let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
                for entry in entries.take(left) {
                    self.n_files += 1;
                    if let Ok(name) = entry.file_name().into_string() {
                        names.entry(folded(&name)).or_default().push(name);
                    }
                }
                // The order of a listing is the system's.
                names.values_mut().for_each(|names| names.sort());
                new.insert(names)
            }
        }
    }
}

/// The file of that name, if there is one name.
fn only(folder: &Path, names: &[String]) -> Option<PathBuf> {
    match names {
        [one] => Some(folder.join(one)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(root: &Path, names: &[&str]) -> Vec<ImageSource> {
        let path = |name: &&str| ImageSource::Path(root.join(name));
        names.iter().map(path).collect()
    }

    /// A folder with these files, on a system that tells capitals apart.
    fn with(names: &[&str]) -> Option<tempfile::TempDir> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("probe"), "").unwrap();
        if folder.path().join("PROBE").exists() {
            return None;
        }
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        Some(folder)
    }

    #[test]
    fn names_in_other_capitals_unicode_forms_and_slashes_are_found() {
        let decomposed = "ole\u{301}.jpg";
        let Some(folder) = with(&[
            "Train/A.JPG",
            decomposed,
            "LES_1.Tif",
            "b.jpg",
            "two.png",
            "TWO.png",
        ]) else {
            return;
        };
        let root = folder.path();
        let mut found = images(
            root,
            &[
                "train/a.jpg",
                "ol\u{e9}.jpg",
                "les_1",
                "b.jpg",
                "Two.png",
                "none.png",
                "TRAIN/none.png",
            ],
        );
        // From where the table's folder was the root, or divided by `\`.
        found.push(ImageSource::Path("/train/A.jpg".into()));
        let expected = images(
            root,
            &[
                "Train/A.JPG",
                decomposed,
                "LES_1.Tif",
                "b.jpg",
                "Two.png",
                "none.png",
                "TRAIN/none.png",
                "Train/A.JPG",
            ],
        );
        let said = take_similar_names(root, &mut found).unwrap();
        assert_eq!(found, expected);
        assert_eq!(
            said,
            "4 images found under names that differ from the table's in capitals, Unicode form or slashes alone: \
             `Train/A.JPG` for `train/a.jpg`, …"
        );
        // Which of two is meant is for a person to say.
        let mut look = SimilarNames::default();
        assert_eq!(look.of(&root.join("Two.png")), ["TWO.png", "two.png"]);
        assert!(look.of(&root.join("b.jpg")).is_empty());
        assert!(look.of(&root.join("none.png")).is_empty());
    }

    #[test]
    fn of_many_rows_some_are_looked_for_and_all_if_one_is_missing() {
        let Some(folder) = with(&["a.png", "B.png"]) else {
            return;
        };
        let n = ALL_OF + 5;
        let mut many = images(folder.path(), &vec!["a.png"; n]);
        many[7] = images(folder.path(), &["b.png"]).remove(0);
        // None of those that are looked at is missing: nothing is listed.
        assert_eq!(missing(&many), [0; 0]);
        many[0] = many[7].clone();
        assert_eq!(missing(&many), [0, 7]);
        assert!(take_similar_names(folder.path(), &mut many).is_some());
        assert_eq!(many[7], images(folder.path(), &["B.png"])[0]);
    }
}
