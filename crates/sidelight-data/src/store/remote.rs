//! `[data.remote]`: how shards and images are fetched from where they are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::error::Result;

/// `[data.remote]`. The result of a training does not depend on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// The folder that shards and images are kept in; relative to the TOML. Default: `sidelight/shards` in your cache
    /// folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// MiB that it may hold; the longest unused leave. Twice `data.shuffle_shards` shards should fit. Default: 32768.
    pub cache_size: usize,
    /// How often a request is repeated, with pauses that grow, at most. Default: 8.
    pub retries: usize,
    /// Seconds that a request may take (8 MiB at most), and the silence before an answer. Default: 60.
    pub timeout: f64,
    /// What the store's environment variables would say, by the same names in lower case: `aws_endpoint`, `aws_region`.
    /// Secrets belong in the environment: this is written into the run folder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// What the environment says; it is written nowhere.
    #[serde(skip)]
    pub environment: Environment,
    /// The store that was made of it, which its clones share.
    #[serde(skip)]
    pub made: MadeStore,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            cache: None,
            cache_size: 32_768,
            retries: 8,
            timeout: 60.0,
            options: BTreeMap::new(),
            environment: Environment::default(),
            made: MadeStore::default(),
        }
    }
}

/// What the environment says of stores: credentials, endpoints, proxies. The library does not read it itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// What requests go through.
    pub proxies: Proxies,
    /// The folder for objects where [`RemoteConfig::cache`] names none.
    pub cache: Option<PathBuf>,
}

/// Proxies by the scheme of what is asked for, as `http://host:port`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: Option<String>,
    /// For `https://`.
    pub https: Option<String>,
    /// Hosts, and domains above hosts, that are asked directly; `*`: all are.
    pub direct: Vec<String>,
}

impl Proxies {
    /// The proxy for an address.
    ///
    /// ```
    /// use sidelight_data::store::Proxies;
    ///
    /// let proxies = Proxies {
    ///     https: Some("http://proxy:3128".into()),
    ///     direct: vec!["near.org".into()],
    ///     ..Proxies::default()
    /// };
    /// assert_eq!(proxies.of("https://far.org/a.jpg"), Some("http://proxy:3128"));
    /// assert_eq!(proxies.of("https://data.near.org/a.jpg"), None);
    /// assert_eq!(proxies.of("http://far.org/a.jpg"), None);
    /// ```
    pub fn of(&self, address: &str) -> Option<&str> {
        let (scheme, rest) = address.split_once("://")?;
        let host = rest.split(['/', ':']).next()?;
        let is_direct = self.direct.iter().any(|entry| {
            let domain = entry.trim_start_matches(['*', '.']);
            let above = host.strip_suffix(domain);
            entry == "*"
                || !domain.is_empty()
                    && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        });
        let own = match scheme {
            "http" => &self.http,
            _ => &self.https,
        };
        own.as_deref().filter(|_| !is_direct)
    }
}

// By hand: an address of a proxy may hold a password.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

/// The store of a configuration, once it was asked for.
#[derive(Clone, Default)]
pub struct MadeStore(Arc<Mutex<Option<Made>>>);

/// A store, and the settings that it was made of.
type Made = (RemoteConfig, Arc<Store>);

// What was made is no setting.
impl PartialEq for MadeStore {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for MadeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeStore").finish_non_exhaustive()
    }
}

// By hand: values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

impl RemoteConfig {
    /// The store that it describes, made once. Its options go before the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) where no folder is named; [`Error::Write`](crate::Error::Write);
    /// [`Error::NotBuilt`](crate::Error::NotBuilt) without the feature `remote`.
    pub fn store(&self) -> Result<Arc<Store>> {
        let mut made = self.made.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            // Someone may have changed a setting since.
            Some((of, store)) if of == self => Ok(Arc::clone(store)),
            _ => {
                let store = self.new_store()?;
                let settings = Self {
                    made: MadeStore::default(),
                    ..self.clone()
                };
                *made = Some((settings, Arc::clone(&store)));
                Ok(store)
            }
        }
    }

    #[cfg(feature = "remote")]
    fn new_store(&self) -> Result<Arc<Store>> {
        use super::Options;
        use crate::error::setting;

        let cache = self.cache.clone().or(self.environment.cache.clone());
        let cache = cache.ok_or_else(|| {
            setting(
                "data.remote.cache",
                "a folder that shards and images are kept in",
                "nothing",
            )
        })?;
        let owned = |(name, value): (&String, &String)| (name.clone(), value.clone());
        let variables = self.environment.variables.iter().map(owned);
        Store::new(Options {
            cache,
            max_bytes: (self.cache_size as u64) << 20,
            retries: self.retries,
            patience: std::time::Duration::from_secs_f64(self.timeout),
            // What comes later replaces what came before.
            settings: variables.chain(self.options.iter().map(owned)).collect(),
            proxies: self.environment.proxies.clone(),
        })
    }

    #[cfg(not(feature = "remote"))]
    fn new_store(&self) -> Result<Arc<Store>> {
        Err(crate::Error::NotBuilt {
            what: "objects in stores and on HTTP servers".into(),
            feature: "remote",
        })
    }
}
