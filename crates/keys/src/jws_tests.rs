use super::*;
use crate::{SystemEntropy, generate_signing_key};
use serde_json::json;

const TYPE: &str = "at+jwt";

struct Issuer {
    key: SigningKey,
    jwks: Jwks,
}

fn issuer() -> Issuer {
    issuer_with(Algorithm::Es256)
}

fn issuer_with(algorithm: Algorithm) -> Issuer {
    let entropy = SystemEntropy::default();
    let new = generate_signing_key(algorithm, &entropy).unwrap();
    let key = SigningKey::from_pkcs8(new.algorithm, new.kid, &new.pkcs8, &entropy).unwrap();
    Issuer {
        key,
        jwks: Jwks {
            keys: vec![new.public],
        },
    }
}

impl Issuer {
    fn token(&self) -> String {
        let claims = json!({ "sub": "cli_1", "exp": 1_700_000_000 });
        self.key
            .sign(TYPE, &claims, &SystemEntropy::default())
            .unwrap()
    }

    /// Signs a header and a payload as they are, well-formed or not.
    fn sign_parts(&self, header: &str, payload: &str) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = self
            .key
            .sign_raw(signed.as_bytes(), &SystemEntropy::default())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign_header(&self, header: &Value) -> String {
        self.sign_parts(&header.to_string(), r#"{"sub":"cli_1"}"#)
    }

    fn header(&self) -> Value {
        json!({ "typ": TYPE, "alg": "ES256", "kid": self.key.kid() })
    }

    fn verify(&self, token: &str) -> Result<Value, VerifyError> {
        verify_jws(token, TYPE, &self.jwks)
    }
}

/// Asserts that verification fails in exactly this way.
macro_rules! assert_refused {
    ($result:expr, $error:pat) => {
        match $result {
            Err($error) => {}
            other => panic!("expected {}, got {other:?}", stringify!($error)),
        }
    };
}

#[test]
fn what_is_signed_verifies() {
    let issuer = issuer();
    let claims = issuer.verify(&issuer.token()).unwrap();
    assert_eq!(claims, json!({ "sub": "cli_1", "exp": 1_700_000_000 }));
}

#[test]
fn the_header_says_type_algorithm_and_key_and_no_more() {
    let issuer = issuer();
    let token = issuer.token();
    let header = decode(token.split('.').next().unwrap()).unwrap();
    let kid = issuer.key.kid();
    assert_eq!(
        String::from_utf8(header).unwrap(),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#)
    );
}

#[test]
fn any_changed_character_is_refused() {
    let issuer = issuer();
    let token = issuer.token();
    for at in 0..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(issuer.verify(&changed).is_err(), "at {at}: {changed}");
    }
}

#[test]
fn a_payload_or_header_from_another_token_is_refused() {
    let issuer = issuer();
    let token = issuer.token();
    let other = issuer.sign_parts(
        &json!({ "kid": issuer.key.kid(), "alg": "ES256", "typ": TYPE }).to_string(),
        r#"{"sub":"cli_2"}"#,
    );
    let (ours, theirs): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
    for mixed in [
        [ours[0], theirs[1], ours[2]],
        [theirs[0], ours[1], ours[2]],
        [ours[0], ours[1], theirs[2]],
    ] {
        assert_refused!(issuer.verify(&mixed.join(".")), VerifyError::Signature);
    }
}

#[test]
fn a_token_cut_anywhere_is_refused() {
    let issuer = issuer();
    let token = issuer.token();
    for length in 0..token.len() {
        assert!(issuer.verify(&token[..length]).is_err(), "{length}");
    }
}

