//! Several ranks, as threads of this process: what they learn together is what one learns of the same rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use sidelight::Error;
use sidelight::config::Config;
use sidelight::dataset::{Dataset, ImageSource, MetadataValues};
use sidelight::ranks::{Alone, Ranks, Threads, as_collective_error};
use sidelight::split::SplitRows;
use sidelight::train::checkpoint::{Checkpoint, Division};
use sidelight::train::{Ended, Event, FeatureCache, Session, TrainingLog, fit};

use crate::scenes::{classes, config, dataset, first, noise, stream};
use crate::training::{CLASS, session};

/// Paths and numbers of all that was learned, then the scores of the validation rows.
pub(crate) type Learned = (Vec<(String, Vec<f32>)>, Vec<f32>);

/// Rows of images without a meaning and a column that has one, some of them unknown.
pub(crate) fn rows(n: usize) -> (Dataset, SplitRows) {
    let mut random = stream(11);
    let truth: Vec<bool> = (0..n)
        .map(|_| random.next_u32().is_multiple_of(3))
        .collect();
    let images = (0..n).map(|row| noise(row, &mut random)).collect();
    let hint = truth
        .iter()
        .map(|&yes| Some(f64::from(u8::from(yes)) + 0.25));
    let column = ("hint", MetadataValues::Continuous(hint.collect()));
    let data = dataset(images, vec![column], classes(truth));
    let split = first(n * 4 / 5, &data);
    (data, split)
}

/// Nothing is drawn at random but the order of the rows.
pub(crate) fn plain(batch: usize, more: &str) -> Config {
    let text = format!(
        "seed = 3\nclass_weights = true\nlearning_rate = 2e-4\n{more}\n\
         [model]\nbackbone = \"small_cnn\"\ndropout = 0.0\ndrop_image = 0.0\nhidden = 8\n"
    );
    let mut config = config(CLASS, &text);
    config.train.batch = batch;
    config
}

