//! What a trained model is said to do, on data whose truth is known.

use rand::Rng;
use sidelight::dataset::{Dataset, ImageSource, MetadataValues, Targets};
use sidelight::explain::{
    Looked, Picture, Prepared, Quantity, Share, arrows, importance, mean_share, occlusion, shares,
    what_if,
};
use sidelight::predict::Model;
use sidelight::task::Prediction;

use crate::scenes::{classes, config, dataset, first, noise, png, stream};
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

    let all = shares(&rows, None);
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

    let seen = occlusion(&rows, known).unwrap().unwrap();
    assert_eq!(seen.pixels.len(), 24 * 24 * 3);
    assert_eq!(seen, occlusion(&rows, known).unwrap().unwrap());
    // Only points have arrows.
    assert!(arrows(&rows, known.row, 0).is_empty());
    assert!(matches!(known.quantity, Quantity::Probability(_)));
}

/// A patch of 6 × 6 pixels in a picture of 24 × 24 that decides what is true of it.
#[derive(Debug, Clone, Copy)]
struct Patch {
    left: usize,
    top: usize,
    /// 0: it is not there; 1: red; 2: blue.
    kind: usize,
}

/// Pictures of dull colours with a patch of one of these kinds, and one that is green and says nothing.
fn patched(n: usize, kinds: &[usize]) -> (Vec<ImageSource>, Vec<Patch>) {
    let mut random = stream(7);
    let mut below = |n: usize| random.next_u32() as usize % n;
    let made = |row: usize| {
        let (left, top, kind) = (below(19), below(19), kinds[below(kinds.len())]);
        // The green one lies elsewhere.
        let (aside, down) = ((left + 8 + below(4)) % 19, below(19));
        let ground: Vec<u8> = (0..16).map(|_| 80 + below(60) as u8).collect();
        let is_in = |x: usize, y: usize, left: usize, top: usize| {
            (left..left + 6).contains(&x) && (top..top + 6).contains(&y)
        };
        let image = png(row, |x, y| match is_in(x, y, left, top) {
            true if kind > 0 => [[230, 20, 20], [20, 20, 230]][kind - 1],
            _ if is_in(x, y, aside, down) => [20, 190, 20],
            _ => [ground[y / 6 * 4 + x / 6]; 3],
        });
        (image, Patch { left, top, kind })
    };
    (0..n).map(made).unzip()
}

/// What is said of a held-out picture.
#[derive(Debug)]
struct Seen {
    patch: Patch,
    said: Prediction,
    /// Where the map changes most, in pixels.
    peak: [f32; 2],
    /// The change there.
    change: f32,
}

/// What a model says that was trained on 280 pictures, of 60 others.
fn seen(
    target: &str,
    kinds: &[usize],
    targets: impl Fn(&[Patch]) -> Targets,
    epochs: usize,
) -> Vec<Seen> {
    let (images, patches) = patched(340, kinds);
    let data = dataset(images, vec![], targets(&patches));
    let split = first(280, &data);
    let settings = format!(
        "epochs = {epochs}\nlearning_rate = 5e-3\n[model]\narm = \"image\"\ndropout = 0.0\n"
    );
    let config = config(target, &settings);
    let model = run(session(&config, &data, &split)).into_model();
    let held_out = data.select(&split.valid);
    let rows = Prepared::new(&model, &held_out, &mut |_, _| {}).unwrap();
    let predictions = rows.predict(Picture::Own, &rows.metadata);
    let of_row = |share: Share| {
        let Looked { heat, .. } = occlusion(&rows, &share).unwrap().unwrap();
        let places = heat.values.iter().enumerate();
        let (at, change) = places
            .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
            .unwrap();
        let place = 24.0 / heat.width as f32;
        Seen {
            patch: patches[280 + share.row],
            said: predictions[share.row].clone().unwrap(),
            peak: [at % heat.width, at / heat.width].map(|at| (at as f32 + 0.5) * place),
            change: *change,
        }
    };
    shares(&rows, None).into_iter().map(of_row).collect()
}

/// Nine in ten maps have their peak in the patch, or within half the smallest window of it, of the rows that have a patch and
/// are predicted right, which are most: at an input far too small for the network's last map to say where.
fn assert_found(seen: &[Seen], is_right: impl Fn(&Seen) -> bool) {
    let has_patch = seen.iter().filter(|of| of.patch.kind > 0);
    let n_rows = has_patch.clone().count();
    let right: Vec<&Seen> = has_patch.filter(|of| is_right(of)).collect();
    assert!(
        10 * right.len() >= 8 * n_rows,
        "{} of {n_rows} are right",
        right.len()
    );
    let is_in = |of: &&&Seen| {
        let from = |start: usize, at: f32| (start as f32 - 1.5..=start as f32 + 7.5).contains(&at);
        from(of.patch.left, of.peak[0]) && from(of.patch.top, of.peak[1])
    };
    let found = right.iter().filter(is_in).count();
    assert!(
        10 * found >= 9 * right.len(),
        "{found} of {}: {right:?}",
        right.len()
    );
}

