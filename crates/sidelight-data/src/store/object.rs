//! Objects in stores and on HTTP servers, through the crate `object_store`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Location;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ahead::{Ahead, ReadAhead};
use super::cache::{Cache, Version};
use super::connect::Connector;
use super::{Proxies, Shard, scheme};
use crate::error::{Error, ObjectFault, Result, cannot_read, cannot_write};

/// Bytes of a request: what a broken connection loses at most, and what is in memory of an object that is fetched.
pub(super) const PIECE: u64 = 8 << 20;

/// Requests for the sizes of objects that are under way at a time.
const HEADS: usize = 16;

/// Shards that are fetched ahead at a time; each comes in one stream.
const SHARDS_AT_A_TIME: usize = 2;
/// Small objects that are fetched ahead at a time.
const SMALL_AT_A_TIME: usize = 16;
/// Small objects that are fetched ahead, at least.
const SMALL_AHEAD: usize = 64;

/// A server that failed so often one after another, each time after all retries, is not asked…
const SILENT: usize = 16;
/// …for so long: a table of a thousand addresses on a host that is gone must not take hours to say so.
const SILENCE: Duration = Duration::from_secs(60);

/// How objects are fetched and kept.
#[derive(Clone)]
pub struct Options {
    /// The folder they are kept in.
    pub cache: PathBuf,
    /// Its bytes, at most; objects that are being fetched may come on top.
    pub max_bytes: u64,
    /// How often a request is repeated, at most.
    pub retries: usize,
    /// How long a request may take, and the silence before an answer.
    pub patience: Duration,
    /// What the environment would say: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, …; in any case.
    pub settings: Vec<(String, String)>,
    /// The proxies that requests go through.
    pub proxies: Proxies,
}

