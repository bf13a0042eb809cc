use serde_json::{Value, json};

use super::command;
use crate::document::Document;

fn of(root: &Value) -> String {
    let document = Document::new(root);
    command(document, &document.groups()[0].operations[0])
}

#[test]
fn a_change_with_a_body() {
    let root = json!({
        "servers": [{ "url": "https://{host}/base/", "variables": { "host": { "default": "api.example" } } }],
        "security": [{ "bearer": ["grantor:clients.write"] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Input": { "properties": { "name": { "example": "Ada's export" } } } },
        },
        "paths": { "/v1/tenants/{tenant}/clients": { "post": {
            "parameters": [
                { "name": "tenant", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "Idempotency-Key", "in": "header", "required": true, "example": "k 1" },
                { "name": "limit", "in": "query", "schema": { "type": "integer" } },
            ],
            "requestBody": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Input" },
            } } },
        } } },
    });
    assert_eq!(
        of(&root),
        "curl --request POST \\\n  \
         \"https://api.example/base/v1/tenants/${TENANT}/clients\" \\\n  \
         --header \"Authorization: Bearer ${ACCESS_TOKEN}\" \\\n  \
         --header 'Idempotency-Key: k 1' \\\n  \
         --header 'Content-Type: application/json' \\\n  \
         --data-raw '{\n  \"name\": \"Ada'\\''s export\"\n}'"
    );
}

#[test]
fn reading_needs_no_more_than_an_address() {
    let root = json!({ "paths": { "/things/{id}": { "get": { "parameters": [
        { "name": "id", "in": "path", "required": true, "example": "a/b c" },
        { "name": "confirm_name", "in": "query", "required": true, "example": "A & B" },
        { "name": "confirm_id", "in": "query", "required": true },
    ] } } } });
    assert_eq!(
        of(&root),
        "curl \"${SERVER}/things/a%2Fb%20c?confirm_name=A%20%26%20B&confirm_id=${CONFIRM_ID}\""
    );
}

#[test]
fn a_form_is_sent_field_by_field_with_the_clients_credentials() {
    let root = json!({
        "components": { "securitySchemes": { "basic": { "type": "http", "scheme": "Basic" } } },
        "paths": { "/token": { "post": {
            "security": [{}, { "basic": [] }],
            "requestBody": { "content": { "application/x-www-form-urlencoded": {
                "example": { "grant_type": "client_credentials", "scope": "a b" },
            } } },
        } } },
    });
    assert_eq!(
        of(&root),
        "curl --request POST \\\n  \
         \"${SERVER}/token\" \\\n  \
         --user \"${CLIENT_ID}:${CLIENT_SECRET}\" \\\n  \
         --data-urlencode 'grant_type=client_credentials' \\\n  \
         --data-urlencode 'scope=a b'"
    );
}

#[test]
fn an_operation_that_is_open_to_all_sends_no_credentials() {
    let root = json!({
        "security": [{ "bearer": [] }],
        "components": { "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } } },
        "paths": { "/keys": { "get": { "security": [] } } },
    });
    assert_eq!(of(&root), "curl \"${SERVER}/keys\"");
}
