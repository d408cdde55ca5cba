//! Attention over trees of tokens.

use super::rotation::Turned;
use super::{UNSEEN, Writer};
use crate::onnx::architecture::HeadNorms;
use crate::onnx::builder::{Attribute, Dim, Element, Tensor};
use crate::onnx::decoder::{DecoderConfig, LayerKind, layer_tensor};
use crate::onnx::{Error, Module};

/// Columns of a product that adds up weights: the same sum in each. Of one alone a runtime may add up
/// otherwise.
const SUMS: i64 = 16;

/// What every attention layer needs.
pub(super) struct Attending {
    /// Each of the model's rotations.
    rotations: Vec<Turned>,
    /// Heads as rows of a table of all tokens' heads. They are gathered right into the order that
    /// attention wants, so that nothing is transposed: queries [trees, heads, width], keys of the
    /// trees' own tokens [trees, kv_heads, width] and of cached ones [trees, kv_heads, past].
    queries: Tensor,
    own: Tensor,
    cached: Tensor,
    /// Back from there, [tokens, heads].
    places: Tensor,
    /// Once for each query head of a group, [trees, 1, group * width, past + width].
    mask: Tensor,
    /// The same of layers that see a window only, if there are such.
    near: Option<Tensor>,
    /// [past + width, [`SUMS`]]: times it, weights are added up.
    ones: Tensor,
}

