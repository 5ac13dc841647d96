//! What the options of training promise, each off by default.

use std::sync::atomic::{AtomicBool, Ordering};

use sidelight::config::{Arm, Config, Sampling, Unfreeze};
use sidelight::dataset::{Dataset, Targets};
use sidelight::predict::{PredictOptions, evaluate};
use sidelight::split::SplitRows;
use sidelight::train::checkpoint::{Checkpoint, NamedValues};
use sidelight::train::{Ended, Event, Session, TrainingLog, fit};

use crate::scenes::{classes, config, first, png};
use crate::training::{CLASS, assert_same, planted, random_config, resumed, run, session, squares};

/// Trains until this many steps are done; what the checkpoint then holds is in `dir`.
fn stopped(session: Session, stop_at: usize, dir: &std::path::Path) -> Checkpoint {
    let stop = AtomicBool::new(false);
    let mut watch = |event| {
        if matches!(event, Event::Step { total_step, .. } if total_step == stop_at) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let mut log = TrainingLog::new(&mut watch).with_checkpoints(dir.to_path_buf());
    let (_, ended) = fit(session, &mut log, &stop).unwrap();
    assert_eq!(ended, Ended::Stopped);
    Checkpoint::read(dir).unwrap().unwrap()
}

/// Stops after each of these steps and goes on: the result must be that of the uninterrupted run.
fn survives_a_stop(what: impl FnOnce(&mut Config), stop_at: &[usize]) {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    what(&mut config);
    let whole = run(session(&config, &data, &split));
    for &stop_at in stop_at {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("checkpoint");
        stopped(session(&config, &data, &split), stop_at, &dir);
        let session = resumed(&config, &data, &split, &dir);
        assert_eq!(session.state.progress.total_step, stop_at);
        assert_same(&run(session), &whole);
    }
}

#[test]
fn several_batches_a_step_are_one_large_batch() {
    are_one_large_batch(&planted(40).0);
}

/// Training 30 of these 40 rows in steps of 16 and of 4 times 4.
pub(crate) fn are_one_large_batch(data: &Dataset) {
    let split = first(30, data);
    let mut config = config(
        CLASS,
        "epochs = 2\nclass_weights = true\n[model]\ndropout = 0.0\ndrop_image = 0.0\n",
    );
    let trained = |(batch, accumulate)| {
        config.train.batch = batch;
        config.train.accumulate = accumulate;
        let mut session = session(&config, data, &split);
        // Statistics of the batch would be of a smaller one: these norms use the running ones.
        session.setup.frozen = vec!["*.running_mean".into(), "*.running_var".into()];
        run(session)
    };
    let [large, small] = [(16, 1), (4, 4)].map(trained);
    // 30 rows in steps of at most 16: two an epoch, each 4 batches of at most 4.
    assert_eq!(
        (
            large.setup.plan.steps_per_epoch,
            large.state.progress.total_step
        ),
        (2, 4)
    );
    assert_eq!(
        (
            small.setup.plan.steps_per_epoch,
            small.state.progress.total_step
        ),
        (2, 4)
    );
    assert_eq!(
        (
            small.setup.batches.batch_size,
            small.setup.batches.batches_per_step()
        ),
        (4, 4)
    );
    for ((path, _, a), (_, _, b)) in large
        .state
        .network
        .state_dict()
        .iter()
        .zip(small.state.network.state_dict())
    {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-4, "{path}: {a} is not {b}");
        }
    }
    let losses = [&large, &small].map(|session| session.score().unwrap().0);
    assert!((losses[0] - losses[1]).abs() < 1e-4, "{losses:?}");
}

#[test]
fn a_run_of_several_batches_a_step_goes_on_to_the_same_bits() {
    // Steps of 10 rows, 3 an epoch, each of 3 batches.
    let what = |config: &mut Config| {
        config.train.batch = 4;
        config.train.accumulate = 3;
    };
    survives_a_stop(what, &[1, 3, 5]);
}

#[test]
fn a_moving_average_goes_on_to_the_same_bits() {
    let what = |config: &mut Config| {
        config.train.ema = 0.9;
        config.train.ema_warmup = true;
    };
    survives_a_stop(what, &[1, 4, 6]);
}

