//! What is stored of a document, read without a detour.

use tantivy::schema::Field;
use tantivy::schema::document::{
    DeserializeError, DocumentDeserialize, DocumentDeserializer, ValueDeserialize, ValueDeserializer,
};

/// The texts that are stored of a document.
pub(super) struct Stored(Vec<(Field, String)>);

struct Text(String);

impl ValueDeserialize for Text {
    fn deserialize<'de, D: ValueDeserializer<'de>>(deserializer: D) -> Result<Self, DeserializeError> {
        deserializer.deserialize_string().map(Self)
    }
}

impl DocumentDeserialize for Stored {
    fn deserialize<'de, D: DocumentDeserializer<'de>>(mut deserializer: D) -> Result<Self, DeserializeError> {
        let mut texts = Vec::with_capacity(2);
        while let Some((field, Text(text))) = deserializer.next_field()? {
            texts.push((field, text));
        }
        Ok(Self(texts))
    }
}

impl Stored {
    /// Returns what is stored of a field; nothing is the empty text.
    pub(super) fn text(&self, field: Field) -> &str {
        self.0.iter().find(|(other, _)| *other == field).map_or("", |(_, text)| text)
    }
}
