//! Shapes known before anything runs: a static pass over the description of a network.
//!
//! The pass fills in the widths that a layer leaves to be inferred (`in_features = 0`), and refuses
//! what does not fit with the path, both shapes and the edit that would fit. After it, no forward
//! pass of the inferred input shape can fail inside Burn.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::plan::Plan;
use crate::error::{Error, Result};

/// What flows from one layer to the next, without the batch axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Nothing: a model of metadata alone has no image.
    Nothing,
    /// A vector.
    Features(usize),
    /// A sequence of vectors.
    Tokens {
        /// How many.
        n: usize,
        /// How wide each is.
        width: usize,
    },
    /// A map.
    Map {
        /// Channels.
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
            Self::Map { height, width, .. } => height * width,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "nothing"),
            Self::Features(n) => write!(f, "{n} features"),
            Self::Tokens { n, width } => write!(f, "{n} tokens of {width}"),
            Self::Map {
                channels,
                height,
                width,
            } => write!(f, "a map of {channels}×{height}×{width}"),
        }
    }
}

/// A layer as the pass met it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inferred {
    /// Its path; empty: the network itself.
    pub path: String,
    /// Its kind.
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
#[derive(Debug)]
pub struct At<'a> {
    /// The layer's path.
    pub path: &'a str,
    /// Its kind.
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

/// Infers every shape of a description from its input's, filling in the widths left to be inferred.
/// Returns the layers in tree order; the first is the network itself.
///
/// # Errors
///
/// [`Error::Shape`], [`Error::LayerField`].
pub fn infer(plan: &mut Plan, input: Shape) -> Result<Vec<Inferred>> {
    let mut pass = Pass {
        path: String::new(),
        found: Vec::new(),
    };
    pass.visit(plan, input)?;
    Ok(pass.found)
}

struct Pass {
    path: String,
    found: Vec<Inferred>,
}

impl Pass {
    fn visit(&mut self, plan: &mut Plan, input: Shape) -> Result<Shape> {
        let slot = self.found.len();
        let kind = plan.layer.kind();
        self.found.push(Inferred {
            path: self.path.clone(),
            kind,
            input,
            output: input,
            n_parameters: 0,
            multiply_adds: 0,
        });
        let output = self.output(plan, input)?;
        let layer = &plan.layer;
        let entry = &mut self.found[slot];
        entry.output = output;
        entry.n_parameters = layer
            .parameters()
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        entry.multiply_adds = layer.multiply_adds(input, output);
        Ok(output)
    }

    fn child(&mut self, child: &mut (String, Plan), input: Shape) -> Result<Shape> {
        let end = self.path.len();
        if end > 0 {
            self.path.push('.');
        }
        self.path.push_str(&child.0);
        let output = self.visit(&mut child.1, input);
        self.path.truncate(end);
        output
    }

    fn in_turn(&mut self, children: &mut [(String, Plan)], input: Shape) -> Result<Shape> {
        children
            .iter_mut()
            .try_fold(input, |shape, child| self.child(child, shape))
    }

    fn output(&mut self, plan: &mut Plan, input: Shape) -> Result<Shape> {
        let path = self.path.clone();
        let at = At {
            path: &path,
            kind: plan.layer.kind(),
        };
        match &mut plan.layer {
            Layer::Sequential => self.in_turn(&mut plan.children, input),
            Layer::Residual(residual) => {
                let (again_at, scaled) = (residual.again_at.clone(), residual.layer_scale);
                let (mut output, mut shortcut) = (input, input);
                let agree = |shortcut: Shape, output: Shape| {
                    if output == shortcut {
                        return Ok(());
                    }
                    let fit = residual_fit(&path, shortcut, output);
                    Err(at.misfit(
                        format!("the same from its body and its shortcut ({shortcut})"),
                        output,
                        fit,
                    ))
                };
                for child in &mut plan.children {
                    if child.0 == super::layer::SHORTCUT {
                        shortcut = self.child(child, input)?;
                        continue;
                    }
                    if child.0 == again_at {
                        agree(shortcut, output)?;
                        shortcut = output;
                    }
                    output = self.child(child, output)?;
                }
                agree(shortcut, output)?;
                if scaled > 0 && scaled != output.channels() {
                    return Err(at.field(
                        "layer_scale",
                        format!("{} as its channels", output.channels()),
                        scaled,
                    ));
                }
                Ok(output)
            }
            Layer::Gate => {
                let gate = self.in_turn(&mut plan.children, input)?;
                if gate.channels() != input.channels() {
                    return Err(at.misfit(
                        format!("a gate of {} channels", input.channels()),
                        gate,
                        None,
                    ));
                }
                Ok(input)
            }
            Layer::Auxiliary => {
                let own = self.in_turn(&mut plan.children, input)?;
                if !matches!(own, Shape::Features(_)) {
                    return Err(at.misfit("features from its children", own, None));
                }
                Ok(input)
            }
            Layer::Concat => {
                let mut total = 0;
                for child in &mut plan.children {
                    let output = self.child(child, input)?;
                    let Shape::Features(n) = output else {
                        let path = if path.is_empty() {
                            child.0.clone()
                        } else {
                            format!("{path}.{}", child.0)
                        };
                        return Err(At {
                            path: &path,
                            kind: "concat",
                        }
                        .misfit(
                            "features from each of its parts",
                            output,
                            None,
                        ));
                    };
                    total += n;
                }
                Ok(Shape::Features(total))
            }
            Layer::Sum => {
                let mut sum = None;
                for child in &mut plan.children {
                    let output = self.child(child, input)?;
                    match sum {
                        Some(first) if first != output => {
                            return Err(at.misfit(
                                format!("the same from each of its parts ({first})"),
                                output,
                                None,
                            ));
                        }
                        _ => sum = Some(output),
                    }
                }
                sum.ok_or_else(|| at.misfit("at least one part", "none", None))
            }
            Layer::Fusion(fusion) => {
                let fusion = fusion.clone();
                // What the children read: the metadata alone, or the pooled features joined to it.
                let read = fusion.reads(&at, input)?;
                let control = self.in_turn(&mut plan.children, read)?;
                fusion.output(&at, input, control)
            }
            Layer::Metadata(source) => {
                for (child, embedding) in plan.children.iter_mut().zip(&source.embeddings) {
                    let width = self.child(child, Shape::Nothing)?.channels();
                    if width != embedding.width {
                        return Err(at.misfit(
                            format!("vectors of {} for `{}`", embedding.width, embedding.column),
                            width,
                            None,
                        ));
                    }
                }
                Ok(Shape::Features(source.width()))
            }
            leaf => {
                if let Some((name, _)) = plan.children.first() {
                    let fit = format!("put `{name}` beside it, or both into a `sequential`");
                    return Err(at.misfit("no layers inside", format!("`{name}`"), Some(fit)));
                }
                leaf.output(&at, input)
            }
        }
    }
}

/// The shortcut that would make a residual block's two ways equal.
fn residual_fit(path: &str, shortcut: Shape, output: Shape) -> Option<String> {
    let (
        Shape::Map { height, .. },
        Shape::Map {
            channels,
            height: out,
            ..
        },
    ) = (shortcut, output)
    else {
        return None;
    };
    let stride = (out > 0 && height % out == 0).then(|| height / out)?;
    Some(format!(
        "give it a shortcut: {{ op = \"append\", path = \"{path}\", name = \"downsample\", \
         layer = {{ kind = \"conv2d\", out_channels = {channels}, kernel = 1, stride = {stride} }} }}"
    ))
}
