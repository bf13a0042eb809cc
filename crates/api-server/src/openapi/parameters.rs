//! The parameters of an operation, as the document has them.

use grantor_domain::organization::DEEPEST;
use serde_json::{Value, json};

use crate::clients::MOST_HOURS;
use crate::operation::Facts;
use crate::requests::FilterKind;

fn parameter(name: &str, place: &str, required: bool, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
}

/// The pattern of a parameter of a path: of those roles that every tenant has none can be changed.
pub(crate) fn path_pattern(facts: &Facts, name: &str) -> (&'static str, &'static str) {
    match name {
        "role" if facts.is_change() => id_pattern("own role"),
        other => id_pattern(other),
    }
}

/// The pattern of an id, by the name that paths have for it.
fn id_pattern(name: &str) -> (&'static str, &'static str) {
    match name {
        "tenant" => ("^ten_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The tenant's id."),
        "organization" => (
            "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$",
            "The organization's id.",
        ),
        "client" => ("^cli_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The client's id."),
        "member" => ("^mem_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The member's id."),
        "role" => (
            "^(owner|admin|developer|support|member|operator|rol_[0-7][0-9a-hjkmnp-tv-z]{25})$",
            "The role's id; of one that every tenant has, its name.",
        ),
        "own role" => ("^rol_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The role's id."),
        "role_assignment" => (
            "^ras_[0-7][0-9a-hjkmnp-tv-z]{25}$",
            "The id by which the member or the client holds the role.",
        ),
        "secret" => ("^sec_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The secret's id."),
        "token" => ("^tok_[0-7][0-9a-hjkmnp-tv-z]{25}$", "The token's id."),
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

fn id_of(kind: &'static str, example: &str) -> Value {
    let (pattern, _) = id_pattern(kind);
    json!({ "type": "string", "pattern": pattern, "example": example })
}

/// All of them: in the path, the query and the headers.
pub(super) fn parameters(facts: &Facts) -> Vec<Value> {
    let mut all = Vec::new();
    for name in facts.path_parameters() {
        let (pattern, about) = path_pattern(facts, name);
        let schema = json!({ "type": "string", "pattern": pattern });
        all.push(parameter(name, "path", true, about, &schema));
    }
    in_query(facts, &mut all);
    in_headers(facts, &mut all);
    all
}

fn in_query(facts: &Facts, all: &mut Vec<Value>) {
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
            FilterKind::Organization => id_of("organization", filter.example),
            FilterKind::Member => id_of("member", filter.example),
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
            "root" => id_of("organization", given.example),
            "depth" => json!({ "type": "integer", "minimum": 1, "maximum": DEEPEST }),
            "hours" => {
                json!({ "type": "integer", "minimum": 1, "maximum": MOST_HOURS, "default": 24 })
            }
            "window" => {
                json!({ "type": "string", "enum": ["minute", "hour", "day"], "default": "hour" })
            }
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
}

fn in_headers(facts: &Facts, all: &mut Vec<Value>) {
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
    if facts.tagged && !facts.live && !facts.is_change() {
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
}