// By hand: settings hold secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.settings.iter().map(|(name, _)| name);
        f.debug_struct("Options")
            .field("cache", &self.cache)
            .field("max_bytes", &self.max_bytes)
            .field("settings", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Where buckets are reached and objects are kept.
pub struct Store {
    options: Options,
    runtime: Runtime,
    cache: Cache,
    connector: Connector,
    buckets: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    /// How often each bucket's server failed one after another, and when it did last.
    silent: Mutex<HashMap<Arc<str>, (usize, Instant)>>,
    pub(super) ahead: Mutex<Option<Arc<Ahead>>>,
}

/// An object and what is known of it.
#[derive(Debug)]
pub(super) struct Object {
    store: Arc<Store>,
    /// Where it is, once it was looked for.
    place: OnceLock<Place>,
    version: OnceLock<Version>,
    /// The most bytes that it may have, where that is not the folder's limit.
    max_bytes: Option<u64>,
    /// Whether what is in the folder was looked at by this process. Held while it is fetched: one fetches, others wait.
    is_checked: Mutex<bool>,
}

/// Where an object is.
#[derive(Debug)]
struct Place {
    bucket: Arc<dyn ObjectStore>,
    location: Location,
    /// The address of the bucket.
    root: Arc<str>,
}

// What a thread leaves behind when it panics is sound: every change of what is shared is made whole, and a file is whole
// or absent. The clients inside cannot say so themselves.
impl std::panic::UnwindSafe for Object {}
impl std::panic::RefUnwindSafe for Object {}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A store that fetches into a folder; it is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; [`Error::Setting`] where the proxy is none.
    pub fn new(options: Options) -> Result<Arc<Self>> {
        let cache = Cache::new(options.cache.clone(), options.max_bytes)?;
        let connector = Connector::new(options.patience, &options.proxies)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .map_err(cannot_read(&options.cache))?;
        Ok(Arc::new(Self {
            options,
            runtime,
            cache,
            connector,
            buckets: Mutex::default(),
            silent: Mutex::default(),
            ahead: Mutex::default(),
        }))
    }

    /// Bytes that its folder holds, at most.
    pub fn max_bytes(&self) -> u64 {
        self.options.max_bytes
    }

    /// Objects by their addresses, once it is known that they are there and how large they are.
    ///
    /// # Errors
    ///
    /// [`Error::ObjectAddress`], [`Error::Object`], [`Error::ObjectTooLarge`], the first in their order.
    pub fn shards(self: &Arc<Self>, addresses: &[PathBuf]) -> Result<Vec<Arc<Shard>>> {
        let shards: Vec<Arc<Shard>> = addresses
            .iter()
            .map(|address| self.object(address, None))
            .collect();
        for shard in &shards {
            if let Some(object) = &shard.object {
                object.place(shard.path())?;
            }
        }
        let mut found = self.runtime.block_on(async {
            let (mut tasks, limit) = (JoinSet::new(), Arc::new(Semaphore::new(HEADS)));
            for (place, shard) in shards.iter().enumerate() {
                let (shard, limit) = (Arc::clone(shard), Arc::clone(&limit));
                tasks.spawn(async move {
                    let _turn = limit.acquire_owned().await;
                    let at = shard.object.as_ref()?.place.get()?;
                    Some((place, at.bucket.head(&at.location).await))
                });
            }
            tasks.join_all().await
        });
        found.sort_by_key(|found| found.as_ref().map(|(place, _)| *place));
        for (place, head) in found.into_iter().flatten() {
            let Some(shard) = shards.get(place) else {
                continue;
            };
            let head = head.map_err(|error| fault(&shard.path, &error))?;
            if let Some(object) = &shard.object {
                object.set(&shard.path, &head)?;
            }
        }
        Ok(shards)
    }

    /// The addresses of the objects in a folder, sorted; one level, those that end so.
    ///
    /// # Errors
    ///
    /// As [`Store::shards`].
    pub fn list(&self, folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
        let (bucket, location, root) = self.place(folder)?;
        let found = self
            .runtime
            .block_on(bucket.list_with_delimiter(Some(&location)))
            .map_err(|error| fault(folder, &error))?;
        let names = found.objects.iter().map(|object| object.location.as_ref());
        let mut names: Vec<PathBuf> = names
            .filter(|name| name.ends_with(ending))
            .map(|name| format!("{root}/{name}").into())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Fetches these shards in the background, in their order: the group that the one that was last opened is in, and
    /// the next, `group` shards each. It ends with what is given back, or where another begins.
    pub fn read_ahead(self: &Arc<Self>, order: Vec<Arc<Shard>>, group: usize) -> ReadAhead {
        self.start_ahead(order, group, SHARDS_AT_A_TIME)
    }

    /// As [`Store::read_ahead`], of small objects: many at a time, since what they take is the time of an answer.
    pub fn read_many_ahead(self: &Arc<Self>, order: Vec<Arc<Shard>>) -> ReadAhead {
        self.start_ahead(order, SMALL_AHEAD, SMALL_AT_A_TIME)
    }

    fn start_ahead(
        self: &Arc<Self>,
        order: Vec<Arc<Shard>>,
        group: usize,
        threads: usize,
    ) -> ReadAhead {
        let ahead = Arc::new(Ahead::new(order, group));
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&ahead));
        ReadAhead::start(ahead, threads)
    }

    /// Forgets what was fetched ahead for, unless another has begun.
    pub(super) fn end(&self, ended: &Arc<Ahead>) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead
            .as_ref()
            .is_some_and(|ahead| Arc::ptr_eq(ahead, ended))
        {
            *ahead = None;
        }
    }

    /// The answer to a question about an object; at once that there is none, where a server has been silent for long.
    fn asked<T>(
        &self,
        address: &Path,
        root: &Arc<str>,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        let lock = || self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |(n, last): &(usize, Instant)| *n >= SILENT && last.elapsed() < SILENCE;
        if lock().get(root).is_some_and(is_silent) {
            return Err(Error::Object {
                address: address.to_path_buf(),
                fault: ObjectFault::Other,
                reason: format!("{root} did not answer the last {SILENT} requests"),
            });
        }
        let answer = self.runtime.block_on(question);
        let answer = answer.map_err(|error| fault(address, &error));
        match &answer {
            Err(Error::Object {
                fault: ObjectFault::Other,
                ..
            }) => {
                let mut silent = lock();
                let (n, last) = silent
                    .entry(Arc::clone(root))
                    .or_insert((0, Instant::now()));
                (*n, *last) = (*n + 1, Instant::now());
            }
            _ => drop(lock().remove(root)),
        }
        answer
    }

    fn asked_for(&self, path: &Path) {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ahead) = &*ahead {
            ahead.asked_for(path);
        }
    }

    /// An object of at most so many bytes, by default as many as the folder holds. Nobody is asked for it yet: an address
    /// that is none, and an object that is not there, are errors of whoever reads it.
    pub fn object(self: &Arc<Self>, address: &Path, max_bytes: Option<u64>) -> Arc<Shard> {
        Arc::new(Shard {
            path: address.to_path_buf(),
            object: Some(Object {
                store: Arc::clone(self),
                place: OnceLock::new(),
                version: OnceLock::new(),
                max_bytes,
                is_checked: Mutex::new(false),
            }),
        })
    }

    /// The bucket of an address, where in it, and the address of the bucket.
    fn place(&self, address: &Path) -> Result<(Arc<dyn ObjectStore>, Location, String)> {
        let wrong = |expected: &str| Error::ObjectAddress {
            address: address.to_path_buf(),
            expected: expected.to_owned(),
        };
        let expected =
            "`s3://bucket/key`, `gs://bucket/key`, `az://container/key` or `https://host/path`";
        let scheme = scheme(address).ok_or_else(|| wrong(expected))?;
        let text = address.to_str().unwrap_or_default();
        if text.contains(['?', '#']) {
            return Err(wrong("an address without `?` and `#`"));
        }
        let rest = &text[scheme.len() + 3..];
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || host.contains('@') {
            return Err(wrong(expected));
        }
        let location = Location::from_url_path(key).map_err(|_| wrong(expected))?;
        let root = format!("{scheme}://{host}");
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match buckets.get(&root) {
            Some(bucket) => Arc::clone(bucket),
            None => {
                let bucket = self
                    .bucket(scheme, &root)
                    .map_err(|error| fault(address, &error))?;
                buckets.insert(root.clone(), Arc::clone(&bucket));
                bucket
            }
        };
        Ok((bucket, location, root))
    }

    fn bucket(&self, scheme: &str, root: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: self.options.retries,
            retry_timeout: self.options.patience.saturating_mul(5),
        };
        /// A builder with every setting that it knows.
        macro_rules! built {
            ($builder:ty) => {{
                let mut builder = <$builder>::new();
                for (name, value) in &self.options.settings {
                    if let Ok(key) = name.to_ascii_lowercase().parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                Arc::new(
                    builder
                        .with_url(root)
                        .with_retry(retry)
                        .with_http_connector(self.connector.clone())
                        .build()?,
                )
            }};
        }
        Ok(match scheme {
            "s3" => built!(AmazonS3Builder),
            "gs" => built!(GoogleCloudStorageBuilder),
            "az" => built!(MicrosoftAzureBuilder),
            _ => built!(HttpBuilder),
        })
    }
}

