//! ONNX Runtime's library, which is loaded while the program runs.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::{Error, ErrorKind, Result};

/// Where the library is, unless a path is given.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// What became of the one library that a process can load.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    path: PathBuf,
    /// None where the library was loaded and does not start.
    environment: Option<Environment>,
}

/// ONNX Runtime, loaded from its shared library.
///
/// Nothing of it is built or fetched: the library comes from the system's packages, the project's releases, or the wheel `onnxruntime` of the
/// Python registry (`scripts/onnxruntime` in the repository). It has to be of version 1.17 or newer.
///
/// A process has one such library, for as long as it runs: the first that could be loaded. Loading the same again gives the same.
#[derive(Clone)]
pub struct OnnxRuntime {
    path: PathBuf,
    pub(super) environment: Environment,
}

impl OnnxRuntime {
    /// Loads the library that the environment variable `ORT_DYLIB_PATH` names.
    ///
    /// # Errors
    ///
    /// `NotFound` where the variable is not set; those of [`load`](Self::load).
    pub fn from_env() -> Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(path) if !path.is_empty() => Self::load(Path::new(&path)),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                format!("{VARIABLE} does not say where ONNX Runtime's library is"),
            )),
        }
    }

    /// Loads a library. It blocks for some tenths of a second, the first time.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file that is missing, `Storage` for one that cannot be looked at, `InvalidInput` for a library of something else,
    /// `Unsupported` for a version before 1.17, for a file that this system cannot load as a library, for one that does not start,
    /// and where the process has loaded another one.
    pub fn load(library: impl AsRef<Path>) -> Result<Self> {
        let path = there(library.as_ref())?;
        let unsupported =
            |why: fmt::Arguments<'_>| Error::new(ErrorKind::Unsupported, format!("{} {why}", path.display()));
        let broken = || unsupported(format_args!("does not start"));
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Loaded { path: before, environment }) = &*loaded {
            if *before != path {
                let before = before.display();
                return Err(unsupported(format_args!("cannot be loaded: this process has loaded {before}")));
            }
            let environment = environment.clone().ok_or_else(broken)?;
            return Ok(Self { path, environment });
        }
        let builder = ort::init_from(&path).map_err(|error| match &error {
            LoadDynamicError::BadVersion { version_str, .. } => {
                let least = ort::MINOR_VERSION;
                unsupported(format_args!(
                    "is version {version_str} of ONNX Runtime; 1.{least} or newer is needed"
                ))
            }
            LoadDynamicError::MissingApi { .. } => Error::new(
                ErrorKind::InvalidInput,
                format!("{} is no library of ONNX Runtime", path.display()),
            ),
            LoadDynamicError::InvalidVersionString => {
                unsupported(format_args!("does not say which version of ONNX Runtime it is"))
            }
            LoadDynamicError::Dlopen { .. } => {
                unsupported(format_args!("cannot be loaded as a library")).with_source(error)
            }
        })?;
        // the binding asserts that the library has the functions of its version
        let build = AssertUnwindSafe(|| builder.with_name("pumasi").with_telemetry(false).build());
        let built = catch_unwind(build).map_err(|_| broken());
        let built = built.and_then(|built| built.map_err(|error| broken().with_source(error)));
        let environment = built.as_ref().ok().cloned();
        *loaded = Some(Loaded { path: path.clone(), environment });
        built.map(|environment| Self { path, environment })
    }
}

/// Returns the whole path of a file that has to be there.
fn there(file: &Path) -> Result<PathBuf> {
    file.canonicalize().map_err(|error| {
        let (kind, what) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "is not there"),
            _ => (ErrorKind::Storage, "cannot be looked at"),
        };
        Error::new(kind, format!("{} {what}", file.display())).with_source(error)
    })
}

impl fmt::Debug for OnnxRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxRuntime").field("path", &self.path).finish_non_exhaustive()
    }
}