#[test]
fn the_moving_average_is_what_is_scored_and_kept() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("checkpoint");
    let first_step = stopped(session(&config, &data, &split), 1, &dir).network;
    // So slow that it stays at the first step's numbers.
    config.train.ema = 1.0 - 1e-9;
    let later = stopped(session(&config, &data, &split), 6, &dir);
    let far = |mut values: Vec<NamedValues>| {
        let mut first_step = first_step.clone();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        first_step.sort_by(|a, b| a.0.cmp(&b.0));
        let pairs = values.iter().zip(&first_step);
        // The factors that join the branches are fitted when all else is done.
        pairs
            .filter(|(a, _)| a.0 != "head.factors")
            .flat_map(|(a, b)| a.2.iter().zip(&b.2))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    };
    assert!(far(later.ema.unwrap()) < 1e-6);
    assert!(far(later.network) > 1e-4);
    let done = run(session(&config, &data, &split));
    assert!(far(done.state.network.state_dict()) < 1e-6);
}

#[test]
fn blended_rows_go_on_to_the_same_bits_from_features_and_from_images() {
    let what = |config: &mut Config| {
        config.train.mixup = 0.4;
        config.train.freeze_epochs = Some(1);
        config.train.epochs = 2;
    };
    survives_a_stop(what, &[2, 6]);
}

#[test]
fn a_planted_column_is_found_in_blended_rows_too() {
    let (data, _) = planted(160);
    let split = first(100, &data);
    let config = config(CLASS, "epochs = 8\nmixup = 0.3\n");
    let (_, found) = run(session(&config, &data, &split)).score().unwrap();
    assert!(found.get("accuracy").unwrap() > 0.85, "{found:?}");
}

/// Every eighth row is of the rare class.
fn skewed(n: usize) -> (Dataset, SplitRows) {
    let (mut data, _) = planted(n);
    data.targets = Some(classes((0..n).map(|row| row % 8 == 0)));
    let split = first(n - 10, &data);
    (data, split)
}

#[test]
fn balanced_sampling_draws_the_rare_class_as_often_as_the_other() {
    let (data, split) = skewed(90);
    let mut config = random_config();
    config.train.sampling = Sampling::Balanced;
    let session = session(&config, &data, &split);
    let Some(Targets::Class { index, .. }) = &data.targets else {
        panic!("classes")
    };
    let rows = |epoch| -> Vec<usize> {
        let batches = session.setup.batches.training(epoch, 0);
        batches.flat_map(|batch| batch.unwrap().rows).collect()
    };
    let all: Vec<usize> = (0..10).flat_map(rows).collect();
    assert_eq!(all.len(), 800, "as many rows an epoch as there are");
    let rare = all.iter().filter(|row| index[**row] == Some(1)).count();
    // Three standard deviations of 800 tosses of a coin.
    assert!(rare.abs_diff(400) < 43, "{rare}");
    assert_eq!(rows(3), rows(3));
}

#[test]
fn balanced_sampling_goes_on_to_the_same_bits() {
    let what = |config: &mut Config| config.train.sampling = Sampling::Balanced;
    survives_a_stop(what, &[3, 6]);
}

#[test]
fn blocks_near_the_image_thaw_last() {
    let (data, _) = planted(40);
    let split = first(30, &data);
    let mut config = random_config();
    config.train.freeze_epochs = Some(1);
    config.train.epochs = 4;
    config.train.unfreeze = Unfreeze::Gradual;
    let begun = session(&config, &data, &split);
    let before = begun.state.network.state_dict();
    let backbone = begun.state.network.backbone.clone();
    let folder = tempfile::tempdir().unwrap();
    // The third step of the first epoch in which the backbone learns.
    let after = stopped(begun, 4 + 3, &folder.path().join("checkpoint")).network;
    let is_as_before = |(path, _, values): &&NamedValues| {
        before
            .iter()
            .any(|(name, _, then)| name == path && then == values)
    };
    let moved: Vec<&str> = after
        .iter()
        .filter(|parameter| !is_as_before(parameter))
        .map(|(path, ..)| path.as_str())
        .collect();
    let block = |path: &str| path.split('.').take(2).collect::<Vec<_>>().join(".");
    let mut blocks: Vec<String> = before.iter().map(|(path, ..)| block(path)).collect();
    blocks.retain(|block| backbone.iter().any(|name| block.starts_with(name)));
    blocks.dedup();
    let learns = |name: &String| moved.iter().any(|path| block(path) == *name);
    let learn: Vec<bool> = blocks.iter().map(learns).collect();
    assert!(!learn[0] && learn[learn.len() - 1], "{blocks:?}: {learn:?}");
    assert!(learn.is_sorted(), "{blocks:?}: {learn:?}");
}

#[test]
fn gradual_thawing_goes_on_to_the_same_bits() {
    let what = |config: &mut Config| {
        config.train.freeze_epochs = Some(1);
        config.train.epochs = 4;
        config.train.unfreeze = Unfreeze::Gradual;
    };
    survives_a_stop(what, &[6, 8, 11]);
}

