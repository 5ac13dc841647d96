//! One download: what the hub says of a file, the redirects to it, its bytes, its checksum, its place in the cache.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha1::{Digest as _, Sha1};
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, LOCATION, RANGE,
};
use ureq::http::uri::Scheme;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::{Agent, Body, Proxy};

use super::{FILES, HubEvent, HubName, HubOptions, address};
use crate::config::check_hub_part;
use crate::digest;
use crate::error::{DataError, Error, Result, cannot_read, cannot_write, setting};
use crate::write::{open_kept, write_whole};

/// Redirects that are followed; the hub needs one or two.
const MAX_REDIRECTS: usize = 8;

/// Connecting, and waiting for an answer, takes no longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broken connection is made again so often, as long as …
const ATTEMPTS: usize = 3;

/// … it brings less than this; one that brings more is not counted.
const PROGRESS: u64 = 1 << 20;

/// Downloads the first of a repository's files that holds weights.
pub(super) fn download(
    name: &HubName,
    options: &HubOptions,
    on_event: &mut dyn FnMut(HubEvent<'_>),
) -> Result<PathBuf> {
    let hub = Hub::new(name, options)?;
    for file in FILES {
        if let Some(remote) = hub.look(file)? {
            return hub.keep(&remote, on_event);
        }
    }
    Err(Error::HubNotFound {
        name: name.to_string(),
        endpoint: hub.endpoint.to_owned(),
        files: FILES.to_vec(),
    })
}

/// A connection to the hub about one repository.
struct Hub<'a> {
    name: &'a HubName,
    options: &'a HubOptions,
    /// Without a slash at its end.
    endpoint: &'a str,
    home: Origin,
    authorization: Option<HeaderValue>,
    agent: Agent,
}

/// A file as the hub describes it.
struct Remote {
    url: String,
    file: &'static str,
    /// The commit, else the revision as it was named.
    commit: String,
    tag: Option<String>,
    size: Option<u64>,
}

/// What two URLs have in common where a secret of the one may go to the other.
#[derive(PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// An answer, where it came from, and what the hub said of the file on the way there.
struct Answer {
    at: Uri,
    response: Response<Body>,
    said: Said,
}

/// What the hub says of a file.
#[derive(Default)]
struct Said {
    commit: Option<String>,
    tag: Option<String>,
    size: Option<u64>,
}

