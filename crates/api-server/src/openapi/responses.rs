//! What an operation answers, as the document has it: when it goes well, and each way in which it can fail.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::operation::{Facts, Success};
use crate::problem::ProblemCode;

const PROBLEM_JSON: &str = "application/problem+json";

/// Every status that it can have.
pub(super) fn responses(facts: &Facts) -> Map<String, Value> {
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
    if facts.tagged && !facts.live && !facts.is_change() {
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
        ProblemCode::AddressNotAllowed,
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

/// The headers that answers refer to.
pub(super) fn headers() -> Value {
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
