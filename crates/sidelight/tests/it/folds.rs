//! A model for each fold, and the mean of them as one model.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sidelight::Error;
use sidelight::config::Config;
use sidelight::dataset::ImageSource;
use sidelight::export::{ImageInput, onnx};
use sidelight::predict::{FeatureExtractor, Model, PredictOptions};
use sidelight::run::{Existing, Run};
use sidelight::task::{Prediction, Task, argmax};
use sidelight::train::{Event, TrainOptions, Trained, train};
use tempfile::TempDir;

use crate::scenes::{noise, stream};

const ROWS: usize = 42;
const CLASS: &str = "kind = \"class\"\ncolumn = \"species\"";
const VALUE: &str = "kind = \"regression\"\ncolumn = \"price\"\nscale = \"log\"";
const LABELS: &str = "kind = \"multilabel\"\ncolumns = [\"wet\", \"old\"]";
const POINTS: &str = "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\", \"x1\", \"y1\"]";

/// Pictures without a meaning; two rows a group; a species of two rows in one group, so that one member never meets it; a
/// place that few rows have, so that members have other categories; values of very different sizes.
fn table() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut random = stream(3);
    let mut csv = String::from("file_name,owner,species,price,wet,old,x0,y0,x1,y1,area,place\n");
    for row in 0..ROWS {
        let ImageSource::Bytes { bytes, .. } = noise(row, &mut random) else {
            unreachable!("it is made in memory")
        };
        fs::write(folder.path().join(format!("{row}.png")), bytes).unwrap();
        let species = match row {
            0 | 1 => "yew",
            _ => ["oak", "elm"][row % 2],
        };
        let price = f64::from(10 + row as u32).powi(2);
        let (wet, old) = (row % 2, row / 3 % 2);
        let at = |n: usize| 4 + (row * n) % 16;
        let area = if row % 9 == 4 {
            String::new()
        } else {
            (row * row).to_string()
        };
        let place = ["hill", "dale", "moor", "fen", "wood"][row % 5];
        let place = if row < 4 { "isle" } else { place };
        csv += &format!(
            "{row}.png,{},{species},{price},{wet},{old},{},{},{},{},{area},{place}\n",
            row / 2,
            at(3),
            at(5),
            at(7),
            at(11),
        );
    }
    fs::write(folder.path().join("metadata.csv"), csv).unwrap();
    folder
}

fn config(folder: &TempDir, target: &str, more: &[&str]) -> Config {
    let text = format!(
        "[data]\ntable = \"metadata.csv\"\ngroup = \"owner\"\nsplit = {{ folds = 3 }}\n[target]\n{target}\n\
         [metadata]\narea = \"continuous\"\nplace = {{ kind = \"categorical\", encoding = \"embedding\" }}\n\
         [model]\nbackbone = \"small_cnn\"\nhidden = 8\n[train]\nsize = 24\nbatch = 8\nworkers = 1\nepochs = 2\nlearning_rate = 1e-2\n"
    );
    let path = folder.path().join("sidelight.toml");
    fs::write(&path, text).unwrap();
    let more: Vec<String> = more.iter().map(|set| (*set).to_owned()).collect();
    Config::read(&path, &more).unwrap()
}

fn trained(config: &Config, out: &Path) -> Trained {
    let trained = train(config, out).unwrap();
    assert!(!trained.stopped);
    trained
}