impl<'a> Hub<'a> {
    fn new(name: &'a HubName, options: &'a HubOptions) -> Result<Self> {
        let endpoint = options.endpoint.trim_end_matches('/');
        let home = endpoint.parse().ok().and_then(|url| Origin::of(&url));
        let home = home.ok_or_else(|| wrong_endpoint(endpoint))?;
        let authorization = match &options.token {
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| setting("hub.token", "printable characters", "others"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let proxy = match &options.proxy {
            Some(proxy) => Some(Proxy::new(proxy).map_err(|_| {
                // It may hold a password.
                setting("hub.proxy", "`http://host:port`", "something else")
            })?),
            None => None,
        };
        let config = Agent::config_builder()
            // Said here, so that it is not taken from the environment.
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("sidelight/", env!("CARGO_PKG_VERSION")))
            // What is counted and hashed is the file itself.
            .accept_encoding("identity")
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build();
        Ok(Self {
            name,
            options,
            endpoint,
            home,
            authorization,
            agent: config.new_agent(),
        })
    }

    /// What the hub says of a file; nothing where it has none of that name.
    fn look(&self, file: &'static str) -> Result<Option<Remote>> {
        let url = address(self.name, self.endpoint, self.name.revision(), file);
        let answer = self.ask(&Method::HEAD, &url, &[])?;
        let status = answer.response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() && !status.is_redirection() {
            return Err(self.refusal(&answer));
        }
        let Said { commit, tag, size } = answer.said;
        let commit = commit.unwrap_or_else(|| self.name.revision().to_owned());
        Ok(Some(Remote {
            // The very commit, so that the bytes are those that were described.
            url: address(self.name, self.endpoint, &commit, file),
            file,
            commit,
            tag,
            size,
        }))
    }

    /// Downloads a file into the cache.
    fn keep(&self, remote: &Remote, on_event: &mut dyn FnMut(HubEvent<'_>)) -> Result<PathBuf> {
        if let Some(size) = remote.size {
            self.check_size(remote, size)?;
        }
        let folder = self.name.folder(&self.options.cache);
        let target = folder
            .join("snapshots")
            .join(&remote.commit)
            .join(remote.file);
        let blob = remote.tag.as_deref().unwrap_or("unnamed");
        let locks = self
            .options
            .cache
            .join(".locks")
            .join(self.name.folder_name());
        let _held = hold(&locks.join(format!("{blob}.lock")))?;
        // Another process may have been here while we waited.
        if !target.is_file() {
            let part = folder.join("blobs").join(format!("{blob}.part"));
            make_parent(&part)?;
            make_parent(&target)?;
            self.receive(remote, &part, on_event)?;
            check_sum(remote, &part)?;
            fs::rename(&part, &target).map_err(cannot_write(&target))?;
        }
        if self.name.revision() != remote.commit {
            let name = folder.join("refs").join(self.name.revision());
            make_parent(&name)?;
            write_whole(&name, |file| file.write_all(remote.commit.as_bytes()))?;
        }
        Ok(target)
    }

    /// Receives a file, connecting again where the connection breaks.
    fn receive(
        &self,
        remote: &Remote,
        part: &Path,
        on_event: &mut dyn FnMut(HubEvent<'_>),
    ) -> Result<()> {
        let mut file = open_kept(part).map_err(cannot_write(part))?;
        if remote.tag.is_none() {
            // Nobody knows what it is the beginning of.
            cut(&file, part, 0)?;
        }
        let mut failures = 0;
        loop {
            let before = length(&file, part)?;
            let failed = match self.attempt(remote, &mut file, part, on_event) {
                Ok(()) => break,
                Err(Error::HubSize { url, bytes, limit }) => {
                    // Closed first: not every system removes an open file.
                    drop(file);
                    remove(part)?;
                    return Err(Error::HubSize { url, bytes, limit });
                }
                Err(failed @ Error::HubBroken { .. }) => failed,
                Err(other) => return Err(other),
            };
            if length(&file, part)?.saturating_sub(before) < PROGRESS {
                failures += 1;
            }
            if failures == ATTEMPTS || remote.tag.is_none() {
                return Err(failed);
            }
        }
        Ok(file.sync_all().map_err(cannot_write(part))?)
    }

    /// One connection: what is missing of the file, as far as it comes.
    fn attempt(
        &self,
        remote: &Remote,
        file: &mut File,
        part: &Path,
        on_event: &mut dyn FnMut(HubEvent<'_>),
    ) -> Result<()> {
        let size = remote.size;
        let mut done = length(file, part)?;
        if size.is_some_and(|size| done > size) {
            cut(file, part, 0)?;
            done = 0;
        }
        if done > 0 && size == Some(done) {
            return Ok(());
        }
        let mut headers = Vec::new();
        if done > 0 {
            headers.push((RANGE, format!("bytes={done}-")));
            // Where the tag is the content's SHA-256, the whole is checked at the end, and the store that the hub
            // redirects to has a tag of its own.
            if let Some(tag) = remote.tag.as_ref().filter(|tag| !is_sha256(tag)) {
                headers.push((IF_RANGE, format!("\"{tag}\"")));
            }
        }
        let mut answer = self.ask(&Method::GET, &remote.url, &headers)?;
        match answer.response.status() {
            StatusCode::OK => {
                cut(file, part, 0)?;
                done = 0;
            }
            StatusCode::PARTIAL_CONTENT if starts_at(answer.response.headers(), done) => {}
            // The beginning that we have is none of this file.
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                cut(file, part, 0)?;
                let wrong = io::Error::other("the server cannot go on from there");
                return Err(broken(remote, done, wrong));
            }
            _ => return Err(self.refusal(&answer)),
        }
        file.seek(SeekFrom::Start(done))
            .map_err(cannot_write(part))?;
        on_event(HubEvent::Begin {
            url: &remote.url,
            done,
            size,
        });
        let mut body = answer.response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) if size.is_some_and(|size| done < size) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(broken(remote, done, end));
                }
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(remote, done, error)),
            };
            done += n as u64;
            // More than was announced is as wrong as more than is allowed.
            self.check_size(remote, done)?;
            file.write_all(&buffer[..n]).map_err(cannot_write(part))?;
            on_event(HubEvent::Bytes { done, size });
        }
    }

    fn check_size(&self, remote: &Remote, bytes: u64) -> Result<()> {
        let limit = remote
            .size
            .map_or(self.options.limit, |size| size.min(self.options.limit));
        if bytes > limit {
            return Err(Error::HubSize {
                url: remote.url.clone(),
                bytes,
                limit,
            });
        }
        Ok(())
    }

    /// Asks, and goes where the answer leads; HEAD not beyond the hub.
    fn ask(&self, method: &Method, url: &str, headers: &[(HeaderName, String)]) -> Result<Answer> {
        let mut at: Uri = url.parse().map_err(|_| wrong_endpoint(self.endpoint))?;
        let mut said = Said::default();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(method, &at, headers);
            let response = request
                .and_then(|request| self.agent.run(request))
                .map_err(|source| Error::HubUnreachable {
                    name: self.name.to_string(),
                    url: public(&at),
                    file: url.to_owned(),
                    source: Box::new(source),
                })?;
            if self.is_home(&at) {
                said.hear(&response);
            }
            if !response.status().is_redirection() {
                return Ok(Answer { at, response, said });
            }
            let next = next(&at, &response)?;
            // The store's URLs may be good for GET alone, and the hub has said what it knows.
            if *method == Method::HEAD && !self.is_home(&next) {
                return Ok(Answer { at, response, said });
            }
            at = next;
        }
        Err(Error::HubAnswer {
            url: public(&at),
            answer: format!("more than {MAX_REDIRECTS} redirects"),
        })
    }

    /// The token goes to the hub alone.
    fn request(
        &self,
        method: &Method,
        at: &Uri,
        headers: &[(HeaderName, String)],
    ) -> Result<Request<()>, ureq::Error> {
        let mut request = Request::builder().method(method).uri(at);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = self.authorization.as_ref().filter(|_| self.is_home(at)) {
            request = request.header(AUTHORIZATION, token);
        }
        Ok(request.body(())?)
    }

    fn is_home(&self, url: &Uri) -> bool {
        Origin::of(url).as_ref() == Some(&self.home)
    }

    /// An answer that is no file.
    fn refusal(&self, answer: &Answer) -> Error {
        match answer.response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                if self.is_home(&answer.at) =>
            {
                Error::HubRefused {
                    name: self.name.to_string(),
                    endpoint: self.endpoint.to_owned(),
                    status: status.as_u16(),
                    has_token: self.authorization.is_some(),
                }
            }
            status => Error::HubAnswer {
                url: public(&answer.at),
                answer: format!("HTTP {}", status.as_u16()),
            },
        }
    }
}