#[test]
fn rfc7515_3_1_three_segments() {
    let issuer = issuer();
    let token = issuer.token();
    for wrong in [
        String::new(),
        "no dots".to_owned(),
        "one.dot".to_owned(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.e30"),
        token.replace('.', ".."),
        "....".to_owned(),
    ] {
        assert_refused!(issuer.verify(&wrong), VerifyError::Segments);
    }
    assert_refused!(issuer.verify(".."), VerifyError::Header);
}

#[test]
fn rfc7515_2_base64url_is_canonical() {
    let issuer = issuer();
    let token = issuer.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    // 64 bytes end in a character of which four bits must be zero: A, Q, g or w.
    let last = match signature.chars().last().unwrap() {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        _ => 'x',
    };
    let loose_bits = format!("{signed}.{}{last}", &signature[..signature.len() - 1]);
    for wrong in [
        loose_bits,
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        token.replacen('e', "+", 1),
        token.replacen('e', "é", 1),
    ] {
        assert_refused!(issuer.verify(&wrong), VerifyError::Encoding);
    }
}

#[test]
fn rfc8725_3_1_none_and_symmetric_algorithms_are_refused() {
    let issuer = issuer();
    for alg in [
        "none", "None", "nOnE", "", "HS256", "RS256", "RS384", "PS256", "ES384", "es256",
    ] {
        let mut header = issuer.header();
        header["alg"] = json!(alg);
        let token = issuer.sign_header(&header);
        assert_refused!(issuer.verify(&token), VerifyError::Algorithm);
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert_refused!(issuer.verify(unsigned), VerifyError::Algorithm);
    }
}

#[test]
fn eddsa_signs_and_verifies_and_says_so() {
    let issuer = issuer_with(Algorithm::EdDsa);
    let token = issuer.token();
    let claims = issuer.verify(&token).unwrap();
    assert_eq!(claims, json!({ "sub": "cli_1", "exp": 1_700_000_000 }));
    let header: Value =
        serde_json::from_slice(&decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    let expected = json!({ "typ": TYPE, "alg": "EdDSA", "kid": issuer.key.kid() });
    assert_eq!(header, expected);
    for at in 0..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(issuer.verify(&changed).is_err(), "at {at}: {changed}");
    }
}

#[test]
fn rfc8725_3_1_the_key_decides_the_algorithm_and_not_the_token() {
    for (algorithm, claimed) in [(Algorithm::Es256, "EdDSA"), (Algorithm::EdDsa, "ES256")] {
        let issuer = issuer_with(algorithm);
        let mut header = issuer.header();
        header["alg"] = json!(claimed);
        let token = issuer.sign_header(&header);
        assert_refused!(issuer.verify(&token), VerifyError::Algorithm);
    }
    // A key of the one is not found under the name of the other's.
    let (points, edwards) = (issuer(), issuer_with(Algorithm::EdDsa));
    let both = Jwks {
        keys: vec![points.key.public(), edwards.key.public()],
    };
    let mut header = edwards.header();
    header["alg"] = json!("ES256");
    header["kid"] = json!(points.key.kid());
    assert_refused!(
        verify_jws::<Value>(&edwards.sign_header(&header), TYPE, &both),
        VerifyError::Signature
    );
    for issuer in [&points, &edwards] {
        assert!(verify_jws::<Value>(&issuer.token(), TYPE, &both).is_ok());
    }
}

#[test]
fn an_empty_signature_is_refused() {
    let issuer = issuer();
    let token = issuer.token();
    let unsigned = &token[..=token.rfind('.').unwrap()];
    assert_refused!(issuer.verify(unsigned), VerifyError::Signature);
}

#[test]
fn rfc8725_3_1_an_hmac_under_the_public_key_is_refused() {
    let issuer = issuer();
    let public = serde_json::to_vec(&issuer.jwks.keys[0]).unwrap();
    let hmac_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
    for (alg, refused_for_its_name) in [("HS256", true), ("ES256", false)] {
        let mut header = issuer.header();
        header["alg"] = json!(alg);
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let tag = ring::hmac::sign(&hmac_key, signed.as_bytes());
        let result = issuer.verify(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)));
        if refused_for_its_name {
            assert_refused!(result, VerifyError::Algorithm);
        } else {
            assert_refused!(result, VerifyError::Signature);
        }
    }
}

