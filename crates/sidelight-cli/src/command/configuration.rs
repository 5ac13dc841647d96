//! Reads the configuration that a command is given, and fetches the weights that it names by `org/name`.

use std::path::PathBuf;
use std::time::Instant;

use sidelight::config::{Config, ModelConfig, NONE};
use sidelight::hub::{HubEvent, fetch_weights, name_weights};
use sidelight::ranks::{Ranks, all_or_none};

use super::environment::Variables;
use crate::args::{Configured, Machine, Overrides};
use crate::terminal::{Terminal, duration};

impl Configured {
    /// A configuration file that the command line does not name itself.
    pub(super) fn new(config: PathBuf, set: Vec<String>) -> Self {
        let overrides = Overrides { set };
        Self { config, overrides }
    }

    /// Reads the configuration; no weights are fetched.
    pub(super) fn read(&self) -> anyhow::Result<Config> {
        named(Config::read(&self.config, &self.overrides.set)?)
    }

    /// Reads the configuration of a network that is going to be built: with its weights fetched and the `machine`'s
    /// settings filled in.
    pub(super) fn read_to_build(
        &self,
        machine: &Machine,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Config> {
        let read = Config::read(&self.config, &self.overrides.set)?;
        let mut config = fetched(read, terminal)?;
        machine.configure(&mut config);
        Ok(config)
    }

    /// Reads the configuration of a network of which only the layers, or what it is given, are looked at: weights on the
    /// hub are not fetched.
    pub(super) fn read_to_look(&self, machine: &Machine) -> anyhow::Result<Config> {
        let mut config = self.read()?;
        if config.model.weights_on_hub()?.is_some() {
            config.model.weights = NONE.into();
        }
        machine.configure(&mut config);
        Ok(config)
    }

    /// As [`Configured::read_to_build`], after [`Machine::prepare`]; succeeds on all ranks or on none.
    pub(super) fn read_on_all(
        &self,
        ranks: &dyn Ranks,
        machine: &Machine,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Config> {
        // The first fetches weights, the others find them in the cache.
        if !ranks.is_first() {
            ranks.wait();
        }
        let prepared = machine.prepare();
        let config = prepared.and_then(|()| self.read_to_build(machine, terminal));
        if ranks.is_first() {
            ranks.wait();
        }
        all_or_none(ranks, config)
    }
}

/// A configuration that was read, with its stores within reach and its weights called by their name.
fn named(mut config: Config) -> anyhow::Result<Config> {
    Variables::from_process().reach(&mut config.data.remote);
    name_weights(&mut config.model)?;
    Ok(config)
}

/// As [`named`], with the weights fetched.
pub(crate) fn fetched(config: Config, terminal: &mut Terminal) -> anyhow::Result<Config> {
    let mut config = named(config)?;
    fetch(&mut config.model, terminal)?;
    Ok(config)
}

/// Downloads the weights if `model.weights` names a repository and they are not cached yet.
fn fetch(model: &mut ModelConfig, terminal: &mut Terminal) -> anyhow::Result<()> {
    if model.weights_on_hub()?.is_none() {
        return Ok(());
    }
    let options = Variables::from_process().hub()?;
    let mut begun: Option<(Instant, u64)> = None;
    fetch_weights(model, &options, &mut |event| match event {
        HubEvent::Begin { url, done, size } => {
            let size = size.map_or_else(String::new, |size| format!(", {}", megabytes(size)));
            terminal.say(match done {
                0 => format!("downloading {url}{size}"),
                done => format!("resuming {url}{size}, {} done", megabytes(done)),
            });
            begun = Some((Instant::now(), done));
        }
        HubEvent::Bytes { done, size } => terminal.progress(|| progress(begun, done, size)),
        _ => {}
    })?;
    if let Some(path) = model.fetched.as_ref().filter(|_| begun.is_some()) {
        terminal.say(format!("weights: {}", path.display()));
    }
    Ok(())
}

/// `12.3 of 46.8 MB, 3 s left`.
fn progress(begun: Option<(Instant, u64)>, done: u64, size: Option<u64>) -> String {
    let Some(size) = size else {
        return megabytes(done);
    };
    let text = format!("{:.1} of {}", done as f64 / 1e6, megabytes(size));
    let left = begun.map_or(f64::NAN, |(start, before)| {
        let arrived = done.saturating_sub(before) as f64;
        start.elapsed().as_secs_f64() * size.saturating_sub(done) as f64 / arrived
    });
    match left.is_finite() {
        true => format!("{text}, {} left", duration(left)),
        false => text,
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_is_there_and_how_long_it_still_takes() {
        assert_eq!(progress(None, 1_230_000, None), "1.2 MB");
        assert_eq!(
            progress(None, 1_230_000, Some(46_800_000)),
            "1.2 of 46.8 MB"
        );
        let begun = Some((Instant::now(), 0));
        assert!(progress(begun, 10, Some(20)).ends_with(" left"));
    }
}
