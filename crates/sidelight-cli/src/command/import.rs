//! `sidelight import FILE… --out FILE`

use sidelight::annotation::{Annotations, ImageFolders, TableLayout, read};
use sidelight::run::write_whole;
use sidelight::write::TableFormat;

use super::Answer;
use crate::args::import::ImportArgs;
use crate::refusal::Refusal;
use crate::terminal::{Terminal, count};

/// Reads annotations, writes them as a table, and a configuration beside it.
pub(crate) fn run(args: &ImportArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    TableFormat::from_path(&args.out)?;
    if !args.overwrite && args.out.is_file() {
        anyhow::bail!(Refusal::new(
            format!("{} already exists", args.out.display()),
            "choose another file with --out, or replace it with --overwrite",
        ));
    }
    let annotations = read_all(args, terminal)?;
    let layout = TableLayout::of(&annotations);
    if layout.n_rows == 0 {
        anyhow::bail!(Refusal::new(
            "no image has a point",
            "boxes and outlines alone are not read: mark keypoints in the annotation tool",
        ));
    }
    say(&annotations, &layout, terminal);
    layout.write(&annotations, &args.out)?;
    terminal.say(format!(
        "wrote {}: {}",
        args.out.display(),
        count(layout.n_rows, "row")
    ));
    if !args.no_config {
        configure(args, &annotations, &layout, terminal)?;
    }
    Ok(Answer::Done)
}

/// All files as one.
fn read_all(args: &ImportArgs, terminal: &mut Terminal) -> anyhow::Result<Annotations> {
    let mut all = Annotations::default();
    for file in &args.files {
        let folders = ImageFolders::beside(file, args.images.as_deref());
        let (source, mut annotations) = read(file, args.format.map(Into::into), &folders)?;
        annotations.locate(&folders);
        terminal.say(format!(
            "{}: {} ({}), {}",
            file.display(),
            source.format.title(),
            source.evidence,
            count(annotations.images.len(), "image")
        ));
        all.absorb(annotations);
    }
    Ok(all)
}

/// What was read, and what of it is in doubt.
fn say(annotations: &Annotations, layout: &TableLayout, terminal: &mut Terminal) {
    let [seen, hidden, missing] = layout.n_points_by_visibility;
    terminal.say(format!(
        "{} in {}, {} each: {seen} seen, {hidden} hidden, {missing} not marked",
        count(layout.n_rows, "instance"),
        count(layout.n_images, "image"),
        count(annotations.points.len(), "point"),
    ));
    let n_images = annotations.images.len();
    if n_images > layout.n_images {
        terminal.say(format!(
            "{} of {n_images} without a point left out",
            count(n_images - layout.n_images, "image")
        ));
    }
    let is_lost = |image: &&sidelight::annotation::AnnotatedImage| {
        image.found.is_none() && !image.file.contains("://")
    };
    let lost = annotations.images.iter().filter(is_lost);
    if let Some(first) = lost.clone().next() {
        terminal.warn(format!(
            "{} of {n_images} not found, {} for one: say where they are with --images",
            count(lost.count(), "image"),
            first.file
        ));
    }
    if layout.n_of_other_size > 0 {
        terminal.warn(format!(
            "{} not as large as the annotations say: are they those that were annotated?",
            count(layout.n_of_other_size, "image")
        ));
    }
}

/// Writes the configuration, unless one is there.
fn configure(
    args: &ImportArgs,
    annotations: &Annotations,
    layout: &TableLayout,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let config = args.out.with_file_name("sidelight.toml");
    if config.exists() {
        terminal.say(format!(
            "{} is there already and was left as it is",
            config.display()
        ));
    } else {
        let table = args.out.file_name().unwrap_or_default().to_string_lossy();
        let toml = layout.to_toml(annotations, &table);
        write_whole(&config, |file| file.write_all(toml.as_bytes()))?;
        terminal.say(format!("wrote {}", config.display()));
    }
    terminal.say(format!("next: sidelight check {}", config.display()));
    Ok(())
}
