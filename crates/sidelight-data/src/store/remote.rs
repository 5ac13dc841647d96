//! `[data.remote]`: how shards are fetched from where they are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Store;
use crate::error::Result;

/// `[data.remote]`. The result of a training does not depend on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteConfig {
    /// The folder that shards are kept in; relative to the TOML. Default: `sidelight/shards` in your cache folder.
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
        }
    }
}

/// What the environment says of stores: credentials, endpoints, the proxy. The library does not read it itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// Address of the proxy that all requests go through.
    pub proxy: Option<String>,
}

// By hand: values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

impl RemoteConfig {
    /// The store that it describes. Its options go before the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) where no folder is named; [`Error::Write`](crate::Error::Write).
    #[cfg(feature = "remote")]
    pub fn store(&self) -> Result<Arc<Store>> {
        use super::Options;
        use crate::error::setting;

        let cache = self.cache.clone().ok_or_else(|| {
            setting(
                "data.remote.cache",
                "a folder that shards are kept in",
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
            proxy: self.environment.proxy.clone(),
        })
    }

    /// The store that it describes: none in this build.
    ///
    /// # Errors
    ///
    /// [`Error::NotBuilt`](crate::Error::NotBuilt).
    #[cfg(not(feature = "remote"))]
    pub fn store(&self) -> Result<Arc<Store>> {
        Err(crate::Error::NotBuilt {
            what: "objects in stores and on HTTP servers".into(),
            feature: "remote",
        })
    }
}
