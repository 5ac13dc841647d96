//! What training promises, on data whose truth is known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use burn::tensor::Device;
use rand::Rng;
use sidelight::config::{Arm, Config};
use sidelight::dataset::{Dataset, MetadataValues, Targets};
use sidelight::network::shape::At;
use sidelight::network::{Custom, CustomLayer, Edit, Mode, Parameters, Shape, Value, Walk};
use sidelight::predict::{Model, PredictOptions, evaluate};
use sidelight::split::SplitRows;
use sidelight::train::checkpoint::Checkpoint;
use sidelight::train::{Ended, Event, FeatureCache, Session, TrainingLog, fit};

use crate::scenes::{classes, config, dataset, first, noise, png, stream};

pub(crate) const CLASS: &str = "kind = \"class\"\ncolumn = \"answer\"";

pub(crate) fn session(config: &Config, dataset: &Dataset, split: &SplitRows) -> Session {
    Session::from_rows(
        config,
        dataset.clone(),
        split.clone(),
        &Device::flex().autodiff(),
    )
    .unwrap()
    .0
}

pub(crate) fn run(session: Session) -> Session {
    let mut ignore = |_| {};
    let (session, ended) = fit(
        session,
        &mut TrainingLog::new(&mut ignore),
        &AtomicBool::new(false),
    )
    .unwrap();
    assert_eq!(ended, Ended::Finished);
    session
}

#[test]
fn sixteen_rows_are_learnt_by_heart() {
    let mut random = stream(1);
    let images = (0..16).map(|row| noise(row, &mut random)).collect();
    let data = dataset(images, vec![], classes((0..16).map(|row| row % 3 == 0)));
    let rows: Vec<usize> = (0..16).collect();
    let split = SplitRows {
        train: rows.clone(),
        valid: rows,
        test: Vec::new(),
        remarks: Vec::new(),
    };
    let mut config = config(
        CLASS,
        "epochs = 25\n[model]\ndropout = 0.0\narm = \"image\"\n",
    );
    config.train.learning_rate = 5e-3;
    let (_, metrics) = run(session(&config, &data, &split)).score().unwrap();
    assert_eq!(metrics.get("accuracy"), Some(1.0), "{metrics:?}");
}

/// Rows whose class is a column and nothing in the image.
pub(crate) fn planted(n: usize) -> (Dataset, Vec<Option<bool>>) {
    let mut random = stream(2);
    let truth: Vec<bool> = (0..n)
        .map(|_| random.next_u32().is_multiple_of(2))
        .collect();
    let images = (0..n).map(|row| noise(row, &mut random)).collect();
    let column: Vec<Option<bool>> = truth
        .iter()
        .map(|&yes| (!random.next_u32().is_multiple_of(10)).then_some(yes))
        .collect();
    let data = dataset(
        images,
        vec![("hint", MetadataValues::Boolean(column.clone()))],
        classes(truth),
    );
    (data, column)
}

#[test]
fn a_planted_column_is_found_and_a_shuffled_one_is_not() {
    let (data, column) = planted(160);
    let split = first(100, &data);
    let config = config(CLASS, "epochs = 8\n");
    let (_, found) = run(session(&config, &data, &split)).score().unwrap();
    assert!(found.get("accuracy").unwrap() > 0.9, "{found:?}");

    let mut shuffled = column;
    sidelight::random::shuffle(&mut shuffled, &mut stream(3));
    let mut data = data;
    data.metadata.columns[0].values = MetadataValues::Boolean(shuffled);
    let (_, found) = run(session(&config, &data, &split)).score().unwrap();
    // 60 coin tosses: 0.71 is three standard deviations above chance.
    assert!(found.get("accuracy").unwrap() < 0.71, "{found:?}");
}

fn bits(session: &Session) -> Vec<(String, Vec<u32>)> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    session
        .state
        .network
        .state_dict()
        .into_iter()
        .map(|(path, _, values)| (path, bits(values)))
        .collect()
}

pub(crate) fn assert_same(a: &Session, b: &Session) {
    for ((path, a), (other, b)) in bits(a).into_iter().zip(bits(b)) {
        assert_eq!(path, other);
        assert_eq!(a, b, "`{path}` differs");
    }
    assert_eq!(a.state.progress.best, b.state.progress.best);
}

/// Augmentation, dropout, order: everything random is on.
pub(crate) fn random_config() -> Config {
    let mut config = config(CLASS, "epochs = 3\nseed = 5\n");
    config.augment = sidelight::config::AugmentConfig::default();
    config
}

