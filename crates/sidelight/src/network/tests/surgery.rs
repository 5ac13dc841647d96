//! Edits that fit, and edits that are refused with the message promised.

use burn::tensor::Device;

use super::{config, evaluate, images, largest_difference, metadata, numbers, shake, spec};
use crate::config::{Arm, ModelConfig};
use crate::error::Error;
use crate::network::layer::{BatchNorm, Conv2d, EmbeddingTable, Layer, Linear};
use crate::network::{Architecture, BackboneWeights, Context, Edit, Network, Shape, backbone};

fn resnet_for(size: usize) -> Network {
    let resnet = backbone::named("resnet18").unwrap();
    let weights = BackboneWeights::Seed(0);
    Network::original(resnet, 10, size, weights, &Device::flex()).unwrap()
}

fn resnet() -> Network {
    let mut network = resnet_for(64);
    shake(&mut network);
    network
}

fn kept(before: &Network, after: &Network, new: &[String]) {
    let before = before.state_dict();
    for (path, shape, values) in after.state_dict() {
        if !new.contains(&path) {
            let old = before.iter().find(|(old, _, _)| *old == path).unwrap();
            assert_eq!(
                (&old.1, &old.2),
                (&shape, &values),
                "{path} is kept bit for bit"
            );
        }
    }
}

#[test]
fn replace_gives_new_parameters_and_keeps_the_others() {
    let mut network = resnet();
    let before = network.clone();
    let edit = Edit::replace("fc", Linear::new(7));
    let new = network.edit(edit.with_seed(1)).unwrap();
    assert_eq!(new, ["fc.weight", "fc.bias"]);
    kept(&before, &network, &new);
    assert_eq!(evaluate(&network, 2, &Device::flex()).len(), 14);
}

#[test]
fn insert_remove_prepend_append_change_the_order() {
    let mut network = resnet();
    let before = network.clone();
    let calm = Edit::insert_before("layer3", "calm", BatchNorm::default());
    let mut new = network.edit(calm).unwrap();
    assert_eq!(
        new,
        [
            "calm.weight",
            "calm.bias",
            "calm.running_mean",
            "calm.running_var"
        ]
    );
    let others = [
        Edit::insert_after("layer4", "wider", Conv2d::new(512, 1)),
        Edit::prepend("colour", Conv2d::new(3, 1)),
        Edit::append("last", Linear::new(10)),
        Edit::remove("layer4.1"),
    ];
    new.extend(network.edit(others).unwrap());
    let names: Vec<&str> = network
        .root
        .children
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "colour", "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "calm", "layer3",
            "layer4", "wider", "avgpool", "flatten", "fc", "last"
        ]
    );
    kept(&before, &network, &new);
    assert_eq!(evaluate(&network, 2, &Device::flex()).len(), 20);
}

