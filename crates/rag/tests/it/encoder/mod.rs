//! Sentence encoders from a folder of weights.

mod cross;
mod folder;
mod naive;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::conformance::model::EmbedderHarness;
use pumasi_core::conformance::skip;
use pumasi_core::embedder_laws;
use pumasi_core::model::Embedder;
use pumasi_rag::chunk::{Chunker, CountTokens, readable};
use pumasi_rag::embed::LocalEmbedder;
use pumasi_rag::retrieve::Gate;
use pumasi_rag::{ErrorKind, StructureChunker};
use serde_json::json;

use self::folder::Tiny;

/// The weights of all-MiniLM-L6-v2 that `scripts/minilm` fetched.
pub(crate) fn minilm(test: &str) -> Option<PathBuf> {
    let given = std::env::var_os("PUMASI_MINILM").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = given.or_else(|| Some(cache?.join("pumasi/minilm")))?;
    let there = folder.join("model.safetensors").is_file();
    if !there {
        skip(test, "needs the weights of all-MiniLM-L6-v2, which scripts/minilm fetches");
    }
    there.then_some(folder)
}

struct Local(tempfile::TempDir);

#[async_trait]
impl EmbedderHarness for Local {
    async fn open(&self) -> Arc<dyn Embedder> {
        Arc::new(LocalEmbedder::load(self.0.path()).unwrap())
    }
}

embedder_laws!(bert, Local(Tiny::bert().write()));
embedder_laws!(xlm_roberta, Local(Tiny::xlm_roberta().write()));

pub(crate) fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

