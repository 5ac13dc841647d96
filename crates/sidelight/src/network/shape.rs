//! Shapes known before anything runs: a static pass over the description of a network.
//!
//! The pass fills in the widths that a layer leaves to be inferred (`in_features = 0`), and refuses
//! what does not fit with the path, both shapes and the edit that would fit. After it, no forward
//! pass of the inferred input shape can fail inside Burn.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::layer::Layer;
use crate::error::{Error, Result};

/// What flows from one layer to the next, without the batch axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Nothing: a model of metadata alone has no image.
    #[strum(to_string = "nothing")]
    Nothing,
    /// A vector per row.
    #[strum(to_string = "{0} features")]
    Features(usize),
    /// A sequence of vectors.
    #[strum(to_string = "{n} tokens of {width}")]
    Tokens {
        /// Number of vectors.
        n: usize,
        /// Width of each.
        width: usize,
    },
    /// An image of any number of channels.
    #[strum(to_string = "a map of {channels}×{height}×{width}")]
    Map {
        /// Number of channels.
        channels: usize,
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
}

impl Shape {
    /// A square map.
    pub fn square(channels: usize, side: usize) -> Self {
        Self::Map {
            channels,
            height: side,
            width: side,
        }
    }
    /// Width of a vector or token, channels of a map, 0 of nothing.
    pub fn channels(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Features(n) => n,
            Self::Tokens { width, .. } => width,
            Self::Map { channels, .. } => channels,
        }
    }
    /// The same with so many channels.
    #[must_use]
    pub fn with_channels(self, n: usize) -> Self {
        match self {
            Self::Nothing | Self::Features(_) => Self::Features(n),
            Self::Tokens { n: tokens, .. } => Self::Tokens {
                n: tokens,
                width: n,
            },
            Self::Map { height, width, .. } => Self::Map {
                channels: n,
                height,
                width,
            },
        }
    }
    /// Positions: pixels of a map, tokens of a sequence, else 1.
    pub fn positions(self) -> usize {
        match self {
            Self::Nothing | Self::Features(_) => 1,
            Self::Tokens { n, .. } => n,
            Self::Map { height, width, .. } => height.saturating_mul(width),
        }
    }
}

/// A layer as the pass met it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inferred {
    /// Its path; empty: the network itself.
    pub path: String,
    /// Its kind, as it is written.
    pub kind: &'static str,
    /// What comes in.
    pub input: Shape,
    /// What goes out.
    pub output: Shape,
    /// Numbers that it holds itself, children not counted, buffers counted.
    pub n_parameters: usize,
    /// Products of its own per row, children not counted.
    pub multiply_adds: usize,
}

/// Where the pass stands: which layer an error is about.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The layer's path.
    pub path: &'a str,
    /// Its kind, as it is written.
    pub kind: &'static str,
}

