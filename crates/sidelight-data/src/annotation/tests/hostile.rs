//! Files that were cut, or changed in a byte: an error or annotations, and never a panic.

use std::fs;

use super::*;

/// Files that tools wrote, and what they are told to be of.
const FILES: [(&str, Format); 10] = [
    ("datumaro.json", Format::Coco),
    ("sleap.json", Format::Coco),
    ("cvat.xml", Format::Cvat),
    ("datumaro.xml", Format::Cvat),
    ("labelme/a.json", Format::LabelMe),
    ("labelstudio.json", Format::LabelStudio),
    ("dlc_several.csv", Format::DeepLabCut),
    ("via.json", Format::Via),
    ("via.csv", Format::Via),
    ("yolo/data.yaml", Format::Yolo),
];

#[test]
fn what_is_cut_or_changed_in_annotations_is_an_error_or_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let mut n_read = 0;
    for (name, format) in FILES {
        let bytes = fs::read(fixture(name)).unwrap();
        let path = folder.path().join(Path::new(name).file_name().unwrap());
        let step = (bytes.len() / 60).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = vec![bytes[..at].to_vec()];
            for byte in [b'"', b'-', b'<', b'9', b'\n', 0xff] {
                let mut other = bytes.clone();
                other[at] = byte;
                changed.push(other);
            }
            for bytes in changed {
                fs::write(&path, bytes).unwrap();
                for told in [None, Some(format)] {
                    let read = read(&path, told, &ImageFolders::beside(&path, None));
                    n_read += usize::from(read.is_ok());
                }
            }
        }
    }
    // Much of what was changed is text that may be anything.
    assert!(n_read > 100, "{n_read}");
}

#[test]
fn a_file_in_which_each_instance_names_other_points_is_refused() {
    let shapes: Vec<String> = (0..5000)
        .map(|at| format!("{{\"label\": \"{at}\", \"points\": [[1, 2]], \"shape_type\": \"point\", \"group_id\": {at}}}"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let text = format!(
        "{{\"imagePath\": \"a.png\", \"shapes\": [{}]}}",
        shapes.join(",")
    );
    fs::write(&path, text).unwrap();
    let error = read_file(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("expected at most 4096 names of points, found 5000"),
        "{error}"
    );
}
