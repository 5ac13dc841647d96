//! Where the images are that annotations name.

use std::path::{Component, Path, PathBuf};

use super::Annotations;

/// Folders beside a file of annotations in which tools keep its images.
const USUAL: [&str; 6] = ["", "images", "../images", "imgs", "data/images", ".."];

/// The folders in which the images of a file of annotations may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFolders(Vec<PathBuf>);

impl ImageFolders {
    /// The folder that is `told`, if one is, the folder of the file, and the usual ones beside it.
    pub fn beside(annotations: &Path, told: Option<&Path>) -> Self {
        let folder = match annotations.is_dir() {
            true => annotations,
            false => folder_of(annotations),
        };
        let usual = USUAL.iter().map(|usual| match *usual {
            "" => folder.to_path_buf(),
            usual => folder.join(usual),
        });
        Self(
            told.map(Path::to_path_buf)
                .into_iter()
                .chain(usual)
                .collect(),
        )
    }

    /// The image of this name: as a path from one of the folders, else by the last part of its name alone.
    pub fn find(&self, file: &str) -> Option<PathBuf> {
        let file = file.replace('\\', "/");
        let last = file.rsplit('/').next().unwrap_or(&file);
        // Label Studio puts eight digits before the name of a file that is uploaded to it.
        let uploaded = last.split_once('-').filter(|(digits, _)| {
            digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let names = [
            Some(file.as_str()),
            Some(last),
            uploaded.map(|(_, name)| name),
        ];
        let names = names.into_iter().flatten().filter(|name| !name.is_empty());
        names
            .flat_map(|name| self.0.iter().map(move |folder| folder.join(name)))
            .find(|path| path.is_file())
    }
}

impl Annotations {
    /// Looks for every image; those that are found know where ([`AnnotatedImage::found`](super::AnnotatedImage::found)).
    pub fn locate(&mut self, folders: &ImageFolders) {
        for image in &mut self.images {
            if image.found.is_none() {
                image.found = folders.find(&image.file);
            }
        }
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    let folder = file.parent();
    folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The path of a file as it is named from a folder, with `..` where that is further in; the path itself where the two have no
/// beginning in common. Links are not followed.
///
/// # Example
///
/// ```
/// use std::path::Path;
/// use sidelight_data::annotation::relative_to;
///
/// let named = |file: &str, folder: &str| relative_to(Path::new(file), Path::new(folder));
/// assert_eq!(named("/data/images/a.jpg", "/data"), "images/a.jpg");
/// assert_eq!(named("/data/images/a.jpg", "/data/tables"), "../images/a.jpg");
/// assert_eq!(named("data/a.jpg", "data/."), "a.jpg");
/// ```
pub fn relative_to(file: &Path, folder: &Path) -> String {
    let (Some(file_parts), Some(folder_parts)) = (parts(file), parts(folder)) else {
        return slashed(file);
    };
    let pairs = file_parts.iter().zip(&folder_parts);
    let n_common = pairs.take_while(|(one, other)| one == other).count();
    if n_common == 0 {
        return slashed(file);
    }
    let up = folder_parts.iter().skip(n_common).map(|_| "..".to_owned());
    let down = file_parts.iter().skip(n_common).cloned();
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// The parts of a path from the root on.
fn parts(path: &Path) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for part in std::path::absolute(path).ok()?.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part.as_os_str().to_string_lossy().into_owned()),
        }
    }
    Some(parts)
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// The names of a path that lie below any folder it is put into: neither its root nor `..`.
pub(super) fn inner_parts(file: &str) -> Vec<String> {
    let file = file.replace('\\', "/");
    let parts = Path::new(&file).components();
    let inner = parts.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    inner.collect()
}
