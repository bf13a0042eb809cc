//! The schema of a type, and of every type that it mentions, as the OpenAPI document holds them.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

type Mentioned = Vec<(String, RefOr<Schema>)>;

/// The schema of one type.
#[derive(Clone)]
pub struct SchemaOf {
    /// Its name in the document.
    pub name: Cow<'static, str>,
    own: fn() -> RefOr<Schema>,
    mentioned: fn(&mut Mentioned),
    shape: fn(Value, &mut Map<String, Value>) -> Value,
}

impl fmt::Debug for SchemaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaOf({})", self.name)
    }
}

impl SchemaOf {
    /// The schema of a type as it is.
    pub fn new<T: ToSchema>() -> Self {
        Self {
            name: T::name(),
            own: T::schema,
            mentioned: T::schemas,
            shape: |schema, _| schema,
        }
    }

    /// The schema of a merge patch (RFC 7396) of a type: nothing need be there, and `null` stands for the
    /// default of what has one.
    pub fn patch_of<T: ToSchema>() -> Self {
        Self {
            name: format!("{}Patch", T::name()).into(),
            shape: patch,
            ..Self::new::<T>()
        }
    }

    /// A reference to it.
    pub fn reference(&self) -> Value {
        json!({ "$ref": format!("#/components/schemas/{}", self.name) })
    }

    /// Adds it, and all that it mentions, to the schemas of a document.
    pub fn add_to(&self, schemas: &mut Map<String, Value>) {
        let mut mentioned = Vec::new();
        (self.mentioned)(&mut mentioned);
        for (name, schema) in mentioned {
            schemas
                .entry(name)
                .or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
        }
        let own = serde_json::to_value((self.own)()).unwrap_or_default();
        let shaped = (self.shape)(own, schemas);
        schemas.insert(self.name.to_string(), shaped);
    }
}

fn patch(mut schema: Value, schemas: &mut Map<String, Value>) -> Value {
    let required: Vec<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    object.remove("required");
    object.remove("example");
    object.insert(
        "description".to_owned(),
        json!("What is to be changed (RFC 7396): what is absent stays as it is, and `null` restores the default."),
    );
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            let Some(property) = property.as_object_mut() else {
                continue;
            };
            patch_within(property, schemas);
            if required.contains(name) {
                continue;
            }
            property.remove("default");
            if let Some(Value::String(kind)) = property.get("type") {
                let nullable = json!([kind, "null"]);
                property.insert("type".to_owned(), nullable);
            } else if let Some(reference) = property.remove("$ref") {
                property.insert(
                    "oneOf".to_owned(),
                    json!([{ "type": "null" }, { "$ref": reference }]),
                );
            }
        }
    }
    schema
}

/// An object within is patched like the whole: its fields need not all be there. It may be one that can be absent.
fn patch_within(property: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    if let Some(choices) = property.get_mut("oneOf").and_then(Value::as_array_mut) {
        for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
            patch_within(choice, schemas);
        }
        return;
    }
    let name = property
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.rsplit('/').next())
        .map(str::to_owned);
    let Some((name, schema)) =
        name.and_then(|name| Some((name.clone(), schemas.get(&name)?.clone())))
    else {
        return;
    };
    if schema.get("properties").is_none() {
        return;
    }
    let patched = patch(schema, schemas);
    let name = format!("{name}Patch");
    property.insert(
        "$ref".to_owned(),
        json!(format!("#/components/schemas/{name}")),
    );
    schemas.insert(name, patched);
}

/// One page of a list.
#[derive(Debug, serde::Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page, if there is one.
    pub next_cursor: Option<String>,
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, SchemaType, Type};
        let cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some(
                "What to send as `cursor` for the next page. Only `null` says that this is the last one: a page may be \
                 short, even empty, though more follows.",
            ));
        ObjectBuilder::new()
            .description(Some("One page of a list, with at most `limit` items."))
            .property(
                "items",
                ArrayBuilder::new().items(Ref::from_schema_name(T::name())),
            )
            .required("items")
            .property("next_cursor", cursor)
            .required("next_cursor")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Mentioned) {
        T::schemas(schemas);
        schemas.push((T::name().into_owned(), T::schema()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::routes::operations;
    use crate::words::PermissionName;

    #[test]
    fn no_two_types_have_one_name() {
        let mut seen = BTreeMap::from([(
            PermissionName::name().into_owned(),
            serde_json::to_value(PermissionName::schema()).unwrap(),
        )]);
        for operation in operations() {
            let facts = &operation.facts;
            for schema in facts
                .body
                .iter()
                .map(|body| &body.schema)
                .chain(&facts.answer)
            {
                let mut mentioned = Vec::new();
                (schema.mentioned)(&mut mentioned);
                for (name, schema) in mentioned {
                    let schema = serde_json::to_value(schema).unwrap();
                    let first = seen.entry(name.clone()).or_insert_with(|| schema.clone());
                    assert_eq!(*first, schema, "{name} in {}", facts.id);
                }
            }
        }
    }

    #[test]
    fn what_is_part_of_a_whole_does_not_forbid_the_rest() {
        for operation in operations() {
            let mut schemas = Map::new();
            if let Some(answer) = &operation.facts.answer {
                answer.add_to(&mut schemas);
            }
            for (name, schema) in &schemas {
                for part in schema["allOf"].as_array().into_iter().flatten() {
                    let named = part["$ref"]
                        .as_str()
                        .and_then(|path| path.rsplit('/').next());
                    let part = named.map_or(part, |named| &schemas[named]);
                    assert_ne!(part["additionalProperties"], json!(false), "{name}");
                }
            }
        }
    }

    #[test]
    fn what_may_be_absent_is_patched_within_as_well() {
        let part = json!({ "type": "object", "required": ["email"],
            "properties": { "email": { "type": "string" } } });
        let mut schemas = Map::from_iter([("Contact".to_owned(), part)]);
        let whole = json!({ "type": "object", "properties": { "contact": {
            "oneOf": [{ "$ref": "#/components/schemas/Contact" }, { "type": "null" }] } } });
        let patched = patch(whole, &mut schemas);
        assert_eq!(
            patched["properties"]["contact"]["oneOf"][0]["$ref"],
            "#/components/schemas/ContactPatch"
        );
        assert_eq!(schemas["ContactPatch"].get("required"), None);
        assert_eq!(schemas["Contact"]["required"], json!(["email"]));
    }
}
