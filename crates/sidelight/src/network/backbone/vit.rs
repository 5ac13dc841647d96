//! Vision transformers of the small size: ViT-S/16 with timm's names, and DINOv2's ViT-S/14.
//!
//! Two keys of the files stand at their top, where a path needs a layer: `cls_token` and `pos_embed` are
//! `tokens.cls_token` and `tokens.pos_embed` here. Positions are resampled to the network's own grid when read.
//!
//! # Source
//!
//! Dosovitskiy et al. 2021, arXiv:2010.11929; the small size of Touvron et al. 2021 (DeiT), arXiv:2012.12877.
//! Weights: timm's `vit_small_patch16_224` (Apache-2.0); DINOv2: Oquab et al. 2023, arXiv:2304.07193 (Apache-2.0).

use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::architecture::Architecture;
use crate::network::layer::{
    ClassToken, Conv2d, Layer, LayerNorm, Linear, LinearStart, Residual, Scale, SelfAttention,
    ToTokens,
};

pub(super) const S16: Backbone = Backbone {
    name: "vit_s16",
    source: "Dosovitskiy et al. 2021, arXiv:2010.11929; Touvron et al. 2021, arXiv:2012.12877",
    weights: "timm vit_small_patch16_224, ImageNet-21k and -1k; DINO ViT-S/16",
    hub: "timm/vit_small_patch16_224.augreg_in21k_ft_in1k",
    licence: "Apache-2.0",
    mean: [0.5; 3],
    sd: [0.5; 3],
    size: 224,
    classifier: "head",
    pooling: &["pool"],
    architecture: |n| vit(16, false, n),
    spellings: &[from_timm, from_torchvision],
    epsilon_beyond: 0.0,
};
pub(super) const DINOV2_S14: Backbone = Backbone {
    name: "dinov2_s14",
    source: "Oquab et al. 2023, arXiv:2304.07193",
    weights: "Meta, LVD-142M (dinov2_vits14_pretrain.pth)",
    hub: "timm/vit_small_patch14_dinov2.lvd142m",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    architecture: |n| vit(14, true, n),
    ..S16
};

const WIDTH: usize = 384;
const HEADS: usize = 6;
const BLOCKS: usize = 12;

fn norm() -> Architecture {
    LayerNorm::of_transformers().into()
}
fn linear(width: usize) -> Architecture {
    Linear {
        start: LinearStart::Normal,
        ..Linear::new(width)
    }
    .into()
}

/// A block's two residual parts, which timm has in one module: the second sum begins at `norm2`.
fn block(scaled: bool) -> Architecture {
    let mlp = Architecture::sequence([
        ("fc1", linear(4 * WIDTH)),
        ("act", Layer::Gelu.into()),
        ("fc2", linear(WIDTH)),
    ]);
    let scale = |name| scaled.then(|| (name, Scale::default().into()));
    let layers = [
        ("norm1", norm()),
        ("attn", SelfAttention::new(HEADS).into()),
    ];
    let layers = layers.into_iter().chain(scale("ls1"));
    let layers = layers.chain([("norm2", norm()), ("mlp", mlp)]);
    let around = Residual {
        second_residual_at: "norm2".into(),
        ..Residual::default()
    };
    Architecture::with(around, layers.chain(scale("ls2")))
}

fn vit(patch: usize, scaled: bool, n_classes: usize) -> Architecture {
    let projection = Conv2d::new(WIDTH, patch).with_stride(patch);
    let projection = projection.with_padding(0).with_bias();
    let patches = [("proj", projection.into()), ("flatten", ToTokens {}.into())];
    let blocks = (0..BLOCKS).map(|_| block(scaled));
    Architecture::sequence([
        ("patch_embed", Architecture::sequence(patches)),
        ("tokens", ClassToken::default().into()),
        ("blocks", Architecture::numbered(blocks)),
        ("norm", norm()),
        ("pool", Layer::FirstToken.into()),
        ("head", Linear::new(n_classes).into()),
    ])
}

/// The two keys at the top; `mask_token` is of pretraining only.
fn from_timm(key: &str) -> Option<String> {
    match key {
        "cls_token" | "pos_embed" => Some(format!("tokens.{key}")),
        "mask_token" => None,
        _ => Some(key.to_owned()),
    }
}

/// torchvision's key (`encoder.layers.encoder_layer_3.mlp.0.weight`) in timm's spelling.
fn from_torchvision(key: &str) -> Option<String> {
    let renamed = match key {
        "class_token" => "tokens.cls_token".to_owned(),
        "encoder.pos_embedding" => "tokens.pos_embed".to_owned(),
        _ => {
            let top = [
                ("conv_proj.", "patch_embed.proj."),
                ("encoder.ln.", "norm."),
                ("heads.head.", "head."),
            ];
            if let Some(renamed) = replace_start(key, &top) {
                return Some(renamed);
            }
            let (block, rest) = key
                .strip_prefix("encoder.layers.encoder_layer_")?
                .split_once('.')?;
            let inside = [
                ("ln_1.", "norm1."),
                ("ln_2.", "norm2."),
                ("self_attention.in_proj_", "attn.qkv."),
                ("self_attention.out_proj.", "attn.proj."),
                ("mlp.0.", "mlp.fc1."),
                ("mlp.3.", "mlp.fc2."),
            ];
            format!("blocks.{block}.{}", replace_start(rest, &inside)?)
        }
    };
    Some(renamed)
}

fn replace_start(key: &str, starts: &[(&str, &str)]) -> Option<String> {
    starts
        .iter()
        .find_map(|(theirs, ours)| key.strip_prefix(theirs).map(|rest| format!("{ours}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::{from_timm, from_torchvision};

    #[test]
    fn other_spellings_become_timms() {
        assert_eq!(from_timm("cls_token").as_deref(), Some("tokens.cls_token"));
        assert_eq!(from_timm("mask_token"), None);
        let renamed = |key| from_torchvision(key).unwrap_or_default();
        assert_eq!(
            renamed("encoder.layers.encoder_layer_11.self_attention.in_proj_bias"),
            "blocks.11.attn.qkv.bias"
        );
        assert_eq!(
            renamed("encoder.layers.encoder_layer_0.mlp.3.weight"),
            "blocks.0.mlp.fc2.weight"
        );
        assert_eq!(renamed("conv_proj.bias"), "patch_embed.proj.bias");
        assert_eq!(renamed("heads.head.weight"), "head.weight");
        assert_eq!(renamed("fc.weight"), "");
    }
}