/// Lines of a file of predictions by their row, and its header.
fn lines(run: &Run) -> (String, BTreeMap<usize, String>) {
    let text = fs::read_to_string(run.predictions_path()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let number = |line: &str| line.split(',').next().unwrap().parse().unwrap();
    let rows = rows.lines().map(|line| (number(line), line.to_owned()));
    (header.to_owned(), rows.collect())
}

fn folds(run: &Run) -> Vec<Run> {
    (1..=3)
        .map(|fold| Run::open(&run.fold_dir(fold)).unwrap())
        .collect()
}

/// What the models of the folds predict of each row, in the terms of the joined task.
fn of_members(task: &Task, models: &[Model], folder: &TempDir) -> Vec<Vec<Prediction>> {
    let table = folder.path().join("metadata.csv");
    let of_models: Vec<Vec<Prediction>> = models
        .iter()
        .map(|model| {
            let rows = model.read(&table).unwrap();
            let found = model.predict(&rows, PredictOptions::default()).unwrap();
            let found = found.predictions.iter().flatten();
            found.map(|one| task.adopt(one, &model.task)).collect()
        })
        .collect();
    let of_row = |row: usize| of_models.iter().map(|all| all[row].clone()).collect();
    (0..ROWS).map(of_row).collect()
}

/// How far the members are apart in a row, computed from what they predict.
fn apart(task: &Task, mean: &Prediction, members: &[Prediction]) -> Vec<f64> {
    let logarithm = matches!(task, Task::Regression { .. });
    let value = |x: f64| if logarithm { x.ln() } else { x };
    let deviations: Vec<f64> = (0..mean.numbers().len())
        .map(|at| {
            let all: Vec<f64> = members.iter().map(|one| value(one.numbers()[at])).collect();
            let middle = all.iter().sum::<f64>() / all.len() as f64;
            let squares = all.iter().map(|x| (x - middle).powi(2)).sum::<f64>();
            (squares / (all.len() - 1) as f64).sqrt()
        })
        .collect();
    match task {
        Task::Class { .. } => vec![deviations[argmax(mean.probabilities()).unwrap()]],
        Task::Multilabel { .. } => deviations,
        Task::Regression { .. } => vec![deviations[0] * mean.numbers()[0]],
        Task::Keypoints { .. } => {
            let points = deviations.as_chunks::<2>().0.iter();
            points.map(|[x, y]| x.hypot(*y)).collect()
        }
    }
}

fn is_the_mean_of_its_folds(target: &str, more: &[&str], nearness: f64) -> Model {
    let folder = table();
    let config = config(&folder, target, more);
    let run = trained(&config, &folder.path().join("run")).run;
    let run = Run::open(&run.dir).unwrap();
    let folds = folds(&run);

    // Every row is left out by one model, with its whole group, and scored by that one.
    let (_, all) = lines(&run);
    let mut seen = Vec::new();
    for fold in &folds {
        let (_, of_fold) = lines(fold);
        let owners: Vec<usize> = of_fold.keys().map(|row| (row - 1) / 2).collect();
        let whole = owners
            .chunks(2)
            .all(|pair| pair.len() == 2 && pair[0] == pair[1]);
        assert!(whole, "{owners:?}");
        seen.extend(of_fold.keys().copied());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=ROWS).collect::<Vec<_>>());
    assert_eq!(all.len(), ROWS);
    let scores = run.metrics().unwrap();
    assert_eq!((scores.rows.train, scores.rows.valid), (ROWS, ROWS));

    let joined = Model::open(&run.dir).unwrap();
    let models: Vec<Model> = folds
        .iter()
        .map(|fold| Model::open(&fold.dir).unwrap())
        .collect();
    let rows = joined.read(folder.path().join("metadata.csv")).unwrap();
    let found = joined.predict(&rows, PredictOptions::default()).unwrap();
    let spread = found.spread.unwrap();
    let members = of_members(&joined.task, &models, &folder);
    for (row, (found, members)) in found.predictions.iter().zip(&members).enumerate() {
        let found = found.as_ref().unwrap();
        let wanted = joined.task.mean(members).unwrap();
        let apart = apart(&joined.task, found, members);
        assert!(apart.iter().all(|apart| *apart > 0.0), "row {row}");
        assert_eq!(spread[row].len(), apart.len());
        for (a, b) in spread[row].iter().zip(apart) {
            assert!((a - b).abs() < 1e-3 * b + 1e-6, "row {row}: {a} {b}");
        }
        let pairs = found.numbers().into_iter().zip(wanted.numbers());
        for (a, b) in pairs {
            assert!(
                (a - b).abs() < nearness * b.abs().max(1.0),
                "row {row}: {a} {b}"
            );
        }
        let pairs = found.confidence().iter().zip(wanted.confidence());
        for (a, b) in pairs {
            assert!(
                (a.visible - b.visible).abs() < 1e-4,
                "row {row}: {a:?} {b:?}"
            );
            assert!(
                (a.error - b.error).abs() < 1e-3 * b.error,
                "row {row}: {a:?} {b:?}"
            );
        }
        assert_eq!(found.confidence().len(), wanted.confidence().len());
    }
    // It knows how far off it is, and is one graph whose inputs are the columns, each once.
    assert!(joined.thresholds(0.8).is_ok());
    let graph = onnx(&joined, ImageInput::AnySize, Some(0.8)).unwrap();
    let inputs = graph.inputs().into_iter().map(|port| port.name);
    assert_eq!(inputs.collect::<Vec<_>>(), ["image", "area", "place"]);
    joined
}

