//! From the image that the caller gives to what the first layer reads, and from the square back to the image.
//!
//! The resize is the one of [`crate::image::resize`], pixel for pixel, for any size: antialiased bilinear weights are
//! computed from the size that comes in, rounded to whole numbers of 15 bits, and applied along columns, then along
//! rows, each result rounded to a byte.
//!
//! # Source
//!
//! The whole-number arithmetic of `fast_image_resize` 6 (`convolution/optimisations.rs`, `Normalizer16`), which is
//! Pillow-SIMD's. ONNX's own `Resize` with `antialias` does not round between the passes, nor its weights.

use super::ImageInput;
use crate::config::ResizeMethod;
use crate::image::resize::LONGEST;
use crate::loader::Preprocess;
use crate::onnx::proto::Type;
use crate::onnx::{Attr, Axis, Graph};

/// The name of the image among the inputs.
pub(super) const IMAGE: &str = "image";
/// The name of its size, where that cannot be seen from the image.
pub(super) const IMAGE_SIZE: &str = "image_size";

/// How one axis of the image lies in the square, as values of the graph: `float64`, `[1]` or `[n]`.
struct Line {
    /// Pixels that are kept, from `cut` on.
    kept: String,
    cut: String,
    /// Pixels that those become.
    inner: String,
    /// Where the first of them lies in the square; below 0 where it is cut off.
    origin: String,
}

/// Width and height of the caller's image: `float64`, `[1]` or `[n]`.
pub(super) struct Sides([String; 2]);

/// Which images of a row are there.
pub(super) const HAS_IMAGES: &str = "has_images";

/// The names of the inputs of a row's images, which the configuration calls so.
pub(super) fn names(images: &[String]) -> Vec<String> {
    match images {
        [_] => vec![IMAGE.to_owned()],
        several => several
            .iter()
            .map(|name| format!("{IMAGE}.{name}"))
            .collect(),
    }
}

/// Declares the images of a row and makes of them `[n · n_images, channels, size, size]`, normalised, those of a row one after
/// another; with the name of what says which are there, `[n, n_images]`.
pub(super) fn read_several(
    graph: &mut Graph,
    names: &[String],
    preprocess: &Preprocess,
    input: ImageInput,
) -> (String, String) {
    let each: Vec<String> = names
        .iter()
        .map(|name| {
            let (pixels, _) = read(graph, name, preprocess, input);
            graph.unsqueeze(&pixels, &[1])
        })
        .collect();
    let each: Vec<&str> = each.iter().map(String::as_str).collect();
    let all = graph.concat(&each, 1); // [n, n_images, channels, size, size]
    let (channels, size) = (preprocess.channels as i64, preprocess.size as i64);
    let all = graph.reshape(&all, &[-1, channels, size, size]);
    let doc =
        "1 where the row has the image, 0 where it is missing: its pixels count for nothing then";
    let shape = [Axis::Any("n"), Axis::Of(names.len())];
    graph.input(HAS_IMAGES, Type::Float, &shape, doc);
    (all, HAS_IMAGES.to_owned())
}

/// Declares the image and makes of it `[n, channels, size, size]`, normalised; with the sides, where the image tells them.
pub(super) fn read(
    graph: &mut Graph,
    name: &str,
    preprocess: &Preprocess,
    input: ImageInput,
) -> (String, Option<Sides>) {
    let Preprocess { size, channels, .. } = *preprocess;
    let pixels = match channels {
        1 => "Grey".to_owned(),
        3 => "RGB".to_owned(),
        n => format!("{n} channels"),
    };
    match input {
        ImageInput::AnySize => {
            let shape = [
                Axis::Any("n"),
                Axis::Any("height"),
                Axis::Any("width"),
                Axis::Of(channels),
            ];
            let doc = format!(
                "{pixels} as decoded, upright, of any size; all images of one call have the same"
            );
            graph.input(name, Type::Uint8, &shape, &doc);
            let (pixels, sides) = fit(graph, name, preprocess);
            graph.at("normalise");
            (normalise(graph, &pixels, preprocess, 255.0), Some(sides))
        }
        ImageInput::Sized => {
            let doc = format!("{pixels}, upright, already fitted to the square");
            let [n, side, channels] = [Axis::Any("n"), Axis::Of(size), Axis::Of(channels)];
            graph.input(name, Type::Uint8, &[n, side, side, channels], &doc);
            graph.at("normalise");
            let pixels = graph.cast(name, Type::Float);
            let pixels = graph.transpose(&pixels, &[0, 3, 1, 2]);
            (normalise(graph, &pixels, preprocess, 255.0), None)
        }
        ImageInput::Float => {
            let [n, side, channels] = [Axis::Any("n"), Axis::Of(size), Axis::Of(channels)];
            let doc = format!(
                "{pixels} in [0, 1], channels first, upright, already fitted to the square"
            );
            graph.input(name, Type::Float, &[n, channels, side, side], &doc);
            graph.at("normalise");
            (normalise(graph, name, preprocess, 1.0), None)
        }
    }
}

