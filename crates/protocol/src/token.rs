//! What the token endpoint answers, and what a signed access token says (RFC 6749 §5.1, RFC 9068).

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scope::Scopes;

/// The `typ` of a signed access token (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYP: &str = "at+jwt";

/// How a token is presented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenType {
    /// By whoever has it (RFC 6750).
    #[default]
    Bearer,
}

/// The answer to a successful token request (RFC 6749 §5.1).
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenAnswer {
    /// The token, a secret.
    pub access_token: String,
    /// How to present it.
    pub token_type: TokenType,
    /// How many seconds it lives from now.
    pub expires_in: u64,
    /// What was granted. RFC 6749 §3.3: told whenever it may differ from what was asked; here
    /// always, except that the grammar has no text for the empty set.
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub scope: Scopes,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("access_token", &"(redacted)")
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish()
    }
}

/// An audience without a single recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the audience is empty; name at least one recipient")]
pub struct AudienceError;

/// Whom a token is for: at least one recipient, in the order given, none twice.
///
/// RFC 7519 §4.1.3: an array of strings; with one recipient it may be a single string, and is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "AudienceText", into = "AudienceText")]
pub struct Audience(Vec<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
enum AudienceText {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// The audience of these recipients; refuses none.
    pub fn new(recipients: impl IntoIterator<Item = String>) -> Result<Self, AudienceError> {
        let mut distinct: Vec<String> = Vec::new();
        for recipient in recipients {
            if !distinct.contains(&recipient) {
                distinct.push(recipient);
            }
        }
        if distinct.is_empty() {
            return Err(AudienceError);
        }
        Ok(Self(distinct))
    }

    /// The audience of this one recipient.
    pub fn one(recipient: impl Into<String>) -> Self {
        Self(vec![recipient.into()])
    }

    /// The recipients in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether this recipient is meant.
    pub fn contains(&self, recipient: &str) -> bool {
        self.iter().any(|one| one == recipient)
    }
}

impl TryFrom<AudienceText> for Audience {
    type Error = AudienceError;

    fn try_from(text: AudienceText) -> Result<Self, AudienceError> {
        match text {
            AudienceText::One(recipient) => Ok(Self::one(recipient)),
            AudienceText::Many(recipients) => Self::new(recipients),
        }
    }
}

impl From<Audience> for AudienceText {
    fn from(audience: Audience) -> Self {
        let mut recipients = audience.0;
        match (recipients.pop(), recipients.is_empty()) {
            (Some(only), true) => Self::One(only),
            (last, _) => {
                recipients.extend(last);
                Self::Many(recipients)
            }
        }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Audience {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        AudienceText::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Audience {}

/// The claims of a signed access token (RFC 9068 §2.2). Unknown claims are ignored when read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessTokenClaims {
    /// The issuer, exactly as its metadata names it.
    pub iss: String,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// The resource servers it is for.
    pub aud: Audience,
    /// Whom it speaks for.
    pub sub: String,
    /// The client it was issued to.
    pub client_id: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Its own id.
    pub jti: String,
    /// What it may do; left out when that is nothing.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub scope: Scopes,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The organizations in which its client acts, if that acts for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub organizations: Vec<String>,
    /// When the subject signed in, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How strongly the subject signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By which methods the subject signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims() -> AccessTokenClaims {
        AccessTokenClaims {
            iss: "https://id.example/t/ten_1".to_owned(),
            exp: 1_700_000_600,
            aud: Audience::one("https://api.example"),
            sub: "cli_1".to_owned(),
            client_id: "cli_1".to_owned(),
            iat: 1_700_000_000,
            jti: "tok_1".to_owned(),
            scope: Scopes::parse("billing:read").unwrap(),
            tenant: "ten_1".to_owned(),
            organizations: vec!["org_1".to_owned()],
            auth_time: None,
            acr: None,
            amr: None,
        }
    }

    #[test]
    fn rfc9068_claims() {
        let written = serde_json::to_value(claims()).unwrap();
        assert_eq!(
            written,
            json!({
                "iss": "https://id.example/t/ten_1",
                "exp": 1_700_000_600,
                "aud": "https://api.example",
                "sub": "cli_1",
                "client_id": "cli_1",
                "iat": 1_700_000_000,
                "jti": "tok_1",
                "scope": "billing:read",
                "tenant": "ten_1", "organizations": ["org_1"],
            })
        );
        assert_eq!(
            serde_json::from_value::<AccessTokenClaims>(written).unwrap(),
            claims()
        );
    }

    #[test]
    fn rfc9068_2_2_each_required_claim_is_required() {
        let written = serde_json::to_value(claims()).unwrap();
        for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
            let mut lacking = written.clone();
            lacking.as_object_mut().unwrap().remove(claim);
            let read = serde_json::from_value::<AccessTokenClaims>(lacking);
            assert!(read.is_err(), "{claim}");
        }
        let mut no_scope = written;
        no_scope.as_object_mut().unwrap().remove("scope");
        let read: AccessTokenClaims = serde_json::from_value(no_scope.clone()).unwrap();
        assert!(read.scope.is_empty());
        assert_eq!(serde_json::to_value(read).unwrap(), no_scope);
    }

    #[test]
    fn rfc9068_2_2_1_sign_in_claims_are_told_when_known() {
        let signed_in = AccessTokenClaims {
            auth_time: Some(1_699_999_999),
            acr: Some("2".to_owned()),
            amr: Some(vec!["pwd".to_owned(), "otp".to_owned()]),
            ..claims()
        };
        let written = serde_json::to_value(&signed_in).unwrap();
        assert_eq!(written["auth_time"], 1_699_999_999);
        assert_eq!(written["amr"], json!(["pwd", "otp"]));
        let read: AccessTokenClaims = serde_json::from_value(written).unwrap();
        assert_eq!(read, signed_in);
    }

    #[test]
    fn rfc7519_4_1_3_audience_is_a_string_or_an_array() {
        let many = Audience::new(["b", "a", "b"].map(String::from)).unwrap();
        assert_eq!(serde_json::to_value(&many).unwrap(), json!(["b", "a"]));
        assert!(many.contains("a") && !many.contains("c"));
        let read = |value: Value| serde_json::from_value::<Audience>(value);
        assert_eq!(read(json!(["b", "a"])).unwrap(), many);
        assert_eq!(read(json!(["x"])).unwrap(), Audience::one("x"));
        assert_eq!(read(json!("x")).unwrap(), Audience::one("x"));
        assert_eq!(Audience::new([]), Err(AudienceError));
        for bad in [json!([]), json!(null), json!(1), json!([1]), json!({})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    fn answer(scope: Scopes) -> TokenAnswer {
        TokenAnswer {
            access_token: "gat_secret".to_owned(),
            token_type: TokenType::Bearer,
            expires_in: 600,
            scope,
        }
    }

    #[test]
    fn rfc6749_5_1_the_answer() {
        assert_eq!(
            serde_json::to_value(answer(Scopes::parse("a b").unwrap())).unwrap(),
            json!({"access_token": "gat_secret", "token_type": "Bearer", "expires_in": 600, "scope": "a b"})
        );
        let none = serde_json::to_value(answer(Scopes::default())).unwrap();
        assert!(none.get("scope").is_none());
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", answer(Scopes::default()));
        assert!(
            shown.contains("600") && !shown.contains("gat_secret"),
            "{shown}"
        );
    }
}
