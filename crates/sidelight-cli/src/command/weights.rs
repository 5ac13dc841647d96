//! Weights that `model.weights` names by `org/name`: fetched before a network is built, as the environment says.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sidelight::config::{Config, ModelConfig};
use sidelight::hub::{ENDPOINT, HubEvent, HubOptions, fetch_weights};
use sidelight::ranks::{Ranks, agree};

use super::remote::reach;
use crate::args::Machine;
use crate::refusal::Refusal;
use crate::terminal::{Terminal, duration};

/// Reads a configuration whose network is going to be built, and fetches its weights where they are on the hub.
pub(super) fn read_config(
    path: &Path,
    overrides: &[String],
    terminal: &mut Terminal,
) -> anyhow::Result<Config> {
    let mut config = read_alone(path, overrides)?;
    fetch(&mut config.model, terminal)?;
    Ok(config)
}

/// As [`read_config`], with the machine made ready for the work and its part of the configuration filled in.
pub(super) fn read_for(
    machine: &Machine,
    path: &Path,
    overrides: &[String],
    terminal: &mut Terminal,
) -> anyhow::Result<Config> {
    machine.prepare()?;
    let mut config = read_config(path, overrides, terminal)?;
    machine.configure(&mut config);
    Ok(config)
}

/// As [`read_for`], on every rank or on none.
pub(super) fn read_on_all(
    ranks: &dyn Ranks,
    machine: &Machine,
    path: &Path,
    overrides: &[String],
    terminal: &mut Terminal,
) -> anyhow::Result<Config> {
    // The first fetches weights, the others find them.
    if !ranks.is_first() {
        ranks.wait();
    }
    let config = read_for(machine, path, overrides, terminal);
    if ranks.is_first() {
        ranks.wait();
    }
    agree(ranks, config)
}

/// Reads a configuration of which no network is built.
pub(super) fn read_alone(path: &Path, overrides: &[String]) -> anyhow::Result<Config> {
    let mut config = Config::read(path, overrides)?;
    let data = &mut config.data;
    reach(&mut data.remote, std::slice::from_ref(&data.table));
    Ok(config)
}

/// Fetches the weights where they are on the hub and not in the cache.
fn fetch(model: &mut ModelConfig, terminal: &mut Terminal) -> anyhow::Result<()> {
    if model.weights_on_hub()?.is_none() {
        return Ok(());
    }
    let options = options(&|name| env::var(name).ok())?;
    let mut begun: Option<(Instant, u64)> = None;
    fetch_weights(model, &options, &mut |event| match event {
        HubEvent::Begin { url, done, size } => {
            let size = size.map_or_else(String::new, |size| format!(", {}", megabytes(size)));
            terminal.say(match done {
                0 => format!("downloading {url}{size}"),
                done => format!("going on with {url}{size}, {} are there", megabytes(done)),
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
    let left = begun.map_or(f64::NAN, |(start, before)| {
        let arrived = done.saturating_sub(before) as f64;
        start.elapsed().as_secs_f64() * size.saturating_sub(done) as f64 / arrived
    });
    let left = if left.is_finite() {
        format!(", {} left", duration(left))
    } else {
        String::new()
    };
    format!("{:.1} of {}{left}", done as f64 / 1e6, megabytes(size))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// What the environment says of the hub, by the names that the hub's own tools use.
///
/// # Source
///
/// huggingface_hub, "Environment variables": `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN`.
fn options(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<HubOptions> {
    let variable = |name: &str| {
        variable(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let folder = |name: &str, below: &[&str]| {
        let mut path = PathBuf::from(variable(name)?);
        path.extend(below);
        Some(path)
    };
    let cache = folder("HF_HUB_CACHE", &[])
        .or_else(|| folder("HF_HOME", &["hub"]))
        .or_else(|| folder("XDG_CACHE_HOME", &["sidelight", "hub"]))
        .or_else(|| folder("HOME", &[".cache", "sidelight", "hub"]))
        .or_else(|| folder("LOCALAPPDATA", &["sidelight", "hub"]))
        .ok_or_else(|| {
            Refusal::new(
                "there is no folder for what is downloaded",
                "set HF_HOME to one",
            )
        })?;
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let is_set =
        |value: String| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str());
    Ok(HubOptions {
        offline: variable("HF_HUB_OFFLINE").is_some_and(is_set),
        token: variable("HF_TOKEN"),
        proxy: proxy(&endpoint, &variable),
        endpoint,
        ..HubOptions::new(std::path::absolute(cache)?)
    })
}

/// The proxy for an endpoint, unless `NO_PROXY` names its host or a domain above it.
pub(super) fn proxy(endpoint: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
    let (scheme, rest) = endpoint.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let is_excepted = either("NO_PROXY").is_some_and(|list| {
        list.split(',').map(str::trim).any(|entry| {
            let domain = entry.trim_start_matches(['*', '.']);
            let above = host.strip_suffix(domain);
            entry == "*"
                || !domain.is_empty()
                    && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        })
    });
    // In lower case alone where a web server could set the other: <https://httpoxy.org>.
    let own = match scheme {
        "http" => variable("http_proxy"),
        _ => either("HTTPS_PROXY"),
    };
    own.or_else(|| either("ALL_PROXY")).filter(|_| !is_excepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> HubOptions {
        options(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn the_cache_is_where_the_hubs_own_tools_are_told_to_have_theirs() {
        let home = ("HOME", "/home/a");
        assert_eq!(
            of(&[home]).cache,
            PathBuf::from("/home/a/.cache/sidelight/hub")
        );
        let hf_home = ("HF_HOME", "/data/hf");
        assert_eq!(of(&[home, hf_home]).cache, PathBuf::from("/data/hf/hub"));
        let hub = ("HF_HUB_CACHE", "/data/cache");
        assert_eq!(
            of(&[home, hf_home, hub]).cache,
            PathBuf::from("/data/cache")
        );
    }

    #[test]
    fn what_is_not_set_or_empty_has_its_default() {
        let home = ("HOME", "/home/a");
        assert_eq!(
            of(&[
                home,
                ("HF_ENDPOINT", ""),
                ("HF_TOKEN", " "),
                ("HF_HUB_OFFLINE", "0")
            ]),
            HubOptions::new("/home/a/.cache/sidelight/hub")
        );
        let said = of(&[
            home,
            ("HF_HUB_OFFLINE", "true"),
            ("HF_TOKEN", "hf_secret\n"),
        ]);
        assert!(said.offline);
        assert_eq!(said.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{said:?}").contains("hf_secret"));
    }

    #[test]
    fn a_proxy_is_that_of_the_scheme_unless_the_host_is_excepted() {
        let set = |no_proxy: &'static str| {
            move |name: &str| match name {
                "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
                "NO_PROXY" => Some(no_proxy.to_owned()),
                _ => None,
            }
        };
        let hub = "https://huggingface.co";
        assert_eq!(proxy(hub, &set("")).as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy("http://127.0.0.1:9", &set("")), None);
        assert!(proxy(hub, &set("gface.co, example.org")).is_some());
        for list in ["*", "huggingface.co", "a.b, .co"] {
            assert_eq!(proxy(hub, &set(list)), None, "{list}");
        }
    }

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
