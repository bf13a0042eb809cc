//! The body of a request: taken as bytes, parsed only once the caller is known and allowed.

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::{FieldFault, Problem};
use crate::schemas::SchemaOf;

/// The most bytes that a body may have, where the operation says nothing else.
pub const BODY_LIMIT: usize = 64 * 1024;
/// The most characters of a parser's sentence that are told.
const SENTENCE_LIMIT: usize = 300;

/// A body that is not parsed yet.
#[derive(Debug, Clone, Default)]
pub struct RawBody {
    bytes: Bytes,
    media_type: String,
}

/// What an operation takes, for its document.
#[derive(Debug, Clone)]
pub struct BodyShape {
    /// What its JSON looks like.
    pub schema: SchemaOf,
    /// The types that it may be said to be of, the one to recommend first.
    pub media_types: &'static [&'static str],
    /// Whether it must be there.
    pub required: bool,
    /// The most bytes.
    pub limit: usize,
}

/// A body of one kind.
pub trait Body: Sized + 'static {
    /// What the document says of it.
    fn shape() -> BodyShape;
    /// Parses it.
    fn read(raw: &RawBody) -> Result<Self, Problem>;
}

impl RawBody {
    /// A body out of a JSON value that is at hand already.
    pub fn of_value(value: Option<&Value>) -> Self {
        Self {
            bytes: value.map(Value::to_string).unwrap_or_default().into(),
            media_type: "application/json".to_owned(),
        }
    }

    /// Reads the body of a request, up to a limit.
    pub async fn receive(
        request: &HttpRequest,
        payload: &mut Payload,
        limit: usize,
    ) -> Result<Self, Problem> {
        let unread = |error: &dyn std::fmt::Display| {
            Problem::MalformedJson(format!("the body could not be read: {error}"))
        };
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let payload = web::Payload::from_request(request, payload)
            .await
            .map_err(|error| unread(&error))?;
        match payload.to_bytes_limited(limit).await {
            Ok(Ok(bytes)) => Ok(Self { bytes, media_type }),
            Ok(Err(error)) => Err(unread(&error)),
            Err(_) => Err(Problem::TooLarge { limit }),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Parses it as JSON of one kind, when it is said to be of one of these types.
    pub fn json<T: DeserializeOwned>(
        &self,
        media_types: &'static [&'static str],
    ) -> Result<T, Problem> {
        if !media_types.contains(&self.media_type.as_str()) {
            return Err(Problem::UnsupportedMediaType(media_types));
        }
        parse(&self.bytes)
    }

    /// serde takes a list in the place of an object, its items for the fields in their order. The document knows no such
    /// body, and fields may be added.
    fn demand_object(&self) -> Result<(), Problem> {
        let first = self.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            let detail = "must be an object with named fields, not a list";
            return Err(Problem::field("", detail));
        }
        Ok(())
    }

    /// What two requests must have in common to be the same: the JSON, whatever the order of its fields and
    /// the spaces between them; otherwise the very bytes.
    pub fn essence(&self) -> Vec<u8> {
        match serde_json::from_slice::<Value>(&self.bytes) {
            Ok(value) => sorted(value).to_string().into_bytes(),
            Err(_) => self.bytes.to_vec(),
        }
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(
                fields
                    .into_iter()
                    .map(|(name, field)| (name, sorted(field)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

const JSON: &[&str] = &["application/json"];

/// A body that must be there, as JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> Body for Json<T> {
    fn shape() -> BodyShape {
        BodyShape {
            schema: SchemaOf::new::<T>(),
            media_types: JSON,
            required: true,
            limit: BODY_LIMIT,
        }
    }

    fn read(raw: &RawBody) -> Result<Self, Problem> {
        let body = raw.json(JSON).map(Self)?;
        raw.demand_object()?;
        Ok(body)
    }
}

/// A body that may be left out, as JSON.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default + ToSchema + 'static> Body for OptionalJson<T> {
    fn shape() -> BodyShape {
        BodyShape {
            required: false,
            ..Json::<T>::shape()
        }
    }

    fn read(raw: &RawBody) -> Result<Self, Problem> {
        if raw.is_empty() {
            Ok(Self(T::default()))
        } else {
            Json::read(raw).map(|Json(body)| Self(body))
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::MalformedJson(format!(
            "it must be UTF-8; byte {} is not",
            error.valid_up_to()
        ))
    })?;
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let pointer = pointer(error.path());
        let cause = error.into_inner();
        if cause.is_data() {
            fault(pointer, &cause)
        } else {
            Problem::MalformedJson(format!(
                "{} (line {}, column {})",
                sentence(&cause),
                cause.line(),
                cause.column()
            ))
        }
    })?;
    parser.end().map_err(|_| {
        Problem::MalformedJson("something follows the JSON value; send one value alone".to_owned())
    })?;
    Ok(parsed)
}

/// Parses a JSON value as the type that an operation takes.
pub fn parse_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        fault(pointer, &error.into_inner())
    })
}

