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
use super::weights::read_config;
use crate::args::DemoArgs;
use crate::refusal::Refusal;
use crate::stop;
use crate::terminal::{Table, Terminal, duration, significant};

/// What is compared. Each has a run folder of its name.
const ARMS: [Arm; 4] = [
    Arm {
        name: "image",
        arm: "image",
        table: "metadata.csv",
        reads: "the picture",
    },
    Arm {
        name: "metadata",
        arm: "metadata",
        table: "metadata.csv",
        reads: "the row",
    },
    Arm {
        name: "both",
        arm: "both",
        table: "metadata.csv",
        reads: "the picture and the row",
    },
    Arm {
        name: "shuffled",
        arm: "both",
        table: "metadata_shuffled.csv",
        reads: "the picture and another picture's row",
    },
];

/// Held-out rows that the report shows: the first ones, not the best ones.
const ROWS_SHOWN: usize = 8;

const STORY: &str = "Each picture shows two or three cards that look alike; the target is the four corners of one of \
    them, clockwise from its own top left. Only the row about the picture says which one: count the cards from the \
    left, or from the right where label_is_dirty is true; google-image means the first, reddit the second, pinterest \
    the last. So the picture alone can only guess among the cards, and the row alone knows on which side to look but \
    not where the card lies. shutter_capture_time says how long the picture was exposed, thus how blurred it is, and \
    nothing about the card. The shuffled arm is the control: it reads the row of another picture, and if it gained \
    anything, the comparison would be broken.";

struct Arm {
    name: &'static str,
    arm: &'static str,
    table: &'static str,
    reads: &'static str,
}

/// What one arm did on the held-out rows.
struct Scored {
    arm: &'static Arm,
    mean_px: f64,
    predictions: Predictions,
    seconds: f64,
}

/// A `predictions.csv` of points.
struct Predictions {
    /// Row of the table, from 0.
    rows: Vec<usize>,
    truth: Vec<[[f32; 2]; 4]>,
    predicted: Vec<[[f32; 2]; 4]>,
}

/// Makes the data, trains every arm, compares.
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
    let mut scored = Vec::new();
    for arm in &ARMS {
        scored.push(learn(arm, args, &data, stop, terminal)?);
    }
    let truth = demo::rows(&config)?;
    let lead = lead(&scored);
    let report = args.out.join("report.html");
    let html = page(&data, &truth, &scored, &lead)?.html();
    write_whole(&report, |file| file.write_all(html.as_bytes()))?;
    terminal.table(&table(&scored), args.format)?;
    terminal.say(&lead);
    terminal.say(ambiguity(&truth, &scored));
    terminal.say(format!(
        "\n{} in all; report: {}",
        duration(start.elapsed().as_secs_f64()),
        report.display()
    ));
    Ok(Answer::Done)
}

/// The folder with the data, made where it is not there yet.
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
            terminal.progress(|| format!("{done} of {all} pictures"));
            if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let [wide, high] = [config.side, config.side * 3 / 4];
        terminal.say(format!(
            "{} pictures of {wide} × {high} pixels in {}",
            config.rows,
            data.display()
        ));
    }
    demo::shuffle_columns(&data.join("metadata.csv"), &demo::METADATA, config.seed)?;
    Ok(data)
}

/// Makes sure that the folder is ours and of these settings: a half-finished demonstration goes on, another is kept.
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
            return Err(Refusal::new(message, elsewhere).into());
        }
        Err(_) => {}
    }
    if fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Refusal::new(
            format!("{} holds files of something else", args.out.display()),
            elsewhere,
        )
        .into());
    }
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    write_whole(&settings, |file| writeln!(file, "{wanted:#}"))?;
    Ok(())
}

