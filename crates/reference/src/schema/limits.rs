//! What a value must keep to, and what holds when it is left out.

use serde_json::Value;

use crate::document::{flag, list, text};
use crate::html::Html;

/// The limits of one value, each a short phrase.
#[derive(Debug, Default)]
pub(crate) struct Limits(Vec<Html>);

impl Limits {
    /// As a list, or nothing where there are none.
    pub(crate) fn to_list(&self) -> Html {
        let mut html = Html::new();
        if self.0.is_empty() {
            return html;
        }
        html.raw("<ul class=\"limits\">");
        for limit in &self.0 {
            html.raw("<li>").append(limit).raw("</li>");
        }
        html.raw("</ul>");
        html
    }

    fn say(&mut self, words: &str) {
        self.0.push(Html::of_text(words));
    }

    fn say_code(&mut self, words: &'static str, code: &str) {
        let mut html = Html::new();
        html.raw(words).raw(" ").code(code);
        self.0.push(html);
    }
}

/// The limits that a schema sets.
pub(crate) fn limits(schema: &Value) -> Limits {
    let mut limits = Limits::default();
    gather(schema, &mut limits);
    for (key, of_each) in [
        ("items", "each item:"),
        ("additionalProperties", "each value:"),
    ] {
        let Some(inner) = schema
            .get(key)
            .filter(|inner| text(inner, "$ref").is_none())
        else {
            continue;
        };
        let mut of_inner = Limits::default();
        gather(inner, &mut of_inner);
        for limit in of_inner.0 {
            let mut html = Html::new();
            html.raw(of_each).raw(" ").append(&limit);
            limits.0.push(html);
        }
    }
    limits
}

fn gather(schema: &Value, limits: &mut Limits) {
    let values = list(schema, "enum");
    if !values.is_empty() {
        let values: Vec<Html> = values
            .iter()
            .map(|value| Html::of_code(&plain(value)))
            .collect();
        let mut html = Html::of_text(if values.len() == 1 {
            "always "
        } else {
            "one of "
        });
        html.append(&Html::joined(&values, ", "));
        limits.0.push(html);
    }
    numbers(schema, limits);
    range(schema, limits, ["minLength", "maxLength"], "character");
    range(schema, limits, ["minItems", "maxItems"], "item");
    range(
        schema,
        limits,
        ["minProperties", "maxProperties"],
        "property",
    );
    if flag(schema, "uniqueItems") {
        limits.say("no item twice");
    }
    if let Some(pattern) = text(schema, "pattern") {
        limits.say_code("matches", pattern);
    }
    if let Some(encoding) = text(schema, "contentEncoding") {
        limits.say_code("encoded as", encoding);
    }
    if let Some(media_type) = text(schema, "contentMediaType") {
        limits.say_code("holds", media_type);
    }
    if let Some(default) = schema.get("default") {
        limits.say_code("by default", &plain(default));
    }
    if flag(schema, "readOnly") {
        limits.say("only in answers");
    }
    if flag(schema, "writeOnly") {
        limits.say("only in requests");
    }
}

fn numbers(schema: &Value, limits: &mut Limits) {
    let number = |key| schema.get(key).filter(|value| value.is_number());
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => limits.say(&format!("{least} to {most}")),
        (Some(least), None) => limits.say(&format!("at least {least}")),
        (None, Some(most)) => limits.say(&format!("at most {most}")),
        (None, None) => {}
    }
    if let Some(bound) = number("exclusiveMinimum") {
        limits.say(&format!("more than {bound}"));
    }
    if let Some(bound) = number("exclusiveMaximum") {
        limits.say(&format!("less than {bound}"));
    }
    if let Some(step) = number("multipleOf") {
        limits.say(&format!("a multiple of {step}"));
    }
}

fn range(schema: &Value, limits: &mut Limits, keys: [&str; 2], unit: &str) {
    let [least, most] = keys.map(|key| schema.get(key).and_then(Value::as_u64));
    let units = |count: u64| match (count, unit) {
        (1, _) => unit.to_owned(),
        (_, "property") => "properties".to_owned(),
        _ => format!("{unit}s"),
    };
    match (least, most) {
        (Some(least), Some(most)) if least == most => {
            limits.say(&format!("exactly {most} {}", units(most)));
        }
        (Some(least), Some(most)) => limits.say(&format!("{least} to {most} {}", units(most))),
        (Some(least), None) => limits.say(&format!("at least {least} {}", units(least))),
        (None, Some(most)) => limits.say(&format!("at most {most} {}", units(most))),
        (None, None) => {}
    }
}

/// A value as one would write it in a sentence: texts without quotes, unless they would be invisible.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.trim().is_empty() => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::limits;

    fn phrases(schema: &Value) -> Vec<String> {
        limits(schema)
            .0
            .into_iter()
            .map(|html| {
                html.into_string()
                    .replace("<code>", "`")
                    .replace("</code>", "`")
            })
            .collect()
    }

    #[test]
    fn numbers_have_bounds_a_step_and_a_default() {
        assert_eq!(
            phrases(
                &json!({ "type": "integer", "minimum": 60, "maximum": 86400, "default": 3600 })
            ),
            ["60 to 86400", "by default `3600`"]
        );
        assert_eq!(
            phrases(&json!({ "minimum": 0, "exclusiveMaximum": 1.5, "multipleOf": 0.5 })),
            ["at least 0", "less than 1.5", "a multiple of 0.5"]
        );
        // As OpenAPI 3.0 wrote it: no number, so nothing is said.
        assert_eq!(
            phrases(&json!({ "exclusiveMinimum": true, "maximum": 3 })),
            ["at most 3"]
        );
    }

    #[test]
    fn lengths_are_counted_in_what_they_count() {
        assert_eq!(
            phrases(&json!({ "minLength": 1, "maxLength": 100 })),
            ["1 to 100 characters"]
        );
        assert_eq!(
            phrases(&json!({ "minLength": 1 })),
            ["at least 1 character"]
        );
        assert_eq!(
            phrases(&json!({ "minItems": 2, "maxItems": 2, "uniqueItems": true })),
            ["exactly 2 items", "no item twice"]
        );
        assert_eq!(
            phrases(&json!({ "maxProperties": 5 })),
            ["at most 5 properties"]
        );
    }

    #[test]
    fn values_to_choose_from_and_patterns_are_code() {
        assert_eq!(
            phrases(&json!({ "enum": ["a", "", null, 1], "pattern": "^<a>$" })),
            [
                "one of `a`, `&quot;&quot;`, `null`, `1`",
                "matches `^&lt;a&gt;$`"
            ]
        );
        assert_eq!(phrases(&json!({ "default": null })), ["by default `null`"]);
        assert_eq!(phrases(&json!({ "enum": [false] })), ["always `false`"]);
        assert_eq!(phrases(&json!({ "default": [] })), ["by default `[]`"]);
    }

    #[test]
    fn items_and_values_of_maps_have_their_own() {
        assert_eq!(
            phrases(&json!({ "maxItems": 9, "items": { "maxLength": 5 } })),
            ["at most 9 items", "each item: at most 5 characters"]
        );
        assert_eq!(
            phrases(&json!({ "additionalProperties": { "minimum": 1 } })),
            ["each value: at least 1"]
        );
        assert_eq!(
            phrases(&json!({ "additionalProperties": false })),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_goes_one_way_says_so() {
        assert_eq!(phrases(&json!({ "readOnly": true })), ["only in answers"]);
        assert_eq!(
            phrases(&json!({ "writeOnly": true, "contentEncoding": "base64" })),
            ["encoded as `base64`", "only in requests"]
        );
    }
}
