//! Our kernels and Burn's operations agree, forward and gradients.

use burn::tensor::{Device, Distribution, Tensor};

use super::*;
use super::{activation, convolution, linear, normalization, pooling};

/// Largest difference, relative to the largest number where that is above 1.
fn difference<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let scale: f32 = b.clone().without_autodiff().abs().max().into_scalar();
    let difference: f32 = (a.clone() - b.clone())
        .without_autodiff()
        .abs()
        .max()
        .into_scalar();
    difference / scale.max(1.0)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "tests hand over what they are done with"
)]
fn same<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    let difference = difference(&a, &b);
    assert!(difference < 1e-5, "{what}: {difference}");
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let n: usize = shape.iter().product();
    let mut stream = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(7);
    let values: Vec<f32> = (0..n)
        .map(|_| rand::Rng::next_u32(&mut stream) as f32 / 2_147_483_648.0 - 1.0)
        .collect();
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
}

/// Both ways on the same inputs, results and the gradients to all inputs compared. The gradient that comes in is that
/// of a weighted sum, so that it is not the same everywhere.
macro_rules! agree {
    ($what:expr, [$($input:ident),+], $ours:expr, $burns:expr) => {{
        $(let $input = $input.clone().require_grad();)+
        let pull = |y: Tensor<_>| {
            let weights = random(y.dims(), &Device::flex()).autodiff();
            (y * weights).sum().backward()
        };
        let (ours, burns) = ($ours, $burns);
        same($what, ours.clone(), burns.clone());
        let (ours, burns) = (pull(ours), pull(burns));
        $(same(
            &format!("{}: gradient to {}", $what, stringify!($input)),
            $input.grad(&ours).expect("ours has a gradient"),
            $input.grad(&burns).expect("burn's has a gradient"),
        );)+
    }};
}

#[test]
fn convolutions_agree_with_burns() {
    let device = Device::flex().autodiff();
    for (channels, out, side, stride, padding, groups) in [
        (3, 16, 3, 2, 1, 1),
        (8, 8, 3, 1, 1, 8),
        (16, 24, 1, 1, 0, 1),
        (6, 9, 5, 2, 2, 3),
        (4, 33, 7, 2, 3, 1),
    ] {
        let how = Convolution {
            stride,
            padding,
            dilation: 1,
            groups,
            precision: Precision::F32,
        };
        let what = format!("{how:?}");
        let x = random([2, channels, 13, 11], &device);
        let w = random([out, channels / groups, side, side], &device);
        let b = random([out], &device);
        agree!(
            &what,
            [x, w],
            conv2d(x.clone(), w.clone(), None, how),
            convolution::by_burn(x.clone(), w.clone(), None, how)
        );
        agree!(
            &what,
            [x, w, b],
            conv2d(x.clone(), w.clone(), Some(b.clone()), how),
            convolution::by_burn(x.clone(), w.clone(), Some(b.clone()), how)
        );
    }
}

#[test]
fn convolutions_take_any_layout() {
    let device = Device::flex().autodiff();
    let how = Convolution {
        stride: 1,
        padding: 1,
        dilation: 1,
        groups: 1,
        precision: Precision::F32,
    };
    let x = random([2, 13, 4, 11], &device);
    let w = random([3, 3, 4, 5], &device);
    let (view, weight) = (
        |x: Tensor<4>| x.permute([0, 2, 1, 3]),
        |w: Tensor<4>| w.permute([3, 2, 0, 1]),
    );
    agree!(
        "views",
        [x, w],
        conv2d(view(x.clone()), weight(w.clone()), None, how),
        convolution::by_burn(view(x.clone()), weight(w.clone()), None, how)
    );
}

/// Operands keep 8 bits of mantissa: products are off by up to 2⁻⁷, sums of many by less.
#[test]
fn convolutions_in_bf16_are_near_those_in_f32_but_not_the_same() {
    let device = Device::flex().autodiff();
    let x = random([2, 16, 9, 9], &device).require_grad();
    let w = random([24, 16, 3, 3], &device).require_grad();
    let run = |precision| {
        let how = Convolution {
            stride: 1,
            padding: 1,
            dilation: 1,
            groups: 1,
            precision,
        };
        let y = conv2d(x.clone(), w.clone(), None, how);
        let weights = random(y.dims(), &Device::flex()).autodiff();
        let gradients = (y.clone() * weights).sum().backward();
        let of = |t: &Tensor<4>| t.grad(&gradients).expect("both are tracked");
        [y.without_autodiff(), of(&x), of(&w)]
    };
    for (full, rounded) in run(Precision::F32).iter().zip(&run(Precision::Bf16)) {
        let difference = difference(rounded, full);
        assert!((1e-5..1e-2).contains(&difference), "{difference}");
    }
}