pub(crate) fn resumed(config: &Config, data: &Dataset, split: &SplitRows, dir: &Path) -> Session {
    let mut session = session(config, data, split);
    let checkpoint = Checkpoint::read(dir).unwrap().unwrap();
    checkpoint.check(config, &session.setup.rows, dir).unwrap();
    session.resume(checkpoint).unwrap();
    session
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bits() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let config = random_config();
    let whole = run(session(&config, &data, &split));

    // The last step of an epoch, one in its middle, the very first.
    for stop_at in [4, 6, 1] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("checkpoint");
        let stop = AtomicBool::new(false);
        let mut watch = |event| {
            if matches!(event, Event::Step { total_step, .. } if total_step == stop_at) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let mut log = TrainingLog::new(&mut watch).with_checkpoints(dir.clone());
        let (_, ended) = fit(session(&config, &data, &split), &mut log, &stop).unwrap();
        assert_eq!(ended, Ended::Stopped);
        let session = resumed(&config, &data, &split, &dir);
        assert_eq!(session.state.progress.total_step, stop_at);
        assert_same(&run(session), &whole);
    }
}

#[test]
fn a_run_that_crashed_goes_on_from_its_last_checkpoint_to_the_same_bits() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    let whole = run(session(&config, &data, &split));

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("checkpoint");
    config.train.checkpoint_steps = 3;
    let crash = std::panic::catch_unwind(|| {
        let mut watch = |event| {
            assert!(
                !matches!(event, Event::Step { total_step: 8, .. }),
                "the power fails"
            )
        };
        let mut log = TrainingLog::new(&mut watch).with_checkpoints(dir.clone());
        fit(
            session(&config, &data, &split),
            &mut log,
            &AtomicBool::new(false),
        )
        .unwrap();
    });
    assert!(crash.is_err());
    let session = resumed(&config, &data, &split, &dir);
    assert!(
        session.state.progress.total_step < 8,
        "{:?}",
        session.state.progress
    );
    assert_same(&run(session), &whole);
}

/// Passes on what it gets, but the gradient of the third training step is not a number.
#[derive(Debug, Default)]
struct NoGradient(AtomicUsize);

impl CustomLayer for NoGradient {
    fn name(&self) -> &str {
        "no_gradient"
    }
    fn output(&self, _: &At<'_>, input: Shape) -> sidelight::Result<Shape> {
        Ok(input)
    }
    fn forward(&self, _: &Parameters, x: Value, walk: &mut Walk<'_>) -> Value {
        let is_training = walk.context.mode == Mode::Train;
        if !is_training || self.0.fetch_add(1, Ordering::Relaxed) != 2 {
            return x;
        }
        // The derivative of a root at 0 is infinite, and 0 times that is not a number.
        let x = x.features(); // [batch, features]
        Value::Features(x.clone() + (x * 0.0).sqrt())
    }
}

#[test]
fn a_gradient_that_is_not_a_number_reaches_no_checkpoint() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = config(CLASS, "epochs = 3\n[model]\narm = \"image\"\n");
    config.train.checkpoint_steps = 1;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("checkpoint");
    let mut session = session(&config, &data, &split);
    let layer = Custom::new(NoGradient::default());
    let edit = Edit::insert_after("flatten", "no_gradient", layer);
    session.state.network.edit(edit).unwrap();
    let mut ignore = |_| {};
    let mut log = TrainingLog::new(&mut ignore).with_checkpoints(dir.clone());
    let failed = fit(session, &mut log, &AtomicBool::new(false)).unwrap_err();
    assert!(
        matches!(failed, sidelight::Error::Diverged { step: 3, loss, .. } if loss.is_nan()),
        "{failed}"
    );
    let kept = Checkpoint::read(&dir).unwrap().unwrap();
    assert_eq!(kept.progress.total_step, 2);
    let numbers = kept.network.iter().flat_map(|(_, _, values)| values);
    assert!(numbers.clone().all(|number| number.is_finite()));
}

/// Rows without a meaning: whatever is learned of them is learned by heart, and soon the watched rows suffer.
fn meaningless(frozen_epochs: usize) -> (Config, Dataset, SplitRows) {
    let mut random = stream(9);
    let images = (0..40).map(|row| noise(row, &mut random)).collect();
    let data = dataset(images, vec![], classes((0..40).map(|row| row % 2 == 0)));
    let mut config = config(
        CLASS,
        "epochs = 2\n[model]\ndropout = 0.0\narm = \"image\"\nfusion = \"concat\"\n",
    );
    config.train.learning_rate = 1e-2;
    config.train.freeze_epochs = Some(frozen_epochs);
    let split = first(32, &data);
    (config, data, split)
}