#[test]
fn the_patch_that_decides_a_class_is_where_it_looks() {
    let targets = |patches: &[Patch]| Targets::Class {
        names: ["none", "red", "blue"].map(String::from).to_vec(),
        index: patches
            .iter()
            .map(|patch| Some(patch.kind as u32))
            .collect(),
    };
    let seen = seen(CLASS, &[0, 1, 2], targets, 8);
    // Classes are sorted as a person would: blue, none, red.
    let place = [1, 2, 0];
    assert_found(&seen, |of| {
        of.said.probabilities()[place[of.patch.kind]] > 0.5
    });
}

#[test]
fn the_patch_that_decides_a_value_is_where_it_looks_up_and_down() {
    let value = |patch: &Patch| [100.0, 140.0, 60.0][patch.kind];
    let targets = |patches: &[Patch]| Targets::Regression {
        names: vec!["price".into()],
        values: patches.iter().map(value).collect(),
    };
    let target = "kind = \"regression\"\ncolumn = \"price\"";
    let seen = seen(target, &[0, 1, 2], targets, 10);
    let is_right = |of: &Seen| (of.said.numbers()[0] - value(&of.patch)).abs() < 20.0;
    assert_found(&seen, is_right);
    // Red raises it, blue lowers it.
    let right = seen.iter().filter(|of| of.patch.kind > 0 && is_right(of));
    let (n_right, signed) = right.fold((0, 0), |(n, signed), of| {
        (
            n + 1,
            signed + usize::from((of.change > 0.0) == (of.patch.kind == 1)),
        )
    });
    assert!(10 * signed >= 9 * n_right, "{signed} of {n_right}");
}

#[test]
fn the_patch_that_a_point_lies_on_is_where_it_looks() {
    let centre = |patch: &Patch| [patch.left, patch.top].map(|at| at as f32 + 3.0);
    let targets = |patches: &[Patch]| Targets::keypoints(1, patches.iter().map(centre).collect());
    let target = "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\"]";
    let seen = seen(target, &[1, 2], targets, 20);
    assert_found(&seen, |of| {
        let Prediction::Keypoints { xy, .. } = &of.said else {
            panic!("{of:?}")
        };
        let [x, y] = centre(&of.patch);
        (xy[0][0] - x).hypot(xy[0][1] - y) < 3.0
    });
}

#[test]
fn arrows_are_what_a_column_moves_a_point_by() {
    let mut random = stream(4);
    let mut below = |n: u32| random.next_u32() % n;
    let shift: Vec<f64> = (0..160).map(|_| f64::from(below(17)) - 8.0).collect();
    let idle: Vec<Option<bool>> = (0..160).map(|_| Some(below(2) == 0)).collect();
    let mut images = stream(5);
    // The first point lies to the right by what `shift` says, the second where it lies always.
    let xy = |shift: &f64| [[12.0 + *shift as f32, 12.0], [6.0, 18.0]];
    let data = dataset(
        (0..160).map(|row| noise(row, &mut images)).collect(),
        vec![
            ("idle", MetadataValues::Boolean(idle)),
            (
                "shift",
                MetadataValues::Continuous(shift.iter().copied().map(Some).collect()),
            ),
        ],
        Targets::keypoints(2, shift.iter().flat_map(xy).collect()),
    );
    let split = first(120, &data);
    let config = config(
        "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\", \"x1\", \"y1\"]",
        "epochs = 12\nlearning_rate = 5e-3\n",
    );
    let model = run(session(&config, &data, &split)).into_model();
    let held_out = data.select(&split.valid);
    let rows = Prepared::new(&model, &held_out, &mut |_, _| {}).unwrap();
    let row = (0..40)
        .max_by(|a, b| shift[120 + a].total_cmp(&shift[120 + b]))
        .unwrap();
    let of_first = arrows(&rows, row, 0);
    let [shifts, idles] = &of_first[..] else {
        panic!("{of_first:?}")
    };
    assert_eq!(
        (shifts.column.as_str(), idles.column.as_str()),
        ("shift", "idle")
    );
    // A number that is missing is one at its mean, about 0: the arrow is about as long as the shift.
    let [right, down] = shifts.by();
    assert!(
        (right - shift[120 + row]).abs() < 3.0 && down.abs() < 2.0,
        "{of_first:?}"
    );
    assert!(idles.length() < 2.0, "{of_first:?}");
    assert_eq!(
        shifts.value.as_deref(),
        Some(&*shift[120 + row].to_string())
    );
    let of_second = arrows(&rows, row, 1);
    assert!(
        of_second.iter().all(|arrow| arrow.length() < 2.5),
        "{of_second:?}"
    );
    // The first point is explained alone.
    let share = &shares(&rows, Some(0))[row];
    let Quantity::Displacement { direction, .. } = &share.quantity else {
        panic!("{share:?}")
    };
    assert_eq!(direction[1], [0.0; 2]);
    assert!(share.metadata.abs() > share.image.abs(), "{share:?}");
}