#[test]
fn a_folded_convolution_is_the_three_layers() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let how = Convolution {
            stride: 2,
            padding: 1,
            dilation: 1,
            groups: 1,
            precision: Precision::F32,
        };
        let (x, w) = (random([2, 5, 9, 9], &device), random([7, 5, 3, 3], &device));
        let (weight, bias, mean) = (
            random([7], &device),
            random([7], &device) + 0.1,
            random([7], &device) - 0.2,
        );
        let variance = random([7], &device).abs() + 0.5;
        let other = random([2, 7, 5, 5], &device);
        let y = convolution::by_burn(x.clone(), w.clone(), None, how);
        let y = burn::tensor::module::batch_norm(
            y,
            weight.clone(),
            bias.clone(),
            mean.clone(),
            variance.clone(),
            1e-5,
        );
        let folded = || {
            fold(
                weight.clone(),
                bias.clone(),
                mean.clone(),
                variance.clone(),
                1e-5,
            )
        };
        for then in [None, Some(Activation::Relu6), Some(Activation::Gelu)] {
            let apply = |y: Tensor<4>| then.map_or(y.clone(), |then| activation::by_burn(y, then));
            let ours = conv2d_folded(x.clone(), w.clone(), folded(), None, how, then);
            same("folded", ours, apply(y.clone()));
            let ours = conv2d_folded(
                x.clone(),
                w.clone(),
                folded(),
                Some(other.clone()),
                how,
                then,
            );
            same("folded, with a sum", ours, apply(y.clone() + other.clone()));
        }
    }
}

#[test]
fn normalisations_agree_with_burns() {
    let device = Device::flex().autodiff();
    let (w, b) = (random([6], &device) + 1.5, random([6], &device));
    let x = random([4, 6, 5, 7], &device) * 3.0 + 0.7;
    let other = random([4, 6, 5, 7], &device) - 0.1;
    for then in [None, Some(Activation::Relu), Some(Activation::HardSwish)] {
        agree!(
            "norm",
            [x, w, b],
            batch_norm_train(x.clone(), w.clone(), b.clone(), 1e-5, (None, then), None).output,
            normalization::train_by_burn(x.clone(), w.clone(), b.clone(), 1e-5, (None, then))
                .output
        );
        agree!(
            "norm with a sum",
            [x, w, b, other],
            batch_norm_train(
                x.clone(),
                w.clone(),
                b.clone(),
                1e-5,
                (Some(other.clone()), then),
                None
            )
            .output,
            normalization::train_by_burn(
                x.clone(),
                w.clone(),
                b.clone(),
                1e-5,
                (Some(other.clone()), then)
            )
            .output
        );
    }
    let ours = batch_norm_train(x.clone(), w.clone(), b.clone(), 1e-5, (None, None), None);
    let burns = normalization::train_by_burn(x.clone(), w.clone(), b.clone(), 1e-5, (None, None));
    same("mean", ours.mean.clone(), burns.mean);
    same("variance", ours.variance.clone(), burns.variance);
    let features = random([5, 6], &device);
    agree!(
        "norm of features",
        [features, w, b],
        batch_norm_train(
            features.clone(),
            w.clone(),
            b.clone(),
            1e-5,
            (None, None),
            None
        )
        .output,
        normalization::train_by_burn(features.clone(), w.clone(), b.clone(), 1e-5, (None, None))
            .output
    );
    // By given statistics: the kernels where nothing wants a gradient, Burn's where something does.
    let given = |x: Tensor<4>, w: Tensor<1>| {
        batch_norm(
            x,
            w,
            b.clone(),
            ours.mean.clone(),
            ours.variance.clone(),
            1e-5,
        )
    };
    let tracked = given(x.clone().require_grad(), w.clone());
    same(
        "norm by given statistics",
        given(x.clone(), w.clone()),
        tracked,
    );
}

