//! Log lines on standard error: one line per event, whatever is in the message.
//!
//! Messages hold what callers sent. Control characters, line separators and marks that change the direction of writing
//! are escaped, so that nobody can forge a line, hide one, or drive a terminal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::str::FromStr;

use log::Level;

use crate::request_id::current_request_id;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `time LEVEL target [request id] message`.
    #[default]
    Text,
    /// One JSON object a line: `ts`, `level`, `target`, `request_id`, `message`.
    Json,
}

impl LogFormat {
    /// The word that chooses it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// A word that names no format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither text nor json")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(word: &str) -> Result<Self, UnknownLogFormat> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The process has a logger already.
    #[error("logging was already started")]
    AlreadyStarted(#[source] log::SetLoggerError),
}

/// Sends what `filter` lets through to standard error, panics too. To be called once, by `main`.
pub fn init(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    builder(filter, format)
        .target(env_logger::Target::Stderr)
        .try_init()
        .map_err(LoggingError::AlreadyStarted)?;
    std::panic::set_hook(Box::new(
        |panic| log::error!(target: "panic", "{}", told(panic)),
    ));
    Ok(())
}

fn builder(filter: &str, format: LogFormat) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter).format(move |out, record| {
        let line = Line {
            time: &out.timestamp_micros().to_string(),
            level: record.level(),
            target: record.target(),
            request_id: current_request_id().as_deref(),
            message: &record.args().to_string(),
        }
        .render(format);
        writeln!(out, "{line}")
    });
    builder
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text");
    match panic.location() {
        Some(place) => format!("panicked at {place}: {what}"),
        None => format!("panicked: {what}"),
    }
}

struct Line<'a> {
    time: &'a str,
    level: Level,
    target: &'a str,
    request_id: Option<&'a str>,
    message: &'a str,
}

impl Line<'_> {
    fn render(&self, format: LogFormat) -> String {
        match format {
            // The brackets are always there, so that a message cannot pass for a request id.
            LogFormat::Text => format!(
                "{} {:5} {} [{}] {}",
                self.time,
                self.level,
                escaped(self.target),
                escaped(self.request_id.unwrap_or("-")),
                escaped(self.message)
            ),
            LogFormat::Json => format!(
                r#"{{"ts":{},"level":{},"target":{},"request_id":{},"message":{}}}"#,
                json(self.time),
                json(&self.level.as_str().to_ascii_lowercase()),
                json(self.target),
                self.request_id.map_or_else(|| "null".to_owned(), json),
                json(self.message)
            ),
        }
    }
}

/// Whether a character could break a line, or change what a reader of it sees.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
        )
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let mut safe = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        if is_unsafe(character) {
            // All of them lie below U+10000, so four digits do; writing to a String cannot fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use log::Log as _;

    use super::*;
    use crate::request_id::with_request_id;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a logger of this format writes for the message, inside a request when an id is given.
    fn logged(format: LogFormat, id: Option<&str>, message: &str) -> String {
        let sink = Sink::default();
        let logger = builder("info", format)
            .target(env_logger::Target::Pipe(Box::new(sink.clone())))
            .build();
        with_request_id(id.map(str::to_owned), || {
            logger.log(
                &log::Record::builder()
                    .level(Level::Warn)
                    .target("kit")
                    .args(format_args!("{message}"))
                    .build(),
            );
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_line_has_time_level_target_and_request() {
        let line = logged(LogFormat::Text, Some("request-1"), "all well");
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        assert_eq!(rest, "WARN  kit [request-1] all well\n");
    }

    #[test]
    fn nobody_can_forge_a_line_or_a_request_id() {
        let forged =
            "x\r\n2026-01-01T00:00:00Z INFO  kit [admin] welcome\u{2028}\u{85}\u{1b}[2J\u{202e}\0";
        let line = logged(LogFormat::Text, None, forged);
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains(r" kit [-] x\r\n2026-"), "{line}");
        assert!(
            line.ends_with("\\u{2028}\\u{85}\\u{1b}[2J\\u{202e}\\u{0}\n"),
            "{line}"
        );

        let line = logged(LogFormat::Json, None, forged);
        assert_eq!(line.lines().count(), 1);
        assert!(!line.trim_end().contains(is_unsafe), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], forged);
        assert_eq!(object["request_id"], serde_json::Value::Null);
    }

    #[test]
    fn a_json_line_is_one_object_that_a_message_cannot_add_to() {
        let line = logged(
            LogFormat::Json,
            Some("request-1"),
            r#"","level":"error","x":""#,
        );
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object.as_object().unwrap().len(), 5);
        assert_eq!(object["level"], "warn");
        assert_eq!(object["target"], "kit");
        assert_eq!(object["request_id"], "request-1");
        assert!(chrono::DateTime::parse_from_rfc3339(object["ts"].as_str().unwrap()).is_ok());
    }

    #[test]
    fn ordinary_text_of_any_language_is_left_alone() {
        assert_eq!(
            escaped("Grüße, 世界 \\ \"quoted\" 🙂"),
            "Grüße, 世界 \\ \"quoted\" 🙂"
        );
    }

    #[test]
    fn the_filter_holds_back_what_is_below_it() {
        let logger = builder("warn,kit=debug", LogFormat::Text).build();
        let enabled = |target, level| {
            logger.enabled(&log::Metadata::builder().target(target).level(level).build())
        };
        assert!(enabled("kit", Level::Debug));
        assert!(enabled("other", Level::Warn));
        assert!(!enabled("other", Level::Info));
    }

    #[test]
    fn formats_have_names() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("JSON".parse::<LogFormat>(), Err(UnknownLogFormat));
    }
}
