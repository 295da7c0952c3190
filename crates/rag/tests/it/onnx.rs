//! Sentence encoders by ONNX Runtime.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pumasi_core::conformance::skip;
use pumasi_core::model::Embedder;
use pumasi_rag::ErrorKind;
use pumasi_rag::embed::{LocalEmbedder, OnnxEmbedder, OnnxRuntime};

use crate::encoder::{cosine, minilm, reference};

/// The library that `scripts/onnxruntime` fetched.
fn library(test: &str) -> Option<PathBuf> {
    let given = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let file = given.or_else(|| Some(cache?.join("pumasi/onnxruntime/libonnxruntime.so")))?;
    let there = file.is_file();
    if !there {
        skip(test, "needs the library of ONNX Runtime, which scripts/onnxruntime fetches");
    }
    there.then_some(file)
}

/// The folder of all-MiniLM-L6-v2 with its ONNX file, which `scripts/minilm --onnx` fetched, and the runtime.
fn model(test: &str) -> Option<(OnnxRuntime, PathBuf)> {
    let (library, folder) = (library(test)?, minilm(test)?);
    if !folder.join("model.onnx").is_file() {
        skip(test, "needs the ONNX file of all-MiniLM-L6-v2, which scripts/minilm --onnx fetches");
        return None;
    }
    Some((OnnxRuntime::load(library).unwrap(), folder))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
async fn vectors_are_those_of_the_reference_and_of_the_encoder_on_candle() {
    let Some((runtime, folder)) = model("vectors by ONNX Runtime") else { return };
    let onnx = OnnxEmbedder::load(&runtime, &folder).unwrap();
    let candle = LocalEmbedder::load(&folder).unwrap();
    assert_eq!((onnx.dimensions(), onnx.max_tokens()), (candle.dimensions(), candle.max_tokens()));
    assert!(onnx.name().starts_with("onnx-bert-6x384@"), "{}", onnx.name());
    let (texts, numbers) = reference();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = onnx.embed(&texts).await.unwrap();
    let to_reference = vectors.iter().zip(numbers.chunks(384)).map(|(ours, theirs)| cosine(ours, theirs));
    let to_reference = to_reference.fold(1.0, f64::min);
    // without the compiler's help candle takes a second a text
    let step = if cfg!(debug_assertions) { 12 } else { 1 };
    let some: Vec<&str> = texts.iter().copied().step_by(step).collect();
    let candles = candle.embed(&some).await.unwrap();
    let to_candle = vectors.iter().step_by(step).zip(&candles).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
    println!(
        "{} texts, cosine to the reference at least {to_reference:.8}, to candle {to_candle:.8}",
        texts.len()
    );
    assert!(texts.len() >= 120 && to_reference >= 0.99999 && to_candle >= 0.99999);
    for (text, vector) in texts.iter().zip(&vectors).step_by(17) {
        let alone = onnx.embed(&[text]).await.unwrap();
        let far = alone[0].iter().zip(vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-5, "padding counts: {far}");
    }
    let prefixed = onnx.clone().with_prefixes("passage: ", "query: ");
    assert_ne!(prefixed.name(), onnx.name());
    let queries = prefixed.for_queries();
    let near =
        cosine(&queries.embed(&["knee"]).await.unwrap()[0], &onnx.embed(&["query: knee"]).await.unwrap()[0]);
    assert!(near > 0.999_999_9, "{near}");
    assert!(onnx.embed(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_stops() {
    let Some((runtime, folder)) = model("a dropped call of ONNX Runtime") else { return };
    let onnx = OnnxEmbedder::load(&runtime, &folder).unwrap();
    let text = "How long should my knee rest? ".repeat(20);
    let many = vec![text.as_str(); 2_000];
    tokio::time::timeout(Duration::from_millis(300), onnx.embed(&many)).await.unwrap_err();
    let started = Instant::now();
    onnx.embed(&["a"]).await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "the call goes on: {took:?}");
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let Some((runtime, minilm)) = model("folders without an ONNX file") else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let load = || OnnxEmbedder::load(&runtime, place).unwrap_err();
    assert_eq!(load().kind(), ErrorKind::NotFound);
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(minilm.join(file), place.join(file)).unwrap();
    }
    let error = load();
    assert!(
        error.kind() == ErrorKind::NotFound && error.to_string().contains("model.onnx is not there"),
        "{error}"
    );
    for bytes in [b"".as_slice(), b"no graph", &std::fs::read(minilm.join("model.onnx")).unwrap()[..200_000]]
    {
        std::fs::write(place.join("model.onnx"), bytes).unwrap();
        let error = load();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("model.onnx cannot be used"), "{error}");
    }
    // a model of another width than the settings say
    let config = std::fs::read_to_string(place.join("config.json")).unwrap();
    std::fs::remove_file(place.join("model.onnx")).unwrap();
    std::fs::create_dir(place.join("onnx")).unwrap();
    std::fs::copy(minilm.join("model.onnx"), place.join("onnx/model.onnx")).unwrap();
    assert!(OnnxEmbedder::load(&runtime, place).is_ok(), "in a folder of its own");
    std::fs::write(place.join("config.json"), config.replace("384", "768")).unwrap();
    let error = load();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("768"), "{error}");
}

