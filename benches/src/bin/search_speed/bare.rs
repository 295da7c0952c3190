//! Tantivy as somebody would use it who needs the same fields, and nothing of ours.

use std::path::Path;
use std::sync::OnceLock;

use pumasi_core::text::{Analyzer, TokenKind};
use serde_json::Value;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, Schema, TextFieldIndexing, TextOptions,
    Value as _,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, Order, ReloadPolicy, TantivyDocument, Term};

use crate::{Failed, corpus};

/// A text's terms and their places, function words left out.
pub(crate) fn terms(text: &str) -> Vec<(String, u32)> {
    static ANALYZER: OnceLock<Analyzer> = OnceLock::new();
    let mut terms = Vec::with_capacity(text.len() / 4);
    ANALYZER.get_or_init(Analyzer::default).for_each(text, |token| {
        if token.kind != TokenKind::Stop {
            terms.push((token.text.to_owned(), token.position));
        }
    });
    terms
}

pub(crate) struct Bare {
    id: Field,
    version: Field,
    source: Field,
    text: Field,
    category: Field,
    likes: Field,
    north: Field,
    east: Field,
    cell: Field,
    reader: IndexReader,
    writer: IndexWriter,
}

impl Bare {
    pub(crate) fn create(folder: &Path, memory: usize) -> Result<Self, Failed> {
        let mut schema = Schema::builder();
        let keyword = || {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic);
            TextOptions::default().set_indexing_options(indexing).set_fast("raw")
        };
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let id = schema.add_text_field("id", keyword().set_stored());
        let version = schema.add_u64_field("version", FAST);
        let source = schema.add_text_field("source", STORED);
        let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let category = schema.add_text_field("category", keyword());
        let likes = schema.add_i64_field("likes", NumericOptions::default().set_fast());
        let north = schema.add_f64_field("north", FAST);
        let east = schema.add_f64_field("east", FAST);
        let cell = schema.add_u64_field("cell", INDEXED);
        let index = Index::create_in_dir(folder, schema.build())?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let writer = index.writer_with_num_threads(1, memory)?;
        Ok(Self { id, version, source, text, category, likes, north, east, cell, reader, writer })
    }

    /// Makes documents ready for the index.
    pub(crate) fn prepare(&self, documents: &[Value], from: usize) -> Vec<TantivyDocument> {
        let prepare = |(number, document): (usize, &Value)| {
            let mut out = TantivyDocument::default();
            out.add_text(self.id, corpus::id(from + number));
            out.add_u64(self.version, 1);
            out.add_text(self.source, serde_json::to_string(document).unwrap_or_default());
            let token = |(text, position): (String, u32)| Token {
                offset_from: 0,
                offset_to: 0,
                position: position as usize,
                text,
                position_length: 1,
            };
            let tokens = terms(corpus::body(document)).into_iter().map(token).collect();
            out.add_pre_tokenized_text(self.text, PreTokenizedString { text: String::new(), tokens });
            out.add_text(self.category, document["category"].as_str().unwrap_or_default());
            out.add_i64(self.likes, document["likes"].as_i64().unwrap_or_default());
            let (north, east) = (&document["place"]["lat"], &document["place"]["lon"]);
            let (north, east) = (north.as_f64().unwrap_or_default(), east.as_f64().unwrap_or_default());
            out.add_f64(self.north, north);
            out.add_f64(self.east, east);
            out.add_u64(self.cell, ((north + 90.0) / 0.02) as u64 * 18_000 + ((east + 180.0) / 0.02) as u64);
            out
        };
        documents.iter().enumerate().map(prepare).collect()
    }

    pub(crate) fn add(&mut self, documents: Vec<TantivyDocument>) -> Result<(), Failed> {
        for document in documents {
            self.writer.add_document(document)?;
        }
        self.writer.commit()?;
        self.reader.reload()?;
        Ok(())
    }

    /// Finds documents with one of the terms, and reads them.
    pub(crate) fn search(
        &self,
        terms: &[(String, u32)],
        limit: usize,
        by_likes: bool,
    ) -> Result<Vec<(String, Value)>, Failed> {
        let searcher = self.reader.searcher();
        let look = |(text, _): &(String, u32)| -> (Occur, Box<dyn Query>) {
            let term = Term::from_field_text(self.text, text);
            (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)))
        };
        let query = BooleanQuery::new(terms.iter().map(look).collect());
        let top = TopDocs::with_limit(limit);
        let found: Vec<DocAddress> = if by_likes {
            let top = top.order_by_fast_field::<i64>("likes", Order::Desc);
            searcher.search(&query, &top)?.into_iter().map(|(_, address)| address).collect()
        } else {
            searcher.search(&query, &top.order_by_score())?.into_iter().map(|(_, address)| address).collect()
        };
        found
            .into_iter()
            .map(|address| {
                let document: TantivyDocument = searcher.doc(address)?;
                let text =
                    |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default();
                Ok((text(self.id).to_owned(), serde_json::from_str(text(self.source))?))
            })
            .collect()
    }
}