#[test]
fn cut_gives_the_features_of_a_layer() {
    let mut network = resnet();
    let device = Device::flex();
    let (_, tapped) = network.forward_taps(
        Some(images(2, 3, 64, &device)),
        &mut Context::default(),
        &["layer2.0".to_owned()],
    );
    network.edit(Edit::cut("layer2.0")).unwrap();
    let found = network.inspect().unwrap()[0].output;
    assert_eq!(found, Shape::square(128, 8));
    network
        .edit(Edit::append("flatten", Layer::Flatten))
        .unwrap();
    let features = network.forward(Some(images(2, 3, 64, &device)), &mut Context::default());
    let (_, tapped) = tapped.into_iter().next().unwrap();
    // With a tap no layers run as one: equal to rounding.
    let difference = largest_difference(&numbers(features), &numbers(tapped.map()));
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn one_channel_sums_the_weights_and_more_repeat_them() {
    let device = Device::flex();
    let three = resnet();
    let mut one = three.clone();
    one.edit(Edit::InputChannels { n: 1 }).unwrap();
    // A grey image in three equal channels is the same to the one as the one channel to the other.
    let grey = images(2, 1, 64, &device);
    let colour = grey.clone().repeat_dim(1, 3);
    let a = numbers(one.forward(Some(grey), &mut Context::default()));
    let b = numbers(three.forward(Some(colour), &mut Context::default()));
    assert!(super::largest_difference(&a, &b) < 1e-5);

    let mut six = three.clone();
    six.edit(Edit::InputChannels { n: 6 }).unwrap();
    let image = images(2, 3, 64, &device);
    let twice = image.clone().repeat_dim(1, 2);
    let a = numbers(six.forward(Some(twice), &mut Context::default()));
    let b = numbers(three.forward(Some(image), &mut Context::default()));
    assert!(super::largest_difference(&a, &b) < 1e-5);
}

#[test]
fn edits_written_in_toml_are_made() {
    let text = r#"
        backbone = "resnet18"
        fusion = "concat"
        hidden = 16
        [[edit]]
        op = "cut"
        path = "layer2"
        [[edit]]
        op = "insert_after"
        path = "layer2"
        name = "attend"
        layer = { kind = "gate", children = [
            { name = "pool", kind = "adaptive_avg_pool" },
            { name = "fc1", kind = "conv2d", out_channels = 8, kernel = 1 },
            { name = "activation", kind = "relu" },
            { name = "fc2", kind = "conv2d", out_channels = 128, kernel = 1 },
            { name = "scale", kind = "sigmoid" },
        ] }
        [[edit]]
        op = "freeze"
        path = "layer1"
        [[edit]]
        op = "replace"
        path = "head.deep.0"
        layer = { kind = "linear", out_features = 24 }
        [[edit]]
        op = "replace"
        path = "head.deep.3"
        layer = { kind = "linear", out_features = 3 }
    "#;
    let config: ModelConfig = toml::from_str(text).unwrap();
    let network = Network::build(&config, &spec(3, 64), 0, &Device::flex()).unwrap();
    let names: Vec<&str> = network
        .root
        .children
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "attend", "avgpool", "flatten",
            "fusion", "head"
        ]
    );
    let frozen = network
        .parameters()
        .into_iter()
        .filter(|p| p.path.starts_with("layer1") && p.trainable)
        .count();
    assert_eq!(frozen, 0);
    let at = |path: &str| {
        network
            .parameters()
            .into_iter()
            .find(|p| p.path == path)
            .unwrap()
            .shape
    };
    assert_eq!(at("head.deep.0.weight"), [24, 8 + 10 + 8]);
    assert_eq!(at("head.deep.3.weight"), [3, 24]);
    assert_eq!(at("fusion.metadata.embed.zip_code.weight"), [7, 3]);
    assert_eq!(at("fusion.metadata.embed.zip_code_2.weight"), [4, 2]);
}

/// What reads a table of vectors finds rows of vectors there, or the network is not built.
#[test]
fn a_table_of_vectors_cannot_become_another_layer() {
    let config: ModelConfig =
        toml::from_str("backbone = \"resnet18\"\nfusion = \"concat\"").unwrap();
    let mut network = Network::build(&config, &spec(3, 64), 0, &Device::flex()).unwrap();
    let edit = Edit::replace("fusion.metadata.embed.zip_code", Linear::new(3));
    let message = network.edit(edit).unwrap_err().to_string();
    assert!(
        message.contains("a table (`embedding`) for `zip"),
        "{message}"
    );
    assert!(message.contains("gets `linear`"), "{message}");
    // Nor a table of fewer vectors than there are codes, nor can it be left out.
    let (n_codes, width) = (3, 3);
    let edit = Edit::replace(
        "fusion.metadata.embed.zip_code",
        EmbeddingTable { n_codes, width },
    );
    let message = network.edit(edit).unwrap_err().to_string();
    let expected = "expects 7 vectors of 3 for `zip.code`, but gets 3 of 3";
    assert!(message.contains(expected), "{message}");
    let edit = Edit::remove("fusion.metadata.embed.zip_code");
    let message = network.edit(edit).unwrap_err().to_string();
    let expected = "expects one table for each of 2 columns";
    assert!(message.contains(expected), "{message}");
}

