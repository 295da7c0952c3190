//! Our schema as a mapping of the cluster, our documents as its documents, and a plan as a query.

use std::collections::BTreeMap;

use pumasi_core::filter::FieldPath;
use pumasi_core::time::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::engine::Change;
use crate::query::{Leaf, Node, Plan};
use crate::schema::{FieldKind, Schema, value_at};
use crate::terms::{Term, terms};

/// Stands where a function word was left out, so that phrases keep their distances.
const BLANK: &str = "_";

/// The most terms that a word with a typo is looked for as.
const EXPANSIONS: u32 = 1_024;

/// Where everything stands.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    columns: BTreeMap<FieldPath, (String, FieldKind)>,
    apart: Vec<(usize, f32)>,
    prefixes: Vec<usize>,
}

impl Layout {
    pub(super) fn new(schema: &Schema) -> Self {
        let columns = schema
            .fields()
            .enumerate()
            .map(|(number, (path, kind))| (path.clone(), (format!("f{number}"), kind)));
        let begun = schema.texts().iter().enumerate().filter(|(_, field)| field.has_prefixes());
        Self {
            columns: columns.collect(),
            apart: schema.apart().map(|(index, field)| (index, field.boost())).collect(),
            prefixes: begun.map(|(index, _)| index).collect(),
        }
    }

    pub(super) fn column(&self, path: &FieldPath) -> Option<(String, FieldKind)> {
        self.columns.get(path).cloned()
    }

    /// Makes the settings and the mapping of an index.
    pub(super) fn index(&self, schema: &Schema, shards: u32, replicas: u32) -> Json {
        let keyword = || json!({"type": "keyword"});
        // terms that are looked up, with how often they occur; and those that follow each other, with their places
        let found = || json!({"type": "text", "analyzer": "whitespace", "index_options": "freqs"});
        let placed = || json!({"type": "text", "analyzer": "whitespace", "index_options": "positions"});
        let mut fields = Map::new();
        for (name, mapping) in [
            ("id", keyword()),
            ("version", json!({"type": "long"})),
            ("at", json!({"type": "long"})),
            ("gone", json!({"type": "boolean"})),
            ("present", json!({"type": "keyword", "doc_values": false})),
            ("source", json!({"type": "keyword", "index": false, "doc_values": false})),
            ("t", found()),
            ("q", placed()),
        ] {
            fields.insert(name.to_owned(), mapping);
        }
        for (index, _) in &self.apart {
            fields.insert(format!("t{index}"), found());
            fields.insert(format!("q{index}"), placed());
        }
        for index in &self.prefixes {
            fields.insert(format!("p{index}"), json!({"type": "keyword", "doc_values": false}));
        }
        for (name, kind) in self.columns.values() {
            let kind = match kind {
                FieldKind::Bool | FieldKind::Int | FieldKind::Time => "long",
                FieldKind::Float => "double",
                FieldKind::Keyword | FieldKind::Keywords => "keyword",
                FieldKind::Place => "geo_point",
            };
            fields.insert(name.clone(), json!({"type": kind}));
            // whether it is missing: sorted by first, since the cluster takes a missing number for the greatest or the least
            fields.insert(format!("{name}m"), json!({"type": "byte", "index": false}));
        }
        json!({
            "settings": {
                "number_of_shards": shards, "number_of_replicas": replicas, "max_result_window": 20_000,
                "refresh_interval": "1s",
            },
            "mappings": {"dynamic": false, "properties": fields, "_meta": {"fingerprint": schema.fingerprint()}},
        })
    }

    /// Makes a change a document of the cluster, with the moment that the index has come to by it; what is deleted leaves one that
    /// nothing finds.
    pub(super) fn document(&self, schema: &Schema, change: &Change, at: Option<Timestamp>) -> Json {
        let mut out = Map::new();
        out.insert("id".to_owned(), change.id().into());
        out.insert("version".to_owned(), change.version().into());
        out.insert("at".to_owned(), at.map(Timestamp::as_micros).into());
        out.insert("gone".to_owned(), change.document().is_none().into());
        let Some(document) = change.document() else { return Json::Object(out) };
        let source = document.source();
        out.insert("source".to_owned(), source.to_string().into());
        let taken = terms(schema, source);
        let (found, placed) = lines(&taken.all);
        out.insert("t".to_owned(), found.into());
        out.insert("q".to_owned(), placed.into());
        for (index, terms) in &taken.apart {
            let (found, placed) = lines(terms);
            out.insert(format!("t{index}"), found.into());
            out.insert(format!("q{index}"), placed.into());
        }
        for (index, words) in taken.prefixes {
            out.insert(format!("p{index}"), words.into());
        }
        let mut present = Vec::new();
        for (path, (name, kind)) in &self.columns {
            let value = value_at(source, path);
            out.insert(format!("{name}m"), u8::from(value.is_none()).into());
            if let Some(value) = value {
                present.push(path.as_str());
                out.insert(name.clone(), stored(*kind, value));
            }
        }
        out.insert("present".to_owned(), present.into());
        Json::Object(out)
    }

