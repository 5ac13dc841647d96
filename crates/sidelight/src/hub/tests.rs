//! Downloads from a server in this process, which breaks, lies and redirects as it is told.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::error::DataError;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a server was asked: the first line, then the headers, all in lower case but the path.
type Asked = Vec<String>;

/// What it answers: status, headers, body, and how much of the body it sends before it hangs up.
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    sent: usize,
}

impl Reply {
    fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            sent: body.len(),
        }
    }
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    /// Announces all and sends so much.
    fn breaks_after(mut self, sent: usize) -> Self {
        self.sent = sent;
        self
    }
}

/// A server on this machine; it ends with the test's process.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn new(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = Request::read(&stream);
                list.lock().unwrap().push(request.lines.clone());
                let reply = answer(&request);
                let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", reply.status);
                if !reply
                    .headers
                    .iter()
                    .any(|(name, _)| *name == "content-length")
                {
                    head += &format!("content-length: {}\r\n", reply.body.len());
                }
                for (name, value) in &reply.headers {
                    head += &format!("{name}: {value}\r\n");
                }
                let body = if request.lines[0].starts_with("HEAD") {
                    &[]
                } else {
                    &reply.body[..reply.sent]
                };
                // A client that has heard enough hangs up.
                let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

struct Request {
    lines: Asked,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut lines: Asked = BufReader::new(stream)
            .lines()
            .map_while(std::result::Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        for header in &mut lines[1..] {
            header.make_ascii_lowercase();
        }
        Self { lines }
    }
    fn header(&self, name: &str) -> Option<&str> {
        header(&self.lines, name)
    }
    /// Where a `Range` begins.
    fn start(&self) -> usize {
        self.header("range").map_or(0, |range| {
            let start = range.strip_prefix("bytes=").unwrap();
            start.strip_suffix('-').unwrap().parse().unwrap()
        })
    }
    fn is_get(&self) -> bool {
        self.lines[0].starts_with("GET")
    }
    fn asks_for(&self, file: &str) -> bool {
        self.lines[0].split(' ').nth(1).unwrap().ends_with(file)
    }
}

fn header<'a>(lines: &'a Asked, name: &str) -> Option<&'a str> {
    lines[1..]
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn weights() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All of a file, or what a `Range` asks for, described as the hub does it.
fn file(request: &Request, bytes: &[u8], tag: &str) -> Reply {
    let start = request.start();
    let reply = if start > 0 {
        let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        Reply::new(206, &bytes[start..]).with("content-range", range)
    } else {
        Reply::new(200, bytes)
    };
    reply
        .with("etag", format!("\"{tag}\""))
        .with("x-repo-commit", COMMIT)
}

fn name() -> HubName {
    HubName::parse("our/net").unwrap()
}

fn options(server: &Server) -> (TempDir, HubOptions) {
    let folder = tempfile::tempdir().unwrap();
    let options = HubOptions {
        endpoint: server.url.clone(),
        ..HubOptions::new(folder.path().join("hub"))
    };
    (folder, options)
}

fn quietly(options: &HubOptions) -> Result<PathBuf> {
    fetch(&name(), options, &mut |_| {})
}

/// The message and the hint of a refusal, the server's port and the folder taken out.
fn refusal(options: &HubOptions) -> (Error, String) {
    let error = quietly(options).unwrap_err();
    let said = format!("{error}\n{}", error.hint().unwrap_or_default())
        .replace(&options.endpoint, "HUB")
        .replace(options.cache.to_str().unwrap(), "CACHE");
    (error, said)
}