/// An edit that is refused: nothing changes, and the message is this.
fn refused(edit: Edit, message: &str, hint: Option<&str>) {
    let mut network = resnet();
    let before = network.clone();
    let error = network.edit(edit).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.hint().as_deref(), hint);
    assert_eq!(network.root.architecture(), before.root.architecture());
    kept(&before, &network, &[]);
}

#[test]
fn a_width_that_does_not_fit_is_refused_with_the_edit_that_would() {
    refused(
        Edit::replace(
            "fc",
            Linear {
                in_features: 1280,
                ..Linear::new(7)
            },
        ),
        "`fc` (linear) expects `in_features = 1280`, but gets 512 features",
        Some(
            "set `in_features = 512` there, or leave `in_features` out to have it inferred: \
             { op = \"replace\", path = \"fc\", layer = { kind = \"linear\", in_features = 512, … } }",
        ),
    );
}

#[test]
fn the_layer_after_an_edit_is_named_where_it_does_not_fit() {
    refused(
        Edit::replace("layer2.0.conv2", Conv2d::new(64, 3)),
        "`layer2.0.bn2` (batch_norm) expects `features = 128`, but gets a map of 64×8×8",
        Some(
            "set `features = 64` there, or leave `features` out to have it inferred: \
             { op = \"replace\", path = \"layer2.0.bn2\", layer = { kind = \"batch_norm\", features = 64, … } }",
        ),
    );
}

#[test]
fn a_linear_layer_on_a_map_is_refused_with_a_flatten() {
    refused(
        Edit::remove("flatten"),
        "`fc` (linear) expects features, but gets a map of 512×1×1",
        Some(
            "put a flatten before it: { op = \"insert_before\", path = \"fc\", name = \"flatten\", \
             layer = { kind = \"flatten\" } }",
        ),
    );
}

#[test]
fn a_convolution_on_features_is_refused() {
    refused(
        Edit::insert_after("flatten", "conv", Conv2d::new(8, 3)),
        "`conv` (conv2d) expects a map, but gets 512 features",
        Some("it belongs before the pooling or flatten that turns the map into features"),
    );
}

#[test]
fn a_block_whose_two_ways_differ_is_refused_with_a_shortcut() {
    refused(
        Edit::remove("layer2.0.downsample"),
        "`layer2.0` (residual) expects the same from its body and its shortcut (a map of 64×16×16), but gets a map of 128×8×8",
        Some(
            "give it a shortcut: { op = \"append\", path = \"layer2.0\", name = \"downsample\", \
             layer = { kind = \"conv2d\", out_channels = 128, kernel = 1, stride = 2 } }",
        ),
    );
}

#[test]
fn a_path_that_leads_nowhere_is_refused_with_the_nearest() {
    refused(
        Edit::remove("layer4.1.conv3"),
        "no layer `layer4.1.conv3` in the network",
        Some("`layer4.1` has `conv2`, did you mean that?"),
    );
    refused(
        Edit::remove("classifier"),
        "no layer `classifier` in the network",
        Some(
            "the network has: conv1, bn1, relu, maxpool, layer1, layer2, layer3, layer4, avgpool, flatten, fc",
        ),
    );
    refused(
        Edit::remove("fc.0"),
        "no layer `fc.0` in the network",
        Some("`fc` has no layers inside"),
    );
}

#[test]
fn a_name_that_is_taken_or_has_a_dot_is_refused() {
    let insert = |name| Edit::insert_after("fc", name, Layer::Identity);
    refused(
        insert("bn1"),
        "the network already has a layer `bn1`",
        Some("give the new layer another `name`, or replace `bn1`"),
    );
    refused(
        insert("a.b"),
        "`a.b` is not a valid layer name",
        Some("a name has at least one character and no dot"),
    );
    refused(
        insert(""),
        "`` is not a valid layer name",
        Some("a name has at least one character and no dot"),
    );
}

