//! ONNX Runtime: loading its library, choosing a device, opening sessions.
//!
//! The library is a shared object found at run time, so that one kgbuild works with a CPU and a
//! CUDA build of it. One process has one [`Runtime`].

use std::path::{Path, PathBuf};

use ort::ep::{CPU, CUDA, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Explain;
use crate::onnx::probe;

/// ONNX Runtime's own key for where the weights of a model in memory are.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// What models run on, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// A GPU where there is one, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA GPU; none is an error.
    Cuda,
}

/// Where models run, in fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// ONNX Runtime's CPU provider.
    Cpu,
    /// ONNX Runtime's CUDA provider on the first GPU.
    Cuda,
}

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library is missing, broken or too old.
    #[error("{library} cannot be used as ONNX Runtime (1.24 or later is needed): {problem}")]
    Library {
        /// The file.
        library: PathBuf,
        /// What the loader says.
        problem: String,
    },
    /// `device = "cuda"` on a machine, or with a library, that has none.
    #[error("device = \"cuda\", but CUDA cannot be used: {problem}")]
    Cuda {
        /// What ONNX Runtime says.
        problem: String,
    },
    /// A model that ONNX Runtime cannot open.
    #[error("ONNX Runtime cannot open {graph}; fetch or export it again")]
    Open {
        /// The model's file.
        graph: PathBuf,
        /// Its own words.
        #[source]
        source: ort::Error,
    },
}

impl Explain for Error {
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Library { .. } => {
                "name another with --library or ORT_DYLIB_PATH; without both, kgbuild fetches the \
                 right one"
            }
            Self::Cuda { .. } => {
                "install a GPU driver and the package onnxruntime-gpu and point ORT_DYLIB_PATH or \
                 --library to its library, or set device = \"auto\""
            }
            Self::Open { .. } => return None,
        };
        Some(help.to_owned())
    }
}

/// A loaded ONNX Runtime and the provider that its sessions use.
pub struct Runtime {
    environment: ort::environment::Environment,
    provider: Provider,
    note: Option<String>,
}

impl Runtime {
    /// Loads `library` and chooses the provider for `device`.
    ///
    /// # Errors
    /// Where the library cannot be loaded, or `device` is [`Device::Cuda`] and CUDA does not work.
    pub fn load(library: &Path, device: Device) -> Result<Self, Error> {
        let broken = |problem: String| Error::Library { library: library.to_owned(), problem };
        // A relative path would be taken relative to the executable.
        let absolute = std::path::absolute(library).map_err(|e| broken(e.to_string()))?;
        let environment = ort::init_from(&absolute)
            .map_err(|e| broken(e.to_string()))?
            .with_name("kgbuild")
            .with_telemetry(false)
            .build()
            .map_err(|e| broken(e.to_string()))?;
        let mut runtime = Self { environment, provider: Provider::Cpu, note: None };
        if device == Device::Cpu {
            return Ok(runtime);
        }
        match (runtime.try_cuda(), device) {
            (Ok(()), _) => runtime.provider = Provider::Cuda,
            (Err(problem), Device::Cuda) => {
                return Err(Error::Cuda { problem: first_line(&problem) });
            }
            (Err(problem), _) => {
                runtime.note = Some(format!(
                    "device = \"auto\": the models run on the CPU ({})",
                    first_line(&problem)
                ));
            }
        }
        Ok(runtime)
    }

    /// The provider that sessions use.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// On what device models run, and by which build of ONNX Runtime: what the last decimals of their answers
    /// depend on.
    pub fn description(&self) -> String {
        let device = match self.provider {
            Provider::Cpu => "CPU",
            Provider::Cuda => "CUDA",
        };
        // `ORT Build Info: git-branch=rel-1.32.0, git-commit-id=…, build type=…, …`
        let said = |key: &str| {
            let mut parts = ort::info().split(&[',', ':'][..]).map(str::trim);
            parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
        };
        let build: Vec<&str> =
            ["git-branch", "git-commit-id"].into_iter().filter_map(said).collect();
        format!("{device}, ONNX Runtime {}", build.join(" "))
    }

    /// Why `auto` chose the CPU, to be said once.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Opens a model with its own `threads` (at least one); `named` is how errors call its file.
    ///
    /// # Errors
    /// Where ONNX Runtime refuses the file.
    pub fn session(&self, graph: &Path, named: &Path, threads: usize) -> Result<Session, Error> {
        self.builder(threads)
            .and_then(|mut builder| builder.commit_from_file(graph))
            .map_err(|source| Error::Open { graph: named.to_owned(), source })
    }

    /// Opens a model that is in memory, and whose weights are in files beside `graph`.
    ///
    /// # Errors
    /// Where ONNX Runtime refuses the model.
    pub fn session_from_memory(
        &self,
        model: &[u8],
        graph: &Path,
        threads: usize,
    ) -> Result<Session, Error> {
        let folder = graph.parent().unwrap_or(graph).display().to_string();
        self.builder(threads)
            .and_then(|builder| {
                builder.with_config_entry(WEIGHTS_FOLDER, folder).map_err(Into::into)
            })
            .and_then(|mut builder| builder.commit_from_memory(model))
            .map_err(|source| Error::Open { graph: graph.to_owned(), source })
    }

    fn builder(&self, threads: usize) -> ort::Result<SessionBuilder> {
        Ok(Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            // Every batch has its own shape; remembered patterns would only cost memory.
            .with_memory_pattern(false)?
            // What fails is returned as an error: its own lines on stderr would say it twice.
            .with_log_level(LogLevel::Fatal)?
            .with_execution_providers([self.provider.dispatch()])?)
    }

    /// Whether products of integers are what they should be: without instructions for them, some
    /// processors keep sums in 16 bits, which are too few.
    ///
    /// # Errors
    /// Where ONNX Runtime cannot multiply integers.
    pub fn multiplies_integers(&self) -> ort::Result<bool> {
        let mut session = self.builder(1)?.commit_from_memory(&probe::integer_model())?;
        let most = Tensor::from_array(([1, probe::INTEGERS], vec![255.0_f32; probe::INTEGERS]))?;
        let outputs = session.run(ort::inputs!["x" => most])?;
        let (_, products) = outputs["y"].try_extract_tensor::<f32>()?;
        Ok(products.iter().all(|product| *product == probe::PRODUCT))
    }

    /// Opens a one-node model on the GPU: that CUDA was compiled in says nothing about a driver.
    fn try_cuda(&self) -> Result<(), String> {
        let try_it = || -> ort::Result<()> {
            Session::builder(&self.environment)?
                .with_execution_providers([Provider::Cuda.dispatch()])?
                .commit_from_memory(&probe::smallest_model())?
                .run(ort::inputs!["x" => Tensor::from_array(([1_usize], vec![1.0_f32]))?])?;
            Ok(())
        };
        try_it().map_err(|e| e.to_string())
    }
}

impl Provider {
    fn dispatch(self) -> ExecutionProviderDispatch {
        match self {
            // Without its arena every tensor is allocated anew.
            Self::Cpu => CPU::default().with_arena_allocator(true).build(),
            // fp32 means fp32: TF32 would keep ten bits of each factor.
            Self::Cuda => CUDA::default().with_tf32(false).build().error_on_failure(),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}
