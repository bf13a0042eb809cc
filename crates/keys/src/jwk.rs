//! Public keys as they are published (RFC 7517): types with no place for a private part.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use serde::{Deserialize, Serialize};

use crate::Algorithm;

/// A published key for signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJwk {
    /// `kty` and the members that belong to it.
    #[serde(flatten)]
    pub parameters: PublicParameters,
    /// The name by which a token's header refers to the key.
    pub kid: String,
    /// What the key may be used for.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// The one algorithm that the key is used with.
    pub alg: Algorithm,
}

/// The public numbers of a key, by its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicParameters {
    /// A point on an elliptic curve (RFC 7518 §6.2.1).
    #[serde(rename = "EC")]
    Ec {
        /// The curve.
        crv: Curve,
        /// The point's first coordinate.
        x: Coordinate,
        /// The point's second coordinate.
        y: Coordinate,
    },
    /// A key of an Edwards curve, which is a string of bytes (RFC 8037 §2).
    #[serde(rename = "OKP")]
    Okp {
        /// The curve.
        crv: EdwardsCurve,
        /// The key.
        x: Coordinate,
    },
    /// A modulus and an exponent (RFC 7518 §6.3.1).
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: Modulus,
        /// The exponent.
        e: Exponent,
    },
}

/// The curves of points in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// NIST P-256.
    #[serde(rename = "P-256")]
    P256,
}

/// The Edwards curves in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdwardsCurve {
    /// Ed25519.
    Ed25519,
}

/// What a published key is for: signatures, never encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    /// Signatures.
    #[serde(rename = "sig")]
    Signature,
}

/// A coordinate on P-256, or a whole key of Ed25519: 32 bytes, base64url in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Coordinate([u8; 32]);

/// A coordinate that is not 32 bytes in base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a coordinate is not 32 bytes in base64url")]
pub struct MalformedCoordinate;

impl TryFrom<String> for Coordinate {
    type Error = MalformedCoordinate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // RFC 7518 §6.2.1.2: the length of this octet string MUST be the full size of a coordinate.
        // RFC 8032 §5.1.5: a key of Ed25519 is as long.
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| MalformedCoordinate)?;
        bytes.try_into().map(Self).map_err(|_| MalformedCoordinate)
    }
}

impl From<Coordinate> for String {
    fn from(coordinate: Coordinate) -> Self {
        URL_SAFE_NO_PAD.encode(coordinate.0)
    }
}

/// The modulus of an RSA key: from 2048 to 4096 bits, base64url in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Modulus(Vec<u8>);

/// The text is no modulus of a size that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a modulus is not an odd number of 2048 to 4096 bits in base64url without leading zeros")]
pub struct MalformedModulus;

impl Modulus {
    /// Takes up the number, the highest byte first.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, MalformedModulus> {
        // RFC 7518 §3.3: a key of size 2048 bits or larger MUST be used. §6.3.1.1: no extra zero-valued octet in
        // front. Larger ones than 4096 bits are nobody's, but would cost the verifier a lot.
        let long_enough = match bytes.len() {
            256 => bytes.first().is_some_and(|first| *first >= 0x80),
            257..=512 => bytes.first().is_some_and(|first| *first != 0),
            _ => false,
        };
        let odd = bytes.last().is_some_and(|last| last % 2 == 1);
        if long_enough && odd {
            Ok(Self(bytes))
        } else {
            Err(MalformedModulus)
        }
    }
}

impl TryFrom<String> for Modulus {
    type Error = MalformedModulus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedModulus)?;
        Self::from_bytes(bytes)
    }
}

impl From<Modulus> for String {
    fn from(modulus: Modulus) -> Self {
        URL_SAFE_NO_PAD.encode(modulus.0)
    }
}

/// The one exponent that RSA keys have here, as nearly everywhere: 65537.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exponent {
    /// 65537, the fourth of Fermat's numbers.
    #[serde(rename = "AQAB")]
    F4,
}

impl Exponent {
    const F4_BYTES: [u8; 3] = [1, 0, 1];
}

/// A set of published keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<PublicJwk>,
}

