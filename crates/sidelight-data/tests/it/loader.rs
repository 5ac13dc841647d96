//! Plans, threads, bad images, points: what a batch holds and that nothing else decides it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidelight_data::augment::Augment;
use sidelight_data::config::{
    AugmentConfig, MetadataConfig, MetadataKind, Normalizer, ResizeMethod, TargetKind,
};
use sidelight_data::dataset::{Dataset, Metadata, MetadataColumn, MetadataValues, Targets};
use sidelight_data::encode::Encoder;
use sidelight_data::error::Result;
use sidelight_data::image::cache::PixelCache;
use sidelight_data::image::{Affine, ImageSource, Picture};
use sidelight_data::loader::*;
use sidelight_data::task::Task;

use crate::{message, reference};

const IMAGES: [&str; 6] = [
    "rgb.png",
    "orientation_6.jpg",
    "grey_16.tif",
    "noisy.png",
    "big.jpg",
    "rgba.webp",
];

/// `n_rows` rows over six images of many kinds: two points each, the second of every fifth row missing, and a
/// column that says which side.
fn source(n_rows: usize) -> Source {
    let side = MetadataColumn {
        name: "side".into(),
        values: MetadataValues::Categorical {
            names: vec!["left".into(), "right".into()],
            codes: (0..n_rows).map(|row| Some((row % 2) as u32)).collect(),
        },
    };
    let metadata = Metadata {
        columns: vec![side],
        n_rows,
    };
    let mut config = MetadataConfig::new(MetadataKind::Categorical);
    config.flip = vec![["left".into(), "right".into()]];
    let configs = BTreeMap::from([("side".to_owned(), config)]);
    let encoder = Encoder::fit(&metadata, &configs, &(0..n_rows).collect::<Vec<_>>()).unwrap();
    let (encoded, _) = encoder.encode(&metadata).unwrap();
    let second = |row: usize| if row.is_multiple_of(5) { f32::NAN } else { 9.0 };
    let dataset = Dataset {
        path: "rows.csv".into(),
        rows: (0..n_rows).collect(),
        images: (0..n_rows)
            .map(|row| ImageSource::Path(reference(IMAGES[row % IMAGES.len()])))
            .collect(),
        metadata,
        targets: Some(Targets::keypoints(
            2,
            (0..n_rows)
                .flat_map(|row| [[4.0, 3.0], [second(row), 10.0]])
                .collect(),
        )),
        groups: None,
        splits: None,
        folds: None,
        times: None,
        weights: None,
        to_table: None,
        remarks: Vec::new(),
    };
    let task = Task::Keypoints {
        columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
        symmetric: vec![[0, 1]],
        names: Vec::new(),
        skeleton: Vec::new(),
        sigmas: Vec::new(),
        normalizer: Normalizer::Diagonal,
        mean: Vec::new(),
    };
    Source {
        dataset: Arc::new(dataset),
        metadata: Arc::new(encoded),
        encoder: Arc::new(encoder),
        task: Arc::new(task),
        preprocess: Preprocess {
            size: 24,
            resize: ResizeMethod::Squish,
            mean: [0.485, 0.456, 0.406],
            sd: [0.229, 0.224, 0.225],
            range: None,
            channels: 3,
        },
        augment: None,
        hide: None,
        reads_image: true,
        cache: None,
        seed: 11,
    }
}

fn augmented(n_rows: usize) -> Source {
    let config = AugmentConfig {
        flip: Some(true),
        ..AugmentConfig::default()
    };
    let augment = Some(Augment::new(&config, TargetKind::Keypoints).unwrap());
    Source {
        augment,
        ..source(n_rows)
    }
}

fn load(source: &Source, plan: &BatchPlan, workers: usize) -> Vec<HostBatch> {
    let options = LoaderOptions {
        workers,
        ..LoaderOptions::default()
    };
    Loader::new(source.clone(), plan.clone(), options)
        .map(Result::unwrap)
        .collect()
}

