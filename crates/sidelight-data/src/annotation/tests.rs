//! What the tools wrote (`tests/reference/annotation.py`), read, written and read again; and files that cannot be read.

mod bad_files;
mod hostile;
mod round_trip;
mod tables;
mod values;

use std::path::{Path, PathBuf};

use super::*;

/// A file that a tool wrote.
fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/annotation");
    folder.join(name)
}

/// Reads it, its format found.
fn read_file(path: &Path) -> Result<Annotations> {
    read(path, None, &ImageFolders::beside(path, None)).map(|(_, annotations)| annotations)
}

/// A point and how well it is seen, as `PEOPLE` of the script has it.
fn point(xy: [f64; 2], seen: u8) -> Point {
    Point::of_coco(xy, seen.into()).unwrap()
}

/// The people of the script: image, points, box.
fn people() -> [(usize, [Point; 3], [f64; 4]); 3] {
    [
        (
            0,
            [
                point([10.5, 20.25], 2),
                point([12.75, 18.0], 1),
                point([8.25, 17.5], 2),
            ],
            [6.5, 15.25, 10.0, 8.5],
        ),
        (
            0,
            [
                point([40.0, 30.5], 2),
                point([0.0, 0.0], 0),
                point([37.25, 28.75], 2),
            ],
            [35.0, 26.5, 8.25, 7.0],
        ),
        (
            1,
            [
                point([20.5, 31.0], 2),
                point([22.25, 29.5], 2),
                point([18.0, 29.75], 2),
            ],
            [15.5, 27.0, 9.5, 6.75],
        ),
    ]
}

/// All of them as a tool has them that says everything, in images of these names.
fn everything(files: [&str; 2]) -> Annotations {
    let sizes = [[64, 48], [40, 60]];
    let images = files.into_iter().zip(sizes).enumerate();
    let images = images.map(|(at, (file, size))| AnnotatedImage {
        file: file.to_owned(),
        found: None,
        size: Some(size),
        instances: people()
            .into_iter()
            .filter(|(image, ..)| *image == at)
            .map(|(_, points, bbox)| Instance {
                label: Some("person".to_owned()),
                points: points.to_vec(),
                bbox: Some(bbox),
                attributes: Vec::new(),
            })
            .collect(),
    });
    Annotations {
        points: ["nose", "left_eye", "right_eye"].map(String::from).to_vec(),
        skeleton: vec![[0, 1], [0, 2]],
        symmetric: vec![[1, 2]],
        images: images.collect(),
    }
}

impl Annotations {
    fn each(mut self, change: impl Fn(usize, &mut Instance)) -> Self {
        let instances = self
            .images
            .iter_mut()
            .flat_map(|image| &mut image.instances);
        instances
            .enumerate()
            .for_each(|(at, instance)| change(at, instance));
        self
    }

    /// As a tool has them that does not say what is hidden.
    fn all_seen(self) -> Self {
        self.each(|_, instance| {
            for point in &mut instance.points {
                if let Point::Hidden(xy) = *point {
                    *point = Point::Visible(xy);
                }
            }
        })
    }

    /// With more said of each.
    fn saying(self, said: [&[(&str, &str)]; 3]) -> Self {
        self.each(|at, instance| {
            let said = said[at].iter();
            let said = said.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            instance.attributes = said.collect();
        })
    }
}
