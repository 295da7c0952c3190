//! A deserializer around a deserializer that watches for what `serde` would pass over in silence: unknown and doubled
//! keys, null words in optional texts, placeholders, numbers that lose digits.

mod key;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use self::key::KeySeed;
use crate::align::scalar::null;

/// What was noticed.
pub(super) struct Flags {
    pub(super) suspicious: Cell<bool>,
}

impl Flags {
    fn raise(&self) {
        self.suspicious.set(true);
    }

    #[inline]
    fn text(&self, text: &str, optional: bool) {
        if text.len() <= 64
            && matches!(text.as_bytes().first(), Some(b'<' | b'{' | b'$' | b'.' | b's' | 0xe2 | b' '))
            && null::is_placeholder(text)
        {
            self.raise();
        }
        if optional && text.len() <= null::MAX_LEN && !text.is_empty() && null::read(text).is_some() {
            self.raise();
        }
    }
}

/// Where a value stands, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Optional,
    Single,
    Double,
    /// A map, whose keys `serde` lets repeat.
    Map,
}

pub(super) struct Watch<'f, D> {
    inner: D,
    flags: &'f Flags,
    place: Place,
}

impl<'f, D> Watch<'f, D> {
    pub(super) fn new(inner: D, flags: &'f Flags) -> Self {
        Self { inner, flags, place: Place::Plain }
    }
}

struct Watched<'f, V> {
    inner: V,
    flags: &'f Flags,
    place: Place,
}

macro_rules! forward {
    ($($method:ident $place:expr,)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let place = if self.place == Place::Optional && $place == Place::Plain { Place::Optional } else { $place };
            self.inner.$method(Watched { inner: visitor, flags: self.flags, place })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watch<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any Place::Map,
        deserialize_bool Place::Plain,
        deserialize_i8 Place::Plain,
        deserialize_i16 Place::Plain,
        deserialize_i32 Place::Plain,
        deserialize_i64 Place::Plain,
        deserialize_i128 Place::Plain,
        deserialize_u8 Place::Plain,
        deserialize_u16 Place::Plain,
        deserialize_u32 Place::Plain,
        deserialize_u64 Place::Plain,
        deserialize_u128 Place::Plain,
        deserialize_f32 Place::Single,
        deserialize_f64 Place::Double,
        deserialize_char Place::Plain,
        deserialize_str Place::Plain,
        deserialize_string Place::Plain,
        deserialize_bytes Place::Plain,
        deserialize_byte_buf Place::Plain,
        deserialize_unit Place::Plain,
        deserialize_seq Place::Plain,
        deserialize_map Place::Map,
        deserialize_identifier Place::Plain,
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Watched { inner: visitor, flags: self.flags, place: Place::Optional })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner
            .deserialize_unit_struct(name, Watched { inner: visitor, flags: self.flags, place: Place::Plain })
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(
            name,
            Watched { inner: visitor, flags: self.flags, place: self.place },
        )
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Watched { inner: visitor, flags: self.flags, place: Place::Plain })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(
            name,
            len,
            Watched { inner: visitor, flags: self.flags, place: Place::Plain },
        )
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(
            name,
            fields,
            Watched { inner: visitor, flags: self.flags, place: Place::Plain },
        )
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(
            name,
            variants,
            Watched { inner: visitor, flags: self.flags, place: Place::Plain },
        )
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.flags.raise();
        self.inner.deserialize_ignored_any(visitor)
    }
}

/// Whole numbers up to here are exact as `f64`.
const EXACT: u64 = 1 << 53;

macro_rules! plain {
    ($($method:ident $type:ty,)*) => {$(
        #[inline]
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    plain! {
        visit_bool bool,
        visit_i8 i8,
        visit_i16 i16,
        visit_i32 i32,
        visit_i128 i128,
        visit_u8 u8,
        visit_u16 u16,
        visit_u32 u32,
        visit_u128 u128,
        visit_f32 f32,
        visit_char char,
        visit_bytes &[u8],
        visit_borrowed_bytes &'de [u8],
        visit_byte_buf Vec<u8>,
    }

    #[inline]
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<V::Value, E> {
        if matches!(self.place, Place::Single | Place::Double) && value.unsigned_abs() > EXACT {
            self.flags.raise();
        }
        self.inner.visit_i64(value)
    }

    #[inline]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<V::Value, E> {
        if matches!(self.place, Place::Single | Place::Double) && value > EXACT {
            self.flags.raise();
        }
        self.inner.visit_u64(value)
    }

    #[inline]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<V::Value, E> {
        // Without a type of its own a float this large may have been a long whole number.
        if (self.place == Place::Single && value.abs() > f64::from(f32::MAX))
            || (matches!(self.place, Place::Map | Place::Double) && value.abs() >= 9.0e15)
        {
            self.flags.raise();
        }
        self.inner.visit_f64(value)
    }

    #[inline]
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<V::Value, E> {
        self.flags.text(value, self.place == Place::Optional);
        self.inner.visit_str(value)
    }

    #[inline]
    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.flags.text(value, self.place == Place::Optional);
        self.inner.visit_borrowed_str(value)
    }

    #[inline]
    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<V::Value, E> {
        self.flags.text(&value, self.place == Place::Optional);
        self.inner.visit_string(value)
    }

    #[inline]
    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Watch { inner: deserializer, flags: self.flags, place: Place::Optional })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Watch { inner: deserializer, flags: self.flags, place: self.place })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Inside { inner: access, flags: self.flags, keys: None })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let keys = (self.place == Place::Map).then(HashSet::new);
        self.inner.visit_map(Inside { inner: access, flags: self.flags, keys })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Inside { inner: access, flags: self.flags, keys: None })
    }
}

/// Access to what is inside a value.
struct Inside<'f, A> {
    inner: A,
    flags: &'f Flags,
    /// The keys seen, where `serde` lets them repeat.
    keys: Option<HashSet<Box<str>>>,
}

struct Seed<'f, S> {
    inner: S,
    flags: &'f Flags,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Watch::new(deserializer, self.flags))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Inside<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Seed { inner: seed, flags: self.flags })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Inside<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match &mut self.keys {
            None => self.inner.next_key_seed(seed),
            Some(keys) => self.inner.next_key_seed(KeySeed { inner: seed, flags: self.flags, keys }),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Seed { inner: seed, flags: self.flags })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'f, A: EnumAccess<'de>> EnumAccess<'de> for Inside<'f, A> {
    type Error = A::Error;
    type Variant = Inside<'f, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let flags = self.flags;
        self.inner.variant_seed(seed).map(|(value, inner)| (value, Inside { inner, flags, keys: None }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Inside<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Seed { inner: seed, flags: self.flags })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Watched { inner: visitor, flags: self.flags, place: Place::Plain })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Watched { inner: visitor, flags: self.flags, place: Place::Plain })
    }
}
