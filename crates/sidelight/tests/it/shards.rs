//! Training over tar archives: a few at a time, with records that cannot be read.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use sidelight::config::Config;
use sidelight::dataset::ImageSource;
use sidelight::error::{DataError, Error};
use sidelight::run::{Existing, Run, read_bad_rows};
use sidelight::train::{Event, FeatureCache, Session, TrainOptions, Trained, train};

use crate::scenes::png;

/// What becomes of a member, by row and ending.
type Damage<'a> = &'a dyn Fn(usize, &str, Vec<u8>) -> Option<Vec<u8>>;

/// Archives of `n_each` pictures with a number and a class; `damage` may change a member or leave it out.
fn archives(folder: &Path, n_shards: usize, n_each: usize, damage: Damage<'_>) {
    for shard in 0..n_shards {
        let mut builder = tar::Builder::new(Vec::new());
        for row in shard * n_each..(shard + 1) * n_each {
            let shade = (row * 37 % 256) as u8;
            let picture = png(row, |x, y| [shade, (x * 20) as u8, (y * 20) as u8]);
            let ImageSource::Bytes { bytes, .. } = picture else {
                panic!("bytes")
            };
            let json = format!(
                r#"{{"answer": "{}", "number": {row}}}"#,
                if shade > 127 { "light" } else { "dark" }
            );
            for (ending, bytes) in [("png", bytes.to_vec()), ("json", json.into_bytes())] {
                let Some(bytes) = damage(row, ending, bytes) else {
                    continue;
                };
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                let name = format!("{row:04}.{ending}");
                builder.append_data(&mut header, name, &bytes[..]).unwrap();
            }
        }
        let path = folder.join(format!("s-{shard:02}.tar"));
        std::fs::write(path, builder.into_inner().unwrap()).unwrap();
    }
}

fn config(folder: &Path, more: &[&str]) -> Config {
    let text = r#"
        data = { table = "s-{00..05}.tar", image = "image", shuffle_shards = 2 }
        target = { kind = "class", column = "answer" }
        metadata.number = "continuous"
        model = { backbone = "small_cnn" }
        train = { epochs = 2, size = 16, batch = 8, workers = 2 }
    "#;
    let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
    Config::parse(text, &folder.join("t.toml"), &more).unwrap()
}

fn run(
    config: &Config,
    out: &Path,
    existing: Existing,
    stop_after: usize,
) -> Result<Trained, Error> {
    run_with(config, out, existing, stop_after, None)
}

fn run_with(
    config: &Config,
    out: &Path,
    existing: Existing,
    stop_after: usize,
    cache: Option<FeatureCache>,
) -> Result<Trained, Error> {
    let stop = AtomicBool::new(false);
    let mut n_steps = 0;
    let mut on_event = |event| {
        if let Event::Step { .. } = event {
            n_steps += 1;
            if n_steps == stop_after {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    train(
        config,
        TrainOptions {
            out: out.to_path_buf(),
            existing,
            cache,
            ranks: std::sync::Arc::new(sidelight::ranks::Alone),
            stop: Some(&stop),
            on_event: Some(&mut on_event),
        },
    )
}

fn same(folder: &Path, a: &str, b: &str) {
    for name in ["model/weights.safetensors", "predictions.csv"] {
        let read = |run: &str| std::fs::read(folder.join(run).join(name)).unwrap();
        assert_eq!(read(a), read(b), "{name}");
    }
}

/// A damaged picture, one that is missing, a damaged JSON.
fn damaged(row: usize, ending: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    match (row, ending) {
        (5, "png") => Some(bytes[..40].to_vec()),
        (30, "png") => None,
        (41, "json") => Some(b"{not json".to_vec()),
        _ => Some(bytes),
    }
}

#[test]
fn windows_of_shards_stop_and_go_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &|_, _, bytes| Some(bytes));
    let config = config(path, &[]);
    run(&config, &path.join("whole"), Existing::Refuse, 0).unwrap();
    let stopped = run(&config, &path.join("parts"), Existing::Refuse, 4).unwrap();
    assert!(stopped.stopped);
    run(&config, &path.join("parts"), Existing::Resume, 0).unwrap();
    same(path, "whole", "parts");
    // In another order something else is learned.
    let mut all = config;
    all.data.shuffle_shards = Some(0);
    run(&all, &path.join("all"), Existing::Refuse, 0).unwrap();
    let weights =
        |run: &str| std::fs::read(path.join(run).join("model/weights.safetensors")).unwrap();
    assert_ne!(weights("whole"), weights("all"));
}

#[test]
fn records_that_cannot_be_read_are_passed_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &damaged);
    let refused = config(path, &[]);
    let error = run(&refused, &path.join("refused"), Existing::Refuse, 0).unwrap_err();
    assert!(
        matches!(error, Error::Data(DataError::Json { .. })),
        "{error}"
    );

    let config = config(path, &["data.unreadable=skip"]);
    let trained = run(&config, &path.join("whole"), Existing::Refuse, 0).unwrap();
    let listed = read_bad_rows(&path.join("whole/skipped.csv")).unwrap();
    let named: Vec<String> = listed.iter().map(ToString::to_string).collect();
    let named: Vec<String> = named
        .iter()
        .map(|text| text.replace(&format!("{}/", path.display()), ""))
        .collect();
    assert_eq!(listed.len(), 3, "{named:#?}");
    assert!(
        named[0].starts_with("s-00.tar, row 6, sample `0005`: s-00.tar: 0005.png"),
        "{named:#?}"
    );
    assert!(
        named[1].starts_with("s-03.tar, row 31, sample `0030`, column `image`: expected an image"),
        "{named:#?}"
    );
    assert!(
        named[2].starts_with("s-04.tar, row 42, sample `0041`: "),
        "{named:#?}"
    );
    // Two of 60 are not even rows, one is a blank in its place.
    let rows = trained.run.metrics().unwrap().rows;
    assert_eq!(rows.train + rows.valid, 58);

    // It stops before, at and after the blank all the same.
    for stop_after in [1, 4, 7] {
        let out = path.join(format!("stopped-{stop_after}"));
        assert!(
            run(&config, &out, Existing::Refuse, stop_after)
                .unwrap()
                .stopped
        );
        run(&config, &out, Existing::Resume, 0).unwrap();
        same(path, "whole", &format!("stopped-{stop_after}"));
        assert_eq!(read_bad_rows(&out.join("skipped.csv")).unwrap(), listed);
        Run::open(&out).unwrap();
    }
}

