//! Files of weights that are read, and files that are refused with the message promised.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::tensor::{Dtype, TensorView};

use super::shake;
use crate::error::Error;
use crate::network::layer::{BatchNorm, Layer, Linear};
use crate::network::weights::{self, Fit};
use crate::network::{Architecture, BackboneWeights, InputSpec, Network, Start, backbone};

/// `fc.{weight [2, 3], bias [2]}` and `bn.{weight, bias, running_mean, running_var}`, 2 each.
fn small() -> Network {
    let architecture = Architecture::sequence([
        ("flatten", Layer::Flatten.into()),
        ("fc", Linear::new(2).into()),
        ("bn", BatchNorm::default().into()),
    ]);
    let input = InputSpec {
        mean: [0.0; 3],
        sd: [1.0; 3],
        size: 1,
        channels: 3,
    };
    let device = Device::flex();
    let mut network = Network::new(architecture, input, Start::Seed(0), &device).unwrap();
    shake(&mut network);
    network
}

/// One tensor of a file: key, type, shape, bytes.
type Entry = (String, Dtype, Vec<usize>, Vec<u8>);

fn entries() -> Vec<Entry> {
    small()
        .state_dict()
        .into_iter()
        .map(|(key, shape, values)| {
            (
                key,
                Dtype::F32,
                shape,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect()
}

fn write(folder: &Path, entries: &[Entry]) -> PathBuf {
    let path = folder.join("weights.safetensors");
    let views = entries.iter().map(|(key, dtype, shape, bytes)| {
        (
            key.as_str(),
            TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
        )
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn load(path: &Path, fit: &Fit<'_>) -> Result<Network, Error> {
    let mut network = small();
    let before = network.state_dict();
    let result = weights::read(path).and_then(|file| weights::load(&mut network.root, file, fit));
    match result {
        Ok(()) => Ok(network),
        Err(error) => {
            assert_eq!(
                network.state_dict(),
                before,
                "a failed load changes nothing"
            );
            Err(error)
        }
    }
}

/// A file that is refused with this message, its folder left out.
fn refused(path: &Path, message: &str) -> Error {
    let error = load(path, &Fit::exact()).unwrap_err();
    let folder = format!("{}/", path.parent().unwrap().display());
    assert_eq!(error.to_string().replace(&folder, ""), message);
    error
}

#[test]
fn missing_and_unexpected_keys_are_listed_up_to_five() {
    let folder = tempfile::tempdir().unwrap();
    let mut some = entries();
    some.retain(|(key, ..)| key == "fc.weight");
    let error = refused(
        &write(folder.path(), &some),
        "weights in weights.safetensors do not fit the network: \
         missing `fc.bias`, `bn.weight`, `bn.bias`, `bn.running_mean`, `bn.running_var`",
    );
    assert_eq!(
        error.hint().unwrap(),
        "is `model.backbone` the network that the file was made for?"
    );

    let mut more = entries();
    more.extend((0..7).map(|i| (format!("extra.{i}"), Dtype::F32, vec![1], vec![0; 4])));
    refused(
        &write(folder.path(), &more),
        "weights in weights.safetensors do not fit the network: \
         unexpected `extra.0`, `extra.1`, `extra.2`, `extra.3`, `extra.4` and 2 more",
    );

    let mut other = entries();
    other[0].0 = "classifier.weight".into();
    refused(
        &write(folder.path(), &other),
        "weights in weights.safetensors do not fit the network: missing `fc.weight`; unexpected `classifier.weight`",
    );
}

#[test]
fn a_removed_classifier_and_counts_of_batches_are_not_unexpected() {
    let folder = tempfile::tempdir().unwrap();
    let mut more = entries();
    more.push(("head.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
    more.push((
        "bn.num_batches_tracked".into(),
        Dtype::I64,
        vec![1],
        vec![0; 8],
    ));
    let path = write(folder.path(), &more);
    assert!(
        load(
            &path,
            &Fit {
                removed: Some("head"),
                ..Fit::default()
            }
        )
        .is_ok()
    );
    assert!(matches!(
        load(&path, &Fit::exact()),
        Err(Error::WeightsKeys { .. })
    ));
}

#[test]
fn wrong_shapes_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = entries();
    wrong[0].2 = vec![3, 2];
    refused(
        &write(folder.path(), &wrong),
        "weights in weights.safetensors do not fit the network: `fc.weight` is [3, 2], the network wants [2, 3]",
    );
}

#[test]
fn prefixes_of_wrappers_and_checkpoints_are_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    for prefix in [
        "module.",
        "state_dict.",
        "model.",
        "state_dict.module.",
        "model._orig_mod.",
        "_orig_mod.module.",
    ] {
        let mut prefixed = entries();
        for entry in &mut prefixed {
            entry.0.insert_str(0, prefix);
        }
        if prefix.starts_with("state_dict") || prefix.starts_with("model") {
            prefixed.push(("optimizer.lr".into(), Dtype::F32, vec![1], vec![0; 4]));
        }
        let network = load(&write(folder.path(), &prefixed), &Fit::exact()).unwrap();
        assert_eq!(network.state_dict(), small().state_dict(), "{prefix}");
    }
}

#[test]
fn other_floating_point_types_are_converted_and_integers_refused() {
    let folder = tempfile::tempdir().unwrap();
    let exact = [0.5_f32, -2.0, 0.25, 1.5, -0.125, 4.0];
    let types: [(Dtype, Vec<u8>); 3] = [
        (
            Dtype::F16,
            exact
                .iter()
                .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        (
            Dtype::BF16,
            exact
                .iter()
                .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
        (
            Dtype::F64,
            exact
                .iter()
                .flat_map(|v| f64::from(*v).to_le_bytes())
                .collect(),
        ),
    ];
    for (dtype, bytes) in types {
        let mut other = entries();
        (other[0].1, other[0].3) = (dtype, bytes);
        let network = load(&write(folder.path(), &other), &Fit::exact()).unwrap();
        assert_eq!(network.state_dict()[0].2, exact, "{dtype:?}");
    }
    let mut integers = entries();
    (integers[0].1, integers[0].3) = (Dtype::I8, vec![1; 6]);
    refused(
        &write(folder.path(), &integers),
        "weights in weights.safetensors: `fc.weight` is I8, expected floating-point numbers",
    );
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut diverged = entries();
    diverged[1].3 = [1.0_f32, f32::NAN]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    refused(
        &write(folder.path(), &diverged),
        "weights in weights.safetensors: `fc.bias` holds NaN at element 1",
    );
}

#[test]
fn a_file_that_is_not_there_empty_or_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refused(&folder.path().join("none.pth"), "cannot read none.pth");
    refused(
        &file("empty.pth", b""),
        "cannot read weights from empty.pth: the file is empty",
    );
    refused(
        &file("empty.safetensors", b""),
        "cannot read weights from empty.safetensors: the file is empty",
    );
    let error = refused(
        &file(
            "page.pth",
            b"<html>404 Not Found, but with enough text around it</html>",
        ),
        "cannot read weights from page.pth: invalid PyTorch file format: not a PyTorch checkpoint: \
         no ZIP, TAR, legacy or pickle header found",
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("weights are read from `.safetensors`")
    );
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(write(folder.path(), &entries())).unwrap();
    let path = folder.path().join("short.safetensors");
    for n in [5, 9, 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..n]).unwrap();
        let error = load(&path, &Fit::exact()).unwrap_err();
        assert!(
            matches!(error, Error::WeightsFile { .. }),
            "{n} bytes: {error}"
        );
    }
    // A header that claims to be longer than any memory.
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend(b"{}");
    std::fs::write(&path, huge).unwrap();
    refused(
        &path,
        "cannot read weights from short.safetensors: not whole safetensors: header too large",
    );
}

#[test]
fn a_pickle_that_is_much_larger_unpacked_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let how = zip::write::SimpleFileOptions::default();
    zip.start_file("a/data.pkl", how).unwrap();
    zip.write_all(&vec![b'N'; 5 << 20]).unwrap();
    zip.finish().unwrap();
    refused(
        &path,
        "cannot read weights from bomb.pth: `a/data.pkl` is longer than 4194304 bytes, the limit",
    );
}

#[test]
fn a_long_pickle_is_refused_in_every_container() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    let long = [b"\x80\x02(".as_slice(), &vec![b'N'; 5 << 20], b"l."].concat();
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let legacy = [
        magic,
        b"\x80\x02M\xe9\x03.".as_slice(),
        b"\x80\x02}.",
        &long,
    ]
    .concat();
    let mut header = tar::Header::new_gnu();
    header.set_path("pickle").unwrap();
    header.set_size(long.len() as u64);
    header.set_cksum();
    let tar = [header.as_bytes().as_slice(), &long].concat();
    for (bytes, name) in [
        (&long, "the pickle"),
        (&legacy, "the pickle"),
        (&tar, "`pickle`"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        refused(
            &path,
            &format!(
                "cannot read weights from bomb.pth: {name} is longer than 4194304 bytes, the limit"
            ),
        );
    }
}

/// Pickles, protocol 0, written out by hand.
#[test]
fn a_hostile_pickle_executes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("executed");
    let path = folder.path().join("evil.pth");
    // What `class Evil: __reduce__ = lambda self: (os.system, ("touch …",))` pickles to.
    let mut bytes = Vec::new();
    write!(bytes, "\u{80}").unwrap();
    bytes.clear();
    bytes.extend([0x80, 2]);
    bytes.extend(b"cposix\nsystem\nX");
    let command = format!("touch {}", marker.display());
    bytes.extend((command.len() as u32).to_le_bytes());
    bytes.extend(command.as_bytes());
    bytes.extend([0x85, b'R', b'.']);
    std::fs::write(&path, bytes).unwrap();
    refused(
        &path,
        "cannot read weights from evil.pth: it holds no tensors, but the Python object `posix.system`, which was not executed",
    );
    assert!(!marker.exists());
}

#[test]
fn the_files_that_torch_writes_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/weights");
    for name in ["zip.pth", "legacy.pth", "checkpoint.pth", "parallel.pth"] {
        let network =
            load(&folder.join(name), &Fit::exact()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            network.state_dict()[0].2,
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            "{name}"
        );
    }
    // Evil beside real tensors: they are read, it is not executed.
    let network = load(&folder.join("evil_beside.pth"), &Fit::exact()).unwrap();
    assert_eq!(network.state_dict()[0].2, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(!Path::new("sidelight_was_here").exists());
    for name in ["short_zip.pth", "short_legacy.pth"] {
        let error = load(&folder.join(name), &Fit::exact()).unwrap_err();
        assert!(
            matches!(error, Error::WeightsFile { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_state_of_another_network_is_refused() {
    let mut network = small();
    let mut state = network.state_dict();
    state[0].0 = "fd.weight".into();
    let error = network.load_state(state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the saved state does not fit the network: missing `fc.weight`; unexpected `fd.weight`"
    );
}

#[test]
fn the_keys_of_a_file_say_whose_weights_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "small_cnn",
        "mobilenet_v2",
        "resnet18",
        "resnet34",
        "vit_s16",
        "dinov2_s14",
    ] {
        let backbone = backbone::named(name).unwrap();
        let from = BackboneWeights::Seed(0);
        let network = Network::original(backbone, 7, 112, from, &Device::flex()).unwrap();
        let path = folder.path().join(format!("{name}.safetensors"));
        network.save_weights(&path).unwrap();
        let found = weights::backbone_of(&path)
            .unwrap()
            .map(|backbone| backbone.name);
        assert_eq!(found, Some(name));
    }
    // Given to another network, they are called by their name.
    let path = folder.path().join("resnet34.safetensors");
    let other = backbone::named("resnet18").unwrap();
    let given = BackboneWeights::File(&path);
    let error = Network::original(other, 7, 64, given, &Device::flex()).unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "they are weights of `resnet34`: set `model.backbone` to it, or take another file"
    );
    let path = write(folder.path(), &entries());
    assert!(weights::backbone_of(&path).unwrap().is_none());
}

#[test]
fn timms_names_of_networks_that_we_have_are_known_and_others_are_not() {
    let text = include_str!("../../../tests/reference/timm_keys.json");
    let networks: HashMap<String, HashMap<String, Vec<usize>>> =
        serde_json::from_str(text).unwrap();
    let found = |timm: &str| {
        let keys = networks[timm].iter();
        let keys: Vec<_> = keys
            .map(|(key, shape)| (key.as_str(), shape.as_slice()))
            .collect();
        weights::backbone_of_keys(&keys).map(|backbone| backbone.name)
    };
    assert_eq!(found("mobilenetv2_100"), Some("mobilenet_v2"));
    assert_eq!(found("efficientnet_b0"), Some("efficientnet_b0"));
    assert_eq!(found("mobilenetv3_small_100"), Some("mobilenet_v3_small"));
    // Without one of its layers it is none that we have.
    let mut keys: Vec<_> = networks["mobilenetv3_small_100"].iter().collect();
    keys.retain(|(key, _)| *key != "blocks.0.0.se.conv_reduce.bias");
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, shape)| (key.as_str(), shape.as_slice()))
        .collect();
    assert!(weights::backbone_of_keys(&keys).is_none());
}
