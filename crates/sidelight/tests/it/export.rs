//! Exported graphs say what the model says.
//!
//! What ONNX Runtime makes of each graph is kept in `export.json`, with a checksum of the graph's text: while the graph
//! is the same its answers are, and our own predictions must be those. After a change of the graph:
//!
//! ```text
//! SIDELIGHT_CASES=/tmp/cases cargo test -p sidelight --test it export
//! python3 bench/check_onnx.py --cases /tmp/cases --golden crates/sidelight/tests/it/export.json
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use rand::Rng;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use sidelight::Error;
use sidelight::config::{Config, ResizeMethod};
use sidelight::conformal::{Conformal, RowError};
use sidelight::dataset::{Dataset, ImageSource, MetadataValues, Targets};
use sidelight::export::{ImageInput, onnx, safetensors};
use sidelight::image::cache::fitted;
use sidelight::network::layer::Temperature;
use sidelight::network::parameter::{ParameterSpec, Parameters, Start};
use sidelight::network::{Custom, CustomLayer, Node, Shape, Value, Walk, shape::At, weights};
use sidelight::predict::{Model, PredictOptions};
use sidelight::task::{Prediction, PredictionSet, Task};

use crate::scenes::{config, dataset, first, stream};
use crate::training::session;

const N_ROWS: usize = 8;
const N_TRAIN: usize = 40;
const POINTS: &str = "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\", \"x1\", \"y1\"]";
const CLASS: &str = "kind = \"class\"\ncolumn = \"answer\"";
const CLASSES: &str = "kind = \"multilabel\"\ncolumns = [\"red\", \"round\"]";
const VALUE: &str = "kind = \"regression\"\ncolumns = [\"price\", \"rent\"]\nscale = \"log\"";

/// What to build, and how its image comes in.
struct Case {
    name: &'static str,
    target: &'static str,
    model: &'static str,
    resize: ResizeMethod,
    image: ImageInput,
    /// What sets are asked for; its model then also ends with a temperature, where it has probabilities.
    coverage: Option<f64>,
    /// Names of a row's images; none: it has one.
    images: &'static [&'static str],
}

/// Every task, fusion, kind of head, way to resize and form of image at least once.
fn cases() -> Vec<Case> {
    let case = |name, target, model| Case {
        name,
        target,
        model,
        resize: ResizeMethod::Squish,
        image: ImageInput::AnySize,
        coverage: None,
        images: &[],
    };
    let several = |name, target, model| Case {
        images: &["front", "kitchen", "bath"],
        ..case(name, target, model)
    };
    let covering = |name, target, model| Case {
        coverage: Some(0.75),
        ..case(name, target, model)
    };
    vec![
        case("concat", CLASS, "fusion = \"concat\"\nauxiliary = 0.3"),
        case(
            "sum-logits",
            VALUE,
            "fusion = \"sum-logits\"\nauxiliary = 0.3",
        ),
        case("stacked", CLASS, "fusion = \"stacked\""),
        case("stacked-points", POINTS, "fusion = \"stacked\""),
        case("vote", CLASS, "arm = \"vote\""),
        case("vote-classes", CLASSES, "fusion = \"vote\""),
        case("vote-value", VALUE, "fusion = \"vote\""),
        case("film", VALUE, "fusion = \"film\""),
        case("daft", CLASSES, "fusion = \"daft\""),
        case("metablock", CLASS, "fusion = \"metablock\""),
        case("metanet", VALUE, "fusion = \"metanet\"\nhidden = 0"),
        case("gate", CLASSES, "fusion = \"gate\""),
        Case {
            resize: ResizeMethod::Crop,
            ..case("attention-crop", POINTS, "fusion = \"attention\"")
        },
        Case {
            resize: ResizeMethod::Pad,
            ..case("points-pad", POINTS, "fusion = \"concat\"")
        },
        Case {
            resize: ResizeMethod::Crop,
            ..case(
                "heatmap-crop",
                POINTS,
                "head = \"heatmap\"\nfusion = \"concat\"",
            )
        },
        Case {
            image: ImageInput::Sized,
            ..case(
                "heatmap-sized",
                POINTS,
                "head = \"heatmap\"\nfusion = \"film\"",
            )
        },
        case(
            "candidates",
            POINTS,
            "head = \"candidates\"\ncandidates = 3",
        ),
        Case {
            resize: ResizeMethod::Pad,
            ..case(
                "candidates-image-pad",
                POINTS,
                "head = \"candidates\"\narm = \"image\"",
            )
        },
        Case {
            image: ImageInput::Float,
            ..case("float", CLASS, "fusion = \"film\"")
        },
        case("image-alone", VALUE, "arm = \"image\""),
        case("metadata-alone", CLASS, "arm = \"metadata\""),
        Case {
            resize: ResizeMethod::Pad,
            ..case("metadata-points", POINTS, "arm = \"metadata\"")
        },
        several("several-mean", CLASS, "fusion = \"stacked\""),
        several(
            "several-max",
            VALUE,
            "fusion = \"film\"\nimage_pooling = \"max\"",
        ),
        several(
            "several-attention",
            CLASSES,
            "fusion = \"daft\"\nimage_pooling = \"attention\"",
        ),
        Case {
            image: ImageInput::Float,
            ..several(
                "several-beside",
                VALUE,
                "fusion = \"concat\"\nimage_pooling = \"concat\"",
            )
        },
        covering("class-set", CLASS, "fusion = \"concat\""),
        covering("labels-set", CLASSES, "fusion = \"concat\""),
        covering("intervals", VALUE, "fusion = \"concat\""),
        Case {
            resize: ResizeMethod::Crop,
            ..covering("radii-crop", POINTS, "fusion = \"concat\"")
        },
        Case {
            resize: ResizeMethod::Pad,
            ..covering("radii-pad", POINTS, "arm = \"metadata\"")
        },
    ]
}

