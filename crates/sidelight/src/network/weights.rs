//! Files of weights: `.safetensors`, and PyTorch's `.pth` in all its containers, read as data.
//!
//! A pickle is interpreted without executing anything it names. Every key, shape, type and number is checked
//! before the network is touched, so that a failed load leaves it as it was.

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

mod pickle;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pytorch_reader::{DType, PickleValue, PytorchReader};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::architecture::Architecture;
use super::backbone::{BACKBONES, Backbone};
use super::head::{CERTAINTY, HEAD, PLACES};
use super::shape::{self, Shape};
use super::tree::{Node, join};
use crate::error::{Error, Result, cannot_read, cannot_write};
use crate::run::write_whole;

/// Files above this are not read: 8 GiB, twice the largest network that anyone would train here.
pub const LIMIT: u64 = 8 << 30;

/// The most bytes of a pickle, unpacked: it has about 200 a tensor, and takes thirty times as many in memory.
const MAX_PICKLE: u64 = 4 << 20;

/// The tensors of a file; their numbers are not yet read.
#[derive(Debug)]
pub struct WeightsFile {
    /// Where the file lies, for messages.
    pub path: PathBuf,
    tensors: Vec<Stored>,
}

/// One tensor of a file.
struct Stored {
    key: String,
    shape: Vec<usize>,
    numbers: Numbers,
    read: Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.key, self.shape, self.numbers)
    }
}

/// How numbers are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    F32,
    F64,
    F16,
    Bf16,
    Other(String),
}

/// What a file may lack or have besides the network's keys, and how it may spell them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fit<'a> {
    /// A child that was removed from the network: its keys are not unexpected.
    pub removed: Option<&'a str>,
    /// Other namings: the file's key to ours.
    pub spellings: &'a [fn(&str) -> Option<String>],
    /// How much larger the ε of normalisations is where the file has another naming.
    pub epsilon_beyond: f32,
}

impl Fit<'_> {
    /// Exactly the network's keys.
    pub fn exact() -> Self {
        Self::default()
    }
}

impl WeightsFile {
    /// What fusion and head of a network of this library are in it, taken out: a run's weights begin another.
    pub(super) fn split_off_ours(&mut self, backbone: &Backbone) -> Self {
        let tensors = std::mem::take(&mut self.tensors);
        // What says how sure points are is made anew, and the head's own layers are called as they are without it.
        let certainty = CERTAINTY.map(|path| format!("{HEAD}.{path}."));
        let places = format!("{HEAD}.{PLACES}.");
        let tensors = tensors
            .into_iter()
            .filter(|tensor| !certainty.iter().any(|path| tensor.key.starts_with(path)))
            .map(|mut tensor| {
                if let Some(rest) = tensor.key.strip_prefix(&places) {
                    tensor.key = format!("{HEAD}.{rest}");
                }
                tensor
            });
        let (ours, others) = tensors.partition(|tensor| is_ours(&tensor.key, backbone));
        self.tensors = others;
        Self {
            path: self.path.clone(),
            tensors: ours,
        }
    }

    /// The keys and shapes.
    pub fn keys(&self) -> Vec<(&str, &[usize])> {
        self.tensors
            .iter()
            .map(|tensor| (tensor.key.as_str(), tensor.shape.as_slice()))
            .collect()
    }
}

/// Whether a key is of a fusion or a head of this library, and not of the backbone's own classifier, however that is spelled.
fn is_ours(key: &str, backbone: &Backbone) -> bool {
    let below = |key: &str| key.strip_prefix(backbone.classifier).map(str::to_owned);
    let is_classifier =
        below(key).is_some_and(|rest| [".weight", ".bias"].contains(&rest.as_str()));
    // timm's `head.fc.weight` is a classifier's in another spelling; our own `head.3.weight` has none.
    let is_spelled = || {
        let renamed = backbone
            .spellings
            .iter()
            .filter_map(|spelling| spelling(key));
        let mut renamed = renamed.filter(|renamed| renamed != key);
        renamed.any(|renamed| below(&renamed).is_some_and(|rest| rest.starts_with('.')))
    };
    let ours = ["fusion.", "spatial.", "head."];
    ours.iter().any(|name| key.starts_with(name)) && !is_classifier && !is_spelled()
}

