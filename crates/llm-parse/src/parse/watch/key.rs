//! Keys of maps: whether one comes again.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Visitor};

use super::Flags;

/// Takes a key down before it goes to the map.
pub(super) struct KeySeed<'f, 'k, S> {
    pub(super) inner: S,
    pub(super) flags: &'f Flags,
    pub(super) keys: &'k mut HashSet<Box<str>>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, '_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(KeyWatch { inner: deserializer, flags: self.flags, keys: self.keys })
    }
}

struct KeyWatch<'f, 'k, D> {
    inner: D,
    flags: &'f Flags,
    keys: &'k mut HashSet<Box<str>>,
}

macro_rules! keys {
    ($($method:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(KeyVisitor { inner: visitor, flags: self.flags, keys: self.keys })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for KeyWatch<'_, '_, D> {
    type Error = D::Error;

    keys! {
        deserialize_any, deserialize_bool, deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64,
        deserialize_i128, deserialize_u8, deserialize_u16, deserialize_u32, deserialize_u64, deserialize_u128,
        deserialize_f32, deserialize_f64, deserialize_char, deserialize_str, deserialize_string, deserialize_bytes,
        deserialize_byte_buf, deserialize_option, deserialize_unit, deserialize_seq, deserialize_map,
        deserialize_identifier, deserialize_ignored_any,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(
            name,
            KeyVisitor { inner: visitor, flags: self.flags, keys: self.keys },
        )
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // Keys of an enum: too few to matter, and none may repeat without a closer look.
        self.flags.raise();
        self.inner.deserialize_enum(name, variants, visitor)
    }
}

struct KeyVisitor<'f, 'k, V> {
    inner: V,
    flags: &'f Flags,
    keys: &'k mut HashSet<Box<str>>,
}

impl<V> KeyVisitor<'_, '_, V> {
    fn take_down(&mut self, key: &str) {
        if !self.keys.insert(key.into()) {
            self.flags.raise();
        }
    }
}

macro_rules! number_keys {
    ($($method:ident $type:ty,)*) => {$(
        fn $method<E: serde::de::Error>(mut self, value: $type) -> Result<V::Value, E> {
            self.take_down(&value.to_string());
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for KeyVisitor<'_, '_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    number_keys! {
        visit_bool bool, visit_i8 i8, visit_i16 i16, visit_i32 i32, visit_i64 i64, visit_i128 i128, visit_u8 u8,
        visit_u16 u16, visit_u32 u32, visit_u64 u64, visit_u128 u128, visit_f32 f32, visit_f64 f64, visit_char char,
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<V::Value, E> {
        self.take_down(value);
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: serde::de::Error>(mut self, value: &'de str) -> Result<V::Value, E> {
        self.take_down(value);
        self.inner.visit_borrowed_str(value)
    }

    fn visit_string<E: serde::de::Error>(mut self, value: String) -> Result<V::Value, E> {
        self.take_down(&value);
        self.inner.visit_string(value)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(KeyWatch { inner: deserializer, flags: self.flags, keys: self.keys })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(KeyWatch { inner: deserializer, flags: self.flags, keys: self.keys })
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }
}
