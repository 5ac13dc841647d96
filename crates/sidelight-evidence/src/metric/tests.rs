use serde_json::Value;

use super::calibration::Prior;
use super::*;
use proptest::prelude::*;
use sidelight_data::config::{Normalizer, TargetScale};
use sidelight_data::dataset::Targets;
use sidelight_data::task::{Confidence, Prediction};

/// Written by `tests/reference/metrics.py` with scikit-learn and scipy.
fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/metrics.json")).expect("is JSON")
}

fn evaluation<'a>(
    task: &'a Task,
    targets: &'a Targets,
    rows: &'a [usize],
    predictions: &'a [Prediction],
) -> Evaluation<'a> {
    Evaluation {
        task,
        targets,
        rows,
        predictions,
        sizes: None,
        weights: None,
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("is a list")
        .iter()
        .map(|x| x.as_f64().expect("is a number"))
        .collect()
}

fn near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found}, expected {expected}"
    );
}

fn agrees(metrics: &Metrics, expected: &Value) {
    for (name, value) in expected.as_object().expect("is a map") {
        let found = metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not there"));
        near(found, value.as_f64().expect("is a number"), name);
    }
}

/// Every metric is the plain one when nothing is reweighted.
fn weighted_agrees(task: &Task, targets: &Targets, predictions: &[Prediction], metrics: &Metrics) {
    let rows: Vec<usize> = (0..predictions.len()).collect();
    for name in scoring(task.kind(), task.n_outputs()).metrics {
        let evaluation = evaluation(task, targets, &rows, predictions);
        let weighted = WeightedMetric::new(name, &evaluation).expect("is known");
        near(
            weighted.value(None).expect("is defined"),
            metrics.get(name).expect("is there"),
            name,
        );
        // Weights of 2 change nothing, and a row of weight 0 is a row that is not there.
        let twice = vec![2.0; rows.len()];
        near(
            weighted.value(Some(&twice)).expect("is defined"),
            metrics.get(name).expect("is there"),
            name,
        );
        let mut without = vec![1.0; rows.len()];
        without[3] = 0.0;
        let others: Vec<usize> = rows.iter().copied().filter(|&row| row != 3).collect();
        let kept: Vec<Prediction> = others.iter().map(|&row| predictions[row].clone()).collect();
        let expected = score(&self::evaluation(task, targets, &others, &kept))
            .get(name)
            .expect("is there");
        near(
            weighted.value(Some(&without)).expect("is defined"),
            expected,
            name,
        );
    }
}

/// With the weights of a case every metric is what scikit-learn's `sample_weight` makes of it.
fn row_weights_agree(
    (task, targets): (&Task, &Targets),
    predictions: &[Prediction],
    weights: &Value,
    expected: &Value,
) {
    let (rows, weights): (Vec<usize>, Vec<f64>) =
        ((0..predictions.len()).collect(), numbers(weights));
    let evaluation = Evaluation {
        weights: Some(&weights),
        ..evaluation(task, targets, &rows, predictions)
    };
    agrees(&score(&evaluation), expected);
    for (name, value) in expected.as_object().expect("is a map") {
        let value = value.as_f64().expect("is a number");
        let metric = WeightedMetric::new(name, &evaluation).expect("is known");
        let once = vec![1.0; rows.len()];
        for found in [metric.value(None), metric.value(Some(&once))] {
            near(found.expect("is defined"), value, name);
        }
    }
}

fn class_case(case: &Value) -> (Task, Targets, Vec<Prediction>) {
    let n_classes = case["n_classes"].as_u64().expect("is a number") as usize;
    let names: Vec<String> = (0..n_classes).map(|class| format!("c{class}")).collect();
    let index = numbers(&case["truth"])
        .into_iter()
        .map(|class| Some(class as u32))
        .collect();
    let task = Task::Class {
        column: "k".into(),
        names: names.clone(),
        counts: vec![1; n_classes],
    };
    let predictions = numbers(&case["probabilities"])
        .chunks(n_classes)
        .map(|row| Prediction::Class {
            probabilities: row.iter().map(|&p| p as f32).collect(),
        })
        .collect();
    (task, Targets::Class { names, index }, predictions)
}

