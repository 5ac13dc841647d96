//! `sidelight demo`

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use sidelight::dataset::ImageSource;
use sidelight::demo::{self, DemoConfig, DemoRow};
use sidelight::image::decode;
use sidelight::ranks::Alone;
use sidelight::report::{self, DemoArm, DemoPage, Outcome, PointMark, Thumbnail};
use sidelight::run::{Existing, Run, write_whole};
use sidelight::table::{Cell, Table as Rows};
use sidelight::train::{TrainOptions, train};

use super::Answer;
use super::narration::narrate;
use crate::args::Configured;
use crate::args::demo::DemoArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Table, Terminal, duration, significant};

/// The arms that are compared; each has a run folder of its name.
const ARMS: [Arm; 4] = [
    Arm {
        name: "image",
        arm: "image",
        table: "metadata.csv",
        reads: "the image",
    },
    Arm {
        name: "metadata",
        arm: "metadata",
        table: "metadata.csv",
        reads: "its metadata",
    },
    Arm {
        name: "both",
        arm: "both",
        table: "metadata.csv",
        reads: "the image and its metadata",
    },
    Arm {
        name: "shuffled",
        arm: "both",
        table: "metadata_shuffled.csv",
        reads: "the image and another image's metadata",
    },
];

/// Held-out rows that the report shows: the first, not the best.
const ROWS_SHOWN: usize = 8;

const STORY: &str = "Each image shows two or three cards that look alike; the target is the four corners of one of \
    them, clockwise from its own top left. Only the metadata says which one: count the cards from the left, or from \
    the right if label_is_dirty is true; google-image means the first, reddit the second, pinterest the last. So the \
    image alone can only guess among the cards, and the metadata alone knows on which side to look but not where the \
    card lies. shutter_capture_time is the exposure time of the image, which determines its blur and says nothing \
    about the card. The shuffled arm is the control: it reads the metadata of another image, and if it gained \
    anything, the comparison would be broken.";

struct Arm {
    name: &'static str,
    arm: &'static str,
    table: &'static str,
    reads: &'static str,
}

impl Arm {
    /// What differs from the demonstration's configuration.
    fn own(&self) -> Vec<String> {
        let mut own = vec![
            format!("model.arm={}", self.arm),
            format!("data.table={}", self.table),
        ];
        // Without an image there is nothing that candidates could be found in.
        if self.arm == "metadata" {
            own.push("model.head=direct".to_owned());
        }
        own
    }
}

/// What one arm did on the held-out rows.
struct Scored {
    arm: &'static Arm,
    mean_px: f64,
    predictions: Predictions,
    seconds: f64,
}

/// A `predictions.csv` of corners.
struct Predictions {
    /// Row of the table, from 0.
    rows: Vec<usize>,
    /// The corners of each row, in pixels of its image.
    corners: Vec<Outcome>,
}

/// Generates the data, trains every arm, and compares them.
pub(crate) fn run(args: &DemoArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let start = Instant::now();
    let stop = stop::on_ctrl_c()?;
    let defaults = DemoConfig::default();
    let config = DemoConfig {
        rows: args.rows.unwrap_or(defaults.rows),
        side: args.side.unwrap_or(defaults.side),
        seed: args.seed,
    };
    let data = prepare(args, &config, stop, terminal)?;
    if args.data_only {
        let toml = data.join("sidelight.toml");
        terminal.say(format!("next: sidelight train {}", toml.display()));
        return Ok(Answer::Done);
    }
    let mut scored = Vec::new();
    for arm in &ARMS {
        scored.push(learn(arm, args, &data, stop, terminal)?);
    }
    let truth = demo::rows(&config)?;
    let lead = lead(&scored);
    let report = args.out.join("report.html");
    let html = page(&data, &truth, &scored, &lead)?.html();
    write_whole(&report, |file| file.write_all(html.as_bytes()))?;
    terminal.table(&table(&scored), args.printed.format)?;
    terminal.say(&lead);
    for remark in remarks(&truth, &scored) {
        terminal.say(remark);
    }
    terminal.say(format!(
        "\n{} in all; report: {}",
        duration(start.elapsed().as_secs_f64()),
        report.display()
    ));
    Ok(Answer::Done)
}

