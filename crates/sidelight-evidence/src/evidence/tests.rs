//! Planted truths: what is known to be so must be what is decided.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::*;
use crate::statistics::distribution::normal_quantile;
use sidelight_data::config::TargetScale;
use sidelight_data::random::for_purpose;
use sidelight_data::split::FoldOrder;

const FOLDS: u32 = 5;

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    normal_quantile(uniform(rng))
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// A simulated comparison, before it is weighed.
struct Case {
    task: Task,
    targets: Targets,
    metric: &'static str,
    units: Vec<u32>,
    folds: Vec<Vec<u32>>,
    order: FoldOrder,
    arms: Vec<Arm>,
    facts: Facts,
}

impl Case {
    fn evaluate(&self) -> Evidence {
        self.weighed(None)
    }

    fn weighed(&self, weights: Option<&RowWeights>) -> Evidence {
        evaluate(&Study {
            task: &self.task,
            targets: &self.targets,
            metric: self.metric,
            units: &self.units,
            folds: &self.folds,
            order: self.order,
            sizes: None,
            weights,
            arms: &self.arms,
            facts: &self.facts,
            how: Bootstrap {
                replicates: 1000,
                ..Bootstrap::default()
            },
        })
        .expect("can be weighed")
    }

    fn with_arm(mut self, name: &str, role: Role, predictions: Vec<Prediction>) -> Self {
        let predictions = vec![predictions.into_iter().map(Some).collect()];
        self.arms.push(Arm {
            name: name.into(),
            role,
            predictions,
        });
        self
    }
}

fn case(task: Task, targets: Targets, metric: &'static str, n: usize) -> Case {
    Case {
        task,
        targets,
        metric,
        units: (0..n as u32).collect(),
        folds: vec![(0..n as u32).map(|row| row % FOLDS).collect()],
        order: FoldOrder::Any,
        arms: vec![],
        facts: Facts::default(),
    }
}

/// Rows with a number to predict, and predictions as good as their standard deviation of errors.
struct Values {
    truth: Vec<f64>,
    /// Error that all arms share: a hard row is hard for all.
    shared: Vec<f64>,
}

impl Values {
    fn new(rng: &mut ChaCha8Rng, n: usize) -> Self {
        let truth = (0..n).map(|_| 10.0 * normal(rng)).collect();
        Self {
            truth,
            shared: (0..n).map(|_| normal(rng)).collect(),
        }
    }

    fn case(&self) -> Case {
        let task = Task::Regression {
            columns: vec!["y".into()],
            scale: TargetScale::Linear,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[-50.0, 50.0]],
        };
        let targets = Targets::Regression {
            names: vec!["y".into()],
            values: self.truth.clone(),
        };
        case(task, targets, "mae", self.truth.len())
    }

    /// An arm whose errors are the shared ones times `shared` and its own times `own`.
    fn arm(&self, rng: &mut ChaCha8Rng, shared: f64, own: f64) -> Vec<Prediction> {
        let rows = self.truth.iter().zip(&self.shared);
        rows.map(|(y, e)| value(y + shared * e + own * normal(rng)))
            .collect()
    }
}

fn value(x: f64) -> Prediction {
    Prediction::Regression { values: vec![x] }
}

fn class_case(truth: &[usize], names: &[&str], metric: &'static str) -> Case {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let task = Task::Class {
        column: "k".into(),
        names: names.clone(),
        counts: vec![1; names.len()],
    };
    let targets = Targets::Class {
        names,
        index: truth.iter().map(|&class| Some(class as u32)).collect(),
    };
    case(task, targets, metric, truth.len())
}

fn of_two(p: f64) -> Prediction {
    Prediction::Class {
        probabilities: vec![(1.0 - p) as f32, p as f32],
    }
}

fn doubt(evidence: &Evidence, is: impl Fn(&Doubt) -> bool) -> Option<&DoubtEntry> {
    evidence
        .verdict
        .doubts
        .iter()
        .find(|entry| is(&entry.doubt))
}

#[test]
fn metadata_that_decides_the_target_helps() {
    let mut rng = for_purpose("decides", 0);
    let values = Values::new(&mut rng, 200);
    let [image, metadata, both, vote, shuffled] =
        [(4.0, 1.0), (2.0, 2.0), (1.0, 0.5), (3.0, 1.0), (4.0, 1.2)]
            .map(|(shared, own)| values.arm(&mut rng, shared, own));
    let evidence = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("metadata", Role::Metadata, metadata)
        .with_arm("vote", Role::Vote, vote)
        .with_arm("concat", Role::Fusion, both)
        .with_arm("concat, shuffled", Role::Shuffled, shuffled)
        .evaluate();
    assert_eq!(
        evidence.verdict.code,
        VerdictCode::Helps,
        "{:?}",
        evidence.verdict
    );
    assert_eq!(evidence.verdict.arm, "concat");
    assert!(
        evidence.verdict.doubts.is_empty(),
        "{:?}",
        evidence.verdict.doubts
    );
    assert!(
        evidence
            .verdict
            .sentence
            .starts_with("Metadata helps: adding it (`concat`) lowers mae by")
    );
    let decision = &evidence.decision;
    assert_eq!(
        (&decision.arm[..], &decision.score[..], decision.direction),
        ("concat", "huber", Direction::Better)
    );
    assert!(decision.difference < 0.0 && decision.high < 0.0 && decision.p < 0.01);
    let told = &decision.sensitivity[0].line;
    assert_eq!((&told.arm[..], &told.metric[..]), ("concat", "mae"));
}

