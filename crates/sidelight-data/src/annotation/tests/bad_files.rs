//! Files that cannot be read: each is named, with the place in it and what should be there.

use std::fs;

use super::*;
use crate::error::in_full;

/// What is said of a file with this content, and the format that it is told to be of.
fn said_of(name: &str, content: &str, told: Option<Format>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    said(folder.path(), &path, told)
}

fn said(folder: &Path, path: &Path, told: Option<Format>) -> String {
    let error = read(path, told, &ImageFolders::beside(path, None)).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    let own = format!("{}/", folder.display());
    in_full(&error).replace(&own, "")
}

const COCO: &str = r#"{"images": [{"id": 1, "file_name": "a.png"}],
"categories": [{"id": 1, "name": "cat", "keypoints": ["ear", "tail"], "skeleton": [[1, 2]]}],
"annotations": [{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2], "bbox": [0, 0, 9, 9]}]}"#;

#[test]
fn coco() {
    let said = |from: &str, to: &str| {
        assert!(COCO.contains(from));
        said_of("x.json", &COCO.replace(from, to), None)
    };
    assert_eq!(
        said("3, 4, 2]", "3, 4]"),
        "x.json, `annotations[0].keypoints`: expected 6 numbers, three for each of 2 points, found 5"
    );
    assert_eq!(
        said("3, 4, 2]", "3, 4, 7]"),
        "x.json, `annotations[0].keypoints`: expected 0, 1 or 2 for how well point 1 is seen, found `7`"
    );
    assert_eq!(
        said(r#""image_id": 1"#, r#""image_id": 9"#),
        "x.json, `annotations[0]`: expected an id of `images`, found `9`"
    );
    assert_eq!(
        said("[1, 2, 2, 3", r#"[1, "two", 2, 3"#),
        "x.json, `annotations[0].keypoints[1]`: not what the format has there: invalid type: string \"two\", expected f64 at line 3 column 72"
    );
    assert_eq!(
        said("3, 4, 2]", "1e999, 4, 2]"),
        "x.json, `annotations[0].keypoints[3]`: not what the format has there: number out of range at line 3 column 78"
    );
    assert_eq!(
        said("[[1, 2]]", "[[1, 3]]"),
        "x.json, `categories[0].skeleton[0]`: expected two of 2 points, found [1, 3]"
    );
    assert_eq!(
        said("[0, 0, 9, 9]", "[0, 0, -9, 9]"),
        "x.json, `annotations[0].bbox`: expected left, top, width and height of a box, found [0.0, 0.0, -9.0, 9.0]"
    );
    assert_eq!(
        said_of("x.json", &COCO[..150], None),
        "x.json: not what the format has there: EOF while parsing a string at line 3 column 10"
    );
}

#[test]
fn cvat() {
    let image = |inner: &str| {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<annotations>\n<image name=\"a.png\" width=\"8\" height=\"8\">\n{inner}\n</image>\n</annotations>"
        );
        said_of("x.xml", &text, None)
    };
    assert_eq!(
        image("<points label=\"ear\" points=\"1,x\"></points>"),
        "x.xml, line 4: expected points as in `1.5,2;3,4`, found `1,x`"
    );
    assert_eq!(
        image("<points points=\"1,2\"></points>"),
        "x.xml, line 4: expected `label` of `points`, found none"
    );
    assert_eq!(
        image("<points label=\"ear\" points=\"1,2\"/><points label=\"ear\" points=\"3,4\"/>"),
        "x.xml, image `a.png`: two points `ear` in one instance"
    );
    assert_eq!(
        image(&"<a>".repeat(100)),
        "x.xml, line 4: expected at most 64 elements inside one another, found more"
    );
    assert!(
        image("</wrong>").starts_with("x.xml, line 4: expected XML, found "),
        "{}",
        image("</wrong>")
    );
    let text = "<annotations>\n<track id=\"0\" label=\"cat\"></track>\n</annotations>";
    assert_eq!(
        said_of("x.xml", text, None),
        "x.xml, line 2: expected `image` (export as \"CVAT for images 1.1\"), found `track`, of a video"
    );
    let text = "<annotations>\n<image name=\"a.png\" width=\"wide\"></image></annotations>";
    assert_eq!(
        said_of("x.xml", text, None),
        "x.xml, line 2: expected pixels in `width`, found `wide`"
    );
    assert_eq!(
        said_of("x.xml", "<svg></svg>", None),
        "x.xml has no annotations of a kind that is read: XML without `annotations`"
    );
    let text = "<annotations>\n<image name=\"&evil;\"></image></annotations>";
    assert!(said_of("x.xml", text, None).starts_with("x.xml, line 2: expected XML, found "));
}

#[test]
fn labelme() {
    let ear = r#"{"label": "ear", "points": [[1, 2]], "shape_type": "point"}"#;
    let file = |shapes: &str| format!("{{\"imagePath\": \"a.png\", \"shapes\": [{shapes}]}}");
    assert_eq!(
        said_of(
            "x.json",
            &file(&ear.replace("[1, 2]", "[1, 2], [3, 4]")),
            None
        ),
        "x.json, `shapes[0].points`: expected one point, found 2"
    );
    assert_eq!(
        said_of("x.json", &file(&ear.replace("[1, 2]", "[1]")), None),
        "x.json, `shapes[0].points[0]`: not what the format has there: invalid length 1, expected an array of length 2 at line 1 column 65"
    );
    assert_eq!(
        said_of("x.json", &file(&format!("{ear}, {ear}")), None),
        "x.json, image `a.png`: two points `ear` in one instance"
    );
    assert_eq!(
        said_of("x.json", "{\"shapes\": []}", Some(Format::LabelMe)),
        "x.json: not what the format has there: missing field `imagePath` at line 1 column 14"
    );
}

#[test]
fn label_studio() {
    let item = r#"{"id": "1", "type": "keypointlabels", "original_width": 8, "original_height": 8, "value": {"x": 1, "y": 2, "keypointlabels": ["ear"]}}"#;
    let file = |item: &str| {
        format!(
            "[{{\"data\": {{\"image\": \"a.png\"}}, \"annotations\": [{{\"result\": [{item}]}}]}}]"
        )
    };
    assert_eq!(
        said_of(
            "x.json",
            &file(&item.replace("\"original_width\": 8, ", "")),
            None
        ),
        "x.json, `[0].annotations[0].result[0]`: expected `original_width` and `original_height`, of which the places are percent, found none"
    );
    assert_eq!(
        said_of(
            "x.json",
            &file(&item.replace("\"x\": 1", "\"x\": \"1\"")),
            None
        ),
        "x.json, `[0].annotations[0].result[0].value.x`: not what the format has there: invalid type: string \"1\", expected f64 at line 1 column 157"
    );
    assert_eq!(
        said_of(
            "x.json",
            &file(item)
                .replace("\"image\"", "\"text\"")
                .replace("a.png", "a"),
            None
        ),
        "x.json, `[0].data`: expected an image (`image`, or a text that ends as images do), found `text`"
    );
    assert_eq!(
        said_of("x.json", "[{\"image\": \"a.png\"}]", None),
        "x.json has no annotations of a kind that is read: a list of JSON whose members have no `data`"
    );
}

#[test]
fn deeplabcut() {
    let header = "scorer,me,me\nbodyparts,ear,ear\ncoords,x,y\n";
    assert_eq!(
        said_of("x.csv", &format!("{header}a.png,1,2\nb.png,1,up\n"), None),
        "x.csv, line 5, column 3: expected a number, found `up`"
    );
    assert_eq!(
        said_of("x.csv", &format!("{header}a.png,1,inf\n"), None),
        "x.csv, line 4, column 3: expected a number, found `inf`"
    );
    assert_eq!(
        said_of("x.csv", "scorer,me\nbodyparts,ear\n", None),
        "x.csv, the header: expected lines that begin with `scorer`, `bodyparts` and `coords`, found others"
    );
    assert_eq!(
        said_of(
            "x.csv",
            "scorer,m,m,m\nbodyparts,e,e,e\ncoords,x,y,likelihood\n",
            None
        ),
        "x.csv, the header: expected labels (`CollectedData_….csv`), found `likelihood`: predictions of a video"
    );
}

#[test]
fn via() {
    let region = r#"{"shape_attributes": {"name": "point", "cx": 1}, "region_attributes": {}}"#;
    let file =
        |regions: &str| format!("{{\"a\": {{\"filename\": \"a.png\", \"regions\": {regions}}}}}");
    assert_eq!(
        said_of("x.json", &file(&format!("[{region}]")), None),
        "x.json, `a.regions[0]`: expected `cx` and `cy` of the point, found none"
    );
    assert_eq!(
        said_of(
            "x.json",
            &file(&format!("[{}]", region.replace("1}", "\"1\"}"))),
            None
        ),
        "x.json, `a.regions[0].shape_attributes.cx`: not what the format has there: invalid type: string \"1\", expected f64"
    );
    let header = "filename,file_attributes,region_shape_attributes,region_attributes\n";
    assert_eq!(
        said_of("x.csv", &format!("{header}a.png,{{}},{{,{{}}\n"), None),
        "x.csv, line 2, column `region_shape_attributes`: not what the format has there: EOF while parsing an object at line 1 column 1"
    );
}

/// A data set of one image with these lines in its description and its labels.
fn said_of_yolo(yaml: &str, labels: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["images", "labels"] {
        fs::create_dir(folder.path().join(inner)).unwrap();
    }
    fs::write(folder.path().join("data.yaml"), yaml).unwrap();
    fs::write(folder.path().join("labels/a.txt"), labels).unwrap();
    if !yaml.contains("nowhere") {
        fs::copy(fixture("images/a.png"), folder.path().join("images/a.png")).unwrap();
    }
    said(folder.path(), folder.path(), None)
}

#[test]
fn yolo() {
    let yaml = "train: images\nkpt_shape: [1, 3]\n";
    let line = "0 0.5 0.5 1 1 0.25 0.75 2\n";
    assert_eq!(
        said_of_yolo(yaml, &format!("{line}0 0.5 0.5 1 1 0.25 0.75\n")),
        "labels/a.txt, line 2: expected 8 numbers: a class, a box, and 1 points, found 7"
    );
    assert_eq!(
        said_of_yolo(yaml, &line.replace("0.25", "nan")),
        "labels/a.txt, line 1: expected numbers, found `0 0.5 0.5 1 1 nan 0.75 2`"
    );
    assert_eq!(
        said_of_yolo(yaml, &line.replace(" 2\n", " 5\n")),
        "labels/a.txt, line 1: expected 0, 1 or 2 for how well a point is seen, found `5`"
    );
    assert_eq!(
        said_of_yolo(yaml, &line.replacen('0', "-1", 1)),
        "labels/a.txt, line 1: expected the number of a class, found `-1`"
    );
    assert_eq!(
        said_of_yolo(&format!("{yaml}names: [nowhere]\n"), line),
        "labels/a.txt: the size of `images/a.jpg` is needed, and the image is not found"
    );
    assert_eq!(
        said_of_yolo("train: images\n", line),
        "data.yaml: expected `kpt_shape`, how many points there are and how many numbers each has, found none"
    );
    assert_eq!(
        said_of_yolo("train: images\nkpt_shape: [one, 3]\n", line),
        "data.yaml, `kpt_shape[0]`: not what the format has there: invalid type: string \"one\", expected usize"
    );
    assert_eq!(
        said_of_yolo("train: images\nkpt_shape: [1, 4]\n", line),
        "data.yaml, `kpt_shape`: expected a number of points, and 2 or 3 numbers a point, found [1, 4]"
    );
    assert_eq!(
        said_of_yolo(&format!("{yaml}flip_idx: [1]\n"), line),
        "data.yaml, `flip_idx`: expected for each of 1 points the one that it changes places with, found [1]"
    );
    assert_eq!(
        said_of_yolo("train: images\n  kpt_shape: [1, 3]\n", line),
        "data.yaml, line 2: expected a line no further in, found `kpt_shape: [1, 3]`"
    );
    assert_eq!(
        said_of_yolo("train: elsewhere\nkpt_shape: [1, 3]\n", line),
        "data.yaml: expected `train` or `val`: folders of images beside one of labels, found none with a text file in it"
    );
}

#[test]
fn what_is_of_no_format() {
    assert_eq!(
        said_of("x.json", "{\"a\": 1, \"b\": 2}", None),
        "x.json has no annotations of a kind that is read: JSON with `a`, `b`"
    );
    assert_eq!(
        said_of("x.json", " \n", None),
        "x.json has no annotations of a kind that is read: an empty file"
    );
    assert_eq!(
        said_of("x.csv", "file_name,x0,y0\na.png,1,2\n", None),
        "x.csv has no annotations of a kind that is read: text that begins `file_name,x0,y0`"
    );
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("x");
    fs::create_dir(&inner).unwrap();
    assert_eq!(
        said(folder.path(), &inner, None),
        "x has no annotations of a kind that is read: a folder with neither `data.yaml` nor JSON"
    );
    let nowhere = folder.path().join("y.json");
    let error = read(&nowhere, None, &ImageFolders::default()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}
