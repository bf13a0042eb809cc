//! The body of a request: taken as bytes, parsed only once the caller is known and allowed.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;

use crate::problem::{FieldFault, Problem};

/// The most bytes that a body may have.
pub const BODY_LIMIT: usize = 64 * 1024;
/// The most characters of a parser's sentence that are told.
const SENTENCE_LIMIT: usize = 300;

/// A body that is not parsed yet.
pub struct RawBody {
    bytes: Bytes,
    is_json: bool,
}

impl FromRequest for RawBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = request
            .content_type()
            .eq_ignore_ascii_case("application/json");
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let unread = |error: &dyn std::fmt::Display| {
                Problem::MalformedJson(format!("the body could not be read: {error}"))
            };
            let payload = payload.await.map_err(|error| unread(&error))?;
            match payload.to_bytes_limited(BODY_LIMIT).await {
                Ok(Ok(bytes)) => Ok(Self { bytes, is_json }),
                Ok(Err(error)) => Err(unread(&error)),
                Err(_) => Err(Problem::TooLarge { limit: BODY_LIMIT }),
            }
        })
    }
}

impl RawBody {
    /// Parses the body as the type that this operation takes.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if !self.is_json {
            return Err(Problem::UnsupportedMediaType);
        }
        parse(&self.bytes)
    }

    /// Parses a body that may be left out.
    pub fn read_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.bytes.is_empty() {
            Ok(T::default())
        } else {
            self.read()
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
        let sentence: String = without_place(&cause.to_string())
            .chars()
            .take(SENTENCE_LIMIT)
            .collect();
        if cause.is_data() {
            Problem::InvalidFields(vec![FieldFault::pointer(pointer, sentence)])
        } else {
            Problem::MalformedJson(format!(
                "{sentence} (line {}, column {})",
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

/// `serde_json` ends its sentences with ` at line 1 column 2`, which helps little with a pointer at hand.
fn without_place(sentence: &str) -> &str {
    sentence
        .rsplit_once(" at line ")
        .map_or(sentence, |(before, _)| before)
}

/// RFC 6901: `/` before each part, `~` and `/` within it escaped.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.extend(part.chars().take(100));
    }
    pointer
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
        assert!(parse::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
