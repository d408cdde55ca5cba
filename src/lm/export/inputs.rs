//! What a graph asks for besides tokens, found from its inputs and outputs.

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

use super::graph::Feed;

/// The inputs of a graph.
pub(crate) struct Inputs {
    ids: Integer,
    attention_mask: Option<Integer>,
    position_ids: Option<Integer>,
    token_type_ids: Option<Integer>,
    encoder_mask: Option<Integer>,
    encoder_states: bool,
    use_cache_branch: bool,
    /// Whether it gives logits, for which it takes positions.
    pub logits: bool,
    /// The cache's inputs.
    pub past: Vec<Past>,
    /// The places, as in `.0.key`, whose keys or values it gives.
    pub present: Vec<String>,
}

/// One of the cache's inputs, [batch, heads, past, head size].
pub(crate) struct Past {
    input: String,
    /// What its name says after its beginning: `.0.key`, `.0.encoder.key`.
    pub place: String,
    heads: usize,
    head_size: usize,
}

/// The type of whole numbers that an input takes.
#[derive(Clone, Copy)]
enum Integer {
    Int32,
    Int64,
}

/// A row of a batch that an earlier run gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheRow {
    pub batch: usize,
    pub row: usize,
}

/// A cache behind which rows are computed: one [`CacheRow`] a row, or none at the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Behind<'a> {
    /// Keys and values of earlier batches, in the order of the graph's past.
    pub batches: &'a [Vec<DynValue>],
    pub rows: &'a [CacheRow],
    /// Tokens in the cache.
    pub length: usize,
}

impl Behind<'_> {
    /// No cache: the rows begin a text.
    pub(crate) const NOTHING: Self = Self { batches: &[], rows: &[], length: 0 };
}

/// What an encoder made of each row's own text, all of `length` tokens.
#[derive(Clone, Copy)]
pub(crate) struct States<'a> {
    pub batches: &'a [DynValue],
    pub rows: &'a [CacheRow],
    pub length: usize,
}

/// What begins the names of a cache's inputs, and of its outputs.
const PAST: [&str; 2] = ["past_key_values", "past"];
const PRESENT: [&str; 2] = ["present_key_values", "present"];

/// What the output at a cache's place may be called.
pub(super) fn presents(place: &str) -> [String; 2] {
    PRESENT.map(|beginning| format!("{beginning}{place}"))
}

impl Inputs {
    /// Finds them.
    ///
    /// # Errors
    /// Says, in words, which input or output is not a language model's.
    pub(crate) fn find(session: &Session) -> Result<Self, String> {
        let (inputs, outputs) = (session.inputs(), session.outputs());
        let mut found = Self {
            ids: Integer::Int64,
            attention_mask: None,
            position_ids: None,
            token_type_ids: None,
            encoder_mask: None,
            encoder_states: false,
            use_cache_branch: false,
            logits: outlet(outputs, "logits").is_some(),
            past: Vec::new(),
            present: outputs.iter().filter_map(|o| place(o.name(), &PRESENT)).collect(),
        };
        let (mut has_ids, mut unknown) = (false, Vec::new());
        for input in inputs {
            match input.name() {
                "input_ids" => (found.ids, has_ids) = (Integer::of(input)?, true),
                "attention_mask" => found.attention_mask = Some(Integer::of(input)?),
                "position_ids" => found.position_ids = Some(Integer::of(input)?),
                "token_type_ids" => found.token_type_ids = Some(Integer::of(input)?),
                "encoder_attention_mask" => found.encoder_mask = Some(Integer::of(input)?),
                "encoder_hidden_states" => found.encoder_states = true,
                "use_cache_branch" => found.use_cache_branch = true,
                "positions" => {}
                name => match place(name, &PAST) {
                    Some(place) => found.past.push(Past::find(input, place)?),
                    None => unknown.push(name),
                },
            }
        }
        for past in &found.past {
            past.fits(outputs)?;
        }
        let names: Vec<&str> = inputs.iter().map(Outlet::name).collect();
        if !has_ids {
            return Err(format!(
                "no input `input_ids`, as a language model has (inputs: {names:?})"
            ));
        }
        if !unknown.is_empty() {
            return Err(format!("no language model that kgbuild knows has the inputs {unknown:?}"));
        }
        Ok(found)
    }

    /// Whether the graph takes a cache and gives back all of it that grows.
    pub(crate) fn cached(&self) -> bool {
        let mut growing = self.past.iter().filter(|past| grows(&past.place));
        !self.past.is_empty() && growing.all(|past| self.present.contains(&past.place))
    }