/// Runs in a process of its own, since a process can load one library.
#[test]
#[expect(clippy::print_stdout, reason = "what the other process reads")]
fn child_that_loads_libraries() {
    let Some(paths) = std::env::var_os("PUMASI_TEST_LIBRARIES") else { return };
    for path in std::env::split_paths(&paths) {
        let loaded =
            if path.as_os_str().is_empty() { OnnxRuntime::from_env() } else { OnnxRuntime::load(path) };
        match loaded {
            Ok(runtime) => println!("said: loaded {runtime:?}"),
            Err(error) => println!("said: {:?}: {error}", error.kind()),
        }
    }
}

/// Loads libraries one after another in another process, which has to end by itself, and returns what it said of each.
fn loading(paths: &[&Path]) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "onnx::child_that_loads_libraries", "--nocapture"])
        .env("PUMASI_TEST_LIBRARIES", std::env::join_paths(paths).unwrap())
        .env_remove("ORT_DYLIB_PATH")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    if child.try_wait().unwrap().is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed.lines().filter_map(|line| line.split_once("said: ").map(|(_, said)| said.to_owned())).collect()
}

#[test]
fn a_library_that_is_missing_or_none_is_an_error_and_another_one_can_be_loaded_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("text.so"), "no library").unwrap();
    let missing = place("missing.so");
    let mut cases = vec![PathBuf::new(), missing.clone(), folder.path().to_owned(), place("text.so")];
    let other = that_says(folder.path(), "other", "");
    cases.extend(other.clone());
    let said = loading(&cases.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(said.len(), cases.len(), "{said:?}");
    assert!(said[0].starts_with("NotFound") && said[0].contains("ORT_DYLIB_PATH"), "{said:?}");
    assert!(said[1].starts_with("NotFound") && said[1].contains("missing.so is not there"), "{said:?}");
    for said in &said[2..4] {
        assert!(said.starts_with("Unsupported") && said.contains("cannot be loaded as a library"), "{said}");
    }
    assert!(
        said[4..]
            .iter()
            .all(|said| said.starts_with("InvalidInput") && said.contains("is no library of ONNX"))
    );
    let Some(library) = library("a library after one that was none") else { return };
    let said = loading(&[&missing, &place("text.so"), &library, &library, &missing]);
    assert!(
        said[2].starts_with("loaded") && said[3] == said[2] && said[4].starts_with("NotFound"),
        "{said:?}"
    );
}

/// Compiles a library; by the code of [`only`], one of ONNX Runtime that only says which version it is.
fn that_says(folder: &Path, name: &str, code: &str) -> Option<PathBuf> {
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&source, code).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        skip("libraries of a wrong version, or of something else", "needs a C compiler");
        return None;
    }
    Some(library)
}

fn only(version: &str) -> String {
    format!(
        r#"static const char *version(void) {{ return "{version}"; }}
           static const void *api(unsigned number) {{ (void)number; return 0; }}
           static const struct {{ const void *(*api)(unsigned); const char *(*version)(void); }} base = {{ api, version }};
           const void *OrtGetApiBase(void) {{ return &base; }}"#
    )
}

#[test]
fn a_library_of_a_wrong_version_or_that_does_not_start_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(old) = that_says(folder.path(), "old", &only("1.10.2")) else { return };
    let Some(empty) = that_says(folder.path(), "empty", &only("1.99.0")) else { return };
    let said = loading(&[&old, &old, &empty, &empty, &old]);
    for said in &said[..2] {
        assert!(said.starts_with("Unsupported") && said.contains("is version 1.10.2 of"), "{said:?}");
    }
    for said in &said[2..4] {
        assert!(said.starts_with("Unsupported") && said.contains("does not start"), "{said:?}");
    }
    assert!(said[4].starts_with("Unsupported") && said[4].contains("has loaded"), "{said:?}");
    let Some(library) = library("a library after one of a wrong version") else { return };
    let said = loading(&[&old, &library]);
    assert!(said[1].starts_with("loaded"), "{said:?}");
}
