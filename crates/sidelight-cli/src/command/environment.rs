//! What the environment says: cache folders, proxies, the Hugging Face hub and object stores, under the names that
//! their own tools use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use sidelight::config::{Environment, Proxies, RemoteConfig};
use sidelight::hub::{ENDPOINT, HubOptions};

use crate::refusal::Refusal;

/// The environment variables that are set and not blank, trimmed.
///
/// Variables that are not UTF-8 are left out: none of those read here can be meant.
pub(super) struct Variables {
    set: BTreeMap<String, String>,
    /// The user's cache folder, where the system knows one.
    cache: Option<PathBuf>,
    /// The user's own folder likewise.
    home: Option<PathBuf>,
}

impl Variables {
    /// Those of this process.
    pub(super) fn from_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let base = etcetera::choose_base_strategy().ok();
        Self::new(
            std::env::vars_os().filter_map(utf8),
            base.as_ref().map(etcetera::BaseStrategy::cache_dir),
            base.as_ref().map(|base| base.home_dir().to_path_buf()),
        )
    }

    fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        cache: Option<PathBuf>,
        home: Option<PathBuf>,
    ) -> Self {
        let trimmed = variables
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()));
        Self {
            set: trimmed.filter(|(_, value)| !value.is_empty()).collect(),
            cache,
            home,
        }
    }

    fn get(&self, name: &str) -> Option<&String> {
        self.set.get(name)
    }

    /// A variable by its name in upper or lower case.
    fn in_any_case(&self, name: &str) -> Option<&String> {
        self.get(name)
            .or_else(|| self.get(&name.to_ascii_lowercase()))
    }

    /// `sidelight/NAME` in the user's cache folder (`$XDG_CACHE_HOME` or `~/.cache`; `%LOCALAPPDATA%` on Windows), if
    /// there is one.
    pub(super) fn cache(&self, name: &str) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join("sidelight").join(name))
    }

    /// The folder of the hub's own tools: `$HF_HOME`, else `huggingface` in the user's cache folder, which is
    /// `$XDG_CACHE_HOME` or `~/.cache` for them, on Windows as well.
    fn hub_home(&self) -> Option<PathBuf> {
        let told = self.get("HF_HOME").map(PathBuf::from);
        let usual = || {
            let cache = self.get("XDG_CACHE_HOME").map(PathBuf::from);
            Some(
                cache
                    .or_else(|| Some(self.home.as_ref()?.join(".cache")))?
                    .join("huggingface"),
            )
        };
        told.or_else(usual)
    }

    /// The token of `hf auth login`, where one is kept.
    fn kept_token(&self) -> Option<String> {
        /// Tokens are some forty bytes.
        const LONGEST: u64 = 4096;
        let told = self.get("HF_TOKEN_PATH").map(PathBuf::from);
        let path = told.or_else(|| Some(self.hub_home()?.join("token")))?;
        let mut text = String::new();
        let file = std::fs::File::open(path).ok()?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, LONGEST), &mut text).ok()?;
        let token = text.trim();
        (!token.is_empty()).then(|| token.to_owned())
    }

    /// Endpoint, cache folder, token and proxy of the Hugging Face hub: those of its own tools, so that each finds what
    /// the other downloaded, and who has logged in once is logged in here.
    ///
    /// # Source
    ///
    /// huggingface_hub, "Environment variables": `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
    pub(super) fn hub(&self) -> anyhow::Result<HubOptions> {
        let cache = self
            .get("HF_HUB_CACHE")
            .map(PathBuf::from)
            .or_else(|| Some(self.hub_home()?.join("hub")))
            .ok_or_else(|| {
                Refusal::new(
                    "no cache folder for downloads",
                    "set HF_HOME to a folder for them",
                )
            })?;
        let endpoint = self.get("HF_ENDPOINT").map_or(ENDPOINT, String::as_str);
        let is_true = |value: &String| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        };
        Ok(HubOptions {
            offline: self.get("HF_HUB_OFFLINE").is_some_and(is_true),
            token: match self.get("HF_TOKEN") {
                Some(token) => Some(token.clone()),
                None if self
                    .get("HF_HUB_DISABLE_IMPLICIT_TOKEN")
                    .is_some_and(is_true) =>
                {
                    None
                }
                None => self.kept_token(),
            },
            proxy: self.proxies().of(endpoint).map(str::to_owned),
            endpoint: endpoint.to_owned(),
            ..HubOptions::new(std::path::absolute(cache)?)
        })
    }

    /// Fills in what the environment says of object stores: a cache folder, credentials, proxies.
    pub(super) fn reach(&self, remote: &mut RemoteConfig) {
        remote.environment = self.store();
    }

    fn store(&self) -> Environment {
        let is_of_store = |(name, _): &(&String, &String)| {
            ["AWS_", "GOOGLE_", "AZURE_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let variables = self.set.iter().filter(is_of_store);
        Environment {
            variables: variables.map(|(k, v)| (k.clone(), v.clone())).collect(),
            proxies: self.proxies(),
            cache: self.cache("shards"),
        }
    }

    /// What requests go through; not those to hosts, or below domains, that `NO_PROXY` lists.
    fn proxies(&self) -> Proxies {
        let all = || self.in_any_case("ALL_PROXY").cloned();
        let direct = self.in_any_case("NO_PROXY").map_or("", String::as_str);
        Proxies {
            // In lower case alone, since a web server could set the other: <https://httpoxy.org>.
            http: self.get("http_proxy").cloned().or_else(all),
            https: self.in_any_case("HTTPS_PROXY").cloned().or_else(all),
            direct: direct
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &[(&str, &str)]) -> Variables {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Variables::new(
            variables.iter().map(owned),
            Some("/home/a/.cache".into()),
            Some("/home/a".into()),
        )
    }

    #[test]
    fn the_hubs_cache_is_where_its_own_tools_are_told_to_have_theirs() {
        let cache = |variables: &[_]| set(variables).hub().unwrap().cache;
        assert_eq!(cache(&[]), PathBuf::from("/home/a/.cache/huggingface/hub"));
        let xdg = ("XDG_CACHE_HOME", "/scratch");
        assert_eq!(cache(&[xdg]), PathBuf::from("/scratch/huggingface/hub"));
        let hf_home = ("HF_HOME", "/data/hf");
        assert_eq!(cache(&[hf_home]), PathBuf::from("/data/hf/hub"));
        let hub = ("HF_HUB_CACHE", "/data/cache");
        assert_eq!(cache(&[hf_home, hub]), PathBuf::from("/data/cache"));
    }

    #[test]
    fn what_is_not_set_or_blank_has_its_default() {
        let blank = [
            ("HF_ENDPOINT", ""),
            ("HF_TOKEN", " "),
            ("HF_HUB_OFFLINE", "0"),
        ];
        assert_eq!(
            set(&blank).hub().unwrap(),
            HubOptions::new("/home/a/.cache/huggingface/hub")
        );
        let given = [("HF_HUB_OFFLINE", "true"), ("HF_TOKEN", "hf_secret\n")];
        let options = set(&given).hub().unwrap();
        assert!(options.offline);
        assert_eq!(options.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{options:?}").contains("hf_secret"));
    }

    #[test]
    fn who_has_logged_in_once_is_logged_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_kept\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let token = |variables: &[_]| set(variables).hub().unwrap().token;
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_kept"));
        let path = format!("{home}/token");
        assert_eq!(
            token(&[("HF_TOKEN_PATH", &path)]).as_deref(),
            Some("hf_kept")
        );
        let own = [("HF_HOME", home), ("HF_TOKEN", "hf_own")];
        assert_eq!(token(&own).as_deref(), Some("hf_own"));
        let hidden = [("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        assert_eq!(token(&hidden), None);
        assert_eq!(token(&[("HF_HOME", "/no/such/folder")]), None);
    }

    #[test]
    fn a_proxy_is_that_of_the_scheme_unless_the_host_is_excepted() {
        let proxy = |endpoint: &str, no_proxy: &str| {
            set(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)])
                .proxies()
                .of(endpoint)
                .map(str::to_owned)
        };
        let hub = "https://huggingface.co";
        assert_eq!(proxy(hub, "").as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy("http://127.0.0.1:9", ""), None);
        assert!(proxy(hub, "gface.co, example.org").is_some());
        for list in ["*", "huggingface.co", "a.b, .co"] {
            assert_eq!(proxy(hub, list), None, "{list}");
        }
    }

    #[test]
    fn variables_of_the_stores_are_taken_and_no_others() {
        let found = set(&[
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("HOME", "/home/x"),
            ("AZURE_STORAGE_SAS_TOKEN", "y"),
        ])
        .store();
        let names: Vec<&String> = found.variables.keys().collect();
        assert_eq!(names, ["AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN"]);
        assert!(!format!("{found:?}").contains('x'), "{found:?}");
    }

    #[test]
    fn http_has_a_proxy_of_its_own_and_all_the_other() {
        let own = set(&[("http_proxy", "http://a:1"), ("ALL_PROXY", "http://b:2")]).proxies();
        assert_eq!(own.of("http://far.org/a.jpg"), Some("http://a:1"));
        assert_eq!(own.of("https://far.org/a.jpg"), Some("http://b:2"));
        // Set by a client of a web server, say.
        let shouted = set(&[("HTTP_PROXY", "http://a:1")]).proxies();
        assert_eq!(shouted.of("http://far.org/a.jpg"), None);
    }

    #[test]
    fn folders_are_in_the_cache_of_the_user() {
        let folder = set(&[]).cache("shards");
        assert_eq!(folder, Some("/home/a/.cache/sidelight/shards".into()));
        assert_eq!(Variables::new([], None, None).cache("shards"), None);
    }
}