#[test]
fn a_key_in_the_header_is_never_used() {
    let (issuer, stranger) = (issuer(), issuer());
    let mut header = issuer.header();
    header["jwk"] = serde_json::to_value(stranger.key.public()).unwrap();
    header["jku"] = json!("https://example.com/jwks.json");
    let token = stranger.sign_header(&header);
    assert_refused!(issuer.verify(&token), VerifyError::Signature);
}

#[test]
fn an_unknown_or_missing_key_name_is_refused() {
    let (issuer, stranger) = (issuer(), issuer());
    assert_refused!(issuer.verify(&stranger.token()), VerifyError::UnknownKey);
    let empty: Result<Value, _> = verify_jws(&issuer.token(), TYPE, &Jwks::default());
    assert_refused!(empty, VerifyError::UnknownKey);
    let mut header = issuer.header();
    header.as_object_mut().unwrap().remove("kid");
    assert_refused!(
        issuer.verify(&issuer.sign_header(&header)),
        VerifyError::Header
    );
}

#[test]
fn a_token_is_checked_with_the_key_it_names_among_several() {
    let (first, second) = (issuer(), issuer());
    let both = Jwks {
        keys: vec![first.key.public(), second.key.public()],
    };
    for issuer in [&first, &second] {
        assert!(verify_jws::<Value>(&issuer.token(), TYPE, &both).is_ok());
    }
    let forged = second.sign_header(&first.header());
    assert_refused!(
        verify_jws::<Value>(&forged, TYPE, &both),
        VerifyError::Signature
    );
}

#[test]
fn rfc7515_4_1_11_critical_extensions_are_refused() {
    let issuer = issuer();
    for crit in [
        json!(["b64"]),
        json!([]),
        json!(null),
        json!(false),
        json!({}),
    ] {
        let mut header = issuer.header();
        header["crit"] = crit;
        assert_refused!(
            issuer.verify(&issuer.sign_header(&header)),
            VerifyError::Critical
        );
    }
}

#[test]
fn rfc7515_4_header_names_are_unique() {
    let issuer = issuer();
    let kid = issuer.key.kid();
    for header in [
        format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{kid}","alg":"ES256"}}"#),
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":"{kid}"}}"#),
    ] {
        assert_refused!(
            issuer.verify(&issuer.sign_parts(&header, "{}")),
            VerifyError::Header
        );
    }
}

