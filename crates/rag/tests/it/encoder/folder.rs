//! Folders of tiny weights.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const HIDDEN: usize = 8;
pub(crate) const HEADS: usize = 2;
pub(crate) const LAYERS: usize = 2;
pub(crate) const INTERMEDIATE: usize = 12;
/// The words of the tokenizer; those before `a` are special.
pub(crate) const WORDS: [&str; 9] = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "달리기", "무릎"];

/// A model that fits on a page.
#[derive(Clone)]
pub(crate) struct Tiny {
    pub(crate) roberta: bool,
    seed: u32,
    old_names: bool,
    /// How many labels its classification head has, if it has one.
    labels: Option<usize>,
    number: Option<f32>,
    changed: BTreeMap<&'static str, Option<Vec<u8>>>,
}

impl Tiny {
    pub(crate) fn bert() -> Self {
        Self {
            roberta: false,
            seed: 1,
            old_names: false,
            labels: None,
            number: None,
            changed: BTreeMap::new(),
        }
    }

    /// Pools by the first token, and names its tensors with a prefix.
    pub(crate) fn xlm_roberta() -> Self {
        Self { roberta: true, ..Self::bert() }
    }

    pub(crate) fn with_seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }

    /// Names as the first checkpoints of BERT have them.
    pub(crate) fn with_old_names(mut self) -> Self {
        self.old_names = true;
        self
    }

    /// Has a classification head, as cross-encoders do.
    pub(crate) fn with_head(mut self, labels: usize) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Makes all weights this number.
    pub(crate) fn with_number(mut self, number: f32) -> Self {
        self.number = Some(number);
        self
    }

    pub(crate) fn with(self, file: &'static str, value: &Value) -> Self {
        self.with_bytes(file, value.to_string().into_bytes())
    }

    pub(crate) fn with_bytes(mut self, file: &'static str, bytes: Vec<u8>) -> Self {
        self.changed.insert(file, Some(bytes));
        self
    }

    pub(crate) fn without(mut self, file: &'static str) -> Self {
        self.changed.insert(file, None);
        self
    }

    fn positions(&self) -> usize {
        if self.roberta { 18 } else { 16 }
    }

    fn types(&self) -> usize {
        if self.roberta { 1 } else { 2 }
    }

    pub(crate) fn config(&self) -> Value {
        json!({
            "model_type": if self.roberta { "xlm-roberta" } else { "bert" }, "hidden_act": "gelu",
            "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
            "intermediate_size": INTERMEDIATE, "vocab_size": WORDS.len(), "layer_norm_eps": 1e-5,
            "max_position_embeddings": self.positions(), "type_vocab_size": self.types(), "pad_token_id": 1,
        })
    }

    pub(crate) fn tokenizer(&self) -> Value {
        let vocabulary: BTreeMap<&str, usize> = WORDS.iter().copied().zip(0..).collect();
        let special = |id: usize| {
            json!({"id": id, "content": WORDS[id], "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        };
        let piece_of = |id: usize, text: usize| json!({"SpecialToken": {"id": WORDS[id], "type_id": text}});
        let piece = |id: usize| piece_of(id, 0);
        let known = |id: usize| json!({"id": WORDS[id], "ids": [id], "tokens": [WORDS[id]]});
        let single = json!([piece(0), {"Sequence": {"id": "A", "type_id": 0}}, piece(2)]);
        let mut pair = vec![piece(0), json!({"Sequence": {"id": "A", "type_id": 0}}), piece(2)];
        if self.roberta {
            pair.push(piece(2));
        }
        pair.extend([json!({"Sequence": {"id": "B", "type_id": 1}}), piece_of(2, 1)]);
        json!({
            "version": "1.0",
            "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": null,
                        "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"},
            "added_tokens": [special(0), special(1), special(2), special(3)],
            "normalizer": null,
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {
                "type": "TemplateProcessing", "single": single, "pair": pair,
                "special_tokens": {"<s>": known(0), "</s>": known(2)},
            },
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
        })
    }

    /// The tensors by the names that they have here, and their shapes.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = vec![
            ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), HIDDEN]),
            ("embeddings.position_embeddings.weight".to_owned(), vec![self.positions(), HIDDEN]),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![self.types(), HIDDEN]),
        ];
        let norm = |shapes: &mut Vec<(String, Vec<usize>)>, name: String| {
            shapes.push((format!("{name}.weight"), vec![HIDDEN]));
            shapes.push((format!("{name}.bias"), vec![HIDDEN]));
        };
        let linear = |shapes: &mut Vec<(String, Vec<usize>)>, name: String, input: usize, output: usize| {
            shapes.push((format!("{name}.weight"), vec![output, input]));
            shapes.push((format!("{name}.bias"), vec![output]));
        };
        norm(&mut shapes, "embeddings.LayerNorm".to_owned());
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["query", "key", "value"] {
                linear(&mut shapes, name(&format!("attention.self.{part}")), HIDDEN, HIDDEN);
            }
            linear(&mut shapes, name("attention.output.dense"), HIDDEN, HIDDEN);
            norm(&mut shapes, name("attention.output.LayerNorm"));
            linear(&mut shapes, name("intermediate.dense"), HIDDEN, INTERMEDIATE);
            linear(&mut shapes, name("output.dense"), INTERMEDIATE, HIDDEN);
            norm(&mut shapes, name("output.LayerNorm"));
        }
        if let Some(labels) = self.labels {
            let (dense, out) = if self.roberta {
                ("classifier.dense", "classifier.out_proj")
            } else {
                ("pooler.dense", "classifier")
            };
            linear(&mut shapes, dense.to_owned(), HIDDEN, HIDDEN);
            linear(&mut shapes, out.to_owned(), HIDDEN, labels);
        }
        shapes
    }

    /// All numbers by tensor.
    pub(crate) fn tensors(&self) -> BTreeMap<String, Vec<f32>> {
        let mut random = self.seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            f32::from((random >> 16) as u16) / 32_768.0 - 1.0
        };
        let mut numbers = |(name, shape): (String, Vec<usize>)| {
            let all = (0..shape.iter().product()).map(|_| self.number.unwrap_or_else(&mut next)).collect();
            (name, all)
        };
        self.shapes().into_iter().map(&mut numbers).collect()
    }

    /// The file of weights.
    pub(crate) fn weights(&self) -> Vec<u8> {
        let (tensors, mut header, mut data) = (self.tensors(), serde_json::Map::new(), Vec::new());
        for (name, shape) in self.shapes() {
            let start = data.len();
            data.extend(tensors[&name].iter().flat_map(|number| number.to_le_bytes()));
            let prefix = match (self.roberta, self.labels) {
                _ if name.starts_with("classifier") => "",
                (true, _) => "roberta.",
                (false, Some(_)) => "bert.",
                (false, None) => "",
            };
            let mut name = format!("{prefix}{name}");
            if self.old_names {
                name = name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta");
            }
            header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        }
        let header = Value::Object(header).to_string();
        let length = u64::try_from(header.len()).unwrap().to_le_bytes();
        [length.as_slice(), header.as_bytes(), &data].concat()
    }

    /// Writes the folder.
    pub(crate) fn write(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let pooling = if self.roberta { "pooling_mode_cls_token" } else { "pooling_mode_mean_tokens" };
        let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
            ("config.json", self.config().to_string().into_bytes()),
            ("tokenizer.json", self.tokenizer().to_string().into_bytes()),
            ("tokenizer_config.json", json!({"model_max_length": 1e30}).to_string().into_bytes()),
            ("model.safetensors", self.weights()),
            (
                "modules.json",
                json!([
                    {"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
                ])
                .to_string()
                .into_bytes(),
            ),
            ("1_Pooling/config.json", json!({pooling: true}).to_string().into_bytes()),
        ]);
        for (file, bytes) in &self.changed {
            match bytes {
                Some(bytes) => files.insert(file, bytes.clone()),
                None => files.remove(file),
            };
        }
        for (file, bytes) in files {
            let place = folder.path().join(file);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, bytes).unwrap();
        }
        folder
    }
}
