//! `sidelight export RUN [--onnx FILE] [--safetensors FILE]`

use std::path::Path;

use sidelight::export::{ImageInput, OPSET, Port, onnx, safetensors};
use sidelight::predict::Model;
use sidelight::run::Run;
use sidelight::tensor::Precision;

use super::Answer;
use crate::args::export::{ExportArgs, ImageForm};
use crate::terminal::{Table, Terminal};

/// Writes a trained model for other programs.
pub(crate) fn run(args: &ExportArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let model = Model::load(&Run::open(&args.run)?.model_dir())?;
    let written = |path: &Path, n_bytes: usize, what: &str| {
        format!(
            "{} ({:.1} MB): {what}",
            path.display(),
            n_bytes as f64 / 1e6
        )
    };
    if model.network.precision != Precision::F32 {
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
    Ok(Answer::Done)
}