/// Trains among these ranks, from a checkpoint where there is one, up to a step where one is given.
fn train(
    ranks: &Arc<dyn Ranks>,
    config: &Config,
    (data, split): &(Dataset, SplitRows),
    dir: Option<&std::path::Path>,
    stop_at: usize,
) -> Result<Session, Error> {
    let mut session = session(config, data, split);
    session.share_out(Arc::clone(ranks));
    if let Some(checkpoint) = dir.and_then(|dir| Checkpoint::read(dir).unwrap()) {
        session.resume(checkpoint).unwrap();
    }
    ranks.wait();
    let stop = AtomicBool::new(false);
    let mut on_event = |event| {
        if let Event::Step { total_step, .. } = event {
            // Asked of the last rank alone, one step before: the others hear of it in the next.
            let before = usize::from(!ranks.is_alone());
            if ranks.rank() + 1 == ranks.size() && total_step + before == stop_at {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let to = dir.filter(|_| ranks.is_first()).map(Into::into);
    let (session, ended) = fit(
        session,
        &mut TrainingLog::new(&mut on_event).with_checkpoints(to),
        &stop,
    )?;
    if stop_at > 0 {
        assert_eq!(ended, Ended::Stopped);
        assert_eq!(session.state.progress.total_step, stop_at);
    }
    ranks.wait();
    Ok(session)
}

fn learned(session: &Session) -> Learned {
    let numbers = session.state.network.state_dict().into_iter();
    let (predicted, _) = session.predict_validation().unwrap();
    (
        numbers.map(|(path, _, values)| (path, values)).collect(),
        predicted.losses.unwrap(),
    )
}

/// What so many ranks learn; the same on each.
pub(crate) fn among(n: usize, config: &Config, rows: &(Dataset, SplitRows)) -> Learned {
    let mut all = Threads::run(n, |ranks| {
        learned(&train(&ranks, config, rows, None, 0).unwrap())
    });
    for other in &all[1..] {
        assert!(*other == all[0], "replicas differ");
    }
    all.swap_remove(0)
}

pub(crate) fn alone(config: &Config, rows: &(Dataset, SplitRows)) -> Learned {
    let ranks: Arc<dyn Ranks> = Arc::new(Alone);
    learned(&train(&ranks, config, rows, None, 0).unwrap())
}

/// How far they are apart, as a share of their size; of the numbers whose paths are asked for, all together: where a
/// gradient is next to nothing, Adam makes a step of its rounding.
fn distance(found: &Learned, expected: &Learned, what: impl Fn(&str) -> bool) -> f64 {
    let (mut off, mut size) = (0.0, 0.0);
    for ((path, found), (other, expected)) in found.0.iter().zip(&expected.0) {
        assert_eq!(path, other);
        for (a, b) in found.iter().zip(expected).filter(|_| what(path)) {
            off += f64::from(a - b).powi(2);
            size += f64::from(*b).powi(2);
        }
    }
    assert!(size > 1.0);
    (off / size).sqrt()
}

pub(crate) fn assert_near(found: &Learned, expected: &Learned, what: impl Fn(&str) -> bool) {
    let off = distance(found, expected, what);
    assert!(off <= 1e-5, "off by {off} of its size");
}

#[test]
fn ranks_that_normalise_together_learn_what_one_does_from_larger_batches() {
    // 160 rows, 32 a step: 20 steps.
    let rows = rows(200);
    let expected = alone(&plain(32, "epochs = 4"), &rows);
    for (n, batch) in [(2, 16), (4, 8)] {
        let config = plain(batch, "epochs = 4\nsync_batch_norm = true");
        let found = among(n, &config, &rows);
        assert_near(&found, &expected, |_| true);
    }
    // Otherwise it is something else, or this test would show nothing.
    let apart = among(2, &plain(16, "epochs = 4"), &rows);
    let off = distance(&apart, &expected, |_| true);
    assert!(off > 1e-4, "{off}");
}

#[test]
fn ranks_that_normalise_apart_learn_what_one_does_from_as_many_batches() {
    let rows = rows(50);
    let expected = alone(&plain(5, "epochs = 2\naccumulate = 4"), &rows);
    let found = among(4, &plain(5, "epochs = 2"), &rows);
    // All ranks' normalisations move the running statistics at once, one rank's one after the other; the factors are fitted to
    // what is put out with those.
    let is_learned = |path: &str| !path.contains(".running_") && !path.ends_with(".factors");
    assert_near(&found, &expected, is_learned);
    assert!(
        found
            .0
            .iter()
            .any(|(path, _)| path.ends_with("running_var"))
    );
}

#[test]
fn a_rank_without_rows_counts_for_nothing() {
    // 12 rows, 3 a step, 4 ranks: one of them has none.
    let rows = rows(15);
    let expected = alone(&plain(3, "epochs = 3"), &rows);
    let config = plain(1, "epochs = 3\nsync_batch_norm = true");
    let found = Threads::run(4, |ranks| {
        let mut session = session(&config, &rows.0, &rows.1);
        let division = Division { step: 3, ranks: 1 };
        session.divide(Arc::clone(&ranks), division);
        assert_eq!(session.setup.batches.batches_per_step(), 1);
        let mut ignore = |_| {};
        let mut log = TrainingLog::new(&mut ignore);
        let (session, _) = fit(session, &mut log, &AtomicBool::new(false)).unwrap();
        learned(&session)
    });
    assert_near(&found[3], &expected, |_| true);
}

#[test]
fn what_is_random_is_drawn_for_each_batch_whoever_has_it() {
    let rows = rows(50);
    let everything = |batch, accumulate| {
        let mut config = plain(batch, "epochs = 2\nmixup = 0.3");
        config.augment = sidelight::config::AugmentConfig::default();
        config.augment.hide_column = 0.2;
        config.model.dropout = 0.4;
        config.model.fusion = "concat".into();
        config.model.drop_image = 0.3;
        config.train.accumulate = accumulate;
        config
    };
    let expected = alone(&everything(5, 4), &rows);
    for (n, accumulate) in [(2, 2), (4, 1)] {
        let found = among(n, &everything(5, accumulate), &rows);
        assert_near(&found, &expected, |path| !path.contains(".running_"));
    }
}

#[test]
fn as_many_ranks_learn_the_same_to_the_bit() {
    let rows = rows(40);
    for more in [
        "epochs = 2",
        "epochs = 2\nsync_batch_norm = true\nema = 0.9",
    ] {
        let mut config = plain(4, more);
        config.augment = sidelight::config::AugmentConfig::default();
        config.model.dropout = 0.4;
        for n in [1, 2, 4] {
            let (once, again) = (among(n, &config, &rows), among(n, &config, &rows));
            assert!(once == again, "{n} ranks, {more}");
        }
    }
}

#[test]
fn features_are_shared_out_and_kept_for_the_next_run() {
    let rows = rows(50);
    let config = plain(10, "epochs = 3\nfreeze = true\nsync_batch_norm = true");
    let expected = alone(&config, &rows);
    let folder = tempfile::tempdir().unwrap();
    for n_files in [0, 1] {
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), n_files);
        let found = Threads::run(3, |ranks| {
            let mut config = config.clone();
            config.train.batch = 4;
            let mut session = session(&config, &rows.0, &rows.1);
            let division = Division { step: 10, ranks: 1 };
            session.divide(Arc::clone(&ranks), division);
            session.setup.batches.cache = Some(FeatureCache {
                dir: folder.path().to_path_buf(),
                max_bytes: 1 << 20,
            });
            let mut ignore = |_| {};
            let mut log = TrainingLog::new(&mut ignore);
            let (session, _) = fit(session, &mut log, &AtomicBool::new(false)).unwrap();
            assert!(session.setup.batches.has_features());
            learned(&session)
        });
        for found in &found {
            assert_near(found, &expected, |_| true);
        }
        assert_eq!(files(), 1);
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let rows = rows(50);
    // Steps of 10 rows, 4 an epoch.
    let config = plain(
        10,
        "epochs = 3\nsync_batch_norm = true\nscale_rate = \"sqrt\"",
    );
    let expected = alone(&config, &rows);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("checkpoint");
    let ranks: Arc<dyn Ranks> = Arc::new(Alone);
    train(&ranks, &config, &rows, Some(&dir), 3).unwrap();
    for (n, stop_at) in [(2, 6), (4, 0)] {
        let found = Threads::run(n, |ranks| {
            let session = train(&ranks, &config, &rows, Some(&dir), stop_at).unwrap();
            assert_eq!(session.setup.division, Division { step: 10, ranks: 1 });
            learned(&session)
        });
        if stop_at == 0 {
            assert_near(&found[0], &expected, |_| true);
        }
    }
}

#[test]
fn a_rank_that_fails_alone_names_itself() {
    let (mut data, split) = rows(20);
    data.images[5] = ImageSource::Bytes {
        name: "5.png".into(),
        bytes: Arc::from(&b"no image"[..]),
    };
    let rows = (data, split);
    let config = plain(4, "epochs = 1");
    let failed = std::panic::catch_unwind(|| {
        Threads::run(2, |ranks| {
            if let Err(error) = train(&ranks, &config, &rows, None, 0) {
                let text = sidelight::error::in_full(&as_collective_error(&*ranks, error));
                panic!("{text}");
            }
        })
    });
    let panic = failed.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let own = text.contains(" on a thread of this machine: memory.csv, row 6: ");
    // The other waits for it, and is ended: which of them is met first is not said.
    assert!(
        own || text.contains("waits for a rank that is gone"),
        "{text}"
    );
}

#[test]
fn a_rate_is_scaled_by_the_number_of_ranks_where_that_is_asked_for() {
    let rows = rows(50);
    for (scale, factor) in [("none", 1.0), ("sqrt", 2.0), ("linear", 4.0)] {
        let config = plain(10, &format!("epochs = 1\nscale_rate = \"{scale}\""));
        let found = Threads::run(4, |ranks| {
            let mut session = session(&config, &rows.0, &rows.1);
            let before = session.setup.plan.at(0, 0).rate;
            session.share_out(ranks);
            assert_eq!(session.setup.plan.steps_per_epoch, 1);
            session.setup.plan.at(0, 0).rate / before
        });
        assert_eq!(found, [factor; 4]);
    }
}