impl Writer<'_> {
    /// What all layers attend by, from the inputs of the graph.
    pub(super) fn attending(
        &mut self,
        positions: &Tensor,
        trees: &Tensor,
        seen: &Tensor,
        mask: &Tensor,
        places: &Tensor,
    ) -> Result<Attending, Error> {
        let rotations = self.config.rotations.iter().enumerate();
        let rotations = rotations
            .map(|(number, rotation)| self.turned(number, rotation, positions))
            .collect::<Result<Vec<Turned>, Error>>()?;
        let windowed = self.config.layers.iter().any(|layer| layer.windowed);
        let near = windowed.then(|| self.near(mask, positions, trees, seen));
        let near = near.map(|mask| self.of_group(&mask));
        let mask = self.of_group(mask);
        let ones = self.ones(&mask);
        Ok(Attending {
            rotations,
            queries: self.heads_of(trees, self.config.heads),
            own: self.heads_of(trees, self.config.kv_heads),
            cached: self.heads_of(seen, self.config.kv_heads),
            places: self.places_of_heads(places, trees),
            mask,
            near,
            ones,
        })
    }

    /// A mask for each query head of a group: [trees, 1, group * width, past + width].
    fn of_group(&mut self, mask: &Tensor) -> Tensor {
        let group = self.config.heads / self.config.kv_heads;
        let mask = self.graph.concat(&vec![mask; group], 1);
        self.graph.unsqueeze(&mask, &[1])
    }

    /// `mask` without what lies before a token's window. Cached tokens stand in the order of their
    /// text, from its begin.
    fn near(&mut self, mask: &Tensor, positions: &Tensor, trees: &Tensor, seen: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let own = graph.gather(positions, trees, 0);
        let (zero, one) = (graph.int(0), graph.int(1));
        let past = graph.size(seen, 1);
        let before = graph.node("Range", &[&zero, &past, &one], &[]);
        let shape = graph.node("Shape", &[seen], &[]);
        let before = graph.node("Expand", &[&before, &shape], &[]);
        let all = graph.concat(&[&before, &own], 1);
        let (own, all) = (graph.unsqueeze(&own, &[2]), graph.unsqueeze(&all, &[1]));
        let distance = graph.node("Sub", &[&own, &all], &[]);
        let window = graph.int(self.config.window as i64);
        let is_near = graph.node("Less", &[&distance, &window], &[]);
        let unseen = graph.number(UNSEEN);
        graph.node("Where", &[&is_near, mask, &unseen], &[])
    }

    /// As many ones as a row of `mask` is long, [`SUMS`] times.
    fn ones(&mut self, mask: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let length = graph.size(mask, 3);
        let length = graph.unsqueeze(&length, &[0]);
        let columns = graph.ints(&[SUMS]);
        let shape = graph.concat(&[&length, &columns], 0);
        let one = graph.number(1.0);
        graph.node("Expand", &[&one, &shape], &[])
    }

    /// From tokens [trees, width] to the rows of their heads in a table of all tokens' heads, [trees,
    /// heads, width].
    fn heads_of(&mut self, tokens: &Tensor, heads: usize) -> Tensor {
        let tokens = self.graph.unsqueeze(tokens, &[1]);
        let count = self.graph.int(heads as i64);
        let first = self.graph.mul(&tokens, &count);
        let each = self.graph.ints(&(0..heads as i64).collect::<Vec<_>>());
        let each = self.graph.unsqueeze(&each, &[1]);
        self.graph.add(&first, &each)
    }

    /// From places [tokens] in [trees, width] to those of each head in [trees, heads, width],
    /// [tokens, heads].
    fn places_of_heads(&mut self, places: &Tensor, trees: &Tensor) -> Tensor {
        let graph = &mut self.graph;
        let heads = self.config.heads as i64;
        let width = graph.size(trees, 1);
        let tree = graph.node("Div", &[places, &width], &[]);
        let others = graph.int(heads - 1);
        let skipped = graph.mul(&width, &others);
        let skipped = graph.mul(&tree, &skipped);
        let first = graph.add(places, &skipped);
        let first = graph.unsqueeze(&first, &[1]);
        let each = graph.ints(&(0..heads).collect::<Vec<_>>());
        let each = graph.mul(&each, &width);
        graph.add(&first, &each)
    }

    /// What each of `asking`'s tokens takes from what it sees, [tokens, heads * head_size]. The
    /// query heads that share a key-value head are rows of one product, so that keys and values are
    /// never repeated.
    pub(super) fn attention(
        &mut self,
        (layer, kind): (usize, LayerKind),
        asking: &Tensor,
        attending: &Attending,
    ) -> Result<Tensor, Error> {
        let DecoderConfig { heads, kv_heads, head_size, .. } = *self.config;
        let [heads, kv_heads, head_size] = [heads, kv_heads, head_size].map(|size| size as i64);
        let [query, key, value] = self.queries_keys_values(layer, asking)?;
        let rotation = kind.rotation.map(|number| &attending.rotations[number]);

        let query = self.by_head(query, (layer, "self_attn.q_norm", heads))?;
        let query = match rotation {
            Some(rotation) => self.rotate(&query, &rotation.scaled),
            None => {
                let scale = self.graph.number(self.config.query_scale as f32);
                self.graph.mul(&query, &scale)
            }
        };
        let query = self.graph.reshape(&query, &[-1, head_size]);
        let query = self.graph.gather(&query, &attending.queries, 0);
        let query = self.graph.reshape(&query, &[0, kv_heads, -1, head_size]);

        let key = self.by_head(key, (layer, "self_attn.k_norm", kv_heads))?;
        let key = match rotation {
            Some(rotation) => self.rotate(&key, &rotation.plain),
            None => key,
        };
        let key = self.graph.reshape(&key, &[0, kv_heads * head_size]);
        let key = self.seen(layer, "key", key, attending);
        let value = self.seen(layer, "value", value, attending);

        // Runtimes know this as a product with the other side transposed, and move nothing.
        let key = self.graph.transpose(&key, &[0, 1, 3, 2]);
        let scores = self.graph.matmul(&query, &key);
        let scores = self.capped(&scores, self.config.score_cap);
        let mask = attending.near.as_ref().filter(|_| kind.windowed).unwrap_or(&attending.mask);
        let scores = self.graph.add(&scores, mask);
        let mixed = self.mixed(&scores, &value, attending);
        let mixed = self.graph.reshape(&mixed, &[-1, head_size]);
        let mixed = self.graph.gather(&mixed, &attending.places, 0);
        Ok(self.graph.reshape(&mixed, &[0, heads * head_size]))
    }

    /// What a layer asks, and what it can be asked for: [tokens, heads * head_size] and twice
    /// [tokens, kv_heads * head_size].
    fn queries_keys_values(&mut self, layer: usize, x: &Tensor) -> Result<[Tensor; 3], Error> {
        if !self.config.architecture.fused {
            return Ok([
                self.linear(x, layer, Module::Q)?,
                self.linear(x, layer, Module::K)?,
                self.linear(x, layer, Module::V)?,
            ]);
        }
        let [queries, keys] = self.config.columns().map(|columns| columns as i64);
        let all = self.linear(x, layer, Module::Qkv)?;
        let sizes = self.graph.ints(&[queries, keys, keys]);
        let along_last = [("axis", Attribute::Int(-1))];
        Ok(self.graph.node_with_outputs("Split", &[&all, &sizes], &along_last))
    }

    /// Queries or keys by head, [tokens, heads, head_size], normed where the model does it.
    fn by_head(
        &mut self,
        x: Tensor,
        (layer, norm, heads): (usize, &str, i64),
    ) -> Result<Tensor, Error> {
        let (name, size) = (layer_tensor(layer, norm), self.config.head_size);
        let shape = [0, heads, size as i64];
        Ok(match self.config.architecture.head_norms {
            None => self.graph.reshape(&x, &shape),
            Some(HeadNorms::Each) => {
                let x = self.graph.reshape(&x, &shape);
                self.norm(&x, &name, size)?
            }
            Some(HeadNorms::Whole) => {
                let x = self.norm(&x, &name, heads as usize * size)?;
                self.graph.reshape(&x, &shape)
            }
        })
    }

    /// softmax(scores) · value. Its sums are matrix products, which add up one token after the other: what
    /// is not seen adds zero, wherever it stands, so that the tokens beside a token change no bit of it.
    fn mixed(&mut self, scores: &Tensor, value: &Tensor, attending: &Attending) -> Tensor {
        let last_axis = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
        let graph = &mut self.graph;
        let largest = graph.node("ReduceMax", &[scores], &last_axis);
        let below = graph.node("Sub", &[scores, &largest], &[]);
        let weights = graph.node("Exp", &[&below], &[]);
        let sums = graph.matmul(&weights, &attending.ones);
        let first = graph.ints(&[0]);
        let sum = graph.gather(&sums, &first, -1);
        let mixed = graph.matmul(&weights, value);
        graph.node("Div", &[&mixed, &sum], &[])
    }

    /// The keys or values that each tree sees, [trees, kv_heads, past + width, head_size]: cached
    /// ones, then its own. `new`, of all tokens, becomes an output.
    fn seen(&mut self, layer: usize, what: &str, new: Tensor, attending: &Attending) -> Tensor {
        let (heads, size) = (self.config.kv_heads, self.config.head_size);
        let dims = |tokens| [Dim::Named(tokens), Dim::Size(heads * size)];
        let cached = &format!("cache.{layer}.{what}");
        let cached = self.graph.input(cached, Element::F32, &dims("cached"));
        let new =
            self.graph.output(new, &format!("new.{layer}.{what}"), Element::F32, &dims("tokens"));
        let mut gather = |all: &Tensor, rows: &Tensor| {
            let table = self.graph.reshape(all, &[-1, size as i64]);
            self.graph.gather(&table, rows, 0)
        };
        let before = gather(&cached, &attending.cached);
        let within = gather(&new, &attending.own);
        self.graph.concat(&[&before, &within], 2)
    }
}
