//! What rows count that weigh more or less than others (`data.weight`).

use burn::tensor::{Device, Tensor, TensorData};
use sidelight::config::Config;
use sidelight::dataset::{Dataset, RowWeights, Targets};
use sidelight::loss::{Distance, Loss};
use sidelight::predict::{PredictOptions, evaluate};

use crate::options::are_one_large_batch;
use crate::ranks::{alone, among, assert_near, plain, rows};
use crate::scenes::{config, first};
use crate::training::{CLASS, assert_same, planted, run, session};

fn weighed(data: &Dataset, of_row: impl Fn(usize) -> f64) -> Dataset {
    Dataset {
        weights: Some(RowWeights::new((0..data.len()).map(of_row).collect())),
        ..data.clone()
    }
}

/// Trees, folds of members, factors, a temperature, class weights: all that is fitted to rows.
fn everything() -> Config {
    config(
        CLASS,
        "epochs = 2\nfreeze = true\nclass_weights = true\naccumulate = 2\nseed = 5\n",
    )
}

#[test]
fn equal_weights_change_nothing_to_the_bit() {
    let (data, _) = planted(60);
    let split = first(45, &data);
    for config in [
        everything(),
        config(
            CLASS,
            "epochs = 2\nmixup = 0.3\n[model]\nfusion = \"concat\"\n",
        ),
    ] {
        let plain = session(&config, &data, &split).fit().unwrap();
        let equal = session(&config, &weighed(&data, |_| 0.1), &split)
            .fit()
            .unwrap();
        assert_same(&equal, &plain);
        assert_eq!(equal.score().unwrap(), plain.score().unwrap());
        assert_eq!(equal.state.conformal, plain.state.conformal);
        // Otherwise it is something else, or this test would show nothing.
        let uneven = weighed(&data, |row| 1.0 + (row % 4) as f64);
        let uneven = session(&config, &uneven, &split).fit().unwrap();
        assert_ne!(uneven.score().unwrap(), plain.score().unwrap());
        assert_ne!(
            uneven.state.network.state_dict(),
            plain.state.network.state_dict()
        );
    }
}

#[test]
fn only_the_proportions_of_weights_matter() {
    let (data, _) = planted(60);
    let split = first(45, &data);
    // Powers of two, so that proportions are the same to the bit.
    let [a, b] = [1.0, 1024.0].map(|unit| {
        let weighed = weighed(&data, |row| unit * (1.0 + (row % 4) as f64));
        session(&everything(), &weighed, &split).fit().unwrap()
    });
    assert_same(&a, &b);
}

/// Two rows that count nothing exchange their classes; how often each class comes stays as it was.
#[test]
fn a_row_that_counts_nothing_teaches_nothing() {
    let (data, _) = planted(60);
    let split = first(45, &data);
    let config = config(
        CLASS,
        "epochs = 2\nclass_weights = true\n[model]\nfusion = \"concat\"\n",
    );
    let mut other = data.clone();
    let Some(Targets::Class { index, .. }) = &mut other.targets else {
        unreachable!("they are classes")
    };
    let a = 3;
    let b = (4..45).find(|&row| index[row] != index[a]).unwrap();
    index.swap(a, b);
    let without = |row| f64::from(u8::from(row != a && row != b));
    let trained = |data: &Dataset, of_row: &dyn Fn(usize) -> f64| {
        run(session(&config, &weighed(data, of_row), &split))
    };
    assert_same(&trained(&other, &without), &trained(&data, &without));
    let [one, two] = [&data, &other].map(|data| trained(data, &|_| 1.0));
    assert_ne!(
        one.state.network.state_dict(),
        two.state.network.state_dict()
    );
}

#[test]
fn small_batches_and_ranks_weigh_as_one_large_batch_does() {
    let of_row = |row: usize| [0.25, 3.0, 0.01, 1.0, 7.5][row % 5];
    are_one_large_batch(&weighed(&planted(40).0, of_row));

    let (data, split) = rows(60);
    let rows = (weighed(&data, of_row), split);
    let expected = alone(&plain(16, "epochs = 3"), &rows);
    let found = among(2, &plain(8, "epochs = 3\nsync_batch_norm = true"), &rows);
    assert_near(&found, &expected, |_| true);
    let expected = alone(&plain(4, "epochs = 2\naccumulate = 4"), &rows);
    let found = among(4, &plain(4, "epochs = 2"), &rows);
    let is_learned = |path: &str| !path.contains(".running_") && !path.ends_with(".factors");
    assert_near(&found, &expected, is_learned);
}

