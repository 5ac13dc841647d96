//! What a comparison promises, on data whose truth is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use sidelight::Error;
use sidelight::compare::{CompareOptions, Compared, Earlier, Event, Speed, Work, compare};
use sidelight::config::{Config, TargetConfig};
use sidelight::dataset::ImageSource;
use sidelight::error::EvidenceError;
use sidelight::evidence::{Doubt, Evidence, Role, VerdictCode};
use sidelight::ranks::{Alone, Ranks, Threads};
use tempfile::TempDir;

use crate::scenes::{noise, stream};

/// A table of pictures without a meaning, their class, and these columns (with their header).
fn table(columns: &str, rows: &[(bool, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut random = stream(1);
    let mut csv = format!("file_name,answer,{columns}\n");
    for (row, (answer, cells)) in rows.iter().enumerate() {
        let ImageSource::Bytes { bytes, .. } = noise(row, &mut random) else {
            unreachable!("it is made in memory")
        };
        fs::write(folder.path().join(format!("{row}.png")), bytes).unwrap();
        csv += &format!("{row}.png,{},{cells}\n", if *answer { "yes" } else { "no" });
    }
    fs::write(folder.path().join("metadata.csv"), csv).unwrap();
    folder
}

fn config(folder: &TempDir, more: &[&str]) -> Config {
    let text = "[data]\ntable = \"metadata.csv\"\n[target]\nkind = \"class\"\ncolumn = \"answer\"\n\
                [augment]\nprobability = 0.0\nflip = false\n[model]\nhidden = 16\ndropout = 0.0\n\
                [train]\nsize = 24\nbatch = 16\nworkers = 1\nepochs = 8\nlearning_rate = 1e-2\n";
    let path = folder.path().join("sidelight.toml");
    fs::write(&path, text).unwrap();
    let more: Vec<String> = more.iter().map(|set| (*set).to_owned()).collect();
    Config::read(&path, &more).unwrap()
}

/// Three folds, quick, these arms (none: all).
struct Asked<'a> {
    out: &'a Path,
    folds: usize,
    arms: &'a [&'a str],
    work: Work,
    earlier: Earlier,
    speed: Speed,
    ranks: Arc<dyn Ranks>,
}

impl<'a> Asked<'a> {
    fn new(out: &'a Path) -> Self {
        Self {
            out,
            folds: 3,
            arms: &[],
            work: Work::All,
            earlier: Earlier::Reuse,
            speed: Speed::Quick,
            ranks: Arc::new(Alone),
        }
    }

    fn run(&self, config: &Config, events: &mut Vec<Event>) -> sidelight::Result<Compared> {
        compare(
            config,
            CompareOptions {
                out: self.out.to_path_buf(),
                earlier: self.earlier,
                folds: self.folds,
                seeds: 1,
                arms: self.arms.iter().map(|arm| (*arm).to_owned()).collect(),
                metric: None,
                speed: self.speed,
                work: self.work,
                cache: None,
                ranks: Arc::clone(&self.ranks),
                stop: None,
                on_event: Some(&mut |event| events.push(event)),
            },
        )
    }

