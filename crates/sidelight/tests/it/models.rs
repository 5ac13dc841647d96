//! Models on disk and on rows that they were not trained on.

use std::fs;
use std::path::Path;

use sidelight::Error;
use sidelight::dataset::{Dataset, ImageSource, MetadataValues};
use sidelight::error::DataError;
use sidelight::predict::{Model, PredictOptions, evaluate};
use sidelight::train::Session;

use crate::scenes::{classes, config, dataset, first, noise, stream};
use crate::training::{CLASS, run, session};

/// A model that has seen 16 rows once; it need not be good.
fn model() -> Model {
    let mut random = stream(9);
    let images = (0..20).map(|row| noise(row, &mut random)).collect();
    let names = ["mill", "barn"].map(String::from).to_vec();
    let codes = (0..20).map(|row| Some(row % 2)).collect();
    let columns = vec![("site", MetadataValues::Categorical { names, codes })];
    let data = dataset(images, columns, classes((0..20).map(|row| row % 3 == 0)));
    run(session(
        &config(CLASS, "epochs = 1\n"),
        &data,
        &first(16, &data),
    ))
    .into_model()
}

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model().save(folder.path()).unwrap();
    folder
}

/// Loads what is left after something was done to the folder.
fn after(change: impl FnOnce(&Path)) -> Error {
    let folder = saved();
    change(folder.path());
    Model::load(folder.path()).unwrap_err()
}

fn edit_json(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("model.json");
    let mut description = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut description);
    fs::write(path, serde_json::to_vec(&description).unwrap()).unwrap();
}

#[test]
fn a_model_holds_two_files_and_nothing_to_execute() {
    let folder = saved();
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["model.json", "weights.safetensors"]);
}

/// Noise, of which a model that has learned 24 rows by heart is far too sure.
fn calibrated(groups: Option<Vec<u32>>) -> (Dataset, Session, Model) {
    let mut random = stream(3);
    let images = (0..64).map(|row| noise(row, &mut random)).collect();
    let mut data = dataset(images, vec![], classes((0..64).map(|row| row % 3 == 0)));
    data.groups = groups;
    let config = config(
        CLASS,
        "epochs = 6\n[model]\narm = \"image\"\ndropout = 0.0\n",
    );
    let before = run(session(&config, &data, &first(24, &data)));
    let model = session(&config, &data, &first(24, &data)).fit().unwrap();
    (data, before, model.into_model())
}

#[test]
fn a_temperature_is_fitted_kept_and_changes_no_decision() {
    let (data, before, model) = calibrated(None);
    let (_, plain) = before.score().unwrap();
    let uncalibrated = before.into_model();
    assert!(uncalibrated.conformal.is_none());
    let valid = data.select(&(24..64).collect::<Vec<_>>());
    let scores = |model: &Model| {
        evaluate(model, &valid, PredictOptions::default())
            .unwrap()
            .0
    };
    let (raw, own) = (scores(&uncalibrated), scores(&model));
    let near = (raw.get("log_loss").unwrap() - plain.get("log_loss").unwrap()).abs() < 1e-6;
    assert!(near, "{raw:?} {plain:?}");
    assert_eq!(raw.get("accuracy"), own.get("accuracy"));
    assert!(own.get("log_loss") < raw.get("log_loss"), "{own:?} {raw:?}");

    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let text = fs::read_to_string(folder.path().join("model.json")).unwrap();
    assert!(text.contains("\"temperature\""), "{text}");
    let read = Model::load(folder.path()).unwrap();
    assert_eq!(read.conformal, model.conformal);
    let options = || PredictOptions {
        coverage: Some(0.8),
        ..PredictOptions::default()
    };
    let (a, b) = (
        model.predict(&valid, options()).unwrap(),
        read.predict(&valid, options()).unwrap(),
    );
    assert_eq!((&a.predictions, &a.sets), (&b.predictions, &b.sets));
    assert!(a.sets.unwrap().iter().all(Option::is_some));

    // 40 rows: a share of 40/41 can be told, not one of 0.99.
    assert!(read.thresholds(0.97).is_ok());
    let failed = read.thresholds(0.99).unwrap_err();
    assert!(
        failed.to_string().contains("40 rows") && failed.to_string().contains("99 are needed"),
        "{failed}"
    );

    // One from before knows no errors, and its probabilities are as they were.
    uncalibrated.save(folder.path()).unwrap();
    let old = Model::load(folder.path()).unwrap();
    let failed = old.predict(&valid, options()).unwrap_err();
    assert!(matches!(failed, Error::NoConformal), "{failed}");
    assert!(failed.hint().unwrap().contains("train it again"));
}