fn with_image(mut source: Source, row: usize, image: ImageSource) -> Source {
    let mut dataset = (*source.dataset).clone();
    dataset.images[row] = image;
    source.dataset = Arc::new(dataset);
    source
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    let rows: Vec<usize> = (0..23).collect();
    for resize in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
        let mut source = augmented(23);
        source.preprocess.resize = resize;
        let plan = BatchPlan::training(&rows, 4, Last::Keep, 5, 2);
        let alone = load(&source, &plan, 1);
        assert_eq!(alone.len(), 6);
        assert_eq!(load(&source, &plan, 2), alone);
        assert_eq!(load(&source, &plan, 5), alone);
        let tight = LoaderOptions {
            workers: 5,
            max_bytes_ahead: 0,
            ..LoaderOptions::default()
        };
        let tight: Vec<HostBatch> = Loader::new(source, plan, tight)
            .map(Result::unwrap)
            .collect();
        assert_eq!(tight, alone);
    }
}

#[test]
fn every_row_is_in_an_epoch_once() {
    let rows = [3, 1, 4, 15, 9, 2, 6];
    for last in [Last::Keep, Last::Drop] {
        let plan = BatchPlan::training(&rows, 3, last, 0, 0);
        let mut visited: Vec<usize> = plan.batches().concat();
        visited.sort_unstable();
        visited.dedup();
        assert_eq!(visited.len(), if last == Last::Keep { 7 } else { 6 });
        assert!(visited.iter().all(|row| rows.contains(row)));
        assert_eq!(plan.n_steps(), if last == Last::Keep { 3 } else { 2 });
    }
    assert_eq!(BatchPlan::training(&rows, 8, Last::Drop, 0, 0).n_steps(), 1);
    assert_eq!(BatchPlan::training(&[], 8, Last::Keep, 0, 0).n_steps(), 0);
    assert_eq!(
        BatchPlan::evaluation(&rows, 3).batches(),
        [vec![3, 1, 4], vec![15, 9, 2], vec![6]]
    );
}

#[test]
fn epochs_and_seeds_have_orders_of_their_own() {
    let rows: Vec<usize> = (0..50).collect();
    let order =
        |seed, epoch| BatchPlan::training(&rows, 50, Last::Keep, seed, epoch).batches()[0].clone();
    assert_eq!(order(1, 1), order(1, 1));
    assert_ne!(order(1, 1), order(1, 2));
    assert_ne!(order(1, 1), order(2, 1));
    assert_ne!(order(1, 1), rows);
}

#[test]
fn parts_of_a_batch_are_even_and_hold_its_rows_in_order() {
    let rows: Vec<usize> = (0..20).collect();
    let whole = BatchPlan::evaluation(&rows, 10);
    let sizes = |plan: &BatchPlan| plan.batches().iter().map(Vec::len).collect::<Vec<_>>();
    let parts = whole.clone().in_parts(4);
    assert_eq!(sizes(&parts), [3, 3, 4, 3, 3, 4]);
    assert_eq!(parts.batches().concat(), rows);
    let rest = whole.clone().starting_at(1).in_parts(4);
    assert_eq!(rest.batches(), &parts.batches()[3..]);
    assert_eq!(whole.clone().in_parts(10), whole);
}

#[test]
fn ranks_share_every_step_and_have_equally_many_batches() {
    let rows: Vec<usize> = (100..123).collect();
    for (step, largest, n_ranks) in [
        (8, 4, 2),
        (8, 3, 2),
        (10, 2, 3),
        (23, 1, 4),
        (5, 32, 4),
        (2, 1, 3),
    ] {
        let plan = BatchPlan::training(&rows, step, Last::Keep, 5, 3);
        let of = |rank| plan.clone().shared_out(largest, rank, n_ranks);
        let ranks: Vec<BatchPlan> = (0..n_ranks).map(of).collect();
        let mut first = 0;
        for whole in plan.batches() {
            let each = n_parts(whole.len(), largest, n_ranks) / n_ranks;
            let mut seen: Vec<usize> = Vec::new();
            for (rank, shared) in ranks.iter().enumerate() {
                let mut own: Vec<usize> = Vec::new();
                for batch in first..first + each {
                    let rows = &shared.batches()[batch];
                    assert!((1..=largest).contains(&rows.len()));
                    match shared.is_padding(batch) {
                        true => assert_eq!(rows[..], whole[..1]),
                        false => own.extend(rows),
                    }
                }
                let n = whole.len();
                assert_eq!(own, whole[n * rank / n_ranks..n * (rank + 1) / n_ranks]);
                seen.extend(own);
            }
            assert_eq!(seen, *whole);
            first += each;
        }
        for shared in &ranks {
            assert_eq!(shared.batches().len(), first);
        }
    }
    // With one rank nothing is padded, and a resumed epoch goes on with the same batches.
    let plan = BatchPlan::training(&rows, 8, Last::Keep, 5, 3);
    let shared = plan.clone().shared_out(3, 1, 2);
    let later = plan.starting_at(1).shared_out(3, 1, 2);
    assert_eq!(later.batches(), &shared.batches()[2..]);
}

