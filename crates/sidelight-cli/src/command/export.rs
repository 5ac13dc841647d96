//! `sidelight export RUN [--onnx FILE] [--safetensors FILE] [--hub DIR]`

use std::path::Path;

use sidelight::export::{ImageInput, OPSET, Port, ShareOptions, onnx, safetensors, share};
use sidelight::predict::Model;
use sidelight::run::Run;
use sidelight::tensor::Precision;

use super::Answer;
use crate::args::export::{ExportArgs, ImageForm};
use crate::terminal::{Table, Terminal};

/// Writes a trained model for other programs.
pub(crate) fn run(args: &ExportArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let model = Model::open(&args.run)?;
    let written = |path: &Path, n_bytes: usize, what: &str| {
        format!(
            "{} ({:.1} MB): {what}",
            path.display(),
            n_bytes as f64 / 1e6
        )
    };
    let is_converted = args.onnx.is_some() || args.safetensors.is_some();
    if is_converted && model.network.precision != Precision::F32 {
        terminal.say("the model computes in bf16, the exported one in f32");
    }
    if let Some(path) = &args.onnx {
        let image = match args.image {
            ImageForm::AnySize => ImageInput::AnySize,
            ImageForm::Sized => ImageInput::Sized,
            ImageForm::Float => ImageInput::Float,
        };
        let graph = onnx(&model, image, args.covering.coverage)?;
        let n_bytes = graph.save(path)?;
        let mut table = Table::new(["side", "name", "type", "shape", "meaning"]);
        let mut list = |side: &str, ports: Vec<Port>| {
            for port in ports {
                let shape = format!("[{}]", port.shape.join(", ")).into();
                let [name, kind] = [port.name.into(), port.kind.into()];
                table.push([side.into(), name, kind, shape, port.meaning.into()]);
            }
        };
        list("input", graph.inputs());
        list("output", graph.outputs());
        terminal.table(&table, args.printed.format)?;
        terminal.say(written(path, n_bytes, &format!("ONNX, opset {OPSET}")));
    }
    if let Some(path) = &args.safetensors {
        let n_bytes = safetensors(&model, path)?;
        terminal.say(written(path, n_bytes, "weights"));
    }
    if let Some(dir) = &args.hub {
        for_hub(args, dir, terminal)?;
    }
    Ok(Answer::Done)
}

/// Writes the folder for the hub.
fn for_hub(args: &ExportArgs, dir: &Path, terminal: &mut Terminal) -> anyhow::Result<()> {
    let options = ShareOptions {
        comparison: args.comparison.clone(),
        licence: args.licence.clone(),
        overwrite: args.overwrite,
    };
    let shared = share(&Run::open(&args.run)?, dir, &options)?;
    for remark in &shared.remarks {
        terminal.warn(remark);
    }
    let n_bytes: u64 = shared.files.iter().map(|(_, n_bytes)| n_bytes).sum();
    terminal.say(format!(
        "{} ({:.1} MB): model and card; read {} before you publish it",
        dir.display(),
        n_bytes as f64 / 1e6,
        dir.join("README.md").display()
    ));
    Ok(())
}