#[test]
fn the_model_of_folds_is_the_mean_of_their_probabilities() {
    let model = is_the_mean_of_its_folds(CLASS, &[], 1e-5);
    assert_eq!(model.task.names(), ["elm", "oak", "yew"]);
    assert_eq!(model.network.root.child_names(), ["members"]);
    // One of the members has not met the yew.
    let places = |model: &Model| {
        let description = model.network.describe();
        let members = &description["root"]["children"][0]["members"];
        let places = members.as_array().unwrap().iter();
        places
            .filter(|member| member["places"].as_array().is_some_and(|of| of.len() == 2))
            .count()
    };
    assert_eq!(places(&model), 1);
    // A fold's own encoder knows what its training rows say.
    let place = &model.encoder.columns[1];
    assert_eq!((place.name.as_str(), place.members.len()), ("place", 3));
    assert_eq!(place.known, ROWS);
    assert!(place.members.iter().all(|member| member.known < ROWS));
}

#[test]
fn the_model_of_folds_is_the_mean_of_their_labels_and_values() {
    is_the_mean_of_its_folds(LABELS, &[], 1e-5);
    is_the_mean_of_its_folds(VALUE, &[], 1e-4);
}

#[test]
fn the_model_of_folds_is_the_mean_of_their_points() {
    let model = is_the_mean_of_its_folds(POINTS, &[], 1e-4);
    assert!(model.says_confidence());
}

#[test]
fn members_that_have_branches_and_members_of_their_own_are_joined() {
    is_the_mean_of_its_folds(CLASS, &["model.fusion=stacked", "train.freeze=true"], 1e-5);
}

#[test]
fn out_of_fold_predictions_are_those_of_the_folds() {
    let folder = table();
    let config = config(&folder, VALUE, &[]);
    let trained = trained(&config, &folder.path().join("run"));
    let run = Run::open(&trained.run.dir).unwrap();
    let (header, all) = lines(&run);
    for fold in folds(&run) {
        let (of_fold_header, of_fold) = lines(&fold);
        assert_eq!(of_fold_header, header);
        for (row, line) in of_fold {
            assert_eq!(all[&row], line, "row {row}");
        }
    }
    // The score is of these lines.
    let column = |name: &str| header.split(',').position(|cell| cell == name).unwrap();
    let cell = |line: &str, at: usize| -> f64 { line.split(',').nth(at).unwrap().parse().unwrap() };
    let (truth, said) = (column("true_price"), column("price"));
    let errors = all
        .values()
        .map(|line| (cell(line, truth) - cell(line, said)).abs());
    let mae = errors.sum::<f64>() / ROWS as f64;
    let metrics = trained.metrics.unwrap();
    let found = metrics.get("mae").unwrap();
    assert!((found - mae).abs() < 1e-6 * mae, "{found} {mae}");
    let constant = trained.constant.unwrap();
    assert!(constant.get("mae").unwrap() > 0.0);
    assert_eq!(run.metrics().unwrap().metrics[0], metrics.values[0]);
    let report = fs::read_to_string(run.report_path()).unwrap();
    assert!(report.contains("3, one for each fold"));
}

#[test]
fn a_backbone_that_no_fold_trained_is_there_once() {
    let folder = table();
    let more = ["train.freeze=true"];
    let run = trained(&config(&folder, CLASS, &more), &folder.path().join("a")).run;
    let model = Model::open(&run.dir).unwrap();
    let names = model.network.root.child_names();
    assert!(names.starts_with(&["features".to_owned()]), "{names:?}");
    assert_eq!(names.last().unwrap(), "members");
    assert!(FeatureExtractor::of_model(&model).is_ok());

    let run = trained(&config(&folder, CLASS, &[]), &folder.path().join("b")).run;
    let refused = FeatureExtractor::of_model(&Model::open(&run.dir).unwrap()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("3, one in each model of a fold"),
        "{refused}"
    );
}

