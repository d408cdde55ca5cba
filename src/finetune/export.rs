//! A trained model as files: a PEFT adapter, or an ONNX folder of all weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;

use super::{EngineError, Model, Module, Trainable};
use crate::onnx::{self, Checkpoint, Precision, Weights};

impl Model {
    /// Writes what was trained into the existing `folder`: under LoRA a PEFT adapter that names
    /// `base` as its base model; else an ONNX folder with the tokenizer of `checkpoint`, which the
    /// model was made from.
    ///
    /// # Errors
    /// [`EngineError::Write`], and [`EngineError::Model`] where the ONNX folder cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        checkpoint: &Checkpoint,
        base: &str,
    ) -> Result<(), EngineError> {
        match &self.trainable {
            Trainable::Lora { rank, alpha, modules } => {
                self.save_adapter(folder, base, *rank, *alpha, modules)
            }
            Trainable::All => {
                let weights = self.named_values()?;
                let weights = Trained { folder, weights };
                Ok(checkpoint.write(&weights, Precision::F32, folder)?)
            }
        }
    }

    fn save_adapter(
        &self,
        folder: &Path,
        base: &str,
        rank: usize,
        alpha: f64,
        modules: &[Module],
    ) -> Result<(), EngineError> {
        // As this model has them: parts that it keeps together are one.
        let linears = self.config.linears().into_iter().map(|linear| linear.module);
        let modules = linears.filter(|module| module.is_among(modules));
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": alpha,
            "target_modules": modules.map(Module::name).collect::<Vec<_>>(),
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "lora_dropout": 0.0,
            "modules_to_save": null,
            "use_dora": false,
            "use_rslora": false,
        });
        write(&folder.join("adapter_config.json"), format!("{config:#}\n").as_bytes())?;
        let values: BTreeMap<String, (Vec<usize>, Vec<u8>)> = self
            .named_values()?
            .into_iter()
            .map(|(name, (shape, values))| {
                (name, (shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            })
            .collect();
        let views = values.iter().map(|(name, (shape, bytes))| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
        });
        let failed = |error: safetensors::SafeTensorError| {
            EngineError::Tensor(candle_core::Error::msg(error))
        };
        let views = views.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let bytes = serialize(views, None).map_err(failed)?;
        write(&folder.join("adapter_model.safetensors"), &bytes)
    }

    /// The parameters' names, shapes and values.
    fn named_values(&self) -> Result<Named, EngineError> {
        let values =
            |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>();
        let all = self
            .parameters()
            .iter()
            .map(|(name, var)| Ok((name.clone(), (var.dims().to_vec(), values(var)?))));
        all.collect()
    }
}

type Named = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    fs::write(path, bytes).map_err(|source| EngineError::Write { path: path.to_owned(), source })
}

/// All weights after training, as the ONNX writer takes them.
struct Trained<'a> {
    folder: &'a Path,
    weights: Named,
}

impl Weights for Trained<'_> {
    fn path(&self) -> &Path {
        self.folder
    }

    fn names(&self) -> Vec<String> {
        self.weights.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.weights.get(name).map(|(shape, _)| shape.clone())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, onnx::Error> {
        let found = self.weights.get(name).map(|(_, values)| values.clone());
        found.ok_or_else(|| onnx::Error::NoModel {
            path: self.folder.to_owned(),
            problem: format!("no `{name}` was trained"),
        })
    }
}