const COLUMNS: &str = r#"
[metadata]
flag = "boolean"
area = "continuous"
time = { kind = "continuous", scale = "log" }
rank = { kind = "continuous", scale = "quantile" }
heading = { kind = "continuous", scale = "periodic", period = 360.0 }
site = "categorical"
zip = { kind = "categorical", encoding = "embedding" }
taken = "datetime"
empty = "continuous"
none = "categorical"
image = "continuous"
"#;

/// Noise of sizes that reduce, enlarge, keep and cut off.
fn images(n: usize) -> Vec<ImageSource> {
    const SIZES: [[u32; 2]; N_ROWS] = [
        [24, 24],
        [40, 31],
        [17, 53],
        [9, 12],
        [130, 20],
        [64, 64],
        [25, 24],
        [301, 217],
    ];
    let mut random = stream(5);
    (0..n)
        .map(|row| {
            let [width, height] = SIZES[row % N_ROWS];
            let image = image::RgbImage::from_fn(width, height, |x, y| {
                let noise = random.next_u32();
                // Some structure, or all large images would be equally grey.
                let wave = (x * (3 + row as u32) / 2 + y * 5) % 256;
                image::Rgb([
                    noise as u8 / 2 + wave as u8 / 2,
                    wave as u8,
                    (noise >> 8) as u8,
                ])
            });
            let mut bytes = std::io::Cursor::new(Vec::new());
            image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            ImageSource::Bytes {
                name: format!("{row}.png"),
                bytes: Arc::from(bytes.into_inner()),
            }
        })
        .collect()
}

/// Rows of several images each, some of which lack one.
fn in_groups(images: &[ImageSource], n: usize) -> Vec<ImageSource> {
    let group = |row: usize| {
        let part = |part: usize| match (row + 2 * part) % 5 {
            4 => ImageSource::absent(),
            _ => images[(row + 3 * part) % N_ROWS].clone(),
        };
        ImageSource::of_parts((0..n).map(part).collect())
    };
    (0..images.len()).map(group).collect()
}

