//! What a causal model's graph asks for besides tokens, found from its inputs and outputs.

use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

/// The inputs of a graph.
pub struct Inputs {
    ids: Integer,
    attention_mask: Option<Integer>,
    position_ids: Option<Integer>,
    use_cache_branch: bool,
    pub past: Vec<Past>,
    /// Whether the graph gives the cache back.
    pub cached: bool,
}

/// One of the cache's inputs and the output that feeds it, [batch, heads, past, head size].
pub struct Past {
    input: String,
    pub output: String,
    heads: usize,
    head_size: usize,
}

/// The type of whole numbers that an input takes.
#[derive(Clone, Copy)]
enum Integer {
    Int32,
    Int64,
}

/// A row of a batch of keys and values.
#[derive(Clone, Copy)]
pub struct CacheRow {
    pub batch: usize,
    pub row: usize,
}

/// A cache behind which rows are computed: one [`CacheRow`] a row, or none at the beginning.
#[derive(Clone, Copy)]
pub struct Behind<'a> {
    /// Keys and values of earlier batches, in the order of [`Inputs::past`].
    pub batches: &'a [Vec<DynValue>],
    pub rows: &'a [CacheRow],
    /// Tokens in the cache.
    pub length: usize,
}

impl Behind<'_> {
    /// No cache: the rows begin a text.
    pub const NOTHING: Self = Self { batches: &[], rows: &[], length: 0 };
}

impl Inputs {
    /// Finds them.
    ///
    /// # Errors
    /// Says, in words, which input or output is not a causal language model's.
    pub fn find(session: &Session) -> Result<Self, String> {
        let (inputs, outputs) = (session.inputs(), session.outputs());
        let mut found = Self {
            ids: Integer::Int64,
            attention_mask: None,
            position_ids: None,
            use_cache_branch: false,
            past: Vec::new(),
            cached: false,
        };
        let (mut has_ids, mut unknown) = (false, Vec::new());
        for input in inputs {
            match input.name() {
                "input_ids" => (found.ids, has_ids) = (Integer::of(input)?, true),
                "attention_mask" => found.attention_mask = Some(Integer::of(input)?),
                "position_ids" => found.position_ids = Some(Integer::of(input)?),
                "use_cache_branch" => found.use_cache_branch = true,
                name => match Past::place(name) {
                    Some(place) => found.past.push(Past::find(input, place, outputs)?),
                    None => unknown.push(name),
                },
            }
        }
        if !has_ids {
            let names: Vec<&str> = inputs.iter().map(Outlet::name).collect();
            return Err(format!(
                "no input `input_ids`, as a causal language model has (inputs: {names:?})"
            ));
        }
        if !unknown.is_empty() {
            return Err(format!(
                "no causal language model that kgbuild knows has the inputs {unknown:?}"
            ));
        }
        let logits = outlet(outputs, "logits").ok_or_else(|| {
            let names: Vec<&str> = outputs.iter().map(Outlet::name).collect();
            format!("no output `logits`, as a language model has (outputs: {names:?})")
        })?;
        match tensor(logits)? {
            (TensorElementType::Float32, [_, _, _]) => {}
            (ty, shape) => {
                return Err(format!(
                    "`logits` is {ty} {shape:?}, expected f32 [batch, sequence, vocabulary]{}",
                    export_in_f32(ty)
                ));
            }
        }
        let gives_back = found.past.iter().all(|p| outlet(outputs, &p.output).is_some());
        found.cached = !found.past.is_empty() && gives_back;
        Ok(found)
    }

    /// The values of all inputs, for sequences of equal length.
    pub fn values(
        &self,
        sequences: &[Vec<u32>],
        behind: Behind<'_>,
    ) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
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
        if self.use_cache_branch {
            let value = Tensor::from_array(([1_usize], vec![behind.length > 0]))?;
            give("use_cache_branch", value.into_dyn());
        }
        for (at, past) in self.past.iter().enumerate() {
            let size = past.heads * behind.length * past.head_size;
            let mut data = Vec::with_capacity(rows * size);
            for cache in behind.rows {
                let (_, values) = behind.batches[cache.batch][at].try_extract_tensor::<f32>()?;
                data.extend_from_slice(&values[cache.row * size..(cache.row + 1) * size]);
            }
            let shape = [rows, past.heads, behind.length, past.head_size];
            give(&past.input, Tensor::from_array((shape, data))?.into_dyn());
        }
        Ok(inputs)
    }
}

impl Past {
    /// What an input's name says after its beginning, where it is one of the cache.
    fn place(name: &str) -> Option<&str> {
        name.strip_prefix("past_key_values").or_else(|| name.strip_prefix("past"))
    }

    fn find(input: &Outlet, place: &str, outputs: &[Outlet]) -> Result<Self, String> {
        let names = [format!("present{place}"), format!("present_key_values{place}")];
        let given = names.iter().find(|name| outlet(outputs, name).is_some());
        match tensor(input)? {
            (TensorElementType::Float32, [_, heads, _, head_size])
                if *heads > 0 && *head_size > 0 =>
            {
                Ok(Self {
                    input: input.name().to_owned(),
                    output: given.unwrap_or(&names[0]).clone(),
                    heads: *heads as usize,
                    head_size: *head_size as usize,
                })
            }
            (ty, shape) => Err(format!(
                "cache input `{}` is {ty} {shape:?}, expected f32 [batch, heads, past, head size] \
                 with fixed heads and head size{}",
                input.name(),
                export_in_f32(ty)
            )),
        }
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

/// What to do about a type, where it is another precision.
fn export_in_f32(ty: &TensorElementType) -> &'static str {
    match ty {
        TensorElementType::Float16 | TensorElementType::Bfloat16 => {
            "; half precision is not supported yet: export the model in f32"
        }
        _ => "",
    }
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
