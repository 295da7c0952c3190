//! Filters as JSON, in and out.

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::unique::Unique;
use super::{Bounds, Circle, FieldPath, Filter, GeoPoint, Value};
use crate::{Error, ErrorKind};

/// How deep `and`, `or` and `not` may be nested in a filter that comes from outside.
pub const MAX_DEPTH: usize = 32;

/// How many nodes and values a filter that comes from outside may have.
pub const MAX_SIZE: usize = 10_000;

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Unique.deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Filter {
    /// Reads a filter from its JSON form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`], with the place as a JSON Pointer, for anything that is not exactly of that form, deeper
    /// than [`MAX_DEPTH`] or larger than [`MAX_SIZE`].
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        Reader { path: String::new(), left: MAX_SIZE }.filter(json, 0)
    }

    /// Checks what the types cannot: paths, circles, depth and size.
    ///
    /// Filters read from JSON are valid. [`Compiler::compile`](super::Compiler::compile) checks those made by code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`], with the place as a JSON Pointer.
    pub fn validate(&self) -> Result<(), Error> {
        let mut left = MAX_SIZE;
        let mut open = vec![(self, 0)];
        while let Some((filter, depth)) = open.pop() {
            let values = if let Self::In { values, .. } = filter { values.len() } else { 0 };
            left = left
                .checked_sub(1 + values)
                .ok_or_else(|| invalid("", "is larger than 10,000 nodes and values"))?;
            if depth > MAX_DEPTH {
                return Err(invalid("", "is nested deeper than 32 levels"));
            }
            if filter.field().is_some_and(|field| !field.is_valid()) {
                return Err(invalid("", "has a field without a proper name"));
            }
            if matches!(filter, Self::Near { circle, .. } if !circle.is_valid()) {
                return Err(invalid("", "has a circle without a proper centre or radius"));
            }
            if matches!(filter, Self::Range { bounds, .. } if bounds.low.is_none() && bounds.high.is_none()) {
                return Err(invalid("", "has a range without an end"));
            }
            open.extend(filter.children().iter().map(|child| (child, depth + 1)));
        }
        Ok(())
    }
}

fn invalid(path: &str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the filter at \"{path}\" {what}"))
}

pub(super) fn write(filter: &Filter) -> Json {
    let operator = filter.operator().as_str();
    let body = match filter {
        Filter::And(children) | Filter::Or(children) => Json::Array(children.iter().map(write).collect()),
        Filter::Not(inner) => write(inner),
        Filter::Eq { field, value } | Filter::Contains { field, value } => {
            json!({"field": field.as_str(), "value": write_value(value)})
        }
        Filter::In { field, values } => {
            json!({"field": field.as_str(), "values": values.iter().map(write_value).collect::<Vec<_>>()})
        }
        Filter::Range { field, bounds } => {
            let mut body = Map::new();
            body.insert("field".to_owned(), field.as_str().into());
            if let Some((value, inclusive)) = bounds.low() {
                body.insert(if inclusive { "gte" } else { "gt" }.to_owned(), write_value(value));
            }
            if let Some((value, inclusive)) = bounds.high() {
                body.insert(if inclusive { "lte" } else { "lt" }.to_owned(), write_value(value));
            }
            Json::Object(body)
        }
        Filter::Exists { field } => json!({"field": field.as_str()}),
        Filter::Near { field, circle } => json!({
            "field": field.as_str(),
            "lat": circle.center.lat,
            "lon": circle.center.lon,
            "radius_m": circle.radius_m,
        }),
    };
    json!({ operator: body })
}

fn write_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            // JSON readers would round it
            _ => json!({"int": value.to_string()}),
        },
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map_or_else(|| json!({"float": value.to_string()}), Json::Number),
        Value::Text(value) => value.as_str().into(),
        Value::Time(value) => json!({"time": value.to_string()}),
    }
}

struct Reader {
    path: String,
    /// Nodes and values that may still come.
    left: usize,
}

impl Reader {
    fn error(&self, what: &str) -> Error {
        invalid(&self.path, what)
    }