/// The same errors but for what is each arm's own: neither is better, whatever it read.
fn noise_case(seed: u64) -> Case {
    let mut rng = for_purpose("noise columns", seed);
    let values = Values::new(&mut rng, 150);
    let mut case = values.case();
    for (name, role) in [
        ("image", Role::Image),
        ("concat", Role::Fusion),
        ("film", Role::Fusion),
    ] {
        // What a fit is lucky in, it is lucky in for all rows of its fold.
        let luck: Vec<f64> = (0..FOLDS).map(|_| 1.0 + 0.03 * normal(&mut rng)).collect();
        let predictions =
            values
                .truth
                .iter()
                .zip(&values.shared)
                .enumerate()
                .map(|(row, (y, e))| {
                    value(y + luck[row % FOLDS as usize] * (3.0 * e + 1.5 * normal(&mut rng)))
                });
        let predictions = predictions.collect();
        case = case.with_arm(name, role, predictions);
    }
    case
}

#[test]
fn noise_columns_are_no_evidence_in_95_of_100_repeats() {
    let codes: Vec<VerdictCode> = (0..100)
        .map(|seed| noise_case(seed).evaluate().verdict.code)
        .collect();
    let none = codes
        .iter()
        .filter(|code| **code == VerdictCode::NoEvidence)
        .count();
    assert!(none >= 95, "{none} of 100");
    let evidence = noise_case(0).evaluate();
    assert!(
        doubt(&evidence, |doubt| matches!(
            doubt,
            Doubt::IntervalCrossesZero { .. }
        ))
        .is_some()
    );
    assert!(
        evidence
            .verdict
            .sentence
            .starts_with("No evidence that metadata helps: adding it")
    );
}

#[test]
fn an_arm_that_is_the_image_itself_is_no_doubt() {
    let mut rng = for_purpose("identity", 0);
    let values = Values::new(&mut rng, 300);
    let image = values.arm(&mut rng, 2.0, 0.5);
    let evidence = values
        .case()
        .with_arm("image", Role::Image, image.clone())
        .with_arm("weighted-vote", Role::WeightedVote, image)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::NoEvidence);
    let crosses = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::IntervalCrossesZero { .. })
    });
    assert!(crosses.is_none(), "{:?}", evidence.verdict);
}

#[test]
fn a_fusion_that_is_worse_harms() {
    let mut rng = for_purpose("harms", 0);
    let values = Values::new(&mut rng, 300);
    let [image, both] =
        [(2.0, 0.5), (3.0, 1.0)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let evidence = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::Harms);
    assert!(
        evidence
            .verdict
            .sentence
            .starts_with("Metadata harms: adding it (`concat`) raises mae by")
    );
}

/// Rows that count twice are judged as rows that are there twice and belong together.
#[test]
fn whole_weights_are_as_so_many_rows_of_one_unit() {
    let mut rng = for_purpose("weights", 0);
    let truth: Vec<usize> = (0..120).map(|row| row / 3 % 2).collect();
    let arms: [Vec<Prediction>; 2] = [1.0, 1.6].map(|signal| {
        let z = |class: usize| signal * (2.0 * class as f64 - 1.0);
        let of = |class| of_two(sigmoid(z(class) + normal(&mut rng)));
        truth.iter().copied().map(of).collect()
    });
    let case = |rows: &[usize]| {
        let pick = |arm: &[Prediction]| rows.iter().map(|&row| arm[row].clone()).collect();
        let truth: Vec<usize> = rows.iter().map(|&row| truth[row]).collect();
        let mut case = class_case(&truth, &["no", "yes"], "auroc")
            .with_arm("image", Role::Image, pick(&arms[0]))
            .with_arm("concat", Role::Fusion, pick(&arms[1]));
        case.units = rows.iter().map(|&row| row as u32).collect();
        case.folds = vec![rows.iter().map(|&row| row as u32 % FOLDS).collect()];
        case.facts.strata = vec![Grouping {
            name: "site".into(),
            levels: vec!["a".into(), "b".into()],
            of_row: rows.iter().map(|&row| Some(row as u32 % 2)).collect(),
        }];
        case
    };
    let times = |row: usize| row * 7 % 4;
    let all: Vec<usize> = (0..120).collect();
    let repeated: Vec<usize> = (all.iter().copied())
        .flat_map(|row| std::iter::repeat_n(row, times(row)))
        .collect();
    let weights =
        |of_row: &dyn Fn(usize) -> f64| RowWeights::new(all.iter().copied().map(of_row).collect());
    let counted = weights(&|row| times(row) as f64);
    let (found, expected) = (
        case(&all).weighed(Some(&counted)),
        case(&repeated).evaluate(),
    );
    assert_eq!((found.rows, found.units), (90, 90));
    assert_eq!((expected.rows, expected.units), (180, 90));
    let near = |a: f64, b: f64, what: &str| {
        assert!(
            (a - b).abs() <= 1e-9 * b.abs().max(1.0),
            "{what}: {a} is not {b}"
        );
    };
    for (a, b) in found.differences.iter().zip(&expected.differences) {
        assert_eq!((&a.arm, &a.metric), (&b.arm, &b.metric));
        let numbers = [a.delta, a.low, a.high, a.p].into_iter();
        for (a, other) in numbers.zip([b.delta, b.low, b.high, b.p]) {
            near(a, other, &b.metric);
        }
    }
    for (a, b) in found.arms.iter().zip(&expected.arms) {
        near(a.pooled.unwrap(), b.pooled.unwrap(), &b.name);
        near(a.score.unwrap(), b.score.unwrap(), &b.name);
        near(a.mean.unwrap(), b.mean.unwrap(), &b.name);
    }
    for (a, b) in found.calibration.iter().zip(&expected.calibration) {
        near(a.ece, b.ece, &b.arm);
        near(a.temperature, b.temperature, &b.arm);
    }
    for (a, b) in found.parts.iter().zip(&expected.parts) {
        near(a.image, b.image, &b.part);
        near(a.delta, b.delta, &b.part);
    }
    let plain = case(&all).evaluate();
    assert_eq!(case(&all).weighed(Some(&weights(&|_| 0.3))), plain);
    assert_ne!(found.decision.difference, plain.decision.difference);
}