/// Opens a file of weights and reads its keys and shapes. Top-level `state_dict` and `model`, and the
/// prefixes `module.` and `_orig_mod.`, are taken off.
///
/// # Errors
///
/// [`DataError::Read`](crate::error::DataError::Read), [`Error::WeightsFile`], [`Error::WeightsSize`].
pub fn read(path: &Path) -> Result<WeightsFile> {
    let bytes = std::fs::metadata(path).map_err(cannot_read(path))?.len();
    if bytes > LIMIT {
        return Err(Error::WeightsSize {
            path: path.to_path_buf(),
            bytes,
            limit: LIMIT,
        });
    }
    let mut tensors = if is_safetensors(path)? {
        read_safetensors(path)?
    } else {
        read_pytorch(path)?
    };
    take_off_prefixes(&mut tensors);
    tensors.sort_by(|a, b| a.key.cmp(&b.key));
    if tensors.is_empty() {
        return Err(broken(path, "it holds no tensors"));
    }
    Ok(WeightsFile {
        path: path.to_path_buf(),
        tensors,
    })
}

/// Writes tensors of single precision (key, shape, little-endian bytes) as safetensors, whole or not at all, with these words
/// in the header; returns the file's length in bytes.
///
/// # Errors
///
/// [`DataError::Write`](crate::error::DataError::Write), also where bytes are not as many as their shape has.
pub fn write(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<u8>)],
    header: Option<HashMap<String, String>>,
) -> Result<usize> {
    let views: std::result::Result<Vec<_>, _> = tensors
        .iter()
        .map(|(key, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)?;
            Ok((key.as_str(), view))
        })
        .collect();
    let bytes = views
        .and_then(|views| safetensors::serialize(views, header))
        .map_err(|source| {
            let source = io::Error::new(io::ErrorKind::InvalidData, source);
            cannot_write(path)(source)
        })?;
    write_whole(path, |file| file.write_all(&bytes))?;
    Ok(bytes.len())
}

fn broken(path: &Path, reason: impl Into<String>) -> Error {
    Error::WeightsFile {
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}

/// By its first bytes where they say it, else by its name.
fn is_safetensors(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let fail = cannot_read(path);
    let file = std::fs::File::open(path).map_err(fail)?;
    io::Read::read_to_end(&mut io::Read::take(file, 9), &mut start).map_err(fail)?;
    if start.is_empty() {
        return Err(broken(path, "the file is empty"));
    }
    let named = path
        .extension()
        .is_some_and(|extension| extension == "safetensors");
    // A zip begins with PK, a pickle with 0x80; safetensors with the header's length and its brace.
    let is_other = start.starts_with(b"PK") || start.starts_with(&[0x80]);
    Ok(start.get(8) == Some(&b'{') || named && !is_other)
}

fn read_safetensors(path: &Path) -> Result<Vec<Stored>> {
    let bytes = Arc::new(std::fs::read(path).map_err(cannot_read(path))?);
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| broken(path, format!("not whole safetensors: {error}")))?;
    let base = bytes.as_ptr().addr();
    Ok(file
        .iter()
        .map(|(key, view)| {
            let start = view.data().as_ptr().addr() - base;
            let range = start..start + view.data().len();
            let bytes = Arc::clone(&bytes);
            Stored {
                key: key.to_owned(),
                shape: view.shape().to_vec(),
                numbers: match view.dtype() {
                    Dtype::F32 => Numbers::F32,
                    Dtype::F64 => Numbers::F64,
                    Dtype::F16 => Numbers::F16,
                    Dtype::BF16 => Numbers::Bf16,
                    other => Numbers::Other(format!("{other:?}")),
                },
                read: Box::new(move || Ok(bytes[range.clone()].to_vec())),
            }
        })
        .collect())
}

