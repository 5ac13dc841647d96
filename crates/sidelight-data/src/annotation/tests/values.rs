//! Every coordinate of every format.

use super::*;

/// Without lines between points.
fn unconnected(annotations: Annotations) -> Annotations {
    Annotations {
        skeleton: Vec::new(),
        ..annotations
    }
}

fn without_sizes(mut annotations: Annotations) -> Annotations {
    annotations
        .images
        .iter_mut()
        .for_each(|image| image.size = None);
    annotations
}

#[test]
fn coco_of_datumaro() {
    let expected = everything(["a.png", "b.png"]).saying([
        &[("weather", "rain"), ("count", "1")],
        &[("weather", "sun"), ("count", "2")],
        &[("weather", "rain"), ("count", "3")],
    ]);
    assert_eq!(read_file(&fixture("datumaro.json")).unwrap(), expected);
}

#[test]
fn coco_of_sleap() {
    let expected = everything(["a.png", "b.png"])
        .all_seen()
        .each(|_, instance| instance.bbox = instance.hull());
    assert_eq!(read_file(&fixture("sleap.json")).unwrap(), expected);
}

#[test]
fn yolo_of_sleap() {
    let read = read_file(&fixture("yolo")).unwrap();
    let expected = everything(["val/images/0000000.png", "train/images/0000000.png"]).all_seen();
    assert_eq!(read.points, expected.points);
    assert_eq!(read.skeleton, expected.skeleton);
    assert_eq!(read.symmetric, expected.symmetric);
    // Training comes first.
    let mut images = read.images;
    images.reverse();
    for (image, expected) in images.iter().zip(&expected.images) {
        assert_eq!((&image.file, image.size), (&expected.file, expected.size));
        assert_eq!(image.instances.len(), expected.instances.len());
        for (instance, expected) in image.instances.iter().zip(&expected.instances) {
            assert_eq!(instance.label.as_deref(), Some("animal"));
            let split = image.file.split('/').next().unwrap().to_owned();
            assert_eq!(instance.attributes, [("split".to_owned(), split)]);
            for (point, expected) in instance.points.iter().zip(&expected.points) {
                assert_eq!(point.visibility(), expected.visibility());
                let (xy, expected) = (point.xy().unwrap_or_default(), expected.xy());
                let apart = xy.iter().zip(expected.unwrap_or_default());
                // Half a unit of the sixth decimal of 64 pixels.
                assert!(
                    apart.map(|(a, b)| (a - b).abs()).all(|d| d <= 32e-6),
                    "{xy:?}"
                );
            }
        }
    }
    let [left, top, width, height] = images[1].instances[0].bbox.unwrap();
    // sleap-io adds 10 pixels to the hull [18, 29.5, 4.25, 1.5].
    let expected = [8.0, 19.5, 24.25, 21.5];
    for (side, expected) in [left, top, width, height].into_iter().zip(expected) {
        assert!((side - expected).abs() < 1e-4, "{side} {expected}");
    }
}

#[test]
fn cvat_as_its_documentation_has_skeletons() {
    let pose = ("pose", "sitting & <still>");
    let expected = everything(["a.png", "b.png"])
        .saying([&[pose], &[pose], &[pose, ("tag", "outdoors")]])
        .each(|_, instance| instance.bbox = None);
    assert_eq!(read_file(&fixture("cvat.xml")).unwrap(), expected);
}

#[test]
fn cvat_of_datumaro_has_points_without_names() {
    let mut expected = unconnected(everything(["a.png", "b.png"])).all_seen();
    expected.points = ["p0", "p1", "p2"].map(String::from).to_vec();
    expected.symmetric = Vec::new();
    // What is not labelled is a point in the corner there.
    let expected = expected.each(|at, instance| {
        if at == 1 {
            instance.points[1] = Point::Visible([0.0, 0.0]);
        }
    });
    assert_eq!(read_file(&fixture("datumaro.xml")).unwrap(), expected);
}

#[test]
fn a_folder_of_labelme() {
    let expected = unconnected(everything(["../images/a.png", "../images/b.png"])).saying([
        &[("description", "of the left"), ("blurred", "false")],
        &[("blurred", "false")],
        &[("blurred", "true")],
    ]);
    assert_eq!(read_file(&fixture("labelme")).unwrap(), expected);
}

