//! Objects from a server of our own: whole, broken, changed, in a folder that is too small.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Options, PIECE, SILENT, Store};
use crate::error::{Error, ObjectFault};
use crate::image::{ImageSource, Limits, read as read_image};
use crate::store::{Proxies, RemoteConfig, Shard};
use crate::table::{Cell, Pieces, ReadLimit};

/// What goes wrong with the next request for bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// 503.
    Busy,
    /// The connection ends in the middle of the answer.
    Cut,
    /// A whole answer of fewer bytes than were asked for.
    Short,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    faults: VecDeque<Fault>,
    /// Method, path and range of each request.
    log: Vec<String>,
    /// Where set, what `Authorization` must begin with.
    needs: Option<&'static str>,
    ignores_ranges: bool,
}

/// A server that speaks as much of HTTP and of S3 as is needed: GET with `Range` and `If-Match`, HEAD, a list.
struct Server {
    state: Arc<Mutex<State>>,
    root: String,
}

impl Server {
    fn new(objects: &[(&str, Vec<u8>)]) -> Self {
        let state = State {
            objects: objects
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
                .collect(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || while serve(stream.as_ref().unwrap(), &state) {});
            }
        });
        Self { state, root }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// The requests for bytes so far.
    fn gets(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let gets = state.log.iter().filter(|line| line.starts_with("GET"));
        gets.cloned().collect()
    }

    fn address(&self, name: &str) -> PathBuf {
        format!("{}/{name}", self.root).into()
    }
}

/// One request; whether another may follow.
fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> bool {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
    let header = |name: &str| {
        lines[1..].iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut state = state.lock().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let range = header("range").unwrap_or_default();
    state
        .log
        .push(format!("{method} {path} {range}").trim().to_owned());
    let mut answer = |status: &str, headers: &str, body: &[u8], sent: usize| {
        let n = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {n}\r\n{headers}\r\n"
        );
        if method != "HEAD" {
            let _ = stream.write_all(&body[..sent]);
        }
        let _ = stream.flush();
        sent == n
    };
    if let Some(needs) = state.needs
        && !header("authorization").is_some_and(|given| given.starts_with(needs))
    {
        return answer("403 Forbidden", "", b"", 0);
    }
    if query.contains("list-type=2") {
        let names = state.objects.iter();
        let contents: String = names
            .map(|(name, bytes)| {
                let key = name.strip_prefix("bucket/").unwrap_or(name);
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     <ETag>\"x\"</ETag><Size>{}</Size></Contents>",
                    bytes.len()
                )
            })
            .collect();
        let body = format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        );
        return answer("200 OK", "", body.as_bytes(), body.len());
    }
    let Some(bytes) = state.objects.get(path.trim_start_matches('/')).cloned() else {
        return answer("404 Not Found", "", b"", 0);
    };
    let tag = format!(
        "\"{}\"",
        crate::digest::hexadecimal(&Sha256::digest(&bytes))
    );
    let modified = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
    let mut headers = format!("ETag: {tag}\r\n{modified}\r\n");
    if method == "HEAD" {
        return answer("200 OK", &headers, &bytes, bytes.len());
    }
    if header("if-match").is_some_and(|asked| asked != tag) {
        return answer("412 Precondition Failed", "", b"", 0);
    }
    let (mut status, mut part) = ("200 OK", bytes.as_slice());
    if let Some((start, end)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .filter(|_| !state.ignores_ranges)
    {
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        status = "206 Partial Content";
        headers += &format!("Content-Range: bytes {start}-{end}/{}\r\n", bytes.len());
        part = &bytes[start..=end];
    }
    match state.faults.pop_front() {
        None => answer(status, &headers, part, part.len()),
        Some(Fault::Busy) => answer("503 Service Unavailable", "", b"later", 5),
        Some(Fault::Cut) => answer(status, &headers, part, part.len() / 2),
        Some(Fault::Short) => answer(status, &headers, &part[..part.len() / 2], part.len() / 2),
    }
}

fn options(cache: &Path) -> Options {
    Options {
        cache: cache.to_path_buf(),
        max_bytes: 64 << 20,
        retries: 3,
        patience: Duration::from_secs(20),
        settings: Vec::new(),
        proxies: Proxies::default(),
    }
}