/// Declares the size of the image.
pub(super) fn read_sides(graph: &mut Graph) -> Sides {
    let doc = "width and height of the image as decoded, upright, in pixels";
    graph.input(IMAGE_SIZE, Type::Int64, &[Axis::Any("n"), Axis::Of(2)], doc);
    graph.at("layout");
    let sides = graph.cast(IMAGE_SIZE, Type::Double);
    Sides([0, 1].map(|axis| {
        let side = graph.slice(&sides, axis, axis + 1, 1);
        graph.reshape(&side, &[-1])
    }))
}

/// `x / most`, minus the mean, divided by the standard deviation, per channel.
fn normalise(graph: &mut Graph, x: &str, preprocess: &Preprocess, most: f64) -> String {
    let channels = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f32> {
        (0..preprocess.channels)
            .map(|channel| preprocess.moments(channel).map(f64::from))
            .map(|[mean, sd]| f(mean, sd) as f32)
            .collect()
    };
    let factor = channels(&|_, sd| 1.0 / (most * sd));
    let offset = channels(&|mean, sd| -mean / sd);
    let shape = [1, preprocess.channels, 1, 1];
    let factor = graph.floats(&shape, &factor);
    let offset = graph.floats(&shape, &offset);
    let x = graph.binary("Mul", x, &factor);
    graph.binary("Add", &x, &offset)
}

/// [`crate::image::resize::layout`] as values, the middle of what `Crop` leaves too long being taken.
fn layout(graph: &mut Graph, sides: &Sides, preprocess: &Preprocess) -> [Line; 2] {
    let size = graph.doubles(&[1], &[preprocess.size as f64]);
    let (zero, half, two) = (graph.double(0.0), graph.double(0.5), graph.double(2.0));
    let Sides([width, height]) = sides;
    let rounded = |graph: &mut Graph, x: &str| {
        let x = graph.binary("Add", x, &half);
        graph.unary("Floor", &x)
    };
    match preprocess.resize {
        ResizeMethod::Squish => sides.0.each_ref().map(|side| Line {
            kept: side.clone(),
            cut: zero.clone(),
            inner: size.clone(),
            origin: zero.clone(),
        }),
        ResizeMethod::Crop => {
            let shorter = graph.binary("Min", width, height);
            let longest = graph.double(LONGEST as f64);
            let most = graph.binary("Mul", &shorter, &longest);
            let by = graph.binary("Div", &size, &shorter);
            sides.0.each_ref().map(|side| {
                let kept = graph.binary("Min", side, &most);
                let inner = graph.binary("Mul", &kept, &by);
                let inner = rounded(graph, &inner);
                let inner = graph.binary("Max", &inner, &size);
                let cut = graph.binary("Sub", side, &kept);
                let cut = graph.binary("Div", &cut, &two);
                let over = graph.binary("Sub", &inner, &size);
                let over = graph.binary("Div", &over, &two);
                let over = graph.unary("Floor", &over);
                let origin = graph.unary("Neg", &over);
                Line {
                    kept,
                    cut,
                    inner,
                    origin,
                }
            })
        }
        ResizeMethod::Pad => {
            let longer = graph.binary("Max", width, height);
            let by = graph.binary("Div", &size, &longer);
            let one = graph.double(1.0);
            sides.0.each_ref().map(|side| {
                let inner = graph.binary("Mul", side, &by);
                let inner = rounded(graph, &inner);
                let inner = graph.binary("Max", &inner, &one);
                let inner = graph.binary("Min", &inner, &size);
                let free = graph.binary("Sub", &size, &inner);
                let free = graph.binary("Div", &free, &two);
                let origin = graph.unary("Floor", &free);
                Line {
                    kept: side.clone(),
                    cut: zero.clone(),
                    inner,
                    origin,
                }
            })
        }
    }
}