/// Refuses a file whose pickle is larger than any network's, before it is read.
fn check_pickle(path: &Path) -> Result<()> {
    match pickle::too_long(path, MAX_PICKLE).map_err(cannot_read(path))? {
        None => Ok(()),
        Some(name) => {
            let reason = format!("{name} is longer than {MAX_PICKLE} bytes, the limit");
            Err(broken(path, reason))
        }
    }
}

fn read_pytorch(path: &Path) -> Result<Vec<Stored>> {
    check_pickle(path)?;
    let file = match PytorchReader::new(path) {
        Ok(file) if !file.is_empty() => file,
        result => {
            let reason = match (foreign_object(path), result) {
                (Some(object), _) => {
                    format!(
                        "it holds no tensors, but the Python object `{object}`, which was not executed"
                    )
                }
                (None, Ok(_)) => "it holds no tensors".to_owned(),
                (None, Err(error)) => one_line(&error.to_string()),
            };
            return Err(broken(path, reason));
        }
    };
    Ok(file
        .into_tensors()
        .into_iter()
        .map(|(key, tensor)| {
            let numbers = match tensor.dtype() {
                DType::F32 => Numbers::F32,
                DType::F64 => Numbers::F64,
                DType::F16 => Numbers::F16,
                DType::BF16 => Numbers::Bf16,
                other => Numbers::Other(format!("{other:?}")),
            };
            let shape = tensor.shape().to_vec();
            Stored {
                key,
                shape,
                numbers,
                read: Box::new(move || tensor.read()),
            }
        })
        .collect())
}

/// What a pickle without tensors holds instead, where it is an object of a class of its own.
fn foreign_object(path: &Path) -> Option<String> {
    fn find(value: &PickleValue) -> Option<String> {
        match value {
            PickleValue::Unsupported(name) => Some(name.clone()),
            PickleValue::List(values) => values.iter().find_map(find),
            PickleValue::Dict(entries) => entries.values().find_map(find),
            _ => None,
        }
    }
    find(&PytorchReader::read_pickle_data(path, None).ok()?)
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_owned()
}

/// Checkpoints keep the weights under a key beside the optimiser's state; wrappers put their name before every key.
fn take_off_prefixes(tensors: &mut Vec<Stored>) {
    for nested in ["state_dict.", "model_state_dict.", "model."] {
        if tensors.iter().any(|tensor| tensor.key.starts_with(nested)) {
            tensors.retain(|tensor| tensor.key.starts_with(nested));
            strip(tensors, nested);
        }
    }
    for wrapper in ["module.", "_orig_mod.", "module."] {
        if tensors.iter().all(|tensor| tensor.key.starts_with(wrapper)) {
            strip(tensors, wrapper);
        }
    }
}

fn strip(tensors: &mut [Stored], prefix: &str) {
    for tensor in tensors {
        tensor.key.drain(..prefix.len());
    }
}

/// Gives a file's numbers to a tree, whole or not at all.
///
/// # Errors
///
/// [`Error::WeightsKeys`] (a count of batches and the removed classifier are not unexpected), [`Error::WeightsShape`],
/// [`Error::WeightsType`], [`Error::WeightsFile`] where a tensor is cut short, [`Error::WeightsNotFinite`].
pub fn load(root: &mut Node, file: WeightsFile, fit: &Fit<'_>) -> Result<()> {
    let WeightsFile { path, tensors } = file;
    let mut wanted: Vec<(String, Vec<usize>)> = Vec::new();
    root.each_parameter("", &mut |path, parameter| {
        wanted.push((path, parameter.shape()))
    });

    let found = tensors
        .iter()
        .map(|tensor| (tensor.key.as_str(), tensor.shape.as_slice()));
    let found: Vec<_> = found.collect();
    let other = spelling(&found, &wanted, fit.spellings, fit.removed);
    let beyond = other.map_or(0.0, |_| fit.epsilon_beyond);
    let spelling = other.unwrap_or(AS_IT_IS);
    let Misfit {
        missing,
        unexpected,
        wrong,
    } = misfit(&spelled(&found, spelling), &wanted, fit.removed);
    if !missing.is_empty() || !unexpected.is_empty() {
        return Err(Error::WeightsKeys {
            path,
            missing,
            unexpected,
            of: None,
        });
    }
    if !wrong.is_empty() {
        return Err(Error::WeightsShape {
            path,
            wrong,
            of: None,
        });
    }
    let tensors: HashMap<String, Stored> = tensors
        .into_iter()
        .filter_map(|tensor| Some((spelling(&tensor.key)?, tensor)))
        .collect();
    let mut values = HashMap::new();
    for (key, shape) in wanted {
        let tensor = &tensors[&key];
        let mut numbers = floats(tensor, &path)?;
        if let ([_, from, _], &[_, to, width]) = (&tensor.shape[..], &shape[..])
            && !same_shape(&tensor.shape, &shape)
        {
            numbers = resample_positions(&numbers, *from, to, width);
        }
        // √(variance + ε) is the same with our ε. (A variance may so come out a little below zero.)
        if beyond != 0.0 && key.ends_with(".running_var") {
            numbers.iter_mut().for_each(|variance| *variance += beyond);
        }
        values.insert(key, numbers);
    }
    root.each_parameter_mut("", &mut |path, parameter| {
        if let Some(values) = values.remove(path) {
            parameter.set_values(values);
        }
    });
    Ok(())
}