impl Jwks {
    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<&PublicJwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl PublicJwk {
    /// The RFC 7638 SHA-256 thumbprint in base64url.
    pub fn thumbprint(&self) -> String {
        self.parameters.thumbprint()
    }

    /// Whether this is the key's signature over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match (self.alg, &self.parameters) {
            (
                Algorithm::Es256,
                PublicParameters::Ec {
                    crv: Curve::P256,
                    x,
                    y,
                },
            ) => {
                // SEC 1 §2.3.3: 0x04 and both coordinates. `ring` refuses what is not on the curve.
                let point = [[0x04].as_slice(), &x.0, &y.0].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            (
                Algorithm::EdDsa,
                PublicParameters::Okp {
                    crv: EdwardsCurve::Ed25519,
                    x,
                },
            ) => UnparsedPublicKey::new(&ED25519, x.0)
                .verify(message, signature)
                .is_ok(),
            (Algorithm::Rs256, PublicParameters::Rsa { n, e: Exponent::F4 }) => {
                RsaPublicKeyComponents {
                    n: n.0.as_slice(),
                    e: Exponent::F4_BYTES.as_slice(),
                }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok()
            }
            // A key that says of itself what it is not.
            (Algorithm::Es256, PublicParameters::Okp { .. } | PublicParameters::Rsa { .. })
            | (Algorithm::EdDsa, PublicParameters::Ec { .. } | PublicParameters::Rsa { .. })
            | (Algorithm::Rs256, PublicParameters::Ec { .. } | PublicParameters::Okp { .. }) => {
                false
            }
        }
    }
}

impl PublicParameters {
    /// Reads an uncompressed point: 0x04 and both coordinates.
    pub(crate) fn p256_from_point(point: &[u8]) -> Option<Self> {
        let (tag, coordinates) = point.split_first()?;
        let (x, y) = coordinates.split_first_chunk::<32>()?;
        let y = y.try_into().ok()?;
        (*tag == 0x04).then_some(Self::Ec {
            crv: Curve::P256,
            x: Coordinate(*x),
            y: Coordinate(y),
        })
    }

    /// Reads a key of Ed25519, which is nothing but its bytes.
    pub(crate) fn ed25519(key: &[u8]) -> Option<Self> {
        let x = Coordinate(key.try_into().ok()?);
        Some(Self::Okp {
            crv: EdwardsCurve::Ed25519,
            x,
        })
    }

    /// Takes up the modulus of a key whose exponent is 65537.
    pub(crate) fn rsa(modulus: Vec<u8>, exponent: &[u8]) -> Option<Self> {
        let n = Modulus::from_bytes(modulus).ok()?;
        (exponent == Exponent::F4_BYTES).then_some(Self::Rsa { n, e: Exponent::F4 })
    }

    pub(crate) fn thumbprint(&self) -> String {
        // RFC 7638 §3: the required members alone, in lexicographic order, without whitespace.
        match self {
            Self::Ec {
                crv: Curve::P256,
                x,
                y,
            } => hash_base64url(&format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                String::from(*x),
                String::from(*y)
            )),
            // RFC 8037 §2: of these keys the required members are these.
            Self::Okp {
                crv: EdwardsCurve::Ed25519,
                x,
            } => hash_base64url(&format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                String::from(*x)
            )),
            Self::Rsa { n, e: Exponent::F4 } => hash_base64url(&format!(
                r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#,
                String::from(n.clone())
            )),
        }
    }
}

