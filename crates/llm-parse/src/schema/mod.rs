//! JSON Schema, compiled once and then used for every answer.

mod bounds;
mod compile;
pub(crate) mod exact;
mod fold;
mod labels;
mod parts;
mod pattern;
mod render;
pub(crate) mod shape;
mod strict;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use schemars::JsonSchema;
use serde_json::Value;

use exact::Exact;
pub(crate) use fold::fold;
use shape::{Kind, Shapes};

use crate::error::Result;
use crate::report::Path;

/// Is a compiled JSON Schema; cloning it is cheap.
///
/// It understands what schemars and other generators write (drafts 4 to 2020-12, and OpenAPI's `nullable`): types and
/// lists of types, `$ref` into the document (recursive too), `allOf`, `anyOf`, `oneOf`, `const`, `enum`, `properties`,
/// `required`, `additionalProperties`, `patternProperties`, `items`, `prefixItems`, `default`, bounds, lengths,
/// `pattern`, `uniqueItems`, the formats `date`, `date-time`, `partial-date-time` and `time`, titles and descriptions.
/// Other names of keys and labels come from the extension `x-aliases`: a list on a property or a constant, or
/// `{"LABEL": ["other name"]}` on an `enum`. A key has the schema of its name, or of the first of `patternProperties` that
/// it matches; that others may match as well is not checked. `not`, `if`, `contains`, `propertyNames`, the `dependent…`,
/// `unevaluated…` and `content…` keywords, `$dynamicRef` and other formats are not checked; [`unchecked`](Self::unchecked)
/// lists which of them occurred.
///
/// ```
/// use pumasi_llm_parse::Schema;
/// use serde_json::json;
///
/// #[derive(schemars::JsonSchema)]
/// #[allow(dead_code)]
/// struct Run {
///     /// Kilometres.
///     km: f64,
///     place: Option<String>,
/// }
///
/// let schema = Schema::of::<Run>()?;
/// assert_eq!(schema.render_prompt(), "{\n  km: number, // Kilometres.\n  place?: string | null,\n}");
///
/// let schema = Schema::from_json(&json!({"type": "array", "items": {"enum": ["달리기", "걷기"]}}))?;
/// assert_eq!(schema.render_prompt(), "(\"달리기\" | \"걷기\")[]");
/// # Ok::<(), pumasi_llm_parse::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    inner: Arc<Inner>,
}

struct Inner {
    shapes: Shapes,
    json: Value,
    unchecked: Vec<String>,
    traits: Traits,
}

/// What decides on the shortcut for plain JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// The schema says more than the Rust type can check: bounds, lengths, patterns, formats.
    pub(crate) constrained: bool,
}