    fn answer(&self, config: &Config) -> Evidence {
        match self.run(config, &mut Vec::new()).unwrap() {
            Compared::Answer(evidence) => *evidence,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, config: &Config) -> Error {
        self.run(config, &mut Vec::new()).unwrap_err()
    }
}

fn is(rng: &mut impl Rng, one_in: u32) -> bool {
    rng.next_u32().is_multiple_of(one_in)
}

fn number(rng: &mut impl Rng) -> f64 {
    f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// The class is the sign of `a + b`, nearly always; `c` means nothing.
fn decided(n: usize) -> TempDir {
    let mut rng = stream(2);
    let rows: Vec<(bool, String)> = (0..n)
        .map(|_| {
            let [a, b, c] = std::array::from_fn(|_| number(&mut rng));
            let flips = is(&mut rng, 12);
            ((a + b > 0.0) != flips, format!("{a:.3},{b:.3},{c:.3}"))
        })
        .collect();
    table("a,b,c", &rows)
}

/// The class is a coin toss, and so is everything else.
fn meaningless(
    n: usize,
    columns: &str,
    cells: impl Fn(usize, &mut dyn FnMut() -> f64) -> String,
) -> TempDir {
    let mut rng = stream(3);
    let rows: Vec<(bool, String)> = (0..n)
        .map(|row| (row % 2 == 0, cells(row, &mut || number(&mut rng))))
        .collect();
    table(columns, &rows)
}

#[test]
fn metadata_that_decides_the_class_helps() {
    let folder = decided(240);
    let out = folder.path().join("out");
    // Three fits say little of how much fits vary.
    let asked = Asked {
        folds: 5,
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config(&folder, &[]));
    assert_eq!(
        evidence.verdict.code,
        VerdictCode::Helps,
        "{:#?}",
        evidence.verdict
    );
    let score = |role| {
        evidence
            .arms
            .iter()
            .find(|arm| arm.role == role)
            .and_then(|arm| arm.pooled)
            .unwrap()
    };
    assert!(
        score(Role::Fusion) > 0.75 && score(Role::Image) < 0.65,
        "{:#?}",
        evidence.arms
    );
    assert!(
        score(Role::Shuffled) < 0.65 && score(Role::AllMissing) < 0.7,
        "{:#?}",
        evidence.arms
    );
    // No cell is missing, so nothing could be learned from gaps.
    assert!(evidence.arms.iter().all(|arm| arm.role != Role::GapsOnly));
    // At 100 % missing the curve meets the control.
    let last = evidence
        .missingness
        .iter()
        .find(|point| point.arm == "stacked" && point.share == 1.0);
    assert_eq!(last.map(|point| point.value), Some(score(Role::AllMissing)));

    let csv = fs::read_to_string(out.join("out_of_fold.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 240 * 8);
    assert!(
        csv.starts_with(
            "arm,seed,fold,row,image,true_answer,prediction,probability,p(no),p(yes)\nimage,1,"
        ),
        "{csv}"
    );
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("Metadata helps") && html.contains("quick: "));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("compare.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["speed"], "quick");
    assert_eq!(json["verdict"]["code"], "helps");
    assert_eq!(json["decision"]["score"], "log_loss");
    assert_eq!(json["decision"]["direction"], "better");
}

#[test]
fn noise_does_not_help() {
    let folder = meaningless(90, "a,b,c", |_, draw| {
        format!("{:.3},{:.3},{:.3}", draw(), draw(), draw())
    });
    let out = folder.path().join("out");
    let asked = Asked {
        arms: &["metadata", "vote", "both"],
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config(&folder, &[]));
    assert_ne!(
        evidence.verdict.code,
        VerdictCode::Helps,
        "{:#?}",
        evidence.verdict
    );
    assert_ne!(
        evidence.verdict.code,
        VerdictCode::HelpsButSpurious,
        "{:#?}",
        evidence.verdict
    );
}

/// What has learned noise by heart is sure of it, until it is asked about rows that it has not seen: as the model that
/// `train` saves has a temperature, an arm has one.
#[test]
fn an_arm_is_as_sure_as_the_model_that_a_person_would_train() {
    let names: Vec<String> = (0..12).map(|column| format!("c{column}")).collect();
    let folder = meaningless(120, &names.join(","), |_, draw| {
        let cells: Vec<String> = names.iter().map(|_| format!("{:.3}", draw())).collect();
        cells.join(",")
    });
    let out = folder.path().join("out");
    let asked = Asked {
        arms: &["metadata", "both"],
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config(
        &folder,
        &["model.fusion=concat", "train.epochs=40"],
    ));
    for arm in &evidence.arms {
        let log_loss = arm.score.expect("of classes there is one");
        assert!(log_loss < 0.9, "{}: {log_loss}, by chance 0.69", arm.name);
    }
}

#[test]
fn gaps_that_are_the_class_are_named() {
    // The value says nothing; of one class it is missing more often than not.
    let folder = meaningless(120, "angle,c", |row, draw| {
        let (angle, gap, c) = (draw(), draw(), draw());
        match row % 2 == 0 && gap > -0.4 {
            true => format!(",{c:.3}"),
            false => format!("{angle:.3},{c:.3}"),
        }
    });
    let out = folder.path().join("out");
    let asked = Asked {
        arms: &["metadata", "both", "gaps-only"],
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config(&folder, &["train.epochs=16"]));
    let is_named = |entry: &&sidelight::evidence::DoubtEntry| {
        matches!(entry.doubt, Doubt::MissingnessAlonePredictsTarget { .. })
    };
    let named = evidence.verdict.doubts.iter().find(is_named);
    assert!(named.is_some(), "{:#?}", evidence.verdict);
    assert_ne!(
        evidence.verdict.code,
        VerdictCode::Helps,
        "{:#?}",
        evidence.verdict
    );
}

#[test]
fn a_column_that_is_the_class_in_other_words_is_named() {
    let mut rng = stream(5);
    let rows: Vec<(bool, String)> = (0..90)
        .map(|row| {
            let c = number(&mut rng);
            (row % 2 == 0, format!("{},{c:.3}", ["ill", "well"][row % 2]))
        })
        .collect();
    let folder = table("finding,c", &rows);
    let out = folder.path().join("out");
    let asked = Asked {
        arms: &["both"],
        ..Asked::new(&out)
    };
    let sets = ["metadata.finding=categorical", "metadata.c=continuous"];
    let evidence = asked.answer(&config(&folder, &sets));
    assert_eq!(
        evidence.verdict.code,
        VerdictCode::HelpsButSpurious,
        "{:#?}",
        evidence.verdict
    );
    let is_named = |entry: &sidelight::evidence::DoubtEntry| matches!(&entry.doubt, Doubt::OneColumnCarriesItAll { column, .. } if column == "finding");
    assert!(
        evidence.verdict.doubts.iter().any(is_named),
        "{:#?}",
        evidence.verdict
    );
}

#[test]
fn an_image_that_is_in_two_folds_is_named_and_groups_are_whole() {
    let folder = meaningless(90, "a,house", |row, draw| {
        format!("{:.3},{}", draw(), row / 2)
    });
    // Rows 0 and 45, 1 and 46, … have the same picture.
    for row in 0..45 {
        fs::copy(
            folder.path().join(format!("{row}.png")),
            folder.path().join(format!("{}.png", row + 45)),
        )
        .unwrap();
    }
    let out = folder.path().join("out");
    let asked = Asked {
        arms: &["both"],
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config(
        &folder,
        &["data.group=house", "metadata.a=continuous"],
    ));
    let duplicates = evidence
        .verdict
        .doubts
        .iter()
        .find_map(|entry| match entry.doubt {
            Doubt::DuplicatesAcrossFolds { rows, .. } => Some(rows),
            _ => None,
        });
    assert!(
        duplicates.is_some_and(|rows| rows > 20),
        "{:#?}",
        evidence.verdict
    );
    assert_eq!(evidence.units, 45);

    let csv = fs::read_to_string(out.join("out_of_fold.csv")).unwrap();
    let mut fold_of: BTreeMap<String, String> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let (fold, group) = (cells[2].to_owned(), cells[5].to_owned());
        assert_eq!(
            fold_of.entry(group).or_insert(fold.clone()),
            &fold,
            "{line}"
        );
    }
    assert_eq!(fold_of.len(), 45);
}

#[test]
fn trees_find_what_columns_say_together() {
    let mut rng = stream(5);
    // Which of two thresholds was passed; rare names, a column that never changes, one that is often missing.
    let rows: Vec<(bool, String)> = (0..150)
        .map(|row| {
            let [a, b, c] = std::array::from_fn(|_| number(&mut rng));
            let gap = if is(&mut rng, 3) {
                String::new()
            } else {
                format!("{c:.3}")
            };
            let name = if row % 40 == 0 {
                format!("only {row}")
            } else {
                "usual".into()
            };
            (
                (a > 0.2) != (b > -0.1),
                format!("{a:.3},{b:.3},{gap},{name},7"),
            )
        })
        .collect();
    let folder = table("a,b,c,name,same", &rows);
    let (config, out) = (
        config(&folder, &["train.epochs=1"]),
        folder.path().join("out"),
    );
    let asked = Asked {
        arms: &["metadata", "trees", "both"],
        ..Asked::new(&out)
    };
    let evidence = asked.answer(&config);
    let trees = evidence
        .arms
        .iter()
        .find(|arm| arm.role == Role::Trees)
        .unwrap();
    assert!(trees.pooled.unwrap() > 0.85, "{trees:?}");
    let points = evidence
        .missingness
        .iter()
        .filter(|point| point.arm == "trees");
    let points: Vec<f64> = points.map(|point| point.value).collect();
    assert!(
        points.len() == 5 && points[4] < points[0] - 0.2,
        "{points:?}"
    );
    // Nothing is done twice, and the same seed says the same.
    let before = kept(&out);
    assert_eq!(asked.answer(&config).arms, evidence.arms);
    assert_eq!(kept(&out), before);
}

#[test]
fn trees_predict_every_kind_of_target_of_twenty_rows() {
    let mut rng = stream(6);
    let rows: Vec<(bool, String)> = (0..20)
        .map(|row| {
            let a = number(&mut rng);
            let (big, odd, x) = (a > 0.0, row % 3 == 1, 8.0 + 4.0 * a);
            (
                row % 2 == 0,
                format!("{a:.3},{big},{odd},{x:.2},{:.2},{:.3}", 16.0 - x, 3.0 * a),
            )
        })
        .collect();
    let folder = table("a,big,odd,x,y,value", &rows);
    let targets = [
        TargetConfig::class("answer"),
        TargetConfig::multilabel(["big", "odd"]),
        TargetConfig::regression("value"),
        TargetConfig::keypoints(["x", "y"]),
    ];
    for target in targets {
        let mut config = config(&folder, &["train.epochs=1"]);
        config.target = target;
        let target = config.target.kind;
        let out = folder.path().join(format!("{target:?}"));
        let asked = Asked {
            arms: &["trees", "both"],
            ..Asked::new(&out)
        };
        let evidence = asked.answer(&config);
        let trees = evidence
            .arms
            .iter()
            .find(|arm| arm.role == Role::Trees)
            .unwrap();
        assert!(
            trees.pooled.is_some_and(f64::is_finite),
            "{target:?}: {trees:?}"
        );
    }
}

/// Every job's file and when it was written.
fn kept(out: &Path) -> BTreeMap<String, std::time::SystemTime> {
    fs::read_dir(out.join("jobs"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().modified().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_answer_is_the_same_however_the_work_was_divided() {
    let folder = decided(60);
    let config = config(&folder, &["train.epochs=3", "model.fusion=film"]);
    let [plain, shared, threads] =
        ["plain", "shared", "threads"].map(|name| folder.path().join(name));
    let answer = |out: &Path| {
        ["compare.json", "out_of_fold.csv"].map(|name| fs::read(out.join(name)).unwrap())
    };
    // Film joins before the pooling, the image alone is read after it: one set of features serves both.
    let arms = &["trees", "vote", "weighted-vote", "both", "shuffled"][..];
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let _ = Asked {
        arms,
        ..Asked::new(&plain)
    }
    .answer(&config);
    assert_eq!(kept(&plain).len(), 5 * 3);

    let part = |index| Asked {
        arms,
        work: Work::Share { index, of: 2 },
        ..Asked::new(&shared)
    };
    let join = Asked {
        arms,
        work: Work::Join,
        ..Asked::new(&shared)
    };
    let done = part(0).run(&config, &mut Vec::new()).unwrap();
    assert!(
        matches!(done, Compared::Share { done: 8, jobs: 15 }),
        "{done:?}"
    );
    assert!(matches!(
        join.refused(&config),
        Error::JobsMissing {
            missing: 7,
            total: 15,
            ..
        }
    ));
    let done = part(1).run(&config, &mut Vec::new()).unwrap();
    assert!(
        matches!(done, Compared::Share { done: 15, jobs: 15 }),
        "{done:?}"
    );
    let _ = join.answer(&config);
    assert_eq!(answer(&shared), answer(&plain));

    // Ranks take from one queue: every job once, whoever comes first, and the first rank says what they found.
    let queue = folder.path().join("queue");
    let ranks = Threads::run(3, |ranks| {
        let mut events = Vec::new();
        let asked = Asked {
            arms,
            ranks: Arc::clone(&ranks),
            ..Asked::new(&queue)
        };
        let compared = asked.run(&config, &mut events).unwrap();
        let has_answer = matches!(compared, Compared::Answer(_));
        assert_eq!(has_answer, ranks.is_first(), "{compared:?}");
        let jobs = events.into_iter().filter_map(|event| match event {
            Event::Job { name, .. } => Some(name),
            _ => None,
        });
        jobs.collect::<Vec<_>>()
    });
    let mut jobs = ranks.concat();
    jobs.sort();
    jobs.dedup();
    assert_eq!((jobs.len(), ranks.concat().len()), (15, 15), "{ranks:?}");
    assert_eq!(answer(&queue), answer(&plain));

    let mut other = config.clone();
    other.train.workers = 3;
    let _ = one.install(|| {
        Asked {
            arms,
            ..Asked::new(&threads)
        }
        .answer(&other)
    });
    assert_eq!(answer(&threads), answer(&plain));

    // Run again, it redoes nothing; of what was lost, only that.
    let before = kept(&plain);
    let _ = Asked {
        arms,
        ..Asked::new(&plain)
    }
    .answer(&config);
    assert_eq!(kept(&plain), before);
    let lost = "film.seed-1.fold-2.json";
    fs::remove_file(plain.join("jobs").join(lost)).unwrap();
    fs::remove_file(plain.join("compare.json")).unwrap();
    let _ = Asked {
        arms,
        ..Asked::new(&plain)
    }
    .answer(&config);
    let after = kept(&plain);
    assert!(
        before
            .iter()
            .all(|(name, time)| (name == lost) != (after[name] == *time))
    );
    assert_eq!(answer(&plain), answer(&shared));

    // Other settings, other rows, something that is not a result.
    let mut differs = config.clone();
    differs.train.learning_rate = 1e-3;
    let asked = Asked {
        arms,
        ..Asked::new(&plain)
    };
    assert!(matches!(asked.refused(&differs), Error::JobDiffers { .. }));
    let full = Asked {
        arms,
        speed: Speed::Full,
        ..Asked::new(&plain)
    };
    assert!(matches!(full.refused(&config), Error::JobDiffers { .. }));
    let path = plain.join("jobs").join(lost);
    let mut edited: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edited["test"].as_array_mut().unwrap().pop();
    for text in ["{".to_owned(), edited.to_string()] {
        fs::write(&path, text).unwrap();
        assert!(matches!(asked.refused(&config), Error::JobFile { .. }));
    }
    let anew = Asked {
        arms: &["vote"],
        earlier: Earlier::Discard,
        ..Asked::new(&plain)
    };
    let _ = anew.answer(&differs);
    assert_eq!(kept(&plain).len(), 2 * 3);
}

#[test]
fn a_full_comparison_trains_the_backbone() {
    let folder = decided(36);
    let config = config(&folder, &["train.epochs=2"]);
    let predicted = |name: &str, speed| {
        let out = folder.path().join(name);
        let arms = &["both"][..];
        let asked = Asked {
            arms,
            speed,
            ..Asked::new(&out)
        };
        let _ = asked.answer(&config);
        fs::read_to_string(out.join("out_of_fold.csv")).unwrap()
    };
    let (quick, full) = (
        predicted("quick", Speed::Quick),
        predicted("full", Speed::Full),
    );
    assert_ne!(quick, full);
    // The same rows in the same folds.
    let places = |csv: &str| -> Vec<String> {
        csv.lines()
            .map(|line| line.split(',').take(6).collect::<Vec<_>>().join(","))
            .collect()
    };
    assert_eq!(places(&quick), places(&full));
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_trained() {
    let folder = decided(24);
    let config = config(&folder, &[]);
    let out = folder.path().join("out");
    let with = |arms| Asked {
        arms,
        ..Asked::new(&out)
    };
    let refused = with(&["imgae"]).refused(&config);
    assert_eq!(
        refused.hint().as_deref(),
        Some("did you mean `image`?"),
        "{refused}"
    );
    assert!(matches!(
        with(&["metadata"]).refused(&config),
        Error::Evidence(EvidenceError::NoSuchArm { .. })
    ));
    assert!(matches!(
        with(&["vote", "shuffled"]).refused(&config),
        Error::Evidence(EvidenceError::NoSuchArm { .. })
    ));
    for (folds, seeds) in [(25, 1), (3, 0), (3, usize::MAX), (usize::MAX, 1)] {
        let options = CompareOptions {
            folds,
            seeds,
            ..CompareOptions::new(&out)
        };
        compare(&config, options).unwrap_err();
    }
    assert!(!out.exists());
    fs::create_dir(&out).unwrap();
    fs::write(out.join("diary.txt"), "dear diary").unwrap();
    assert!(matches!(
        with(&[]).refused(&config),
        Error::OutputNotEmpty { .. }
    ));
    assert!(out.join("diary.txt").exists());
}

/// Twelve stretches of time, each with a name of its own and with nearly one answer alone.
fn drifting() -> TempDir {
    let mut rng = stream(9);
    let rows: Vec<(bool, String)> = (0..240)
        .map(|row| {
            let stretch = row / 20;
            let answer = [true, false, false, true, true, false][stretch % 6] != is(&mut rng, 10);
            (answer, format!("s{stretch},{row}"))
        })
        .collect();
    table("stretch,when", &rows)
}

#[test]
fn what_only_names_its_own_time_helps_in_random_folds_and_not_in_those_of_time() {
    let folder = drifting();
    let sets = ["metadata.stretch=categorical", "train.freeze=true"];
    let out = |name| folder.path().join(name);
    let random = Asked {
        arms: &["both"],
        speed: Speed::Full,
        ..Asked::new(&out("random"))
    }
    .answer(&config(&folder, &sets));
    assert_eq!(
        random.verdict.code,
        VerdictCode::Helps,
        "{}",
        random.verdict.sentence
    );
    assert_eq!(random.rows, 240);

    let by_time = config(&folder, &[sets[0], sets[1], "data.time=when"]);
    let forward = Asked {
        arms: &["both"],
        speed: Speed::Full,
        ..Asked::new(&out("forward"))
    }
    .answer(&by_time);
    assert!(
        matches!(
            forward.verdict.code,
            VerdictCode::NoEvidence | VerdictCode::Harms
        ),
        "{}",
        forward.verdict.sentence
    );
    // The first of four blocks is only learned from.
    assert_eq!((forward.rows, forward.units, forward.folds), (180, 180, 3));
    // Chance says the shares of what was before: with 10 % of the answers turned, blocks of 60 rows have shares of their
    // own, and the table counts them by hand.
    let csv = fs::read_to_string(folder.path().join("metadata.csv")).unwrap();
    let answers: Vec<bool> = csv
        .lines()
        .skip(1)
        .map(|line| line.contains(",yes,"))
        .collect();
    let loss = |block: usize| {
        let before = &answers[..60 * block];
        let share = before.iter().filter(|yes| **yes).count() as f64 / before.len() as f64;
        let of_row = |yes: &bool| -(if *yes { share } else { 1.0 - share }).ln();
        answers[60 * block..60 * (block + 1)]
            .iter()
            .map(of_row)
            .sum::<f64>()
    };
    let expected = (1..4).map(loss).sum::<f64>() / 180.0;
    let chance = forward
        .arms
        .iter()
        .find(|arm| arm.role == Role::Chance)
        .unwrap();
    assert!(
        (chance.score.unwrap() - expected).abs() < 1e-6,
        "{chance:?} {expected}"
    );
}
