//! Documents that try to break out of the page, in every text that they have.

use grantor_reference::render;
use serde_json::{Map, Value, json};

use crate::pages::documents;
use crate::strict::read;

const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    "</style></title></pre></main><img src=x onerror=alert(1)>",
    "```\n<script>\n```\n\n<iframe src=x>\n\n[a](javascript:alert(1)) ![b](https://elsewhere.example/b.png) <https://a\"b>",
    "]]><!-- --><svg onload=alert(1)> &lt;script&gt; &#x3c;",
    "| a | b |\n|---|---|\n| <b> | [c](data:text/html,<script>) |\n\n# <u>h</u>\n\n- <li>\n\n<p onclick=x>\n",
    "\u{0}\u{8}\u{202e}\u{2028}\u{fffe}<\u{0}script>",
];

/// The words that the standard gives meaning to: these keep the document a document.
const KEYWORDS: [&str; 96] = [
    "openapi",
    "info",
    "title",
    "summary",
    "description",
    "termsOfService",
    "contact",
    "license",
    "version",
    "name",
    "url",
    "email",
    "identifier",
    "servers",
    "variables",
    "default",
    "enum",
    "paths",
    "webhooks",
    "components",
    "security",
    "tags",
    "externalDocs",
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "trace",
    "operationId",
    "requestBody",
    "deprecated",
    "required",
    "in",
    "content",
    "schema",
    "example",
    "value",
    "externalValue",
    "type",
    "scheme",
    "bearerFormat",
    "flows",
    "scopes",
    "authorizationUrl",
    "tokenUrl",
    "refreshUrl",
    "openIdConnectUrl",
    "propertyName",
    "mapping",
    "discriminator",
    "properties",
    "additionalProperties",
    "patternProperties",
    "items",
    "prefixItems",
    "allOf",
    "oneOf",
    "anyOf",
    "const",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "x-permission",
    "$ref",
    "clientCredentials",
    "object",
    "array",
    "apiKey",
    "http",
    "basic",
    "bearer",
];

/// A document that uses all that the renderer knows.
fn everything() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "t", "summary": "t", "description": "t", "version": "1", "termsOfService": "https://example.com",
            "license": { "name": "t", "identifier": "t", "url": "https://example.com" },
            "contact": { "name": "t", "email": "t", "url": "https://example.com" },
        },
        "servers": [{ "url": "https://{host}", "description": "t", "variables": { "host": { "default": "t", "description": "t" } } }],
        "externalDocs": { "url": "https://example.com", "description": "t" },
        "tags": [{ "name": "a tag", "description": "t" }],
        "security": [{ "one": ["scope"] }],
        "paths": { "/things/{id}": {
            "parameters": [{ "name": "id", "in": "path", "required": true, "description": "t", "example": "t" }],
            "post": {
                "tags": ["a tag"], "summary": "t", "description": "t", "operationId": "make", "deprecated": true,
                "x-permission": ["p"], "security": [{ "one": ["s"], "two": [] }, { "key": [] }, {}],
                "parameters": [
                    { "name": "h", "in": "header", "required": true, "schema": { "type": "string", "pattern": "t", "enum": ["t"] } },
                    { "name": "q", "in": "query", "required": true, "deprecated": true, "examples": { "e": { "value": "t" } } },
                    { "$ref": "#/components/parameters/p" },
                ],
                "requestBody": { "description": "t", "required": true, "content": {
                    "application/json": {
                        "schema": { "$ref": "#/components/schemas/Input" },
                        "examples": { "e": { "summary": "t", "description": "t", "value": { "k": "t" } }, "f": { "externalValue": "t" } },
                    },
                    "text/plain": { "schema": { "type": "string", "contentMediaType": "t" }, "example": "t" },
                } },
                "responses": {
                    "200": { "description": "t", "headers": { "H": { "description": "t", "schema": { "type": "integer" } } },
                        "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Input" } } } } },
                    "default": { "$ref": "#/components/responses/r" },
                },
            },
            "put": { "requestBody": { "content": { "application/x-www-form-urlencoded": { "example": { "k": "t" } } } } },
        } },
        "components": {
            "parameters": { "p": { "name": "p", "in": "query", "schema": { "type": ["string", "null"], "default": "t", "examples": ["t"] } } },
            "responses": { "r": { "description": "t", "content": { "application/problem+json": { "example": { "k": "t" } } } } },
            "securitySchemes": {
                "one": { "type": "oauth2", "description": "t", "flows": { "clientCredentials": { "tokenUrl": "t", "scopes": { "s": "t" } } } },
                "two": { "type": "http", "scheme": "basic", "bearerFormat": "t" },
                "key": { "type": "apiKey", "in": "header", "name": "t" },
            },
            "schemas": {
                "Input": {
                    "title": "t", "description": "t", "type": "object", "required": ["name"], "additionalProperties": false,
                    "example": { "name": "t" },
                    "properties": {
                        "name": { "type": "string", "format": "t", "description": "t", "example": "t", "default": "t", "enum": ["t"], "title": "t" },
                        "map": { "type": "object", "additionalProperties": { "type": "string", "pattern": "t" } },
                        "list": { "type": "array", "items": { "properties": { "deep": { "const": "t" } } } },
                        "either": { "oneOf": [{ "$ref": "#/components/schemas/Other", "description": "t" }, { "type": "null" }] },
                    },
                    "patternProperties": { "t": { "type": "t" } },
                },
                "Other": {
                    "oneOf": [{ "$ref": "#/components/schemas/Input" }, { "title": "t", "type": "object", "properties": { "x": {} } }],
                    "discriminator": { "propertyName": "t", "mapping": { "t": "Input" } },
                },
                "Both": { "allOf": [{ "$ref": "https://elsewhere.example/x" }, { "description": "t", "contentEncoding": "t" }] },
            },
        },
    })
}

