//! Whether a value has a number that JSON has not.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

/// Tells whether every float in a value is a number that JSON has: not NaN, and not an infinity.
pub(super) fn is_finite<T: Serialize>(value: &T) -> bool {
    value.serialize(Finite).is_ok()
}

/// Serializes into nothing, and fails at such a float.
#[derive(Clone, Copy)]
struct Finite;

#[derive(Debug)]
struct Lossy;

impl Display for Lossy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that JSON does not have")
    }
}

impl std::error::Error for Lossy {}

impl ser::Error for Lossy {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

type Checked = Result<(), Lossy>;

fn checked(number: f64) -> Checked {
    if number.is_finite() { Ok(()) } else { Err(Lossy) }
}

macro_rules! fine {
    ($($method:ident: $number:ty),+) => {$(
        fn $method(self, _: $number) -> Checked {
            Ok(())
        }
    )+};
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Lossy;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fine!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str
    );

    fn serialize_f32(self, number: f32) -> Checked {
        checked(number.into())
    }

    fn serialize_f64(self, number: f64) -> Checked {
        checked(number)
    }

    fn serialize_none(self) -> Checked {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Checked {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Checked {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Checked {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Lossy> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Lossy> {
        Ok(self)
    }
}

macro_rules! parts {
    ($($part:ident $method:ident),+) => {$(
        impl ser::$part for Finite {
            type Ok = ();
            type Error = Lossy;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
                value.serialize(*self)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        }
    )+};
}

macro_rules! fields {
    ($($part:ident),+) => {$(
        impl ser::$part for Finite {
            type Ok = ();
            type Error = Lossy;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Checked {
                value.serialize(*self)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        }
    )+};
}

parts!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = Lossy;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Checked {
        key.serialize(*self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        value.serialize(*self)
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::is_finite;

    #[derive(Serialize)]
    enum Weight {
        None,
        Net(f64),
        Pair(f32, f32),
        Both { net: Option<f64>, gross: f64 },
    }

    #[test]
    fn a_number_that_json_does_not_have_is_found_wherever_it_stands() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert!(is_finite(&(1.5, "NaN", [Some(2.5), None], ())));
        assert!(is_finite(&[Weight::None, Weight::Net(1.0), Weight::Both { net: None, gross: 2.0 }]));
        assert!(!is_finite(&nan) && !is_finite(&-inf) && !is_finite(&f32::NAN));
        assert!(!is_finite(&Some(nan)) && !is_finite(&(1, vec![1.0, inf])));
        assert!(!is_finite(&BTreeMap::from([("net", nan)])));
        assert!(!is_finite(&Weight::Net(nan)) && !is_finite(&Weight::Pair(1.0, f32::INFINITY)));
        assert!(!is_finite(&Weight::Both { net: Some(nan), gross: 1.0 }));
    }
}