/// Gives a tree the numbers of a file that are of its own keys and shapes; returns whether that was all of the tree's that
/// the file could have, and how many parameters it was.
///
/// # Errors
///
/// As [`load`], of a tensor that fits.
pub(super) fn load_fitting(root: &mut Node, file: &WeightsFile) -> Result<usize> {
    let mut wanted: HashMap<String, Vec<usize>> = HashMap::new();
    root.each_parameter("", &mut |path, parameter| {
        wanted.insert(path, parameter.shape());
    });
    let mut values = HashMap::new();
    for tensor in &file.tensors {
        if wanted
            .get(&tensor.key)
            .is_some_and(|shape| *shape == tensor.shape)
        {
            values.insert(tensor.key.clone(), floats(tensor, &file.path)?);
        }
    }
    let n = values.len();
    root.each_parameter_mut("", &mut |path, parameter| {
        if let Some(values) = values.remove(path) {
            parameter.set_values(values);
        }
    });
    Ok(n)
}

/// Whether two shapes are the same but for axes of length 1: `[96]` and `[96, 1, 1]`.
fn same_shape(a: &[usize], b: &[usize]) -> bool {
    let long = |shape: &[usize]| {
        shape
            .iter()
            .copied()
            .filter(|n| *n != 1)
            .collect::<Vec<_>>()
    };
    a == b || long(a) == long(b)
}

/// Whether it is a transformer's table of positions on another grid: `[1, 1 + side², width]` both.
fn is_position(key: &str, found: &[usize], wanted: &[usize]) -> bool {
    let is_square = |n: usize| n > 1 && ((n - 1) as f64).sqrt().fract() == 0.0;
    key.ends_with("pos_embed")
        && matches!((found, wanted), ([1, a, c], [1, b, d]) if c == d && is_square(*a) && is_square(*b))
}

/// A table of positions on another grid: the class token's is kept, the others are resampled bicubically.
///
/// # Source
///
/// Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2 ("2D interpolation"); kernel of Keys 1981 with a = −0.75 and
/// pixel centres aligned as in torch's `interpolate(mode="bicubic")`, which DINOv2 and timm use.
#[cfg_attr(
    not(test),
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "sides of tables that are in memory, and places that are clamped to them"
    )
)]
fn resample_positions(values: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    let side = |n: usize| ((n - 1) as f64).sqrt() as usize;
    let (old, new) = (side(from), side(to));
    let kernel = |t: f64| {
        let (a, t) = (-0.75, t.abs());
        if t <= 1.0 {
            ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
        } else if t < 2.0 {
            ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
        } else {
            0.0
        }
    };
    // For each new position: four old ones and their weights.
    let taps: Vec<[(usize, f64); 4]> = (0..new)
        .map(|i| {
            let at = (i as f64 + 0.5) * old as f64 / new as f64 - 0.5;
            let first = at.floor() as i64 - 1;
            std::array::from_fn(|k| {
                let index = first + k as i64;
                (
                    index.clamp(0, old as i64 - 1) as usize,
                    kernel(at - index as f64),
                )
            })
        })
        .collect();
    let mut result = values[..width].to_vec();
    for row in &taps {
        for column in &taps {
            for c in 0..width {
                let sum: f64 = row
                    .iter()
                    .flat_map(|(y, wy)| column.iter().map(move |(x, wx)| (y * old + x, wy * wx)))
                    .map(|(position, weight)| {
                        weight * f64::from(values[(1 + position) * width + c])
                    })
                    .sum();
                result.push(sum as f32);
            }
        }
    }
    result
}