#[test]
fn rows_of_a_group_are_one_unit_and_errors_that_do_not_fit_are_refused() {
    let groups = (0..64).map(|row| row / 4).collect();
    let (_, _, model) = calibrated(Some(groups));
    let failed = model.thresholds(0.95).unwrap_err();
    assert!(
        failed.to_string().starts_with("10 groups of rows"),
        "{failed}"
    );
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    edit_json(folder.path(), |json| {
        json["conformal"]["parts"][0]["rows"] = 5.into();
    });
    let failed = Model::load(folder.path()).unwrap_err();
    assert!(
        failed.to_string().contains("errors on held-out rows"),
        "{failed}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let failed = after(|dir| fs::remove_file(dir.join("weights.safetensors")).unwrap());
    assert!(
        matches!(&failed, Error::Data(DataError::Read { path, .. }) if path.ends_with("weights.safetensors")),
        "{failed}"
    );
    let failed = Model::load(Path::new("no/such/model")).unwrap_err();
    assert_eq!(failed.to_string(), "cannot read no/such/model/model.json");
}

#[test]
fn damaged_weights_are_noticed_by_their_checksum() {
    let failed = after(|dir| {
        let path = dir.join("weights.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 0x40;
        fs::write(path, bytes).unwrap();
    });
    assert!(matches!(failed, Error::Checksum { .. }), "{failed}");
}

#[test]
fn weights_that_were_cut_short_are_too_few_for_the_network() {
    let failed = after(|dir| {
        let path = dir.join("weights.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(
        matches!(
            failed,
            Error::ModelParts {
                part: "file of weights",
                ..
            }
        ),
        "{failed}"
    );
}

#[test]
fn a_description_that_claims_an_enormous_layer_allocates_nothing() {
    let failed = after(|dir| {
        edit_json(dir, |description| {
            let text = description["architecture"]
                .to_string()
                .replace("\"out_features\":2", "\"out_features\":200000000000");
            description["architecture"] = serde_json::from_str(&text).unwrap();
        });
    });
    assert!(
        matches!(
            failed,
            Error::ModelParts {
                part: "file of weights",
                ..
            } | Error::LayerField { .. }
        ),
        "{failed}"
    );
}

#[test]
fn settings_that_no_layer_can_have_are_refused_before_anything_is_computed() {
    for (field, value) in [
        ("padding", 1_u64 << 32),
        ("padding", 1 << 62),
        ("dilation", 1 << 62),
        ("kernel", 1 << 20),
        ("out_channels", 1 << 63),
    ] {
        let failed = after(|dir| {
            edit_json(dir, |description| {
                let mut text = description["architecture"].to_string();
                let start = text.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
                let length = text[start..].find([',', '}']).unwrap();
                text.replace_range(start..start + length, &value.to_string());
                description["architecture"] = serde_json::from_str(&text).unwrap();
            });
        });
        assert!(
            matches!(failed, Error::LayerField { .. } | Error::Shape { .. }),
            "{field} = {value}: {failed}"
        );
    }
}

/// The first layer of a kind.
fn layer<'a>(within: &'a mut serde_json::Value, kind: &str) -> Option<&'a mut serde_json::Value> {
    if within["kind"] == kind {
        return Some(within);
    }
    let children = within.get_mut("children")?.as_array_mut()?;
    children.iter_mut().find_map(|child| layer(child, kind))
}

#[test]
fn what_layers_read_that_is_not_there_is_refused() {
    use serde_json::json;
    for (kind, field, value, expected) in [
        (
            "trees",
            "inputs",
            json!([{ "kind": "dense", "slot": 900 }]),
            "ask about Dense { slot: 900 }",
        ),
        (
            "trees",
            "inputs",
            json!([{ "kind": "is", "place": 7, "code": 2 }]),
            "ask about Is { place: 7",
        ),
        ("trees", "inputs", json!([]), "ask about input 0 of 0"),
        (
            "stack",
            "missing",
            json!([1.0, 2.0, 3.0]),
            "a `missing` of 3 numbers",
        ),
        (
            "piecewise_linear",
            "numbers",
            json!([{ "slot": 0, "known": 1, "edges": [0.0, 1e308] }]),
            "`edges` must be two or more finite numbers, rising",
        ),
        (
            "concat",
            "children",
            json!([]),
            "expects at least one part",
        ),
        (
            "batch_norm",
            "epsilon",
            json!(-1.0),
            "`epsilon` must be a number from 0 on",
        ),
    ] {
        let failed = after(|dir| {
            edit_json(dir, |description| {
                let root = &mut description["architecture"]["root"];
                layer(root, kind).expect(kind)[field] = value.clone();
            });
        });
        let said = failed.to_string();
        assert!(said.contains(expected), "{kind}.{field} = {value}: {said}");
    }
}

#[test]
fn an_input_that_is_no_image_is_refused() {
    use serde_json::json;
    for (field, value, expected) in [
        ("size", json!(1_u64 << 40), "`input` must be of 1 to"),
        ("size", json!(u64::MAX), "`input` must be of 1 to"),
        ("channels", json!(0), "`in_channels = 3`"),
        ("channels", json!(1_u64 << 63), "`input` must be of 1 to"),
        ("sd", json!([1.0, 0.0, 1.0]), "a deviation above 0"),
        ("mean", json!([1e308, 0.0, 1.0]), "a deviation above 0"),
    ] {
        let failed = after(|dir| {
            edit_json(dir, |description| {
                description["architecture"]["input"][field] = value.clone();
            });
        });
        let said = failed.to_string();
        assert!(said.contains(expected), "{field} = {value}: {said}");
    }
}

#[test]
fn a_task_whose_lists_differ_in_length_is_refused() {
    let failed = after(|dir| {
        edit_json(dir, |description| {
            description["task"]["counts"] = serde_json::json!([]);
        });
    });
    assert!(
        matches!(failed, Error::ModelParts { part: "task", .. }),
        "{failed}"
    );
    assert!(
        failed.to_string().contains("`counts` of length 0"),
        "{failed}"
    );
}

#[test]
fn an_encoder_that_contradicts_itself_is_refused() {
    for (field, value, expected) in [
        ("flip", serde_json::json!([[2, 900]]), "a code that is none"),
        ("flip", serde_json::json!([[0, 2]]), "a code that is none"),
        ("counts", serde_json::json!([]), "`counts` are not as many"),
        (
            "kind",
            serde_json::json!("boolean"),
            "fitted as another kind",
        ),
    ] {
        let failed = after(|dir| {
            edit_json(dir, |description| {
                let columns = description["encoder"]["columns"].as_array_mut().unwrap();
                let category = columns
                    .iter_mut()
                    .find(|column| column["fitted"]["kind"] == "category");
                category.expect("there is a category")["fitted"][field] = value.clone();
            });
        });
        assert!(
            matches!(
                failed,
                Error::ModelParts {
                    part: "encoder",
                    ..
                }
            ),
            "{field}: {failed}"
        );
        assert!(failed.to_string().contains(expected), "{field}: {failed}");
    }
}

#[test]
fn a_configuration_out_of_its_range_is_refused() {
    let failed = after(|dir| {
        edit_json(dir, |description| {
            description["config"]["train"]["batch"] = 0.into();
        });
    });
    assert!(
        matches!(
            failed,
            Error::ModelParts {
                part: "configuration",
                ..
            }
        ),
        "{failed}"
    );
}

#[test]
fn a_description_that_is_not_json_is_named_with_its_line() {
    let failed = after(|dir| fs::write(dir.join("model.json"), "{\"schema\":1,").unwrap());
    assert!(matches!(failed, Error::StoredJson { .. }), "{failed}");
}

#[test]
fn a_newer_schema_is_said_before_anything_else_is_read() {
    let failed =
        after(|dir| fs::write(dir.join("model.json"), "{\"schema\":99,\"new\":true}").unwrap());
    assert!(
        matches!(
            failed,
            Error::SchemaTooNew {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{failed}"
    );
}

#[test]
fn a_task_of_another_model_is_refused() {
    let failed = after(|dir| {
        edit_json(dir, |description| {
            description["task"]["names"] = serde_json::json!(["a", "b", "c"]);
            description["task"]["counts"] = serde_json::json!([1, 1, 1]);
        });
    });
    assert!(
        matches!(
            failed,
            Error::ModelParts {
                part: "network's output",
                ..
            }
        ),
        "{failed}"
    );
}

#[test]
fn an_encoder_of_another_model_is_refused() {
    let failed = after(|dir| {
        edit_json(dir, |description| {
            description["encoder"]["columns"] = serde_json::json!([])
        })
    });
    assert!(
        matches!(
            failed,
            Error::ModelParts {
                part: "network's metadata",
                ..
            }
        ),
        "{failed}"
    );
}

#[test]
fn unseen_values_and_unreadable_images_are_counted_and_the_others_predicted() {
    let model = model();
    let mut random = stream(10);
    let mut images: Vec<ImageSource> = (0..3).map(|row| noise(row, &mut random)).collect();
    images[1] = ImageSource::Bytes {
        name: "torn.png".into(),
        bytes: b"\x89PNG\r\n\x1a\n".to_vec().into(),
    };
    let columns = vec![(
        "site",
        MetadataValues::Categorical {
            names: vec!["castle".into()],
            codes: vec![Some(0), Some(0), None],
        },
    )];
    let mut data = dataset(images, columns, classes([true, false, true]));
    let (metrics, found) = evaluate(&model, &data, PredictOptions::default()).unwrap();
    assert_eq!(metrics.n, 2);
    assert_eq!(
        found
            .predictions
            .iter()
            .map(Option::is_some)
            .collect::<Vec<_>>(),
        [true, false, true]
    );
    let [(1, problem)] = &found.problems[..] else {
        panic!("{:?}", found.problems)
    };
    assert!(problem.to_string().contains("row 2"), "{problem}");
    assert_eq!(found.unseen.categories["site"]["castle"], 2);
    assert_eq!(found.unseen.new_gaps["site"], 1);
    let losses = found.losses.unwrap();
    assert!(losses[0].is_finite() && losses[1].is_nan());

    data.targets = None;
    assert!(
        model
            .predict(&data, PredictOptions::default())
            .unwrap()
            .losses
            .is_none()
    );
    let failed = evaluate(&model, &data, PredictOptions::default()).unwrap_err();
    assert!(matches!(failed, Error::NoTargets { columns, .. } if columns == ["answer"]));
}

#[test]
fn a_rows_prediction_does_not_depend_on_its_batch() {
    let mut model = model();
    let mut random = stream(11);
    let images = (0..5).map(|row| noise(row, &mut random)).collect();
    let codes = (0..5).map(|row| Some(row % 2)).collect();
    let names = ["mill", "barn"].map(String::from).to_vec();
    let data = dataset(
        images,
        vec![("site", MetadataValues::Categorical { names, codes })],
        classes([true; 5]),
    );
    let whole = model.predict(&data, PredictOptions::default()).unwrap();
    model.config.train.batch = 1;
    let single = model.predict(&data, PredictOptions::default()).unwrap();
    for (a, b) in whole
        .losses
        .unwrap()
        .into_iter()
        .zip(single.losses.unwrap())
    {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }
}