#[test]
fn all_options_together_go_on_to_the_same_bits() {
    let what = |config: &mut Config| {
        let train = &mut config.train;
        train.batch = 4;
        train.accumulate = 2;
        train.ema = 0.9;
        train.mixup = 0.2;
        train.sampling = Sampling::Balanced;
        train.freeze_epochs = Some(1);
        train.unfreeze = Unfreeze::Gradual;
        config.augment.hide_column = 0.2;
    };
    survives_a_stop(what, &[2, 5, 9]);
}

/// Two squares, the left one being point 0.
fn pairs(n: usize) -> Dataset {
    let mut data = squares(n);
    let Some(Targets::Keypoints { xy, .. }) = &data.targets else {
        panic!("points")
    };
    let place = |row: usize| xy[row].map(|x| x as usize - 2);
    let pairs: Vec<[[usize; 2]; 2]> = (0..n)
        .map(|row| {
            let ([x, y], [u, v]) = (place(row), place((row + 1) % n));
            [[x / 2, y], [11 + u / 2, v]]
        })
        .collect();
    data.images = (0..n)
        .map(|row| {
            png(row, |i, j| {
                let is_in =
                    |[x, y]: &[usize; 2]| (*x..x + 4).contains(&i) && (*y..y + 4).contains(&j);
                if pairs[row].iter().any(is_in) {
                    [255; 3]
                } else {
                    [20, 40, 60]
                }
            })
        })
        .collect();
    let middle = |[x, y]: [usize; 2]| [x as f32 + 2.0, y as f32 + 2.0];
    data.targets = Some(Targets::keypoints(
        2,
        pairs.into_iter().flatten().map(middle).collect(),
    ));
    data
}

#[test]
fn several_tta_passes_at_points_come_back_to_where_they_are() {
    let data = pairs(120);
    let split = first(96, &data);
    let mut config = config(
        "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\", \"x1\", \"y1\"]\nsymmetric = [[0, 1]]",
        "epochs = 25\nlearning_rate = 0.01\n",
    );
    config.model.arm = Arm::Image;
    config.model.dropout = 0.0;
    config.augment = sidelight::config::AugmentConfig {
        flip: Some(true),
        ..Default::default()
    };
    let model = run(session(&config, &data, &split)).into_model();
    let error = |tta_passes| {
        let options = PredictOptions {
            tta_passes,
            ..PredictOptions::default()
        };
        let (metrics, predicted) = evaluate(&model, &data, options).unwrap();
        (metrics.get("mean_px").unwrap(), predicted.predictions)
    };
    let (plain, once) = error(1);
    let (looked, eight) = error(8);
    assert_ne!(once, eight);
    assert_eq!(eight, error(8).1, "the same passes every time");
    // A point that stayed mirrored, or kept its partner's place, would be off by about 5 pixels in the mean.
    assert!(
        looked < plain + 0.5 && looked < 2.5,
        "{looked} after {plain}"
    );
}

#[test]
fn several_tta_passes_have_the_mean_of_their_probabilities() {
    let (data, _) = planted(24);
    let split = first(16, &data);
    let mut config = random_config();
    config.train.epochs = 1;
    let model = run(session(&config, &data, &split)).into_model();
    let predict = |tta_passes| {
        let options = PredictOptions {
            tta_passes,
            ..PredictOptions::default()
        };
        let all = model.predict(&data, options).unwrap();
        let probability = |prediction: &Option<sidelight::task::Prediction>| match prediction {
            Some(sidelight::task::Prediction::Class { probabilities }) => probabilities[0],
            other => panic!("{other:?}"),
        };
        all.predictions
            .iter()
            .map(probability)
            .collect::<Vec<f32>>()
    };
    let (one, two, three) = (predict(1), predict(2), predict(3));
    assert_ne!(one, two);
    // What the third pass adds alone, 3 · mean of three − 2 · mean of two, is a probability too.
    for (two, three) in two.iter().zip(three) {
        let third = 3.0 * three - 2.0 * two;
        assert!((-1e-5..=1.0 + 1e-5).contains(&third), "{third}");
    }
    let plain = model.predict(&data, PredictOptions::default()).unwrap();
    assert_eq!(plain.predictions.len(), one.len());
    // Nothing changes at random: every pass is the first.
    let mut still = model.clone();
    still.config.augment.probability = 0.0;
    still.config.augment.flip = Some(false);
    let options = PredictOptions {
        tta_passes: 3,
        ..PredictOptions::default()
    };
    let again = still.predict(&data, options).unwrap();
    for (a, b) in plain.predictions.iter().zip(&again.predictions) {
        assert_eq!(a, b);
    }
}
