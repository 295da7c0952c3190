//! Deserializing a fitted value straight from the plan.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::Aligner;
use super::plan::{Key, NONE, Slot, Value};
use crate::report::Step;

/// Why a type's own `Deserialize` turned a value down: where. What it said may quote the answer and is not kept.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    /// The steps from the value outwards.
    steps: Vec<Step>,
}

impl Refusal {
    pub(crate) fn path(mut self) -> crate::report::Path {
        let mut path = crate::report::Path::root();
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Key(key) => path.push_key(key),
                Step::Index(index) => path.push_index(index),
            }
        }
        path
    }

    #[cold]
    fn inside(mut self, aligner: &Aligner<'_>, key: Key) -> Self {
        match key {
            Key::None => {}
            Key::Index(at) => self.steps.push(Step::Index(at as usize)),
            key => self.steps.push(Step::Key(aligner.step_text(key).to_owned())),
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type turned the value down")
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }
}

/// A value of a plan, to be deserialized.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    aligner: &'a Aligner<'a>,
    slot: Slot,
}

impl<'a> Access<'a> {
    pub(crate) fn new(aligner: &'a Aligner<'a>, slot: Slot) -> Self {
        Self { aligner, slot }
    }

    fn str(&self) -> Option<&'a str> {
        self.aligner.slot_text_ref(&self.slot)
    }
}

impl<'a> Aligner<'a> {
    fn slot_text_ref(&'a self, slot: &Slot) -> Option<&'a str> {
        self.slot_text(slot)
    }
}

macro_rules! json_too {
    ($self:ident, $visitor:ident, $method:ident $(, $arg:expr)*) => {
        if let Value::Json(at) = $self.slot.value {
            return match $self.aligner.plan.json.get(at as usize) {
                Some(value) => value.$method($($arg,)* $visitor).map_err(|_| Refusal::default()),
                None => $visitor.visit_unit(),
            };
        }
    };
}

impl<'de, 'a: 'de> Deserializer<'de> for Access<'a> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        json_too!(self, visitor, deserialize_any);
        match self.slot.value {
            Value::Null | Value::Failed(_) | Value::Json(_) => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Unsigned(value) => visitor.visit_u64(value),
            Value::Signed(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Wide(at) => match self.aligner.plan.wide.get(at as usize).copied().unwrap_or_default() {
                value if value >= 0 => visitor.visit_u128(value.unsigned_abs()),
                value => visitor.visit_i128(value),
            },
            Value::Text | Value::Owned(_) | Value::Label { .. } => {
                visitor.visit_borrowed_str(self.str().unwrap_or(""))
            }
            Value::List { first, len } => {
                visitor.visit_seq(Items { aligner: self.aligner, next: first, left: len as usize })
            }
            Value::Record { first, len } => visitor.visit_map(Fields {
                aligner: self.aligner,
                next: first,
                left: len as usize,
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let null = match self.slot.value {
            Value::Null => true,
            Value::Json(at) => self.aligner.plan.json.get(at as usize).is_none_or(serde_json::Value::is_null),
            _ => false,
        };
        if null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        json_too!(self, visitor, deserialize_enum, name, variants);
        match self.slot.value {
            Value::Record { first, len: 1 } => match self.aligner.plan.slots.get(first as usize) {
                Some(only) => {
                    let variant = self.aligner.step_text(only.key);
                    visitor
                        .visit_enum(Variant { aligner: self.aligner, variant, slot: Some(*only) })
                        .map_err(|refusal| refusal.inside(self.aligner, only.key))
                }
                None => Err(Refusal::default()),
            },
            _ => match self.str() {
                Some(variant) => visitor.visit_enum(Variant { aligner: self.aligner, variant, slot: None }),
                None => Err(Refusal::default()),
            },
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.str() {
            Some(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier
    }
}

struct Items<'a> {
    aligner: &'a Aligner<'a>,
    next: u32,
    left: usize,
}

impl<'de, 'a: 'de> SeqAccess<'de> for Items<'a> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(slot) = self.aligner.plan.slots.get(self.next as usize).filter(|_| self.next != NONE) else {
            return Ok(None);
        };
        self.next = slot.next;
        self.left = self.left.saturating_sub(1);
        let aligner = self.aligner;
        seed.deserialize(Access { aligner, slot: *slot })
            .map(Some)
            .map_err(|refusal| refusal.inside(aligner, slot.key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Fields<'a> {
    aligner: &'a Aligner<'a>,
    next: u32,
    left: usize,
    value: Option<Slot>,
}

impl<'de, 'a: 'de> MapAccess<'de> for Fields<'a> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(slot) = self.aligner.plan.slots.get(self.next as usize).filter(|_| self.next != NONE) else {
            return Ok(None);
        };
        self.next = slot.next;
        self.left = self.left.saturating_sub(1);
        self.value = Some(*slot);
        seed.deserialize(KeyAccess { text: self.aligner.step_text(slot.key) }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some(slot) = self.value.take() else { return Err(Refusal::default()) };
        let aligner = self.aligner;
        seed.deserialize(Access { aligner, slot }).map_err(|refusal| refusal.inside(aligner, slot.key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A key: a text that may have to become a number, as `serde_json` does for maps.
struct KeyAccess<'a> {
    text: &'a str,
}

macro_rules! key_as {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            match self.text.trim().parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.text),
            }
        }
    )*};
}

impl<'de, 'a: 'de> Deserializer<'de> for KeyAccess<'a> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.text)
    }

    key_as! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'a> {
    aligner: &'a Aligner<'a>,
    variant: &'a str,
    slot: Option<Slot>,
}

impl<'de, 'a: 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        let name: StrDeserializer<'a, Refusal> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, 'a: 'de> VariantAccess<'de> for Variant<'a> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.slot {
            None | Some(Slot { value: Value::Null, .. }) => Ok(()),
            Some(_) => Err(Refusal::default()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        match self.slot {
            Some(slot) => seed.deserialize(Access { aligner: self.aligner, slot }),
            None => Err(Refusal::default()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.struct_variant(&[], visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.slot {
            Some(slot) => Access { aligner: self.aligner, slot }.deserialize_any(visitor),
            None => Err(Refusal::default()),
        }
    }
}
