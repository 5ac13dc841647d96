//! `sidelight schema`

use std::path::Path;

use sidelight::json_schema::of_configuration;
use sidelight::run::write_whole;

use super::Answer;
use crate::args::schema::SchemaArgs;
use crate::terminal::Terminal;

/// What the schema is called beside a configuration.
pub(crate) const FILE: &str = "sidelight.schema.json";

/// Prints the schema of a configuration, or writes it.
pub(crate) fn run(args: &SchemaArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let Some(path) = &args.out else {
        terminal.data(&text()?)?;
        return Ok(Answer::Done);
    };
    write(path)?;
    terminal.say(format!("wrote {}", path.display()));
    if let Some(name) = path.file_name() {
        let line = directive(&name.to_string_lossy());
        terminal.say(format!(
            "a sidelight.toml beside it that begins with `{line}` is completed and checked by editors"
        ));
    }
    Ok(Answer::Done)
}

/// Writes the schema to a file.
pub(crate) fn write(path: &Path) -> anyhow::Result<()> {
    let text = text()?;
    write_whole(path, |file| file.write_all(text.as_bytes()))?;
    Ok(())
}

/// The first line of a configuration that has its schema beside it.
///
/// # Source
///
/// Taplo, "Directives": `#:schema`, relative to the document. Tombi reads the same.
pub(crate) fn directive(name: &str) -> String {
    format!("#:schema ./{name}")
}

fn text() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&of_configuration())? + "\n")
}
