//! The rotation of queries and keys by position.

use super::Writer;
use crate::onnx::Error;
use crate::onnx::builder::{Attribute, Tensor};
use crate::onnx::decoder::Rotation;

/// Cosines and sines of the positions, [tokens, 1, head_size]: 1 and 0 for what is not rotated.
#[derive(Clone)]
pub(super) struct Angles {
    cos: Tensor,
    /// Negative in the first half of what is rotated, as the rotation needs it.
    sin: Tensor,
    /// How many pairs are rotated.
    pairs: usize,
}

/// A rotation of the model's at the positions.
pub(super) struct Turned {
    /// For keys.
    pub plain: Angles,
    /// For queries: times what scores are multiplied by, so that they are scaled once a run.
    pub scaled: Angles,
}

impl Writer<'_> {
    /// The rotation with this number at the positions. Its tables hold one number a pair; both halves
    /// of what is rotated use the same.
    pub(super) fn turned(
        &mut self,
        number: usize,
        rotation: &Rotation,
        positions: &Tensor,
    ) -> Result<Turned, Error> {
        let pairs = rotation.frequencies.len();
        let shape = [self.config.context, pairs];
        let [cos, sin] = rotation.tables(self.config.context);
        let prefix = if number == 0 { "rope".to_owned() } else { format!("rope.{number}") };
        let cos = self.graph.weight(&format!("{prefix}.cos"), &shape, &cos)?;
        let sin = self.graph.weight(&format!("{prefix}.sin"), &shape, &sin)?;
        let graph = &mut self.graph;
        let cos = graph.gather(&cos, positions, 0);
        let sin = graph.gather(&sin, positions, 0);
        let minus = graph.node("Neg", &[&sin], &[]);
        let (mut cos, mut sin) = (vec![cos.clone(), cos], vec![minus, sin]);
        let rest = self.config.head_size - 2 * pairs;
        if rest > 0 {
            // One row for all tokens does not concatenate with a row for each: it is spread first.
            let rows = graph.node("Shape", &[positions], &[]);
            let columns = graph.ints(&[rest as i64]);
            let shape = graph.concat(&[&rows, &columns], 0);
            for (values, value) in [(&mut cos, 1.0), (&mut sin, 0.0)] {
                let value = graph.number(value);
                values.push(graph.node("Expand", &[&value, &shape], &[]));
            }
        }
        let mut whole = |parts: &[Tensor]| {
            let all = graph.concat(&parts.iter().collect::<Vec<&Tensor>>(), -1);
            graph.unsqueeze(&all, &[1])
        };
        let plain = Angles { cos: whole(&cos), sin: whole(&sin), pairs };
        let scale = graph.number(self.config.query_scale as f32);
        let scaled = Angles {
            cos: graph.mul(&plain.cos, &scale),
            sin: graph.mul(&plain.sin, &scale),
            pairs,
        };
        Ok(Turned { plain, scaled })
    }

    /// x cos + swap(x) sin, with the halves of what is rotated of each head swapped; x is [tokens,
    /// heads, head_size].
    pub(super) fn rotate(&mut self, x: &Tensor, by: &Angles) -> Tensor {
        let (half, rest) = (by.pairs as i64, (self.config.head_size - 2 * by.pairs) as i64);
        let along_last = [("axis", Attribute::Int(-1))];
        let graph = &mut self.graph;
        let swapped = if rest > 0 {
            let sizes = graph.ints(&[half, half, rest]);
            let [first, second, rest] = graph.node_with_outputs("Split", &[x, &sizes], &along_last);
            graph.concat(&[&second, &first, &rest], -1)
        } else {
            let sizes = graph.ints(&[half, half]);
            let [first, second] = graph.node_with_outputs("Split", &[x, &sizes], &along_last);
            graph.concat(&[&second, &first], -1)
        };
        let along = graph.mul(x, &by.cos);
        let across = graph.mul(&swapped, &by.sin);
        graph.add(&along, &across)
    }
}