#[test]
fn a_cut_inside_a_block_is_refused() {
    refused(
        Edit::cut("layer2.0.conv1"),
        "`layer2.0` (residual) expects all of its layers, but gets a cut at its `conv1`",
        Some("cut at `layer2.0` itself"),
    );
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let conv = |change: fn(&mut Conv2d)| {
        let mut conv = Conv2d::new(64, 3);
        change(&mut conv);
        Edit::replace("layer1.0.conv1", conv)
    };
    refused(
        conv(|c| c.stride = 0),
        "`layer1.0.conv1` (conv2d): `stride` must be at least 1, found `0`",
        None,
    );
    refused(
        conv(|c| c.groups = 5),
        "`layer1.0.conv1` (conv2d): `groups` must be a divisor of 64 and 64 channels, found `5`",
        None,
    );
    refused(
        conv(|c| (c.kernel, c.padding) = (21, 0)),
        "`layer1.0.conv1` (conv2d) expects at least 21 pixels a side, but gets a map of 64×16×16",
        Some("give the network larger images, or the layer `padding = 10`"),
    );
}

#[test]
fn a_freeze_that_means_nothing_is_refused() {
    refused(
        Edit::Freeze {
            path: "layer5.*".into(),
        },
        "no parameter of the network matches `layer5.*`",
        Some(
            "a pattern is a path, or one with `*`, as in `layer4.*`; the network has: \
             conv1, bn1, relu, maxpool, layer1, layer2, layer3, layer4, avgpool, flatten, fc",
        ),
    );
}

