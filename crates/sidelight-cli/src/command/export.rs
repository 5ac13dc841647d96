//! `sidelight export RUN [--onnx FILE] [--safetensors FILE]`

use std::path::Path;

use sidelight::export::{ImageInput, OPSET, Port, onnx, safetensors};
use sidelight::predict::Model;
use sidelight::run::Run;
use sidelight::tensor::Precision;

use super::Answer;
use crate::args::{ExportArgs, ImageForm};
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
        terminal.say("the model computes in bf16; what is exported computes in f32");
    }
    if let Some(path) = &args.onnx {
        let image = match args.image {
            ImageForm::AnySize => ImageInput::AnySize,
            ImageForm::Sized => ImageInput::Sized,
            ImageForm::Float => ImageInput::Float,
        };
        let graph = onnx(&model, image)?;
        let n_bytes = graph.save(path)?;
        let mut table = Table::new(["side", "name", "type", "shape", "meaning"]);
        let all = [("input", graph.inputs()), ("output", graph.outputs())];
        for (side, port) in all
            .into_iter()
            .flat_map(|(side, ports)| ports.into_iter().map(move |port| (side, port)))
        {
            let Port {
                name,
                kind,
                shape,
                meaning,
            } = port;
            let shape = format!("[{}]", shape.join(", "));
            table.push([
                side.into(),
                name.into(),
                kind.into(),
                shape.into(),
                meaning.into(),
            ]);
        }
        terminal.table(&table, args.format)?;
        terminal.say(written(path, n_bytes, &format!("ONNX, opset {OPSET}")));
    }
    if let Some(path) = &args.safetensors {
        let n_bytes = safetensors(&model, path)?;
        terminal.say(written(path, n_bytes, "weights"));
    }
    Ok(Answer::Done)
}
