//! The fields by which tasks are listed, and whether a filter asks for them as what they are.

use pumasi_core::filter::{FieldPath, Filter, Value};
use pumasi_core::{Error, ErrorKind, Result};

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// One of these texts.
    Label(&'static [&'static str]),
    Number,
    Texts,
    Numbers,
    /// Fields below it; it can only be there or not.
    Group,
}

const FIELDS: [(&str, Kind); 22] = [
    ("title", Kind::Text),
    ("detail", Kind::Text),
    ("quote", Kind::Text),
    ("order", Kind::Number),
    ("prerequisites", Kind::Numbers),
    ("difficulty", Kind::Label(&["easy", "medium", "hard"])),
    ("support", Kind::Label(&["unchecked", "supported", "unsupported"])),
    ("doubts", Kind::Texts),
    ("confidence", Kind::Number),
    ("span", Kind::Group),
    ("span.start", Kind::Number),
    ("span.end", Kind::Number),
    ("timing", Kind::Group),
    ("timing.due", Kind::Text),
    ("timing.frequency", Kind::Text),
    ("timing.duration_minutes", Kind::Number),
    ("post", Kind::Group),
    ("post.id", Kind::Text),
    ("post.kind", Kind::Label(&["story", "question"])),
    ("post.language", Kind::Label(&["ko", "en"])),
    ("post.author", Kind::Text),
    ("post.title", Kind::Text),
];

/// Checks that `filter` asks for fields that [tasks have](super::Task::fields), by operators and values that fit them.
///
/// A filter that does not is no mistake of the language, and would simply match nothing: this tells the person who wrote it.
///
/// ```
/// use pumasi_core::filter::Filter;
/// use pumasi_llm_parse::task::check_filter;
///
/// let late: Filter = serde_json::from_str(r#"{"exists": {"field": "timing.due"}}"#)?;
/// assert!(check_filter(&late).is_ok());
/// let misspelt: Filter = serde_json::from_str(r#"{"exists": {"field": "timing.deu"}}"#)?;
/// assert!(check_filter(&misspelt).unwrap_err().message().starts_with("tasks have no field timing.deu"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// `InvalidInput`, with the field and what it holds.
pub fn check_filter(filter: &Filter) -> Result<()> {
    let mut open = vec![filter];
    while let Some(filter) = open.pop() {
        match filter {
            Filter::And(all) | Filter::Or(all) => open.extend(all.iter().rev()),
            Filter::Not(inner) => open.push(inner),
            Filter::Exists { field } => {
                kind_of(field)?;
            }
            Filter::Eq { field, value } => equals(field, value)?,
            Filter::In { field, values } => values.iter().try_for_each(|value| equals(field, value))?,
            Filter::Range { field, bounds } => {
                let kind = kind_of(field)?;
                for (value, _) in [bounds.low(), bounds.high()].into_iter().flatten() {
                    fits(field, kind, value)?;
                }
                if matches!(kind, Kind::Texts | Kind::Numbers | Kind::Group) {
                    return Err(misused(field, kind, "`range`"));
                }
            }
            Filter::Contains { field, value } => match kind_of(field)? {
                Kind::Text | Kind::Texts => fits(field, Kind::Text, value)?,
                Kind::Numbers => fits(field, Kind::Number, value)?,
                kind => return Err(misused(field, kind, "`contains`")),
            },
            Filter::Near { field, .. } => return Err(misused(field, kind_of(field)?, "`near`")),
            _ => return Err(invalid("tasks cannot be listed by such a filter".to_owned())),
        }
    }
    Ok(())
}

fn kind_of(field: &FieldPath) -> Result<Kind> {
    let known = FIELDS.iter().find(|(name, _)| *name == field.as_str());
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names: Vec<&str> =
            FIELDS.iter().filter(|(_, kind)| *kind != Kind::Group).map(|(name, _)| *name).collect();
        invalid(format!("tasks have no field {field}; they have {}", names.join(", ")))
    })
}

fn equals(field: &FieldPath, value: &Value) -> Result<()> {
    match kind_of(field)? {
        kind @ (Kind::Texts | Kind::Numbers | Kind::Group) => Err(misused(field, kind, "`eq` and `in`")),
        kind => fits(field, kind, value),
    }
}

fn fits(field: &FieldPath, kind: Kind, value: &Value) -> Result<()> {
    let fits = match (kind, value) {
        (Kind::Text, Value::Text(_)) => true,
        (Kind::Label(labels), Value::Text(text)) => labels.contains(&text.as_str()),
        (Kind::Number, Value::Int(_) | Value::Float(_)) => !value.is_nan(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(invalid(format!("{field} is {}, and is compared with something else", named(kind))))
    }
}

fn misused(field: &FieldPath, kind: Kind, operator: &str) -> Error {
    invalid(format!("{field} is {}, for which there is no {operator}", named(kind)))
}

fn named(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Label(labels) => format!("one of {}", labels.join(", ")),
        Kind::Number => "a number".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Numbers => "a list of numbers".to_owned(),
        Kind::Group => "a group of fields".to_owned(),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> std::result::Result<(), String> {
        check_filter(&serde_json::from_str(json).unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn filters_on_what_tasks_have_are_taken() {
        for json in [
            r#"{"and": [{"eq": {"field": "difficulty", "value": "hard"}}, {"not": {"exists": {"field": "timing"}}}]}"#,
            r#"{"in": {"field": "post.kind", "values": ["story", "question"]}}"#,
            r#"{"range": {"field": "timing.due", "gte": "2027-01-01"}}"#,
            r#"{"or": [{"range": {"field": "confidence", "lt": 0.5}}, {"contains": {"field": "prerequisites", "value": 1}}]}"#,
            r#"{"contains": {"field": "title", "value": "영어"}}"#,
            r#"{"contains": {"field": "doubts", "value": "due"}}"#,
        ] {
            assert_eq!(check(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn filters_on_what_tasks_do_not_have_are_refused_with_what_they_have() {
        for (json, words) in [
            (r#"{"eq": {"field": "titel", "value": "x"}}"#, "no field titel; they have title"),
            (r#"{"not": {"exists": {"field": "due"}}}"#, "no field due"),
            (r#"{"eq": {"field": "order", "value": "1"}}"#, "order is a number"),
            (r#"{"eq": {"field": "difficulty", "value": "hrad"}}"#, "one of easy, medium, hard"),
            (r#"{"range": {"field": "timing.due", "gt": 5}}"#, "timing.due is a text"),
            (r#"{"eq": {"field": "prerequisites", "value": 1}}"#, "no `eq` and `in`"),
            (r#"{"contains": {"field": "order", "value": 1}}"#, "no `contains`"),
            (r#"{"near": {"field": "title", "lat": 1, "lon": 1, "radius_m": 5}}"#, "no `near`"),
        ] {
            let message = check(json).unwrap_err();
            assert!(message.contains(words), "{json}: {message}");
        }
    }
}