#[test]
fn a_header_that_is_no_object_is_refused() {
    let issuer = issuer();
    let kid = issuer.key.kid();
    for header in [
        String::new(),
        "null".to_owned(),
        "{".to_owned(),
        "{}".to_owned(),
        "{} {}".to_owned(),
        format!(r#"["ES256","at+jwt","{kid}",false]"#),
        format!(r#"{{"alg":["ES256"],"typ":"at+jwt","kid":"{kid}"}}"#),
    ] {
        assert_refused!(
            issuer.verify(&issuer.sign_parts(&header, "{}")),
            VerifyError::Header
        );
    }
}

#[test]
fn rfc8725_3_11_a_token_of_another_type_is_refused() {
    let issuer = issuer();
    for typ in [
        "JWT",
        "at+jwt2",
        "",
        "text/at+jwt",
        "application/application/at+jwt",
        "at jwt",
    ] {
        let mut header = issuer.header();
        header["typ"] = json!(typ);
        assert_refused!(
            issuer.verify(&issuer.sign_header(&header)),
            VerifyError::Type
        );
    }
    let mut header = issuer.header();
    header.as_object_mut().unwrap().remove("typ");
    assert_refused!(
        issuer.verify(&issuer.sign_header(&header)),
        VerifyError::Type
    );
}

#[test]
fn rfc9068_4_the_type_may_be_written_as_a_media_type() {
    let issuer = issuer();
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        let mut header = issuer.header();
        header["typ"] = json!(typ);
        assert!(issuer.verify(&issuer.sign_header(&header)).is_ok(), "{typ}");
    }
}

#[test]
fn rfc7519_7_2_claims_are_an_object_of_the_expected_form() {
    #[derive(Debug, Deserialize)]
    struct Claims {
        #[expect(dead_code, reason = "only whether it can be read matters")]
        sub: String,
    }
    let issuer = issuer();
    let header = issuer.header().to_string();
    let verify = |payload: &str| {
        verify_jws::<Claims>(&issuer.sign_parts(&header, payload), TYPE, &issuer.jwks)
    };
    assert!(verify(" {\"sub\":\"a\"}").is_ok());
    for payload in ["", "null", "\"sub\"", "[\"a\"]", "1"] {
        assert_refused!(verify(payload), VerifyError::NotAnObject);
    }
    for payload in [
        "{",
        "{}",
        r#"{"sub":1}"#,
        r#"{"sub":"a"}x"#,
        r#"{"sub":"a","sub":"b"}"#,
    ] {
        assert_refused!(verify(payload), VerifyError::Claims(_));
    }
}

#[test]
fn signatures_of_another_form_are_refused() {
    let issuer = issuer();
    let token = issuer.token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for signature in [
        vec![0; 64],
        vec![0xff; 64],
        vec![0; 63],
        vec![0; 65],
        vec![1; 4096],
    ] {
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_refused!(issuer.verify(&forged), VerifyError::Signature);
    }
}

#[test]
fn a_token_beyond_the_bound_is_refused_on_both_sides() {
    let issuer = issuer();
    let sign = |length: usize| {
        let claims = json!({ "a": "x".repeat(length) });
        issuer.key.sign(TYPE, &claims, &SystemEntropy::default())
    };
    let largest = (12_000..13_000)
        .map_while(|length| sign(length).ok())
        .last()
        .unwrap();
    assert!(largest.len() > MAX_JWS_LENGTH - 3);
    assert!(issuer.verify(&largest).is_ok());
    assert!(peek_claims(&largest).is_some());
    assert!(matches!(sign(13_000), Err(SignError::Oversize)));

    let payload = json!({ "a": "x".repeat(13_000) }).to_string();
    let oversize = issuer.sign_parts(&issuer.header().to_string(), &payload);
    assert_refused!(issuer.verify(&oversize), VerifyError::Oversize);
    assert!(peek_claims(&oversize).is_none());
}

#[test]
fn only_objects_are_signed() {
    let issuer = issuer();
    for claims in [json!(null), json!([]), json!("sub"), json!(1)] {
        let result = issuer.key.sign(TYPE, &claims, &SystemEntropy::default());
        assert!(matches!(result, Err(SignError::NotAnObject)));
    }
}

#[test]
fn claims_without_a_json_form_are_not_signed() {
    let claims = std::collections::BTreeMap::from([((1, 2), 3)]);
    let result = issuer().key.sign(TYPE, &claims, &SystemEntropy::default());
    assert!(matches!(result, Err(SignError::Claims(_))));
}

#[test]
fn peeking_reads_claims_and_believes_nothing() {
    let issuer = issuer();
    let token = issuer.token();
    assert_eq!(peek_claims(&token).unwrap()["sub"], "cli_1");
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(
        peek_claims(&format!("{signed}.forged")).unwrap()["sub"],
        "cli_1"
    );
}

#[test]
fn peeking_into_anything_else_yields_nothing() {
    let encoded = |payload: &str| format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(payload));
    for token in [
        String::new(),
        "gat_opaque".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        "..".to_owned(),
        encoded("[1]"),
        encoded("null"),
        encoded("{"),
        encoded("{} x"),
        encoded(&"[".repeat(10_000)),
        encoded(&"{\"a\":".repeat(2_000)),
        format!("{}=", encoded("{}")).replace(".e30=", "=.e30"),
    ] {
        assert_eq!(peek_claims(&token), None, "{token}");
    }
}
