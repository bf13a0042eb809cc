//! The events of the feed, each kind with a versioned schema of its own.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use grantor_domain::audit::Action;
use grantor_storage::changes::FeedEntry;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::position::Positions;
use crate::audit_events::TargetOutput;
use crate::problem::Problem;

/// Something that has changed.
#[derive(Debug, Serialize)]
pub struct ChangeEvent {
    position: String,
    #[serde(rename = "type")]
    kind: String,
    version: i32,
    at: DateTime<Utc>,
    target: TargetOutput,
    touched: Vec<String>,
    audit_event_id: String,
}

impl ChangeEvent {
    pub(super) fn of(entry: FeedEntry, epoch: i64, positions: &Positions) -> Result<Self, Problem> {
        Ok(Self {
            position: positions.write(epoch, entry.sequence)?,
            kind: entry.action,
            version: entry.version,
            at: entry.at,
            target: TargetOutput {
                kind: entry.target_kind,
                id: entry.target_id,
            },
            touched: entry.subjects,
            audit_event_id: entry.event.to_string(),
        })
    }

    /// Its position.
    pub(super) fn position(&self) -> &str {
        &self.position
    }

    /// What kind of change it is.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }
}

/// One word of an `enum` is what a `const` would be, which utoipa does not keep.
fn schema_of(kind: &str, version: i32) -> serde_json::Value {
    json!({
        "type": "object",
        "title": format!("{kind}, version {version}"),
        "required": ["position", "type", "version", "at", "target", "touched", "audit_event_id"],
        "properties": {
            "position": { "type": "string", "description": "Where it stands in the feed: what to send as `after` to go on from here." },
            "type": { "type": "string", "enum": [kind] },
            "version": { "type": "integer", "enum": [version],
                "description": "The version of this schema. What is added to it later does not raise it." },
            "at": { "type": "string", "format": "date-time", "description": "When it was decided. The order is that of the commits." },
            "target": { "$ref": "#/components/schemas/Target" },
            "touched": { "type": "array", "items": { "type": "string", "example": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b" },
                "description": "The ids of all whose state it changed: read these anew." },
            "audit_event_id": { "type": "string", "example": "aud_01kb2q3r4s5t6v7w8x9y0z1a2b",
                "description": "The event in the log of record that says who did it and how it was before." },
        },
    })
}

/// `client.disabled`, version 1, is `ClientDisabledV1`.
fn name_of(kind: &str, version: i32) -> String {
    let words = kind.split(['.', '_']);
    let capitalised = words.map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    });
    format!("{}V{version}", capitalised.collect::<String>())
}

fn on_the_feed() -> impl Iterator<Item = Action> {
    Action::ALL
        .iter()
        .copied()
        .filter(|action| action.is_on_the_feed())
}

fn schema_from(value: serde_json::Value) -> RefOr<Schema> {
    serde_json::from_value(value).unwrap_or_default()
}

impl PartialSchema for ChangeEvent {
    fn schema() -> RefOr<Schema> {
        let (mut variants, mut mapping) = (Vec::new(), serde_json::Map::new());
        for action in on_the_feed() {
            let name = name_of(action.as_str(), action.version());
            let reference = format!("#/components/schemas/{name}");
            variants.push(json!({ "$ref": reference }));
            mapping.insert(action.as_str().to_owned(), json!(reference));
        }
        schema_from(json!({
            "description": "Something that has changed. Be ready for types that you don't know: there will be more.",
            "oneOf": variants,
            "discriminator": { "propertyName": "type", "mapping": mapping },
        }))
    }
}

impl ToSchema for ChangeEvent {
    fn name() -> Cow<'static, str> {
        "Change".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TargetOutput::name().into_owned(), TargetOutput::schema()));
        for action in on_the_feed() {
            let (kind, version) = (action.as_str(), action.version());
            schemas.push((
                name_of(kind, version),
                schema_from(schema_of(kind, version)),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_schema_of_its_own() {
        assert_eq!(name_of("client.disabled", 1), "ClientDisabledV1");
        assert_eq!(
            name_of("resource_server.created", 2),
            "ResourceServerCreatedV2"
        );
        let mut schemas = Vec::new();
        ChangeEvent::schemas(&mut schemas);
        let mut names: Vec<_> = schemas.iter().map(|(name, _)| name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        let one = serde_json::to_value(&schemas[1].1).unwrap();
        let words = |name: &str| one["properties"][name]["enum"].clone();
        assert_eq!(words("type"), json!(["platform.bootstrapped"]), "{one}");
        assert_eq!(words("version"), json!([1]), "{one}");
    }
}
