//! Event files of TensorBoard: records of a length, a message of protobuf, and the checksums of both.
//!
//! # Source
//!
//! Records: TensorFlow, `tensorflow/core/lib/io/record_writer.h`; messages: `event.proto`, `summary.proto`,
//! `tensor.proto`, `tensor_shape.proto` there (Apache-2.0), of which only what we fill is here.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::Reached;
use super::tracking::{Measurement, Track, is_behind};
use crate::config::Config;
use crate::error::{Result, cannot_write};
use crate::write::remove_file_if_there;

/// What TensorBoard knows its files by; a time follows, by which it sorts them.
const PREFIX: &str = "events.out.tfevents.";
/// What ours end in: no name of a computer.
const SUFFIX: &str = ".sidelight";
/// The format: TensorFlow's name of it.
const VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus`: what other files say of this step and later ones is void.
const START: i32 = 1;
/// `DataType.DT_STRING`.
const STRING: i32 = 7;
/// None of our records is nearly as long.
const LONGEST_RECORD: u64 = 16 << 20;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, optional, tag = "1")]
    status: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    plugin_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

/// An event file that is written.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a file in this folder. What earlier sittings wrote stays as far as it was behind the checkpoint that is gone on
    /// from; without one, it goes.
    pub(super) fn open(dir: &Path, config: &Config, reached: Reached) -> Result<Self> {
        let toml = config.to_toml()?;
        let begin = || {
            fs::create_dir_all(dir)?;
            let mut last = None;
            for (path, time) in earlier(dir)? {
                match reached.total_step {
                    0 => remove_file_if_there(&path)?,
                    _ => cut(&path, reached)?,
                }
                last = last.max(Some(time));
            }
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            let time = now.max(last.map_or(0, |last| last + 1));
            let path = dir.join(format!("{PREFIX}{time:010}{SUFFIX}"));
            let mut file = File::options().append(true).create_new(true).open(&path)?;
            write_event(&mut file, &version())?;
            let is_new = last.is_none() || reached.total_step == 0;
            write_event(&mut file, &first(is_new, &toml, reached))?;
            io::Result::Ok(Self { path, file })
        };
        Ok(begin().map_err(cannot_write(dir))?)
    }
}

impl Track for EventFile {
    fn write(&mut self, measurement: &Measurement) -> Result<()> {
        if measurement.values.is_empty() {
            return Ok(());
        }
        let values = measurement.values.iter();
        let event = Event {
            summary: Some(Summary {
                value: values.map(|(tag, value)| scalar(tag, *value)).collect(),
            }),
            ..at(measurement.step)
        };
        Ok(write_event(&mut self.file, &event).map_err(cannot_write(&self.path))?)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a scalar of TensorBoard has 32 bits"
)]
fn scalar(tag: &str, value: f64) -> Value {
    Value {
        tag: tag.to_owned(),
        simple_value: Some(value as f32),
        ..Value::default()
    }
}

/// An event of now that says nothing yet.
fn at(step: usize) -> Event {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Event {
        wall_time: now.map_or(0.0, |since| since.as_secs_f64()),
        step: i64::try_from(step).unwrap_or(i64::MAX),
        ..Event::default()
    }
}

fn version() -> Event {
    Event {
        file_version: Some(VERSION.into()),
        ..at(0)
    }
}

/// What a file says first: the configuration, or, of a run that goes on, from where.
fn first(is_new: bool, toml: &str, reached: Reached) -> Event {
    if !is_new {
        let status = Some(START);
        return Event {
            session_log: Some(SessionLog { status }),
            ..at(reached.total_step + 1)
        };
    }
    let text = Value {
        tag: "config".into(),
        tensor: Some(Tensor {
            dtype: STRING,
            shape: Some(TensorShape {
                dim: vec![Dimension { size: 1 }],
            }),
            // It is shown as Markdown.
            string_val: vec![format!("```toml\n{toml}```\n").into_bytes()],
        }),
        metadata: Some(Metadata {
            plugin_data: Some(Plugin {
                plugin_name: "text".into(),
            }),
        }),
        ..Value::default()
    };
    Event {
        summary: Some(Summary { value: vec![text] }),
        ..at(0)
    }
}

/// Our files in a folder, and the time in the name of each; the first first.
fn earlier(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let time = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_suffix(SUFFIX));
        if let Some(time) = time.and_then(|time| time.parse().ok()) {
            found.push((entry.path(), time));
        }
    }
    found.sort_by_key(|(_, time)| *time);
    Ok(found)
}

/// The first entry of a folder that is none of our files.
pub(super) fn foreign_in(dir: &Path) -> io::Result<Option<PathBuf>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    let ours = earlier(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if !ours.iter().any(|(own, _)| *own == path) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Shortens a file to what was behind a checkpoint, up to the first record that is damaged or torn.
fn cut(path: &Path, reached: Reached) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut reader = BufReader::new(&file);
    let mut kept = 0;
    while let Some(record) = read_record(&mut reader)? {
        let is_kept = Event::decode(&record[..]).is_ok_and(|event| {
            let values = event.summary.iter().flat_map(|summary| &summary.value);
            let mut tags = values.map(|value| &*value.tag);
            // What a sitting began with is no step.
            event.session_log.is_some() || tags.all(|tag| is_behind(tag, event.step, reached))
        });
        if !is_kept {
            break;
        }
        kept += record.len() as u64 + AROUND;
    }
    file.set_len(kept)
}

/// Bytes of a record around its message: the length, its checksum, that of the message.
const AROUND: u64 = 16;

/// The message of the next record; none at the end, and where a record is torn or damaged.
fn read_record(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 12];
    if !fills(from, &mut head)? {
        return Ok(None);
    }
    let [length, sum] = [&head[..8], &head[8..]];
    if masked_crc(length).to_le_bytes() != sum {
        return Ok(None);
    }
    let length = length
        .iter()
        .rev()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    if length > LONGEST_RECORD {
        return Ok(None);
    }
    let mut message = Vec::new();
    from.by_ref().take(length).read_to_end(&mut message)?;
    let mut sum = [0; 4];
    let is_whole = message.len() as u64 == length && fills(from, &mut sum)?;
    Ok((is_whole && masked_crc(&message).to_le_bytes() == sum).then_some(message))
}

/// Whether there are as many bytes.
fn fills(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// One write a record, so that a kill tears the last one only.
fn write_event(to: &mut impl Write, event: &Event) -> io::Result<()> {
    to.write_all(&record(&event.encode_to_vec()))
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked_crc(message).to_le_bytes());
    record
}

/// A checksum that is itself stored among what is summed is masked: `tensorflow/core/lib/hash/crc32c.h`.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected.
///
/// # Source
///
/// RFC 3720, section 12.1 and appendix B.4.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

/// What a byte does to the sum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256_u32 {
        let (mut crc, mut bit) = (byte, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetConfig;

    #[test]
    fn checksums_are_those_of_the_standard() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(crc32c(bytes), expected);
        }
        // Every event file of TensorFlow begins so: 24 bytes, and the checksum of that length.
        assert_eq!(record(&[0; 24])[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7fK\"");
    }

    #[test]
    fn what_is_torn_or_damaged_ends_a_file() {
        let whole = [record(b"one"), record(b"two")].concat();
        let read = |bytes: &[u8]| {
            let mut from = bytes;
            let mut found = Vec::new();
            while let Some(message) = read_record(&mut from).unwrap() {
                found.push(String::from_utf8(message).unwrap());
            }
            found
        };
        assert_eq!(read(&whole), ["one", "two"]);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]).len(), end / record(b"one").len());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).len() < 2, "byte {at}");
        }
        // A length that nobody has the memory for.
        let mut huge = u64::MAX.to_le_bytes().to_vec();
        huge.extend(masked_crc(&huge).to_le_bytes());
        assert!(read(&huge).is_empty());
    }

    fn measurement(step: usize, name: &'static str, value: f64) -> Measurement {
        Measurement {
            step,
            values: vec![(name.into(), value)],
            ended: None,
        }
    }

    /// Step, tag and value of all files; events without values are left out.
    fn told(dir: &Path) -> Vec<(i64, String, Option<f32>)> {
        let mut told = Vec::new();
        for (path, _) in earlier(dir).unwrap() {
            let mut from = &fs::read(path).unwrap()[..];
            while let Some(message) = read_record(&mut from).unwrap() {
                let event = Event::decode(&message[..]).unwrap();
                for value in event.summary.into_iter().flat_map(|all| all.value) {
                    told.push((event.step, value.tag, value.simple_value));
                }
            }
            assert!(from.is_empty(), "all of it is records");
        }
        told
    }

    #[test]
    fn resumed_it_tells_every_step_once_and_what_was_told_of_them_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new("a.csv", TargetConfig::class("c"));
        let open = |reached| EventFile::open(folder.path(), &config, reached).unwrap();
        let mut file = open(Reached::default());
        let write = |file: &mut EventFile, step, name, value| {
            file.write(&measurement(step, name, value)).unwrap();
        };
        write(&mut file, 1, "train/loss", 0.5);
        write(&mut file, 2, "train/loss", 0.4);
        write(&mut file, 2, "epoch", 1.0);
        write(&mut file, 3, "train/loss", 9.0);
        // Killed in the middle of a record.
        file.file.write_all(&record(b"torn")[..7]).unwrap();
        let at = |total_step, in_epoch| Reached {
            total_step,
            in_epoch,
        };
        let mut file = open(at(2, false));
        write(&mut file, 3, "train/loss", 0.3);
        write(&mut file, 3, "epoch", 2.0);
        write(&mut file, 3, "final/accuracy", 1.0);
        // Its last epoch was not scored when the checkpoint was written, and nothing was final.
        let mut file = open(at(3, true));
        write(&mut file, 3, "epoch", 2.5);
        let expected = [
            (0, "config", None),
            (1, "train/loss", Some(0.5)),
            (2, "train/loss", Some(0.4)),
            (2, "epoch", Some(1.0)),
            (3, "train/loss", Some(0.3)),
            (3, "epoch", Some(2.5)),
        ];
        let expected = expected.map(|(step, tag, value)| (step, tag.to_owned(), value));
        assert_eq!(told(folder.path()), expected);
        // Begun anew.
        drop(open(Reached::default()));
        assert_eq!(told(folder.path()), expected[..1]);
    }

    #[test]
    fn a_persons_file_is_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(foreign_in(&folder.path().join("none")).unwrap(), None);
        let config = Config::new("a.csv", TargetConfig::class("c"));
        drop(EventFile::open(folder.path(), &config, Reached::default()).unwrap());
        assert_eq!(foreign_in(folder.path()).unwrap(), None);
        let mine = folder.path().join("events.out.tfevents.1700000000.laptop");
        fs::write(&mine, "").unwrap();
        assert_eq!(foreign_in(folder.path()).unwrap(), Some(mine));
    }
}
