//! What is written is read as it was: the same numbers to the last bit.

use std::fs;

use proptest::prelude::*;

use super::*;

/// What is read of what was written of what was read.
fn again(name: &str, format: Format, written: &str) -> (Annotations, Annotations) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(written);
    let first = read_file(&fixture(name)).unwrap();
    write(&first, format, &path).unwrap();
    let images = fixture(name);
    let folders = ImageFolders::beside(&path, Some(&images));
    let (source, second) = read(&path, None, &folders).unwrap();
    assert_eq!(source.format, format);
    (first, second)
}

#[test]
fn every_format_that_is_written_is_read_to_the_bit() {
    for (name, format, written) in [
        ("datumaro.json", Format::Coco, "x.json"),
        ("sleap.json", Format::Coco, "x.json"),
        ("yolo", Format::Yolo, "x"),
        ("cvat.xml", Format::Cvat, "x.xml"),
        ("datumaro.xml", Format::Cvat, "x.xml"),
        ("labelme", Format::LabelMe, "x"),
        ("labelstudio.json", Format::LabelStudio, "x.json"),
    ] {
        let (first, second) = again(name, format, written);
        assert_eq!(first, second, "{name}");
    }
}

/// Points that have only names, with what is hidden and what is missing.
fn nameless() -> Annotations {
    let mut annotations = everything(["a.png", "b.png"]).each(|at, instance| {
        instance.label = None;
        instance.attributes = vec![("coat".to_owned(), format!("<{at}>"))];
    });
    annotations.skeleton = Vec::new();
    annotations
}

#[test]
fn points_of_one_format_are_the_same_in_another() {
    for format in [
        Format::Coco,
        Format::Cvat,
        Format::LabelMe,
        Format::LabelStudio,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written");
        write(&nameless(), format, &path).unwrap();
        let read = read_file(&path).unwrap();
        let pairs = read.images.iter().zip(nameless().images);
        for (image, expected) in pairs {
            assert_eq!(image.file, expected.file, "{format:?}");
            assert_eq!(
                image.instances.len(),
                expected.instances.len(),
                "{format:?}"
            );
            for (one, expected) in image.instances.iter().zip(&expected.instances) {
                assert_eq!(one.attributes, expected.attributes, "{format:?}");
                for (point, expected) in one.points.iter().zip(&expected.points) {
                    assert_eq!(point.visibility(), expected.visibility(), "{format:?}");
                    let apart = point.xy().unwrap_or_default().into_iter();
                    let apart = apart.zip(expected.xy().unwrap_or_default());
                    assert!(
                        apart.into_iter().all(|(a, b)| (a - b).abs() < 1e-13),
                        "{format:?}"
                    );
                }
            }
        }
    }
}

/// An image of this size with one person in it.
fn one(size: [u32; 2], points: Vec<Point>, bbox: [f64; 4]) -> Annotations {
    Annotations {
        points: ["p0", "p1"].map(String::from).to_vec(),
        images: vec![AnnotatedImage {
            file: "a.png".into(),
            found: None,
            size: Some(size),
            instances: vec![Instance {
                label: Some("x".into()),
                points,
                bbox: Some(bbox),
                attributes: Vec::new(),
            }],
        }],
        ..Annotations::default()
    }
}

fn written_and_read(annotations: &Annotations, format: Format) -> Annotations {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    write(annotations, format, &path).unwrap();
    read_file(&path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever a tool wrote, percent and corners included, comes back to the bit.
    #[test]
    fn any_number_that_was_read_is_written_so_that_it_is_read_again(
        size in (1_u32..5000, 1_u32..5000),
        places in prop::array::uniform8(0.0_f64..100.0),
    ) {
        let [x, y, second, third, left, top, width, height] = places;
        let size = [size.0, size.1];
        let points = vec![Point::Visible([x, y]), Point::Hidden([second, third])];
        let first = one(size, points, [left, top, width, height]);
        for format in [Format::Coco, Format::Cvat, Format::LabelMe, Format::LabelStudio] {
            // What was read once is a number that the format has.
            let read = written_and_read(&first, format);
            prop_assert_eq!(&written_and_read(&read, format), &read, "{:?}", format);
        }
    }

    #[test]
    fn any_share_of_a_yolo_file_comes_back(
        size in (1_u32..5000, 1_u32..5000),
        share in prop::array::uniform4(0.0_f64..1.0),
    ) {
        let sides = [size.0, size.1].map(f64::from);
        let bbox = crate::annotation::yolo::box_of(share, sides);
        let shares = crate::annotation::yolo::shares(bbox, sides);
        prop_assert_eq!(crate::annotation::yolo::box_of(shares, sides), bbox);
    }
}

#[test]
fn no_name_of_an_image_leads_out_of_the_folder() {
    for format in [Format::Yolo, Format::LabelMe] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/x");
        fs::create_dir(folder.path().join("inner")).unwrap();
        let mut annotations = one(
            [8, 8],
            vec![Point::Missing, Point::Visible([1.0, 2.0])],
            [0.0; 4],
        );
        for file in ["../../out.png", "/out.png", "..\\..\\out.png"] {
            annotations.images[0].file = file.into();
            write(&annotations, format, &path).unwrap();
            let outside = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(outside, 1, "{file}");
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[test]
fn a_folder_in_which_something_lies_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "all of it").unwrap();
    let error = write(&nameless(), Format::LabelMe, folder.path()).unwrap_err();
    assert!(matches!(error, Error::OutputFolder { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// With SIDELIGHT_WRITTEN=FOLDER what is written stays there, for `annotation.py --check FOLDER`.
#[test]
fn what_is_written_is_kept_for_the_peers() {
    let own = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("SIDELIGHT_WRITTEN").map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| own.path().to_path_buf());
    fs::create_dir_all(&folder).unwrap();
    for (name, format, written) in [
        ("datumaro.json", Format::Coco, "coco.json"),
        ("yolo", Format::Yolo, "yolo"),
        ("cvat.xml", Format::Cvat, "cvat.xml"),
        ("via.json", Format::Cvat, "cvat_points.xml"),
        ("labelme", Format::LabelMe, "labelme"),
        ("labelstudio.json", Format::LabelStudio, "labelstudio.json"),
    ] {
        let annotations = read_file(&fixture(name)).unwrap();
        write(&annotations, format, &folder.join(written)).unwrap();
        assert!(folder.join(written).exists());
    }
}