/// An image fitted to the square: `[n, channels, size, size]`, whole numbers in [0, 255] as `float32`.
fn fit(graph: &mut Graph, image: &str, preprocess: &Preprocess) -> (String, Sides) {
    graph.at("resize");
    let shape = graph.unary("Shape", image); // n, height, width, channels
    let side = |graph: &mut Graph, axis: usize| graph.slice(&shape, axis, axis + 1, 0);
    let (whole_width, whole_height) = (side(graph, 2), side(graph, 1));
    let sides = Sides([&whole_width, &whole_height].map(|side| graph.cast(side, Type::Double)));
    let [across, down] = layout(graph, &sides, preprocess);

    // As our resizer does it for bytes: along columns first.
    let weights = weights(graph, &down, &whole_height, preprocess);
    let lines = graph.reshape(image, &[0, 0, -1]); // [n, height, width · channels]
    let y = weights.apply(graph, |graph, part| {
        graph.binary("MatMulInteger", part, &lines)
    });
    let y = graph.cast(&y, Type::Uint8);
    let y = graph.reshape(&y, &[0, 0, -1, preprocess.channels as i64]);
    let y = graph.transpose(&y, &[0, 3, 1, 2]); // [n, channels, size, width]
    let weights = self::weights(graph, &across, &whole_width, preprocess);
    let y = weights.apply(graph, |graph, part| {
        let part = graph.transpose(part, &[1, 0]);
        graph.binary("MatMulInteger", &y, &part)
    });
    let mut y = graph.cast(&y, Type::Float); // [n, channels, inner height, inner width]
    if preprocess.resize == ResizeMethod::Pad {
        y = pad(graph, &y, [&across, &down], preprocess);
    }
    let (channels, size) = (preprocess.channels as i64, preprocess.size as i64);
    (graph.reshape(&y, &[-1, channels, size, size]), sides)
}

/// The mean colour around the image.
fn pad(graph: &mut Graph, y: &str, [across, down]: [&Line; 2], preprocess: &Preprocess) -> String {
    let fill: Vec<f32> = preprocess.even().into_iter().map(f32::from).collect();
    let fill = graph.floats(&[1, fill.len(), 1, 1], &fill);
    let size = graph.doubles(&[1], &[preprocess.size as f64]);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for line in [down, across] {
        let end = graph.binary("Add", &line.origin, &line.inner);
        let end = graph.binary("Sub", &size, &end);
        before.push(graph.cast(&line.origin, Type::Int64));
        after.push(graph.cast(&end, Type::Int64));
    }
    let none = graph.ints(&[0, 0]);
    let pads = [&none, &before[0], &before[1], &none, &after[0], &after[1]].map(String::as_str);
    let pads = graph.concat(&pads, 0);
    // Zeros are put around what was made zero where it has the colour.
    let y = graph.binary("Sub", y, &fill);
    let y = graph.binary("Pad", &y, &pads);
    graph.binary("Add", &y, &fill)
}

/// The weights of one axis as whole numbers of two bytes: `[outputs, inputs]` each, and what they are divided by.
struct Weights {
    high: String,
    low: String,
    scale: String,
    half: String,
}

impl Weights {
    /// The weighted sums, rounded to [0, 255]: `int32`.
    fn apply(
        &self,
        graph: &mut Graph,
        mut product: impl FnMut(&mut Graph, &str) -> String,
    ) -> String {
        let high = product(graph, &self.high);
        let low = product(graph, &self.low);
        let byte = graph.int32(256);
        let high = graph.binary("Mul", &high, &byte);
        let sum = graph.binary("Add", &high, &low);
        let sum = graph.binary("Add", &sum, &self.half);
        let mean = graph.binary("Div", &sum, &self.scale);
        let most = graph.int32(255);
        graph.binary("Min", &mean, &most)
    }
}