/// Files and folders below, but for locks.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() == ".locks" {
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                found.push(name.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_is_downloaded_once_and_kept_as_the_hubs_own_tools_keep_it() {
    let bytes = weights();
    let sent = bytes.clone();
    let server = Server::new(move |request| file(request, &sent, &sha256(&sent)));
    let (_folder, options) = options(&server);
    let mut events = Vec::new();
    let path = fetch(&name(), &options, &mut |event| match event {
        HubEvent::Begin { url, done, size } => {
            assert!(url.ends_with(&format!("/our/net/resolve/{COMMIT}/model.safetensors")));
            events.push((done, size));
        }
        HubEvent::Bytes { done, size } => events.push((done, size)),
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let n = bytes.len() as u64;
    assert_eq!(
        (events[0], *events.last().unwrap()),
        ((0, Some(n)), (n, Some(n)))
    );
    assert_eq!(
        files(&options.cache),
        [
            "models--our--net/refs/main".to_owned(),
            format!("models--our--net/snapshots/{COMMIT}/model.safetensors")
        ]
    );
    let n_asked = server.asked().len();
    let again = HubOptions {
        offline: true,
        ..options
    };
    assert_eq!(quietly(&again).unwrap(), path);
    let by_commit = HubName::parse(&format!("our/net@{COMMIT}")).unwrap();
    assert_eq!(fetch(&by_commit, &again, &mut |_| {}).unwrap(), path);
    assert_eq!(server.asked().len(), n_asked);
}

#[test]
fn where_there_are_no_safetensors_the_older_file_is_taken() {
    let server = Server::new(|request| {
        if request.asks_for("/pytorch_model.bin") {
            file(request, b"pickle", "a-tag-that-is-no-checksum")
        } else {
            Reply::new(404, b"")
        }
    });
    let (_folder, options) = options(&server);
    let path = quietly(&options).unwrap();
    assert!(path.ends_with(format!("{COMMIT}/pytorch_model.bin")));
    assert_eq!(fs::read(path).unwrap(), b"pickle");
}

#[test]
fn a_broken_connection_is_made_again_and_goes_on_where_it_broke() {
    let bytes = weights();
    let sent = bytes.clone();
    let server = Server::new(move |request| {
        let reply = file(request, &sent, &sha256(&sent));
        if request.is_get() && request.start() == 0 {
            reply.breaks_after(300_000)
        } else {
            reply
        }
    });
    let (_folder, options) = options(&server);
    let mut begun = Vec::new();
    let path = fetch(&name(), &options, &mut |event| {
        if let HubEvent::Begin { done, .. } = event {
            begun.push(done);
        }
    })
    .unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
    assert_eq!(begun, [0, 300_000]);
}

#[test]
fn a_download_that_broke_off_for_good_goes_on_the_next_time() {
    let bytes = weights();
    let sent = bytes.clone();
    let is_up = Arc::new(Mutex::new(false));
    let up = Arc::clone(&is_up);
    let server = Server::new(move |request| {
        let reply = file(request, &sent, &sha256(&sent));
        if !request.is_get() || *up.lock().unwrap() {
            reply
        } else {
            reply.breaks_after(1000)
        }
    });
    let (_folder, options) = options(&server);
    let (error, said) = refusal(&options);
    assert!(
        matches!(
            error,
            Error::HubBroken {
                done: 3000,
                size: Some(800_000),
                ..
            }
        ),
        "{error}"
    );
    assert!(
        said.ends_with(
            "broke off after 3000 of 800000 bytes\nthe same command resumes the download"
        ),
        "{said}"
    );
    let part = format!("models--our--net/blobs/{}.part", sha256(&bytes));
    assert_eq!(files(&options.cache), [part]);
    *is_up.lock().unwrap() = true;
    assert_eq!(fs::read(quietly(&options).unwrap()).unwrap(), bytes);
    let last = server.asked().pop().unwrap();
    assert_eq!(header(&last, "range"), Some("bytes=3000-"));
}

#[test]
fn without_a_checksum_it_goes_on_only_with_the_same_tag() {
    let bytes = weights();
    let sent = bytes.clone();
    // It changes between the description and the second part: the server then sends all of the new one.
    let server = Server::new(move |request| {
        if request.is_get() && request.start() == 0 {
            file(request, &sent, "old").breaks_after(1000)
        } else if request.header("if-range") == Some("\"old\"") {
            Reply::new(200, &sent)
        } else {
            file(request, &sent, "old")
        }
    });
    let (_folder, options) = options(&server);
    assert_eq!(fs::read(quietly(&options).unwrap()).unwrap(), bytes);
    assert_eq!(
        header(server.asked().last().unwrap(), "if-range"),
        Some("\"old\"")
    );
}

#[test]
fn what_does_not_match_its_checksum_is_refused_and_removed() {
    let server = Server::new(|request| file(request, b"something else", &sha256(b"weights")));
    let (_folder, options) = options(&server);
    let (error, said) = refusal(&options);
    assert!(
        matches!(&error, Error::HubChecksum { expected, found, .. }
            if *expected == sha256(b"weights") && *found == sha256(b"something else")),
        "{error}"
    );
    assert!(said.contains("model.safetensors arrived damaged"), "{said}");
    assert_eq!(files(&options.cache), [""; 0]);
}

/// `printf hello | git hash-object --stdin`
const HELLO_OF_GIT: &str = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";

#[test]
fn what_git_itself_holds_is_compared_with_its_name_in_git() {
    // `printf hello | sha1sum`
    let plain = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
    for tag in [HELLO_OF_GIT, plain] {
        let server = Server::new(move |request| file(request, b"hello", tag));
        let (_folder, options) = options(&server);
        assert_eq!(fs::read(quietly(&options).unwrap()).unwrap(), b"hello");
    }
    let server = Server::new(|request| file(request, b"hellO", HELLO_OF_GIT));
    let (_folder, options) = options(&server);
    let (error, _) = refusal(&options);
    assert!(
        matches!(&error, Error::HubChecksum { expected, .. } if expected == HELLO_OF_GIT),
        "{error}"
    );
    assert_eq!(files(&options.cache), [""; 0]);
}

#[test]
fn a_beginning_that_is_none_of_the_file_is_noticed() {
    let bytes = weights();
    let sent = bytes.clone();
    let server = Server::new(move |request| file(request, &sent, &sha256(&sent)));
    let (_folder, options) = options(&server);
    let blobs = name().folder(&options.cache).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.part", sha256(&bytes))), [7; 5000]).unwrap();
    let (error, _) = refusal(&options);
    assert!(matches!(error, Error::HubChecksum { .. }), "{error}");
    assert_eq!(fs::read(quietly(&options).unwrap()).unwrap(), bytes);
}

#[test]
fn a_repository_that_is_not_there_is_named_with_the_hub() {
    let server = Server::new(|_| Reply::new(404, b"").with("x-error-code", "RepoNotFound"));
    let (_folder, options) = options(&server);
    let (error, said) = refusal(&options);
    assert!(matches!(error, Error::HubNotFound { .. }), "{error}");
    assert!(
        said.starts_with(
            "no weights `our/net` at HUB: it has neither model.safetensors nor pytorch_model.bin\n"
        ),
        "{said}"
    );
}

#[test]
fn what_is_not_open_to_all_asks_for_a_token_or_for_a_better_one() {
    for status in [401, 403] {
        let server = Server::new(move |_| Reply::new(status, b""));
        let (_folder, mut options) = options(&server);
        let (error, said) = refusal(&options);
        assert!(
            matches!(
                error,
                Error::HubRefused {
                    has_token: false,
                    ..
                }
            ),
            "{error}"
        );
        assert!(said.starts_with(&format!("HUB denies access to `our/net` (HTTP {status})")));
        assert!(
            said.contains("set HF_TOKEN to one from HUB/settings/tokens"),
            "{said}"
        );
        options.token = Some("hf_ours".into());
        let (error, said) = refusal(&options);
        assert!(
            matches!(
                error,
                Error::HubRefused {
                    has_token: true,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            said.contains("are the conditions at HUB/our/net accepted?"),
            "{said}"
        );
        assert_eq!(
            header(server.asked().last().unwrap(), "authorization"),
            Some("bearer hf_ours")
        );
    }
}

#[test]
fn a_hub_that_is_out_of_order_is_said_so() {
    let server = Server::new(|_| Reply::new(503, b"later"));
    let (_folder, options) = options(&server);
    let (error, said) = refusal(&options);
    assert!(matches!(error, Error::HubAnswer { .. }), "{error}");
    assert!(
        said.starts_with("HUB/our/net/resolve/main/model.safetensors answered with HTTP 503\n"),
        "{said}"
    );
}

#[test]
fn offline_and_without_a_network_it_is_said_what_to_do() {
    let server = Server::new(|_| Reply::new(500, b""));
    let (_folder, mut options) = options(&server);
    options.offline = true;
    let (error, said) = refusal(&options);
    assert!(matches!(error, Error::HubOffline { .. }), "{error}");
    let url = "HUB/our/net/resolve/main/model.safetensors";
    assert!(
        said.contains(&format!(
            "download {url} and set `model.weights` to the file"
        )) && said.contains("or copy CACHE/models--our--net from there"),
        "{said}"
    );
    assert!(server.asked().is_empty());
    // Nobody listens at a port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    options.offline = false;
    options.endpoint = format!("http://{}/", free.unwrap());
    let (error, said) = refusal(&options);
    assert!(matches!(error, Error::HubUnreachable { .. }), "{error}");
    assert!(
        said.contains("elsewhere and set `model.weights` to the file"),
        "{said}"
    );
}

#[test]
fn the_token_does_not_follow_a_redirect_to_another_host_and_the_checksum_is_the_hubs() {
    let bytes = weights();
    let sent = bytes.clone();
    let store = Server::new(move |request| {
        // A store has a tag of its own, and no say in what the file should be.
        file(request, &sent, "of-the-store").with("x-linked-etag", "\"lie\"")
    });
    let there = format!("{}/blob?signature=secret", store.url);
    let tag = sha256(&bytes);
    let size = bytes.len();
    let hub = Server::new(move |request| {
        if request.asks_for("/moved") {
            Reply::new(302, b"Found")
                .with("location", there.as_str())
                .with("x-linked-etag", format!("\"{tag}\""))
                .with("x-linked-size", size.to_string())
                .with("x-repo-commit", COMMIT)
        } else {
            // A renamed repository, on the hub itself.
            Reply::new(307, b"Temporary").with("location", "/our/moved")
        }
    });
    let (_folder, mut options) = options(&hub);
    options.token = Some("hf_ours".into());
    let path = quietly(&options).unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
    assert!(
        hub.asked()
            .iter()
            .all(|asked| header(asked, "authorization").is_some())
    );
    assert_eq!(store.asked().len(), 1, "HEAD stays at the hub");
    assert_eq!(header(&store.asked()[0], "authorization"), None);
}

#[test]
fn what_a_store_refuses_is_told_without_its_signature() {
    let store = Server::new(|_| Reply::new(403, b"expired"));
    let there = format!("{}/blob?signature=secret", store.url);
    let hub = Server::new(move |_| {
        Reply::new(302, b"")
            .with("location", there.as_str())
            .with("x-linked-size", "7")
    });
    let (_folder, options) = options(&hub);
    let (error, said) = refusal(&options);
    assert!(matches!(error, Error::HubAnswer { .. }), "{error}");
    assert!(
        said.contains("/blob answered with HTTP 403") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn redirects_that_lead_in_circles_or_out_of_the_web_are_not_followed() {
    for (to, answer) in [
        ("/our/net", "more than 8 redirects"),
        (
            "file:///etc/passwd",
            "a redirect to what is no http or https URL",
        ),
        (
            "https://hub@elsewhere.org/",
            "a redirect to what is no http or https URL",
        ),
    ] {
        let server = Server::new(move |_| Reply::new(302, b"").with("location", to));
        let (_folder, options) = options(&server);
        let error = quietly(&options).unwrap_err();
        assert!(
            matches!(&error, Error::HubAnswer { answer: found, .. } if found == answer),
            "{error}"
        );
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_comes() {
    let server = Server::new(|request| file(request, &[0; 1001], "tag"));
    let (_folder, mut options) = options(&server);
    options.limit = 1000;
    let error = quietly(&options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::HubSize {
                bytes: 1001,
                limit: 1000,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked[0].starts_with("HEAD"))
    );
}

#[test]
fn what_turns_out_larger_than_it_was_said_to_be_is_cut_off_and_removed() {
    let server = Server::new(|request| {
        if request.is_get() {
            file(request, &[0; 3000], "tag")
        } else {
            file(request, &[0; 1000], "tag")
        }
    });
    let (_folder, options) = options(&server);
    let error = quietly(&options).unwrap_err();
    assert!(
        matches!(error, Error::HubSize { limit: 1000, .. }),
        "{error}"
    );
    assert_eq!(files(&options.cache), [""; 0]);
}

#[test]
fn a_commit_that_would_lead_out_of_the_cache_is_not_used() {
    let server = Server::new(|request| {
        let mut reply = file(request, b"weights", "../../tag");
        reply.headers.retain(|(name, _)| *name != "x-repo-commit");
        reply.with("x-repo-commit", "../../../outside")
    });
    let (folder, options) = options(&server);
    quietly(&options).unwrap();
    assert_eq!(
        files(folder.path()),
        ["hub/models--our--net/snapshots/main/model.safetensors"]
    );
    // Nor one that stands in the cache.
    let refs = name().folder(&options.cache).join("refs");
    fs::create_dir_all(&refs).unwrap();
    fs::write(refs.join("main"), "../../..").unwrap();
    assert_eq!(cached(&name(), &options.cache), None);
}

#[test]
fn an_endpoint_and_a_token_that_are_none_are_refused() {
    let server = Server::new(|_| Reply::new(500, b""));
    let (_folder, options) = options(&server);
    for endpoint in [
        "",
        "huggingface.co",
        "ftp://huggingface.co",
        "https://a@b.c",
    ] {
        let options = HubOptions {
            endpoint: endpoint.into(),
            ..options.clone()
        };
        let error = quietly(&options).unwrap_err();
        assert!(
            matches!(&error, Error::Data(DataError::Setting { field, .. }) if field == "hub.endpoint"),
            "{error}"
        );
    }
    let token = HubOptions {
        token: Some("a\r\nhost: elsewhere".into()),
        ..options
    };
    let error = quietly(&token).unwrap_err();
    assert!(
        matches!(&error, Error::Data(DataError::Setting { field, .. }) if field == "hub.token"),
        "{error}"
    );
    assert!(!error.to_string().contains("elsewhere"));
}

#[test]
fn names_that_are_none_are_refused_with_the_reason() {
    for (text, reason) in [
        ("resnet18", "expected one `/`, found 0"),
        ("a/b/c", "expected one `/`, found 2"),
        (
            "https://huggingface.co/timm/net",
            "expected one `/`, found 4",
        ),
        ("/net", "the owner is empty"),
        ("timm/", "the name is empty"),
        ("timm/net@", "the revision is empty"),
        (
            "../net",
            "the owner begins or ends with `.` or `-`, or has two dots in a row",
        ),
        (
            "timm/..",
            "the name begins or ends with `.` or `-`, or has two dots in a row",
        ),
        ("timm/net@../main", "'/' is in no revision"),
        (
            "timm/net@a..b",
            "the revision begins or ends with `.` or `-`, or has two dots in a row",
        ),
        ("timm/net?x=1", "'?' is in no name"),
        ("timm/net#x", "'#' is in no name"),
        ("timm/n%2e", "'%' is in no name"),
        ("timm\\x/net", "'\\\\' is in no owner"),
        ("timm/net\n", "'\\n' is in no name"),
        ("timm/nèt", "'è' is in no name"),
        ("user:pass/net", "':' is in no owner"),
        ("timm/a--b", "`--` is in no name"),
        ("timm/net@main@main", "'@' is in no revision"),
    ] {
        let error = HubName::parse(text).unwrap_err();
        assert!(
            matches!(&error, DataError::HubName { reason: found, .. } if found == reason),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("`timm/resnet18.tv_in1k`"));
    }
    let long = format!("timm/{}", "a".repeat(97));
    assert!(matches!(
        HubName::parse(&long),
        Err(DataError::HubName { .. })
    ));
}

#[test]
fn a_name_is_shown_as_it_was_written() {
    for text in ["timm/resnet18.tv_in1k", "a_b/c-d@v1.0"] {
        assert_eq!(HubName::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn automatic_weights_are_the_backbones_own() {
    let named = |backbone: &str| {
        let mut model = ModelConfig {
            backbone: backbone.into(),
            weights: "auto".into(),
            ..ModelConfig::default()
        };
        name_weights(&mut model).map(|()| model.weights)
    };
    assert_eq!(
        named("mobilenet_v2").unwrap(),
        "timm/mobilenetv2_100.ra_in1k"
    );
    assert_eq!(named("resnet18").unwrap(), "timm/resnet18.tv_in1k");
    assert_eq!(
        named("mobilenet_v3_large").unwrap(),
        "timm/mobilenetv3_large_100.ra_in1k"
    );
    // Neither has any.
    assert_eq!(named("small_cnn").unwrap(), "none");
    assert_eq!(named("none").unwrap(), "none");
    assert!(matches!(
        named("mobilenet").unwrap_err(),
        Error::NoBackbone { .. }
    ));
}
