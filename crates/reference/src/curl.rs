//! The call of an operation as a line for a shell: what it must have, with the document's examples, and variables
//! for what only the reader knows.

use serde_json::Value;

use crate::document::{Document, Operation, entries, flag, list, text};
use crate::example::in_line;
use crate::operation::body;
use crate::sample::{Purpose, sample};
use crate::shell::Word;

/// A command that calls the operation; it is safe to paste, whatever the document says.
pub(crate) fn command(document: Document<'_>, operation: &Operation<'_>) -> String {
    let mut arguments = Vec::new();
    match operation.method {
        "get" => {}
        "head" => arguments.push("--head".to_owned()),
        method => arguments.push(format!("--request {}", method.to_ascii_uppercase())),
    }
    let mut identity = authentication(document, operation);
    let parameters = operation.parameters(document);
    let required = |place: &'static str| {
        parameters
            .iter()
            .filter(move |parameter| {
                text(parameter, "in") == Some(place) && flag(parameter, "required")
            })
            .filter_map(move |parameter| {
                let name = text(parameter, "name")?;
                Some((name, word_for(document, parameter, name)))
            })
    };
    for (name, value) in required("header") {
        identity.push(header(name, value));
    }
    let query: Vec<_> = required("query").collect();
    arguments.push(address_of(document, operation, &query).quoted());
    arguments.extend(identity);
    arguments.extend(sent(document, operation));
    format!("curl {}", arguments.join(" \\\n  "))
}

/// The address, with the variable `SERVER` where the document names no server.
fn address_of(document: Document<'_>, operation: &Operation<'_>, query: &[(&str, Word)]) -> Word {
    let parameters = operation.parameters(document);
    let mut word = server(document, operation);
    let mut rest = operation.path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let found = parameters
            .iter()
            .find(|p| text(p, "name") == Some(name) && text(p, "in") == Some("path"));
        let value = found.map_or_else(|| Word::variable(name), |p| word_for(document, p, name));
        word = word.and(Word::literal(before)).and(value.in_address());
        rest = after;
    }
    word = word.and(Word::literal(rest));
    for (index, (name, value)) in query.iter().enumerate() {
        let sign = if index == 0 { "?" } else { "&" };
        word = word
            .and(Word::literal(sign))
            .and(Word::literal(name).in_address())
            .and(Word::literal("="))
            .and(value.clone().in_address());
    }
    word
}

fn server(document: Document<'_>, operation: &Operation<'_>) -> Word {
    let server = [operation.value, operation.item, document.root()]
        .into_iter()
        .find_map(|holder| list(holder, "servers").first());
    let Some((server, url)) = server.and_then(|server| Some((server, text(server, "url")?))) else {
        return Word::variable("server");
    };
    let mut url = url.to_owned();
    for (name, variable) in entries(server, "variables") {
        if let Some(default) = text(variable, "default") {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let url = url.trim_end_matches('/');
    if url.contains("://") {
        Word::literal(url)
    } else {
        Word::variable("server").and(Word::literal(url))
    }
}

fn header(name: &str, value: Word) -> String {
    let header = Word::literal(&format!("{name}: ")).and(value);
    format!("--header {}", header.quoted())
}

/// What the first way to authenticate sends that isn't *none*.
fn authentication(document: Document<'_>, operation: &Operation<'_>) -> Vec<String> {
    let alternatives = operation.value.get("security").map_or_else(
        || list(document.root(), "security"),
        |own| own.as_array().map_or(&[], Vec::as_slice),
    );
    let schemes = alternatives
        .iter()
        .filter_map(Value::as_object)
        .find(|schemes| !schemes.is_empty());
    let mut arguments = Vec::new();
    for name in schemes.into_iter().flat_map(|schemes| schemes.keys()) {
        let Some((_, scheme)) = document
            .components("securitySchemes")
            .find(|(known, _)| known == name)
        else {
            continue;
        };
        let scheme = document.resolve(scheme);
        let http = text(scheme, "scheme").map(str::to_ascii_lowercase);
        match (text(scheme, "type"), http.as_deref()) {
            (Some("http"), Some("basic")) => {
                let pair = Word::variable("client_id")
                    .and(Word::literal(":"))
                    .and(Word::variable("client_secret"));
                arguments.push(format!("--user {}", pair.quoted()));
            }
            (Some("http" | "oauth2" | "openIdConnect"), _) => {
                let token = Word::literal("Bearer ").and(Word::variable("access_token"));
                arguments.push(header("Authorization", token));
            }
            (Some("apiKey"), _) if text(scheme, "in") == Some("header") => {
                let name = text(scheme, "name").unwrap_or_default();
                arguments.push(header(name, Word::variable("api_key")));
            }
            _ => {}
        }
    }
    arguments
}

/// What is sent, and its media type.
fn sent(document: Document<'_>, operation: &Operation<'_>) -> Vec<String> {
    let Some(request) = operation.value.get("requestBody") else {
        return Vec::new();
    };
    let media_types: Vec<_> = entries(document.resolve(request), "content").collect();
    let preferred = media_types
        .iter()
        .find(|(name, _)| *name == "application/json")
        .or(media_types.first());
    let Some((name, media_type)) = preferred else {
        return Vec::new();
    };
    let example = body::first_example(document, media_type, Purpose::Request);
    if *name == body::FORM {
        return form(example.as_ref());
    }
    let mut arguments = vec![header("Content-Type", Word::literal(name))];
    if let Some(example) = example {
        let content = match &example {
            Value::String(text) if !name.ends_with("json") => text.clone(),
            other => crate::example::json(other),
        };
        arguments.push(format!("--data-raw {}", Word::literal(&content).quoted()));
    }
    arguments
}

fn form(example: Option<&Value>) -> Vec<String> {
    let Some(Value::Object(fields)) = example else {
        return Vec::new();
    };
    fields
        .iter()
        .map(|(name, value)| {
            let field = Word::literal(name)
                .in_address()
                .and(Word::literal("="))
                .and(Word::literal(&in_line(value)));
            format!("--data-urlencode {}", field.quoted())
        })
        .collect()
}

/// A parameter's example, or a variable of its name.
fn word_for(document: Document<'_>, parameter: &Value, name: &str) -> Word {
    let given = parameter.get("example").or_else(|| {
        entries(parameter, "examples")
            .find_map(|(_, example)| document.resolve(example).get("value"))
    });
    if let Some(given) = given {
        return Word::literal(&in_line(given));
    }
    let made = parameter
        .get("schema")
        .and_then(|schema| sample(document, schema, Purpose::Request))
        .map(|value| in_line(&value))
        .filter(|value| value != "…");
    made.map_or_else(|| Word::variable(name), |value| Word::literal(&value))
}

#[cfg(test)]
#[path = "curl_tests.rs"]
mod tests;
