//! Signed tokens in the compact form of RFC 7515: made, verified, and looked into.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use crate::{Algorithm, Entropy, Jwks, SigningKey};

/// Longer tokens are neither made nor looked at: what is worth less than its parsing is refused first.
pub const MAX_JWS_LENGTH: usize = 16 * 1024;

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims have no JSON form.
    #[error("the claims cannot be written as JSON")]
    Claims(#[source] serde_json::Error),
    /// The claims are something else than a JSON object (RFC 7519 §4).
    #[error("the claims are not a JSON object")]
    NotAnObject,
    /// Longer than [`MAX_JWS_LENGTH`].
    #[error("the token would be too long")]
    Oversize,
    /// The random source failed.
    #[error("the token could not be signed")]
    Signature,
}

/// Why a token is not to be believed. For the log: a caller is told no more than that it is invalid.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Longer than [`MAX_JWS_LENGTH`].
    #[error("the token is too long")]
    Oversize,
    /// Not three segments.
    #[error("the token does not have three segments")]
    Segments,
    /// A segment in no, or not the only, base64url form.
    #[error("a segment of the token is not canonical base64url")]
    Encoding,
    /// A header that cannot be read, or lacks the key's name.
    #[error("the token's header is malformed")]
    Header,
    /// Extensions that must be understood and are not.
    #[error("the token's header demands extensions")]
    Critical,
    /// `none`, an algorithm not in use, or not that of the key.
    #[error("the token's algorithm is not the one of the key")]
    Algorithm,
    /// A token made for another purpose.
    #[error("the token is of another type")]
    Type,
    /// No such key.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// Not signed by the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Signed, but not what was expected.
    #[error("the token's claims are not the expected ones")]
    Claims(#[source] serde_json::Error),
    /// Signed, but no claims at all (RFC 7519 §7.2).
    #[error("the token's claims are not a JSON object")]
    NotAnObject,
}

#[derive(Serialize)]
struct NewHeader<'a> {
    typ: &'a str,
    alg: &'static str,
    kid: &'a str,
}

/// The parameters that matter; `jwk`, `jku`, `x5c` and the like never choose a key, so they are not read.
/// A parameter given twice is an error of serde's (RFC 7515 §4: names MUST be unique).
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// True for any value, `null` included.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl SigningKey {
    /// Signs claims as a compact JWS of this type.
    pub fn sign(
        &self,
        typ: &str,
        claims: &impl Serialize,
        entropy: &dyn Entropy,
    ) -> Result<String, SignError> {
        let header = NewHeader {
            typ,
            alg: self.algorithm().as_str(),
            kid: self.kid(),
        };
        let header = serde_json::to_vec(&header).map_err(SignError::Claims)?;
        let claims = serde_json::to_vec(claims).map_err(SignError::Claims)?;
        if !is_object(&claims) {
            return Err(SignError::NotAnObject);
        }
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self
            .sign_raw(token.as_bytes(), entropy)
            .ok_or(SignError::Signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        if token.len() > MAX_JWS_LENGTH {
            return Err(SignError::Oversize);
        }
        Ok(token)
    }
}

/// The claims of a token of this type, signed by one of these keys.
///
/// Times, audience and issuer are the caller's to check. ECDSA allows a second signature for the same
/// message, so two different texts may verify: whoever needs one text per token compares its hash.
pub fn verify_jws<T: DeserializeOwned>(
    token: &str,
    typ: &str,
    jwks: &Jwks,
) -> Result<T, VerifyError> {
    let compact = Compact::split(token)?;
    let header = decode(compact.header)?;
    let payload = decode(compact.payload)?;
    let signature = decode(compact.signature)?;

    let header: Header = Some(header)
        .filter(|header| is_object(header))
        .and_then(|header| serde_json::from_slice(&header).ok())
        .ok_or(VerifyError::Header)?;
    // RFC 7515 §4.1.11: if any of the listed extensions are not understood, the JWS is invalid.
    // None is understood here.
    if header.crit {
        return Err(VerifyError::Critical);
    }
    let algorithm = Algorithm::parse(&header.alg).ok_or(VerifyError::Algorithm)?;
    if !header.typ.is_some_and(|found| same_type(&found, typ)) {
        return Err(VerifyError::Type);
    }
    let kid = header.kid.ok_or(VerifyError::Header)?;
    let key = jwks.find(&kid).ok_or(VerifyError::UnknownKey)?;
    // RFC 8725 §3.1: the key decides which algorithm is used, never the token.
    if key.alg != algorithm {
        return Err(VerifyError::Algorithm);
    }
    if !key.verifies(compact.signed.as_bytes(), &signature) {
        return Err(VerifyError::Signature);
    }
    if !is_object(&payload) {
        return Err(VerifyError::NotAnObject);
    }
    serde_json::from_slice(&payload).map_err(VerifyError::Claims)
}

/// The claims of a compact JWS, **believed by nobody**: nothing is verified.
///
/// Only for finding the record whose stored hash then proves the token. Bounded by
/// [`MAX_JWS_LENGTH`]; none for whatever is not a JWS with an object in it.
pub fn peek_claims(token: &str) -> Option<Value> {
    let payload = decode(Compact::split(token).ok()?.payload).ok()?;
    serde_json::from_slice(&payload)
        .ok()
        .filter(Value::is_object)
}

struct Compact<'a> {
    /// Header and payload with the dot between them: what the signature is over.
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Compact<'a> {
    fn split(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > MAX_JWS_LENGTH {
            return Err(VerifyError::Oversize);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Segments)?;
        let (header, payload) = signed.split_once('.').ok_or(VerifyError::Segments)?;
        if payload.contains('.') {
            return Err(VerifyError::Segments);
        }
        Ok(Self {
            signed,
            header,
            payload,
            signature,
        })
    }
}

/// RFC 7515 §2: no padding, line breaks, whitespace or other characters; nor loose bits at the end.
fn decode(segment: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| VerifyError::Encoding)
}

/// serde reads a struct from an array too; JOSE knows objects only.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// RFC 7515 §4.1.9: a media type, so without regard to case, its `application/` omitted or not.
fn same_type(found: &str, expected: &str) -> bool {
    const OMITTED: &[u8] = b"application/";
    let found = found.as_bytes();
    let found = match found.split_at_checked(OMITTED.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(OMITTED) => rest,
        _ => found,
    };
    found.eq_ignore_ascii_case(expected.as_bytes())
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