fn read(shard: &Shard) -> Vec<u8> {
    let mut bytes = Vec::new();
    shard.open().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Bytes that differ from place to place.
fn noise(n: u64, seed: u64) -> Vec<u8> {
    (0..n).map(|i| ((i * 31 + seed) ^ (i >> 9)) as u8).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

#[test]
fn an_object_comes_in_pieces_and_once() {
    let bytes = noise(2 * PIECE + 1000, 1);
    let server = Server::new(&[("a.tar", bytes.clone())]);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let shard = store.shards(&[server.address("a.tar")]).unwrap().remove(0);
    assert_eq!(shard.n_bytes().unwrap(), bytes.len() as u64);
    assert!(server.gets().is_empty());
    assert!(read(&shard) == bytes && read(&shard) == bytes);
    let ranges = ["0-8388607", "8388608-16777215", "16777216-16778215"];
    assert_eq!(
        server.gets(),
        ranges.map(|range| format!("GET /a.tar bytes={range}"))
    );
    // Another process finds it, as long as it is still that one.
    let again = Store::new(options(folder.path())).unwrap();
    let shards = again.shards(&[server.address("a.tar")]).unwrap();
    assert!(read(&shards[0]) == bytes);
    assert_eq!(server.gets().len(), 3);
    server.change(|state| drop(state.objects.insert("a.tar".into(), noise(99, 2))));
    let again = Store::new(options(folder.path())).unwrap();
    let shards = again.shards(&[server.address("a.tar")]).unwrap();
    assert!(read(&shards[0]) == noise(99, 2));
    assert_eq!(files(folder.path(), "object").len(), 1);
}

#[test]
fn what_breaks_is_asked_for_again_piece_by_piece() {
    let bytes = noise(2 * PIECE, 3);
    let server = Server::new(&[("a.tar", bytes.clone())]);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let shard = store.shards(&[server.address("a.tar")]).unwrap().remove(0);
    server.change(|state| state.faults.extend([Fault::Busy, Fault::Busy, Fault::Cut]));
    assert!(read(&shard) == bytes);
    let (first, second) = (
        "GET /a.tar bytes=0-8388607",
        "GET /a.tar bytes=8388608-16777215",
    );
    assert_eq!(server.gets(), [first, first, first, first, second]);
}

#[test]
fn what_cannot_be_fetched_is_named_with_the_way_out_and_nothing_is_left() {
    let server = Server::new(&[("a.tar", noise(2 * PIECE, 4)), ("small.tar", noise(50, 4))]);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let fault = |error: Error| match error {
        Error::Object { address, fault, .. } => (address, fault),
        other => panic!("{other:?}"),
    };
    let error = store
        .shards(&[server.address("a.tar"), server.address("b.tar")])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot fetch {}/b.tar: it is not there", server.root)
    );
    assert!(error.hint().unwrap().contains("braces"));

    let shard = store.shards(&[server.address("a.tar")]).unwrap().remove(0);
    server.change(|state| state.faults.extend([Fault::Busy; 8]));
    let (address, kind) = fault(shard.open().unwrap_err());
    assert_eq!(
        (address, kind),
        (server.address("a.tar"), ObjectFault::Other)
    );
    server.change(|state| state.faults = [Fault::Short].into());
    let short = shard.open().unwrap_err().to_string();
    assert!(
        short.ends_with("4194304 bytes came, not 8388608"),
        "{short}"
    );
    // It changes between two pieces.
    server.change(|state| {
        state.faults.clear();
        state.objects.insert("a.tar".into(), noise(2 * PIECE, 5));
    });
    assert_eq!(fault(shard.open().unwrap_err()).1, ObjectFault::Changed);
    server.change(|state| state.needs = Some("Bearer"));
    let denied = store.shards(&[server.address("a.tar")]).unwrap_err();
    assert!(denied.hint().unwrap().contains("AWS_ACCESS_KEY_ID"));
    assert_eq!(fault(denied).1, ObjectFault::Denied);
    server.change(|state| {
        state.needs = None;
        state.ignores_ranges = true;
    });
    let shards = store
        .shards(&[server.address("a.tar"), server.address("small.tar")])
        .unwrap();
    assert_eq!(fault(shards[0].open().unwrap_err()).1, ObjectFault::NoParts);
    // A small one needs no parts.
    assert!(read(&shards[1]) == noise(50, 4));
    assert_eq!(files(folder.path(), "object").len(), 1);
    let parts = std::fs::read_dir(folder.path()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".part-")
    });
    assert_eq!(parts.count(), 0);
}

