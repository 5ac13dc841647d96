//! What a trained model is said to do, on data whose truth is known.

use rand::Rng;
use sidelight::dataset::{Dataset, MetadataValues};
use sidelight::explain::{
    Prepared, Quantity, grad_cam_of_rows, importance, mean_share, shares, what_if,
};
use sidelight::predict::Model;

use crate::scenes::{classes, config, dataset, first, noise, stream};
use crate::training::{CLASS, run, session};

/// Rows whose class is the column `hint` (missing in one of ten), beside a column and an image that say nothing.
fn planted() -> (Model, Dataset) {
    let mut random = stream(2);
    let truth: Vec<bool> = (0..160)
        .map(|_| random.next_u32().is_multiple_of(2))
        .collect();
    let images = (0..160).map(|row| noise(row, &mut random)).collect();
    let hint = truth
        .iter()
        .map(|&yes| (!random.next_u32().is_multiple_of(10)).then_some(yes))
        .collect();
    let names = ["oak", "elm", "ash"].map(String::from).to_vec();
    let codes = (0..160).map(|_| Some(random.next_u32() % 3)).collect();
    let data = dataset(
        images,
        vec![
            ("tree", MetadataValues::Categorical { names, codes }),
            ("hint", MetadataValues::Boolean(hint)),
        ],
        classes(truth),
    );
    let split = first(100, &data);
    let config = config(CLASS, "epochs = 8\n");
    let model = run(session(&config, &data, &split)).into_model();
    let held_out = data.select(&split.valid);
    (model, held_out)
}

#[test]
fn a_planted_column_is_worth_the_most_and_all_shares_add_up() {
    let (model, held_out) = planted();
    let rows = Prepared::new(&model, &held_out, &mut |_, _| {}).unwrap();

    let worth = importance(&rows, 5, 0).unwrap();
    let [hint, tree] = &worth[..] else {
        panic!("{worth:?}")
    };
    assert_eq!(
        (hint.column.as_str(), tree.column.as_str()),
        ("hint", "tree")
    );
    let accuracy = |worth: &sidelight::explain::Importance| {
        let mut changes = worth.changes.iter();
        changes
            .find(|change| change.metric == "accuracy")
            .unwrap()
            .mean
    };
    // Shuffled, a coin decides half of the rows anew, of which half come out right.
    assert!(accuracy(hint) > 0.25, "{hint:?}");
    assert!(accuracy(tree).abs() < 0.06, "{tree:?}");
    // The same seed, the same shuffles.
    assert_eq!(worth, importance(&rows, 5, 0).unwrap());

    let all = shares(&rows);
    assert_eq!(all.len(), 60);
    for share in &all {
        let moved = share.prediction - share.baseline;
        assert!(
            (share.image + share.metadata - moved).abs() < 1e-12,
            "{share:?}"
        );
    }
    assert!(mean_share(&all).unwrap().of_metadata().unwrap() > 0.5);

    let MetadataValues::Boolean(hints) = &held_out.metadata.columns[1].values else {
        panic!("hint is true or false")
    };
    let known = all.iter().find(|share| hints[share.row].is_some()).unwrap();
    let curves = what_if(&rows, known.row, &known.quantity, &held_out.metadata).unwrap();
    assert_eq!(curves[0].column, "hint");
    assert!(
        curves[0].span() > 0.5 && curves[1].span() < 0.3,
        "{curves:?}"
    );
    let own = &curves[0].own;
    assert!((own.y - known.prediction).abs() < 1e-6, "{own:?} {known:?}");
    let values: Vec<_> = curves[0]
        .points
        .iter()
        .map(|point| point.value.as_deref())
        .collect();
    assert_eq!(values.len(), 3);
    assert_eq!(values[2], None);

    let seen = grad_cam_of_rows(&rows, &[known]).unwrap();
    assert!(seen[0].heat.values.iter().all(|value| *value >= 0.0));
    assert_eq!(seen[0].pixels.len(), 24 * 24 * 3);
    assert_eq!(seen, grad_cam_of_rows(&rows, &[known]).unwrap());
    assert!(matches!(known.quantity, Quantity::Probability(_)));
}