fn hash_base64url(canonical: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7515 §A.3.1, with the members that this server publishes.
    const RFC7515_A3_KEY: &str = r#"{
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "kid": "a3", "use": "sig", "alg": "ES256"
    }"#;

    const SIGNING_INPUT: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    /// The order of P-256 (SEC 2 §2.4.2).
    const ORDER: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63,
        0x25, 0x51,
    ];

    /// The key of RFC 8037 §A.2, with the members that this server publishes.
    const RFC8037_A2_KEY: &str = r#"{
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "a2", "use": "sig", "alg": "EdDSA"
    }"#;

    /// What RFC 8037 §A.4 signs, and the signature.
    const ED25519_INPUT: &[u8] = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const ED25519_SIGNATURE: &str =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn edwards_key() -> PublicJwk {
        serde_json::from_str(RFC8037_A2_KEY).unwrap()
    }

    fn edwards_signature() -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(ED25519_SIGNATURE).unwrap()
    }

    fn key() -> PublicJwk {
        serde_json::from_str(RFC7515_A3_KEY).unwrap()
    }

    fn signature() -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap()
    }

    fn der_integer(bytes: &[u8]) -> Vec<u8> {
        let mut value = bytes.to_vec();
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [
            &[0x02, u8::try_from(value.len()).unwrap()],
            value.as_slice(),
        ]
        .concat()
    }

    #[test]
    fn rfc7515_a3_es256_verifies() {
        assert!(key().verifies(SIGNING_INPUT, &signature()));
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_refused() {
        let (key, right) = (key(), signature());
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies(SIGNING_INPUT, &wrong), "bit {bit}");
        }
    }

    #[test]
    fn a_changed_message_is_refused() {
        for (key, signed, signature) in [
            (key(), SIGNING_INPUT, signature()),
            (edwards_key(), ED25519_INPUT, edwards_signature()),
        ] {
            let mut message = signed.to_vec();
            message[3] ^= 1;
            assert!(!key.verifies(&message, &signature));
            assert!(!key.verifies(b"", &signature));
        }
    }

    #[test]
    fn rfc8037_a4_eddsa_verifies_and_every_changed_bit_is_refused() {
        let (key, right) = (edwards_key(), edwards_signature());
        assert!(key.verifies(ED25519_INPUT, &right));
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies(ED25519_INPUT, &wrong), "bit {bit}");
        }
        for length in 0..right.len() {
            assert!(!key.verifies(ED25519_INPUT, &right[..length]));
        }
        assert!(!key.verifies(ED25519_INPUT, &[right.as_slice(), &[0]].concat()));
    }

    #[test]
    fn rfc8032_5_1_7_a_signature_has_no_second_form() {
        // The order of the group, which added to the second half would make another one of the same.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut second = edwards_signature();
        let mut carry = 0;
        for (digit, added) in second[32..].iter_mut().zip(order) {
            let sum = u16::from(*digit) + u16::from(added) + carry;
            *digit = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!edwards_key().verifies(ED25519_INPUT, &second));
    }

    #[test]
    fn a_key_that_contradicts_itself_verifies_nothing() {
        let point = PublicJwk {
            alg: Algorithm::EdDsa,
            ..key()
        };
        let bytes = PublicJwk {
            alg: Algorithm::Es256,
            ..edwards_key()
        };
        for (key, message, signature) in [
            (&point, SIGNING_INPUT, signature()),
            (&bytes, ED25519_INPUT, edwards_signature()),
        ] {
            assert!(!key.verifies(message, &signature));
        }
    }

    #[test]
    fn signatures_out_of_range_are_refused() {
        let key = key();
        let (r, s) = (&signature()[..32], &signature()[32..]);
        let zero = [0u8; 32];
        let highest = [0xff; 32];
        for (r, s) in [
            (zero.as_slice(), s),
            (r, zero.as_slice()),
            (&zero, &zero),
            (&ORDER, s),
            (r, &ORDER),
            (&ORDER, &ORDER),
            (&highest, s),
            (r, &highest),
        ] {
            assert!(!key.verifies(SIGNING_INPUT, &[r, s].concat()));
        }
    }

    #[test]
    fn rfc7518_3_4_a_signature_has_64_bytes_and_is_not_der() {
        let (key, right) = (key(), signature());
        for length in 0..right.len() {
            assert!(!key.verifies(SIGNING_INPUT, &right[..length]));
        }
        for long in [
            [right.as_slice(), &[0]].concat(),
            [&[0], right.as_slice()].concat(),
            [right.as_slice(), &right].concat(),
            vec![0xff; 4096],
        ] {
            assert!(!key.verifies(SIGNING_INPUT, &long));
        }
        let body = [der_integer(&right[..32]), der_integer(&right[32..])].concat();
        let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
        assert!(!key.verifies(SIGNING_INPUT, &der));
    }

    #[test]
    fn the_complement_of_s_is_a_second_valid_signature() {
        // ECDSA itself allows it and RFC 7518 does not forbid it: a signature is no fingerprint.
        let mut second = signature();
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i16::from(ORDER[at]) - i16::from(second[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            second[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        assert_ne!(second, signature());
        assert!(key().verifies(SIGNING_INPUT, &second));
    }

    #[test]
    fn a_point_off_the_curve_verifies_nothing() {
        for (x, y) in [
            ([0; 32], [0; 32]),
            ([1; 32], [1; 32]),
            ([0xff; 32], [0xff; 32]),
        ] {
            let key = PublicJwk {
                parameters: PublicParameters::Ec {
                    crv: Curve::P256,
                    x: Coordinate(x),
                    y: Coordinate(y),
                },
                ..key()
            };
            assert!(!key.verifies(SIGNING_INPUT, &signature()));
        }
    }

    #[test]
    fn rfc7638_3_1_the_example_s_thumbprint() {
        let canonical = concat!(
            r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbb"#,
            "fAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXA",
            "rwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQv",
            "RL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0L",
            r#"s1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#
        );
        assert_eq!(
            hash_base64url(canonical),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn rfc9449_6_1_the_thumbprint_of_an_ec_key() {
        let key: PublicJwk = serde_json::from_str(
            r#"{"kty":"EC","crv":"P-256","kid":"dpop","use":"sig","alg":"ES256",
                "x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
        )
        .unwrap();
        assert_eq!(
            key.thumbprint(),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
    }

    #[test]
    fn rfc8037_a3_the_thumbprint_of_an_edwards_key() {
        assert_eq!(
            edwards_key().thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn a_published_key_has_exactly_the_public_members() {
        for (key, text) in [(key(), RFC7515_A3_KEY), (edwards_key(), RFC8037_A2_KEY)] {
            let json = serde_json::to_value(&key).unwrap();
            assert_eq!(
                json,
                serde_json::from_str::<serde_json::Value>(text).unwrap()
            );
            let again: PublicJwk = serde_json::from_value(json).unwrap();
            assert_eq!(again, key);
        }
    }

    #[test]
    fn rfc7517_4_unknown_members_are_ignored_and_a_private_one_is_not_kept() {
        for public in [RFC7515_A3_KEY, RFC8037_A2_KEY] {
            let private = public.replacen('{', r#"{"d":"c2VjcmV0","x5t":"",  "#, 1);
            let key: PublicJwk = serde_json::from_str(&private).unwrap();
            assert!(!serde_json::to_string(&key).unwrap().contains("c2VjcmV0"));
        }
    }

    #[test]
    fn a_key_that_is_not_for_signatures_in_use_is_not_read() {
        for (from, to) in [
            ("\"EC\"", "\"RSA\""),
            ("\"EC\"", "\"oct\""),
            ("P-256", "P-384"),
            ("\"sig\"", "\"enc\""),
            ("ES256", "none"),
            ("ES256", "HS256"),
            ("ES256", "RS384"),
            ("f83O", "83O"),
            ("f83O", "f83O="),
            ("RVEU", "RVEV"),
            ("\"kid\"", "\"kind\""),
        ] {
            let other = RFC7515_A3_KEY.replacen(from, to, 1);
            assert_ne!(other, RFC7515_A3_KEY);
            assert!(serde_json::from_str::<PublicJwk>(&other).is_err(), "{to}");
        }
        for (from, to) in [
            ("\"OKP\"", "\"EC\""),
            ("Ed25519", "Ed448"),
            ("Ed25519", "P-256"),
            ("EdDSA", "none"),
            ("11qY", "1qY"),
            ("URo", "URp"),
        ] {
            let other = RFC8037_A2_KEY.replacen(from, to, 1);
            assert_ne!(other, RFC8037_A2_KEY);
            assert!(serde_json::from_str::<PublicJwk>(&other).is_err(), "{to}");
        }
    }
}
