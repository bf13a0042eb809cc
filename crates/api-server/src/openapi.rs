//! The OpenAPI 3.1 document, made from the declarations that the router is made of.

use std::collections::BTreeSet;

use grantor_domain::permission::Permission;
use serde_json::{Map, Value, json};

use crate::operation::{Facts, Needs, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemBody, ProblemCode};
use crate::requests::{BODY_LIMIT, FilterKind};
use crate::routes::operations;
use crate::schemas::SchemaOf;

const PROBLEM_JSON: &str = "application/problem+json";

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
    schemas.insert("Permission".to_owned(), permissions());
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

fn permissions() -> Value {
    let described: Map<String, Value> = Permission::ALL
        .iter()
        .map(|permission| {
            (
                permission.as_str().to_owned(),
                json!(permission.description()),
            )
        })
        .collect();
    json!({
        "type": "string",
        "description": "What a caller may do. As the scope of a token, `grantor:` stands before it.",
        "enum": Permission::ALL.iter().map(|permission| permission.as_str()).collect::<Vec<_>>(),
        "x-enum-descriptions": described,
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
        Needs::OnPlatform(permission) | Needs::OnAnyTenant(permission) => format!(
            "Needs the permission `{}`, which operators alone hold.",
            permission.as_str()
        ),
        Needs::Membership => {
            "Needs a token of this tenant; what each part needs is checked as it comes up."
                .to_owned()
        }
    };
    format!("{} {needs}", facts.description)
}

fn parameter(name: &str, place: &str, required: bool, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
}

/// The pattern of an id, by the name that paths have for it.
pub(crate) fn id_pattern(name: &str) -> (&'static str, &'static str) {
    match name {
        "tenant" => ("^ten_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The tenant's id."),
        "client" => ("^cli_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The client's id."),
        "event" => ("^aud_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The event's id."),
        "resource_server" => (
            "^rsv_[0-7][0-9a-hjkmnp-tv-z]{25}$",
            "The resource server's id.",
        ),
        "scope" => (
            "^[A-Za-z0-9._:-]{1,100}$",
            "The scope's name: what stands after the colon.",
        ),
        _ => ("^.+$", "The name."),
    }
}

fn limit(default: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": default })
}

fn parameters(facts: &Facts) -> Vec<Value> {
    let mut all = Vec::new();
    for name in facts.path_parameters() {
        let (pattern, about) = id_pattern(name);
        let schema = json!({ "type": "string", "pattern": pattern });
        all.push(parameter(name, "path", true, about, &schema));
    }
    if let Some(rules) = facts.list {
        all.push(parameter(
            "limit",
            "query",
            false,
            "How many at most.",
            &limit(50),
        ));
        let about = "`next_cursor` of the page before, with the same filters and sorting.";
        all.push(parameter(
            "cursor",
            "query",
            false,
            about,
            &json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
        ));
        if !rules.sorts.is_empty() {
            let orders: Vec<_> = rules.orders().collect();
            let schema =
                json!({ "type": "string", "enum": orders, "default": rules.sorts.first() });
            let about = "What to sort by; a dash turns the order round.";
            all.push(parameter("sort", "query", false, about, &schema));
        }
    }
    for filter in facts.filters() {
        let schema = match filter.kind {
            FilterKind::Words(words) => json!({ "type": "string", "enum": words }),
            FilterKind::Text(limit) => {
                json!({ "type": "string", "minLength": 1, "maxLength": limit, "example": filter.example })
            }
            FilterKind::Time => {
                json!({ "type": "string", "format": "date-time", "example": filter.example })
            }
        };
        all.push(parameter(
            filter.name,
            "query",
            false,
            filter.about,
            &schema,
        ));
    }
    for given in facts.query {
        let schema = match given.name {
            // How many, wherever it stands.
            "limit" => limit(200),
            _ => {
                json!({ "type": "string", "minLength": 1, "maxLength": given.max_length,
                    "example": given.example })
            }
        };
        all.push(parameter(
            given.name,
            "query",
            given.required,
            given.about,
            &schema,
        ));
    }
    if facts.is_change() {
        let about = "Does everything but the commit: nothing comes of it, and the answer is the one that it would be.";
        let schema = json!({ "type": "boolean", "default": false });
        all.push(parameter("dry_run", "query", false, about, &schema));
    }
    if facts.is_change() {
        let about = "A random key of your own for this request. Sent again with the same key within 24 hours, the \
                     request has no second effect, and gets the same answer.";
        let schema = json!({ "type": "string", "minLength": 16, "maxLength": 255, "pattern": "^[!-~]+$",
            "example": "0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11" });
        all.push(parameter(
            "Idempotency-Key",
            "header",
            false,
            about,
            &schema,
        ));
    }
    if facts.conditional {
        let about = "The `ETag` that you last saw: when it is another now, nothing is changed, and you get a 412.";
        let schema =
            json!({ "type": "string", "pattern": "^(\\*|\"[0-9]+\")$", "example": "\"3\"" });
        all.push(parameter("If-Match", "header", false, about, &schema));
    }
    if facts.tagged && !facts.is_change() {
        let about =
            "The `ETag` that you last saw: when it still is that, you get a 304 without a body.";
        let schema = json!({ "type": "string", "example": "\"3\"" });
        all.push(parameter("If-None-Match", "header", false, about, &schema));
    }
    if facts.streams {
        let about =
            "Where to go on, as browsers send it when they connect anew. It counts before `after`.";
        let schema = json!({ "type": "string", "maxLength": 200 });
        all.push(parameter("Last-Event-ID", "header", false, about, &schema));
    }
    all
}

fn responses(facts: &Facts) -> Map<String, Value> {
    let mut all = Map::new();
    let statuses: &[(u16, &str)] = match facts.success {
        Success::Ok => &[(200, "It went well.")],
        Success::Created => &[(201, "It was made.")],
        Success::NoContent => &[(204, "It is done.")],
        Success::CreatedOrOk => &[
            (200, "It was there, and is as given now."),
            (201, "It was made."),
        ],
    };
    for (status, about) in statuses {
        let mut response =
            json!({ "description": about, "headers": success_headers(facts, *status) });
        if let (Some(answer), Some(response)) = (&facts.answer, response.as_object_mut()) {
            let mut content = json!({ "application/json": { "schema": answer.reference() } });
            if facts.streams
                && let Some(content) = content.as_object_mut()
            {
                content.insert(
                    "text/event-stream".to_owned(),
                    json!({ "schema": { "type": "string" } }),
                );
            }
            response.insert("content".to_owned(), content);
        }
        all.insert(status.to_string(), response);
    }
    if facts.tagged && !facts.is_change() {
        all.insert(
            "304".to_owned(),
            json!({ "description": "You have its present state already.", "headers": with(common_headers(), "ETag", header("ETag")) }),
        );
    }
    let codes = codes(facts);
    let statuses: BTreeSet<u16> = codes.iter().map(|code| code.status()).collect();
    for status in statuses {
        let here: Vec<_> = codes
            .iter()
            .filter(|code| code.status() == status)
            .collect();
        let titles: Vec<_> = here
            .iter()
            .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
            .collect();
        let examples: Map<String, Value> = here
            .iter()
            .map(|code| {
                let reference = format!("#/components/examples/{}", code.as_str());
                (code.as_str().to_owned(), json!({ "$ref": reference }))
            })
            .collect();
        all.insert(
            status.to_string(),
            json!({
                "description": titles.join(" "),
                "headers": problem_headers(status),
                "content": { PROBLEM_JSON: {
                    "schema": { "$ref": "#/components/schemas/Problem" },
                    "examples": examples,
                } },
            }),
        );
    }
    all
}

/// Everything that an operation can fail with: what follows from its declaration, and what that adds.
fn codes(facts: &Facts) -> BTreeSet<ProblemCode> {
    let mut codes = BTreeSet::from([
        ProblemCode::Unauthenticated,
        ProblemCode::InvalidField,
        ProblemCode::TooLarge,
        ProblemCode::TooManyRequests,
        ProblemCode::Internal,
        ProblemCode::Unavailable,
    ]);
    if facts.needs.permission().is_some() {
        codes.insert(ProblemCode::Forbidden);
    }
    if facts.path_parameters().next().is_some() {
        codes.insert(ProblemCode::NotFound);
    }
    // A body that is cut off can't be read, even where none is taken.
    codes.insert(ProblemCode::MalformedJson);
    if facts.body.is_some() {
        codes.insert(ProblemCode::UnsupportedMediaType);
    }
    if facts.list.is_some() {
        codes.insert(ProblemCode::InvalidCursor);
    }
    if facts.conditional {
        codes.insert(ProblemCode::PreconditionFailed);
    }
    if facts.is_change() {
        codes.insert(ProblemCode::InvalidIdempotencyKey);
        codes.insert(ProblemCode::IdempotencyKeyReused);
    }
    codes.extend(facts.fails);
    codes
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn common_headers() -> Value {
    json!({
        "X-Request-Id": header("RequestId"),
        "RateLimit": header("RateLimit"),
        "RateLimit-Policy": header("RateLimitPolicy"),
    })
}

fn with(mut headers: Value, name: &str, value: Value) -> Value {
    if let Some(headers) = headers.as_object_mut() {
        headers.insert(name.to_owned(), value);
    }
    headers
}

fn success_headers(facts: &Facts, status: u16) -> Value {
    let mut headers = common_headers();
    if facts.tagged {
        headers = with(headers, "ETag", header("ETag"));
    }
    if status == 201 {
        headers = with(headers, "Location", header("Location"));
    }
    if facts.is_change() {
        headers = with(headers, "Idempotent-Replayed", header("IdempotentReplayed"));
    }
    if facts.is_change() {
        headers = with(headers, "Dry-Run", header("DryRun"));
    }
    headers
}

fn problem_headers(status: u16) -> Value {
    match status {
        401 | 403 => with(
            common_headers(),
            "WWW-Authenticate",
            header("WwwAuthenticate"),
        ),
        429 | 503 => with(common_headers(), "Retry-After", header("RetryAfter")),
        _ => common_headers(),
    }
}

fn headers() -> Value {
    let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    let always = |header: Value| with(header, "required", json!(true));
    json!({
        "RequestId": always(text("The request, as in the logs and in audit events.")),
        "RateLimit": text("What is left of each rate limit (draft-ietf-httpapi-ratelimit-headers)."),
        "RateLimitPolicy": text("The rate limits that apply."),
        "ETag": always(text("The state of the thing; send it back as `If-Match`.")),
        "Location": always(text("Where what was made is found.")),
        "IdempotentReplayed": text("`true` when this is the answer to an earlier request with the same Idempotency-Key."),
        "DryRun": text("`true` when nothing came of it."),
        "WwwAuthenticate": always(text("What is lacking (RFC 6750).")),
        "RetryAfter": always(json!({ "description": "When to come again, in seconds.", "schema": { "type": "integer" } })),
    })
}

/// A problem of each kind, as it would be answered.
fn examples(base: &str) -> Map<String, Value> {
    let fault = || FieldFault::pointer("/name", "must not be empty");
    let confirm = FieldFault::parameter(
        "confirm_name",
        "must be the client's name, exactly; nothing was deleted",
    );
    [
        Problem::MalformedJson("expected `,` or `}` (line 1, column 12)".to_owned()),
        Problem::InvalidCursor,
        Problem::InvalidIdempotencyKey,
        Problem::no_token(),
        Problem::Forbidden(Permission::ClientsRead),
        Problem::NotFound,
        Problem::MethodNotAllowed(vec!["GET".to_owned(), "POST".to_owned()]),
        Problem::Conflict(FieldFault::pointer(
            "/key",
            "is another resource server's already",
        )),
        Problem::PositionExpired,
        Problem::PreconditionFailed {
            current: "\"4\"".to_owned(),
        },
        Problem::TooLarge { limit: BODY_LIMIT },
        Problem::UnsupportedMediaType(&["application/json"]),
        Problem::InvalidFields(vec![fault()]),
        Problem::ConfirmationMismatch(confirm),
        Problem::IdempotencyKeyReused,
        Problem::TooManyRequests {
            retry_after_seconds: 7,
        },
        Problem::Internal,
        Problem::Unavailable,
    ]
    .into_iter()
    .map(|problem| {
        let code = problem.code();
        let body = serde_json::to_value(problem.body(base)).unwrap_or_default();
        (
            code.as_str().to_owned(),
            json!({ "summary": code.title(), "value": body }),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_an_example() {
        let examples = examples("");
        for code in ProblemCode::ALL {
            assert!(examples.contains_key(code.as_str()), "{code}");
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
                facts.is_change() && facts.id != "bulk",
                !facts.records.is_empty(),
                "{}",
                facts.id
            );
        }
    }
}
