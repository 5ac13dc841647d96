//! Shards that are elsewhere: what the environment says of object stores, and the folder that they are kept in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sidelight::config::{Environment, RemoteConfig};
use sidelight::store::is_remote;

use super::weights::proxy;

/// Variables that the stores' own tools read begin so.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Tells how a table is fetched, where it is elsewhere.
pub(super) fn reach(remote: &mut RemoteConfig, tables: &[PathBuf]) {
    let Some(table) = tables.iter().find(|table| is_remote(table)) else {
        return;
    };
    let variable = |name: &str| std::env::var(name).ok();
    if remote.cache.is_none() {
        remote.cache = cache(&variable);
    }
    // What is not text is no setting of a store.
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    remote.environment = environment(table, all.collect(), &variable);
}

/// `sidelight/shards` in the user's cache folder.
fn cache(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .or_else(|| folder("LOCALAPPDATA"))?;
    Some(cache.join("sidelight").join("shards"))
}

fn environment(
    table: &Path,
    all: BTreeMap<String, String>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Environment {
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let named = endpoint.iter().find_map(|name| all.get(*name).cloned());
    let own = table.to_string_lossy();
    let endpoint = match own.starts_with("http") {
        true => own.into_owned(),
        // The host is the store's; which one matters for NO_PROXY alone.
        false => named.unwrap_or_else(|| "https://object-store".into()),
    };
    let is_theirs = |name: &String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    Environment {
        variables: all
            .into_iter()
            .filter(|(name, _)| is_theirs(name))
            .collect(),
        proxy: proxy(&endpoint, variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(table: &str, variables: &[(&str, &str)]) -> Environment {
        let all: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment(Path::new(table), all.clone(), &|name| {
            all.get(name).cloned()
        })
    }

    #[test]
    fn variables_of_the_stores_are_taken_and_no_others() {
        let found = of(
            "s3://bucket/a.tar",
            &[
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("HOME", "/home/x"),
                ("AZURE_STORAGE_SAS_TOKEN", "y"),
            ],
        );
        let names: Vec<&String> = found.variables.keys().collect();
        assert_eq!(names, ["AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN"]);
        assert!(!format!("{found:?}").contains('x'), "{found:?}");
    }

    #[test]
    fn the_proxy_is_that_of_the_endpoint() {
        let proxy = ("HTTPS_PROXY", "http://proxy:3128");
        let of = |table: &str, more: (&str, &str)| {
            of(table, &[proxy, ("NO_PROXY", "near.org"), more]).proxy
        };
        let nothing = ("", "");
        assert_eq!(
            of("https://far.org/a.tar", nothing).as_deref(),
            Some("http://proxy:3128")
        );
        assert_eq!(of("https://data.near.org/a.tar", nothing), None);
        assert!(of("s3://bucket/a.tar", nothing).is_some());
        assert_eq!(
            of(
                "s3://bucket/a.tar",
                ("AWS_ENDPOINT_URL", "https://s3.near.org")
            ),
            None
        );
    }

    #[test]
    fn the_folder_is_in_the_cache_of_the_user() {
        let of = |name: &'static str| cache(&move |asked| (asked == name).then(|| "/x".to_owned()));
        assert_eq!(of("XDG_CACHE_HOME"), Some("/x/sidelight/shards".into()));
        assert_eq!(of("HOME"), Some("/x/.cache/sidelight/shards".into()));
        assert_eq!(of("NOTHING"), None);
    }
}
