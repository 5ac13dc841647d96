//! `sidelight backbones`

use sidelight::network::backbone::BACKBONES;

use super::Answer;
use crate::args::Format;
use crate::args::backbones::BackbonesArgs;
use crate::terminal::{Table, Terminal};

/// Lists the backbones.
pub(crate) fn run(args: &BackbonesArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut table = Table::new(["name", "size", "hub", "weights", "licence", "source"]);
    for backbone in BACKBONES {
        let weights = if backbone.weights.is_empty() {
            "none: trains from scratch"
        } else {
            backbone.weights
        };
        table.push([
            backbone.name.into(),
            backbone.size.into(),
            Some(backbone.hub).filter(|name| !name.is_empty()).into(),
            weights.into(),
            backbone.licence.into(),
            backbone.source.into(),
        ]);
    }
    terminal.table(&table, args.printed.format)?;
    if args.printed.format == Format::Text {
        terminal.say("size: the image size the weights were trained with, in pixels; `train.size` may differ");
        terminal.say("hub: a value for `model.weights`; downloaded once");
    }
    Ok(Answer::Done)
}