/// Texts, and the vectors that Python's ONNX Runtime makes of them, one after another.
pub(crate) fn reference() -> (Vec<String>, Vec<f32>) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoder");
    let lines = std::fs::read_to_string(place.join("texts.jsonl")).unwrap();
    let texts = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers = std::fs::read(place.join("reference.i16")).unwrap();
    let numbers = numbers.as_chunks::<2>().0.iter().map(|two| f32::from(i16::from_le_bytes(*two)));
    (texts, numbers.collect())
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
async fn vectors_are_those_of_the_reference_in_english_and_korean() {
    let Some(folder) = minilm("vectors of the reference") else { return };
    let embedder = LocalEmbedder::load(folder).unwrap();
    assert_eq!((embedder.dimensions(), embedder.max_tokens()), (384, 254));
    assert!(embedder.name().starts_with("bert-6x384@"), "{}", embedder.name());
    let (texts, numbers) = reference();
    // without the compiler's help a text takes a second
    let is_slow = cfg!(debug_assertions) && std::env::var_os("PUMASI_FAULT_FULL").is_none();
    let step = if is_slow { 6 } else { 1 };
    let (texts, numbers): (Vec<&str>, Vec<&[f32]>) =
        texts.iter().map(String::as_str).zip(numbers.chunks(384)).step_by(step).unzip();
    let vectors = embedder.embed(&texts).await.unwrap();
    let cosines: Vec<f64> = vectors.iter().zip(numbers).map(|(ours, theirs)| cosine(ours, theirs)).collect();
    let worst = cosines.iter().copied().fold(1.0, f64::min);
    println!("{} texts, cosine to the reference at least {worst:.8}", cosines.len());
    assert!(cosines.len() >= 120 / step && worst >= 0.99999, "{worst}");
    for (text, vector) in texts.iter().zip(&vectors).step_by(7) {
        let alone = embedder.embed(&[text]).await.unwrap();
        let far = alone[0].iter().zip(vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-5, "{far}");
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-9);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn chunks_are_counted_by_the_encoders_own_tokenizer_and_none_is_cut() {
    let Some(folder) = minilm("chunks counted by the encoder") else { return };
    let embedder = LocalEmbedder::load(folder).unwrap();
    let (tokens, most) = (embedder.tokens(), embedder.max_tokens());
    let chunker = StructureChunker::counting(embedder.tokens()).with_max_tokens(most);
    let (mut chunks, mut longest) = (0, 0);
    for document in crate::knowledge::documents() {
        for section in chunker.chunk(&document).unwrap() {
            for chunk in &section.chunks {
                let count = tokens.count(&readable(&section.context, chunk.of(&document.text)));
                assert!(count <= most, "{count}");
                (chunks, longest) = (chunks + 1, longest.max(count));
            }
        }
    }
    println!("{chunks} chunks, the longest of {longest} tokens; the encoder reads {most}");
    assert!(chunks > 20);

    assert_eq!(tokens.count("How long should my knee rest?"), 7);
    assert_eq!(tokens.count_unknown("달리기 뷁뷁"), 1);
    let gate = Gate::new(tokens);
    assert!(gate.can_read("How long should my knee rest?") && !gate.can_read("무릎은 얼마나 쉬어야 하나요?"));
}

#[tokio::test]
async fn both_families_compute_what_a_naive_reading_of_the_papers_does() {
    for tiny in [Tiny::bert(), Tiny::xlm_roberta(), Tiny::bert().with_old_names()] {
        let folder = tiny.write();
        let embedder = LocalEmbedder::load(folder.path()).unwrap();
        let texts = ["a b c", "c", "", "달리기 무릎 a a a b", "b a 무릎 x 달리기 c c b a", "무릎"];
        let vectors = embedder.embed(&texts).await.unwrap();
        for (text, vector) in texts.iter().zip(&vectors) {
            let exact = naive::embed(&tiny, text);
            let near = cosine(vector, &exact);
            assert!(near > 0.999_999, "{text}: {near}, {}", embedder.name());
        }
    }
}

#[tokio::test]
async fn names_tell_what_vectors_depend_on() {
    let name = |tiny: &Tiny| {
        let folder = tiny.write();
        LocalEmbedder::load(folder.path()).unwrap().name().to_owned()
    };
    let bert = name(&Tiny::bert());
    assert_eq!(bert, name(&Tiny::bert()), "the folder does not matter");
    assert!(bert.starts_with("bert-2x8@"), "{bert}");
    assert_ne!(bert, name(&Tiny::bert().with_seed(2)));
    assert_ne!(
        bert,
        name(&Tiny::bert().with("1_Pooling/config.json", &json!({"pooling_mode_cls_token": true})))
    );

    let folder = Tiny::bert().write();
    let plain = LocalEmbedder::load(folder.path()).unwrap();
    let prefixed = plain.clone().with_prefixes("a a ", "b ");
    let queries = prefixed.for_queries();
    assert_ne!(plain.name(), prefixed.name());
    assert_eq!(prefixed.name(), queries.name());
    assert_eq!(prefixed.embed(&["c"]).await.unwrap(), plain.embed(&["a a c"]).await.unwrap());
    assert_eq!(queries.embed(&["c"]).await.unwrap(), plain.embed(&["b c"]).await.unwrap());
    assert!(prefixed.max_tokens() < plain.max_tokens());
    assert_eq!(plain.clone().with_prefixes("", "").name(), plain.name());
}

#[tokio::test]
async fn long_texts_are_cut_as_the_reference_does_and_counted_before() {
    let folder = Tiny::bert().write();
    let embedder = LocalEmbedder::load(folder.path()).unwrap().with_threads(NonZeroUsize::MIN).unwrap();
    let most = embedder.max_tokens();
    assert_eq!(most, 14, "sixteen positions, and two tokens are added");
    let (fits, long) = ("a b ".repeat(most / 2), "a b ".repeat(4_000));
    assert_eq!(embedder.tokens().count(&fits), most);
    assert_eq!(embedder.embed(&[&fits]).await.unwrap(), embedder.embed(&[&long]).await.unwrap());
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_stops() {
    let folder = Tiny::bert().write();
    let embedder = LocalEmbedder::load(folder.path()).unwrap();
    let text = "a b c 달리기 무릎 ".repeat(4);
    let (few, many) = (vec![text.as_str(); 4_000], vec![text.as_str(); 16_000]);
    let mut measured = Vec::new();
    // A measurement that a busy machine disturbed gets two more chances.
    for _ in 0..3 {
        let started = Instant::now();
        embedder.embed(&few).await.unwrap();
        let whole = started.elapsed();
        tokio::time::timeout(whole / 8, embedder.embed(&many)).await.unwrap_err();
        let started = Instant::now();
        embedder.embed(&["a"]).await.unwrap();
        let left = started.elapsed();
        // what is left of the call is the reading of its texts
        if left < whole * 2 + Duration::from_millis(50) {
            return;
        }
        measured.push((left, whole));
    }
    panic!("the call goes on: {measured:?}");
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    use ErrorKind::{InvalidInput, NotFound, Protocol, Unsupported};
    let good = Tiny::bert;
    let config = |key: &str, value: serde_json::Value| {
        let mut config = good().config();
        config[key] = value;
        good().with("config.json", &config)
    };
    let weights = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let tiny = good();
        let bytes = change(tiny.weights());
        tiny.with_bytes("model.safetensors", bytes)
    };
    let cases: Vec<(Tiny, ErrorKind, &str)> = vec![
        (good().without("config.json"), NotFound, "config.json is not there"),
        (good().without("tokenizer.json"), NotFound, "tokenizer.json is not there"),
        (good().without("model.safetensors"), NotFound, "model.safetensors is not there"),
        (good().without("1_Pooling/config.json"), NotFound, "config.json is not there"),
        (good().with_bytes("config.json", b"{".to_vec()), InvalidInput, "config.json cannot be used"),
        (good().with_bytes("tokenizer.json", b"{}".to_vec()), InvalidInput, "tokenizer.json cannot be used"),
        (
            good().with_bytes("model.safetensors", Vec::new()),
            InvalidInput,
            "model.safetensors cannot be used",
        ),
        (
            weights(&|bytes| bytes[..bytes.len() / 2].to_vec()),
            InvalidInput,
            "model.safetensors cannot be used",
        ),
        (
            weights(&|bytes| bytes[..bytes.len() - 1].to_vec()),
            InvalidInput,
            "model.safetensors cannot be used",
        ),
        (weights(&|bytes| bytes[1..].to_vec()), InvalidInput, "model.safetensors cannot be used"),
        (weights(&|bytes| vec![0xFF; bytes.len()]), InvalidInput, "model.safetensors cannot be used"),
        (config("hidden_size", json!(16)), InvalidInput, "where config.json says"),
        (config("vocab_size", json!(7)), InvalidInput, "more tokens than the model"),
        (config("vocab_size", json!(1_u64 << 60)), InvalidInput, "where config.json says"),
        (config("num_hidden_layers", json!(3)), InvalidInput, "no tensor"),
        (config("num_attention_heads", json!(3)), InvalidInput, "no multiple"),
        (config("num_attention_heads", json!(0)), InvalidInput, "no multiple"),
        (config("max_position_embeddings", json!(2)), InvalidInput, "no room for a token"),
        (config("model_type", json!("t5")), Unsupported, "`t5`"),
        (config("hidden_act", json!("swiglu")), Unsupported, "`swiglu`"),
        (config("position_embedding_type", json!("relative_key")), Unsupported, "absolute"),
        (
            good().with("1_Pooling/config.json", &json!({"pooling_mode_max_tokens": true})),
            Unsupported,
            "pooling by max_tokens",
        ),
        (
            good().with("modules.json", &json!([{"path": "../..", "type": "a.Transformer"}])),
            InvalidInput,
            "outside the folder",
        ),
        (
            good().with(
                "modules.json",
                &json!([{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]),
            ),
            Unsupported,
            "`Dense`",
        ),
        (good().with_number(f32::NAN), Protocol, "without a direction"),
        (good().with_number(0.0), Protocol, "without a direction"),
    ];
    for (tiny, kind, says) in cases {
        let folder = tiny.write();
        let error = LocalEmbedder::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}, not {says}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn damaged_files_are_refused_or_read_and_never_panic() {
    let cases =
        std::env::var("PUMASI_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400_u32);
    let mut random = crate::mutate::Random::new(1);
    let (mut refused, mut loaded) = (std::collections::BTreeMap::<String, u32>::new(), 0);
    let tiny = Tiny::bert();
    let files =
        ["config.json", "tokenizer.json", "model.safetensors", "modules.json", "1_Pooling/config.json"];
    let folder = tiny.write();
    for _ in 0..cases.min(20_000) {
        let file = folder.path().join(files[random.below(files.len())]);
        let whole = std::fs::read(&file).unwrap();
        // the rest of the weights are numbers, of which any will do
        let (mut bytes, rest) = (whole[..whole.len().min(900)].to_vec(), &whole[whole.len().min(900)..]);
        random.damage(&mut bytes, b"{}[]\":,0919-e");
        if random.below(4) > 0 {
            bytes.extend(rest);
        }
        std::fs::write(&file, &bytes).unwrap();
        match LocalEmbedder::load(folder.path()) {
            Ok(_) => loaded += 1,
            Err(error) => *refused.entry(error.kind().to_string()).or_default() += 1,
        }
        std::fs::write(&file, &whole).unwrap();
    }
    println!("{cases} damaged folders: {loaded} read, refused as {refused:?}");
    assert!(!refused.contains_key("other"));
}
