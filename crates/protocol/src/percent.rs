//! Strict decoding of one `application/x-www-form-urlencoded` name or value.

use thiserror::Error;

/// Why a form-encoded text could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A `%` without two hexadecimal digits after it.
    #[error("has a % that is not followed by two hexadecimal digits; encode a plain % as %25")]
    Percent,
    /// The decoded bytes are not UTF-8.
    #[error("is not UTF-8; encode the text as UTF-8 before percent-encoding it")]
    NotUtf8,
    /// A control character (U+0000 to U+001F, or U+007F).
    #[error("has a control character; remove it, line breaks and tabs included")]
    Control,
}

/// Decodes `+` and `%XX`, and refuses what a lenient decoder would let through.
///
/// RFC 6749 appendix B: names and values are UTF-8, then form-encoded.
pub(crate) fn decode(encoded: &[u8]) -> Result<String, DecodeError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(hex_digit);
                let low = bytes.next().and_then(hex_digit);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(DecodeError::Percent);
                };
                high << 4 | low
            }
            plain => plain,
        });
    }
    let text = String::from_utf8(decoded).map_err(|_| DecodeError::NotUtf8)?;
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(DecodeError::Control);
    }
    Ok(text)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6749_appendix_b_the_standards_own_example() {
        // Appendix B: U+0020 U+0025 U+0026 U+002B U+00A3 U+20AC.
        assert_eq!(
            decode(b"+%25%26%2B%C2%A3%E2%82%AC").unwrap(),
            " %&+\u{a3}\u{20ac}"
        );
    }

    #[test]
    fn every_encoded_byte_decodes_to_itself_or_is_refused() {
        for byte in 0..=u8::MAX {
            for encoded in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
                let expected = match byte {
                    0..=31 | 127 => Err(DecodeError::Control),
                    128.. => Err(DecodeError::NotUtf8),
                    _ => Ok(char::from(byte).to_string()),
                };
                assert_eq!(decode(encoded.as_bytes()), expected, "{encoded}");
            }
        }
    }

    #[test]
    fn broken_percent_encoding_is_refused() {
        for bad in [
            "%", "%4", "%%41", "%4g", "%g4", "%+1", "% 41", "a%", "%u0041",
        ] {
            assert_eq!(decode(bad.as_bytes()), Err(DecodeError::Percent), "{bad}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused_encoded_or_raw() {
        // An overlong slash, a surrogate, a lone continuation, a beginning without an end.
        for bad in ["%C0%AF", "%ED%A0%80", "%80", "%E2%82"] {
            assert_eq!(decode(bad.as_bytes()), Err(DecodeError::NotUtf8), "{bad}");
        }
        assert_eq!(decode(b"\xff"), Err(DecodeError::NotUtf8));
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode(b"%2541%252B").unwrap(), "%41%2B");
    }
}