#[test]
fn a_leaked_target_column_is_spurious() {
    let mut rng = for_purpose("leak", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both] =
        [(4.0, 1.0), (0.1, 0.05)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    let fact = |column: &str, share: f64, alone: f64| ColumnFact {
        column: column.into(),
        used: true,
        share_of_gain: Some(share),
        alone: Some(alone),
        ..ColumnFact::default()
    };
    case.facts.columns = vec![fact("beds", 0.01, 0.3), fact("price_k", 0.99, 0.999)];
    let evidence = case.evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::HelpsButSpurious);
    assert!(
        evidence
            .verdict
            .sentence
            .contains("do not believe it yet: column `price_k` alone predicts")
    );
    // A column that carries the gain without being the target in disguise is a doubt only.
    case.facts.columns = vec![fact("beds", 0.01, 0.3), fact("area", 0.95, 0.7)];
    let evidence = case.evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::Helps);
    assert_eq!(
        evidence.verdict.doubts[0].sentence,
        "permuting column `area` loses 95\u{202F}% of the gain: what it adds to the other columns; \
         by itself it goes 70\u{202F}% of the way from chance to perfect"
    );
}

/// Iceberg or ship: the angle is missing for 15 % of the ships and for no iceberg, and says nothing else.
fn missingness_case() -> Case {
    let mut rng = for_purpose("angle", 0);
    let truth: Vec<usize> = (0..1600).map(|row| row / 2 % 2).collect();
    let gap: Vec<bool> = truth
        .iter()
        .map(|&ship| ship == 1 && uniform(&mut rng) < 0.15)
        .collect();
    let seen: Vec<f64> = truth
        .iter()
        .map(|&ship| 1.5 * (ship as f64 - 0.5) + normal(&mut rng))
        .collect();
    let told = |gap: bool| if gap { 4.0 } else { -0.16 };
    let image = seen.iter().map(|z| of_two(sigmoid(1.5 * z))).collect();
    let both = seen
        .iter()
        .zip(&gap)
        .map(|(z, gap)| of_two(sigmoid(1.5 * z + told(*gap))))
        .collect();
    let gaps: Vec<Prediction> = gap.iter().map(|gap| of_two(sigmoid(told(*gap)))).collect();
    class_case(&truth, &["iceberg", "ship"], "log_loss")
        .with_arm("image", Role::Image, image)
        .with_arm("metadata", Role::Metadata, gaps.clone())
        .with_arm("concat", Role::Fusion, both)
        .with_arm("gaps only", Role::GapsOnly, gaps)
}

#[test]
fn missingness_that_is_the_label_is_spurious() {
    let evidence = missingness_case().evaluate();
    assert_eq!(
        evidence.verdict.code,
        VerdictCode::HelpsButSpurious,
        "{:?}",
        evidence.verdict
    );
    let found = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::MissingnessAlonePredictsTarget { .. })
    });
    let found = found.expect("is doubted");
    assert!(
        found.spurious
            && found
                .sentence
                .contains("100\u{202F}% of what the metadata achieves alone"),
        "{found:?}"
    );
}

#[test]
fn a_gain_that_lives_on_duplicate_images_is_spurious() {
    let mut rng = for_purpose("duplicates", 0);
    let values = Values::new(&mut rng, 200);
    let image = values.arm(&mut rng, 3.0, 0.5);
    // Rows 0 to 59 are pairs of the same image in different folds: the fused arm remembers them.
    let both = values
        .arm(&mut rng, 3.0, 0.5)
        .into_iter()
        .enumerate()
        .map(|(row, prediction)| {
            if row < 60 {
                value(values.truth[row] + 0.1 * normal(&mut rng))
            } else {
                prediction
            }
        });
    let both = both.collect();
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    case.facts.duplicates = (0..30).map(|pair| [2 * pair, 2 * pair + 1]).collect();
    let evidence = case.evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::HelpsButSpurious);
    let found = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::DuplicatesAcrossFolds { rows: 60, .. })
    });
    assert!(
        found
            .expect("is doubted")
            .sentence
            .starts_with("60 rows have an image that is also in another fold")
    );
    // Duplicates in one fold are no doubt.
    case.facts.duplicates = vec![[0, 5], [1, 6]];
    assert_eq!(case.evaluate().verdict.code, VerdictCode::Helps);
}

