//! What is done with bytes from outside, one function a kind of input: whatever they are, an error or a value, and what a
//! value promises.
//!
//! Included by the fuzz targets beside this file, by the example `fuzz` of `sidelight-cli`, which needs no nightly
//! compiler, and by the test that runs the corpora.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::Request;
use sidelight::burn::tensor::Device;
use sidelight::config::{Config, ResizeMethod, TargetConfig};
use sidelight::dataset::ImageSource;
use sidelight::error::in_full;
use sidelight::image::{self, Limits};
use sidelight::network::layer::{Layer, Linear};
use sidelight::network::{Architecture, InputSpec, Network, Start, weights};
use sidelight::schema::{Schema, Wishes};
use sidelight::table::{Cell, Pieces, ReadLimit, Table};
use sidelight::{Model, digest};
use tower::ServiceExt as _;

/// A kind of input: its name, which is that of its corpus, and what is done with it.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All kinds of input.
pub(crate) const TARGETS: [Target; 10] = [
    ("csv", csv),
    ("jsonl", jsonl),
    ("parquet", parquet),
    ("tar", tar),
    ("image", image),
    ("weights", weights_file),
    ("safetensors", safetensors),
    ("model", model),
    ("toml", toml),
    ("request", request),
];

/// Small, so that an input which evades them is noticed.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 18,
};

/// CSV with commas, semicolons or tabs.
pub(crate) fn csv(data: &[u8]) {
    table("t.csv", data);
}

/// JSON Lines.
pub(crate) fn jsonl(data: &[u8]) {
    table("t.jsonl", data);
}

/// Parquet.
pub(crate) fn parquet(data: &[u8]) {
    table("t.parquet", data);
}

/// A tar archive, as it is and with the checksums of its headers put right, as few mutants get past them.
pub(crate) fn tar(data: &[u8]) {
    table("t.tar", data);
    let mut whole = data.to_vec();
    let mut at = 0;
    while let Some(header) = whole.get_mut(at..at + 512) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = str::from_utf8(&header[124..135]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        at = at.saturating_add(512 + size.next_multiple_of(512));
    }
    table("t.tar", &whole);
}

/// An image, as it is and, a PNG, with the checksums of its chunks put right.
pub(crate) fn image(data: &[u8]) {
    an_image(data);
    if data.starts_with(b"\x89PNG") {
        let mut whole = data.to_vec();
        let mut at = 8;
        while let Some(head) = whole.get(at..at + 8) {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let end = at.saturating_add(8).saturating_add(length);
            let Some(sum) = whole.get(at + 4..end).map(crc32) else {
                break;
            };
            let Some(place) = whole.get_mut(end..end + 4) else {
                break;
            };
            place.copy_from_slice(&sum.to_be_bytes());
            at = end + 4;
        }
        an_image(&whole);
    }
}

/// A file of weights in any of its containers.
pub(crate) fn weights_file(data: &[u8]) {
    load_weights(&put("w.pth", data));
}

/// The header of safetensors, with its length before it and numbers behind it.
pub(crate) fn safetensors(header: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 256]);
    load_weights(&put("w.safetensors", &bytes));
}

/// The description of a model beside weights that fit the undamaged one: JSON as it is, anything else as edits of it.
pub(crate) fn model(data: &[u8]) {
    static BASE: OnceLock<(PathBuf, serde_json::Value)> = OnceLock::new();
    let (dir, base) = BASE.get_or_init(|| {
        let dir = run().join("model");
        let text = fs::read(dir.join("model.json")).expect("a trained model");
        (dir, serde_json::from_slice(&text).expect("JSON"))
    });
    let description = match data.first() {
        Some(b'{') => data.to_vec(),
        _ => edited(base, data).to_string().into_bytes(),
    };
    let copy = scratch().join("model");
    if !copy.exists() {
        fs::create_dir(&copy).expect("a folder");
        let weights = "weights.safetensors";
        fs::copy(dir.join(weights), copy.join(weights)).expect("a copy");
    }
    fs::write(copy.join("model.json"), description).expect("a file");
    if let Err(error) = Model::load(&copy).and_then(|model| {
        let rows = model.read(run().with_file_name("t.csv"))?;
        model.predict(&rows, sidelight::predict::PredictOptions::default())
    }) {
        let _ = (in_full(&error), error.hint());
    }
}