/// Made by `tests/reference/sampling.py` with PyTorch.
const SAMPLING: &str = include_str!("../reference/sampling.json");

#[test]
fn drawn_rows_come_as_often_as_those_of_pytorchs_sampler() {
    let reference: serde_json::Value = serde_json::from_str(SAMPLING).unwrap();
    let read =
        |field: &str| -> Vec<f64> { serde_json::from_value(reference[field].clone()).unwrap() };
    let (classes, weights) = (read("classes"), read("weights"));
    let rows: Vec<usize> = (0..classes.len()).collect();
    let drawn: Vec<usize> = (0..300)
        .flat_map(|epoch| {
            BatchPlan::drawn(&rows, &weights, 32, 1, epoch)
                .batches()
                .concat()
        })
        .collect();
    let share = |fits: &dyn Fn(usize) -> bool| {
        drawn.iter().filter(|row| fits(**row)).count() as f64 / drawn.len() as f64
    };
    assert_eq!(drawn.len(), reference["n"].as_u64().unwrap() as usize);
    for (class, expected) in read("share_of_class").into_iter().enumerate() {
        // Four standard errors of a difference between two such shares of 30 000 draws.
        let found = share(&|row| classes[row] == class as f64);
        assert!(
            (found - expected).abs() < 0.016,
            "{class}: {found} is not {expected}"
        );
    }
    let (found, expected) = (share(&|row| row == 99), &reference["share_of_last_row"]);
    assert!(
        (found - expected.as_f64().unwrap()).abs() < 0.009,
        "{found}"
    );
}

#[test]
fn a_row_that_is_drawn_again_is_changed_anew() {
    let plan = BatchPlan::drawn(&[4, 7], &[1.0, 0.0], 2, 0, 3);
    assert_eq!(plan.batches(), [[4, 4]]);
    assert_eq!([plan.changes(0, 0), plan.changes(0, 1)], [3, 3 + (1 << 32)]);
    let rows: Vec<usize> = (0..40).collect();
    let plan = BatchPlan::drawn(&rows, &[1.0; 40], 8, 0, 0);
    assert_eq!(plan, BatchPlan::drawn(&rows, &[1.0; 40], 8, 0, 0));
    assert_ne!(plan, BatchPlan::drawn(&rows, &[1.0; 40], 8, 0, 1));
    let all: Vec<u64> = (0..40).map(|i| plan.changes(i / 8, i % 8)).collect();
    let later = plan.starting_at(2).in_parts(4);
    let rest: Vec<u64> = (0..24).map(|i| later.changes(i / 4, i % 4)).collect();
    assert_eq!(rest, all[16..]);
}

#[test]
fn a_resumed_epoch_goes_on_where_it_stopped() {
    let rows: Vec<usize> = (0..20).collect();
    let plan = BatchPlan::training(&rows, 4, Last::Keep, 5, 3);
    let whole = load(&augmented(20), &plan, 2);
    let rest = load(&augmented(20), &plan.clone().starting_at(3), 2);
    assert_eq!(rest, whole[3..]);
    assert_eq!(plan.clone().starting_at(3).n_steps(), 5);
    assert!(load(&augmented(20), &plan.starting_at(99), 2).is_empty());
}