impl Origin {
    /// Nothing where it is no plain `http` or `https` URL of a host.
    fn of(url: &Uri) -> Option<Self> {
        let scheme = url.scheme()?.clone();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = url.authority()?;
        // `https://huggingface.co@elsewhere.org` is elsewhere, and no redirect needs to be written so.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            scheme,
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(usual),
        })
    }
}

impl Said {
    /// What is already known stays: a renamed repository is described by the first who describes it.
    fn hear(&mut self, response: &Response<Body>) {
        let said = |name: &str| text(response.headers(), name);
        let is_file = response.status().is_success();
        // A redirect's own length and tag are those of its few words.
        let or_own = |linked: &str, own: HeaderName| {
            said(linked).or_else(|| said(own.as_str()).filter(|_| is_file))
        };
        let commit =
            || said("x-repo-commit").filter(|commit| check_hub_part(commit, "revision").is_ok());
        self.commit = self.commit.take().or_else(commit);
        let tag = || or_own("x-linked-etag", ETAG).and_then(|tag| strong(&tag));
        self.tag = self.tag.take().or_else(tag);
        let size = || or_own("x-linked-size", CONTENT_LENGTH)?.parse().ok();
        self.size = self.size.or_else(size);
    }
}

/// Where a redirect leads: not from a connection that nobody can listen to, to one that anybody can.
fn next(at: &Uri, response: &Response<Body>) -> Result<Uri> {
    let wrong = |answer: String| Error::HubAnswer {
        url: public(at),
        answer,
    };
    let to = text(response.headers(), LOCATION.as_str())
        .ok_or_else(|| wrong("a redirect that leads nowhere".into()))?;
    let scheme = at.scheme_str().unwrap_or("https");
    let whole = if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        let host = at.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{host}{to}")
    } else {
        to
    };
    let next: Uri = whole
        .parse()
        .ok()
        .filter(|next| Origin::of(next).is_some())
        .ok_or_else(|| wrong("a redirect to what is no http or https URL".into()))?;
    if scheme == "https" && next.scheme() == Some(&Scheme::HTTP) {
        return Err(wrong(format!(
            "a redirect to {}, which is not encrypted",
            public(&next)
        )));
    }
    Ok(next)
}

