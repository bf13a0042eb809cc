//! The address of the server, in libpq's form.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::socket::PORT;

/// A connection URI. The port is named, as libpq would take another from the environment.
pub(crate) fn connection(socket: &Path, user: &str, database: &str) -> String {
    let host = encode(socket.as_os_str().as_bytes());
    let user = encode(user.as_bytes());
    let database = encode(database.as_bytes());
    format!("postgresql:///{database}?host={host}&port={PORT}&user={user}")
}

/// RFC 3986 §2.1: everything but unreserved characters is percent-encoded.
fn encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len()), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                encoded.push(char::from(*byte));
            } else {
                // Writing to a String does not fail.
                let _infallible = write!(encoded, "%{byte:02X}");
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_encoded() {
        let url = connection(Path::new("/tmp/a b/.run"), "o'x&y", "d\u{e9}/?");
        assert_eq!(
            url,
            "postgresql:///d%C3%A9%2F%3F?host=%2Ftmp%2Fa%20b%2F.run&port=5432&user=o%27x%26y"
        );
    }
}
