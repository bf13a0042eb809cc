use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::{hash::MessageDigest, rsa::Padding, sign::Verifier};
use ring::digest;
use serde_json::{Value, json};

use super::*;
use crate::{
    Algorithm, Jwks, NewSigningKey, PublicJwk, SigningKey, SystemEntropy, VerifyError,
    generate_signing_key, verify_jws,
};

/// Keys of these tests, made once for all of them: each takes tenths of a second.
fn keys() -> &'static [NewSigningKey; 2] {
    static KEYS: OnceLock<[NewSigningKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [(); 2].map(|()| generate_signing_key(Algorithm::Rs256, &SystemEntropy::default()).unwrap())
    })
}

fn load(algorithm: Algorithm, pkcs8: &[u8]) -> Result<SigningKey, KeyError> {
    let entropy = SystemEntropy::default();
    SigningKey::from_pkcs8(algorithm, keys()[0].kid.clone(), pkcs8, &entropy)
}

fn signing_key() -> SigningKey {
    load(Algorithm::Rs256, &keys()[0].pkcs8).unwrap()
}

/// The key of RFC 7515 §A.2.1, with the members that this server publishes.
const RFC7515_A2_KEY: &str = r#"{
    "kty": "RSA", "e": "AQAB", "kid": "a2", "use": "sig", "alg": "RS256",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
}"#;
const RFC7515_A2_INPUT: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RFC7515_A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

fn rfc_key() -> PublicJwk {
    serde_json::from_str(RFC7515_A2_KEY).unwrap()
}

fn rfc_signature() -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(RFC7515_A2_SIGNATURE).unwrap()
}

#[test]
fn rfc7515_a2_rs256_verifies_and_every_changed_bit_is_refused() {
    let (key, right) = (rfc_key(), rfc_signature());
    assert!(key.verifies(RFC7515_A2_INPUT, &right));
    for bit in 0..right.len() * 8 {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verifies(RFC7515_A2_INPUT, &wrong), "bit {bit}");
    }
    let mut message = RFC7515_A2_INPUT.to_vec();
    message[3] ^= 1;
    assert!(!key.verifies(&message, &right));
    assert!(!key.verifies(b"", &right));
}

