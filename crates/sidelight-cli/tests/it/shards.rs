//! Training over shards: killed and resumed, with records that cannot be read, from a server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::folder::{Folder, has};

/// Eight shards of six houses each; one picture is damaged.
fn with_shards() -> Folder {
    let folder = Folder::with_houses();
    for shard in 0..8 {
        let mut builder = tar::Builder::new(Vec::new());
        for row in shard * 6..(shard + 1) * 6 {
            let tree = ["oak", "elm"][row % 2];
            let json = format!(
                r#"{{"price": {}, "beds": {}, "tree": "{tree}"}}"#,
                100 + 7 * row,
                row % 5
            );
            let mut image = folder.read_bytes(&format!("{}.png", row % 24));
            if row == 17 {
                image.truncate(50);
            }
            for (ending, bytes) in [("png", image), ("json", json.into_bytes())] {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                builder
                    .append_data(&mut header, format!("{row:03}.{ending}"), &bytes[..])
                    .unwrap();
            }
        }
        let bytes = builder.into_inner().unwrap();
        folder.write_bytes(&format!("shards/h-{shard}.tar"), &bytes);
    }
    let text = folder.read("houses.toml");
    let text = text.replace("houses.csv", "shards/h-{0..7}.tar");
    let text = text.replace(
        "[data]",
        "[data]\nimage = \"image\"\nunreadable = \"skip\"\nshuffle_shards = 2",
    );
    folder.write("shards.toml", &text);
    folder
}

#[test]
fn init_says_how_many_images_the_archives_hold() {
    let said = with_shards().done("init shards/h-{0..7}.tar --target price");
    has(&said.stdout, "48 images");
    assert!(!said.stdout.contains("all missing"), "{}", said.stdout);
}

const SAME: [&str; 3] = [
    "model/weights.safetensors",
    "predictions.csv",
    "skipped.csv",
];

#[test]
fn killed_in_the_middle_of_an_epoch_over_shards_it_ends_with_the_same_bytes() {
    let folder = with_shards();
    let line = "train shards.toml --set train.epochs=12 --set train.batch=2 \
                --set train.checkpoint_steps=1 --quiet";
    folder.done(&format!("{line} --out whole"));
    folder.killed(&format!("{line} --out killed"), "killed");
    folder.done(&format!("{line} --out killed --resume"));
    for name in SAME {
        let read = |run: &str| folder.read_bytes(&format!("{run}/{name}"));
        assert!(read("whole") == read("killed"), "{name}");
    }
    let skipped = folder.read("whole/skipped.csv");
    let lines: Vec<&str> = skipped.lines().collect();
    assert_eq!(lines.len(), 2, "{skipped}");
    assert!(
        lines[1].starts_with("18,") && lines[1].contains("h-2.tar,,017,"),
        "{skipped}"
    );
    // Every training row was counted in every epoch.
    let log = folder.read("killed/log.jsonl");
    let values: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &'static str| values.iter().filter(move |value| value["event"] == event);
    let rows = of("plan").next().unwrap()["rows_train"].clone();
    assert!(
        of("epoch").count() > 1 && of("epoch").all(|epoch| epoch["rows"] == rows),
        "{log}"
    );
}

/// A server of the files of a folder, with `Range`; the first requests for bytes are answered with 503.
pub(crate) fn serve(folder: &Path) -> (String, Arc<Mutex<BTreeMap<String, usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let gets: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let (folder, counted) = (folder.to_path_buf(), Arc::clone(&gets));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (folder, counted) = (folder.clone(), Arc::clone(&counted));
            std::thread::spawn(
                move || while answer(stream.as_ref().unwrap(), &folder, &counted) {},
            );
        }
    });
    (root, gets)
}

fn answer(mut stream: &TcpStream, folder: &Path, gets: &Mutex<BTreeMap<String, usize>>) -> bool {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return false;
        }
    }
    let mut words = request.split(' ');
    let (method, name) = (words.next().unwrap(), words.next().unwrap());
    let mut send = |status: &str, bytes: &[u8]| {
        let (n, tag) = (bytes.len(), bytes.len());
        let modified = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {n}\r\nETag: \"{tag}\"\r\n{modified}\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        if method == "GET" {
            let _ = stream.write_all(bytes);
        }
        true
    };
    let Ok(bytes) = std::fs::read(folder.join(name.trim_start_matches('/'))) else {
        return send("404 Not Found", b"");
    };
    if method == "GET" {
        let mut gets = gets.lock().unwrap();
        let n = gets.entry(name.to_owned()).or_default();
        *n += 1;
        if *n == 1 {
            return send("503 Service Unavailable", b"later");
        }
    }
    send("200 OK", &bytes)
}

#[test]
fn shards_of_a_server_train_and_predict_as_those_on_disk() {
    let folder = with_shards();
    let (root, gets) = serve(&folder.path().join("shards"));
    let line = "train shards.toml --quiet";
    folder.done(&format!("{line} --out local"));
    let table = format!("{root}/h-{{0..7}}.tar");
    let there = format!("--set data.table={table} --set data.remote.cache=kept");
    folder.done(&format!("{line} {there} --out there"));
    for name in &SAME[..2] {
        let read = |run: &str| folder.read_bytes(&format!("{run}/{name}"));
        assert!(read("local") == read("there"), "{name}");
    }
    // Each was refused once and fetched once, for the table, the epoch and the validation together.
    let counts: Vec<usize> = gets.lock().unwrap().values().copied().collect();
    assert_eq!(counts, [2; 8]);
    folder.run(&format!("predict there {table} --out there.csv"));
    folder.run("predict local shards/h-{0..7}.tar --out local.csv");
    // But for where the damaged record is.
    let found = folder.read("there.csv").replace(&root, "shards");
    assert_eq!(found, folder.read("local.csv"));
    assert_eq!(gets.lock().unwrap().values().sum::<usize>(), 16);

    let said = folder.run(&format!(
        "{line} {there} --set data.table={root}/h-9.tar --out none"
    ));
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains(&format!(
            "cannot fetch {root}/h-9.tar: it is not there\n\nhint: "
        )),
        "{}",
        said.stderr
    );
}
