//! Numbers as pieces, so that a linear layer can bend.

use burn::tensor::{Int, TensorData};

use super::prelude::*;

/// The features as they are, and beside them each number cut at its bins: piece `t` of a number rises from 0 to 1 between
/// the edges `t` and `t + 1`. All pieces of a missing number are 0.
///
/// # Source
///
/// Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning", arXiv:2203.05556, section 3.2,
/// eq. 1 (quantile bins). Departs from it: the outermost pieces stop at 0 and 1, as the number itself stays beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseLinear {
    /// The numbers that are cut; others stay as they are.
    pub numbers: Vec<Bins>,
}

/// Where one of the features is cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bins {
    /// Its place among the features.
    pub slot: usize,
    /// The place of the feature that is 1 where it is known, else 0.
    pub known: usize,
    /// Ends of the bins, rising: one more than there are bins.
    pub edges: Vec<f32>,
}

impl PiecewiseLinear {
    fn n_pieces(&self) -> usize {
        self.numbers.iter().map(|bins| bins.edges.len() - 1).sum()
    }

    /// One value a piece.
    fn per_piece<T>(&self, of: impl Fn(&Bins, &[f32]) -> T) -> Vec<T> {
        let pieces = |bins| Bins::pieces(bins).map(move |edges| (bins, edges));
        let all = self.numbers.iter().flat_map(pieces);
        all.map(|(bins, edges)| of(bins, edges)).collect()
    }

    fn lower_ends(&self) -> Vec<f32> {
        self.per_piece(|_, edges| edges[0])
    }

    fn slopes(&self) -> Vec<f32> {
        self.per_piece(|_, edges| (edges[1] - edges[0]).recip())
    }
}

impl Bins {
    fn pieces(&self) -> impl Iterator<Item = &[f32]> {
        self.edges.windows(2)
    }

    /// Bins of equal counts for one of the features, from its known values in training rows; `None` where they are too few
    /// or too much alike to be cut.
    pub fn quantiles(
        slot: usize,
        known: usize,
        mut values: Vec<f32>,
        n_bins: usize,
    ) -> Option<Self> {
        values.sort_unstable_by(f32::total_cmp);
        let last = values.len().checked_sub(1)?;
        let mut edges: Vec<f32> = (0..=n_bins).map(|t| values[t * last / n_bins]).collect();
        edges.dedup();
        (edges.len() > 2).then_some(Self { slot, known, edges })
    }
}

impl Leaf for PiecewiseLinear {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let features = at.features(input)?;
        for Bins { slot, known, edges } in &self.numbers {
            if slot.max(known) >= &features {
                let expected = format!("at least {} features", slot.max(known).saturating_add(1));
                return Err(at.misfit(expected, input, None));
            }
            let are_finite = edges.iter().all(|edge| edge.is_finite());
            if edges.len() < 2 || !are_finite || !edges.is_sorted_by(|a, b| a < b) {
                let expected = "two or more finite numbers, rising";
                return Err(at.field("edges", expected, format!("{edges:?}")));
            }
        }
        Ok(Shape::Features(features + self.n_pieces()))
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let x = x.features();
        let (n, device) = (self.n_pieces(), x.device());
        if n == 0 {
            return Value::Features(x);
        }
        let row = |values| Tensor::<2>::from_data(TensorData::new(values, [1, n]), &device);
        let columns = |places: Vec<i32>| {
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [n]), &device);
            x.clone().select(1, places) // [batch, pieces]
        };
        let values = columns(self.per_piece(|bins, _| bins.slot as i32));
        let known = columns(self.per_piece(|bins, _| bins.known as i32));
        let risen = (values - row(self.lower_ends())) * row(self.slopes());
        Value::Features(Tensor::cat(vec![x, risen.clamp(0.0, 1.0) * known], 1))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let n = self.n_pieces();
        if n == 0 {
            return Some(x.name.clone());
        }
        let columns = |graph: &mut Graph, places: Vec<i64>| {
            let places = graph.ints(&places);
            graph.call("Gather", &[&x.name, &places], &[("axis", Attr::Int(1))])
        };
        let values = columns(graph, self.per_piece(|bins, _| bins.slot as i64));
        let known = columns(graph, self.per_piece(|bins, _| bins.known as i64));
        let (lower, slopes) = (self.lower_ends(), self.slopes());
        let (lower, slopes) = (
            graph.floats(&[1, n], &lower),
            graph.floats(&[1, n], &slopes),
        );
        let risen = graph.binary("Sub", &values, &lower);
        let risen = graph.binary("Mul", &risen, &slopes);
        let (zero, one) = (graph.float(0.0), graph.float(1.0));
        let risen = graph.call("Clip", &[&risen, &zero, &one], &[]);
        let pieces = graph.binary("Mul", &risen, &known);
        Some(graph.concat(&[&x.name, &pieces], 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_rises_through_its_pieces_and_a_missing_one_has_none() {
        let bins = Bins::quantiles(0, 1, vec![3.0, 0.0, 1.0, 0.5, 2.0], 2).unwrap();
        assert_eq!(bins.edges, [0.0, 1.0, 3.0]);
        let mut layer = PiecewiseLinear {
            numbers: vec![bins],
        };
        let at = At {
            path: "x",
            kind: "piecewise_linear",
        };
        assert_eq!(
            layer.output(&at, Shape::Features(2)).unwrap(),
            Shape::Features(4)
        );
        let device = burn::tensor::Device::flex();
        let node = Node::new(
            &layer.clone().into(),
            "x",
            crate::network::parameter::Start::Zeros,
            &device,
        );
        let rows = [[0.5, 1.0], [2.0, 1.0], [9.0, 1.0], [-9.0, 1.0], [2.0, 0.0]];
        let x = Value::Features(Tensor::from_floats(rows, &device));
        let mut context = crate::network::Context::default();
        let y = layer
            .forward(&node, x, &mut Walk::new(&mut context, &[]))
            .features();
        let pieces = tensor::numbers(y.narrow(1, 2, 2));
        assert_eq!(pieces, [0.5, 0.0, 1.0, 0.5, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_cut_is_not() {
        assert_eq!(Bins::quantiles(0, 1, vec![], 6), None);
        assert_eq!(Bins::quantiles(0, 1, vec![1.0; 9], 6), None);
        // Mostly one value: its quantiles are one edge.
        assert_eq!(
            Bins::quantiles(0, 1, [[0.0; 20].as_slice(), &[1.0]].concat(), 6),
            None
        );
    }
}
