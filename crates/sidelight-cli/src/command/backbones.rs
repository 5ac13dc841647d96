//! `sidelight backbones`

use sidelight::network::backbone::BACKBONES;

use super::Answer;
use crate::args::{BackbonesArgs, Format};
use crate::terminal::{Table, Terminal};

/// Lists the backbones.
pub(crate) fn run(args: &BackbonesArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut table = Table::new(["name", "size", "hub", "weights", "licence", "source"]);
    for backbone in BACKBONES {
        let weights = if backbone.weights.is_empty() {
            "none: from scratch"
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
    terminal.table(&table, args.format)?;
    if args.format == Format::Text {
        terminal.say("`size` is the side in pixels that the weights were trained with; `train.size` may differ");
        terminal.say("`hub` is a name that `model.weights` can take: it is downloaded once");
    }
    Ok(Answer::Done)
}
