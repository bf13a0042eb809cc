//! What the introspection endpoint answers (RFC 7662 §2.2).

use serde::{Serialize, Serializer};

use crate::scope::Scopes;
use crate::token::{Audience, TokenType};

/// The answer about one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntrospectionAnswer {
    /// The token does not count, for whatever reason: unknown, ended, revoked, not for the caller.
    Inactive,
    /// The token counts, and says this.
    Active(Box<ActiveToken>),
}

/// What is told about a token that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActiveToken {
    /// What it may do; left out when that is nothing.
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub scope: Scopes,
    /// The client it was issued to.
    pub client_id: String,
    /// Whom it speaks for.
    pub sub: String,
    /// How it is presented.
    pub token_type: TokenType,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// The resource servers it is for.
    pub aud: Audience,
    /// Its issuer.
    pub iss: String,
    /// Its own id.
    pub jti: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The organizations in which its client acts, if that acts for itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub organizations: Vec<String>,
}

/// The answer as it is written: one member that is always there, and the token's if it counts.
#[derive(Serialize)]
struct Written<'a> {
    active: bool,
    #[serde(flatten)]
    token: Option<&'a ActiveToken>,
}

impl Serialize for IntrospectionAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = match self {
            // RFC 7662 §2.2: the server SHOULD NOT include any additional information about an
            // inactive token, including why it is inactive.
            Self::Inactive => None,
            Self::Active(token) => Some(token.as_ref()),
        };
        let written = Written {
            active: token.is_some(),
            token,
        };
        written.serialize(serializer)
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
    use utoipa::openapi::{Ref, RefOr};
    use utoipa::{PartialSchema, ToSchema};

    use super::{ActiveToken, IntrospectionAnswer};

    fn only_active(value: bool) -> ObjectBuilder {
        let active = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .enum_values(Some([value]));
        ObjectBuilder::new()
            .property("active", active)
            .required("active")
    }

    impl PartialSchema for IntrospectionAnswer {
        fn schema() -> RefOr<Schema> {
            let token = Ref::from_schema_name(ActiveToken::name());
            let active = AllOfBuilder::new().item(only_active(true)).item(token);
            OneOfBuilder::new()
                .item(only_active(false))
                .item(active)
                .into()
        }
    }

    impl ToSchema for IntrospectionAnswer {
        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((ActiveToken::name().into_owned(), ActiveToken::schema()));
            ActiveToken::schemas(schemas);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token() -> ActiveToken {
        ActiveToken {
            scope: Scopes::parse("a b").unwrap(),
            client_id: "cli_1".to_owned(),
            sub: "cli_1".to_owned(),
            token_type: TokenType::Bearer,
            exp: 1_700_000_600,
            iat: 1_700_000_000,
            aud: Audience::one("https://api.example"),
            iss: "https://id.example".to_owned(),
            jti: "tok_1".to_owned(),
            tenant: "ten_1".to_owned(),
            organizations: vec!["org_1".to_owned()],
        }
    }

    #[test]
    fn rfc7662_inactive_says_nothing_else() {
        assert_eq!(
            serde_json::to_string(&IntrospectionAnswer::Inactive).unwrap(),
            r#"{"active":false}"#
        );
    }

    #[test]
    fn rfc7662_2_2_active_tells_the_token() {
        let answer = IntrospectionAnswer::Active(Box::new(token()));
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            json!({
                "active": true,
                "scope": "a b",
                "client_id": "cli_1",
                "sub": "cli_1",
                "token_type": "Bearer",
                "exp": 1_700_000_600,
                "iat": 1_700_000_000,
                "aud": "https://api.example",
                "iss": "https://id.example",
                "jti": "tok_1",
                "tenant": "ten_1", "organizations": ["org_1"],
            })
        );
    }

    #[test]
    fn a_token_without_scopes_has_no_scope_member() {
        let bare = ActiveToken {
            scope: Scopes::default(),
            ..token()
        };
        let answer = IntrospectionAnswer::Active(Box::new(bare));
        let written = serde_json::to_value(&answer).unwrap();
        assert!(written.get("scope").is_none());
        assert_eq!(written["active"], true);
    }

    #[cfg(feature = "openapi")]
    #[test]
    fn the_schema_knows_both_answers() {
        use utoipa::{PartialSchema, ToSchema};

        let schema = serde_json::to_value(IntrospectionAnswer::schema()).unwrap();
        let inactive = &schema["oneOf"][0]["properties"];
        assert_eq!(inactive["active"]["enum"], json!([false]));
        assert_eq!(
            schema["oneOf"][1]["allOf"][1]["$ref"],
            "#/components/schemas/ActiveToken"
        );
        let mut named = Vec::new();
        IntrospectionAnswer::schemas(&mut named);
        let token = named
            .iter()
            .find(|(name, _)| name == "ActiveToken")
            .map(|(_, schema)| serde_json::to_value(schema).unwrap())
            .unwrap();
        let required = token["required"].as_array().unwrap();
        assert!(required.contains(&json!("client_id")), "{required:?}");
        assert!(!required.contains(&json!("scope")), "{required:?}");
    }
}