fn fault(pointer: String, cause: &serde_json::Error) -> Problem {
    Problem::InvalidFields(vec![FieldFault::pointer(pointer, sentence(cause))])
}

/// `serde_json` ends its sentences with ` at line 1 column 2`, which helps little with a pointer at hand.
fn sentence(cause: &serde_json::Error) -> String {
    let sentence = cause.to_string();
    sentence
        .rsplit_once(" at line ")
        .map_or(sentence.as_str(), |(before, _)| before)
        .chars()
        .take(SENTENCE_LIMIT)
        .collect()
}

/// RFC 6901: `/` before each part, `~` and `/` within it escaped.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.extend(part.chars().take(100));
    }
    pointer
}

/// One part of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        number: i64,
    }

    fn fault(body: &str) -> FieldFault {
        match parse::<Outer>(body.as_bytes()).unwrap_err() {
            Problem::InvalidFields(mut faults) => faults.remove(0),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_field_at_fault_is_pointed_at() {
        assert_eq!(
            fault(r#"{"inner":{"number":"x"}}"#).pointer.unwrap(),
            "/inner/number"
        );
        assert!(
            fault(r#"{"inner":{"number":1,"other":2}}"#)
                .detail
                .contains("unknown field `other`")
        );
        assert!(
            fault(r#"{"inner":{"number":1,"number":2}}"#)
                .detail
                .contains("duplicate field `number`")
        );
        assert!(fault("{}").detail.contains("missing field `inner`"));
        assert_eq!(
            fault(r#"{"inner":{"number":1e99}}"#).pointer.unwrap(),
            "/inner/number"
        );
    }

    #[test]
    fn a_list_is_not_taken_for_the_fields_in_their_order() {
        let body = |text: &str| RawBody {
            bytes: Bytes::from(text.to_owned()),
            media_type: "application/json".to_owned(),
        };
        let list = " [{\"number\":1}]";
        assert!(parse::<Outer>(list.as_bytes()).is_ok(), "serde takes it");
        let Problem::InvalidFields(faults) = body(list).demand_object().unwrap_err() else {
            panic!("it is another problem");
        };
        assert_eq!(faults[0].pointer.as_deref(), Some(""));
        assert!(body("{\"inner\":[1]}").demand_object().is_ok());
    }

    #[test]
    fn what_is_not_json_is_told_with_its_place() {
        for body in [
            "",
            "{",
            "nul",
            "{\"inner\":{\"number\":1}} x",
            "{'a':1}",
            "\u{feff}{}",
        ] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert!(
                matches!(problem, Problem::MalformedJson(_)),
                "{body}: {problem}"
            );
        }
        assert!(matches!(
            parse::<Outer>(b"\xff\xfe").unwrap_err(),
            Problem::MalformedJson(_)
        ));
        let deep = "[".repeat(10_000);
        assert!(parse::<Value>(deep.as_bytes()).is_err());
    }

    #[test]
    fn two_bodies_are_the_same_whatever_the_order_of_their_fields() {
        let body = |text: &str| RawBody {
            bytes: Bytes::from(text.to_owned()),
            media_type: String::new(),
        };
        let one = body(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#).essence();
        assert_eq!(
            one,
            body(r#"{ "b": {"d":null, "c":[1, 2]}, "a":1 }"#).essence()
        );
        assert_ne!(one, body(r#"{"a":1,"b":{"c":[2,1],"d":null}}"#).essence());
        assert_ne!(body("x").essence(), body("y").essence());
    }
}
