//! Every family of models through the whole program, and what each gets for what it lacks.

use std::fs;
use std::path::Path;

use kgbuild::onnx::proto::{DimensionValue, ModelProto, TypeValue, data_type};
use prost::Message;

use crate::workplace::{Case, RUN, Workplace, all_refused};

/// Puts a tiny model of `tests/data/models` in the place of a workplace's `folder`.
fn put(at: &Workplace, folder: &str, model: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(model);
    fs::remove_dir_all(at.path(folder)).unwrap();
    copy(&from, &at.path(folder));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn both(at: &Workplace, model: &str) {
    put(at, "base", model);
    put(at, "finetuned", model);
}

/// Only the base model is asked.
fn alone(at: &Workplace, model: &str) {
    put(at, "base", model);
    at.edit("pipeline.toml", "finetuned = \"finetuned\"\n", "");
}

/// Changes the graph of the base.
fn alter(at: &Workplace, change: impl Fn(&mut ModelProto)) {
    let path = at.path("base/model.onnx");
    let mut model = ModelProto::decode(&fs::read(&path).unwrap()[..]).unwrap();
    change(&mut model);
    fs::write(&path, model.encode_to_vec()).unwrap();
}

/// Gives an input's axis another size.
fn resize(model: &mut ModelProto, name: &str, axis: usize, size: i64) {
    let graph = model.graph.as_mut().unwrap();
    let input = graph.input.iter_mut().find(|input| input.name.as_deref() == Some(name)).unwrap();
    match input.r#type.as_mut().unwrap().value.as_mut().unwrap() {
        TypeValue::Tensor(tensor) => {
            let dimension = &mut tensor.shape.as_mut().unwrap().dim[axis];
            dimension.value = Some(DimensionValue::Size(size));
        }
        _ => panic!("{name} is no tensor"),
    }
}

/// Half precision of another kind, of which the CPU has few operators.
fn to_bf16(model: &mut ModelProto) {
    const HALF: i32 = data_type::FLOAT16;
    const OTHER: i32 = data_type::BFLOAT16;
    let graph = model.graph.as_mut().unwrap();
    for tensor in graph.tensors_mut() {
        tensor.data_type = tensor.data_type.map(|ty| if ty == HALF { OTHER } else { ty });
    }
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            if attribute.name.as_deref() == Some("to") && attribute.i == Some(HALF.into()) {
                attribute.i = Some(OTHER.into());
            }
        }
    }
    graph.value_info.clear();
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(TypeValue::Tensor(tensor)) = value.r#type.as_mut().unwrap().value.as_mut()
            && tensor.elem_type == Some(HALF)
        {
            tensor.elem_type = Some(OTHER);
        }
    }
}