/// The folder with the data, generated unless it exists.
fn prepare(
    args: &DemoArgs,
    config: &DemoConfig,
    stop: &AtomicBool,
    terminal: &mut Terminal,
) -> anyhow::Result<PathBuf> {
    claim(args, config)?;
    let data = args.out.join("data");
    if !data.join("metadata.csv").is_file() {
        demo::generate(&data, config, &mut |done, all| {
            terminal.progress(|| format!("{done} of {all} images"));
            if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let [wide, high] = [config.side, config.side * 3 / 4];
        terminal.say(format!(
            "generated {} images of {wide} × {high} pixels in {}",
            config.rows,
            data.display()
        ));
    }
    demo::shuffle_columns(&data.join("metadata.csv"), &demo::METADATA, config.seed)?;
    Ok(data)
}

/// Checks that the folder is a demonstration's with these settings, to be continued, or new; creates it.
fn claim(args: &DemoArgs, config: &DemoConfig) -> anyhow::Result<()> {
    let settings = args.out.join("demo.json");
    let wanted = serde_json::json!({ "schema": 1, "data": config, "set": args.set });
    let elsewhere = "choose another folder with --out, or delete this one";
    match fs::read_to_string(&settings) {
        Ok(text)
            if serde_json::from_str::<serde_json::Value>(&text)
                .is_ok_and(|found| found == wanted) =>
        {
            return Ok(());
        }
        Ok(_) => {
            let message = format!(
                "{} holds a demonstration with other settings",
                args.out.display()
            );
            anyhow::bail!(Refusal::new(message, elsewhere));
        }
        Err(_) => {}
    }
    if fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
        anyhow::bail!(Refusal::new(
            format!("{} already holds other files", args.out.display()),
            elsewhere,
        ));
    }
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create the folder {}", args.out.display()))?;
    write_whole(&settings, |file| writeln!(file, "{wanted:#}"))?;
    Ok(())
}

/// Trains an arm, or resumes it, or reads its metrics if it has finished.
fn learn(
    arm: &'static Arm,
    args: &DemoArgs,
    data: &Path,
    stop: &AtomicBool,
    terminal: &mut Terminal,
) -> anyhow::Result<Scored> {
    let out = args.out.join(arm.name);
    let run = match Run::open(&out) {
        Ok(run) => run,
        Err(_) => {
            let overrides: Vec<String> = args.set.iter().cloned().chain(arm.own()).collect();
            let configured = Configured::new(data.join("sidelight.toml"), overrides);
            let config = configured.read_to_build(&args.machine, terminal)?;
            let on_event = &mut |event| narrate(terminal, arm.name, &event);
            let trained = train(
                &config,
                TrainOptions {
                    out,
                    existing: Existing::Resume,
                    cache: None,
                    ranks: Arc::new(Alone),
                    stop: Some(stop),
                    on_event: Some(on_event),
                },
            )?;
            if trained.stopped {
                anyhow::bail!(Refusal::new(
                    "stopped; a checkpoint is saved",
                    "run the same command again to continue",
                ));
            }
            trained.run
        }
    };
    let metrics = run.metrics()?;
    let mean_px = metrics
        .metrics
        .iter()
        .find(|(name, _)| name == "mean_px")
        .map(|(_, value)| *value);
    Ok(Scored {
        arm,
        mean_px: mean_px.context("a run of the demonstration has `mean_px`")?,
        predictions: Predictions::read(&run.predictions_path())?,
        seconds: metrics.seconds,
    })
}

impl Predictions {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "coordinates in single precision, and numbers of rows, at least 1"
    )]
    fn read(path: &Path) -> anyhow::Result<Self> {
        let table = Rows::read(path)?;
        let number = |name: &str, row: usize| -> anyhow::Result<f32> {
            let value = match table.column(name)?.cell(row) {
                Cell::Number(number) => Some(number as f32),
                Cell::Text(text) => text.parse().ok(),
                _ => None,
            };
            value.with_context(|| format!("{}: not a number", table.place(row, name)))
        };
        let point = |prefix: &str, at: usize, row: usize| {
            let coordinate = |axis| number(&format!("{prefix}{axis}{at}"), row);
            anyhow::Ok([coordinate('x')?, coordinate('y')?])
        };
        let corner = |at, row| {
            anyhow::Ok(PointMark {
                truth: Some(point("true_", at, row)?),
                prediction: Some(point("", at, row)?),
                ..PointMark::default()
            })
        };
        let (mut rows, mut corners) = (Vec::new(), Vec::new());
        for row in 0..table.n_rows {
            let nth = number("row", row)?;
            anyhow::ensure!(nth >= 1.0, "{}: rows count from 1", table.place(row, "row"));
            rows.push(nth as usize - 1);
            let marks = (0..4).map(|at| corner(at, row));
            corners.push(Outcome::Keypoints(marks.collect::<anyhow::Result<_>>()?));
        }
        Ok(Self { rows, corners })
    }
}

#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn arm<'a>(scored: &'a [Scored], name: &str) -> &'a Scored {
    scored
        .iter()
        .find(|scored| scored.arm.name == name)
        .expect("every arm is trained")
}

fn table(scored: &[Scored]) -> Table {
    let image = arm(scored, "image").mean_px;
    let mut table = Table::new(["arm", "reads", "mean_px", "image / arm", "n", "seconds"]);
    for scored in scored {
        table.push([
            scored.arm.name.into(),
            scored.arm.reads.into(),
            scored.mean_px.into(),
            (image / scored.mean_px).into(),
            scored.predictions.rows.len().into(),
            scored.seconds.into(),
        ]);
    }
    table
}

/// The result in one sentence.
fn lead(scored: &[Scored]) -> String {
    let px = |name| arm(scored, name).mean_px;
    let [image, metadata, both, shuffled] = ["image", "metadata", "both", "shuffled"].map(px);
    let n = arm(scored, "both").predictions.rows.len();
    let verdict = if both < 0.9 * image {
        format!(
            "{} times less than with the image alone",
            significant_two(image / both)
        )
    } else {
        "hardly less than with the image alone".to_owned()
    };
    format!(
        "On {n} held-out rows the corners are {} px off with the image and its metadata, {verdict} ({} px); \
         metadata alone: {} px; image with another image's metadata: {} px.",
        significant_two(both),
        significant_two(image),
        significant_two(metadata),
        significant_two(shuffled),
    )
}