/// A loss in which a row counts twice is that of the batch in which it is there twice; and the gradient as well.
#[test]
fn a_whole_number_is_as_good_as_so_many_rows() {
    let device = Device::flex().autodiff();
    let matrix = |rows: &[Vec<f32>]| {
        let shape = [rows.len(), rows[0].len()];
        Tensor::<2>::from_data(TensorData::new(rows.concat(), shape), &device)
    };
    let times = [2, 0, 1, 3_usize];
    let repeated = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let rows = rows.iter().zip(times);
        rows.flat_map(|(row, n)| vec![row.clone(); n]).collect()
    };
    let outputs: Vec<Vec<f32>> = (0..4)
        .map(|row| {
            (0..3)
                .map(|k| ((row * 7 + k * 5) % 9) as f32 / 3.0 - 1.0)
                .collect()
        })
        .collect();
    let wide: Vec<Vec<f32>> = (0..4)
        .map(|row| {
            (0..3)
                .map(|k| f32::from(u8::from((row + k) % 2 == 0)))
                .collect()
        })
        .collect();
    let class: Vec<Vec<f32>> = (0..4).map(|row| vec![(row % 3) as f32]).collect();
    // One cell of the third row is not known.
    let known = |width: usize| -> Vec<Vec<f32>> {
        let cell = |row: usize, k: usize| f32::from(u8::from(row != 2 || k != 1));
        (0..4)
            .map(|row| (0..width).map(|k| cell(row, k)).collect())
            .collect()
    };
    let cross_entropy = Loss::CrossEntropy {
        class_weights: vec![0.5, 2.0, 1.0],
        smoothing: 0.1,
        focus: 1.5,
    };
    let binary = Loss::BinaryCrossEntropy {
        positive_weights: vec![1.0, 3.0, 0.5],
        focus: 2.0,
    };
    let distances = [
        Distance::Squared,
        Distance::Absolute,
        Distance::SmoothL1 { beta: 0.5 },
        Distance::Wing {
            width: 0.5,
            curvature: 0.1,
        },
    ];
    let mut cases = vec![(cross_entropy, class), (binary, wide.clone())];
    cases.extend(distances.map(|distance| (distance.into(), wide.clone())));
    for (loss, target) in cases {
        let mask = known(target[0].len());
        let heavy: Vec<Vec<f32>> = (mask.iter().zip(times))
            .map(|(row, n)| row.iter().map(|known| known * n as f32).collect())
            .collect();
        let found = matrix(&outputs).require_grad();
        let mean = loss.mean(found.clone(), matrix(&target), matrix(&heavy));
        let [outputs_r, target_r, mask_r] = [&outputs, &target, &mask].map(|rows| repeated(rows));
        let expected = matrix(&outputs_r).require_grad();
        let mean_r = loss.mean(expected.clone(), matrix(&target_r), matrix(&mask_r));
        let gradient = |x: &Tensor<2>, mean: Tensor<1>| -> Vec<f32> {
            let gradient = x.grad(&mean.backward()).unwrap();
            gradient.into_data().try_to_vec().unwrap()
        };
        let value = |mean: &Tensor<1>| mean.clone().into_scalar::<f32>();
        assert!(
            (value(&mean) - value(&mean_r)).abs() < 1e-6,
            "{loss:?}: {} is not {}",
            value(&mean),
            value(&mean_r)
        );
        let own = gradient(&found, mean);
        let several = gradient(&expected, mean_r);
        // The gradients of the copies of a row, added up.
        let mut summed = vec![0.0; own.len()];
        let copies = (0..4).flat_map(|row| std::iter::repeat_n(row, times[row]));
        for (row, copy) in copies.zip(several.chunks(3)) {
            for (sum, x) in summed[row * 3..].iter_mut().zip(copy) {
                *sum += x;
            }
        }
        for (own, summed) in own.iter().zip(&summed) {
            assert!(
                (own - summed).abs() < 1e-6,
                "{loss:?}: {own} is not {summed}"
            );
        }
        // What a row costs does not depend on what it counts.
        let rows = |mask: &[Vec<f32>]| loss.rows(matrix(&outputs), matrix(&target), matrix(mask));
        for (row, (a, b)) in rows(&heavy).iter().zip(rows(&mask)).enumerate() {
            assert!(
                *a == b || times[row] == 0 && a.is_nan(),
                "{loss:?}: {a} is not {b}"
            );
        }
    }
}

#[test]
fn a_model_is_scored_by_what_rows_count() {
    let (data, _) = planted(40);
    let model = run(session(&everything(), &data, &first(30, &data))).into_model();
    let score = |data: &Dataset| evaluate(&model, data, PredictOptions::default()).unwrap().0;
    let times = |row: usize| row % 3;
    let repeated: Vec<usize> = (0..40).flat_map(|row| vec![row; times(row)]).collect();
    let (found, expected) = (
        score(&weighed(&data, |row| times(row) as f64)),
        score(&data.select(&repeated)),
    );
    assert_ne!(found.values, score(&data).values);
    for ((name, a), (_, b)) in found.values.iter().zip(&expected.values) {
        assert!((a - b).abs() < 1e-12, "{name}: {a} is not {b}");
    }
    // They are so many rows all the same.
    assert_eq!(found.n, 40);
}