#[test]
fn addresses_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    for address in [
        "s3:///a.tar",
        "ftp://x/a.tar",
        "https://x/a.tar?key=1",
        "https://me:word@x/a.tar",
    ] {
        let error = store.shards(&[address.into()]).unwrap_err();
        assert!(matches!(error, Error::ObjectAddress { .. }), "{error}");
    }
}

#[test]
fn the_folder_keeps_to_its_limit_and_the_longest_unused_leave() {
    let names = ["a.tar", "b.tar", "c.tar", "d.tar"];
    let objects: Vec<(&str, Vec<u8>)> = names.map(|name| (name, noise(300_000, 6))).to_vec();
    let server = Server::new(&objects);
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: 1_000_000,
        ..options(folder.path())
    };
    let store = Store::new(options).unwrap();
    let shards = store
        .shards(&names.map(|name| server.address(name)))
        .unwrap();
    let size = || -> u64 {
        let files = files(folder.path(), "object");
        files
            .iter()
            .map(|path| path.metadata().unwrap().len())
            .sum()
    };
    for shard in &shards {
        assert!(read(shard) == noise(300_000, 6));
        assert!(size() <= 1_000_000);
    }
    assert_eq!(server.gets().len(), 4);
    // `a` had to leave, and comes again; the others are here.
    assert!(read(&shards[3]) == read(&shards[2]));
    assert_eq!(server.gets().len(), 4);
    assert!(read(&shards[0]) == noise(300_000, 6));
    assert_eq!(server.gets().len(), 5);
    server.change(|state| {
        drop(
            state
                .objects
                .insert("large.tar".into(), noise(1_000_001, 0)),
        )
    });
    let error = store.shards(&[server.address("large.tar")]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ObjectTooLarge {
                n_bytes: 1_000_001,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_was_damaged_in_the_folder_is_fetched_again() {
    let bytes = noise(10_000, 7);
    let server = Server::new(&[("a.tar", bytes.clone())]);
    let folder = tempfile::tempdir().unwrap();
    let fresh = || {
        let store = Store::new(options(folder.path())).unwrap();
        store.shards(&[server.address("a.tar")]).unwrap().remove(0)
    };
    read(&fresh());
    let path = files(folder.path(), "object").remove(0);
    let record = path.with_extension("json");
    let mut flipped = bytes.clone();
    flipped[5000] ^= 1;
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::write(&path, &flipped).unwrap(),
        &|| std::fs::write(&path, &bytes[..9000]).unwrap(),
        &|| std::fs::write(&record, b"{}").unwrap(),
        &|| std::fs::remove_file(&path).unwrap(),
    ];
    for (n, damage) in damages.iter().enumerate() {
        damage();
        assert!(read(&fresh()) == bytes, "damage {n}");
        assert_eq!(server.gets().len(), n + 2);
    }
}

#[test]
fn shards_are_fetched_ahead_but_not_too_far() {
    let names: Vec<String> = (0..12).map(|n| format!("{n:02}.tar")).collect();
    let objects: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (name.as_str(), noise(100, 8)))
        .collect();
    let server = Server::new(&objects);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let addresses: Vec<PathBuf> = names.iter().map(|name| server.address(name)).collect();
    let shards = store.shards(&addresses).unwrap();
    let ahead = store.read_ahead(shards.clone(), 3);
    let wait_for = |n: usize| {
        // Counted, not timed: a machine may stand still for a minute.
        for _ in 0..12_000 {
            if server.gets().len() >= n {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(server.gets().len(), n);
    };
    wait_for(6);
    // In the second group: the third is fetched.
    read(&shards[4]);
    wait_for(9);
    drop(ahead);
    read(&shards[11]);
    wait_for(10);
    assert!(store.ahead.lock().unwrap().is_none());
}

/// Two archives of three samples each.
fn archives() -> [Vec<u8>; 2] {
    [0, 1].map(|shard| {
        let mut builder = ::tar::Builder::new(Vec::new());
        for row in 0..3 {
            for (ending, bytes) in [
                ("jpg", format!("image {shard} {row}")),
                ("cls", row.to_string()),
            ] {
                let mut header = ::tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                let name = format!("{shard}{row}.{ending}");
                builder
                    .append_data(&mut header, name, bytes.as_bytes())
                    .unwrap();
            }
        }
        builder.into_inner().unwrap()
    })
}

#[test]
fn a_table_in_a_bucket_is_read_with_signed_requests() {
    let [first, second] = archives();
    let server = Server::new(&[
        ("bucket/t-0.tar", first),
        ("bucket/t-1.tar", second),
        ("bucket/x.txt", vec![]),
    ]);
    server.change(|state| state.needs = Some("AWS4-HMAC-SHA256 Credential=me/"));
    let folder = tempfile::tempdir().unwrap();
    let mut remote = RemoteConfig {
        cache: Some(folder.path().to_path_buf()),
        options: [("aws_endpoint".to_owned(), server.root.clone())].into(),
        ..RemoteConfig::default()
    };
    let variables = [
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", "word"),
        ("AWS_REGION", "here-1"),
    ];
    remote.environment.variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    for address in ["s3://bucket/t-{0..1}.tar", "s3://bucket/"] {
        let mut pieces = Pieces::open_with(&[address.into()], &remote).unwrap();
        let piece = pieces.next(ReadLimit::rows(10)).unwrap().unwrap();
        assert_eq!(piece.table.n_rows, 6, "{address}");
        assert_eq!(piece.table.column("cls").unwrap().cell(4), Cell::Text("1"));
        let Cell::Member(member) = piece.table.column("image").unwrap().cell(4) else {
            panic!("a member");
        };
        assert_eq!(member.read().unwrap(), b"image 1 1");
        assert_eq!(
            piece.table.row_place(4).to_string(),
            "s3://bucket/t-1.tar, row 5, sample `11`"
        );
    }
    remote.environment.variables.clear();
    remote
        .options
        .insert("aws_skip_signature".into(), "true".into());
    let error = Pieces::open_with(&["s3://bucket/t-0.tar".into()], &remote).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Object {
                fault: ObjectFault::Denied,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_image_is_asked_for_when_it_is_read_and_no_more_than_is_allowed() {
    let server = Server::new(&[("a.jpg", noise(100, 1)), ("large.jpg", noise(101, 1))]);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let image = |name: &str| ImageSource::Object(store.object(&server.address(name), Some(100)));
    let images = ["a.jpg", "large.jpg", "none.jpg", "a.jpg?size=2"].map(image);
    assert!(server.state.lock().unwrap().log.is_empty());
    let limits = Limits::default();
    assert!(*read_image(&images[0], &limits).unwrap() == noise(100, 1));
    let error = |image| read_image(image, &limits).unwrap_err();
    assert_eq!(
        error(&images[1]).to_string(),
        format!(
            "{}/large.jpg: 101 bytes exceed the limit of 100",
            server.root
        )
    );
    assert!(matches!(
        error(&images[2]),
        Error::Object {
            fault: ObjectFault::Missing,
            ..
        }
    ));
    assert!(matches!(error(&images[3]), Error::ObjectAddress { .. }));
    assert_eq!(server.gets(), ["GET /a.jpg"]);
    assert_eq!(files(folder.path(), "object").len(), 1);
}

#[test]
fn images_are_fetched_ahead_many_at_a_time_and_each_once() {
    let names: Vec<String> = (0..100).map(|n| format!("{n}.jpg")).collect();
    let objects: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (name.as_str(), noise(50, 1)))
        .collect();
    let server = Server::new(&objects);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(options(folder.path())).unwrap();
    let of = |n: usize| ImageSource::Object(store.object(&server.address(&names[n % 100]), None));
    // Every image is that of two rows.
    let images: Vec<ImageSource> = (0..200).map(of).collect();
    let ahead = ImageSource::read_ahead(images.iter());
    for image in &images[..100] {
        assert!(*read_image(image, &Limits::default()).unwrap() == noise(50, 1));
    }
    drop(ahead);
    assert_eq!(server.gets().len(), 100);
    assert!(ImageSource::read_ahead([ImageSource::absent()].iter()).is_none());
}

#[test]
fn a_server_that_is_gone_is_not_asked_for_every_row() {
    // A port that nobody listens at.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        retries: 0,
        ..options(folder.path())
    };
    let store = Store::new(options).unwrap();
    let reasons = (0..SILENT + 2).map(|n| {
        let address = format!("http://{port}/{n}.jpg");
        let object = store.object(Path::new(&address), None);
        object.n_bytes().unwrap_err().to_string()
    });
    let reasons: Vec<String> = reasons.collect();
    let is_silent = |reason: &&String| reason.contains("did not answer the last 16 requests");
    assert_eq!(reasons.iter().filter(is_silent).count(), 2, "{reasons:?}");
    // Of others nothing is known by that.
    let server = Server::new(&[("a.jpg", noise(100, 1))]);
    let object = store.object(&server.address("a.jpg"), None);
    assert_eq!(object.n_bytes().unwrap(), 100);
}