#[test]
fn rfc7638_3_1_the_thumbprint_of_an_rsa_key() {
    let key: PublicJwk = serde_json::from_value(json!({ "kty": "RSA", "e": "AQAB", "use": "sig",
        "alg": "RS256", "kid": "2011-04-29", "n": concat!(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_",
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0",
        "_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh",
        "AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw") }))
    .unwrap();
    assert_eq!(
        key.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn a_new_key_has_2048_bits_is_named_by_its_thumbprint_and_comes_back_from_storage() {
    let [new, other] = keys();
    assert_ne!(new.kid, other.kid);
    assert_eq!(new.algorithm, Algorithm::Rs256);
    assert_eq!(new.kid, new.public.thumbprint());
    let json = serde_json::to_value(&new.public).unwrap();
    let n = URL_SAFE_NO_PAD.decode(json["n"].as_str().unwrap()).unwrap();
    assert_eq!((n.len(), n[0] >= 0x80), (256, true));
    assert_eq!(
        json,
        json!({ "kty": "RSA", "n": json["n"], "e": "AQAB", "use": "sig", "alg": "RS256",
            "kid": new.kid }),
        "and no private part"
    );
    let again: PublicJwk = serde_json::from_value(json).unwrap();
    assert_eq!(again, new.public);
    assert_eq!(signing_key().public(), new.public);
}

#[test]
fn what_is_signed_verifies_here_and_by_openssl_and_by_no_other_key() {
    let entropy = SystemEntropy::default();
    let token = signing_key()
        .sign("at+jwt", &json!({ "sub": "cli_1" }), &entropy)
        .unwrap();
    let verified = |new: &NewSigningKey| {
        let jwks = Jwks {
            keys: vec![PublicJwk {
                kid: keys()[0].kid.clone(),
                ..new.public.clone()
            }],
        };
        verify_jws::<Value>(&token, "at+jwt", &jwks)
    };
    let [own, other] = keys();
    assert_eq!(verified(own).unwrap(), json!({ "sub": "cli_1" }));
    assert!(matches!(verified(other), Err(VerifyError::Signature)));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let header: Value = serde_json::from_slice(
        &URL_SAFE_NO_PAD
            .decode(signed.split('.').next().unwrap())
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        header,
        json!({ "typ": "at+jwt", "alg": "RS256", "kid": own.kid })
    );
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for (key, good) in [(own, true), (other, false)] {
        let key = PKey::private_key_from_pkcs8(&key.pkcs8).unwrap();
        let mut by_openssl = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        let by_openssl = by_openssl.verify_oneshot(&signature, signed.as_bytes());
        assert_eq!(by_openssl.unwrap(), good);
    }
}

#[test]
fn a_token_that_names_another_algorithm_than_its_key_is_refused() {
    let own = &keys()[0];
    let jwks = Jwks {
        keys: vec![own.public.clone()],
    };
    for alg in ["none", "HS256", "RS384", "PS256", "ES256", "EdDSA", "rs256"] {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": own.kid });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let signature = signing_key()
            .sign_raw(signed.as_bytes(), &SystemEntropy::default())
            .unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let refused = verify_jws::<Value>(&token, "at+jwt", &jwks);
        assert!(matches!(refused, Err(VerifyError::Algorithm)), "{alg}");
    }
}

/// The private operation on a whole block as it stands, whatever is in it.
fn sign_block(block: &[u8]) -> Vec<u8> {
    let key = Rsa::private_key_from_der(
        &PKey::private_key_from_pkcs8(&keys()[0].pkcs8)
            .unwrap()
            .rsa()
            .unwrap()
            .private_key_to_der()
            .unwrap(),
    )
    .unwrap();
    let mut signature = vec![0; 256];
    let length = key
        .private_encrypt(block, &mut signature, Padding::NONE)
        .unwrap();
    assert_eq!(length, 256);
    signature
}

/// `DigestInfo` of SHA-256 before the digest (RFC 8017 §9.2).
const SHA_256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// A block of 256 bytes: these before the padding, padding, zero, and the end.
fn block(begin: [u8; 2], padding: u8, end: &[u8]) -> Vec<u8> {
    let mut block = begin.to_vec();
    block.resize(256 - 1 - end.len(), padding);
    block.push(0);
    block.extend_from_slice(end);
    block
}

#[test]
fn rfc8017_8_2_2_a_signature_has_one_form_of_padding_alone() {
    const MESSAGE: &[u8] = b"message";
    let key = &keys()[0].public;
    let digest = digest::digest(&digest::SHA256, MESSAGE);
    let digest = digest.as_ref();
    let told = [SHA_256.as_slice(), digest].concat();
    let right = block([0, 1], 0xff, &told);
    assert!(
        key.verifies(MESSAGE, &sign_block(&right)),
        "so the others are refused for what they differ in"
    );
    // Bleichenbacher's: little padding, and whatever one likes behind the digest.
    let mut short = vec![0, 1];
    short.extend_from_slice(&[0xff; 8]);
    short.push(0);
    short.extend_from_slice(&told);
    short.resize(256, 0);
    let mut in_the_middle = right.clone();
    in_the_middle[100] = 0;
    let mut begins_otherwise = right.clone();
    begins_otherwise[2] = 0xfe;
    let mut no_zero = right.clone();
    no_zero[255 - told.len()] = 0xff;
    let without_null = [
        &[
            0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x04, 0x20,
        ],
        digest,
    ]
    .concat();
    let long_length = [&[0x30, 0x81, 0x31], &SHA_256[2..], digest].concat();
    let sha_512_of_other_name = {
        let mut other = told.clone();
        other[14] = 3;
        other
    };
    let mut longer_than_said = told.clone();
    longer_than_said.push(0);
    for (what, wrong) in [
        ("another type of block", block([0, 2], 0xff, &told)),
        ("type zero", block([0, 0], 0, &told)),
        ("padding of zeros", block([0, 1], 0, &told)),
        ("little padding and a tail", short),
        ("a zero in the padding", in_the_middle),
        ("a padding that begins otherwise", begins_otherwise),
        ("no zero behind the padding", no_zero),
        ("no name of the digest at all", block([0, 1], 0xff, digest)),
        ("no parameters", block([0, 1], 0xff, &without_null)),
        ("a length in long form", block([0, 1], 0xff, &long_length)),
        (
            "another digest's name",
            block([0, 1], 0xff, &sha_512_of_other_name),
        ),
        (
            "something behind the digest",
            block([0, 1], 0xff, &longer_than_said),
        ),
        ("nothing", block([0, 1], 0xff, &[])),
    ] {
        assert!(!key.verifies(MESSAGE, &sign_block(&wrong)), "{what}");
    }
}

#[test]
fn rfc8017_8_2_2_a_signature_is_as_long_as_the_modulus_and_below_it() {
    let (key, right) = (rfc_key(), rfc_signature());
    for length in 0..right.len() {
        assert!(!key.verifies(RFC7515_A2_INPUT, &right[..length]));
    }
    for wrong in [
        [right.as_slice(), &[0]].concat(),
        [&[0], right.as_slice()].concat(),
        vec![0; 256],
        [[0; 255].as_slice(), &[1]].concat(),
        vec![0xff; 256],
        vec![0xff; 4096],
    ] {
        assert!(!key.verifies(RFC7515_A2_INPUT, &wrong));
    }
    // The same number once more around, where it still fits.
    let json = serde_json::to_value(&key).unwrap();
    let n = URL_SAFE_NO_PAD.decode(json["n"].as_str().unwrap()).unwrap();
    let mut sum = right.clone();
    let mut carry = 0;
    for (digit, added) in sum.iter_mut().zip(&n).rev() {
        let total = u16::from(*digit) + u16::from(*added) + carry;
        *digit = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    let mut around = vec![u8::try_from(carry).unwrap()];
    around.extend_from_slice(&sum);
    assert!(!key.verifies(RFC7515_A2_INPUT, &sum));
    assert!(!key.verifies(RFC7515_A2_INPUT, &around));
}

#[test]
fn damaged_private_keys_are_refused() {
    let pkcs8 = &keys()[0].pkcs8;
    let refused = |pkcs8: &[u8]| load(Algorithm::Rs256, pkcs8).unwrap_err();
    for length in 0..pkcs8.len() {
        assert_eq!(refused(&pkcs8[..length]), KeyError::Malformed, "{length}");
    }
    let longer = [pkcs8.as_slice(), &[0]].concat();
    assert_eq!(refused(&longer), KeyError::Malformed);
    for other in [Algorithm::Es256, Algorithm::EdDsa] {
        assert_eq!(load(other, pkcs8).unwrap_err(), KeyError::Malformed);
        let made = generate_signing_key(other, &SystemEntropy::default()).unwrap();
        assert_eq!(refused(&made.pkcs8), KeyError::Malformed);
    }
}

#[test]
fn keys_of_other_sizes_and_exponents_are_refused() {
    for bits in [1024, 2040] {
        let small = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let small = small.private_key_to_pkcs8().unwrap();
        let refused = load(Algorithm::Rs256, &small).unwrap_err();
        assert_eq!(refused, KeyError::Malformed, "{bits}");
    }
    let n = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let with = |name: &str, value: Value| {
        let mut key: Value = serde_json::from_str(RFC7515_A2_KEY).unwrap();
        key[name] = value;
        serde_json::from_value::<PublicJwk>(key)
    };
    let sized = |length: usize, first: u8, last: u8| {
        let mut bytes = vec![0xa5; length];
        bytes[0] = first;
        bytes[length - 1] = last;
        with("n", n(&bytes))
    };
    for (length, first, last) in [(256, 0x80, 1), (257, 1, 1), (512, 0xff, 0xff)] {
        assert!(sized(length, first, last).is_ok(), "{length}");
    }
    for (length, first, last) in [
        (1, 0xff, 0xff),
        (255, 0xff, 0xff),
        (256, 0x7f, 1),
        (256, 0x80, 2),
        (257, 0, 1),
        (513, 0xff, 0xff),
    ] {
        assert!(
            sized(length, first, last).is_err(),
            "{length} {first} {last}"
        );
    }
    for e in ["Aw", "AAEAAQ", "AQ", "AA", "", "AQAC", "aqab"] {
        assert!(with("e", json!(e)).is_err(), "{e}");
    }
    assert!(with("n", json!("")).is_err());
    assert!(with("n", json!("=")).is_err());
    assert!(with("kty", json!("EC")).is_err());
}

#[test]
fn a_key_that_contradicts_itself_verifies_nothing() {
    for alg in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = PublicJwk { alg, ..rfc_key() };
        assert!(!key.verifies(RFC7515_A2_INPUT, &rfc_signature()));
    }
    let made = generate_signing_key(Algorithm::Es256, &SystemEntropy::default()).unwrap();
    let key = PublicJwk {
        alg: Algorithm::Rs256,
        ..made.public
    };
    assert!(!key.verifies(RFC7515_A2_INPUT, &rfc_signature()));
}

#[test]
fn debug_prints_no_private_part() {
    let new = &keys()[0];
    assert_eq!(
        format!("{new:?}"),
        format!(
            "NewSigningKey {{ kid: {:?}, algorithm: Rs256, .. }}",
            new.kid
        )
    );
    assert!(!format!("{:?}", signing_key()).contains(&URL_SAFE_NO_PAD.encode(&*new.pkcs8)));
}