/// Rows of all kinds of columns, with gaps; the first ones hold the odd values.
fn table(n: usize, target: &str) -> Dataset {
    let mut random = stream(6);
    let mut unit = move || f64::from(random.next_u32()) / f64::from(u32::MAX);
    let mut numbers = |low: f64, high: f64, odd: &[Option<f64>]| -> Vec<Option<f64>> {
        let mut values: Vec<Option<f64>> =
            (0..n).map(|_| Some(low + unit() * (high - low))).collect();
        values[..odd.len()].copy_from_slice(odd);
        values
    };
    let area = numbers(40.0, 260.0, &[None, Some(1e9), Some(-3.0)]);
    let time = numbers(0.001, 2.0, &[Some(0.0), Some(-1.0), None, Some(1e12)]);
    let rank = numbers(0.0, 1.0, &[Some(-5.0), Some(9.0), None]);
    let heading = numbers(0.0, 360.0, &[Some(-90.0), Some(725.0), None]);
    // 29 February, 31 December of a leap year, before 1970, a millisecond before midnight.
    let odd = [
        1_709_164_800.0,
        1_735_689_599.0,
        -86_401.5,
        1_700_006_399.999,
    ];
    let taken = numbers(1.5e9, 1.7e9, &odd.map(Some));
    let image = numbers(-1.0, 1.0, &[]);
    let flag = (0..n).map(|row| (row % 5 != 0).then_some(row % 3 == 0));
    let names = |all: &[&str]| {
        all.iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let sites = names(&["mill", "02139", "7", "once", "barn, \"old\""]);
    let site = (0..n).map(|row| match row {
        0 => None,
        1 => Some(3),
        _ => Some([0, 1, 2, 4][row % 4]),
    });
    let zip = (0..n).map(|row| (row != 2).then_some((row % 4) as u32));
    let columns = vec![
        ("flag", MetadataValues::Boolean(flag.collect())),
        ("area", MetadataValues::Continuous(area)),
        ("time", MetadataValues::Continuous(time)),
        ("rank", MetadataValues::Continuous(rank)),
        ("heading", MetadataValues::Continuous(heading)),
        (
            "site",
            MetadataValues::Categorical {
                names: sites,
                codes: site.collect(),
            },
        ),
        (
            "zip",
            MetadataValues::Categorical {
                names: names(&["10", "11", "12", "13"]),
                codes: zip.collect(),
            },
        ),
        ("taken", MetadataValues::Datetime(taken)),
        ("empty", MetadataValues::Continuous(vec![None; n])),
        (
            "none",
            MetadataValues::Categorical {
                names: vec![],
                codes: vec![None; n],
            },
        ),
        ("image", MetadataValues::Continuous(image)),
    ];
    let targets = match target {
        POINTS => Targets::keypoints(
            2,
            (0..2 * n)
                .map(|i| [(i % 9) as f32, (i % 7) as f32])
                .collect(),
        ),
        CLASS => Targets::Class {
            names: names(&["elm", "oak", "ash"]),
            index: (0..n).map(|row| Some((row % 3) as u32)).collect(),
        },
        CLASSES => Targets::Multilabel {
            names: names(&["red", "round"]),
            present: (0..2 * n).map(|i| Some(i % 3 == 0)).collect(),
        },
        _ => Targets::Regression {
            names: names(&["price", "rent"]),
            values: (0..2 * n).map(|i| 1e5 + 1e4 * (i % 11) as f64).collect(),
        },
    };
    dataset(images(n), columns, targets)
}

/// A model of the case with numbers that let every part show.
fn model(case: &Case) -> (Model, Dataset) {
    let mut rows = table(N_TRAIN, case.target);
    let mut config: Config = config(case.target, &format!("[model]\n{}\n{COLUMNS}", case.model));
    config.train.resize = case.resize;
    if !case.images.is_empty() {
        config.data.image = case
            .images
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
            .into();
        rows.images = in_groups(&rows.images, case.images.len());
    }
    let session = session(&config, &rows, &first(N_TRAIN - 8, &rows));
    let mut model = session.into_model();
    let mut random = stream(7);
    let mut state = model.network.state_dict();
    for (path, shape, values) in &mut state {
        // Weights keep the size of what passes through them; others are about 0, or 1 where they are factors.
        let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
        let is_factor =
            path.ends_with("running_var") || shape.len() == 1 && path.ends_with("weight");
        for value in values.iter_mut() {
            let uniform = random.next_u32() as f32 / u32::MAX as f32 - 0.5;
            *value = if is_factor {
                1.0 + 0.5 * uniform
            } else if shape.len() > 1 {
                uniform * (12.0 / fan_in).sqrt()
            } else {
                0.3 * uniform
            };
        }
    }
    model.network.load_state(state).unwrap();
    if case.coverage.is_some() {
        cover(&mut model);
    }
    rows.rows.truncate(N_ROWS);
    rows.images.truncate(N_ROWS);
    rows.targets = None;
    rows.metadata.n_rows = N_ROWS;
    for column in &mut rows.metadata.columns {
        match &mut column.values {
            MetadataValues::Boolean(values) => values.truncate(N_ROWS),
            MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => {
                values.truncate(N_ROWS);
            }
            MetadataValues::Categorical { codes, .. } => codes.truncate(N_ROWS),
        }
    }
    (model, rows)
}

/// Gives a model a temperature, and errors of which it makes sets: some rows are then in and some are not.
fn cover(model: &mut Model) {
    if matches!(*model.task, Task::Class { .. } | Task::Multilabel { .. }) {
        let layer = Temperature { temperature: 1.7 }.into();
        let node = Node::new(&layer, "temperature", Start::Zeros, &Device::flex());
        model
            .network
            .root
            .children
            .push(("temperature".into(), node));
    }
    let n_parts = match &*model.task {
        Task::Class { .. } => 1,
        task => task.part_names().len(),
    };
    let error = |row: usize, part: usize| Some(0.1 + 0.07 * row as f64 + 0.05 * part as f64);
    let rows: Vec<RowError> = (0..9)
        .map(|row| RowError {
            unit: row,
            of_part: (0..n_parts).map(|part| error(row, part)).collect(),
        })
        .collect();
    model.conformal = Some(Conformal::new(&model.task, &rows, false));
}

/// What is fed to the graph, for the script.
fn write_case(dir: &std::path::Path, case: &Case, model: &Model, rows: &Dataset) {
    fs::create_dir_all(dir).unwrap();
    onnx(model, case.image, case.coverage)
        .unwrap()
        .save(&dir.join("model.onnx"))
        .unwrap();
    let mut all = Vec::new();
    for (row, source) in rows.images.iter().enumerate() {
        let mut names = Vec::new();
        for source in source.parts() {
            let ImageSource::Bytes { name, bytes } = source else {
                panic!("bytes")
            };
            names.push((!source.is_absent()).then_some(name));
            if source.is_absent() {
                continue;
            }
            fs::write(dir.join(name), bytes).unwrap();
            let picture = fitted(source, 24, case.resize, [0; 3]).unwrap();
            let square =
                image::RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb);
            square
                .unwrap()
                .save(dir.join(format!("fitted_{name}")))
                .unwrap();
        }
        let image = match case.images {
            [] => json!(names[0]),
            several => several
                .iter()
                .zip(&names)
                .map(|(&of, name)| (of.to_owned(), json!(name)))
                .collect(),
        };
        let cells = rows.metadata.columns.iter().map(|column| {
            let cell = match &column.values {
                MetadataValues::Boolean(values) => json!(values[row].map(u8::from)),
                MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => {
                    json!(values[row])
                }
                MetadataValues::Categorical { names, codes } => {
                    json!(codes[row].map_or("", |code| &names[code as usize]))
                }
            };
            (column.name.clone(), cell)
        });
        let cells: serde_json::Map<_, _> = cells.collect();
        all.push(json!({"image": image, "metadata": cells}));
    }
    fs::write(dir.join("rows.json"), serde_json::to_vec(&all).unwrap()).unwrap();
}

