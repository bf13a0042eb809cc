//! The OpenAPI 3.1 document, made from the declarations that the router is made of.

mod examples;
mod parameters;
mod responses;

use serde_json::{Map, Value, json};

use crate::operation::{Facts, Needs, Tag};
use crate::problem::ProblemBody;
use crate::routes::operations;
use crate::schemas::SchemaOf;
use crate::words::PermissionName;

use self::examples::examples;
use self::parameters::parameters;
pub(crate) use self::parameters::path_pattern;
use self::responses::{headers, responses};

const DESCRIPTION: &str = "Manage the OAuth clients that may touch an organisation's data.

Send `Authorization: Bearer …` with an access token of your tenant's issuer whose audience is `urn:grantor:api`: ask \
the token server for scopes that begin with `grantor:`. Each operation names the permission that it needs, which is \
both a scope of the token and a permission of the client's service role.

Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems; each `type` leads to a page about it. Every \
change takes `?dry_run=true`: it does everything but the commit. It also takes an `Idempotency-Key`: the same key with \
the same request has one effect and one answer, for 24 hours. Reads answer with an `ETag`; send it back as \
`If-Match` with a change, and the change goes through only if nothing came in between.";

/// The document.
pub fn document(base: &str) -> Value {
    let mut schemas = Map::new();
    SchemaOf::new::<ProblemBody>().add_to(&mut schemas);
    SchemaOf::new::<PermissionName>().add_to(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let facts = &operation.facts;
        for schema in facts
            .body
            .iter()
            .map(|body| &body.schema)
            .chain(&facts.answer)
        {
            schema.add_to(&mut schemas);
        }
        if let Some(path) = paths
            .entry(facts.path)
            .or_insert_with(|| json!({}))
            .as_object_mut()
        {
            path.insert(facts.method.as_str().to_lowercase(), describe(facts));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Grantor management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": base }],
        "tags": Tag::ALL
            .iter()
            .map(|tag| json!({ "name": tag.name(), "description": tag.description() }))
            .collect::<Vec<_>>(),
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": examples(base),
            "headers": headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of Grantor's own token server, with the audience urn:grantor:api.",
                },
            },
        },
    })
}

fn describe(facts: &Facts) -> Value {
    let mut described = Map::new();
    let mut put = |name: &str, value: Value| described.insert(name.to_owned(), value);
    put("operationId", json!(facts.id));
    put("tags", json!([facts.tag.name()]));
    put("summary", json!(facts.summary));
    put("description", json!(description(facts)));
    if let Some(permission) = facts.needs.permission() {
        put("security", json!([{ "bearer": [permission.scope_name()] }]));
        put("x-permission", json!(permission.as_str()));
    }
    if let Some(permission) = facts.open_to_operators {
        put("x-operators-permission", json!(permission.as_str()));
    }
    if !facts.records.is_empty() {
        let actions: Vec<_> = facts.records.iter().map(|action| action.as_str()).collect();
        put("x-audit-actions", json!(actions));
    }
    let parameters = parameters(facts);
    if !parameters.is_empty() {
        put("parameters", json!(parameters));
    }
    if let Some(body) = &facts.body {
        let content: Map<String, Value> = body
            .media_types
            .iter()
            .map(|kind| {
                (
                    (*kind).to_owned(),
                    json!({ "schema": body.schema.reference() }),
                )
            })
            .collect();
        put(
            "requestBody",
            json!({ "required": body.required, "content": content }),
        );
    }
    put("responses", Value::Object(responses(facts)));
    Value::Object(described)
}

fn description(facts: &Facts) -> String {
    let needs = match facts.needs {
        Needs::InTenant(permission) => format!("Needs the permission `{}`.", permission.as_str()),
        Needs::OverWholeTenant(permission) => format!(
            "Needs the permission `{}` over the root organization.",
            permission.as_str()
        ),
        Needs::OnPlatform(permission) if !permission.is_for_operators() => format!(
            "Needs the permission `{}` in any tenant.",
            permission.as_str()
        ),
        Needs::OnPlatform(permission) | Needs::OnAnyTenant(permission) => format!(
            "Needs the permission `{}`, which operators alone hold.",
            permission.as_str()
        ),
        Needs::KnownCaller => "Needs nothing but a good token.".to_owned(),
        Needs::Membership => {
            "Needs a token of this tenant; what each part needs is checked as it comes up."
                .to_owned()
        }
    };
    let operators = match facts.open_to_operators {
        Some(permission) => format!(
            " Operators with the permission `{}` may do it in any tenant.",
            permission.as_str()
        ),
        None => String::new(),
    };
    format!("{} {needs}{operators}", facts.description)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::problem::ProblemCode;

    #[test]
    fn every_problem_has_an_example() {
        let examples = examples("");
        for code in ProblemCode::ALL {
            // This one is no operation's: it tells of a method that is none.
            let is_of_operations = *code != ProblemCode::MethodNotAllowed;
            assert_eq!(
                examples.contains_key(code.as_str()),
                is_of_operations,
                "{code}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(document: &Value, here: &Value) {
            match here {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                        let pointer = reference.strip_prefix('#').expect("a local reference");
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| walk(document, value));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
                _ => {}
            }
        }
        let document = document("http://127.0.0.1:8080");
        walk(&document, &document);
    }

    #[test]
    fn ids_and_summaries_are_there_and_unique() {
        let mut seen = BTreeSet::new();
        for operation in operations() {
            let facts = &operation.facts;
            assert!(seen.insert(facts.id), "{}", facts.id);
            assert!(
                !facts.summary.is_empty() && !facts.description.is_empty(),
                "{}",
                facts.id
            );
            // audit_1: a change that names no event in the log of record is no change.
            assert_eq!(
                facts.is_change() && !["bulk", "bulkClients"].contains(&facts.id),
                !facts.records.is_empty(),
                "{}",
                facts.id
            );
        }
    }
}