#[test]
fn an_edit_that_cannot_be_read_is_named() {
    let read = |text: &str| {
        let error = Edit::from_table(2, &toml::from_str(text).unwrap()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        format!("{error}: {cause}")
    };
    assert_eq!(
        read("op = 'swap'\npath = 'fc'"),
        "cannot read the layer in `model.edit[2]`: unknown variant `swap`, expected one of `replace`, `insert_before`, \
         `insert_after`, `prepend`, `append`, `remove`, `cut`, `freeze`, `unfreeze`, `input_channels`"
    );
    assert_eq!(
        read("op = 'replace'\npath = 'fc'\nlayer = { kind = 'linear', outputs = 3 }"),
        "cannot read the layer in `model.edit[2]`: unknown field `outputs`, expected one of `in_features`, `out_features`, `bias`, `per_pixel`, `start`"
    );
}

#[test]
fn a_network_that_no_longer_gives_what_the_target_asks_is_refused() {
    let config = ModelConfig {
        edit: vec![toml::from_str("op = 'append'\npath = 'head'\nname = 'more'\nlayer = { kind = 'linear', out_features = 9 }").unwrap()],
        ..config("small_cnn", "concat", Arm::Image)
    };
    let error = Network::build(&config, &spec(3, 64), 0, &Device::flex()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`head` (output) expects 3 features, as the target asks, but gets 9 features"
    );
}

#[test]
fn arms_and_names_that_cannot_be_built_are_refused() {
    let build = |config: ModelConfig| {
        Network::build(&config, &spec(3, 64), 0, &Device::flex()).unwrap_err()
    };
    let error = build(config("resnet81", "concat", Arm::Image));
    assert_eq!(
        (error.to_string(), error.hint()),
        (
            "no backbone `resnet81`".into(),
            Some("did you mean `resnet18`?".into())
        )
    );
    let error = build(config("small_cnn", "flim", Arm::Both));
    assert_eq!(
        (error.to_string(), error.hint()),
        (
            "no fusion `flim`".into(),
            Some("did you mean `film`?".into())
        )
    );
    let error = build(config("small_cnn", "concat", Arm::WeightedVote));
    assert_eq!(
        error.to_string(),
        "`model.arm`: expected `vote`, or `both`, whose fusion `stacked` learns how much each input counts, found `weighted-vote`"
    );
    let error = build(config("none", "concat", Arm::Both));
    assert_eq!(
        error.to_string(),
        "`model.backbone`: expected the name of one, since `model.arm` reads images, found `none`"
    );
    let mut nothing = spec(3, 64);
    (nothing.d_dense, nothing.embeddings) = (0, Vec::new());
    let error = Network::build(
        &config("small_cnn", "concat", Arm::Both),
        &nothing,
        0,
        &Device::flex(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`model.arm`: expected `image`, since the table has no metadata columns, found `both`"
    );
}

#[test]
fn images_too_small_for_a_network_are_refused_before_anything_runs() {
    let conv = Conv2d::new(64, 7).with_stride(2).with_padding(0);
    let mut network = resnet_for(6);
    let error = network.edit(Edit::replace("conv1", conv)).unwrap_err();
    assert!(
        matches!(&error, Error::Shape { path, .. } if path == "conv1"),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "`conv1` (conv2d) expects at least 7 pixels a side, but gets a map of 3×6×6"
    );
}

#[test]
fn a_library_users_own_layer_is_trained_saved_and_found_again() {
    use crate::network::parameter::Initial;
    use crate::network::shape::At;
    use crate::network::{
        Constructors, Custom, CustomLayer, ParameterKind, ParameterSpec, Parameters, Value, Walk,
    };

    /// Adds a learned offset to each channel.
    #[derive(Debug)]
    struct Offset(usize);
    impl CustomLayer for Offset {
        fn name(&self) -> &str {
            "offset"
        }
        fn config(&self) -> serde_json::Value {
            self.0.into()
        }
        fn parameters(&self) -> Vec<ParameterSpec> {
            vec![ParameterSpec::new(
                "offset",
                [self.0],
                ParameterKind::Bias,
                Initial::Constant(0.5),
            )]
        }
        fn output(&self, at: &At<'_>, input: Shape) -> crate::Result<Shape> {
            if input.channels() == self.0 {
                Ok(input)
            } else {
                Err(at.misfit(format!("{} channels", self.0), input, None))
            }
        }
        fn forward(&self, parameters: &Parameters, x: Value, _: &mut Walk<'_>) -> Value {
            Value::Map(x.map() + parameters.d1("offset").reshape([1, self.0, 1, 1]))
        }
    }

    let device = Device::flex();
    let mut network = resnet();
    let offset = || Custom::new(Offset(64));
    let edit = Edit::insert_after("layer1", "offset", offset());
    let new = network.edit(edit).unwrap();
    assert_eq!(new, ["offset.offset"]);
    let edit = Edit::insert_after("layer2", "offset2", offset());
    let error = network.clone().edit(edit).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`offset2` (custom) expects 64 channels, but gets a map of 128×8×8"
    );

    let description = network.describe();
    let error = Network::from_description(&description, &device).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`offset` is the custom layer `offset`, which is not known here"
    );
    let constructors = Constructors::default().with("offset", |config| {
        Ok(Custom::new(Offset(config.as_u64().unwrap_or(0) as usize)))
    });
    let mut again = Network::from_description_with(&description, &constructors, &device).unwrap();
    again.load_state(network.state_dict()).unwrap();
    let run = |network: &Network| {
        numbers(network.forward(
            Some(images(2, 3, 64, &device)),
            &mut Context::evaluate(Some(metadata(2, &device))),
        ))
    };
    assert_eq!(run(&again), run(&network));
}

#[test]
fn deep_nesting_is_refused_and_never_overflows_the_stack() {
    let mut text = r#"{"kind":"sequential","children":["#.repeat(3000);
    text.push_str(r#"{"kind":"relu"}"#);
    text.push_str(&"]}".repeat(3000));
    assert!(serde_json::from_str::<Architecture>(&text).is_err());
}

#[test]
fn an_architecture_saved_under_the_old_word_is_read() {
    let old = r#"{"kind":"residual","relu_after":false,"again_at":"norm2"}"#;
    let new = r#"{"kind":"residual","relu_after":false,"second_residual_at":"norm2"}"#;
    let read = |text| serde_json::from_str::<Architecture>(text).unwrap();
    assert_eq!(read(old), read(new));
    assert_eq!(serde_json::to_string(&read(old)).unwrap(), new);
}