/// What ONNX Runtime said of a case.
#[derive(Deserialize)]
struct Golden {
    graph: String,
    outputs: BTreeMap<String, Vec<serde_json::Value>>,
}

fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the outputs, and the numbers of a prediction in the order in which the graph puts them out.
fn numbers(prediction: &Prediction) -> (&'static str, Vec<f64>) {
    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
    match prediction {
        Prediction::Keypoints { xy, .. } => ("points", wide(&xy.concat())),
        Prediction::Class { probabilities } | Prediction::Multilabel { probabilities } => {
            ("probabilities", wide(probabilities))
        }
        Prediction::Regression { values } => ("values", values.clone()),
    }
}

/// The name of the output of sets, and a set as the graph puts it out.
fn set_output(task: &Task, set: &PredictionSet) -> (&'static str, serde_json::Value) {
    match set {
        PredictionSet::Keypoints { radii } => ("radii", json!(radii)),
        PredictionSet::Class { contains } => {
            let name = |(name, is_in): (&String, &bool)| match is_in {
                true => name.clone(),
                false => String::new(),
            };
            let names = task.names().iter().zip(contains).map(name);
            ("set", names.collect())
        }
        PredictionSet::Multilabel { states } => ("set", json!(states)),
        PredictionSet::Regression { intervals } => ("intervals", json!(intervals.as_flattened())),
    }
}