#[test]
fn pixels_are_normalised_by_mean_and_sd() {
    let white = Picture {
        width: 2,
        height: 2,
        rgb: vec![255; 12],
        deep: None,
        further: Vec::new(),
        from_stored: Affine::IDENTITY,
    };
    let mut png = Vec::new();
    ::image::RgbImage::from_raw(2, 2, white.rgb)
        .unwrap()
        .write_to(
            &mut std::io::Cursor::new(&mut png),
            ::image::ImageFormat::Png,
        )
        .unwrap();
    let source = with_image(
        source(1),
        0,
        ImageSource::Bytes {
            name: "white".into(),
            bytes: png.into(),
        },
    );
    let batch = load(&source, &BatchPlan::evaluation(&[0], 1), 1).remove(0);
    assert_eq!(batch.images.len(), 24 * 24 * 3);
    for pixel in batch.images.chunks(3) {
        #[allow(clippy::needless_range_loop, reason = "three arrays by one index")]
        for channel in 0..3 {
            let expected = (1.0 - source.preprocess.mean[channel]) / source.preprocess.sd[channel];
            assert!((pixel[channel] - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn points_are_where_the_affine_puts_them_and_back() {
    let source = source(12);
    for batch in load(
        &source,
        &BatchPlan::evaluation(&(0..12).collect::<Vec<_>>(), 5),
        2,
    ) {
        for (place, &row) in batch.rows.iter().enumerate() {
            let target = &batch.targets[place * 4..place * 4 + 4];
            let mask = &batch.mask[place * 4..place * 4 + 4];
            let back = |xy: &[f32]| {
                let pixels = [0, 1].map(|axis| (xy[axis] + 1.0) / 2.0 * 24.0);
                batch.to_input[place].inverse().apply(pixels)
            };
            let [x, y] = back(&target[..2]);
            assert!(
                (x - 4.0).abs() < 1e-3 && (y - 3.0).abs() < 1e-3,
                "row {row}: {x}, {y}"
            );
            if row % 5 == 0 {
                assert_eq!((&target[2..], &mask[2..]), (&[0.0; 2][..], &[0.0; 2][..]));
            } else {
                let [x, y] = back(&target[2..]);
                assert!(
                    (x - 9.0).abs() < 1e-3 && (y - 10.0).abs() < 1e-3,
                    "row {row}: {x}, {y}"
                );
                assert_eq!(mask, [1.0; 4]);
            }
        }
    }
}

#[test]
fn a_point_outside_its_image_is_masked() {
    let mut source = source(3);
    let mut dataset = (*source.dataset).clone();
    // Row 0 is 29 × 21 pixels; row 1 is stored as 29 × 21 and turned upright.
    dataset.targets = Some(Targets::keypoints(
        2,
        vec![
            [29.0, 21.0],
            [29.5, 5.0],
            [28.0, 2.0],
            [2.0, 28.0],
            [0.0, 0.0],
            [-0.5, 3.0],
        ],
    ));
    source.dataset = Arc::new(dataset);
    let batch = load(&source, &BatchPlan::evaluation(&[0, 1, 2], 3), 1).remove(0);
    assert_eq!(
        batch.mask,
        [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    );
    assert_eq!(batch.targets[..4], [1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_point_cut_off_by_the_crop_is_masked() {
    let mut source = source(1);
    source.preprocess.resize = ResizeMethod::Crop;
    let mut dataset = (*source.dataset).clone();
    // 29 × 21 pixels: the crop keeps columns 4 to 25.
    dataset.targets = Some(Targets::keypoints(2, vec![[2.0, 10.0], [14.5, 10.0]]));
    source.dataset = Arc::new(dataset);
    let batch = load(&source, &BatchPlan::evaluation(&[0], 1), 1).remove(0);
    assert_eq!(batch.mask, [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(batch.visible, [0.0, 1.0]);
    assert_eq!(batch.visible_mask, [1.0, 1.0]);
}

#[test]
fn what_is_known_of_visible_points_goes_where_the_points_go() {
    let mut source = source(12);
    let mut dataset = (*source.dataset).clone();
    // The first point of even rows is hidden, the second is always there; of row 3 nothing is known.
    let visible = |row: usize| match row {
        3 => [None, None],
        row => [Some(row % 2 == 1), Some(true)],
    };
    let Some(Targets::Keypoints {
        visible: of, xy, ..
    }) = &mut dataset.targets
    else {
        unreachable!()
    };
    *of = (0..12).flat_map(visible).collect();
    xy.fill([4.0, 3.0]);
    source.dataset = Arc::new(dataset);
    let config = AugmentConfig {
        flip: Some(true),
        probability: 0.0,
        ..AugmentConfig::default()
    };
    source.augment = Some(Augment::new(&config, TargetKind::Keypoints).unwrap());
    let plan = BatchPlan::evaluation(&(0..12).collect::<Vec<_>>(), 12);
    let batch = load(&source, &plan, 2).remove(0);
    assert!(batch.is_flipped.contains(&true) && batch.is_flipped.contains(&false));
    for row in 0..12 {
        let mut expected = [f32::from(u8::from(row % 2 == 1)), 1.0];
        if batch.is_flipped[row] {
            expected.reverse();
        }
        let known = f32::from(u8::from(row != 3));
        let points = 2 * row..2 * row + 2;
        assert_eq!(batch.visible_mask[points.clone()], [known; 2], "row {row}");
        assert_eq!(
            batch.visible[points],
            expected.map(|is| is * known),
            "row {row}"
        );
    }
}

#[test]
fn a_mirrored_image_swaps_its_points_and_its_sides() {
    let config = AugmentConfig {
        flip: Some(true),
        probability: 0.0,
        ..AugmentConfig::default()
    };
    let augment = Some(Augment::new(&config, TargetKind::Keypoints).unwrap());
    let plain = source(30);
    let source = Source {
        augment,
        ..plain.clone()
    };
    let plan = BatchPlan::evaluation(&(0..30).collect::<Vec<_>>(), 30);
    let (plain, batch) = (
        load(&plain, &plan, 2).remove(0),
        load(&source, &plan, 2).remove(0),
    );
    let width = source.metadata.d_dense;
    let mut n_flipped = 0;
    for row in 0..30 {
        let part = |values: &[f32], width: usize| values[row * width..(row + 1) * width].to_vec();
        let (target, plain_target) = (part(&batch.targets, 4), part(&plain.targets, 4));
        let (mask, plain_mask) = (part(&batch.mask, 4), part(&plain.mask, 4));
        let (dense, plain_dense) = (part(&batch.dense, width), part(&plain.dense, width));
        let is_flipped = batch.to_input[row] != plain.to_input[row];
        if !is_flipped {
            assert_eq!(
                (target, mask, dense),
                (plain_target, plain_mask, plain_dense)
            );
            continue;
        }
        n_flipped += 1;
        assert_ne!(dense, plain_dense);
        // The other side's row has this row's metadata, unmirrored.
        let other = if row % 2 == 0 { 1 } else { 0 };
        assert_eq!(dense, plain.dense[other * width..(other + 1) * width]);
        assert_eq!(
            mask,
            [plain_mask[2], plain_mask[3], plain_mask[0], plain_mask[1]]
        );
        for (point, other) in [(0, 2), (2, 0)] {
            if mask[point] > 0.0 {
                assert!((target[point] + plain_target[other]).abs() < 1e-6);
                assert!((target[point + 1] - plain_target[other + 1]).abs() < 1e-6);
            }
        }
    }
    assert!((5..=25).contains(&n_flipped), "{n_flipped} of 30");
}

#[test]
fn an_arm_without_images_has_the_same_points() {
    let rows: Vec<usize> = (0..12).collect();
    for resize in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
        let mut both = source(12);
        both.preprocess.resize = resize;
        let metadata = Source {
            reads_image: false,
            ..both.clone()
        };
        let plan = BatchPlan::evaluation(&rows, 12);
        let (both, metadata) = (
            load(&both, &plan, 1).remove(0),
            load(&metadata, &plan, 1).remove(0),
        );
        assert!(metadata.images.is_empty());
        assert_eq!(metadata.targets, both.targets);
        assert_eq!(metadata.mask, both.mask);
        assert_eq!(metadata.to_input, both.to_input);
    }
}

#[test]
fn an_arm_without_images_opens_none_where_the_task_needs_none() {
    let mut source = with_image(source(2), 0, ImageSource::Path("nowhere.jpg".into()));
    source.reads_image = false;
    source.task = Arc::new(Task::Class {
        column: "kind".into(),
        names: vec!["a".into(), "b".into()],
        counts: vec![1, 1],
    });
    let mut dataset = (*source.dataset).clone();
    dataset.targets = Some(Targets::Class {
        names: vec!["a".into(), "b".into()],
        index: vec![Some(1), None],
    });
    source.dataset = Arc::new(dataset);
    let batch = load(&source, &BatchPlan::evaluation(&[0, 1], 2), 1).remove(0);
    assert_eq!(
        (batch.targets, batch.mask),
        (vec![1.0, 0.0], vec![1.0, 0.0])
    );
}

#[test]
fn a_bad_image_stops_the_epoch_and_is_named_with_its_row() {
    for workers in [1, 4] {
        let source = with_image(
            source(10),
            5,
            ImageSource::Bytes {
                name: "x.jpg".into(),
                bytes: Arc::from([]),
            },
        );
        let source = with_image(source, 7, ImageSource::Path("nowhere.jpg".into()));
        let options = LoaderOptions {
            workers,
            ..LoaderOptions::default()
        };
        let plan = BatchPlan::evaluation(&(0..10).collect::<Vec<_>>(), 4);
        let mut loader = Loader::new(source, plan, options);
        assert_eq!(loader.next().unwrap().unwrap().rows, [0, 1, 2, 3]);
        let error = loader.next().unwrap().unwrap_err();
        assert_eq!(
            message(&error),
            "rows.csv, row 6: cannot use its image: x.jpg: the image is empty (0 bytes)"
        );
        assert!(error.hint().unwrap().starts_with("the file is incomplete"));
        assert!(loader.next().is_none());
    }
}

#[test]
fn a_bad_image_may_be_left_out_and_remembered() {
    let source = with_image(source(10), 5, ImageSource::Path("nowhere.jpg".into()));
    let source = with_image(source, 9, ImageSource::Path("nowhere.png".into()));
    let options = LoaderOptions {
        workers: 3,
        bad_image: BadImage::Skip,
        ..LoaderOptions::default()
    };
    let mut loader = Loader::new(
        source,
        BatchPlan::evaluation(&(0..10).collect::<Vec<_>>(), 3),
        options,
    );
    let rows: Vec<Vec<usize>> = loader.by_ref().map(|batch| batch.unwrap().rows).collect();
    // Row 9 was alone in its batch.
    assert_eq!(rows, [vec![0, 1, 2], vec![3, 4], vec![6, 7, 8]]);
    let failed: Vec<usize> = loader
        .failures()
        .iter()
        .map(|failure| failure.row)
        .collect();
    assert_eq!(failed, [5, 9]);
    let first = loader.into_failures().remove(0);
    assert!(
        message(&first.error)
            .starts_with("rows.csv, row 6: cannot use its image: cannot read nowhere.jpg")
    );
}

#[test]
fn a_fault_in_the_program_is_an_error_and_not_a_hang() {
    // A row that the data set does not have: indexing it panics in a worker.
    let mut loader = Loader::new(
        source(2),
        BatchPlan::evaluation(&[0, 7], 1),
        LoaderOptions::default(),
    );
    assert!(loader.next().unwrap().is_ok());
    let error = loader.next().unwrap().unwrap_err();
    assert_eq!(
        message(&error),
        "rows.csv, row 8: cannot use its image: row 8: internal error while reading the image: \
         index out of bounds: the len is 2 but the index is 7"
    );
    assert!(loader.next().is_none());
}

#[test]
fn a_loader_may_be_dropped_half_way() {
    let plan = BatchPlan::evaluation(&(0..40).collect::<Vec<_>>(), 2);
    let mut loader = Loader::new(
        source(40),
        plan,
        LoaderOptions {
            workers: 4,
            ..LoaderOptions::default()
        },
    );
    assert!(loader.next().is_some());
    drop(loader);
}

#[test]
fn the_share_of_waiting_is_a_share() {
    let plan = BatchPlan::evaluation(&(0..10).collect::<Vec<_>>(), 2);
    let mut loader = Loader::new(source(10), plan, LoaderOptions::default());
    assert_eq!(loader.input_bound(), 0.0);
    assert_eq!(loader.by_ref().count(), 5);
    let share = loader.input_bound();
    assert!((0.0..=1.0).contains(&share));
    assert_eq!(loader.input_bound(), share);
}

#[test]
fn a_cache_decodes_each_image_once_and_changes_nothing() {
    let plain = augmented(24);
    let cache = Arc::new(PixelCache::new(1 << 20));
    let cached = Source {
        cache: Some(Arc::clone(&cache)),
        ..plain.clone()
    };
    let rows: Vec<usize> = (0..24).collect();
    for epoch in 0..3 {
        let plan = BatchPlan::training(&rows, 5, Last::Keep, 0, epoch);
        assert_eq!(load(&cached, &plan, 1), load(&plain, &plan, 1));
    }
    let usage = cache.usage();
    // Six images, however many rows show them.
    assert_eq!(
        (usage.n_pictures, usage.misses, usage.hits),
        (6, 6, 3 * 24 - 6)
    );
    // One of them is kept in 16 bits too.
    let pixels = 6 * 24 * 24 * 3 + 24 * 24 * 3 * 2;
    assert!((pixels..pixels + 2000).contains(&usage.n_bytes));
}

#[test]
fn a_cache_keeps_to_its_budget() {
    let cache = Arc::new(PixelCache::new(2 * (24 * 24 * 3 + 200)));
    let source = Source {
        cache: Some(Arc::clone(&cache)),
        ..source(12)
    };
    let plan = BatchPlan::evaluation(&(0..12).collect::<Vec<_>>(), 4);
    assert_eq!(
        load(&source, &plan, 1),
        load(
            &Source {
                cache: None,
                ..source.clone()
            },
            &plan,
            1
        )
    );
    let usage = cache.usage();
    assert_eq!((usage.n_pictures, usage.hits, usage.misses), (2, 2, 10));
}

#[test]
fn a_cache_notices_that_a_file_was_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let cache = PixelCache::new(1 << 20);
    let fitted = || {
        let source = ImageSource::Path(path.clone());
        cache
            .fitted(&source, 16, ResizeMethod::Squish, [0; 3])
            .unwrap()
    };
    std::fs::copy(reference("rgb.png"), &path).unwrap();
    let first = fitted();
    assert_eq!(fitted(), first);
    std::fs::copy(reference("noisy.png"), &path).unwrap();
    assert_ne!(fitted(), first);
    assert_eq!(cache.usage().misses, 2);
}

#[test]
fn real_images_load() {
    let Some(data) = std::env::var_os("SIDELIGHT_DATA") else {
        eprintln!("skipped: SIDELIGHT_DATA is not set");
        return;
    };
    for (set, is_grey) in [
        ("leaf", true),
        ("covid_cxr", false),
        ("houses", false),
        ("frl_faces", false),
    ] {
        let folder = Path::new(&data).join(set).join("images");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.truncate(64);
        let mut source = source(paths.len());
        let mut dataset = (*source.dataset).clone();
        dataset.images = paths.into_iter().map(ImageSource::Path).collect();
        source.dataset = Arc::new(dataset);
        let rows: Vec<usize> = (0..source.dataset.len()).collect();
        let batches = load(&source, &BatchPlan::evaluation(&rows, 16), 2);
        assert_eq!(
            batches.iter().map(|batch| batch.rows.len()).sum::<usize>(),
            rows.len()
        );
        for batch in batches {
            assert!(batch.images.iter().all(|value| value.is_finite()));
            let first = &batch.images[..3];
            let [red, green, blue] = [0, 1, 2].map(|channel| {
                let preprocess = &source.preprocess;
                (first[channel] * preprocess.sd[channel] + preprocess.mean[channel]) * 255.0
            });
            if is_grey {
                assert!((red - green).abs() < 0.01 && (green - blue).abs() < 0.01);
            }
        }
    }
}

/// A PNG of 16 bits: grey that grows from left to right by less than one of 256 shades in all.
fn faint_gradient(side: u32) -> ImageSource {
    let image = ::image::ImageBuffer::<::image::Luma<u16>, _>::from_fn(side, side, |x, _| {
        ::image::Luma([30_000 + (x * 192 / side) as u16])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    ::image::DynamicImage::ImageLuma16(image)
        .write_to(&mut png, ::image::ImageFormat::Png)
        .unwrap();
    ImageSource::Bytes {
        name: "gradient".into(),
        bytes: png.into_inner().into(),
    }
}

#[test]
fn sixteen_bits_arrive_as_sixteen_bits() {
    let plan = BatchPlan::evaluation(&[0], 1);
    // As it is, scaled down, scaled up; from the cache too.
    for side in [24, 96, 12] {
        let mut source = with_image(source(1), 0, faint_gradient(side));
        let line: Vec<f32> = load(&source, &plan, 1)[0].images[..24 * 3]
            .chunks(3)
            .map(|pixel| pixel[0])
            .collect();
        let inner = &line[1..23];
        assert!(inner.is_sorted_by(|a, b| a < b), "{side}: {line:?}");
        let (mean, sd) = (source.preprocess.mean[0], source.preprocess.sd[0]);
        let first = inner[0] * sd + mean;
        assert!((first * 65_535.0 - 30_010.0).abs() < 8.0, "{side}: {first}");
        let whole = load(&source, &plan, 1);
        source.cache = Some(Arc::new(PixelCache::new(1 << 20)));
        assert_eq!(load(&source, &plan, 1), whole);
        assert_eq!(load(&source, &plan, 1), whole);
    }
    // Changed at random they keep them: turned, moved, lighter.
    let source = with_image(augmented(1), 0, faint_gradient(96));
    let batch = load(&source, &BatchPlan::training(&[0], 1, Last::Keep, 5, 3), 1).remove(0);
    let mut values: Vec<u32> = batch.images.iter().map(|value| value.to_bits()).collect();
    values.sort_unstable();
    values.dedup();
    // Of 8 bits there would be two or three a channel.
    assert!(values.len() > 40, "{}", values.len());
}

#[test]
fn a_network_gets_as_many_channels_as_it_takes() {
    let one = |file: &str, channels: usize| {
        let mut source = source(1);
        let dataset = Arc::make_mut(&mut source.dataset);
        dataset.images = vec![ImageSource::Path(reference(file))];
        source.preprocess = Preprocess {
            size: 4,
            channels,
            ..source.preprocess
        };
        let batch = load(&source, &BatchPlan::evaluation(&[0], 1), 1).swap_remove(0);
        (source.preprocess, batch.images)
    };
    let (_, colours) = one("rgb.png", 3);
    let (preprocess, grey) = one("rgb.png", 1);
    assert_eq!((colours.len(), grey.len()), (48, 16));
    let [mean, sd] = preprocess.moments(0);
    for (rgb, grey) in colours.chunks_exact(3).zip(grey) {
        let share = |c: usize| rgb[c] * [0.229, 0.224, 0.225][c] + [0.485, 0.456, 0.406][c];
        let luminance = 0.299 * share(0) + 0.587 * share(1) + 0.114 * share(2);
        assert!((grey * sd + mean - luminance).abs() < 0.6 / 255.0);
    }
    // Of five, the first and the fourth are normalised alike; channels lie 40 apart.
    let (preprocess, five) = one("bands_five.tif", 5);
    assert_eq!(five.len(), 80);
    assert_eq!(preprocess.moments(0), preprocess.moments(3));
    for pixel in five.chunks_exact(5) {
        let value = |c: usize| {
            let [mean, sd] = preprocess.moments(c);
            (pixel[c] * sd + mean) * 255.0
        };
        for c in 1..5 {
            assert!((value(c) - value(0) - 40.0 * c as f32).abs() < 1.01);
        }
    }
}