/// Every text replaced, and every name that isn't a word of the standard's; the ids of operations stay apart.
fn replaced(value: &Value, text: &str, count: &mut usize) -> Value {
    match value {
        Value::String(known) if KEYWORDS.contains(&known.as_str()) || known.starts_with("#/") => {
            value.clone()
        }
        Value::String(_) => json!(text),
        Value::Array(values) => values
            .iter()
            .map(|value| replaced(value, text, count))
            .collect(),
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| {
                    *count += 1;
                    if key == "operationId" {
                        return (key.clone(), json!(format!("{text}{count}")));
                    }
                    let is_keyword = KEYWORDS.contains(&key.as_str());
                    let key = if is_keyword {
                        key.clone()
                    } else {
                        format!("{text}{count}")
                    };
                    (key, replaced(value, text, count))
                })
                .collect::<Map<String, Value>>(),
        ),
        other => other.clone(),
    }
}

/// How many texts and free names a document has.
fn places(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(values) => values.iter().map(places).sum(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| usize::from(!KEYWORDS.contains(&key.as_str())) + places(value))
            .sum(),
        _ => 0,
    }
}

/// The document with the one text or free name at `place` replaced.
fn replaced_at(value: &Value, place: &mut usize, text: &str) -> Value {
    let mut is_here = || {
        let is_here = *place == 0;
        *place = place.wrapping_sub(1);
        is_here
    };
    match value {
        Value::String(_) if is_here() => json!(text),
        Value::Array(values) => values
            .iter()
            .map(|value| replaced_at(value, place, text))
            .collect(),
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| {
                    let is_free = !KEYWORDS.contains(&key.as_str());
                    let is_here = is_free && *place == 0;
                    if is_free {
                        *place = place.wrapping_sub(1);
                    }
                    let key = if is_here {
                        text.to_owned()
                    } else {
                        key.clone()
                    };
                    (key, replaced_at(value, place, text))
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn hostile_texts_everywhere_come_out_inert() {
    for document in documents().chain([everything()]) {
        for hostile in HOSTILE {
            let document = replaced(&document, hostile, &mut 0);
            // What `read` doesn't know, it refuses: an element, an attribute, a link to elsewhere.
            let page = read(&render(&document, hostile, &[]));
            assert!(page.text.len() > 1000, "{hostile}");
        }
    }
}

#[test]
fn a_hostile_text_in_any_one_place_comes_out_inert() {
    let document = everything();
    let count = places(&document);
    let hostile = HOSTILE.join("\n\n");
    assert!(count > 130, "{count}");
    for place in 0..count {
        let mut left = place;
        let document = replaced_at(&document, &mut left, &hostile);
        assert!(left > count, "place {place} was found");
        read(&render(&document, "T", &[]));
    }
}

#[test]
fn a_hostile_text_can_still_be_read() {
    let document = json!({ "info": { "description": "Beware of <script>alert(1)</script>." } });
    let page = read(&render(&document, "<T>", &[]));
    assert!(
        page.text.contains("Beware of <script>alert(1)</script>."),
        "{}",
        page.text
    );
    assert!(page.text.contains("<T>"));
}