/// A URL without its query, which may hold a signature.
fn public(url: &Uri) -> String {
    let host = url.authority().map_or("", |authority| authority.as_str());
    format!(
        "{}://{host}{}",
        url.scheme_str().unwrap_or("https"),
        url.path()
    )
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// A tag without its quotes; nothing where it does not stand for the very bytes (`W/"…"`) or cannot name a file.
fn strong(tag: &str) -> Option<String> {
    let bare = tag.trim_matches('"');
    check_hub_part(bare, "tag").ok().map(|()| bare.to_owned())
}

/// Whether a tag is a SHA-256, as it is of all files that git itself does not hold.
fn is_sha256(tag: &str) -> bool {
    tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a tag is a SHA-1, as it is of files that git itself holds.
fn is_sha1(tag: &str) -> bool {
    tag.len() == 40 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether an answer is a part that begins there: `bytes 1000-4999/5000`.
fn starts_at(headers: &HeaderMap, done: u64) -> bool {
    text(headers, CONTENT_RANGE.as_str())
        .and_then(|range| {
            let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
            start.parse().ok()
        })
        .is_some_and(|start: u64| start == done)
}

fn wrong_endpoint(endpoint: &str) -> DataError {
    let expected = "a URL, as in `https://huggingface.co`";
    setting("hub.endpoint", expected, endpoint)
}

fn broken(remote: &Remote, done: u64, source: io::Error) -> Error {
    Error::HubBroken {
        url: remote.url.clone(),
        done,
        size: remote.size,
        source,
    }
}

/// Compares a file with its tag where that is a checksum; what does not match is removed.
fn check_sum(remote: &Remote, part: &Path) -> Result<()> {
    let Some(expected) = &remote.tag else {
        return Ok(());
    };
    let found = match expected {
        tag if is_sha256(tag) => vec![digest::of_file(part)?.0],
        tag if is_sha1(tag) => sha1_of_file(part)?.to_vec(),
        _ => return Ok(()),
    };
    if found.iter().any(|sum| sum.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    remove(part)?;
    Err(Error::HubChecksum {
        url: remote.url.clone(),
        expected: expected.clone(),
        found: found.into_iter().next().unwrap_or_default(),
    })
}

/// The SHA-1 of a file as git names it, and as it is. The hub's tag of what git itself holds is the first; a mirror
/// (Artifactory) may put the second in its place.
///
/// # Source
///
/// Pro Git, chapter 10.2, "Object Storage": SHA-1 over `blob <length>\0` and the content.
fn sha1_of_file(path: &Path) -> Result<[String; 2]> {
    let read = || {
        let mut file = File::open(path)?;
        let (mut blob, mut plain) = (Sha1::new(), Sha1::new());
        blob.update(format!("blob {}\0", file.metadata()?.len()));
        digest::for_each_piece(&mut file, |piece| {
            blob.update(piece);
            plain.update(piece);
        })?;
        Ok([blob, plain].map(|sha1| digest::hexadecimal(&sha1.finalize())))
    };
    Ok(read().map_err(cannot_read(path))?)
}

/// Waits until no other process downloads the same file; the system releases the lock when the process ends.
fn hold(path: &Path) -> Result<File> {
    make_parent(path)?;
    let file = open_kept(path).map_err(cannot_write(path))?;
    // Some network disks know no locks; two downloads at once there end in a wrong checksum, and are refused.
    let _ = file.lock();
    Ok(file)
}

fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => Ok(fs::create_dir_all(folder).map_err(cannot_write(folder))?),
        None => Ok(()),
    }
}

fn length(file: &File, part: &Path) -> Result<u64> {
    let metadata = file.metadata();
    Ok(metadata.map_err(cannot_write(part))?.len())
}

fn cut(file: &File, part: &Path, length: u64) -> Result<()> {
    Ok(file.set_len(length).map_err(cannot_write(part))?)
}

fn remove(path: &Path) -> Result<()> {
    Ok(fs::remove_file(path).map_err(cannot_write(path))?)
}
