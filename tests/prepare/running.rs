//! Running any exported language model on tokens, prepared or not: what its inputs ask for is told
//! by their names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use half::f16;
use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache};
use kgbuild::runtime::{Device, Runtime};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

/// Tokens of a text that an encoder has read.
const ENCODED: usize = 4;

/// A tensor of floating-point numbers of any width.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats {
    pub shape: Vec<i64>,
    pub values: Vec<f32>,
}

/// Tensors by the name of the output that gave them.
pub type Outputs = BTreeMap<String, Floats>;

/// Opens a graph on the CPU.
pub fn open(graph: &Path) -> Session {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        let library = fetch::runtime_library(&cache, &Silent)
            .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
        Runtime::load(&library, Device::Cpu).unwrap()
    });
    runtime.session(graph, graph, 1).unwrap_or_else(|e| panic!("{}: {e:?}", graph.display()))
}

/// Computes `rows` of tokens, behind the keys and values among the outputs `behind`.
pub fn run(
    session: &mut Session,
    rows: &[Vec<i64>],
    behind: Option<&Outputs>,
    positions: &[i64],
) -> Outputs {
    let inputs: Vec<(String, SessionInputValue<'static>)> = session
        .inputs()
        .iter()
        .map(|input| (input.name().to_owned(), value(input, rows, behind, positions).into()))
        .collect();
    let kinds: Vec<(String, TensorElementType)> =
        session.outputs().iter().map(|output| (output.name().to_owned(), of(output).0)).collect();
    let mut outputs = session.run(inputs).unwrap();
    let taken = kinds.into_iter().map(|(name, kind)| {
        let value = outputs.remove(&name).unwrap();
        let floats = match kind {
            TensorElementType::Float16 => {
                let (shape, values) = value.try_extract_tensor::<f16>().unwrap();
                let values = values.iter().map(|value| value.to_f32()).collect();
                Floats { shape: shape.to_vec(), values }
            }
            _ => {
                let (shape, values) = value.try_extract_tensor::<f32>().unwrap();
                Floats { shape: shape.to_vec(), values: values.to_vec() }
            }
        };
        (name, floats)
    });
    taken.collect()
}

fn value(
    input: &Outlet,
    rows: &[Vec<i64>],
    behind: Option<&Outputs>,
    positions: &[i64],
) -> DynValue {
    let (count, length) = (rows.len(), rows[0].len());
    let past = behind.map_or(0, |outputs| {
        let keys = outputs.iter().find(|(name, _)| name.ends_with("key"));
        keys.unwrap().1.shape[2] as usize
    });
    let ints = |shape: Vec<usize>, values: Vec<i64>| {
        Tensor::from_array((shape, values)).unwrap().into_dyn()
    };
    let ones = |length: usize| ints(vec![count, length], vec![1; count * length]);
    let at = || (0..count).flat_map(|_| (past..past + length).map(|at| at as i64)).collect();
    let (kind, shape) = of(input);
    match input.name() {
        "positions" => ints(vec![positions.len()], positions.to_vec()),
        "input_ids" => ints(vec![count, length], rows.concat()),
        "attention_mask" => ones(past + length),
        "encoder_attention_mask" => ones(ENCODED),
        "position_ids" => ints(vec![count, length], at()),
        "token_type_ids" => ints(vec![count, length], vec![0; count * length]),
        "use_cache_branch" => {
            Tensor::from_array(([1_usize], vec![behind.is_some()])).unwrap().into_dyn()
        }
        "encoder_hidden_states" => {
            let shape = vec![count as i64, ENCODED as i64, shape[2]];
            let size = shape.iter().product();
            let values = (0..size).map(|i: i64| (i % 13) as f32 / 8.0 - 0.75).collect();
            of_kind(kind, Floats { shape, values })
        }
        name => {
            let place = name.strip_prefix("past_key_values").unwrap_or_else(|| panic!("{name}?"));
            let present = behind.map(|outputs| outputs[&format!("present{place}")].clone());
            let nothing =
                || Floats { shape: vec![count as i64, shape[1], 0, shape[3]], values: Vec::new() };
            of_kind(kind, present.unwrap_or_else(nothing))
        }
    }
}

fn of_kind(kind: TensorElementType, Floats { shape, values }: Floats) -> DynValue {
    match kind {
        TensorElementType::Float16 => {
            let values: Vec<f16> = values.into_iter().map(f16::from_f32).collect();
            Tensor::from_array((shape, values)).unwrap().into_dyn()
        }
        _ => Tensor::from_array((shape, values)).unwrap().into_dyn(),
    }
}

/// The type and the shape of an input or output.
pub fn of(outlet: &Outlet) -> (TensorElementType, Vec<i64>) {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (*ty, shape.to_vec()),
        other => panic!("`{}` is {other}", outlet.name()),
    }
}