/// Whether two lists of texts are the same, or of numbers nearly so.
fn is_near(ours: &serde_json::Value, theirs: &serde_json::Value) -> bool {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    let is_near = |(ours, theirs): (&serde_json::Value, &serde_json::Value)| match (
        ours.as_f64(),
        theirs.as_f64(),
    ) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-4 * ours.abs().max(1.0),
        _ => ours == theirs,
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_near)
}

#[test]
fn export_says_in_onnx_runtime_what_the_model_says() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/export.json");
    let golden = fs::read_to_string(golden).unwrap();
    let golden: BTreeMap<String, Golden> = serde_json::from_str(&golden).unwrap();
    let dir = std::env::var_os("SIDELIGHT_CASES").map(PathBuf::from);
    for case in cases() {
        let (model, rows) = model(&case);
        let graph = onnx(&model, case.image, case.coverage).unwrap();
        let checksum = checksum(&graph.to_string());
        let options = PredictOptions {
            coverage: case.coverage,
            ..PredictOptions::default()
        };
        let predicted = model.predict(&rows, options).unwrap();
        if let Some(dir) = &dir {
            let dir = dir.join(case.name);
            write_case(&dir, &case, &model, &rows);
            fs::write(dir.join("checksum"), checksum).unwrap();
            continue;
        }
        let Some(golden) = golden.get(case.name) else {
            panic!("{} is not in export.json; see above", case.name);
        };
        assert_eq!(
            golden.graph, checksum,
            "the graph of {} changed; see above",
            case.name
        );
        for (row, prediction) in predicted.predictions.iter().enumerate() {
            let (name, ours) = numbers(prediction.as_ref().unwrap());
            let theirs: Vec<f64> =
                serde_json::from_value(golden.outputs[name][row].clone()).unwrap();
            assert_eq!(ours.len(), theirs.len());
            // Probabilities are about 1 in size, points as large as the square of 24 pixels at least.
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let scale = ours.abs().max(1.0);
                assert!(
                    (ours - theirs).abs() <= 1e-4 * scale,
                    "{}, row {row}: {ours} is not {theirs}",
                    case.name
                );
            }
            let candidates = prediction.as_ref().unwrap().candidates();
            if !candidates.is_empty() {
                let probabilities = candidates.iter().map(|of| of.probability);
                let ours: Vec<f32> = probabilities.collect();
                let theirs = golden.outputs["candidate_probabilities"][row].clone();
                let mut theirs: Vec<f32> = serde_json::from_value(theirs).unwrap();
                theirs.sort_by(|a, b| b.total_cmp(a));
                let (ours, theirs) = (json!(ours), json!(theirs));
                assert!(is_near(&ours, &theirs), "{}: {ours} {theirs}", case.name);
                // In no order: each of ours is one of theirs.
                let theirs = golden.outputs["candidates"][row].clone();
                let theirs: Vec<f64> = serde_json::from_value(theirs).unwrap();
                for candidate in candidates {
                    let ours = json!(candidate.xy.as_flattened());
                    let mut all = theirs.chunks_exact(2 * candidate.xy.len());
                    assert!(
                        all.any(|of| is_near(&ours, &json!(of))),
                        "{ours} {theirs:?}"
                    );
                }
            }
            if let Some(sets) = &predicted.sets {
                let (name, ours) = set_output(&model.task, sets[row].as_ref().unwrap());
                let theirs = &golden.outputs[name][row];
                assert!(
                    is_near(&ours, theirs),
                    "{}, row {row}: {ours} is not {theirs}",
                    case.name
                );
            }
            if let (Task::Class { names, .. }, Some(said)) =
                (&*model.task, golden.outputs.get("prediction"))
            {
                let best = (0..ours.len())
                    .max_by(|&a, &b| ours[a].total_cmp(&ours[b]))
                    .unwrap();
                assert_eq!(said[row].as_str().unwrap(), names[best]);
            }
        }
    }
}