pub const CASES: &[Case] = &[
    Case {
        name: "masked-without-a-mask",
        args: RUN,
        spoil: |at| {
            both(at, "gpt2/optimum");
            for model in ["base", "finetuned"] {
                let config = format!("{model}/config.json");
                at.edit(&config, "\"GPT2LMHeadModel\"", "\"BertForMaskedLM\"");
            }
        },
    },
    Case {
        name: "decoder-without-its-beginning",
        args: RUN,
        spoil: |at| {
            alone(at, "t5/optimum");
            at.remove("base/generation_config.json");
            at.edit("base/config.json", "  \"decoder_start_token_id\": 0,\n", "");
        },
    },
    Case {
        name: "decoder-without-its-encoder",
        args: RUN,
        spoil: |at| {
            alone(at, "t5/optimum");
            at.remove("base/encoder_model.onnx");
        },
    },
    Case {
        name: "families-that-differ",
        args: RUN,
        spoil: |at| {
            both(at, "roberta/optimum");
            at.edit("finetuned/config.json", "\"RobertaForMaskedLM\"", "\"RobertaForCausalLM\"");
        },
    },
    Case {
        name: "a-classifier",
        args: RUN,
        spoil: |at| {
            alone(at, "bert/optimum");
            let named = "\"BertForSequenceClassification\"";
            at.edit("base/config.json", "\"BertForMaskedLM\"", named);
        },
    },
    Case {
        name: "cache-of-another-size",
        args: RUN,
        spoil: |at| {
            alone(at, "qwen2/optimum-with-past");
            alter(at, |model| resize(model, "past_key_values.0.key", 3, 5));
        },
    },
    Case {
        name: "inputs-of-no-family",
        args: RUN,
        spoil: |at| {
            alone(at, "bert/optimum");
            alter(at, |model| {
                let graph = model.graph.as_mut().unwrap();
                let mut pixels = graph.input[0].clone();
                pixels.name = Some("pixel_values".to_owned());
                graph.input.push(pixels);
            });
        },
    },
    Case {
        name: "precision-that-the-device-lacks",
        args: RUN,
        spoil: |at| {
            alone(at, "opt/f16");
            alter(at, to_bf16);
        },
    },
    Case {
        name: "question-for-a-causal-model",
        args: RUN,
        spoil: |at| {
            let template = "kgb:template \"The capital of [X] is [Y].\"";
            at.edit("world.ttl", template, "kgb:question \"What is the capital of [X]?\"");
        },
    },
    Case {
        name: "question-with-its-answer",
        args: RUN,
        spoil: |at| at.edit("world.ttl", "kgb:template", "kgb:question"),
    },
    Case {
        name: "candidate-longer-than-any-name",
        args: RUN,
        spoil: |at| {
            alone(at, "t5/optimum");
            at.edit("candidates.csv", "Lyon", &"Lyon ".repeat(2000));
        },
    },
    Case {
        name: "examples-for-no-model",
        args: RUN,
        spoil: |at| {
            at.write("known.csv", "subject,relation,object\n");
            at.edit("pipeline.toml", "finetuned = \"finetuned\"\n", "");
            let examples = "[examples]\nfacts = \"known.csv\"\nmodels = \"finetuned\"\n\n[output]";
            at.edit("pipeline.toml", "[output]", examples);
        },
    },
    Case {
        name: "inspected-without-a-tokenizer",
        args: &["models", "inspect", "nothing"],
        spoil: |_| {},
    },
];

#[test]
fn are_refused() {
    all_refused(CASES);
}

/// Runs the workplace's pipeline and gives the objects' probabilities as one of the models gave them.
fn probabilities(at: &Workplace, of: &str) -> Vec<f64> {
    at.done(RUN);
    let query = format!(
        "SELECT ?p WHERE {{ ?s <http://example.org/capital> ?o {{| kgb:{of} ?p |}} }} ORDER BY ?s ?o"
    );
    let found = at.done(&["query", "out", &query, "--format", "csv"]);
    found.lines().skip(1).map(|line| line.trim().parse().unwrap()).collect()
}

/// All candidates of all subjects are written, so that their probabilities sum to the subjects.
fn write_all(at: &Workplace) {
    at.edit("pipeline.toml", "max_objects = 1", "max_objects = 4");
}

#[test]
fn each_family_predicts_a_distribution() {
    for (model, finetuned) in [
        ("bert/optimum", "bert/f16"),
        ("bert/optimum", "bert/int8"),
        ("roberta/hub", "roberta/optimum"),
        ("t5/optimum-with-past", "t5/optimum"),
        ("bart/optimum-with-past", "bart/optimum-with-past"),
        ("gpt-neox/optimum-with-past", "gpt-neox/f16"),
        ("gpt-neox/int8", "gpt-neox/f16"),
        ("gemma/optimum", "gemma/optimum-with-past"),
    ] {
        let at = Workplace::new();
        put(&at, "base", model);
        put(&at, "finetuned", finetuned);
        write_all(&at);
        for of in ["baseProbability", "finetunedProbability"] {
            let found = probabilities(&at, of);
            assert_eq!(found.len(), 3 * 4, "{model}");
            // What a model leaves to the candidates.
            let sum: f64 = found.iter().sum();
            assert!(sum > 0.0 && sum < 3.0, "{model}, {of}: {found:?}");
            assert!(found.iter().all(|&p| p > 0.0), "{model}, {of}: {found:?}");
        }
        let confidences: f64 = probabilities(&at, "confidence").iter().sum();
        assert!((confidences - 3.0).abs() < 1e-4, "{model}: {confidences}");
    }
}