#[test]
fn metadata_of_other_rows_that_helps_as_well_is_spurious() {
    let mut rng = for_purpose("shuffled", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both, shuffled] =
        [(3.0, 0.5), (2.0, 0.5), (2.2, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let evidence = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
        .with_arm("concat, shuffled", Role::Shuffled, shuffled)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::HelpsButSpurious);
    assert!(
        evidence
            .verdict
            .sentence
            .contains("metadata of other rows helps as well")
    );
}

#[test]
fn a_gain_between_sites_that_vanishes_within_them_is_spurious() {
    // Site 0 is mostly healthy, site 1 mostly ill; the fused arm has learned the site.
    let mut rng = for_purpose("site", 0);
    let site: Vec<usize> = (0..600).map(|row| row / 5 % 2).collect();
    let truth: Vec<usize> = site
        .iter()
        .map(|&site| usize::from(uniform(&mut rng) < if site == 1 { 0.8 } else { 0.2 }))
        .collect();
    let seen: Vec<f64> = truth
        .iter()
        .map(|&ill| ill as f64 - 0.5 + normal(&mut rng))
        .collect();
    let image = seen.iter().map(|z| of_two(sigmoid(*z))).collect();
    let both = seen
        .iter()
        .zip(&site)
        .map(|(z, site)| of_two(sigmoid(z + 2.8 * (*site as f64 - 0.5))))
        .collect();
    let mut case = class_case(&truth, &["healthy", "ill"], "auroc")
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    assert_eq!(case.evaluate().verdict.code, VerdictCode::Helps);
    let of_row = site.iter().map(|&site| Some(site as u32)).collect();
    case.facts.strata = vec![Grouping {
        name: "hospital".into(),
        levels: vec!["A".into(), "B".into()],
        of_row,
    }];
    let evidence = case.evaluate();
    assert_eq!(
        evidence.verdict.code,
        VerdictCode::HelpsButSpurious,
        "{:?}",
        evidence.verdict
    );
    assert!(
        evidence
            .verdict
            .sentence
            .contains("the model learned `hospital`")
    );
}

#[test]
fn a_value_learned_by_site_vanishes_within_sites_and_one_learned_by_row_does_not() {
    let mut rng = for_purpose("site value", 0);
    let site: Vec<usize> = (0..300).map(|row| row / 5 % 3).collect();
    let mut values = Values::new(&mut rng, 300);
    let level = |site: usize| 6.0 * site as f64;
    values.truth = values
        .truth
        .iter()
        .zip(&site)
        .map(|(y, &site)| y / 5.0 + level(site))
        .collect();
    let image: Vec<Prediction> = (0..300)
        .map(|_| value(level(1) + normal(&mut rng)))
        .collect();
    let by_site = site
        .iter()
        .map(|&site| value(level(site) + normal(&mut rng)))
        .collect();
    let by_row = values.arm(&mut rng, 0.3, 0.3);
    for (both, expected) in [
        (by_site, VerdictCode::HelpsButSpurious),
        (by_row, VerdictCode::Helps),
    ] {
        let mut case = values
            .case()
            .with_arm("image", Role::Image, image.clone())
            .with_arm("concat", Role::Fusion, both);
        let of_row = site.iter().map(|&site| Some(site as u32)).collect();
        case.facts.strata = vec![Grouping {
            name: "site".into(),
            levels: vec![],
            of_row,
        }];
        assert_eq!(case.evaluate().verdict.code, expected);
    }
}

#[test]
fn a_class_that_loses_while_the_mean_gains_is_named() {
    let mut rng = for_purpose("worst class", 0);
    let truth: Vec<usize> = (0..400).map(|row| usize::from(row % 4 == 0)).collect();
    let right = |class: usize, shares: [f64; 2], rng: &mut ChaCha8Rng| {
        let said = if uniform(rng) < shares[class] {
            class
        } else {
            1 - class
        };
        of_two(if said == 1 { 0.8 } else { 0.2 })
    };
    let image = truth
        .iter()
        .map(|&class| right(class, [0.7, 0.8], &mut rng))
        .collect();
    let both = truth
        .iter()
        .map(|&class| right(class, [0.98, 0.4], &mut rng))
        .collect();
    let evidence = class_case(&truth, &["common", "rare"], "accuracy")
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::Helps);
    let found = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::WorstPartDown { .. })
    })
    .expect("is doubted");
    assert!(
        found
            .sentence
            .starts_with("better overall, but class rare gets worse: recall from 0."),
        "{found:?}"
    );
}

#[test]
fn probabilities_that_became_too_sure_are_named() {
    let mut rng = for_purpose("calibration", 0);
    let truth: Vec<usize> = (0..600).map(|row| row / 5 % 2).collect();
    let seen: Vec<f64> = truth
        .iter()
        .map(|&class| 2.0 * (class as f64 - 0.5) + normal(&mut rng))
        .collect();
    let image = seen
        .iter()
        .map(|z| of_two(sigmoid(2.0 * (z + 0.6 * normal(&mut rng)))))
        .collect();
    let both = seen.iter().map(|z| of_two(sigmoid(12.0 * z))).collect();
    let evidence = class_case(&truth, &["a", "b"], "auroc")
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
        .evaluate();
    // They rank better and are worse: what they say with certainty is too often wrong.
    assert_eq!(evidence.verdict.code, VerdictCode::Harms);
    let auroc = &evidence.decision.sensitivity[0];
    assert_eq!(
        (&auroc.line.metric[..], auroc.line.direction),
        ("auroc", Direction::Better)
    );
    let why = "auroc sees only the order of the rows, not the probabilities themselves";
    assert!(auroc.why.as_ref().is_some_and(|text| text.starts_with(why)));
    assert!(
        evidence.verdict.sentence.contains(why),
        "{}",
        evidence.verdict.sentence
    );
    assert!(
        doubt(&evidence, |doubt| matches!(
            doubt,
            Doubt::CalibrationWorse { .. }
        ))
        .is_some()
    );
    let of = |arm: &str| {
        evidence
            .calibration
            .iter()
            .find(|entry| entry.arm == arm)
            .expect("is calibrated")
    };
    assert!(of("concat").temperature > 4.0 && of("concat").ece > of("image").ece);
}

#[test]
fn metadata_that_does_as_well_alone_is_named() {
    let mut rng = for_purpose("alone", 0);
    let values = Values::new(&mut rng, 200);
    let [image, metadata, both] =
        [(4.0, 1.0), (1.0, 0.2), (1.5, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let evidence = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("metadata", Role::Metadata, metadata)
        .with_arm("concat", Role::Fusion, both)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::Helps);
    assert!(
        evidence
            .verdict
            .sentence
            .ends_with("; the metadata alone does better still.")
    );
    let found = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::MetadataAloneDoesAsWell { better: true, .. })
    });
    assert!(
        found
            .expect("is doubted")
            .sentence
            .starts_with("the metadata alone does better: mae")
    );
}