/// Computes the weights by which the pixels of one axis become those of the square.
fn weights(graph: &mut Graph, line: &Line, length: &str, preprocess: &Preprocess) -> Weights {
    let [zero, one, half] = [0.0, 1.0, 0.5].map(|value| graph.double(value));
    let scale = graph.binary("Div", &line.kept, &line.inner); // [1]
    let range = |graph: &mut Graph, n: &str| {
        let n = graph.reshape(n, &[]);
        graph.call("Range", &[&zero, &n, &one], &[])
    };
    let length = graph.cast(length, Type::Double);
    let inputs = range(graph, &length); // [inputs]
    let outputs = range(graph, &line.inner);
    let centres = graph.binary("Add", &outputs, &half);
    let centres = graph.binary("Mul", &centres, &scale);
    let centres = graph.binary("Add", &centres, &line.cut);
    let centres = graph.binary("Sub", &centres, &half);
    let centres = graph.reshape(&centres, &[-1, 1]); // [outputs, 1]
    let support = graph.binary("Max", &scale, &one);
    let reciprocal = graph.binary("Div", &one, &support);
    let distance = graph.binary("Sub", &inputs, &centres); // [outputs, inputs]
    let distance = graph.binary("Mul", &distance, &reciprocal);
    let distance = graph.unary("Abs", &distance);
    let weights = graph.binary("Sub", &one, &distance);
    let weights = graph.binary("Max", &weights, &zero);
    let axis = graph.ints(&[1]);
    let total = graph.call(
        "ReduceSum",
        &[&weights, &axis],
        &[("keepdims", Attr::Int(1))],
    );
    let weights = graph.binary("Div", &weights, &total);

    // As many bits as leave the largest weight below 2¹⁵, 21 at most.
    let largest = graph.call("ReduceMax", &[&weights], &[("keepdims", Attr::Int(0))]);
    let powers: Vec<f64> = (0..22).map(|bits| f64::from(1 << bits)).collect();
    let doubled: Vec<f64> = powers.iter().map(|power| 2.0 * power).collect();
    let doubled = graph.doubles(&[22], &doubled);
    let next = graph.binary("Mul", &doubled, &largest);
    let next = graph.binary("Add", &next, &half);
    let next = graph.unary("Floor", &next);
    let bound = graph.double(32768.0);
    let fits = graph.binary("Less", &next, &bound);
    let fits = graph.cast(&fits, Type::Int64);
    let first = graph.ints(&[0]);
    let bits = graph.call("ReduceSum", &[&fits, &first], &[("keepdims", Attr::Int(0))]);
    let most = graph.int(21);
    let bits = graph.binary("Min", &bits, &most);
    let powers = graph.doubles(&[22], &powers);
    let scale = graph.binary("Gather", &powers, &bits);

    let whole = graph.binary("Mul", &weights, &scale);
    let whole = graph.binary("Add", &whole, &half);
    let mut whole = graph.unary("Floor", &whole);
    if preprocess.resize == ResizeMethod::Crop {
        // The middle of the longer side; its weights had a say in the number of bits.
        let start = graph.unary("Neg", &line.origin);
        let size = graph.doubles(&[1], &[preprocess.size as f64]);
        let end = graph.binary("Add", &start, &size);
        let (start, end) = (
            graph.cast(&start, Type::Int64),
            graph.cast(&end, Type::Int64),
        );
        whole = graph.call("Slice", &[&whole, &start, &end, &first], &[]);
    }
    let byte = graph.double(256.0);
    let high = graph.binary("Div", &whole, &byte);
    let high = graph.unary("Floor", &high);
    let above = graph.binary("Mul", &high, &byte);
    let low = graph.binary("Sub", &whole, &above);
    let halved = graph.binary("Mul", &scale, &half);
    Weights {
        high: graph.cast(&high, Type::Uint8),
        low: graph.cast(&low, Type::Uint8),
        scale: graph.cast(&scale, Type::Int32),
        half: graph.cast(&halved, Type::Int32),
    }
}

/// Side of the square that the network sees, in pixels of the caller's image, the geometric mean of its axes: `float64`,
/// `[1]` or `[n]`.
pub(super) fn side(graph: &mut Graph, sides: &Sides, preprocess: &Preprocess) -> String {
    graph.at("side");
    let size = graph.double(preprocess.size as f64);
    let [across, down] = layout(graph, sides, preprocess).map(|Line { kept, inner, .. }| {
        let longer = graph.binary("Div", &kept, &inner);
        graph.binary("Mul", &longer, &size)
    });
    let area = graph.binary("Mul", &across, &down);
    graph.unary("Sqrt", &area)
}

/// Points in [-1, 1] of the square, `[n, 2 · points]`, as pixels of the caller's image, `[n, points, 2]`.
pub(super) fn to_pixels(
    graph: &mut Graph,
    output: &str,
    sides: &Sides,
    preprocess: &Preprocess,
    n_points: usize,
) -> String {
    graph.at("to_pixels");
    let lines = layout(graph, sides, preprocess);
    let output = graph.cast(output, Type::Double);
    let output = graph.reshape(&output, &[-1, n_points as i64, 2]);
    let (one, half) = (
        graph.double(1.0),
        graph.double(preprocess.size as f64 / 2.0),
    );
    let square = graph.binary("Add", &output, &one);
    let square = graph.binary("Mul", &square, &half);
    let axes = [0, 1].map(|axis| {
        let Line {
            kept,
            cut,
            inner,
            origin,
        } = &lines[axis];
        let place = graph.slice(&square, axis, axis + 1, 2); // [n, points, 1]
        // One size for all, or one a row.
        let column = |graph: &mut Graph, x: &str| graph.reshape(x, &[-1, 1, 1]);
        let (origin, cut) = (column(graph, origin), column(graph, cut));
        let (kept, inner) = (column(graph, kept), column(graph, inner));
        let place = graph.binary("Sub", &place, &origin);
        let place = graph.binary("Mul", &place, &kept);
        let place = graph.binary("Div", &place, &inner);
        graph.binary("Add", &place, &cut)
    });
    let points = graph.concat(&[&axes[0], &axes[1]], 2);
    graph.cast(&points, Type::Float)
}