#[test]
fn activations_and_sums_agree_with_burns() {
    let device = Device::flex().autodiff();
    let x = random([2, 5, 4, 3], &device) * 8.0;
    let other = (random([2, 4, 5, 3], &device) * 2.0).permute([0, 2, 1, 3]);
    for function in [
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::HardSwish,
        Activation::HardSigmoid,
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Tanh,
    ] {
        let what = format!("{function:?}");
        agree!(
            &what,
            [x],
            activate(x.clone(), function),
            activation::by_burn(x.clone(), function)
        );
        agree!(
            &what,
            [x, other],
            add_activate(x.clone(), other.clone(), Some(function)),
            activation::by_burn(x.clone() + other.clone(), function)
        );
    }
    agree!(
        "sum",
        [x, other],
        add_activate(x.clone(), other.clone(), None),
        x.clone() + other.clone()
    );
    let gate = random([2, 5], &device);
    agree!(
        "gate",
        [x, gate],
        scale_channels(x.clone(), gate.clone()),
        x.clone() * gate.clone().reshape([2, 5, 1, 1])
    );
}

#[test]
fn pooling_agrees_with_burns() {
    let device = Device::flex().autodiff();
    let x = random([2, 5, 12, 12], &device);
    for (side, stride, padding) in [(3, 2, 1), (2, 2, 0), (3, 1, 1)] {
        let window = Window {
            side,
            stride,
            padding,
        };
        let what = format!("{window:?}");
        agree!(
            &what,
            [x],
            max_pool2d(x.clone(), window),
            pooling::max_by_burn(x.clone(), window)
        );
        agree!(
            &what,
            [x],
            avg_pool2d(x.clone(), window),
            pooling::avg_by_burn(x.clone(), window)
        );
    }
    for side in [1, 4, 5] {
        let what = format!("adaptive {side}");
        agree!(
            &what,
            [x],
            adaptive_avg_pool2d(x.clone(), side),
            pooling::adaptive_avg_by_burn(x.clone(), side)
        );
    }
    let largest = adaptive_max_pool2d(x.clone(), 1);
    same("largest of all", largest, x.clone().max_dim(3).max_dim(2));
}

#[test]
fn products_agree_with_burns() {
    let device = Device::flex().autodiff();
    let (x, w, b) = (
        random([7, 20], &device),
        random([9, 20], &device),
        random([9], &device),
    );
    agree!(
        "product",
        [x, w],
        linear(x.clone(), w.clone(), None),
        linear::by_burn(x.clone(), w.clone(), None)
    );
    agree!(
        "product with offset",
        [x, w, b],
        linear(x.clone(), w.clone(), Some(b.clone())),
        linear::by_burn(x.clone(), w.clone(), Some(b.clone()))
    );
}

#[test]
fn other_types_go_to_burn() {
    let device = Device::flex();
    let x = Tensor::<4>::random([1, 2, 5, 5], Distribution::Default, &device)
        .cast(burn::tensor::FloatDType::F64);
    let w = Tensor::<4>::random([3, 2, 3, 3], Distribution::Default, &device)
        .cast(burn::tensor::FloatDType::F64);
    assert!(!cpu::is_ours(&x));
    let how = Convolution {
        stride: 1,
        padding: 0,
        dilation: 1,
        groups: 1,
        precision: Precision::F32,
    };
    assert_eq!(conv2d(x.clone(), w, None, how).dims(), [1, 3, 3, 3]);
    assert_eq!(
        max_pool2d(
            x,
            Window {
                side: 2,
                stride: 2,
                padding: 0
            }
        )
        .dims(),
        [1, 2, 2, 2]
    );
}

#[test]
fn only_what_wants_a_gradient_gets_one() {
    let device = Device::flex().autodiff();
    let how = Convolution {
        stride: 1,
        padding: 1,
        dilation: 1,
        groups: 1,
        precision: Precision::F32,
    };
    let (x, w) = (
        random([1, 3, 6, 6], &device),
        random([4, 3, 3, 3], &device).require_grad(),
    );
    let gradients = conv2d(x.clone(), w.clone(), None, how).sum().backward();
    assert!(x.grad(&gradients).is_none() && w.grad(&gradients).is_some());
    // Plain images and tracked weights mix.
    let plain = random([1, 3, 6, 6], &Device::flex());
    let gradients = conv2d(plain, w.clone(), None, how).sum().backward();
    assert!(w.grad(&gradients).is_some());
    assert!(!conv2d(x, w.detach().set_require_grad(false), None, how).is_tracked());
}