#[test]
fn export_names_inputs_after_columns_and_types_them() {
    let (model, _) = model(&cases()[0]);
    let graph = onnx(&model, ImageInput::AnySize, None).unwrap();
    let ports = |ports: Vec<sidelight::export::Port>| -> Vec<String> {
        ports
            .into_iter()
            .map(|port| format!("{} {} [{}]", port.name, port.kind, port.shape.join(", ")))
            .collect()
    };
    assert_eq!(
        ports(graph.inputs()),
        [
            "image uint8 [n, height, width, 3]",
            "flag float64 [n]",
            "area float64 [n]",
            "time float64 [n]",
            "rank float64 [n]",
            "heading float64 [n]",
            "site string [n]",
            "zip string [n]",
            "taken float64 [n]",
            "empty float64 [n]",
            "none string [n]",
            // The image has that name.
            "metadata.image float64 [n]",
        ]
    );
    assert_eq!(
        ports(graph.outputs()),
        ["prediction string [n]", "probabilities float32 [n, 3]"]
    );
    let text = graph.to_string();
    let first = "features.0.0/Conv = Conv(normalise/Add, features.0.0.weight, kernel_shape=[3, 3], strides=[2, 2], \
                 pads=[1, 1, 1, 1], dilations=[1, 1], group=1)";
    assert!(text.contains(first), "{text}");
    assert!(
        !text.contains("auxiliary") && !text.contains("Dropout"),
        "{text}"
    );
    let sized = onnx(&model, ImageInput::Sized, None).unwrap();
    assert_eq!(ports(sized.inputs())[0], "image uint8 [n, 24, 24, 3]");
}

#[test]
fn the_licence_of_the_weights_that_training_began_with_is_in_both_files() {
    let (mut model, _) = model(&cases()[0]);
    let folder = tempfile::tempdir().unwrap();
    let written = |model: &Model| {
        model.save(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("model.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        let bytes = onnx(model, ImageInput::AnySize, None).unwrap().to_bytes();
        let in_onnx = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert_eq!(in_onnx("weights_licence"), in_onnx("bsd-3-clause"));
        (stored["weights_licence"].clone(), in_onnx("bsd-3-clause"))
    };
    // From scratch.
    assert_eq!(written(&model), (json!(null), false));
    model.config.model.backbone = "resnet18".into();
    model.config.model.weights = "timm/resnet18.tv_in1k".into();
    assert_eq!(written(&model), (json!("bsd-3-clause"), true));
    // Nobody here knows whose they are.
    model.config.model.weights = "somebody/resnet18".into();
    assert_eq!(written(&model), (json!(null), false));
    assert!(Model::load(folder.path()).is_ok());
}

#[derive(Debug)]
struct Own;

impl CustomLayer for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn parameters(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }
    fn output(&self, _: &At<'_>, input: Shape) -> sidelight::Result<Shape> {
        Ok(input)
    }
    fn forward(&self, _: &Parameters, x: Value, _: &mut Walk<'_>) -> Value {
        x
    }
}

#[test]
fn export_refuses_a_layer_that_it_cannot_know() {
    let (mut model, _) = model(&cases()[0]);
    let own = Custom::new(Own).into();
    let own = Node::new(&own, "own", Start::Zeros, &Device::flex());
    model.network.root.children.push(("own".into(), own));
    let failed = onnx(&model, ImageInput::AnySize, None).unwrap_err();
    assert!(matches!(&failed, Error::NoOnnx { path, layer } if path == "own" && layer == "custom"));
    assert!(failed.hint().unwrap().contains("export the weights alone"));
}

#[test]
fn export_writes_weights_that_are_read_back() {
    let (model, _) = model(&cases()[1]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let n_bytes = safetensors(&model, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), n_bytes as u64);
    let file = weights::read(&path).unwrap();
    let state = model.network.state_dict();
    assert_eq!(file.keys().len(), state.len());
    let mut other = model.network.clone();
    other
        .load_state(
            state
                .iter()
                .map(|(k, s, v)| (k.clone(), s.clone(), vec![0.0; v.len()]))
                .collect(),
        )
        .unwrap();
    other.load_weights(&path).unwrap();
    assert_eq!(other.state_dict(), state);
}
