//! The schema of an item: one of its own for each operation that is offered, told apart by `operation`.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::{BulkItem, is_offered};
use crate::openapi::path_pattern;
use crate::operation::Facts;
use crate::routes;

/// `createClient` is `CreateClientItem`.
fn name_of(operation: &str) -> String {
    let mut letters = operation.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    format!("{}{}Item", String::from_iter(first), letters.as_str())
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn object(about: &str, properties: &Map<String, Value>, required: &[&str]) -> Value {
    json!({ "type": "object", "description": about, "properties": properties, "required": required,
        "additionalProperties": false })
}

fn schema_of(facts: &Facts) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["operation"];
    properties.insert(
        "operation".to_owned(),
        json!({ "type": "string", "enum": [facts.id] }),
    );
    let in_path: Vec<_> = facts
        .path_parameters()
        .filter(|name| *name != "tenant")
        .collect();
    if !in_path.is_empty() {
        let ids = in_path.iter().map(|name| {
            let (pattern, about) = path_pattern(facts, name);
            let schema = json!({ "type": "string", "pattern": pattern, "description": about });
            ((*name).to_owned(), schema)
        });
        let about = "The parameters of its path but the tenant.";
        properties.insert("path".to_owned(), object(about, &ids.collect(), &in_path));
        required.push("path");
    }
    let mut in_query = Map::new();
    for given in facts.query {
        let schema = json!({ "type": "string", "maxLength": given.max_length, "description": given.about,
            "example": given.example });
        in_query.insert(given.name.to_owned(), schema);
    }
    in_query.insert(
        "dry_run".to_owned(),
        json!({ "type": "string", "enum": ["true", "false"],
            "description": "Whether this item is rehearsed alone. When the whole request is, each item is." }),
    );
    let needed: Vec<_> = facts
        .query
        .iter()
        .filter(|given| given.required)
        .map(|given| given.name)
        .collect();
    if !needed.is_empty() {
        required.push("query");
    }
    let about = "The parameters of its query.";
    properties.insert("query".to_owned(), object(about, &in_query, &needed));
    if facts.conditional {
        properties.insert("if_match".to_owned(), text("Its `If-Match`."));
    }
    if let Some(body) = &facts.body {
        properties.insert("body".to_owned(), body.schema.reference());
        if body.required {
            required.push("body");
        }
    }
    object(facts.summary, &properties, &required)
}

fn schema_from(value: Value) -> RefOr<Schema> {
    serde_json::from_value(value).unwrap_or_default()
}

impl PartialSchema for BulkItem {
    fn schema() -> RefOr<Schema> {
        let (mut variants, mut mapping) = (Vec::new(), Map::new());
        for operation in routes::operations() {
            if is_offered(&operation) {
                let id = operation.facts.id;
                let reference = format!("#/components/schemas/{}", name_of(id));
                variants.push(json!({ "$ref": reference }));
                mapping.insert(id.to_owned(), json!(reference));
            }
        }
        schema_from(json!({
            "description": "One operation: the `operationId` of a change in this tenant, and what it takes.",
            "oneOf": variants,
            "discriminator": { "propertyName": "operation", "mapping": mapping },
        }))
    }
}

impl ToSchema for BulkItem {
    fn name() -> Cow<'static, str> {
        "BulkItem".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for operation in routes::operations() {
            if is_offered(&operation) {
                let facts = &operation.facts;
                schemas.push((name_of(facts.id), schema_from(schema_of(facts))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(operation: &str) -> Value {
        let mut schemas = Vec::new();
        BulkItem::schemas(&mut schemas);
        let (_, schema) = schemas
            .iter()
            .find(|(name, _)| *name == name_of(operation))
            .expect("it is offered");
        serde_json::to_value(schema).unwrap()
    }

    #[test]
    fn an_item_has_what_its_operation_takes_and_nothing_else() {
        let delete = schema("deleteClient");
        assert_eq!(delete["required"], json!(["operation", "path", "query"]));
        assert_eq!(
            delete["properties"]["operation"]["enum"],
            json!(["deleteClient"])
        );
        assert_eq!(delete["properties"]["path"]["required"], json!(["client"]));
        assert_eq!(
            delete["properties"]["query"]["required"],
            json!(["confirm_name"])
        );
        assert_eq!(delete["properties"].get("body"), None);
        let create = schema("createClient");
        assert_eq!(create["required"], json!(["operation", "body"]));
        assert_eq!(create["properties"].get("path"), None);
        assert_eq!(create["properties"].get("if_match"), None);
        assert_eq!(
            create["properties"]["body"]["$ref"],
            "#/components/schemas/ClientSettings"
        );
    }

    #[test]
    fn every_operation_offered_has_a_name_that_tells_it_apart() {
        let union = serde_json::to_value(BulkItem::schema()).unwrap();
        let mapping = union["discriminator"]["mapping"].as_object().unwrap();
        assert_eq!(union["oneOf"].as_array().unwrap().len(), mapping.len());
        assert!(mapping.contains_key("createClient"), "{union}");
        for left_out in [
            "bulk",
            "createTenant",
            "listClients",
            "removeAllTokens",
            "removeMyToken",
        ] {
            assert!(!mapping.contains_key(left_out), "{left_out}");
        }
    }
}