fn bytes(run: &Run) -> Vec<Vec<u8>> {
    let mut files = vec![run.predictions_path()];
    files.extend(["model.json", "weights.safetensors"].map(|name| run.model_dir().join(name)));
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn resuming<'a>(out: &Path) -> TrainOptions<'a> {
    TrainOptions {
        existing: Existing::Resume,
        ..TrainOptions::new(out)
    }
}

#[test]
fn stopped_anywhere_the_folds_go_on_to_the_same_bytes() {
    let folder = table();
    let config = config(&folder, CLASS, &[]);
    let out = |name: &str| folder.path().join(name);
    let whole = Run::open(&trained(&config, &out("whole")).run.dir).unwrap();
    // 28 rows in batches of 8 are 4 steps, two epochs of them in each fold: the last of the first, the second of the next.
    for stop_at in [8, 10] {
        let stop = AtomicBool::new(false);
        let mut steps = 0;
        let mut watch = |event: Event| {
            if matches!(event, Event::Step { .. }) {
                steps += 1;
                stop.store(steps == stop_at, Ordering::Relaxed);
            }
        };
        let dir = out(&format!("stopped at {stop_at}"));
        let options = TrainOptions {
            stop: Some(&stop),
            on_event: Some(&mut watch),
            ..resuming(&dir)
        };
        let stopped = train(&config, options).unwrap();
        assert!(stopped.stopped && stopped.metrics.is_none());
        assert!(matches!(
            Run::open(&dir),
            Err(Error::UnfinishedRun { .. } | Error::NotARun { .. })
        ));
        let went_on = train(&config, resuming(&dir)).unwrap();
        assert!(!went_on.stopped);
        let went_on = Run::open(&dir).unwrap();
        assert!(bytes(&went_on) == bytes(&whole), "stopped at {stop_at}");
    }
}

#[test]
fn folds_go_on_only_as_they_were_begun() {
    let folder = table();
    let out = folder.path().join("run");
    let begun = config(&folder, CLASS, &[]);
    let stop = AtomicBool::new(true);
    let options = TrainOptions {
        stop: Some(&stop),
        ..resuming(&out)
    };
    assert!(train(&begun, options).unwrap().stopped);
    let other = config(&folder, CLASS, &["train.epochs=3"]);
    let refused = train(&other, resuming(&out)).unwrap_err();
    let Error::ResumeDiffers { field, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(field, "train.epochs");
    // What one model's training would make of the folder is nothing that was begun, nor the other way round.
    let mut single = begun.clone();
    single.data.split.folds = 0;
    let differs = |refused: Error| match refused {
        Error::ResumeDiffers {
            field, begun, now, ..
        } => (field, begun, now),
        other => panic!("{other:?}"),
    };
    let expected = |begun: &str, now: &str| ("data.split.folds".into(), begun.into(), now.into());
    let found = differs(train(&single, resuming(&out)).unwrap_err());
    assert_eq!(found, expected("3", "0"));
    let one = folder.path().join("one");
    let options = TrainOptions {
        stop: Some(&stop),
        ..resuming(&one)
    };
    assert!(train(&single, options).unwrap().stopped);
    let found = differs(train(&begun, resuming(&one)).unwrap_err());
    assert_eq!(found, expected("0", "3"));
    // A table with other rows is another one.
    let table = folder.path().join("metadata.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replace("5.png,2,elm", "5.png,2,oak")).unwrap();
    let refused = train(&begun, resuming(&out)).unwrap_err();
    let Error::ResumeDiffers { field, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(field, "data.table");
}

#[test]
fn folds_are_replaced_only_where_nothing_else_is_among_them() {
    let folder = table();
    let out = folder.path().join("run");
    let config = config(&folder, CLASS, &["train.epochs=1"]);
    trained(&config, &out);
    let overwriting = || TrainOptions {
        existing: Existing::Overwrite,
        ..TrainOptions::new(&out)
    };
    let notes = out.join("folds/2/notes.txt");
    fs::write(&notes, "mine").unwrap();
    let refused = train(&config, overwriting()).unwrap_err();
    assert!(
        matches!(refused, Error::OutputNotEmpty { .. }),
        "{refused:?}"
    );
    assert!(Run::open(&out).is_ok(), "the old run is still there");
    fs::remove_file(&notes).unwrap();
    train(&config, overwriting()).unwrap();
    assert!(Run::open(&out).is_ok());
}

#[test]
fn one_fold_alone_is_the_same_run() {
    let folder = table();
    let config = config(&folder, CLASS, &[]);
    let run = trained(&config, &folder.path().join("all")).run;
    let mut one = config.clone();
    one.data.split.fold = 2;
    let one = trained(&one, &folder.path().join("one")).run;
    let weights = |run: &Run| fs::read(run.model_dir().join("weights.safetensors")).unwrap();
    let second = Run::open(&run.fold_dir(2)).unwrap();
    assert!(weights(&one) == weights(&second));
}
