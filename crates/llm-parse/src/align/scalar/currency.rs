//! Currencies: which one a sign or a word names, and which one the name of a field demands.

/// A currency, as far as its signs and words tell it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Currency {
    Dollar,
    Euro,
    Pound,
    Rupee,
    Won,
    Yen,
    Yuan,
    /// One of several, or one that no field is named after.
    Other,
}

impl Currency {
    /// Used where a comma groups and a point divides, so that `$3.459` is the price of a gallon.
    pub(crate) fn groups_by_comma(self) -> bool {
        matches!(self, Self::Dollar | Self::Pound)
    }

    /// Surely not the same money: €10 are no dollars.
    pub(crate) fn contradicts(self, other: Self) -> bool {
        self != other && self != Self::Other && other != Self::Other
    }
}

/// The currency that a sign stands for.
pub(crate) fn of_sign(sign: char) -> Option<Currency> {
    Some(match sign {
        '$' => Currency::Dollar,
        '€' => Currency::Euro,
        '£' => Currency::Pound,
        '₩' => Currency::Won,
        '₹' => Currency::Rupee,
        // Yen and yuan share one, cents are of many.
        '¥' | '¢' | '₽' | '₫' | '฿' | '₺' | '₱' => Currency::Other,
        _ => return None,
    })
}

/// The currency that a word in small letters names.
pub(crate) fn of_word(word: &str) -> Option<Currency> {
    Some(match word {
        "usd" | "dollar" | "dollars" | "bucks" | "달러" => Currency::Dollar,
        "eur" | "euro" | "euros" | "유로" => Currency::Euro,
        "gbp" => Currency::Pound,
        "inr" => Currency::Rupee,
        "krw" | "won" | "원" => Currency::Won,
        "jpy" | "yen" | "엔" => Currency::Yen,
        "cny" | "위안" => Currency::Yuan,
        // Pounds weigh something, too.
        "pounds" => Currency::Other,
        _ => return None,
    })
}

/// The currency that the name of a field demands: `price_usd`, `costKrw`.
pub(crate) fn of_field(name: &str) -> Option<Currency> {
    of_word(&super::unit::last_word(name).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Currency, of_field, of_sign, of_word};

    #[test]
    fn a_field_is_named_after_its_currency() {
        for (name, currency) in [
            ("price_usd", Some(Currency::Dollar)),
            ("costKrw", Some(Currency::Won)),
            ("fee eur", Some(Currency::Euro)),
            ("price", None),
        ] {
            assert_eq!(of_field(name), currency, "{name}");
        }
    }

    #[test]
    fn only_what_is_known_contradicts() {
        let euro = of_sign('€').unwrap();
        assert!(euro.contradicts(Currency::Dollar));
        assert!(!euro.contradicts(of_word("euros").unwrap()));
        assert!(!of_sign('¥').unwrap().contradicts(Currency::Yuan));
    }
}