    /// The values of all inputs.
    pub(crate) fn values(
        &self,
        feed: &Feed<'_>,
    ) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
        let Feed { sequences, behind, states, .. } = feed;
        let (rows, length) = (sequences.len(), sequences[0].len());
        let mut inputs: Vec<(String, SessionInputValue<'static>)> = Vec::new();
        let mut give = |name: &str, value: DynValue| inputs.push((name.to_owned(), value.into()));
        let ids = sequences.iter().flatten().map(|&t| i64::from(t));
        give("input_ids", self.ids.tensor([rows, length], ids)?);
        let all = behind.length + length;
        if let Some(integer) = self.attention_mask {
            let ones = std::iter::repeat_n(1, rows * all);
            give("attention_mask", integer.tensor([rows, all], ones)?);
        }
        if let Some(integer) = self.position_ids {
            let positions = (0..rows).flat_map(|_| (behind.length..all).map(|p| p as i64));
            give("position_ids", integer.tensor([rows, length], positions)?);
        }
        if let Some(integer) = self.token_type_ids {
            let zeros = std::iter::repeat_n(0, rows * length);
            give("token_type_ids", integer.tensor([rows, length], zeros)?);
        }
        if let Some(states) = states {
            if let Some(integer) = self.encoder_mask {
                let ones = std::iter::repeat_n(1, rows * states.length);
                give("encoder_attention_mask", integer.tensor([rows, states.length], ones)?);
            }
            if self.encoder_states {
                let values = gather(states.rows, |batch| &states.batches[batch])?;
                give("encoder_hidden_states", values);
            }
        }
        if self.use_cache_branch {
            let value = Tensor::from_array(([1_usize], vec![behind.length > 0]))?;
            give("use_cache_branch", value.into_dyn());
        }
        if self.logits {
            let positions: Vec<i64> = feed.positions.iter().map(|&p| p as i64).collect();
            give("positions", Tensor::from_array(([positions.len()], positions))?.into_dyn());
        }
        for (at, past) in self.past.iter().enumerate() {
            let value = if behind.rows.is_empty() {
                let shape = [rows, past.heads, 0, past.head_size];
                Tensor::from_array((shape, Vec::<f32>::new()))?.into_dyn()
            } else {
                gather(behind.rows, |batch| &behind.batches[batch][at])?
            };
            give(&past.input, value);
        }
        Ok(inputs)
    }
}

/// Whether what a cache has in a place grows with the text: all but an encoder's keys and values.
pub(super) fn grows(place: &str) -> bool {
    !place.contains(".encoder.")
}

/// The rows of earlier batches, one after the other; all have the same shape.
pub(super) fn gather<'a>(
    rows: &[CacheRow],
    batch: impl Fn(usize) -> &'a DynValue,
) -> ort::Result<DynValue> {
    let mut data = Vec::new();
    let mut shape = Vec::new();
    for row in rows {
        let (of_batch, values) = batch(row.batch).try_extract_tensor::<f32>()?;
        let size: usize = of_batch.iter().skip(1).map(|&size| size as usize).product();
        let Some(values) = values.get(row.row * size..(row.row + 1) * size) else {
            return Err(ort::Error::new(format!(
                "it gave keys and values or states of shape {of_batch:?}, which has no row {}",
                row.row,
            )));
        };
        data.extend_from_slice(values);
        let sizes = of_batch.iter().skip(1).map(|&size| size as usize);
        shape = std::iter::once(rows.len()).chain(sizes).collect();
    }
    Ok(Tensor::from_array((shape, data))?.into_dyn())
}

impl Past {
    fn find(input: &Outlet, place: String) -> Result<Self, String> {
        match tensor(input)? {
            (TensorElementType::Float32, [_, heads, _, head_size])
                if *heads > 0 && *head_size > 0 =>
            {
                let (heads, head_size) = (*heads as usize, *head_size as usize);
                Ok(Self { input: input.name().to_owned(), place, heads, head_size })
            }
            (ty, shape) => Err(format!(
                "cache input `{}` is {ty} {shape:?}, expected f32 [batch, heads, past, head size] \
                 with fixed heads and head size",
                input.name(),
            )),
        }
    }
}

impl Past {
    /// Whether the graph gives keys or values of the size that it takes.
    fn fits(&self, outputs: &[Outlet]) -> Result<(), String> {
        let names = presents(&self.place);
        let Some(present) = names.iter().find_map(|name| outlet(outputs, name)) else {
            return Ok(());
        };
        let (_, shape) = tensor(present)?;
        let own = [self.heads as i64, self.head_size as i64];
        let given = [shape.get(1), shape.get(3)].map(|size| size.copied().unwrap_or(-1));
        // A size that is not said is below 0.
        if given.iter().zip(own).any(|(&given, own)| given > 0 && given != own) {
            return Err(format!(
                "its cache does not fit itself: `{}` takes {} heads of size {}, `{}` gives {shape:?}",
                self.input,
                self.heads,
                self.head_size,
                present.name(),
            ));
        }
        Ok(())
    }
}

impl Integer {
    fn of(input: &Outlet) -> Result<Self, String> {
        match tensor(input)?.0 {
            TensorElementType::Int32 => Ok(Self::Int32),
            TensorElementType::Int64 => Ok(Self::Int64),
            ty => Err(format!("`{}` is {ty}, expected int64 or int32", input.name())),
        }
    }

    fn tensor(self, shape: [usize; 2], values: impl Iterator<Item = i64>) -> ort::Result<DynValue> {
        Ok(match self {
            Self::Int64 => Tensor::from_array((shape, values.collect::<Vec<_>>()))?.into_dyn(),
            // Tokens and positions are far below 2^31.
            Self::Int32 => {
                let values = values.map(|value| value as i32).collect::<Vec<_>>();
                Tensor::from_array((shape, values))?.into_dyn()
            }
        })
    }
}

/// What follows one of `beginnings` in a name.
fn place(name: &str, beginnings: &[&str]) -> Option<String> {
    beginnings.iter().find_map(|beginning| name.strip_prefix(beginning)).map(str::to_owned)
}

fn outlet<'o>(outlets: &'o [Outlet], name: &str) -> Option<&'o Outlet> {
    outlets.iter().find(|o| o.name() == name)
}

fn tensor(outlet: &Outlet) -> Result<(&TensorElementType, &[i64]), String> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((ty, shape)),
        other => Err(format!("`{}` is {other}, expected a tensor", outlet.name())),
    }
}