    /// What the plan finds, scored; a list of clauses of a `bool` query.
    pub(super) fn plan(&self, plan: &Plan) -> Map<String, Json> {
        let nodes = |nodes: &[Node]| nodes.iter().map(|node| self.node(node)).collect::<Vec<Json>>();
        let mut clauses = Map::new();
        clauses.insert("must".to_owned(), nodes(&plan.must).into());
        clauses.insert("should".to_owned(), nodes(&plan.should).into());
        clauses.insert("must_not".to_owned(), nodes(&plan.must_not).into());
        let least = usize::from(plan.must.is_empty() && !plan.should.is_empty());
        clauses.insert("minimum_should_match".to_owned(), least.into());
        clauses
    }

    fn node(&self, node: &Node) -> Json {
        match node {
            Node::All(nodes) => {
                json!({"bool": {"must": nodes.iter().map(|node| self.node(node)).collect::<Vec<_>>()}})
            }
            Node::Any(nodes) => any(&nodes.iter().map(|node| self.node(node)).collect::<Vec<_>>()),
            Node::Leaf { leaf, field, boost } => {
                let mut ways = vec![self.leaf(leaf, *field, *boost)];
                if field.is_none() && matches!(leaf, Leaf::Term(_) | Leaf::Phrase(_)) {
                    let boosted = self.apart.iter().filter(|(_, own)| *own > 1.0);
                    ways.extend(
                        boosted.map(|(index, own)| self.leaf(leaf, Some(*index), boost * (own - 1.0))),
                    );
                }
                if ways.len() == 1 { ways.swap_remove(0) } else { any(&ways) }
            }
        }
    }

    fn leaf(&self, leaf: &Leaf, place: Option<usize>, boost: f32) -> Json {
        let suffix = place.filter(|index| self.apart.iter().any(|(known, _)| known == index));
        let field = |stem: &str| suffix.map_or_else(|| stem.to_owned(), |index| format!("{stem}{index}"));
        match leaf {
            Leaf::Term(text) => json!({"term": {field("t"): {"value": text, "boost": boost}}}),
            Leaf::Phrase(terms) => {
                let mut line = String::new();
                let mut at = 0;
                for (offset, text) in terms {
                    push(&mut line, &mut at, *offset, text);
                }
                json!({"match_phrase": {field("q"): {"query": line, "boost": boost}}})
            }
            Leaf::Prefix(key) => {
                let name = format!("p{}", place.unwrap_or_default());
                json!({"constant_score": {"filter": {"prefix": {name: {"value": key}}}, "boost": boost}})
            }
            Leaf::Typo(text, distance) => {
                let fuzzy = json!({
                    "value": text, "fuzziness": distance, "max_expansions": EXPANSIONS, "transpositions": true,
                });
                json!({"constant_score": {"filter": {"fuzzy": {field("t"): fuzzy}}, "boost": boost}})
            }
        }
    }
}

fn any(ways: &[Json]) -> Json {
    json!({"bool": {"should": ways, "minimum_should_match": 1}})
}

/// Writes terms for the two fields they are kept in: all of them, and those that follow each other, each at its place.
fn lines(terms: &[Term]) -> (String, String) {
    let found: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
    let mut placed = String::new();
    let mut at = 0;
    for term in terms.iter().filter(|term| term.chained) {
        push(&mut placed, &mut at, term.position, &term.text);
    }
    (found.join(" "), placed)
}

/// Appends a term at its place, with blanks up to it.
fn push(line: &mut String, at: &mut u32, position: u32, text: &str) {
    while *at < position {
        line.push_str(BLANK);
        line.push(' ');
        *at += 1;
    }
    line.push_str(text);
    line.push(' ');
    *at = position.saturating_add(1);
}

fn stored(kind: FieldKind, value: &Json) -> Json {
    match kind {
        FieldKind::Bool => i64::from(value.as_bool().unwrap_or_default()).into(),
        FieldKind::Time => {
            let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            time.map(Timestamp::as_micros).into()
        }
        // the cluster tells -0.0 from 0.0
        FieldKind::Float => value.as_f64().map(|float| if float == 0.0 { 0.0 } else { float }).into(),
        FieldKind::Place => json!({"lat": value.get("lat"), "lon": value.get("lon")}),
        FieldKind::Int | FieldKind::Keyword | FieldKind::Keywords => value.clone(),
    }
}
