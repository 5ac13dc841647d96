//! The table and the configuration that annotations become.

use std::fs;

use super::*;

/// The table and the configuration of files, written into a folder of their own.
fn imported(names: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Annotations::default();
    for name in names {
        let path = fixture(name);
        let mut annotations = read_file(&path).unwrap();
        annotations.locate(&ImageFolders::beside(&path, None));
        // The fixtures are elsewhere on each machine.
        for image in &mut annotations.images {
            image.found = image.found.take().map(|found| {
                folder
                    .path()
                    .join("images")
                    .join(found.file_name().unwrap())
            });
        }
        all.absorb(annotations);
    }
    let layout = TableLayout::of(&all);
    let path = folder.path().join("t.csv");
    layout.write(&all, &path).unwrap();
    (
        fs::read_to_string(&path).unwrap(),
        layout.to_toml(&all, "t.csv"),
    )
}

#[test]
fn several_in_an_image_are_rows_with_a_box() {
    let (table, toml) = imported(&["datumaro.json"]);
    insta::assert_snapshot!(table, @r"
    image,nose_x,nose_y,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_v,left_eye_v,right_eye_v,box_x,box_y,box_w,box_h,instance,weather,count
    images/a.png,10.5,20.25,12.75,18,8.25,17.5,2,1,2,6.5,15.25,10,8.5,1,rain,1
    images/a.png,40,30.5,,,37.25,28.75,2,0,2,35,26.5,8.25,7,2,sun,2
    images/b.png,20.5,31,22.25,29.5,18,29.75,2,2,2,15.5,27,9.5,6.75,1,rain,3
    ");
    insta::assert_snapshot!(toml, @r#"
    [data]
    table = "t.csv"
    image = "image"
    group = "image"
    crop = ["box_x", "box_y", "box_w", "box_h"]
    ignore = ["instance"]

    [target]
    kind = "keypoints"
    columns = ["nose_x", "nose_y", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]
    names = ["nose", "left_eye", "right_eye"]
    visibility = ["nose_v", "left_eye_v", "right_eye_v"]
    skeleton = [[0, 1], [0, 2]]
    symmetric = [[1, 2]]
    "#);
}

#[test]
fn one_in_an_image_is_a_row_without_a_box() {
    let (table, toml) = imported(&["dlc_one.csv"]);
    insta::assert_snapshot!(table, @r"
    image,nose_x,nose_y,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_v,left_eye_v,right_eye_v
    images/a.png,40,30.5,,,37.25,28.75,2,0,2
    images/b.png,20.5,31,22.25,29.5,18,29.75,2,2,2
    ");
    insta::assert_snapshot!(toml, @r#"
    [data]
    table = "t.csv"
    image = "image"

    [target]
    kind = "keypoints"
    columns = ["nose_x", "nose_y", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"]
    names = ["nose", "left_eye", "right_eye"]
    visibility = ["nose_v", "left_eye_v", "right_eye_v"]
    symmetric = [[1, 2]]
    "#);
}

#[test]
fn files_are_joined_by_the_names_of_points_and_images() {
    let (table, toml) = imported(&["dlc_one.csv", "datumaro.xml"]);
    assert!(toml.contains("symmetric = [[1, 2]]"), "{toml}");
    insta::assert_snapshot!(table, @r"
    image,nose_x,nose_y,left_eye_x,left_eye_y,right_eye_x,right_eye_y,p0_x,p0_y,p1_x,p1_y,p2_x,p2_y,nose_v,left_eye_v,right_eye_v,p0_v,p1_v,p2_v,box_x,box_y,box_w,box_h,instance,label
    images/a.png,40,30.5,,,37.25,28.75,,,,,,,2,0,2,0,0,0,36.25,27.75,4.75,3.75,1,
    images/a.png,,,,,,,10.5,20.25,12.75,18,8.25,17.5,0,0,0,2,2,2,6.5,15.25,10,8.5,2,person
    images/a.png,,,,,,,40,30.5,0,0,37.25,28.75,0,0,0,2,2,2,35,26.5,8.25,7,3,person
    images/b.png,20.5,31,22.25,29.5,18,29.75,,,,,,,2,2,2,0,0,0,16.9375,28.5,6.375,3.5,1,
    images/b.png,,,,,,,20.5,31,22.25,29.5,18,29.75,0,0,0,2,2,2,15.5,27,9.5,6.75,2,person
    ");
}

#[test]
fn a_split_that_a_data_set_has_is_kept() {
    let (table, toml) = imported(&["yolo"]);
    let header = table.lines().next().unwrap();
    assert!(
        header.ends_with(",box_x,box_y,box_w,box_h,instance,split"),
        "{header}"
    );
    assert!(
        toml.contains("\nsplit = { column = \"split\" }\n"),
        "{toml}"
    );
}

#[test]
fn an_attribute_hides_no_column() {
    let annotations = nose_and(&[("image", "x"), ("nose_x", "y")]);
    let layout = TableLayout::of(&annotations);
    let names: Vec<&str> = layout.names().collect();
    assert_eq!(names, ["image", "nose_x", "nose_y", "image_2", "nose_x_2"]);
}

/// One nose, of which this is said.
fn nose_and(said: &[(&str, &str)]) -> Annotations {
    let attributes = said.iter();
    Annotations {
        points: vec!["nose".into()],
        images: vec![AnnotatedImage {
            file: "a.png".into(),
            instances: vec![Instance {
                points: vec![Point::Visible([1.0, 2.0])],
                attributes: attributes
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect(),
                ..Instance::default()
            }],
            ..AnnotatedImage::default()
        }],
        ..Annotations::default()
    }
}

#[test]
fn points_on_a_turned_photograph_are_said_to_be_upright() {
    let mut annotations = nose_and(&[]);
    // 64 x 48 as stored.
    annotations.images[0].found = Some(fixture("images/a.png"));
    annotations.images[0].size = Some([64, 48]);
    let layout = TableLayout::of(&annotations);
    assert_eq!(layout.n_of_other_size, 0);
    assert!(!layout.to_toml(&annotations, "t.csv").contains("upright"));
    annotations.images[0].size = Some([48, 64]);
    assert_eq!(TableLayout::of(&annotations).n_of_other_size, 1);
}