/// Two or three digits: a few hundred rows do not support more.
fn significant_two(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// What else the held-out rows tell.
fn remarks(truth: &[DemoRow], scored: &[Scored]) -> Vec<String> {
    vec![right_card(truth, scored), ambiguity(truth, scored)]
}

/// How often the points are on the card that is meant, of the rows that say which.
fn right_card(truth: &[DemoRow], scored: &[Scored]) -> String {
    let share = |scored: &Scored| {
        let rows = scored.predictions.rows.iter().map(|&row| &truth[row]);
        let told = rows.zip(&scored.predictions.corners);
        let told: Vec<_> = told.filter(|(row, _)| !row.is_ambiguous()).collect();
        let right = told
            .iter()
            .filter(|(row, at)| nearest_card(row, at) == Some(row.meant));
        (
            100.0 * right.count() as f64 / told.len().max(1) as f64,
            told.len(),
        )
    };
    let ((both, n), (image, _)) = (share(arm(scored, "both")), share(arm(scored, "image")));
    format!(
        "Of the {n} rows that say which card is the target, the points are on it in {both:.1} % with the metadata, \
         in {image:.1} % without.",
    )
}

/// The card that predicted corners are nearest to.
fn nearest_card(row: &DemoRow, outcome: &Outcome) -> Option<usize> {
    let Outcome::Keypoints(marks) = outcome else {
        return None;
    };
    let away = |card: &[[f32; 2]; 4]| -> f32 {
        let corners = card.iter().zip(marks);
        let distances = corners.filter_map(|([x, y], mark)| {
            let [to_x, to_y] = mark.prediction?;
            Some((x - to_x).hypot(y - to_y))
        });
        distances.sum()
    };
    let cards = row.cards.iter().enumerate();
    let nearest = cards.min_by(|(_, a), (_, b)| away(a).total_cmp(&away(b)));
    nearest.map(|(card, _)| card)
}

/// How the rows do that lack the cell that names the card: no model can know it.
fn ambiguity(truth: &[DemoRow], scored: &[Scored]) -> String {
    let both = &arm(scored, "both").predictions;
    let (gaps, whole): (Vec<usize>, Vec<usize>) =
        (0..both.rows.len()).partition(|&at| truth[both.rows[at]].is_ambiguous());
    let mean = |rows: &[usize]| {
        let errors = rows
            .iter()
            .filter_map(|&at| both.corners[at].mean_distance());
        errors.sum::<f64>() / rows.len().max(1) as f64
    };
    if gaps.is_empty() {
        return "Every held-out row says which card is the target.".to_owned();
    }
    format!(
        "{} of these rows lack the cell that says which card is the target ({} px on them, {} px on the others).",
        gaps.len(),
        significant(mean(&gaps)),
        significant(mean(&whole)),
    )
}

fn page(data: &Path, truth: &[DemoRow], scored: &[Scored], lead: &str) -> anyhow::Result<DemoPage> {
    let both = &arm(scored, "both").predictions;
    let arms = scored.iter().map(|scored| DemoArm {
        name: scored.arm.name.to_owned(),
        reads: scored.arm.reads.to_owned(),
        n: scored.predictions.rows.len(),
        mean: scored.mean_px,
    });
    let mut rows = Vec::new();
    for at in 0..both.rows.len().min(ROWS_SHOWN) {
        rows.push(shown(
            data,
            &truth[both.rows[at]],
            both.rows[at],
            at,
            scored,
        )?);
    }
    let pictures = (truth.len(), both.rows.len());
    Ok(DemoPage {
        lead: lead.to_owned(),
        story: STORY.to_owned(),
        metric: "mean_px".to_owned(),
        arms: arms.collect(),
        rows,
        remarks: remarks(truth, scored),
        facts: vec![
            (
                "images".to_owned(),
                format!("{}, of which {} held out", pictures.0, pictures.1),
            ),
            (
                "training".to_owned(),
                format!(
                    "{} for all arms",
                    duration(scored.iter().map(|arm| arm.seconds).sum())
                ),
            ),
        ],
        machine: report::page::machine(),
    })
}

/// One held-out row under every arm.
fn shown(
    data: &Path,
    row: &DemoRow,
    number: usize,
    at: usize,
    scored: &[Scored],
) -> anyhow::Result<report::DemoRow> {
    let picture = decode(&ImageSource::Path(data.join(&row.file_name)), None)?;
    let cells = row.metadata().map(|(name, cell)| (name.to_owned(), cell));
    Ok(report::DemoRow {
        title: format!("row {}", number + 1),
        picture: Thumbnail::new(picture.width, picture.height, &picture.rgb),
        metadata: cells.to_vec(),
        outcomes: scored
            .iter()
            .map(|arm| arm.predictions.corners[at].clone())
            .collect(),
    })
}