#[test]
fn few_units_are_named_however_many_rows_they_have() {
    let mut rng = for_purpose("few", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both] =
        [(4.0, 1.0), (1.0, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    case.units = (0..200).map(|row| row / 20).collect();
    let evidence = case.evaluate();
    assert_eq!((evidence.rows, evidence.units), (200, 10));
    let found = doubt(&evidence, |doubt| {
        matches!(
            doubt,
            Doubt::TooFewUnits {
                units: 10,
                class: None
            }
        )
    });
    assert!(found.is_some());
    assert!(
        evidence
            .verdict
            .sentence
            .contains("200 rows in 10 groups, 5 folds")
    );
}

#[test]
fn identifiers_and_files_are_named() {
    let mut rng = for_purpose("files", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both] =
        [(4.0, 1.0), (1.0, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    case.facts.columns = vec![
        ColumnFact {
            column: "id".into(),
            used: true,
            identifier: true,
            ..ColumnFact::default()
        },
        ColumnFact {
            column: "image.bytes".into(),
            from_file: true,
            alone: Some(0.4),
            ..ColumnFact::default()
        },
        ColumnFact {
            column: "image.width".into(),
            from_file: true,
            alone: Some(0.01),
            ..ColumnFact::default()
        },
        ColumnFact {
            column: "sender".into(),
            used: true,
            resemblance: Some(0.71),
            ..ColumnFact::default()
        },
    ];
    let evidence = case.evaluate();
    let sentences: Vec<&str> = evidence
        .verdict
        .doubts
        .iter()
        .map(|entry| &entry.sentence[..])
        .collect();
    assert_eq!(
        sentences,
        [
            "column `id` looks like an identifier",
            "`image.bytes`, a property of the file, predicts the target (40\u{202F}% of the way from chance to perfect); \
             the images may carry the same trace",
            "images of one value of `sender` resemble each other (nearer than one of another value in 71\u{202F}% of pairs): \
             if it names persons or places, new ones are predicted worse than this says; `data.group = \"sender\"` tells",
        ]
    );
    assert_eq!(evidence.verdict.code, VerdictCode::Helps);
    for column in [0, 3] {
        case.facts.columns[column].share_of_gain = Some(0.9);
        assert_eq!(case.evaluate().verdict.code, VerdictCode::HelpsButSpurious);
        case.facts.columns[column].share_of_gain = None;
    }
}

#[test]
fn chance_is_made_where_it_is_not_given_and_ranks_as_chance() {
    let evidence = missingness_case().evaluate();
    let chance = evidence
        .arms
        .iter()
        .find(|arm| arm.role == Role::Chance)
        .expect("is made");
    // Half of the rows are of each class: ln 2, a little more as each fold's share is learned.
    assert!((chance.pooled.expect("is defined") - std::f64::consts::LN_2).abs() < 0.001);
    let mut case = missingness_case();
    case.metric = "auroc";
    let evidence = case.evaluate();
    let chance = evidence
        .arms
        .iter()
        .find(|arm| arm.role == Role::Chance)
        .expect("is made");
    assert_eq!(chance.pooled, Some(0.5));
}

#[test]
fn rows_that_one_arm_could_not_read_are_left_out_for_all() {
    let mut case = noise_case(1);
    case.arms[0].predictions[0][7] = None;
    let evidence = case.evaluate();
    assert_eq!((evidence.rows, evidence.units), (149, 149));
    assert!(
        evidence
            .arms
            .iter()
            .all(|arm| arm.n == 149 && arm.per_fold.len() == 5)
    );
}

#[test]
fn seeds_are_averaged_and_counted_as_folds() {
    let mut case = noise_case(1);
    let other = noise_case(2);
    for (arm, second) in case.arms.iter_mut().zip(other.arms) {
        let moved = arm.predictions[0].clone();
        // The same truth is needed: shift the second seed's errors onto it.
        let Targets::Regression { values, .. } = &case.targets else {
            panic!("values")
        };
        let Targets::Regression { values: theirs, .. } = &other.targets else {
            panic!("values")
        };
        let shifted = second.predictions[0]
            .iter()
            .enumerate()
            .map(|(row, prediction)| {
                let Some(Prediction::Regression { values: predicted }) = prediction else {
                    panic!("a value")
                };
                Some(value(predicted[0] - theirs[row] + values[row]))
            });
        arm.predictions = vec![moved, shifted.collect()];
    }
    case.folds.push(case.folds[0].clone());
    let evidence = case.evaluate();
    assert_eq!((evidence.seeds, evidence.arms[0].per_fold.len()), (2, 10));
    let folds: Vec<f64> = evidence.arms[0]
        .per_fold
        .iter()
        .flatten()
        .copied()
        .collect();
    // Equal folds of a mean: the pooled value is the mean of folds.
    let mean = folds.iter().sum::<f64>() / 10.0;
    assert!((evidence.arms[0].pooled.expect("is defined") - mean).abs() < 1e-9);
    assert!(evidence.verdict.sentence.contains("5 folds × 2 seeds"));
}

#[test]
fn subgroups_are_told_part_by_part() {
    let mut rng = for_purpose("subgroups", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both] =
        [(4.0, 1.0), (1.0, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    let of_row = (0..200)
        .map(|row| (row >= 3).then_some(u32::from(row % 2 == 0)))
        .collect();
    let levels = vec!["odd".into(), "even".into(), "none".into()];
    case.facts.subgroups = vec![Grouping {
        name: "parity".into(),
        levels,
        of_row,
    }];
    let evidence = case.evaluate();
    let told: Vec<(&str, usize)> = evidence
        .parts
        .iter()
        .map(|part| (&part.part[..], part.n))
        .collect();
    assert_eq!(told, [("odd", 99), ("even", 98)]);
    assert!(
        evidence
            .parts
            .iter()
            .all(|part| part.delta < 0.0 && part.interval.is_some())
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut case = noise_case(0);
    case.arms.remove(0);
    let refuse = |case: &Case| {
        let study = Study {
            task: &case.task,
            targets: &case.targets,
            metric: case.metric,
            units: &case.units,
            folds: &case.folds,
            order: case.order,
            sizes: None,
            weights: None,
            arms: &case.arms,
            facts: &case.facts,
            how: Bootstrap::default(),
        };
        evaluate(&study).expect_err("is refused").to_string()
    };
    assert_eq!(
        refuse(&case),
        "nothing to compare: no arm for the image alone"
    );
    let mut case = noise_case(0);
    case.arms.truncate(1);
    assert_eq!(
        refuse(&case),
        "nothing to compare: no arm for any that includes metadata"
    );
    let mut case = noise_case(0);
    case.metric = "auroc";
    assert_eq!(
        refuse(&case),
        "arm `image` cannot be compared by `auroc`: it is not one of the task's metrics, or is undefined for these rows"
    );
}

#[test]
fn the_evidence_is_the_same_after_json_and_has_the_promised_fields() {
    let evidence = missingness_case().evaluate();
    let json = serde_json::to_value(&evidence).expect("is JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(
        json["metric"],
        serde_json::json!({"name": "log_loss", "higher_is_better": false})
    );
    for field in ["name", "n", "mean", "sd", "per_fold"] {
        assert!(json["arms"][0].get(field).is_some(), "{field}");
    }
    for field in ["arm", "reference", "metric", "delta", "low", "high", "p"] {
        assert!(json["differences"][0].get(field).is_some(), "{field}");
    }
    let decision = &json["decision"];
    assert_eq!(
        (&decision["score"], &decision["arm"], &decision["direction"]),
        (&"log_loss".into(), &"concat".into(), &"better".into())
    );
    for field in ["reference", "difference", "low", "high", "p", "sensitivity"] {
        assert!(decision.get(field).is_some(), "{field}");
    }
    assert_eq!(json["verdict"]["code"], "helps_but_spurious");
    assert_eq!(
        json["verdict"]["doubts"][0]["code"],
        "missingness_alone_predicts_target"
    );
    assert_eq!(json["verdict"]["doubts"][0]["spurious"], true);
    assert_eq!(
        serde_json::from_value::<Evidence>(json).expect("is evidence"),
        evidence
    );
}

#[test]
fn a_reference_that_learned_nothing_is_named() {
    let mut rng = for_purpose("chance", 0);
    let truth: Vec<usize> = (0..300)
        .map(|_| usize::from(uniform(&mut rng) < 0.8))
        .collect();
    // One that is right in six of ten rows, where saying `common` throughout is right in eight.
    let image: Vec<Prediction> = truth
        .iter()
        .map(|&class| {
            let said = if uniform(&mut rng) < 0.6 {
                class
            } else {
                1 - class
            };
            of_two(if said == 1 { 0.8 } else { 0.2 })
        })
        .collect();
    let constant = vec![of_two(0.8); truth.len()];
    let known: Vec<Prediction> = truth
        .iter()
        .map(|&class| of_two(if class == 1 { 0.9 } else { 0.1 }))
        .collect();
    for (both, better, code) in [
        (constant, false, VerdictCode::HelpsButSpurious),
        (known, true, VerdictCode::Helps),
    ] {
        let evidence = class_case(&truth, &["rare", "common"], "accuracy")
            .with_arm("image", Role::Image, image.clone())
            .with_arm("concat", Role::Fusion, both)
            .evaluate();
        assert_eq!(evidence.verdict.code, code, "{:#?}", evidence.verdict);
        let found = doubt(
            &evidence,
            |doubt| matches!(doubt, Doubt::ImageNoBetterThanChance { both_better, .. } if *both_better == better),
        );
        assert!(found.is_some(), "{:#?}", evidence.verdict);
    }
}

#[test]
fn the_verdict_is_about_the_arm_named_beforehand_and_says_which_others_are_better() {
    let mut rng = for_purpose("below metadata", 0);
    let truth: Vec<f64> = (0..200).map(|_| normal(&mut rng)).collect();
    let mut arm = |noise: f64| -> Vec<Prediction> {
        truth
            .iter()
            .map(|y| value(y + noise * normal(&mut rng)))
            .collect()
    };
    let [image, metadata, vote, concat] = [0.9, 0.1, 0.2, 0.6].map(&mut arm);
    let n = truth.len();
    let task = Task::Regression {
        columns: vec!["y".into()],
        scale: sidelight_data::config::TargetScale::Linear,
        mean: vec![0.0],
        sd: vec![1.0],
        range: vec![[-9.0, 9.0]],
    };
    let targets = Targets::Regression {
        names: vec!["y".into()],
        values: truth.clone(),
    };
    let evidence = case(task, targets, "mae", n)
        .with_arm("image", Role::Image, image)
        .with_arm("metadata", Role::Metadata, metadata)
        .with_arm("vote", Role::Vote, vote)
        .with_arm("concat", Role::Fusion, concat)
        .evaluate();
    assert_eq!(evidence.verdict.arm, "concat");
    let found = doubt(&evidence, |doubt| {
        matches!(doubt, Doubt::MetadataAloneDoesAsWell { better: true, .. })
    });
    assert!(found.is_some(), "{:#?}", evidence.verdict);
    let sentence = &evidence.verdict.sentence;
    let worse = sentence.split(" But ").nth(1).expect("is said");
    assert!(
        worse.starts_with("the model that you would train, `concat`, is ")
            && worse.contains("worse than `vote`: mae 0."),
        "{sentence}"
    );
}

#[test]
fn of_models_that_are_practically_perfect_none_is_called_worse() {
    let mut rng = for_purpose("perfect", 0);
    let truth: Vec<usize> = (0..200).map(|row| row % 2).collect();
    let mut told = |off: f64| {
        // The true class has a probability of about 1 − off.
        let mut arm = |off: f64| -> Vec<Prediction> {
            let mut p = |class: usize| (class as f64 - off * (0.5 + uniform(&mut rng))).abs();
            truth.iter().map(|&class| of_two(p(class))).collect()
        };
        let [image, metadata, trees, both] = [0.4, 0.0, 0.0, off].map(&mut arm);
        class_case(&truth, &["no", "yes"], "accuracy")
            .with_arm("image", Role::Image, image)
            .with_arm("metadata", Role::Metadata, metadata)
            .with_arm("trees", Role::Trees, trees)
            .with_arm("concat", Role::Fusion, both)
            .evaluate()
    };
    let is_worse = |doubt: &Doubt| matches!(doubt, Doubt::WorseThanAnotherArm { .. });
    let alone = |evidence: &Evidence| {
        evidence
            .verdict
            .doubts
            .iter()
            .find_map(|entry| match entry.doubt {
                Doubt::MetadataAloneDoesAsWell { better, .. } => Some(better),
                _ => None,
            })
    };
    // A log loss of 2e-5 against 2e-16: many times as much, of nothing.
    let evidence = told(2e-5);
    let line = |line: &&Difference| line.arm == "concat" && line.reference == "trees";
    let line = evidence.differences.iter().find(line).unwrap();
    assert_eq!(line.direction, Direction::Worse);
    assert!((line.delta - 2e-5).abs() < 5e-6, "{line:?}");
    assert!(
        doubt(&evidence, is_worse).is_none(),
        "{:#?}",
        evidence.verdict
    );
    assert_eq!(alone(&evidence), Some(false));
    assert!(!evidence.verdict.sentence.contains("worse"));

    // 0.012 of the 0.69 of a constant guess is told, but not as so many times nothing.
    let evidence = told(0.012);
    let found = doubt(&evidence, is_worse).expect("is doubted");
    let start = "the model that you would train, `concat`, is worse than `trees`: log loss 0.01";
    assert!(found.sentence.starts_with(start), "{}", found.sentence);
    assert_eq!(alone(&evidence), Some(true));
}

/// One row in five is `rare`. The image is too sure and errs towards it; both are calibrated, so `common` is said more.
fn three_metrics_case(metric: &'static str) -> Case {
    let mut rng = for_purpose("three metrics", 0);
    let truth: Vec<usize> = (0..2000).map(|row| usize::from(row / 5 % 5 == 0)).collect();
    // The evidence of each row as odds: normal, its means 1.5 standard deviations apart.
    let odds: Vec<f64> = truth
        .iter()
        .map(|&rare| 1.5 * (normal(&mut rng) + 1.5 * rare as f64) - 1.125 + 0.25_f64.ln())
        .collect();
    let image = odds
        .iter()
        .map(|z| of_two(sigmoid(2.0 * z + 0.6)))
        .collect();
    let both = odds.iter().map(|z| of_two(sigmoid(*z))).collect();
    class_case(&truth, &["common", "rare"], metric)
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
}

#[test]
fn one_data_set_gives_one_verdict_whatever_the_metric() {
    let mut sentences = Vec::new();
    for (metric, says) in [
        ("accuracy", Direction::Undecided),
        ("log_loss", Direction::Better),
        ("balanced_accuracy", Direction::Worse),
    ] {
        let evidence = three_metrics_case(metric).evaluate();
        let lines = &evidence.differences;
        let told = lines.iter().find(|line| line.metric == metric);
        assert_eq!(told.map(|line| line.direction), Some(says), "{metric}");
        assert_eq!(evidence.verdict.code, VerdictCode::Helps, "{metric}");
        assert_eq!(evidence.decision.score, "log_loss");
        assert_eq!(evidence.metric.name, metric);
        sentences.push(evidence.verdict.sentence);
    }
    for sentence in &sentences {
        let decided = "Metadata helps: adding it (`concat`) lowers log loss by";
        assert!(sentence.starts_with(decided), "{sentence}");
    }
    assert!(
        sentences[0].contains("By itself, accuracy")
            && sentences[0].contains("which may be chance, but does not decide"),
        "{}",
        sentences[0]
    );
    let why = "which is worse, but does not decide: balanced accuracy counts only which answer is most probable, and \
               every class alike, however rare; log loss does not; 80\u{202F}% of the rows are `common`.";
    assert!(sentences[2].ends_with(why), "{}", sentences[2]);
}

#[test]
fn whatever_the_metric_every_study_has_one_verdict() {
    for seed in 0..12 {
        let verdict = |metric| {
            let mut case = noise_case(seed);
            case.metric = metric;
            let evidence = case.evaluate();
            (evidence.verdict.code, evidence.decision.difference)
        };
        let first = verdict("mae");
        for metric in ["rmse", "r2", "median_ae"] {
            assert_eq!(verdict(metric), first, "{metric}, seed {seed}");
        }
    }
}

#[test]
fn an_interval_that_excludes_zero_never_stands_beside_may_be_chance_without_what_decides() {
    for seed in 0..60 {
        let evidence = noise_case(seed).evaluate();
        let told = &evidence.decision.sensitivity[0].line;
        let sentence = &evidence.verdict.sentence;
        let apart = told.direction != evidence.decision.direction;
        assert_eq!(sentence.contains("does not decide: "), apart, "{sentence}");
        assert!(sentence.contains("Huber loss decides"), "{sentence}");
        assert!(!sentence.contains(" 0 to 0)"), "{sentence}");
    }
}

#[test]
fn targets_of_different_units_count_alike_and_each_is_shown_in_its_own() {
    let mut rng = for_purpose("units", 0);
    let n = 200;
    let values: Vec<f64> = (0..n)
        .flat_map(|_| [3e5 + 1e5 * normal(&mut rng), 3.0 + normal(&mut rng)])
        .collect();
    let columns: Vec<String> = ["price", "bedrooms"].map(String::from).to_vec();
    let task = Task::Regression {
        columns: columns.clone(),
        scale: TargetScale::Linear,
        mean: vec![3e5, 3.0],
        sd: vec![1e5, 1.0],
        range: vec![[0.0, 1e6], [0.0, 9.0]],
    };
    // The image errs by half a standard deviation in both, the fused arm less in bedrooms alone.
    let mut arm = |price: f64, bedrooms: f64| -> Vec<Prediction> {
        let rows = values.chunks(2);
        rows.map(|row| Prediction::Regression {
            values: vec![
                row[0] + price * normal(&mut rng),
                row[1] + bedrooms * normal(&mut rng),
            ],
        })
        .collect()
    };
    let (image, both) = (arm(5e4, 0.5), arm(5e4, 0.2));
    let (metric, _) = crate::metric::main_metric(&task);
    assert_eq!(metric, "scaled_mae");
    let targets = Targets::Regression {
        names: columns,
        values: values.clone(),
    };
    let evidence = case(task, targets, metric, n)
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both)
        .evaluate();
    assert_eq!(evidence.verdict.code, VerdictCode::Helps);
    let parts: Vec<(&str, &str)> = evidence
        .parts
        .iter()
        .map(|part| (&part.part[..], &part.metric[..]))
        .collect();
    assert_eq!(parts, [("price", "mae"), ("bedrooms", "mae")]);
    assert!(evidence.parts[0].image > 1e4 && evidence.parts[1].image < 1.0);
}

#[test]
fn several_columns_that_the_gain_needs_are_one_doubt() {
    let mut rng = for_purpose("several", 0);
    let values = Values::new(&mut rng, 200);
    let [image, both] =
        [(4.0, 1.0), (1.0, 0.5)].map(|(shared, own)| values.arm(&mut rng, shared, own));
    let mut case = values
        .case()
        .with_arm("image", Role::Image, image)
        .with_arm("concat", Role::Fusion, both);
    let fact = |column: &str| ColumnFact {
        column: column.into(),
        used: true,
        share_of_gain: Some(1.0),
        alone: Some(0.2),
        ..ColumnFact::default()
    };
    case.facts.columns = ["a", "b", "c"].map(fact).to_vec();
    let doubts = case.evaluate().verdict.doubts;
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    assert!(
        doubts[0].sentence.ends_with(
            "by itself it goes 20\u{202F}% of the way from chance to perfect; \
             so does permuting `b`, `c`: the gain needs them together"
        ),
        "{}",
        doubts[0].sentence
    );
}

#[test]
fn trees_that_need_no_network_and_trees_that_only_read_columns_better_are_told_apart() {
    let mut rng = for_purpose("trees", 0);
    let values = Values::new(&mut rng, 200);
    let mut told = |trees, both| {
        let quality = [4.0, 2.0, trees, both];
        let [image, metadata, trees, both] = quality.map(|own| values.arm(&mut rng, own, 0.2));
        let evidence = values
            .case()
            .with_arm("image", Role::Image, image)
            .with_arm("metadata", Role::Metadata, metadata)
            .with_arm("trees", Role::Trees, trees)
            .with_arm("concat", Role::Fusion, both)
            .evaluate();
        assert_eq!(evidence.verdict.arm, "concat");
        let line = |line: &&Difference| line.arm == "concat" && line.reference == "trees";
        // By the score and by the metric.
        assert_eq!(evidence.differences.iter().filter(line).count(), 2);
        let is_ours = |entry: &&DoubtEntry| entry.sentence.starts_with("boosted trees");
        let doubts: Vec<_> = evidence
            .verdict
            .doubts
            .iter()
            .filter(is_ours)
            .cloned()
            .collect();
        assert!(doubts.len() < 2 && doubts.iter().all(|entry| !entry.spurious));
        doubts.into_iter().next().map(|entry| entry.doubt)
    };
    assert!(matches!(told(0.5, 1.5), Some(Doubt::TreesAreBest { arm, .. }) if arm == "concat"));
    assert!(matches!(
        told(1.0, 0.5),
        Some(Doubt::TreesUseColumnsBetter { .. })
    ));
    assert_eq!(told(3.0, 1.0), None);
}

#[test]
fn rows_that_are_only_learned_from_count_nowhere_and_later_copies_are_no_doubt() {
    let mut case = noise_case(0);
    let n = case.units.len();
    // Three blocks of time; the first is never tested.
    case.folds = vec![(0..n).map(|row| (3 * row / n) as u32).collect()];
    case.order = FoldOrder::Forward;
    let tested: Vec<usize> = (0..n).filter(|&row| case.folds[0][row] > 0).collect();
    for arm in &mut case.arms {
        arm.predictions[0][..tested[0]].fill(None);
    }
    let evidence = case.evaluate();
    assert_eq!((evidence.rows, evidence.folds), (tested.len(), 2));
    for arm in &evidence.arms {
        assert_eq!(
            (arm.n, arm.per_fold.len()),
            (tested.len(), 2),
            "{}",
            arm.name
        );
    }
    let copies = |case: &Case| {
        let doubts = case.evaluate().verdict.doubts;
        doubts.into_iter().find_map(|entry| match entry.doubt {
            Doubt::DuplicatesAcrossFolds { rows, .. } => Some(rows),
            _ => None,
        })
    };
    // A copy in the block before is learned from: one row of each of two pairs is told of. One in the same block is not.
    let [middle, last] = [tested[0], n - 1];
    case.facts.duplicates = vec![[0, middle], [middle + 1, last], [middle, middle + 2]];
    assert_eq!(copies(&case), Some(2));
    // Of one group: then the earlier row was left out.
    case.units[0] = case.units[middle];
    assert_eq!(copies(&case), Some(1));
    // The pictures of the first block alone are no doubt at all.
    case.facts.duplicates = vec![[0, 1]];
    assert_eq!(copies(&case), None);
}