impl At<'_> {
    /// The error of an input that the layer does not take, and the edit that would fit.
    pub fn misfit(
        &self,
        expected: impl fmt::Display,
        found: impl fmt::Display,
        fit: Option<String>,
    ) -> Error {
        Error::Shape {
            path: self.path.to_owned(),
            layer: self.kind.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
            fit,
        }
    }
    /// The error of a number that makes no sense.
    pub fn field(
        &self,
        field: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Error {
        Error::LayerField {
            path: self.path.to_owned(),
            layer: self.kind.to_owned(),
            field,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
    /// Takes a width as given, or fills it in where it is 0.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where it is given and another.
    pub fn width(
        &self,
        field: &str,
        declared: &mut usize,
        found: usize,
        input: Shape,
    ) -> Result<()> {
        if *declared == 0 {
            *declared = found;
        }
        if *declared == found {
            return Ok(());
        }
        let fit = format!(
            "set `{field} = {found}` there, or leave `{field}` out to have it inferred: \
             {{ op = \"replace\", path = \"{}\", layer = {{ kind = \"{}\", {field} = {found}, … }} }}",
            self.path, self.kind
        );
        Err(self.misfit(format!("`{field} = {declared}`"), input, Some(fit)))
    }
    /// A map, or the error that says what would make one.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where it is not a map.
    pub fn map(&self, input: Shape) -> Result<[usize; 3]> {
        match input {
            Shape::Map {
                channels,
                height,
                width,
            } => Ok([channels, height, width]),
            other => {
                let fit =
                    "it belongs before the pooling or flatten that turns the map into features"
                        .to_owned();
                Err(self.misfit("a map", other, Some(fit)))
            }
        }
    }
    /// A vector, or the error that says what would make one.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where it is not a vector.
    pub fn features(&self, input: Shape) -> Result<usize> {
        match input {
            Shape::Features(n) => Ok(n),
            other => {
                let fit = matches!(other, Shape::Map { .. }).then(|| {
                    let path = self.path;
                    format!(
                        "put a flatten before it: {{ op = \"insert_before\", path = \"{path}\", name = \"flatten\", \
                         layer = {{ kind = \"flatten\" }} }}"
                    )
                });
                Err(self.misfit("features", other, fit))
            }
        }
    }
}

/// The most that any number of a layer's description can be (a width, a kernel, a padding): no arithmetic on two of them
/// overflows.
const MAX_SETTING: u64 = 1 << 24;
/// The most numbers that the parameters of a network can have: 8 GiB.
const MAX_PARAMETERS: usize = 1 << 31;
/// The most numbers that one layer can be given, or make, of one row: 1 GiB. No product of two sides of such a shape overflows.
const MAX_OUTPUT: usize = 1 << 28;

/// Numbers of one row; of what has no channels, its positions.
fn n_numbers(shape: Shape) -> usize {
    product(&[shape.channels().max(1), shape.positions()])
}

fn product(axes: &[usize]) -> usize {
    axes.iter().fold(1, |n, axis| n.saturating_mul(*axis))
}

/// Infers every shape of a description from its input's, filling in the widths left to be inferred.
/// Returns the layers in tree order; the first is the network itself.
///
/// # Errors
///
/// [`Error::Shape`], [`Error::LayerField`].
pub fn infer(architecture: &mut Architecture, input: Shape) -> Result<Vec<Inferred>> {
    let most = MAX_OUTPUT;
    if input != Shape::Nothing && !(1..=most).contains(&n_numbers(input)) {
        let (path, kind) = ("", architecture.layer.kind());
        let expected = format!("of 1 to {most} numbers");
        return Err(At { path, kind }.field("input", expected, input));
    }
    let mut pass = Pass {
        path: String::new(),
        found: Vec::new(),
        n_parameters: 0,
    };
    pass.visit(architecture, input)?;
    Ok(pass.found)
}

struct Pass {
    path: String,
    found: Vec<Inferred>,
    n_parameters: usize,
}

impl Pass {
    fn visit(&mut self, architecture: &mut Architecture, input: Shape) -> Result<Shape> {
        let position = self.found.len();
        let (path, kind) = (self.path.clone(), architecture.layer.kind());
        self.found.push(Inferred {
            path: path.clone(),
            kind,
            input,
            output: input,
            n_parameters: 0,
            multiply_adds: 0,
        });
        let layer = &mut architecture.layer;
        let mut inside = Inside {
            at: At { path: &path, kind },
            children: &mut architecture.children,
            pass: self,
        };
        check_settings(layer, &inside.at)?;
        let output = layer.infer(&mut inside, input)?;
        let of_a_layer = layer.parameters();
        let n_parameters = of_a_layer.iter().map(|p| product(&p.shape));
        let n_parameters = n_parameters.fold(0, usize::saturating_add);
        self.n_parameters = self.n_parameters.saturating_add(n_parameters);
        for (field, found, most) in [
            ("all parameters so far", self.n_parameters, MAX_PARAMETERS),
            ("output", n_numbers(output), MAX_OUTPUT),
        ] {
            if found > most {
                let expected = format!("at most {most} numbers");
                return Err(At { path: &path, kind }.field(field, expected, found));
            }
        }
        let entry = &mut self.found[position];
        entry.output = output;
        entry.n_parameters = n_parameters;
        entry.multiply_adds = layer.multiply_adds(input, output);
        Ok(output)
    }
}

/// Refuses a setting that no layer can have, in whatever field, before anything is computed of it.
fn check_settings(layer: &Layer, at: &At<'_>) -> Result<()> {
    // Layers of a library user's own have settings of their own.
    let (false, Ok(serde_json::Value::Object(fields))) = (
        matches!(layer, Layer::Custom(_)),
        serde_json::to_value(layer),
    ) else {
        return Ok(());
    };
    match fields.iter().find(|(_, value)| is_too_large(value)) {
        None => Ok(()),
        Some((field, value)) => {
            let expected = format!("at most {MAX_SETTING} for `{field}`");
            Err(at.field("setting", expected, value))
        }
    }
}

fn is_too_large(setting: &serde_json::Value) -> bool {
    use serde_json::Value;
    match setting {
        Value::Array(values) => values.iter().any(is_too_large),
        Value::Object(fields) => fields.values().any(is_too_large),
        value => value.as_u64().is_some_and(|n| n > MAX_SETTING),
    }
}

/// The layers inside one, as the shape rule of that one meets them.
pub(super) struct Inside<'a> {
    /// The layer around them.
    pub(super) at: At<'a>,
    children: &'a mut [(String, Architecture)],
    pass: &'a mut Pass,
}

impl Inside<'_> {
    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.children.len()
    }
    /// Name of the one at this position.
    pub(super) fn name(&self, i: usize) -> &str {
        &self.children[i].0
    }
    /// The one at this position.
    pub(super) fn layer(&self, i: usize) -> &Layer {
        &self.children[i].1.layer
    }
    /// The shape that the one at this position makes of `input`.
    pub(super) fn child(&mut self, i: usize, input: Shape) -> Result<Shape> {
        let (name, child) = &mut self.children[i];
        let end = self.pass.path.len();
        if end > 0 {
            self.pass.path.push('.');
        }
        self.pass.path.push_str(name);
        let output = self.pass.visit(child, input);
        self.pass.path.truncate(end);
        output
    }
    /// The shape that they make one after another.
    pub(super) fn in_turn(&mut self, input: Shape) -> Result<Shape> {
        (0..self.len()).try_fold(input, |shape, i| self.child(i, shape))
    }
    /// The error of layers inside one that runs none.
    pub(super) fn refuse_any(&self) -> Result<()> {
        let Some((name, _)) = self.children.first() else {
            return Ok(());
        };
        let fit = format!("put `{name}` beside it, or both into a `sequential`");
        let found = format!("`{name}`");
        Err(self.at.misfit("no layers inside", found, Some(fit)))
    }
}