/// A configuration, and after a line of `====` settings that override it.
pub(crate) fn toml(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (text, overrides) = text.split_once("\n====\n").unwrap_or((text, ""));
    let overrides: Vec<String> = overrides.lines().map(str::to_owned).collect();
    let path = Path::new("/x/sidelight.toml");
    match Config::parse(text, path, &overrides) {
        Ok(config) => {
            let Ok(written) = config.to_toml() else {
                return;
            };
            let again = Config::parse(&written, path, &[]);
            let again = again.unwrap_or_else(|error| panic!("{}\n{written}", in_full(&error)));
            assert_eq!(again, config.absolute().expect("written"), "{written}");
        }
        Err(error) => {
            let _ = (in_full(&error), error.hint());
        }
    }
}

/// A request for a prediction; its first byte says what it claims to be.
pub(crate) fn request(data: &[u8]) {
    static ROUTER: OnceLock<axum::Router> = OnceLock::new();
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let kind = match kind % 2 {
        0 => "application/json",
        _ => "multipart/form-data; boundary=B",
    };
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().expect("threads"));
    let answer = runtime.block_on(async {
        let router = ROUTER.get_or_init(|| {
            let run = run().to_str().expect("a path in UTF-8");
            sidelight_cli::router([run]).expect("a server")
        });
        let request = Request::post("/v1/predict")
            .header("content-type", kind)
            .body(Body::from(body.to_vec()))
            .expect("a request");
        router.clone().oneshot(request).await
    });
    let status = answer.expect("an answer").status().as_u16();
    assert!(status < 500, "status {status}");
}

fn table(name: &str, data: &[u8]) {
    let path = put(name, data);
    let whole = Table::read(&path);
    match &whole {
        Ok(table) => {
            for column in &table.columns {
                assert_eq!(column.len(), table.n_rows);
                for row in 0..table.n_rows.min(200) {
                    let _ = column.cell(row).to_text();
                    let _ = table.place(row, &column.name).to_string();
                    if let Cell::Member(member) = column.cell(row)
                        && member.n_bytes < 1 << 20
                    {
                        let _ = member.read();
                    }
                }
            }
        }
        Err(error) => {
            let _ = (in_full(error), error.hint());
        }
    }
    in_pieces(&path, whole.as_ref().ok());
    if let Ok(table) = whole
        && table.n_rows <= 200
        && table.columns.len() <= 60
    {
        let _ = Schema::infer(&table, &Wishes::new(TargetConfig::regression("price")));
    }
}

/// The same rows, three at a time.
fn in_pieces(path: &Path, whole: Option<&Table>) {
    let Ok(mut pieces) = Pieces::open(&[path.to_path_buf()]) else {
        return;
    };
    let limit = ReadLimit {
        rows: 3,
        step: 1,
        bytes: 4096,
    };
    let mut n_rows = 0;
    while let Ok(Some(piece)) = pieces.next(limit) {
        assert_eq!(piece.table.first_row, n_rows);
        assert!(piece.table.n_rows > 0, "an empty piece");
        if let (Some(whole), true) = (whole, piece.bad.is_empty()) {
            for column in &piece.table.columns {
                let other = whole.find(&column.name).expect("a column of the whole");
                for row in 0..piece.table.n_rows {
                    let (part, all) = (column.cell(row), other.cell(n_rows + row));
                    assert_eq!(part.to_text(), all.to_text(), "row {}", n_rows + row);
                }
            }
        }
        n_rows += piece.table.n_rows;
    }
    if let Some(whole) = whole {
        assert_eq!(n_rows, whole.n_rows);
    }
}

fn an_image(data: &[u8]) {
    let source = ImageSource::Bytes {
        name: "x".into(),
        bytes: data.into(),
    };
    let facts = image::facts(&source);
    let Ok(picture) = image::decode_bytes("x", data, Some(32), &LIMITS) else {
        return;
    };
    let n_pixels = picture.width * picture.height;
    assert_eq!(picture.rgb.len(), n_pixels * 3);
    assert!(n_pixels as u64 <= LIMITS.max_pixels, "{n_pixels} pixels");
    let facts = facts.expect("facts of an image that can be decoded");
    assert_eq!(facts.upright(), [picture.width, picture.height]);
    for method in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
        let fitted = image::resize::fit(&picture, 16, method, [1, 2, 3]);
        assert_eq!(fitted.rgb.len(), fitted.width * fitted.height * 3);
        let _ = fitted.from_stored.inverse();
    }
}