/// Another naming: a file's key to ours, or nothing for what is not needed.
type Spelling = fn(&str) -> Option<String>;

/// The file's own naming.
const AS_IT_IS: Spelling = |key| Some(key.to_owned());

/// The naming in which most of the wanted keys are found; of equally good ones that in which the fewest others are left
/// (beside a classifier that was removed), then the file's own, for which there is nothing.
fn spelling(
    found: &[(&str, &[usize])],
    wanted: &[(String, Vec<usize>)],
    spellings: &[Spelling],
    removed: Option<&str>,
) -> Option<Spelling> {
    let known: HashSet<&str> = wanted.iter().map(|(key, _)| key.as_str()).collect();
    // More found, then fewer left over, is better.
    let fit = |spelling: Spelling| {
        let keys = found.iter().filter_map(|(key, _)| spelling(key));
        let keys: HashSet<String> = keys.collect();
        let (found, left): (Vec<&String>, Vec<&String>) =
            keys.iter().partition(|key| known.contains(key.as_str()));
        let left = left.iter().filter(|key| !is_removed(key, removed));
        (found.len(), std::cmp::Reverse(left.count()))
    };
    let spellings = spellings.iter().map(|spelling| (fit(*spelling), *spelling));
    let (best, spelling) = spellings.max_by_key(|(fit, _)| *fit)?;
    (best > fit(AS_IT_IS)).then_some(spelling)
}

/// Whether a key is of the classifier that was removed.
fn is_removed(key: &str, removed: Option<&str>) -> bool {
    let rest = removed.and_then(|child| key.strip_prefix(child));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// A file's keys in a naming, with their shapes.
fn spelled<'a>(found: &[(&str, &'a [usize])], spelling: Spelling) -> HashMap<String, &'a [usize]> {
    found
        .iter()
        .filter_map(|(key, shape)| Some((spelling(key)?, *shape)))
        .collect()
}

/// How a file differs from a network.
struct Misfit {
    /// The network's keys that the file lacks.
    missing: Vec<String>,
    /// The file's keys that the network lacks.
    unexpected: Vec<String>,
    /// Key, the network's shape, the file's.
    wrong: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Misfit {
    fn is_none(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.wrong.is_empty()
    }
}

/// Compares keys and shapes. A count of batches and what was `removed` are not unexpected.
fn misfit(
    found: &HashMap<String, &[usize]>,
    wanted: &[(String, Vec<usize>)],
    removed: Option<&str>,
) -> Misfit {
    let known: HashMap<&str, &[usize]> = wanted
        .iter()
        .map(|(key, shape)| (key.as_str(), shape.as_slice()))
        .collect();
    let is_unexpected = |key: &&String| {
        !known.contains_key(key.as_str())
            && !is_removed(key, removed)
            && !key.ends_with("num_batches_tracked")
    };
    let mut unexpected: Vec<String> = found.keys().filter(is_unexpected).cloned().collect();
    unexpected.sort();
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for (key, shape) in wanted {
        match found.get(key) {
            None => missing.push(key.clone()),
            Some(of_file) if same_shape(of_file, shape) || is_position(key, of_file, shape) => {}
            Some(of_file) => wrong.push((key.clone(), shape.clone(), of_file.to_vec())),
        }
    }
    Misfit {
        missing,
        unexpected,
        wrong,
    }
}

/// The backbone that a file's keys and shapes are those of, with its classifier or without; nothing where it is none of
/// [`BACKBONES`].
///
/// # Errors
///
/// As [`read`].
pub fn backbone_of(path: &Path) -> Result<Option<&'static Backbone>> {
    Ok(backbone_of_keys(&read(path)?.keys()))
}

