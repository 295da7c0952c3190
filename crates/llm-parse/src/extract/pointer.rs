//! JSON Pointers (RFC 6901) into a value: reading, writing, and the list item around a place.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Appends a step to a pointer.
pub(crate) fn join(pointer: &str, step: &str) -> String {
    let mut out = String::with_capacity(pointer.len() + step.len() + 1);
    out.push_str(pointer);
    out.push('/');
    out.push_str(&step.replace('~', "~0").replace('/', "~1"));
    out
}

/// Splits a pointer into its steps.
pub(crate) fn steps(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// Splits the last step off.
pub(crate) fn parent(pointer: &str) -> Option<(&str, String)> {
    let (head, last) = pointer.rsplit_once('/')?;
    Some((head, last.replace("~1", "/").replace("~0", "~")))
}

/// Puts `new` at `pointer`, making a missing field of an object; `false` if there is no such place.
pub(crate) fn set(root: &mut Value, pointer: &str, new: Value) -> bool {
    if pointer.is_empty() {
        *root = new;
        return true;
    }
    let Some((head, last)) = parent(pointer) else { return false };
    match root.pointer_mut(head) {
        Some(Value::Object(map)) => {
            map.insert(last, new);
            true
        }
        Some(Value::Array(items)) => {
            let slot = last.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            slot.map(|slot| *slot = new).is_some()
        }
        _ => false,
    }
}

/// Returns the pointer of the innermost list item that `pointer` is, or is in.
pub(crate) fn item_around(root: &Value, pointer: &str) -> Option<String> {
    let mut end = pointer.len();
    while end > 0 {
        let here = pointer.get(..end)?;
        let (head, last) = parent(here)?;
        if root.pointer(head).is_some_and(Value::is_array) && last.parse::<usize>().is_ok() {
            return Some(here.to_owned());
        }
        end = head.len();
    }
    None
}

/// Tells whether `pointer` is `place` or lies within it.
pub(crate) fn within(pointer: &str, place: &str) -> bool {
    pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes the list items at `pointers` out of the value and returns how to find the remaining places' earlier names.
pub(crate) fn remove_items(root: &mut Value, pointers: &[String]) -> Moves {
    let mut removed: Vec<(String, usize)> = pointers
        .iter()
        .filter_map(|pointer| {
            let (head, last) = parent(pointer)?;
            Some((head.to_owned(), last.parse().ok()?))
        })
        .collect();
    removed.sort_unstable();
    removed.dedup();
    // inner lists first, and each list from its end, so that no index moves before it is used
    let mut order: Vec<&(String, usize)> = removed.iter().collect();
    order.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(b.1.cmp(&a.1)));
    for (list, index) in order {
        if let Some(Value::Array(items)) = root.pointer_mut(list)
            && *index < items.len()
        {
            items.remove(*index);
        }
    }
    Moves { removed }
}

/// Splits a place within the list at `list` into the item's index and the rest behind it.
pub(crate) fn item_of<'p>(list: &str, pointer: &'p str) -> Option<(usize, &'p str)> {
    let rest = pointer.strip_prefix(list)?.strip_prefix('/')?;
    let (index, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some((index.parse().ok()?, tail))
}

/// Which items were taken out.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moves {
    removed: Vec<(String, usize)>,
}

impl Moves {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty()
    }

    /// Returns what the place once called `pointer` is called now; `None` if it was taken out.
    pub(crate) fn redo(&self, pointer: &str) -> Option<String> {
        let (mut old, mut new) = (String::new(), String::new());
        for step in steps(pointer) {
            let mut now = step.clone();
            if let Ok(index) = step.parse::<usize>() {
                let gone = self.removed.iter().filter(|(list, at)| *list == old && *at <= index);
                let (count, last) = gone.fold((0, None), |(count, _), (_, at)| (count + 1, Some(*at)));
                if last == Some(index) {
                    return None;
                }
                if count > 0 {
                    now = (index - count).to_string();
                }
            }
            (old, new) = (join(&old, &step), join(&new, &now));
        }
        Some(new)
    }

    /// Returns the pointer that the place now called `pointer` had before.
    pub(crate) fn undo(&self, pointer: &str) -> String {
        let mut old = String::new();
        for step in steps(pointer) {
            let mut step = step;
            if let Ok(index) = step.parse::<usize>() {
                let mut index = index;
                // `removed` is sorted, so that each index counts those before it
                for (_, at) in self.removed.iter().filter(|(list, _)| *list == old) {
                    index += usize::from(*at <= index);
                }
                step = index.to_string();
            }
            old = join(&old, &step);
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_field_is_made_and_a_missing_item_is_not() {
        let mut value = json!({"items": [{"a": 1}]});
        assert!(set(&mut value, "/items/0/b", json!(2)));
        assert!(!set(&mut value, "/items/1", json!(3)));
        assert!(!set(&mut value, "/other/x", json!(3)));
        assert_eq!(value, json!({"items": [{"a": 1, "b": 2}]}));
    }

    #[test]
    fn the_innermost_item_is_found() {
        let value = json!({"a": [{"b": [{"c": 1}]}], "0": {"1": 2}});
        assert_eq!(item_around(&value, "/a/0/b/0/c").as_deref(), Some("/a/0/b/0"));
        assert_eq!(item_around(&value, "/a/0").as_deref(), Some("/a/0"));
        assert_eq!(item_around(&value, "/0/1"), None);
        assert_eq!(item_around(&value, ""), None);
    }

    #[test]
    fn taking_items_out_moves_the_later_ones_and_what_is_in_them() {
        let mut value = json!({"a": [0, 1, {"b": [0, 1, 2]}, 3]});
        let moves = remove_items(&mut value, &["/a/0".into(), "/a/2/b/1".into(), "/a/0".into()]);
        assert_eq!(value, json!({"a": [1, {"b": [0, 2]}, 3]}));
        let olds = [("/a/1/b/1", "/a/2/b/2"), ("/a/2", "/a/3"), ("/a/0", "/a/1"), ("", ""), ("/x/0", "/x/0")];
        for (new, old) in olds {
            assert_eq!(moves.undo(new), old);
            assert_eq!(moves.redo(old).as_deref(), Some(new));
        }
        assert_eq!((moves.redo("/a/0/x"), moves.redo("/a/2/b/1")), (None, None));
    }

    #[test]
    fn steps_with_slashes_and_tildes_survive() {
        let pointer = join("/x", "a/b~c");
        assert_eq!(pointer, "/x/a~1b~0c");
        assert_eq!(steps(&pointer).collect::<Vec<_>>(), ["x", "a/b~c"]);
        assert!(within("/x/1", "/x") && within("/x", "/x") && !within("/x1", "/x"));
    }
}
