//! Which fields of a document's metadata a filter can ask for, and numbers with all their digits.

use pumasi_core::filter::FieldPath;
use serde_json::{Map, Value as Json};

/// Visits each field that has a value and a name that a filter can ask for, with its path.
pub(super) fn visit(metadata: &Map<String, Json>, field: &mut dyn FnMut(&str, &Json)) {
    below("", metadata, field);
}

fn below(above: &str, members: &Map<String, Json>, field: &mut dyn FnMut(&str, &Json)) {
    for (name, value) in members {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if name.contains('.') || value.is_null() || !FieldPath::new(path.clone()).is_valid() {
            continue;
        }
        field(&path, value);
        if let Json::Object(inner) = value {
            below(&path, inner, field);
        }
    }
}

/// All digits of a number, so that those are equal and in order which are; beyond all numbers where it is infinite.
pub(super) fn digits(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "1e400" } else { "-1e400" }.to_owned();
    }
    // A double has no digit behind the 1,074th.
    let whole = format!("{float:.1074}");
    whole.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits() {
        assert_eq!(digits(0.5), "0.5");
        assert_eq!(digits(-3.0), "-3");
        assert_eq!(digits(0.1), "0.1000000000000000055511151231257827021181583404541015625");
        assert_eq!(digits(1e22), "10000000000000000000000");
        assert_eq!(digits(2_f64.powi(60)), (1_i64 << 60).to_string());
        assert_ne!(digits(f64::from_bits(1)), "0");
    }
}