impl Object {
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Its size; the server is asked once.
    pub(super) fn n_bytes(&self, address: &Path) -> Result<u64> {
        Ok(self.version(address)?.size)
    }

    /// Its size, where the server was asked for it.
    pub(super) fn known_bytes(&self) -> Option<u64> {
        Some(self.version.get()?.size)
    }

    /// The server's tag, where it is known.
    pub(super) fn tag(&self) -> Option<&str> {
        self.version.get()?.tag.as_deref()
    }

    /// Opens it, once it is here.
    pub(super) fn open(&self, address: &Path) -> Result<File> {
        self.store.asked_for(address);
        loop {
            let path = self.fetched(address)?;
            match File::open(&path) {
                Ok(file) => {
                    self.store.cache.touch(&file);
                    return Ok(file);
                }
                // Another process made room.
                Err(error) if error.kind() == ErrorKind::NotFound => self.forget(),
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
    }

    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    fn version(&self, address: &Path) -> Result<&Version> {
        if self.version.get().is_none() {
            let Place {
                bucket,
                location,
                root,
            } = self.place(address)?;
            let head = self.store.asked(address, root, bucket.head(location));
            self.set(address, &head?)?;
        }
        Ok(self.version.get().expect("it was set just now"))
    }

    fn place(&self, address: &Path) -> Result<&Place> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let (bucket, location, root) = self.store.place(address)?;
        Ok(self.place.get_or_init(|| Place {
            bucket,
            location,
            root: root.into(),
        }))
    }

    fn set(&self, address: &Path, head: &ObjectMeta) -> Result<()> {
        if let Some(max_bytes) = self.max_bytes.filter(|most| head.size > *most) {
            return Err(Error::ImageBytes {
                name: address.display().to_string(),
                n_bytes: head.size,
                max_bytes,
            });
        }
        if head.size > self.store.options.max_bytes {
            return Err(Error::ObjectTooLarge {
                address: address.to_path_buf(),
                n_bytes: head.size,
                max_bytes: self.store.options.max_bytes,
            });
        }
        let _ = self.version.set(Version::from_meta(head));
        Ok(())
    }

    /// Where it is, once it is here.
    pub(super) fn fetched(&self, address: &Path) -> Result<PathBuf> {
        let mut is_checked = self
            .is_checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let cache = &self.store.cache;
        if !*is_checked {
            let version = self.version(address)?;
            cache.hold(address, version, &mut |out| {
                self.receive(address, version, out)
            })?;
            *is_checked = true;
        }
        Ok(cache.path(address))
    }

    fn forget(&self) {
        *self
            .is_checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Piece by piece; each is repeated on its own.
    fn receive(&self, address: &Path, version: &Version, out: &mut dyn Write) -> Result<()> {
        let broken = |fault: ObjectFault, reason: &str| Error::Object {
            address: address.to_path_buf(),
            fault,
            reason: reason.to_owned(),
        };
        let Place {
            bucket,
            location,
            root,
        } = self.place(address)?;
        let mut start = 0;
        while start < version.size {
            let end = (start + PIECE).min(version.size);
            // A server that gives no parts can still give small objects.
            let is_part = version.size > PIECE;
            let options = GetOptions {
                range: is_part.then_some(GetRange::Bounded(start..end)),
                // A weak tag never matches.
                if_match: version.tag.clone().filter(|tag| !tag.starts_with("W/")),
                ..GetOptions::default()
            };
            let received = self.store.asked(address, root, async {
                let answer = bucket.get_opts(location, options).await?;
                let found = Version::from_meta(&answer.meta);
                Ok::<_, object_store::Error>((found, answer.bytes().await?))
            });
            let (found, bytes) = received?;
            if found != *version {
                return Err(broken(ObjectFault::Changed, "it is another than it was"));
            }
            if bytes.len() as u64 != end - start {
                let reason = format!("{} bytes came, not {}", bytes.len(), end - start);
                return Err(broken(ObjectFault::Other, &reason));
            }
            out.write_all(&bytes)
                .map_err(cannot_write(&self.store.cache.path(address)))?;
            start = end;
        }
        Ok(())
    }
}

/// What went wrong with an object, in our words.
fn fault(address: &Path, error: &object_store::Error) -> Error {
    use object_store::Error as E;
    let text = error.to_string();
    let fault = match error {
        E::NotFound { .. } => ObjectFault::Missing,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => ObjectFault::Denied,
        E::Precondition { .. } => ObjectFault::Changed,
        // The clients say it each in its own way: that of HTTP servers by a kind, those of stores in words.
        E::NotSupported { .. } => ObjectFault::NoParts,
        _ if text.contains("non-partial response") => ObjectFault::NoParts,
        _ => ObjectFault::Other,
    };
    let reason = match fault {
        ObjectFault::Missing => "it is not there".to_owned(),
        ObjectFault::Changed => "it is another than it was".to_owned(),
        ObjectFault::NoParts => "the server gives no parts of files".to_owned(),
        // One line: a server's page about an error can be long.
        _ => text
            .split(['\n', '\r'])
            .next()
            .unwrap_or_default()
            .chars()
            .take(400)
            .collect(),
    };
    Error::Object {
        address: address.to_path_buf(),
        fault,
        reason,
    }
}
