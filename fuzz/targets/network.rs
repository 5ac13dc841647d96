//! Weights, models and requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::Request;
use sidelight::Model;
use sidelight::burn::tensor::Device;
use sidelight::config::Config;
use sidelight::error::in_full;
use sidelight::network::layer::{Layer, Linear};
use sidelight::network::{Architecture, InputSpec, Network, Start, weights};
use tower::ServiceExt as _;

use super::scratch::{crc32, put, scratch};

/// A file of weights in any of its containers, as it is and, a zip, with the checksums of what is stored in it put right:
/// no mutant of a pickle gets past them.
pub(crate) fn weights_file(data: &[u8]) {
    load_weights(&put("w.pth", data));
    if data.starts_with(b"PK\x03\x04") {
        let mut whole = data.to_vec();
        mend_zip(&mut whole);
        if whole != data {
            load_weights(&put("w.pth", &whole));
        }
    }
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

/// Writes the right checksum beside each member of a zip that is stored as it is.
///
/// # Source
///
/// PKWARE, "APPNOTE.TXT: .ZIP File Format Specification", 4.3.7 and 4.3.12.
fn mend_zip(zip: &mut [u8]) {
    const CENTRAL: &[u8] = b"PK\x01\x02";
    let number = |zip: &[u8], at: usize, n: usize| {
        let bytes = zip.get(at..at + n)?.iter().rev();
        Some(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let heads: Vec<usize> = (0..zip.len())
        .filter(|at| zip[*at..].starts_with(CENTRAL))
        .collect();
    for head in heads {
        let field = |at, n| number(zip, head + at, n);
        let (Some(0), Some(length), Some(member)) = (field(10, 2), field(20, 4), field(42, 4))
        else {
            continue;
        };
        let (Some(name), Some(extra)) = (number(zip, member + 26, 2), number(zip, member + 28, 2))
        else {
            continue;
        };
        let start = member + 30 + name + extra;
        let Some(sum) = zip.get(start..start + length).map(crc32) else {
            continue;
        };
        for at in [head + 16, member + 14] {
            zip[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
}
