//! Reading a case out of JSON, with errors that say where it is wrong.

use serde_json::Value;

pub fn list<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], String> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("{what} is not a list: {value}"))
}

pub fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, String> {
    value
        .get(name)
        .ok_or_else(|| format!("there is no {name:?} in {value}"))
}

pub fn item(list: &[Value], index: usize) -> Result<&Value, String> {
    list.get(index)
        .ok_or_else(|| format!("too short: {}", Value::from(list)))
}

pub fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("not a string: {value}"))
}

pub fn index(value: &Value) -> Result<usize, String> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| format!("not an index: {value}"))
}

/// A number or null.
pub fn number(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        _ => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| format!("not a number: {value}")),
    }
}