#[test]
fn label_studio_of_sleap_in_percent() {
    let mut read = read_file(&fixture("labelstudio.json")).unwrap();
    let site = ("site", "north");
    let mut expected = unconnected(everything(["my images/a.png", "my images/b.png"]))
        .all_seen()
        .saying([&[site], &[site], &[site]])
        .each(|_, instance| instance.label = Some("instance_class".to_owned()));
    for image in &mut expected.images {
        // sleap-io writes the sides of the image as pixels where percent are asked for.
        let sides = image.size.unwrap().map(f64::from);
        let [width, height] = sides.map(|side| side * side / 100.0);
        for instance in &mut image.instances {
            instance.bbox = Some([0.0, 0.0, width, height]);
        }
    }
    let read_points = read
        .images
        .iter_mut()
        .flat_map(|image| &mut image.instances);
    let points = expected.images.iter().flat_map(|image| &image.instances);
    for (instance, expected) in read_points.zip(points) {
        for (point, expected) in instance.points.iter_mut().zip(&expected.points) {
            let (xy, wanted) = (
                point.xy().unwrap_or_default(),
                expected.xy().unwrap_or_default(),
            );
            // Percent is not exact in binary.
            assert!(
                xy.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-13),
                "{xy:?}"
            );
            if point.visibility() == expected.visibility() {
                *point = *expected;
            }
        }
    }
    assert_eq!(read, expected);
}

#[test]
fn deeplabcut_of_one_animal_and_of_several() {
    let named = everything(["labeled-data/walk/a.png", "labeled-data/walk/b.png"]);
    let named = without_sizes(unconnected(named)).all_seen();
    let named = named.each(|_, instance| (instance.bbox, instance.label) = (None, None));
    let [one, two] = [("individual", "one"), ("individual", "two")];
    let several = named.clone().saying([&[one], &[two], &[one]]);
    assert_eq!(read_file(&fixture("dlc_several.csv")).unwrap(), several);
    let mut single = named;
    single.images[0].instances.remove(0);
    assert_eq!(read_file(&fixture("dlc_one.csv")).unwrap(), single);
}

#[test]
fn via_as_a_project_as_json_and_as_csv() {
    let (coat, site) = (("coat", "red"), ("site", "north"));
    let expected = without_sizes(unconnected(everything(["a.png", "b.png"])))
        .all_seen()
        .saying([&[coat, site], &[coat, site], &[coat, site]])
        .each(|_, instance| instance.label = None);
    for name in ["via_project.json", "via.json", "via.csv"] {
        assert_eq!(read_file(&fixture(name)).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_format_is_found_by_the_content_and_said() {
    let found = |name: &str| {
        let path = fixture(name);
        let (source, _) = read(&path, None, &ImageFolders::beside(&path, None)).unwrap();
        (source.format, source.evidence)
    };
    for (name, format, evidence) in [
        ("datumaro.json", Format::Coco, "`images` and `annotations`"),
        ("yolo", Format::Yolo, "a folder with `data.yaml`"),
        ("yolo/data.yaml", Format::Yolo, "its ending"),
        ("cvat.xml", Format::Cvat, "its element `annotations`"),
        (
            "labelme/a.json",
            Format::LabelMe,
            "`shapes` and `imagePath`",
        ),
        (
            "labelme",
            Format::LabelMe,
            "`shapes` and `imagePath` of `a.json`",
        ),
        ("labelstudio.json", Format::LabelStudio, "a list of tasks"),
        ("dlc_one.csv", Format::DeepLabCut, "its header `scorer`"),
        ("via_project.json", Format::Via, "`_via_img_metadata`"),
        (
            "via.json",
            Format::Via,
            "`filename` and `regions` of each image",
        ),
        (
            "via.csv",
            Format::Via,
            "its column `region_shape_attributes`",
        ),
    ] {
        assert_eq!(found(name), (format, evidence.to_owned()), "{name}");
    }
}

#[test]
fn sides_are_told_by_names() {
    let names = [
        "l_ear",
        "r_ear",
        "Left Paw",
        "Right Paw",
        "tail",
        "hip_L",
        "left_hand",
    ];
    let pairs = symmetric_pairs(&names.map(String::from));
    assert_eq!(pairs, [[0, 1], [2, 3]]);
}