#[test]
fn another_way_to_mask_is_another_graph() {
    let at = Workplace::new();
    alone(&at, "bert/optimum");
    write_all(&at);
    at.edit("candidates.csv", "Lyon", "Port of Spain");
    at.edit("pipeline.toml", "[output]", "[prediction]\nmasked = \"independent\"\n\n[output]");
    assert_eq!(probabilities(&at, "baseProbability").len(), 12);
    for masked in ["answer-l2r", "within-word-l2r"] {
        at.edit("pipeline.toml", "masked = \"", &format!("masked = \"{masked}\" # \""));
        let before = at.graph();
        at.done(RUN);
        let grown = at.graph();
        assert_ne!(grown, before, "a graph that was made in another way was gone on with");
        at.done(&["run", "pipeline.toml", "--fresh"]);
        assert_eq!(at.graph(), grown, "{masked}");
    }
}

#[test]
fn the_object_may_come_first_where_both_sides_are_read() {
    let at = Workplace::new();
    alone(&at, "bert/optimum");
    at.edit("world.ttl", "The capital of [X] is [Y].", "[Y] is the capital of [X].");
    assert_eq!(probabilities(&at, "baseProbability").len(), 3);
}

#[test]
fn an_encoder_decoder_model_answers_questions() {
    let at = Workplace::new();
    alone(&at, "t5/optimum-with-past");
    write_all(&at);
    let by_template = probabilities(&at, "baseProbability");
    let template = "kgb:template \"The capital of [X] is [Y].\"";
    at.edit("world.ttl", template, "kgb:question \"What is the capital of [X]?\"");
    fs::remove_dir_all(at.path("out")).unwrap();
    let by_question = probabilities(&at, "baseProbability");
    assert_eq!((by_template.len(), by_question.len()), (12, 12));
    assert!(by_template != by_question);
}

/// Examples change what the models that read them say, and nothing else.
#[test]
fn examples_stand_before_the_prompts_of_the_models_that_read_them() {
    let known = "subject,relation,object
http://example.org/spain,http://example.org/capital,http://example.org/madrid
http://example.org/egypt,http://example.org/capital,http://example.org/cairo
http://example.org/france,http://example.org/capital,http://example.org/paris
";
    let labels = "iri,label
http://example.org/spain,Spain
http://example.org/madrid,Madrid
http://example.org/egypt,Egypt
http://example.org/cairo,Cairo
";
    let run = |examples: &str| {
        let at = Workplace::new();
        at.write("known.csv", known);
        at.write("labels.csv", labels);
        write_all(&at);
        both(&at, "gpt-neox/optimum-with-past");
        if !examples.is_empty() {
            let table = format!(
                "[examples]\nfacts = \"known.csv\"\nentities = \"labels.csv\"\ncount = 2\n\
                 models = \"{examples}\"\n\n[output]"
            );
            at.edit("pipeline.toml", "[output]", &table);
        }
        ["baseProbability", "finetunedProbability"].map(|of| probabilities(&at, of))
    };
    let [plain_base, plain_finetuned] = run("");
    assert_eq!(plain_base, plain_finetuned, "they are the same model");
    let [base, finetuned] = run("both");
    assert!(base == finetuned && base != plain_base);
    assert_eq!(run("base"), [base.clone(), plain_finetuned]);
    assert_eq!(run("finetuned"), [plain_base, base]);
}

#[test]
fn a_model_says_what_it_is() {
    let at = Workplace::new();
    for (model, parts) in [
        (
            "bert/optimum",
            &["masked (BertForMaskedLM)", "f32", "[MASK]", "token_type_ids int64"][..],
        ),
        ("t5/optimum-with-past", &["encoder-decoder", "<extra_id_0>", "any number of tokens"]),
        ("gpt2/legacy-decoder_model_merged", &["causal", "use_cache_branch", "a token at a time"]),
        ("gpt-neox/int8", &["causal", "8 bits", "none that can be used"]),
    ] {
        put(&at, "base", model);
        let said = at.done(&["models", "inspect", "base"]);
        let missing = said.lines().last().unwrap();
        assert!(missing.split_whitespace().eq(["missing", "nothing"]), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{model}: {said}");
    }
    // The tokenizer that genai saves has a token more than the model.
    put(&at, "base", "llama/genai");
    at.remove("base/config.json");
    let ended = at.kgbuild(&["models", "inspect", "base"]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended.out.contains("no config.json") && ended.out.contains("number 304"),
        "{}",
        ended.out
    );
}