    /// Reads what stands at `key` below the present place.
    fn below<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let before = self.path.len();
        self.path.push('/');
        self.path.push_str(key);
        let result = read(self);
        if result.is_ok() {
            self.path.truncate(before);
        }
        result
    }

    fn count(&mut self) -> Result<(), Error> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| self.error("is larger than 10,000 nodes and values"))?;
        Ok(())
    }

    fn filter(&mut self, json: &Json, depth: usize) -> Result<Filter, Error> {
        self.count()?;
        if depth > MAX_DEPTH {
            return Err(self.error("is nested deeper than 32 levels"));
        }
        let object = json.as_object().ok_or_else(|| self.error("is not an object"))?;
        let mut members = object.iter();
        let (Some((operator, body)), None) = (members.next(), members.next()) else {
            return Err(self.error("does not have exactly one operator"));
        };
        match operator.as_str() {
            "and" => Ok(Filter::And(self.list(operator, body, depth)?)),
            "or" => Ok(Filter::Or(self.list(operator, body, depth)?)),
            "not" => {
                let inner = self.below("not", |reader| reader.filter(body, depth + 1))?;
                Ok(Filter::Not(Box::new(inner)))
            }
            "eq" | "contains" => self.below(operator, |reader| {
                let body = reader.members(body, &["field", "value"])?;
                let field = reader.field(body)?;
                let value = reader.value(body, "value")?;
                Ok(if operator == "eq" {
                    Filter::Eq { field, value }
                } else {
                    Filter::Contains { field, value }
                })
            }),
            "in" => self.below(operator, |reader| {
                let body = reader.members(body, &["field", "values"])?;
                let field = reader.field(body)?;
                let list = body.get("values").and_then(Json::as_array);
                let list = list.ok_or_else(|| reader.error("has no array `values`"))?;
                let mut values = Vec::new();
                for (index, value) in list.iter().enumerate() {
                    reader.count()?;
                    values.push(reader.below(&format!("values/{index}"), |reader| reader.read_value(value))?);
                }
                Ok(Filter::In { field, values })
            }),
            "range" => self.below(operator, |reader| reader.range(body)),
            "exists" => self.below(operator, |reader| {
                let body = reader.members(body, &["field"])?;
                Ok(Filter::Exists { field: reader.field(body)? })
            }),
            "near" => self.below(operator, |reader| {
                let body = reader.members(body, &["field", "lat", "lon", "radius_m"])?;
                let number = |name| body.get(name).and_then(Json::as_f64);
                let (Some(lat), Some(lon), Some(radius_m)) =
                    (number("lat"), number("lon"), number("radius_m"))
                else {
                    return Err(reader.error("does not have the numbers `lat`, `lon` and `radius_m`"));
                };
                let circle = Circle::new(GeoPoint::new(lat, lon), radius_m);
                if !circle.is_valid() {
                    return Err(reader.error("has no such place or radius"));
                }
                Ok(Filter::Near { field: reader.field(body)?, circle })
            }),
            _ => Err(self.error(
                "has an unknown operator (known: and, or, not, eq, in, range, contains, exists, near)",
            )),
        }
    }

    fn list(&mut self, operator: &str, body: &Json, depth: usize) -> Result<Vec<Filter>, Error> {
        self.below(operator, |reader| {
            let items = body.as_array().ok_or_else(|| reader.error("is not an array"))?;
            let read = |(index, item): (usize, &Json)| {
                reader.below(&index.to_string(), |reader| reader.filter(item, depth + 1))
            };
            items.iter().enumerate().map(read).collect()
        })
    }

    fn range(&self, body: &Json) -> Result<Filter, Error> {
        let body = self.members(body, &["field", "gt", "gte", "lt", "lte"])?;
        let end = |open: &str, closed: &str| -> Result<Option<(Value, bool)>, Error> {
            match (body.contains_key(open), body.contains_key(closed)) {
                (true, true) => Err(self.error("has two ends on one side")),
                (true, false) => Ok(Some((self.value(body, open)?, false))),
                (false, true) => Ok(Some((self.value(body, closed)?, true))),
                (false, false) => Ok(None),
            }
        };
        let (low, high) = (end("gt", "gte")?, end("lt", "lte")?);
        if low.is_none() && high.is_none() {
            return Err(self.error("has no end"));
        }
        Ok(Filter::Range { field: self.field(body)?, bounds: Bounds { low, high } })
    }

    fn members<'j>(&self, body: &'j Json, known: &[&str]) -> Result<&'j Map<String, Json>, Error> {
        let body = body.as_object().ok_or_else(|| self.error("is not an object"))?;
        if body.keys().any(|key| !known.contains(&key.as_str())) {
            return Err(self.error(&format!("has an unknown member (known: {})", known.join(", "))));
        }
        Ok(body)
    }

    fn field(&self, body: &Map<String, Json>) -> Result<FieldPath, Error> {
        let path =
            body.get("field").and_then(Json::as_str).ok_or_else(|| self.error("has no string `field`"))?;
        let path = FieldPath::from(path.to_owned());
        if path.is_valid() { Ok(path) } else { Err(self.error("has a field without a proper name")) }
    }

    fn value(&self, body: &Map<String, Json>, key: &str) -> Result<Value, Error> {
        self.read_value(body.get(key).ok_or_else(|| self.error(&format!("has no `{key}`")))?)
    }

    fn read_value(&self, json: &Json) -> Result<Value, Error> {
        match json {
            Json::Bool(value) => Ok((*value).into()),
            Json::Number(number) => {
                let int = number.as_i64().map(Value::from).or_else(|| number.as_u64().map(Value::from));
                int.or_else(|| number.as_f64().map(Value::from))
                    .ok_or_else(|| self.error("has an unreadable number"))
            }
            Json::String(text) => Ok(text.as_str().into()),
            Json::Object(members) => {
                let mut members = members.iter();
                let (Some((kind, Json::String(text))), None) = (members.next(), members.next()) else {
                    return Err(
                        self.error("has a value that is not a bool, number, string, time, int or float")
                    );
                };
                match kind.as_str() {
                    "time" => Ok(Value::Time(
                        text.parse().map_err(|_| self.error("has a time that is not RFC 3339"))?,
                    )),
                    "int" => Ok(Value::Int(text.parse().map_err(|_| self.error("has an unreadable int"))?)),
                    "float" => {
                        Ok(Value::Float(text.parse().map_err(|_| self.error("has an unreadable float"))?))
                    }
                    _ => Err(self.error("has a value of an unknown kind (known: time, int, float)")),
                }
            }
            Json::Null => Err(self.error("compares with null (ask for `exists` instead)")),
            Json::Array(_) => Err(self.error("compares with an array (use `in` or `contains`)")),
        }
    }
}
