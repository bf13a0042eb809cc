//! JSON objects in which no field stands twice: of two readers each could take another one.
//!
//! Types with fields of their own refuse it by themselves; values and maps whose names are not known before
//! would quietly take the last.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The most characters of a field's name that are repeated.
const NAME_LIMIT: usize = 100;

/// The fields of an object, each of which stands there once.
pub struct UniqueFields<V>(pub BTreeMap<String, V>);

/// A value in which, at any depth, no field stands twice.
pub struct UniqueValue(pub Value);

impl UniqueFields<UniqueValue> {
    /// The object that the fields make.
    pub fn into_object(self) -> Map<String, Value> {
        let fields = self.0.into_iter();
        fields.map(|(name, value)| (name, value.0)).collect()
    }
}

/// For maps of texts: reads them without a repeated name.
pub fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    UniqueFields::deserialize(from).map(|fields| fields.0)
}

/// For values that may be left out: reads them without a repeated name in them.
pub fn optional_value<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    let value = Option::<UniqueValue>::deserialize(from)?;
    Ok(value.map(|value| value.0))
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueFields<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Fields<V> {
            type Value = UniqueFields<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                fields_of(map).map(UniqueFields)
            }
        }
        from.deserialize_map(Fields(PhantomData))
    }
}

fn fields_of<'de, V: Deserialize<'de>, M: MapAccess<'de>>(
    mut map: M,
) -> Result<BTreeMap<String, V>, M::Error> {
    let mut fields = BTreeMap::new();
    while let Some(name) = map.next_key::<String>()? {
        if fields.contains_key(&name) {
            let name: String = name.chars().take(NAME_LIMIT).collect();
            return Err(Error::custom(format!("duplicate field `{name}`")));
        }
        let value = map.next_value()?;
        fields.insert(name, value);
    }
    Ok(fields)
}

impl<'de> Deserialize<'de> for UniqueValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = UniqueValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E: Error>(self) -> Result<UniqueValue, E> {
                Ok(UniqueValue(Value::Null))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<UniqueValue, E> {
                Ok(UniqueValue(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<UniqueValue, E> {
                Ok(UniqueValue(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<UniqueValue, E> {
                Ok(UniqueValue(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<UniqueValue, E> {
                Ok(UniqueValue(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<UniqueValue, E> {
                Ok(UniqueValue(value.into()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<UniqueValue, S::Error> {
                let mut items = Vec::new();
                while let Some(UniqueValue(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(UniqueValue(Value::Array(items)))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<UniqueValue, M::Error> {
                let fields = UniqueFields(fields_of(map)?);
                Ok(UniqueValue(Value::Object(fields.into_object())))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Value, serde_json::Error> {
        serde_json::from_str::<UniqueValue>(text).map(|value| value.0)
    }

    #[test]
    fn what_is_there_once_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x",{"a":{"a":18446744073709551615}}],"b":{}}"#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value(text).unwrap(), plain);
    }

    #[test]
    fn what_is_there_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"[[{"a":1,"\u0061":null}]]"#,
        ] {
            let error = value(text).unwrap_err().to_string();
            assert!(error.contains("duplicate field `a`"), "{error}");
        }
        let long = format!(r#"{{"{0}":1,"{0}":1}}"#, "x".repeat(5_000));
        assert!(value(&long).unwrap_err().to_string().len() < 200);
    }
}
