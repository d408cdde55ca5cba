//! Each operation against candle's own operations and their differentiation, over random shapes.

use candle_core::{Device, Tensor, Var};
use proptest::prelude::*;

use super::super::graph::{self, Looks, Turns};
use super::attention::{Angles, Heads};
use super::cross_entropy::{self, Derivatives, Output};
use super::linear::{self, Adapter, Columns};
use super::matrix::Earlier;
use super::{attention, gate, norm};
use crate::onnx::architecture::Activation;
use crate::onnx::decoder::Rotation;

const CPU: &Device = &Device::Cpu;

/// Numbers between -1 and 1 from a seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_add(1);
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn var(values: &[f32], columns: usize) -> Var {
    Var::from_slice(values, (values.len() / columns, columns), CPU).unwrap()
}

/// The derivatives of Σ dy · y by some variables.
fn derivatives(y: &Tensor, dy: &[f32], by: &[&Var]) -> Vec<Vec<f32>> {
    let dy = Tensor::from_slice(dy, y.shape(), CPU).unwrap();
    let store = (y * dy).unwrap().sum_all().unwrap().backward().unwrap();
    by.iter().map(|var| flat(store.get(var).unwrap())).collect()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Not `>`: NaN must fail.
        assert!(
            (found - expected).abs() <= 2e-5 * (1.0 + size),
            "at {at}: {found}, but {expected} is expected"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn norm(rows in 1usize..40, width in 1usize..70, seed: u64) {
        let (x, weight) = (numbers(seed, rows * width), numbers(seed ^ 1, width));
        let dy = numbers(seed ^ 2, rows * width);
        let (x_var, weight_var) = (var(&x, width), Var::from_slice(&weight, width, CPU).unwrap());
        let y = graph::norm(&x_var, &weight_var, 1e-5).unwrap();
        assert_close(&norm::forward(&x, &weight, 1e-5), &flat(&y));
        let expected = derivatives(&y, &dy, &[&x_var, &weight_var]);
        let mut dx = vec![1.0; x.len()];
        norm::backward(&x, &weight, 1e-5, &dy, &mut dx);
        dx.iter_mut().for_each(|dx| *dx -= 1.0);
        assert_close(&dx, &expected[0]);
        assert_close(&norm::backward_weight(&x, width, 1e-5, &dy), &expected[1]);
    }

    #[test]
    fn gate(rows in 1usize..40, inner in 1usize..70, is_gelu: bool, seed: u64) {
        let gate_up: Vec<f32> =
            numbers(seed, rows * 2 * inner).into_iter().map(|value| 8.0 * value).collect();
        let dy = numbers(seed ^ 1, rows * inner);
        let both = var(&gate_up, 2 * inner);
        let gate = both.narrow(1, 0, inner).unwrap();
        let (activation, gate) = match is_gelu {
            true => (Activation::Gelu, gate.gelu().unwrap()),
            false => (Activation::Silu, gate.silu().unwrap()),
        };
        let y = (gate * both.narrow(1, inner, inner).unwrap()).unwrap();
        assert_close(&gate::forward(&gate_up, inner, activation), &flat(&y));
        let expected = derivatives(&y, &dy, &[&both]);
        assert_close(&gate::backward(&gate_up, inner, activation, &dy), &expected[0]);
    }

    #[test]
    fn linear_with_adapter(
        (rows, inner, out) in (1usize..40, 1usize..70, 1usize..70),
        rank in 1usize..9,
        (before, behind) in (0usize..5, 0usize..5),
        seed: u64,
    ) {
        let x = numbers(seed, rows * inner);
        let weight = numbers(seed ^ 1, out * inner);
        let (a, b) = (numbers(seed ^ 2, rank * inner), numbers(seed ^ 3, out * rank));
        let dy = numbers(seed ^ 4, rows * out);
        let vars = [var(&x, inner), var(&weight, inner), var(&a, inner), var(&b, rank)];
        let [x_var, weight_var, a_var, b_var] = &vars;
        let h = x_var.matmul(&a_var.t().unwrap()).unwrap();
        let y = (x_var.matmul(&weight_var.t().unwrap()).unwrap()
            + (h.matmul(&b_var.t().unwrap()).unwrap() * 0.5).unwrap())
        .unwrap();
        let expected = derivatives(&y, &dy, &[x_var, weight_var, a_var, b_var]);

        // The result is some columns of a wider matrix.
        let stride = before + out + behind;
        let columns = Columns { from: before, count: out, stride };
        let widened = |values: &[f32]| -> Vec<f32> {
            let rows = values.chunks_exact(out);
            rows.flat_map(|row| [&vec![9.0; before], row, &vec![9.0; behind]].concat()).collect()
        };
        let adapter = Adapter { a: &a, b: &b, rank, scale: 0.5 };
        let mut found = vec![9.0; rows * stride];
        linear::forward(&x, inner, &weight, &mut found, columns);
        let h = linear::forward_adapter(&x, inner, &adapter, &mut found, columns);
        assert_close(&found, &widened(&flat(&y)));

        let dy = widened(&dy);
        let mut dx = vec![0.0; x.len()];
        linear::backward_input(&dy, columns, &weight, inner, &mut dx, Earlier::Replaced);
        let dx_wanted = Some(&mut dx[..]);
        let (da, db) = linear::backward_adapter(&x, inner, &h, &adapter, &dy, columns, dx_wanted);
        let dw = linear::backward_weight(&x, inner, &dy, columns);
        for (found, expected) in [dx, dw, da, db].iter().zip(&expected) {
            assert_close(found, expected);
        }
    }

    #[test]
    fn cross_entropy(
        rows in 1usize..300,
        (width, vocabulary) in (1usize..20, 2usize..50),
        cap in prop::option::of(1.0f32..9.0),
        seed: u64,
    ) {
        let hidden = numbers(seed, rows * width);
        let output: Vec<f32> =
            numbers(seed ^ 1, vocabulary * width).into_iter().map(|value| 4.0 * value).collect();
        let weights = numbers(seed ^ 2, rows);
        let tokens: Vec<u32> = (0..rows as u64).map(|i| ((seed ^ i) % vocabulary as u64) as u32).collect();
        let (hidden_var, output_var) = (var(&hidden, width), var(&output, width));
        let logits = hidden_var.matmul(&output_var.t().unwrap()).unwrap();
        let logits = graph::capped(logits, cap).unwrap();
        let y = graph::cross_entropy(&logits, &Tensor::new(&tokens[..], CPU).unwrap()).unwrap();
        let expected = derivatives(&y, &weights, &[&hidden_var, &output_var]);
        let goals: Vec<(u32, f32)> = tokens.into_iter().zip(weights).collect();
        let (mut d_hidden, mut d_output) = (vec![0.0; hidden.len()], vec![0.0; output.len()]);
        let wanted = Derivatives { hidden: &mut d_hidden, output: Some(&mut d_output) };
        let head = Output { weight: &output, width, cap };
        let nll = cross_entropy::evaluate(&hidden, head, &goals, Some(wanted));
        assert_eq!(nll, cross_entropy::evaluate(&hidden, head, &goals, None));
        assert_close(&nll.iter().map(|&nll| nll as f32).collect::<Vec<_>>(), &flat(&y));
        assert_close(&d_hidden, &expected[0]);
        assert_close(&d_output, &expected[1]);
    }

    #[test]
    fn attention(
        lengths in prop::collection::vec(1usize..20, 1..5),
        (kv_heads, group, half) in (1usize..4, 1usize..4, 1usize..6),
        (pairs, window) in (0usize..6, 1usize..25),
        cap in prop::option::of(0.5f32..9.0),
        seed: u64,
    ) {
        let (heads, size, scale) = (kv_heads * group, 2 * half, 0.4);
        let longest = *lengths.iter().max().unwrap();
        // All of a head is rotated, or its first values, or nothing.
        let frequencies = (0..pairs.min(half)).map(|i| 0.7f64.powi(i as i32)).collect();
        let rotation = Rotation { frequencies, scale: 1.1 };
        let is_turned = !rotation.frequencies.is_empty();
        let angles = is_turned.then(|| Angles::new(&rotation, longest));
        let angles = angles.as_ref();
        let layer = Heads { heads, kv_heads, size, angles, window, scale: scale as f32, cap };
        let rows: usize = lengths.iter().sum();
        let qkv: Vec<f32> =
            numbers(seed, rows * layer.columns()).into_iter().map(|value| 2.0 * value).collect();
        let dy = numbers(seed ^ 1, rows * heads * size);
        let all = var(&qkv, layer.columns());
        let turns = is_turned.then(|| Turns::new(&rotation, longest, CPU).unwrap());
        let looks = Looks { heads, kv_heads, turns: turns.as_ref(), window, scale, cap };
        let (mut spans, mut seen, mut start) = (Vec::new(), Vec::new(), 0);
        for length in lengths {
            let part = |from: usize, count: usize| {
                all.narrow(0, start, length).unwrap().narrow(1, from * size, count * size).unwrap()
            };
            let (q, k) = (part(0, heads), part(heads, kv_heads));
            let v = part(heads + kv_heads, kv_heads);
            seen.push(graph::attention(&q, &k, &v, &looks).unwrap());
            spans.push((start, length));
            start += length;
        }
        let y = Tensor::cat(&seen, 0).unwrap();
        assert_close(&attention::forward(&layer, &spans, &qkv), &flat(&y));
        let expected = derivatives(&y, &dy, &[&all]);
        assert_close(&attention::backward(&layer, &spans, &qkv, &dy), &expected[0]);
    }
}

/// One head of two values, one pair that turns by a right angle each position: worked out by hand.
/// Position 1's query (1, 0) becomes (0, 1), its key (1, 0) too; position 0's key stays (1, 0). Its
/// scores are 0 and 1/√2, so that it sees position 1 with σ(1/√2).
#[test]
fn attention_by_hand() {
    let rotation = Rotation { frequencies: vec![std::f64::consts::FRAC_PI_2], scale: 1.0 };
    let angles = Some(&Angles::new(&rotation, 2));
    let (window, scale) = (usize::MAX, 0.5f32.sqrt());
    let heads = Heads { heads: 1, kv_heads: 1, size: 2, angles, window, scale, cap: None };
    let qkv = [1.0, 0.0, 1.0, 0.0, 10.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 20.0];
    let seen = attention::forward(&heads, &[(0, 2)], &qkv);
    let share = 1.0 / (1.0 + (-0.5f32.sqrt()).exp());
    assert_close(&seen, &[10.0, 0.0, 10.0 * (1.0 - share), 20.0 * share]);
    // A window of one position shows a token itself.
    let seen = attention::forward(&Heads { window: 1, ..heads }, &[(0, 2)], &qkv);
    assert_close(&seen, &[10.0, 0.0, 0.0, 20.0]);
    // Scores of 0 and 1/√2 that are kept below a half.
    let seen = attention::forward(&Heads { cap: Some(0.5), ..heads }, &[(0, 2)], &qkv);
    let share = 1.0 / (1.0 + (-0.5 * (0.5f32.sqrt() / 0.5).tanh()).exp());
    assert_close(&seen, &[10.0, 0.0, 10.0 * (1.0 - share), 20.0 * share]);
}