#[test]
fn what_was_pretrained_begins_to_learn_from_the_best_frozen_epoch() {
    let (config, data, split) = meaningless(12);
    let session_of = || session(&config, &data, &split);
    let frozen_steps = 12 * session_of().setup.plan.steps_per_epoch;
    let folder = tempfile::tempdir().unwrap();
    let stopped = |step: usize| {
        let dir = folder.path().join(format!("{step}"));
        let stop = AtomicBool::new(false);
        let mut watch = |event| {
            if matches!(event, Event::Step { total_step, .. } if total_step == step) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let mut log = TrainingLog::new(&mut watch).with_checkpoints(dir.clone());
        fit(session_of(), &mut log, &stop).unwrap();
        Checkpoint::read(&dir).unwrap().unwrap()
    };
    let (last, begun) = (stopped(frozen_steps), stopped(frozen_steps + 1));
    assert!(
        begun.progress.best.unwrap().epoch < 8,
        "{:?}",
        begun.progress
    );
    let head = |network: &[(String, Vec<usize>, Vec<f32>)]| -> BTreeMap<String, Vec<f32>> {
        let learned = |path: &str| path.starts_with("head") && !path.contains("running");
        let of_head = network.iter().filter(|(path, ..)| learned(path));
        of_head
            .map(|(path, _, values)| (path.clone(), values.clone()))
            .collect()
    };
    let best = head(begun.best.as_ref().unwrap());
    let farthest = |network: &[(String, Vec<usize>, Vec<f32>)]| {
        let now = head(network);
        let pairs = now.values().flatten().zip(best.values().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // AdamW's first step, its memory being empty, moves a number by the rate and its decay: 1e-2 / 2 / 5.
    assert!(
        farthest(&begun.network) < 1.1e-3,
        "{}",
        farthest(&begun.network)
    );
    assert!(
        farthest(&last.network) > 1e-2,
        "{}",
        farthest(&last.network)
    );
}

#[test]
fn where_no_later_epoch_is_better_the_best_frozen_one_is_kept() {
    let end = |config: &Config, data: &Dataset, split: &SplitRows| {
        let mut remarks = Vec::new();
        let mut watch = |event| {
            if let Event::Remark { text } = event {
                remarks.push(text);
            }
        };
        let mut log = TrainingLog::new(&mut watch);
        let never = AtomicBool::new(false);
        let (session, _) = fit(session(config, data, split), &mut log, &never).unwrap();
        drop(log);
        let said = remarks
            .iter()
            .filter(|text| text.contains("as it was pretrained"));
        (session.state, said.count())
    };
    let (config, data, split) = meaningless(12);
    let (in_vain, said) = end(&config, &data, &split);
    let best = in_vain.progress.best.unwrap();
    assert!(best.epoch < 12 && said == 1, "{best:?}, {said}");
    // The same training, ended with that epoch.
    let mut frozen = config.clone();
    frozen.train.patience = 12;
    let (alone, said) = end(&frozen, &data, &split);
    assert_eq!((alone.progress.best.unwrap(), said), (best, 0));
    assert_eq!(alone.network.state_dict(), in_vain.network.state_dict());

    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    config.train.freeze_epochs = Some(1);
    config.train.epochs = 4;
    let (learned, said) = end(&config, &data, &split);
    assert!(learned.progress.best.unwrap().epoch >= 1 && said == 0);
}

#[test]
fn patience_ends_the_frozen_epochs_but_not_what_follows_them() {
    let (mut config, data, split) = meaningless(30);
    config.train.patience = 2;
    let mut epochs = Vec::new();
    let mut watch = |event| {
        if let Event::Epoch { epoch, .. } = event {
            epochs.push(epoch);
        }
    };
    let mut log = TrainingLog::new(&mut watch);
    let (_, ended) = fit(
        session(&config, &data, &split),
        &mut log,
        &AtomicBool::new(false),
    )
    .unwrap();
    drop(log);
    assert_eq!(ended, Ended::Finished);
    assert!(epochs.len() < 25, "{epochs:?}");
    assert_eq!(epochs[epochs.len() - 2..], [31, 32]);
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    let one = run(session(&config, &data, &split));
    config.train.workers = 3;
    assert_same(&run(session(&config, &data, &split)), &one);
}

#[test]
fn features_of_a_frozen_backbone_are_what_the_whole_network_says() {
    let (data, _) = planted(24);
    let split = first(16, &data);
    let mut config = config(CLASS, "epochs = 2\nfreeze = true\n");
    config.model.dropout = 0.0;
    let session = run(session(&config, &data, &split));
    assert!(session.setup.batches.has_features());
    let (from_features, _) = session.predict_validation().unwrap();
    let model = session.into_model();
    let whole = model.predict(&data, PredictOptions::default()).unwrap();
    for (a, b) in from_features
        .predictions
        .iter()
        .zip(split.valid.iter().map(|&row| &whole.predictions[row]))
    {
        let (
            Some(sidelight::task::Prediction::Class { probabilities: a }),
            Some(sidelight::task::Prediction::Class { probabilities: b }),
        ) = (a, b)
        else {
            panic!("classes")
        };
        assert!((a[0] - b[0]).abs() < 1e-5, "{a:?} is not {b:?}");
    }
}

#[test]
fn features_kept_on_disk_change_nothing_but_the_time() {
    let (data, _) = planted(24);
    let mut config = config(CLASS, "epochs = 2\nfreeze = true\n");
    let fresh = run(session(&config, &data, &first(16, &data)));
    let folder = tempfile::tempdir().unwrap();
    let cached = |config: &Config, n_train: usize| {
        let mut session = session(config, &data, &first(n_train, &data));
        session.setup.batches.cache = Some(FeatureCache {
            dir: folder.path().to_path_buf(),
            max_bytes: 1 << 20,
        });
        run(session)
    };
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    // Another division fills the cache, its batches being others.
    cached(&config, 10);
    assert_eq!(files(), 1);
    assert_same(&cached(&config, 16), &fresh);
    // Cut off in the middle, it is filled again.
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap();
    let path = file.unwrap().path();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_same(&cached(&config, 16), &fresh);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // Said to be of another shape, it is as if it were not there: after 16 bytes how many sides, then the sides.
    let mut turned = bytes.clone();
    assert_eq!(turned[16..20], [1, 0, 0, 0]);
    turned.splice(16..20, [2, 0, 0, 0, 1, 0, 0, 0]);
    std::fs::write(&path, turned).unwrap();
    assert_same(&cached(&config, 16), &fresh);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // Other weights, other features.
    config.train.seed = 6;
    let fresh = run(session(&config, &data, &first(16, &data)));
    assert_same(&cached(&config, 16), &fresh);
    assert_eq!(files(), 2);
}

#[test]
fn a_saved_model_predicts_the_same_and_scores_the_same() {
    let (data, _) = planted(24);
    let split = first(16, &data);
    let config = config(CLASS, "epochs = 1\n");
    let model = run(session(&config, &data, &split)).into_model();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let loaded = Model::load(folder.path()).unwrap();
    let (metrics, before) = evaluate(&model, &data, PredictOptions::default()).unwrap();
    let (again, after) = evaluate(&loaded, &data, PredictOptions::default()).unwrap();
    assert_eq!(before.predictions, after.predictions);
    assert_eq!(metrics, again);
    assert!(before.problems.is_empty());
}

/// A bright square whose place is the target.
pub(crate) fn squares(n: usize) -> Dataset {
    let mut random = stream(4);
    let mut xy = Vec::new();
    let images = (0..n)
        .map(|row| {
            let [x, y] = [0; 2].map(|_: u8| (random.next_u32() % 16) as usize + 2);
            xy.push([x as f32 + 2.0, y as f32 + 2.0]);
            png(row, |i, j| {
                if (x..x + 4).contains(&i) && (y..y + 4).contains(&j) {
                    [255; 3]
                } else {
                    [20, 40, 60]
                }
            })
        })
        .collect();
    dataset(images, vec![], Targets::keypoints(1, xy))
}

#[test]
fn a_square_is_found_to_a_pixel_or_two() {
    let data = squares(120);
    let split = first(96, &data);
    let mut config = config(
        "kind = \"keypoints\"\ncolumns = [\"x\", \"y\"]",
        "epochs = 20\nlearning_rate = 0.01\n",
    );
    config.model.arm = Arm::Image;
    config.model.dropout = 0.0;
    let session = run(session(&config, &data, &split));
    let (_, metrics) = session.score().unwrap();
    // Always saying the middle is off by about 6 pixels.
    assert!(metrics.get("mean_px").unwrap() < 2.0, "{metrics:?}");
}