#[test]
fn a_cache_of_features_changes_nothing_where_records_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &damaged);
    let config = config(path, &["data.unreadable=skip", "train.freeze=true"]);
    run(&config, &path.join("without"), Existing::Refuse, 0).unwrap();
    // Filled, then found filled.
    for name in ["filled", "found"] {
        let cache = Some(FeatureCache {
            dir: path.join("cache"),
            max_bytes: 1 << 30,
        });
        run_with(&config, &path.join(name), Existing::Refuse, 0, cache).unwrap();
        same(path, "without", name);
    }
}

#[test]
fn a_blank_in_the_place_of_a_record_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &|row, ending, bytes| match (row, ending) {
        (7, "png") => Some(bytes[..40].to_vec()),
        _ => Some(bytes),
    });
    let config = config(path, &["data.unreadable=skip", "data.split.valid=0.5"]);
    let (session, _) = Session::new(&config, &Device::flex().autodiff()).unwrap();
    let (predicted, loss) = session.predict_validation().unwrap();
    let blanks: Vec<usize> = (0..predicted.predictions.len())
        .filter(|place| predicted.predictions[*place].is_none())
        .collect();
    let at = session.setup.batches.valid.iter().position(|row| *row == 7);
    let losses = predicted.losses.as_ref().unwrap();
    match at {
        Some(at) => {
            assert_eq!(blanks, [at]);
            let known = losses.iter().filter(|loss| !loss.is_nan());
            let (sum, n) = known.fold((0.0, 0.0), |(sum, n), loss| {
                (sum + f64::from(*loss), n + 1.0)
            });
            assert_eq!(n as usize, losses.len() - 1);
            assert!((sum / n - loss).abs() < 1e-5, "{} is not {loss}", sum / n);
        }
        None => {
            let batches = session.setup.batches.training(0, 0).map(Result::unwrap);
            let masks = batches.map(|batch| {
                let (_, mask) = batch.targets.unwrap();
                mask.sum().into_scalar::<f32>()
            });
            assert_eq!(
                masks.sum::<f32>() as usize,
                session.setup.batches.train.len() - 1
            );
        }
    }
    assert_eq!(session.setup.batches.unreadable.as_ref().unwrap().len(), 1);
}

#[test]
fn too_many_records_that_cannot_be_read_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &|row, ending, bytes| match (row % 5, ending) {
        (0, "png") => Some(bytes[..40].to_vec()),
        _ => Some(bytes),
    });
    let config = config(path, &["data.unreadable=skip"]);
    let error = run(&config, &path.join("a"), Existing::Refuse, 0).unwrap_err();
    assert!(
        matches!(error, Error::TooManyUnreadable { n: 7, most: 6, .. }),
        "{error}"
    );
    assert_eq!(read_bad_rows(&path.join("a/skipped.csv")).unwrap().len(), 7);
}

#[test]
fn of_a_shard_that_breaks_off_what_can_be_read_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    archives(path, 6, 10, &|_, _, bytes| Some(bytes));
    let shard = path.join("s-02.tar");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    let config = config(path, &["data.unreadable=skip"]);
    let trained = run(&config, &path.join("a"), Existing::Refuse, 0).unwrap();
    let listed = read_bad_rows(&path.join("a/skipped.csv")).unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(
        listed[0].at.file.ends_with("s-02.tar") && listed[0].reason.contains("cut short"),
        "{listed:?}"
    );
    let rows = trained.run.metrics().unwrap().rows;
    assert!((54..56).contains(&(rows.train + rows.valid)), "{rows:?}");
}