type Key = (&'static str, usize);
static BY_TYPE: LazyLock<RwLock<HashMap<Key, Schema>>> = LazyLock::new(RwLock::default);

impl Schema {
    /// Returns the schema of `T`, compiled on first use and kept for the rest of the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`](crate::ErrorKind::Schema) if `T`'s own schema is not valid, which a derived one always is.
    pub fn of<T: JsonSchema + ?Sized>() -> Result<Self> {
        // Names alone are not unique (types inside functions); the function that writes the schema is.
        let writer: fn(&mut schemars::SchemaGenerator) -> schemars::Schema = T::json_schema;
        let key = (std::any::type_name::<T>(), writer as usize);
        if let Some(schema) = BY_TYPE.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(schema.clone());
        }
        let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
        let schema = Self::from_json(generator.into_root_schema_for::<T>().as_value())?;
        BY_TYPE.write().unwrap_or_else(PoisonError::into_inner).insert(key, schema.clone());
        Ok(schema)
    }

    /// Compiles a JSON Schema that is known only at run time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`](crate::ErrorKind::Schema) if it is not a valid schema, points outside itself, contradicts
    /// itself (an `allOf` of two types), or is larger than 100,000 parts or 128 levels. "Too wide" is one whose
    /// `allOf` joins more than 10,000 alternatives with others.
    pub fn from_json(schema: &Value) -> Result<Self> {
        let (shapes, findings) = compile::compile(schema)?;
        let traits = Traits::of(&shapes);
        Ok(Self {
            inner: Arc::new(Inner { shapes, json: schema.clone(), unchecked: findings.unchecked, traits }),
        })
    }

    /// Returns the schema that any JSON value fits.
    #[must_use]
    pub fn any() -> Self {
        static ANY: LazyLock<Schema> = LazyLock::new(|| {
            let shapes = Shapes { all: vec![shape::ANY.clone()], root: shape::ShapeId(0) };
            Schema {
                inner: Arc::new(Inner {
                    shapes,
                    json: Value::Bool(true),
                    unchecked: Vec::new(),
                    traits: Traits::default(),
                }),
            }
        });
        ANY.clone()
    }

    /// Returns the document that was compiled; for a [part](Self::at), that of the whole.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.inner.json
    }

    /// Lists the keywords of the schema that are not checked, each once.
    #[must_use]
    pub fn unchecked(&self) -> &[String] {
        &self.inner.unchecked
    }

    /// Renders the schema for a prompt, in the notation of TypeScript with comments, which models read well and which
    /// takes a fraction of the tokens of the JSON document.
    #[must_use]
    pub fn render_prompt(&self) -> String {
        render::prompt(&self.inner.shapes)
    }

    /// Returns the document in the form that strict response formats demand: every object closed
    /// (`additionalProperties: false`) and every property required, optional ones turned nullable.
    ///
    /// Keywords that such formats refuse (`default`, `format: uint8`, `x-aliases`, …) are left out; the answer is checked
    /// against the full schema anyway. Maps cannot be closed and stay as they are.
    #[must_use]
    pub fn to_strict_json(&self) -> Value {
        strict::strict(&self.inner.json)
    }

    /// Returns the schema of a part; `None` if it has none of its own: the key is not known, or the alternatives of a union
    /// differ in it.
    ///
    /// Keys may be written as answers write them: `userName` for `user_name`.
    ///
    /// ```
    /// use pumasi_llm_parse::{Path, Schema};
    /// use serde_json::json;
    ///
    /// let run = json!({"type": "object", "properties": {"km": {"type": "number"}}});
    /// let schema = Schema::from_json(&json!({"type": "array", "items": run}))?;
    /// let part = schema.at(&Path::root().with_index(3).with_key("km")).ok_or("no such part")?;
    /// assert_eq!(part.render_prompt(), "number");
    /// assert!(schema.at(&Path::root().with_key("km")).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Self> {
        let shapes = &self.inner.shapes;
        let root = path.steps().iter().try_fold(shapes.root, |id, step| shapes.step(id, step))?;
        let shapes = Shapes { all: shapes.all.clone(), root };
        let inner = Inner {
            shapes,
            json: self.inner.json.clone(),
            unchecked: self.inner.unchecked.clone(),
            traits: Traits { constrained: true },
        };
        Some(Self { inner: Arc::new(inner) })
    }

    /// The schema of a list of such values, or of an object whose `field` holds it.
    pub(crate) fn listed(&self, field: Option<&str>) -> Self {
        let mut shapes = self.inner.shapes.clone();
        shapes.root = shapes.list_of(shapes.root);
        if let Some(field) = field {
            shapes.root = shapes.object_with(field, shapes.root);
        }
        let inner = Inner {
            shapes,
            json: self.inner.json.clone(),
            unchecked: self.inner.unchecked.clone(),
            traits: Traits { constrained: true },
        };
        Self { inner: Arc::new(inner) }
    }

    /// Tells whether every JSON value fits.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let shapes = &self.inner.shapes;
        matches!(shapes.get(shapes.root).kind, Kind::Any)
    }

    pub(crate) fn shapes(&self) -> &Shapes {
        &self.inner.shapes
    }

    pub(crate) fn traits(&self) -> Traits {
        self.inner.traits
    }

    /// A short rendering of one shape, for errors.
    pub(crate) fn expected(&self, id: shape::ShapeId) -> String {
        render::short(&self.inner.shapes, id)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("shapes", &self.inner.shapes.all.len()).finish_non_exhaustive()
    }
}

impl Traits {
    fn of(shapes: &Shapes) -> Self {
        let mut traits = Self::default();
        for shape in &shapes.all {
            match &shape.kind {
                Kind::Text(rule) => {
                    traits.constrained |= !rule.is_free();
                }
                Kind::Integer(integer) => {
                    let own = &integer.bounds;
                    // What schemars derives from `u8` and the like repeats the type.
                    let same =
                        |bound: Option<Exact>, edge| bound.is_none_or(|bound| bound == Exact::Whole(edge));
                    let typed = same(own.min, integer.type_min)
                        && same(own.max, integer.type_max)
                        && own.above.is_none()
                        && own.below.is_none()
                        && own.steps.is_empty();
                    traits.constrained |= !typed;
                }
                Kind::Number(bounds) => traits.constrained |= !bounds.is_free(),
                Kind::List(list) => {
                    let tuple = list.min == list.prefix.len() as u64 && list.max == Some(list.min);
                    traits.constrained |= !tuple && (list.min > 0 || list.max.is_some());
                    // Sets merge equal items in silence.
                    traits.constrained |= list.unique;
                    traits.constrained |= list.item.is_some_and(|item| is_unnamed_enum(shapes, item));
                }
                Kind::Record(record) => {
                    traits.constrained |= record.min > 0 || record.max.is_some();
                    // Labels that are no Rust enum (those have a name of their own): a string with an `enum` beside it.
                    traits.constrained |=
                        record.fields.iter().any(|field| is_unnamed_enum(shapes, field.shape));
                }
                Kind::Label(labels) => traits.constrained |= !labels.others.is_empty(),
                Kind::Literal(_) => traits.constrained = true,
                Kind::Any | Kind::Never | Kind::Null | Kind::Bool | Kind::Union(_) | Kind::Same(_) => {}
            }
        }
        traits
    }
}

fn is_unnamed_enum(shapes: &Shapes, id: shape::ShapeId) -> bool {
    let shape = shapes.get(id);
    matches!(&shape.kind, Kind::Label(labels) if labels.items.len() > 1 && shape.name.is_none())
}
