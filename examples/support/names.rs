//! Things that are one of a few, each with a name that stands in requests, in documents and where it is kept.

/// Makes an enum whose values are read and written by their names, which `as_str` returns.
// A `literal` would be hidden from what writes the OpenAPI document.
#[macro_export]
macro_rules! names {
    ($(#[$about:meta])* $visible:vis enum $type:ident { $($(#[$of:meta])* $value:ident => $name:tt),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        $visible enum $type {
            $($(#[$of])* #[serde(rename = $name)] $value),+
        }

        impl $type {
            $visible const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name),+
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema as _;

    names! {
        /// How warm it is.
        enum Warmth {
            Warm => "warm",
            /// Below zero.
            VeryCold => "very_cold",
        }
    }

    #[test]
    fn the_document_has_the_names_that_are_read_and_written() {
        let schema = serde_json::to_value(Warmth::schema()).unwrap();
        assert_eq!(schema["enum"], serde_json::json!(["warm", "very_cold"]), "{schema}");
        assert_eq!(serde_json::to_value(Warmth::VeryCold).unwrap(), Warmth::VeryCold.as_str());
        assert_eq!(serde_json::from_str::<Warmth>("\"warm\"").unwrap(), Warmth::Warm);
    }
}