/// As [`backbone_of`], of keys and shapes.
pub(super) fn backbone_of_keys(keys: &[(&str, &[usize])]) -> Option<&'static Backbone> {
    BACKBONES.iter().find(|backbone| fits(keys, backbone))
}

/// Whether these are the weights of a backbone.
fn fits(keys: &[(&str, &[usize])], backbone: &Backbone) -> bool {
    let mut body = backbone.body();
    if shape::infer(&mut body, Shape::square(3, backbone.size)).is_err() {
        return false;
    }
    let mut wanted = Vec::new();
    each_key(&body, "", &mut wanted);
    let mut found = keys.to_vec();
    found.retain(|(key, _)| !is_ours(key, backbone));
    let removed = Some(backbone.classifier);
    let spelling = spelling(&found, &wanted, backbone.spellings, removed);
    let found = spelled(&found, spelling.unwrap_or(AS_IT_IS));
    misfit(&found, &wanted, removed).is_none()
}

/// Keys and shapes of a description's parameters, in tree order.
fn each_key(architecture: &Architecture, path: &str, keys: &mut Vec<(String, Vec<usize>)>) {
    for spec in architecture.layer.parameters() {
        keys.push((join(path, &spec.name), spec.shape));
    }
    for (name, child) in &architecture.children {
        each_key(child, &join(path, name), keys);
    }
}

#[cfg_attr(
    not(test),
    expect(
        clippy::cast_possible_truncation,
        reason = "what `f32` cannot hold becomes infinite, and is refused"
    )
)]
fn floats(tensor: &Stored, path: &Path) -> Result<Vec<f32>> {
    let key = &tensor.key;
    if let Numbers::Other(found) = &tensor.numbers {
        return Err(Error::WeightsType {
            path: path.to_path_buf(),
            key: key.clone(),
            found: found.clone(),
        });
    }
    let bytes = (tensor.read)().map_err(|error| broken(path, one_line(&error.to_string())))?;
    let values: Vec<f32> = match tensor.numbers {
        Numbers::F32 => each(&bytes, f32::from_le_bytes),
        Numbers::F64 => each(&bytes, |b: [u8; 8]| f64::from_le_bytes(b) as f32),
        Numbers::F16 => each(&bytes, |b: [u8; 2]| half::f16::from_le_bytes(b).to_f32()),
        Numbers::Bf16 => each(&bytes, |b: [u8; 2]| half::bf16::from_le_bytes(b).to_f32()),
        Numbers::Other(_) => unreachable!("refused above"),
    };
    let axes = tensor.shape.iter();
    let n = axes.fold(1_usize, |n, axis| n.saturating_mul(*axis));
    if values.len() != n {
        return Err(broken(
            path,
            format!("`{key}` has {} of its {n} numbers", values.len()),
        ));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::WeightsNotFinite {
            path: path.to_path_buf(),
            key: key.clone(),
            index,
            value: values[index],
        }),
        None => Ok(values),
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| number(*chunk))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_resampled_as_torch_does_it() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/torch_backbones.json");
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let expected: Vec<f32> =
            serde_json::from_value(expected["resampled positions"].clone()).unwrap();
        let values: Vec<f32> = crate::network::tests::noise("positions", 20)
            .into_iter()
            .map(|v| v as f32)
            .collect();
        let found = resample_positions(&values, 10, 26, 2);
        assert_eq!(found.len(), expected.len());
        let difference = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn a_table_of_positions_has_a_class_token_and_a_square() {
        let is_one = |n: usize| is_position("pos_embed", &[1, n, 8], &[1, 197, 8]);
        assert!(is_one(1 + 16));
        assert!(![0, 1, 16].into_iter().any(is_one));
    }
}