#[test]
fn class_metrics_are_scikit_learns() {
    for case in reference()["class"].as_array().expect("is a list") {
        let (task, targets, predictions) = class_case(case);
        let rows: Vec<usize> = (0..predictions.len()).collect();
        let metrics = score(&evaluation(&task, &targets, &rows, &predictions));
        agrees(&metrics, &case["values"]);
        for (class, (_, part)) in metrics.per_part.iter().enumerate() {
            for name in ["recall", "precision", "f1"] {
                let found = part
                    .iter()
                    .find(|(own, _)| own == name)
                    .map_or(0.0, |(_, value)| *value);
                near(found, numbers(&case[name])[class], name);
            }
        }
        assert_eq!(
            serde_json::to_value(&metrics.confusion).expect("is JSON"),
            case["confusion"]
        );
        weighted_agrees(&task, &targets, &predictions, &metrics);
        let of = (&task, &targets);
        row_weights_agree(of, &predictions, &case["weights"], &case["weighted"]);
    }
}

#[test]
fn temperatures_are_the_minimum_that_scipy_finds() {
    for case in reference()["class"].as_array().expect("is a list") {
        let n_classes = case["n_classes"].as_u64().expect("is a number") as usize;
        let truth: Vec<usize> = numbers(&case["truth"])
            .into_iter()
            .map(|class| class as usize)
            .collect();
        let found =
            calibration::fit_temperature(&truth, None, &numbers(&case["probabilities"]), n_classes);
        // scipy's bounded search is good to about the root of the machine precision.
        assert!((found - case["temperature"].as_f64().expect("is a number")).abs() < 1e-6);
        let weights = numbers(&case["weights"]);
        let p = numbers(&case["probabilities"]);
        let found = calibration::fit_temperature(&truth, Some(&weights), &p, n_classes);
        let expected = case["weighted_temperature"].as_f64().expect("is a number");
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    let case = &reference()["classes"];
    let present = case["present"].as_array().expect("is a list");
    let known = present.iter().zip(numbers(&case["probabilities"]));
    let (truth, p): (Vec<bool>, Vec<f64>) = known
        .filter_map(|(cell, p)| Some((cell.as_bool()?, p)))
        .unzip();
    let found = calibration::fit_binary_temperature(&truth, None, &p);
    assert!((found - case["temperature"].as_f64().expect("is a number")).abs() < 1e-6);
    let n_labels = case["n_labels"].as_u64().expect("is a number") as usize;
    let of_rows = numbers(&case["weights"]).into_iter();
    let of_cells = of_rows.flat_map(|weight| std::iter::repeat_n(weight, n_labels));
    let weights: Vec<f64> = of_cells
        .zip(present)
        .filter_map(|(weight, cell)| cell.as_bool().map(|_| weight))
        .collect();
    let found = calibration::fit_binary_temperature(&truth, Some(&weights), &p);
    let expected = case["weighted_temperature"].as_f64().expect("is a number");
    assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
}

/// ```python
/// f = lambda b: -(target * log_softmax(b * logits, axis=1)).sum() + 0.5 * (b - 1) ** 2
/// 1 / minimize_scalar(f, bounds=(0.01, 100), method="bounded", options=dict(xatol=1e-12)).x
/// ```
#[test]
fn a_temperature_that_is_pulled_towards_1_is_scipys_and_never_costs() {
    let logits = [
        2.0, 0.5, -1.0, 0.2, 1.8, 0.1, 3.0, -2.0, 0.4, -0.5, 0.3, 2.2, 1.1, 0.9, -0.3, 0.0, 2.5,
        1.5,
    ];
    let pulled = Prior {
        pull: 1.0,
        ..Prior::default()
    };
    for (truth, temperature, with_unseen) in [
        ([0, 1, 0, 2, 0, 1], 0.577_062_984_5, 1.249_475_436_1),
        ([1, 1, 2, 2, 0, 0], 3.503_450_153_8, 4.678_987_020_9),
    ] {
        let fit = |prior| calibration::temperature_of_logits(&truth, None, &logits, 3, prior);
        let found = fit(pulled);
        assert!((found - temperature).abs() < 1e-6, "{found}");
        let unseen = fit(Prior::OF_A_MODEL);
        assert!((unseen - with_unseen).abs() < 1e-6, "{unseen}");
        let loss = |temperature: f64| -> f64 {
            let rows = truth.iter().zip(logits.chunks_exact(3));
            rows.map(|(&class, row)| {
                let sum: f64 = row.iter().map(|logit| (logit / temperature).exp()).sum();
                sum.ln() - row[class] / temperature
            })
            .sum()
        };
        assert!(loss(found) < loss(1.0));
    }
    let logits = [2.0, -1.5, 0.3, -0.2, 1.0];
    let present = [true, false, true, true, false];
    for (prior, temperature) in [
        (pulled, 1.109_664_233_6),
        (Prior::OF_A_MODEL, 1.522_600_192_8),
    ] {
        let found = calibration::temperature_of_label_logits(&present, None, &logits, prior);
        assert!((found - temperature).abs() < 1e-6, "{found}");
    }
}

/// Two dozen rows that are all right say that 13 of 14 are, and no more.
#[test]
fn a_few_rows_make_nobody_sure() {
    let prior = Prior {
        unseen: 1.0,
        ..Prior::default()
    };
    let present: Vec<bool> = (0..24).map(|row| row % 2 == 0).collect();
    let log_odds: Vec<f64> = present
        .iter()
        .map(|&is| if is { 27.0 } else { -27.0 })
        .collect();
    let expected = 27.0 / 13_f64.ln();
    let found = calibration::temperature_of_label_logits(&present, None, &log_odds, prior);
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    // Two classes are a label and its absence.
    let truth: Vec<usize> = present.iter().map(|&is| usize::from(is)).collect();
    let logits: Vec<f64> = log_odds.iter().flat_map(|&z| [0.0, z]).collect();
    let found = calibration::temperature_of_logits(&truth, None, &logits, 2, prior);
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    // Without a prior, they would be surer still.
    let found = calibration::temperature_of_logits(&truth, None, &logits, 2, Prior::default());
    assert!(found < 1.0, "{found}");
}

#[test]
fn the_temperature_of_nothing_is_1() {
    assert_eq!(calibration::fit_temperature(&[], None, &[], 2), 1.0);
}

#[test]
fn label_metrics_are_scikit_learns() {
    let case = &reference()["classes"];
    let n_labels = case["n_labels"].as_u64().expect("is a number") as usize;
    let names: Vec<String> = (0..n_labels).map(|label| format!("l{label}")).collect();
    let present = case["present"]
        .as_array()
        .expect("is a list")
        .iter()
        .map(Value::as_bool)
        .collect();
    let task = Task::Multilabel {
        names: names.clone(),
        counts: vec![1; n_labels],
        known: vec![1; n_labels],
    };
    let predictions: Vec<Prediction> = numbers(&case["probabilities"])
        .chunks(n_labels)
        .map(|row| Prediction::Multilabel {
            probabilities: row.iter().map(|&p| p as f32).collect(),
        })
        .collect();
    let targets = Targets::Multilabel { names, present };
    let rows: Vec<usize> = (0..predictions.len()).collect();
    let metrics = score(&evaluation(&task, &targets, &rows, &predictions));
    agrees(&metrics, &case["values"]);
    weighted_agrees(&task, &targets, &predictions, &metrics);
    let of = (&task, &targets);
    row_weights_agree(of, &predictions, &case["weights"], &case["weighted"]);
}

fn value_task(n_columns: usize) -> Task {
    Task::Regression {
        columns: (0..n_columns).map(|column| format!("y{column}")).collect(),
        scale: TargetScale::Linear,
        mean: vec![0.0; n_columns],
        sd: vec![1.0; n_columns],
        range: vec![[0.0, 1.0]; n_columns],
    }
}

#[test]
fn value_metrics_are_scikit_learns() {
    let case = &reference()["value"];
    let targets = Targets::Regression {
        names: vec!["y0".into(), "y1".into()],
        values: numbers(&case["truth"]),
    };
    let predictions: Vec<Prediction> = numbers(&case["predicted"])
        .chunks(2)
        .map(|row| Prediction::Regression {
            values: row.to_vec(),
        })
        .collect();
    let rows: Vec<usize> = (0..predictions.len()).collect();
    let mut task = value_task(2);
    if let Task::Regression { sd, .. } = &mut task {
        *sd = numbers(&case["sd"]);
    }
    let metrics = score(&evaluation(&task, &targets, &rows, &predictions));
    agrees(&metrics, &case["values"]);
    weighted_agrees(&task, &targets, &predictions, &metrics);
    let of = (&task, &targets);
    row_weights_agree(of, &predictions, &case["weights"], &case["weighted"]);
    // Each in its own unit.
    for (name, value) in case["first_column"].as_object().expect("is a map") {
        let mut own = metrics.per_part[0].1.iter();
        let found = own.find(|(own, _)| own == name).expect("is there").1;
        near(found, value.as_f64().expect("is a number"), name);
    }
    let huber = WeightedMetric::huber(
        &evaluation(&task, &targets, &rows, &predictions),
        &numbers(&case["bends"]),
    );
    let found = huber.as_ref().and_then(|huber| huber.value(None));
    near(
        found.expect("is defined"),
        case["huber"].as_f64().expect("is a number"),
        "huber",
    );
    let found = huber.and_then(|huber| huber.value(Some(&numbers(&case["weights"]))));
    near(
        found.expect("is defined"),
        case["weighted_huber"].as_f64().expect("is a number"),
        "weighted huber",
    );
    // One target is scored in its unit.
    let first = |row: &[f64]| row[0];
    let targets = Targets::Regression {
        names: vec!["y0".into()],
        values: numbers(&case["truth"]).chunks(2).map(first).collect(),
    };
    let predictions: Vec<Prediction> = numbers(&case["predicted"])
        .chunks(2)
        .map(|row| Prediction::Regression {
            values: vec![row[0]],
        })
        .collect();
    let metrics = score(&evaluation(&value_task(1), &targets, &rows, &predictions));
    agrees(&metrics, &case["first_column"]);
    weighted_agrees(&value_task(1), &targets, &predictions, &metrics);
    let task = value_task(1);
    let of = (&task, &targets);
    row_weights_agree(
        of,
        &predictions,
        &case["weights"],
        &case["weighted_first_column"],
    );
}

#[test]
fn missing_targets_count_for_nothing() {
    let targets = Targets::Regression {
        names: vec!["y0".into()],
        values: vec![1.0, f64::NAN, 3.0],
    };
    let predictions: Vec<Prediction> = [2.0, 99.0, 3.0]
        .map(|y| Prediction::Regression { values: vec![y] })
        .to_vec();
    let metrics = score(&evaluation(
        &value_task(1),
        &targets,
        &[0, 1, 2],
        &predictions,
    ));
    assert_eq!((metrics.n, metrics.get("mae")), (2, Some(0.5)));
    let targets = Targets::Class {
        names: vec!["c0".into(), "new".into()],
        index: vec![Some(0), None, Some(1)],
    };
    let task = Task::Class {
        column: "k".into(),
        names: vec!["c0".into(), "c1".into()],
        counts: vec![1, 1],
    };
    let predictions = vec![
        Prediction::Class {
            probabilities: vec![0.9, 0.1]
        };
        3
    ];
    let metrics = score(&evaluation(&task, &targets, &[0, 1, 2], &predictions));
    assert_eq!(
        (metrics.n, metrics.get("accuracy"), metrics.get("auroc")),
        (1, Some(1.0), None)
    );
}

#[test]
fn a_median_halves_the_weight() {
    let targets = Targets::Regression {
        names: vec!["y0".into()],
        values: vec![0.0; 4],
    };
    let predictions = [4.0, 1.0, 2.0, 3.0].map(|y| Prediction::Regression { values: vec![y] });
    let task = value_task(1);
    let evaluation = evaluation(&task, &targets, &[0, 1, 2, 3], &predictions);
    let median = WeightedMetric::new("median_ae", &evaluation).expect("is known");
    assert_eq!(median.value(None), Some(2.5));
    assert_eq!(median.value(Some(&[3.0, 1.0, 1.0, 1.0])), Some(3.5));
    assert_eq!(median.value(Some(&[0.0, 1.0, 1.0, 1.0])), Some(2.0));
    assert_eq!(median.value(Some(&[0.0; 4])), None);
}

#[test]
fn points_are_scored_in_pixels_and_by_the_diagonal() {
    let task = Task::Keypoints {
        columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
        symmetric: vec![],
        names: Vec::new(),
        skeleton: Vec::new(),
        sigmas: Vec::new(),
        normalizer: Normalizer::Diagonal,
        mean: Vec::new(),
    };
    let nan = f32::NAN;
    let targets = Targets::keypoints(2, vec![[0.0, 0.0], [10.0, 0.0], [5.0, 5.0], [nan, nan]]);
    let predictions = vec![
        Prediction::keypoints(vec![[3.0, 4.0], [10.0, 0.0]]),
        Prediction::keypoints(vec![[5.0, 15.0], [0.0, 0.0]]),
    ];
    let sizes = [[60.0, 80.0], [30.0, 40.0]];
    let metrics = score(&Evaluation {
        sizes: Some(&sizes),
        ..evaluation(&task, &targets, &[0, 1], &predictions)
    });
    assert_eq!(metrics.n, 2);
    assert_eq!(metrics.get("mean_px"), Some(5.0)); // 5, 0, 10
    near(
        metrics.get("mean_nme").expect("is there"),
        (0.05 + 0.0 + 0.2) / 3.0,
        "mean_nme",
    );
    near(
        metrics.get("pck@0.1").expect("is there"),
        2.0 / 3.0,
        "pck@0.1",
    );
    assert_eq!(
        metrics.per_part[1].1[..2],
        [("n".to_owned(), 1.0), ("mean_px".to_owned(), 0.0)]
    );
    let without_sizes = score(&evaluation(&task, &targets, &[0, 1], &predictions));
    assert_eq!(
        (without_sizes.get("mean_px"), without_sizes.get("mean_nme")),
        (Some(5.0), None)
    );
    let weighted = WeightedMetric::new(
        "mean_px",
        &evaluation(&task, &targets, &[0, 1], &predictions),
    )
    .expect("is known");
    assert_eq!(
        (weighted.value(None), weighted.value(Some(&[1.0, 0.0]))),
        (Some(5.0), Some(2.5))
    );
    assert_eq!(weighted.per_row(), Some(vec![Some(2.5), Some(10.0)]));
}

#[test]
fn metrics_are_the_same_after_json_and_keep_their_order() {
    let metrics = Metrics {
        n: 3,
        values: vec![("z".into(), 0.1), ("a".into(), 2.0)],
        per_part: vec![("b".into(), vec![("n".into(), 3.0)]), ("a".into(), vec![])],
        confusion: vec![vec![1, 2], vec![0, 0]],
    };
    let json = serde_json::to_string(&metrics).expect("is JSON");
    let expected = r#"{"n":3,"values":{"z":0.1,"a":2.0},"per_part":{"b":{"n":3.0},"a":{}},"confusion":[[1,2],[0,0]]}"#;
    assert_eq!(json, expected);
    assert_eq!(
        serde_json::from_str::<Metrics>(&json).expect("are metrics"),
        metrics
    );
}

#[test]
fn every_metric_has_its_direction() {
    assert_eq!(
        (
            better("mean_px"),
            better("pck@0.1"),
            better("log_loss"),
            better("auroc")
        ),
        { (Better::Lower, Better::Higher, Better::Lower, Better::Higher) }
    );
    let kinds = [
        TargetKind::Keypoints,
        TargetKind::Class,
        TargetKind::Multilabel,
        TargetKind::Regression,
    ];
    for kind in kinds {
        let scoring = scoring(kind, 2);
        let parts = scoring.part_metrics.iter();
        let single = [&scoring.selection, &scoring.part_metric];
        for name in scoring.metrics.iter().chain(parts).chain(single) {
            let metric = Metric::named(name).unwrap_or_else(|| panic!("{name} is in the table"));
            assert!(!metric.meaning().is_empty(), "{name}");
        }
    }
    let names: std::collections::BTreeSet<&str> =
        METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "one row a metric");
    assert!(Metric::named("mae@3").is_none() && Metric::named("pck").is_none());
    assert_eq!(better("median_ae"), Better::Lower);
    assert!(Better::Lower.prefers(1.0, 2.0) && !Better::Lower.prefers(f64::NAN, 2.0));
    assert!(Better::Higher.prefers(1.0, f64::NAN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_order_of_rows_does_not_matter(
        cells in prop::collection::vec((0u32..3, 0.0f32..1.0, 0.0f32..1.0), 2..30),
        turn in 0usize..30,
    ) {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let task = Task::Class { column: "k".into(), names: names.clone(), counts: vec![1; 3] };
        let index = cells.iter().map(|cell| Some(cell.0)).collect();
        let targets = Targets::Class { names, index };
        let prediction = |&(_, p, q): &(u32, f32, f32)| {
            let rest = 1.0 - p;
            Prediction::Class { probabilities: vec![p, rest * q, rest * (1.0 - q)] }
        };
        let mut rows: Vec<usize> = (0..cells.len()).collect();
        let of = |rows: &[usize]| {
            let predictions: Vec<Prediction> = rows.iter().map(|&row| prediction(&cells[row])).collect();
            score(&evaluation(&task, &targets, rows, &predictions))
        };
        let before = of(&rows);
        rows.rotate_left(turn % cells.len());
        let after = of(&rows);
        prop_assert_eq!(&before.confusion, &after.confusion);
        for ((name, a), (_, b)) in before.values.iter().zip(&after.values) {
            prop_assert!((a - b).abs() < 1e-9, "{} {} {}", name, a, b);
        }
    }
}

/// Points of the rows that `tests/reference/oks.py` made.
fn of_pycocotools() -> (Task, Targets, Vec<Prediction>, serde_json::Value) {
    let known: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/reference/oks.json")).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    let point = |value: &serde_json::Value| match value.as_array() {
        Some(xy) => [number(&xy[0]), number(&xy[1])],
        None => [f32::NAN; 2],
    };
    let rows = |name: &str| known[name].as_array().unwrap().clone();
    let points = |row: &serde_json::Value| -> Vec<[f32; 2]> {
        row.as_array().unwrap().iter().map(point).collect()
    };
    let sigmas: Vec<f64> = rows("sigmas").iter().map(|s| s.as_f64().unwrap()).collect();
    let task = Task::Keypoints {
        columns: (0..2 * sigmas.len()).map(|at| format!("c{at}")).collect(),
        symmetric: Vec::new(),
        names: Vec::new(),
        skeleton: Vec::new(),
        normalizer: Normalizer::Box,
        mean: Vec::new(),
        sigmas,
    };
    let mut targets = Targets::keypoints(5, rows("truth").iter().flat_map(points).collect());
    if let Targets::Keypoints { scale, .. } = &mut targets {
        scale.area = rows("area").iter().map(number).collect();
        scale.mm_per_px = vec![[0.5, 2.0]; 200];
    }
    let predicted = rows("predicted");
    let sure = rows("sure");
    let predictions = predicted.iter().zip(&sure).map(|(row, sure)| {
        let mut prediction = Prediction::keypoints(points(row));
        if let Prediction::Keypoints { confidence, .. } = &mut prediction {
            let of_point = Confidence {
                visible: number(sure),
                error: 1.0,
            };
            *confidence = vec![of_point; 5];
        }
        prediction
    });
    let predictions = predictions.collect();
    (task, targets, predictions, known)
}

#[test]
fn similarity_is_that_of_pycocotools() {
    let (task, targets, predictions, known) = of_pycocotools();
    let rows: Vec<usize> = (0..200).collect();
    let metrics = score(&evaluation(&task, &targets, &rows, &predictions));
    let each: Vec<f64> = known["oks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|oks| oks.as_f64().unwrap())
        .collect();
    let mean = each.iter().sum::<f64>() / 200.0;
    assert!((metrics.get("oks").unwrap() - mean).abs() < 1e-6);
    for name in ["ar", "ap"] {
        let found = metrics.get(name).unwrap();
        assert!(
            (found - known[name].as_f64().unwrap()).abs() < 1e-6,
            "{name}: {found}"
        );
    }
    // A row that weighs twice is there twice.
    let evaluation_of = |rows: &[usize]| -> WeightedMetric {
        let predictions: Vec<Prediction> =
            rows.iter().map(|row| predictions[*row].clone()).collect();
        WeightedMetric::new("ap", &evaluation(&task, &targets, rows, &predictions)).unwrap()
    };
    let twice: Vec<usize> = (0..200).flat_map(|row| vec![row; 1 + row % 3]).collect();
    let weights: Vec<f64> = (0..200).map(|row| f64::from(1 + row % 3)).collect();
    let (by_weight, by_copies) = (
        evaluation_of(&rows).value(Some(&weights)).unwrap(),
        evaluation_of(&twice).value(None).unwrap(),
    );
    assert!(
        (by_weight - by_copies).abs() < 1e-9,
        "{by_weight} {by_copies}"
    );
    for row in rows {
        let of_row = WeightedMetric::new(
            "oks",
            &evaluation(&task, &targets, &[row], &predictions[row..=row]),
        );
        assert!(
            (of_row.unwrap().value(None).unwrap() - each[row]).abs() < 1e-6,
            "{row}"
        );
    }
}

#[test]
fn millimetres_are_of_pixels_that_may_be_wider_than_high() {
    let (task, targets, predictions, _) = of_pycocotools();
    let metrics = score(&evaluation(&task, &targets, &[3], &predictions[3..4]));
    let (Targets::Keypoints { xy, .. }, Prediction::Keypoints { xy: found, .. }) =
        (&targets, &predictions[3])
    else {
        panic!("points")
    };
    let far = |point: usize| {
        let [dx, dy] =
            [0, 1].map(|axis| f64::from(found[point][axis]) - f64::from(xy[15 + point][axis]));
        (0.5 * dx).hypot(2.0 * dy)
    };
    let known: Vec<f64> = (0..5).map(far).filter(|mm| !mm.is_nan()).collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    assert!((metrics.get("mean_mm").unwrap() - mean).abs() < 1e-9);
    let within =
        |mm: f64| known.iter().filter(|far| **far <= mm).count() as f64 / known.len() as f64;
    for (name, mm) in [("sdr@2", 2.0), ("sdr@2.5", 2.5), ("sdr@4", 4.0)] {
        assert_eq!(metrics.get(name), Some(within(mm)), "{name}");
    }
    // Nobody says how large a pixel is.
    let targets = Targets::keypoints(5, xy.clone());
    let metrics = score(&evaluation(&task, &targets, &[3], &predictions[3..4]));
    assert_eq!((metrics.get("mean_mm"), metrics.get("sdr@2")), (None, None));
    assert!(metrics.get("oks").is_some());
}