/// Trains an arm, or goes on with it, or reads its scores where it is finished.
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
            let own = [
                format!("model.arm={}", arm.arm),
                format!("data.table={}", arm.table),
            ];
            let overrides: Vec<String> = args.set.iter().cloned().chain(own).collect();
            let mut config = read_config(&data.join("sidelight.toml"), &overrides, terminal)?;
            args.machine.configure(&mut config);
            let on_event = &mut |event| narrate(terminal, arm.name, &event);
            let trained = train(
                &config,
                TrainOptions {
                    out,
                    existing: Existing::Resume,
                    cache: None,
                    ranks: Arc::new(Alone),
                    stop,
                    on_event,
                },
            )?;
            if trained.stopped {
                return Err(Refusal::new(
                    "stopped; what was learned is saved",
                    "the same command goes on",
                )
                .into());
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
    fn read(path: &Path) -> anyhow::Result<Self> {
        let table = Rows::read(path)?;
        let number = |name: &str, row: usize| -> anyhow::Result<f32> {
            let column = table.column(name)?;
            let value = match column.cell(row) {
                Cell::Number(number) => Some(number as f32),
                Cell::Text(text) => text.parse().ok(),
                _ => None,
            };
            value.with_context(|| format!("{}: no number", table.place(row, name)))
        };
        let corners = |prefix: &str, row: usize| -> anyhow::Result<[[f32; 2]; 4]> {
            let mut corners = [[0.0; 2]; 4];
            for (point, corner) in corners.iter_mut().enumerate() {
                *corner = [
                    number(&format!("{prefix}x{point}"), row)?,
                    number(&format!("{prefix}y{point}"), row)?,
                ];
            }
            Ok(corners)
        };
        let all = |prefix: &str| {
            (0..table.n_rows)
                .map(|row| corners(prefix, row))
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let rows = (0..table.n_rows).map(|row| Ok(number("row", row)? as usize - 1));
        Ok(Self {
            rows: rows.collect::<anyhow::Result<_>>()?,
            truth: all("true_")?,
            predicted: all("")?,
        })
    }

    /// Mean distance between true and predicted corners of a row, pixels.
    fn error(&self, at: usize) -> f64 {
        let pairs = self.truth[at].iter().zip(&self.predicted[at]);
        pairs
            .map(|(a, b)| f64::from((a[0] - b[0]).hypot(a[1] - b[1])))
            .sum::<f64>()
            / 4.0
    }
}

fn of<'a>(scored: &'a [Scored], name: &str) -> &'a Scored {
    scored
        .iter()
        .find(|scored| scored.arm.name == name)
        .expect("every arm is trained")
}

fn table(scored: &[Scored]) -> Table {
    let image = of(scored, "image").mean_px;
    let mut table = Table::new(["arm", "reads", "mean_px", "image / arm", "n", "seconds"]);
    for Scored {
        arm,
        mean_px,
        predictions,
        seconds,
    } in scored
    {
        table.push([
            arm.name.into(),
            arm.reads.into(),
            (*mean_px).into(),
            (image / mean_px).into(),
            predictions.rows.len().into(),
            (*seconds).into(),
        ]);
    }
    table
}

/// The result in words that claim no more than the numbers do.
fn lead(scored: &[Scored]) -> String {
    let px = |name| of(scored, name).mean_px;
    let [image, metadata, both, shuffled] = ["image", "metadata", "both", "shuffled"].map(px);
    let n = of(scored, "both").predictions.rows.len();
    let verdict = if both < 0.9 * image {
        format!(
            "{} times less than the picture alone",
            significant_two(image / both)
        )
    } else {
        "hardly less than the picture alone".to_owned()
    };
    format!(
        "On {n} held-out rows the corners are {} px off with the picture and its row, {verdict} ({} px); \
         the row alone: {} px; the picture with another picture's row: {} px.",
        significant_two(both),
        significant_two(image),
        significant_two(metadata),
        significant_two(shuffled),
    )
}

/// Two or three digits: more would claim too much of a few hundred rows.
fn significant_two(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// What no model can know.
fn ambiguity(truth: &[DemoRow], scored: &[Scored]) -> String {
    let both = &of(scored, "both").predictions;
    let (gaps, whole): (Vec<usize>, Vec<usize>) =
        (0..both.rows.len()).partition(|&at| truth[both.rows[at]].is_ambiguous());
    let mean = |rows: &[usize]| {
        rows.iter().map(|&at| both.error(at)).sum::<f64>() / rows.len().max(1) as f64
    };
    if gaps.is_empty() {
        return "Every held-out row says which card is meant.".to_owned();
    }
    format!(
        "{} of these rows lack the cell that says which card is meant ({} px there, {} px on the others).",
        gaps.len(),
        significant(mean(&gaps)),
        significant(mean(&whole)),
    )
}

fn page(data: &Path, truth: &[DemoRow], scored: &[Scored], lead: &str) -> anyhow::Result<DemoPage> {
    let both = &of(scored, "both").predictions;
    let arms = scored.iter().map(
        |Scored {
             arm,
             mean_px,
             predictions,
             ..
         }| DemoArm {
            name: arm.name.to_owned(),
            reads: arm.reads.to_owned(),
            n: predictions.rows.len(),
            mean: *mean_px,
            spread: None,
        },
    );
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
        remarks: vec![ambiguity(truth, scored)],
        facts: vec![
            (
                "pictures".to_owned(),
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
    let outcome = |Scored { predictions, .. }: &Scored| {
        let pairs = predictions.truth[at].iter().zip(&predictions.predicted[at]);
        Outcome::Keypoints(
            pairs
                .map(|(&truth, &point)| PointMark {
                    truth: Some(truth),
                    prediction: Some(point),
                })
                .collect(),
        )
    };
    let cells = row.metadata().map(|(name, cell)| (name.to_owned(), cell));
    Ok(report::DemoRow {
        title: format!("row {}", number + 1),
        picture: Thumbnail::new(picture.width, picture.height, &picture.rgb),
        metadata: cells.to_vec(),
        outcomes: scored.iter().map(outcome).collect(),
    })
}
