//! A folder to run the program in, and what it said there.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A temporary folder in which the program runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a table of four rows, their images, and a configuration of one quick epoch.
    pub(crate) fn with_houses() -> Self {
        let folder = Self::new();
        let rows: String = (0..24)
            .map(|row| {
                format!(
                    "{row}.png,{},{},{}\n",
                    100 + 7 * row,
                    row % 5,
                    ["oak", "elm"][row % 2]
                )
            })
            .collect();
        folder.write("houses.csv", &format!("file_name,price,beds,tree\n{rows}"));
        for row in 0..24 {
            folder.write_bytes(&format!("{row}.png"), &png(row));
        }
        folder.write("houses.toml", HOUSES);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// The command, not yet started; its words are divided at spaces.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
        command
            .current_dir(self.path())
            .args(line.split(' ').filter(|word| !word.is_empty()));
        command
            .env_remove("COLUMNS")
            .env("NO_COLOR", "1")
            .env("XDG_CACHE_HOME", self.path().join(".cache"))
            .stdin(Stdio::null());
        command
    }

    /// What it says, the folder's own path taken out.
    ///
    /// What `init` writes is trained from scratch: it would begin with weights from the hub, which no test asks.
    pub(crate) fn run(&self, line: &str) -> Said {
        let scratch = " --set model.backbone=small_cnn --set model.weights=none";
        let line = match line.starts_with("init ") && !line.contains("model.") {
            true => format!("{line}{scratch}"),
            false => line.to_owned(),
        };
        let line = line.as_str();
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| {
            let own = format!("{}/", self.path().display());
            String::from_utf8(bytes).unwrap().replace(&own, "")
        };
        Said {
            code: status.code().expect("it was not killed"),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// The same where it must succeed.
    pub(crate) fn done(&self, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.code, 0, "sidelight {line}\n{}", said.stderr);
        said
    }

    /// Starts it, and kills it once its run has a checkpoint.
    pub(crate) fn killed(&self, line: &str, run: &str) {
        let mut process = self.command(line).spawn().unwrap();
        let start = Instant::now();
        let checkpoint = format!("{run}/checkpoint");
        while !self.exists(&checkpoint) && process.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint");
            std::thread::sleep(Duration::from_millis(5));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(
            !self.exists(&format!("{run}/metrics.json")),
            "it was killed too late to show anything"
        );
    }
}

/// What is said on stderr of a line that is refused.
#[track_caller]
pub(crate) fn refused(folder: &Folder, line: &str) -> String {
    let said = folder.run(line);
    assert_eq!(said.code, 2, "sidelight {line}\n{}", said.stderr);
    said.stderr
}

#[track_caller]
pub(crate) fn has(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in\n{text}");
}

const HOUSES: &str = r#"[data]
table = "houses.csv"

[target]
kind = "regression"
column = "price"

[metadata]
beds = "continuous"
tree = "categorical"

[train]
epochs = 1
size = 32
batch = 8
"#;

/// A picture of 8 × 8 pixels, each another shade: uncompressed PNG, written by hand so that no library is needed.
pub(crate) fn png(shade: usize) -> Vec<u8> {
    let raw: Vec<u8> = (0..8)
        .flat_map(|y| {
            std::iter::once(0).chain((0..24).map(move |x| (shade * 10 + x * 3 + y) as u8))
        })
        .collect();
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend((raw.len() as u16).to_le_bytes());
    zlib.extend((!(raw.len() as u16)).to_le_bytes());
    zlib.extend(&raw);
    let (a, b) = raw.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        (
            (a + u32::from(byte)) % 65521,
            (b + (a + u32::from(byte)) % 65521) % 65521,
        )
    });
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0]);
    chunk(&mut png, b"IDAT", &zlib);
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let mut crc = !0_u32;
    for &byte in &png[start..] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    png.extend((!crc).to_be_bytes());
}

/// An uncompressed TIFF of so many channels of a byte.
pub(crate) fn tiff(
    channels: usize,
    [width, height]: [usize; 2],
    pixel: impl Fn([usize; 2], usize) -> u8,
) -> Vec<u8> {
    let place = |at: usize| [at / channels % width, at / channels / width];
    let values = 0..width * height * channels;
    let pixels: Vec<u8> = values.map(|at| pixel(place(at), at % channels)).collect();
    let n_bytes = pixels.len() as u32;
    let short = |tag: u16, value: usize| (tag, 3_u16, value as u32);
    let entries = [
        short(256, width),
        short(257, height),
        short(258, 8),
        short(259, 1),
        short(262, 1),
        (273, 4, 8),
        short(277, channels),
        short(278, height),
        (279, 4, n_bytes),
    ];
    let mut tiff = b"II*\0".to_vec();
    tiff.extend((8 + n_bytes).to_le_bytes());
    tiff.extend(pixels);
    tiff.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1_u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend(0_u32.to_le_bytes());
    tiff
}

/// Both streams of a command.
pub(crate) fn all(said: &Said) -> String {
    format!("{}{}", said.stdout, said.stderr)
}