fn load_weights(path: &Path) {
    match weights::read(path) {
        Ok(file) => {
            let architecture = Architecture::sequence([
                ("flatten", Layer::Flatten.into()),
                ("fc", Linear::new(2).into()),
            ]);
            let input = InputSpec {
                mean: [0.0; 3],
                sd: [1.0; 3],
                size: 1,
                channels: 3,
            };
            let start = Start::Seed(0);
            let network = Network::new(architecture, input, start, &Device::flex());
            let mut network = network.expect("a network of two layers");
            let _ = weights::load(&mut network.root, file, &weights::Fit::exact());
        }
        Err(error) => {
            let _ = (in_full(&error), error.hint());
        }
    }
}

/// The description with so many edits as the bytes say, four for each: which value (two), what it becomes, and how.
fn edited(base: &serde_json::Value, edits: &[u8]) -> serde_json::Value {
    use serde_json::{Value, json};
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => members
                .iter()
                .for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found)),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at_item, value)| pointers(value, &format!("{at}/{at_item}"), found)),
            _ => {}
        }
    }
    let numbers: [f64; 12] = [
        0.0,
        1.0,
        -1.0,
        7.0,
        65_536.0,
        4_294_967_296.0,
        4.6e18,
        9.3e18,
        1e308,
        -1e308,
        1e-320,
        0.5,
    ];
    let words = [
        "",
        "x",
        "../../x",
        "\0",
        "conv2d",
        "linear",
        "embedding",
        "value",
        "class",
        "metadata",
        "both",
        "image",
        "log",
        "pad",
    ];
    let mut edited = base.clone();
    let mut paths = Vec::new();
    pointers(base, "", &mut paths);
    for edit in edits.chunks_exact(4) {
        let path = &paths[usize::from(u16::from_le_bytes([edit[0], edit[1]])) % paths.len()];
        let Some(place) = edited.pointer_mut(path) else {
            continue;
        };
        let what = usize::from(edit[2]);
        match place {
            Value::Bool(value) => *value = !*value,
            Value::Array(items) => match edit[3] % 4 {
                0 => items.clear(),
                1 => drop(items.pop()),
                2 => items.extend(items.first().cloned()),
                _ => items.reverse(),
            },
            Value::Object(members) => {
                let key = members.keys().nth(what % members.len().max(1)).cloned();
                key.map(|key| members.remove(&key));
            }
            place if edit[3] % 3 > 0 => {
                let number = numbers[what % numbers.len()];
                *place = match number.fract() == 0.0 && number.abs() < 1.9e19 {
                    true if number >= 0.0 => json!(number as u64),
                    true => json!(number as i64),
                    false => json!(number),
                };
            }
            place => *place = json!(words[what % words.len()]),
        }
    }
    edited
}

/// A folder of this process.
fn scratch() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => tempfile::tempdir_in(memory).expect("a folder in memory"),
            false => tempfile::tempdir().expect("a folder"),
        }
    });
    folder.path()
}

/// A file of this thread with these bytes.
fn put(name: &str, data: &[u8]) -> PathBuf {
    let thread = digest::hexadecimal(format!("{:?}", std::thread::current().id()).as_bytes());
    let folder = scratch().join(thread);
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, data).expect("a file");
    path
}

/// A trained run on images and metadata, with its table beside it.
fn run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = scratch();
        let picture = |row: u8| {
            let header = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x10\0\0\0\x10\0\0\0\x01\0\x18\0";
            let pixels = (0..16 * 16 * 3_u16).map(|at| (at as u8).wrapping_mul(row + 1));
            let bytes = header.iter().copied().chain([0; 24]).chain(pixels);
            bytes.collect::<Vec<u8>>()
        };
        let mut text = "file_name,price,beds,tree\n".to_owned();
        for row in 0..8 {
            fs::write(folder.join(format!("{row}.bmp")), picture(row)).expect("a picture");
            let tree = ["oak", "elm"][usize::from(row % 2)];
            text += &format!("{row}.bmp,{},{},{tree}\n", 100 + row, row % 3);
        }
        fs::write(folder.join("t.csv"), text).expect("a table");
        let text = "data.table = \"t.csv\"\n\
                    target = { kind = \"regression\", column = \"price\" }\n\
                    metadata = { beds = \"continuous\", tree = \"categorical\" }\n\
                    model = { backbone = \"small_cnn\", weights = \"none\" }\n\
                    train = { epochs = 1, size = 16, batch = 4 }\n";
        let config = Config::parse(text, &folder.join("t.toml"), &[]).expect("a configuration");
        let run = folder.join("run");
        sidelight::train(&config, run.as_path()).expect("a model");
        run
    })
}

/// The checksum of a chunk of PNG.
///
/// # Source
///
/// W3C, "Portable Network Graphics Specification", annex D.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}
